//! One HTTP request at a time, for health checks and metrics.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::load::response;

/// The body of a 200 answer; anything else is an error.
pub(crate) fn get(target: SocketAddr, path: &str, bearer: Option<&str>) -> Result<String> {
    let limit = Duration::from_secs(10);
    let mut stream = TcpStream::connect_timeout(&target, limit).with_context(|| format!("no answer at {target}"))?;
    stream.set_read_timeout(Some(limit))?;
    let authorization = bearer.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(|| format!("reading {path} at {target}"))?;
    let Some(head) = response::parse_head(&answer)? else { bail!("{path} at {target}: the answer is cut off") };
    let body = String::from_utf8_lossy(&answer[head.length..]).into_owned();
    if head.status != 200 {
        bail!("{path} at {target}: status {}: {}", head.status, body.trim());
    }
    Ok(body)
}

/// The sum of a Prometheus metric over its labels; `None` when there is no such metric.
pub(crate) fn metric(exposition: &str, name: &str) -> Option<f64> {
    let values = exposition.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labels) => labels.rsplit_once('}')?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.split_whitespace().next()?.parse::<f64>().ok()
    });
    values.reduce(|sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels_and_not_mistaken_for_a_longer_name() {
        let text = "# TYPE a_total counter\na_total{kind=\"x y\"} 3\na_total{kind=\"}\"} 4 1700000000\na_total_more 9\nb 1e3\n";
        assert_eq!(metric(text, "a_total"), Some(7.0));
        assert_eq!(metric(text, "b"), Some(1000.0));
        assert_eq!(metric(text, "c"), None);
    }
}
