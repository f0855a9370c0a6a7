//! A file of checkpoints: one per line, synced, only ever appended to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use signalbox_crypto::checkpoint::{Checkpoint, FORMAT};

/// A line that says that it is a checkpoint.
#[derive(Debug, Clone)]
pub struct Line {
    /// From 1.
    pub number: usize,
    /// `None` when it cannot be read as one.
    pub checkpoint: Option<Checkpoint>,
}

/// Appends a line and puts it on disk.
pub fn append_line(path: &Path, checkpoint: &Checkpoint) -> io::Result<()> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
    let mut line = String::new();
    // A line that a crash left unfinished must not spoil this one.
    if file.metadata()?.len() > 0 && file.metadata()?.is_file() {
        let mut end = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut end)?;
        if end != *b"\n" {
            line.push('\n');
        }
    }
    line.push_str(&serde_json::to_string(checkpoint)?);
    line.push('\n');
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    if is_new && let Some(folder) = path.parent() {
        File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?.sync_all()?;
    }
    Ok(())
}

/// The checkpoints of a file. Other text around them, as syslog writes it, is passed over.
pub fn read_lines(path: &Path) -> io::Result<Vec<Line>> {
    let text = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
    let whole = text.ends_with('\n');
    let count = text.lines().count();
    let lines = (1..).zip(text.lines()).filter(|(_, line)| line.contains(FORMAT)).filter_map(|(number, line)| {
        let checkpoint = line.find('{').and_then(|start| {
            let mut values = serde_json::Deserializer::from_str(&line[start..]).into_iter::<Checkpoint>();
            values.next()?.ok()
        });
        // The last line may be unfinished after a crash.
        (checkpoint.is_some() || whole || number < count).then_some(Line { number, checkpoint })
    });
    Ok(lines.collect())
}

/// The last readable checkpoint of a file, if there is one.
pub fn last_in(path: &Path) -> io::Result<Option<Checkpoint>> {
    match read_lines(path) {
        Ok(lines) => Ok(lines.into_iter().rev().find_map(|line| line.checkpoint)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use signalbox_core::time::Micros;
    use signalbox_crypto::checkpoint::AuditKey;

    use super::*;

    #[test]
    fn lines_survive_crashes_and_syslog() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoints.jsonl");
        assert!(last_in(&path).unwrap().is_none());
        let key = AuditKey::create(Micros(0)).unwrap();
        let (one, two) = (key.sign(1, [1; 32], Micros(1)), key.sign(2, [2; 32], Micros(2)));
        append_line(&path, &one).unwrap();
        // A crash in the middle of a line.
        let torn = &serde_json::to_string(&two).unwrap()[..60];
        OpenOptions::new().append(true).open(&path).unwrap().write_all(torn.as_bytes()).unwrap();
        assert_eq!(last_in(&path).unwrap(), Some(one.clone()));
        assert_eq!(read_lines(&path).unwrap().len(), 1, "an unfinished last line is passed over");
        append_line(&path, &two).unwrap();
        assert_eq!(last_in(&path).unwrap(), Some(two.clone()));
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 3);
        let as_syslog = format!(
            "Jan 1 host other: {{}}\n<109>1 - host signalbox 1 checkpoint - {}\n",
            text.lines().next().unwrap()
        );
        std::fs::write(&path, as_syslog).unwrap();
        let lines = read_lines(&path).unwrap();
        assert_eq!((lines.len(), lines[0].number, lines[0].checkpoint.as_ref()), (1, 2, Some(&one)));
    }
}
