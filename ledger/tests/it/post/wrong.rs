//! What cannot be posted or stored, and how that is said.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chrono::NaiveDate;
use ledger::testing::snapshots;
use ledger::{
    Account, AccountKind, Amount, BookId, Currency, EntryId, JournalEntry, Money, Posted, Refusal,
    period,
};
use migrations::testing::database;
use uuid::Uuid;

use crate::support::{
    Chart, assert_sound, at, by, count, day, key, new, numbers, open_one, post, post_new, post_one,
    refused, run,
};

/// One of each refusal, in the order of the enumeration.
async fn refusals(conn: &mut sqlx::PgConnection, chart: &Chart) -> Vec<JournalEntry> {
    let (old, on) = (day("2026-01-31"), day("2026-02-01"));
    let base = [chart.sale("base", on, 500), chart.fund("fund", on, 20)];
    let reversed = base[0].reversal(&key("reversal"), on, "wrong");
    post_new(conn, &base).await;
    post_new(conn, &[reversed]).await;
    period::close(conn, at(50), &by(), "2026-01".parse().unwrap())
        .await
        .unwrap();
    let stranger = Chart::of("never opened");
    let unopened = chart.payable.clone().of("publisher", "nobody");
    let euro = Account::new(chart.book, "1000", AccountKind::Asset, Currency::EUR);
    // An account that pretends to hold dollars cannot be made, so an entry in another currency is
    // told apart by its accounts' ids: those of the euro accounts, which are not open.
    let eur = Amount::new(Money::try_from_minor(5, Currency::EUR).unwrap()).unwrap();
    let in_euro = JournalEntry::draft(chart.book, &key("euro"), on, "")
        .line(euro.debit(eur).unwrap())
        .line(euro.clone().of("p", 1).credit(eur).unwrap())
        .balance()
        .unwrap();
    let never = chart.sale("never posted", on, 5);
    vec![
        chart.sale("late", old, 5),
        stranger.sale("stranger", on, 5),
        chart.entry("unopened", on, (&chart.cash, &unopened), 5),
        in_euro,
        chart.draw("draw", on, 21),
        never.reversal(&key("reverse nothing"), on, ""),
        base[0].reversal(&key("twice"), on, ""),
    ]
}

#[tokio::test]
async fn each_refusal_says_what_is_wrong_and_the_way_out() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let wrong = refusals(&mut conn, &chart).await;
    let alone: Vec<Refusal> = {
        let mut alone = Vec::new();
        for entry in &wrong {
            alone.push(refused(post_one(&mut conn, entry).await));
        }
        alone
    };
    let mut told: Vec<String> = alone.iter().map(Refusal::to_string).collect();
    let id = wrong[0].id();
    told.push(Refusal::WrongAccount(Currency::USD).to_string());
    told.push(Refusal::NotAMirror(id).to_string());
    let _to = snapshots("ledger");
    insta::assert_snapshot!("refusals", told.join("\n"));
    // The same in one batch, among entries that are fine.
    let on = day("2026-02-02");
    let mut batch = Vec::new();
    for (i, entry) in wrong.iter().enumerate() {
        batch.push(chart.sale(format!("fine {i}"), on, 10));
        batch.push(entry.clone());
    }
    let mut answers = post(&mut conn, &batch).await.into_iter();
    for (i, refusal) in alone.into_iter().enumerate() {
        let number = i64::try_from(i).unwrap() + 4;
        assert_eq!(
            new(answers.next().unwrap()).number,
            number,
            "no number is lost"
        );
        assert_eq!(refused(answers.next().unwrap()), refusal);
    }
    assert_sound(&mut db.connection().await).await;
}

#[tokio::test]
async fn a_batch_without_floors_or_reversals_refuses_as_exactly() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let on = day("2026-02-02");
    let unopened = chart.payable.clone().of("publisher", "nobody");
    let batch = [
        chart.sale(1, on, 10),
        Chart::of("stranger").sale(2, on, 10),
        chart.sale(3, on, 10),
        chart.entry(4, on, (&chart.cash, &unopened), 10),
        chart.sale(5, on, 10),
    ];
    let answers = post(&mut conn, &batch).await;
    let numbers: Vec<Option<i64>> = answers
        .iter()
        .map(|a| a.clone().receipt().ok().map(|r| r.number))
        .collect();
    assert_eq!(numbers, [Some(1), None, Some(2), None, Some(3)]);
    assert_eq!(
        answers[1],
        Posted::Refused(Refusal::UnknownBook(BookId::of_name("stranger")))
    );
    assert_eq!(
        answers[3],
        Posted::Refused(Refusal::UnknownAccount(chart.book))
    );
    assert_eq!(post(&mut conn, &[]).await, []);
    assert_sound(&mut db.connection().await).await;
}

