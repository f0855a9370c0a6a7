//! The first owner, invitations, new passwords: links that work once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use signalbox_e2e::installation::Installation;

use crate::person::{PASSWORD, Person, body, both, user};

fn secret(link: &str) -> Result<&str> {
    Ok(link.split_once("?k=").context("no secret in the link")?.1)
}

fn choose(person: &mut Person, secret: &str, email: &str) -> Result<u16> {
    let fields = [("k", secret), ("email", email), ("password", PASSWORD), ("again", PASSWORD)];
    Ok(person.post("/set-up", &fields)?.status)
}

#[test]
fn the_first_start_prints_a_link_that_makes_one_owner() -> Result<()> {
    for place in both()? {
        let server = place.installation.serve()?;
        let link =
            (0..3).find_map(|_| server.next_line(Duration::from_secs(5)).filter(|line| line.contains("/set-up?k=")));
        let link = link.with_context(|| format!("{}: no link was printed", place.engine))?;
        let secret = secret(link.trim())?.to_owned();
        let mut ada = Person::new(&server);
        // Looking at it uses nothing up.
        for _ in 0..2 {
            ensure!(ada.get(&format!("/set-up?k={secret}"))?.status == 200);
        }
        let weak = [
            ("k", secret.as_str()),
            ("email", "ada@example.org"),
            ("password", "password1234"),
            ("again", "password1234"),
        ];
        ensure!(ada.post("/set-up", &weak)?.status == 422);
        ensure!(choose(&mut ada, &secret, "ada@example.org")? == 303);
        ensure!(body(&ada.get("/api/v1/me")?)?["role"] == "owner");
        let mut eve = Person::new(&server);
        ensure!(choose(&mut eve, &secret, "eve@example.org")? == 410, "{}: a link worked twice", place.engine);
        ensure!(eve.get(&format!("/set-up?k={secret}"))?.status == 410);
        ensure!(
            choose(&mut eve, "", "eve@example.org")? == 410
                && choose(&mut eve, &"A".repeat(43), "e@example.org")? == 410
        );
        drop(server);
        let server = place.installation.serve()?;
        ensure!(server.next_line(Duration::from_millis(500)).is_none(), "a second link was printed");
    }
    Ok(())
}

#[test]
fn invitations_and_resets_work_once_and_the_newest_only() -> Result<()> {
    let installation = Installation::sqlite()?;
    user(&installation, "ada@example.org", "owner", &[])?;
    let printed =
        installation.run(&["user", "create", "--email", "V@example.org", "--role", "viewer", "--output", "json"])?;
    let made: Value = serde_json::from_str(&printed)?;
    let first = secret(made["link"].as_str().context("no link")?)?.to_owned();
    let reset: Value =
        serde_json::from_str(&installation.run(&["user", "reset", "v@example.org", "--output", "json"])?)?;
    let second = secret(reset["link"].as_str().context("no link")?)?.to_owned();
    let server = installation.serve()?;
    let mut person = Person::new(&server);
    ensure!(choose(&mut person, &first, "")? == 410, "an earlier link works");
    // Its address is the invited one, whatever the form says.
    ensure!(choose(&mut person, &second, "ada@example.org")? == 303);
    let me = body(&person.get("/api/v1/me")?)?;
    ensure!(me["role"] == "viewer" && me["name"] == "v@example.org", "{me}");
    ensure!(choose(&mut Person::new(&server), &second, "")? == 410);
    // The password from before goes on until a link is used; using it ends all sessions.
    let reset: Value =
        serde_json::from_str(&installation.run(&["user", "reset", "v@example.org", "--output", "json"])?)?;
    ensure!(person.get("/api/v1/me")?.status == 200);
    let third = secret(reset["link"].as_str().context("no link")?)?.to_owned();
    ensure!(choose(&mut Person::new(&server), &third, "")? == 303);
    ensure!(person.get("/api/v1/me")?.status == 401);
    installation.run(&["user", "disable", "v@example.org"])?;
    ensure!(installation.run(&["user", "reset", "v@example.org"]).is_err());
    Ok(())
}
