//! What `verify` proves, shown by breaking it: a superuser without any constraint or trigger in the
//! way changes the tables, and the entry, account or day is named.

pub(crate) mod fixture;

use fixture::{FORGET, REBUILD, REHASH, Store, broken, store};
use ledger::verify::{Finding, Report, VerifyError, verify};
use sqlx::{PgConnection, Row};

fn book_id(name: &str) -> i64 {
    ledger::BookId::of_name(name).value()
}

/// What is unproved, and says so: no hash covers it.
const UNPROVED: [(&str, &str); 10] = [
    ("book", "opened_at"),
    ("book", "opened_by"),
    ("account", "opened_at"),
    ("account", "opened_by"),
    ("period_close", "entries"), // only that they are no more than there are
    ("period_close", "closed_at"),
    ("period_close", "closed_by"),
    ("period_close", "reopened_at"), // of a reopened one; that it was reopened is proved
    ("period_close", "reopened_by"),
    ("period_close", "reopened_because"),
];

#[tokio::test]
async fn a_sound_ledger_holds_against_its_checkpoint() {
    let Store { mut conn, checkpoint, db: _db } = store().await;
    let mut told = Vec::new();
    fixture::run(&mut conn, "begin isolation level repeatable read, read only").await;
    let report = verify(&mut conn, Some(&checkpoint), |entries| told.push(entries)).await.unwrap();
    assert_eq!(report.findings, []);
    assert!(report.holds());
    let Report { books, entries, lines, closes, checkpoints, .. } = report;
    assert_eq!((books, entries, lines, closes, checkpoints), (4, 42, 87, 3, 2));
    assert_eq!(report.against, Some(checkpoint.id));
    assert_eq!(told, [42]);
}

#[tokio::test]
async fn an_auditor_may_verify_but_not_without_a_snapshot() {
    let db = migrations::testing::database().await;
    let mut conn = db.auditor().await;
    let refused = verify(&mut conn, None, |_| ()).await;
    assert!(matches!(refused, Err(VerifyError::NoSnapshot)), "{refused:?}");
    fixture::run(&mut conn, "begin isolation level repeatable read, read only").await;
    assert!(verify(&mut conn, None, |_| ()).await.unwrap().holds());
}

/// Two ways to change a value of a type, and one for what is null.
fn changes(column: &str, data_type: &str) -> Vec<String> {
    let written: &[&str] = match data_type {
        "bigint" | "integer" | "smallint" | "numeric" => &["$ + 1", "$ - 1"],
        "text" => &["$ || '~'", "'x' || $", "coalesce($, 'x')"],
        "bytea" => &["set_byte($, 0, get_byte($, 0) # 1)", "set_byte($, 31, get_byte($, 31) # 128)", "'\\x00'"],
        "boolean" => &["not $"],
        "date" => &["$ + 1", "coalesce($ - 1, '2026-01-01')"],
        "timestamp with time zone" => &["$ + interval '1 microsecond'", "$ - interval '1 day'"],
        "uuid" => &["coalesce(overlay($::text placing 'f' from 36)::uuid, '00000000-0000-0000-0000-000000000001')",
                    "coalesce(overlay($::text placing 'e' from 1)::uuid, '00000000-0000-0000-0000-000000000001')"],
        "ARRAY" if column == "causes" => &["$ || '~'::text", "$ || ''::text", "'{}'::text[]"],
        "ARRAY" => &["array_prepend($[1] + 1, $[2:])", "array_prepend($[1] - 1, $[2:])", "$ || 1::bigint"],
        "jsonb" => &["$ || '{\"publisher\": 8}'"],
        other => panic!("how is a {other} changed?"),
    };
    written.iter().map(|change| change.replace('$', column)).collect()
}

