//! Balances, statements and trial balances, and the views that say the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chrono::{DateTime, Days, NaiveDate, Utc};
use ledger::balance::{
    AccountBalance, AsOf, BalanceError, Filter, Grouping, StatementLine, TrialBalanceRow, accounts,
    statement, trial_balance,
};
use ledger::checkpoint::{SigningKey, take};
use ledger::{Account, AccountId, AccountKind, BookId, Currency, Money, account};
use migrations::testing::database;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::support::{Chart, at, by, day, key, money, open, open_one, post_new, run};

fn id(account: &Account) -> (BookId, AccountId) {
    (account.book(), account.id())
}

/// Debits and credits of one account.
async fn sums(conn: &mut PgConnection, account: &Account, as_of: AsOf) -> (i64, i64) {
    let filter = Filter {
        books: Some(vec![account.book()]),
        code: Some(account.code().to_owned()),
        ..Filter::default()
    };
    let found = accounts(conn, &filter, as_of).await.expect("balances");
    let one = found
        .iter()
        .find(|found| found.id == id(account))
        .expect("the account");
    (one.sums.debits.minor(), one.sums.credits.minor())
}

async fn checkpoint(conn: &mut PgConnection, now: DateTime<Utc>) -> Uuid {
    let key = SigningKey::from_bytes(&[7; 32]);
    take(conn, now, &by(), "test", &key)
        .await
        .expect("a checkpoint")
        .id
}

fn known(checkpoint: Uuid, effective: Option<NaiveDate>) -> AsOf {
    AsOf {
        effective,
        checkpoint: Some(checkpoint),
    }
}

#[tokio::test]
async fn a_balance_counts_what_is_effective_by_the_day() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let days = ["2026-01-31", "2026-02-01", "2026-02-01", "2026-03-31"].map(day);
    let mut entries: Vec<_> = days
        .iter()
        .zip([1, 20, 300, 4000])
        .map(|(day, minor)| chart.sale(minor, *day, minor))
        .collect();
    entries.push(chart.draw("back", day("2026-02-15"), 5).reversal(
        &key("in"),
        day("2026-02-15"),
        "",
    ));
    let last = entries.pop().expect("just pushed");
    assert_eq!(last.legs().len(), 2);
    post_new(&mut conn, &entries).await;
    for (as_of, debits) in [
        ("2026-01-30", 0),
        ("2026-01-31", 1),
        ("2026-02-01", 321),
        ("2026-03-30", 321),
        ("2026-03-31", 4321),
        ("9999-12-31", 4321),
    ] {
        let found = sums(&mut conn, &chart.cash, AsOf::day(day(as_of))).await;
        assert_eq!(found, (debits, 0), "{as_of}");
    }
    assert_eq!(
        sums(&mut conn, &chart.payable, AsOf::default()).await,
        (0, 4321)
    );
    assert_eq!(
        sums(&mut conn, &chart.fees, AsOf::default()).await,
        (0, 0),
        "no line, no money"
    );
    let all = accounts(&mut conn, &Filter::default(), AsOf::default())
        .await
        .unwrap();
    let codes: Vec<&str> = all.iter().map(|a| a.code.as_str()).collect();
    assert_eq!(codes, ["1000", "2000", "2010", "4000", "9100", "9200"]);
    let payable = &all[1];
    assert_eq!(payable.sums.balance(payable.kind), Ok(money(4321)));
    assert_eq!(payable.sums.balance(AccountKind::Asset), Ok(money(-4321)));
    assert_eq!((payable.memo, all[4].memo), (false, true));
}

