//! TLS to PostgreSQL, with libpq's words: `sslmode` and `sslrootcert` in the URL.
//! prefer: encrypted where the server can. require: always. verify-ca: and the server's chain is checked.
//! verify-full: and its name. With `sslrootcert`, require means verify-ca, as with libpq.

use std::sync::Arc;

use percent_encoding::percent_decode_str;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, version};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::StoreError;

/// What a URL says about TLS.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    mode: Mode,
    root: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Wanted {
    /// Takes what is about TLS out of `url`; the rest is the driver's.
    pub(super) fn split(url: &str) -> Result<(String, Self), StoreError> {
        let mut wanted = Self { mode: Mode::Prefer, root: None };
        let (start, options, separator) = match url.split_once('?') {
            Some((start, query)) if url.contains("://") => (Some(start), query, '&'),
            _ if url.contains("://") => return Ok((url.to_owned(), wanted)),
            _ => (None, url, ' '),
        };
        let mut rest = Vec::new();
        for option in options.split(separator) {
            match option.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
                Some(("sslmode", word)) => wanted.mode = Mode::parse(word)?,
                Some(("sslrootcert", path)) if separator == '&' => wanted.root = Some(decode(path)),
                Some(("sslrootcert", path)) => wanted.root = Some(path.trim_matches('\'').to_owned()),
                _ => rest.push(option),
            }
        }
        let rest = rest.join(&separator.to_string());
        let driver = match start {
            None => rest,
            Some(start) if rest.is_empty() => start.to_owned(),
            Some(start) => format!("{start}?{rest}"),
        };
        Ok((driver, wanted))
    }

    /// What the driver must insist on.
    pub(super) fn driver_mode(&self) -> SslMode {
        match self.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }

    /// What makes the encrypted connections.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, StoreError> {
        let provider = Arc::new(ring::default_provider());
        let bad = |error: &dyn std::fmt::Display| StoreError::BadUrl(format!("TLS cannot be set up: {error}"));
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|error| bad(&error))?;
        let checks_chain = match self.mode {
            Mode::Disable | Mode::Prefer => false,
            Mode::Require => self.root.is_some(),
            Mode::VerifyCa | Mode::VerifyFull => true,
        };
        let chain = match checks_chain {
            false => None,
            true => {
                let roots = Arc::new(self.roots()?);
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
                Some(verifier.map_err(|error| bad(&error))?)
            }
        };
        let verifier = Arc::new(Verifier { provider, chain, checks_name: self.mode == Mode::VerifyFull });
        let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, StoreError> {
        let mut roots = RootCertStore::empty();
        match self.root.as_deref() {
            Some(path) if path != "system" => {
                let bad = |error: &dyn std::fmt::Display| StoreError::BadUrl(format!("sslrootcert={path}: {error}"));
                for root in CertificateDer::pem_file_iter(path).map_err(|error| bad(&error))? {
                    roots.add(root.map_err(|error| bad(&error))?).map_err(|error| bad(&error))?;
                }
            }
            _ => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        if roots.is_empty() {
            let text = "no trusted certificates were found: name the file of the server's authority with sslrootcert=";
            return Err(StoreError::BadUrl(text.into()));
        }
        Ok(roots)
    }
}

impl Mode {
    fn parse(word: &str) -> Result<Self, StoreError> {
        Ok(match word.trim_matches('\'') {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            other => {
                let text = format!("sslmode={other}: it is disable, prefer, require, verify-ca or verify-full");
                return Err(StoreError::BadUrl(text));
            }
        })
    }
}

/// Percent-encoded text as it is; what is no encoding stays.
fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Checks as much as the mode asks for; that the server holds the key of its certificate, always.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    chain: Option<Arc<WebPkiServerVerifier>>,
    checks_name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end, intermediates, name, ocsp, now) {
            // The name is looked at last, when the chain is good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_tls_is_taken_out_of_the_url() {
        let split = |url: &str| Wanted::split(url).unwrap();
        let wanted = |mode, root: Option<&str>| Wanted { mode, root: root.map(str::to_owned) };
        assert_eq!(split("postgres://u@h/d"), ("postgres://u@h/d".into(), wanted(Mode::Prefer, None)));
        assert_eq!(
            split("postgres://u@h/d?a=b&sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&c=d"),
            ("postgres://u@h/d?a=b&c=d".into(), wanted(Mode::VerifyFull, Some("/etc/ca.pem")))
        );
        assert_eq!(
            split("host=h user=u sslmode=require sslrootcert='/ca.pem'"),
            ("host=h user=u".into(), wanted(Mode::Require, Some("/ca.pem")))
        );
        let error = Wanted::split("postgres://u@h/d?sslmode=yes").unwrap_err().to_string();
        assert!(error.contains("verify-full"), "{error}");
    }

    #[test]
    fn the_driver_never_asks_for_less_than_the_url() {
        let mode = |word: &str| Wanted::split(&format!("postgres://h?sslmode={word}")).unwrap().1.driver_mode();
        assert_eq!(mode("disable"), SslMode::Disable);
        assert_eq!(mode("prefer"), SslMode::Prefer);
        for word in ["require", "verify-ca", "verify-full"] {
            assert_eq!(mode(word), SslMode::Require, "{word}");
        }
    }
}