/// Changes every column of some rows of a table in every way, and hands out what is found.
async fn each_change(
    conn: &mut PgConnection,
    table: &str,
    rows: &str,
    mut check: impl FnMut(&str, Option<i64>, Vec<Finding>, Vec<i64>),
) {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "select column_name::text, data_type::text from information_schema.columns
         where table_schema = 'ledger' and table_name = $1 order by ordinal_position",
    )
    .bind(table)
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    assert!(!columns.is_empty());
    for (column, data_type) in columns {
        if UNPROVED.contains(&(table, &column)) {
            continue;
        }
        for change in changes(&column, &data_type) {
            let places = format!("select ctid::text, to_jsonb(t) ->> 'number', {column} is distinct from ({change}) from ledger.{table} t {rows}");
            let places = sqlx::query(sqlx::AssertSqlSafe(places)).fetch_all(&mut *conn).await;
            for place in places.unwrap() {
                if !place.get::<bool, _>(2) {
                    continue;
                }
                let (ctid, number): (String, Option<String>) = (place.get(0), place.get(1));
                let deed =
                    format!("update ledger.{table} set {column} = {change} where ctid = '{ctid}'");
                let report = broken(conn, None, &[&deed]).await.unwrap();
                assert!(!report.holds(), "{deed}");
                let first = report.first_failing().iter().filter_map(|f| f.number).collect();
                let number = number.map(|number| number.parse().unwrap());
                check(&deed, number, report.findings, first);
            }
        }
    }
}

#[tokio::test]
async fn a_change_in_any_column_of_an_entry_is_found_in_that_entry() {
    let Store { mut conn, db: _db, .. } = store().await;
    // A plain one, one in a foreign currency, a memorandum, three legs, reversals, the last.
    let rows = format!(
        "where book_id = {} and number in (2, 5, 7, 8, 9, 10, 14) order by number",
        book_id("acme")
    );
    let mut changed = 0;
    each_change(&mut conn, "entry", &rows, |deed, number, findings, first| {
        changed += 1;
        // An entry moved to another book is missing here, whatever it is there.
        let acme: Vec<_> =
            findings.iter().filter(|f| f.book.as_deref() == Some("acme")).collect();
        // Two have the number then.
        let number = if deed.contains("= number - 1") { number.map(|n| n - 1) } else { number };
        assert_eq!((acme[0].table, acme[0].number), ("ledger.entry", number), "{deed}: {acme:#?}");
        assert!(first.len() == 1 || deed.contains("set book_id"), "{deed}: {findings:#?}");
    })
    .await;
    assert!(changed > 200, "{changed} changes");
}

#[tokio::test]
async fn a_change_in_any_column_of_a_book_or_account_is_found() {
    let Store { mut conn, db: _db, .. } = store().await;
    let names = |table: &'static str, findings: &[Finding]| {
        findings.iter().any(|finding| finding.table == table)
    };
    each_change(&mut conn, "book", "where name in ('acme', 'empty')", |deed, _, findings, _| {
        // A head that moved back looks like missing entries.
        assert!(names("ledger.book", &findings) || deed.contains("next_number"), "{findings:#?}");
    })
    .await;
    let rows = format!("where book_id = {} and code in ('1100', '2010', '9100')", book_id("acme"));
    each_change(&mut conn, "account", &rows, |deed, _, findings, _| {
        assert!(names("ledger.account", &findings), "{deed}: {findings:#?}");
    })
    .await;
    each_change(&mut conn, "currency", "where code in ('USD', 'USDT')", |deed, _, findings, _| {
        assert!(names("ledger.currency", &findings), "{deed}: {findings:#?}");
    })
    .await;
}

#[tokio::test]
async fn a_change_in_any_column_of_a_derived_table_is_found_and_located() {
    let Store { mut conn, db: _db, .. } = store().await;
    let acme = book_id("acme");
    let rows = format!("where book_id = {acme} and number in (1, 8)");
    each_change(&mut conn, "line", &rows, |deed, number, findings, first| {
        let lines: Vec<_> = findings.iter().filter(|f| f.table == "ledger.line").collect();
        assert_eq!((lines.len(), first.len()), (findings.len(), 0), "{deed}: {findings:#?}");
        assert!(lines.iter().any(|finding| finding.number == number), "{deed}: {findings:#?}");
    })
    .await;
    let rows = format!("where book_id = {acme} and day in ('2026-01-31', '2026-01-08')");
    each_change(&mut conn, "account_day", &rows, |deed, _, findings, first| {
        let days: Vec<_> = findings.iter().filter(|f| f.table == "ledger.account_day").collect();
        // The closed months still state what the entries give.
        assert_eq!((days.len(), first.len()), (findings.len(), 0), "{deed}: {findings:#?}");
        assert!(days.iter().all(|f| f.problem.contains("2026-01-") || f.problem.contains("2026-02-01")), "{days:#?}");
    })
    .await;
}

