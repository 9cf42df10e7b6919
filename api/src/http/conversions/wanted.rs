//! What a sender says of an order, before it is compared with anything.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use ledger::{Currency, Money};
use serde::Deserialize;
use serde_json::value::RawValue;
use settlement::conversion::Order;
use settlement::coupon::Code;
use settlement::reported::Program;
use settlement::tracking::ClickRef;
use uuid::Uuid;

use crate::http::App;
use crate::http::auth::Principal;
use crate::http::problem::Problem;
use crate::intake::orders::Reported;

/// An order in the words of its sender.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub program: Option<Uuid>,
    pub order_ref: String,
    pub amount: String,
    pub currency: Option<String>,
    pub click: Option<String>,
    pub occurred_at: Option<DateTime<Utc>>,
    pub commission: Option<String>,
    pub user: Option<String>,
    pub coupon: Option<String>,
    pub plan: Option<String>,
    pub product: Option<String>,
    pub category: Option<String>,
    /// The publisher's own marks, `sub1` to `sub5`.
    pub subs: [Option<String>; 5],
}

/// The body of `/api/conv`. Amounts keep the digits they were written with.
#[derive(Debug, Deserialize)]
struct Body<'a> {
    program_id: Option<Uuid>,
    #[serde(borrow)]
    brand_order_ref: Option<&'a RawValue>,
    #[serde(borrow)]
    order_value: Option<&'a RawValue>,
    order_currency: Option<String>,
    #[serde(borrow)]
    pcps_click: Option<&'a RawValue>,
    occurred_at: Option<DateTime<Utc>>,
    #[serde(borrow)]
    commission_amount: Option<&'a RawValue>,
    #[serde(borrow)]
    user_id: Option<&'a RawValue>,
    coupon: Option<String>,
    #[serde(alias = "plan_id")]
    plan: Option<String>,
    #[serde(alias = "product_id")]
    product: Option<String>,
    category: Option<String>,
}

impl Wanted {
    /// Reads one order of a body.
    pub(super) fn read(json: &str) -> Result<Wanted, Problem> {
        let body: Body<'_> = serde_json::from_str(json).map_err(|error| {
            Problem::unprocessable(
                "invalid-order",
                format!("the order cannot be read: {error}"),
            )
        })?;
        let text = |raw: Option<&RawValue>, name: &str| raw.map(|raw| text(raw, name)).transpose();
        let needed = |value: Option<String>, name: &str| {
            value.filter(|value| !value.is_empty()).ok_or_else(|| {
                Problem::unprocessable("field-missing", format!("{name} is missing; send it"))
            })
        };
        Ok(Wanted {
            program: body.program_id,
            order_ref: needed(
                text(body.brand_order_ref, "brand_order_ref")?,
                "brand_order_ref",
            )?,
            amount: needed(text(body.order_value, "order_value")?, "order_value")?,
            currency: body.order_currency,
            click: text(body.pcps_click, "pcps_click")?,
            occurred_at: body.occurred_at,
            commission: text(body.commission_amount, "commission_amount")?,
            user: text(body.user_id, "user_id")?,
            coupon: body.coupon,
            plan: body.plan,
            product: body.product,
            category: body.category,
            subs: Default::default(),
        })
    }

    /// The order of the program it names, if the key may report it.
    pub(super) async fn resolve(
        &self,
        app: &App,
        principal: &Principal,
        route: &str,
        now: DateTime<Utc>,
    ) -> Result<Reported, Problem> {
        let program = app.programs.meant(principal, self.program).await?;
        let amount = self.amount(&program)?;
        let commission = self.commission.as_ref();
        let commission = commission.and_then(|c| Money::parse(c, program.currency).ok());
        // An order is not placed after it was reported, whatever the sender's clock says.
        let occurred_at = self.occurred_at.map_or(now, |at| at.min(now));
        let mut order = Order::new(program.reference, &self.order_ref, occurred_at, amount);
        order.reported_by = Some(principal.actor(route));
        let click = self
            .click
            .as_deref()
            .map(str::trim)
            .filter(|c| !c.is_empty());
        let tokens = app.programs.tokens().await?;
        let clicked = click.map(|click| ClickRef::parse(click, &tokens, occurred_at));
        order.details.click_check = clicked.as_ref().map(|read| match read {
            Ok(clicked) => clicked.check().to_owned(),
            Err(ignored) => {
                tracing::info!(%ignored, order_ref = %self.order_ref, "a click is ignored");
                format!("ignored: {ignored}")
            }
        });
        let clicked = clicked.and_then(Result::ok);
        order.click = clicked.as_ref().map(|clicked| clicked.id);
        let claims = clicked.and_then(|clicked| clicked.claims);
        if let Some(user) = self.user.as_deref().filter(|user| !user.is_empty()) {
            let key = app.programs.user_key().await?;
            order.user = Some(key.hash(program.reference.book, user));
        }
        order.coupon = self.coupon.as_deref().and_then(|code| Code::new(code).ok());
        order.details.plan.clone_from(&self.plan);
        order.details.product.clone_from(&self.product);
        order.details.category.clone_from(&self.category);
        order.details.subs = self.marks();
        Ok(Reported {
            order,
            // A token speaks for its own program only.
            click: claims
                .filter(|claims| claims.program == program.reference)
                .map(|claims| claims.click()),
            commission,
            strictness: program.strictness,
        })
    }

    /// The publisher's marks by their names.
    fn marks(&self) -> BTreeMap<String, String> {
        let marks = (1..).zip(&self.subs);
        marks
            .filter_map(|(n, sub)| Some((format!("sub{n}"), sub.clone()?)))
            .collect()
    }

    /// The amount, to the last digit, in the currency it names or the program's.
    fn amount(&self, program: &Program) -> Result<Money, Problem> {
        let currency = match self.currency.as_deref().filter(|code| !code.is_empty()) {
            Some(code) => code
                .trim()
                .to_ascii_uppercase()
                .parse::<Currency>()
                .map_err(|error| {
                    Problem::unprocessable("invalid-currency", format!("order_currency: {error}"))
                })?,
            None => program.currency,
        };
        let wrong = |problem: String| {
            Problem::unprocessable("invalid-amount", format!("order_value: {problem}"))
        };
        let amount = Money::parse(&self.amount, currency).map_err(|e| wrong(e.to_string()))?;
        if amount.is_negative() {
            return Err(wrong(format!("an order cannot be worth {amount}")));
        }
        Ok(amount)
    }
}

