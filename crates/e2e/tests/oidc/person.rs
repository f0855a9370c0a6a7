//! Somebody with a browser: keeps cookies per host, follows redirects one by one.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use signalbox_e2e::client::{Answer, Client};

/// A browser. Cookies are told apart by host and port only: nothing here needs more.
#[derive(Default, Clone)]
pub struct Person {
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

/// `host:port` and the rest of an address.
pub fn split(url: &str) -> Result<(&str, &str)> {
    let rest = url.strip_prefix("http://").with_context(|| format!("{url} is not http"))?;
    let start = rest.find('/').unwrap_or(rest.len());
    Ok((&rest[..start], if start == rest.len() { "/" } else { &rest[start..] }))
}

impl Person {
    pub fn get(&mut self, url: &str) -> Result<Answer> {
        self.ask("GET", url, "")
    }

    /// Posts a form.
    pub fn post(&mut self, url: &str, form: &str) -> Result<Answer> {
        self.ask("POST", url, form)
    }

    fn ask(&mut self, method: &str, url: &str, body: &str) -> Result<Answer> {
        let (host, path) = split(url)?;
        let jar = self.cookies.entry(host.to_owned()).or_default();
        let cookie: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookie = if cookie.is_empty() { String::new() } else { format!("Cookie: {}\r\n", cookie.join("; ")) };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{cookie}Origin: http://{host}\r\nAccept: text/html\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut client = Client::connect(host.parse()?)?;
        client.send(request.as_bytes())?;
        let answer = client.receive(true).with_context(|| format!("{method} {url}"))?;
        for (_, line) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').context("a cookie without =")?;
            let over =
                attributes.contains("Max-Age=0") || attributes.to_lowercase().contains("expires=thu, 01 jan 1970");
            if over || value.is_empty() {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(answer)
    }

    pub fn cookie(&self, host: &str, name: &str) -> Option<&str> {
        self.cookies.get(host)?.get(name).map(String::as_str)
    }

    pub fn set_cookie(&mut self, host: &str, name: &str, value: &str) {
        self.cookies.entry(host.to_owned()).or_default().insert(name.to_owned(), value.to_owned());
    }

    /// Follows redirects from `url` and signs in as `login` at the provider's pages, until one leads to `stop`; its address.
    pub fn walk(&mut self, url: &str, login: &str, stop: &str) -> Result<String> {
        let mut url = url.to_owned();
        for _ in 0..20 {
            if url.starts_with(stop) {
                return Ok(url);
            }
            let (host, _) = split(&url)?;
            let host = host.to_owned();
            let answer = self.get(&url)?;
            let answer = match answer.status {
                301..=303 => answer,
                200 => {
                    let form = if answer.text().contains("value=\"login\"") {
                        format!("prompt=login&login={login}&password=x")
                    } else {
                        "prompt=consent".to_owned()
                    };
                    self.post(&url, &form)?
                }
                _ => bail!("{url}: {answer:?}"),
            };
            ensure!((301..=303).contains(&answer.status), "{url}: {answer:?}");
            let location = answer.header("location").context("no location")?;
            url = if location.starts_with('/') { format!("http://{host}{location}") } else { location.to_owned() };
        }
        bail!("too many redirects; the last led to {url}")
    }
}
