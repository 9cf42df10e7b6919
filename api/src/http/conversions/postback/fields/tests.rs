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
fn a_sender_may_say_what_its_words_for_states_mean() {
    let maps = "sale_status=won,paid&lead_status=new&rejected_status=lost&hold_status=check";
    let status = |word: &str| Fields::read(&[&format!("status={word}&{maps}")]).status();
    assert_eq!(status("Won"), Ok(Status::Decide(Action::Approve)));
    assert_eq!(status("paid"), Ok(Status::Decide(Action::Approve)));
    assert_eq!(status("new"), Ok(Status::Record));
    assert_eq!(status("lost"), Ok(Status::Decline));
    assert_eq!(status("check"), Ok(Status::Decide(Action::Hold)));
    assert_eq!(
        status("sale"),
        Ok(Status::Decide(Action::Approve)),
        "our own words too"
    );
    assert!(status("whatever").is_err());
    assert_eq!(Fields::read(&[maps]).status(), Ok(Status::Record));
}

#[test]
fn lines_and_marks_of_senders_are_read() {
    let one = wanted("click_id=c&parts=SHOES:12.50&adv_sub3=x&sub_id_5=y&ITEM1=sku");
    assert_eq!(
        (one.product.as_deref(), one.category.as_deref()),
        (Some("sku"), Some("SHOES"))
    );
    assert_eq!(
        (one.subs[2].as_deref(), one.subs[4].as_deref()),
        (Some("x"), Some("y"))
    );
    let two = wanted("click_id=c&parts=A:1|B:2&ITEM1=a&ITEM2=b");
    assert_eq!((two.product, two.category), (None, None));
    for name in ["ItemSku", "ItemSku[0]", "ItemSku1", "product_id"] {
        let sold = wanted(&format!("click_id=c&amount=1&{name}=sku"));
        assert_eq!(sold.product.as_deref(), Some("sku"), "{name}");
    }
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
