//! The bytes of every request, made once before the run.

use std::path::Path;

use anyhow::{Context, Result, bail};

pub(crate) struct Requests {
    bytes: Vec<u8>,
    /// Where each request ends in `bytes`.
    ends: Vec<usize>,
}

impl Requests {
    /// One request per path; the user agents take turns.
    pub(crate) fn new(host: &str, paths: &[impl AsRef<str>], agents: &[impl AsRef<str>]) -> Result<Self> {
        if paths.is_empty() || agents.is_empty() {
            bail!("a run needs at least one path and one user agent");
        }
        let mut requests = Self { bytes: Vec::new(), ends: Vec::with_capacity(paths.len()) };
        for (path, agent) in paths.iter().zip(agents.iter().cycle()) {
            let (path, agent) = (path.as_ref(), agent.as_ref());
            if !path.starts_with('/') || path.bytes().any(|byte| byte <= b' ') {
                bail!("not the path of a request: `{path}`");
            }
            let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n\r\n");
            requests.bytes.extend_from_slice(request.as_bytes());
            requests.ends.push(requests.bytes.len());
        }
        Ok(requests)
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }
}

/// The lines of a file that are not empty.
pub(crate) fn lines(file: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_gets_a_request_and_the_agents_take_turns() {
        let requests = Requests::new("h:1", &["/a", "/b", "/c"], &["x", "y"]).unwrap();
        assert_eq!(requests.len(), 3);
        assert_eq!(requests.get(0), b"GET /a HTTP/1.1\r\nHost: h:1\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n");
        assert!(requests.get(1).starts_with(b"GET /b ") && requests.get(2).starts_with(b"GET /c "));
        assert!(String::from_utf8_lossy(requests.get(2)).contains("User-Agent: x\r\n"));
        assert!(Requests::new("h:1", &["no slash"], &["x"]).is_err());
        assert!(Requests::new("h:1", &[] as &[&str], &["x"]).is_err());
    }
}
