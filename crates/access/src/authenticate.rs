//! Who is calling, for the web shell.

use signalbox_core::address::source_key;
use signalbox_core::time::Micros;
use signalbox_http::caller::{Authenticator, Checked, Credential, Denied};
use signalbox_http::shell::Origin;
use signalbox_store::Scope;

use crate::sign_in::Access;
use crate::trail::{By, Deed, note};

impl Authenticator for Access {
    fn check<'a>(&'a self, credential: Credential, origin: Option<&'a Origin>, now: Micros) -> Checked<'a> {
        Box::pin(async move {
            match credential {
                Credential::Token(token) => self.tokens.check(&token, now).await,
                // A cookie that went over an open line may be somebody else's by now.
                Credential::Session(_) if origin.is_some_and(|origin| !origin.secure) => Ok(None),
                Credential::Session(secret) => self.sessions.check(&secret, now).await,
            }
        })
    }

    fn refused(&self, why: Denied<'_>, origin: Option<&Origin>, path: &str, now: Micros) {
        let Some(origin) = origin else { return };
        let (action, by, who) = match why {
            Denied::CrossSite => ("request.cross_site_refused", By::anonymous(origin, ""), String::new()),
            Denied::Token => ("request.token_refused", By::anonymous(origin, ""), String::new()),
            Denied::Right(caller) => ("request.forbidden", By::caller(caller, origin), caller.name.clone()),
        };
        if !self.seldom.lets(&format!("{action}\n{who}\n{:x}", source_key(origin.client)), now) {
            return;
        }
        let act = self.act(by);
        let after = Some(serde_json::json!({ "path": path }));
        let store = self.store.clone();
        tokio::spawn(async move {
            let deed =
                move |conn: &mut signalbox_store::Conn<'_>| note(conn, &act, Deed { action, after, ..Deed::default() });
            if let Err(error) = store.write(Scope::all(), deed).await {
                tracing::warn!(%error, "a refused request could not be noted");
            }
        });
    }
}