#[tokio::test]
async fn a_change_in_any_column_of_a_closed_month_or_checkpoint_is_found() {
    let Store { mut conn, db: _db, .. } = store().await;
    let acme = format!("where book_id = {} and code in ('2000', '9100')", book_id("acme"));
    for (table, rows) in [
        ("period_close", ""),
        ("period_balance", acme.as_str()),
        ("checkpoint", ""),
        ("checkpoint_book", ""),
    ] {
        each_change(&mut conn, table, rows, |deed, _, findings, first| {
            let family = if table.starts_with("period") { "ledger.period" } else { "ledger.checkpoint" };
            // The book rows repeat the fence.
            let mine = |f: &Finding| f.table.starts_with(family) || f.table == "ledger.book";
            assert!(findings.iter().all(mine) && first.is_empty(), "{deed}: {findings:#?}");
        })
        .await;
    }
    for deed in [
        "update ledger.period_close set reopened_at = null where version = 1",
        "update ledger.period_close set reopened_at = closed_at where version = 2",
        "delete from ledger.period_close where version = 1 and month = '2026-01-01'",
        "delete from ledger.period_close where month = '2026-01-01'",
        "delete from ledger.period_close where month = '2026-02-01'",
        "update ledger.period_close set entries = 43 where month = '2026-02-01'",
        "delete from ledger.period_balance where code = '9100'",
        "update ledger.book set closed_through = null",
        "delete from ledger.checkpoint_book",
        "delete from ledger.checkpoint_book where number = 0",
        "delete from ledger.checkpoint",
    ] {
        let report = broken(&mut conn, None, &[deed]).await.unwrap();
        assert!(!report.holds(), "{deed}");
    }
}

