//! What must not work: every part of the exchange, changed on its way.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::person::Person;
use crate::rig::{Manner, Rig, USUAL};

fn rig(manner: Manner, ids: &[&str]) -> Result<Rig> {
    let rig = Rig::with(ids, manner, "")?;
    for provider in &rig.providers {
        provider.accounts(&json!({ "a1": { "email": "anna@example.org", "email_verified": true } }))?;
    }
    rig.invite("anna@example.org", "viewer")?;
    Ok(rig)
}

/// Every way in which an id token, and what comes with it, may be wrong.
const TOKENS: [&str; 24] = [
    "nonce",
    "no nonce",
    "iss",
    "aud",
    "several audiences",
    "azp",
    "expired",
    "old",
    "future",
    "nbf",
    "at_hash",
    "no subject",
    "signature",
    "no signature",
    "claims",
    "alg none",
    "alg HS256 with the public key",
    "alg HS256 with the client secret",
    "another algorithm's header",
    "unknown key",
    "forged key",
    "key in the header",
    "no id token",
    "another token type",
];

#[test]
fn every_forged_id_token() -> Result<()> {
    let rig = rig(USUAL, &["corp"])?;
    for mode in TOKENS {
        rig.provider().tamper(mode)?;
        let mut person = Person::default();
        let answer = rig.sign_in(&mut person, "a1")?;
        rig.assert_refused(&person, &answer, mode)?;
    }
    let told = rig.refusals()?;
    ensure!(told.len() == TOKENS.len(), "the audit log tells of each: {told:?}");
    for reason in
        ["(nonce)", "another issuer", "another client", "has expired", "(at_hash)", "algorithm other than", "signature"]
    {
        ensure!(told.iter().any(|one| one.starts_with("oidc: ") && one.contains(reason)), "{reason}: {told:?}");
    }
    rig.provider().tamper("")?;
    ensure!(rig.sign_in(&mut Person::default(), "a1")?.status == 303, "and without tampering it works");
    rig.server.terminate()
}

#[test]
fn the_id_token_of_an_earlier_sign_in() -> Result<()> {
    let rig = rig(USUAL, &["corp"])?;
    ensure!(rig.sign_in(&mut Person::default(), "a1")?.status == 303);
    rig.provider().tamper("kept")?;
    ensure!(rig.sign_in(&mut Person::default(), "a1")?.status == 403);
    ensure!(rig.sessions()?.len() == 1);
    rig.server.terminate()
}

#[test]
fn user_information_of_somebody_else() -> Result<()> {
    let rig = rig(Manner { claims_in_userinfo: true, ..USUAL }, &["corp"])?;
    rig.provider().tamper("user information of another")?;
    let mut person = Person::default();
    let answer = rig.sign_in(&mut person, "a1")?;
    rig.assert_refused(&person, &answer, "user information")?;
    rig.server.terminate()
}

/// `callback` with the parameter `name` set to `value`, or taken away.
fn with(callback: &str, name: &str, value: Option<&str>) -> String {
    let (path, query) = callback.split_once('?').unwrap_or((callback, ""));
    let kept = query.split('&').filter(|pair| !pair.starts_with(&format!("{name}=")));
    let added = value.map(|value| format!("{name}={value}"));
    let pairs: Vec<_> = kept.map(str::to_owned).chain(added).collect();
    format!("{path}?{}", pairs.join("&"))
}

fn parameter<'c>(callback: &'c str, name: &str) -> Result<&'c str> {
    let query = callback.split_once('?').context("no query")?.1;
    let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    found.with_context(|| format!("no {name} in {callback}"))
}

