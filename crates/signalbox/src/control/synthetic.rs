//! Synthetic hits: links of a principal that nobody is, asked of an instance directly.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use signalbox_core::clock::{Clock as _, SystemClock};
use signalbox_crypto::link::{Destination, Link, sign_click, sign_open};
use signalbox_events::kind::Kind;
use signalbox_insight::synthetic::PRINCIPAL;
use signalbox_tracking::answer::GIF;

use crate::keyfile;

const PATIENCE: Duration = Duration::from_secs(2);
/// Where a synthetic click leads; nobody follows it.
const DESTINATION: &str = "https://signalbox.invalid/synthetic";
const MOST_BYTES: u64 = 64 * 1024;

/// A hit that was answered.
#[derive(Debug)]
pub struct Asked {
    pub version: String,
    /// No two have the same one.
    pub message: i64,
    pub kind: Kind,
    /// With the pixel, or with the way to where the click leads.
    pub answered_well: bool,
}

/// Asks for pixels and clicks.
pub struct Asker {
    data: PathBuf,
    last: i64,
}

impl Asker {
    /// With the keys of this installation.
    pub fn new(data: PathBuf) -> Self {
        Self { data, last: 0 }
    }

    /// Asks an instance for a pixel and a click. What gets no answer at all is not a matter of recording.
    pub fn ask(&mut self, version: &str, address: SocketAddr) -> Vec<Asked> {
        let (Ok(ring), Ok(destination)) = (keyfile::load(&self.data), Destination::parse(DESTINATION)) else {
            return Vec::new();
        };
        let now = SystemClock.now();
        let mut asked = Vec::new();
        for kind in [Kind::Opened, Kind::Clicked] {
            self.last = now.0.max(self.last + 1);
            let link = Link { principal: PRINCIPAL, campaign: 0, message: self.last, recipient: 0, link: 0 };
            let path = match kind {
                Kind::Opened => format!("/o/{}.gif", sign_open(&ring, &link, None, now)),
                _ => format!("/c/{}", sign_click(&ring, &link, &destination, None, now)),
            };
            let Ok(answer) = get(address, &path) else { continue };
            let text = String::from_utf8_lossy(&answer);
            let answered_well = match kind {
                Kind::Opened => text.starts_with("HTTP/1.1 200 ") && answer.ends_with(GIF),
                _ => text.starts_with("HTTP/1.1 302 ") && text.contains(&format!("location: {DESTINATION}\r\n")),
            };
            asked.push(Asked { version: version.to_owned(), message: self.last, kind, answered_well });
        }
        asked
    }
}

/// The whole answer, as it came.
fn get(address: SocketAddr, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nuser-agent: signalbox-synthetic\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer)?;
    Ok(answer)
}
