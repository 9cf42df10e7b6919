//! A document that adds up is accepted and comes back from JSON; any figure changed is named.

use chrono::NaiveDate;
use ledger::{Currency, Money, Rate};
use uuid::Uuid;

use super::*;

fn usd(minor: i64) -> Money {
    Money::try_from_minor(minor, Currency::USD).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn party(name: &str) -> Party {
    Party {
        name: name.to_owned(),
        address: vec!["1 High Street".to_owned()],
        country: "SA".to_owned(),
        tax_id: None,
        email: None,
    }
}

type Change = fn(&mut InvoiceDocument);

/// The worked order under `two_sided`, with 15 percent of VAT: 9.90, 1.98, 1.78, 13.66.
fn invoice() -> InvoiceDocument {
    InvoiceDocument {
        kind: InvoiceKind::Invoice {
            due_on: day("2026-12-01"),
        },
        number: "INV-2026-000001".to_owned(),
        issued_on: day("2026-11-01"),
        period: (day("2026-10-01"), day("2026-10-31")),
        currency: Currency::USD,
        seller: party("Network"),
        buyer: party("Acme"),
        purchase_order: None,
        lines: vec![InvoiceLine {
            description: "Acme shop".to_owned(),
            prior_period: None,
            conversions: 1,
            gross: usd(990),
            fee: usd(198),
            net: usd(1188),
        }],
        gross: usd(990),
        fee: usd(198),
        net: usd(1188),
        vat: Vat::Rated {
            rate: Rate::percent(15.into()).unwrap(),
        },
        tax: usd(178),
        total: usd(1366),
        pay_to: None,
        annexe: vec![AnnexeRow {
            line: 1,
            conversion: Uuid::from_u128(1),
            order_ref: "A1".to_owned(),
            ordered_on: day("2026-10-05"),
            gross: usd(990),
            fee: usd(198),
        }],
    }
}

#[test]
fn the_worked_invoice_adds_up_and_comes_back_from_json() {
    let invoice = invoice();
    assert_eq!(invoice.check(), Ok(()));
    let json = serde_json::to_string(&invoice).unwrap();
    let back: InvoiceDocument = serde_json::from_str(&json).unwrap();
    assert_eq!(back, invoice);
}

#[test]
fn a_changed_figure_of_an_invoice_is_named() {
    let changes: [(&str, Change); 6] = [
        ("gross", |it| it.gross = usd(991)),
        ("fee", |it| it.fee = usd(199)),
        ("net", |it| it.net = usd(1189)),
        ("tax", |it| it.tax = usd(179)),
        ("total", |it| it.total = usd(1367)),
        ("gross of \"Acme shop\"", |it| it.annexe[0].gross = usd(989)),
    ];
    for (named, change) in changes {
        let mut invoice = invoice();
        change(&mut invoice);
        match invoice.check() {
            Err(DocumentError::Figure { figure, .. }) => assert_eq!(figure, named),
            other => panic!("{named} was changed: {other:?}"),
        }
    }
}
