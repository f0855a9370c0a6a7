//! `[[access.oidc]]`: the providers by which people may sign in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::fetch::Address;
use super::pins::Pin;

/// Words that every provider is asked for; `openid` is always among them.
const DEFAULT_SCOPES: [&str; 3] = ["openid", "email", "profile"];

/// One provider, as the settings file has it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// Its word in our addresses: lower-case letters, digits, `-`.
    pub id: String,
    /// What the button says.
    pub name: String,
    pub issuer: String,
    pub client_id: String,
    /// Either this or the file; neither for a public client.
    #[serde(default)]
    pub client_secret: String,
    pub client_secret_file: Option<PathBuf>,
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// Public keys: where there are any, only servers whose certificate holds one of them are asked.
    #[serde(default)]
    pub pins: Vec<String>,
    pub roles: Option<RoleMap>,
    /// Whether somebody unknown, with a verified address and a mapped role, becomes a user.
    #[serde(default)]
    pub create_users: bool,
}

/// Which values of a claim give which role.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleMap {
    /// The name of the claim, for example `groups`.
    pub claim: String,
    /// Value of the claim → role.
    pub map: BTreeMap<String, String>,
}

/// The secret is not shown.
impl std::fmt::Debug for ProviderSettings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let secret = if self.client_secret.is_empty() { "none" } else { "[redacted]" };
        out.debug_struct("ProviderSettings")
            .field("id", &self.id)
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("client_secret", &secret)
            .finish_non_exhaustive()
    }
}

fn default_scopes() -> Vec<String> {
    DEFAULT_SCOPES.map(str::to_owned).to_vec()
}

/// Says what is wrong with the providers, if something is. `is_role` knows the roles.
pub fn check(providers: &[ProviderSettings], public_url: &str, is_role: impl Fn(&str) -> bool) -> Result<(), String> {
    if !providers.is_empty() && public_url.is_empty() {
        return Err("access.oidc needs server.public_url: providers send people back to it".into());
    }
    for (place, provider) in providers.iter().enumerate() {
        let id = &provider.id;
        let wrong = |text: String| Err(format!("access.oidc {id:?}: {text}"));
        let letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if id.is_empty() || id.len() > 32 || !id.chars().all(letter) {
            return wrong("id has 1 to 32 lower-case letters, digits and -".into());
        }
        if providers[..place].iter().any(|other| other.id == *id) {
            return wrong("two providers have this id".into());
        }
        if provider.name.trim().is_empty() || provider.client_id.is_empty() {
            return wrong("name and client_id must not be empty".into());
        }
        if let Err(reason) = Address::parse(&provider.issuer) {
            return wrong(format!("issuer {:?} {reason}", provider.issuer));
        }
        if provider.issuer.contains(['?', '#']) {
            return wrong("issuer has no ? and no #".into());
        }
        if !provider.client_secret.is_empty() && provider.client_secret_file.is_some() {
            return wrong("give client_secret or client_secret_file, not both".into());
        }
        if let Some(reason) = provider.pins.iter().find_map(|pin| Pin::parse(pin).err()) {
            return wrong(format!("pins: {reason}"));
        }
        let roles = provider.roles.iter().flat_map(|roles| roles.map.values());
        if let Some(role) = roles.into_iter().find(|role| !is_role(role)) {
            return wrong(format!("{role:?} in roles.map is not a role"));
        }
        if provider.create_users && provider.roles.is_none() {
            return wrong("create_users needs roles: a new user has the role that the provider's claim gives".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &str) -> ProviderSettings {
        let text =
            format!("id = \"corp\"\nname = \"Corp\"\nissuer = \"https://id.example\"\nclient_id = \"c\"\n{more}");
        toml::from_str(&text).unwrap()
    }

    fn said(provider: ProviderSettings) -> String {
        check(&[provider], "https://t.example", |role| role == "admin").err().unwrap_or_default()
    }

    #[test]
    fn good_settings_are_taken_and_mistakes_are_told() {
        let full =
            "client_secret = \"s\"\nroles = { claim = \"groups\", map = { \"g\" = \"admin\" } }\ncreate_users = true";
        assert_eq!(said(parse(full)), "");
        assert_eq!(parse("").scopes, ["openid", "email", "profile"]);
        assert!(!format!("{:?}", parse("client_secret = \"hunter\"")).contains("hunter"));
        assert!(said(parse("pins = [\"sha256/AAAA\"]")).contains("is no pin"));
        assert!(said(parse("create_users = true")).contains("create_users needs roles"));
        assert!(said(parse("client_secret = \"s\"\nclient_secret_file = \"f\"")).contains("not both"));
        assert!(said(parse("roles = { claim = \"g\", map = { \"g\" = \"king\" } }")).contains("\"king\""));
        assert!(said(ProviderSettings { id: "Corp".into(), ..parse("") }).contains("lower-case"));
        assert!(said(ProviderSettings { issuer: "http://id.example".into(), ..parse("") }).contains("https"));
        assert!(check(&[parse("")], "", |_| true).unwrap_err().contains("public_url"));
        assert!(check(&[parse(""), parse("")], "https://t.example", |_| true).unwrap_err().contains("two providers"));
    }
}
