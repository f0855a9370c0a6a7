//! What a provider publishes about itself (OpenID Connect Discovery 1.0).

use serde::Deserialize;

use super::fetch::Address;

/// The parts of the document that are used.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Metadata {
    pub issuer: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub jwks_uri: String,
    pub userinfo_endpoint: Option<String>,
    #[serde(default = "basic")]
    token_endpoint_auth_methods_supported: Vec<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
    /// RFC 9207: answers carry `iss`.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// How the client proves itself at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientProof {
    Basic,
    Post,
}

/// Why a document is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadMetadata {
    #[error("the provider's discovery document is not readable: {0}")]
    Unreadable(String),
    #[error(
        "the provider calls itself {found:?}, the settings call it {wanted:?}; both must be the same, to the letter"
    )]
    OtherIssuer { found: String, wanted: String },
    #[error("the provider's {0} is not an https address")]
    Endpoint(&'static str),
    #[error("the provider does not support PKCE with S256")]
    NoPkce,
    #[error("the provider takes neither client_secret_basic nor client_secret_post")]
    NoProof,
}

fn basic() -> Vec<String> {
    vec!["client_secret_basic".into()]
}

impl Metadata {
    /// Where the document of `issuer` is.
    pub(crate) fn address(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    pub(crate) fn parse(document: &[u8], issuer: &str) -> Result<Self, BadMetadata> {
        let metadata: Self =
            serde_json::from_slice(document).map_err(|error| BadMetadata::Unreadable(error.to_string()))?;
        if metadata.issuer != issuer {
            return Err(BadMetadata::OtherIssuer { found: metadata.issuer, wanted: issuer.to_owned() });
        }
        let endpoints = [
            ("authorization_endpoint", Some(&metadata.authorization_endpoint)),
            ("token_endpoint", Some(&metadata.token_endpoint)),
            ("jwks_uri", Some(&metadata.jwks_uri)),
            ("userinfo_endpoint", metadata.userinfo_endpoint.as_ref()),
        ];
        for (name, address) in endpoints {
            if address.is_some_and(|address| Address::parse(address).is_err()) {
                return Err(BadMetadata::Endpoint(name));
            }
        }
        // Without the list the provider may still support it; with a list that lacks it, the proof would be ignored.
        if metadata
            .code_challenge_methods_supported
            .as_ref()
            .is_some_and(|list| !list.iter().any(|word| word == "S256"))
        {
            return Err(BadMetadata::NoPkce);
        }
        Ok(metadata)
    }

    pub(crate) fn client_proof(&self) -> Result<ClientProof, BadMetadata> {
        let takes = |word: &str| self.token_endpoint_auth_methods_supported.iter().any(|method| method == word);
        match (takes("client_secret_basic"), takes("client_secret_post")) {
            (true, _) => Ok(ClientProof::Basic),
            (false, true) => Ok(ClientProof::Post),
            (false, false) => Err(BadMetadata::NoProof),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document() -> Value {
        json!({
            "issuer": "https://id.example", "authorization_endpoint": "https://id.example/auth",
            "token_endpoint": "https://id.example/token", "jwks_uri": "https://id.example/jwks",
        })
    }

    #[test]
    fn a_document_is_believed_only_for_its_own_issuer_and_with_safe_addresses() {
        let parse = |document: &Value| Metadata::parse(document.to_string().as_bytes(), "https://id.example");
        let good = parse(&document()).unwrap();
        assert_eq!(good.client_proof().unwrap(), ClientProof::Basic);
        for (name, value) in [
            ("issuer", json!("https://evil.example")),
            ("issuer", json!("https://id.example/")),
            ("token_endpoint", json!("http://id.example/token")),
            ("jwks_uri", json!("file:///etc/passwd")),
            ("authorization_endpoint", json!("javascript:alert(1)")),
            ("userinfo_endpoint", json!("http://169.254.169.254/")),
            ("code_challenge_methods_supported", json!(["plain"])),
            ("jwks_uri", Value::Null),
        ] {
            let mut changed = document();
            changed[name] = value.clone();
            assert!(parse(&changed).is_err(), "{name} = {value}");
        }
        let mut post = document();
        post["token_endpoint_auth_methods_supported"] = json!(["private_key_jwt", "client_secret_post"]);
        assert_eq!(parse(&post).unwrap().client_proof().unwrap(), ClientProof::Post);
    }
}