#[tokio::test]
async fn accounts_are_found_by_book_code_and_dimensions() {
    let db = database().await;
    let mut conn = db.service().await;
    let charts = open(&mut conn, &["acme", "zoe"]).await;
    let p2 = charts[0].payable.clone().of("publisher", "p2");
    let deal = p2.clone().of("deal", "d1");
    account::open(&mut conn, at(0), &by(), &[p2.clone(), deal.clone()])
        .await
        .unwrap();
    let found = async |conn: &mut PgConnection, filter: Filter| -> Vec<(BookId, AccountId)> {
        let found = accounts(conn, &filter, AsOf::default()).await.unwrap();
        found.iter().map(|a: &AccountBalance| a.id).collect()
    };
    let code = Some("2000".to_owned());
    let all = found(
        &mut conn,
        Filter {
            code: code.clone(),
            ..Filter::default()
        },
    )
    .await;
    assert_eq!(all.len(), 4);
    let zoe = Filter {
        books: Some(vec![charts[1].book]),
        code,
        ..Filter::default()
    };
    assert_eq!(found(&mut conn, zoe).await, [id(&charts[1].payable)]);
    let of_p2 = Filter {
        dimensions: Some(serde_json::json!({"publisher": "p2"})),
        ..Filter::default()
    };
    let mut of_p2 = found(&mut conn, of_p2).await;
    of_p2.sort();
    let mut both = [id(&p2), id(&deal)];
    both.sort();
    assert_eq!(of_p2, both);
    let none = Filter {
        books: Some(Vec::new()),
        ..Filter::default()
    };
    assert_eq!(found(&mut conn, none).await, []);
}

#[tokio::test]
async fn what_was_known_at_a_checkpoint_stays_known() {
    let db = database().await;
    let mut conn = db.service().await;
    let charts = open(&mut conn, &["acme", "zoe"]).await;
    let (acme, zoe) = (&charts[0], &charts[1]);
    let nothing = checkpoint(&mut conn, at(1)).await;
    let jan = day("2026-01-10");
    post_new(
        &mut conn,
        &[acme.sale(1, jan, 100), acme.sale(2, day("2026-02-10"), 50)],
    )
    .await;
    let first = checkpoint(&mut conn, at(2)).await;
    // Entered late, effective early; and a book that the checkpoint does not know.
    post_new(&mut conn, &[acme.sale(3, jan, 7), zoe.sale(4, jan, 9)]).await;
    let late = open_one(&mut conn, "late").await;
    post_new(&mut conn, &[late.sale(5, jan, 11)]).await;
    let second = checkpoint(&mut conn, at(3)).await;
    post_new(&mut conn, &[acme.sale(6, jan, 1000)]).await;
    let end = Some(day("2026-01-31"));
    for (as_of, in_acme, in_zoe, in_late) in [
        (known(nothing, None), 0, 0, 0),
        (known(first, None), 150, 0, 0),
        (known(first, end), 100, 0, 0),
        (known(second, None), 157, 9, 11),
        (known(second, end), 107, 9, 11),
        (
            AsOf {
                effective: end,
                checkpoint: None,
            },
            1107,
            9,
            11,
        ),
        (AsOf::default(), 1157, 9, 11),
    ] {
        for (chart, debits) in [(acme, in_acme), (zoe, in_zoe), (&late, in_late)] {
            assert_eq!(
                sums(&mut conn, &chart.cash, as_of).await,
                (debits, 0),
                "{as_of:?}"
            );
            assert_eq!(
                sums(&mut conn, &chart.payable, as_of).await,
                (0, debits),
                "{as_of:?}"
            );
        }
        let rows = trial_balance(&mut conn, None, Grouping::Consolidated, as_of)
            .await
            .unwrap();
        let total = in_acme + in_zoe + in_late;
        let found: Vec<i64> = rows.iter().map(|row| row.sums.debits.minor()).collect();
        assert_eq!(
            found,
            if total == 0 { vec![] } else { vec![total, 0] },
            "{as_of:?}"
        );
    }
}

#[tokio::test]
async fn a_checkpoint_that_does_not_exist_is_an_error_and_not_nothing() {
    let db = database().await;
    let mut conn = db.service().await;
    let stranger = known(Uuid::from_u128(1), None);
    let error = accounts(&mut conn, &Filter::default(), stranger)
        .await
        .unwrap_err();
    assert!(
        matches!(error, BalanceError::UnknownCheckpoint(_)),
        "{error}"
    );
    let error = trial_balance(&mut conn, None, Grouping::PerBook, stranger)
        .await
        .unwrap_err();
    assert!(
        matches!(error, BalanceError::UnknownCheckpoint(_)),
        "{error}"
    );
}

