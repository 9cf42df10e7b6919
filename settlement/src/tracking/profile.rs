//! Pure: how a program's clicks are marked. One profile serves every way that networks do it.
//!
//! # Adding a preset
//!
//! Add a variant to [`Preset`] and its arm in [`Profile::preset`]; `snapshots/clicks/` shows what
//! its cookies look like.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// How clicks of a program are marked, for how long, and from where they may come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The parameter that the destination gets.
    pub parameter: String,
    /// What its value, and the cookie's, looks like.
    pub format: Format,
    /// The cookie that keeps the click; none: only the parameter does.
    pub cookie: Option<Cookie>,
    /// The cookie that keeps a browser's session, for counting.
    pub session: Option<Cookie>,
    /// When a click repeats another.
    pub dedup: Option<Dedup>,
    /// For how many days a click without a cookie is carried.
    pub carried_days: u16,
    /// Pages that a visitor may come from, as `host` or `host/path`; none named: any.
    #[serde(default)]
    pub referrers: Vec<String>,
    /// Hosts that a link's own page may lie on, besides the program's.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// What the path of a link's own page must contain, one of them; none named: anything.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Marketing marks for the destination; the campaign comes from the link.
    pub utm: Option<Utm>,
}

/// What a visitor carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The click's id as it is.
    Uuid,
    /// A signed token, which nobody can make up or change.
    Signed,
    /// This prefix and twelve characters drawn by chance.
    Tracking(String),
}

/// A cookie but for its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// `.example.com` for every host below; none: only the host that sets it.
    pub domain: Option<String>,
    /// Below which path browsers send it; none: what browsers make of the link's own path.
    pub path: Option<String>,
    /// How long browsers keep it.
    pub ttl_seconds: u32,
    /// Hidden from the page's own scripts.
    pub http_only: bool,
}

/// When a click repeats another one of the same link's publisher: for counts only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dedup {
    /// What two clicks must have in common.
    pub key: DedupKey,
    /// Within how many seconds, inclusive.
    pub window_seconds: u32,
}

/// What makes two clicks the same visitor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DedupKey {
    /// The session cookie.
    Session,
    /// Address, browser and link.
    IpUaTarget,
}

/// Marketing marks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Utm {
    /// `utm_source`.
    pub source: String,
    /// `utm_medium`.
    pub medium: String,
}

/// Profiles that are in use out there, named after what they set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// `pcps_click`, the click's id, thirty days, hidden from scripts.
    PcpsClick,
    /// `tb_affiliate` for seven days, with `tb_session` for a day to count by.
    TbAffiliate,
    /// `op_cref`, which the shop's own script reads and refreshes.
    OpCref,
    /// `ref=raff_…` and marketing marks, repeated clicks counted once in fifteen seconds.
    Raff,
    /// `aff_ref`, a signed token.
    Signed,
}

const DAY: u32 = 24 * 60 * 60;

