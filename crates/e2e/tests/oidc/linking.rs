//! Who somebody becomes here.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::person::Person;
use crate::rig::{Rig, USUAL};

const ROLES: &str =
    "roles = { claim = \"groups\", map = { \"signalbox-admins\" = \"admin\", \"readers\" = \"viewer\" } }";

fn account(email: &str, verified: &Value, groups: &[&str]) -> Value {
    json!({ "email": email, "email_verified": verified, "name": "Somebody", "groups": groups })
}

#[test]
fn only_invited_people_with_a_verified_address_get_in() -> Result<()> {
    let rig = Rig::start(USUAL, "")?;
    rig.provider().accounts(&json!({
        "stranger": account("stranger@example.org", &json!(true), &[]),
        "unverified": account("anna@example.org", &json!(false), &[]),
        "silent": { "email": "anna@example.org" },
        "word": account("anna@example.org", &json!("false"), &[]),
        "owner": account("owner@example.org", &json!(true), &[]),
        "disabled": account("disabled@example.org", &json!(true), &[]),
    }))?;
    rig.invite("anna@example.org", "viewer")?;
    rig.invite("disabled@example.org", "viewer")?;
    rig.installation.run(&["user", "disable", "disabled@example.org"])?;
    let mut create =
        rig.installation.command(&["user", "create", "--email", "owner@example.org", "--owner", "--password-stdin"]);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("password");
    std::fs::write(&file, "correct horse battery staple 9")?;
    ensure!(create.stdin(std::fs::File::open(&file)?).output()?.status.success(), "no owner");
    for login in ["stranger", "unverified", "silent", "word", "owner", "disabled"] {
        let mut person = Person::default();
        let answer = rig.sign_in(&mut person, login)?;
        rig.assert_refused(&person, &answer, login)?;
    }
    ensure!(rig.user("stranger@example.org")?.is_null(), "nobody is made who was not asked for");
    rig.server.terminate()
}

#[test]
fn who_comes_by_one_provider_is_not_taken_over_by_another() -> Result<()> {
    let rig = Rig::with(&["corp", "other"], USUAL, "")?;
    rig.invite("anna@example.org", "viewer")?;
    for provider in &rig.providers {
        provider.accounts(&json!({ "a1": account("anna@example.org", &json!(true), &[]) }))?;
    }
    ensure!(rig.sign_in(&mut Person::default(), "a1")?.status == 303);
    let mut thief = Person::default();
    let callback = rig.callback(&mut thief, "other", "a1")?;
    let answer = thief.get(&callback)?;
    ensure!(answer.status == 403 && !rig.is_signed_in(&thief)?, "another provider's word for an address: {answer:?}");
    rig.server.terminate()
}

#[test]
fn an_account_stays_linked_when_its_address_changes_and_no_second_one_takes_it() -> Result<()> {
    let rig = Rig::start(USUAL, "")?;
    rig.provider().accounts(&json!({ "a1": account("anna@example.org", &json!(true), &[]) }))?;
    rig.invite("anna@example.org", "viewer")?;
    ensure!(rig.sign_in(&mut Person::default(), "a1")?.status == 303);
    rig.provider().accounts(&json!({
        "a1": account("married@example.org", &json!(true), &[]),
        "a2": account("anna@example.org", &json!(true), &[]),
    }))?;
    ensure!(rig.sign_in(&mut Person::default(), "a1")?.status == 303, "the subject counts, not the address");
    let answer = rig.sign_in(&mut Person::default(), "a2")?;
    ensure!(answer.status == 403, "another account of this provider has the address now: {answer:?}");
    rig.server.terminate()
}

#[test]
fn roles_come_from_the_claim_at_every_sign_in_and_go_with_it() -> Result<()> {
    let rig = Rig::start(USUAL, ROLES)?;
    rig.invite("anna@example.org", "analyst")?;
    let sign_in = |groups: &[&str]| -> Result<u16> {
        rig.provider().accounts(&json!({ "a1": account("anna@example.org", &json!(true), groups) }))?;
        Ok(rig.sign_in(&mut Person::default(), "a1")?.status)
    };
    let role = || -> Result<Value> { Ok(rig.user("anna@example.org")?["role"].clone()) };
    ensure!(sign_in(&["unknown"])? == 303 && role()? == "analyst", "a role that was set here stays");
    ensure!(sign_in(&["readers", "signalbox-admins"])? == 303 && role()? == "admin", "the highest one counts");
    ensure!(sign_in(&["readers"])? == 303 && role()? == "viewer");
    ensure!(sign_in(&["signalbox-admins"])? == 303 && role()? == "admin");
    ensure!(sign_in(&[])? == 403 && role()? == "viewer", "what the claim gave goes with it");
    ensure!(rig.sessions()?.is_empty(), "and ends what was open");
    ensure!(sign_in(&["owner", "admin"])? == 403, "a group is not a role");
    rig.server.terminate()
}

#[test]
fn owners_are_neither_made_nor_unmade_by_a_map_without_owners() -> Result<()> {
    let rig = Rig::start(USUAL, ROLES)?;
    rig.installation.run(&["user", "create", "--email", "boss@example.org", "--owner"])?;
    rig.provider().accounts(&json!({ "b1": account("boss@example.org", &json!(true), &["readers"]) }))?;
    ensure!(rig.sign_in(&mut Person::default(), "b1")?.status == 303);
    ensure!(rig.user("boss@example.org")?["role"] == "owner");
    rig.server.terminate()
}

#[test]
fn unknown_people_become_users_only_where_the_settings_say_so_and_a_role_is_given() -> Result<()> {
    let rig = Rig::start(USUAL, &format!("{ROLES}\ncreate_users = true"))?;
    rig.provider().accounts(&json!({
        "n1": account("new@example.org", &json!(true), &["readers"]),
        "n2": account("none@example.org", &json!(true), &["others"]),
        "n3": account("unverified@example.org", &json!(false), &["readers"]),
    }))?;
    ensure!(rig.sign_in(&mut Person::default(), "n1")?.status == 303);
    let new = rig.user("new@example.org")?;
    ensure!(new["role"] == "viewer" && new["has_password"] == false, "{new}");
    for (login, email) in [("n2", "none@example.org"), ("n3", "unverified@example.org")] {
        ensure!(rig.sign_in(&mut Person::default(), login)?.status == 403, "{login}");
        ensure!(rig.user(email)?.is_null(), "{login}");
    }
    // Somebody who is removed is gone, and comes back as somebody new.
    rig.installation.run(&["user", "delete", "new@example.org"])?;
    ensure!(rig.sessions()?.is_empty());
    ensure!(rig.sign_in(&mut Person::default(), "n1")?.status == 303);
    ensure!(rig.user("new@example.org")?["id"] != new["id"]);
    rig.server.terminate()
}
