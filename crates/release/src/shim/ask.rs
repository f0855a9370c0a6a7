use std::io;

use serde::{Deserialize, Serialize};
use signalbox_core::setting::Period;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::time::{Duration, timeout};

use super::{Folder, Status};
use crate::driver::Health;

/// Longer lines are not read.
pub(super) const LONGEST: u64 = 256 * 1024;

/// What a shim is asked, a line of JSON each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    Status,
    /// A health check at this moment.
    Check,
    /// Answered when the service is gone.
    Stop {
        grace: Period,
    },
    /// For services that reload by one, by its number.
    Signal {
        number: i32,
    },
}

/// What it answers, a line of JSON each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Status(Box<Status>),
    Checked(Health),
    Refused(String),
}

/// Asks the shim of that folder once. No answer in time is an error.
pub(crate) async fn ask(folder: &Folder, request: &Request, within: Duration) -> io::Result<Reply> {
    let asking = async {
        let mut stream = folder.connect().await?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = String::new();
        BufReader::new(stream).take(LONGEST).read_line(&mut answer).await?;
        if !answer.ends_with('\n') {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the shim ended before it answered"));
        }
        Ok(serde_json::from_str(&answer)?)
    };
    timeout(within, asking).await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the shim does not answer"))?
}
