//! Keyset paging: an opaque cursor names the last row that was seen.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// The most rows that one page may hold.
pub const MOST: i64 = 1000;
/// How many rows a page holds unless told.
pub const USUAL: i64 = 100;

/// One page of `items`, and the cursor of the next page where there is one.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The cursor of the next page; `null` on the last one.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Cuts `items` (fetched with one row more than `limit`) and keeps the cursor of the last row that stays.
    pub fn cut(mut items: Vec<T>, limit: i64, cursor: impl Fn(&T) -> i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(0);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| crate::id::encode("cur", cursor(last)));
        Self { items, next }
    }
}

/// How many rows a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub i64);

/// From where a page goes on: the row that the page before ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub i64);

impl Default for Limit {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(input)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let limit = text.parse().ok().filter(|limit| digits && (1..=MOST).contains(limit));
        limit.map(Self).ok_or_else(|| serde::de::Error::custom(format_args!("from 1 to {MOST}")))
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(input)?;
        read_cursor(&text).map(Self).map_err(|_| serde::de::Error::custom("not one that this API gave"))
    }
}

impl JsonSchema for Limit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL})
    }
}

impl JsonSchema for Cursor {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Cursor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": crate::id::pattern("cur")})
    }
}

/// The row behind a cursor that [`Page::cut`] made.
pub fn read_cursor(text: &str) -> Result<i64, crate::id::BadId> {
    crate::id::decode("cur", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_the_last_row_shown() {
        let page = Page::cut(vec![9, 8, 7], 2, |row| *row);
        assert_eq!(page.items, [9, 8]);
        assert_eq!(read_cursor(&page.next.unwrap()).unwrap(), 8);
        assert!(Page::cut(vec![9, 8], 2, |row| *row).next.is_none());
    }
}
