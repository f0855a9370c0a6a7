//! Public keys as authenticators write them (COSE, RFC 9053, in CTAP2's canonical CBOR): a map of small integers to
//! integers and bytes, and nothing else.

use signalbox_crypto::signature::PublicKey;

/// The algorithms that are asked for, best first, by their COSE numbers: EdDSA, ES256, RS256.
pub(crate) const ALGORITHMS: [i64; 3] = [-8, -7, -257];
/// No key of ours has more members.
const MOST_MEMBERS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item<'b> {
    Int(i64),
    Bytes(&'b [u8]),
}

/// Reads the key at the beginning of `bytes`; also gives what follows it.
pub(crate) fn read_key(bytes: &[u8]) -> Option<(PublicKey, &[u8])> {
    let (major, count, mut rest) = head(bytes)?;
    let count = usize::try_from(count).ok().filter(|count| major == 5 && *count <= MOST_MEMBERS)?;
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        let (Item::Int(label), after) = item(rest)? else { return None };
        let (value, after) = item(after)?;
        // The same label twice could be read in two ways.
        if members.iter().any(|(known, _)| *known == label) {
            return None;
        }
        members.push((label, value));
        rest = after;
    }
    let get = |label: i64| members.iter().find(|(known, _)| *known == label).map(|(_, value)| *value);
    let bytes_of = |label: i64| match get(label) {
        Some(Item::Bytes(bytes)) => Some(bytes),
        _ => None,
    };
    let kind = (get(1)?, get(3)?, get(-1)?);
    let key = match kind {
        (Item::Int(1), Item::Int(-8), Item::Int(6)) => PublicKey::ed25519(bytes_of(-2)?)?,
        (Item::Int(2), Item::Int(-7), Item::Int(1)) => PublicKey::p256(bytes_of(-2)?, bytes_of(-3)?)?,
        (Item::Int(3), Item::Int(-257), Item::Bytes(modulus)) => PublicKey::rsa(modulus, bytes_of(-2)?)?,
        _ => return None,
    };
    Some((key, rest))
}

/// Major type, argument, rest. Only the shortest form, as CTAP2 demands.
fn head(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (major, info) = (first >> 5, first & 31);
    let (argument, rest, least) = match info {
        0..=23 => (u64::from(info), rest, 0),
        24 => {
            let (byte, rest) = rest.split_first()?;
            (u64::from(*byte), rest, 24)
        }
        25 => {
            let (two, rest) = rest.split_first_chunk::<2>()?;
            (u64::from(u16::from_be_bytes(*two)), rest, 256)
        }
        _ => return None,
    };
    (argument >= least).then_some((major, argument, rest))
}

fn item(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (major, argument, rest) = head(bytes)?;
    match major {
        0 => Some((Item::Int(i64::try_from(argument).ok()?), rest)),
        1 => Some((Item::Int(-1 - i64::try_from(argument).ok()?), rest)),
        2 => {
            let (bytes, rest) = rest.split_at_checked(usize::try_from(argument).ok()?)?;
            Some((Item::Bytes(bytes), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A P-256 key as an authenticator writes it.
    pub(crate) fn p256(point: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 32];
        bytes.extend_from_slice(&point[1..33]);
        bytes.extend_from_slice(&[0x22, 0x58, 32]);
        bytes.extend_from_slice(&point[33..]);
        bytes
    }

    #[test]
    fn keys_are_read_and_what_follows_them_is_left() {
        let mut point = vec![4];
        point.extend([7; 64]);
        let mut bytes = p256(&point);
        bytes.extend_from_slice(b"rest");
        let (key, rest) = read_key(&bytes).unwrap();
        assert_eq!(key, PublicKey::p256(&[7; 32], &[7; 32]).unwrap());
        assert_eq!(rest, b"rest");
        for end in 0..bytes.len() - 4 {
            assert!(read_key(&bytes[..end]).is_none(), "cut at {end}");
        }
        let mut ed = vec![0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 32];
        ed.extend([9; 32]);
        assert_eq!(read_key(&ed).unwrap().0, PublicKey::ed25519(&[9; 32]).unwrap());
        let mut rsa = vec![0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59, 0x01, 0x00];
        rsa.extend([0xcc; 256]);
        rsa.extend([0x21, 0x43, 1, 0, 1]);
        assert_eq!(read_key(&rsa).unwrap().0, PublicKey::rsa(&[0xcc; 256], &[1, 0, 1]).unwrap());
    }

    #[test]
    fn everything_else_is_refused() {
        let mut ed = vec![0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 32];
        ed.extend([9; 32]);
        for (place, value) in [(0, 0x84), (0, 0xbf), (0, 0xa3), (2, 0x02), (4, 0x26), (6, 0x01), (7, 0x01), (8, 0x78)] {
            let mut changed = ed.clone();
            changed[place] = value;
            assert!(read_key(&changed).is_none(), "byte {place} = {value:#x}");
        }
        assert!(read_key(&[0xa1, 0x18, 0x01, 0x01]).is_none(), "a number that is not written in its shortest form");
    }
}
