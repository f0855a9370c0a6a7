//! The shape of a string: what a browser's would be, and what in it does not belong.

use std::ops::Range;

use super::products;

/// The string without blanks, quotes and a repeated header name around it.
pub(super) fn trimmed(user_agent: &str) -> &str {
    let text = user_agent.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '=' | '`'));
    match text.get(..11) {
        Some(head) if starts_with(head, "user-agent") && head.ends_with([':', '=', '\t']) => text[11..].trim_start(),
        _ => text,
    }
}

/// Compares without regard to case.
pub(super) fn starts_with(text: &str, head: &str) -> bool {
    text.as_bytes().get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(head.as_bytes()))
}

fn first_comment(text: &str) -> Option<Range<usize>> {
    let open = text.find('(')? + 1;
    let length = text[open..].find(')').unwrap_or(text.len() - open);
    Some(open..open + length)
}

/// The first comment when it names an Android device: `(Linux; Android 6.0; CUBOT ECHO Build/MRA58K)`.
pub(super) fn model(text: &str) -> Range<usize> {
    let Some(range) = first_comment(text) else { return 0..0 };
    let comment = &text[range.clone()];
    let named = starts_with(comment, "linux") && (comment.contains("Android") || comment.contains("android"));
    if named && !comment.contains("compatible") { range } else { 0..0 }
}

/// How names begin that browsers write after `compatible;`.
const COMPATIBLE: &str = "MSIE Konqueror U Windows Linux X11 Android iPhone Smartphone Intel Nokia Symbian PalmOS Amiga
    Acorn Opera Gecko Trident Safari Chrome Firefox Netscape NetPositive Webpositive NetFront IBrowse iCab OffByOne
    Netbox ANTGalio ANTFresco AvantGo OmniWeb Dillo Elaine Blazer AOL WebTV Lotus MS FW Powermarks
    Teleca SonyEricsson OSS Polaris NCBrowser AWEB RISC GoogleToolbar Samsung LG MOT";

/// After `compatible`: a name that is no browser's, as in `(compatible; Something/1.0)`.
pub(super) fn stranger_after_compatible(rest: &str) -> bool {
    let name = rest.trim_start_matches([';', ',', ' ', '-']);
    let known =
        |known: &str| starts_with(name, known) && !name.as_bytes().get(known.len()).is_some_and(u8::is_ascii_lowercase);
    rest.starts_with([';', ',']) && !COMPATIBLE.split_ascii_whitespace().any(known)
}

/// After `like Gecko`: browsers close the comment there, `(KHTML, like Gecko; Something)` is none.
pub(super) fn stranger_after_gecko(rest: &str) -> bool {
    let name = rest.trim_start_matches([';', ',', ' ']);
    let known = ["Safari", "2345", "gzip", "HEVC", "googleweblight"];
    rest.starts_with([';', ',']) && !known.iter().any(|known| starts_with(name, known))
}

/// Apple's WebKit with no browser after it, which is how Apple Mail and windows inside apps look.
pub(super) fn bare_apple(text: &str) -> bool {
    let apple = || ["Macintosh", "iPhone", "iPad"].iter().any(|name| text.contains(name));
    text.rsplit_once("(KHTML, like Gecko)").is_some_and(|(_, rest)| {
        let rest = rest.trim();
        rest.is_empty() || rest.starts_with("Mobile/") && !rest.contains(' ')
    }) && apple()
}

/// A mail address: letters or digits around an `@`, a letter after it and a dot further on.
pub(super) fn mail_address(text: &str) -> bool {
    text.match_indices('@').any(|(at, _)| {
        let host = &text[at + 1..];
        let end = host.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(host.len());
        text[..at].ends_with(|c: char| c.is_ascii_alphanumeric())
            && host.starts_with(|c: char| c.is_ascii_alphabetic())
            && host[end..].starts_with('.')
    })
}

/// A product outside the comments that no browser, toolbar or distribution is known to write.
pub(super) fn stranger_product(text: &str) -> bool {
    let mut depth = 0usize;
    let mut word = None;
    for (at, byte) in text.bytes().chain([b' ']).enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let part = depth == 0 && !matches!(byte, b' ' | b';' | b',' | b')' | b']' | b'}');
        match (word, part) {
            (None, true) => word = Some(at),
            (Some(start), false) => {
                if is_stranger(&text.as_bytes()[start..at]) {
                    return true;
                }
                word = None;
            }
            _ => {}
        }
    }
    false
}

fn is_stranger(word: &[u8]) -> bool {
    let name = word.split(|byte| *byte == b'/').next().unwrap_or(word);
    let plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let letters = name.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    plain && letters >= 3 && name[0].is_ascii_alphabetic() && !products::known(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trimming() {
        for text in ["  Foo/1 ", "\"Foo/1\"", "User-Agent: Foo/1", "user-agent=Foo/1", "Foo/1"] {
            assert_eq!(trimmed(text), "Foo/1");
        }
        assert_eq!(trimmed(" \t\n"), "");
        assert_eq!(trimmed("User-Agent:"), "");
    }

    #[test]
    fn models() {
        let text = "Mozilla/5.0 (Linux; U; Android 6.0; CUBOT) AppleWebKit";
        assert_eq!(&text[model(text)], "Linux; U; Android 6.0; CUBOT");
        assert!(model("Mozilla/5.0 (X11; Linux x86_64)").is_empty());
        assert!(model("Mozilla/5.0 (Linux; Android 6.0; compatible; bot)").is_empty());
        assert!(model("(((").is_empty());
    }

    #[test]
    fn addresses() {
        assert!(mail_address("crawler (bob@example.org)"));
        assert!(!mail_address("(Ecosia ios@3.0.2.609)"));
        assert!(!mail_address("Net M@nager V3.02"));
        assert!(!mail_address("@"));
    }

    #[test]
    fn strangers() {
        assert!(stranger_after_compatible("; Something/1.0)"));
        assert!(!stranger_after_compatible("; MSIE 7.0; Windows NT 6.0)"));
        assert!(!stranger_after_compatible(" (LGE, wired)"));
        assert!(stranger_after_gecko("; Web Preview)"));
        assert!(!stranger_after_gecko(") Chrome/120"));
        assert!(stranger_product(
            "Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1 Safari/1 Sindup/1"
        ));
        assert!(!stranger_product("Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1 Safari/1"));
        assert!(!stranger_product("é) ] } é/ //"));
    }
}
