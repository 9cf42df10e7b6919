//! What the database itself refuses, and the edges of the attribution window.

use chrono::Duration;
use settlement::conversion::{ConversionRef, Recorded, State};
use settlement::terms::Terms;
use settlement::trail;
use uuid::Uuid;

use crate::fixture::*;

#[tokio::test]
async fn raw_rows_refuse_to_be_changed_or_removed_even_by_the_owner() {
    let (db, mut conn, program) = program(terms()).await;
    clicks(&mut conn, &[click(program, 7, "v", at("2010-12-01 08:00"))]).await;
    let it = recorded(
        &mut conn,
        order(program, "A1", "2010-12-01 08:26", "99.00 USD"),
    )
    .await;
    let approve = settlement::conversion::Action::Approve;
    let _ = decided(&mut conn, "2010-12-02 00:00", approve, &[it]).await;
    let mut owner = db.connection().await;
    for table in [
        "click",
        "click_request",
        "program_tracking",
        "event",
        "program_terms",
        "attribution",
        "commission",
        "change",
    ] {
        for statement in [
            format!("update settlement.{table} set book_id = book_id"),
            format!("delete from settlement.{table}"),
            format!("truncate settlement.{table}"),
        ] {
            let answer = sqlx::query(sqlx::AssertSqlSafe(statement.clone()));
            let refused = answer.execute(&mut owner).await.unwrap_err().to_string();
            assert!(refused.contains("is append-only"), "{statement}: {refused}");
        }
    }
}

#[tokio::test]
async fn the_service_cannot_write_the_ledger_but_through_its_door() {
    let (_db, mut conn, program) = program(terms()).await;
    recorded(
        &mut conn,
        order(program, "A1", "2010-12-01 08:26", "99.00 USD"),
    )
    .await;
    for statement in [
        "insert into ledger.line select * from ledger.line",
        "insert into ledger.entry select * from ledger.entry",
        "insert into ledger.account_day select * from ledger.account_day",
        "update ledger.book set head = head",
        "update ledger.account_day set debits = debits",
        "delete from ledger.account",
        "truncate ledger.entry",
        "delete from settlement.conversion",
        "update settlement.event set amount = amount",
    ] {
        let refused = sqlx::query(statement)
            .execute(&mut conn)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("permission denied"),
            "{statement}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_conversion_without_a_publisher_cannot_owe_one() {
    let (db, mut conn, program) = program(terms()).await;
    recorded(
        &mut conn,
        order(program, "A1", "2010-12-01 08:26", "99.00 USD"),
    )
    .await;
    let mut owner = db.connection().await;
    let orphaned = sqlx::query("update settlement.conversion set publisher_id = null");
    let refused = orphaned.execute(&mut owner).await.unwrap_err().to_string();
    assert!(
        refused.contains("conversion_unattributed_owes_nobody"),
        "{refused}"
    );
}

/// The clocks of New York went forward within these 30 days.
#[tokio::test]
async fn a_click_counts_from_exactly_the_lookback_on_in_any_time_zone() {
    let (_db, mut conn, program) = program(Terms {
        lookback_days: 30,
        ..terms()
    })
    .await;
    sqlx::query("set time zone 'America/New_York'")
        .execute(&mut conn)
        .await
        .unwrap();
    let ordered = at("2011-03-20 12:00");
    let edge = ordered - Duration::hours(30 * 24);
    let tick = Duration::microseconds(1);
    let moments = [edge, edge - tick, ordered, ordered + tick];
    for (n, clicked) in (1_u128..).zip(moments) {
        clicks(&mut conn, &[click(program, n, &format!("v{n}"), clicked)]).await;
    }
    for (n, earned) in (1_u128..).zip([true, false, true, false]) {
        for (model, visitor, named) in [
            ("last_click", Some(format!("v{n}")), None),
            ("named_click", None, Some(Uuid::from_u128(n))),
        ] {
            let reference = format!("{model} {n}");
            let mut it = order(program, &reference, "2011-03-20 12:00", "99.00 USD");
            (it.visitor, it.click, it.publisher) = (visitor, named, None);
            let answers = orders(&mut conn, "2011-03-20 13:00", &[it]).await;
            let state = if earned {
                State::Pending
            } else {
                State::Unattributed
            };
            let conversion = ConversionRef::of_order(program, &reference);
            assert_eq!(answers, [Recorded::New(conversion, state)], "{reference}");
            let story = trail::trail(&mut conn, conversion.book, conversion.id)
                .await
                .unwrap();
            assert_eq!(story.unwrap().model, if earned { model } else { "none" });
        }
    }
}

#[tokio::test]
async fn the_last_click_of_an_enrolled_publisher_earns_it() {
    let (_db, mut conn, program) = program(terms()).await;
    let stranger = Uuid::from_u128(0x99);
    let mut later = click(program, 3, "v", at("2010-12-01 08:20"));
    later.publisher = stranger;
    let batch = [
        click(program, 1, "v", at("2010-12-01 08:00")),
        click(program, 2, "v", at("2010-12-01 08:10")),
        later,
    ];
    assert_eq!(clicks(&mut conn, &batch).await, 3);
    assert_eq!(
        clicks(&mut conn, &batch).await,
        0,
        "a click is recorded once"
    );
    let mut it = order(program, "A1", "2010-12-01 08:26", "99.00 USD");
    (it.visitor, it.publisher) = (Some("v".to_owned()), Some(stranger));
    let it = recorded(&mut conn, it).await;
    let story = trail::trail(&mut conn, it.book, it.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(story.click.unwrap().id, Uuid::from_u128(2));
    assert_eq!(story.publisher.as_deref(), Some("Pat"));
}
