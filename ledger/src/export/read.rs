//! What an export reads: the books and how far, their accounts with names, the entries as a stream,
//! the balances.
//!
//! How far a book is read is fixed first, by number. Entries never change, so all later statements
//! speak of the same ledger, whatever is posted meanwhile and however long the reader takes.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{ExportError, Scope, label};
use crate::account::AccountKind;
use crate::book::BookId;
use crate::money::Currency;

/// The books of an export, in the byte order of their names.
pub(super) struct Books {
    ids: Vec<i64>,
    /// Number of the last entry read.
    through: Vec<i64>,
    names: Vec<String>,
}

impl Books {
    pub(super) async fn load(conn: &mut PgConnection, scope: &Scope) -> Result<Books, ExportError> {
        let asked: Option<Vec<i64>> = scope
            .books
            .as_ref()
            .map(|books| books.iter().map(|book| book.value()).collect());
        let mut rows = sqlx::query!(
            r#"
            select id, name, next_number - 1 as "through!"
            from ledger.book
            where $1::bigint[] is null or id = any ($1)
            "#,
            asked.as_deref(),
        )
        .fetch_all(conn)
        .await?;
        for book in scope.books.iter().flatten() {
            if !rows.iter().any(|row| row.id == book.value()) {
                return Err(ExportError::UnknownBook(*book));
            }
        }
        // Not by the database's collation, which differs between machines.
        rows.sort_by(|left, right| left.name.cmp(&right.name));
        let mut books = Books {
            ids: Vec::new(),
            through: Vec::new(),
            names: Vec::new(),
        };
        for row in rows {
            books.ids.push(row.id);
            books.through.push(row.through);
            books.names.push(row.name);
        }
        Ok(books)
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }
}

/// A book as an export calls it.
pub(super) struct BookLabel {
    pub name: String,
    /// Its part of account names.
    pub part: String,
}

/// An account as an export calls it.
pub(super) struct Label {
    pub book: usize,
    pub code: String,
    pub kind: AccountKind,
    /// Whose it is.
    pub dimensions: serde_json::Value,
    pub currency: Currency,
    pub name: String,
}

/// All accounts of the scope; grows with accounts, not with entries.
pub(super) struct Chart {
    pub books: Vec<BookLabel>,
    /// By name, then currency.
    pub labels: Vec<Label>,
    ranks: HashMap<i64, usize>,
    accounts: HashMap<(i64, i64), usize>,
}

impl Chart {
    pub(super) async fn load(
        conn: &mut PgConnection,
        books: &Books,
        memo: bool,
    ) -> Result<Chart, ExportError> {
        let rows = sqlx::query!(
            r#"
            select book_id, id, code, kind, memo, currency, dimensions
            from ledger.account
            where book_id = any ($1) and ($2 or not memo)
            "#,
            &books.ids,
            memo,
        )
        .fetch_all(conn)
        .await?;
        let ranks: HashMap<i64, usize> = books
            .ids
            .iter()
            .enumerate()
            .map(|(rank, id)| (*id, rank))
            .collect();
        let books: Vec<BookLabel> = books
            .names
            .iter()
            .map(|name| BookLabel {
                part: label::book(name),
                name: name.clone(),
            })
            .collect();
        let mut labels = Vec::with_capacity(rows.len());
        for row in rows {
            let wrong = |problem: String| ExportError::Account {
                book: BookId::from_value(row.book_id),
                account: row.id,
                problem,
            };
            let kind = AccountKind::named(&row.kind)
                .ok_or_else(|| wrong(format!("'{}' is no kind of account", row.kind)))?;
            let book = ranks[&row.book_id];
            let part = &books[book].part;
            let name = label::account(kind, row.memo, part, &row.code, &row.dimensions);
            let label = Label {
                book,
                code: row.code,
                kind,
                dimensions: row.dimensions,
                currency: row.currency.parse().map_err(|e| wrong(format!("{e}")))?,
                name,
            };
            labels.push(((row.book_id, row.id), label));
        }
        labels.sort_by(|(_, a), (_, b)| (&a.name, a.currency).cmp(&(&b.name, b.currency)));
        let accounts = labels
            .iter()
            .enumerate()
            .map(|(at, (id, _))| (*id, at))
            .collect();
        let labels = labels.into_iter().map(|(_, label)| label).collect();
        Ok(Chart {
            books,
            labels,
            ranks,
            accounts,
        })
    }

