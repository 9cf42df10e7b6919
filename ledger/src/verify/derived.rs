//! `ledger.line` and `ledger.account_day`: exactly the entries' legs, and exactly their sums.
//!
//! Both are read in any order and held against the entries by one small sum per book
//! (see [`super::digest`]); only a book that differs is asked what differs.

use sqlx::PgConnection;

use super::VerifyError;
use super::accounts::Books;
use super::copy::{Rows, fields, int4, int8};
use super::digest::{DaySum, Difference, Digests, Moved};
use super::findings::Findings;

const LINE: &str = "ledger.line";
const DAY: &str = "ledger.account_day";

/// Proves both; returns how many day sums there are, and the books whose day sums do not hold.
pub(super) async fn derived(
    conn: &mut PgConnection,
    books: &Books,
    mut digests: Digests,
    findings: &mut Findings,
) -> Result<(u64, Vec<i64>), VerifyError> {
    lines(conn, &mut digests, findings).await?;
    let days = days(conn, &mut digests, findings).await?;
    let mut unsound = Vec::new();
    for (&book, difference) in digests.books() {
        let name = books.name(book);
        if difference.lines_differ() {
            differing_lines(conn, (book, &name), findings).await?;
        }
        if difference.days_differ() {
            unsound.push(book);
            differing_days(conn, (book, &name), findings).await?;
        }
    }
    Ok((days, unsound))
}

async fn lines(
    conn: &mut PgConnection,
    digests: &mut Digests,
    findings: &mut Findings,
) -> Result<(), VerifyError> {
    let mut rows = Rows::of(
        conn,
        "copy (select book_id, account_id, number, amount, effective_on
               from ledger.line) to stdout (format binary)",
    )
    .await?;
    let mut current = Current::default();
    while let Some(bytes) = rows.next().await? {
        let [book, account, number, amount, day] = fields::<5>(&bytes)?;
        let line = (|| {
            Some(Moved {
                account: int8(account)?,
                number: int8(number)?,
                amount: int8(amount)?,
                day: int4(day)?,
            })
        })();
        match (int8(book), line) {
            (Some(book), Some(line)) => {
                let difference = current.of(book, digests);
                digests.line(difference, &line);
            }
            _ => findings.about(LINE, None, "a line has an empty column"),
        }
    }
    current.leave(digests);
    Ok(())
}

async fn days(
    conn: &mut PgConnection,
    digests: &mut Digests,
    findings: &mut Findings,
) -> Result<u64, VerifyError> {
    let mut rows = Rows::of(
        conn,
        "copy (select book_id, account_id, day, debits, credits, lines
               from ledger.account_day) to stdout (format binary)",
    )
    .await?;
    let mut current = Current::default();
    let mut count = 0;
    while let Some(bytes) = rows.next().await? {
        let [book, account, day, debits, credits, lines] = fields::<6>(&bytes)?;
        let sum = (|| {
            Some(DaySum {
                account: int8(account)?,
                day: int4(day)?,
                debits: int8(debits)?,
                credits: int8(credits)?,
                lines: int4(lines)?,
            })
        })();
        match (int8(book), sum) {
            (Some(book), Some(sum)) => {
                let difference = current.of(book, digests);
                digests.day(difference, &sum);
            }
            _ => findings.about(DAY, None, "a day sum has an empty column"),
        }
        count += 1;
    }
    current.leave(digests);
    Ok(count)
}

/// The difference of the book whose rows are being read, fetched and put back only on a change.
#[derive(Default)]
struct Current(Option<(i64, Difference)>);

impl Current {
    fn of(&mut self, book: i64, digests: &mut Digests) -> &mut Difference {
        if self.0.is_none_or(|(current, _)| current != book) {
            self.leave(digests);
        }
        &mut self
            .0
            .get_or_insert_with(|| (book, digests.of_book(book)))
            .1
    }

    fn leave(&mut self, digests: &mut Digests) {
        if let Some((book, difference)) = self.0.take() {
            digests.set(book, difference);
        }
    }
}

