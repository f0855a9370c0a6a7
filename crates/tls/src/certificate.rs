//! A certificate chain with its key, read from PEM, and what it says about itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use signalbox_core::time::{Micros, SECOND};
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Why a certificate cannot be used; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: {source}; the server must be able to read it", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{place}: no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate { place: String },
    #[error("{place}: no private key in PEM form (PKCS #8, SEC 1 or PKCS #1)")]
    NoKey { place: String },
    #[error("{place}: {reason}")]
    Bad { place: String, reason: String },
    #[error("the key does not belong to the certificate: check that both files are of the same renewal")]
    Mismatch,
    #[error("the certificate expired at {0}: renew it")]
    Expired(Micros),
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
    #[error("{}: {source}", path.display())]
    Unwritable { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Roots(String),
}

/// A chain with its key, checked to belong together.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub key: Arc<CertifiedKey>,
    pub facts: Facts,
}

/// What a certificate says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// DNS names and addresses, as written.
    pub names: Vec<String>,
    pub not_before: Micros,
    pub not_after: Micros,
}

impl Certificate {
    /// Reads the chain from one file and the key from another (or the same).
    pub fn load(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        let read =
            |path: &Path| fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source });
        Self::parse(&read(chain)?, &chain.display().to_string(), &read(key)?, &key.display().to_string())
    }

    /// The same from bytes; the places are for errors.
    pub fn parse(chain: &[u8], chain_place: &str, key: &[u8], key_place: &str) -> Result<Self, TlsError> {
        let bad = |place: &str, reason: String| TlsError::Bad { place: place.to_owned(), reason };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| bad(chain_place, error.to_string()))?;
        let first = chain.first().ok_or_else(|| TlsError::NoCertificate { place: chain_place.to_owned() })?;
        let facts = Facts::read(first).map_err(|reason| bad(chain_place, reason))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            rustls::pki_types::pem::Error::NoItemsFound => TlsError::NoKey { place: key_place.to_owned() },
            error => bad(key_place, error.to_string()),
        })?;
        let signer = rustls::crypto::ring::sign::any_supported_type(&key)
            .map_err(|error| bad(key_place, format!("{error}; use an ECDSA P-256, Ed25519 or RSA key")))?;
        let key = CertifiedKey::new(chain, signer);
        match key.keys_match() {
            Ok(()) => Ok(Self { key: Arc::new(key), facts }),
            Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatch),
            Err(error) => Err(bad(chain_place, error.to_string())),
        }
    }

    /// Whether it still counts.
    pub fn require_current(self, now: Micros) -> Result<Self, TlsError> {
        if self.facts.not_after <= now { Err(TlsError::Expired(self.facts.not_after)) } else { Ok(self) }
    }
}

impl Facts {
    fn read(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let parsed = x509_cert::Certificate::from_der(certificate).map_err(|error| error.to_string())?;
        let content = parsed.tbs_certificate;
        let micros = |time: x509_cert::time::Time| {
            Micros(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX / SECOND).saturating_mul(SECOND))
        };
        let alternatives = content.get::<SubjectAltName>().map_err(|error| error.to_string())?;
        let names =
            alternatives.map_or(Vec::new(), |(_, alternatives)| alternatives.0.iter().filter_map(name).collect());
        Ok(Self {
            names,
            not_before: micros(content.validity.not_before),
            not_after: micros(content.validity.not_after),
        })
    }

    /// Whether every one of `wanted` is a name of it.
    pub fn covers(&self, wanted: &[String]) -> bool {
        wanted.iter().all(|wanted| self.names.iter().any(|name| name.eq_ignore_ascii_case(wanted)))
    }
}

fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => match bytes.as_bytes().len() {
            4 => <[u8; 4]>::try_from(bytes.as_bytes()).ok().map(|four| std::net::IpAddr::from(four).to_string()),
            _ => <[u8; 16]>::try_from(bytes.as_bytes()).ok().map(|six| std::net::IpAddr::from(six).to_string()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(names: &[&str]) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let made = made.unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn parse(chain: &str, key: &str) -> Result<Certificate, TlsError> {
        Certificate::parse(chain.as_bytes(), "cert.pem", key.as_bytes(), "key.pem")
    }

    #[test]
    fn a_chain_and_its_key_are_read() {
        let (chain, key) = pair(&["t.example.org", "127.0.0.1"]);
        let facts = parse(&chain, &key).unwrap().facts;
        assert_eq!(facts.names, ["t.example.org", "127.0.0.1"]);
        assert!(facts.covers(&["T.example.org".into()]) && !facts.covers(&["other.example.org".into()]));
        assert!(facts.not_before < facts.not_after);
        let both = format!("{key}{chain}");
        assert_eq!(parse(&both, &both).unwrap().facts, facts, "one file may hold both");
    }

    #[test]
    fn what_cannot_work_is_refused_in_words() {
        let (chain, key) = pair(&["t.example.org"]);
        let (_, other) = pair(&["t.example.org"]);
        let said = |chain: &str, key: &str| parse(chain, key).unwrap_err().to_string();
        assert!(said(&chain, &other).contains("does not belong"));
        assert!(said("", &key).starts_with("cert.pem: no certificate"));
        assert!(said(&chain, "").starts_with("key.pem: no private key"));
        assert!(said(&chain[..chain.len() / 2], &key).starts_with("cert.pem: "));
        assert!(said("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key).starts_with("cert.pem: "));
        let expired = parse(&chain, &key).unwrap().require_current(Micros(i64::MAX)).unwrap_err();
        assert!(expired.to_string().contains("renew"));
    }
}