/// A text, or a number by the digits it was written with.
pub(super) fn text(raw: &RawValue, name: &str) -> Result<String, Problem> {
    let token = raw.get();
    match token.bytes().next() {
        Some(b'"') => serde_json::from_str(token).map_err(|error| {
            Problem::unprocessable("invalid-order", format!("{name} cannot be read: {error}"))
        }),
        Some(b'0'..=b'9' | b'-') => Ok(token.to_owned()),
        _ if token == "null" => Ok(String::new()),
        _ => Err(Problem::unprocessable(
            "invalid-order",
            format!("{name} is neither a text nor a number"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use ledger::BookId;
    use proptest::prelude::*;
    use settlement::party::ProgramRef;
    use settlement::reported::Strictness;

    use super::*;

    fn program(currency: Currency) -> Program {
        let (book, id) = (BookId::from_value(1), Uuid::nil());
        Program {
            reference: ProgramRef { book, id },
            currency,
            strictness: Strictness::default(),
        }
    }

    fn minor(value: &str, currency: &str) -> Result<i64, Problem> {
        let body = format!(
            r#"{{"brand_order_ref": "A", "order_value": {value}, "order_currency": "{currency}"}}"#
        );
        let wanted = Wanted::read(&body)?;
        Ok(wanted.amount(&program(Currency::USD))?.minor())
    }

    proptest! {
        /// As a number or as a text, with every digit: no float could hold most of these.
        #[test]
        fn an_amount_arrives_with_every_digit(minor_units in 1_i64..i64::MAX) {
            for (code, scale) in [("USD", 100), ("JPY", 1), ("KWD", 1000), ("USDT", 1_000_000)] {
                let (whole, rest) = (minor_units / scale, minor_units % scale);
                let places = usize::try_from(scale.ilog10()).unwrap();
                let written = if places == 0 {
                    whole.to_string()
                } else {
                    format!("{whole}.{rest:0places$}")
                };
                prop_assert_eq!(minor(&written, code).unwrap(), minor_units);
                prop_assert_eq!(minor(&format!("\"{written}\""), code).unwrap(), minor_units);
            }
        }

        #[test]
        fn nothing_that_is_sent_breaks_the_parser(body in ".{0,80}", value in ".{0,20}") {
            let _ = Wanted::read(&body);
            let _ = minor(&value, "USD");
        }
    }

    #[test]
    fn a_large_amount_loses_nothing() {
        // The nearest float is 123456789012345680.
        assert_eq!(
            minor("12345678901234567.89", "USD").unwrap(),
            1_234_567_890_123_456_789
        );
        assert_eq!(
            minor("123456789012345678", "JPY").unwrap(),
            123_456_789_012_345_678
        );
        let wanted = Wanted::read(r#"{"brand_order_ref":"A","order_value":123456789012345678.12}"#);
        assert_eq!(wanted.unwrap().amount, "123456789012345678.12");
    }

    #[test]
    fn an_amount_is_never_guessed() {
        for (value, currency) in [
            ("99.001", "USD"),
            ("1.5", "JPY"),
            ("-1.00", "USD"),
            ("1e2", "USD"),
            ("\"1,00\"", "USD"),
            ("\"\"", "USD"),
            ("null", "USD"),
            ("true", "USD"),
            ("[1]", "USD"),
            ("NaN", "USD"),
            ("1.00", "XXX"),
            ("1.00", "DOGE"),
            ("123456789012345678.12", "USD"),
        ] {
            assert!(minor(value, currency).is_err(), "{value} {currency}");
        }
        assert_eq!(minor("1.5", "usd").unwrap(), 150);
        assert_eq!(minor("0", "USD").unwrap(), 0, "a signup, a free order");
        assert_eq!(minor("1.500", "USD").unwrap(), 150);
    }

    #[test]
    fn a_reference_may_be_a_number() {
        let wanted = Wanted::read(r#"{"brand_order_ref": 10045, "order_value": 1}"#).unwrap();
        assert_eq!(
            (wanted.order_ref.as_str(), wanted.amount.as_str()),
            ("10045", "1")
        );
        let body = r#"{"brand_order_ref": {"a": 1}, "order_value": 1}"#;
        assert!(Wanted::read(body).is_err());
    }
}
