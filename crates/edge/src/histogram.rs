//! A histogram of durations with fixed, log-linear buckets: what can be summed over threads, arms and generations by
//! adding counts, and diffed by subtracting them.
//!
//! Values are microseconds. Below 16 each value has a bucket; above, each power of two is cut into 16 equal parts, so a
//! bucket is at most 1/16 (6.25 %) of its lower bound wide. The last bucket takes everything from about 73 minutes on.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

const PARTS_BITS: u32 = 4;
const PARTS: usize = 1 << PARTS_BITS;
/// The highest power of two that is told apart: 2^32 µs.
const POWERS: usize = 32;
/// How many buckets there are.
pub const BUCKETS: usize = PARTS + (POWERS - PARTS_BITS as usize) * PARTS + 1;

/// The bucket of a value.
pub fn bucket_of(micros: u64) -> usize {
    if micros < PARTS as u64 {
        return micros as usize;
    }
    let power = 63 - micros.leading_zeros();
    if power as usize >= POWERS {
        return BUCKETS - 1;
    }
    let part = (micros >> (power - PARTS_BITS)) as usize & (PARTS - 1);
    PARTS + (power - PARTS_BITS) as usize * PARTS + part
}

/// The smallest value of a bucket, in microseconds.
pub fn lower_bound(bucket: usize) -> u64 {
    if bucket < PARTS {
        return bucket as u64;
    }
    let (power, part) = ((bucket - PARTS) / PARTS, (bucket - PARTS) % PARTS);
    ((PARTS + part) as u64) << power
}

/// Written by one thread, read by any.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts one value.
    pub fn record(&self, micros: u64) {
        self.buckets[bucket_of(micros)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(micros, Ordering::Relaxed);
    }

    /// What is counted so far.
    pub fn snapshot(&self) -> Distribution {
        let counts = self.buckets.iter().enumerate();
        let counts = counts.map(|(bucket, count)| (bucket as u32, count.load(Ordering::Relaxed)));
        Distribution {
            buckets: counts.filter(|(_, count)| *count > 0).collect(),
            sum_us: self.sum.load(Ordering::Relaxed),
        }
    }
}

/// Counts by bucket; buckets without a count are left out. [`lower_bound`] says what a bucket means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    pub buckets: Vec<(u32, u64)>,
    /// The sum of all values.
    pub sum_us: u64,
}

impl Distribution {
    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        let mut sums: std::collections::BTreeMap<u32, u64> = self.buckets.iter().copied().collect();
        for (bucket, count) in &other.buckets {
            *sums.entry(*bucket).or_default() += count;
        }
        self.buckets = sums.into_iter().collect();
        self.sum_us += other.sum_us;
    }

    /// What was counted after `earlier`, a snapshot of the same histogram.
    pub fn since(&self, earlier: &Self) -> Self {
        let before: std::collections::BTreeMap<u32, u64> = earlier.buckets.iter().copied().collect();
        let left = |bucket: u32, count: u64| count.saturating_sub(before.get(&bucket).copied().unwrap_or(0));
        let buckets = self.buckets.iter().map(|(bucket, count)| (*bucket, left(*bucket, *count)));
        Self {
            buckets: buckets.filter(|(_, count)| *count > 0).collect(),
            sum_us: self.sum_us.saturating_sub(earlier.sum_us),
        }
    }

    /// The lower bound of the bucket in which the quantile lies, in microseconds; none where nothing was counted.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let rank = (self.count() as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.buckets.iter().find_map(|(bucket, count)| {
            seen += count;
            (seen >= rank).then(|| lower_bound(*bucket as usize))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_cover_everything_in_order() {
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_of(15), 15);
        assert_eq!(bucket_of(16), 16);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        for bucket in 0..BUCKETS {
            assert_eq!(bucket_of(lower_bound(bucket)), bucket);
            assert!(bucket == 0 || bucket_of(lower_bound(bucket) - 1) == bucket - 1);
        }
    }

    proptest! {
        #[test]
        fn a_bucket_is_narrow(value in 0_u64..1 << 32) {
            let bucket = bucket_of(value);
            let (low, high) = (lower_bound(bucket), lower_bound(bucket + 1));
            prop_assert!(low <= value && value < high);
            prop_assert!(high - low <= 1 + low / PARTS as u64);
        }

        #[test]
        fn windows_are_differences(first in prop::collection::vec(0_u64..10_000_000, 0..50),
                                   second in prop::collection::vec(0_u64..10_000_000, 0..50)) {
            let histogram = Histogram::default();
            first.iter().for_each(|value| histogram.record(*value));
            let before = histogram.snapshot();
            second.iter().for_each(|value| histogram.record(*value));
            let window = histogram.snapshot().since(&before);
            prop_assert_eq!(window.count(), second.len() as u64);
            let mut sum = before.clone();
            sum.add(&window);
            prop_assert_eq!(sum, histogram.snapshot());
        }
    }
}
