//! Pure: whether a click counts, and if not, why.
//!
//! A visitor is sent on whatever the answer; the reason is kept with the raw click, so that a
//! publisher can be told. Only the first reason is kept, in the order of [`judge`]: what is wrong
//! with the link comes before what is odd about the request.
//!
//! # Adding a reason
//!
//! A variant of [`Reason`] with its name, and one line in [`judge`] at the place where it belongs.

use super::Reason;

/// Where the link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It takes clicks.
    Active,
    /// Its program takes none.
    ProgramInactive,
    /// Its publisher may send none.
    PublisherInactive,
    /// It is over.
    ProductInactive,
}

/// How a click came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Somebody followed a link: coming from another site is what links are for.
    Link,
    /// The site's own script asked on behalf of its visitor.
    Script,
}

/// The request, as far as it is judged.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// How it came in.
    pub door: Door,
    /// Only the headers were asked for.
    pub head: bool,
    /// `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// [`super::bots`] or a list of the operator's takes the browser for a robot.
    pub robot: bool,
    /// `Referer`.
    pub referrer: Option<&'a str>,
    /// `Sec-Purpose`, `Purpose`, `X-Purpose` and `X-Moz`, joined.
    pub purpose: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub fetch_site: Option<&'a str>,
    /// `Sec-Fetch-Mode`.
    pub fetch_mode: Option<&'a str>,
    /// `Sec-Fetch-Dest`.
    pub fetch_dest: Option<&'a str>,
}

/// What was found out about the click besides the request.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Where the link stands.
    pub standing: Standing,
    /// The link leads where its program allows.
    pub destination_allowed: bool,
    /// The address asked too often.
    pub over_rate: bool,
    /// Pages that a visitor may come from; none: any.
    pub referrers: &'a [String],
    /// The same visitor asked a moment ago.
    pub repeated: bool,
}

/// The first reason why a click does not count; `None`: it does.
#[must_use]
pub fn judge(seen: &Seen<'_>, facts: &Facts<'_>) -> Option<Reason> {
    match facts.standing {
        Standing::Active => {}
        Standing::ProgramInactive => return Some(Reason::ProgramInactive),
        Standing::PublisherInactive => return Some(Reason::PublisherInactive),
        Standing::ProductInactive => return Some(Reason::ProductInactive),
    }
    let referred = match seen.door {
        // Apps and privacy settings leave it out: absence is no reason.
        Door::Link => seen.referrer.is_none(),
        Door::Script => false,
    };
    let tests = [
        (!facts.destination_allowed, Reason::InvalidDestination),
        (facts.over_rate, Reason::RateLimit),
        (seen.head, Reason::Head),
        (is_fetched_ahead(seen.purpose), Reason::Prefetch),
        (seen.robot || is_nameless(seen.user_agent), Reason::BotUa),
        (
            !referred && !is_allowed(seen.referrer, facts.referrers),
            Reason::InvalidReferrer,
        ),
        (is_foreign_script(seen), Reason::SecFetchSite),
        (is_no_navigation(seen), Reason::NonNavigation),
        (facts.repeated, Reason::DuplicateRecent),
    ];
    tests
        .into_iter()
        .find(|(holds, _)| *holds)
        .map(|(_, reason)| reason)
}

/// `prefetch`, `prefetch;prerender`, `preview`: nobody has clicked yet.
fn is_fetched_ahead(purpose: Option<&str>) -> bool {
    let words = purpose.unwrap_or_default().split([';', ',', ' ']);
    words.into_iter().any(|word| {
        ["prefetch", "prerender", "preview"]
            .iter()
            .any(|ahead| word.eq_ignore_ascii_case(ahead))
    })
}

/// No browser calls itself by fewer than eight letters.
fn is_nameless(user_agent: Option<&str>) -> bool {
    user_agent.unwrap_or_default().trim().len() < 8
}

/// Does the page lie on an allowed host, or on an allowed path of it?
fn is_allowed(referrer: Option<&str>, allowed: &[String]) -> bool {
    if allowed.is_empty() {
        return true;
    }
    let Some(page) = referrer.and_then(|text| url::Url::parse(text).ok()) else {
        return false;
    };
    let (host, path) = (page.host_str().unwrap_or_default(), page.path());
    allowed.iter().any(|rule| {
        let (on, below) = rule.split_once('/').unwrap_or((rule, ""));
        host.eq_ignore_ascii_case(on) && is_on(path.trim_start_matches('/'), below)
    })
}

/// `products/` allows every page below it, `cart` that page; `*` stands for one part of the path.
fn is_on(path: &str, below: &str) -> bool {
    if below.is_empty() {
        return true;
    }
    let mut parts = path.split('/');
    for wanted in below.split('/') {
        match parts.next() {
            // After a closing slash something must come.
            Some(part) if wanted.is_empty() => return !part.is_empty(),
            Some(part) if wanted == part || (wanted == "*" && !part.is_empty()) => {}
            _ => return false,
        }
    }
    parts.all(str::is_empty)
}

fn is_foreign_script(seen: &Seen<'_>) -> bool {
    let own = |site: &str| matches!(site, "same-origin" | "same-site");
    seen.door == Door::Script && seen.fetch_site.is_some_and(|site| !own(site))
}

