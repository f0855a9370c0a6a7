//! Links between the documents: the file is there, and so is the heading.

use std::collections::{HashMap, HashSet};

use percent_encoding::percent_decode_str;

use super::files::{Files, TextFile};
use super::outcome::Outcome;

pub(crate) fn check(files: &Files) -> Outcome {
    let documents: Vec<&TextFile> = files.with_extension("md").collect();
    let anchors: HashMap<&str, HashSet<String>> =
        documents.iter().map(|file| (file.path.as_str(), anchors(&file.text))).collect();
    let mut count = 0;
    let mut problems = Vec::new();
    for file in &documents {
        for (line, target) in links(&file.text) {
            if is_elsewhere(&target) {
                continue;
            }
            count += 1;
            if let Some(problem) = problem(files, &anchors, &file.path, &target) {
                problems.push(format!("{}:{line}: {target}: {problem}", file.path));
            }
        }
    }
    Outcome::new(format!("{count} links in {} documents", documents.len()), problems)
}

fn problem(files: &Files, anchors: &HashMap<&str, HashSet<String>>, from: &str, target: &str) -> Option<&'static str> {
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let path = path.split('?').next().unwrap_or_default();
    let Some(found) = (if path.is_empty() {
        Some(from.to_owned())
    } else {
        resolve(from, &percent_decode_str(path).decode_utf8_lossy())
    }) else {
        return Some("leaves the repository");
    };
    if !files.exists(&found) {
        return Some("no such file");
    }
    // Anchors of other files, such as lines of source, are the host's business.
    let headings = anchors.get(found.as_str())?;
    let missing =
        anchor.is_some_and(|anchor| !headings.contains(&percent_decode_str(anchor).decode_utf8_lossy().to_lowercase()));
    missing.then_some("no such heading")
}

/// Another host, a mail address, or another scheme.
fn is_elsewhere(target: &str) -> bool {
    let scheme = target.split_once(':').map(|(scheme, _)| scheme);
    target.starts_with("//")
        || scheme.is_some_and(|scheme| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphabetic()))
}

/// The path from the root; `None` above it. A leading slash is the root of the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => from.split('/').collect(),
    };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Every target with its line: `[text](target)`, `[name]: target`, `href="target"` and `src="target"`.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in prose(text) {
        let trimmed = line.trim_start();
        if trimmed.starts_with('[')
            && !trimmed.starts_with("[^")
            && let Some((_, target)) = trimmed.split_once("]:")
            && let Some(target) = target.split_whitespace().next()
        {
            links.push((number, target.trim_matches(['<', '>']).to_owned()));
        }
        for (at, _) in line.match_indices("](") {
            links.extend(inline_target(&line[at + 2..]).map(|target| (number, target)));
        }
        for attribute in ["href=\"", "src=\""] {
            for (at, _) in line.match_indices(attribute) {
                let rest = &line[at + attribute.len()..];
                links.extend(rest.split_once('"').map(|(target, _)| (number, target.to_owned())));
            }
        }
    }
    links
}

/// Up to the closing parenthesis or a title; parentheses inside must match.
fn inline_target(rest: &str) -> Option<String> {
    if let Some(rest) = rest.strip_prefix('<') {
        return rest.split_once('>').map(|(target, _)| target.to_owned());
    }
    let mut depth = 0_usize;
    let end = rest.char_indices().find_map(|(at, character)| {
        match character {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            ' ' => return Some(at),
            _ => {}
        }
        None
    })?;
    Some(rest[..end].to_owned())
}

/// What a heading is called in a link, and what HTML names itself.
fn anchors(text: &str) -> HashSet<String> {
    let mut anchors = HashSet::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (_, line, raw) in lines_outside_fences(text) {
        for attribute in ["id=\"", "name=\""] {
            for (at, _) in line.match_indices(attribute) {
                let name = line[at + attribute.len()..].split_once('"').map(|(name, _)| name.to_lowercase());
                anchors.extend(name);
            }
        }
        let hashes = raw.bytes().take_while(|byte| *byte == b'#').count();
        if !(1..=6).contains(&hashes) || !raw[hashes..].starts_with(' ') {
            continue;
        }
        let slug = slug(raw[hashes..].trim().trim_end_matches('#').trim_end());
        let times = seen.entry(slug.clone()).or_default();
        anchors.insert(if *times == 0 { slug } else { format!("{slug}-{times}") });
        *times += 1;
    }
    anchors
}

/// As GitHub makes it: lower case, spaces to hyphens, punctuation gone; of a link only its text counts.
fn slug(heading: &str) -> String {
    let mut text = heading.to_owned();
    while let Some(middle) = text.find("](") {
        let Some(end) = text[middle..].find(')') else { break };
        text.replace_range(middle..=middle + end, "");
    }
    text.chars()
        .filter_map(|character| match character {
            ' ' => Some('-'),
            '-' | '_' => Some(character),
            character if character.is_alphanumeric() => Some(character),
            _ => None,
        })
        .flat_map(char::to_lowercase)
        .collect()
}

/// The lines that may hold links, with their numbers: outside fences, and without `code`.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    lines_outside_fences(text).map(|(number, line, _)| (number, line))
}

/// Number, line without `code`, line as it stands.
fn lines_outside_fences(text: &str) -> impl Iterator<Item = (usize, String, &str)> {
    let mut fence: Option<&str> = None;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let trimmed = line.trim_start();
        let opens = ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark));
        match (fence, opens) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => return Some((index + 1, without_code(line), line)),
            _ => {}
        }
        None
    })
}

/// What stands between two backticks is no link.
fn without_code(line: &str) -> String {
    let pieces: Vec<&str> = line.split('`').collect();
    let open_end = pieces.len().is_multiple_of(2);
    let kept = pieces.iter().enumerate().filter(|(index, _)| {
        let last = index + 1 == pieces.len();
        index % 2 == 0 || (last && open_end)
    });
    kept.map(|(_, piece)| *piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let other = "# One\n## Two words, `code` & more\n### One\n<a id=\"Named\"></a>\n```\n# Not a heading\n```\n";
        let files =
            Files::fake(&[("docs/a.md", text), ("docs/sub/b.md", other), ("README.md", "# Top\n"), ("src/x.rs", "")]);
        check(&files).problems
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let text = "# Here\n[a](sub/b.md) [b](sub/b.md#two-words-code--more) [c](sub/b.md#one-1) ![d](../src/x.rs#L10)\n\
            [e](#here) [f](/README.md \"title\") [g](https://x.example/#y) [h](mailto:a@b.c) <a href=\"sub/b.md#named\">\n\
            [i]: ../README.md#top\n`[no](gone.md)`\n```\n[no](gone.md)\n```\n[j](sub) [k](sub/b%2Emd) [l](<../README.md>)\n";
        assert_eq!(problems(text), [] as [&str; 0]);
    }

    #[test]
    fn links_that_lead_nowhere_fail_with_their_line() {
        let text = "[a](gone.md)\n[b](sub/b.md#gone) [c](sub/b.md#not-a-heading)\n[d](#nowhere)\n[e](../../x)\n\n[f]: gone/\n<img src=\"g.png\">\n";
        let expected = [
            "docs/a.md:1: gone.md: no such file",
            "docs/a.md:2: sub/b.md#gone: no such heading",
            "docs/a.md:2: sub/b.md#not-a-heading: no such heading",
            "docs/a.md:3: #nowhere: no such heading",
            "docs/a.md:4: ../../x: leaves the repository",
            "docs/a.md:6: gone/: no such file",
            "docs/a.md:7: g.png: no such file",
        ];
        assert_eq!(problems(text), expected);
    }
}
