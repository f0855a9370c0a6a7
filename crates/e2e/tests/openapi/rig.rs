//! A server with events of every kind, and its document.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value, json};
use signalbox_e2e::client::Answer;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::server::Server;

pub const READER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Thunderbird/140.0";

pub struct Rig {
    pub installation: Installation,
    pub server: Server,
    /// May do everything.
    pub token: String,
    pub document: Value,
}

/// One method of one path.
pub struct Operation<'d> {
    pub path: &'d str,
    pub method: String,
    pub value: &'d Value,
}

impl Rig {
    pub fn start() -> Result<Self> {
        let installation = Installation::sqlite()?;
        let server = installation.serve()?;
        let document: Value = serde_json::from_slice(&server.get("/api/openapi.json")?.body)?;
        let scopes = document["components"]["schemas"]["Permission"]["enum"].as_array().context("no permissions")?;
        let scopes: Vec<_> = scopes.iter().filter_map(Value::as_str).collect();
        let printed = installation.run(&["api-token", "create", "--name", "e2e", "--scope", &scopes.join(",")])?;
        let token = printed.lines().last().context("no token was printed")?.trim().to_owned();
        Ok(Self { installation, server, token, document })
    }

    /// With something to report.
    pub fn with_events() -> Result<Self> {
        let rig = Self::start()?;
        let to = json!({"campaign": "spring", "message": "m-1", "recipient": "anna@example.org"});
        let events = [
            json!({"kind": "sent"}),
            json!({"kind": "delivered"}),
            json!({"kind": "opened", "user_agent": READER, "ip": "192.0.2.7"}),
            json!({"kind": "clicked", "user_agent": READER, "ip": "2001:db8::7", "url": "https://example.org/spring"}),
            json!({"kind": "converted", "value": "12.5", "currency": "EUR", "properties": {"plan": "pro"}}),
            json!({"kind": "bounced", "bounce_type": "hard", "code": "5.1.1", "reason": "no such user"}),
            json!({"kind": "custom", "name": "signed up"}),
        ];
        let lines = events.map(|mut event| {
            for (name, value) in to.as_object().into_iter().flatten() {
                event[name] = value.clone();
            }
            event.to_string()
        });
        let user = json!({"email": "ben@example.org", "name": "Ben", "role": "viewer"}).to_string();
        let kind = [("Content-Type", "application/json")];
        let answer = rig.send(Some(&rig.token), "POST", "/api/v1/users", &kind, user.as_bytes())?;
        ensure!(answer.status == 201, "{answer:?}");
        let answer = rig.server.post_events(&rig.token, &lines.join("\n"))?;
        ensure!(answer.status == 200, "{answer:?}");
        let deadline = Instant::now() + Duration::from_secs(10);
        while rig.get("/api/v1/events")?["items"].as_array().is_none_or(|items| items.len() < lines.len()) {
            ensure!(Instant::now() < deadline, "the events are not projected");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(rig)
    }

    pub fn send(
        &self,
        token: Option<&str>,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut all = headers.to_vec();
        all.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        Ok(self.server.client()?.request(method, target, &all, body)?)
    }

    /// What the path answers to somebody who may do everything.
    pub fn get(&self, target: &str) -> Result<Value> {
        let answer = self.send(Some(&self.token), "GET", target, &[], b"")?;
        ensure!(answer.status == 200, "{target}: {answer:?}");
        serde_json::from_slice(&answer.body).with_context(|| format!("{target}: {answer:?}"))
    }

    pub fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.document["paths"].as_object().into_iter().flatten();
        paths.flat_map(|(path, item)| operations_of(path, item)).collect()
    }

    /// The path of a user who was made for it.
    pub fn user_target(&self) -> Result<String> {
        let user = json!({"email": "cleo@example.org", "role": "viewer"}).to_string();
        let kind = [("Content-Type", "application/json")];
        let answer = self.send(Some(&self.token), "POST", "/api/v1/users", &kind, user.as_bytes())?;
        let made: Value = serde_json::from_slice(&answer.body)?;
        Ok(format!("/api/v1/users/{}", made["user"]["id"].as_str().with_context(|| format!("{answer:?}"))?))
    }

    /// A path of the operation with ids of things that are there.
    pub fn target(&self, operation: &Operation<'_>) -> Result<String> {
        let Some((before, rest)) = operation.path.split_once('{') else { return Ok(operation.path.to_owned()) };
        let (_, after) = rest.split_once('}').context("an open brace")?;
        let id = match operation.value["operationId"].as_str() {
            Some("getCampaignReport") => self.get("/api/v1/campaigns")?["items"][0]["id"].clone(),
            Some("getContactTimeline") => self.get("/api/v1/events")?["items"][0]["recipient"].clone(),
            Some("getEventSchema") => json!("opened.json"),
            Some("getUser") => self.get("/api/v1/users")?["items"][0]["id"].clone(),
            Some("getApiToken") => self.get("/api/v1/api-tokens")?["items"][0]["id"].clone(),
            Some("getPrincipal") => self.get("/api/v1/principals")?["items"][0]["id"].clone(),
            Some("getAuditEntry") => self.get("/api/v1/audit")?["items"][0]["seq"].clone(),
            // Nothing is really changed: nobody has this id.
            _ if operation.method != "GET" => json!("0"),
            other => bail!("{other:?}: this test does not know an id for it"),
        };
        ensure!(!id.is_null(), "{}: no such thing is there", operation.path);
        Ok(format!("{before}{}{after}", id.to_string().trim_matches('"')))
    }

    /// Whether `body` fits `schema`; with `closed`, objects have no more fields than the schema names.
    pub fn fits(&self, schema: &Value, body: &Value, closed: bool) -> Result<()> {
        let mut schema = schema.clone();
        let mut components = self.document["components"].clone();
        if closed {
            close(&mut schema);
            components["schemas"].as_object_mut().into_iter().flat_map(Map::values_mut).for_each(close);
        }
        schema["components"] = components;
        let validator = jsonschema::options().should_validate_formats(true).build(&schema)?;
        let wrong: Vec<_> =
            validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        ensure!(wrong.is_empty(), "{wrong:#?}\nin {body:#}");
        Ok(())
    }
}

fn operations_of<'d>(path: &'d str, item: &'d Value) -> impl Iterator<Item = Operation<'d>> {
    let methods = item.as_object().into_iter().flatten();
    methods.map(move |(method, value)| Operation { path, method: method.to_uppercase(), value })
}

/// Forbids fields that the schema does not name.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            if fields.get("type") == Some(&json!("object")) && fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => (),
    }
}
