//! Every route that names something by an id, for everybody; and every list.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use signalbox_e2e::client::Answer;

use super::kinds::{Kind, Owner};
use super::world::{Asker, World, settled, start};
use crate::matrix::{Route, is_granted};
use crate::person::{both, encode};

const NONSENSE: &str = "nonsense";

/// Asks as the page or the program that the route is for.
fn ask(asker: &mut Asker, route: &Route, id: &str) -> Result<Answer> {
    let path = route.path.replace("{id}", id).replace("{seq}", id).replace("{table}", "links.csv");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let (kind, sent) = match (route.method.as_str(), route.path.as_str()) {
        ("PATCH", "/api/v1/users/{id}") => {
            (Some(("content-type", "application/json")), json!({"name": "N"}).to_string())
        }
        ("POST", "/users/{id}") => {
            (Some(form), format!("name=N&role=viewer&reach=some&principals={}", asker.principal))
        }
        ("POST", path) if path.ends_with("/rename") => (Some(form), format!("name={}", encode("A key"))),
        ("POST", path) if !path.starts_with("/api/") => (Some(form), String::new()),
        _ => (None, String::new()),
    };
    let accept = if route.path.starts_with("/api/") { "application/json" } else { "text/html" };
    let headers: Vec<_> = [Some(("accept", accept)), kind].into_iter().flatten().collect();
    asker.person.ask(&route.method, &path, &headers, sent.as_bytes())
}

/// One route, asked for by one subject with an id of its own side, one of the other side and ids that nobody has.
fn try_route(world: &mut World, asker: &mut Asker, route: &Route, kind: Kind) -> Result<usize> {
    let mut answers = Vec::new();
    for id in [kind.unknown().to_owned(), NONSENSE.to_owned()] {
        let answer = ask(asker, route, &id)?;
        answers.push((id, answer));
    }
    let foreign = world.id(kind, false, asker)?;
    let at_foreign = ask(asker, route, &foreign)?;
    let unknown = settled(&answers[0].1, &answers[0].0);
    let same = |id: &str, answer: &Answer| settled(answer, id).must_equal(&unknown);
    same(&answers[1].0, &answers[1].1)?;
    let granted = is_granted(route, &asker.subject);
    if !granted {
        ensure!([303, 401, 403].contains(&unknown.status), "not allowed, but answered {}", unknown.status);
        same(&foreign, &at_foreign)?;
        // Nothing is made for who may do nothing.
        let own = if kind == Kind::OwnPasskey { foreign } else { world.id(kind, true, asker)? };
        let at_own = ask(asker, route, &own)?;
        same(&own, &at_own)?;
        return Ok(4);
    }
    ensure!(unknown.status == 404, "an unknown id is answered {}", unknown.status);
    let good = |answer: &Answer| {
        let led_away = answer.header("location").is_some_and(|place| place.starts_with("/sign-in"));
        ensure!([200, 201, 204, 303].contains(&answer.status) && !led_away, "{answer:?}");
        Ok(())
    };
    match kind.owner() {
        Owner::Person => same(&foreign, &at_foreign).context("somebody else's")?,
        Owner::Principal if !asker.reaches_all => same(&foreign, &at_foreign).context("the other principal's")?,
        // Who reaches one principal only changes nobody who reaches another; that there are others is no secret.
        Owner::Installation if !asker.reaches_all && route.method != "GET" && kind != Kind::Entry => {
            ensure!(at_foreign.status == 403, "{at_foreign:?}");
        }
        _ => good(&at_foreign).context("of the other principal, for somebody who reaches all")?,
    }
    if kind.owner() == Owner::Person && asker.email.is_none() {
        return Ok(3);
    }
    let own = world.id(kind, true, asker)?;
    good(&ask(asker, route, &own)?).with_context(|| format!("its own {own}"))?;
    Ok(4)
}

/// Every list, file and page without an id holds nothing of the other principal.
fn try_lists(world: &World, asker: &mut Asker, routes: &[Route]) -> Result<usize> {
    // What belongs to the installation names principals; a stream has no end, and a suite of its own.
    let exempt = [
        "/audit",
        "/audit.csv",
        "/api/v1/audit",
        "/users",
        "/users.csv",
        "/api/v1/users",
        "/sessions",
        "/sessions.csv",
        "/api/v1/sessions",
    ];
    let mut tried = 0;
    for route in routes.iter().filter(|route| route.method == "GET" && !route.path.contains('{')) {
        if exempt.contains(&route.path.as_str()) || route.path == "/api/v1/live" || !is_granted(route, &asker.subject) {
            continue;
        }
        let path = if route.path == "/search" { "/search?q=example" } else { &route.path };
        let text = asker.person.get(path)?.text();
        let seen: Vec<_> = world.theirs.marks().into_iter().filter(|mark| text.contains(mark.as_str())).collect();
        ensure!(seen.is_empty(), "{}: {} sees {seen:?} at {path}", world.engine, asker.subject.name);
        tried += 1;
    }
    Ok(tried)
}

#[test]
fn foreign_ids_are_answered_like_unknown_ones() -> Result<()> {
    let mut wrong = Vec::new();
    for place in both()? {
        let (mut world, askers, routes) = start(&place)?;
        let mut tried = 0;
        for mut asker in askers {
            for route in &routes {
                let Some(kind) = Kind::of(&route.path)? else { continue };
                match try_route(&mut world, &mut asker, route, kind) {
                    Ok(count) => tried += count,
                    Err(error) => {
                        let what = format!("{} {} as {}", route.method, route.path, asker.subject.name);
                        wrong.push(format!("{}: {what}: {error:#}", place.engine));
                    }
                }
            }
            if !asker.reaches_all {
                match try_lists(&world, &mut asker, &routes) {
                    Ok(count) => tried += count,
                    Err(error) => wrong.push(format!("{error:#}")),
                }
            }
        }
        ensure!(tried + wrong.len() > 900, "only {tried} answers");
        world.server.terminate()?;
    }
    ensure!(wrong.is_empty(), "{} answers are wrong:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}