async fn differing_lines(
    conn: &mut PgConnection,
    (book, name): (i64, &str),
    findings: &mut Findings,
) -> Result<(), VerifyError> {
    let rows = sqlx::query!(
        r#"
        with leg as (
            select e.number, g.account_id, string_agg(g.amount || ' on ' || e.effective_on, ', '
                                                      order by g.amount, e.effective_on) as moved
            from ledger.entry e
            cross join lateral unnest(e.accounts, e.amounts) g (account_id, amount)
            where e.book_id = $1
            group by e.number, g.account_id
        ), line as (
            select l.number, l.account_id, string_agg(l.amount || ' on ' || l.effective_on, ', '
                                                      order by l.amount, l.effective_on) as moved
            from ledger.line l
            where l.book_id = $1
            group by l.number, l.account_id
        )
        select coalesce(leg.number, line.number) as number,
               (select e.id from ledger.entry e
                where e.book_id = $1 and e.number = coalesce(leg.number, line.number)
                limit 1) as entry,
               coalesce((select a.code from ledger.account a
                         where a.book_id = $1 and a.id = coalesce(leg.account_id, line.account_id)
                         limit 1), '#' || coalesce(leg.account_id, line.account_id)) as account,
               leg.moved as legs, line.moved as lines
        from leg full join line on line.number = leg.number and line.account_id = leg.account_id
        where leg.moved is distinct from line.moved
        order by 1, 3
        limit 1000
        "#,
        book,
    )
    .fetch_all(conn)
    .await?;
    if rows.is_empty() {
        findings.about(
            LINE,
            Some(name),
            "its lines are not the legs of its entries",
        );
    }
    for row in rows {
        let account = row.account.unwrap_or_default();
        let problem = match (row.legs, row.lines) {
            (Some(legs), None) => format!("its line of account {account} is missing: {legs}"),
            (None, Some(lines)) => {
                format!("it has no leg for the line of account {account}: {lines}")
            }
            (legs, lines) => format!(
                "its line of account {account} says {}, the entry says {}",
                lines.unwrap_or_default(),
                legs.unwrap_or_default()
            ),
        };
        findings.entry(
            LINE,
            name,
            (row.number.unwrap_or_default(), row.entry),
            problem,
        );
    }
    Ok(())
}

async fn differing_days(
    conn: &mut PgConnection,
    (book, name): (i64, &str),
    findings: &mut Findings,
) -> Result<(), VerifyError> {
    let rows = sqlx::query!(
        r#"
        with moved as (
            select g.account_id, e.effective_on as day,
                   'debits ' || coalesce(sum(g.amount) filter (where g.amount > 0), 0)
                   || ', credits ' || coalesce(-sum(g.amount) filter (where g.amount < 0), 0)
                   || ', lines ' || count(*) as sums
            from ledger.entry e
            cross join lateral unnest(e.accounts, e.amounts) g (account_id, amount)
            where e.book_id = $1
            group by g.account_id, e.effective_on
        ), stored as (
            select d.account_id, d.day,
                   string_agg('debits ' || d.debits || ', credits ' || d.credits
                              || ', lines ' || d.lines, '; ') as sums
            from ledger.account_day d
            where d.book_id = $1
            group by d.account_id, d.day
        )
        select coalesce((select a.code || ' ' || a.currency || ' ' || a.dimensions::text
                         from ledger.account a
                         where a.book_id = $1
                           and a.id = coalesce(moved.account_id, stored.account_id)
                         limit 1), '#' || coalesce(moved.account_id, stored.account_id)) as account,
               coalesce(moved.day, stored.day)::text as day,
               coalesce(moved.sums, 'nothing moved') as "moved!",
               coalesce(stored.sums, 'nothing') as "stored!"
        from moved full join stored
             on stored.account_id = moved.account_id and stored.day = moved.day
        where moved.sums is distinct from stored.sums
        order by coalesce(moved.day, stored.day), 1
        limit 1000
        "#,
        book,
    )
    .fetch_all(conn)
    .await?;
    if rows.is_empty() {
        findings.about(
            DAY,
            Some(name),
            "its day sums are not the sums of its entries",
        );
    }
    for row in rows {
        let (account, day) = (row.account.unwrap_or_default(), row.day.unwrap_or_default());
        let problem = format!(
            "account {account} on {day} states {}, the entries say {}",
            row.stored, row.moved
        );
        findings.about(DAY, Some(name), problem);
    }
    Ok(())
}
