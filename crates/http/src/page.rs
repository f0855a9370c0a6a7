//! What every page shares: navigation, who is signed in, a message about what was just done. `templates/layout.html`
//! draws it; every template extends that and has a field `frame`.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::asset;
use crate::caller::{Caller, Permission};

/// Everything of a page that is not its own content.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The page's name in the window's title.
    pub title: String,
    /// The key of the navigation's item that is lit, or nothing.
    pub active: &'static str,
    /// Who is signed in; without it there is no navigation.
    pub who: Option<Who>,
    pub groups: Vec<Group>,
    /// Whether the caller may look for campaigns and contacts.
    pub searches: bool,
    /// What stands in the search field.
    pub query: String,
    /// Told once, above the page.
    pub toast: Option<Toast>,
    /// Where the mark leads.
    pub home: &'static str,
    /// Where stylesheet and scripts are.
    pub assets: &'static str,
    /// Where the form to sign out goes.
    pub sign_out: &'static str,
    /// Whether there are the pages that every installation has: about, and a profile.
    pub is_whole: bool,
    pub version: &'static str,
    pub asset_version: &'static str,
}

/// The caller as the user menu shows it.
#[derive(Debug, Clone)]
pub struct Who {
    pub name: String,
    /// The role of a user, or what else it is.
    pub role: &'static str,
    /// One letter in place of a picture.
    pub initial: String,
    /// Users have a profile and sign out; API tokens do not.
    pub is_user: bool,
}

/// Items of the navigation under one heading.
#[derive(Debug, Clone)]
pub struct Group {
    /// Empty for the first.
    pub label: &'static str,
    pub items: Vec<&'static Item>,
}

/// A place that the navigation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    pub key: &'static str,
    pub label: &'static str,
    pub href: &'static str,
    /// The second key of its shortcut, after `g`.
    pub shortcut: &'static str,
    /// The first one shows it.
    pub permission: Permission,
}

/// A message about what was just done.
#[derive(Debug, Clone)]
pub struct Toast {
    /// `ok` or `warn`: the class of its mark.
    pub mark: &'static str,
    pub text: String,
}

const fn item(
    key: &'static str,
    label: &'static str,
    href: &'static str,
    shortcut: &'static str,
    permission: Permission,
) -> Item {
    Item { key, label, href, shortcut, permission }
}

/// The navigation, whoever looks at it.
pub const NAVIGATION: [(&str, &[Item]); 2] = [
    (
        "",
        &[
            item("overview", "Overview", "/", "o", Permission::ReportsRead),
            item("campaigns", "Campaigns", "/campaigns", "c", Permission::ReportsRead),
            item("events", "Events", "/events", "e", Permission::EventsRead),
            item("releases", "Releases", "/ops/releases", "r", Permission::ReleasesRead),
        ],
    ),
    (
        "Manage",
        &[
            item("users", "Users", "/users", "u", Permission::UsersRead),
            item("tokens", "API tokens", "/tokens", "t", Permission::TokensRead),
            item("sessions", "Sessions", "/sessions", "i", Permission::SessionsRead),
            item("audit", "Audit log", "/audit", "a", Permission::AuditRead),
            item("settings", "Settings", "/settings", "s", Permission::SettingsRead),
        ],
    ),
];

static RELEASES: AtomicBool = AtomicBool::new(false);

/// From now on the navigation leads to the pages of releases: a controller answers for them at the same address.
pub fn announce_releases() {
    RELEASES.store(true, Ordering::Relaxed);
}

fn releases_are_near() -> bool {
    RELEASES.load(Ordering::Relaxed)
}

/// The first page of the navigation that `caller` may see.
pub fn first_place(caller: &Caller) -> Option<&'static str> {
    let mut items = NAVIGATION.iter().flat_map(|(_, items)| items.iter());
    let near = |item: &&Item| item.permission != Permission::ReleasesRead || releases_are_near();
    items.find(|item| caller.may(item.permission) && near(item)).map(|item| item.href)
}

impl Frame {
    /// The frame of the page `title` for `caller`; `active` is a key of the [`NAVIGATION`] or empty.
    pub fn new(title: impl Into<String>, active: &'static str, caller: Option<&Caller>) -> Self {
        let group = |(label, items): &(&'static str, &'static [Item])| {
            let may = |item: &&Item| caller.is_some_and(|caller| caller.may(item.permission));
            let there = |item: &&Item| item.permission != Permission::ReleasesRead || releases_are_near();
            let seen = items.iter().filter(may).filter(there);
            Group { label, items: seen.collect() }
        };
        let groups: Vec<Group> = NAVIGATION.iter().map(group).filter(|group| !group.items.is_empty()).collect();
        Self {
            title: title.into(),
            active,
            who: caller.map(Who::of),
            groups,
            searches: caller.is_some_and(|caller| caller.may(Permission::ReportsRead)),
            query: String::new(),
            toast: None,
            home: "/",
            assets: "/assets",
            sign_out: "/sign-out",
            is_whole: true,
            version: env!("CARGO_PKG_VERSION"),
            asset_version: asset::version(),
        }
    }

    /// Says that something was done.
    pub fn done(mut self, text: impl Into<String>) -> Self {
        self.toast = Some(Toast { mark: "ok", text: text.into() });
        self
    }

    /// Says that something was not done, or needs attention.
    pub fn warned(mut self, text: impl Into<String>) -> Self {
        self.toast = Some(Toast { mark: "warn", text: text.into() });
        self
    }
}

impl Who {
    fn of(caller: &Caller) -> Self {
        Self {
            name: caller.name.clone(),
            role: caller.role.unwrap_or("API token"),
            initial: caller.name.chars().next().map_or_else(|| "?".into(), |first| first.to_uppercase().collect()),
            is_user: caller.user().is_some(),
        }
    }
}

/// `path` with these parameters; empty ones are left out.
pub fn address(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut address = path.to_owned();
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        address.push(if address.contains('?') { '&' } else { '?' });
        address.push_str(name);
        address.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => address.push(byte as char),
                _ => {
                    // Writing into a string cannot fail.
                    let _ = write!(address, "%{byte:02X}");
                }
            }
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_shortcuts_are_unique() {
        let items: Vec<_> = NAVIGATION.iter().flat_map(|(_, items)| items.iter()).collect();
        for (index, one) in items.iter().enumerate() {
            for other in &items[..index] {
                assert!(one.key != other.key && one.shortcut != other.shortcut && one.href != other.href, "{one:?}");
            }
        }
    }

    #[test]
    fn addresses_hold_whatever_was_typed() {
        assert_eq!(address("/events", &[("q", "a&b=c ü"), ("none", "")]), "/events?q=a%26b%3Dc%20%C3%BC");
    }

    #[test]
    fn strangers_see_no_navigation() {
        let frame = Frame::new("Sign in", "", None);
        assert!(frame.groups.is_empty() && frame.who.is_none() && !frame.searches);
    }
}
