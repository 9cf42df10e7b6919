//! The posting manual against the worked entries of the accounting specification, row by row.
//!
//! `posting/worked.md` holds the specification's rows as they are; [`stories`] builds the same from
//! the manual. Adding an event: add it to a story here; then look at the snapshots and, with
//! `COUNTERFOIL_BLESS=1`, at `docs/POSTING.md`.

mod manual;

use ledger::account::AccountKind;
use ledger::{BookId, Currency, Direction, JournalEntry, Money, Rounding};
use settlement::fees::{Components, FeeModel};
use settlement::posting::approved::approved;
use settlement::posting::held::{HeldFrom, held};
use settlement::posting::pending::pending;
use settlement::posting::refunded::refunded;
use settlement::posting::reinstated::{Reversal, reinstated};
use settlement::posting::rejected::rejected;
use settlement::posting::released::released;
use settlement::posting::reversed::{Approval, reversed};
use settlement::posting::{Posting, Share, Subject};
use settlement::terms::{Presentation, RecognitionPoint, Terms, Unattributed};

use crate::fixture::{PUBLISHER, day, money, percent, terms};

const WORKED: &str = include_str!("posting/worked.md");

/// The worked order: 99.00 USD at 10 percent, under one fee model.
struct Case {
    terms: Terms,
    subject: Subject,
    amounts: Components,
}

impl Case {
    fn of(fee_model: FeeModel) -> Case {
        let terms = Terms {
            fee_model,
            ..terms()
        };
        let subject = Subject {
            book: BookId::of_name("Acme"),
            conversion: uuid::Uuid::from_u128(1),
            order_ref: "A1".to_owned(),
            click: None,
            publisher: Some(PUBLISHER),
            split: Vec::new(),
            currency: Currency::USD,
            recognition: RecognitionPoint::Approval,
            presentation: Presentation::Agent,
            version: 1,
            effective: day("2010-12-01"),
            origin: None,
            because: Vec::new(),
        };
        let amounts = earned(&terms, &subject, money("99.00 USD"));
        Case {
            terms,
            subject,
            amounts,
        }
    }

    /// The conversion at its nth change.
    fn at(&self, version: i32) -> Subject {
        Subject {
            version,
            ..self.subject.clone()
        }
    }

    fn approval(&self) -> Approval {
        Approval {
            subject: self.at(2),
        }
    }

    /// What is earned of what is left of the order.
    fn left(&self, left: &str) -> Components {
        earned(&self.terms, &self.subject, money(left))
    }
}

fn earned(terms: &Terms, subject: &Subject, order: Money) -> Components {
    let settlement::commission::CommissionRule::Percentage(rule) = percent("10%") else {
        panic!("ten percent is a percentage")
    };
    let gross = rule.rate.of(order, Rounding::HalfUp);
    Components::of(gross, terms.fees_of(subject.publisher), terms.rounding).unwrap()
}

/// A story: its title and its rows, as printed.
struct Story {
    title: String,
    rows: Vec<String>,
}

impl Story {
    fn new(title: &str, model: &str) -> Story {
        Story {
            title: format!("{title} [{model}]"),
            rows: Vec::new(),
        }
    }

    /// One row per entry of a posting.
    fn tell(&mut self, events: &[&str], posting: &Posting) {
        assert_eq!(
            events.len(),
            posting.entries.len(),
            "{}: {events:?}",
            self.title
        );
        for (event, entry) in events.iter().zip(&posting.entries) {
            self.rows.push(row(event, Some(entry), posting));
        }
    }

    /// Only the last entry of a posting: stories that begin at approval leave out the memorandum.
    fn tell_last(&mut self, event: &str, posting: &Posting) {
        self.rows.push(row(event, posting.entries.last(), posting));
    }

    fn print(&self) -> String {
        let head = format!(
            "## {}\n\n| event | debit | credit |\n|---|---|---|\n",
            self.title
        );
        head + &self.rows.join("\n") + "\n"
    }
}

/// In the order in which the specification prints accounts.
const ORDER: [&str; 15] = [
    "1110", "4100", "2000", "2005", "2010", "2030", "2300", "4010", "4000", "4020", "5000", "9100",
    "9200", "9210", "9300",
];

