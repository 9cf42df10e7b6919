//! What `verify` proves, shown by breaking it: a superuser without any constraint or trigger in the
//! way changes the tables, and the entry, account or day is named.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod columns;
pub(crate) mod fixture;

use fixture::{FORGET, REBUILD, REHASH, Store, broken, store};
use ledger::verify::{Finding, Report, VerifyError, verify};

fn book_id(name: &str) -> i64 {
    ledger::BookId::of_name(name).value()
}

#[tokio::test]
async fn a_sound_ledger_holds_against_its_checkpoint() {
    let Store {
        mut conn,
        checkpoint,
        db: _db,
    } = store().await;
    let mut told = Vec::new();
    fixture::run(
        &mut conn,
        "begin isolation level repeatable read, read only",
    )
    .await;
    let report = verify(&mut conn, Some(&checkpoint), |entries| told.push(entries))
        .await
        .unwrap();
    assert_eq!(report.findings, []);
    assert!(report.holds());
    let Report {
        books,
        entries,
        lines,
        closes,
        checkpoints,
        ..
    } = report;
    assert_eq!(
        (books, entries, lines, closes, checkpoints),
        (4, 42, 87, 3, 2)
    );
    assert_eq!(report.against, Some(checkpoint.id));
    assert_eq!(told, [42]);
}

#[tokio::test]
async fn an_auditor_may_verify_but_not_without_a_snapshot() {
    let db = migrations::testing::database().await;
    let mut conn = db.auditor().await;
    let refused = verify(&mut conn, None, |_| ()).await;
    assert!(
        matches!(refused, Err(VerifyError::NoSnapshot)),
        "{refused:?}"
    );
    fixture::run(
        &mut conn,
        "begin isolation level repeatable read, read only",
    )
    .await;
    assert!(verify(&mut conn, None, |_| ()).await.unwrap().holds());
}

#[tokio::test]
async fn what_is_lost_moved_or_slipped_in_is_located() {
    let Store {
        mut conn, db: _db, ..
    } = store().await;
    let acme = book_id("acme");
    for (deed, number, says) in [
        (
            "delete from ledger.entry where book_id = $ and number = 6",
            6,
            "missing",
        ),
        (
            "delete from ledger.entry where book_id = $ and number in (1, 2, 3)",
            1,
            "entries 1 to 3",
        ),
        (
            "delete from ledger.entry where book_id = $ and number > 12",
            13,
            "entries 13 to 14",
        ),
        (
            "delete from ledger.entry where book_id = $",
            1,
            "entries 1 to 14",
        ),
        (
            "update ledger.entry set number = 7 - number where book_id = $ and number in (3, \
            4)",
            3,
            "follow",
        ),
        (
            "update ledger.entry set number = 3 where book_id = $ and number = 4",
            3,
            "number",
        ),
        (
            "update ledger.entry set number = number - 1 where book_id = $",
            0,
            "begin at 1",
        ),
        (ONE_LEG_MORE, 4, "not balance"),
        (TWO_LEGS_MORE, 4, "fingerprint"),
        (A_COPY, 15, "does not follow"),
    ] {
        let deed = deed.replace('$', &acme.to_string());
        let report = broken(&mut conn, None, &[&deed]).await.unwrap();
        let first = report.first_failing();
        assert_eq!(first.len(), 1, "{deed}: {:#?}", report.findings);
        assert_eq!(first[0].number, Some(number), "{deed}: {first:#?}");
        assert!(first[0].problem.contains(says), "{deed}: {first:#?}");
    }
}

const ONE_LEG_MORE: &str = "
    update ledger.entry
    set accounts = accounts || 9223372036854775807, amounts = amounts || 1::bigint
    where book_id = $ and number = 4";

const TWO_LEGS_MORE: &str = "
    update ledger.entry
    set accounts = accounts || array[9223372036854775806, 9223372036854775807],
        amounts = amounts || array[-1, 1]::bigint[]
    where book_id = $ and number = 4";

