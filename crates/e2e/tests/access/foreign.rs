//! Two principals, and every route that names something by an id: what belongs to the other principal, or to another
//! person, is answered like an id that nobody has, to the byte; what belongs to the installation is shown to who may.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signalbox_e2e::client::Answer;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::process::wait_for;
use signalbox_e2e::server::Server;

use crate::matrix::{Route, Subject, is_granted, table, words};
use crate::passkey;
use crate::person::{COOKIE, Person, body, both, encode, user};

/// Roles that can be limited to a principal.
const LIMITED: [&str; 4] = ["operator", "marketer", "analyst", "viewer"];
const NONSENSE: &str = "nonsense";

/// What the id in a route's path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Principal,
    Campaign,
    Contact,
    Event,
    Token,
    OwnSession,
    OwnPasskey,
    User,
    Session,
    Entry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Principal,
    Person,
    Installation,
}

impl Kind {
    /// Of a route; none where the path has no id.
    fn of(path: &str) -> Result<Option<Self>> {
        if !path.contains("{id}") && !path.contains("{seq}") {
            return Ok(None);
        }
        let kinds = [
            ("/api/v1/principals/", Kind::Principal),
            ("/api/v1/campaigns/", Kind::Campaign),
            ("/campaigns/", Kind::Campaign),
            ("/api/v1/contacts/", Kind::Contact),
            ("/contacts/", Kind::Contact),
            ("/events/", Kind::Event),
            ("/api/v1/api-tokens/", Kind::Token),
            ("/tokens/", Kind::Token),
            ("/profile/sessions/", Kind::OwnSession),
            ("/api/v1/me/sessions/", Kind::OwnSession),
            ("/profile/passkeys/", Kind::OwnPasskey),
            ("/api/v1/users/", Kind::User),
            ("/users/", Kind::User),
            ("/api/v1/sessions/", Kind::Session),
            ("/sessions/", Kind::Session),
            ("/api/v1/audit/", Kind::Entry),
            ("/audit/", Kind::Entry),
        ];
        let found = kinds.into_iter().find(|(start, _)| path.starts_with(start));
        Ok(Some(found.with_context(|| format!("{path}: say here what its id names, and to whom that belongs"))?.1))
    }

    fn owner(self) -> Owner {
        match self {
            Kind::Principal | Kind::Campaign | Kind::Contact | Kind::Event | Kind::Token => Owner::Principal,
            Kind::OwnSession | Kind::OwnPasskey => Owner::Person,
            Kind::User | Kind::Session | Kind::Entry => Owner::Installation,
        }
    }

    /// An id of the right form that nobody has.
    fn unknown(self) -> &'static str {
        match self {
            Kind::Principal => "pri_0000000000000",
            Kind::Campaign => "cmp_0000000000000",
            Kind::Contact => "con_0000000000000",
            Kind::Event | Kind::Entry => "9000000000",
            Kind::Token => "tok_0000000000000",
            Kind::OwnSession | Kind::Session => "ses_0000000000000",
            Kind::OwnPasskey => "psk_0000000000000",
            Kind::User => "usr_0000000000000",
        }
    }
}

/// One principal, with what belongs to it and a user who reaches nothing else.
struct Side {
    name: &'static str,
    principal: String,
    campaign: String,
    contact: String,
    event: String,
    token: String,
    email: String,
    passkey: String,
}

impl Side {
    fn make(installation: &Installation, server: &Server, owner: &mut Person, name: &'static str) -> Result<Self> {
        let made = owner.json("POST", "/api/v1/principals", &json!({"name": name}))?;
        let principal = text(&body(&made)?, "id")?;
        let scopes = ["events:write", "events:read", "reports:read"];
        let wanted = json!({"name": format!("{name}-token"), "scopes": scopes, "principals": [principal]});
        let made = body(&owner.json("POST", "/api/v1/api-tokens", &wanted)?)?;
        let (token, secret) = (text(&made, "id")?, text(&made, "token")?);
        let event = json!({
            "kind": "clicked", "id": format!("{name}-event"), "campaign": format!("{name}-campaign"),
            "recipient": format!("{name}-contact@example.org"), "url": format!("https://{name}.example.org/"),
        });
        let answer = server.post_events(&secret, &event.to_string())?;
        ensure!(answer.status == 200 || answer.status == 202, "{answer:?}");
        let mut program = Person::new(server);
        program.headers.push(("authorization".into(), format!("Bearer {secret}")));
        let event = wait_for(Duration::from_secs(60), "the event in the API", || {
            let page = body(&program.get("/api/v1/events")?)?;
            page["items"].get(0).cloned().with_context(|| page.to_string())
        })?;
        let email = format!("{name}@example.org");
        user(installation, &email, "viewer", &["--principal", name])?;
        let passkey = passkey::add(&mut Person::signed_in(server, &email)?)?;
        Ok(Self {
            name,
            principal,
            campaign: text(&event, "campaign")?,
            contact: text(&event, "recipient")?,
            event: event["seq"].to_string(),
            token,
            email,
            passkey,
        })
    }

