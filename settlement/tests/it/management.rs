//! Publishers, programs and enrolments: their states, their history, and what they earn.

use settlement::conversion::Recorded;
use settlement::conversion::record::{Order, record};
use settlement::party::changes;
use settlement::party::{
    Application, EnrolmentAction, EnrolmentFilter, PartyError, ProgramAction, PublisherAction,
    apply, apply_to, decide_enrolment, decide_program, decide_publisher, enrolments, find_program,
    find_publisher, programs, publishers,
};
use uuid::Uuid;

use crate::fixture::{PUBLISHER, at, begin, by, commit, order, program, terms};

fn application(n: u128, name: &str, code: Option<&str>) -> Application {
    Application {
        id: Uuid::from_u128(n),
        name: name.to_owned(),
        code: code.map(|code| code.parse().unwrap()),
        contact_mail: "zoe@example.org".to_owned(),
        website: "https://zoe.example.org".to_owned(),
    }
}

#[tokio::test]
async fn an_applicant_earns_nothing_before_publisher_and_enrolment_are_approved() {
    let (_db, mut conn, program) = program(terms()).await;
    let now = at("2010-11-01 00:00");
    begin(&mut conn).await;
    let zoe = apply(&mut conn, now, &by(), &application(7, "Zoe", Some("ZOE")))
        .await
        .unwrap();
    assert_eq!((zoe.state.as_str(), zoe.code.as_str()), ("applied", "ZOE"));
    assert_eq!(
        apply_to(&mut conn, now, &by(), &[(program, zoe.id)])
            .await
            .unwrap(),
        1
    );
    commit(&mut conn).await;

    let pair = (program, zoe.id);
    let approve = EnrolmentAction::Approve;
    let refused = decide_enrolment(&mut conn, now, &by(), pair, approve, "nice site").await;
    assert!(
        matches!(refused, Err(PartyError::NotReady { .. })),
        "{refused:?}"
    );

    begin(&mut conn).await;
    let action = PublisherAction::Approve;
    decide_publisher(&mut conn, now, &by(), zoe.id, action, "nice site")
        .await
        .unwrap();
    decide_enrolment(&mut conn, now, &by(), pair, approve, "fits")
        .await
        .unwrap();
    commit(&mut conn).await;

    let earned = credited(
        &mut conn,
        &[
            ("early", "2010-10-31 23:59"),
            ("exact", "2010-11-01 00:00"),
            ("late", "2010-11-05 00:00"),
        ],
        |order| Order {
            publisher: Some(zoe.id),
            ..order
        },
        program,
    )
    .await;
    assert_eq!(earned, [false, true, true]);
}

/// Which orders were credited to a publisher.
async fn credited(
    conn: &mut sqlx::PgConnection,
    orders: &[(&str, &str)],
    with: impl Fn(Order) -> Order,
    program: settlement::party::ProgramRef,
) -> Vec<bool> {
    let orders: Vec<Order> = orders
        .iter()
        .map(|(name, when)| with(order(program, name, when, "100.00 USD")))
        .collect();
    begin(conn).await;
    let recorded = record(conn, at("2011-01-01 00:00"), &by(), &orders)
        .await
        .unwrap();
    commit(conn).await;
    assert!(recorded.iter().all(|r| matches!(r, Recorded::New(..))));
    let mut credited = Vec::new();
    for order in &orders {
        let state: String =
            sqlx::query_scalar("select state from settlement.conversion where order_ref = $1")
                .bind(&order.order_ref)
                .fetch_one(&mut *conn)
                .await
                .unwrap();
        credited.push(state != "unattributed");
    }
    credited
}

#[tokio::test]
async fn a_suspended_publisher_earns_again_from_its_next_approval_and_what_it_earned_stays() {
    let (_db, mut conn, program) = program(terms()).await;
    for (when, action) in [
        ("2010-11-10 00:00", PublisherAction::Suspend),
        ("2010-11-20 00:00", PublisherAction::Approve),
    ] {
        begin(&mut conn).await;
        let done = decide_publisher(&mut conn, at(when), &by(), PUBLISHER, action, "spam").await;
        done.unwrap();
        commit(&mut conn).await;
    }
    let orders = [
        ("before", "2010-11-09 23:59"),
        ("while", "2010-11-10 00:00"),
        ("still", "2010-11-19 23:59"),
        ("after", "2010-11-20 00:00"),
    ];
    let earned = credited(&mut conn, &orders, |order| order, program).await;
    assert_eq!(earned, [true, false, false, true]);
}

