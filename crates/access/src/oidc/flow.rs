//! The two halves of a sign-in (RFC 6749, 7636 and 9207): where to send a browser, and whether what it brings back belongs
//! to what was begun. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use signalbox_crypto::keyring::KeyringError;
use signalbox_crypto::secret::new_secret;
use subtle::ConstantTimeEq as _;

use super::metadata::Metadata;
use super::settings::ProviderSettings;

/// What has to be known when the browser comes back.
#[derive(Serialize, Deserialize)]
pub(crate) struct Flow {
    pub provider: String,
    state: String,
    pub nonce: String,
    pub verifier: String,
    /// The page that was wanted.
    pub next: String,
}

/// What a provider sends back by the browser.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Answer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Why an answer is refused. The words go into log and audit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadAnswer {
    #[error("the sign-in was begun with another provider")]
    OtherProvider,
    #[error("the answer belongs to another sign-in (state)")]
    State,
    #[error("the answer is from another issuer (iss)")]
    Issuer,
    #[error("the provider refused: {0}")]
    Refused(String),
    #[error("the answer has no usable code")]
    Code,
}

impl Flow {
    pub(crate) fn begin(provider: &str, next: &str) -> Result<Self, KeyringError> {
        Ok(Self {
            provider: provider.to_owned(),
            state: new_secret()?.to_string(),
            nonce: new_secret()?.to_string(),
            verifier: new_secret()?.to_string(),
            next: next.to_owned(),
        })
    }

    /// Where the browser goes.
    pub(crate) fn address(&self, settings: &ProviderSettings, metadata: &Metadata, redirect_uri: &str) -> String {
        let mut scopes = settings.scopes.clone();
        if !scopes.iter().any(|scope| scope == "openid") {
            scopes.insert(0, "openid".into());
        }
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.as_bytes()));
        let query = serde_urlencoded::to_string([
            ("response_type", "code"),
            ("client_id", &settings.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", &scopes.join(" ")),
            ("state", &self.state),
            ("nonce", &self.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ])
        .unwrap_or_default();
        let endpoint = &metadata.authorization_endpoint;
        let sign = if endpoint.contains('?') { '&' } else { '?' };
        format!("{endpoint}{sign}{query}")
    }

    /// The code of an answer that belongs to this flow. `provider` is whose callback was called.
    pub(crate) fn code<'a>(
        &self,
        provider: &str,
        metadata: &Metadata,
        answer: &'a Answer,
    ) -> Result<&'a str, BadAnswer> {
        if self.provider != provider {
            return Err(BadAnswer::OtherProvider);
        }
        let state = answer.state.as_deref().unwrap_or_default();
        if !bool::from(state.as_bytes().ct_eq(self.state.as_bytes())) {
            return Err(BadAnswer::State);
        }
        let issuer = match &answer.iss {
            Some(issuer) => *issuer == metadata.issuer,
            None => !metadata.authorization_response_iss_parameter_supported,
        };
        if !issuer {
            return Err(BadAnswer::Issuer);
        }
        if let Some(error) = &answer.error {
            let word = error.chars().filter(|letter| !letter.is_control()).take(64).collect();
            return Err(BadAnswer::Refused(word));
        }
        answer.code.as_deref().filter(|code| (1..=2048).contains(&code.len())).ok_or(BadAnswer::Code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(announces_issuer: bool) -> Metadata {
        let document = serde_json::json!({
            "issuer": "https://id.example", "authorization_endpoint": "https://id.example/auth?tenant=1",
            "token_endpoint": "https://id.example/token", "jwks_uri": "https://id.example/jwks",
            "authorization_response_iss_parameter_supported": announces_issuer,
        });
        Metadata::parse(document.to_string().as_bytes(), "https://id.example").unwrap()
    }

    fn answer(flow: &Flow) -> Answer {
        Answer {
            code: Some("c".into()),
            state: Some(flow.state.clone()),
            iss: Some("https://id.example".into()),
            error: None,
        }
    }

    #[test]
    fn the_address_carries_a_challenge_and_never_the_verifier() {
        let settings: ProviderSettings = toml::from_str(
            "id = \"corp\"\nname = \"Corp\"\nissuer = \"https://id.example\"\nclient_id = \"c&d\"\nscopes = [\"email\"]",
        )
        .unwrap();
        let flow = Flow::begin("corp", "/").unwrap();
        let address = flow.address(&settings, &metadata(true), "https://t.example/cb");
        assert!(
            address.starts_with("https://id.example/auth?tenant=1&response_type=code&client_id=c%26d&"),
            "{address}"
        );
        assert!(
            address.contains("scope=openid+email&") && address.ends_with("code_challenge_method=S256"),
            "{address}"
        );
        assert!(!address.contains(&flow.verifier));
    }

    #[test]
    fn only_the_answer_to_this_flow_is_taken() {
        let flow = Flow::begin("corp", "/").unwrap();
        let (loud, quiet) = (metadata(true), metadata(false));
        assert_eq!(flow.code("corp", &loud, &answer(&flow)), Ok("c"));
        assert_eq!(flow.code("corp", &quiet, &Answer { iss: None, ..answer(&flow) }), Ok("c"));
        let cases = [
            (Answer { state: None, ..answer(&flow) }, BadAnswer::State),
            (Answer { state: Some("x".into()), ..answer(&flow) }, BadAnswer::State),
            (Answer { iss: None, ..answer(&flow) }, BadAnswer::Issuer),
            (Answer { iss: Some("https://evil.example".into()), ..answer(&flow) }, BadAnswer::Issuer),
            (Answer { code: None, ..answer(&flow) }, BadAnswer::Code),
            (Answer { code: Some(String::new()), ..answer(&flow) }, BadAnswer::Code),
            (
                Answer { error: Some("access_denied".into()), ..answer(&flow) },
                BadAnswer::Refused("access_denied".into()),
            ),
        ];
        for (answer, reason) in cases {
            assert_eq!(flow.code("corp", &loud, &answer), Err(reason), "{answer:?}");
        }
        assert_eq!(flow.code("other", &loud, &answer(&flow)), Err(BadAnswer::OtherProvider));
        let wrong = Answer { iss: Some("https://evil.example".into()), ..answer(&flow) };
        assert_eq!(flow.code("corp", &quiet, &wrong), Err(BadAnswer::Issuer));
    }
}
