//! Bursts: hits of one message from one source that come faster than a person's.
//! Which hits are in a burst is a property of the set of hits, so it does not matter in which order they are added.

use super::reason::Reasons;
use signalbox_core::time::SECOND;

/// Two different links within this: nobody reads that fast.
pub(super) const LINKS_WITHIN: i64 = 5 * SECOND;
/// So many hits within [`RATE_WITHIN`].
const RATE: usize = 5;
const RATE_WITHIN: i64 = SECOND;

/// How far from a new hit another one may lie that it marks: a click, and the opens around that click.
pub(super) const REACH: i64 = 2 * LINKS_WITHIN;

/// A hit in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) at: i64,
    pub(super) seq: i64,
    /// The link of a click; `OPEN` for an open.
    pub(super) link: i64,
    pub(super) reasons: Reasons,
}

/// Stands for the link of an open, which has none.
pub(super) const OPEN: i64 = i64::MIN;

impl Spot {
    fn is_click(&self) -> bool {
        self.link != OPEN
    }
}

/// Told about every hit that gets a burst signal: the hit as it was, and the signal.
pub(super) type Marked<'m> = dyn FnMut(&Spot, Reasons) + 'm;

/// The hits of one message from one source, by time.
#[derive(Debug, Default, Clone)]
pub(super) struct Group {
    spots: Vec<Spot>,
}

impl Group {
    /// Adds a hit (once) and calls `marked` for every hit, itself included, that gets a burst signal by it.
    pub(super) fn add(&mut self, spot: Spot, marked: &mut Marked<'_>) {
        let place = self.spots.partition_point(|other| (other.at, other.seq) < (spot.at, spot.seq));
        if self.spots.get(place).is_some_and(|other| other.seq == spot.seq) {
            return;
        }
        self.spots.reserve_exact(1 + self.spots.len() / 2);
        self.spots.insert(place, spot);
        self.mark_rate(place, marked);
        self.mark_links(place, marked);
    }

    /// Every run of [`RATE`] hits that holds the new one and is short enough.
    fn mark_rate(&mut self, place: usize, marked: &mut Marked<'_>) {
        for start in place.saturating_sub(RATE - 1)..=place {
            let Some(last) = self.spots.get(start + RATE - 1) else { return };
            if last.at - self.spots[start].at <= RATE_WITHIN {
                self.spots[start..start + RATE].iter_mut().for_each(|spot| {
                    mark(spot, Reasons::BURST_RATE, marked);
                });
            }
        }
    }

    fn mark_links(&mut self, place: usize, marked: &mut Marked<'_>) {
        let new = self.spots[place];
        let first = self.spots.partition_point(|spot| spot.at < new.at - LINKS_WITHIN);
        let near = |spot: &Spot| spot.at <= new.at + LINKS_WITHIN;
        if !new.is_click() {
            // An open goes with a click that is in a burst.
            let end = first + self.spots[first..].iter().take_while(|spot| near(spot)).count();
            if self.spots[first..end].iter().any(|spot| spot.is_click() && spot.reasons.any(Reasons::BURST_LINKS)) {
                mark(&mut self.spots[place], Reasons::BURST_LINKS, marked);
            }
            return;
        }
        let mut fresh = Vec::new();
        for index in first..self.spots.len() {
            let spot = &mut self.spots[index];
            if !near(spot) {
                break;
            }
            if spot.is_click() && spot.link != new.link {
                if mark(spot, Reasons::BURST_LINKS, marked) {
                    fresh.push(spot.at);
                }
                if mark(&mut self.spots[place], Reasons::BURST_LINKS, marked) {
                    fresh.push(new.at);
                }
            }
        }
        for at in fresh {
            let first = self.spots.partition_point(|spot| spot.at < at - LINKS_WITHIN);
            let near = self.spots[first..].iter_mut().take_while(|spot| spot.at <= at + LINKS_WITHIN);
            near.filter(|spot| !spot.is_click()).for_each(|spot| {
                mark(spot, Reasons::BURST_LINKS, marked);
            });
        }
    }

    /// Gives the hit `seq` at `at` other reasons, if it is here.
    pub(super) fn set(&mut self, at: i64, seq: i64, reasons: Reasons) {
        let place = self.spots.partition_point(|spot| (spot.at, spot.seq) < (at, seq));
        if let Some(spot) = self.spots.get_mut(place).filter(|spot| spot.seq == seq) {
            spot.reasons = reasons;
        }
    }

    /// Forgets hits before `at`. `true` when none is left.
    pub(super) fn forget_before(&mut self, at: i64) -> bool {
        let gone = self.spots.partition_point(|spot| spot.at < at);
        self.spots.drain(..gone);
        self.spots.is_empty()
    }
}

fn mark(spot: &mut Spot, reason: Reasons, marked: &mut Marked<'_>) -> bool {
    if spot.reasons.any(reason) {
        return false;
    }
    marked(spot, reason);
    spot.reasons = spot.reasons.with(reason);
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn marks(hits: &[(i64, Option<i64>)]) -> BTreeMap<(i64, i64), u32> {
        let mut group = Group::default();
        for (seq, (at, link)) in hits.iter().enumerate() {
            group.add(
                Spot { at: *at, seq: seq as i64, link: link.unwrap_or(OPEN), reasons: Reasons::NONE },
                &mut |_, _| (),
            );
        }
        group.spots.iter().map(|spot| ((spot.at, spot.seq), spot.reasons.0)).collect()
    }

    /// The definition, read word for word.
    fn by_definition(hits: &[(i64, Option<i64>)]) -> BTreeMap<(i64, i64), u32> {
        let in_links = |index: usize| {
            let (at, link) = hits[index];
            link.is_some()
                && hits
                    .iter()
                    .any(|(other_at, other)| other.is_some() && *other != link && (other_at - at).abs() <= LINKS_WITHIN)
        };
        let in_rate = |index: usize| {
            let at = hits[index].0;
            hits.iter().any(|(start, _)| {
                let window = *start..=*start + RATE_WITHIN;
                window.contains(&at) && hits.iter().filter(|(other, _)| window.contains(other)).count() >= RATE
            })
        };
        hits.iter()
            .enumerate()
            .map(|(index, (at, link))| {
                let with_click = link.is_none()
                    && (0..hits.len()).any(|other| in_links(other) && (hits[other].0 - at).abs() <= LINKS_WITHIN);
                let links = if in_links(index) || with_click { Reasons::BURST_LINKS } else { Reasons::NONE };
                let rate = if in_rate(index) { Reasons::BURST_RATE } else { Reasons::NONE };
                ((*at, index as i64), links.with(rate).0)
            })
            .collect()
    }

    proptest! {
        #[test]
        fn bursts_are_what_the_definition_says_in_any_order(
            hits in prop::collection::vec((0i64..60, prop::option::of(0i64..3)), 0..24),
        ) {
            let hits: Vec<_> = hits.into_iter().map(|(tick, link)| (tick * SECOND / 4, link)).collect();
            prop_assert_eq!(marks(&hits), by_definition(&hits));
        }
    }
}
