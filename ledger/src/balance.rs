//! What stood where, when.
//!
//! Balances have two clocks: [`AsOf::effective`] (when it counts) and [`AsOf::checkpoint`] (when we
//! knew: exactly the entries that a checkpoint covers). Sums come from `ledger.account_day`, so
//! they grow with accounts and days, not with lines; statements read `ledger.line` by account.
//!
//! Memorandum accounts have balances but stand in no trial balance.

use chrono::NaiveDate;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::account::{AccountId, AccountKind};
use crate::book::BookId;
use crate::entry::Direction;
use crate::money::{Currency, Money, MoneyError};

/// The moment of a balance on both clocks; the default is everything known today.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AsOf {
    /// Counts what is effective on or before this day; `None` counts everything.
    pub effective: Option<NaiveDate>,
    /// Counts only the entries that this checkpoint covers; `None` counts all known today.
    pub checkpoint: Option<Uuid>,
}

impl AsOf {
    /// Everything effective on or before a day.
    #[must_use]
    pub fn day(day: NaiveDate) -> AsOf {
        AsOf {
            effective: Some(day),
            checkpoint: None,
        }
    }
}

/// Debits and credits of an account or a group of accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Sums {
    /// Sum of all debits.
    pub debits: Money,
    /// Sum of all credits.
    pub credits: Money,
}

impl Sums {
    /// The balance, positive on the given kind's normal side.
    ///
    /// # Errors
    /// Overflow only.
    pub fn balance(&self, kind: AccountKind) -> Result<Money, MoneyError> {
        match kind.normal_balance() {
            Direction::Debit => self.debits.checked_sub(self.credits),
            Direction::Credit => self.credits.checked_sub(self.debits),
        }
    }
}

/// One account and its sums.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AccountBalance {
    /// The book's name.
    pub book: String,
    /// Number in the chart of accounts.
    pub code: String,
    /// Kind of account.
    pub kind: AccountKind,
    /// Whether it stands outside the trial balance.
    pub memo: bool,
    /// Whose it is, as JSON.
    pub dimensions: serde_json::Value,
    /// Debits and credits.
    #[serde(flatten)]
    pub sums: Sums,
    /// Ids, for following the figure to its lines.
    #[serde(skip)]
    pub id: (BookId, AccountId),
}

/// One row of a trial balance.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TrialBalanceRow {
    /// The book's name; `None` when consolidated over books.
    pub book: Option<String>,
    /// Number in the chart of accounts.
    pub code: String,
    /// Kind of account.
    pub kind: AccountKind,
    /// Debits and credits.
    #[serde(flatten)]
    pub sums: Sums,
}

/// One line of an account statement, with the balance after it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StatementLine {
    /// The entry's number in the book.
    pub number: i64,
    /// The entry's id.
    pub entry: Uuid,
    /// When it counts.
    pub effective: NaiveDate,
    /// The entry's kind.
    pub kind: String,
    /// The entry's description.
    pub description: String,
    /// Debit positive, credit negative.
    pub amount: Money,
    /// Debits less credits up to and including this line, by effective day and number.
    pub running: Money,
}

impl StatementLine {
    /// Where it stands in the statement, for asking what comes after it.
    #[must_use]
    pub fn place(&self) -> (NaiveDate, i64) {
        (self.effective, self.number)
    }
}

/// Balances could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BalanceError {
    /// Postgres failed.
    #[error("balances could not be read")]
    Database(#[from] sqlx::Error),
    /// A stored value is not money.
    #[error("inconsistency in ledger.account: {0}; run `counterfoil verify`")]
    Money(#[from] MoneyError),
    /// There is no such checkpoint.
    #[error("checkpoint {0} is not known in this database")]
    UnknownCheckpoint(Uuid),
    /// A stored kind is unknown.
    #[error("inconsistency in ledger.account.kind: '{0}' is no kind of account")]
    Kind(String),
}

/// Which accounts to list; the default is all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only these books.
    pub books: Option<Vec<BookId>>,
    /// Only this account code.
    pub code: Option<String>,
    /// Only accounts with these dimensions.
    pub dimensions: Option<serde_json::Value>,
}

