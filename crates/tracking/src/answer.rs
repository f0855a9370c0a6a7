//! The bytes that hits are answered with.

/// A transparent GIF of one pixel (GIF89a).
pub const GIF: &[u8; 43] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// What someone sees whose link is cut, forged or expired. It says nothing about why.
pub const INVALID_PAGE: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\"><title>This link is not valid</title></head><body><main><h1>This link is not valid</h1><p>It may have been cut off or have expired. Please open the link from the original message again, or write to whoever sent it to you.</p></main></body></html>\n";

/// Never kept by anybody: every open must reach us.
pub const NO_STORE: &str = "no-store, no-cache, must-revalidate, max-age=0, private";
/// A page that may do nothing.
pub const CSP: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
/// Carries the id of a hit that is on disk.
pub const EVENT_ID_HEADER: &str = "x-event-id";
