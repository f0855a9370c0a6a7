//! Just enough of Rust's syntax to tell code from comments and strings.

/// The same text with the insides of comments, strings and character literals blanked out; lines stay where they are.
pub(crate) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'\'' => character_end(bytes, at),
            b'r' if !continues_word(bytes, at) => raw_string_end(bytes, at),
            _ => at,
        };
        if end == at {
            code.push(bytes[at]);
            at += 1;
        } else {
            code.extend(bytes[at..end].iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }));
            at = end;
        }
    }
    String::from_utf8(code).expect("whole characters were replaced by spaces")
}

/// How many lines are left without modules under `#[cfg(test)]`.
pub(crate) fn lines_without_tests(text: &str) -> usize {
    let code = code_only(text);
    let mut lines = text.lines().count();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(test)]") {
        let start = from + found;
        let end = module_end(&code, start + "#[cfg(test)]".len());
        if let Some(end) = end {
            lines -= code[start..end].lines().count();
        }
        from = end.unwrap_or(start + 1);
    }
    lines
}

/// Where the module ends that starts here, after more attributes; `None` when something else starts here.
fn module_end(code: &str, from: usize) -> Option<usize> {
    let mut rest = code[from..].trim_start();
    while rest.starts_with("#[") {
        rest = rest[rest.find(']')? + 1..].trim_start();
    }
    for visibility in ["pub(crate) ", "pub(super) ", "pub "] {
        rest = rest.strip_prefix(visibility).unwrap_or(rest);
    }
    let body = rest.strip_prefix("mod ")?;
    let open = body.find('{')?;
    // `mod tests;` has its body in another file.
    if body[..open].contains(';') {
        return None;
    }
    let mut depth = 0_usize;
    let start = code.len() - body.len();
    for (at, byte) in body.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(start + at + 1);
        }
    }
    None
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| from + length)
}

/// Block comments nest.
fn block_comment_end(bytes: &[u8], from: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = from;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `from` itself when it is not a raw string.
fn raw_string_end(bytes: &[u8], from: usize) -> usize {
    let hashes = bytes[from + 1..].iter().take_while(|byte| **byte == b'#').count();
    let start = from + 1 + hashes;
    if bytes.get(start) != Some(&b'"') {
        return from;
    }
    let end = [&b"\""[..], &b"#".repeat(hashes)].concat();
    let found = bytes[start + 1..].windows(end.len()).position(|window| window == end);
    found.map_or(bytes.len(), |length| start + 1 + length + end.len())
}

/// `from` itself when it is a lifetime.
fn character_end(bytes: &[u8], from: usize) -> usize {
    if bytes.get(from + 1) == Some(&b'\\') {
        let close = bytes[from + 2..].iter().skip(1).position(|byte| *byte == b'\'');
        return close.map_or(bytes.len(), |length| from + 2 + 1 + length + 1);
    }
    // One character of up to four bytes, then the quote.
    let text = std::str::from_utf8(&bytes[from + 1..]).unwrap_or_default();
    match text.chars().next() {
        Some(character) if text[character.len_utf8()..].starts_with('\'') => from + 1 + character.len_utf8() + 1,
        _ => from,
    }
}

/// An `r` inside a word starts no raw string, unless that word is the `b` or `c` of one.
fn continues_word(bytes: &[u8], at: usize) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let mut before = bytes[..at].iter().rev();
    match before.next() {
        Some(b'b' | b'c') => before.next().is_some_and(is_word),
        Some(byte) => is_word(byte),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blanked_and_code_stays() {
        for (text, expected) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */\n d */ e", "a             \n      e"),
            (r#"f("x\"y") + 1"#, "f(      ) + 1"),
            (r##"f(r#"x"y"#) + 1"##, "f(        ) + 1"),
            ("br\"x\" bar\"x\"", "b     bar   "),
            ("'a' '\\'' '\\u{1F600}' 'é' fn f<'a>(x: &'a str)", "                          fn f<'a>(x: &'a str)"),
            ("r#type", "r#type"),
        ] {
            let blanked = code_only(text);
            assert_eq!(blanked.trim_end(), expected.trim_end(), "{text}");
            assert_eq!(blanked.len(), text.len(), "{text}");
        }
    }

    #[test]
    fn test_modules_do_not_count() {
        let text =
            "fn a() {}\n\n#[cfg(test)]\n#[path = \"x\"]\nmod tests {\n    const BRACE: &str = \"}\";\n}\nfn b() {}\n";
        assert_eq!(lines_without_tests(text), 3);
        assert_eq!(lines_without_tests("a\n#[cfg(test)]\nmod tests;\nmod other {\n}\n"), 5);
        assert_eq!(lines_without_tests("#[cfg(test)]\nfn helper() {}\n"), 2);
        assert_eq!(lines_without_tests("// #[cfg(test)]\nmod a {\n}\n"), 3);
    }
}