/// Balances by account, in order of book, code, currency and dimensions.
///
/// Growth: linear in the accounts asked for and their days; lines are not read, and entries only
/// those newer than a checkpoint when one is named.
pub async fn accounts(
    conn: &mut PgConnection,
    filter: &Filter,
    as_of: AsOf,
) -> Result<Vec<AccountBalance>, BalanceError> {
    check(conn, as_of).await?;
    let books = ids(filter.books.as_deref());
    let rows = sqlx::query!(
        r#"
        select b.name as "book!", a.book_id as "book_id!", a.id as "id!", a.code as "code!",
               a.kind as "kind!", a.memo as "memo!", a.currency as "currency!",
               a.dimensions as "dimensions!",
               (coalesce(s.debits, 0) - coalesce(u.debits, 0))::bigint as "debits!",
               (coalesce(s.credits, 0) - coalesce(u.credits, 0))::bigint as "credits!"
        from ledger.account a
        join ledger.book b on b.id = a.book_id
        left join lateral (
            select sum(d.debits) as debits, sum(d.credits) as credits
            from ledger.account_day d
            where d.book_id = a.book_id and d.account_id = a.id
              and ($1::date is null or d.day <= $1)
        ) s on true
        left join (
            -- not yet known at the checkpoint
            select e.book_id, g.account_id,
                   sum(greatest(g.amount, 0)) as debits, sum(greatest(-g.amount, 0)) as credits
            from ledger.book b
            left join ledger.checkpoint_book k on k.book_id = b.id and k.checkpoint_id = $2
            join ledger.entry e on e.book_id = b.id and e.number > coalesce(k.number, 0)
            cross join lateral unnest(e.accounts, e.amounts) as g (account_id, amount)
            where $2::uuid is not null and ($1::date is null or e.effective_on <= $1)
              and ($3::bigint[] is null or e.book_id = any ($3))
            group by e.book_id, g.account_id
        ) u on u.book_id = a.book_id and u.account_id = a.id
        where ($3::bigint[] is null or a.book_id = any ($3))
          and ($4::text is null or a.code = $4)
          and ($5::jsonb is null or a.dimensions @> $5)
        order by b.name collate "C", a.code collate "C", a.currency, a.dimensions
        "#,
        as_of.effective,
        as_of.checkpoint,
        books.as_deref(),
        filter.code,
        filter.dimensions,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AccountBalance {
                book: row.book,
                kind: kind(&row.kind)?,
                code: row.code,
                memo: row.memo,
                dimensions: row.dimensions,
                sums: sums(&row.currency, row.debits, row.credits)?,
                id: (
                    BookId::from_value(row.book_id),
                    AccountId::from_value(row.id),
                ),
            })
        })
        .collect()
}

/// How a trial balance is drawn together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// One row per code and currency over all books asked for.
    Consolidated,
    /// One row per book, code and currency.
    PerBook,
}

/// The trial balance: per currency, debits equal credits.
///
/// Growth: linear in accounts and days (10 million lines in 1,000 books: see `docs/OPERATING.md`).
// An account's id follows from its book's, so the join asks for the book as an expression: two
// equal columns look to the planner like few rows, which it would then sort instead of hash.
pub async fn trial_balance(
    conn: &mut PgConnection,
    books: Option<&[BookId]>,
    grouping: Grouping,
    as_of: AsOf,
) -> Result<Vec<TrialBalanceRow>, BalanceError> {
    check(conn, as_of).await?;
    let books = ids(books);
    let rows = sqlx::query!(
        r#"
        with moved as (
            select case when $4 then d.book_id end as book_id, a.code, a.kind, a.currency,
                   sum(d.debits) as debits, sum(d.credits) as credits
            from ledger.account_day d
            join ledger.account a on a.id = d.account_id and coalesce(a.book_id = d.book_id, false)
            where not a.memo and ($1::date is null or d.day <= $1)
              and ($3::bigint[] is null or d.book_id = any ($3))
            group by 1, 2, 3, 4
            union all
            -- less what was not yet known at the checkpoint
            select case when $4 then e.book_id end, a.code, a.kind, a.currency,
                   -sum(greatest(g.amount, 0)), -sum(greatest(-g.amount, 0))
            from ledger.book b
            left join ledger.checkpoint_book k on k.book_id = b.id and k.checkpoint_id = $2
            join ledger.entry e on e.book_id = b.id and e.number > coalesce(k.number, 0)
            cross join lateral unnest(e.accounts, e.amounts) as g (account_id, amount)
            join ledger.account a on a.book_id = e.book_id and a.id = g.account_id
            where not a.memo and $2::uuid is not null and ($1::date is null or e.effective_on <= $1)
              and ($3::bigint[] is null or e.book_id = any ($3))
            group by 1, 2, 3, 4
        )
        select b.name collate "C" as "book?", m.code as "code!", m.kind as "kind!",
               m.currency as "currency!", sum(m.debits)::bigint as "debits!",
               sum(m.credits)::bigint as "credits!"
        from moved m
        left join ledger.book b on b.id = m.book_id
        group by b.name, m.code, m.kind, m.currency
        having sum(m.debits) <> 0 or sum(m.credits) <> 0
        order by 1 nulls first, m.currency, m.code collate "C"
        "#,
        as_of.effective,
        as_of.checkpoint,
        books.as_deref(),
        grouping == Grouping::PerBook,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(TrialBalanceRow {
                book: row.book,
                kind: kind(&row.kind)?,
                code: row.code,
                sums: sums(&row.currency, row.debits, row.credits)?,
            })
        })
        .collect()
}

