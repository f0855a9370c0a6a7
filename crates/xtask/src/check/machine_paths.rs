//! Paths that exist on one machine only.

use super::files::Files;
use super::outcome::Outcome;

/// Without their first slash, so that this file passes its own check.
const FOLDERS: [&str; 3] = ["home/", "root/", "work/"];

pub(crate) fn check(files: &Files) -> Outcome {
    let mut problems = Vec::new();
    for file in files.texts().filter(|file| file.path != "Cargo.lock") {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(folder) = FOLDERS.iter().find(|folder| names(line, folder)) {
                problems.push(format!("{}:{}: a path below /{folder}", file.path, number + 1));
            }
        }
    }
    Outcome::new("", problems)
}

/// Absolute: what stands before the slash is not the rest of a longer path, a URL or a variable.
fn names(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let Some(before) = line[..at].strip_suffix('/') else { return false };
        !before.ends_with(|last: char| last.is_alphanumeric() || "._-/~}$".contains(last))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_of_a_machine_are_found_and_others_are_not() {
        let lines =
            ["@home/me/x", "see '@work/main'", "https://example.com@home/", "$HOME@work/x", "docs@work/x", "(@root/a)"];
        // With the slash in it, this file would not pass its own check.
        let text = lines.join("\n").replace('@', "/");
        let files = Files::fake(&[("a.md", &text), ("Cargo.lock", &text)]);
        let lines: Vec<_> = check(&files).problems.iter().map(|problem| problem[..6].to_owned()).collect();
        assert_eq!(lines, ["a.md:1", "a.md:2", "a.md:6"]);
    }
}