/// An account with several lines on some of its days, and its statement computed here.
async fn busy(conn: &mut PgConnection) -> (Chart, Vec<(NaiveDate, i64, i64, i64)>) {
    let chart = open_one(conn, "acme").await;
    let mut lines = Vec::new();
    let mut entries = Vec::new();
    for i in 0..60_i64 {
        // Days go back and forth, so numbers are not in the order of days.
        let on = day("2026-01-01") + Days::new(u64::try_from(i * 7 % 10).unwrap());
        let minor = i + 1;
        let (accounts, signed) = if i % 3 == 0 {
            ((&chart.payable, &chart.cash), -minor)
        } else {
            ((&chart.cash, &chart.fees), minor)
        };
        entries.push(chart.entry(i, on, accounts, minor));
        lines.push((on, i + 1, signed, 0));
    }
    post_new(conn, &entries).await;
    lines.sort_unstable();
    let mut running = 0;
    for line in &mut lines {
        running += line.2;
        line.3 = running;
    }
    (chart, lines)
}

fn plain(lines: &[StatementLine]) -> Vec<(NaiveDate, i64, i64, i64)> {
    lines
        .iter()
        .map(|l| (l.effective, l.number, l.amount.minor(), l.running.minor()))
        .collect()
}

#[tokio::test]
async fn a_statement_runs_in_order_of_days_and_numbers() {
    let db = database().await;
    let mut conn = db.service().await;
    let (chart, lines) = busy(&mut conn).await;
    let cash = id(&chart.cash);
    let all = statement(&mut conn, cash, None, None, None, 1000)
        .await
        .unwrap();
    assert_eq!(plain(&all), lines);
    assert_eq!(all[0].kind, "test.fact");
    assert!(all[0].description.starts_with("entry "));
    let last = all.last().unwrap().running;
    let (debits, credits) = sums(&mut conn, &chart.cash, AsOf::default()).await;
    assert_eq!(last, money(debits - credits));
    let (from, to) = (day("2026-01-04"), day("2026-01-06"));
    for (from, to) in [
        (Some(from), None),
        (None, Some(to)),
        (Some(from), Some(to)),
        (Some(to), Some(from)),
    ] {
        let part = statement(&mut conn, cash, from, to, None, 1000)
            .await
            .unwrap();
        let inside = |line: &&(NaiveDate, i64, i64, i64)| {
            from.is_none_or(|from| line.0 >= from) && to.is_none_or(|to| line.0 <= to)
        };
        assert_eq!(
            plain(&part),
            lines.iter().filter(inside).copied().collect::<Vec<_>>()
        );
    }
    let other = statement(&mut conn, id(&chart.promised), None, None, None, 10)
        .await
        .unwrap();
    assert_eq!(other, []);
}

#[tokio::test]
async fn the_pages_of_a_statement_are_the_statement() {
    let db = database().await;
    let mut conn = db.service().await;
    let (chart, lines) = busy(&mut conn).await;
    for (from, size) in [
        (None, 1),
        (None, 7),
        (Some(day("2026-01-03")), 4),
        (None, 1000),
    ] {
        let (mut after, mut pages) = (None, Vec::new());
        loop {
            let page = statement(&mut conn, id(&chart.cash), from, None, after, size)
                .await
                .unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() <= usize::try_from(size).unwrap());
            after = Some(last.place());
            pages.extend(plain(&page));
        }
        let wanted = lines
            .iter()
            .filter(|line| from.is_none_or(|from| line.0 >= from));
        assert_eq!(
            pages,
            wanted.copied().collect::<Vec<_>>(),
            "{from:?} {size}"
        );
    }
}

