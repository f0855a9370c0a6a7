//! Two principals with everything that belongs to them, and everybody who asks for it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signalbox_e2e::client::Answer;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::process::wait_for;
use signalbox_e2e::server::Server;

use super::kinds::Kind;
use crate::matrix::{Route, Subject, table, words};
use crate::passkey;
use crate::person::{COOKIE, Person, Place, body, user};

/// Roles that can be limited to a principal.
const LIMITED: [&str; 4] = ["operator", "marketer", "analyst", "viewer"];

/// One principal, with what belongs to it and a user who reaches nothing else.
pub struct Side {
    pub name: &'static str,
    pub principal: String,
    pub campaign: String,
    pub contact: String,
    pub event: String,
    pub token: String,
    pub email: String,
    pub passkey: String,
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
        // Whoever has a passkey is asked for it after the password: somebody else's sessions are not in its way.
        let holder = format!("{name}-holder@example.org");
        user(installation, &holder, "viewer", &["--principal", name])?;
        let passkey = passkey::add(&mut Person::signed_in(server, &holder)?)?;
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
    pub fn marks(&self) -> [String; 7] {
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
pub struct World {
    pub engine: &'static str,
    pub server: Server,
    pub owner: Person,
    pub mine: Side,
    pub theirs: Side,
    /// Makes addresses differ.
    pub made: u32,
}

/// A subject, with the browser or program that asks for it.
pub struct Asker {
    pub subject: Subject,
    pub person: Person,
    /// Of a user.
    pub email: Option<String>,
    /// What it gives to others in forms.
    pub principal: String,
    pub reaches_all: bool,
    /// Passkeys that it has.
    pub keys: Vec<String>,
}

impl World {
    /// An id of `kind`: a new thing where asking may end it, so that nobody takes it from the next.
    pub fn id(&mut self, kind: Kind, mine: bool, asker: &mut Asker) -> Result<String> {
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
                for key in asker.keys.drain(..) {
                    asker.person.post(&format!("/profile/passkeys/{key}/remove"), &[])?;
                }
                let mut other = Person::signed_in(&self.server, own.unwrap_or(&side.email))?;
                text(&body(&other.get("/api/v1/me")?)?, "session")?
            }
            Kind::OwnPasskey if mine => {
                asker.keys.push(passkey::add(&mut asker.person)?);
                asker.keys.last().cloned().unwrap_or_default()
            }
            Kind::OwnPasskey => side.passkey.clone(),
            Kind::Entry => body(&self.owner.get("/api/v1/audit")?)?["items"][0]["seq"].to_string(),
        })
    }
}

/// Two principals on one engine, and the routes.
pub fn start(place: &Place) -> Result<(World, Vec<Asker>, Vec<Route>)> {
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
    let askers = askers(installation, &mut world, &roles)?;
    Ok((world, askers, routes))
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
        askers.push(Asker { subject, person, email: Some(email), principal, reaches_all: !limited, keys: Vec::new() });
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
        askers.push(Asker { subject, person, email: None, principal, reaches_all: false, keys: Vec::new() });
    }
    Ok(askers)
}

/// Everything of an answer but what differs from one request to the next.
#[derive(PartialEq, Eq)]
pub struct Settled {
    pub status: u16,
    headers: Vec<(String, String)>,
    text: String,
}

/// What counts of the answer to a request that named `id`.
pub fn settled(answer: &Answer, id: &str) -> Settled {
    let passing = |name: &str| ["date", "x-request-id", "content-security-policy", "content-length"].contains(&name);
    let nonce =
        answer.header("content-security-policy").and_then(|text| text.split("'nonce-").nth(1)?.split('\'').next());
    let request = answer.header("x-request-id");
    let settle = |text: &str| {
        let text = nonce.map_or_else(|| text.to_owned(), |nonce| text.replace(nonce, "NONCE"));
        let text = request.map_or_else(|| text.clone(), |request| text.replace(request, "REQUEST"));
        // A number of an event may stand anywhere by chance; in an address it is the one.
        let text = text.replace(&format!("/{id}"), "/ID");
        if id.contains('_') { text.replace(id, "ID") } else { text }
    };
    let headers = answer.headers.iter().filter(|(name, _)| !passing(name));
    Settled {
        status: answer.status,
        headers: headers.map(|(name, value)| (name.clone(), settle(value))).collect(),
        text: settle(&answer.text()),
    }
}

impl Settled {
    /// Refuses an answer that differs, and says where.
    pub fn must_equal(&self, other: &Self) -> Result<()> {
        let only = |one: &Self, other: &Self| -> Vec<String> {
            let headers = one.headers.iter().filter(|header| !other.headers.contains(header));
            headers.map(|(name, value)| format!("{name}: {value}")).collect()
        };
        ensure!(
            self == other,
            "{} {:?} {}\ninstead of\n{} {:?} {}",
            self.status,
            only(self, other),
            self.text,
            other.status,
            only(other, self),
            other.text
        );
        Ok(())
    }
}
