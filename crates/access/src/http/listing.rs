//! Lists of users, tokens and sessions: found by words, sorted by a column, page by page, and as CSV.

use std::cmp::Reverse;

use axum::response::Response;
use serde::Deserialize;
use signalbox_http::csv;
use signalbox_http::page::address;

/// Rows of one page.
const PER_PAGE: usize = 100;
/// Where there are fewer rows, there is nothing to find.
const FINDABLE: usize = 8;

/// What of a list is wanted. The words to find, the column to sort by (with a minus: from its end), and the row after
/// which the page begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    q: String,
    sort: String,
    after: String,
    /// What the page is asked to confirm.
    pub(super) done: String,
}

/// A column of a list: its word in addresses and CSV, its heading, and the class of its cells.
pub(super) struct Column {
    pub(super) word: &'static str,
    pub(super) title: &'static str,
    pub(super) class: &'static str,
}

/// A row of a list.
pub(super) trait Line {
    /// Tells it from the others.
    fn id(&self) -> String;
    /// Its texts, one for each column. Instants are RFC 3339, so that their order is that of time.
    fn cells(&self) -> Vec<String>;
}

/// A heading that sorts.
pub(super) struct Head {
    pub(super) title: &'static str,
    pub(super) class: &'static str,
    pub(super) href: String,
    /// The value of aria-sort, or nothing.
    pub(super) sorted: &'static str,
}

/// One page of a list.
pub(super) struct Listing<R> {
    pub(super) path: &'static str,
    pub(super) heads: Vec<Head>,
    pub(super) rows: Vec<R>,
    pub(super) q: String,
    pub(super) sort: String,
    /// Whether to offer a search.
    pub(super) findable: bool,
    pub(super) first: String,
    pub(super) next: String,
    pub(super) csv: String,
}

impl Wanted {
    /// The rows that are wanted, in the order that is wanted; as they came where none is.
    fn arranged<R: Line>(&self, columns: &[Column], mut rows: Vec<R>) -> Vec<R> {
        let words = self.q.trim().to_lowercase();
        if !words.is_empty() {
            rows.retain(|row| row.cells().iter().any(|cell| cell.to_lowercase().contains(&words)));
        }
        let (word, down) = self.order();
        if let Some(place) = columns.iter().position(|column| column.word == word) {
            let key = |row: &R| (row.cells().swap_remove(place).to_lowercase(), row.id());
            match down {
                true => rows.sort_by_cached_key(|row| Reverse(key(row))),
                false => rows.sort_by_cached_key(key),
            }
        }
        rows
    }

    fn order(&self) -> (&str, bool) {
        self.sort.strip_prefix('-').map_or((self.sort.as_str(), false), |word| (word, true))
    }

    /// One page of `rows` at `path`.
    pub(super) fn page<R: Line>(self, path: &'static str, columns: &'static [Column], rows: Vec<R>) -> Listing<R> {
        let findable = rows.len() >= FINDABLE || !self.q.is_empty();
        let mut rows = self.arranged(columns, rows);
        let begun = rows.iter().position(|row| row.id() == self.after).map_or(0, |place| place + 1);
        rows.drain(..begun);
        let more = rows.len() > PER_PAGE;
        rows.truncate(PER_PAGE);
        let next = rows.last().filter(|_| more).map(Line::id);
        let (word, down) = self.order();
        let head = |column: &'static Column| {
            let (is_sorted, turn) = (column.word == word, column.word == word && !down);
            let sort = format!("{}{}", if turn { "-" } else { "" }, column.word);
            Head {
                title: column.title,
                class: column.class,
                href: address(path, &[("q", &self.q), ("sort", &sort)]),
                sorted: match (is_sorted, down) {
                    (false, _) => "",
                    (true, true) => "descending",
                    (true, false) => "ascending",
                },
            }
        };
        let place = |path: &str, after: &str| address(path, &[("q", &self.q), ("sort", &self.sort), ("after", after)]);
        Listing {
            path,
            heads: columns.iter().map(head).collect(),
            first: if begun > 0 { place(path, "") } else { String::new() },
            next: next.map(|after| place(path, &after)).unwrap_or_default(),
            csv: place(&format!("{path}.csv"), ""),
            rows,
            findable,
            q: self.q,
            sort: self.sort,
        }
    }

    /// All of `rows` that are wanted, as CSV.
    pub(super) fn csv<R: Line>(&self, name: &str, columns: &[Column], rows: Vec<R>) -> Response {
        let head = ["id"].into_iter().chain(columns.iter().map(|column| column.word)).map(str::to_owned).collect();
        let rows = self.arranged(columns, rows).into_iter().map(|row| [vec![row.id()], row.cells()].concat());
        csv::download(name, &[vec![head], rows.collect()].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] =
        &[Column { word: "name", title: "Name", class: "" }, Column { word: "seen", title: "Seen", class: "n" }];

    struct One(usize, &'static str, &'static str);

    impl Line for One {
        fn id(&self) -> String {
            format!("{:04}", self.0)
        }

        fn cells(&self) -> Vec<String> {
            vec![self.1.to_owned(), self.2.to_owned()]
        }
    }

    fn wanted(q: &str, sort: &str, after: &str) -> Wanted {
        Wanted { q: q.into(), sort: sort.into(), after: after.into(), done: String::new() }
    }

    fn three() -> Vec<One> {
        vec![One(1, "Zoe", "2026-01-01"), One(2, "adam", "2026-03-01"), One(3, "Eve", "")]
    }

    fn ids(listing: &Listing<One>) -> Vec<usize> {
        listing.rows.iter().map(|row| row.0).collect()
    }

    #[test]
    fn rows_are_found_and_sorted() {
        let ids = |q, sort| ids(&wanted(q, sort, "").page("/x", COLUMNS, three()));
        assert_eq!(ids("", ""), [1, 2, 3]);
        assert_eq!(ids("", "name"), [2, 3, 1]);
        assert_eq!(ids("", "-name"), [1, 3, 2]);
        assert_eq!(ids("", "-seen"), [2, 1, 3]);
        assert_eq!(ids("", "nonsense"), [1, 2, 3]);
        assert_eq!(ids(" E", "name"), [3, 1]);
        assert!(ids("nobody", "").is_empty());
    }

    #[test]
    fn headings_turn_the_order() {
        let listing = wanted("a b", "-seen", "").page("/x", COLUMNS, three());
        let heads: Vec<_> = listing.heads.iter().map(|head| (head.href.as_str(), head.sorted)).collect();
        assert_eq!(heads, [("/x?q=a%20b&sort=name", ""), ("/x?q=a%20b&sort=seen", "descending")]);
        assert_eq!(listing.csv, "/x.csv?q=a%20b&sort=-seen");
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let all = || (0..250).map(|number| One(number, "x", "")).collect::<Vec<_>>();
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let listing = wanted("", "name", &after).page("/x", COLUMNS, all());
            seen.extend(ids(&listing));
            assert_eq!(listing.first.is_empty(), after.is_empty());
            match listing.next.rsplit_once("after=") {
                Some((_, next)) => after = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen, (0..250).collect::<Vec<_>>());
    }
}
