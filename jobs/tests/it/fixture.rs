//! A network with a brand, a program and a publisher; a clock that is turned by hand; a worker.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use jobs::effects;
use jobs::outside::Reach;
use jobs::postback::template::Unknown;
use jobs::postback::{Deliver, Event, Limits, Method, NewTarget, target};
use jobs::queue::{self, Clock, Letter, Registry, Settings, State, Worker};
use ledger::{Actor, Amount, Currency, Rounding};
use migrations::testing::TestDatabase;
use settlement::attribution::AttributionTerms;
use settlement::commission::{CommissionRule, Percentage};
use settlement::conversion::{Action, ConversionRef, Decision, Order, Recorded};
use settlement::fees::FeeModel;
use settlement::network;
use settlement::party::{self, NewParty, NewProgram, ProgramRef};
use settlement::rules::Rules;
use settlement::terms::{Presentation, RecognitionPoint, Terms, Unattributed};
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) const PUBLISHER: Uuid = Uuid::from_u128(0x50);

pub(crate) fn by() -> Actor {
    Actor::new("test")
}

/// A moment, UTC: `at("2026-01-01 08:26")`.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M")
        .unwrap()
        .and_utc()
}

/// A clock that is turned by hand.
#[derive(Clone)]
pub(crate) struct Hand(Arc<Mutex<DateTime<Utc>>>);

impl Hand {
    pub(crate) fn at(text: &str) -> Hand {
        Hand(Arc::new(Mutex::new(at(text))))
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    pub(crate) fn turn(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }

    pub(crate) fn clock(&self) -> Clock {
        let hand = self.clone();
        Arc::new(move || hand.now())
    }
}

pub(crate) fn settings(name: &str) -> Settings {
    Settings {
        poll: Duration::from_millis(10),
        ..Settings::new(name)
    }
}

/// What tests share: a database, its program, the time.
pub(crate) struct World {
    pub(crate) db: TestDatabase,
    pub(crate) conn: PgConnection,
    pub(crate) program: ProgramRef,
    pub(crate) hand: Hand,
}

fn terms() -> Terms {
    let rate = "10%".parse().unwrap();
    Terms {
        effective_from: at("2010-01-01 00:00"),
        currency: Currency::USD,
        rule: CommissionRule::Percentage(Percentage { rate }),
        fee_model: FeeModel::Deducted {
            rate: "20%".parse().unwrap(),
        },
        rounding: Rounding::HalfUp,
        recognition_point: RecognitionPoint::Approval,
        presentation: Presentation::Agent,
        unattributed: Unattributed::RecordOnly,
        lookback_days: 30,
        attribution: AttributionTerms::default(),
        rules: Rules::default(),
    }
}

impl World {
    pub(crate) async fn new() -> World {
        let db = migrations::testing::database().await;
        let mut conn = db.service().await;
        let hand = Hand::at("2026-01-01 12:00");
        let now = at("2010-01-01 00:00");
        begin(&mut conn).await;
        network::create(&mut conn, now, &by(), "Spider", chrono_tz::UTC)
            .await
            .unwrap();
        commit(&mut conn).await;
        let program = add_program(&mut conn, "Acme").await;
        World {
            db,
            conn,
            program,
            hand,
        }
    }

    /// From now on, clicks share an order by this model.
    pub(crate) async fn share_by(&mut self, model: &str) {
        let now = self.hand.now() - TimeDelta::days(1);
        let mut terms = terms();
        terms.effective_from = now;
        terms.attribution.model = model.parse().unwrap();
        begin(&mut self.conn).await;
        party::add_terms(&mut self.conn, now, &by(), self.program, &terms)
            .await
            .unwrap();
        commit(&mut self.conn).await;
    }

    pub(crate) fn worker(&self, registry: Registry) -> Worker {
        self.worker_named("worker", registry)
    }

    pub(crate) fn worker_named(&self, name: &str, registry: Registry) -> Worker {
        Worker::new(
            self.db.service_pool(),
            self.hand.clock(),
            registry,
            settings(name),
        )
    }

    /// Runs everything that is due, sending to any address; answers how many runs that took.
    pub(crate) async fn deliver(&self) -> usize {
        self.worker(Registry::new().with(deliver()))
            .drain()
            .await
            .unwrap()
    }