    /// What nobody sees who does not reach the principal.
    fn marks(&self) -> [String; 7] {
        let (id, name) = (&self.principal, self.name);
        let own = [self.campaign.clone(), self.contact.clone(), self.token.clone(), id.clone()];
        let [campaign, contact, token, principal] = own;
        let told = ["campaign", "contact", "token"].map(|what| format!("{name}-{what}"));
        let [one, two, three] = told;
        [campaign, contact, token, principal, one, two, three]
    }
}

fn text(value: &Value, name: &str) -> Result<String> {
    value[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {value}"))
}

/// Everything that one engine's matrix needs.
struct World {
    engine: &'static str,
    server: Server,
    owner: Person,
    mine: Side,
    theirs: Side,
    /// Makes addresses differ.
    made: u32,
}

/// A subject, with the browser or program that asks for it.
struct Asker {
    subject: Subject,
    person: Person,
    /// Of a user.
    email: Option<String>,
    /// What it gives to others in forms.
    principal: String,
    reaches_all: bool,
}

impl World {
    /// An id of `kind`: a new thing where asking may end it, so that nobody takes it from the next.
    fn id(&mut self, kind: Kind, mine: bool, asker: &mut Asker) -> Result<String> {
        let side = if mine { &self.mine } else { &self.theirs };
        self.made += 1;
        Ok(match kind {
            Kind::Principal => side.principal.clone(),
            Kind::Campaign => side.campaign.clone(),
            Kind::Contact => side.contact.clone(),
            Kind::Event => side.event.clone(),
            Kind::Token => {
                let wanted = json!({"name": "t", "scopes": ["reports:read"], "principals": [side.principal]});
                text(&body(&self.owner.json("POST", "/api/v1/api-tokens", &wanted)?)?, "id")?
            }
            Kind::User => {
                let email = format!("u{}@example.org", self.made);
                let wanted = json!({"email": email, "role": "viewer", "principals": [side.principal]});
                text(&body(&self.owner.json("POST", "/api/v1/users", &wanted)?)?["user"], "id")?
            }
            Kind::OwnSession | Kind::Session => {
                let own = asker.email.as_deref().filter(|_| mine && kind == Kind::OwnSession);
                let mut other = Person::signed_in(&self.server, own.unwrap_or(&side.email))?;
                text(&body(&other.get("/api/v1/me")?)?, "session")?
            }
            Kind::OwnPasskey if mine => passkey::add(&mut asker.person)?,
            Kind::OwnPasskey => side.passkey.clone(),
            Kind::Entry => body(&self.owner.get("/api/v1/audit")?)?["items"][0]["seq"].to_string(),
        })
    }
}

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

/// Everything of an answer but what differs from one request to the next.
fn settled(answer: &Answer, id: &str) -> (u16, Vec<(String, String)>, String) {
    let passing = |name: &str| ["date", "x-request-id", "content-security-policy", "content-length"].contains(&name);
    let nonce =
        answer.header("content-security-policy").and_then(|text| text.split("'nonce-").nth(1)?.split('\'').next());
    let request = answer.header("x-request-id");
    let settle = |text: &str| {
        let text = nonce.map_or_else(|| text.to_owned(), |nonce| text.replace(nonce, "NONCE"));
        let text = request.map_or_else(|| text.clone(), |request| text.replace(request, "REQUEST"));
        // Only where one is sent on is the id told, with the address.
        text.replace(&format!("/{id}"), "/ID")
    };
    let headers = answer.headers.iter().filter(|(name, _)| !passing(name));
    (answer.status, headers.map(|(name, value)| (name.clone(), settle(value))).collect(), settle(&answer.text()))
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
    let same = |id: &str, answer: &Answer| {
        let seen = settled(answer, id);
        ensure!(seen == unknown, "{id} is answered unlike an unknown id: {seen:?}, not {unknown:?}");
        Ok(())
    };
    same(&answers[1].0, &answers[1].1)?;
    let granted = is_granted(route, &asker.subject);
    if !granted {
        ensure!([303, 401, 403].contains(&unknown.0), "not allowed, but answered {unknown:?}");
        same(&foreign, &at_foreign)?;
        // Nothing is made for who may do nothing.
        let own = if kind == Kind::OwnPasskey { foreign } else { world.id(kind, true, asker)? };
        let at_own = ask(asker, route, &own)?;
        same(&own, &at_own)?;
        return Ok(4);
    }
    ensure!(unknown.0 == 404, "an unknown id is answered {unknown:?}");
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
            ensure!([403, 422].contains(&at_foreign.status), "{at_foreign:?}");
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
    let exempt = ["/audit", "/audit.csv", "/api/v1/audit", "/users", "/users.csv", "/api/v1/users", "/sessions", "/sessions.csv", "/api/v1/sessions"];
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

fn askers(installation: &Installation, world: &mut World, roles: &[Value]) -> Result<Vec<Asker>> {
    let principal = world.mine.principal.clone();
    let mut askers = Vec::new();
    for role in roles {
        let name = role["name"].as_str().context("no name")?;
        let email = format!("{name}-1@example.org");
        let limited = LIMITED.contains(&name);
        user(installation, &email, name, if limited { &["--principal", "mine"] } else { &[] })?;
        let person = Person::signed_in(&world.server, &email)?;
        let cookie = format!("{COOKIE}={}", person.cookie.clone().context("no cookie")?);
        let subject = Subject {
            name: name.to_owned(),
            header: Some(("cookie", cookie)),
            permissions: words(&role["permissions"]),
            is_user: true,
        };
        let principal = principal.clone();
        askers.push(Asker { subject, person, email: Some(email), principal, reaches_all: !limited });
    }
    // A program that may do everything, for one principal.
    let owner = roles.iter().find(|role| role["name"] == "owner").context("no owner")?;
    let all = words(&owner["permissions"]);
    let scopes = all.join(",");
    let made = ["api-token", "create", "--name", "all", "--scope", &scopes, "--principal", "mine", "--output", "json"];
    let bearer = format!("Bearer {}", text(&serde_json::from_str(&installation.run(&made)?)?, "token")?);
    for (name, header, permissions) in [("token", Some(("authorization", bearer)), all), ("nobody", None, Vec::new())] {
        let mut person = Person::new(&world.server);
        person.headers.extend(header.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let subject = Subject { name: name.to_owned(), header, permissions, is_user: false };
        let principal = principal.clone();
        askers.push(Asker { subject, person, email: None, principal, reaches_all: false });
    }
    Ok(askers)
}

#[test]
fn foreign_ids_are_answered_like_unknown_ones() -> Result<()> {
    let mut wrong = Vec::new();
    for place in both()? {
        let installation = &place.installation;
        user(installation, "o@example.org", "owner", &[])?;
        let roles: Vec<Value> = serde_json::from_str(&installation.run(&["role", "list", "--output", "json"])?)?;
        let routes = table(&installation.run(&["serve", "--listen", "127.0.0.1:0", "--print-routes"])?)?;
        let mut command = installation.command(&["serve", "--listen", "127.0.0.1:0", "--limits", "off"]);
        let server = Server::start(command.env("SIGNALBOX_SERVER_PUBLIC_URL", passkey::SITE))?;
        let mut owner = Person::signed_in(&server, "o@example.org")?;
        let mine = Side::make(installation, &server, &mut owner, "mine")?;
        let theirs = Side::make(installation, &server, &mut owner, "theirs")?;
        let mut world = World { engine: place.engine, server, owner, mine, theirs, made: 0 };
        let mut tried = 0;
        for mut asker in askers(installation, &mut world, &roles)? {
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
