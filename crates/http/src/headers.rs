//! The headers that every answer gets, unless its handler has said otherwise (OWASP secure headers).

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// The value that inline scripts and styles of one answer must carry. An extension of every request but hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce(pub String);

const HEADERS: [(HeaderName, &str); 9] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    (HeaderName::from_static("x-permitted-cross-domain-policies"), "none"),
    (HeaderName::from_static("x-dns-prefetch-control"), "off"),
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), autoplay=(), camera=(), clipboard-read=(), display-capture=(), encrypted-media=(), \
        fullscreen=(), gamepad=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), local-fonts=(), \
        magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), screen-wake-lock=(), serial=(), \
        storage-access=(), usb=(), web-share=(), xr-spatial-tracking=()",
    ),
    (header::CACHE_CONTROL, "no-store"),
];
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

impl Nonce {
    /// 128 random bits; `None` when the system's random source fails, and then nothing inline may run.
    pub(crate) fn make() -> Option<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok()?;
        Some(Self(STANDARD_NO_PAD.encode(bytes)))
    }
}

/// Pages may load our own files and what carries the nonce, and nothing else.
fn content_security_policy(nonce: Option<&Nonce>) -> Option<HeaderValue> {
    let nonce = nonce.map_or(String::new(), |Nonce(nonce)| format!(" 'nonce-{nonce}'"));
    let policy = format!(
        "default-src 'none'; script-src 'self'{nonce}; style-src 'self'{nonce}; img-src 'self' data:; \
        font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
        frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).ok()
}

/// Completes the headers of an answer. Pixels may be embedded anywhere, everything else only by ourselves.
pub(crate) fn complete(headers: &mut HeaderMap, nonce: Option<&Nonce>, is_hit: bool) {
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    let from = if is_hit { "cross-origin" } else { "same-origin" };
    headers.entry(RESOURCE_POLICY).or_insert(HeaderValue::from_static(from));
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY)
        && let Some(policy) = content_security_policy(nonce)
    {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_never_the_same_and_never_breaks_the_policy() {
        let (one, other) = (Nonce::make().unwrap(), Nonce::make().unwrap());
        assert_ne!(one, other);
        let policy = content_security_policy(Some(&one)).unwrap();
        let policy = policy.to_str().unwrap();
        assert_eq!(policy.matches(&format!("'nonce-{}'", one.0)).count(), 2);
        assert!(!policy.contains("unsafe"));
        assert!(!content_security_policy(None).unwrap().to_str().unwrap().contains("nonce"));
    }
}
