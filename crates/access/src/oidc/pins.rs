//! Pins: a server is asked only when its certificate holds one of these public keys, and is trusted besides.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use sha2::{Digest as _, Sha256};
use webpki::EndEntityCert;

/// The SHA-256 of a public key as certificates write it (RFC 7469, section 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pin([u8; 32]);

impl Pin {
    /// Reads `sha256/` and base64.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bytes = text.strip_prefix("sha256/").and_then(|text| STANDARD.decode(text).ok());
        let hash = bytes.and_then(|bytes| bytes.try_into().ok());
        hash.map(Self)
            .ok_or_else(|| format!("{text:?} is no pin: write sha256/ and the SHA-256 of a public key in base64"))
    }

    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let key = EndEntityCert::try_from(certificate).ok()?.subject_public_key_info();
        Some(Self(Sha256::digest(key.as_ref()).into()))
    }
}

/// Trusts what `trusted` does, if its key is pinned. Only the server's own certificate counts: whoever holds any trusted
/// one could send somebody's authority along.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) trusted: Arc<WebPkiServerVerifier>,
    pub(super) pins: Vec<Pin>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.trusted.verify_server_cert(own, chain, name, ocsp, now)?;
        match Pin::of(own) {
            Some(pin) if self.pins.contains(&pin) => Ok(verified),
            _ => Err(Error::General("the key of its certificate is not one of the pins".into())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trusted.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trusted.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trusted.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_and_mistakes_told() {
        assert_eq!(Pin::parse("sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), Ok(Pin([0; 32])));
        for wrong in ["", "sha256/", "sha256/AAAA", "sha1/AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
            assert!(Pin::parse(wrong).unwrap_err().contains("sha256/"), "{wrong}");
        }
    }
}
