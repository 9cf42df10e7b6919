//! Every column of every table, changed in every way that its type allows.

use ledger::verify::Finding;
use sqlx::{PgConnection, Row};

use super::book_id;
use super::fixture::{Store, broken, store};

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

/// Two ways to change a value of a type, and one for what is null.
fn changes(column: &str, data_type: &str) -> Vec<String> {
    let written: &[&str] = match data_type {
        "bigint" | "integer" | "smallint" | "numeric" => &["$ + 1", "$ - 1"],
        "text" => &["$ || '~'", "'x' || $", "coalesce($, 'x')"],
        "bytea" => &[
            "set_byte($, 0, get_byte($, 0) # 1)",
            "set_byte($, 31, get_byte($, 31) # 128)",
            "'\\x00'",
        ],
        "boolean" => &["not $"],
        "date" => &["$ + 1", "coalesce($ - 1, '2026-01-01')"],
        "timestamp with time zone" => &["$ + interval '1 microsecond'", "$ - interval '1 day'"],
        "uuid" => &[
            "coalesce(overlay($::text placing 'f' from 36)::uuid, \
                '00000000-0000-0000-0000-000000000001')",
            "coalesce(overlay($::text placing 'e' from 1)::uuid, \
                '00000000-0000-0000-0000-000000000001')",
        ],
        "ARRAY" => &[
            "array_prepend($[1] + 1, $[2:])",
            "array_prepend($[1] - 1, $[2:])",
            "$ || 1::bigint",
        ],
        "jsonb" => &["$ || '{\"publisher\": 8}'"],
        other => panic!("how is a {other} changed?"),
    };
    written
        .iter()
        .map(|change| change.replace('$', column))
        .collect()
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
            let places = format!(
                "select ctid::text, to_jsonb(t) ->> 'number', {column} is distinct from \
                    ({change}) from ledger.{table} t {rows}"
            );
            let places = sqlx::query(sqlx::AssertSqlSafe(places))
                .fetch_all(&mut *conn)
                .await;
            for place in places.unwrap() {
                if !place.get::<bool, _>(2) {
                    continue;
                }
                let (ctid, number): (String, Option<String>) = (place.get(0), place.get(1));
                let deed =
                    format!("update ledger.{table} set {column} = {change} where ctid = '{ctid}'");
                let report = broken(conn, None, &[&deed]).await.unwrap();
                assert!(!report.holds(), "{deed}");
                let first = report
                    .first_failing()
                    .iter()
                    .filter_map(|f| f.number)
                    .collect();
                let number = number.map(|number| number.parse().unwrap());
                check(&deed, number, report.findings, first);
            }
        }
    }
}

#[tokio::test]
async fn a_change_in_any_column_of_an_entry_is_found_in_that_entry() {
    let Store {
        mut conn, db: _db, ..
    } = store().await;
    // A plain one, a memorandum, a reversal, the last.
    let rows = format!(
        "where book_id = {} and number in (2, 7, 9, 14) order by number",
        book_id("acme")
    );
    let mut changed = 0;
    each_change(
        &mut conn,
        "entry",
        &rows,
        |deed, number, findings, first| {
            changed += 1;
            // An entry moved to another book is missing here, whatever it is there.
            let acme: Vec<_> = findings
                .iter()
                .filter(|f| f.book.as_deref() == Some("acme"))
                .collect();
            // Two have the number then.
            let number = if deed.contains("= number - 1") {
                number.map(|n| n - 1)
            } else {
                number
            };
            assert_eq!(
                (acme[0].table, acme[0].number),
                ("ledger.entry", number),
                "{deed}: {acme:#?}"
            );
            assert!(
                first.len() == 1 || deed.contains("set book_id"),
                "{deed}: {findings:#?}"
            );
        },
    )
    .await;
    assert!(changed > 100, "{changed} changes");
}

#[tokio::test]
async fn a_change_in_any_column_of_a_book_or_account_is_found() {
    let Store {
        mut conn, db: _db, ..
    } = store().await;
    let names = |table: &'static str, findings: &[Finding]| {
        findings.iter().any(|finding| finding.table == table)
    };
    each_change(
        &mut conn,
        "book",
        "where name in ('acme', 'empty')",
        |deed, _, findings, _| {
            // A head that moved back looks like missing entries.
            assert!(
                names("ledger.book", &findings) || deed.contains("next_number"),
                "{findings:#?}"
            );
        },
    )
    .await;
    let rows = format!(
        "where book_id = {} and code in ('1100', '2010', '9100')",
        book_id("acme")
    );
    each_change(&mut conn, "account", &rows, |deed, _, findings, _| {
        assert!(names("ledger.account", &findings), "{deed}: {findings:#?}");
    })
    .await;
    each_change(
        &mut conn,
        "currency",
        "where code in ('USD', 'USDT')",
        |deed, _, findings, _| {
            assert!(names("ledger.currency", &findings), "{deed}: {findings:#?}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_change_in_any_column_of_a_derived_table_is_found_and_located() {
    let Store {
        mut conn, db: _db, ..
    } = store().await;
    let acme = book_id("acme");
    let rows = format!("where book_id = {acme} and number in (1, 8)");
    each_change(&mut conn, "line", &rows, |deed, number, findings, first| {
        let lines: Vec<_> = findings
            .iter()
            .filter(|f| f.table == "ledger.line")
            .collect();
        assert_eq!(
            (lines.len(), first.len()),
            (findings.len(), 0),
            "{deed}: {findings:#?}"
        );
        assert!(
            lines.iter().any(|finding| finding.number == number),
            "{deed}: {findings:#?}"
        );
    })
    .await;
    let rows = format!("where book_id = {acme} and day in ('2026-01-31', '2026-01-08')");
    each_change(
        &mut conn,
        "account_day",
        &rows,
        |deed, _, findings, first| {
            let days: Vec<_> = findings
                .iter()
                .filter(|f| f.table == "ledger.account_day")
                .collect();
            // The closed months still state what the entries give.
            assert_eq!(
                (days.len(), first.len()),
                (findings.len(), 0),
                "{deed}: {findings:#?}"
            );
            assert!(
                days.iter()
                    .all(|f| f.problem.contains("2026-01-") || f.problem.contains("2026-02-01")),
                "{days:#?}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_change_in_any_column_of_a_closed_month_or_checkpoint_is_found() {
    let Store {
        mut conn, db: _db, ..
    } = store().await;
    let acme = format!(
        "where book_id = {} and code in ('2000', '9100')",
        book_id("acme")
    );
    for (table, rows) in [
        ("period_close", ""),
        ("period_balance", acme.as_str()),
        ("checkpoint", ""),
        ("checkpoint_book", ""),
    ] {
        each_change(&mut conn, table, rows, |deed, _, findings, first| {
            let family = if table.starts_with("period") {
                "ledger.period"
            } else {
                "ledger.checkpoint"
            };
            // The book rows repeat the fence.
            let mine = |f: &Finding| f.table.starts_with(family) || f.table == "ledger.book";
            assert!(
                findings.iter().all(mine) && first.is_empty(),
                "{deed}: {findings:#?}"
            );
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
