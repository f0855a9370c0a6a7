//! What has to work.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use signalbox_e2e::cluster::Cluster;
use signalbox_e2e::installation::Installation;

use crate::person::Person;
use crate::rig::{Manner, Rig, USUAL};

fn signs_in(rig: &Rig) -> Result<()> {
    rig.provider()
        .accounts(&json!({ "a1": { "email": "Anna@example.org", "email_verified": true, "name": "Anna" } }))?;
    rig.invite("anna@example.org", "viewer")?;
    let mut anna = Person::default();
    let page = anna.get(&rig.url("/sign-in"))?;
    ensure!(page.text().contains("Sign in with The corp"), "{page:?}");
    let answer = rig.sign_in(&mut anna, "a1")?;
    ensure!(answer.status == 303 && answer.header("location") == Some("/"), "{answer:?}");
    ensure!(rig.is_signed_in(&anna)?);
    ensure!(rig.sessions()? == [("anna@example.org".to_owned(), "oidc".to_owned())]);
    // The second time the provider knows the browser and asks nothing.
    let answer = rig.sign_in(&mut anna, "a1")?;
    ensure!(answer.status == 303, "{answer:?}");
    ensure!(rig.sessions()?.len() == 1, "the session that the browser had has ended");
    Ok(())
}

#[test]
fn rs256_and_a_secret_in_the_header() -> Result<()> {
    signs_in(&Rig::start(USUAL, "")?)
}

#[test]
fn es256_and_a_secret_in_the_form() -> Result<()> {
    signs_in(&Rig::start(Manner { algorithm: "ES256", proof: "client_secret_post", ..USUAL }, "")?)
}

#[test]
fn eddsa_and_claims_in_the_user_information() -> Result<()> {
    signs_in(&Rig::start(Manner { algorithm: "EdDSA", claims_in_userinfo: true, ..USUAL }, "")?)
}

#[test]
fn on_postgres_too() -> Result<()> {
    let cluster = Cluster::create()?;
    let installation = Installation::sqlite()?.on_postgres(cluster.url())?;
    signs_in(&Rig::on(installation, &["corp"], USUAL, "")?)
}

#[test]
fn the_page_that_was_wanted_comes_back_and_no_other_site_does() -> Result<()> {
    let rig = Rig::start(USUAL, "")?;
    rig.provider().accounts(&json!({ "a1": { "email": "anna@example.org", "email_verified": true } }))?;
    rig.invite("anna@example.org", "viewer")?;
    for (wanted, place) in [
        ("%2Fcampaigns%3Frange%3D7d", "/campaigns?range=7d"),
        ("https%3A%2F%2Fevil.example%2F", "/"),
        ("%2F%2Fevil.example", "/"),
        ("%2F%5Cevil.example", "/"),
    ] {
        let mut anna = Person::default();
        let callback = rig.url("/sign-in/oidc/corp/callback");
        let back = anna.walk(&rig.url(&format!("/sign-in/oidc/corp?next={wanted}")), "a1", &callback)?;
        let answer = anna.get(&back)?;
        ensure!(answer.header("location") == Some(place), "{wanted}: {answer:?}");
    }
    rig.server.terminate()
}

#[test]
fn another_process_finishes_what_one_began() -> Result<()> {
    let rig = Rig::start(USUAL, "")?;
    rig.provider().accounts(&json!({ "a1": { "email": "anna@example.org", "email_verified": true } }))?;
    rig.invite("anna@example.org", "viewer")?;
    let mut anna = Person::default();
    let callback = rig.callback(&mut anna, "corp", "a1")?;
    let Rig { server, installation, providers: _kept } = rig;
    let address = server.address;
    server.terminate()?;
    let listen = address.to_string();
    let server = signalbox_e2e::server::Server::start(&mut installation.command(&["serve", "--listen", &listen]))?;
    let answer = anna.get(&callback)?;
    ensure!(answer.status == 303 && anna.cookie(&listen, "__Host-signalbox").is_some(), "{answer:?}");
    // The cookie of the sign-in is gone, and holds nothing that can be read.
    ensure!(anna.cookie(&listen, "__Host-signalbox-oidc").is_none());
    server.terminate()
}

#[test]
fn cookies_are_closed_to_scripts_and_lines_that_are_not_encrypted() -> Result<()> {
    let rig = Rig::start(USUAL, "")?;
    let answer = rig.server.get("/sign-in/oidc/corp")?;
    let cookie = answer.header("set-cookie").context("no cookie")?;
    for word in ["__Host-signalbox-oidc=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
        ensure!(cookie.contains(word), "{cookie}");
    }
    let location = answer.header("location").context("no location")?;
    for word in ["code_challenge_method=S256", "response_type=code", "nonce=", "state="] {
        ensure!(location.contains(word), "{location}");
    }
    ensure!(!location.contains("client_secret") && !location.contains("verifier"), "{location}");
    rig.server.terminate()
}