fn row(event: &str, entry: Option<&JournalEntry>, posting: &Posting) -> String {
    let side = |direction| {
        let mut legs: Vec<(usize, String)> = entry
            .into_iter()
            .flat_map(JournalEntry::legs)
            .filter(|leg| leg.direction() == direction)
            .map(|leg| {
                let account = posting.accounts.iter().find(|a| a.id() == leg.account);
                let account = account.expect("a posting names the accounts that it moves");
                let place = ORDER.iter().position(|code| *code == account.code());
                let amount = Money::try_from_minor(leg.minor.abs(), account.currency()).unwrap();
                (
                    place.expect("every account has its place"),
                    format!("{} {amount}", account.code()),
                )
            })
            .collect();
        legs.sort();
        let legs: Vec<String> = legs.into_iter().map(|(_, leg)| leg).collect();
        if legs.is_empty() {
            "none".to_owned()
        } else {
            legs.join("; ")
        }
    };
    format!(
        "| {event} | {} | {} |",
        side(Direction::Debit),
        side(Direction::Credit)
    )
}

/// Every story of one fee model that the events tell.
fn stories(fee_model: FeeModel) -> Vec<Story> {
    let case = Case::of(fee_model);
    let model = fee_model.name();
    vec![
        happy_path(&case, model),
        rejected_while_pending(&case, model),
        on_hold(&case, model),
        reversed_before_invoice(&case, model),
        partial_refunds(&case, model),
        principal(fee_model, model),
        at_conversion(fee_model, model),
        reinstated_at_frozen_amounts(&case, model),
    ]
}

const APPROVED: [&str; 2] = ["approved: release memo", "approved"];

fn happy_path(case: &Case, model: &str) -> Story {
    let mut story = Story::new("1 happy path", model);
    story.tell(&["pending"], &pending(&case.at(1), &case.amounts).unwrap());
    story.tell(
        &APPROVED,
        &approved(&case.at(2), &case.amounts, Share::Open).unwrap(),
    );
    story
}

fn rejected_while_pending(case: &Case, model: &str) -> Story {
    let mut story = Story::new("2 rejected while pending", model);
    story.tell(&["pending"], &pending(&case.at(1), &case.amounts).unwrap());
    story.tell(
        &["rejected"],
        &rejected(&case.at(2), &case.amounts, Share::Open).unwrap(),
    );
    story
}

fn on_hold(case: &Case, model: &str) -> Story {
    let title = "3 on hold while pending, then approved; later disputed and won";
    let mut story = Story::new(title, model);
    let share = case.amounts.publisher_due();
    story.tell(&["pending"], &pending(&case.at(1), &case.amounts).unwrap());
    let held_then = |version, from| held(&case.at(version), share, from).unwrap();
    // Where the publisher earns nothing, nothing can be held.
    if !share.is_zero() {
        story.tell(
            &["on hold (fraud signal)"],
            &held_then(2, HeldFrom::Pending),
        );
    }
    let cleared = approved(&case.at(3), &case.amounts, Share::Held).unwrap();
    story.tell(
        &["cleared and approved: release memo", "approved"],
        &cleared,
    );
    if !share.is_zero() {
        story.tell(
            &["customer dispute opened: hold"],
            &held_then(4, HeldFrom::Approved),
        );
        let won = released(&case.at(5), share, HeldFrom::Approved).unwrap();
        story.tell(&["dispute won: release hold"], &won);
    }
    story
}

fn reversed_before_invoice(case: &Case, model: &str) -> Story {
    let mut story = Story::new("4 reversed before invoice", model);
    story.tell_last(
        "approved",
        &approved(&case.at(2), &case.amounts, Share::Open).unwrap(),
    );
    let back = reversed(
        &case.at(3),
        &case.amounts,
        Share::Open,
        Some(&case.approval()),
    )
    .unwrap();
    story.tell(&["reversed (mirror of the approval)"], &back);
    story
}

fn partial_refunds(case: &Case, model: &str) -> Story {
    let title = "8 partial refunds 24.75, then 30.00, then the remaining 44.25 of 99.00";
    let mut story = Story::new(title, model);
    story.tell_last(
        "approved",
        &approved(&case.at(2), &case.amounts, Share::Open).unwrap(),
    );
    let mut before = case.amounts;
    let refunds = [
        ("24.75", "74.25 USD"),
        ("30.00", "44.25 USD"),
        ("44.25", "0.00 USD"),
    ];
    for (version, (refund, left)) in (3..).zip(refunds) {
        let after = case.left(left);
        let less = before.minus(after).unwrap();
        let posting = refunded(&case.at(version), &less, HeldFrom::Approved, Share::Open).unwrap();
        let gross = after.gross().amount();
        story.tell(
            &[&format!("refund {refund}: gross commission now {gross}")],
            &posting,
        );
        before = after;
    }
    story
}

