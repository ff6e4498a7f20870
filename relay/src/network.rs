//! Where a connection comes from, as far as quotas need to know: one IPv4 address, or one IPv6 /64.

use std::net::IpAddr;

use axum::http::HeaderMap;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network([u8; 8]);

// A network never reaches a log.
impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network(…)")
    }
}

impl Network {
    /// `None` for the relay's own machine, which is not counted.
    pub(crate) fn of(address: IpAddr) -> Option<Self> {
        let address = address.to_canonical();
        if address.is_loopback() {
            return None;
        }
        let mut prefix = [0; 8];
        match address {
            IpAddr::V4(v4) => prefix[..4].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => prefix.copy_from_slice(&v6.octets()[..8]),
        }
        Some(Self(prefix))
    }

    /// What the proxy in front appended: the last entry. Entries before it were written by anybody.
    pub(crate) fn forwarded(headers: &HeaderMap) -> Option<Self> {
        let last = headers.get_all("x-forwarded-for").iter().next_back()?;
        let last = last.to_str().ok()?.rsplit(',').next()?;
        last.trim().parse().ok().and_then(Self::of)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(left: &str, right: &str, same: bool) {
        let [left, right] = [left, right].map(|text| Network::of(text.parse().unwrap()).unwrap());
        assert_eq!(left == right, same);
    }

    #[test]
    fn one_address_or_one_subnet_is_one_network() {
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8::1", "2001:db8::ffff:1", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
        assert_eq!(Network::of("::1".parse().unwrap()), None);
    }

    #[test]
    fn of_forwarded_addresses_only_the_proxys_own_counts() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "198.51.100.7, 192.0.2.1".parse().unwrap());
        assert_eq!(Network::forwarded(&headers), Network::of("192.0.2.1".parse().unwrap()));
        headers.append("x-forwarded-for", "203.0.113.9".parse().unwrap());
        assert_eq!(Network::forwarded(&headers), Network::of("203.0.113.9".parse().unwrap()));
        assert_eq!(Network::forwarded(&HeaderMap::new()), None);
    }
}
