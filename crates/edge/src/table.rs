//! The routes as one thread uses them: swapped whole, read without a lock.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::choose::{by_key, by_weight, hash};
use crate::routes::{Mirror, PathRule, Sticky, Timeouts};
use crate::stats::ArmStats;
use crate::upstream::{Upstream, Upstreams};

/// What a thread is told of an epoch.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) arms: Vec<ToldArm>,
    pub(crate) paths: Vec<PathRule>,
    pub(crate) sticky: Option<Sticky>,
    pub(crate) mirror: Option<(Mirror, Vec<SocketAddr>)>,
    pub(crate) unrouted: Arc<ArmStats>,
}

#[derive(Debug, Clone)]
pub(crate) struct ToldArm {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) weight: u32,
    pub(crate) timeouts: Timeouts,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) stats: Arc<ArmStats>,
}

#[derive(Debug)]
pub(crate) struct Table {
    arms: Vec<Rc<Arm>>,
    /// The longest prefix first.
    paths: Vec<(String, Rc<Arm>)>,
    pub(crate) sticky: Option<Sticky>,
    pub(crate) mirror: Option<Copying>,
    pub(crate) unrouted: Rc<Arm>,
}

/// Where a part of the requests is copied to.
#[derive(Debug)]
pub(crate) struct Copying {
    pub(crate) upstreams: Vec<Rc<Upstream>>,
    pub(crate) methods: Vec<String>,
    /// Out of 2^64.
    below: u64,
}

#[derive(Debug)]
pub(crate) struct Arm {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) timeouts: Timeouts,
    pub(crate) stats: Arc<ArmStats>,
    weight: u32,
    hash: u64,
    upstreams: Vec<Rc<Upstream>>,
    next: Cell<usize>,
}

impl Table {
    pub(crate) fn new(told: Told, upstreams: &Upstreams) -> Self {
        let salt = told.sticky.as_ref().map_or("", |sticky| sticky.salt.as_str());
        let arm = |told: ToldArm| {
            Rc::new(Arm {
                hash: hash(format!("{salt}\n{}", told.name).as_bytes()),
                name: told.name,
                version: told.version,
                timeouts: told.timeouts,
                stats: told.stats,
                weight: told.weight,
                upstreams: told.addresses.into_iter().map(|address| upstreams.of(address)).collect(),
                next: Cell::new(0),
            })
        };
        let arms: Vec<_> = told.arms.into_iter().map(arm).collect();
        let find = |name: &str| arms.iter().find(|arm| arm.name == name).map(Rc::clone);
        let paths = told.paths.into_iter().filter_map(|rule| Some((rule.prefix, find(&rule.arm)?)));
        let mut paths: Vec<_> = paths.collect();
        paths.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        let mirror = told.mirror.map(|(mirror, addresses)| Copying {
            upstreams: addresses.into_iter().map(|address| upstreams.of(address)).collect(),
            below: (mirror.percent / 100.0 * u64::MAX as f64) as u64,
            methods: mirror.methods,
        });
        let unrouted = arm(ToldArm {
            name: crate::stats::UNROUTED.to_owned(),
            version: String::new(),
            weight: 0,
            timeouts: Timeouts::default(),
            addresses: Vec::new(),
            stats: told.unrouted,
        });
        Self { arms, paths, sticky: told.sticky, mirror, unrouted }
    }

    /// The arm of a request: by its path, by its key, or by chance.
    pub(crate) fn arm(&self, target: &[u8], key: Option<u64>, chance: u64) -> Option<&Rc<Arm>> {
        if let Some((_, arm)) = self.paths.iter().find(|(prefix, _)| lies_below(target, prefix.as_bytes())) {
            return Some(arm);
        }
        let place = match key {
            Some(key) => by_key(self.arms.iter().map(|arm| (arm.hash, arm.weight)), key),
            None => by_weight(self.arms.iter().map(|arm| arm.weight), chance),
        };
        self.arms.get(place?)
    }
}

impl Copying {
    pub(crate) fn takes(&self, method: &str, chance: u64) -> bool {
        chance <= self.below && self.below > 0 && self.methods.iter().any(|other| other == method)
    }
}

impl Arm {
    /// The instance whose turn it is; one that refused lately only when there is no other.
    pub(crate) fn upstream(&self, now_ms: u64) -> Option<&Rc<Upstream>> {
        let count = self.upstreams.len();
        if count == 1 {
            return self.upstreams.first();
        }
        let first = self.next.get();
        self.next.set(first.wrapping_add(1));
        let mut turns = (0..count).map(|turn| &self.upstreams[first.wrapping_add(turn) % count]);
        turns.clone().find(|upstream| !upstream.is_avoided(now_ms)).or_else(|| turns.next())
    }
}

/// `/ops` covers `/ops`, `/ops/…` and `/ops?…`, not `/opsx`.
fn lies_below(target: &[u8], prefix: &[u8]) -> bool {
    let Some(rest) = target.strip_prefix(prefix) else { return false };
    prefix.ends_with(b"/") || matches!(rest.first(), None | Some(b'/' | b'?'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_at_segments() {
        assert!(lies_below(b"/ops", b"/ops") && lies_below(b"/ops/x", b"/ops") && lies_below(b"/ops?x", b"/ops"));
        assert!(lies_below(b"/anything", b"/"));
        assert!(!lies_below(b"/opsx", b"/ops") && !lies_below(b"/", b"/ops"));
    }
}
