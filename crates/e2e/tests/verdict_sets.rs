//! The user agent reader against public sets it was not written by: crawlers are machines, browsers are not, and a mail
//! proxy never is. The sets are npm packages, installed for the test and never part of the repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use signalbox_e2e::environment;
use signalbox_events::agent::{AgentKind, read_agent};

fn node_modules() -> PathBuf {
    environment::node_modules().unwrap_or_else(|error| panic!("{error:#}"))
}

fn json(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| {
        panic!("{}: {error}; run `cargo xtask test`, which installs the npm packages", file.display())
    });
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn array(value: &Value) -> &[Value] {
    value.as_array().expect("the set is an array")
}

fn strings<'a>(values: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    values.into_iter().map(|value| value.as_str().expect("a user agent is a string").to_owned()).collect()
}

fn of_kind(set: &BTreeSet<String>, machine: bool) -> Vec<&str> {
    let matches = |text: &&String| (read_agent(text).kind == AgentKind::Machine) == machine;
    set.iter().filter(matches).map(String::as_str).collect()
}

/// At most five of a thousand browsers may be taken for machines.
fn assert_people(set: &BTreeSet<String>, at_least: usize) {
    assert!(set.len() >= at_least, "only {} strings: is this the set?", set.len());
    let wrong = of_kind(set, true);
    assert!(wrong.len() * 1000 <= set.len() * 5, "{} of {} are machines: {wrong:#?}", wrong.len(), set.len());
}

#[test]
fn crawlers_are_machines() {
    let set = json(&node_modules().join("crawler-user-agents/crawler-user-agents.json"));
    let set = strings(array(&set).iter().flat_map(|crawler| array(&crawler["instances"])));
    assert!(set.len() >= 1000, "only {} strings: is this the set?", set.len());
    let wrong = of_kind(&set, false);
    assert!(wrong.len() * 100 <= set.len(), "{} of {} are no machines: {wrong:#?}", wrong.len(), set.len());
}

#[test]
fn popular_browsers_are_not() {
    let set = json(&node_modules().join("top-user-agents/src/index.json"));
    assert_people(&strings(array(&set)), 50);
}

#[test]
fn sampled_browsers_are_not() {
    let set = json(&node_modules().join("user-agents/dist/user-agents.json"));
    assert_people(&strings(array(&set).iter().map(|browser| &browser["userAgent"])), 500);
}

#[test]
fn mail_proxies_never_are() {
    for text in [
        "Mozilla/5.0",
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
        "Mozilla/5.0 (Windows; U; Windows NT 5.1; de; rv:1.9.0.7) Gecko/2009021910 Firefox/3.0.7 (via ggpht.com GoogleImageProxy)",
        "GoogleImageProxy",
        "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
        "Mozilla/5.0 (compatible; YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html)",
    ] {
        assert_eq!(read_agent(text).kind, AgentKind::PrivacyProxy, "{text}");
    }
}
