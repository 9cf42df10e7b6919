//! A checkpoint proves itself without the database, and a changed one says what does not fit.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use ledger::BookId;
use ledger::checkpoint::{self, Checkpoint, CheckpointError, Hex, SigningKey};
use serde_json::{Value, json};

use crate::verify::fixture::{BOOKS, Store, by, key, now, sale, store};

#[tokio::test]
async fn what_is_stored_is_what_was_taken_and_its_file_is_the_whole_of_it() {
    let Store {
        mut conn,
        checkpoint,
        db,
    } = store().await;
    let latest = checkpoint::latest(&mut conn).await.unwrap();
    assert_eq!(latest.as_ref(), Some(&checkpoint));
    let json = checkpoint.to_json().unwrap();
    assert_eq!(Checkpoint::from_json(&json).unwrap(), checkpoint);
    let names: BTreeSet<&str> = checkpoint
        .books
        .iter()
        .map(|book| book.name.as_str())
        .collect();
    assert_eq!(names, BTreeSet::from(BOOKS));
    let first = checkpoint::find(&mut db.auditor().await, checkpoint.id)
        .await
        .unwrap();
    assert_eq!(first, Some(checkpoint));
    assert_eq!(
        checkpoint::find(&mut conn, uuid::Uuid::nil())
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn the_service_takes_checkpoints_and_the_same_moment_is_one_checkpoint() {
    let Store { checkpoint, db, .. } = store().await;
    let mut service = db.service().await;
    let later = now() + TimeDelta::days(2);
    let taken = checkpoint::take(&mut service, later, &by(), "daily", &key())
        .await
        .unwrap();
    assert_ne!(taken.root, checkpoint.root, "entries were posted since");
    let other = SigningKey::from_bytes(&[8; 32]);
    let again = checkpoint::take(&mut service, later, &by(), "daily", &other)
        .await
        .unwrap();
    assert_eq!(again, taken);
    let next = later + TimeDelta::microseconds(1);
    let next = checkpoint::take(&mut service, next, &by(), "daily", &other)
        .await
        .unwrap();
    assert_eq!(next.root, taken.root, "nothing was posted since");
    assert_ne!(next.id, taken.id);
    assert_eq!(checkpoint::latest(&mut service).await.unwrap(), Some(next));
}

#[tokio::test]
async fn a_checkpoint_of_an_empty_ledger_is_sound() {
    let db = migrations::testing::database().await;
    let mut conn = db.connection().await;
    assert_eq!(checkpoint::latest(&mut conn).await.unwrap(), None);
    let taken = checkpoint::take(&mut conn, now(), &by(), "first", &key())
        .await
        .unwrap();
    assert_eq!(
        Checkpoint::from_json(&taken.to_json().unwrap()).unwrap(),
        taken
    );
}

#[tokio::test]
async fn a_changed_checkpoint_is_refused_and_says_what_does_not_fit() {
    let Store {
        checkpoint,
        db: _db,
        ..
    } = store().await;
    let sound: Value = serde_json::from_str(&checkpoint.to_json().unwrap()).unwrap();
    let (other, twice) = (json!("ab".repeat(32)), sound["books"][0].clone());
    let (book, when) = (
        "a book was changed, added or left out",
        "does not follow from its root",
    );
    for (place, value, says) in [
        ("/books/0/number", json!(13), book),
        ("/books/1/head", other.clone(), book),
        ("/books/2/name", json!("acne"), book),
        ("/books", json!([]), book),
        ("/root", other.clone(), book),
        ("/taken_at", json!("2026-02-03T02:40:00.123457Z"), when),
        ("/taken_at", json!("2026-02-03T02:40:00.123456789Z"), when),
        ("/id", json!("00000000-0000-0000-0000-000000000001"), when),
        ("/reason", json!("another"), "the signature does not fit"),
        (
            "/taken_by",
            json!("test:ledge"),
            "the signature does not fit",
        ),
        ("/public_key", other, "the signature does not fit"),
        (
            "/signature",
            json!("ab".repeat(64)),
            "the signature does not fit",
        ),
        (
            "/format",
            json!("counterfoil checkpoint 2"),
            "this version reads",
        ),
        ("/root", json!("xyz"), "not 64 hexadecimal digits"),
        ("/books/0/number", json!(-1), "number below zero"),
        ("/books/1", twice, "twice"),
        (
            "/books/1",
            json!({"name": "x", "number": 1, "head": "ab".repeat(32), "x": 1}),
            "unknown field",
        ),
    ] {
        let mut changed = sound.clone();
        *changed.pointer_mut(place).unwrap() = value;
        let refused = Checkpoint::from_json(&changed.to_string())
            .unwrap_err()
            .to_string();
        assert!(refused.contains(says), "{place}: {refused}");
    }
    assert!(matches!(
        Checkpoint::from_json("{"),
        Err(CheckpointError::Unreadable(_))
    ));
}

/// Whoever forges books, root, id and signature alike is told by the key.
#[tokio::test]
async fn only_the_expected_key_makes_a_checkpoint_ours() {
    let Store {
        mut conn,
        checkpoint,
        db: _db,
    } = store().await;
    let ours = checkpoint::public_key(&key());
    checkpoint.check(Some(&ours)).unwrap();
    let stranger = SigningKey::from_bytes(&[9; 32]);
    let forged = checkpoint::take(&mut conn, now(), &by(), "forged", &stranger)
        .await
        .unwrap();
    forged.check(None).unwrap();
    let refused = forged.check(Some(&ours)).unwrap_err();
    assert!(matches!(refused, CheckpointError::OtherKey { expected, .. } if expected == ours));
}

#[tokio::test]
async fn one_book_is_proved_under_the_root_without_the_others() {
    let Store {
        checkpoint,
        db: _db,
        ..
    } = store().await;
    for book in BOOKS {
        let mut inclusion = checkpoint.inclusion(book).unwrap();
        assert_eq!(inclusion.root(), Some(checkpoint.root), "{book}");
        inclusion.book.number += 1;
        assert_ne!(inclusion.root(), Some(checkpoint.root), "{book}");
    }
    assert_eq!(checkpoint.inclusion("nobody"), None);
}

#[tokio::test]
async fn a_checkpoint_covers_what_was_posted_before_it_and_nothing_later() {
    let Store {
        mut conn,
        checkpoint,
        db: _db,
    } = store().await;
    let head = checkpoint
        .books
        .iter()
        .find(|book| book.name == "acme")
        .unwrap();
    let stored: Vec<u8> =
        sqlx::query_scalar("select hash from ledger.entry where book_id = $1 and number = $2")
            .bind(BookId::of_name("acme").value())
            .bind(head.number)
            .fetch_one(&mut conn)
            .await
            .unwrap();
    assert_eq!(
        (head.number, Hex::from_slice(&stored)),
        (12, Some(head.head))
    );
    crate::verify::fixture::posted(&mut conn, &[sale("acme", 99, "2026-03-03")]).await;
    let unchanged = checkpoint::find(&mut conn, checkpoint.id).await.unwrap();
    assert_eq!(unchanged, Some(checkpoint));
}

#[test]
fn a_secret_key_is_64_digits_and_an_error_does_not_repeat_it() {
    let secret = "07".repeat(32);
    assert_eq!(
        checkpoint::signing_key(&format!("{secret}\n")).unwrap(),
        key()
    );
    for bad in ["", &secret[1..], "xyzzy"] {
        let refused = checkpoint::signing_key(bad).unwrap_err().to_string();
        assert!(bad.is_empty() || !refused.contains(bad), "{refused}");
    }
}
