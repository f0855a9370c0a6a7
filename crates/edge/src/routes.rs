//! What control tells the edge: the arms and their weights, as data with an epoch.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};

const MOST_ARMS: usize = 64;
const MOST_UPSTREAMS: usize = 64;
const MOST_NAME: usize = 100;

/// The routes of one epoch, as `PUT /routes` takes them and the disk keeps them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routes {
    /// Grows with every change; a lower one than the present is refused.
    pub epoch: u64,
    pub arms: Vec<Arm>,
    /// Requests whose path begins with a prefix go to a named arm, whatever the weights. The longest prefix counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathRule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
}

/// One version behind the edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    pub name: String,
    pub version: String,
    /// `http://host:port`, one or more instances.
    pub upstreams: Vec<String>,
    /// Its share is weight / sum of weights; 0 gets nothing new.
    pub weight: u32,
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// How long an upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    pub connect_ms: u64,
    /// From the request until the head of the answer.
    pub response_ms: u64,
    /// Between two reads of the body of an answer.
    pub idle_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect_ms: 3_000, response_ms: 30_000, idle_ms: 60_000 }
    }
}

/// A path that always goes to the same arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathRule {
    /// `/ops` means `/ops` and everything below `/ops/`.
    pub prefix: String,
    pub arm: String,
}

/// Requests with the same key go to the same arm as long as the weights allow it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sticky {
    pub by: StickyKey,
    /// Of the cookie or the header.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Changes who is assigned where, so that each release meets other people first.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub salt: String,
}

/// What tells one client from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StickyKey {
    /// A cookie; the edge gives one out where it is missing. It holds a random id and no arm.
    Cookie,
    Header,
    Address,
}

/// A copy of a part of the requests goes elsewhere too, and the answers to it are dropped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    pub upstreams: Vec<String>,
    /// Of all requests, 0 to 100.
    pub percent: f64,
    /// Only these methods.
    #[serde(default = "read_only")]
    pub methods: Vec<String>,
}

fn read_only() -> Vec<String> {
    ["GET", "HEAD", "OPTIONS"].map(str::to_owned).to_vec()
}

/// Routes that cannot be used; the text says why.
#[derive(Debug, thiserror::Error)]
pub enum RoutesError {
    #[error("{0}")]
    Wrong(String),
    #[error("{upstream}: {source}")]
    Unresolved { upstream: String, source: std::io::Error },
}

/// Routes that were checked, with their addresses looked up.
#[derive(Debug, Clone)]
pub struct Plan {
    pub routes: Routes,
    /// In the order of `routes.arms`.
    pub(crate) addresses: Vec<Vec<SocketAddr>>,
    pub(crate) mirror: Vec<SocketAddr>,
}

impl Routes {
    /// No arms: every request gets 503.
    pub fn none() -> Self {
        Self { epoch: 0, arms: Vec::new(), paths: Vec::new(), sticky: None, mirror: None }
    }

    /// Arms named by their place, from `URL=WEIGHT` (or `URL` alone: 1).
    pub fn of_upstreams(upstreams: &[String]) -> Result<Self, RoutesError> {
        let arm = |(number, text): (usize, &String)| {
            let (url, weight) = match text.rsplit_once('=') {
                Some((url, weight)) => {
                    let weight = weight.parse();
                    (url, weight.map_err(|_| wrong(format!("{text}: write URL=WEIGHT with a whole number")))?)
                }
                None => (text.as_str(), 1),
            };
            let name = format!("arm-{}", number + 1);
            let upstreams = vec![url.to_owned()];
            Ok(Arm { version: name.clone(), name, upstreams, weight, timeouts: Timeouts::default() })
        };
        let arms = upstreams.iter().enumerate().map(arm).collect::<Result<_, _>>()?;
        Ok(Self { arms, ..Self::none() })
    }

