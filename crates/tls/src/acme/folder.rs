//! The folder `acme` in the data directory: account, certificate with its key, and how the last attempt went.
//! Readable by its owner alone; every file is replaced whole.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use signalbox_core::time::Micros;

use crate::certificate::{Certificate, TlsError};

/// Where everything lies.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// How ordering goes; what `signalbox doctor` shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The directory that issued the certificate in the folder.
    pub issued_by: String,
    /// Attempts that failed since the last success.
    pub failures: u32,
    /// When the last attempt ended, in microseconds.
    pub tried_at: i64,
    /// Why it failed; empty when it did not.
    pub error: String,
}

impl State {
    /// When the last attempt ended, if there was one.
    pub fn tried_at(&self) -> Option<Micros> {
        (self.tried_at != 0).then_some(Micros(self.tried_at))
    }
}

impl Folder {
    /// The folder below `data`; made when something is written.
    pub fn below(data: &Path) -> Self {
        Self(data.join("acme"))
    }

    fn certificate_path(&self) -> PathBuf {
        self.0.join("certificate.pem")
    }

    fn account_path(&self) -> PathBuf {
        self.0.join("account.json")
    }

    fn state_path(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// The certificate that was issued last, if there is one.
    pub fn certificate(&self) -> Result<Option<Certificate>, TlsError> {
        let path = self.certificate_path();
        if !path.exists() {
            return Ok(None);
        }
        require_private(&path)?;
        Certificate::load(&path, &path).map(Some)
    }

    /// How the last attempt went. A file that cannot be read counts as none: it only says when to try again.
    pub fn state(&self) -> State {
        fs::read(self.state_path()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    pub(super) fn account(&self) -> Result<Option<Vec<u8>>, TlsError> {
        let path = self.account_path();
        if !path.exists() {
            return Ok(None);
        }
        require_private(&path)?;
        fs::read(&path).map(Some).map_err(|source| TlsError::Unreadable { path, source })
    }

    /// Chain and key in one file, so that they never belong to different renewals.
    pub(super) fn put_certificate(&self, chain: &str, key: &str) -> Result<(), TlsError> {
        self.put(&self.certificate_path(), format!("{}\n{}\n", chain.trim_end(), key.trim_end()).as_bytes())
    }

    pub(super) fn put_account(&self, account: &[u8]) -> Result<(), TlsError> {
        self.put(&self.account_path(), account)
    }

    pub(super) fn put_state(&self, state: &State) -> Result<(), TlsError> {
        self.put(&self.state_path(), &serde_json::to_vec(state).unwrap_or_default())
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), TlsError> {
        let written = || {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
            let beside = path.with_extension("new");
            // One that a crash left behind may have other permissions.
            let _ = fs::remove_file(&beside);
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, path)?;
            File::open(&self.0)?.sync_all()
        };
        written().map_err(|source| TlsError::Unwritable { path: path.to_owned(), source })
    }
}

fn require_private(path: &Path) -> Result<(), TlsError> {
    let meta = fs::metadata(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })?;
    if meta.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    let place = path.display().to_string();
    Err(TlsError::Bad { reason: format!("others may read this secret; run: chmod 600 {place}"), place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_kept_private_and_refused_when_they_are_not() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::below(data.path());
        assert!(folder.account().unwrap().is_none());
        folder.put_account(b"{}").unwrap();
        folder.put_account(b"{\"again\":1}").unwrap();
        assert_eq!(folder.account().unwrap().unwrap(), b"{\"again\":1}");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder.account_path()), mode(&folder.0)), (0o600, 0o700));
        fs::set_permissions(folder.account_path(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(folder.account().unwrap_err().to_string().contains("chmod 600"));
    }
}