    /// Every currency that an account holds.
    pub(super) fn currencies(&self) -> Vec<Currency> {
        let mut all: Vec<Currency> = self.labels.iter().map(|label| label.currency).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Labels that share a name, together: one account in several currencies.
    pub(super) fn names(&self) -> impl Iterator<Item = &[Label]> {
        self.labels.chunk_by(|a, b| a.name == b.name)
    }

    /// The entry with its accounts by name: debits first, then by name.
    pub(super) fn posting<'a>(&'a self, entry: &'a Entry) -> Result<Posting<'a>, ExportError> {
        let wrong = |problem: String| ExportError::Entry {
            book: BookId::from_value(entry.book_id),
            number: entry.number,
            problem,
        };
        let mut legs = Vec::with_capacity(entry.accounts.len());
        for (account, minor) in entry.accounts.iter().zip(&entry.amounts) {
            let at = self
                .accounts
                .get(&(entry.book_id, *account))
                .ok_or_else(|| wrong(format!("account {account} is not open")))?;
            let label = &self.labels[*at];
            if label.currency.code() != entry.currency {
                return Err(wrong(format!("account {account} holds {}", label.currency)));
            }
            legs.push((label, *minor));
        }
        legs.sort_by(|(a, x), (b, y)| (*x < 0, &a.name).cmp(&(*y < 0, &b.name)));
        let (first, _) = legs
            .first()
            .ok_or_else(|| wrong("it has no legs".to_owned()))?;
        let (currency, book) = (first.currency, &self.books[self.ranks[&entry.book_id]]);
        Ok(Posting {
            entry,
            book,
            currency,
            legs,
        })
    }
}

/// An entry as stored.
pub(super) struct Entry {
    pub book_id: i64,
    pub number: i64,
    pub id: Uuid,
    pub kind: String,
    pub memo: bool,
    pub currency: String,
    pub effective_on: NaiveDate,
    pub recorded_at: DateTime<Utc>,
    pub recorded_by: String,
    pub description: String,
    pub accounts: Vec<i64>,
    pub amounts: Vec<i64>,
    pub causes: Vec<String>,
    pub reverses: Option<Uuid>,
    pub voucher_id: Option<Uuid>,
    pub fingerprint: Vec<u8>,
    pub hash: Vec<u8>,
}

/// An entry as an export tells it.
pub(super) struct Posting<'a> {
    pub entry: &'a Entry,
    pub book: &'a BookLabel,
    pub currency: Currency,
    pub legs: Vec<(&'a Label, i64)>,
}

/// The entries of the scope by effective day, book and number: one statement, one row at a time.
/// Postgres sorts them, on its disk when they are many.
pub(super) fn entries<'c>(
    conn: &'c mut PgConnection,
    books: &'c Books,
    scope: &Scope,
) -> BoxStream<'c, Result<Entry, sqlx::Error>> {
    sqlx::query_as!(
        Entry,
        r#"
        select e.book_id, e.number, e.id, e.kind, e.memo, e.currency, e.effective_on, e.recorded_at,
               e.recorded_by, e.description, e.accounts, e.amounts,
               string_to_array(e.causes, chr(30)) as "causes!", e.reverses, e.voucher_id,
               e.fingerprint, e.hash
        from unnest($1::bigint[], $2::bigint[]) with ordinality as b (id, through, rank)
        join ledger.entry e on e.book_id = b.id and e.number <= b.through
        where ($3::date is null or e.effective_on >= $3)
          and ($4::date is null or e.effective_on <= $4)
          and ($5 or not e.memo)
        order by e.effective_on, b.rank, e.number
        "#,
        &books.ids,
        &books.through,
        scope.from,
        scope.to,
        scope.memo,
    )
    .fetch(conn)
}

/// What each account moved in the scope, in minor units: one per label, in the chart's order.
///
/// From `ledger.account_day`, not from the entries that were just written out: whoever reads the
/// export adds up the one and finds the other.
pub(super) async fn balances(
    conn: &mut PgConnection,
    books: &Books,
    chart: &Chart,
    scope: &Scope,
) -> Result<Vec<i128>, ExportError> {
    let mut rows = sqlx::query!(
        r#"
        with book as (
            select * from unnest($1::bigint[], $2::bigint[]) as b (id, through)
        ), moved as (
            select d.book_id, d.account_id, d.debits - d.credits as amount
            from book b
            join ledger.account_day d on d.book_id = b.id
            where ($3::date is null or d.day >= $3) and ($4::date is null or d.day <= $4)
            union all
            -- less what was posted after the export began
            select e.book_id, g.account_id, -g.amount
            from book b
            join ledger.entry e on e.book_id = b.id and e.number > b.through
            cross join lateral unnest(e.accounts, e.amounts) as g (account_id, amount)
            where ($3::date is null or e.effective_on >= $3)
              and ($4::date is null or e.effective_on <= $4)
        )
        select book_id as "book_id!", account_id as "account_id!", sum(amount)::bigint as "amount!"
        from moved
        group by book_id, account_id
        "#,
        &books.ids,
        &books.through,
        scope.from,
        scope.to,
    )
    .fetch(conn);
    let mut balances = vec![0; chart.labels.len()];
    while let Some(row) = rows.try_next().await? {
        // Memorandum accounts, when the export leaves them out, have no label.
        if let Some(at) = chart.accounts.get(&(row.book_id, row.account_id)) {
            balances[*at] = i128::from(row.amount);
        }
    }
    Ok(balances)
}

/// Balances of beancount's kind: an account's with all accounts below it.
pub(super) fn with_children(chart: &Chart, balances: &[i128]) -> Vec<i128> {
    let mut sums: BTreeMap<(&str, Currency), i128> = chart
        .labels
        .iter()
        .map(|label| ((label.name.as_str(), label.currency), 0))
        .collect();
    for (label, balance) in chart.labels.iter().zip(balances) {
        let above = label
            .name
            .match_indices(':')
            .map(|(end, _)| &label.name[..end]);
        for name in above.chain([label.name.as_str()]) {
            if let Some(sum) = sums.get_mut(&(name, label.currency)) {
                *sum += balance;
            }
        }
    }
    // Labels are in the map's order and each key is there once.
    sums.into_values().collect()
}