/// An image, script or frame of another page that leads here: the visitor saw no link.
fn is_no_navigation(seen: &Seen<'_>) -> bool {
    let embedded = matches!(
        seen.fetch_dest,
        Some(
            "image"
                | "script"
                | "iframe"
                | "frame"
                | "style"
                | "embed"
                | "object"
                | "font"
                | "audio"
                | "video"
                | "track"
        )
    );
    seen.door == Door::Link && (seen.fetch_mode == Some("no-cors") || embedded)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

    fn seen(door: Door) -> Seen<'static> {
        Seen {
            door,
            head: false,
            user_agent: Some(BROWSER),
            robot: false,
            referrer: None,
            purpose: None,
            fetch_site: None,
            fetch_mode: None,
            fetch_dest: None,
        }
    }

    fn facts(referrers: &[String]) -> Facts<'_> {
        Facts {
            standing: Standing::Active,
            destination_allowed: true,
            over_rate: false,
            referrers,
            repeated: false,
        }
    }

    #[test]
    fn a_link_followed_from_anywhere_counts() {
        let from_mail = seen(Door::Link);
        assert_eq!(judge(&from_mail, &facts(&[])), None);
        let from_a_blog = Seen {
            referrer: Some("https://blog.example/best-shoes"),
            fetch_site: Some("cross-site"),
            fetch_mode: Some("navigate"),
            fetch_dest: Some("document"),
            ..from_mail
        };
        assert_eq!(judge(&from_a_blog, &facts(&[])), None);
    }

    #[test]
    fn each_reason_is_found_and_earlier_ones_win() {
        let allowed = ["raff.example/products/*".to_owned()];
        let mut seen = Seen {
            head: true,
            user_agent: Some("x"),
            purpose: Some("prefetch;prerender"),
            referrer: Some("https://evil.example/"),
            fetch_site: Some("cross-site"),
            ..seen(Door::Script)
        };
        let mut facts = Facts {
            standing: Standing::ProgramInactive,
            destination_allowed: false,
            over_rate: true,
            referrers: &allowed,
            repeated: true,
        };
        let mut found = Vec::new();
        while let Some(reason) = judge(&seen, &facts) {
            found.push(reason);
            match reason {
                Reason::ProgramInactive => facts.standing = Standing::PublisherInactive,
                Reason::PublisherInactive => facts.standing = Standing::ProductInactive,
                Reason::ProductInactive => facts.standing = Standing::Active,
                Reason::InvalidDestination => facts.destination_allowed = true,
                Reason::RateLimit => facts.over_rate = false,
                Reason::Head => seen.head = false,
                Reason::Prefetch => seen.purpose = None,
                Reason::BotUa => seen.user_agent = Some(BROWSER),
                Reason::InvalidReferrer => seen.referrer = Some("https://raff.example/products/1"),
                Reason::SecFetchSite => {
                    (seen.door, seen.fetch_mode) = (Door::Link, Some("no-cors"));
                }
                Reason::NonNavigation => seen.fetch_mode = Some("navigate"),
                Reason::DuplicateRecent => facts.repeated = false,
            }
        }
        assert_eq!(found, Reason::ALL);
        for reason in Reason::ALL {
            assert_eq!(Reason::named(reason.as_str()), Some(reason));
            assert_eq!(serde_json::json!(reason), reason.as_str());
        }
    }

    #[test]
    fn a_script_must_come_from_an_allowed_page_of_its_own_site() {
        let allowed: Vec<String> = ["/products/*", "/ar/products/*", "/en/products/*", "/cart"]
            .map(|path| format!("raff.example{path}"))
            .into();
        let check = |referrer: Option<&str>, site: Option<&str>| {
            let seen = Seen {
                referrer,
                fetch_site: site,
                ..seen(Door::Script)
            };
            judge(&seen, &facts(&allowed))
        };
        for page in [
            "products/shoe",
            "ar/products/shoe",
            "en/products/shoe?x=1",
            "cart",
        ] {
            let page = format!("https://raff.example/{page}");
            for site in [None, Some("same-origin"), Some("same-site")] {
                assert_eq!(check(Some(&page), site), None, "{page} {site:?}");
            }
            assert_eq!(
                check(Some(&page), Some("cross-site")),
                Some(Reason::SecFetchSite)
            );
            assert_eq!(check(Some(&page), Some("none")), Some(Reason::SecFetchSite));
        }
        for page in [
            "",
            "products",
            "products/",
            "fr/products/1",
            "cart/2",
            "products/1/2",
        ] {
            let page = format!("https://raff.example/{page}");
            assert_eq!(
                check(Some(&page), None),
                Some(Reason::InvalidReferrer),
                "{page}"
            );
        }
        assert_eq!(check(None, None), Some(Reason::InvalidReferrer));
        let other = Some("https://raff.example.evil.example/cart");
        assert_eq!(check(other, None), Some(Reason::InvalidReferrer));
    }

    #[test]
    fn what_was_fetched_ahead_or_embedded_does_not_count() {
        for purpose in [
            "prefetch",
            "prefetch;prerender",
            "Prefetch",
            "preview",
            "x, prefetch",
        ] {
            let ahead = Seen {
                purpose: Some(purpose),
                ..seen(Door::Link)
            };
            assert_eq!(
                judge(&ahead, &facts(&[])),
                Some(Reason::Prefetch),
                "{purpose}"
            );
        }
        for dest in ["image", "script", "iframe"] {
            let embedded = Seen {
                fetch_dest: Some(dest),
                ..seen(Door::Link)
            };
            assert_eq!(
                judge(&embedded, &facts(&[])),
                Some(Reason::NonNavigation),
                "{dest}"
            );
        }
    }
}
