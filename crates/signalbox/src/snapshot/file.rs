//! The file: a first line, the parts one after the other, each compressed by gzip, the manifest as JSON, its length and
//! SHA-256, a last line. What is cut short has no last line; what was changed has another checksum.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Take, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use signalbox_core::time::Micros;

use super::contents::Contents;

const FORMAT: u32 = 1;
const FIRST: &[u8] = b"signalbox snapshot 1\n";
const LAST: &[u8] = b"signalbox snapshot ends\n";
/// A manifest has a few kilobytes.
const MANIFEST_LIMIT: u64 = 16 << 20;

/// What the file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Of the program that made it.
    pub program: String,
    pub made_at: Micros,
    /// `sqlite` or `postgres`: it is restored into the same engine.
    pub engine: String,
    #[serde(flatten)]
    pub contents: Contents,
    pub parts: Vec<Part>,
}

/// A file of SQLite, or a table of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    /// Of a table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    offset: u64,
    stored_bytes: u64,
    pub bytes: u64,
    sha256: String,
}

impl Manifest {
    /// Bytes of all parts before compression.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

/// Writes parts.
pub struct Writer {
    file: BufWriter<File>,
    offset: u64,
    parts: Vec<Part>,
}

impl Writer {
    /// For the owner alone.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = BufWriter::new(file.with_context(|| path.display().to_string())?);
        file.write_all(FIRST)?;
        Ok(Self { file, offset: FIRST.len() as u64, parts: Vec::new() })
    }

    /// One part, which `fill` writes.
    pub fn part<E>(
        &mut self,
        name: &str,
        columns: &[String],
        fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E>
    where
        E: From<io::Error>,
    {
        let stored = Counted { inner: &mut self.file, bytes: 0 };
        let mut content = Hashed { inner: GzEncoder::new(stored, Compression::fast()), hash: Sha256::new(), bytes: 0 };
        fill(&mut content)?;
        let Hashed { inner, hash, bytes } = content;
        let stored_bytes = inner.finish()?.bytes;
        let part = Part {
            name: name.to_owned(),
            columns: columns.to_vec(),
            offset: self.offset,
            stored_bytes,
            bytes,
            sha256: hex(&hash.finalize()),
        };
        self.offset += stored_bytes;
        self.parts.push(part);
        Ok(())
    }

    /// The manifest and the end; everything is on disk when this returns.
    pub fn finish(mut self, made_at: Micros, engine: &str, contents: Contents) -> anyhow::Result<Manifest> {
        let manifest = Manifest {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").into(),
            made_at,
            engine: engine.into(),
            contents,
            parts: std::mem::take(&mut self.parts),
        };
        let text = serde_json::to_vec(&manifest)?;
        self.file.write_all(&text)?;
        self.file.write_all(&(text.len() as u64).to_le_bytes())?;
        self.file.write_all(&Sha256::digest(&text))?;
        self.file.write_all(LAST)?;
        self.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        Ok(manifest)
    }
}

/// A snapshot that is read.
pub struct Snapshot {
    file: File,
    pub manifest: Manifest,
}

impl Snapshot {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Self::read(path).with_context(|| path.display().to_string())
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        let mut file = File::open(path)?;
        let mut first = vec![0; FIRST.len()];
        if file.read_exact(&mut first).is_err() || first != FIRST {
            bail!("it is no snapshot of signalbox");
        }
        const CUT: &str = "it is cut short or was changed: take another snapshot";
        let length = file.metadata()?.len();
        let behind = (8 + 32 + LAST.len()) as u64;
        ensure!(length >= FIRST.len() as u64 + behind, CUT);
        file.seek(SeekFrom::Start(length - behind))?;
        let (mut size, mut digest, mut last) = ([0; 8], [0; 32], vec![0; LAST.len()]);
        file.read_exact(&mut size)?;
        file.read_exact(&mut digest)?;
        file.read_exact(&mut last)?;
        let size = u64::from_le_bytes(size);
        ensure!(last == LAST && size <= MANIFEST_LIMIT && size + behind <= length, CUT);
        file.seek(SeekFrom::Start(length - behind - size))?;
        let mut text = Vec::new();
        Read::by_ref(&mut file).take(size).read_to_end(&mut text)?;
        ensure!(Sha256::digest(&text)[..] == digest, CUT);
        let said: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&text)?;
        let format = said.get("format").and_then(serde_json::Value::as_u64).unwrap_or_default();
        ensure!(
            format == u64::from(FORMAT),
            "it has format {format}, this program knows {FORMAT}; use a newer signalbox"
        );
        Ok(Self { file, manifest: serde_json::from_slice(&text)? })
    }

    /// Reads a part; the last read fails where the content is not what was written.
    pub fn part(&self, part: &Part) -> io::Result<PartReader> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(part.offset))?;
        let stored = BufReader::new(file).take(part.stored_bytes);
        Ok(PartReader {
            inner: GzDecoder::new(stored),
            hash: Some(Sha256::new()),
            left: part.bytes,
            part: part.clone(),
        })
    }
}

