//! What several pages show.

use signalbox_core::id::{PrincipalId, SessionId};
use signalbox_core::time::Micros;
use signalbox_store::{Conn, StoreError};

use crate::principals::{self, Principal};
use crate::reach::Reach;
use crate::sessions::SessionInfo;

/// An instant: for the script, and in words.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) iso: String,
    pub(crate) label: String,
}

pub(crate) fn moment(at: Micros) -> Moment {
    let iso = at.to_string();
    let label = iso.get(..16).map_or_else(|| iso.clone(), |text| text.replace('T', " "));
    Moment { iso, label }
}

/// A session as a row of a table.
#[derive(Debug, Clone)]
pub(super) struct SessionRow {
    pub(super) id: SessionId,
    pub(super) email: String,
    pub(super) device: String,
    /// What the browser said, whole.
    pub(super) agent: String,
    pub(super) address: String,
    pub(super) method: String,
    pub(super) second_factor: bool,
    pub(super) seen: Moment,
    pub(super) since: Moment,
    pub(super) is_this: bool,
}

pub(super) fn session_row(one: SessionInfo, this: Option<SessionId>) -> SessionRow {
    SessionRow {
        id: one.id,
        email: one.email,
        device: device(&one.device),
        agent: one.device,
        address: one.address.map_or_else(|| "unknown".into(), |address| address.to_string()),
        method: one.method,
        second_factor: one.second_factor,
        seen: moment(one.seen_at),
        since: moment(one.created_at),
        is_this: this == Some(one.id),
    }
}

/// Browser and system in the words of people.
fn device(agent: &str) -> String {
    let find =
        |known: &[(&str, &'static str)]| known.iter().find(|(word, _)| agent.contains(word)).map(|(_, name)| *name);
    let browser = find(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ]);
    let system = find(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) if agent.is_empty() => "unknown".into(),
        (None, None) => agent.chars().take(40).collect(),
    }
}

/// A principal to be chosen.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) chosen: bool,
}

/// The principals that `scope` reaches, with those of `reach` chosen.
pub(super) fn choices(all: &[Principal], reach: &Reach) -> Vec<Choice> {
    let chosen = |id: i64| matches!(reach, Reach::Principals(ids) if ids.contains(&id));
    all.iter().map(|one| Choice { id: one.id.to_string(), name: one.name.clone(), chosen: chosen(one.id.0) }).collect()
}

/// The names of what `reach` opens.
pub(super) fn reach_words(all: &[Principal], reach: &Reach) -> String {
    match reach {
        Reach::All => "all".into(),
        Reach::Principals(ids) if ids.is_empty() => "none".into(),
        Reach::Principals(ids) => {
            let name = |id: &i64| all.iter().find(|one| one.id.0 == *id).map(|one| one.name.as_str());
            ids.iter().map(|id| name(id).unwrap_or("another")).collect::<Vec<_>>().join(", ")
        }
    }
}

/// The reach that the fields `principals` (ids) and `reach` (`all` or `some`) of a form name.
pub(super) fn chosen_reach<'f>(all: bool, ids: impl Iterator<Item = &'f str>) -> Reach {
    if all {
        return Reach::All;
    }
    Reach::Principals(ids.filter_map(|id| id.parse::<PrincipalId>().ok()).map(|id| id.0).collect())
}

/// The principals of `conn`'s scope.
pub(super) fn reachable(conn: &mut Conn<'_>, scope: &signalbox_store::Scope) -> Result<Vec<Principal>, StoreError> {
    Ok(principals::list(conn)?.into_iter().filter(|one| scope.contains(one.id.0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_in_the_words_of_people() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36";
        assert_eq!(device(chrome), "Chrome on Linux");
        assert_eq!(device(""), "unknown");
        assert_eq!(device("x"), "x");
    }
}
