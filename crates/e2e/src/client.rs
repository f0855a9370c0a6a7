//! A keep-alive HTTP/1.1 client that shows the bytes: what was sent, what came back, and how a connection broke.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No answer may take longer: patience is two seconds, and the machine may be busy.
const LIMIT: Duration = Duration::from_secs(15);

/// What a client talks over: plain or encrypted.
pub trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// One connection.
pub struct Client {
    stream: Box<dyn Stream>,
    /// The same connection, for its time limits.
    socket: TcpStream,
    /// Bytes that came and belong to the next answer.
    buffer: Vec<u8>,
}

/// A whole answer.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Why there is no whole answer.
#[derive(Debug)]
pub enum Broken {
    /// The connection ended before the first byte of the answer.
    Unanswered(io::Error),
    /// The answer began and did not end.
    CutOff(String),
    /// What came is not an HTTP/1.1 answer.
    NotHttp(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered(error) => write!(out, "no answer: {error}"),
            Self::CutOff(got) => write!(out, "the answer is cut off: {got:?}"),
            Self::NotHttp(got) => write!(out, "not an HTTP answer: {got:?}"),
        }
    }
}

impl std::error::Error for Broken {}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Unanswered(error)
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        Self::over(stream.try_clone()?, stream)
    }

    /// One that talks over `stream`, which runs over `socket`.
    pub fn over(stream: impl Stream + 'static, socket: TcpStream) -> io::Result<Self> {
        Ok(Self { stream: Box::new(stream), socket, buffer: Vec::new() })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// `GET path` and its answer.
    pub fn get(&mut self, path: &str) -> Result<Answer, Broken> {
        self.request("GET", path, &[], b"")
    }

    /// A request with a body, or without when it is empty, and its answer.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, Broken> {
        self.send(&request(method, path, headers, body))?;
        self.receive(method != "HEAD")
    }

    /// The next answer; `body` is false for answers to HEAD.
    pub fn receive(&mut self, body: bool) -> Result<Answer, Broken> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.more()?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let mut answer = parse(&head).ok_or_else(|| Broken::NotHttp(head.clone()))?;
        if body && answer.header("transfer-encoding") == Some("chunked") {
            self.buffer.drain(..end);
            answer.body = self.chunks()?;
            return Ok(answer);
        }
        let announced = answer.header("content-length").map(|length| length.parse::<usize>());
        let length = match announced {
            _ if !body || answer.status == 204 || answer.status == 304 => 0,
            Some(Ok(length)) => length,
            _ => return Err(Broken::NotHttp(head)),
        };
        while self.buffer.len() < end + length {
            self.more()?;
        }
        answer.body = self.buffer[end..end + length].to_vec();
        self.buffer.drain(..end + length);
        Ok(answer)
    }

    /// A body that comes in chunks (RFC 9112, 7.1), without trailers.
    fn chunks(&mut self) -> Result<Vec<u8>, Broken> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.buffer.windows(2).position(|window| window == b"\r\n") {
                    Some(end) => break end,
                    None => self.more()?,
                }
            };
            let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
            let length = usize::from_str_radix(&line, 16).map_err(|_| Broken::NotHttp(line))?;
            while self.buffer.len() < end + 2 + length + 2 {
                self.more()?;
            }
            body.extend_from_slice(&self.buffer[end + 2..end + 2 + length]);
            self.buffer.drain(..end + 2 + length + 2);
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn more(&mut self) -> Result<(), Broken> {
        let mut bytes = [0; 16 * 1024];
        let error = match self.stream.read(&mut bytes) {
            Ok(0) => io::Error::from(io::ErrorKind::UnexpectedEof),
            Ok(count) => {
                self.buffer.extend_from_slice(&bytes[..count]);
                return Ok(());
            }
            Err(error) => error,
        };
        if self.buffer.is_empty() {
            return Err(Broken::Unanswered(error));
        }
        Err(Broken::CutOff(format!("{}: {error}", String::from_utf8_lossy(&self.buffer))))
    }

    /// Whether the peer ends the connection within `limit`. Bytes that come before are dropped.
    pub fn closes_within(&mut self, limit: Duration) -> bool {
        let start = std::time::Instant::now();
        let mut bytes = [0; 4096];
        while let Some(left) = limit.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
            if self.socket.set_read_timeout(Some(left)).is_err() {
                return true;
            }
            match self.stream.read(&mut bytes) {
                Ok(0) => return true,
                Ok(_) => (),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return false;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(_) => return true,
            }
        }
        false
    }
}

/// The bytes of a request.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: t.example.org\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !body.is_empty() {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

fn parse(head: &str) -> Option<Answer> {
    let mut lines = head.split("\r\n");
    // Who asked in HTTP/1.0 may be answered in it.
    let (version, status) = lines.next()?.split_once(' ')?;
    let status = ["HTTP/1.1", "HTTP/1.0"].contains(&version).then_some(status)?.get(..3)?.parse().ok()?;
    let fields = lines.take_while(|line| !line.is_empty()).map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    Some(Answer { status, headers: fields.collect::<Option<_>>()?, body: Vec::new() })
}

/// As it came.
impl fmt::Debug for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let body = if self.header("content-type") == Some("image/gif") { "(an image)".into() } else { self.text() };
        write!(out, "{} [{}] {body}", self.status, headers.join(" | "))
    }
}

impl Answer {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The id of the recorded event, if it was recorded.
    pub fn event_id(&self) -> Option<&str> {
        self.header("x-event-id")
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
