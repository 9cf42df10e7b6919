//! Closed months: in order, and stating what the entries give.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::VerifyError;
use super::accounts::Books;
use super::copy::{Rows, fields, text};
use super::findings::Findings;

const CLOSE: &str = "ledger.period_close";
const BALANCE: &str = "ledger.period_balance";

/// Months close one after the other, versions count up, the hash is that of the stored rows.
/// Returns how many closings there are.
pub(super) async fn closes(
    conn: &mut PgConnection,
    entries: u64,
    findings: &mut Findings,
) -> Result<u64, VerifyError> {
    let mut hashes = stated_hashes(conn).await?;
    let rows = sqlx::query!(
        r#"
        select coalesce(month::text, '') as "month!", coalesce(version, 0) as "version!",
               coalesce(entries, -1) as "entries!",
               coalesce(trial_balance_hash, '') as "trial_balance_hash!",
               reopened_at is null as "closed!",
               coalesce(version = coalesce(lag(version) over same, 0) + 1
                        and coalesce(lag(reopened_at is not null) over same, true),
                        false) as "in_turn!",
               -- Those that stand follow each other, and none of the others lies before them.
               case when reopened_at is null
                    then coalesce(month = lag(last_day + 1) over standing,
                                  lag(month) over standing is null)
                    else bool_or(reopened_at is null) over month_of
                         or coalesce(month > max(month) filter (where reopened_at is null) over (),
                                     true)
               end as "in_order!",
               coalesce(extract(day from last_day + 1) = 1, false) as "is_month!"
        from (select *, case when month between '0001-01-01' and '9999-12-01'
                             then (month + interval '1 month - 1 day')::date end as last_day
              from ledger.period_close) c
        window same as (partition by month order by version),
               month_of as (partition by month),
               standing as (partition by reopened_at is null order by month, version)
        order by month, version
        "#
    )
    .fetch_all(conn)
    .await?;
    let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    for row in rows {
        let close = format!("month {}, version {}", row.month, row.version);
        let mut wrong = |problem: &str| findings.about(CLOSE, None, format!("{close}: {problem}"));
        if !row.is_month {
            wrong("this is not the first day of a month");
        }
        if !row.in_turn {
            wrong("the version before it is missing or was never reopened");
        }
        if !row.in_order {
            wrong("the month before it was not closed");
        }
        if u64::try_from(row.entries).map_or(true, |stated| stated > entries) {
            wrong("it counts more entries than there are");
        }
        let stored = hashes.remove(&(row.month, row.version.to_string()));
        let stored = stored.unwrap_or_default().finalize();
        if row.trial_balance_hash.as_slice() != stored.as_slice() {
            wrong("its hash is not that of the stored trial balance; one of them was changed");
        }
    }
    for (month, version) in hashes.keys() {
        let problem = format!("month {month}, version {version} has figures but no closing");
        findings.about(BALANCE, None, problem);
    }
    Ok(count)
}

/// The hash of each stored trial balance, as `ledger.trial_balance_hash` makes it.
async fn stated_hashes(
    conn: &mut PgConnection,
) -> Result<BTreeMap<(String, String), Sha256>, VerifyError> {
    let mut rows = Rows::of(
        conn,
        r#"copy (select month::text, version::text,
                        concat_ws(' ', book_id, code, currency, memo, debits, credits)
                 from ledger.period_balance
                 order by month, version, book_id, code collate "C", currency collate "C")
           to stdout (format binary)"#,
    )
    .await?;
    let mut hashes: BTreeMap<(String, String), Sha256> = BTreeMap::new();
    while let Some(bytes) = rows.next().await? {
        let [month, version, line] = fields::<3>(&bytes)?;
        let key = [month, version].map(|field| text(field).unwrap_or_default().to_owned());
        let line = line.unwrap_or_default();
        match hashes.entry(key.into()) {
            std::collections::btree_map::Entry::Vacant(first) => {
                first.insert(Sha256::new().chain_update(line));
            }
            std::collections::btree_map::Entry::Occupied(mut more) => {
                more.get_mut().update("\n");
                more.get_mut().update(line);
            }
        }
    }
    Ok(hashes)
}

/// A month that is still closed states what its entries and those before it give today. The day
/// sums stand for the entries, except in the `unsound` books, where they were found to differ.
pub(super) async fn balances(
    conn: &mut PgConnection,
    books: &Books,
    unsound: &[i64],
    findings: &mut Findings,
) -> Result<(), VerifyError> {
    let rows = sqlx::query!(
        r#"
        with closed as (
            select month, version,
                   case when month between '0001-01-01' and '9999-12-01'
                        then (month + interval '1 month - 1 day')::date end as last_day
            from ledger.period_close where reopened_at is null
        ), moved as (
            select d.book_id, d.account_id,
                   case when d.day between '0001-01-01' and '9999-12-31'
                        then date_trunc('month', d.day)::date end as month,
                   sum(d.debits) as debits, sum(d.credits) as credits
            from ledger.account_day d
            where d.book_id <> all ($1)
            group by 1, 2, 3
            union all
            select e.book_id, g.account_id,
                   case when e.effective_on between '0001-01-01' and '9999-12-31'
                        then date_trunc('month', e.effective_on)::date end,
                   coalesce(sum(g.amount) filter (where g.amount > 0), 0),
                   coalesce(-sum(g.amount) filter (where g.amount < 0), 0)
            from ledger.entry e
            cross join lateral unnest(e.accounts, e.amounts) g (account_id, amount)
            where e.book_id = any ($1)
            group by 1, 2, 3
        ), by_code as materialized (
            select m.book_id, a.code, a.currency, a.memo, m.month, sum(m.debits) as debits,
                   sum(m.credits) as credits
            from moved m
            join ledger.account a on a.book_id = m.book_id and a.id = m.account_id
            group by 1, 2, 3, 4, 5
        ), actual as (
            select c.month, c.version, b.book_id, b.code, b.currency,
                   concat_ws(' ', case when b.memo then 'memorandum' end,
                             'debits', sum(b.debits), 'credits', sum(b.credits)) as sums
            from closed c join by_code b on b.month <= c.last_day
            group by c.month, c.version, b.book_id, b.code, b.currency, b.memo
        ), stated as (
            select p.month, p.version, p.book_id, p.code, p.currency,
                   concat_ws(' ', case when p.memo then 'memorandum' end,
                             'debits', p.debits, 'credits', p.credits) as sums
            from ledger.period_balance p join closed c using (month, version)
        )
        select coalesce(book_id, 0) as "book!", coalesce(month::text, '') as "month!",
               coalesce(code, '') as "code!", coalesce(currency, '') as "currency!",
               coalesce(s.sums, 'nothing') as "stated!", coalesce(a.sums, 'nothing') as "actual!"
        from stated s full join actual a using (month, version, book_id, code, currency)
        where s.sums is distinct from a.sums
        order by book_id, month, code, currency
        limit 1000
        "#,
        unsound,
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let problem = format!(
            "month {} was closed stating {} for account {} {}, the entries give {}",
            row.month, row.stated, row.code, row.currency, row.actual
        );
        findings.about(BALANCE, Some(&books.name(row.book)), problem);
    }
    Ok(())
}
