//! Whose places are taken: anybody with an account may name a host that takes a connection and says nothing, or many of
//! them. Hosts that belong together have a share of the places, and those that are not known to answer have one together, so
//! that the rest is always there for the others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::Url;

/// One site gets this part of all places.
const SHARE_OF_ONE: usize = 8;
/// Sites that are not known to answer get this part, together.
const SHARE_OF_UNKNOWN: usize = 4;
/// Sites that are known to answer, remembered at the same time.
const KNOWN_MAX: usize = 4_096;

/// Hosts that belong together, as far as can be seen: names with the same last two parts, addresses of one network.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Site {
    Name(String),
    V4([u8; 3]),
    V6([u8; 6]),
}

// Where devices are woken never reaches a log.
impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Site(…)")
    }
}

impl Site {
    pub(super) fn of(endpoint: &str) -> Self {
        let url = Url::parse(endpoint).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        match host.trim_matches(['[', ']']).parse() {
            Ok(IpAddr::V4(v4)) => {
                let [a, b, c, _] = v4.octets();
                Self::V4([a, b, c])
            }
            Ok(IpAddr::V6(v6)) => {
                let [a, b, c, d, e, f, ..] = v6.octets();
                Self::V6([a, b, c, d, e, f])
            }
            Err(_) => {
                let mut labels = host.trim_end_matches('.').rsplit('.');
                let (last, before) = (labels.next().unwrap_or_default(), labels.next());
                Self::Name(before.map_or_else(|| last.to_owned(), |before| format!("{before}.{last}")))
            }
        }
    }
}

/// Who is knocked at now, and who answered when asked last.
#[derive(Debug)]
pub(super) struct Sites {
    of_one_max: usize,
    of_unknown_max: usize,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    under_way: HashMap<Site, usize>,
    /// Of these, at sites that were not known to answer.
    unknown: usize,
    /// Sites that answered when they were asked last, and the number of that answer.
    known: HashMap<Site, u64>,
    answers: u64,
}

/// One of the places, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    sites: Arc<Sites>,
    site: Site,
    unknown: bool,
}

impl Sites {
    pub(super) fn new(at_once_max: u32) -> Arc<Self> {
        let share = |of: usize| (at_once_max as usize / of).max(1);
        let (of_one_max, of_unknown_max) = (share(SHARE_OF_ONE), share(SHARE_OF_UNKNOWN));
        Arc::new(Self { of_one_max, of_unknown_max, counted: Mutex::default() })
    }

    /// A place to knock at this site. `None` when its share is taken.
    pub(super) fn place(self: &Arc<Self>, site: Site) -> Option<Place> {
        let mut counted = self.counted();
        let unknown = !counted.known.contains_key(&site);
        let is_full = counted.under_way.get(&site).is_some_and(|under_way| *under_way >= self.of_one_max);
        if is_full || (unknown && counted.unknown >= self.of_unknown_max) {
            return None;
        }
        *counted.under_way.entry(site.clone()).or_default() += 1;
        counted.unknown += usize::from(unknown);
        drop(counted);
        Some(Place { sites: Arc::clone(self), site, unknown })
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The site has answered.
    pub(super) fn answered(&self) {
        let counted = &mut *self.sites.counted();
        counted.answers += 1;
        counted.known.insert(self.site.clone(), counted.answers);
        if counted.known.len() > KNOWN_MAX {
            let oldest = counted.known.iter().min_by_key(|(_, answer)| **answer).map(|(site, _)| site.clone());
            oldest.and_then(|oldest| counted.known.remove(&oldest));
        }
    }

    /// Nothing was heard of the site in time.
    pub(super) fn was_silent(&self) {
        self.sites.counted().known.remove(&self.site);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counted = self.sites.counted();
        counted.unknown -= usize::from(self.unknown);
        if let Some(under_way) = counted.under_way.get_mut(&self.site) {
            *under_way -= 1;
            if *under_way == 0 {
                counted.under_way.remove(&self.site);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(host: &str) -> Site {
        Site::of(&format!("https://{host}/up?token=1"))
    }

    /// As many places as the site gets.
    fn places(sites: &Arc<Sites>, host: &str) -> Vec<Place> {
        std::iter::from_fn(|| sites.place(site(host))).collect()
    }

    /// The site has answered once.
    fn known(sites: &Arc<Sites>, host: &str) {
        sites.place(site(host)).unwrap().answered();
    }

    #[test]
    fn hosts_that_belong_together_are_one_site() {
        let check = |one: &str, other: &str, same: bool| assert_eq!(site(one) == site(other), same, "{one} {other}");
        check("a.push.example", "b.push.example:8443", true);
        check("push.example", "1.2.3.PUSH.example.", true);
        check("push.example", "push.other", false);
        check("localhost", "localhost:81", true);
        check("1.1.1.1", "1.1.1.254", true);
        check("1.1.1.1", "1.1.2.1", false);
        check("[2606:4700:4700::1111]", "[2606:4700:4700:ff::1]", true);
        check("[2606:4700:4700::1111]", "[2606:4700:4701::1111]", false);
        assert_eq!(Site::of("no address"), Site::of(""));
    }

    #[test]
    fn one_site_does_not_take_the_places_of_others() {
        let sites = Sites::new(32);
        for host in ["one.example", "two.example", "three.example", "four.example"] {
            known(&sites, host);
        }
        let [one, two] = ["one.example", "two.example"].map(|host| places(&sites, host));
        assert_eq!((one.len(), two.len()), (4, 4));
        drop(one);
        assert_eq!(places(&sites, "a.one.example").len(), 4, "a place that is left is free");
    }

    #[test]
    fn sites_that_say_nothing_have_few_places_together() {
        let sites = Sites::new(32);
        known(&sites, "push.example");
        let hosts: Vec<_> = (0..20).flat_map(|n| places(&sites, &format!("silent-{n}.example{n}"))).collect();
        assert_eq!(hosts.len(), 8, "a quarter");
        assert!(sites.place(site("new.other")).is_none(), "it has not answered yet either");
        assert_eq!(places(&sites, "push.example").len(), 4, "one that answers has its share");
        sites.place(site("push.example")).unwrap().was_silent();
        assert!(sites.place(site("push.example")).is_none(), "once it is silent too, it waits with the others");
        drop(hosts);
        known(&sites, "push.example");
        let _hosts: Vec<_> = (0..20).flat_map(|n| places(&sites, &format!("silent-{n}.example{n}"))).collect();
        assert!(sites.place(site("push.example")).is_some());
    }

    #[test]
    fn a_small_relay_has_a_place_for_everybody() {
        let sites = Sites::new(1);
        assert_eq!(places(&sites, "push.example").len(), 1);
    }

    #[test]
    fn who_answered_last_is_remembered_longest() {
        let sites = Sites::new(32);
        known(&sites, "old.example");
        known(&sites, "push.example");
        for n in 2..KNOWN_MAX {
            known(&sites, &format!("push.example{n}"));
        }
        known(&sites, "push.example");
        known(&sites, "one.more");
        let is_known = |host| sites.counted().known.contains_key(&site(host));
        assert_eq!(sites.counted().known.len(), KNOWN_MAX);
        assert_eq!((is_known("old.example"), is_known("push.example"), is_known("one.more")), (false, true, true));
    }
}
