//! A history that is too long for one batch of anything: what is counted live is what a rebuild counts.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::house::{House, body};
use crate::on_both_engines;
use crate::times::minute;

on_both_engines!(a_history_is_rebuilt_to_the_same_figures);

const BATCHES: i64 = 10;
const BATCH: i64 = 10_000;

const AGENTS: [&str; 3] = [crate::house::CHROME, "Mozilla/5.0", "curl/8.5.0"];

/// Events of many recipients and few campaigns, most of them opens, with bursts and some events sent twice.
fn batch(number: i64) -> String {
    let mut lines = String::new();
    for event in 0..BATCH {
        // Every hundredth was sent before.
        let index = number * BATCH + if event % 100 == 99 { event - 50 } else { event };
        let (recipient, campaign) = (index % 7_919, index % 5);
        let common = format!(
            "\"id\":\"h-{index}\",\"campaign\":\"campaign {campaign}\",\"recipient\":\"reader-{recipient}\",\"message\":\"m-{campaign}-{recipient}\",\"occurred_at\":\"{}\"",
            minute(index / 200)
        );
        let hit = format!(
            "\"user_agent\":\"{}\",\"ip\":\"11.0.{}.{}\"",
            AGENTS[(index % 3) as usize],
            index % 7,
            recipient % 250
        );
        let written = match index % 10 {
            0 => writeln!(lines, "{{\"kind\":\"sent\",{common}}}"),
            1 => writeln!(lines, "{{\"kind\":\"delivered\",{common}}}"),
            2 | 3 => writeln!(
                lines,
                "{{\"kind\":\"clicked\",\"url\":\"https://shop.example/{}\",{hit},{common}}}",
                index % 6
            ),
            _ => writeln!(lines, "{{\"kind\":\"opened\",{hit},{common}}}"),
        };
        written.expect("a text grows");
    }
    lines
}

fn a_history_is_rebuilt_to_the_same_figures(house: &House) {
    let guest = house.guest();
    for number in 0..BATCHES {
        let answer = guest.post_bytes(&[("Content-Type", "application/x-ndjson")], batch(number).as_bytes());
        assert_eq!((answer.status, &body(&answer)["recorded"]), (200, &json!(BATCH)), "{answer:?}");
    }
    house.wait_within(BATCHES * BATCH, std::time::Duration::from_secs(300));
    let rebuilt = house.run(&["rebuild", "--dry-run", "--output", "json"]);
    let rebuilt: Value = serde_json::from_str(&rebuilt).expect("JSON");
    assert_eq!(rebuilt["equal"], true, "{rebuilt}");
    let stored = house.installation.count().expect("a number");
    assert_eq!(stored as i64, BATCHES * BATCH * 99 / 100, "an event that was sent twice is stored once");
    let totals = &guest.get("/api/v1/overview")["totals"];
    assert!(totals["opens"]["human"]["total"].as_i64() > Some(0), "{totals}");
}
