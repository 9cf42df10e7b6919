//! Checkpoints: every head that was ever signed lies on the chain of its book.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::VerifyError;
use super::accounts::Books;
use super::content::EPOCH_MICROS;
use super::copy::{Fields, Rows, fields, int8, text, uuid};
use super::findings::Findings;
use crate::book::BookId;
use crate::canonical::{Hash, first_head};
use crate::checkpoint::{Checkpoint, Signed, leaf, root};

const TABLE: &str = "ledger.checkpoint";
const BOOK: &str = "ledger.checkpoint_book";

/// Proves the stored checkpoints; returns how many there are.
pub(super) async fn stored(
    conn: &mut PgConnection,
    books: &Books,
    findings: &mut Findings,
) -> Result<u64, VerifyError> {
    let mut trees = heads(conn, books, findings).await?;
    let mut rows = Rows::of(
        conn,
        "copy (select id, taken_at, taken_by, reason, root, public_key, signature
               from ledger.checkpoint order by taken_at, id) to stdout (format binary)",
    )
    .await?;
    let mut count = 0;
    while let Some(bytes) = rows.next().await? {
        let row = fields::<7>(&bytes)?;
        count += 1;
        let Some(id) = uuid(row[0]) else {
            findings.about(TABLE, None, "a checkpoint has no id");
            continue;
        };
        if let Some(problem) = problem_of(&row, id, trees.remove(&id).unwrap_or(root(&[]))) {
            findings.about(TABLE, None, format!("checkpoint {id} {problem}"));
        }
    }
    for id in trees.keys() {
        findings.about(
            BOOK,
            None,
            format!("heads are stored for checkpoint {id}, which is not there"),
        );
    }
    Ok(count)
}

fn problem_of(row: &Fields<'_, 7>, id: Uuid, computed: Hash) -> Option<String> {
    let [_, taken_at, by, reason, root, key, signature] = *row;
    let micros = int8(taken_at).and_then(|since_2000| since_2000.checked_add(EPOCH_MICROS));
    let (Some(micros), Some(by), Some(reason)) = (micros, text(by), text(reason)) else {
        return Some("has a time, author or reason that cannot be read".to_owned());
    };
    if root != Some(&computed) {
        return Some("has a root that its stored heads do not give".to_owned());
    }
    let signed = Signed {
        root: &computed,
        micros,
        by,
        reason,
    };
    if signed.id() != id {
        return Some("has an id that does not follow from its root and time".to_owned());
    }
    let key = key.and_then(|bytes| <&[u8; 32]>::try_from(bytes).ok());
    let signature = signature.and_then(|bytes| <&[u8; 64]>::try_from(bytes).ok());
    let is_signed = key
        .zip(signature)
        .is_some_and(|(key, signature)| signed.is_signed(key, signature));
    (!is_signed)
        .then(|| "has a signature that does not fit root, time, author and reason".to_owned())
}

/// Holds each stored head against the chain; returns the root of each checkpoint's heads.
async fn heads(
    conn: &mut PgConnection,
    books: &Books,
    findings: &mut Findings,
) -> Result<BTreeMap<Uuid, Hash>, VerifyError> {
    let mut rows = Rows::of(
        conn,
        "copy (select k.checkpoint_id, k.book_id, k.number, k.head, e.hash, e.id
               from ledger.checkpoint_book k
               left join ledger.entry e on e.book_id = k.book_id and e.number = k.number
               order by k.checkpoint_id, k.book_id) to stdout (format binary)",
    )
    .await?;
    let mut trees = BTreeMap::new();
    let mut leaves: Vec<Hash> = Vec::new();
    let mut current = None;
    while let Some(bytes) = rows.next().await? {
        let [id, book, number, head, hash, entry] = fields::<6>(&bytes)?;
        let (Some(id), Some(book), Some(number)) = (uuid(id), int8(book), int8(number)) else {
            findings.about(BOOK, None, "a head has an empty column");
            continue;
        };
        if let Some(before) = current.replace(id).filter(|&before| before != id) {
            trees.insert(before, root(&leaves));
            leaves.clear();
        }
        let Some(head) = head.and_then(|bytes| <&Hash>::try_from(bytes).ok()) else {
            let problem = format!("checkpoint {id} has a head that is not a SHA-256");
            findings.about(BOOK, Some(&books.name(book)), problem);
            continue;
        };
        leaves.push(leaf(book, number, head));
        let before_the_first = books.get(book).and_then(|row| row.first_head);
        let on_the_chain = match number {
            0 => before_the_first.is_none_or(|first| first == *head),
            _ => hash == Some(head.as_slice()),
        };
        if !on_the_chain {
            let problem = format!("checkpoint {id} states another hash here");
            findings.entry(BOOK, &books.name(book), (number, uuid(entry)), problem);
        }
    }
    if let Some(last) = current {
        trees.insert(last, root(&leaves));
    }
    Ok(trees)
}

/// Holds the ledger against a checkpoint kept elsewhere: every book it lists still leads there.
pub(super) async fn given(
    conn: &mut PgConnection,
    checkpoint: &Checkpoint,
    findings: &mut Findings,
) -> Result<(), VerifyError> {
    let ids: Vec<i64> = checkpoint
        .books
        .iter()
        .map(|book| BookId::of_name(&book.name).value())
        .collect();
    let numbers: Vec<i64> = checkpoint.books.iter().map(|book| book.number).collect();
    let rows = sqlx::query!(
        r#"
        select (k.i - 1)::int as "index!", b.id as "book?", e.hash as "hash?",
               e.id as "entry?"
        from unnest($1::bigint[], $2::bigint[]) with ordinality as k (book_id, number, i)
        left join ledger.book b on b.id = k.book_id
        left join ledger.entry e on e.book_id = k.book_id and e.number = k.number
        order by k.i
        "#,
        &ids,
        &numbers,
    )
    .fetch_all(&mut *conn)
    .await?;
    let taken = checkpoint.taken_at.format("%Y-%m-%d %H:%M:%S UTC");
    for row in rows {
        let Some(listed) = usize::try_from(row.index)
            .ok()
            .and_then(|i| checkpoint.books.get(i))
        else {
            continue;
        };
        let (name, number) = (&listed.name, listed.number);
        if row.book.is_none() {
            let problem = format!("the checkpoint of {taken} lists this book; it is gone");
            findings.about("ledger.book", Some(name), problem);
        } else if number == 0 {
            if first_head(name) != listed.head.0 {
                let problem = format!("the checkpoint of {taken} states another first hash");
                findings.about("ledger.book", Some(name), problem);
            }
        } else if let Some(hash) = &row.hash {
            if hash.as_slice() != listed.head.0 {
                let problem = format!(
                    "the checkpoint of {taken} states another hash here; this entry or one before \
                     it was rewritten after that"
                );
                findings.entry("ledger.entry", name, (number, row.entry), problem);
            }
        } else {
            let problem = format!("the checkpoint of {taken} covers this entry; it is gone");
            findings.entry("ledger.entry", name, (number, None), problem);
        }
    }
    let known = sqlx::query_scalar!(
        r#"select exists (select 1 from ledger.checkpoint where id = $1 and root = $2) as "is!""#,
        checkpoint.id,
        checkpoint.root.0.as_slice(),
    )
    .fetch_one(conn)
    .await?;
    if !known {
        let problem = format!(
            "checkpoint {}, taken {taken}, is not stored here",
            checkpoint.id
        );
        findings.about(TABLE, None, problem);
    }
    Ok(())
}