fn principal(fee_model: FeeModel, model: &str) -> Story {
    let mut case = Case::of(fee_model);
    case.subject.presentation = Presentation::Principal;
    let title = "21 principal (gross) presentation, approve then reverse";
    let mut story = Story::new(title, model);
    story.tell_last(
        "approved",
        &approved(&case.at(2), &case.amounts, Share::Open).unwrap(),
    );
    let back = reversed(
        &case.at(3),
        &case.amounts,
        Share::Open,
        Some(&case.approval()),
    )
    .unwrap();
    story.tell(&["reversed"], &back);
    story
}

fn at_conversion(fee_model: FeeModel, model: &str) -> Story {
    let mut case = Case::of(fee_model);
    case.subject.recognition = RecognitionPoint::Conversion;
    let mut story = Story::new("22 recognition_point=conversion", model);
    story.tell(
        &["conversion recorded"],
        &pending(&case.at(1), &case.amounts).unwrap(),
    );
    story.tell(
        &["approved"],
        &approved(&case.at(2), &case.amounts, Share::Open).unwrap(),
    );
    story
}

fn reinstated_at_frozen_amounts(case: &Case, model: &str) -> Story {
    let mut story = Story::new("23 reinstated (reversal of the reversal)", model);
    story.tell_last(
        "approved",
        &approved(&case.at(2), &case.amounts, Share::Open).unwrap(),
    );
    let back = reversed(
        &case.at(3),
        &case.amounts,
        Share::Open,
        Some(&case.approval()),
    )
    .unwrap();
    story.tell(&["reversed"], &back);
    let reversal = Reversal {
        subject: case.at(3),
        approval: Some(case.approval()),
    };
    let again = reinstated(&case.at(4), &case.amounts, Some(&reversal)).unwrap();
    story.tell(&["reinstated at the frozen amounts"], &again);
    let (first, last) = (&back.entries[0], &again.entries[0]);
    assert_eq!(
        last.reverses(),
        Some(first.id()),
        "it reverses the reversal"
    );
    story
}

/// What nobody earned, under both policies.
fn unattributed() -> Story {
    let mut story = Story::new("19 unattributed: recorded at zero, or as house income", "");
    story.title.truncate(story.title.len() - " []".len());
    let mut case = Case::of(two_sided());
    case.subject.publisher = None;
    let nothing = Components::zero(Currency::USD);
    let only = pending(&case.at(1), &nothing).unwrap();
    let policy = Unattributed::RecordOnly.as_str();
    story.tell_last(
        &format!("unattributed, policy={policy}: nothing is posted"),
        &only,
    );
    let income = approved(&case.at(2), &case.left("99.00 USD"), Share::Open).unwrap();
    let policy = Unattributed::HouseIncome.as_str();
    story.tell_last(&format!("unattributed, policy={policy}"), &income);
    story
}

fn two_sided() -> FeeModel {
    FeeModel::TwoSided {
        rate: "20%".parse().unwrap(),
    }
}

fn models() -> [FeeModel; 4] {
    let rate = "20%".parse().unwrap();
    let two_sided = two_sided();
    [
        FeeModel::Deducted { rate },
        two_sided,
        FeeModel::OnTop { rate },
        FeeModel::House,
    ]
}

#[test]
fn every_worked_entry_of_the_specification_is_posted_to_the_cent() {
    let [deducted, two_sided, ..] = models();
    let told: Vec<String> = stories(deducted)
        .into_iter()
        .chain(stories(two_sided))
        .chain([unattributed()])
        .map(|story| story.print())
        .collect();
    assert_eq!(told.join("\n"), WORKED);
}

#[test]
fn the_stories_of_each_fee_model_read_as_they_did() {
    let _to = ledger::testing::snapshots("posting");
    for model in models() {
        let told: Vec<String> = stories(model).iter().map(Story::print).collect();
        insta::assert_snapshot!(model.name(), told.join("\n"));
    }
    insta::assert_snapshot!("unattributed", unattributed().print());
}

#[test]
fn memorandum_and_real_accounts_never_stand_in_one_entry() {
    for model in models() {
        let case = Case::of(model);
        let posting = approved(&case.at(2), &case.amounts, Share::Open).unwrap();
        let [memo, earned] = posting.entries.as_slice() else {
            panic!("two entries")
        };
        assert!(memo.is_memo() && !earned.is_memo());
        assert!(
            posting
                .accounts
                .iter()
                .any(|a| a.kind() == AccountKind::Revenue)
        );
    }
}
