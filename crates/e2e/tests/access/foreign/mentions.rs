//! Ids in filters and bodies: one of the other principal does what an id does that nobody has, and nothing is kept.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use signalbox_e2e::client::Answer;

use super::kinds::Kind;
use super::world::{Asker, World, settled, start};
use crate::person::both;

/// Where an id may be mentioned, and what it names.
const FILTERS: [(&str, Kind); 9] = [
    ("/api/v1/events?campaign=", Kind::Campaign),
    ("/api/v1/events?recipient=", Kind::Contact),
    ("/events?campaign=", Kind::Campaign),
    ("/events?contact=", Kind::Contact),
    ("/events.csv?campaign=", Kind::Campaign),
    ("/events.csv?contact=", Kind::Contact),
    ("/search?q=", Kind::Campaign),
    ("/search?q=", Kind::Contact),
    ("/campaigns?q=", Kind::Campaign),
];

/// Bodies that mention a principal: method, path, JSON or form.
fn bodies(id: &str, of_mine: &str) -> Vec<(&'static str, String, Result<Value, String>)> {
    let user = json!({"email": "new@example.org", "role": "viewer", "principals": [id]});
    let token = json!({"name": "t", "scopes": ["reports:read"], "principals": [id]});
    let event = json!({"kind": "sent", "id": "m", "campaign": "c", "recipient": "r", "principal": id});
    let form = |start: &str| Err(format!("{start}&reach=some&principals={id}"));
    vec![
        ("POST", "/api/v1/events".into(), Ok(event)),
        ("POST", "/api/v1/api-tokens".into(), Ok(token)),
        ("POST", "/api/v1/users".into(), Ok(user)),
        ("PATCH", format!("/api/v1/users/{of_mine}"), Ok(json!({"principals": [id]}))),
        ("POST", "/tokens".into(), form("name=t&scopes=reports%3Aread&expires=30d")),
        ("POST", "/users".into(), form("email=new%40example.org&role=viewer")),
        ("POST", format!("/users/{of_mine}"), form("name=N&role=viewer")),
    ]
}

fn ask(asker: &mut Asker, method: &str, path: &str, sent: Option<Result<Value, String>>) -> Result<Answer> {
    match sent {
        None => asker.person.get(path),
        Some(Ok(json)) => asker.person.json(method, path, &json),
        Some(Err(form)) => {
            let kind = ("content-type", "application/x-www-form-urlencoded");
            asker.person.ask(method, path, &[kind], form.as_bytes())
        }
    }
}

fn try_filters(world: &World, asker: &mut Asker) -> Result<()> {
    for (filter, kind) in FILTERS {
        let foreign = if kind == Kind::Campaign { &world.theirs.campaign } else { &world.theirs.contact };
        let [at_foreign, at_unknown] =
            [foreign.as_str(), kind.unknown()].map(|id| asker.person.get(&format!("{filter}{id}")));
        let (at_foreign, at_unknown) = (at_foreign?, at_unknown?);
        settled(&at_foreign, foreign)
            .must_equal(&settled(&at_unknown, kind.unknown()))
            .with_context(|| filter.to_owned())?;
        for mark in world.theirs.marks().iter().filter(|mark| *mark != foreign) {
            ensure!(!at_foreign.text().contains(mark.as_str()), "{filter} tells {mark}");
        }
    }
    Ok(())
}

#[test]
fn foreign_ids_in_filters_and_bodies_are_like_unknown_ones() -> Result<()> {
    let mut wrong = Vec::new();
    for place in both()? {
        let (mut world, askers, _) = start(&place)?;
        for mut asker in askers.into_iter().filter(|asker| !asker.reaches_all) {
            let name = asker.subject.name.clone();
            if let Err(error) = try_filters(&world, &mut asker) {
                wrong.push(format!("{}: {name}: {error:#}", place.engine));
            }
            let of_mine = world.id(Kind::User, true, &mut asker)?;
            let (foreign, unknown) = (world.theirs.principal.clone(), Kind::Principal.unknown());
            for (at_foreign, at_unknown) in bodies(&foreign, &of_mine).into_iter().zip(bodies(unknown, &of_mine)) {
                let (method, path, sent) = at_foreign;
                let one = ask(&mut asker, method, &path, Some(sent))?;
                let other = ask(&mut asker, method, &path, Some(at_unknown.2))?;
                let what = || format!("{}: {method} {path} as {name}", place.engine);
                ensure!((300..500).contains(&one.status), "{}: {one:?}", what());
                if let Err(error) = settled(&one, &foreign).must_equal(&settled(&other, unknown)) {
                    wrong.push(format!("{}: {error:#}", what()));
                }
            }
        }
        // Nothing was given, and nothing recorded.
        let users = world.owner.get("/api/v1/users")?.text();
        let tokens = world.owner.get("/api/v1/api-tokens")?.text();
        ensure!(!users.contains("new@example.org") && !tokens.contains("\"name\":\"t\""), "{users} {tokens}");
        ensure!(!world.owner.get("/api/v1/events")?.text().contains("\"id\":\"m\""), "an event was recorded");
        world.server.terminate()?;
    }
    ensure!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}