#[test]
fn every_changed_answer() -> Result<()> {
    let rig = rig(USUAL, &["corp"])?;
    let cases: [(&str, Option<&str>); 9] = [
        ("state", None),
        ("state", Some("")),
        ("state", Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        ("iss", None),
        ("iss", Some("https%3A%2F%2Fevil.example")),
        ("code", None),
        ("code", Some("")),
        ("code", Some("made-up")),
        ("error", Some("access_denied")),
    ];
    for (name, value) in cases {
        let mut person = Person::default();
        let callback = rig.callback(&mut person, "corp", "a1")?;
        // What was refused once is over: the right answer, with the cookie that somebody kept, comes too late.
        let mut copy = person.clone();
        let answer = person.get(&with(&callback, name, value))?;
        rig.assert_refused(&person, &answer, &format!("{name} = {value:?}"))?;
        let answer = copy.get(&callback)?;
        rig.assert_refused(&copy, &answer, &format!("again after {name} = {value:?}"))?;
    }
    let mut person = Person::default();
    let callback = rig.callback(&mut person, "corp", "a1")?;
    let answer = person.get(&format!("{callback}&state=x"))?;
    rig.assert_refused(&person, &answer, "state twice")?;
    rig.server.terminate()
}

#[test]
fn answers_without_their_browser_and_codes_of_others() -> Result<()> {
    let rig = rig(USUAL, &["corp"])?;
    let host = rig.server.address.to_string();
    let (mut victim, mut attacker) = (Person::default(), Person::default());
    let stolen = rig.callback(&mut attacker, "corp", "a1")?;
    // Sign-in by somebody else's link: the victim's browser began nothing, or something else.
    let answer = victim.get(&stolen)?;
    rig.assert_refused(&victim, &answer, "no sign-in was begun")?;
    let own = rig.callback(&mut victim, "corp", "a1")?;
    let answer = victim.get(&stolen)?;
    rig.assert_refused(&victim, &answer, "the answer of another browser")?;
    // A stolen code in the thief's own flow: the provider checks the verifier against the challenge of the victim's.
    let own = with(&own, "code", Some(parameter(&stolen, "code")?));
    let mut thief = Person::default();
    let fresh = rig.callback(&mut thief, "corp", "a1")?;
    let answer = thief.get(&with(&fresh, "code", Some(parameter(&stolen, "code")?)))?;
    rig.assert_refused(&thief, &answer, "a code with another verifier")?;
    // A sealed cookie that was changed, cut or made up.
    for change in ["x", "AAAA", ""] {
        let mut person = Person::default();
        let callback = rig.callback(&mut person, "corp", "a1")?;
        let cookie = person.cookie(&host, "__Host-signalbox-oidc").context("no cookie")?.to_owned();
        let changed =
            if change.is_empty() { cookie[..cookie.len() / 2].to_owned() } else { format!("{change}{cookie}") };
        person.set_cookie(&host, "__Host-signalbox-oidc", &changed);
        let answer = person.get(&callback)?;
        rig.assert_refused(&person, &answer, "a changed cookie")?;
    }
    drop(own);
    rig.server.terminate()
}

#[test]
fn a_finished_sign_in_is_not_finished_twice() -> Result<()> {
    let rig = rig(USUAL, &["corp"])?;
    let host = rig.server.address.to_string();
    let mut anna = Person::default();
    let callback = rig.callback(&mut anna, "corp", "a1")?;
    let mut copy = anna.clone();
    ensure!(anna.get(&callback)?.status == 303);
    // The same cookie and the same code, kept by somebody.
    ensure!(copy.cookie(&host, "__Host-signalbox-oidc").is_some());
    ensure!(copy.get(&callback)?.status == 403);
    ensure!(!rig.is_signed_in(&copy)? && rig.sessions()?.len() == 1);
    rig.server.terminate()
}

#[test]
fn a_code_that_was_redeemed_elsewhere_first() -> Result<()> {
    let rig = rig(USUAL, &["corp"])?;
    let mut anna = Person::default();
    let callback = rig.callback(&mut anna, "corp", "a1")?;
    let mut copy = anna.clone();
    ensure!(anna.get(&callback)?.status == 303);
    // A new flow of the copy's own, with the redeemed code.
    let fresh = rig.callback(&mut copy, "corp", "a1")?;
    let answer = copy.get(&with(&fresh, "code", Some(parameter(&callback, "code")?)))?;
    ensure!(answer.status == 403 && !rig.is_signed_in(&copy)?, "{answer:?}");
    rig.server.terminate()
}

#[test]
fn mixing_up_two_providers() -> Result<()> {
    let rig = rig(USUAL, &["corp", "other"])?;
    // The answer of one at the address of the other.
    let mut person = Person::default();
    let callback = rig.callback(&mut person, "corp", "a1")?;
    let answer = person.get(&callback.replace("/corp/", "/other/"))?;
    rig.assert_refused(&person, &answer, "another provider's address")?;
    // An answer that says it is from the other.
    let mut person = Person::default();
    let callback = rig.callback(&mut person, "corp", "a1")?;
    let issuer = rig.providers[1].issuer.replace(':', "%3A").replace('/', "%2F");
    let answer = person.get(&with(&callback, "iss", Some(&issuer)))?;
    rig.assert_refused(&person, &answer, "another provider's iss")?;
    // An id token that the other has signed, for the same client id.
    let mut person = Person::default();
    let callback = rig.callback(&mut person, "other", "a1")?;
    ensure!(person.get(&callback)?.status == 303);
    rig.provider().keep_token_of(&rig.providers[1])?;
    let mut person = Person::default();
    let answer = rig.sign_in(&mut person, "a1")?;
    ensure!(answer.status == 403 && !rig.is_signed_in(&person)?, "{answer:?}");
    rig.server.terminate()
}

#[test]
fn a_provider_that_misbehaves_is_not_waited_for() -> Result<()> {
    for mode in [
        "discovery names another issuer",
        "discovery leads to plain http",
        "discovery without PKCE",
        "discovery is huge",
        "discovery hangs",
    ] {
        let rig = rig(USUAL, &["corp"])?;
        rig.provider().tamper(mode)?;
        let answer = rig.server.get("/sign-in/oidc/corp")?;
        ensure!(answer.status == 503 && answer.header("set-cookie").is_none(), "{mode}: {answer:?}");
        ensure!(answer.text().contains("not available at the moment"), "{mode}: {answer:?}");
        // The next one is told at once; the provider is not asked again so soon.
        let start = std::time::Instant::now();
        ensure!(rig.server.get("/sign-in/oidc/corp")?.status == 503, "{mode}");
        ensure!(start.elapsed().as_secs() < 4, "{mode}");
        ensure!(rig.server.get("/sign-in")?.status == 200, "{mode}: the others sign in");
        rig.server.terminate()?;
    }
    Ok(())
}

#[test]
fn providers_that_do_not_exist() -> Result<()> {
    let rig = rig(USUAL, &["corp"])?;
    for path in ["/sign-in/oidc/nobody", "/sign-in/oidc/nobody/callback?code=x&state=y", "/sign-in/oidc/CORP"] {
        ensure!(rig.server.get(path)?.status == 404, "{path}");
    }
    rig.server.terminate()
}
