//! The audit log of this installation: its key, where its checkpoints go, and who runs a command.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, bail};
use signalbox_audit::checkpoint::{Checkpointer, Policy, Sinks, read_lines};
use signalbox_audit::verify::{self, Outside, Report};
use signalbox_core::clock::{Clock as _, SystemClock};
use signalbox_crypto::checkpoint::AuditKey;
use signalbox_store::Store;

use crate::installation::Installation;
use crate::keyfile;
use crate::settings::Settings;

/// The name of the user whom this process belongs to, from the entry of its uid in the file of accounts.
pub fn user_name() -> String {
    let uid = rustix::process::getuid().as_raw();
    let accounts = fs::read("/etc/passwd").unwrap_or_default();
    account(&String::from_utf8_lossy(&accounts), uid).map_or_else(|| format!("uid {uid}"), str::to_owned)
}

/// The name of `uid` in a file of accounts (passwd(5)).
fn account(accounts: &str, uid: u32) -> Option<&str> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

fn key_path(data: &Path) -> PathBuf {
    data.join("keys").join("audit.json")
}

/// The key that signs checkpoints; made where there is none.
pub fn key_of(data: &Path) -> anyhow::Result<AuditKey> {
    let path = key_path(data);
    if let Some(key) = existing_key(data)? {
        return Ok(key);
    }
    keyfile::make_once(&path, &AuditKey::create(SystemClock.now())?.to_json())?;
    existing_key(data)?.with_context(|| path.display().to_string())
}

/// The key that signs checkpoints, where there is one.
pub fn existing_key(data: &Path) -> anyhow::Result<Option<AuditKey>> {
    let path = key_path(data);
    match keyfile::read_private(&path) {
        Ok(text) => Ok(Some(AuditKey::from_json(&text).with_context(|| path.display().to_string())?)),
        Err(error) if keyfile::is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The file to which checkpoints are appended.
pub fn checkpoint_file(settings: &Settings) -> PathBuf {
    match settings.audit.checkpoints.as_os_str().is_empty() {
        true => settings.server.data.join("audit-checkpoints.jsonl"),
        false => settings.audit.checkpoints.clone(),
    }
}

/// Verifies the log in the store against `outside`, the key of this installation, and, where `outside` has no
/// checkpoints, those of its own file.
pub fn verify_store(
    store: &Store,
    settings: &Settings,
    mut outside: Outside,
    progress: impl FnMut(u64),
) -> anyhow::Result<Report> {
    if outside.checkpoints.is_empty() {
        let path = checkpoint_file(settings);
        if path.exists() {
            outside.checkpoints = read_lines(&path).with_context(|| path.display().to_string())?;
        }
    }
    let data = &settings.server.data;
    match existing_key(data)? {
        Some(key) => outside.keys.push(key.public()),
        None if outside.keys.is_empty() && !outside.checkpoints.is_empty() => {
            bail!("the key that signed the checkpoints is not in {}; name it with --key", data.display())
        }
        None => (),
    }
    Ok(verify::store(store, &outside, progress)?)
}

/// Where checkpoints go.
pub fn sinks(settings: &Settings) -> anyhow::Result<Sinks> {
    let syslog = &settings.audit.syslog;
    let syslog = if syslog.is_empty() { None } else { Some(syslog.parse()?) };
    Ok(Sinks { file: checkpoint_file(settings), syslog })
}

/// Makes checkpoints for as long as the server runs, while `leads` holds.
pub fn start_checkpointer(open: &Installation, leads: Arc<AtomicBool>) -> anyhow::Result<Checkpointer> {
    let settings = &open.settings.audit;
    let policy = Policy {
        entries: i64::try_from(settings.checkpoint_entries).unwrap_or(i64::MAX),
        every: settings.checkpoint_every.0,
    };
    let key = key_of(open.data())?;
    Ok(Checkpointer::start(open.store.clone(), key, sinks(&open.settings)?, policy, open.clock.clone(), leads)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_that_of_the_uid() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\n# 1000\n:x:1000:\nanna:x:1000:1000::/home:/bin/sh\nbert:x:100:";
        assert_eq!(account(accounts, 0), Some("root"));
        assert_eq!(account(accounts, 1000), Some("anna"));
        assert_eq!(account(accounts, 7), None);
    }

    #[test]
    fn the_key_is_made_once_and_kept_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        assert!(existing_key(folder.path()).unwrap().is_none());
        let made = key_of(folder.path()).unwrap().public();
        assert_eq!(key_of(folder.path()).unwrap().public(), made);
        let file = key_path(folder.path());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("keys")).unwrap().count(), 1, "no temporary file stays");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(key_of(folder.path()).unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "{}").unwrap();
        key_of(folder.path()).unwrap_err();
    }
}
