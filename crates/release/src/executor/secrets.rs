//! A plain scan for secrets that everybody knows by their form: private keys, and tokens whose first letters say whose they
//! are. It finds no password, and nothing that is compressed or encrypted. What it found is told by place, never by content.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// A kind of secret: how it begins, and how many letters of a token follow at least.
struct Kind {
    name: &'static str,
    begins: &'static str,
    letters: usize,
}

/// Written in two parts, so that this file does not find itself.
const KINDS: [Kind; 15] = [
    kind("a private key", concat!("-----BEGIN ", "PRIVATE KEY-----\n"), 40),
    kind("a private key of RSA", concat!("-----BEGIN ", "RSA PRIVATE KEY-----\n"), 40),
    kind("a private key of an elliptic curve", concat!("-----BEGIN ", "EC PRIVATE KEY-----\n"), 40),
    kind("a private key of OpenSSH", concat!("-----BEGIN ", "OPENSSH PRIVATE KEY-----\n"), 40),
    kind("a private key of PGP", concat!("-----BEGIN ", "PGP PRIVATE KEY BLOCK-----\n"), 0),
    kind("an access key of AWS", concat!("AK", "IA"), 16),
    kind("a token of GitHub", concat!("gh", "p_"), 36),
    kind("a token of GitHub", concat!("gh", "s_"), 36),
    kind("a token of GitHub", concat!("github", "_pat_"), 36),
    kind("a token of GitLab", concat!("gl", "pat-"), 20),
    kind("a token of Slack", concat!("xo", "xb-"), 24),
    kind("a key of Stripe", concat!("sk", "_live_"), 20),
    kind("a key of Google", concat!("AI", "za"), 35),
    kind("a token of npm", concat!("npm", "_"), 36),
    kind("a secret of webhooks", concat!("wh", "sec_"), 32),
];

const fn kind(name: &'static str, begins: &'static str, letters: usize) -> Kind {
    Kind { name, begins, letters }
}

/// Read at once.
const CHUNK: usize = 1 << 20;
/// What a secret needs to be known: chunks overlap by it.
const OVERLAP: usize = 128;
/// More tells nobody more.
const MOST: usize = 100;

/// Files, and folders with everything in them; `a key of Stripe in FILE at byte N`.
pub(super) fn scan(roots: &[PathBuf]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut todo: Vec<PathBuf> = roots.to_vec();
    while let Some(path) = todo.pop() {
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        let meta = match std::fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            // Git lists what somebody has removed since.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(told(error)),
        };
        if meta.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(told)? {
                todo.push(entry.map_err(told)?.path());
            }
        } else if meta.is_file() {
            file(&path, &mut found).map_err(told)?;
        }
        if found.len() >= MOST {
            break;
        }
    }
    found.sort();
    Ok(found)
}

fn file(path: &Path, found: &mut Vec<String>) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let (mut kept, mut offset) = (Vec::new(), 0_usize);
    loop {
        let before = kept.len();
        let count = file.by_ref().take(CHUNK as u64).read_to_end(&mut kept)?;
        // What begins in the overlap is judged with what follows it, or at the end of the file.
        let until = if count == 0 { kept.len() } else { kept.len().saturating_sub(OVERLAP) };
        for (at, name) in secrets(&kept, until) {
            found.push(format!("{name} in {} at byte {}", path.display(), offset + at));
        }
        if count == 0 {
            return Ok(());
        }
        debug_assert!(kept.len() > before || count == 0);
        kept.drain(..until);
        offset += until;
    }
}

/// Where secrets begin before `until`, and what they are.
fn secrets(bytes: &[u8], until: usize) -> Vec<(usize, &'static str)> {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=');
    // Most bytes begin none.
    let mut begins = [false; 256];
    KINDS.iter().for_each(|kind| begins[usize::from(kind.begins.as_bytes()[0])] = true);
    let mut found = Vec::new();
    for at in (0..until).filter(|at| begins[usize::from(bytes[*at])]) {
        let rest = &bytes[at..];
        for kind in &KINDS {
            let Some(after) = rest.strip_prefix(kind.begins.as_bytes()) else { continue };
            // In the middle of a longer word it is no token, and a program that knows the form has nothing behind it.
            let alone = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
            if alone && after.len() >= kind.letters && after[..kind.letters].iter().all(letter) {
                found.push((at, kind.name));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(content: &[u8]) -> usize {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, content).unwrap();
        scan(&[folder.path().to_owned()]).unwrap().len()
    }

    fn secret(kind: &Kind) -> Vec<u8> {
        [kind.begins.as_bytes(), &vec![b'A'; kind.letters]].concat()
    }

    #[test]
    fn every_kind_is_found_wherever_it_stands() {
        for kind in &KINDS {
            assert_eq!(found(&secret(kind)), 1, "{}", kind.name);
            let quoted = [b"token = \"".as_slice(), &secret(kind), b"\"\n"].concat();
            assert_eq!(found(&quoted), 1, "{}", kind.name);
            // Across the border of what is read at once, once.
            for before in [CHUNK - 200, CHUNK - 130, CHUNK - OVERLAP, CHUNK - 20, CHUNK - 1, CHUNK] {
                let far = [vec![b' '; before], secret(kind)].concat();
                assert_eq!(found(&far), 1, "{} after {before}", kind.name);
            }
        }
    }

    #[test]
    fn the_form_alone_is_no_secret() {
        for kind in &KINDS {
            assert_eq!(found(kind.begins.as_bytes()), usize::from(kind.letters == 0), "{}", kind.name);
        }
        let short = concat!("gh", "p_short and AK", "IAIOSFODNN and taskAK", "IAIOSFODNN7EXAMPLE1");
        assert_eq!(found(short.as_bytes()), 0);
        let own = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/src/executor/secrets.rs")).unwrap();
        assert_eq!(found(&own), 0);
    }

    #[test]
    fn the_content_is_never_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, secret(&KINDS[6])).unwrap();
        let told = scan(&[path]).unwrap().join("");
        assert!(told.contains("a token of GitHub") && !told.contains("AAAA"), "{told}");
    }
}
