//! How long the source files are: one too long is split, or says at its head why not.

use super::files::Files;
use super::outcome::Outcome;
use super::source::lines_without_tests;

const LONGEST: usize = 600;
const REASON: &str = "//! Long because ";

pub(crate) fn check(files: &Files) -> Outcome {
    let mut sizes = Vec::new();
    let mut problems = Vec::new();
    for file in files.with_extension("rs") {
        let lines = lines_without_tests(&file.text);
        sizes.push(lines);
        if lines > LONGEST && !says_why(&file.text) {
            problems.push(format!("{}: {lines} lines without its tests", file.path));
        }
    }
    sizes.sort_unstable();
    let note = format!(
        "{} files, median {} lines, 90 % have at most {}",
        sizes.len(),
        quantile(&sizes, 0.5),
        quantile(&sizes, 0.9)
    );
    Outcome::new(note, problems)
}

/// In the comment at the head, before any code.
fn says_why(text: &str) -> bool {
    let head = text.lines().take_while(|line| line.trim().is_empty() || line.starts_with("//"));
    head.into_iter().any(|line| line.strip_prefix(REASON).is_some_and(|reason| !reason.trim().is_empty()))
}

/// The smallest size that this share of the files does not exceed.
fn quantile(sorted: &[usize], share: f64) -> usize {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_fails_unless_it_says_why() {
        let long = "fn f() {}\n".repeat(601);
        let tested = format!("#[cfg(test)]\nmod tests {{\n{long}}}\n");
        let excused = format!("//! A table.\n//! Long because it is one table.\n{long}");
        let too_late = format!("{long}//! Long because of nothing.\n");
        let files = Files::fake(&[
            ("long.rs", &long),
            ("tested.rs", &tested),
            ("excused.rs", &excused),
            ("late.rs", &too_late),
            ("long.txt", &long),
        ]);
        let outcome = check(&files);
        assert_eq!(outcome.problems, ["long.rs: 601 lines without its tests", "late.rs: 602 lines without its tests"]);
        assert!(outcome.note.starts_with("4 files"), "{}", outcome.note);
    }

    #[test]
    fn quantiles_are_sizes_that_occur() {
        let sizes: Vec<usize> = (1..=10).collect();
        assert_eq!((quantile(&sizes, 0.5), quantile(&sizes, 0.9)), (5, 9));
        assert_eq!((quantile(&[7], 0.5), quantile(&[], 0.9)), (7, 0));
    }
}