impl Profile {
    /// A profile in use; `domain` is where its cookies are seen, such as `.example.com`.
    #[must_use]
    pub fn preset(preset: Preset, domain: Option<&str>) -> Profile {
        let cookie = |name: &str, days: u32| Cookie {
            name: name.to_owned(),
            domain: domain.map(str::to_owned),
            path: Some("/".to_owned()),
            ttl_seconds: days * DAY,
            http_only: true,
        };
        let plain = Profile {
            parameter: "pcps_click".to_owned(),
            format: Format::Uuid,
            cookie: Some(Cookie {
                path: None,
                ..cookie("pcps_click", 30)
            }),
            session: None,
            dedup: None,
            carried_days: 30,
            referrers: Vec::new(),
            hosts: Vec::new(),
            paths: Vec::new(),
            utm: None,
        };
        let dedup = |key, window_seconds| {
            Some(Dedup {
                key,
                window_seconds,
            })
        };
        match preset {
            Preset::PcpsClick => plain,
            Preset::TbAffiliate => Profile {
                parameter: "ref".to_owned(),
                cookie: Some(cookie("tb_affiliate", 7)),
                session: Some(cookie("tb_session", 1)),
                dedup: dedup(DedupKey::Session, DAY),
                ..plain
            },
            Preset::OpCref => Profile {
                parameter: "cref".to_owned(),
                cookie: Some(Cookie {
                    http_only: false,
                    ..cookie("op_cref", 30)
                }),
                ..plain
            },
            Preset::Raff => Profile {
                parameter: "ref".to_owned(),
                format: Format::Tracking("raff_".to_owned()),
                cookie: None,
                dedup: dedup(DedupKey::IpUaTarget, 15),
                hosts: ["zid.store", "zid.sa", "salla.sa", "salla.shop"]
                    .map(str::to_owned)
                    .into(),
                paths: ["/product/", "/products/"].map(str::to_owned).into(),
                utm: Some(Utm {
                    source: "raff".to_owned(),
                    medium: "affiliate".to_owned(),
                }),
                ..plain
            },
            Preset::Signed => Profile {
                parameter: "aff_ref".to_owned(),
                format: Format::Signed,
                cookie: Some(cookie("aff_ref", 30)),
                ..plain
            },
        }
    }

    /// How long a visitor carries a click.
    #[must_use]
    pub fn carried(&self) -> TimeDelta {
        match &self.cookie {
            Some(cookie) => TimeDelta::seconds(cookie.ttl_seconds.into()),
            None => TimeDelta::days(self.carried_days.into()),
        }
    }

    /// What of it cannot be, in words.
    pub fn check(&self) -> Result<(), ProfileError> {
        let token = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        };
        if !token(&self.parameter) {
            return Err(ProfileError::Parameter(self.parameter.clone()));
        }
        if let Format::Tracking(prefix) = &self.format
            && (!token(prefix) || prefix.contains('.'))
        {
            return Err(ProfileError::Prefix(prefix.clone()));
        }
        for cookie in self.cookie.iter().chain(&self.session) {
            // Anything else could end the attribute and begin another.
            let attribute = |text: &Option<String>| {
                text.as_deref().is_none_or(|text| {
                    text.bytes()
                        .all(|b| b.is_ascii_graphic() && !b"; ,".contains(&b))
                })
            };
            if !token(&cookie.name) || !attribute(&cookie.domain) || !attribute(&cookie.path) {
                return Err(ProfileError::Cookie(cookie.name.clone()));
            }
        }
        match self.dedup {
            Some(dedup) if dedup.key == DedupKey::Session && self.session.is_none() => {
                Err(ProfileError::NoSession)
            }
            _ => Ok(()),
        }
    }
}

impl Cookie {
    /// The value of a `Set-Cookie` header.
    #[must_use]
    pub fn header(&self, value: &str) -> String {
        let mut header = format!("{}={value}", self.name);
        if let Some(domain) = &self.domain {
            header.push_str("; Domain=");
            header.push_str(domain);
        }
        if let Some(path) = &self.path {
            header.push_str("; Path=");
            header.push_str(path);
        }
        header.push_str("; Max-Age=");
        header.push_str(&self.ttl_seconds.to_string());
        if self.http_only {
            header.push_str("; HttpOnly");
        }
        header.push_str("; Secure; SameSite=Lax");
        header
    }
}

/// What a profile cannot say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not a parameter's name.
    #[error("parameter {0:?} must be letters, digits, `_`, `-` or `.`, at most 64")]
    Parameter(String),
    /// Not a prefix.
    #[error("tracking prefix {0:?} must be letters, digits, `_` or `-`, at most 64")]
    Prefix(String),
    /// A cookie that browsers would not take.
    #[error("cookie {0:?} has a name, domain or path that browsers do not take")]
    Cookie(String),
    /// Counting by something that is not there.
    #[error("clicks are to be counted by session, but no session cookie is set")]
    NoSession,
}
