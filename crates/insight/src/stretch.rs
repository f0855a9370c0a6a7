//! Events in order of seq, cut into stretches. The indexes of recipients and messages begin with the stretch, so that
//! new events go to pages that lie close together, however long the history is. Who looks something up names the
//! stretches.

use std::ops::RangeInclusive;

use signalbox_store::{Conn, StoreError};

/// The stretch of the event `e`, as the indexes have it.
pub const OF_EVENT: &str = "(e.seq >> 17)";

/// The stretch that holds `seq`.
pub const fn of(seq: i64) -> i64 {
    seq >> 17
}

/// The stretches that hold the events from `first` to `last`, both included; none when `first` is later.
pub const fn between(first: i64, last: i64) -> RangeInclusive<i64> {
    if first > last { RangeInclusive::new(1, 0) } else { RangeInclusive::new(of(first), of(last)) }
}

/// The seq of the newest event, whoever may see it; 0 without events.
pub fn last_event(conn: &mut Conn<'_>) -> Result<i64, StoreError> {
    let last = conn.first("SELECT MAX(e.seq) FROM event AS e", &[], |row| row.opt_int(0))?;
    Ok(last.flatten().unwrap_or_default())
}

/// So many keys are spread at once: a long history has many stretches for each.
pub const KEYS_AT_ONCE: usize = 4096;

/// Every place in `ranges` with every stretch of its range, in order of stretch: old pages are read once.
pub fn spread(ranges: impl Iterator<Item = RangeInclusive<i64>>) -> Vec<(i64, usize)> {
    let mut spread: Vec<_> =
        ranges.enumerate().flat_map(|(place, range)| range.map(move |stretch| (stretch, place))).collect();
    spread.sort_unstable();
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_events_has_its_stretches() {
        assert_eq!(between(1, 131_071), 0..=0);
        assert_eq!(between(131_071, 131_072), 0..=1);
        assert!(between(5, 4).is_empty());
        let ranges = [between(131_072, 300_000), between(5, 4), between(1, 131_072)];
        assert_eq!(spread(ranges.into_iter()), [(0, 2), (1, 0), (1, 2), (2, 0)]);
    }
}
