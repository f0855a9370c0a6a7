//! One event as the log holds it. What an outside system named by a key of its own stays a key here:
//! the projector gives it an id, so that intake never needs a lookup.

use serde::{Deserialize, Serialize};

/// The bounds of what one event may carry, in bytes. Whatever comes in is checked or cut against them before it is packed.
pub mod most {
    pub const ID: usize = 128;
    pub const KEY: usize = 320;
    pub const URL: usize = 2048;
    pub const USER_AGENT: usize = 512;
    pub const REQUEST_ID: usize = 64;
    pub const DETAIL: usize = 8192;
}

/// What the request itself told, beside its user agent.
pub mod hint {
    /// The request used HEAD.
    pub const HEAD: u32 = 1;
    /// Sec-Purpose, Purpose or X-Moz said prefetch or preview.
    pub const PREFETCH: u32 = 1 << 1;
    /// There was a Referer.
    pub const REFERER: u32 = 1 << 2;
    /// The Referer was mail.google.com.
    pub const REFERER_GMAIL: u32 = 1 << 3;
    /// The event came through the API: the request's headers are not those of the reader.
    pub const REPORTED: u32 = 1 << 4;
    /// There was an Accept-Language.
    pub const ACCEPT_LANGUAGE: u32 = 1 << 5;
}

/// An id of ours, or a key of somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Name<'a> {
    None,
    Id(i64),
    #[serde(borrow)]
    Key(&'a str),
}

/// An event's id: one that Signalbox made, or the one that a client gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RecordId<'a> {
    Own(i64),
    #[serde(borrow)]
    Given(&'a str),
}

/// What only events from the API carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Detail<'a> {
    /// A conversion's worth in millionths of its currency.
    pub value_micros: Option<i64>,
    /// ISO 4217, with `value_micros`.
    #[serde(borrow)]
    pub currency: &'a str,
    /// The rest as a JSON object, or empty.
    pub json: &'a str,
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record<'a> {
    #[serde(borrow)]
    pub id: RecordId<'a>,
    pub principal: i64,
    pub campaign: Name<'a>,
    pub message: Name<'a>,
    pub recipient: Name<'a>,
    pub link: Name<'a>,
    /// A [`crate::kind::Kind`] code.
    pub kind: u8,
    /// Microseconds since the epoch, never after `received_at`.
    pub occurred_at: i64,
    pub received_at: i64,
    /// The client's address in sixteen bytes.
    pub source: Option<[u8; 16]>,
    pub user_agent: &'a str,
    pub request_id: &'a str,
    /// Bits of [`hint`].
    pub hints: u32,
    pub detail: Option<Detail<'a>>,
}

/// The longest prefix of `text` that has at most `most` bytes and ends between characters.
pub fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
