use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use signalbox_core::clock::Clock;
use tokio::io::{AsyncRead, AsyncReadExt as _};

const NAME: &str = "output.log";
/// A longer line is cut into several.
const LONGEST_LINE: usize = 16 * 1024;

/// How much of the output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogLimits {
    /// A file that would grow beyond this is put aside.
    pub(crate) file_bytes: u64,
    /// The present one and those put aside.
    pub(crate) files: u32,
}

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
    /// What the shim itself has to say.
    Shim,
}

/// What the service wrote, line by line, with instant and stream: `2026-11-21T18:00:00.000000Z out listening`.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    limits: LogLimits,
    clock: Arc<dyn Clock>,
    file: Option<File>,
    size: u64,
    lost: u64,
    last: String,
}

/// Shared by the tasks that read the streams.
pub(super) type SharedLog = Arc<Mutex<Log>>;

impl Log {
    pub(super) fn open(folder: &Path, limits: LogLimits, clock: Arc<dyn Clock>) -> SharedLog {
        let log = Self { folder: folder.to_owned(), limits, clock, file: None, size: 0, lost: 0, last: String::new() };
        Arc::new(Mutex::new(log))
    }

    /// The last line that was not empty, shortened.
    pub(super) fn last_line(&self) -> &str {
        &self.last
    }

    pub(super) fn lost_bytes(&self) -> u64 {
        self.lost
    }

    /// Appends lines. A disk that is full loses them and holds nobody up; how much was lost is told.
    pub(super) fn append<'l>(&mut self, stream: Stream, lines: impl Iterator<Item = &'l [u8]>) {
        let now = self.clock.now();
        let name = match stream {
            Stream::Out => "out",
            Stream::Err => "err",
            Stream::Shim => "shim",
        };
        let mut bytes = Vec::new();
        for line in lines {
            let start = bytes.len();
            bytes.extend_from_slice(format!("{now} {name} ").as_bytes());
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
            if stream != Stream::Shim && !line.trim_ascii().is_empty() {
                self.last = String::from_utf8_lossy(line.trim_ascii()).chars().take(200).collect();
            }
            if self.size + bytes.len() as u64 > self.limits.file_bytes {
                self.write(&bytes[..start]);
                bytes.drain(..start);
                self.put_aside();
            }
        }
        self.write(&bytes);
    }

    fn write(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let written = self.file().and_then(|file| file.write_all(bytes));
        match written {
            Ok(()) => self.size += bytes.len() as u64,
            Err(_) => {
                self.lost += bytes.len() as u64;
                self.file = None;
            }
        }
    }

    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let path = self.folder.join(NAME);
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
            self.size = file.metadata()?.len();
            self.file = Some(file);
        }
        self.file.as_mut().ok_or_else(|| io::Error::other("it was opened just now"))
    }

    /// The present file becomes the first of those put aside; the oldest goes.
    fn put_aside(&mut self) {
        self.file = None;
        let most = self.limits.files.saturating_sub(1);
        for number in (0..=most).rev() {
            let from = aside(&self.folder, number);
            // Where one is missing there is nothing to move; where nothing can be moved, the file goes on growing no further.
            let moved = if number == most {
                fs::remove_file(&from)
            } else {
                fs::rename(&from, aside(&self.folder, number + 1))
            };
            if let Err(error) = moved
                && number == 0
                && error.kind() != io::ErrorKind::NotFound
            {
                let _ = File::create(&from);
            }
        }
        self.size = 0;
    }
}

fn aside(folder: &Path, number: u32) -> PathBuf {
    folder.join(if number == 0 { NAME.to_owned() } else { format!("{NAME}.{number}") })
}

/// Reads a stream until it ends, and keeps what it says.
pub(super) async fn keep(mut from: impl AsyncRead + Unpin, stream: Stream, log: SharedLog) {
    let mut held = Vec::new();
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut bytes).await.unwrap_or(0);
        held.extend_from_slice(&bytes[..count]);
        let mut whole = held.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if count == 0 || held.len() - whole > LONGEST_LINE {
            whole = held.len();
        }
        if whole > 0 {
            let text = held[..whole].strip_suffix(b"\n").unwrap_or(&held[..whole]);
            let lines = text.split(|byte| *byte == b'\n').flat_map(pieces);
            log.lock().unwrap_or_else(PoisonError::into_inner).append(stream, lines);
            held.drain(..whole);
        }
        if count == 0 {
            return;
        }
    }
}

