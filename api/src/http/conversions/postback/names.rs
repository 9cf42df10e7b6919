//! Pure: the names that senders of postbacks give to what they say.
//!
//! # Adding a sender
//!
//! Its names go into the lists below, the more specific first; a name that means two things is
//! decided by a parameter that only one of the senders has, as `ref` is by Awin's `cks`.

use settlement::conversion::Action;

use super::fields::Status;

pub(super) const CLICK: &[&str] = &[
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
pub(super) const ORDER: &[&str] = &[
    "order_id",
    "txid",
    "tid",
    "OID",
    "action_id",
    "adv_unique1",
    "brand_order_ref",
];
pub(super) const AMOUNT: &[&str] = &["amount", "sum", "payout", "order_value", "revenue"];
pub(super) const CURRENCY: &[&str] = &["currency", "cr", "CURRENCY", "order_currency"];
pub(super) const COUPON: &[&str] = &[
    "coupon_code",
    "promo_code",
    "vc",
    "COUPON",
    "OrderPromoCode",
    "coupon",
];
/// Keitaro says in the same request what its words for states mean:
/// `status=won&sale_status=won,paid&rejected_status=lost`.
pub(super) const STATUS_MAPS: &[(&[&str], Status)] = &[
    (&["sale_status"], Status::Decide(Action::Approve)),
    (&["lead_status"], Status::Record),
    (&["rejected_status", "reject_status"], Status::Decline),
    (&["hold_status"], Status::Decide(Action::Hold)),
];
/// The product, where an order has but one: CJ's items, Impact's from 0 or from 1.
pub(super) const PRODUCT: &[&str] = &[
    "product",
    "product_id",
    "ITEM1",
    "ItemSku",
    "ItemSku[0]",
    "ItemSku1",
];
/// Names that show that an order has several products.
pub(super) const MORE: &[&str] = &["ITEM2", "ItemSku[1]", "ItemSku2"];
/// The publisher's own marks, `sub1` to `sub5`: Everflow, TUNE, Keitaro, Affise, others.
pub(super) const SUBS: [&[&str]; 5] = [
    &["sub1", "adv_sub", "sub_id_1", "custom_field1", "adv1"],
    &["sub2", "adv_sub2", "sub_id_2", "custom_field2", "adv2"],
    &["sub3", "adv_sub3", "sub_id_3", "custom_field3", "adv3"],
    &["sub4", "adv_sub4", "sub_id_4", "custom_field4", "adv4"],
    &["sub5", "adv_sub5", "sub_id_5", "custom_field5", "adv5"],
];
pub(super) const GOAL: &[&str] = &["goal_id", "goal", "et", "adv_event_id", "event_id", "TYPE"];
/// Names of secrets, which are never kept or logged.
pub(super) const TOKEN: &[&str] = &["security_token", "verification_token", "secure", "token"];
