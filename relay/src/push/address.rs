//! Which addresses the relay knocks at. Anybody with an account may name one, so only what is reachable from everywhere
//! counts: never this machine, its network, or what only looks like a public address. It is asked of the addresses that are
//! connected to, not of the name, which may mean another place a moment later.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Names that are looked up at the same time. Nobody can interrupt a lookup, and the threads for such work are few and the
/// whole relay's.
const LOOKUPS_MAX: usize = 16;

/// A name that leads to no address where the relay may knock.
#[derive(Debug, thiserror::Error)]
#[error("no public address")]
pub(super) struct NotPublic;

/// What may be called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// This machine too, for tests.
    pub(super) loopback: bool,
}

impl Reach {
    pub(super) fn allows(self, address: IpAddr) -> bool {
        is_public(address) || (self.loopback && address.is_loopback())
    }
}

/// Looks names up, a few at a time.
#[derive(Clone, Debug)]
pub(super) struct Lookups {
    reach: Reach,
    places: Arc<Semaphore>,
}

impl Lookups {
    pub(super) fn new(reach: Reach) -> Self {
        Self { reach, places: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }
}

/// Does what nobody can interrupt. It has a place until it is really done, also when nobody waits for it any more.
async fn apart<T: Send + 'static>(
    places: Arc<Semaphore>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let place = places.acquire_owned().await.map_err(io::Error::other)?;
    let done = spawn_blocking(move || {
        let done = work();
        drop(place);
        done
    });
    done.await.map_err(io::Error::other)?
}

impl Resolve for Lookups {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { reach, places } = self.clone();
        Box::pin(async move {
            let found = apart(places, move || (name.as_str(), 0).to_socket_addrs()).await?;
            let allowed: Vec<SocketAddr> = found.filter(|found| reach.allows(found.ip())).collect();
            if allowed.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// True for an address that means the same machine everywhere on the internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// The special-purpose addresses of RFC 6890 and its registry, left out one by one.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        // this network · private · loopback · multicast, reserved and broadcast
        [0 | 10 | 127 | 224..=255, ..] => true,
        // shared by a provider's customers
        [100, 64..=127, ..] => true,
        // link-local, where clouds keep their metadata; one keeps it at an address that looks public
        [169, 254, ..] | [168, 63, 129, 16] => true,
        // private
        [172, 16..=31, ..] | [192, 168, ..] => true,
        // protocol assignments · documentation · 6to4 relays
        [192, 0, 0 | 2, _] | [192, 88, 99, _] => true,
        // benchmarks
        [198, 18..=19, ..] => true,
        // documentation
        [198, 51, 100, _] | [203, 0, 113, _] => true,
        _ => false,
    };
    !special
}

/// Global unicast (2000::/3) without what is carved out of it, and IPv4 behind the well-known NAT64 prefix.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // protocol assignments, with Teredo, benchmarks and ORCHID · documentation · 6to4 · documentation
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        [0x2000..=0x3fff, ..] => true,
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // loopback, unspecified, v4-mapped and v4-compatible, unique-local, link-local, multicast, and what is not given out
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(addresses: &[&str], public: bool) {
        for address in addresses {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn only_what_everybody_reaches_is_public() {
        check(&["1.1.1.1", "9.9.9.9", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1"], true);
        check(&["172.15.255.255", "172.32.0.0", "169.253.0.1", "192.0.1.1", "192.167.1.1", "192.169.1.1"], true);
        check(&["198.17.255.255", "198.20.0.0", "198.51.99.1", "203.0.112.1", "223.255.255.255", "11.0.0.1"], true);
        check(&["0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "127.0.0.1", "127.255.255.255"], false);
        check(&["168.63.129.15", "168.63.129.17"], true);
        check(&["168.63.129.16", "64:ff9b::168.63.129.16"], false);
        check(&["100.64.0.1", "100.127.255.255", "169.254.169.254", "172.16.0.1", "172.31.255.255"], false);
        check(&["192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255"], false);
        check(&["198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1"], false);
        check(&["255.255.255.255"], false);
        check(&["2606:4700:4700::1111", "2a00:1450::1", "2001:200::1", "2001:db7::1", "2001:db9::1"], true);
        check(&["3fff:1000::1", "64:ff9b::1.1.1.1"], true);
        check(&["::", "::1", "::ffff:127.0.0.1", "::ffff:1.1.1.1", "::1.1.1.1", "fe80::1", "febf::1"], false);
        check(&["fec0::1", "fc00::1", "fdff::1", "ff02::1", "ff0e::1", "2001:db8::1", "3fff::1"], false);
        check(&["2001::1", "2001:2::1", "2001:20::1", "2002:7f00:1::", "100::1", "5f00::1", "4000::1"], false);
        check(&["64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1.1.1.1"], false);
    }

    #[test]
    fn this_machine_is_reached_only_when_asked_for() {
        for (address, with, without) in [("127.0.0.1", true, false), ("::1", true, false), ("10.0.0.1", false, false)] {
            let address = address.parse().unwrap();
            assert_eq!(Reach { loopback: true }.allows(address), with);
            assert_eq!(Reach { loopback: false }.allows(address), without);
        }
        assert!(!Reach { loopback: true }.allows("::ffff:127.0.0.1".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_name_that_leads_home_leads_nowhere() {
        let resolve = |loopback| Lookups::new(Reach { loopback }).resolve("localhost".parse().unwrap());
        assert!(resolve(true).await.unwrap().all(|found| found.ip().is_loopback()));
        assert!(resolve(false).await.err().unwrap().is::<NotPublic>());
    }
    #[tokio::test]
    async fn a_lookup_that_hangs_keeps_its_place_until_it_is_done() {
        let places = Lookups::new(Reach { loopback: false }).places;
        let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let (mut hanging, mut ends) = (Vec::new(), Vec::new());
        for _ in 0..LOOKUPS_MAX {
            let (begin, (end, ended)) = (begin.clone(), std::sync::mpsc::channel::<()>());
            ends.push(end);
            hanging.push(tokio::spawn(apart(Arc::clone(&places), move || {
                begin.send(()).map_err(io::Error::other)?;
                ended.recv().map_err(io::Error::other)
            })));
        }
        for _ in 0..LOOKUPS_MAX {
            begun.recv().await.unwrap();
        }
        // Nobody waits any more, and the threads are still there.
        for hanging in hanging {
            hanging.abort();
            hanging.await.unwrap_err();
        }
        assert_eq!(places.available_permits(), 0);
        ends.pop().unwrap().send(()).unwrap();
        apart(places, || Ok(())).await.unwrap();
    }
}