/// What an account did between two days, oldest first, at most `limit` lines.
///
/// The next page starts `after` the [`place`](StatementLine::place) of the last line of this one.
/// Growth: linear in `limit`, in the account's days before it, and in its lines on the first and
/// the last day; never in its lines before them.
pub async fn statement(
    conn: &mut PgConnection,
    account: (BookId, AccountId),
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    after: Option<(NaiveDate, i64)>,
    limit: i64,
) -> Result<Vec<StatementLine>, BalanceError> {
    // Numbers start at one, so this lies before the first line of the day.
    let start = after.max(from.map(|day| (day, 0)));
    let rows = sqlx::query!(
        r#"
        with page as (
            select l.number, l.effective_on, l.amount
            from ledger.line l
            where l.book_id = $1 and l.account_id = $2
              and (l.effective_on, l.number) > (coalesce($3, date '-infinity'), $4::bigint)
              and l.effective_on <= coalesce($5, date 'infinity')
            order by l.effective_on, l.number
            limit $6
        ), before as (
            select coalesce((select sum(d.debits - d.credits) from ledger.account_day d
                             where d.book_id = $1 and d.account_id = $2 and d.day < $3), 0)
                 + coalesce((select sum(l.amount) from ledger.line l
                             where l.book_id = $1 and l.account_id = $2
                               and l.effective_on = $3 and l.number <= $4), 0) as balance
        )
        select p.number, e.id, p.effective_on, e.kind, e.description, p.amount, e.currency,
               (sum(p.amount) over (order by p.effective_on, p.number) + b.balance)::bigint
                   as "running!"
        from page p
        cross join before b
        join ledger.entry e on e.book_id = $1 and e.number = p.number
        order by p.effective_on, p.number
        "#,
        account.0.value(),
        account.1.value(),
        start.map(|(day, _)| day),
        start.map_or(0, |(_, number)| number),
        to,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let currency: Currency = row.currency.parse()?;
            Ok(StatementLine {
                number: row.number,
                entry: row.id,
                effective: row.effective_on,
                kind: row.kind,
                description: row.description,
                amount: Money::try_from_minor(row.amount, currency)?,
                running: Money::try_from_minor(row.running, currency)?,
            })
        })
        .collect()
}

/// A checkpoint that does not exist would silently mean: nothing known yet.
async fn check(conn: &mut PgConnection, as_of: AsOf) -> Result<(), BalanceError> {
    let Some(id) = as_of.checkpoint else {
        return Ok(());
    };
    let found = sqlx::query_scalar!(
        r#"select exists (select from ledger.checkpoint where id = $1) as "found!""#,
        id,
    )
    .fetch_one(conn)
    .await?;
    if found {
        Ok(())
    } else {
        Err(BalanceError::UnknownCheckpoint(id))
    }
}

fn ids(books: Option<&[BookId]>) -> Option<Vec<i64>> {
    books.map(|books| books.iter().map(|book| book.value()).collect())
}

fn kind(name: &str) -> Result<AccountKind, BalanceError> {
    AccountKind::named(name).ok_or_else(|| BalanceError::Kind(name.to_owned()))
}

fn sums(currency: &str, debits: i64, credits: i64) -> Result<Sums, MoneyError> {
    let currency: Currency = currency.parse()?;
    Ok(Sums {
        debits: Money::try_from_minor(debits, currency)?,
        credits: Money::try_from_minor(credits, currency)?,
    })
}
