//! From a user agent string to the kind of program that sent it.

use super::client;
use super::shape;
use super::signals::{DESKTOP, FOREIGN, HANDHELD, Sight, sight};

/// What kind of program sent a user agent string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentKind {
    /// a browser, mail client or app with a person in front
    Person,
    /// fetches images for a person and hides who and where
    PrivacyProxy,
    /// a tool, crawler, scanner, preview or automated browser
    Machine,
    /// nothing was sent
    Empty,
}

/// What a user agent string says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent {
    pub kind: AgentKind,
    /// The reason's stable code, empty for a person: `agent.proxy.apple`, `agent.proxy.gmail`, `agent.proxy.yahoo`,
    /// `agent.tool`, `agent.crawler`, `agent.scanner`, `agent.preview`, `agent.headless`, `agent.malformed` or
    /// `agent.empty`.
    pub reason: &'static str,
    /// Family of the program: `Chrome`, `Outlook`, `Gmail proxy`, `Tool`, `Crawler`, `Other`, `Unknown`…
    pub client: &'static str,
    /// `desktop`, `mobile`, `tablet` or `other`
    pub device: &'static str,
}

/// Reads any string, in time linear in its length. Mail proxies are recognised before anything else is looked at.
pub fn read_agent(user_agent: &str) -> Agent {
    let text = shape::trimmed(user_agent);
    if text.is_empty() {
        return Agent { kind: AgentKind::Empty, reason: "agent.empty", client: "Unknown", device: "other" };
    }
    if text == "Mozilla/5.0" {
        return proxy("agent.proxy.apple", "Apple proxy");
    }
    let sight = sight(text);
    if let Some((reason, client)) = sight.proxy {
        return proxy(reason, client);
    }
    match machine(text, &sight) {
        Some(reason) => Agent { kind: AgentKind::Machine, reason, client: machine_client(reason), device: "other" },
        None => {
            let (client, device) = (client::family(text, &sight), client::device(&sight));
            Agent { kind: AgentKind::Person, reason: "", client, device }
        }
    }
}

/// The reason why the string is a machine's. Named machines first, then named programs of people, then the shape:
/// a string without a browser's shape is a machine's, except on phones, whose apps write what they like.
fn machine(text: &str, sight: &Sight) -> Option<&'static str> {
    if sight.machine.is_some() {
        return sight.machine;
    }
    if sight.hint.is_some() {
        return sight.hint;
    }
    if sight.person {
        return None;
    }
    if sight.has(FOREIGN) || shape::mail_address(text) {
        return Some("agent.crawler");
    }
    if sight.has(HANDHELD) {
        return None;
    }
    if sight.vague.is_some() {
        return sight.vague;
    }
    if !shape::starts_with(text, "Mozilla") {
        return Some(if text.contains('/') { "agent.tool" } else { "agent.malformed" });
    }
    if !sight.has(DESKTOP) {
        return Some("agent.malformed");
    }
    let strange = !text.contains("Electron/") && shape::stranger_product(text);
    strange.then_some("agent.tool")
}

fn proxy(reason: &'static str, client: &'static str) -> Agent {
    Agent { kind: AgentKind::PrivacyProxy, reason, client, device: "other" }
}

fn machine_client(reason: &str) -> &'static str {
    match reason {
        "agent.crawler" | "agent.preview" => "Crawler",
        "agent.malformed" => "Unknown",
        _ => "Tool",
    }
}

/// Ends in `(KHTML, like Gecko)` with no product after it: mail programs and their proxies alike.
pub fn is_bare_webkit(user_agent: &str) -> bool {
    let text = user_agent.trim();
    shape::starts_with(text, "Mozilla/") && text.ends_with("(KHTML, like Gecko)")
}

