//! Clients of what lasts: WebSockets and event streams.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// With the key of RFC 6455.
pub const HANDSHAKE: &str = "GET /socket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A WebSocket whose handshake is done.
pub struct WebSocket(pub TcpStream);

impl WebSocket {
    pub fn open(address: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(HANDSHAKE.as_bytes())?;
        let head = read_head(&mut stream)?;
        ensure!(head.starts_with("HTTP/1.1 101") && head.to_lowercase().contains("upgrade: websocket"), "{head:?}");
        ensure!(head.to_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head:?}");
        Ok(Self(stream))
    }

    pub fn send(&mut self, text: &str) -> Result<()> {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![0x81, 0x80 | text.len() as u8];
        frame.extend_from_slice(&mask);
        frame.extend(text.bytes().enumerate().map(|(place, byte)| byte ^ mask[place % 4]));
        Ok(self.0.write_all(&frame)?)
    }

    /// First byte and payload of the next frame.
    pub fn receive(&mut self) -> Result<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head)?;
        let mut payload = vec![0; head[1].into()];
        self.0.read_exact(&mut payload)?;
        Ok((head[0], payload))
    }

    pub fn echo(&mut self, text: &str) -> Result<()> {
        self.send(text)?;
        let (kind, payload) = self.receive()?;
        ensure!(kind == 0x81 && payload == text.as_bytes(), "{kind:x} {payload:?}");
        Ok(())
    }
}

/// The head of an answer, byte by byte.
pub fn read_head(stream: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).with_context(|| format!("after {:?}", String::from_utf8_lossy(&head)))?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8(head)?)
}

/// An event stream whose first event has come.
pub fn events(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n")?;
    let head = read_head(&mut stream)?;
    ensure!(head.contains("text/event-stream"), "{head}");
    let mut event = [0; 14];
    stream.read_exact(&mut event)?;
    ensure!(event.starts_with(b"9\r\ndata: 0"), "{:?}", String::from_utf8_lossy(&event));
    Ok(stream)
}
