//! Pure: the parameters of a postback, under the names that real senders use.
//!
//! # Adding a sender
//!
//! Its names go into the lists below, the more specific first; a name that means two things is
//! decided by a parameter that only one of the senders has, as `ref` is by Awin's `cks`.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use settlement::conversion::Action;
use uuid::Uuid;

use crate::http::conversions::wanted::Wanted;

const CLICK: &[&str] = &[
    "click_id",
    "clickid",
    "transaction_id",
    "cid",
    "subid",
    "cks",
    "CJEVENT",
    "cjevent",
    "pcps_click",
    "cref",
];
const ORDER: &[&str] = &[
    "order_id",
    "txid",
    "tid",
    "OID",
    "action_id",
    "adv_unique1",
    "brand_order_ref",
];
const AMOUNT: &[&str] = &["amount", "sum", "payout", "order_value", "revenue"];
const CURRENCY: &[&str] = &["currency", "cr", "CURRENCY", "order_currency"];
const COUPON: &[&str] = &[
    "coupon_code",
    "promo_code",
    "vc",
    "COUPON",
    "OrderPromoCode",
    "coupon",
];
const GOAL: &[&str] = &["goal_id", "goal", "et", "adv_event_id", "event_id", "TYPE"];
/// Names of secrets, which are never kept or logged.
const TOKEN: &[&str] = &["security_token", "verification_token", "secure", "token"];

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
        let Some(status) = self.get(&["status", "sale_status"]) else {
            return Ok(Status::Record);
        };
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
            product: self.get(&["product", "product_id"]).map(str::to_owned),
        })
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wanted(query: &str) -> Wanted {
        Fields::read(&[query]).wanted().unwrap()
    }

    #[test]
    fn every_sender_is_read_in_its_own_words() {
        for (sender, query, order, click, amount) in [
            ("Affise", "clickid=c&action_id=o&sum=1.50", "o", "c", "1.50"),
            (
                "TUNE",
                "transaction_id=c&amount=2&adv_unique1=o",
                "o",
                "c",
                "2",
            ),
            (
                "Everflow",
                "transaction_id=c&amount=2&order_id=o",
                "o",
                "c",
                "2",
            ),
            ("Voluum", "cid=c&txid=o&payout=3", "o", "c", "3"),
            (
                "Keitaro",
                "subid=c&tid=o&payout=3&status=sale",
                "o",
                "c",
                "3",
            ),
            ("Awin", "cks=c&ref=o&amount=4&cr=GBP", "o", "c", "4"),
            (
                "Awin parts",
                "cks=c&ref=o&parts=A:1.25|B:2.25",
                "o",
                "c",
                "3.5",
            ),
            (
                "CJ",
                "CJEVENT=c&OID=o&AMT1=10&QTY1=2&AMT2=5&DISCOUNT=1.50",
                "o",
                "c",
                "23.5",
            ),
            (
                "CJ items",
                "CJEVENT=c&OID=o&ITEM1=x&AMT1=10&QTY1=2&DCNT1=3",
                "o",
                "c",
                "17",
            ),
            ("ours", "ref=c&order_id=o&order_value=7", "o", "c", "7"),
            (
                "no order",
                "click_id=c&amount=1&goal=signup",
                "click c signup",
                "c",
                "1",
            ),
        ] {
            let wanted = wanted(query);
            let click = Some(click.to_owned());
            assert_eq!(
                (
                    wanted.order_ref.as_str(),
                    &wanted.click,
                    wanted.amount.as_str()
                ),
                (order, &click, amount),
                "{sender}"
            );
        }
    }

    #[test]
    fn a_coupon_has_many_names() {
        let codes = [
            "coupon_code",
            "promo_code",
            "vc",
            "COUPON",
            "OrderPromoCode",
        ];
        for code in codes {
            let query = format!("click_id=c&amount=1&{code}=SPRING");
            assert_eq!(wanted(&query).coupon.as_deref(), Some("SPRING"), "{code}");
        }
    }

    #[test]
    fn a_status_asks_for_what_its_sender_means() {
        let status = |text: &str| Fields::read(&[&format!("status={text}")]).status();
        assert_eq!(status("1"), Ok(Status::Decide(Action::Approve)));
        assert_eq!(status("2"), Ok(Status::Record));
        assert_eq!(status("3"), Ok(Status::Decline));
        assert_eq!(status("5"), Ok(Status::Decide(Action::Hold)));
        assert_eq!(status("lead"), Ok(Status::Record));
        assert_eq!(status("sale"), Ok(Status::Decide(Action::Approve)));
        assert_eq!(status("rejected"), Ok(Status::Decline));
        assert!(status("9").is_err());
        assert_eq!(Fields::default().status(), Ok(Status::Record));
    }

    #[test]
    fn no_token_is_ever_kept() {
        for name in TOKEN {
            let fields = Fields::read(&[&format!("order_id=A&{name}=pc_live_secret")]);
            assert_eq!(fields.token(), Some("pc_live_secret"));
            assert_eq!(fields.redacted(), format!("order_id=A&{name}=redacted"));
        }
    }

    proptest! {
        #[test]
        fn no_query_breaks_it(query in ".{0,200}") {
            let fields = Fields::read(&[&query]);
            let _ = (fields.wanted(), fields.status(), fields.redacted(), fields.is_test());
        }
    }
}