/// Two books, three currencies, a memorandum, something that cancels out.
async fn mixed(conn: &mut PgConnection) -> Vec<Chart> {
    let charts = open(conn, &["acme", "zoe"]).await;
    let mut entries = Vec::new();
    for (i, chart) in charts.iter().enumerate() {
        let minor = 100 + 11 * i64::try_from(i).unwrap();
        entries.push(chart.sale(format!("s{i}"), day("2026-01-05"), minor));
        entries.push(chart.entry(
            format!("f{i}"),
            day("2026-02-05"),
            (&chart.payable, &chart.fees),
            30,
        ));
        let memo = (&chart.expected, &chart.promised);
        entries.push(chart.entry(format!("m{i}"), day("2026-01-05"), memo, 999));
        for (currency, minor) in [
            (Currency::JPY, 1234),
            (Currency::USDT, 4_000_000_000_000_000_000),
        ] {
            let cash = Account::new(chart.book, "1000", AccountKind::Asset, currency);
            let fees = Account::new(chart.book, "4000", AccountKind::Revenue, currency);
            account::open(conn, at(0), &by(), &[cash.clone(), fees.clone()])
                .await
                .unwrap();
            if i == 0 {
                let amount = Money::try_from_minor(minor, currency).unwrap();
                let amount = ledger::Amount::new(amount).unwrap();
                let key = key(format!("{i}{currency}"));
                let draft = ledger::JournalEntry::draft(chart.book, &key, day("2026-01-06"), "");
                let draft = draft
                    .line(cash.debit(amount).unwrap())
                    .line(fees.credit(amount).unwrap());
                entries.push(draft.balance().unwrap());
            }
        }
    }
    post_new(conn, &entries).await;
    charts
}

fn row(row: &TrialBalanceRow) -> String {
    let TrialBalanceRow {
        book,
        code,
        kind,
        sums,
    } = row;
    let book = book.clone().unwrap_or_default();
    format!(
        "{book} {code} {} {} {}",
        kind.as_str(),
        sums.debits,
        sums.credits
    )
}

#[tokio::test]
async fn a_trial_balance_is_drawn_up_per_book_or_over_all() {
    let db = database().await;
    let mut conn = db.service().await;
    let charts = mixed(&mut conn).await;
    let consolidated =
        trial_balance(&mut conn, None, Grouping::Consolidated, AsOf::default()).await;
    let consolidated: Vec<String> = consolidated.unwrap().iter().map(row).collect();
    assert_eq!(
        consolidated,
        [
            " 1000 asset 1234 JPY 0 JPY",
            " 4000 revenue 0 JPY 1234 JPY",
            " 1000 asset 2.11 USD 0.00 USD",
            " 2000 liability 0.60 USD 2.11 USD",
            " 4000 revenue 0.00 USD 0.60 USD",
            " 1000 asset 4000000000000.000000 USDT 0.000000 USDT",
            " 4000 revenue 0.000000 USDT 4000000000000.000000 USDT",
        ]
    );
    let per_book = trial_balance(&mut conn, None, Grouping::PerBook, AsOf::default())
        .await
        .unwrap();
    assert_eq!(per_book.len(), 10);
    let zoe = [charts[1].book];
    let january = AsOf::day(day("2026-01-31"));
    let zoe = trial_balance(&mut conn, Some(&zoe), Grouping::PerBook, january)
        .await
        .unwrap();
    let zoe: Vec<String> = zoe.iter().map(row).collect();
    assert_eq!(
        zoe,
        [
            "zoe 1000 asset 1.11 USD 0.00 USD",
            "zoe 2000 liability 0.00 USD 1.11 USD"
        ]
    );
    let none = trial_balance(&mut conn, Some(&[]), Grouping::PerBook, AsOf::default()).await;
    assert_eq!(none.unwrap(), []);
}

