//! Talking to the controller: over its socket, or over HTTP with its token.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use signalbox_release::model::exit::Exit;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::output::Output;

/// What every verb takes that asks the controller.
#[derive(Debug, Clone, Args)]
pub struct Door {
    /// The data directory of the controller.
    #[arg(long, value_name = "DIR", default_value = "signalbox-data")]
    pub data: PathBuf,
    /// Its HTTP interface, instead of the socket in the data directory: http://127.0.0.1:8090.
    #[arg(long, value_name = "URL", requires = "token_file")]
    pub url: Option<String>,
    /// The file with its token.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Who asks, for the journal.
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// What the controller refused, and what the command ends with.
#[derive(Debug)]
pub struct Told {
    pub exit: Exit,
    pub lines: Vec<String>,
}

/// An answer that may be a refusal.
pub type Said<T> = Result<T, Told>;

const PATIENCE: Duration = Duration::from_secs(600);

impl Door {
    /// A request and its whole answer.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Said<Value>> {
        let asking = async {
            let answer = self.send(method, path, body).await?;
            let status = answer.status();
            let bytes = answer.into_body().collect().await.context("the controller's answer broke off")?.to_bytes();
            let value = if bytes.is_empty() { Value::Null } else { read(&bytes)? };
            Ok(if status.is_success() { Ok(value) } else { Err(Told::of(&value)) })
        };
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(answer) => answer,
            Err(_) => bail!("the controller did not answer within {PATIENCE:?}"),
        }
    }

    /// A request whose answer comes line by line.
    pub async fn lines(&self, path: &str) -> anyhow::Result<Said<Lines>> {
        let answer = self.send(Method::GET, path, None).await?;
        if answer.status().is_success() {
            return Ok(Ok(Lines { body: answer.into_body(), buffer: Vec::new() }));
        }
        let bytes = answer.into_body().collect().await.context("the controller's answer broke off")?.to_bytes();
        Ok(Err(Told::of(&read(&bytes)?)))
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(format!("/api/v1/releases{path}"));
        let bytes = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let Some(url) = &self.url else {
            let socket = self.data.join("control/control.sock");
            let stream = UnixStream::connect(&socket).await.with_context(|| {
                format!("no controller answers at {}; start one with: signalbox control", socket.display())
            })?;
            return exchange(stream, request.header("host", "control").body(Full::new(Bytes::from(bytes)))?).await;
        };
        let address = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/').to_owned();
        if url.starts_with("https://") {
            bail!("--url {url}: the interface speaks HTTP on this machine");
        }
        let file = self.token_file.clone().unwrap_or_else(|| self.data.join("control/token"));
        let token = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let stream = TcpStream::connect(&address).await.with_context(|| format!("no controller answers at {url}"))?;
        let request = request.header("host", address).header("authorization", format!("Bearer {}", token.trim()));
        exchange(stream, request.body(Full::new(Bytes::from(bytes)))?).await
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Response<Incoming>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It goes on until the answer is read.
    tokio::spawn(connection);
    sender.send_request(request).await.context("the controller broke off")
}

fn read(bytes: &[u8]) -> anyhow::Result<Value> {
    serde_json::from_slice(bytes).context("the controller's answer cannot be read")
}

/// Lines of JSON as they come.
pub struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Lines {
    /// The next one; none at the end, also where the controller died.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line).ok();
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

impl Told {
    fn of(problem: &Value) -> Self {
        let exit = match problem["type"].as_str() {
            Some("/problems/locked") => Exit::Locked,
            Some("/problems/refused") => Exit::Refused,
            Some("/problems/plan-drifted") => Exit::PlanDrifted,
            Some("/problems/no-go") => Exit::NoGo,
            Some("/problems/window-closed") => Exit::WindowClosed,
            _ => Exit::Error,
        };
        let faults = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut lines: Vec<String> =
            faults.iter().filter_map(|fault| fault["detail"].as_str().map(str::to_owned)).collect();
        if lines.is_empty() {
            lines.push(problem["detail"].as_str().unwrap_or("the controller refused and did not say why").to_owned());
        }
        Self { exit, lines }
    }

    /// Prints it and says what the command ends with.
    pub fn tell(self) -> Exit {
        self.lines.iter().for_each(|line| eprintln!("error: {line}"));
        self.exit
    }
}

/// Runs what talks to the controller.
pub fn talk<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