/// The agent with which Gmail once fetched images ahead; a machine only when referer or address is Google's.
pub fn is_gmail_prefetch(user_agent: &str) -> bool {
    let text = user_agent.trim();
    text.ends_with("Mozilla/5.0") && text.contains("Chrome/42.0.2311.135") && text.contains("Edge/12.246")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHROME: &str =
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";
    const PREFETCH: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                            Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0";

    fn reason(text: &str) -> &'static str {
        let agent = read_agent(text);
        assert_eq!(agent.reason.is_empty(), agent.kind == AgentKind::Person, "{text}");
        agent.reason
    }

    #[test]
    fn mail_proxies_are_never_machines() {
        for (text, expected) in [
            ("Mozilla/5.0", "agent.proxy.apple"),
            (" Mozilla/5.0 ", "agent.proxy.apple"),
            (
                "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
                "agent.proxy.gmail",
            ),
            (
                "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html crawler bot",
                "agent.proxy.yahoo",
            ),
        ] {
            assert_eq!(reason(text), expected);
            assert_eq!(read_agent(text).kind, AgentKind::PrivacyProxy);
        }
    }

    #[test]
    fn reasons_of_machines() {
        for (text, expected) in [
            ("curl/8.4.0", "agent.tool"),
            ("python-requests/2.31.0", "agent.tool"),
            ("Go-http-client/2.0", "agent.tool"),
            ("Something/1.0", "agent.tool"),
            ("Barracuda Sentinel (EE)", "agent.scanner"),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "agent.crawler"),
            ("Mozilla/5.0 (compatible; Something/1.0)", "agent.crawler"),
            ("Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5", "agent.preview"),
            ("WhatsApp/2.23.20.0", "agent.preview"),
            ("facebookexternalhit/1.1", "agent.preview"),
            ("Mozilla/4.0", "agent.malformed"),
            ("Mozilla/5.0 (compatible)", "agent.malformed"),
            ("nonsense", "agent.malformed"),
        ] {
            assert_eq!(reason(text), expected, "{text}");
        }
        assert_eq!(reason(&CHROME.replace("Chrome", "HeadlessChrome")), "agent.headless");
        assert_eq!(reason(CHROME), "");
    }

    #[test]
    fn what_does_not_belong_into_a_browser() {
        for (text, expected) in [
            (format!("{CHROME} DareBoost"), "agent.tool"),
            (format!("{CHROME} Sindup/1.0"), "agent.tool"),
            (format!("{CHROME} examplebot"), "agent.crawler"),
            (format!("{CHROME} (+https://example.org/why)"), "agent.crawler"),
            (format!("{CHROME} (ops@example.org)"), "agent.crawler"),
            (format!("{CHROME} example.com"), "agent.crawler"),
            (CHROME.replace("Gecko)", "Gecko; Example Fetch)"), "agent.crawler"),
            (CHROME.replace("Gecko)", "Gecko; Example)"), "agent.crawler"),
            (format!("Example {CHROME}"), "agent.tool"),
        ] {
            assert_eq!(reason(&text), expected, "{text}");
        }
    }

    #[test]
    fn phones_may_be_called_like_robots() {
        for model in ["CUBOT ECHO Build/MRA58K", "M bot 60", "Spider 8", "VR BOT 552 PLUS", "CUBOT_NOTE_S"] {
            let text =
                format!("Mozilla/5.0 (Linux; Android 7.0; {model}) AppleWebKit/537.36 Chrome/58 Mobile Safari/537");
            assert_eq!(reason(&text), "", "{text}");
            assert_eq!(reason(&format!("{text} (compatible; Foo/1.0)")), "agent.crawler");
        }
        assert_eq!(
            reason("Mozilla/5.0 (iPhone; CPU iPhone OS 11_0 like Mac OS X) Mobile/1 (Ecosia ios@3.0.2.609)"),
            ""
        );
    }

    #[test]
    fn nothing_sent() {
        for text in ["", " ", "\t\r\n", "\"\"", "User-Agent:"] {
            assert_eq!(read_agent(text).kind, AgentKind::Empty, "{text:?}");
        }
    }

    #[test]
    fn any_input_is_read() {
        let pieces =
            ["(", ")", "@", "é", "compatible;", "KHTML, like Gecko", "\u{0}", "bot", "User-Agent:", "Mozilla/5.0 ("];
        for first in pieces {
            for second in pieces {
                for third in pieces {
                    let text = [first, second, third, second, first].concat();
                    for (at, _) in text.char_indices() {
                        read_agent(&text[at..]);
                    }
                }
            }
        }
        read_agent(&"compatible;@bot(".repeat(10_000));
    }

    #[test]
    fn predicates() {
        let mail = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)";
        assert!(is_bare_webkit(mail));
        assert_eq!(reason(mail), "");
        assert!(!is_bare_webkit(CHROME));
        assert!(!is_bare_webkit("(KHTML, like Gecko)"));
        assert!(is_gmail_prefetch(PREFETCH));
        assert_eq!(reason(PREFETCH), "");
        assert!(!is_gmail_prefetch(CHROME));
        assert!(!is_gmail_prefetch("Mozilla/5.0"));
    }
}