const A_COPY: &str = "
    insert into ledger.entry
    select book_id, 15, recorded_at, effective_on, memo, id, currency, kind, recorded_by,
           description, accounts, amounts, causes, reverses, voucher_id, fingerprint, hash
    from ledger.entry where book_id = $ and number = 1";

/// With valid fingerprints and hashes, what an entry must not say is still found.
#[tokio::test]
async fn what_ledger_post_would_refuse_is_found_although_the_hashes_are_right() {
    let Store {
        mut conn, db: _db, ..
    } = store().await;
    let acme = book_id("acme").to_string();
    let id_of = |number| {
        format!("(select id from ledger.entry where book_id = {acme} and number = {number})")
    };
    for (number, set, says) in [
        (2, "currency = 'EUR'", "another currency"),
        (2, "currency = 'XYZ'", "is none"),
        (2, "memo = true", "memorandum"),
        (2, "accounts = array[1, 2]", "does not exist"),
        (2, "amounts = array[1, -2]", "debits less credits are -1"),
        (2, "amounts = array[0, 0]", "zero"),
        (2, "accounts = accounts[1:1], amounts = '{0}'", "1 legs"),
        (2, "accounts = array[accounts[2], accounts[1]]", "ascending"),
        (2, "kind = 'a' || chr(31)", "kind"),
        (2, "causes = 'a' || chr(31) || 'b'", "causes"),
        (2, "causes = chr(30)", "causes"),
        (
            2,
            "reverses = '00000000-0000-0000-0000-000000000001'",
            "not in this book",
        ),
        (2, &format!("reverses = {}", id_of(3)), "recorded after it"),
        (9, &format!("reverses = {}", id_of(1)), "does not mirror"),
        (
            10,
            &format!(
                "reverses = {}, amounts = array[-amounts[1], -amounts[2]]",
                id_of(2)
            ),
            "already",
        ),
        (3, &format!("id = {}", id_of(1)), "as entry 1"),
        // The payment 11 before the funding that it draws on.
        (
            8,
            "number = case number when 8 then 11 else 8 end",
            "below its floor",
        ),
    ] {
        let which = if number == 8 {
            "in (8, 11)".to_owned()
        } else {
            format!("= {number}")
        };
        let deed =
            format!("update ledger.entry set {set} where book_id = {acme} and number {which}");
        let report = broken(&mut conn, None, &[&deed, REHASH, FORGET])
            .await
            .unwrap();
        let first = report.first_failing();
        assert_eq!(first.len(), 1, "{deed}: {:#?}", report.findings);
        assert_eq!(first[0].number, Some(number), "{deed}: {first:#?}");
        assert!(first[0].problem.contains(says), "{deed}: {first:#?}");
    }
}

const A_WHOLE_BOOK: &str = "
    delete from ledger.entry where book_id = $;
    delete from ledger.account where book_id = $;
    delete from ledger.book where id = $";

#[tokio::test]
async fn a_ledger_rewritten_as_a_whole_is_found_against_a_checkpoint_kept_elsewhere() {
    let Store {
        mut conn,
        checkpoint,
        db: _db,
    } = store().await;
    let acme = book_id("acme");
    for (deed, says) in [
        (
            "update ledger.entry set description = 'nothing to see' where book_id = $ and number = \
            3",
            "rewritten",
        ),
        (
            "update ledger.entry set recorded_by = 'somebody else'",
            "rewritten",
        ),
        (
            "delete from ledger.entry where book_id = $ and number > 11",
            "is gone",
        ),
        // One less, yet as long as the checkpoint says.
        (
            "delete from ledger.entry where book_id = $ and number = 7",
            "rewritten",
        ),
        (A_WHOLE_BOOK, "is gone"),
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
        assert!(
            against.findings.iter().any(|f| found(&f)),
            "{deed}: {:#?}",
            against.findings
        );
    }
}

#[tokio::test]
async fn whatever_a_table_holds_is_a_finding_and_no_error() {
    let Store {
        mut conn, db: _db, ..
    } = store().await;
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
        "causes = null",
        "causes = repeat(chr(30), 9)",
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
