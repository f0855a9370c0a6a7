//! Latencies as counts in fixed log-linear buckets. Every arm, thread and process has the same buckets, so histograms
//! are added up without loss.
//!
//! Bounds are in microseconds. Below 64 each microsecond has a bucket of its own. Above, every octave
//! `[2^e, 2^(e+1))` has 32 buckets of equal width, so that a bucket is at most 3.2 % wide. The last bucket also takes
//! everything beyond about 71 minutes.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Buckets per octave.
const PER_OCTAVE: u64 = 32;
const PER_OCTAVE_BITS: u32 = 5;
/// Values below this have a bucket each.
const EXACT: u64 = 2 * PER_OCTAVE;
/// The highest octave begins at 2^this.
const LAST_OCTAVE: u32 = 31;
/// How many buckets there are.
pub const BUCKETS: usize = (EXACT + (LAST_OCTAVE as u64 - PER_OCTAVE_BITS as u64) * PER_OCTAVE) as usize;

/// From, and up to but without.
const NONE_USED: (usize, usize) = (BUCKETS, 0);

/// Counts of latencies by bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    /// Microseconds, of the values themselves and not of their buckets.
    sum_us: u64,
    /// Buckets outside of these are empty: most are.
    used: (usize, usize),
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, sum_us: 0, used: NONE_USED }
    }
}

/// The bucket of a latency.
pub const fn bucket(value_us: u64) -> usize {
    if value_us < EXACT {
        return value_us as usize;
    }
    let octave = value_us.ilog2();
    if octave > LAST_OCTAVE {
        return BUCKETS - 1;
    }
    let within = (value_us >> (octave - PER_OCTAVE_BITS)) - PER_OCTAVE;
    (EXACT + (octave - PER_OCTAVE_BITS - 1) as u64 * PER_OCTAVE + within) as usize
}

/// The smallest latency that belongs to a bucket.
pub const fn lower_bound_us(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT {
        return bucket;
    }
    let octave = (bucket - EXACT) / PER_OCTAVE;
    let within = (bucket - EXACT) % PER_OCTAVE;
    (PER_OCTAVE + within) << (octave + 1)
}

impl Histogram {
    pub fn record(&mut self, value_us: u64) {
        self.record_many(value_us, 1);
    }

    pub fn record_many(&mut self, value_us: u64, count: u64) {
        if count == 0 {
            return;
        }
        let bucket = bucket(value_us);
        self.counts[bucket] = self.counts[bucket].saturating_add(count);
        self.used = (self.used.0.min(bucket), self.used.1.max(bucket + 1));
        self.total = self.total.saturating_add(count);
        self.sum_us = self.sum_us.saturating_add(value_us.saturating_mul(count));
    }

    /// Adds what another histogram counted.
    pub fn merge(&mut self, other: &Self) {
        if other.total == 0 {
            return;
        }
        let (from, to) = other.used;
        self.used = (self.used.0.min(from), self.used.1.max(to));
        for (mine, theirs) in self.counts[from..to].iter_mut().zip(&other.counts[from..to]) {
            *mine = mine.saturating_add(*theirs);
        }
        self.total = self.total.saturating_add(other.total);
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        if self.total > 0 {
            self.counts[self.used.0..self.used.1].fill(0);
        }
        (self.total, self.sum_us, self.used) = (0, 0, NONE_USED);
    }

    /// How many latencies were recorded.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The sum of all latencies, in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The mean in microseconds.
    pub fn mean_us(&self) -> Option<f64> {
        (self.total > 0).then(|| self.sum_us as f64 / self.total as f64)
    }

    /// The lower bound of the bucket in which the quantile lies (0 ≤ `share` ≤ 1), in microseconds.
    pub fn quantile_us(&self, share: f64) -> Option<u64> {
        if self.total == 0 {
            return None;
        }
        let rank = ((share.clamp(0.0, 1.0) * self.total as f64).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(lower_bound_us(bucket));
            }
        }
        None
    }

    /// How many latencies lie in this bucket or above.
    pub fn at_or_above(&self, bucket: usize) -> u64 {
        let (from, to) = self.used;
        if bucket <= from {
            return self.total;
        }
        self.counts.get(bucket..to).map_or(0, |counts| counts.iter().fold(0, |sum, count| sum.saturating_add(*count)))
    }
}

/// As `{"sum_us": …, "counts": [[bucket, count], …]}` with the buckets that are not empty.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sparse {
    sum_us: u64,
    counts: Vec<(usize, u64)>,
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let counts = self.counts.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect();
        Sparse { sum_us: self.sum_us, counts }.serialize(out)
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let sparse = Sparse::deserialize(input)?;
        let mut histogram = Self::default();
        for (bucket, count) in sparse.counts {
            let wrong = || serde::de::Error::custom(format!("there is no latency bucket {bucket}"));
            if bucket >= BUCKETS {
                return Err(wrong());
            }
            histogram.record_many(lower_bound_us(bucket), count);
        }
        histogram.sum_us = sparse.sum_us;
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gap() {
        for index in 0..BUCKETS {
            assert_eq!(bucket(lower_bound_us(index)), index);
            if index > 0 {
                assert_eq!(bucket(lower_bound_us(index) - 1), index - 1);
            }
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn sums_do_not_overflow() {
        let mut histogram = Histogram::default();
        histogram.record_many(u64::MAX, u64::MAX);
        histogram.record(1);
        assert_eq!(histogram.total(), u64::MAX);
        assert_eq!(histogram.mean_us(), Some(1.0));
    }

    proptest! {
        #[test]
        fn a_quantile_is_right_to_the_width_of_a_bucket(
            mut values in prop::collection::vec(0u64..4_000_000_000, 1..200), share in 0.0f64..=1.0,
        ) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|value| histogram.record(*value));
            values.sort_unstable();
            let rank = ((share * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let (exact, told) = (values[rank - 1], histogram.quantile_us(share).unwrap());
            prop_assert!(told <= exact && exact as f64 <= told as f64 * 1.032 + 1.0, "{told} for {exact}");
        }

        #[test]
        fn merging_is_recording_all(
            left in prop::collection::vec(0u64..10_000_000, 0..50), right in prop::collection::vec(0u64..10_000_000, 0..50),
        ) {
            let of = |values: &[u64]| {
                let mut histogram = Histogram::default();
                values.iter().for_each(|value| histogram.record(*value));
                histogram
            };
            let mut merged = of(&left);
            merged.merge(&of(&right));
            prop_assert_eq!(&merged, &of(&[left, right].concat()));
            let text = serde_json::to_string(&merged).unwrap();
            prop_assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), merged);
        }
    }
}
