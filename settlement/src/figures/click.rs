//! What one click led to: nothing of it is stored with the click, which never changes.

use chrono::{DateTime, Utc};
use ledger::{BookId, Money};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{FiguresError, money};

/// A click and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickOutcome {
    /// The click.
    pub id: Uuid,
    /// What its visitor carried, if that is not the id.
    pub tracking_id: Option<String>,
    /// The brand it led to.
    pub book: BookId,
    /// Who sent the visitor.
    pub publisher: Uuid,
    /// When, UTC.
    pub clicked_at: DateTime<Utc>,
    /// Why it can earn nobody anything.
    pub reason: Option<String>,
    /// The conversions it earned, by state and currency: how many, worth how much, earning how
    /// much gross commission.
    pub conversions: Vec<Converted>,
    /// When the first was ordered, UTC.
    pub converted_at: Option<DateTime<Utc>>,
    /// When the latest was, UTC.
    pub last_converted_at: Option<DateTime<Utc>>,
}

/// Conversions of a click in one state and currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The state.
    pub state: String,
    /// How many.
    pub count: i64,
    /// What the orders are worth.
    pub value: Money,
    /// Gross commission.
    pub commission: Money,
}

/// What a click led to, by its id or tracking id; `None` if there is no such click.
pub async fn outcome(
    conn: &mut PgConnection,
    click: Uuid,
) -> Result<Option<ClickOutcome>, FiguresError> {
    let Some(head) = sqlx::query!(
        r#"
        select book_id, id, tracking_id, publisher_id, clicked_at, reason from settlement.click
        where id = $1
        "#,
        click,
    )
    .fetch_optional(&mut *conn)
    .await?
    else {
        return Ok(None);
    };
    let rows = sqlx::query!(
        r#"
        select state, currency, count(*) as "count!", sum(order_amount)::bigint as "value!",
               sum(gross)::bigint as "gross!", min(occurred_at) as "first!",
               max(occurred_at) as "last!"
        from settlement.conversion where book_id = $1 and click_id = $2
        group by state, currency order by state, currency
        "#,
        head.book_id,
        click,
    )
    .fetch_all(conn)
    .await?;
    let converted_at = rows.iter().map(|row| row.first).min();
    let last_converted_at = rows.iter().map(|row| row.last).max();
    let conversions = rows.into_iter().map(|row| {
        Ok(Converted {
            value: money(&click, row.value, &row.currency)?,
            commission: money(&click, row.gross, &row.currency)?,
            state: row.state,
            count: row.count,
        })
    });
    Ok(Some(ClickOutcome {
        id: head.id,
        tracking_id: head.tracking_id,
        book: BookId::from_value(head.book_id),
        publisher: head.publisher_id,
        clicked_at: head.clicked_at,
        reason: head.reason,
        conversions: conversions.collect::<Result<_, FiguresError>>()?,
        converted_at,
        last_converted_at,
    }))
}
