//! Pure: the parameters of a postback, under the names that real senders use.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use settlement::conversion::Action;
use uuid::Uuid;

use super::names::{
    AMOUNT, CLICK, COUPON, CURRENCY, GOAL, MORE, ORDER, PRODUCT, STATUS_MAPS, SUBS, TOKEN,
};
use crate::http::conversions::wanted::Wanted;

/// The parameters of a postback, in the order they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads a query or a form.
    pub(super) fn read(parts: &[&str]) -> Fields {
        let pairs = parts
            .iter()
            .flat_map(|part| url::form_urlencoded::parse(part.as_bytes()));
        Fields(
            pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            let found = self
                .0
                .iter()
                .find(|(n, value)| n == name && !value.trim().is_empty());
            found.map(|(_, value)| value.trim())
        })
    }

    /// The key that the sender was given.
    pub(super) fn token(&self) -> Option<&str> {
        self.get(TOKEN)
    }

    /// Whether nothing is to be recorded.
    pub(super) fn is_test(&self) -> bool {
        matches!(self.get(&["testmode", "test"]), Some("1" | "true"))
    }

    /// All parameters but the secrets, as they may be kept.
    pub(super) fn redacted(&self) -> String {
        let mut written = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.0 {
            let secret = TOKEN.contains(&name.as_str());
            written.append_pair(name, if secret { "redacted" } else { value });
        }
        written.finish().chars().take(2000).collect()
    }

    /// What its status asks for.
    ///
    /// # Errors
    /// A sentence, if the status is none that any sender uses.
    pub(super) fn status(&self) -> Result<Status, String> {
        let Some(status) = self.get(&["status"]) else {
            return Ok(Status::Record);
        };
        let mapped = STATUS_MAPS.iter().find(|(map, _)| {
            let words = self.get(map).unwrap_or_default().split(',');
            words
                .map(str::trim)
                .any(|word| word.eq_ignore_ascii_case(status))
        });
        if let Some((_, status)) = mapped {
            return Ok(*status);
        }
        match status.to_ascii_lowercase().as_str() {
            "1" | "approved" | "sale" | "confirmed" => Ok(Status::Decide(Action::Approve)),
            "2" | "pending" | "lead" => Ok(Status::Record),
            "3" | "declined" | "rejected" | "cancelled" | "canceled" => Ok(Status::Decline),
            "5" | "hold" => Ok(Status::Decide(Action::Hold)),
            _ => Err(format!(
                "status '{status}' is unknown; say approved, pending, declined or hold"
            )),
        }
    }

    /// The order it reports.
    ///
    /// # Errors
    /// A sentence that says what cannot be read.
    pub(super) fn wanted(&self) -> Result<Wanted, String> {
        let awin = self.get(&["cks"]).is_some();
        let click = self.get(CLICK);
        let click = if awin {
            click
        } else {
            click.or_else(|| self.get(&["ref"]))
        };
        let order = self.get(ORDER);
        let order = if awin {
            order.or_else(|| self.get(&["ref"]))
        } else {
            order
        };
        let order_ref = match (order, click) {
            (Some(order), _) => order.to_owned(),
            // Many trackers count one conversion for each click and goal.
            (None, Some(click)) => match self.get(GOAL) {
                Some(goal) => format!("click {click} {goal}"),
                None => format!("click {click}"),
            },
            (None, None) => return Err("it names neither an order nor a click".to_owned()),
        };
        let program = self
            .get(&["program_id", "offer_id"])
            .map(str::parse::<Uuid>)
            .transpose();
        let moment = |text: &str| DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
        let occurred_at: Option<DateTime<Utc>> = self
            .get(&["occurred_at"])
            .map(moment)
            .transpose()
            .map_err(|error| error.to_string())?;
        Ok(Wanted {
            program: program.map_err(|error| format!("program_id: {error}"))?,
            order_ref,
            amount: self.amount()?,
            currency: self.get(CURRENCY).map(str::to_owned),
            click: click.map(str::to_owned),
            occurred_at,
            commission: self.get(&["commission_amount"]).map(str::to_owned),
            user: self.get(&["user_id"]).map(str::to_owned),
            coupon: self.get(COUPON).map(str::to_owned),
            plan: self.get(&["plan", "plan_id"]).map(str::to_owned),
            product: self.product(),
            category: self.category(),
            subs: SUBS.map(|names| self.get(names).map(str::to_owned)),
        })
    }

    /// The product of an order that has no other.
    fn product(&self) -> Option<String> {
        let several = self.get(MORE).is_some();
        self.get(PRODUCT).filter(|_| !several).map(str::to_owned)
    }

    /// The category, or Awin's commission group where an order has but one.
    fn category(&self) -> Option<String> {
        let group = || {
            let (group, amount) = self.get(&["parts"])?.split_once(':')?;
            (!amount.contains('|')).then_some(group)
        };
        self.get(&["category"]).or_else(group).map(str::to_owned)
    }

    /// The amount: as it stands, or put together from the items.
    fn amount(&self) -> Result<String, String> {
        if let Some(amount) = self.get(AMOUNT) {
            return Ok(amount.to_owned());
        }
        let total = match self.get(&["AMT1"]) {
            Some(_) => self.items()?,
            None => match self.get(&["parts"]) {
                Some(parts) => of_parts(parts)?,
                None => return Err("it names no amount".to_owned()),
            },
        };
        Ok(total.to_string())
    }

    /// CJ's items: what each costs times how many, less its discount and that of the order.
    fn items(&self) -> Result<Decimal, String> {
        let mut total = Decimal::ZERO;
        for n in 1..=100 {
            let field = |name: &str| {
                let name = format!("{name}{n}");
                self.get(&[name.as_str()])
                    .map(|value| exact(&name, value))
                    .transpose()
            };
            let Some(price) = field("AMT")? else { break };
            let count = field("QTY")?.unwrap_or(Decimal::ONE);
            let less = field("DCNT")?.unwrap_or_default();
            let item = price
                .checked_mul(count)
                .and_then(|worth| worth.checked_sub(less));
            total = item
                .and_then(|item| total.checked_add(item))
                .ok_or("its items are worth more than can be counted")?;
        }
        let less = self
            .get(&["DISCOUNT"])
            .map(|less| exact("DISCOUNT", less))
            .transpose()?;
        total
            .checked_sub(less.unwrap_or_default())
            .map(|total| total.normalize())
            .ok_or_else(|| "its discount is larger than can be counted".to_owned())
    }
}

/// Awin's parts: `GROUP:12.00|OTHER:3.50`.
fn of_parts(parts: &str) -> Result<Decimal, String> {
    let mut total = Decimal::ZERO;
    for part in parts.split('|').filter(|part| !part.is_empty()) {
        let amount = part.rsplit(':').next().unwrap_or_default();
        total = total
            .checked_add(exact("parts", amount)?)
            .ok_or("its parts are worth more than can be counted")?;
    }
    Ok(total.normalize())
}

/// A plain decimal, to the last digit.
fn exact(name: &str, text: &str) -> Result<Decimal, String> {
    let plain = text
        .bytes()
        .all(|sign| sign.is_ascii_digit() || sign == b'.');
    let read = plain.then(|| Decimal::from_str_exact(text).ok()).flatten();
    read.ok_or_else(|| format!("{name} '{text}' is no plain decimal"))
}

/// What a postback asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// That the order is recorded.
    Record,
    /// And decided like this.
    Decide(Action),
    /// And rejected, or reversed if it was approved.
    Decline,
}

#[cfg(test)]
mod tests;