    /// Checks everything and looks the addresses up; this may wait for a name server.
    pub fn plan(self) -> Result<Plan, RoutesError> {
        if self.arms.len() > MOST_ARMS {
            return Err(wrong(format!("at most {MOST_ARMS} arms")));
        }
        for (index, arm) in self.arms.iter().enumerate() {
            for (what, text) in [("name", &arm.name), ("version", &arm.version)] {
                if text.is_empty() || text.len() > MOST_NAME || text.chars().any(char::is_control) {
                    return Err(wrong(format!("arm {text:?}: a {what} has 1 to {MOST_NAME} printable characters")));
                }
            }
            if self.arms[..index].iter().any(|other| other.name == arm.name) {
                return Err(wrong(format!("two arms are called {:?}", arm.name)));
            }
            if arm.upstreams.is_empty() || arm.upstreams.len() > MOST_UPSTREAMS {
                return Err(wrong(format!("arm {:?}: 1 to {MOST_UPSTREAMS} upstreams", arm.name)));
            }
            let Timeouts { connect_ms, response_ms, idle_ms } = arm.timeouts;
            if [connect_ms, response_ms, idle_ms].iter().any(|ms| !(1..=86_400_000).contains(ms)) {
                return Err(wrong(format!("arm {:?}: time-outs are from 1 ms to a day", arm.name)));
            }
        }
        for rule in &self.paths {
            if !rule.prefix.starts_with('/') || !self.arms.iter().any(|arm| arm.name == rule.arm) {
                return Err(wrong(format!("path {:?}: it must begin with / and lead to an arm", rule.prefix)));
            }
        }
        if let Some(sticky) = &self.sticky {
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            let named = !sticky.name.is_empty() && sticky.name.len() <= 64 && sticky.name.bytes().all(token);
            if sticky.by != StickyKey::Address && !named {
                return Err(wrong("sticky.name: the name of a cookie or a header".to_owned()));
            }
        }
        let mut mirror = Vec::new();
        if let Some(wanted) = &self.mirror {
            if !(0.0..=100.0).contains(&wanted.percent) || wanted.upstreams.is_empty() {
                return Err(wrong("mirror: percent from 0 to 100, and one or more upstreams".to_owned()));
            }
            mirror = resolve_all(&wanted.upstreams)?;
        }
        let addresses = self.arms.iter().map(|arm| resolve_all(&arm.upstreams)).collect::<Result<_, _>>()?;
        Ok(Plan { routes: self, addresses, mirror })
    }
}

impl Timeouts {
    pub(crate) fn connect(self) -> Duration {
        Duration::from_millis(self.connect_ms)
    }

    pub(crate) fn response(self) -> Duration {
        Duration::from_millis(self.response_ms)
    }

    pub(crate) fn idle(self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }
}

fn resolve_all(upstreams: &[String]) -> Result<Vec<SocketAddr>, RoutesError> {
    upstreams.iter().map(|upstream| resolve(upstream)).collect()
}

fn resolve(upstream: &str) -> Result<SocketAddr, RoutesError> {
    let form = || wrong(format!("{upstream:?}: an upstream is http://host:port (no path, no https)"));
    let rest = upstream.strip_prefix("http://").ok_or_else(form)?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '@', '?', '#']) {
        return Err(form());
    }
    let with_port = if authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let unresolved = |source| RoutesError::Unresolved { upstream: upstream.to_owned(), source };
    let mut found = with_port.to_socket_addrs().map_err(unresolved)?;
    found.next().ok_or_else(|| unresolved(std::io::ErrorKind::NotFound.into()))
}

fn wrong(text: String) -> RoutesError {
    RoutesError::Wrong(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Plan, String> {
        let routes: Routes = serde_json::from_str(text).map_err(|error| error.to_string())?;
        routes.plan().map_err(|error| error.to_string())
    }

    #[test]
    fn routes_are_checked() {
        let arm = r#"{"name":"v1","version":"1.0","upstreams":["http://127.0.0.1:81"],"weight":1}"#;
        let plan = parse(&format!(r#"{{"epoch":3,"arms":[{arm}]}}"#)).unwrap();
        assert_eq!(plan.addresses, [["127.0.0.1:81".parse().unwrap()]]);
        assert_eq!(plan.routes.arms[0].timeouts, Timeouts::default());
        for (text, said) in [
            (format!(r#"{{"epoch":3,"arms":[{arm},{arm}]}}"#), "two arms"),
            (format!(r#"{{"epoch":3,"arms":[{arm}],"stiky":1}}"#), "unknown field"),
            (r#"{"epoch":-1,"arms":[]}"#.into(), "invalid value"),
            (format!(r#"{{"epoch":3,"arms":[{arm}],"paths":[{{"prefix":"/a","arm":"v2"}}]}}"#), "lead to an arm"),
            (format!(r#"{{"epoch":3,"arms":[{arm}],"sticky":{{"by":"cookie"}}}}"#), "sticky.name"),
            (format!(r#"{{"epoch":3,"arms":[{}]}}"#, arm.replace("http:", "https:")), "no https"),
            (format!(r#"{{"epoch":3,"arms":[{}]}}"#, arm.replace(":81", ":81/x")), "no path"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn the_command_line_names_arms_by_their_place() {
        let routes = Routes::of_upstreams(&["http://127.0.0.1:81=9".into(), "http://127.0.0.1:82".into()]).unwrap();
        let arms: Vec<_> = routes.arms.iter().map(|arm| (arm.name.as_str(), arm.weight)).collect();
        assert_eq!(arms, [("arm-1", 9), ("arm-2", 1)]);
        assert!(Routes::of_upstreams(&["http://127.0.0.1:81=many".into()]).is_err());
    }
}
