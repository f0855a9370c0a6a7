//! Words for configuration errors: the place, what is wrong, and the nearest thing that would be right.

/// The candidate that was probably meant by `word`, if one is near enough.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word() {
        assert_eq!(nearest("lisen", ["listen", "data"]), Some("listen"));
        assert_eq!(nearest("min_request", ["min_requests", "hold"]), Some("min_requests"));
        assert_eq!(nearest("zebra", ["listen", "data"]), None);
    }
}
