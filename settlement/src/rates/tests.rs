use chrono::DateTime;
use ledger::testing::{amount_in, currency, rounding};
use proptest::prelude::*;

use super::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn row(base: &str, quote: &str, on: &str, rate: &str) -> TableRow {
    TableRow {
        base: base.parse().unwrap(),
        quote: quote.parse().unwrap(),
        day: day(on),
        rate: rate.parse().unwrap(),
        source: "ECB".to_owned(),
        recorded_at: DateTime::UNIX_EPOCH,
    }
}

/// `0.922254911 2026-01-05`, or nothing.
fn resolved(rows: &[TableRow], from: &str, into: &str, on: &str) -> String {
    let table: Table = rows.iter().cloned().collect();
    let quote = table.resolve(from.parse().unwrap(), into.parse().unwrap(), day(on));
    quote.map_or_else(String::new, |quote| format!("{} {}", quote.rate, quote.day))
}

#[test]
fn the_latest_rate_on_or_before_the_day_counts_for_a_week() {
    let rows = [
        row("EUR", "USD", "2026-01-02", "1.08"),
        row("EUR", "USD", "2026-01-05", "1.0843"),
    ];
    let on = |on| resolved(&rows, "EUR", "USD", on);
    assert_eq!(on("2026-01-01"), "", "never a rate of a later day");
    assert_eq!(on("2026-01-02"), "1.08 2026-01-02");
    assert_eq!(
        on("2026-01-04"),
        "1.08 2026-01-02",
        "a Sunday takes Friday's"
    );
    assert_eq!(on("2026-01-05"), "1.0843 2026-01-05");
    assert_eq!(on("2026-01-12"), "1.0843 2026-01-05", "seven days old");
    assert_eq!(on("2026-01-13"), "", "too old is none");
}

#[test]
fn a_pair_counts_before_its_inverse_and_both_before_the_way_over_the_euro() {
    let over = [
        row("EUR", "USD", "2026-01-05", "1.0843"),
        row("EUR", "JPY", "2026-01-05", "169.5"),
    ];
    let on = "2026-01-05";
    let inverse = "0.922253988749 2026-01-05"; // 1 / 1.0843
    assert_eq!(resolved(&over, "USD", "EUR", on), inverse);
    let cross = "156.322051093 2026-01-05"; // 169.5 / 1.0843
    assert_eq!(resolved(&over, "USD", "JPY", on), cross);
    let with = |row| [over.to_vec(), vec![row]].concat();
    let other_way = with(row("JPY", "USD", "2026-01-02", "0.0064"));
    let found = resolved(&other_way, "USD", "JPY", on);
    assert_eq!(
        found, "156.25 2026-01-02",
        "of the pair itself, though older"
    );
    let direct = with(row("USD", "JPY", "2026-01-05", "157"));
    assert_eq!(resolved(&direct, "USD", "JPY", on), "157 2026-01-05");
}

#[test]
fn both_legs_over_the_euro_are_of_one_day() {
    let rows = [
        row("EUR", "USD", "2026-01-05", "1.0843"),
        row("EUR", "USD", "2026-01-02", "1.08"),
        row("EUR", "JPY", "2026-01-02", "162"),
    ];
    assert_eq!(
        resolved(&rows, "USD", "JPY", "2026-01-05"),
        "150 2026-01-02"
    );
}

/// A rate between these bounds, at six decimal places.
fn any_rate() -> impl Strategy<Value = Decimal> {
    (1_i64..200_000_000).prop_map(|millionths| Decimal::new(millionths, 6))
}

fn quote(rate: Decimal) -> Quote {
    Quote {
        rate,
        day: day("2026-01-05"),
        source: "ECB".to_owned(),
        recorded_at: DateTime::UNIX_EPOCH,
        legs: Vec::new(),
    }
}

proptest! {
    /// A larger refund is never worth less, and none is worth more than the order.
    #[test]
    fn what_is_converted_grows_with_what_is_there(
        (one, other) in currency().prop_flat_map(|c| (amount_in(c), amount_in(c))),
        into in currency(), rate in any_rate(), rounding in rounding(),
    ) {
        let (less, more) = (one.minor().min(other.minor()), one.minor().max(other.minor()));
        let convert = |minor| {
            let money = Money::try_from_minor(minor, one.currency()).unwrap();
            quote(rate).convert(money, into, rounding)
        };
        if let (Ok(less), Ok(more)) = (convert(less), convert(more)) {
            prop_assert!(less.compare(more).unwrap().is_le());
            prop_assert!(!less.is_negative());
        }
    }

    /// Within half a unit of the exact product, whatever the currencies.
    #[test]
    fn an_amount_is_rounded_once_from_the_exact_product(
        amount in currency().prop_flat_map(amount_in), into in currency(), rate in any_rate(),
    ) {
        if let Ok(worth) = quote(rate).convert(amount.money(), into, Rounding::HalfUp) {
            let exact = amount.money().amount().checked_mul(rate).unwrap();
            let half = Decimal::new(5, into.scale() + 1);
            prop_assert!((worth.amount() - exact).abs() <= half);
        }
    }
}
