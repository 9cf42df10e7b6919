//! Pure: whether a browser is a robot, by the product tokens of its name.
//!
//! Whole tokens are compared, never parts of words: `Google` in the name of Google's own app is a
//! person, `Googlebot` is not. A token that ends in `bot`, `crawler` or `spider` is a robot, unless
//! it is a telephone. An operator may add a list of patterns at start; see the crate `api`.
//!
//! # Adding a robot
//!
//! A line in `ROBOTS`, in lower case, if its token does not end in one of the three words.

/// Product tokens of robots whose name does not say so.
const ROBOTS: &[&str] = &[
    // Programs that fetch.
    "curl",
    "wget",
    "python-requests",
    "python-urllib",
    "python-httpx",
    "aiohttp",
    "httpx",
    "scrapy",
    "go-http-client",
    "java",
    "okhttp",
    "apache-httpclient",
    "httpclient",
    "libwww-perl",
    "lwp",
    "ruby",
    "faraday",
    "php",
    "guzzlehttp",
    "axios",
    "node-fetch",
    "undici",
    "got",
    "httpie",
    "postmanruntime",
    "insomnia",
    "fasthttp",
    "reqwest",
    "winhttp",
    // Browsers that nobody looks at.
    "headlesschrome",
    "headless",
    "phantomjs",
    "electron-prerender",
    "prerender",
    "puppeteer",
    "playwright",
    "selenium",
    "lighthouse",
    "chrome-lighthouse",
    "ptst",
    "gtmetrix",
    // Previews of links.
    "facebookexternalhit",
    "facebookcatalog",
    "meta-externalagent",
    "meta-externalfetcher",
    "whatsapp",
    "skypeuripreview",
    "vkshare",
    "embedly",
    "iframely",
    "redditbot",
    "snapchat-preview",
    "bitlybot",
    "google-pagerenderer",
    "googleimageproxy",
    "yahoomailproxy",
    // Search, archives, watchers, scanners.
    "slurp",
    "mediapartners-google",
    "apis-google",
    "google-inspectiontool",
    "googleother",
    "google-extended",
    "google-safety",
    "feedfetcher-google",
    "bingpreview",
    "ia_archiver",
    "archive.org_bot",
    "heritrix",
    "nutch",
    "teoma",
    "yandeximages",
    "baiduspider-render",
    "gptbot",
    "chatgpt-user",
    "claude-web",
    "perplexity-user",
    "bytespider",
    "ccbot",
    "pingdom",
    "pingdom.com_bot_version_1.4",
    "statuscake",
    "site24x7",
    "uptime-kuma",
    "newrelicpinger",
    "datadogsynthetics",
    "nessus",
    "nikto",
    "zgrab",
    "masscan",
    "nmap",
    "sqlmap",
    "barracuda",
    "proofpoint",
    "mimecast",
];

/// How the tokens of most robots end.
const ENDINGS: &[&str] = &["bot", "crawler", "spider"];
/// Telephones whose makers did not think of this.
const TELEPHONES: &[&str] = &["cubot"];

/// Does this `User-Agent` belong to a robot?
#[must_use]
pub fn is_robot(user_agent: &str) -> bool {
    let is_apart = |c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c));
    user_agent
        .split(is_apart)
        .filter(|token| !token.is_empty())
        .any(is_robot_token)
}

fn is_robot_token(token: &str) -> bool {
    let token = token.trim_end_matches('.').to_ascii_lowercase();
    if ROBOTS.contains(&token.as_str()) {
        return true;
    }
    token.split(['-', '_']).any(|part| {
        let ends = ENDINGS.iter().any(|ending| part.ends_with(ending));
        ends && !TELEPHONES.contains(&part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn robots_are_told_by_their_product_token() {
        for robot in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "AdsBot-Google (+http://www.google.com/adsbot.html)",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "TelegramBot (like TwitterBot)",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "WhatsApp/2.23.20.0",
            "curl/8.5.0",
            "Wget/1.21.4",
            "python-requests/2.32.3",
            "Apache-HttpClient/4.5.14 (Java/17.0.9)",
            "Go-http-client/1.1",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
             HeadlessChrome/120.0.0.0 Safari/537.36",
            "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
            "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
            "Mozilla/5.0 (compatible; SomeNew_crawler/0.1)",
        ] {
            assert!(is_robot(robot), "{robot}");
        }
    }

    #[test]
    fn people_in_apps_and_on_telephones_are_no_robots() {
        for person in [
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, \
             like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/455.0.0.42.108;FBDV/iPhone15,3]",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, \
             like Gecko) GSA/307.0 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (Linux; Android 13; CUBOT X70) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/120.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 \
             [Pinterest/iOS]",
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Instagram 320.0.0.0 \
             Android",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/120.0.0.0 Safari/537.36 Edg/120.0.0.0",
            "Mozilla/5.0 (Linux; Android 12) AppleWebKit/537.36 Chrome/119.0 Mobile \
             Safari/537.36 BingSapphire/26.3",
        ] {
            assert!(!is_robot(person), "{person}");
        }
    }
}
