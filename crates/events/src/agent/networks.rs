//! Networks that mail scanners and mail proxies are known to fetch from.
//!
//! Facts as data: they change with releases. The ranges of Yahoo, Proofpoint, Mimecast and Cisco are
//! probable: registered to them or announced by their autonomous systems, without a public list to compare with.

use std::net::IpAddr;
use std::sync::LazyLock;

/// A range of addresses and what fetches from there.
#[derive(Debug, PartialEq, Eq)]
pub struct Network {
    pub cidr: &'static str,
    pub owner: &'static str,
    pub kind: NetworkKind,
}

/// What a known network does with mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkKind {
    /// opens and clicks to look for malice
    Scanner,
    /// fetches images for people, many people from few addresses: exempt from rate limits
    MailProxy,
}

const fn proxy(owner: &'static str, cidr: &'static str) -> Network {
    Network { cidr, owner, kind: NetworkKind::MailProxy }
}

const fn scanner(owner: &'static str, cidr: &'static str) -> Network {
    Network { cidr, owner, kind: NetworkKind::Scanner }
}

/// The ranges do not overlap.
pub const NETWORKS: &[Network] = &[
    proxy("Google", "64.233.160.0/19"),
    proxy("Google", "66.102.0.0/20"),
    proxy("Google", "66.249.80.0/20"),
    proxy("Google", "72.14.192.0/18"),
    proxy("Google", "74.125.0.0/16"),
    proxy("Google", "108.177.8.0/21"),
    proxy("Google", "173.194.0.0/16"),
    proxy("Google", "209.85.128.0/17"),
    proxy("Google", "216.58.192.0/19"),
    proxy("Google", "216.239.32.0/19"),
    proxy("Google", "2001:4860:4000::/36"),
    proxy("Google", "2404:6800:4000::/36"),
    proxy("Google", "2607:f8b0:4000::/36"),
    proxy("Google", "2800:3f0:4000::/36"),
    proxy("Google", "2a00:1450:4000::/36"),
    proxy("Google", "2c0f:fb50:4000::/36"),
    proxy("Yahoo", "66.163.160.0/19"),
    proxy("Yahoo", "67.195.0.0/16"),
    proxy("Yahoo", "68.142.192.0/18"),
    proxy("Yahoo", "68.180.128.0/17"),
    proxy("Yahoo", "69.147.64.0/18"),
    proxy("Yahoo", "72.30.0.0/16"),
    proxy("Yahoo", "74.6.0.0/16"),
    proxy("Yahoo", "76.13.0.0/16"),
    proxy("Yahoo", "87.248.96.0/19"),
    proxy("Yahoo", "98.136.0.0/14"),
    proxy("Yahoo", "188.125.64.0/19"),
    proxy("Yahoo", "206.190.32.0/19"),
    proxy("Yahoo", "209.191.64.0/18"),
    proxy("Yahoo", "212.82.96.0/19"),
    proxy("Yahoo", "217.146.176.0/20"),
    scanner("Microsoft", "40.92.0.0/15"),
    scanner("Microsoft", "40.107.0.0/16"),
    scanner("Microsoft", "52.100.0.0/14"),
    scanner("Microsoft", "104.47.0.0/17"),
    scanner("Microsoft", "2a01:111:f400::/48"),
    scanner("Microsoft", "2a01:111:f403::/48"),
    scanner("Barracuda", "209.222.80.0/21"),
    scanner("Proofpoint", "62.209.50.0/24"),
    scanner("Proofpoint", "67.231.144.0/20"),
    scanner("Proofpoint", "91.209.104.0/24"),
    scanner("Proofpoint", "148.163.128.0/19"),
    scanner("Proofpoint", "185.132.180.0/22"),
    scanner("Proofpoint", "185.183.28.0/22"),
    scanner("Proofpoint", "205.220.160.0/20"),
    scanner("Proofpoint", "208.84.64.0/22"),
    scanner("Proofpoint", "208.86.200.0/22"),
    scanner("Mimecast", "91.220.42.0/24"),
    scanner("Mimecast", "146.101.78.0/24"),
    scanner("Mimecast", "170.10.128.0/23"),
    scanner("Mimecast", "170.10.132.0/23"),
    scanner("Mimecast", "185.58.84.0/22"),
    scanner("Mimecast", "195.130.217.0/24"),
    scanner("Mimecast", "205.139.110.0/23"),
    scanner("Mimecast", "207.211.30.0/23"),
    scanner("Cisco", "68.232.128.0/19"),
    scanner("Cisco", "139.138.32.0/19"),
    scanner("Cisco", "184.94.240.0/20"),
    scanner("Cisco", "207.54.64.0/19"),
    scanner("Cisco", "216.71.128.0/19"),
];

