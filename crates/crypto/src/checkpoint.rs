//! Signed checkpoints of the audit log: "at this time the chain had so many entries and ended with this hash".
//! Kept outside, they prove what a chain that only its author verifies cannot: that nothing was rewritten or cut off.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use signalbox_core::time::Micros;
use zeroize::Zeroizing;

use crate::chain::{Hash, Known, digest, from_hex, to_hex};
use crate::keyring::KeyringError;

/// What every checkpoint says of itself.
pub const FORMAT: &str = "signalbox-audit-checkpoint/1";
const DOMAIN: &[u8] = b"signalbox/audit/checkpoint/1";

/// The Ed25519 key (RFC 8032) that signs checkpoints.
pub struct AuditKey {
    key: SigningKey,
    created_at: Micros,
}

/// Its public half; written as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// A checkpoint. Its JSON is one line of a checkpoint file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    pub format: String,
    pub seq: i64,
    #[serde(with = "hex")]
    pub hash: Hash,
    pub at: Micros,
    pub public_key: PublicKey,
    #[serde(with = "hex")]
    pub signature: [u8; 64],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    format: u32,
    algorithm: String,
    secret: String,
    created_at: Micros,
}

impl AuditKey {
    /// A fresh key.
    pub fn create(now: Micros) -> Result<Self, KeyringError> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice()).map_err(|_| KeyringError::Random)?;
        Ok(Self { key: SigningKey::from_bytes(&secret), created_at: now })
    }

    /// Reads what [`AuditKey::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self, KeyringError> {
        let stored: StoredKey =
            serde_json::from_str(text).map_err(|error| KeyringError::Unreadable(error.to_string()))?;
        if stored.format != 1 || stored.algorithm != "ed25519" {
            return Err(KeyringError::Unreadable("its format is not known to this version".into()));
        }
        let encoded = Zeroizing::new(stored.secret);
        let bytes = Zeroizing::new(STANDARD.decode(encoded.as_bytes()).unwrap_or_default());
        let secret = Zeroizing::new(
            <[u8; 32]>::try_from(bytes.as_slice())
                .map_err(|_| KeyringError::Unreadable("the key is not 256 bits of base 64".into()))?,
        );
        Ok(Self { key: SigningKey::from_bytes(&secret), created_at: stored.created_at })
    }

    /// The key file's text. It holds the secret: write it with mode 0600.
    pub fn to_json(&self) -> Zeroizing<String> {
        let stored = StoredKey {
            format: 1,
            algorithm: "ed25519".into(),
            secret: STANDARD.encode(Zeroizing::new(self.key.to_bytes()).as_slice()),
            created_at: self.created_at,
        };
        Zeroizing::new(serde_json::to_string_pretty(&stored).expect("a key is plain data"))
    }

    /// What others need to check its signatures.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.key.verifying_key())
    }

    /// Signs that at `at` the chain ended with the entry `seq`, which had this hash.
    pub fn sign(&self, seq: i64, hash: Hash, at: Micros) -> Checkpoint {
        let signature = self.key.sign(&message(seq, &hash, at)).to_bytes();
        Checkpoint { format: FORMAT.into(), seq, hash, at, public_key: self.public(), signature }
    }
}

impl std::fmt::Debug for AuditKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "AuditKey({})", self.public())
    }
}

impl Checkpoint {
    /// Whether `key` signed exactly this.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let signature = Signature::from_bytes(&self.signature);
        self.format == FORMAT
            && self.public_key == *key
            && key.0.verify_strict(&message(self.seq, &self.hash, self.at), &signature).is_ok()
    }

    /// What it tells of the chain.
    pub fn known(&self) -> Known {
        Known { seq: self.seq, hash: self.hash, at: self.at }
    }
}

fn message(seq: i64, hash: &Hash, at: Micros) -> Hash {
    digest(&[DOMAIN, &seq.to_be_bytes(), hash, &at.0.to_be_bytes()])
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&to_hex(self.0.as_bytes()))
    }
}

impl std::str::FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = from_hex(text).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
        key.map(PublicKey)
            .ok_or_else(|| "a public key is 64 hexadecimal digits, as `signalbox audit key` prints it".into())
    }
}

impl Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(input)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Bytes as hexadecimal digits.
pub mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::chain::{from_hex, to_hex};

    pub fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&to_hex(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(input: D) -> Result<[u8; N], D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(input)?;
        let bytes = from_hex(&text).and_then(|bytes| <[u8; N]>::try_from(bytes).ok());
        bytes.ok_or_else(|| serde::de::Error::custom(format!("not {} hexadecimal digits", 2 * N)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = Micros(1_780_000_000_000_000);

    #[test]
    fn a_checkpoint_is_good_for_its_key_and_content_alone() {
        let key = AuditKey::create(NOW).unwrap();
        let signed = key.sign(7, [3; 32], NOW);
        let line = serde_json::to_string(&signed).unwrap();
        let read: Checkpoint = serde_json::from_str(&line).unwrap();
        assert_eq!(read, signed);
        assert!(read.is_signed_by(&key.public()));
        assert!(!read.is_signed_by(&AuditKey::create(NOW).unwrap().public()));
        let mut flipped = signed.signature;
        flipped[40] ^= 1;
        for wrong in [
            Checkpoint { seq: 8, ..signed.clone() },
            Checkpoint { hash: [4; 32], ..signed.clone() },
            Checkpoint { at: NOW.plus(1), ..signed.clone() },
            Checkpoint { format: "other".into(), ..signed.clone() },
            Checkpoint { signature: flipped, ..signed.clone() },
        ] {
            assert!(!wrong.is_signed_by(&key.public()), "{wrong:?}");
        }
    }

    #[test]
    fn a_key_reads_back_and_is_not_printed() {
        let key = AuditKey::create(NOW).unwrap();
        let text = key.to_json();
        let again = AuditKey::from_json(&text).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(key.public().to_string().parse::<PublicKey>().unwrap(), key.public());
        let secret: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(!format!("{key:?}").contains(secret["secret"].as_str().unwrap()));
        for wrong in
            ["", "{}", r#"{"format":1,"algorithm":"ed25519","secret":"AA","created_at":"2026-01-01T00:00:00Z"}"#]
        {
            assert!(AuditKey::from_json(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "00", &"0".repeat(63), &"g".repeat(64), &key.public().to_string().to_uppercase()] {
            assert!(wrong.parse::<PublicKey>().is_err(), "{wrong}");
        }
    }
}
