//! Checkpoints in Postgres: taken through `ledger.record_checkpoint`, never changed.

use chrono::{DateTime, Utc};
use ed25519_dalek::{Signer, SigningKey};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    BookHead, Checkpoint, CheckpointError, FORMAT, Hex, Signed, in_order, leaves, public_key, root,
};
use crate::actor::Actor;
use crate::book::BookId;

/// Takes a checkpoint of all books as they stand, signs and stores it. Taken twice at the same
/// moment with nothing posted in between, the stored one is returned.
///
/// # Errors
/// [`CheckpointError::Inconsistent`] when a book's id does not follow from its name.
pub async fn take(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    by: &Actor,
    reason: &str,
    key: &SigningKey,
) -> Result<Checkpoint, CheckpointError> {
    // One statement, one snapshot: a posting that spans books is in it whole or not at all.
    let rows = sqlx::query!(
        r#"select id, name, next_number - 1 as "number!", head from ledger.book order by id"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let books = rows
        .into_iter()
        .map(|row| book_head(row.id, row.name, row.number, &row.head))
        .collect::<Result<Vec<BookHead>, CheckpointError>>()?;
    let root = root(&leaves(&books));
    let taken_at = DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now);
    let micros = taken_at.timestamp_micros();
    let signed = Signed {
        root: &root,
        micros,
        by: by.as_str(),
        reason,
    };
    let id = signed.id();
    if let Some(taken) = find(conn, id).await? {
        return Ok(taken);
    }
    let checkpoint = Checkpoint {
        format: FORMAT.to_owned(),
        id,
        taken_at,
        taken_by: by.to_string(),
        reason: reason.to_owned(),
        root: Hex(root),
        public_key: public_key(key),
        signature: Hex(key.sign(&signed.message()).to_bytes()),
        books,
    };
    store(conn, &checkpoint).await?;
    Ok(checkpoint)
}

async fn store(conn: &mut PgConnection, checkpoint: &Checkpoint) -> Result<(), sqlx::Error> {
    let books = in_order(&checkpoint.books);
    let ids: Vec<i64> = books
        .iter()
        .map(|book| BookId::of_name(&book.name).value())
        .collect();
    let numbers: Vec<i64> = books.iter().map(|book| book.number).collect();
    let heads: Vec<Vec<u8>> = books.iter().map(|book| book.head.0.to_vec()).collect();
    sqlx::query!(
        "select ledger.record_checkpoint($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        checkpoint.taken_at,
        checkpoint.taken_by,
        checkpoint.id,
        checkpoint.reason,
        checkpoint.root.0.as_slice(),
        checkpoint.public_key.0.as_slice(),
        checkpoint.signature.0.as_slice(),
        &ids,
        &numbers,
        &heads,
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn book_head(id: i64, name: String, number: i64, head: &[u8]) -> Result<BookHead, CheckpointError> {
    match Hex::from_slice(head) {
        Some(head) if BookId::of_name(&name).value() == id => Ok(BookHead { name, number, head }),
        _ => Err(CheckpointError::Inconsistent(format!(
            "ledger.book, book {name}"
        ))),
    }
}

/// The checkpoint taken last.
pub async fn latest(conn: &mut PgConnection) -> Result<Option<Checkpoint>, CheckpointError> {
    let id =
        sqlx::query_scalar!("select id from ledger.checkpoint order by taken_at desc, id limit 1")
            .fetch_optional(&mut *conn)
            .await?;
    match id {
        Some(id) => find(conn, id).await,
        None => Ok(None),
    }
}

/// A stored checkpoint, as it can be exported. It is not proved here; [`Checkpoint::check`] does.
pub async fn find(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<Checkpoint>, CheckpointError> {
    let row = sqlx::query!(
        r#"
        select taken_at, taken_by, reason, root, public_key, signature
        from ledger.checkpoint where id = $1
        "#,
        id,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let rows = sqlx::query!(
        r#"
        select k.book_id, coalesce(b.name, '') as "name!", k.number, k.head
        from ledger.checkpoint_book k
        left join ledger.book b on b.id = k.book_id
        where k.checkpoint_id = $1
        order by k.book_id
        "#,
        id,
    )
    .fetch_all(conn)
    .await?;
    let broken = || CheckpointError::Inconsistent(format!("ledger.checkpoint, checkpoint {id}"));
    Ok(Some(Checkpoint {
        format: FORMAT.to_owned(),
        id,
        taken_at: row.taken_at,
        taken_by: row.taken_by,
        reason: row.reason,
        root: Hex::from_slice(&row.root).ok_or_else(broken)?,
        public_key: Hex::from_slice(&row.public_key).ok_or_else(broken)?,
        signature: Hex::from_slice(&row.signature).ok_or_else(broken)?,
        books: rows
            .into_iter()
            .map(|row| book_head(row.book_id, row.name, row.number, &row.head))
            .collect::<Result<_, _>>()?,
    }))
}
