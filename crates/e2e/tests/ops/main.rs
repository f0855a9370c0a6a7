//! The pages of releases, from outside: a real edge, a real controller, real processes, a real browser.

mod browser;
mod doors;

use anyhow::{Context as _, Result, ensure};
use signalbox_e2e::client::{Answer, Client};
use signalbox_e2e::control::{ControlHouse, Manifest};
use signalbox_e2e::server::Server;

/// The service that is released.
const SERVICE: &str = env!("CARGO_BIN_EXE_signalbox-e2e-service");

/// A canary whose steps are held so long.
fn held(hold: &str) -> Manifest {
    Manifest {
        canary: format!(
            "steps = [20, 50, 100]\nhold = \"{hold}\"\nmin_requests = 30\nbake = \"2s\"\n\
             insufficient = \"hold 60s, then roll back\"\n\
             [[canary.metric]]\nname = \"errors\"\nworse = \"+1 points\"\n"
        ),
        more: "[[checklist]]\nat = \"T+1h\"\nwhat = \"Look at <b onclick=alert(1)>the invoices</b>\"\n".into(),
    }
}

/// Somebody with a cookie.
struct Person {
    cookie: String,
}

impl Person {
    /// Signs in with the controller's token.
    fn with_token(house: &ControlHouse, control: &Server, name: &str) -> Result<Self> {
        let token = token(house)?;
        let answer = sign_in(control, name, &token)?;
        ensure!(answer.status == 303 && answer.header("location") == Some("/ops/releases"), "{answer:?}");
        let cookie = answer.header("set-cookie").context("no cookie")?;
        for word in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
            ensure!(cookie.contains(word), "{cookie}");
        }
        Ok(Self { cookie: cookie.split(';').next().unwrap_or_default().to_owned() })
    }

    fn get(&self, server: &Server, path: &str) -> Result<Answer> {
        Ok(server.client()?.request("GET", path, &[("Cookie", &self.cookie), ("Accept", "text/html")], b"")?)
    }

    /// Sends a form as one of our pages does.
    fn post(&self, server: &Server, path: &str, form: &str) -> Result<Answer> {
        self.post_from(server, path, form, "same-origin")
    }

    fn post_from(&self, server: &Server, path: &str, form: &str, site: &str) -> Result<Answer> {
        let headers = [
            ("Cookie", self.cookie.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Sec-Fetch-Site", site),
            ("Accept", "text/html"),
        ];
        Ok(server.client()?.request("POST", path, &headers, form.as_bytes())?)
    }
}

fn token(house: &ControlHouse) -> Result<String> {
    Ok(std::fs::read_to_string(house.edge.data.join("control/token"))?.trim().to_owned())
}

fn sign_in(server: &Server, name: &str, token: &str) -> Result<Answer> {
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "text/html")];
    let form = format!("name={name}&token={token}&next=https://example.org/");
    let mut client: Client = server.client()?;
    Ok(client.request("POST", "/ops/sign-in", &headers, form.as_bytes())?)
}
