//! The access log: one JSON object per request. Threads fill buffers of their own and hand over whole ones; one thread
//! writes. What it cannot take in time is dropped and counted, and never holds up a request.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::settings::AccessLog;
use crate::stats::Counter;

/// A buffer is handed over when it has so many bytes, and at each sweep.
const BATCH: usize = 32 * 1024;
/// Buffers under way.
const QUEUE: usize = 256;
/// How often it looks whether somebody moved the file away (logrotate).
const LOOK: Duration = Duration::from_secs(1);

/// The thread that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    sender: SyncSender<Vec<u8>>,
    pub(crate) dropped: Arc<Counter>,
    thread: JoinHandle<()>,
}

/// One thread's lines.
#[derive(Debug)]
pub(crate) struct Lines {
    sender: Option<SyncSender<Vec<u8>>>,
    dropped: Arc<Counter>,
    buffer: RefCell<Vec<u8>>,
}

impl Writer {
    /// None where there is no access log.
    pub(crate) fn start(place: &AccessLog) -> std::io::Result<Option<Self>> {
        let (sender, receiver) = sync_channel(QUEUE);
        let name = std::thread::Builder::new().name("access-log".into());
        let thread = match place {
            AccessLog::Off => return Ok(None),
            AccessLog::Stdout => name.spawn(move || write_to_stdout(&receiver))?,
            AccessLog::File(path) => {
                let (path, file) = (path.clone(), open(path)?);
                name.spawn(move || write_to_file(&receiver, &path, file))?
            }
        };
        Ok(Some(Self { sender, dropped: Arc::default(), thread }))
    }

    pub(crate) fn lines(writer: Option<&Self>) -> Lines {
        Lines {
            sender: writer.map(|writer| writer.sender.clone()),
            dropped: writer.map(|writer| Arc::clone(&writer.dropped)).unwrap_or_default(),
            buffer: RefCell::default(),
        }
    }

    /// Writes what is under way; all [`Lines`] must be gone.
    pub(crate) fn finish(self) {
        drop(self.sender);
        let _ = self.thread.join();
    }
}

impl Lines {
    pub(crate) fn is_on(&self) -> bool {
        self.sender.is_some()
    }

    /// Adds a line by `write`, which ends it.
    pub(crate) fn add(&self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.sender.is_none() {
            return;
        }
        let mut buffer = self.buffer.borrow_mut();
        write(&mut buffer);
        if buffer.len() >= BATCH {
            let full = std::mem::replace(&mut *buffer, Vec::with_capacity(BATCH + 1024));
            self.hand_over(full);
        }
    }

    pub(crate) fn flush(&self) {
        let buffer = std::mem::take(&mut *self.buffer.borrow_mut());
        if !buffer.is_empty() {
            self.hand_over(buffer);
        }
    }

    fn hand_over(&self, full: Vec<u8>) {
        let Some(sender) = &self.sender else { return };
        if let Err(TrySendError::Full(lost) | TrySendError::Disconnected(lost)) = sender.try_send(full) {
            self.dropped.add(lost.iter().filter(|byte| **byte == b'\n').count() as u64);
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.flush();
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write_to_stdout(lines: &Receiver<Vec<u8>>) {
    let mut out = std::io::stdout();
    for batch in lines {
        if out.write_all(&batch).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

fn write_to_file(lines: &Receiver<Vec<u8>>, path: &Path, mut file: File) {
    let mut looked = std::time::Instant::now();
    loop {
        match lines.recv_timeout(LOOK) {
            Ok(batch) => {
                if let Err(error) = file.write_all(&batch) {
                    tracing::error!(%error, "the access log cannot be written; requests go on without it");
                }
            }
            Err(RecvTimeoutError::Timeout) => (),
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if looked.elapsed() >= LOOK {
            looked = std::time::Instant::now();
            let same = |file: &File| Some(file.metadata().ok()?.ino() == path.metadata().ok()?.ino());
            if same(&file) != Some(true)
                && let Ok(new) = open(path)
            {
                file = new;
            }
        }
    }
}

/// Puts `text` into `out` as the inside of a JSON string. Bytes that are not UTF-8 are told as U+FFFD.
pub(crate) fn escape(out: &mut Vec<u8>, text: &[u8]) {
    if text.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'"' && *byte != b'\\') {
        return out.extend_from_slice(text);
    }
    for letter in String::from_utf8_lossy(text).chars() {
        match letter {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_is_a_json_string(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut out = vec![b'"'];
            escape(&mut out, &text);
            out.push(b'"');
            let read: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&text).into_owned());
            prop_assert!(!out.contains(&b'\n'));
        }
    }

    #[test]
    fn lines_reach_the_file_even_after_it_was_moved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let writer = Writer::start(&AccessLog::File(path.clone())).unwrap().unwrap();
        let lines = Writer::lines(Some(&writer));
        lines.add(|out| out.extend_from_slice(b"one\n"));
        lines.flush();
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        while !path.exists() {
            std::thread::yield_now();
        }
        lines.add(|out| out.extend_from_slice(b"two\n"));
        drop(lines);
        writer.finish();
        assert_eq!(std::fs::read_to_string(folder.path().join("old")).unwrap(), "one\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "two\n");
    }
}
