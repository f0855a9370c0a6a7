//! Asking Prometheus for one number: the instant query of its HTTP API.

use std::time::Duration;

use serde_json::Value;

use crate::ask;

const PATIENCE: Duration = Duration::from_secs(5);

/// The value of a query at this moment. No series, more than one, and what is no number are all nothing, with the reason.
pub(super) async fn query(base: &str, query: &str) -> Result<f64, String> {
    let address = format!("{}/api/v1/query?query={}", base.trim_end_matches('/'), escaped(query));
    let answer = ask::get(&address, PATIENCE).await?;
    let document: Value = serde_json::from_slice(&answer.body)
        .map_err(|_| format!("Prometheus answered {} and no JSON", answer.status))?;
    number(&document)
}

/// For one version: its name stands where the query has `$version`.
pub(super) fn for_version(query: &str, version: &str) -> String {
    query.replace("$version", version)
}

fn number(document: &Value) -> Result<f64, String> {
    if document["status"] != "success" {
        return Err(format!("Prometheus: {}", document["error"].as_str().unwrap_or("no success, and no reason")));
    }
    let result = &document["data"]["result"];
    let text = match document["data"]["resultType"].as_str() {
        Some("scalar") => &result[1],
        Some("vector") => match result.as_array().map(Vec::as_slice) {
            Some([one]) => &one["value"][1],
            Some([]) => return Err("no series".into()),
            other => return Err(format!("{} series instead of one; sum them up", other.map_or(0, <[_]>::len))),
        },
        _ => return Err("the query gives no instant number".into()),
    };
    let value = text.as_str().and_then(|text| text.parse::<f64>().ok()).ok_or("what came is no number")?;
    if value.is_finite() { Ok(value) } else { Err(format!("{value}")) }
}

fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            _ => {
                // Writing into a string cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_one_number_is_a_number() {
        let vector = |result: Value| json!({"status": "success", "data": {"resultType": "vector", "result": result}});
        let read = |document: Value| number(&document);
        assert_eq!(read(vector(json!([{"metric": {}, "value": [1.0, "0.25"]}]))), Ok(0.25));
        assert_eq!(read(json!({"status": "success", "data": {"resultType": "scalar", "result": [1.0, "3"]}})), Ok(3.0));
        for wrong in [
            vector(json!([])),
            vector(json!([{"value": [1.0, "NaN"]}])),
            vector(json!([{"value": [1.0, "+Inf"]}])),
            vector(json!([{"value": [1.0, "1"]}, {"value": [1.0, "2"]}])),
            json!({"status": "error", "error": "parse error"}),
            json!({"status": "success", "data": {"resultType": "matrix", "result": []}}),
            json!({}),
            json!(null),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn queries_survive_the_address() {
        assert_eq!(escaped("a{v=\"1\"}"), "a%7Bv%3D%221%22%7D");
        assert_eq!(for_version("x{version=\"$version\"}", "1.5"), "x{version=\"1.5\"}");
    }
}
