use std::path::Path;

use chrono::DateTime;
use ledger::BookId;
use migrations::testing::{self, TestDatabase};
use settlement::party::ProgramRef;
use settlement::tracking::{Click, ClickRequest};

use super::status::status;
use super::*;

fn args(when_full: WhenFull) -> Args {
    Args {
        spool: None,
        spool_when_full: when_full,
        spool_segment: 1,
    }
}

fn kept(number: u128, sub: &str) -> Kept {
    let program = ProgramRef {
        book: BookId::from_value(7),
        id: Uuid::from_u128(1),
    };
    let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let mut click = Click::new(Uuid::from_u128(number), program, Uuid::from_u128(2), at);
    click.subs[0] = Some(sub.to_owned());
    let request = ClickRequest {
        path: "/go".to_owned(),
        ..ClickRequest::default()
    };
    Kept { click, request }
}

/// Keeps clicks while nothing is copied, as a service does that is killed before Postgres hears.
fn left_behind(data: &Path, clicks: &[Kept]) {
    let folder = data.join("spool");
    drop(files::lock(&folder).unwrap());
    let next = segment::list(&folder)
        .unwrap()
        .last()
        .map_or(1, |last| last + 1);
    let mut appender = Appender::new(&folder, next, 1 << 20);
    let frames: Vec<u8> = clicks
        .iter()
        .flat_map(|it| record::frame(it).unwrap())
        .collect();
    appender.append(&frames).unwrap();
}

async fn stored(db: &TestDatabase) -> Vec<i64> {
    let query = "select ('x' || right(id::text, 8))::bit(32)::bigint from settlement.click
                 order by id";
    sqlx::query_scalar(query)
        .fetch_all(db.pool())
        .await
        .unwrap()
}

async fn drain(db: &TestDatabase, data: &Path) -> usize {
    drain_whole(&data.join("spool"), &db.service_pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn what_was_kept_is_copied_once_however_often_it_is_tried() {
    let (db, data) = (testing::database().await, tempfile::tempdir().unwrap());
    let folder = data.path().join("spool");
    left_behind(data.path(), &[kept(1, "a"), kept(2, "b")]);
    left_behind(data.path(), &[kept(3, "c")]);
    let copy = std::fs::read(segment::path(&folder, 1)).unwrap();
    assert_eq!(status(&folder).unwrap().waiting, 3);
    assert_eq!(drain(&db, data.path()).await, 3);
    // Killed between the commit and the removal: the file is there still, the note is not.
    std::fs::write(segment::path(&folder, 1), copy).unwrap();
    std::fs::remove_file(folder.join("drained")).unwrap();
    assert_eq!(drain(&db, data.path()).await, 2);
    assert_eq!(stored(&db).await, [1, 2, 3]);
    assert_eq!(status(&folder).unwrap().segments, 0);
}

#[tokio::test]
async fn a_damaged_segment_gives_what_can_be_read_and_is_set_aside() {
    let (db, data) = (testing::database().await, tempfile::tempdir().unwrap());
    let folder = data.path().join("spool");
    left_behind(data.path(), &[kept(1, "a"), kept(2, "b"), kept(3, "c")]);
    let path = segment::path(&folder, 1);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    // Cut off in the middle of a click, as a power cut does: told, but no damage.
    left_behind(data.path(), &[kept(4, "d"), kept(5, "e")]);
    let torn = segment::path(&folder, 2);
    let bytes = std::fs::read(&torn).unwrap();
    std::fs::write(&torn, &bytes[..bytes.len() - 3]).unwrap();
    assert_eq!(drain(&db, data.path()).await, 3);
    assert_eq!(stored(&db).await, [1, 3, 4]);
    let status = status(&folder).unwrap();
    assert_eq!((status.damaged, status.segments), (vec![1], 0));
}

#[tokio::test]
async fn a_click_that_postgres_refuses_is_set_aside_and_holds_up_nobody() {
    let (db, data) = (testing::database().await, tempfile::tempdir().unwrap());
    left_behind(
        data.path(),
        &[kept(1, "a"), kept(2, "no\u{0}text"), kept(3, "c")],
    );
    assert_eq!(drain(&db, data.path()).await, 3);
    assert_eq!(stored(&db).await, [1, 3]);
    assert_eq!(status(&data.path().join("spool")).unwrap().refused, 1);
    let aside = data.path().join("spool/aside/refused.jsonl");
    let line: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(aside).unwrap()).unwrap();
    assert_eq!(line["kept"]["click"]["id"], Uuid::from_u128(2).to_string());
}

#[tokio::test]
async fn clicks_fill_segments_which_go_as_they_are_copied() {
    let (db, data) = (testing::database().await, tempfile::tempdir().unwrap());
    let folder = data.path().join("spool");
    let args = args(WhenFull::Refuse);
    let spool = Spool::open(&args, data.path(), db.service_pool()).unwrap();
    let long = "x".repeat(2_000);
    let mut keeping = tokio::task::JoinSet::new();
    for number in 1..=2_000 {
        let (spool, click) = (spool.clone(), kept(number, &long));
        keeping.spawn(async move { spool.keep(&click).await });
    }
    for answer in keeping.join_all().await {
        assert_eq!(answer, Ok(()));
    }
    spool
        .settle(&[Uuid::from_u128(1), Uuid::from_u128(2_000)])
        .await;
    assert_eq!(stored(&db).await.len(), 2_000);
    spool.close().await;
    assert_eq!(spool.keep(&kept(1, "")).await, Err(SpoolError::Stopping));
    let left = status(&folder).unwrap();
    assert!(
        left.segments <= 1 && left.waiting == 0 && left.used_by.is_none(),
        "{left:?}"
    );
}
