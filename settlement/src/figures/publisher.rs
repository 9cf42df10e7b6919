//! One publisher's clicks, conversions and earnings, whole or by its own marks.

use std::collections::BTreeMap;

use ledger::{Currency, Money, MoneyError};
use rust_decimal::{Decimal, RoundingStrategy};
use sqlx::PgConnection;

use super::period::Since;
use super::{FiguresError, Whose, books, money};
use crate::chart::{self, Code};
use crate::columns::column;

/// Clicks and what came of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// Clicks that count.
    pub clicks: i64,
    /// Browsers' sessions among them; a click without one counts as its own.
    pub unique_clicks: i64,
    /// Clicks that were kept and do not count.
    pub disqualified: i64,
    /// Conversions by state.
    pub conversions: Conversions,
    /// What was earned, by currency.
    pub earned: Vec<Earned>,
}

/// How many conversions are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conversions {
    /// Waiting for a decision.
    pub pending: i64,
    /// On hold.
    pub on_hold: i64,
    /// Approved.
    pub approved: i64,
    /// Rejected.
    pub rejected: i64,
    /// Taken back.
    pub reversed: i64,
}

impl Conversions {
    /// Those in force: neither rejected nor taken back.
    #[must_use]
    pub fn in_force(&self) -> i64 {
        self.pending + self.on_hold + self.approved
    }

    fn add(&mut self, state: &str, count: i64) {
        match state {
            "pending" => self.pending += count,
            "on_hold" => self.on_hold += count,
            "approved" => self.approved += count,
            "rejected" => self.rejected += count,
            "reversed" => self.reversed += count,
            // Nobody earns an unattributed one.
            _ => {}
        }
    }
}

/// What was earned in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earned {
    /// What the orders in force are worth, refunds taken off.
    pub order_value: Money,
    /// Orders in force.
    pub orders: i64,
    /// Expected, not decided yet.
    pub pending: Money,
    /// Expected or earned, on hold.
    pub on_hold: Money,
    /// Earned, whether paid out already or not.
    pub approved: Money,
}

impl Earned {
    fn nothing(currency: Currency) -> Earned {
        let zero = Money::zero(currency);
        Earned {
            order_value: zero,
            orders: 0,
            pending: zero,
            on_hold: zero,
            approved: zero,
        }
    }

    /// Pending, on hold and approved together.
    pub fn total(&self) -> Result<Money, MoneyError> {
        self.pending
            .checked_add(self.on_hold)?
            .checked_add(self.approved)
    }

    /// Average order value, rounded to the currency's places.
    #[must_use]
    pub fn average_order(&self) -> Option<Decimal> {
        per(
            self.order_value.amount(),
            self.orders,
            self.order_value.currency().scale(),
        )
    }

    /// Earnings per click, at four places: clicks earn fractions of a cent.
    #[must_use]
    pub fn per_click(&self, clicks: i64) -> Option<Decimal> {
        let total = self.total().ok()?;
        per(total.amount(), clicks, 4)
    }
}

impl Figures {
    /// Conversions in force per click that counts, at four places; none without clicks.
    #[must_use]
    pub fn conversion_rate(&self) -> Option<Decimal> {
        per(self.conversions.in_force().into(), self.clicks, 4)
    }
}

fn per(whole: Decimal, parts: i64, places: u32) -> Option<Decimal> {
    let each = whole.checked_div(parts.into())?;
    let mut each = each.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero);
    each.rescale(places);
    Some(each)
}

/// A publisher's figures since a moment, by one of its marks: `sub1` is the first.
///
/// The mark of a conversion is its click's; what has none stands under the empty text. Four
/// statements; linear in the publisher's clicks, conversions and lines of the period.
pub async fn by_sub(
    conn: &mut PgConnection,
    whose: Whose,
    since: Since,
    sub: SubMark,
) -> Result<BTreeMap<String, Figures>, FiguresError> {
    let mut figures: BTreeMap<String, Figures> = BTreeMap::new();
    clicks(conn, whose, since, sub, &mut figures).await?;
    conversions(conn, whose, since, sub, &mut figures).await?;
    earnings(conn, whose, since, sub, &mut figures).await?;
    Ok(figures)
}

/// A publisher's figures since a moment; see [`by_sub`].
pub async fn whole(
    conn: &mut PgConnection,
    whose: Whose,
    since: Since,
) -> Result<Figures, FiguresError> {
    let mut all = by_sub(conn, whose, since, SubMark::None).await?;
    Ok(all.remove("").unwrap_or_default())
}

/// Which of a publisher's marks figures are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubMark {
    /// None: all in one.
    None,
    /// `sub1` to `sub5`, as 1 to 5.
    Numbered(u8),
}

impl SubMark {
    fn number(self) -> i32 {
        match self {
            SubMark::None => 0,
            SubMark::Numbered(number) => number.into(),
        }
    }
}

async fn clicks(
    conn: &mut PgConnection,
    whose: Whose,
    since: Since,
    sub: SubMark,
    figures: &mut BTreeMap<String, Figures>,
) -> Result<(), FiguresError> {
    let rows = sqlx::query!(
        r#"
        select coalesce((array[k.sub1, k.sub2, k.sub3, k.sub4, k.sub5])[$4::int], '') as "mark!",
               count(*) filter (where k.reason is null and k.duplicate_of is null) as "clicks!",
               count(distinct coalesce(k.session, k.id::text))
                   filter (where k.reason is null) as "unique!",
               count(*) filter (where k.reason is not null) as "disqualified!"
        from settlement.enrolment e
        join settlement.click k on k.book_id = e.book_id and k.program_id = e.program_id
             and k.publisher_id = e.publisher_id and k.clicked_at >= $3
        where e.publisher_id = $1 and ($2::bigint is null or e.book_id = $2)
        group by 1
        "#,
        whose.publisher,
        whose.book.map(ledger::BookId::value),
        since.at,
        sub.number(),
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let figures = figures.entry(row.mark).or_default();
        figures.clicks = row.clicks;
        figures.unique_clicks = row.unique;
        figures.disqualified = row.disqualified;
    }
    Ok(())
}

