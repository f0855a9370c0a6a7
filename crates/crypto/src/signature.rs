//! Public keys of others (sign-in providers, passkeys) and the signatures that they made. Only three kinds, and a
//! signature is checked only with the algorithm of its key: nothing a sender writes chooses another one.

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

/// A public key, not yet known to be one of the curve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// RSASSA-PKCS1-v1_5 with SHA-256; modulus and exponent, big-endian. 2,048 to 8,192 bits.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    /// ECDSA on P-256 with SHA-256; the uncompressed point.
    P256 { point: [u8; 65] },
    /// Ed25519.
    Ed25519 { key: [u8; 32] },
}

/// How an ECDSA signature is written. The other algorithms have one form only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `r ‖ s`, as JSON web signatures have it (RFC 7518, section 3.4).
    Fixed,
    /// ASN.1, as WebAuthn has it.
    Asn1,
}

impl PublicKey {
    /// A P-256 key from its coordinates.
    pub fn p256(x: &[u8], y: &[u8]) -> Option<Self> {
        let mut point = [4; 65];
        (x.len() == 32 && y.len() == 32).then_some(())?;
        point[1..33].copy_from_slice(x);
        point[33..].copy_from_slice(y);
        Some(Self::P256 { point })
    }

    /// An Ed25519 key.
    pub fn ed25519(key: &[u8]) -> Option<Self> {
        Some(Self::Ed25519 { key: key.try_into().ok()? })
    }

    /// An RSA key.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        // Leading zeros are cut: ring refuses them, and some providers write them.
        let cut = |bytes: &[u8]| bytes.iter().position(|byte| *byte != 0).map(|start| bytes[start..].to_vec());
        Some(Self::Rsa { modulus: cut(modulus)?, exponent: cut(exponent)? })
    }

    /// Whether `signature` of `message` was made with this key.
    pub fn verifies(&self, message: &[u8], signature: &[u8], form: Form) -> bool {
        let outcome = match self {
            Self::Rsa { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
            Self::P256 { point } => {
                let algorithm = match form {
                    Form::Fixed => &ECDSA_P256_SHA256_FIXED,
                    Form::Asn1 => &ECDSA_P256_SHA256_ASN1,
                };
                UnparsedPublicKey::new(algorithm, point).verify(message, signature)
            }
            Self::Ed25519 { key } => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
        };
        outcome.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};

    use super::*;

    #[test]
    fn signatures_hold_for_their_message_key_and_form_only() {
        let random = SystemRandom::new();
        let pair = Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref()).unwrap();
        let key = PublicKey::ed25519(pair.public_key().as_ref()).unwrap();
        let signature = pair.sign(b"message");
        assert!(key.verifies(b"message", signature.as_ref(), Form::Fixed));
        assert!(!key.verifies(b"massage", signature.as_ref(), Form::Fixed));

        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref();
        let key = PublicKey::p256(&point[1..33], &point[33..]).unwrap();
        let signature = pair.sign(&random, b"message").unwrap();
        assert!(key.verifies(b"message", signature.as_ref(), Form::Fixed));
        assert!(!key.verifies(b"message", signature.as_ref(), Form::Asn1));
        assert!(!key.verifies(b"message", &[0; 64], Form::Fixed), "a zero signature");
        assert!(!PublicKey::p256(&[0; 32], &[0; 32]).unwrap().verifies(b"message", signature.as_ref(), Form::Fixed));
    }

    #[test]
    fn keys_of_a_wrong_size_are_none() {
        assert!(PublicKey::p256(&[1; 31], &[1; 32]).is_none());
        assert!(PublicKey::ed25519(&[1; 33]).is_none());
        assert!(PublicKey::rsa(&[0, 0], &[1, 0, 1]).is_none());
        let short = PublicKey::rsa(&[0xff; 128], &[1, 0, 1]).unwrap();
        assert!(!short.verifies(b"message", &[1; 128], Form::Fixed), "1,024 bits are too few");
    }
}
