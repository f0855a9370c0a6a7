//! Random numbers for simulations: fast, repeatable, and good enough for nothing else (xoshiro256++, seeded by
//! splitmix64).

pub(super) struct Random {
    state: [u64; 4],
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        let mut seed = seed;
        let mut next = || {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        Self { state: [next(), next(), next(), next()] }
    }

    pub(super) fn bits(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// Above 0, at most 1.
    pub(super) fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() <= probability
    }

    /// With mean 1.
    pub(super) fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }

    pub(super) fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Gamma with this whole shape and mean 1.
    pub(super) fn gamma(&mut self, shape: u32) -> f64 {
        (0..shape).map(|_| self.exponential()).sum::<f64>() / f64::from(shape)
    }

    /// By the gaps between events; the normal approximation beyond 100.
    pub(super) fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 100.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let (mut sum, mut count) = (self.exponential(), 0);
        while sum < mean {
            sum += self.exponential();
            count += 1;
        }
        count
    }

    /// By the gaps between successes, which are geometric.
    pub(super) fn binomial(&mut self, trials: u64, probability: f64) -> u64 {
        if probability >= 1.0 {
            return trials;
        }
        if probability > 0.5 {
            return trials - self.binomial(trials, 1.0 - probability);
        }
        if probability <= 0.0 {
            return 0;
        }
        let log = (-probability).ln_1p();
        let (mut at, mut count) = (0.0, 0);
        loop {
            at += (self.unit().ln() / log).floor() + 1.0;
            if at > trials as f64 {
                return count;
            }
            count += 1;
        }
    }

    /// At least 1, with this mean.
    pub(super) fn geometric(&mut self, mean: f64) -> u64 {
        let mut size = 1;
        while !self.chance(1.0 / mean) {
            size += 1;
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut draw: impl FnMut(&mut Random) -> f64) -> (f64, f64) {
        let mut random = Random::new(7);
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..200_000 {
            let value = draw(&mut random);
            sum += value;
            squares += value * value;
        }
        let mean = sum / 200_000.0;
        (mean, squares / 200_000.0 - mean * mean)
    }

    #[test]
    fn draws_have_the_moments_that_they_should() {
        let near = |found: (f64, f64), mean: f64, variance: f64| {
            assert!((found.0 - mean).abs() < 0.02 * mean.max(0.5), "mean {found:?}, not {mean}");
            assert!((found.1 - variance).abs() < 0.03 * variance, "variance {found:?}, not {variance}");
        };
        near(moments(|random| random.binomial(40, 0.05) as f64), 2.0, 1.9);
        near(moments(|random| random.binomial(10, 0.8) as f64), 8.0, 1.6);
        near(moments(|random| random.poisson(4.0) as f64), 4.0, 4.0);
        near(moments(|random| random.poisson(400.0) as f64), 400.0, 400.0);
        near(moments(|random| random.geometric(4.0) as f64), 4.0, 12.0);
        near(moments(|random| random.gamma(4)), 1.0, 0.25);
        near(moments(|random| random.normal() + 1.0), 1.0, 1.0);
    }
}
