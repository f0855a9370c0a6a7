//! E-mail addresses as the names of sign-in: one spelling per address.

use crate::error::AccessError;

/// A normalised address: no spaces around it, lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Email(String);

impl Email {
    /// Reads what somebody typed.
    pub fn parse(text: &str) -> Result<Self, AccessError> {
        let bad = || AccessError::invalid("email", "This is not an e-mail address. Write it as name@example.org.");
        let text = text.trim().to_lowercase();
        let (local, domain) = text.rsplit_once('@').ok_or_else(bad)?;
        let unwanted = |letter: char| {
            letter.is_control() || letter.is_whitespace() || "<>()[]\\,;:\"'`&".contains(letter) || is_invisible(letter)
        };
        let good_domain = domain.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
        });
        let good_local = (1..=64).contains(&local.len()) && !local.contains('@') && !local.contains(unwanted);
        (good_local && good_domain && text.len() <= 254).then(|| Self(text.clone())).ok_or_else(bad)
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Email {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

/// Letters that are not seen or that turn the text around: two names that look alike must be alike.
pub(crate) fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A name that is shown: 1 to `most` characters, none of them invisible.
pub fn check_name(text: &str, field: &'static str, most: usize) -> Result<String, AccessError> {
    let text = text.trim();
    let wrong = |detail: String| Err(AccessError::invalid(field, detail));
    if text.is_empty() || text.chars().count() > most {
        return wrong(format!("This needs 1 to {most} characters."));
    }
    if text.chars().any(|letter| letter.is_control() || is_invisible(letter)) {
        return wrong("This has an invisible character. Type it again instead of pasting it.".into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        assert_eq!(Email::parse("  Ada.L+x@Example.ORG ").unwrap().as_str(), "ada.l+x@example.org");
        assert_eq!(Email::parse("ü@münchen.example").unwrap().as_str(), "ü@münchen.example");
        let long = format!("{}@example.org", "a".repeat(65));
        for wrong in [
            "",
            "a",
            "@b.c",
            "a@",
            "a@b..c",
            "a@-b.c",
            "a b@c.d",
            "a@b@c.d",
            "a\r\nBcc: x@y.z",
            "a\u{200b}@b.c",
            "<a@b.c>",
            "a@b.c\0",
            "a\u{202e}@b.c",
            &long,
        ] {
            assert!(Email::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_are_seen_whole() {
        assert_eq!(check_name(" <b>Ada</b> ", "name", 20).unwrap(), "<b>Ada</b>");
        for wrong in ["", "  ", "a\r\nb", "a\0", "a\u{202e}b", &"x".repeat(21)] {
            assert!(check_name(wrong, "name", 20).is_err(), "{wrong:?}");
        }
    }
}