#[tokio::test]
async fn what_is_lost_moved_or_slipped_in_is_located() {
    let Store { mut conn, db: _db, .. } = store().await;
    let acme = book_id("acme");
    for (deed, number, says) in [
        ("delete from ledger.entry where book_id = $ and number = 6", 6, "missing"),
        ("delete from ledger.entry where book_id = $ and number in (1, 2, 3)", 1, "entries 1 to 3"),
        ("delete from ledger.entry where book_id = $ and number > 12", 13, "entries 13 to 14"),
        ("delete from ledger.entry where book_id = $", 1, "entries 1 to 14"),
        ("update ledger.entry set number = 7 - number where book_id = $ and number in (3, 4)", 3, "follow"),
        ("update ledger.entry set number = 3 where book_id = $ and number = 4", 3, "number"),
        ("update ledger.entry set number = number - 1 where book_id = $", 0, "begin at 1"),
        ("update ledger.entry set accounts = accounts || 9223372036854775807, amounts = amounts || 1::bigint
          where book_id = $ and number = 4", 4, "not balance"),
        ("update ledger.entry set accounts = accounts || array[9223372036854775806, 9223372036854775807],
                 amounts = amounts || array[-1, 1]::bigint[] where book_id = $ and number = 4", 4, "fingerprint"),
        ("insert into ledger.entry select book_id, 15, recorded_at, effective_on, memo, id, currency, kind,
                 recorded_by, description, accounts, amounts, causes, reverses, voucher_id, fingerprint, hash
          from ledger.entry where book_id = $ and number = 1", 15, "does not follow"),
    ] {
        let deed = deed.replace('$', &acme.to_string());
        let report = broken(&mut conn, None, &[&deed]).await.unwrap();
        let first = report.first_failing();
        assert_eq!(first.len(), 1, "{deed}: {:#?}", report.findings);
        assert_eq!(first[0].number, Some(number), "{deed}: {first:#?}");
        assert!(first[0].problem.contains(says), "{deed}: {first:#?}");
    }
}

/// With valid fingerprints and hashes, what an entry must not say is still found.
#[tokio::test]
async fn what_ledger_post_would_refuse_is_found_although_the_hashes_are_right() {
    let Store { mut conn, db: _db, .. } = store().await;
    let acme = book_id("acme");
    for (deed, number, says) in [
        ("update ledger.entry set currency = 'EUR' where book_id = $ and number = 2", 2, "another currency"),
        ("update ledger.entry set currency = 'XYZ' where book_id = $ and number = 2", 2, "is none"),
        ("update ledger.entry set memo = true where book_id = $ and number = 2", 2, "memorandum"),
        ("update ledger.entry set accounts = array[1, 2] where book_id = $ and number = 2", 2, "does not exist"),
        ("update ledger.entry set amounts = array[1, -2] where book_id = $ and number = 2", 2, "debits less credits are -1"),
        ("update ledger.entry set amounts = array[0, 0] where book_id = $ and number = 2", 2, "zero"),
        ("update ledger.entry set accounts = accounts[1:1], amounts = '{0}' where book_id = $ and number = 2", 2, "1 legs"),
        ("update ledger.entry set kind = 'a' || chr(31) where book_id = $ and number = 2", 2, "kind"),
        ("update ledger.entry set causes = array['a' || chr(30) || 'b'] where book_id = $ and number = 2", 2, "causes"),
        ("update ledger.entry set causes = array[''] where book_id = $ and number = 2", 2, "causes"),
        ("update ledger.entry set amounts = array[amounts[2], amounts[1]] where book_id = $ and number = 11", 11, "hash"),
        ("update ledger.entry set reverses = '00000000-0000-0000-0000-000000000001' where book_id = $ and number = 2", 2, "not in this book"),
        ("update ledger.entry r set reverses = (select id from ledger.entry where book_id = $ and number = 3)
          where book_id = $ and number = 2", 2, "recorded after it"),
        ("update ledger.entry r set reverses = (select id from ledger.entry where book_id = $ and number = 1)
          where book_id = $ and number = 9", 9, "mirror"),
        ("update ledger.entry r set id = (select id from ledger.entry where book_id = $ and number = 1)
          where book_id = $ and number = 3", 3, "as entry 1"),
    ] {
        let deed = deed.replace('$', &acme.to_string());
        // The floor of 2010 is kept by entry 8, which comes before the payment 11.
        let floor = if number == 11 { "update ledger.entry set number = case number when 8 then 11 else 8 end
            where book_id = $ and number in (8, 11)".replace('$', &acme.to_string()) } else { deed };
        let report = broken(&mut conn, None, &[&floor, REHASH, FORGET]).await.unwrap();
        let first = report.first_failing();
        let number = if number == 11 { 8 } else { number };
        let says = if number == 8 { "below its floor" } else { says };
        assert_eq!(first.len(), 1, "{floor}: {:#?}", report.findings);
        assert_eq!(first[0].number, Some(number), "{floor}: {first:#?}");
        assert!(first[0].problem.contains(says), "{floor}: {first:#?}");
    }
}

#[tokio::test]
async fn a_ledger_rewritten_as_a_whole_is_found_against_a_checkpoint_kept_elsewhere() {
    let Store { mut conn, checkpoint, db: _db } = store().await;
    let acme = book_id("acme");
    for (deed, says) in [
        ("update ledger.entry set description = 'nothing to see' where book_id = $ and number = 3", "rewritten"),
        ("update ledger.entry set recorded_by = 'somebody else'", "rewritten"),
        ("delete from ledger.entry where book_id = $ and number > 11", "is gone"),
        // One less, yet as long as the checkpoint says.
        ("delete from ledger.entry where book_id = $ and number = 7", "rewritten"),
        ("delete from ledger.entry where book_id = $; delete from ledger.account where book_id = $;
          delete from ledger.period_balance where book_id = $; delete from ledger.book where id = $", "is gone"),
    ] {
        let deed = deed.replace('$', &acme.to_string());
        // The closed months are made to fit, too.
        let fit = "delete from ledger.period_close; delete from ledger.period_balance;
                   update ledger.book set closed_through = null";
        let deeds = [deed.as_str(), REHASH, REBUILD, FORGET, fit];
        let alone = broken(&mut conn, None, &deeds).await.unwrap();
        assert_eq!(alone.findings, [], "{deed}: it cannot be seen from within");
        let against = broken(&mut conn, Some(&checkpoint), &deeds).await.unwrap();
        let found = |f: &&Finding| f.book.as_deref() == Some("acme") && f.problem.contains(says);
        assert!(against.findings.iter().any(|f| found(&f)), "{deed}: {:#?}", against.findings);
    }
}

#[tokio::test]
async fn whatever_a_table_holds_is_a_finding_and_no_error() {
    let Store { mut conn, db: _db, .. } = store().await;
    let entry = |set: &str| format!("update ledger.entry set {set} where number = 2");
    let mut deeds: Vec<String> = [
        "accounts = '{{1,2},{3,4}}', amounts = '{{1,2},{3,4}}'",
        "accounts = '[0:1]={1,2}'",
        "accounts = '{}', amounts = '{}'",
        "accounts = '{}'",
        "amounts = array[9223372036854775807, -9223372036854775807]",
        "amounts = array[-9223372036854775808, -9223372036854775808]",
        "accounts = array[null, null]::bigint[], amounts = array[null, 1]",
        "accounts = null",
        "causes = array[null]::text[]",
        "causes = '{{a:b},{c:d}}'",
        "effective_on = 'infinity'",
        "effective_on = '-infinity'",
        "effective_on = '5874897-12-31'",
        "recorded_at = 'infinity'",
        "recorded_at = '294276-12-31'",
        "hash = ''",
        "hash = null",
        "fingerprint = '\\x00'",
        "number = null",
        "number = 9223372036854775807",
        "number = -9223372036854775808",
        "book_id = null",
        "book_id = 1",
        "id = null",
        "reverses = id",
        "currency = ''",
        "kind = null",
        "recorded_by = null",
        "description = repeat('x', 100000)",
    ]
    .iter()
    .map(|set| entry(set))
    .collect();
    deeds.extend(
        [
            "update ledger.line set amount = -9223372036854775808",
            "update ledger.line set book_id = 1, account_id = 2 where number = 3",
            "update ledger.line set number = null",
            "update ledger.account_day set day = 'infinity'",
            "update ledger.account_day set debits = -9223372036854775808, lines = -2147483648",
            "update ledger.account_day set account_id = null",
            "update ledger.account set dimensions = 'null'",
            "update ledger.account set kind = 'gold', currency = 'XAU'",
            "update ledger.account set book_id = 1",
            "update ledger.account set code = null",
            "update ledger.account set id = null",
            "update ledger.book set id = null, name = null, next_number = null, head = null",
            "update ledger.currency set code = null, scale = null",
            "update ledger.line set amount = null",
            "update ledger.account_day set lines = null",
            "update ledger.period_close set month = null, version = null, entries = null",
            "update ledger.period_balance set book_id = null, code = null, debits = null",
            "update ledger.checkpoint set id = null",
            "update ledger.checkpoint set root = null, taken_by = null",
            "update ledger.checkpoint_book set book_id = null",
            "update ledger.period_close set month = '5874897-12-31'",
            "update ledger.period_close set month = month + 3",
            "update ledger.account_day set day = '5874897-12-31'",
            "update ledger.period_close set month = 'infinity', trial_balance_hash = ''",
            "update ledger.period_balance set month = '-infinity', debits = 1e37",
            "update ledger.checkpoint set taken_at = 'infinity', public_key = '', signature = ''",
            "update ledger.checkpoint set public_key = decode(repeat('ff', 32), 'hex')",
            "update ledger.checkpoint_book set head = '', number = -1",
            "update ledger.book set next_number = -9223372036854775808, head = ''",
            "update ledger.book set next_number = 9223372036854775807",
            "update ledger.book set closed_through = 'infinity'",
            "update ledger.currency set scale = -1",
            "delete from ledger.book",
            "delete from ledger.account",
        ]
        .map(str::to_owned),
    );
    for deed in deeds {
        let report = broken(&mut conn, None, &[&deed]).await;
        let report = report.unwrap_or_else(|error| panic!("{deed}: {error:?}"));
        assert!(!report.holds(), "{deed}");
    }
}