/// The content of a part.
pub struct PartReader {
    inner: GzDecoder<Take<BufReader<File>>>,
    /// Until the end was seen.
    hash: Option<Sha256>,
    left: u64,
    part: Part,
}

impl Read for PartReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let told = |what: &str| {
            io::Error::new(io::ErrorKind::InvalidData, format!("part {} of the snapshot {what}", self.part.name))
        };
        let count = self.inner.read(out).map_err(|error| told(&format!("cannot be read: {error}")))?;
        if out.is_empty() {
            return Ok(0);
        }
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| told("is longer than it was written"))?;
        if let Some(hash) = &mut self.hash {
            hash.update(&out[..count]);
        }
        if count == 0
            && let Some(hash) = self.hash.take()
            && (self.left > 0 || hex(&hash.finalize()) != self.part.sha256)
        {
            return Err(told("is not what was written: its checksum differs"));
        }
        Ok(count)
    }
}

struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

struct Hashed<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing in it is like what stands before it for long: a changed byte changes the content.
    fn text(letter: char) -> Vec<u8> {
        (0..800).map(|number| format!("{letter}{number} ")).collect::<String>().into_bytes()
    }

    fn made(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("snapshot");
        let mut writer = Writer::create(&path).unwrap();
        for (name, letter) in [("one", 'a'), ("two", 'b')] {
            writer.part::<io::Error>(name, &[], |out| out.write_all(&text(letter))).unwrap();
        }
        writer.finish(Micros(7), "sqlite", Contents::default()).unwrap();
        path
    }

    fn content(path: &Path, number: usize) -> anyhow::Result<Vec<u8>> {
        let snapshot = Snapshot::open(path)?;
        let mut content = Vec::new();
        snapshot.part(&snapshot.manifest.parts[number])?.read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = made(folder.path());
        assert_eq!(content(&path, 0).unwrap(), text('a'));
        assert_eq!(content(&path, 1).unwrap(), text('b'));
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(std::fs::metadata(&path).unwrap().len() < 2 * text('a').len() as u64, "it is compressed");
    }

    #[test]
    fn no_byte_may_change_and_none_may_miss() {
        let folder = tempfile::tempdir().unwrap();
        let path = made(folder.path());
        let whole = std::fs::read(&path).unwrap();
        let reads = || (0..2).try_for_each(|number| content(&path, number).map(drop));
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            reads().unwrap_err();
        }
        let mut unnoticed = 0;
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 0x10;
            std::fs::write(&path, changed).unwrap();
            unnoticed += u32::from(reads().is_ok());
        }
        // The heads of two gzip streams hold bytes that mean nothing: time, system.
        assert!(unnoticed <= 2 * 10, "{unnoticed} changed bytes were not noticed");
    }
}