    pub(crate) async fn jobs(&mut self, state: State) -> Vec<Letter> {
        queue::list(&mut self.conn, state, None, 1000)
            .await
            .unwrap()
    }

    /// A target that wants to hear of everything, with an id that follows from its number.
    pub(crate) async fn target(&mut self, number: u128, url: &str) -> Uuid {
        let new = new_target(number, url);
        self.add(&new).await;
        new.id
    }

    pub(crate) async fn add(&mut self, new: &NewTarget) {
        let now = self.hand.now();
        target::add(&mut self.conn, now, &by(), new, Reach::Any)
            .await
            .unwrap();
    }

    /// Records an order of the publisher.
    pub(crate) async fn order(&mut self, reference: &str) -> ConversionRef {
        let order = order(self.program, reference, self.hand.now());
        begin(&mut self.conn).await;
        let answers = effects::record(&mut self.conn, self.hand.now(), &by(), &[order]).await;
        commit(&mut self.conn).await;
        match answers.unwrap().as_slice() {
            [Recorded::New(reference, _)] => *reference,
            other => panic!("not recorded: {other:?}"),
        }
    }

    pub(crate) async fn decide(&mut self, action: Action, conversions: &[ConversionRef]) {
        let decision = Decision {
            action,
            reason: "because".to_owned(),
        };
        begin(&mut self.conn).await;
        let now = self.hand.now();
        let answers = effects::decide(&mut self.conn, now, &by(), &decision, conversions).await;
        commit(&mut self.conn).await;
        assert_eq!(answers.unwrap().len(), conversions.len());
    }
}

/// Sends to any address and gives a target up after three failures.
pub(crate) fn deliver() -> Deliver {
    Deliver {
        reach: Reach::Any,
        limits: Limits {
            failures: 3,
            over: TimeDelta::minutes(5),
        },
    }
}

pub(crate) fn new_target(number: u128, url: &str) -> NewTarget {
    NewTarget {
        id: Uuid::from_u128(number),
        publisher: PUBLISHER,
        program: None,
        method: Method::Get,
        url: url.to_owned(),
        events: Event::ALL.to_vec(),
        delay_ms: 0,
        unknown: Unknown::Literal,
        expose_order_id: false,
    }
}

/// An order worth 100 dollars that names the publisher: 10 gross, 8 for the publisher.
pub(crate) fn order(program: ProgramRef, reference: &str, when: DateTime<Utc>) -> Order {
    let amount = Amount::new("100.00 USD".parse().unwrap()).unwrap();
    Order {
        publisher: Some(PUBLISHER),
        ..Order::new(program, reference, when, amount)
    }
}

/// A brand with one program; [`PUBLISHER`] is enrolled in it.
pub(crate) async fn add_program(conn: &mut PgConnection, brand: &str) -> ProgramRef {
    let now = at("2010-01-01 00:00");
    let party = |name: &str| NewParty {
        id: Uuid::new_v5(&Uuid::nil(), name.as_bytes()),
        name: name.to_owned(),
    };
    let publisher = NewParty {
        id: PUBLISHER,
        name: "Pat".to_owned(),
    };
    let program = NewProgram {
        id: party(&format!("{brand} program")).id,
        brand: brand.to_owned(),
        name: "Main".to_owned(),
        terms: terms(),
    };
    begin(conn).await;
    party::create_brands(conn, now, &by(), &[party(brand)])
        .await
        .unwrap();
    party::create_publishers(conn, now, &by(), &[publisher])
        .await
        .unwrap();
    party::create_programs(conn, now, &by(), std::slice::from_ref(&program))
        .await
        .unwrap();
    let book = party::brands_by_name(conn).await.unwrap()[brand].1;
    let program = ProgramRef {
        book,
        id: program.id,
    };
    party::enrol(conn, now, &by(), &[(program, PUBLISHER)])
        .await
        .unwrap();
    commit(conn).await;
    program
}

pub(crate) async fn begin(conn: &mut PgConnection) {
    sqlx::query("begin").execute(conn).await.unwrap();
}

pub(crate) async fn commit(conn: &mut PgConnection) {
    sqlx::query("commit").execute(conn).await.unwrap();
}

pub(crate) async fn rollback(conn: &mut PgConnection) {
    sqlx::query("rollback").execute(conn).await.unwrap();
}
