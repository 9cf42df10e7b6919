//! Currencies, books and accounts as stored: each row is what its id and the tables in Rust say.

use std::collections::{BTreeMap, HashMap};

use sqlx::PgConnection;

use super::VerifyError;
use super::copy::{Rows, boolean, fields, int8, text};
use super::findings::Findings;
use crate::account::{AccountKind, StoredAccount, stored_id};
use crate::book::BookId;
use crate::canonical::{Hash, first_head};
use crate::entry::Direction;
use crate::money::Currency;

/// A row of `ledger.book`.
pub(super) struct BookRow {
    pub name: String,
    pub next_number: i64,
    pub head: Vec<u8>,
    /// The hash before the first entry; `None` when the name is not the one the book was opened by.
    pub first_head: Option<Hash>,
}

/// All books by id.
pub(super) struct Books(BTreeMap<i64, BookRow>);

impl Books {
    pub(super) fn get(&self, id: i64) -> Option<&BookRow> {
        self.0.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &BookRow)> {
        self.0.iter().map(|(&id, book)| (id, book))
    }

    /// The book's name, or for an unknown one its id.
    pub(super) fn name(&self, id: i64) -> String {
        self.get(id)
            .map_or_else(|| format!("#{id}"), |book| book.name.clone())
    }

    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }
}

/// One account while its book is read: what it may hold, and what it holds so far.
pub(super) struct Held {
    pub code: Box<str>,
    pub currency: Box<str>,
    pub memo: bool,
    pub floored: bool,
    /// 1 when a debit adds to its balance, -1 when a credit does.
    pub side: i128,
    /// On its normal side.
    pub balance: i128,
}

/// All accounts by book and id.
pub(super) struct Accounts(HashMap<i64, HashMap<i64, Held>>);

impl Accounts {
    /// Those of one book, which are then forgotten here.
    pub(super) fn take(&mut self, book: i64) -> HashMap<i64, Held> {
        self.0.remove(&book).unwrap_or_default()
    }

    pub(super) fn count(&self) -> u64 {
        let count: usize = self.0.values().map(HashMap::len).sum();
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

/// The scale of a currency is for ever: stored amounts are whole numbers of its minor unit.
pub(super) async fn currencies(
    conn: &mut PgConnection,
    findings: &mut Findings,
) -> Result<(), VerifyError> {
    let rows = sqlx::query!(
        r#"select coalesce(code, '') as "code!", coalesce(scale, -1) as "scale!"
           from ledger.currency order by code"#
    )
    .fetch_all(conn)
    .await?;
    let mut missing: BTreeMap<&str, u32> = Currency::all()
        .map(|currency| (currency.code(), currency.scale()))
        .collect();
    for row in rows {
        let (code, scale) = (&row.code, row.scale);
        match missing.remove(code.as_str()) {
            None => findings.about(
                "ledger.currency",
                None,
                format!("currency {code:?} is not one this version knows"),
            ),
            Some(expected) if u32::try_from(scale) != Ok(expected) => findings.about(
                "ledger.currency",
                None,
                format!("currency {code} has {scale} decimals, it must have {expected}"),
            ),
            Some(_) => {}
        }
    }
    for code in missing.keys() {
        findings.about(
            "ledger.currency",
            None,
            format!("currency {code} is missing"),
        );
    }
    Ok(())
}

/// Reads the books. Their numbers and heads are proved when their entries have been read.
pub(super) async fn books(
    conn: &mut PgConnection,
    findings: &mut Findings,
) -> Result<Books, VerifyError> {
    let rows = sqlx::query!(
        r#"
        select coalesce(id, 0) as "id!", coalesce(name, '') as "name!",
               coalesce(next_number, 0) as "next_number!", coalesce(head, '') as "head!",
               closed_through::text as closed_through, fence::text as fence,
               closed_through is distinct from fence as "strays!"
        from ledger.book
        cross join (select max(case when month between '0001-01-01' and '9999-12-01'
                                    then (month + interval '1 month - 1 day')::date end) as fence
                    from ledger.period_close where reopened_at is null) f
        order by id
        "#
    )
    .fetch_all(conn)
    .await?;
    let mut books = BTreeMap::new();
    for row in rows {
        let named = BookId::of_name(&row.name).value() == row.id;
        if !named {
            let problem = format!(
                "its id {} does not follow from its name; it was renamed",
                row.id
            );
            findings.about("ledger.book", Some(&row.name), problem);
        }
        if row.strays {
            let day = |day: Option<String>| day.unwrap_or_else(|| "no day".to_owned());
            let (is, must) = (day(row.closed_through), day(row.fence));
            let problem = format!("it is closed through {is}, the closed months say {must}");
            findings.about("ledger.book", Some(&row.name), problem);
        }
        let first_head = named.then(|| first_head(&row.name));
        let book = BookRow {
            name: row.name,
            next_number: row.next_number,
            head: row.head,
            first_head,
        };
        books.insert(row.id, book);
    }
    Ok(Books(books))
}

/// Reads the accounts and proves that each is what its id says.
pub(super) async fn accounts(
    conn: &mut PgConnection,
    books: &Books,
    findings: &mut Findings,
) -> Result<Accounts, VerifyError> {
    let mut accounts: HashMap<i64, HashMap<i64, Held>> = HashMap::new();
    let mut rows = Rows::of(
        conn,
        "copy (select book_id, id, code, kind, memo, currency, floored, dimensions::text
               from ledger.account order by book_id, id) to stdout (format binary)",
    )
    .await?;
    while let Some(row) = rows.next().await? {
        let [book, id, code, kind, memo, currency, floored, dimensions] = fields::<8>(&row)?;
        let (Some(book), Some(id)) = (int8(book), int8(id)) else {
            findings.about("ledger.account", None, "an account has no book or no id");
            continue;
        };
        let stored = (|| {
            Some(StoredAccount {
                book,
                code: text(code)?,
                kind: text(kind)?,
                memo: boolean(memo)?,
                currency: text(currency)?,
                floored: boolean(floored)?,
                dimensions: text(dimensions)?,
            })
        })();
        let problem = match &stored {
            None => Some("has an empty column".to_owned()),
            Some(account) => problem_of(account, id, books),
        };
        if let Some(problem) = problem {
            let code = text(code).unwrap_or_default();
            let problem = format!("account {code} (#{id}) {problem}");
            findings.about("ledger.account", Some(&books.name(book)), problem);
        }
        if let Some(account) = stored {
            accounts.entry(book).or_default().insert(id, held(&account));
        }
    }
    Ok(Accounts(accounts))
}

fn problem_of(account: &StoredAccount<'_>, id: i64, books: &Books) -> Option<String> {
    if stored_id(account) != id {
        return Some(
            "is not what its id says; a column was changed after it was opened".to_owned(),
        );
    }
    if AccountKind::named(account.kind).is_none() {
        return Some(format!(
            "is of kind {:?}, which is no kind of account",
            account.kind
        ));
    }
    if account.currency.parse::<Currency>().is_err() {
        return Some(format!(
            "holds {:?}, which is no currency",
            account.currency
        ));
    }
    books
        .get(account.book)
        .is_none()
        .then(|| "lies in a book that does not exist".to_owned())
}

fn held(account: &StoredAccount<'_>) -> Held {
    let normal = AccountKind::named(account.kind).map(AccountKind::normal_balance);
    Held {
        code: account.code.into(),
        currency: account.currency.into(),
        memo: account.memo,
        floored: account.floored,
        side: if normal == Some(Direction::Debit) {
            1
        } else {
            -1
        },
        balance: 0,
    }
}
