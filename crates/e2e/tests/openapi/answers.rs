//! What a real run answers fits the schemas, and so do the examples.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::rig::Rig;

#[test]
fn answers_fit_their_schemas() -> Result<()> {
    let rig = Rig::with_events()?;
    let mut checked = 0;
    for operation in rig.operations() {
        let schema = &operation.value["responses"]["200"]["content"]["application/json"]["schema"];
        if operation.method != "GET" || schema.is_null() {
            continue;
        }
        let target = rig.target(&operation)?;
        rig.fits(schema, &rig.get(&target)?, true).with_context(|| target.clone())?;
        checked += 1;
    }
    ensure!(checked >= 8, "only {checked} answers were looked at");
    Ok(())
}

#[test]
fn examples_fit_their_schemas_and_are_taken() -> Result<()> {
    let rig = Rig::start()?;
    for operation in rig.operations() {
        let id = operation.value["operationId"].as_str().unwrap_or_default();
        // This one needs somebody to change.
        let target = if id == "changeUser" { rig.user_target()? } else { operation.path.to_owned() };
        for (media, content) in operation.value["requestBody"]["content"].as_object().into_iter().flatten() {
            for (name, example) in content["examples"].as_object().into_iter().flatten() {
                let value = &example["value"];
                rig.fits(&content["schema"], value, true).with_context(|| format!("{id}: {media} {name}"))?;
                let body = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let headers = [("Content-Type", media.as_str())];
                let answer = rig.send(Some(&rig.token), &operation.method, &target, &headers, body.as_bytes())?;
                ensure!([200, 201].contains(&answer.status), "{id}: {media} {name}: {answer:?}");
                let receipt: Value = serde_json::from_slice(&answer.body)?;
                ensure!(receipt.get("errors").is_none(), "{id}: {media} {name}: {receipt}");
                let status = answer.status.to_string();
                let schema = &operation.value["responses"][status.as_str()]["content"]["application/json"]["schema"];
                rig.fits(schema, &receipt, true)?;
            }
        }
        for (status, response) in operation.value["responses"].as_object().into_iter().flatten() {
            for content in response["content"].as_object().into_iter().flat_map(|content| content.values()) {
                for (name, example) in content["examples"].as_object().into_iter().flatten() {
                    rig.fits(&content["schema"], &example["value"], true)
                        .with_context(|| format!("{id}: {status} {name}"))?;
                }
            }
        }
    }
    for (name, response) in rig.document["components"]["responses"].as_object().into_iter().flatten() {
        let content = &response["content"]["application/problem+json"];
        rig.fits(&content["schema"], &content["examples"]["usual"]["value"], true).context(name.clone())?;
    }
    Ok(())
}

#[test]
fn the_messages_of_the_live_stream_fit_their_schemas() -> Result<()> {
    let rig = Rig::with_events()?;
    let mut stream = TcpStream::connect(rig.server.address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let head = format!(
        "GET /api/v1/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nLast-Event-ID: 0\r\nAccept: text/event-stream\r\n\r\n",
        rig.token
    );
    stream.write_all(head.as_bytes())?;
    let mut text = String::new();
    let mut part = [0; 4096];
    while !(text.contains("event: totals") && text.contains("event: event") && text.ends_with("\n\n\r\n")) {
        let length = stream.read(&mut part)?;
        ensure!(length > 0, "the stream ended: {text}");
        text.push_str(std::str::from_utf8(&part[..length])?);
    }
    ensure!(text.contains("content-type: text/event-stream"), "{text}");
    let messages =
        &rig.document["paths"]["/api/v1/live"]["get"]["responses"]["200"]["content"]["text/event-stream"]["x-messages"];
    let mut lines = text.lines();
    let mut seen = 0;
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("event: ") else { continue };
        let data = lines.find_map(|line| line.strip_prefix("data: ")).context("a message without data")?;
        rig.fits(&messages[name], &serde_json::from_str(data)?, true).with_context(|| name.to_owned())?;
        seen += 1;
    }
    ensure!(seen >= 2, "{text}");
    Ok(())
}

#[test]
fn the_schema_of_a_kind_takes_what_the_server_takes() -> Result<()> {
    let rig = Rig::start()?;
    let schema = json!({"$ref": "#/components/schemas/Event"});
    let cases = [
        json!({"kind": "opened", "id": null, "url": null, "properties": null}),
        json!({"kind": "opened", "url": "https://example.org/"}),
        json!({"kind": "opened", "ip": "192.0.2.300"}),
        json!({"kind": "opened", "campaign": " "}),
        json!({"kind": "opened", "campaign": "a\tb"}),
        json!({"kind": "opened", "occurred_at": "2026-11-20 12:00:00Z"}),
        json!({"kind": "clicked", "url": "https://example.org/", "link": null}),
        json!({"kind": "clicked", "url": "https://example.org/", "link": "lnk_06xnypxt40401"}),
        json!({"kind": "clicked", "link": "lnk_zzzzzzzzzzzzz"}),
        json!({"kind": "converted", "value": 12.5, "currency": "EUR"}),
        json!({"kind": "converted", "value": "1e3", "currency": "EUR"}),
        json!({"kind": "converted", "value": "0.0000001", "currency": "EUR"}),
        json!({"kind": "converted", "value": 1, "currency": "eur"}),
        json!({"kind": "converted", "value": null, "currency": "EUR"}),
        json!({"kind": "custom", "name": null}),
        json!({"kind": "custom", "name": "signed up", "properties": [1]}),
        json!({"kind": "bounced", "bounce_type": "medium"}),
        json!({"kind": "opened", "colour": "red"}),
        json!({"kind": "open"}),
        json!({}),
    ];
    let mut taken = 0;
    for event in &cases {
        let answer = rig.server.post_events(&rig.token, &event.to_string())?;
        let fits = rig.fits(&schema, event, false);
        ensure!((answer.status == 200) == fits.is_ok(), "{event}: {answer:?} {fits:?}");
        taken += usize::from(fits.is_ok());
    }
    ensure!(taken == 3, "{taken} of the cases are good");
    Ok(())
}