/// One call of `ledger.post` by hand, as no Rust can make it. Legs are written `1000 5, 2000 -5`.
async fn by_hand(
    conn: &mut sqlx::PgConnection,
    chart: &Chart,
    id: u128,
    (currency, memo): (&str, bool),
    reverses: Option<EntryId>,
    legs: &str,
) -> String {
    let accounts = chart.accounts();
    let leg = |text: &str| {
        let (code, minor) = text.split_once(' ').expect("a code and a sum");
        let account = accounts.iter().find(|account| account.code() == code);
        (
            account.expect("in the chart").id().value(),
            minor.parse().expect("a sum"),
        )
    };
    let texts = legs.split(", ").filter(|text| !text.is_empty());
    let mut legs: Vec<(i64, i64)> = texts.map(leg).collect();
    legs.sort_unstable();
    sqlx::query_scalar(
        "select outcome from ledger.post(now(), 'hand', array[$1], array[$2], array['k'],
             array[$3], array[$4], array['2026-02-02'::date], array['by hand'], array[''],
             array[$5], array[null::uuid], array[cardinality($6)], $6, $7)",
    )
    .bind(chart.book.value())
    .bind(Uuid::from_u128(id))
    .bind(memo)
    .bind(currency)
    .bind(reverses.map(EntryId::value))
    .bind(legs.iter().map(|leg| leg.0).collect::<Vec<_>>())
    .bind(legs.iter().map(|leg| leg.1).collect::<Vec<_>>())
    .fetch_one(conn)
    .await
    .unwrap_or_else(|error| error.to_string())
}

#[tokio::test]
async fn what_rust_cannot_build_is_refused_by_the_door() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let sale = chart.sale("sale", day("2026-02-02"), 500);
    post_new(&mut conn, std::slice::from_ref(&sale)).await;
    let (usd, memo) = (("USD", false), ("USD", true));
    for (id, what, legs, answer) in [
        (1, usd, "1000 5, 2000 -5", "posted"),
        (
            2,
            ("EUR", false),
            "1000 5, 2000 -5",
            "refused:wrong_account",
        ),
        (3, memo, "1000 5, 2000 -5", "refused:wrong_account"),
        (4, usd, "1000 5, 9200 -5", "refused:wrong_account"),
        (5, usd, "9100 5, 9200 -5", "refused:wrong_account"),
        (6, memo, "9100 5, 9200 -5", "posted"),
        (7, usd, "1000 5, 1000 -5", "refused:unknown_account"),
    ] {
        let answered = by_hand(&mut conn, &chart, id, what, None, legs).await;
        assert_eq!(answered, answer, "{id}");
    }
    for (id, legs, answer) in [
        (8, "1000 500, 2000 -500", "refused:not_a_mirror"),
        (9, "1000 -499, 2000 499", "refused:not_a_mirror"),
        (10, "1000 -500, 4000 500", "refused:not_a_mirror"),
        (11, "1000 -500, 4000 1, 2000 499", "refused:not_a_mirror"),
        (12, "1000 -500, 2000 500", "posted"),
    ] {
        let answered = by_hand(&mut conn, &chart, id, usd, Some(sale.id()), legs).await;
        assert_eq!(answered, answer, "{id}");
    }
    for (id, legs) in [
        (20, "1000 5, 2000 -4"),
        (21, "1000 5"),
        (22, ""),
        (23, "1000 0, 2000 0"),
        (24, "1000 5, 2000 -5, 4000 0"),
        (25, "1000 5000000000000000000, 2000 -5000000000000000000"),
    ] {
        let answered = by_hand(&mut conn, &chart, id, usd, None, legs).await;
        assert!(answered.contains("entry_balances"), "{id}: {answered}");
    }
    assert_eq!(numbers(&mut conn, chart.book).await, [1, 2, 3, 4]);
    assert_sound(&mut db.connection().await).await;
}

