//! A real browser opens an HTML mail and follows its link; what it did is recorded, judged and shown.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signalbox_e2e::browser::run_script;
use signalbox_e2e::installation::Installation;
use signalbox_e2e::process::wait_for;
use signalbox_e2e::server::Server;

/// Where the mail's link leads, on a server of its own, which also shows the mail as webmail would.
struct Elsewhere {
    address: SocketAddr,
}

impl Elsewhere {
    fn start() -> Result<(Self, TcpListener)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        Ok((Self { address: listener.local_addr()? }, listener))
    }

    fn destination(&self) -> String {
        format!("http://{}/spring?from=mail&n=1", self.address)
    }

    /// Serves the mail at `/mail`, the destination at `/spring`, and nothing else, for as long as the test lasts.
    fn serve(listener: TcpListener, mail: String) {
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(std::io::Result::ok) {
                let mail = mail.clone();
                // A browser opens connections that it does not use, so one must not wait for another.
                std::thread::spawn(move || answer(stream, &mail));
            }
        });
    }
}

/// One request per connection; a browser that goes away in the middle is nobody's concern.
fn answer(stream: TcpStream, mail: &str) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(std::io::Result::ok);
    let first = lines.next()?;
    let target = first.split(' ').nth(1)?.to_owned();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let (status, body) = match target.split('?').next()? {
        "/mail" => ("200 OK", mail.to_owned()),
        "/spring" => ("200 OK", format!("<!doctype html><title>Spring</title><p>Offers at {target}")),
        _ => ("404 Not Found", String::new()),
    };
    let length = body.len();
    write!(
        &stream,
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .ok()
}

struct Rig {
    server: Server,
    installation: Installation,
    token: String,
    elsewhere: Elsewhere,
    mail: String,
}

impl Rig {
    fn start() -> Result<Self> {
        let installation = Installation::sqlite()?;
        let token = installation.token()?;
        let (elsewhere, listener) = Elsewhere::start()?;
        let server = installation.serve_with(&[])?;
        let mint = |arguments: &[&str]| -> Result<String> {
            let common = [
                "link",
                "mint",
                "--campaign",
                "Spring letter",
                "--recipient",
                "anna@example.org",
                "--message",
                "letter-1",
            ];
            Ok(installation.run(&[&common, arguments].concat())?.trim().to_owned())
        };
        let pixel = mint(&["--kind", "open"])?;
        let click = mint(&["--kind", "click", "--url", &elsewhere.destination()])?;
        let base = format!("http://{}", server.address);
        let mail = format!(
            "<!doctype html><html><head><meta charset=utf-8><title>Spring letter</title></head><body>\
             <p>Dear Anna, spring is here. <a href=\"{base}{click}\">See the offers</a></p>\
             <img id=pixel src=\"{base}{pixel}\" width=1 height=1 alt=\"\"></body></html>"
        );
        Elsewhere::serve(listener, mail.clone());
        Ok(Self { server, installation, token, elsewhere, mail })
    }

    fn api(&self, path: &str) -> Result<Value> {
        let authorization = format!("Bearer {}", self.token);
        let answer = self.server.client()?.request("GET", path, &[("Authorization", &authorization)], b"")?;
        ensure!(answer.status == 200, "{path}: {answer:?}");
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Opens the mail, follows its link, and gives what was recorded: the open and the click.
    fn read_mail(&self, place: &str, manner: &str) -> Result<[Value; 2]> {
        let seen = run_script("mail.mjs", &[("MAIL", place), ("MANNER", manner)])?;
        ensure!(seen["pixel"]["status"] == 200 && seen["pixel"]["image"] == json!([1, 1]), "the pixel: {seen}");
        ensure!(seen["click"]["status"] == 302, "the click: {seen}");
        ensure!(seen["arrived"]["url"] == self.elsewhere.destination(), "the click led elsewhere: {seen}");
        let arrived = seen["arrived"]["text"].as_str().context("no text")?;
        ensure!(arrived == "Offers at /spring?from=mail&n=1", "{seen}");
        let events = wait_for(Duration::from_secs(5), "two events in the API", || {
            let page = self.api("/api/v1/events")?;
            let items = page["items"].as_array().context("no items")?.clone();
            ensure!(items.len() == 2, "{page}");
            Ok(items)
        })?;
        let of_kind = |kind: &str| {
            events.iter().find(|event| event["kind"] == kind).cloned().with_context(|| format!("no {kind}: {events:?}"))
        };
        let recorded = [of_kind("opened")?, of_kind("clicked")?];
        for (event, answer) in recorded.iter().zip([&seen["pixel"], &seen["click"]]) {
            ensure!(event["id"] == answer["event"], "{event} is not what was acknowledged: {seen}");
            ensure!(event["user_agent"] == seen["userAgent"], "{event}: {seen}");
            ensure!(event["campaign_name"] == "Spring letter", "{event}");
        }
        ensure!(recorded[0]["message"] == recorded[1]["message"], "one mail is one message: {recorded:?}");
        ensure!(recorded[1]["url"] == self.elsewhere.destination(), "{}", recorded[1]);
        ensure!(self.installation.count()? == 2);
        Ok(recorded)
    }

    /// The page shows one open and one click of a person.
    fn is_shown(&self) -> Result<()> {
        let server = format!("http://{}", self.server.address);
        let made =
            self.installation.run(&["user", "create", "--owner", "--email", "olga@example.org", "--output", "json"])?;
        let made: Value = serde_json::from_str(&made)?;
        let link = made["link"].as_str().and_then(|link| link.find("/set-up").map(|place| &link[place..]));
        let link = link.with_context(|| format!("no link: {made}"))?;
        let shown = run_script("campaign.mjs", &[("SERVER", &server), ("LINK", link), ("CAMPAIGN", "Spring letter")])?;
        for (label, figure) in
            [("Human opens", "1"), ("Human clicks", "1"), ("Machine opens", "0"), ("Unique opens", "1")]
        {
            ensure!(shown["overview"][label] == figure, "{label}: {shown}");
        }
        ensure!(shown["heading"] == "Spring letter", "{shown}");
        let text = shown["text"].as_str().context("no text")?;
        ensure!(text.contains(&self.elsewhere.destination()) && text.contains("anna@example.org"), "{text}");
        ensure!(shown["complaints"] == json!([]), "the browser complains: {shown}");
        Ok(())
    }
}

fn class(event: &Value) -> &Value {
    &event["verdict"]["class"]
}

#[test]
fn a_mail_in_a_browser_is_a_person_who_opens_and_clicks() -> Result<()> {
    let rig = Rig::start()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("mail.html");
    std::fs::write(&file, &rig.mail)?;
    let events = rig.read_mail(&format!("file://{}", file.display()), "person")?;
    ensure!(events.iter().all(|event| class(event) == "human"), "{events:?}");
    rig.is_shown()?;
    rig.server.terminate()
}

#[test]
fn a_mail_on_a_page_of_another_origin_is_no_different() -> Result<()> {
    let rig = Rig::start()?;
    let events = rig.read_mail(&format!("http://{}/mail", rig.elsewhere.address), "person")?;
    ensure!(events.iter().all(|event| class(event) == "human"), "{events:?}");
    rig.is_shown()?;
    rig.server.terminate()
}

#[test]
fn a_browser_that_says_it_is_headless_is_a_machine() -> Result<()> {
    let rig = Rig::start()?;
    let events = rig.read_mail(&format!("http://{}/mail", rig.elsewhere.address), "automation")?;
    ensure!(events.iter().all(|event| class(event) == "machine"), "{events:?}");
    rig.server.terminate()
}
