//! Clicks: the raw rows that attribution reads, and the rules of a click.
//!
//! A click says which publisher sent which visitor to which program, and when. It is appended,
//! never changed, and unique by its id. The visitor is an opaque id of the store, never a name.
//!
//! | module | answers |
//! |---|---|
//! | [`link`] | where a word in an address leads; words are minted when an enrolment is approved |
//! | [`manage`] | making and ending links, with their history |
//! | [`setup`], [`profile`] | how a program is tracked: destination, cookies, windows |
//! | [`judge`], [`bots`] | whether a click counts, and if not, why |
//! | [`destination`] | the address a visitor is sent to |
//! | [`token`], [`mod@reference`] | the signed token, and whatever else a sender hands back |
//! | [`secrets`] | keys of tokens, salts of visitors' addresses |
//!
//! What it never does: speak HTTP, keep a raw address, or lead anywhere but where the program
//! says.

pub mod bots;
pub mod destination;
pub mod judge;
pub mod link;
pub mod manage;
pub mod profile;
mod reason;
pub mod reference;
pub mod secrets;
pub mod setup;
mod store;
pub mod token;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use reason::Reason;
pub use reference::ClickRef;
pub use store::{record, record_requests};

use crate::party::ProgramRef;

/// A click as it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Click {
    /// Unique; what the cookie, the link and the order carry, or follows from it.
    pub id: Uuid,
    /// Where it leads.
    pub program: ProgramRef,
    /// Who sent the visitor.
    pub publisher: Uuid,
    /// When, UTC.
    pub clicked_at: DateTime<Utc>,
    /// Until when the visitor carries it.
    pub expires_at: Option<DateTime<Utc>>,
    /// The link's word.
    pub link: Option<String>,
    /// What the visitor carries instead of the id, such as `raff_X4m9K2pL7nQw`.
    pub tracking_id: Option<String>,
    /// Who clicked, as far as the store will tell later.
    pub visitor: Option<String>,
    /// The browser's session, an opaque id.
    pub session: Option<String>,
    /// `sub1` to `sub5`: the publisher's own marks.
    pub subs: [Option<String>; 5],
    /// Why it can earn nobody anything; `None`: it can.
    pub reason: Option<Reason>,
    /// The click it repeats: affects counts, never attribution.
    pub duplicate_of: Option<Uuid>,
}

impl Click {
    /// A click of which only the core is known.
    #[must_use]
    pub fn new(id: Uuid, program: ProgramRef, publisher: Uuid, clicked_at: DateTime<Utc>) -> Click {
        Click {
            id,
            program,
            publisher,
            clicked_at,
            expires_at: None,
            link: None,
            tracking_id: None,
            visitor: None,
            session: None,
            subs: [const { None }; 5],
            reason: None,
            duplicate_of: None,
        }
    }
}

/// The request behind a click, as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickRequest {
    /// Which route it took, such as `/go`.
    pub path: String,
    /// The HTTP method.
    pub method: String,
    /// HMAC of the visitor's address, and the day of its salt.
    pub address: Option<AddressHash>,
    /// The browser, as it calls itself.
    pub user_agent: Option<String>,
    /// Two letters of ISO 3166.
    pub country: Option<String>,
    /// The page the visitor came from.
    pub referrer: Option<String>,
    /// The whole address that was asked for.
    pub landing_url: Option<String>,
    /// `utm_source`, `utm_medium`, `utm_campaign`, `utm_term`, `utm_content`.
    pub utm: [Option<String>; 5],
    /// `Sec-Fetch-Site`, `-Mode` and `-Dest`.
    pub fetch: [Option<String>; 3],
    /// `Sec-Purpose` or what older browsers say instead.
    pub purpose: Option<String>,
}

/// A visitor's address, hashed so that only the day's salt can tell two of them apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressHash {
    /// The first half of an HMAC-SHA256.
    pub hash: [u8; 16],
    /// Whose salt it was made with.
    pub salt_day: NaiveDate,
}
