//! API keys: kept as hashes, ended but never taken away.

use chrono::TimeDelta;
use ledger::Actor;
use migrations::testing;
use settlement::access::{self, AccessError, Mode, NewKey, Role, Scope, Secret};
use uuid::Uuid;

use crate::fixture::at;

fn new(id: u128, bits: u8) -> NewKey {
    NewKey {
        id: Uuid::from_u128(id),
        secret: Secret::new(Mode::Live, [bits; 16]),
        name: "shop".to_owned(),
        mode: Mode::Live,
        role: Role::Network,
        scopes: vec![Scope::Report, Scope::Read],
        networks: vec!["192.0.2.0/24".to_owned()],
    }
}

#[tokio::test]
async fn a_key_is_found_by_what_was_shown_and_by_nothing_that_is_stored() {
    let db = testing::database().await;
    let mut conn = db.service().await;
    let (now, by) = (at("2026-01-05 10:00"), Actor::new("test"));
    let key = new(1, 7);
    access::create(&mut conn, now, &by, &key).await.unwrap();
    let found = access::find(&mut conn, &key.secret.hash()).await.unwrap();
    let found = found.unwrap();
    assert_eq!(
        (found.id, found.role, &found.scopes),
        (key.id, key.role, &key.scopes)
    );
    assert_eq!(found.networks, key.networks);
    let other = Secret::new(Mode::Live, [8; 16]).hash();
    assert_eq!(access::find(&mut conn, &other).await.unwrap(), None);
    let stored: String =
        sqlx::query_scalar("select string_agg(k::text, ' ') from settlement.api_key k")
            .fetch_one(&mut conn)
            .await
            .unwrap();
    assert!(!stored.contains(key.secret.reveal()), "{stored}");
    assert!(!stored.contains(&key.secret.reveal()[8..]), "{stored}");
}

#[tokio::test]
async fn a_rotated_key_lives_on_for_a_while_and_a_revoked_one_does_not() {
    let db = testing::database().await;
    let mut conn = db.service().await;
    let (now, by) = (at("2026-01-05 10:00"), Actor::new("test"));
    let (first, later) = (new(1, 7), now + TimeDelta::hours(24));
    access::create(&mut conn, now, &by, &first).await.unwrap();
    let next = (Uuid::from_u128(2), [9; 16]);
    let (second, secret) = access::rotate(&mut conn, now, &by, first.id, next, later)
        .await
        .unwrap();
    assert_eq!(
        (second.replaces, &second.scopes),
        (Some(first.id), &first.scopes)
    );
    let old = access::find(&mut conn, &first.secret.hash()).await.unwrap();
    let old = old.unwrap();
    assert!(old.works_at(now) && old.works_at(later - TimeDelta::microseconds(1)));
    assert!(!old.works_at(later));
    // Rotated once: whoever rotates again means the new one.
    let again = (Uuid::from_u128(3), [10; 16]);
    let refused = access::rotate(&mut conn, now, &by, first.id, again, later).await;
    assert!(
        matches!(refused, Err(AccessError::Revoked(..))),
        "{refused:?}"
    );
    // What was to end tomorrow may end today, and stays in the list.
    assert!(
        !access::revoke(&mut conn, now, &by, first.id)
            .await
            .unwrap()
            .works_at(now)
    );
    let twice = access::revoke(&mut conn, now, &by, first.id).await;
    assert!(matches!(twice, Err(AccessError::Revoked(..))), "{twice:?}");
    let all = access::list(&mut conn).await.unwrap();
    assert_eq!(
        all.iter().map(|k| k.works_at(now)).collect::<Vec<_>>(),
        [false, true]
    );
    let found = access::find(&mut conn, &secret.hash()).await.unwrap();
    assert_eq!(found.map(|key| key.id), Some(second.id));
}

#[tokio::test]
async fn a_key_never_has_more_than_its_party_may() {
    let db = testing::database().await;
    let mut conn = db.service().await;
    let (now, by) = (at("2026-01-05 10:00"), Actor::new("test"));
    let key = NewKey {
        role: Role::Publisher(Uuid::from_u128(5)),
        ..new(1, 7)
    };
    let refused = access::create(&mut conn, now, &by, &key).await.unwrap_err();
    insta::assert_snapshot!(refused, @r#"a publisher key cannot have scope "report""#);
    let removed = sqlx::query("delete from settlement.api_key")
        .execute(&mut conn)
        .await;
    assert!(removed.is_err());
    let mut auditor = db.auditor().await;
    let hashes = sqlx::query("select hash from settlement.api_key")
        .execute(&mut auditor)
        .await;
    assert!(hashes.is_err());
    sqlx::query("select id, name, role from settlement.api_key")
        .execute(&mut auditor)
        .await
        .unwrap();
}
