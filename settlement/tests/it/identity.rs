//! Users: one hash in Rust and in SQL, one claim per user whoever asks at once.

use std::collections::HashMap;

use settlement::attribution::AttributionTerms;
use settlement::identity::{Claim, Claimed, Identify, UserKey, claim, identify};
use settlement::party::{self, NewParty, ProgramRef};
use settlement::terms::Terms;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::fixture::*;

const OTHER: Uuid = Uuid::from_u128(0x51);

fn claimed_at_signup() -> Terms {
    let attribution = AttributionTerms {
        claim_at_signup: true,
        ..AttributionTerms::default()
    };
    Terms {
        attribution,
        ..terms()
    }
}

async fn a_second_publisher(conn: &mut PgConnection, program: ProgramRef) {
    let now = at("2010-01-01 00:00");
    let other = NewParty {
        id: OTHER,
        name: "Quinn".to_owned(),
    };
    party::create_publishers(conn, now, &by(), &[other])
        .await
        .unwrap();
    party::enrol(conn, now, &by(), &[(program, OTHER)])
        .await
        .unwrap();
}

/// The function as its callers call it: by name, with named arguments, outside our schema.
async fn rpc(pool: &PgPool, user: &str, publisher: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select claim_affiliate_attribution(p_user_id => $1, p_affiliate_id => $2, \
         p_first_click_at => $3)",
    )
    .bind(user)
    .bind(publisher)
    .bind(at("2010-11-20 10:00"))
    .fetch_one(pool)
    .await
}

async fn claims(conn: &mut PgConnection) -> Vec<(Vec<u8>, Uuid)> {
    sqlx::query_as("select user_hash, publisher_id from settlement.claim")
        .fetch_all(conn)
        .await
        .unwrap()
}

#[tokio::test]
async fn rust_and_sql_hash_a_user_alike_and_no_table_holds_the_id() {
    let (_db, mut conn, program) = program(terms()).await;
    let key = UserKey::read(&mut conn).await.unwrap();
    for user in ["7", "pat@example.org", "مستخدم"] {
        let hash = key.hash(program.book, user);
        let sql: Vec<u8> = sqlx::query_scalar("select settlement.user_hash($1, $2)")
            .bind(program.book.value())
            .bind(user)
            .fetch_one(&mut conn)
            .await
            .unwrap();
        assert_eq!(sql, hash.bytes());
        assert_ne!(key.hash(ledger::BookId::of_name("Other"), user), hash);
    }
    assert_eq!(format!("{key:?}"), "UserKey(…)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_concurrent_claims_of_one_user_exactly_one_wins_and_all_are_told() {
    let (db, mut conn, program) = program(claimed_at_signup()).await;
    a_second_publisher(&mut conn, program).await;
    let user = UserKey::read(&mut conn)
        .await
        .unwrap()
        .hash(program.book, "user-1");
    let pool = db.service_pool();
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let pool = pool.clone();
            let publisher = if n % 2 == 0 { PUBLISHER } else { OTHER };
            tokio::spawn(async move {
                // Half of them through SQL, half through Rust.
                if n % 4 < 2 {
                    return (publisher, rpc(&pool, "user-1", publisher).await.unwrap());
                }
                let mut tx = pool.begin().await.unwrap();
                let first_click_at = at("2010-11-20 10:00");
                let it = Claim {
                    book: program.book,
                    user,
                    publisher,
                    first_click_at,
                };
                let answers = claim(&mut tx, at("2010-12-01 00:00"), &by(), &[it])
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
                (publisher, answers == [Claimed::Now])
            })
        })
        .collect();
    let mut winners = Vec::new();
    for task in tasks {
        let (publisher, won) = task.await.unwrap();
        winners.extend(won.then_some(publisher));
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(
        claims(&mut conn).await,
        [(user.bytes().to_vec(), winners[0])]
    );
    let refused = sqlx::query("update settlement.claim set publisher_id = publisher_id")
        .execute(&mut db.connection().await)
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("append-only"), "{refused}");
}

#[tokio::test]
async fn a_claim_of_nobody_and_a_second_claim_in_one_batch_are_told_apart() {
    let (_db, mut conn, program) = program(terms()).await;
    a_second_publisher(&mut conn, program).await;
    let key = UserKey::read(&mut conn).await.unwrap();
    let of = |user: &str, publisher| Claim {
        book: program.book,
        user: key.hash(program.book, user),
        publisher,
        first_click_at: at("2010-11-20 10:00"),
    };
    let batch = [
        of("a", PUBLISHER),
        of("a", OTHER),
        of("a", PUBLISHER),
        of("b", Uuid::from_u128(0xdead)),
    ];
    let answers = claim(&mut conn, at("2010-11-21 00:00"), &by(), &batch)
        .await
        .unwrap();
    let before = Claimed::Before {
        publisher: PUBLISHER,
        first_click_at: at("2010-11-20 10:00"),
    };
    assert_eq!(
        answers,
        [Claimed::Now, before, before, Claimed::UnknownPublisher]
    );
}

#[tokio::test]
async fn the_sql_function_says_which_brand_is_missing_or_meant() {
    let (db, mut conn, _) = program(terms()).await;
    let pool = db.service_pool();
    let none = rpc(&pool, "user-1", PUBLISHER)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        none.contains("takes part in no program that is claimed at signup"),
        "{none}"
    );
    add_program(&mut conn, "Bolt", claimed_at_signup()).await;
    assert!(
        rpc(&pool, "user-1", PUBLISHER).await.unwrap(),
        "the only brand that claims"
    );
    assert!(!rpc(&pool, "user-1", PUBLISHER).await.unwrap(), "once");
    add_program(&mut conn, "Coil", claimed_at_signup()).await;
    let several = rpc(&pool, "user-1", PUBLISHER)
        .await
        .unwrap_err()
        .to_string();
    assert!(several.contains("counterfoil.brand"), "{several}");
    begin(&mut conn).await;
    sqlx::query("set local counterfoil.brand = 'Coil'")
        .execute(&mut conn)
        .await
        .unwrap();
    let won: bool = sqlx::query_scalar("select claim_affiliate_attribution('user-1', $1, now())")
        .bind(PUBLISHER)
        .fetch_one(&mut conn)
        .await
        .unwrap();
    commit(&mut conn).await;
    assert!(won, "another brand, another user");
}

#[tokio::test]
async fn who_was_recognised_where_is_kept_once_and_knows_the_visitor_if_the_click_is_there() {
    let (_db, mut conn, program) = program(terms()).await;
    clicks(
        &mut conn,
        &[click(program, 7, "laptop", at("2010-12-01 08:00"))],
    )
    .await;
    let user = UserKey::read(&mut conn)
        .await
        .unwrap()
        .hash(program.book, "user-1");
    let of = |click: u128| Identify {
        book: program.book,
        user,
        click: Uuid::from_u128(click),
    };
    let batch = [of(7), of(8), of(7)];
    for new in [2, 0] {
        let now = at("2010-12-01 09:00");
        assert_eq!(identify(&mut conn, now, &by(), &batch).await.unwrap(), new);
    }
    let rows: Vec<(Uuid, Option<String>)> =
        sqlx::query_as("select click_id, visitor from settlement.identity")
            .fetch_all(&mut conn)
            .await
            .unwrap();
    let visitors: HashMap<_, _> = rows.into_iter().collect();
    assert_eq!(visitors[&Uuid::from_u128(7)].as_deref(), Some("laptop"));
    assert_eq!(visitors[&Uuid::from_u128(8)], None);
}