async fn conversions(
    conn: &mut PgConnection,
    whose: Whose,
    since: Since,
    sub: SubMark,
    figures: &mut BTreeMap<String, Figures>,
) -> Result<(), FiguresError> {
    let rows = sqlx::query!(
        r#"
        with mine as (
            select g.book_id, g.conversion_id, sum(g.publisher_due)::bigint as due
            from settlement.enrolment e
            join settlement.earning g on g.book_id = e.book_id and g.program_id = e.program_id
                 and g.publisher_id = e.publisher_id
            where e.publisher_id = $1 and ($2::bigint is null or e.book_id = $2)
            group by g.book_id, g.conversion_id
        )
        select coalesce((array[k.sub1, k.sub2, k.sub3, k.sub4, k.sub5])[$4::int], '') as "mark!",
               c.state, c.currency, count(*) as "count!",
               sum(c.order_amount - c.refunded)::bigint as "value!"
        from mine m
        join settlement.conversion c on c.book_id = m.book_id and c.id = m.conversion_id
             and c.occurred_at >= $3
        left join settlement.click k on k.book_id = c.book_id and k.id = c.click_id
        group by 1, 2, 3
        order by 1, 3, 2
        "#,
        whose.publisher,
        whose.book.map(ledger::BookId::value),
        since.at,
        sub.number(),
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let figures = figures.entry(row.mark).or_default();
        figures.conversions.add(&row.state, row.count);
        if matches!(row.state.as_str(), "pending" | "on_hold" | "approved") {
            let value = money(&whose.publisher, row.value, &row.currency)?;
            let earned = figures.in_currency(value.currency());
            earned.orders += row.count;
            earned.order_value =
                earned
                    .order_value
                    .checked_add(value)
                    .map_err(|e| FiguresError::Inconsistent {
                        whose: whose.publisher.to_string(),
                        problem: e.to_string(),
                    })?;
        }
    }
    Ok(())
}

impl Figures {
    fn in_currency(&mut self, currency: Currency) -> &mut Earned {
        let known = self
            .earned
            .iter()
            .position(|it| it.order_value.currency() == currency);
        let at = known.unwrap_or_else(|| {
            self.earned.push(Earned::nothing(currency));
            self.earned.len() - 1
        });
        &mut self.earned[at]
    }
}

/// On which accounts stands what a publisher expects, has on hold, and has earned.
const STANDS_ON: [(Code, Stands); 6] = [
    (Code::ExpectedPublisherDue, Stands::Pending),
    (Code::PendingPayable, Stands::Pending),
    (Code::ExpectedHeld, Stands::OnHold),
    (Code::HeldPayable, Stands::OnHold),
    (Code::UnfundedPayable, Stands::Approved),
    (Code::AvailablePayable, Stands::Approved),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Pending,
    OnHold,
    Approved,
}

impl Stands {
    fn as_str(self) -> &'static str {
        match self {
            Stands::Pending => "pending",
            Stands::OnHold => "on_hold",
            Stands::Approved => "approved",
        }
    }
}

/// What stands on the publisher's accounts for conversions of the period: the lines of entries that
/// name one as their cause.
async fn earnings(
    conn: &mut PgConnection,
    whose: Whose,
    since: Since,
    sub: SubMark,
    figures: &mut BTreeMap<String, Figures>,
) -> Result<(), FiguresError> {
    let mut accounts = Vec::new();
    for (book, currency) in books(conn, whose).await? {
        for (code, stands) in STANDS_ON {
            let account = chart::account(book, code, currency, Some(whose.publisher));
            accounts.push((account, stands));
        }
    }
    let rows = sqlx::query!(
        r#"
        select coalesce((array[k.sub1, k.sub2, k.sub3, k.sub4, k.sub5])[$7::int], '') as "mark!",
               a.currency as "currency!", a.stands as "stands!", (-sum(l.amount))::bigint as "sum!"
        from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[])
             as a (book_id, id, currency, stands)
        join ledger.line l on l.account_id = a.id and l.book_id = a.book_id
             and l.effective_on >= $5
        join ledger.entry e on e.book_id = l.book_id and e.number = l.number
        cross join lateral (
            select substr(cause, 12)::uuid as id from string_to_table(e.causes, chr(30)) as cause
            where cause like 'conversion:%' limit 1
        ) named
        join settlement.conversion c on c.book_id = l.book_id and c.id = named.id
             and c.occurred_at >= $6
        left join settlement.click k on k.book_id = c.book_id and k.id = c.click_id
        group by 1, 2, 3
        order by 1, 2, 3
        "#,
        &column(&accounts, |(account, _)| account.book().value()),
        &column(&accounts, |(account, _)| account.id().value()),
        &column(&accounts, |(account, _)| account
            .currency()
            .code()
            .to_owned()),
        &column(&accounts, |(_, stands)| stands.as_str().to_owned()),
        since.day,
        since.at,
        sub.number(),
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let sum = money(&whose.publisher, row.sum, &row.currency)?;
        let earned = figures
            .entry(row.mark)
            .or_default()
            .in_currency(sum.currency());
        match row.stands.as_str() {
            "pending" => earned.pending = sum,
            "on_hold" => earned.on_hold = sum,
            _ => earned.approved = sum,
        }
    }
    Ok(())
}
