//! Control accounts against conversions: the books and the conversions must tell the same story.
//!
//! The ledger knows no conversion and a conversion row holds no balance, so each can be checked by
//! the other: what stands on an account must be the sum of what the conversion rows say, per book,
//! currency and publisher. `counterfoil verify` reports differences, and the close blocks on them.
//!
//! What it never does: correct anything. A difference is a fault to be explained and then corrected
//! by an entry or a change.
//!
//! # Adding a fact
//!
//! A posting that moves one of these accounts for another reason (an invoice, a payment) adds a row
//! to the `values` of `expected`, or a further `union all`.

use ledger::{BookId, Currency, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::chart::Code;
use crate::columns::column;

/// An account that does not hold what the conversions say.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// The book's name.
    pub book: String,
    /// Number in the chart of accounts.
    pub code: String,
    /// Whose account it is, if it belongs to a publisher.
    pub publisher: Option<Uuid>,
    /// What the conversions add up to, on the account's normal side.
    pub expected: Money,
    /// What the account holds, on its normal side.
    pub found: Money,
    /// The book, for asking further.
    #[serde(skip)]
    pub id: BookId,
}

/// The books could not be compared with the conversions.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A stored value is not money.
    #[error(
        "inconsistency in a control account of book {book}: {problem}; run `counterfoil verify`"
    )]
    Inconsistent {
        /// The book.
        book: String,
        /// What cannot be read.
        problem: String,
    },
    /// Postgres failed.
    #[error("control accounts could not be compared with the conversions")]
    Database(#[from] sqlx::Error),
}

/// Every control account that does not hold what the conversions say; none is as it should be.
///
/// One statement, so one moment. Growth: linear in conversions and in accounts and days.
pub async fn differences(conn: &mut PgConnection) -> Result<Vec<Difference>, ReconcileError> {
    let query = sqlx::query!(
        r#"
        with conversion as (
            select c.book_id, c.id, c.currency, c.publisher_id, c.credit_version, c.gross,
                   c.brand_due, c.publisher_due, c.fee_brand, c.fee_publisher,
                   c.state = 'on_hold' as held,
                   c.state = 'approved' or coalesce(c.held_from, '') = 'approved' as earned,
                   t.recognition_point = 'conversion' as at_conversion,
                   t.presentation = 'principal' and c.publisher_id is not null as principal
            from settlement.conversion c
            join settlement.program_terms t on t.book_id = c.book_id
                 and t.program_id = c.program_id and t.version = c.terms_version
            where c.state in ('pending', 'on_hold', 'approved')
        ), expected as (
            select c.book_id, c.currency, v.code, null::uuid as publisher_id,
                   sum(v.amount) as amount
            from conversion c
            cross join lateral (values
                ('1110', c.brand_due, c.earned or c.at_conversion),
                ('2300', c.fee_brand + c.fee_publisher, not c.earned and c.at_conversion),
                ('4000', c.fee_publisher,
                    c.earned and not c.principal and c.publisher_id is not null),
                ('4010', c.fee_brand, c.earned and not c.principal),
                ('4020', c.gross, c.earned and c.publisher_id is null),
                ('4100', c.brand_due, c.earned and c.principal),
                ('5000', c.publisher_due, c.earned and c.principal),
                ('9100', c.brand_due, not c.earned and not c.at_conversion),
                ('9300', c.fee_brand + c.fee_publisher, not c.earned and not c.at_conversion)
            ) as v (code, amount, counts)
            where v.counts and v.amount <> 0
            group by c.book_id, c.currency, v.code
            union all
            -- What publishers earn: one has all of it, or each its credits.
            select c.book_id, c.currency, v.code, coalesce(k.publisher_id, c.publisher_id),
                   sum(coalesce(k.publisher_due, c.publisher_due))
            from conversion c
            left join settlement.credit k on k.book_id = c.book_id and k.conversion_id = c.id
                 and k.version = c.credit_version
            cross join lateral (values
                ('2000', c.earned and not c.held),
                ('2005', not c.earned and c.at_conversion and not c.held),
                ('2030', c.held and (c.earned or c.at_conversion)),
                ('9200', not c.earned and not c.at_conversion and not c.held),
                ('9210', not c.earned and not c.at_conversion and c.held)
            ) as v (code, counts)
            where v.counts and coalesce(k.publisher_due, c.publisher_due) <> 0
            group by c.book_id, c.currency, v.code, coalesce(k.publisher_id, c.publisher_id)
        ), found as (
            select a.book_id, a.currency, a.code,
                   (a.dimensions ->> 'publisher')::uuid as publisher_id,
                   sum(case when a.kind in ('asset', 'expense') then d.debits - d.credits
                            else d.credits - d.debits end) as amount
            from ledger.account a
            join ledger.account_day d on d.book_id = a.book_id and d.account_id = a.id
            where a.code = any ($1)
            group by 1, 2, 3, 4
        )
        select coalesce(e.book_id, f.book_id) as "book_id!", b.name as "book!",
               coalesce(e.code, f.code) as "code!", coalesce(e.currency, f.currency) as "currency!",
               coalesce(e.publisher_id, f.publisher_id) as publisher_id,
               coalesce(e.amount, 0)::bigint as "expected!",
               coalesce(f.amount, 0)::bigint as "found!"
        from expected e
        full join found f
            on f.book_id = e.book_id and f.currency = e.currency and f.code = e.code
            and coalesce(f.publisher_id::text, '') = coalesce(e.publisher_id::text, '')
        join ledger.book b on b.id = coalesce(e.book_id, f.book_id)
        where coalesce(e.amount, 0) <> coalesce(f.amount, 0)
        order by b.name, 3, 4, 5
        "#,
        &column(&CONTROLLED, |code| code.number().to_owned()),
    );
    let rows = query.fetch_all(conn).await?;
    rows.into_iter()
        .map(|row| {
            let wrong = |problem: ledger::MoneyError| ReconcileError::Inconsistent {
                book: row.book.clone(),
                problem: problem.to_string(),
            };
            let currency: Currency = row.currency.parse().map_err(wrong)?;
            Ok(Difference {
                expected: Money::try_from_minor(row.expected, currency).map_err(wrong)?,
                found: Money::try_from_minor(row.found, currency).map_err(wrong)?,
                id: BookId::from_value(row.book_id),
                code: row.code,
                publisher: row.publisher_id,
                book: row.book,
            })
        })
        .collect()
}

/// The accounts that only conversions move.
const CONTROLLED: [Code; 14] = [
    Code::UnbilledReceivable,
    Code::UnfundedPayable,
    Code::PendingPayable,
    Code::HeldPayable,
    Code::ConstrainedFee,
    Code::PublisherFee,
    Code::BrandFee,
    Code::HouseIncome,
    Code::GrossCommission,
    Code::PublisherCost,
    Code::ExpectedBrandDue,
    Code::ExpectedPublisherDue,
    Code::ExpectedHeld,
    Code::ExpectedFee,
];
