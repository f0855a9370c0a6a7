use std::fmt;
use std::str::FromStr;

use crate::model::text::written_as_text;

/// An absolute `http` or `https` address without a user name or password in it: secrets stand in files of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl(String);

impl fmt::Display for HttpUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{text:?} is not an address: {why}; write it as https://example.org/hook"));
        let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
            return wrong("it starts with https:// or http://");
        };
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.len() > 2048 {
            return wrong("it has at most 2048 printable ASCII characters and no space");
        }
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host.contains('@') {
            return Err(
                "an address here has no user name or password in it; keep secrets in a file of their own".into()
            );
        }
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        if name.is_empty() {
            return wrong("it names no host");
        }
        Ok(Self(text.to_owned()))
    }
}

written_as_text!(
    HttpUrl,
    "HttpUrl",
    "An absolute http or https address without user name or password.",
    "https://example.org/hook"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_absolute_and_hold_no_password() {
        assert!("http://127.0.0.1:9090/api".parse::<HttpUrl>().is_ok());
        for wrong in ["", "example.org", "ftp://a/b", "https://", "https:///x", "https://u:p@h/", "https://a b/"] {
            assert!(wrong.parse::<HttpUrl>().is_err(), "{wrong}");
        }
    }
}