/// A line in pieces of a length that fits; an empty one stays one.
fn pieces(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let empty = line.is_empty().then_some(line);
    empty.into_iter().chain(line.chunks(LONGEST_LINE))
}

/// The last of what was kept, at most so many bytes, whole lines.
pub(crate) fn tail(folder: &Path, at_most: usize) -> io::Result<String> {
    let mut newest_first = Vec::new();
    let mut size = 0;
    for number in 0.. {
        match fs::read(aside(folder, number)) {
            Ok(bytes) => {
                size += bytes.len();
                newest_first.push(bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
        if size > at_most {
            break;
        }
    }
    let all: Vec<u8> = newest_first.into_iter().rev().flatten().collect();
    let mut start = all.len().saturating_sub(at_most);
    if start > 0 {
        start = all[start - 1..].iter().position(|byte| *byte == b'\n').map_or(all.len(), |end| start + end);
    }
    // It ends up in terminals and pages: what would steer them is shown, not obeyed.
    let text = String::from_utf8_lossy(&all[start..]);
    Ok(text.chars().map(|one| if one.is_control() && !"\n\t".contains(one) { '\u{fffd}' } else { one }).collect())
}

#[cfg(test)]
mod tests {
    use signalbox_core::clock::ManualClock;
    use signalbox_core::time::Micros;

    use super::*;

    fn log(folder: &Path) -> SharedLog {
        Log::open(folder, LogLimits { file_bytes: 4096, files: 3 }, Arc::new(ManualClock::at(Micros(0))))
    }

    async fn kept(text: Vec<u8>) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        keep(text.as_slice(), Stream::Out, log(folder.path())).await;
        let tail = tail(folder.path(), usize::MAX).unwrap();
        (folder, tail)
    }

    #[tokio::test]
    async fn files_are_put_aside_and_never_grow_beyond_their_bound() {
        let text: String = (0..2000).map(|number| format!("line {number}\n")).collect();
        let (folder, tail) = kept(text.into_bytes()).await;
        let sizes: Vec<u64> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
        assert_eq!(sizes.len(), 3);
        assert!(sizes.iter().all(|size| *size <= 4096), "{sizes:?}");
        let lines: Vec<&str> = tail.lines().collect();
        assert!(lines.last().unwrap().ends_with(" out line 1999"));
        let numbers = lines.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap());
        assert!(numbers.clone().eq(2000 - lines.len() as u32..2000), "no line is missing or out of order");
    }

    #[tokio::test]
    async fn every_line_is_kept_whole_or_cut() {
        let (_folder, text) = kept(b"a\n\nb\x1b[2J\xff\nlast".to_vec()).await;
        let lines: Vec<&str> = text.lines().map(|line| line.split_once(" out").unwrap().1).collect();
        assert_eq!(lines, [" a", " ", " b\u{fffd}[2J\u{fffd}", " last"]);
    }

    #[tokio::test]
    async fn a_tail_begins_with_a_whole_line() {
        let (folder, whole) = kept(b"one\ntwo\nthree\n".to_vec()).await;
        for at_most in 0..=whole.len() {
            let tail = tail(folder.path(), at_most).unwrap();
            assert!(whole.ends_with(&tail) && tail.len() <= at_most);
            assert!(tail.is_empty() || tail.starts_with("1970"), "{tail:?}");
        }
        assert_eq!(tail(folder.path(), whole.len()).unwrap(), whole);
    }

    #[test]
    fn what_no_file_takes_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(&folder.path().join("missing"));
        let mut log = log.lock().unwrap();
        log.append(Stream::Err, [b"lost".as_slice()].into_iter());
        assert!(log.lost_bytes() > 4);
        assert_eq!(log.last_line(), "lost");
    }
}
