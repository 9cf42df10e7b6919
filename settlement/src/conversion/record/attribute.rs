//! Attribution of new orders: who is credited, by which rule, and who could have been.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Accepted;
use crate::attribution::candidates::{Asked, decisions};
use crate::attribution::decision::{self, Considered, Decision};
use crate::columns::column;
use crate::conversion::ConversionError;
use crate::coupon::Code;
use crate::identity::UserHash;

/// Who is credited with an order.
#[derive(Debug, Clone, Default)]
pub(super) struct Credit {
    pub model: String,
    pub click: Option<Uuid>,
    /// Who earns it, or the largest share of it.
    pub publisher: Option<Uuid>,
    /// Who shares it, if several publishers do.
    pub shared: Vec<decision::Credit>,
    /// What could have earned it.
    pub considered: Vec<Considered>,
}

impl From<Decision> for Credit {
    fn from(decision: Decision) -> Credit {
        let leading = decision.leading();
        Credit {
            model: decision.rule.to_owned(),
            click: leading.and_then(|credit| credit.click),
            publisher: leading.map(|credit| credit.publisher),
            shared: decision.shared(),
            considered: decision.kept(),
        }
    }
}

/// Credits each order, by the terms that decide it.
pub(super) async fn credits(
    conn: &mut PgConnection,
    fresh: &[Accepted<'_>],
) -> Result<Vec<Credit>, ConversionError> {
    let asked = column(fresh, |Accepted { order, terms, .. }| Asked {
        program: order.program,
        occurred_at: order.occurred_at,
        lookback_days: terms.lookback_days,
        terms: &terms.attribution,
        click: order.click,
        visitor: order.visitor.as_deref(),
        publisher: order.publisher,
        user: order.user.as_ref().map(UserHash::bytes),
        coupon: order.coupon.as_ref().map(Code::as_str),
        known_by: None,
    });
    let decided = decisions(conn, &asked).await?;
    Ok(decided.into_iter().map(Credit::from).collect())
}