/// Raw rows for `ledger.entry`, as somebody with every right would write them.
async fn store(
    conn: &mut sqlx::PgConnection,
    accounts: &str,
    amounts: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into ledger.entry (book_id, number, id, kind, memo, currency, effective_on,
             recorded_at, recorded_by, description, accounts, amounts, causes, fingerprint, hash)
         select 1, 1, gen_random_uuid(), 'k', false, 'USD', '2026-01-01', now(), 'me', '',
                $1::text::bigint[], $2::text::bigint[], '', '', ''",
    )
    .bind(accounts)
    .bind(amounts)
    .execute(conn)
    .await
    .map(|_| ())
}

#[tokio::test]
async fn an_unbalanced_entry_cannot_be_stored_by_anybody() {
    let db = database().await;
    let mut conn = db.connection().await;
    let wrong = [
        ("{1,2}", "{5,-4}"),
        ("{1,2}", "{5,5}"),
        ("{}", "{}"),
        ("{1}", "{5}"),
        ("{1}", "{0}"),
        ("{1,2}", "{0,0}"),
        ("{1,2,3}", "{5,-5,0}"),
        ("{1,2,3}", "{5,-5}"),
        ("{1,2}", "{5,-5,0}"),
        ("{1,2,3}", "{5,-5,null}"),
        ("{1,null}", "{5,-5}"),
        ("{1,2}", "{null,null}"),
        ("{{1,2}}", "{{5,-5}}"),
        ("{{1},{2}}", "{{5},{-5}}"),
        ("{1,2}", "{{5,-5}}"),
        ("{2,1}", "{5,-5}"),
        ("{1,1}", "{5,-5}"),
        ("{1,2,2}", "{5,-2,-3}"),
        ("[0:1]={1,2}", "[0:1]={5,-5}"),
        ("[2:3]={1,2}", "[2:3]={5,-5}"),
        ("{1,2}", "{9223372036854775807,-9223372036854775807}"),
        ("{1,2}", "{-9223372036854775808,-9223372036854775808}"),
        (
            "{1,2,3}",
            "{4000000000000000000,4000000000000000000,-8000000000000000000}",
        ),
        (
            "{1,2,3,4}",
            "{4000000000000000000,4000000000000000000,-4000000000000000000,-4000000000000000000}",
        ),
    ];
    for role in ["counterfoil_owner", "none"] {
        run(&mut conn, &format!("set role {role}")).await.unwrap();
        for (accounts, amounts) in wrong {
            let error = store(&mut conn, accounts, amounts)
                .await
                .expect_err(amounts);
            let named =
                error.as_database_error().and_then(|e| e.constraint()) == Some("entry_balances");
            let overflow = error.to_string().contains("bigint out of range");
            assert!(named || overflow, "{accounts} {amounts}: {error}");
        }
        assert_eq!(
            count(&mut conn, "select count(*) from ledger.entry").await,
            0
        );
    }
    store(
        &mut conn,
        "{1,2,3}",
        "{4000000000000000000,-1,-3999999999999999999}",
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn a_sum_beyond_the_range_of_a_day_stops_the_batch_and_writes_nothing() {
    let db = database().await;
    let mut conn = db.service().await;
    let chart = open_one(&mut conn, "acme").await;
    let most = 4_000_000_000_000_000_000;
    let on: NaiveDate = day("2026-01-05");
    post_new(
        &mut conn,
        &[chart.sale(1, on, most), chart.sale(2, on, most)],
    )
    .await;
    let third = [chart.sale(3, on, most)];
    let error = ledger::journal::post(&mut conn, at(1), &by(), &third)
        .await
        .unwrap_err();
    assert!(
        format!("{error:?}").contains("bigint out of range"),
        "{error:?}"
    );
    assert_eq!(numbers(&mut conn, chart.book).await, [1, 2]);
    assert_eq!(
        new(post_one(&mut conn, &chart.sale(4, on, 1)).await).number,
        3
    );
    assert_sound(&mut db.connection().await).await;
}
