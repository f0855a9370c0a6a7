//! Tests that are skipped, code that is not there yet, and lints that are switched off without a reason.

use super::files::Files;
use super::outcome::Outcome;
use super::source::code_only;

const FORBIDDEN: [&str; 4] = ["#[ignore", "#[allow(", "#![allow(", "todo!("];

pub(crate) fn check(files: &Files) -> Outcome {
    let mut problems = Vec::new();
    for file in files.with_extension("rs") {
        for (number, line) in code_only(&file.text).lines().enumerate() {
            if let Some(found) = FORBIDDEN.iter().find(|forbidden| starts_a_word(line, forbidden)) {
                problems.push(format!("{}:{}: `{}`", file.path, number + 1, found));
            }
        }
    }
    Outcome::new("", problems)
}

/// So that a macro whose name ends in a forbidden one is not taken for it.
fn starts_a_word(line: &str, wanted: &str) -> bool {
    let in_word = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(wanted).any(|(at, _)| !wanted.starts_with(in_word) || !line[..at].ends_with(in_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_silences_is_found_in_code_only() {
        let text = "// todo!()\nlet a = \"#[ignore]\";\n#[ignore = \"slow\"]\nnot_todo!();\n    todo!();\n#[expect(dead_code, reason = \"x\")]\n#![allow(clippy::all)]\n";
        let files = Files::fake(&[("a.rs", text), ("a.md", "`#[allow(x)]`")]);
        assert_eq!(check(&files).problems, ["a.rs:3: `#[ignore`", "a.rs:5: `todo!(`", "a.rs:7: `#![allow(`"]);
    }
}
