//! Room under a program's caps, counted and taken; and the lock that makes counting right.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use ledger::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::columns::column;
use crate::commission::CommissionError;
use crate::conversion::ConversionError;
use crate::party::ProgramRef;
use crate::rules::caps::Used;
use crate::rules::{Cap, Scope};
use crate::terms::Terms;

/// What a cap asks about an order.
#[derive(Clone, Copy)]
pub(in crate::conversion) struct Case<'a> {
    pub program: ProgramRef,
    pub terms: &'a Terms,
    pub publisher: Option<Uuid>,
    pub occurred_at: DateTime<Utc>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Window {
    program: ProgramRef,
    publisher: Option<Uuid>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

impl Case<'_> {
    /// The window of a cap for this order; none if the cap is not about it.
    fn window(&self, cap: &Cap, zone: Tz) -> Option<Window> {
        let publisher = match cap.scope {
            Scope::Program => None,
            Scope::Publisher => Some(self.publisher?),
        };
        let (from, to) = cap.per.window(self.occurred_at, zone);
        Some(Window {
            program: self.program,
            publisher,
            from,
            to,
        })
    }
}

/// What stands under the caps of a batch of orders.
pub(in crate::conversion) struct Room {
    used: HashMap<Window, Used>,
    zone: Tz,
}

/// Locks programs, in id order, until the caller's database transaction ends.
///
/// Who prices by what came before (caps, tiers, first orders) holds this lock while counting and
/// writing, so of two processes the second counts what the first wrote: counting is a later
/// statement than locking. Ordinary programs are not locked here.
pub(in crate::conversion) async fn lock(
    conn: &mut PgConnection,
    mut programs: Vec<ProgramRef>,
) -> Result<(), ConversionError> {
    if programs.is_empty() {
        return Ok(());
    }
    programs.sort_unstable();
    programs.dedup();
    sqlx::query!(
        r#"
        select 1 as locked from settlement.program p
        where (p.book_id, p.id) in (select * from unnest($1::bigint[], $2::uuid[]))
        order by p.book_id, p.id
        for no key update
        "#,
        &column(&programs, |program| program.book.value()),
        &column(&programs, |program| program.id),
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

impl Room {
    /// Counts what stands under every cap that these orders come under, but for the conversions
    /// that are about to be counted anew; one statement, or none.
    #[expect(
        clippy::as_conversions,
        reason = "tells sqlx that an array may hold nulls; converts nothing"
    )]
    pub(in crate::conversion) async fn read(
        conn: &mut PgConnection,
        zone: Tz,
        cases: &[Case<'_>],
        except: &[Uuid],
    ) -> Result<Room, ConversionError> {
        let mut used = HashMap::new();
        for case in cases {
            let nothing = Used {
                orders: 0,
                commission: Money::zero(case.terms.currency),
            };
            let caps = case.terms.rules.caps.iter();
            used.extend(caps.filter_map(|cap| Some((case.window(cap, zone)?, nothing))));
        }
        if used.is_empty() {
            return Ok(Room { used, zone });
        }
        let windows: Vec<Window> = used.keys().copied().collect();
        let publishers: Vec<Option<Uuid>> = column(&windows, |w| w.publisher);
        let rows = sqlx::query!(
            r#"
            select count(c.id) as "orders!", coalesce(sum(c.gross), 0)::bigint as "gross!"
            from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::timestamptz[],
                        $5::timestamptz[], $6::text[]) with ordinality
                 as u (book_id, program_id, publisher_id, starts, ends, currency, n)
            left join settlement.conversion c
                on c.book_id = u.book_id and c.program_id = u.program_id
                and (u.publisher_id is null or c.publisher_id = u.publisher_id)
                and c.occurred_at >= u.starts and c.occurred_at < u.ends
                and c.currency = u.currency and c.state in ('pending', 'on_hold', 'approved')
                and not c.priced_by ? 'over' and c.id <> all ($7)
            group by u.n
            order by u.n
            "#,
            &column(&windows, |w| w.program.book.value()),
            &column(&windows, |w| w.program.id),
            &publishers as &[Option<Uuid>],
            &column(&windows, |w| w.from),
            &column(&windows, |w| w.to),
            &column(&windows, |w| used[w]
                .commission
                .currency()
                .code()
                .to_owned()),
            except,
        )
        .fetch_all(conn)
        .await?;
        for (window, row) in windows.into_iter().zip(rows) {
            let currency = used[&window].commission.currency();
            let commission = Money::try_from_minor(row.gross, currency);
            let standing = Used {
                orders: u64::try_from(row.orders).unwrap_or(0),
                commission: commission.map_err(CommissionError::from)?,
            };
            used.insert(window, standing);
        }
        Ok(Room { used, zone })
    }

    /// Takes room for an order's commission under all its caps, or says which one leaves none; of
    /// several, one that rejects.
    pub(in crate::conversion) fn take(
        &mut self,
        case: &Case<'_>,
        gross: Money,
    ) -> Result<Option<Cap>, ConversionError> {
        let mut after = Vec::new();
        let mut over: Option<Cap> = None;
        for cap in &case.terms.rules.caps {
            let Some(window) = case.window(cap, self.zone) else {
                continue;
            };
            let Some(used) = self.used.get(&window) else {
                continue;
            };
            let with = used.with(gross).map_err(CommissionError::from)?;
            if cap.holds(with).map_err(CommissionError::from)? {
                after.push((window, with));
            } else if over.is_none_or(|first| first.overflow != cap.overflow && rejects(cap)) {
                over = Some(*cap);
            }
        }
        if over.is_none() {
            self.used.extend(after);
        }
        Ok(over)
    }
}

fn rejects(cap: &Cap) -> bool {
    cap.overflow == crate::rules::Overflow::Rejected
}
