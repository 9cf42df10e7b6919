//! Pure: the reasons why a click does not count, by name. [`super::judge`] finds them.

use serde::{Deserialize, Serialize};

/// Why a click can earn nobody anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// The program takes no clicks.
    ProgramInactive,
    /// The publisher may not (any more) send visitors to the program.
    PublisherInactive,
    /// The link, or the product behind it, is over.
    ProductInactive,
    /// The link leads off the program's hosts.
    InvalidDestination,
    /// Too many from one address.
    RateLimit,
    /// Somebody only asked for the headers.
    Head,
    /// The browser fetched ahead of its user.
    Prefetch,
    /// The browser is a robot, or does not say what it is.
    BotUa,
    /// The visitor came from a page that the program does not allow.
    InvalidReferrer,
    /// Another site's script asked.
    SecFetchSite,
    /// Fetched as an image, script or frame: nobody clicked.
    NonNavigation,
    /// The same visitor asked again at once.
    DuplicateRecent,
}

impl Reason {
    /// Every reason, in the order in which they are looked for.
    pub const ALL: [Reason; 12] = [
        Reason::ProgramInactive,
        Reason::PublisherInactive,
        Reason::ProductInactive,
        Reason::InvalidDestination,
        Reason::RateLimit,
        Reason::Head,
        Reason::Prefetch,
        Reason::BotUa,
        Reason::InvalidReferrer,
        Reason::SecFetchSite,
        Reason::NonNavigation,
        Reason::DuplicateRecent,
    ];

    /// As stored and told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::ProgramInactive => "PROGRAM_INACTIVE",
            Reason::PublisherInactive => "PUBLISHER_INACTIVE",
            Reason::ProductInactive => "PRODUCT_INACTIVE",
            Reason::InvalidDestination => "INVALID_DESTINATION",
            Reason::RateLimit => "RATE_LIMIT",
            Reason::Head => "HEAD",
            Reason::Prefetch => "PREFETCH",
            Reason::BotUa => "BOT_UA",
            Reason::InvalidReferrer => "INVALID_REFERRER",
            Reason::SecFetchSite => "SEC_FETCH_SITE",
            Reason::NonNavigation => "NON_NAVIGATION",
            Reason::DuplicateRecent => "DUPLICATE_RECENT",
        }
    }

    /// From what is stored.
    #[must_use]
    pub fn named(name: &str) -> Option<Reason> {
        Reason::ALL
            .into_iter()
            .find(|reason| reason.as_str() == name)
    }
}
