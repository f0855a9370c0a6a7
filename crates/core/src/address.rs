//! Client addresses: which one is believed, and how one is stored and grouped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Sixteen bytes for either family (IPv4 as ::ffff:a.b.c.d).
pub fn to_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped().octets(),
        IpAddr::V6(six) => six.octets(),
    }
}

/// The address behind [`to_bytes`].
pub fn from_bytes(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}

/// One source for limits and reputation: an IPv4 address, or the /64 of an IPv6 address.
pub fn source_key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(four) => u128::from(four.to_ipv6_mapped()),
        IpAddr::V6(six) => u128::from(six) & !u128::from(u64::MAX),
    }
}

/// Proxies whose forwarding headers are believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// The given networks and no others.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether `peer` is a declared proxy.
    pub fn contains(&self, peer: IpAddr) -> bool {
        !self.0.is_empty() && self.0.iter().any(|network| network.contains(&peer.to_canonical()))
    }

    /// The client behind `peer`: the right-most address in X-Forwarded-For that is not itself a declared proxy.
    /// Without a declared proxy the header is not looked at; an unreadable entry ends the search at the hop before it.
    pub fn client<'h>(&self, peer: IpAddr, forwarded_for: impl DoubleEndedIterator<Item = &'h str>) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.contains(client) {
            return client;
        }
        for hop in forwarded_for.rev().flat_map(|line| line.rsplit(',')) {
            match parse_hop(hop.trim()) {
                Some(address) => client = address,
                None => break,
            }
            if !self.contains(client) {
                break;
            }
        }
        client
    }
}

fn parse_hop(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(inside, _)| inside);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (host, port) = bare.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    host.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn forwarding_headers_count_only_behind_a_declared_proxy() {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        let client = |peer: &str, header: &'static [&'static str]| proxies.client(ip(peer), header.iter().copied());
        assert_eq!(client("203.0.113.9", &["198.51.100.1"]), ip("203.0.113.9"));
        assert_eq!(client("10.0.0.1", &["198.51.100.1"]), ip("198.51.100.1"));
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.7"]), ip("198.51.100.1"));
        assert_eq!(client("10.0.0.1", &["6.6.6.6", "198.51.100.1:4711"]), ip("198.51.100.1"));
        assert_eq!(client("::1", &["[2001:db8::7]:443"]), ip("2001:db8::7"));
        assert_eq!(client("10.0.0.1", &["198.51.100.1, not-an-address"]), ip("10.0.0.1"));
        assert_eq!(client("10.0.0.1", &[]), ip("10.0.0.1"));
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_network() {
        assert_eq!(source_key(ip("::ffff:192.0.2.1")), source_key(ip("192.0.2.1")));
        assert_eq!(source_key(ip("2001:db8::1")), source_key(ip("2001:db8::ffff")));
        assert_ne!(source_key(ip("2001:db8::1")), source_key(ip("2001:db8:0:1::1")));
        assert_eq!(from_bytes(to_bytes(ip("192.0.2.1"))), ip("192.0.2.1"));
    }
}
