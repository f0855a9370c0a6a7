//! A running server with a token that may do everything, and requests to it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use signalbox_e2e::client::{Answer, Client};
use signalbox_e2e::installation::Installation;
use signalbox_e2e::server::Server;

use crate::database::Database;

/// Chrome on Windows: a person.
pub const CHROME: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36";

/// Fields are dropped in this order: the server ends before its data goes.
pub struct House {
    pub server: Server,
    pub installation: Installation,
    pub token: String,
    _database: Option<Database>,
}

/// Somebody with a token.
pub struct Guest<'h> {
    house: &'h House,
    pub token: String,
}

impl House {
    pub fn sqlite() -> Self {
        Self::serving(Installation::sqlite().expect("a folder"), None)
    }

    pub fn postgres() -> Self {
        let database = Database::create();
        let installation = Installation::sqlite().expect("a folder");
        let installation = installation.on_postgres(database.url()).expect("a schema");
        Self::serving(installation, Some(database))
    }

    fn serving(installation: Installation, database: Option<Database>) -> Self {
        let token = installation.token().expect("a token");
        let server = installation.serve().expect("a server");
        Self { server, installation, token, _database: database }
    }

    /// Runs a command beside the server.
    pub fn run(&self, arguments: &[&str]) -> String {
        self.installation.run(arguments).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// One request on a connection of its own.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut client = self.server.client().expect("a connection");
        client.request(method, path, headers, body).unwrap_or_else(|broken| panic!("{method} {path}: {broken}"))
    }

    /// The owner of the token that may do everything.
    pub fn guest(&self) -> Guest<'_> {
        Guest { house: self, token: self.token.clone() }
    }

    /// A token with these scopes, for all principals or one.
    pub fn guest_with(&self, scopes: &str, principal: Option<&str>) -> Guest<'_> {
        let mut arguments = vec!["api-token", "create", "--name", "guest", "--scope", scopes, "--output", "json"];
        arguments.extend(principal.iter().flat_map(|principal| ["--principal", principal]));
        let made: Value = serde_json::from_str(&self.run(&arguments)).expect("JSON");
        Guest { house: self, token: made["token"].as_str().expect("a token").to_owned() }
    }

    /// Makes a principal and gives its id.
    pub fn principal(&self, name: &str) -> String {
        let made: Value =
            serde_json::from_str(&self.run(&["principal", "create", name, "--output", "json"])).expect("JSON");
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until everything up to `seq` is in the figures.
    pub fn wait_for_seq(&self, seq: i64) {
        self.wait_within(seq, Duration::from_secs(10));
    }

    /// As [`House::wait_for_seq`], for so many events that it takes a while.
    pub fn wait_within(&self, seq: i64, limit: Duration) {
        let start = Instant::now();
        loop {
            let seen = self.guest().get("/api/v1/overview")["seq"].as_i64().expect("a seq");
            if seen >= seq {
                return;
            }
            assert!(start.elapsed() < limit, "{seen} of {seq}; it said:\n{}", self.server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends events that are all good, and waits until they are in the figures. `sent` is how many were sent before.
    pub fn record(&self, events: &[Value], sent: &mut i64) {
        let answer = self.guest().post(&json!(events).to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(body(&answer)["recorded"], events.len(), "{answer:?}");
        *sent += events.len() as i64;
        self.wait_for_seq(*sent);
    }
}

impl<'h> Guest<'h> {
    pub fn with_token(house: &'h House, token: &str) -> Self {
        Self { house, token: token.to_owned() }
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        let headers: Vec<_> = headers.iter().copied().chain([("Authorization", authorization.as_str())]).collect();
        self.house.request(method, path, &headers, body)
    }

    /// `GET path`, whatever the answer.
    pub fn answer(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    /// `GET path`, which must be there.
    pub fn get(&self, path: &str) -> Value {
        let answer = self.answer(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        body(&answer)
    }

    /// `POST /api/v1/events`
    pub fn post(&self, events: &str) -> Answer {
        self.post_bytes(&[], events.as_bytes())
    }

    pub fn post_bytes(&self, headers: &[(&str, &str)], events: &[u8]) -> Answer {
        self.request("POST", "/api/v1/events", headers, events)
    }

    /// Every stored event, newest first.
    pub fn events(&self, query: &str) -> Vec<Value> {
        let page = self.get(&format!("/api/v1/events?limit=1000{query}"));
        page["items"].as_array().expect("items").clone()
    }
}

/// The JSON of an answer.
pub fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// The problem details of an answer, whose status is checked.
pub fn problem(answer: &Answer, status: u16, kind: &str) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    let problem = body(answer);
    assert_eq!(problem["type"], format!("/problems/{kind}"), "{answer:?}");
    assert_eq!(problem["status"], status, "{answer:?}");
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{answer:?}");
    problem
}

/// A hit with the user agent of a person.
pub fn hit(house: &House, path: &str) -> Answer {
    hit_as(&mut house.server.client().expect("a connection"), path, CHROME)
}

pub fn hit_as(client: &mut Client, path: &str, user_agent: &str) -> Answer {
    client.request("GET", path, &[("User-Agent", user_agent)], b"").unwrap_or_else(|broken| panic!("{path}: {broken}"))
}
