//! The routing table, the document and the server agree about what there is and who may use it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::rig::Rig;

#[test]
fn the_document_names_every_route_of_the_api_and_nothing_else() -> Result<()> {
    let rig = Rig::start()?;
    for key in ["x-undescribed", "x-routeless"] {
        ensure!(rig.document.get(key).is_none(), "{key}: {}", rig.document[key]);
    }
    let ids: Vec<_> = rig.operations().iter().map(|one| one.value["operationId"].to_string()).collect();
    ensure!(ids.len() == ids.iter().collect::<BTreeSet<_>>().len(), "an id stands twice: {ids:?}");
    for operation in rig.operations() {
        let answer = rig.send(None, &operation.method, operation.path, &[], b"")?;
        ensure!(answer.status != 405, "{} {} is not there", operation.method, operation.path);
    }
    Ok(())
}

#[test]
fn the_document_tells_who_may_do_what() -> Result<()> {
    let rig = Rig::with_events()?;
    let words: BTreeSet<String> = {
        let named = rig
            .operations()
            .into_iter()
            .filter_map(|one| one.value["security"][0]["bearer"][0].as_str().map(str::to_owned));
        named.collect()
    };
    ensure!(words.len() >= 4, "{words:?}");
    for operation in rig.operations() {
        let what = format!("{} {}", operation.method, operation.path);
        let target = rig.target(&operation)?;
        let send = |token: Option<&str>| rig.send(token, &operation.method, &target, &[], b"{}");
        if operation.value["security"] == json!([]) {
            ensure!(send(None)?.status == 200, "{what} is not open to everybody");
            continue;
        }
        ensure!(send(None)?.status == 401, "{what} without a token");
        // Without a word it is for everybody who has signed in.
        let word = operation.value["security"][0]["bearer"][0].as_str().unwrap_or_default();
        let others: Vec<_> = words.iter().map(String::as_str).filter(|other| *other != word).collect();
        let without =
            rig.installation.run(&["api-token", "create", "--name", "others", "--scope", &others.join(",")])?;
        let answer = send(Some(last_line(&without)?))?;
        if word.is_empty() {
            ensure!(![401, 403].contains(&answer.status) && answer.status < 500, "{what} with any token: {answer:?}");
            continue;
        }
        ensure!(answer.status == 403 && answer.text().contains(word), "{what} without {word}: {answer:?}");
        // A stream has no end to wait for.
        if operation.path != "/api/v1/live" {
            let with = rig.installation.run(&["api-token", "create", "--name", "one", "--scope", word])?;
            let answer = send(Some(last_line(&with)?))?;
            ensure!(![401, 403, 405].contains(&answer.status) && answer.status < 500, "{what} with {word}: {answer:?}");
        }
    }
    Ok(())
}

#[test]
fn the_document_in_the_repository_is_the_one_that_is_served() -> Result<()> {
    let rig = Rig::start()?;
    let served = rig.server.get("/api/openapi.json")?.text();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let kept = std::fs::read_to_string(path).context(path)?;
    let differs = kept.lines().zip(served.lines()).position(|(kept, served)| kept != served);
    let length = kept.lines().count() == served.lines().count();
    ensure!(
        differs.is_none() && length,
        "docs/openapi.json is not what is served (first difference in line {}): look at the change of the API, then\n\
         curl -s http://127.0.0.1:8080/api/openapi.json > docs/openapi.json",
        differs.unwrap_or_default() + 1
    );
    Ok(())
}

#[test]
fn the_page_shows_every_operation_without_a_script() -> Result<()> {
    let rig = Rig::start()?;
    let answer = rig.server.get("/api/docs")?;
    ensure!(answer.status == 200, "{answer:?}");
    let page = answer.text();
    for operation in rig.operations() {
        let id = operation.value["operationId"].as_str().unwrap_or_default();
        ensure!(
            page.contains(&format!("id=\"{id}\"")) && page.contains(&format!("href=\"#{id}\"")),
            "{id} is not on the page"
        );
    }
    for anchor in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        ensure!(page.contains(&format!("id=\"{anchor}\"")), "#{anchor} leads nowhere");
    }
    ensure!(
        !page.contains("<script>") && !page.contains(" style=") && !page.contains("=\"http"),
        "something from elsewhere"
    );
    Ok(())
}

fn last_line(printed: &str) -> Result<&str> {
    printed.lines().last().map(str::trim).context("no token was printed")
}