#[tokio::test]
async fn every_step_is_kept_with_author_time_reason_and_the_row_before_and_after() {
    let (_db, mut conn, program) = program(terms()).await;
    let now = at("2010-11-10 00:00");
    begin(&mut conn).await;
    let pause = ProgramAction::Pause;
    for _ in 0..2 {
        decide_program(&mut conn, now, &by(), program, pause, "budget")
            .await
            .unwrap();
    }
    commit(&mut conn).await;
    let subject = format!("program:{}", program.id);
    let kept = changes::list(&mut conn, Some(&subject), None, 10)
        .await
        .unwrap();
    let told: Vec<_> = kept
        .iter()
        .map(|c| {
            (
                c.version,
                c.action.as_str(),
                c.reason.as_str(),
                c.changed_by.as_str(),
            )
        })
        .collect();
    let expected = [
        (2, "pause", "budget", "test"),
        (1, "create", "created", "test"),
    ];
    assert_eq!(told, expected, "asking twice is one step");
    assert_eq!(kept[0].before.as_ref().unwrap()["state"], "active");
    assert_eq!(kept[0].after["state"], "paused");
    assert_eq!(kept[1].before, None);
    let all = changes::list(&mut conn, None, None, 100).await.unwrap();
    let last = all[0].clone();
    let position = (last.changed_at, last.subject, last.version);
    let rest = changes::list(&mut conn, None, Some(&position), 100)
        .await
        .unwrap();
    assert_eq!(rest, all[1..], "a page goes on after the last one shown");
    let gone = sqlx::query("delete from settlement.party_change")
        .execute(&mut conn)
        .await;
    assert!(gone.is_err());
}

#[tokio::test]
async fn a_closed_program_enrols_nobody_and_stays_closed() {
    let (_db, mut conn, program) = program(terms()).await;
    let now = at("2010-11-10 00:00");
    begin(&mut conn).await;
    let zoe = apply(&mut conn, now, &by(), &application(7, "Zoe", None))
        .await
        .unwrap();
    let action = PublisherAction::Approve;
    decide_publisher(&mut conn, now, &by(), zoe.id, action, "fine")
        .await
        .unwrap();
    apply_to(&mut conn, now, &by(), &[(program, zoe.id)])
        .await
        .unwrap();
    decide_program(&mut conn, now, &by(), program, ProgramAction::Close, "over")
        .await
        .unwrap();
    commit(&mut conn).await;
    let approve = EnrolmentAction::Approve;
    let refused = decide_enrolment(&mut conn, now, &by(), (program, zoe.id), approve, "").await;
    assert!(
        matches!(refused, Err(PartyError::NotReady { .. })),
        "{refused:?}"
    );
    let again = ProgramAction::Activate;
    let refused = decide_program(&mut conn, now, &by(), program, again, "").await;
    assert!(
        matches!(refused, Err(PartyError::Impossible { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_name_or_code_is_given_once_and_a_contact_has_to_be_one() {
    let (_db, mut conn, _) = program(terms()).await;
    let now = at("2010-11-10 00:00");
    apply(&mut conn, now, &by(), &application(7, "Zoe", Some("ZOE")))
        .await
        .unwrap();
    let name = apply(&mut conn, now, &by(), &application(8, "Zoe", None)).await;
    assert!(
        matches!(name, Err(PartyError::NameTaken { .. })),
        "{name:?}"
    );
    let code = apply(&mut conn, now, &by(), &application(8, "Zoë", Some("ZOE"))).await;
    assert!(matches!(code, Err(PartyError::CodeTaken(_))), "{code:?}");
    for (mail, website) in [
        ("nobody", "https://zoe.example.org"),
        ("zoe@example.org", "javascript:alert(1)"),
        ("zoe@example.org", "zoe.example.org"),
    ] {
        let wrong = Application {
            contact_mail: mail.to_owned(),
            website: website.to_owned(),
            ..application(9, "Ann", None)
        };
        let refused = apply(&mut conn, now, &by(), &wrong).await;
        assert!(
            matches!(refused, Err(PartyError::NotPlain { .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn lists_go_on_after_the_last_one_shown_and_parties_are_found_by_what_people_call_them() {
    let (_db, mut conn, program) = program(terms()).await;
    let now = at("2010-11-10 00:00");
    for n in 1..=3 {
        let name = format!("Applicant {n}");
        apply(&mut conn, now, &by(), &application(n, &name, None))
            .await
            .unwrap();
    }
    let all = publishers(&mut conn, None, None, 10).await.unwrap();
    let page = publishers(&mut conn, None, Some(all[1].id), 2)
        .await
        .unwrap();
    assert_eq!(page, all[2..4]);
    for key in [
        all[0].id.to_string(),
        all[0].code.clone(),
        all[0].name.clone(),
    ] {
        assert_eq!(
            find_publisher(&mut conn, &key).await.unwrap(),
            all[0],
            "{key}"
        );
    }
    let only = &programs(&mut conn, None, None, None, 10).await.unwrap()[0];
    for key in ["Acme", "Main", "Acme/Main", &program.id.to_string()] {
        assert_eq!(&find_program(&mut conn, key).await.unwrap(), only, "{key}");
    }
    let filter = EnrolmentFilter {
        publisher: Some(PUBLISHER),
        ..EnrolmentFilter::default()
    };
    let enrolled = enrolments(&mut conn, filter, None, 10).await.unwrap();
    assert_eq!((enrolled.len(), enrolled[0].earns_from), (1, None));
}