/// First and last address of a range, as numbers in the space of IPv6 (IPv4 mapped), in order.
static RANGES: LazyLock<Vec<(u128, u128, &'static Network)>> = LazyLock::new(|| {
    let mut ranges: Vec<_> = NETWORKS
        .iter()
        .map(|network| {
            let (first, last) = range(network.cidr).expect("the table is constant and tested");
            (first, last, network)
        })
        .collect();
    ranges.sort_unstable_by_key(|(first, ..)| *first);
    ranges
});

fn range(cidr: &str) -> Option<(u128, u128)> {
    let (address, length) = cidr.split_once('/')?;
    let (address, length): (IpAddr, u32) = (address.parse().ok()?, length.parse().ok()?);
    let free = if address.is_ipv4() { 32 } else { 128u32 }.checked_sub(length)?;
    let host = 1u128.checked_shl(free).map_or(u128::MAX, |size| size - 1);
    let first = number(address);
    (first & host == 0).then_some((first, first | host))
}

fn number(address: IpAddr) -> u128 {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    u128::from(address)
}

/// The known network of an address; an IPv4 address mapped into IPv6 counts as IPv4.
pub fn network_of(address: IpAddr) -> Option<&'static Network> {
    let number = number(address);
    let after = RANGES.partition_point(|(first, ..)| *first <= number);
    let (_, last, network) = RANGES.get(after.checked_sub(1)?)?;
    (number <= *last).then_some(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(address: &str) -> Option<(&'static str, NetworkKind)> {
        network_of(address.parse().expect("an address")).map(|network| (network.owner, network.kind))
    }

    #[test]
    fn every_range_parses_and_none_overlaps() {
        for pair in RANGES.windows(2) {
            assert!(pair[0].1 < pair[1].0, "{} and {}", pair[0].2.cidr, pair[1].2.cidr);
        }
        assert_eq!(RANGES.len(), NETWORKS.len());
        for wrong in ["10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "::/129", "x/8"] {
            assert_eq!(range(wrong), None, "{wrong}");
        }
        assert_eq!(range("::/0"), Some((0, u128::MAX)));
    }

    #[test]
    fn borders_belong() {
        use NetworkKind::{MailProxy, Scanner};
        for (address, expected) in [
            ("66.249.79.255", None),
            ("66.249.80.0", Some(("Google", MailProxy))),
            ("66.249.95.255", Some(("Google", MailProxy))),
            ("66.249.96.0", None),
            ("::ffff:74.125.1.2", Some(("Google", MailProxy))),
            ("2a00:1450:4864:20::1", Some(("Google", MailProxy))),
            ("40.93.255.255", Some(("Microsoft", Scanner))),
            ("40.94.0.0", None),
            ("2a01:111:f400:7e00::1", Some(("Microsoft", Scanner))),
            ("2a01:111:f401::", None),
            ("209.222.82.7", Some(("Barracuda", Scanner))),
            ("98.139.255.255", Some(("Yahoo", MailProxy))),
            ("192.0.2.1", None),
            ("0.0.0.0", None),
            ("::", None),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ] {
            assert_eq!(owner(address), expected, "{address}");
        }
    }
}