#[tokio::test]
async fn the_views_say_what_the_functions_say() {
    let db = database().await;
    let mut conn = db.auditor().await;
    mixed(&mut db.service().await).await;
    let all = accounts(&mut conn, &Filter::default(), AsOf::default())
        .await
        .unwrap();
    let wanted: Vec<(i64, Decimal, Decimal, Decimal)> = all
        .iter()
        .map(|a| {
            let balance = a.sums.balance(a.kind).unwrap();
            let sums = (a.sums.debits.amount(), a.sums.credits.amount());
            (a.id.1.value(), sums.0, sums.1, balance.amount())
        })
        .collect();
    let mut found: Vec<(i64, Decimal, Decimal, Decimal)> =
        sqlx::query_as("select account_id, debits, credits, balance from ledger.balance")
            .fetch_all(&mut conn)
            .await
            .unwrap();
    let mut sorted = wanted.clone();
    sorted.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, sorted);

    let rows = trial_balance(&mut conn, None, Grouping::Consolidated, AsOf::default())
        .await
        .unwrap();
    let wanted: Vec<(String, String, Decimal, Decimal, Decimal, Decimal)> = rows
        .iter()
        .map(|r| {
            let (debits, credits) = (r.sums.debits.amount(), r.sums.credits.amount());
            let net = debits - credits;
            let (left, right) = (net.max(Decimal::ZERO), (-net).max(Decimal::ZERO));
            (
                r.code.clone(),
                r.sums.debits.currency().code().to_owned(),
                debits,
                credits,
                left,
                right,
            )
        })
        .collect();
    let found: Vec<(String, String, Decimal, Decimal, Decimal, Decimal)> = sqlx::query_as(
        "select code, currency, debits, credits, debit_balance, credit_balance
         from ledger.trial_balance order by currency, code",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn the_journal_view_has_each_leg_once_and_adds_up_to_the_balances() {
    let db = database().await;
    let mut conn = db.auditor().await;
    mixed(&mut db.service().await).await;
    let legs: Vec<(String, Option<String>, Option<String>, bool)> = sqlx::query_as(
        "select code, debit::text, credit::text, memo from ledger.journal
         where book = 'acme' and number in (3, 5) order by number, code",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        legs,
        [
            ("9100".to_owned(), text("9.99"), None, true),
            ("9200".to_owned(), None, text("9.99"), true),
            ("1000".to_owned(), text("4000000000000.000000"), None, false),
            ("4000".to_owned(), None, text("4000000000000.000000"), false),
        ]
    );
    let differing: i64 = sqlx::query_scalar(
        "select count(*) from (
             select account_id, coalesce(sum(debit), 0) d, coalesce(sum(credit), 0) c
             from ledger.journal group by 1) j
         full join (select * from ledger.balance where debits <> 0 or credits <> 0) b
              using (account_id)
         where j.d is distinct from b.debits or j.c is distinct from b.credits",
    )
    .fetch_one(&mut conn)
    .await
    .unwrap();
    assert_eq!(differing, 0);
}

#[tokio::test]
async fn a_balance_and_a_page_read_days_and_not_lines() {
    let db = database().await;
    let mut conn = db.connection().await;
    let chart = open_one(&mut conn, "acme").await;
    // Many lines on few days, as posting would leave them, written by hand to be quick.
    let (book, account) = (chart.book.value(), chart.cash.id().value());
    run(
        &mut conn,
        &format!(
            "insert into ledger.line (book_id, account_id, number, amount, effective_on)
             select {book}, {account}, n, 1, date '2020-01-01' + (n / 200)::int
             from generate_series(1, 100000) n;
             insert into ledger.account_day (book_id, account_id, debits, credits, day, lines)
             select {book}, {account}, count(*), 0, effective_on, count(*)
             from ledger.line group by effective_on;"
        ),
    )
    .await
    .unwrap();
    run(&mut conn, "vacuum analyze ledger.line, ledger.account_day")
        .await
        .unwrap();
    let read = async |conn: &mut PgConnection| -> i64 {
        run(conn, "select pg_stat_force_next_flush()")
            .await
            .unwrap();
        sqlx::query_scalar(
            "select coalesce(idx_tup_read, 0) + coalesce(idx_tup_fetch, 0)
             from pg_stat_all_indexes where indexrelname = 'line_by_account'",
        )
        .fetch_one(conn)
        .await
        .unwrap()
    };
    let before = read(&mut conn).await;
    assert_eq!(
        sums(&mut conn, &chart.cash, AsOf::default()).await,
        (100_000, 0)
    );
    let place = Some((day("2021-01-01"), 73_250));
    let page = statement(&mut conn, id(&chart.cash), None, None, place, 50)
        .await
        .unwrap();
    // No entries stand behind these lines, so the page is empty; its lines were read all the same.
    assert_eq!(page, []);
    let after = read(&mut conn).await;
    assert!(
        after - before < 1_000,
        "{} index entries were read",
        after - before
    );
}
