//! Who hears what of a conversion that several share, and of what stores deliver.

use chrono::TimeDelta;
use jobs::effects;
use jobs::postback::NewTarget;
use settlement::conversion::{Action, Order};
use settlement::fraud::RiskSettings;
use settlement::inbox::connection::{self, Connection};
use settlement::inbox::fact::{About, Delivery, Fact, OrderSeen, Says, Status, What};
use settlement::party::{self, NewParty, ProgramRef};
use settlement::tracking::{self, Click, ClickRef};
use uuid::Uuid;

use crate::fixture::{PUBLISHER, World, begin, by, commit, new_target, order};
use crate::publisher::Publisher;

const OTHER: Uuid = Uuid::from_u128(0x51);

/// What was told, sorted: the part of the URL that says what.
async fn told(world: &World, publisher: &Publisher) -> Vec<String> {
    world.deliver().await;
    let told = publisher.told().into_iter();
    let mut told: Vec<String> = told
        .map(|told| told.uri.trim_start_matches("/p?").to_owned())
        .collect();
    told.sort();
    told
}

#[tokio::test]
async fn each_of_several_publishers_hears_of_its_own_part_and_of_no_other() {
    let (mut world, listener) = (World::new().await, Publisher::open().await);
    let now = world.hand.now();
    let bo = NewParty {
        id: OTHER,
        name: "Bo".to_owned(),
    };
    begin(&mut world.conn).await;
    party::create_publishers(&mut world.conn, now, &by(), &[bo])
        .await
        .unwrap();
    let since = now - TimeDelta::days(30);
    party::enrol(&mut world.conn, since, &by(), &[(world.program, OTHER)])
        .await
        .unwrap();
    commit(&mut world.conn).await;
    world.share_by("linear").await;
    for (number, publisher) in [(1, PUBLISHER), (2, OTHER)] {
        let url = listener.url(&format!(
            "/p?{number} {{event_type}} {{payout}} {{click_id}}"
        ));
        world
            .add(&NewTarget {
                publisher,
                ..new_target(number, &url.replace(' ', "-"))
            })
            .await;
    }
    let click = |id: u128, publisher, hours| Click {
        visitor: Some("v".to_owned()),
        ..Click::new(
            Uuid::from_u128(id),
            world.program,
            publisher,
            now - TimeDelta::hours(hours),
        )
    };
    // Three touches, two of them the other's: 8.00 is split 2.67, 2.67 and 2.66.
    let clicks = [
        click(1, PUBLISHER, 3),
        click(2, OTHER, 2),
        click(3, OTHER, 1),
    ];
    let shared = Order {
        visitor: Some("v".to_owned()),
        publisher: None,
        ..order(world.program, "O-1", now)
    };
    begin(&mut world.conn).await;
    tracking::record(&mut world.conn, now, &by(), &clicks)
        .await
        .unwrap();
    let by = by();
    let recorded = effects::record(&mut world.conn, now, &by, std::slice::from_ref(&shared)).await;
    assert_eq!(recorded.unwrap().len(), 1);
    commit(&mut world.conn).await;
    let conversion = settlement::conversion::ConversionRef::of_order(world.program, "O-1");
    world.decide(Action::Approve, &[conversion]).await;
    let [one, two] = [1_u128, 2].map(Uuid::from_u128);
    let expected = [
        format!("1-conversion.approved-2.67-{one}"),
        format!("1-conversion.pending-2.67-{one}"),
        format!("2-conversion.approved-5.33-{two}"),
        format!("2-conversion.pending-5.33-{two}"),
    ];
    assert_eq!(told(&world, &listener).await, expected);
}

/// A store of Zid whose paid orders are approved.
fn zid(program: ProgramRef) -> Connection {
    Connection {
        id: Uuid::from_u128(9),
        source: "zid".to_owned(),
        store: "789".to_owned(),
        program,
        order_prefix: String::new(),
        secrets: vec!["secret".to_owned()],
        header: None,
        mode: None,
        auto_approve_on_paid: true,
        record_all: false,
    }
}

#[tokio::test]
async fn what_a_store_delivers_is_told_once() {
    let (mut world, publisher) = (World::new().await, Publisher::open().await);
    world
        .target(1, &publisher.url("/p?{event_type}={payout}"))
        .await;
    let now = world.hand.now();
    let to = zid(world.program);
    let click = Click::new(
        Uuid::from_u128(7),
        world.program,
        PUBLISHER,
        now - TimeDelta::days(1),
    );
    begin(&mut world.conn).await;
    assert!(
        connection::add(&mut world.conn, now, &by(), &to)
            .await
            .unwrap()
    );
    tracking::record(&mut world.conn, now, &by(), &[click])
        .await
        .unwrap();
    commit(&mut world.conn).await;
    let seen = What::Order(OrderSeen {
        placed_at: now,
        amount: "100.00".to_owned(),
        currency: "USD".to_owned(),
        clicks: vec![Uuid::from_u128(7).to_string()],
        coupons: Vec::new(),
        customer: None,
        lines: Vec::new(),
    });
    let status = |status| What::Status {
        status,
        word: "so".to_owned(),
    };
    let back = What::Refund {
        reference: "R1".to_owned(),
        amount: "50.00".to_owned(),
    };
    let says = [
        seen,
        status(Status::Paid),
        status(Status::Open),
        back,
        status(Status::Over),
    ];
    for (n, what) in (0..).zip(says) {
        let delivery = Delivery {
            key: format!("k{n}"),
            topic: "order".to_owned(),
            body_hash: [1; 32],
            says: Says::About(About {
                order: "A1".to_owned(),
                aliases: Vec::new(),
                facts: vec![Fact {
                    at: now + TimeDelta::minutes(n),
                    what,
                }],
            }),
        };
        for _ in 0..2 {
            let read = |text: &str, _| {
                Some(ClickRef {
                    id: text.parse().ok()?,
                    claims: None,
                })
            };
            let risk = RiskSettings::default();
            begin(&mut world.conn).await;
            let about = (&to, &delivery);
            let received = effects::receive(&mut world.conn, now, &by(), &risk, about, &read).await;
            assert!(received.is_ok());
            commit(&mut world.conn).await;
        }
    }
    let expected = [
        "conversion.adjusted=4.00",
        "conversion.approved=8.00",
        "conversion.pending=8.00",
        "conversion.reversed=0.00",
    ];
    assert_eq!(told(&world, &publisher).await, expected);
}
