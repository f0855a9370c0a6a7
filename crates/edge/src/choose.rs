//! Which arm a request goes to: by weight, and always the same for the same key where that is asked.

/// A well mixed number from another (the finaliser of SplitMix64).
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// FNV-1a, then mixed: the same on every machine and in every version.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold))
}

/// By weight alone: `chance` is a random number. None when no arm has weight.
pub(crate) fn by_weight(weights: impl Iterator<Item = u32> + Clone, chance: u64) -> Option<usize> {
    let total: u64 = weights.clone().map(u64::from).sum();
    if total == 0 {
        return None;
    }
    let mut point = ((u128::from(chance) * u128::from(total)) >> 64) as u64;
    weights.enumerate().find_map(|(place, weight)| {
        let weight = u64::from(weight);
        if point < weight {
            return Some(place);
        }
        point -= weight;
        None
    })
}

/// By key: weighted rendezvous hashing (Schindelhauer and Schomaker 2005: the least of -ln(u) / weight). When a weight
/// grows, keys move to that arm and nowhere else; an arm without weight keeps none; nothing has to be remembered, so
/// every thread, generation and second edge agrees.
pub(crate) fn by_key(arms: impl Iterator<Item = (u64, u32)>, key: u64) -> Option<usize> {
    let mut best: Option<(f64, usize)> = None;
    for (place, (arm, weight)) in arms.enumerate() {
        if weight == 0 {
            continue;
        }
        // 53 bits, and never 0: its logarithm must be finite.
        let even = ((mix(arm ^ key) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        let score = -even.ln() / f64::from(weight);
        if best.is_none_or(|(least, _)| score < least) {
            best = Some((score, place));
        }
    }
    best.map(|(_, place)| place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arms(weights: &[u32]) -> impl Iterator<Item = (u64, u32)> + '_ {
        weights.iter().enumerate().map(|(place, weight)| (hash(format!("arm {place}").as_bytes()), *weight))
    }

    #[test]
    fn shares_follow_weights() {
        let weights = [90, 10, 0];
        let mut counts = [[0; 3]; 2];
        for number in 0..100_000_u64 {
            counts[0][by_weight(weights.iter().copied(), mix(number)).unwrap()] += 1;
            counts[1][by_key(arms(&weights), hash(&number.to_le_bytes())).unwrap()] += 1;
        }
        for [_, second, third] in counts {
            assert!((9_500..10_500).contains(&second) && third == 0, "{counts:?}");
        }
        assert_eq!(by_weight([0, 0].into_iter(), 5), None);
        assert_eq!(by_key(arms(&[0, 0]), 5), None);
    }

    proptest! {
        #[test]
        fn a_growing_weight_takes_keys_and_moves_no_others(key: u64, canary in 1_u32..100, more in 1_u32..100,
                                                           others in prop::collection::vec(0_u32..100, 1..4)) {
            let mut weights = others;
            weights.push(canary);
            let before = by_key(arms(&weights), key).unwrap();
            *weights.last_mut().unwrap() += more;
            let after = by_key(arms(&weights), key).unwrap();
            prop_assert!(after == before || after == weights.len() - 1);
            *weights.last_mut().unwrap() = 0;
            prop_assert!(by_key(arms(&weights), key).is_none_or(|place| place != weights.len() - 1));
        }
    }
}
