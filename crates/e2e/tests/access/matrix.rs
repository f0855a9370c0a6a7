//! Every route × every role: the table that the program prints is walked, and every answer must be what the table says.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::person::{COOKIE, Person, both, user};

/// Routes without an authorisation test. It stays empty.
const UNTESTED: &str = include_str!("untested_routes.txt");

/// One row of the routing table, as the program prints it.
pub struct Route {
    pub method: String,
    pub path: String,
    /// `public`, `page` or `api`.
    pub kind: String,
    pub permission: String,
}

/// Who asks.
pub struct Subject {
    pub name: String,
    pub header: Option<(&'static str, String)>,
    pub permissions: Vec<String>,
    pub is_user: bool,
}

#[test]
fn every_route_answers_every_role_as_the_table_says() -> Result<()> {
    for place in both()? {
        let installation = &place.installation;
        let roles: Vec<Value> = serde_json::from_str(&installation.run(&["role", "list", "--output", "json"])?)?;
        ensure!(roles.len() == 7, "{roles:?}");
        for role in &roles {
            let name = role["name"].as_str().context("no name")?;
            user(installation, &format!("{name}@example.org"), name, &[])?;
        }
        let token = installation.token()?;
        let table = table(&installation.run(&["serve", "--listen", "127.0.0.1:0", "--print-routes"])?)?;
        let server = installation.serve()?;
        let mut subjects = vec![Subject { name: "nobody".into(), header: None, permissions: vec![], is_user: false }];
        for role in &roles {
            let name = role["name"].as_str().context("no name")?;
            let person = Person::signed_in(&server, &format!("{name}@example.org"))?;
            let cookie = format!("{COOKIE}={}", person.cookie.context("no cookie")?);
            subjects.push(Subject {
                name: name.into(),
                header: Some(("cookie", cookie)),
                permissions: words(&role["permissions"]),
                is_user: true,
            });
        }
        let scopes = ["events:write", "events:read", "reports:read", "metrics:read"].map(str::to_owned).to_vec();
        let bearer = format!("Bearer {token}");
        subjects.push(Subject {
            name: "token".into(),
            header: Some(("authorization", bearer)),
            permissions: scopes,
            is_user: false,
        });

        let mut untested = Vec::new();
        let mut tried = 0;
        for route in &table {
            let Some(path) = filled(&route.path) else {
                untested.push(format!("{} {}", route.method, route.path));
                continue;
            };
            for subject in &subjects {
                // Public routes that end a session would take it from the rows below.
                if route.kind == "public" && subject.header.is_some() {
                    continue;
                }
                let (status, location) = ask(server.address, &route.method, &path, subject)?;
                let what =
                    format!("{}: {} {path} as {}: {status} {location}", place.engine, route.method, subject.name);
                check(route, subject, status, &location).with_context(|| what)?;
                tried += 1;
            }
        }
        let listed: Vec<&str> = UNTESTED.lines().collect();
        ensure!(untested == listed, "routes without an authorisation test: {untested:?}");
        ensure!(tried > 300, "only {tried} answers");
    }
    Ok(())
}

fn check(route: &Route, subject: &Subject, status: u16, location: &str) -> Result<()> {
    let granted = is_granted(route, subject);
    let right = match route.kind.as_str() {
        "public" => status < 500,
        _ if granted => status < 500 && status != 401 && status != 403 && !location.starts_with("/sign-in"),
        "page" if subject.header.is_none() => status == 303 && location.starts_with("/sign-in"),
        _ if subject.header.is_none() => status == 401,
        _ => status == 403,
    };
    if right { Ok(()) } else { bail!("the table says {} {}", route.kind, route.permission) }
}

/// Whether the table lets the subject in.
pub fn is_granted(route: &Route, subject: &Subject) -> bool {
    match route.permission.as_str() {
        "signed-in" => subject.is_user || (subject.header.is_some() && route.kind == "api"),
        permission => subject.permissions.iter().any(|one| one == permission),
    }
}

/// Reads what `serve --print-routes` prints.
pub fn table(printed: &str) -> Result<Vec<Route>> {
    let line = printed.lines().last().context("nothing printed")?;
    let rows: Vec<Value> = serde_json::from_str(line)?;
    ensure!(rows.len() > 50, "only {} routes", rows.len());
    let text = |row: &Value, name: &str| row[name].as_str().map(str::to_owned).context("not a text");
    rows.iter()
        .map(|row| {
            let access = text(row, "access")?;
            let (kind, permission) = access.split_once(' ').unwrap_or((&access, ""));
            Ok(Route {
                method: text(row, "method")?,
                path: text(row, "path")?,
                kind: kind.to_owned(),
                permission: permission.to_owned(),
            })
        })
        .collect()
}

/// A path with something in the place of its parameters, if all of them are known.
fn filled(path: &str) -> Option<String> {
    let known = [
        ("{id}", "x_0000000000000"),
        ("{seq}", "1"),
        ("{name}", "style.css"),
        ("{kind}", "open"),
        ("{provider}", "corp"),
        ("{table}", "links.csv"),
        ("{*token}", "x"),
    ];
    let filled = known.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
    (!filled.contains('{')).then_some(filled)
}

/// The texts of a list.
pub fn words(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// Status and place of an answer; of a stream only the head is read.
fn ask(address: SocketAddr, method: &str, path: &str, subject: &Subject) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    let credential = subject.header.as_ref().map_or(String::new(), |(name, value)| format!("{name}: {value}\r\n"));
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: t.example.org\r\nSec-Fetch-Site: same-origin\r\n{credential}\
         Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = stream.read(&mut part)?;
        ensure!(count > 0, "no answer to {method} {path}");
        bytes.extend_from_slice(&part[..count]);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
    let location = text.lines().find_map(|line| line.strip_prefix("location: ")).unwrap_or_default().trim().to_owned();
    Ok((status, location))
}
