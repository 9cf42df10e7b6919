//! Stores broken on purpose: each of these faults in the functions that write the ledger must be
//! seen, by `verify` or by what the store answers. The sound store passes the same exercise.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod exercise;

use exercise::{Seen, exercise};
use migrations::testing::database;
use sqlx::PgConnection;

/// Who sees a fault at the least.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    /// `verify`, from what is stored.
    Verify,
    /// Only the caller of the store, by a wrong or missing answer.
    Answers,
}
use By::{Answers, Verify};

/// A fault: a function, a piece of its source, and what stands there instead.
type Fault = (&'static str, &'static str, &'static str, &'static str, By);

const POST: &str = "ledger.post";
const FAULTS: [Fault; 30] = [
    (
        "a line is lost",
        POST,
        "amount, effective_on from leg",
        "amount, effective_on from leg where amount > 0",
        Verify,
    ),
    (
        "a line has another amount",
        POST,
        "number, amount, effective_on from leg",
        "number, amount + 1, effective_on from leg",
        Verify,
    ),
    (
        "a line has another day",
        POST,
        "g.amount, c.effective_on",
        "g.amount, c.effective_on + 1 as effective_on",
        Verify,
    ),
    (
        "a day sum is skipped",
        POST,
        "debits = d.debits + p.debits",
        "debits = d.debits",
        Verify,
    ),
    (
        "a day is not begun",
        POST,
        "where p.place is null",
        "where p.place is null and p.debits > 0",
        Verify,
    ),
    (
        "day sums count wrong",
        POST,
        "lines = d.lines + p.lines",
        "lines = p.lines",
        Verify,
    ),
    (
        "a replay posts again",
        POST,
        "then 'replayed'",
        "then 'posted'",
        Verify,
    ),
    (
        "a conflict is a replay",
        POST,
        "then 'conflict'",
        "then 'replayed'",
        Answers,
    ),
    (
        "a conflict posts",
        POST,
        "then 'conflict'",
        "then 'posted'",
        Verify,
    ),
    (
        "the chain is reordered",
        POST,
        "(partition by book_id order by i) as hash",
        "(partition by book_id order by i desc) as hash",
        Verify,
    ),
    (
        "each chain begins anew",
        POST,
        "ledger.chain(head,",
        "ledger.chain('\\x00'::bytea,",
        Verify,
    ),
    (
        "numbers begin at two",
        POST,
        "order by u.i) - 1 as number",
        "order by u.i) as number",
        Verify,
    ),
    (
        "the head stays",
        POST,
        "head = c.hash",
        "head = b.head",
        Verify,
    ),
    (
        "the number stays",
        POST,
        "set next_number = c.number + 1, head",
        "set next_number = b.next_number, head",
        Verify,
    ),
    (
        "the author is not hashed",
        POST,
        " || convert_to(p_by, 'UTF8')",
        "",
        Verify,
    ),
    (
        "the time is rounded",
        POST,
        "effective_on, p_now, p_by",
        "effective_on, date_trunc('hour', p_now), p_by",
        Verify,
    ),
    (
        "the description is tidied",
        POST,
        "p_now, p_by, description,",
        "p_now, p_by, upper(description),",
        Verify,
    ),
    (
        "causes are forgotten",
        POST,
        "causes, reverses, voucher_id, fingerprint, hash\n",
        "'', reverses, voucher_id, fingerprint, hash\n",
        Verify,
    ),
    (
        "the fence is not seen",
        POST,
        "t.effective_on <= b.closed_through",
        "t.effective_on < b.closed_through - 40",
        Verify,
    ),
    (
        "floors are ignored",
        POST,
        "f.breach is not null",
        "false",
        Verify,
    ),
    (
        "a batch breaks a floor together",
        POST,
        "bool_or(a.floored or t.reverses is not null)",
        "bool_or(t.reverses is not null)",
        Verify,
    ),
    (
        "unknown accounts are taken",
        POST,
        "a.fitting < cardinality(t.accounts)",
        "a.fitting < a.known",
        Verify,
    ),
    (
        "any currency is taken",
        POST,
        "c.currency = t.currency and c.memo = t.memo",
        "c.memo = t.memo",
        Verify,
    ),
    (
        "memorandum is mixed in",
        POST,
        "c.currency = t.currency and c.memo = t.memo",
        "c.currency = t.currency",
        Verify,
    ),
    (
        "an entry is reversed twice",
        POST,
        "not ledger.in_force(t.book_id, t.reverses)",
        "false",
        Verify,
    ),
    (
        "a reversal is no mirror",
        POST,
        "not ledger.mirrors(t.amounts, o.amounts)",
        "false",
        Verify,
    ),
    (
        "nothing is reversed",
        POST,
        "where t.reverses is not null",
        "where o.id is not null",
        Verify,
    ),
    (
        "a close leaves out its last day",
        "ledger.close_period",
        "where d.day <= last_day",
        "where d.day < last_day",
        Verify,
    ),
    (
        "a reopened month keeps its fence",
        "ledger.reopen_period",
        "set closed_through = ledger.fence()",
        "set closed_through = closed_through",
        Verify,
    ),
    (
        "a new book has no fence",
        "ledger.open_books",
        "ledger.fence(), p_now",
        "null::date, p_now",
        Verify,
    ),
];

/// Also without what `unknown accounts are taken` and the replays would run into.
const FEWER_GUARDS: &str = "
alter table ledger.entry drop constraint entry_fact_once;
alter table ledger.entry drop constraint entry_pk;";

#[tokio::test]
async fn the_sound_store_passes_the_exercise() {
    let db = database().await;
    let seen = exercise(&db).await;
    assert!(
        seen.answers.is_empty() && seen.findings.is_empty(),
        "{seen:#?}"
    );
}

#[tokio::test]
async fn every_broken_store_is_caught() {
    let mut escaped = Vec::new();
    for fault in FAULTS {
        let (name, .., by) = fault;
        let db = database().await;
        let mut conn = db.connection().await;
        sqlx::raw_sql(FEWER_GUARDS)
            .execute(&mut conn)
            .await
            .unwrap();
        break_it(&mut conn, fault).await;
        let Seen { answers, findings } = exercise(&db).await;
        println!(
            "{name}: {} wrong answers, {} findings",
            answers.len(),
            findings.len()
        );
        let caught = if by == Verify { findings } else { answers };
        if caught.is_empty() {
            escaped.push(name);
        }
    }
    assert_eq!(escaped, [""; 0], "not caught");
}

/// Replaces a piece of a function's own source.
async fn break_it(conn: &mut PgConnection, (name, function, from, to, _): Fault) {
    let source: String = sqlx::query_scalar("select pg_get_functiondef($1::regproc)")
        .bind(function)
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    let mut broken = source.replacen(from, to, 1);
    if name == "unknown accounts are taken" {
        broken = broken.replacen("a.known < cardinality(t.accounts)", "false", 1);
    }
    assert_ne!(broken, source, "{name}: {function} does not say {from:?}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(broken))
        .execute(conn)
        .await
        .unwrap();
}
