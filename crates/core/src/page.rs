//! Keyset paging: an opaque cursor names the last row that was seen.

use serde::Serialize;

/// The most rows that one page may hold.
pub const MOST: i64 = 1000;
/// How many rows a page holds unless told.
pub const USUAL: i64 = 100;

/// One page of `items`, and the cursor of the next page where there is one.
#[derive(Debug, Clone, Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
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
