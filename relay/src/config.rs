//! What an operator may set: a TOML file, and `COMPTOIR_RELAY_*` variables above it.
//!
//! A key that is not known is refused, so that a misspelt limit is never a missing limit.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use comptoir_wire::limits;
use serde::Deserialize;

use crate::store::{Rate, Retention};

/// Variables with this prefix override the file: `COMPTOIR_RELAY_LISTEN`, `COMPTOIR_RELAY_LIMITS__SOCKETS_MAX`.
pub const ENVIRONMENT_PREFIX: &str = "COMPTOIR_RELAY_";

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// How a relay runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where devices connect.
    pub listen: SocketAddr,
    /// The database `relay.db` lives here, with its lock, and the key for wake-ups, `push.key`: copy the two together.
    /// Whoever puts an older copy of the database in place creates an empty file named `RESTORED` beside it before the relay
    /// starts; the relay then tells every device to synchronise again.
    pub data_dir: PathBuf,
    /// The addresses that devices dial, as `host:port`. Empty: the bound address and `localhost:port`.
    #[serde(default)]
    pub names: Vec<String>,
    /// Certificate and key. Without them `listen` must be loopback, or `behind_proxy` true.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// A proxy in front speaks TLS. The last entry of `X-Forwarded-For` is then who connects.
    #[serde(default)]
    pub behind_proxy: bool,
    /// Where health and metrics are served, to the operator only.
    #[serde(default = "operator_listen")]
    pub operator_listen: SocketAddr,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub quotas: Quotas,
    #[serde(default)]
    pub push: Push,
}

/// PEM files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, the relay's own first.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Sizes, counts and patience.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at the same time.
    pub sockets_max: u32,
    /// Of these, connections that have not authenticated.
    pub guests_max: u32,
    /// TLS and the HTTP request together.
    pub handshake_ms: u64,
    /// From the upgrade until the device has authenticated.
    pub authenticate_ms: u64,
    /// Between pings, give or take a fifth.
    pub ping_ms: u64,
    /// Without any sign of the device.
    pub idle_ms: u64,
    /// One frame that the device does not take.
    pub write_ms: u64,
    /// For a goodbye to arrive.
    pub linger_ms: u64,
    /// For all connections to end at shutdown.
    pub drain_ms: u64,
    /// At shutdown, devices are asked to come back at a random moment within a millisecond for each of them, at most within this.
    pub reconnect_within_ms: u64,
    pub envelope_bytes_max: usize,
    pub envelopes_per_frame_max: usize,
    pub key_packages_max: u32,
    pub devices_per_account_max: u32,
    pub mailbox_messages_max: u64,
    pub mailbox_bytes_max: u64,
    /// How long anything is kept.
    pub keep_days: u32,
    /// Unacknowledged deliveries of one device.
    pub in_flight_bytes_max: usize,
    /// With less of the disk free, no new accounts are taken. Looked at every minute; 0: never.
    pub disk_free_min_percent: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sockets_max: 20_000,
            guests_max: 1_000,
            handshake_ms: 10_000,
            authenticate_ms: 10_000,
            ping_ms: 30_000,
            idle_ms: 75_000,
            write_ms: 30_000,
            linger_ms: 2_000,
            drain_ms: 10_000,
            reconnect_within_ms: 30_000,
            envelope_bytes_max: limits::ENVELOPE_BYTES_MAX,
            envelopes_per_frame_max: limits::ENVELOPES_PER_FRAME_MAX,
            key_packages_max: limits::KEY_PACKAGES_MAX as u32,
            devices_per_account_max: 64,
            mailbox_messages_max: 10_000,
            mailbox_bytes_max: 64 * 1024 * 1024,
            keep_days: 30,
            in_flight_bytes_max: 1024 * 1024,
            disk_free_min_percent: 10,
        }
    }
}

/// Wake-ups for devices that are away (Web Push, UnifiedPush): empty messages to the push services that devices name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Push {
    /// Without it no device is woken, and none is asked where to knock. What was told before is kept. It needs the system's
    /// root certificates, and waits for them when there are none.
    pub enabled: bool,
    /// Knock on this machine too, also without TLS: for tests. All other private addresses stay out of reach.
    pub loopback: bool,
    /// Whom a push service may write to about this relay, as `mailto:` or `https:`. Without it the first of `names` is
    /// given, as `https:`; some take no wake-ups without either.
    pub contact: Option<String>,
    /// Wake-ups under way at the same time. An eighth of them may be at one push service, as far as its hosts show that they
    /// belong together, and a quarter at those that have not answered yet.
    pub at_once_max: u32,
    /// A device is woken at a random moment within this, so that a push service cannot tell by the time which devices got
    /// the same message. 0: at once.
    pub within_ms: u64,
    /// For a push service to answer.
    pub answer_ms: u64,
    /// After the first try, give or take a fifth; then twice as long each time, up to an hour.
    pub retry_ms: u64,
    /// A wake-up that is not taken is tried for so long after the newest message that it is owed for.
    pub give_up_hours: u32,
}

impl Default for Push {
    fn default() -> Self {
        Self {
            enabled: true,
            loopback: false,
            contact: None,
            at_once_max: 128,
            within_ms: 3_000,
            answer_ms: 10_000,
            retry_ms: 30_000,
            give_up_hours: 72,
        }
    }
}

/// How fast anybody may ask. Connections from the relay's own machine are not counted by network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// Connections, per network (one IPv4 address, one IPv6 /64).
    pub connections: Rate,
    /// New accounts, per network.
    pub accounts: Rate,
    /// Reads of account logs: per network before authentication, per account after it.
    pub log_reads: Rate,
    /// Envelopes, per sending account.
    pub envelopes: Rate,
    /// Frames that claim key packages, per claiming account.
    pub claim_frames: Rate,
    /// Key packages, per (claiming account, device).
    pub claims: Rate,
    /// Devices added and removed, log entries, publications of key packages, per account.
    pub changes: Rate,
    /// Wake-ups, per device that is woken.
    pub wake_ups: Rate,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            connections: Rate { burst: 60, refill_ms: 1_000 },
            accounts: Rate { burst: 20, refill_ms: 600_000 },
            log_reads: Rate { burst: 120, refill_ms: 500 },
            envelopes: Rate { burst: 1_000, refill_ms: 50 },
            claim_frames: Rate { burst: 60, refill_ms: 250 },
            claims: Rate { burst: 6, refill_ms: 600_000 },
            changes: Rate { burst: 60, refill_ms: 5_000 },
            wake_ups: Rate { burst: 10, refill_ms: 60_000 },
        }
    }
}

/// A configuration that cannot be used. Names the field.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("reading {path}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    #[error("{variable}: names no field")]
    Variable { variable: String },
    #[error("{field}: {why}")]
    Field { field: &'static str, why: String },
}

impl Config {
    /// A relay for this machine only, on free ports. It is there to be tried out, however full the disk is.
    #[must_use]
    pub fn local(data_dir: impl Into<PathBuf>) -> Self {
        let free = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            listen: free,
            data_dir: data_dir.into(),
            names: Vec::new(),
            tls: None,
            behind_proxy: false,
            operator_listen: free,
            limits: Limits { disk_free_min_percent: 0, ..Limits::default() },
            quotas: Quotas::default(),
            // It needs the system's root certificates, and nobody who tries things out on one machine sleeps far away.
            push: Push { enabled: false, ..Push::default() },
        }
    }

    /// Reads a file, then `environment` (normally [`std::env::vars`]), then checks.
    ///
    /// # Errors
    /// [`ConfigError`] names the field.
    pub fn read(path: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
        Self::parse(&text, environment)
    }

    /// Like [`Self::read`], from text.
    ///
    /// # Errors
    /// [`ConfigError`] names the field.
    pub fn parse(text: &str, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut environment = environment.filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX)).peekable();
        let config: Self = if environment.peek().is_none() {
            toml::from_str(text)? // keeps line numbers in its errors
        } else {
            let mut table: toml::Table = toml::from_str(text)?;
            for (variable, value) in environment {
                override_field(&mut table, &variable, &value)?;
            }
            table.try_into()?
        };
        config.check()?;
        Ok(config)
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// [`ConfigError::Field`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let refuse = |field, why: &str| Err(ConfigError::Field { field, why: why.to_owned() });
        let limits = &self.limits;
        if self.tls.is_none() && !self.behind_proxy && !self.listen.ip().is_loopback() {
            return refuse("listen", "not loopback: set [tls], or behind_proxy = true when a proxy speaks TLS");
        }
        // Contact and names stand in what is signed for push services.
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
        let is_name = |name: &str| name.len() <= limits::ADDRESS_BYTES_MAX && name.contains(':') && is_plain(name);
        if !self.names.iter().all(|name| is_name(name)) {
            return refuse("names", "each is host:port, as devices dial it");
        }
        if limits.disk_free_min_percent > 100 {
            return refuse("limits.disk_free_min_percent", "more than 100");
        }
        let is_contact =
            |contact: &str| (contact.starts_with("mailto:") || contact.starts_with("https:")) && is_plain(contact);
        if self.push.contact.as_deref().is_some_and(|contact| !is_contact(contact)) {
            return refuse("push.contact", "begins with mailto: or https:, without spaces or quotation marks");
        }
        if self.push.within_ms > 600_000 {
            return refuse("push.within_ms", "more than 600000");
        }
        for (field, value, max) in [
            ("limits.envelope_bytes_max", limits.envelope_bytes_max as u64, limits::ENVELOPE_BYTES_MAX as u64),
            (
                "limits.envelopes_per_frame_max",
                limits.envelopes_per_frame_max as u64,
                limits::ENVELOPES_PER_FRAME_MAX as u64,
            ),
            ("limits.key_packages_max", limits.key_packages_max.into(), limits::KEY_PACKAGES_MAX as u64),
            ("limits.sockets_max", limits.sockets_max.into(), 10_000_000),
            ("limits.guests_max", limits.guests_max.into(), limits.sockets_max.into()),
            ("limits.devices_per_account_max", limits.devices_per_account_max.into(), 10_000),
            ("limits.mailbox_messages_max", limits.mailbox_messages_max, 100_000_000),
            ("limits.mailbox_bytes_max", limits.mailbox_bytes_max, i64::MAX.cast_unsigned() / 2),
            ("limits.keep_days", limits.keep_days.into(), 3_650),
            ("limits.in_flight_bytes_max", limits.in_flight_bytes_max as u64, 64 * 1024 * 1024),
            ("limits.handshake_ms", limits.handshake_ms, 600_000),
            ("limits.authenticate_ms", limits.authenticate_ms, 600_000),
            ("limits.ping_ms", limits.ping_ms, limits.idle_ms),
            ("limits.idle_ms", limits.idle_ms, 86_400_000),
            ("limits.write_ms", limits.write_ms, 600_000),
            ("push.at_once_max", self.push.at_once_max.into(), 10_000),
            ("push.answer_ms", self.push.answer_ms, 600_000),
            ("push.retry_ms", self.push.retry_ms, 3_600_000),
            ("push.give_up_hours", self.push.give_up_hours.into(), 24 * 365),
        ] {
            if !(1..=max).contains(&value) {
                return Err(ConfigError::Field { field, why: format!("{value} is not within 1..={max}") });
            }
        }
        Ok(())
    }

    pub(crate) fn retention(&self) -> Retention {
        Retention {
            messages_max: self.limits.mailbox_messages_max,
            bytes_max: self.limits.mailbox_bytes_max,
            keep_ms: i64::from(self.limits.keep_days) * DAY_MS,
            key_packages_max: self.limits.key_packages_max,
            devices_max: self.limits.devices_per_account_max,
            knock_within_ms: self.push.within_ms,
        }
    }
}

fn operator_listen() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464)
}

/// `COMPTOIR_RELAY_LIMITS__SOCKETS_MAX=5` sets `limits.sockets_max`. A value that is not TOML is text.
fn override_field(table: &mut toml::Table, variable: &str, value: &str) -> Result<(), ConfigError> {
    let wrong = || ConfigError::Variable { variable: variable.to_owned() };
    let path = variable.trim_start_matches(ENVIRONMENT_PREFIX).to_ascii_lowercase();
    let mut tables: Vec<&str> = path.split("__").collect();
    let field = tables.pop().filter(|field| !field.is_empty()).ok_or_else(wrong)?;
    let mut table = table;
    for name in tables {
        let inner = table.entry(name).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        table = inner.as_table_mut().ok_or_else(wrong)?;
    }
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}")).ok();
    let parsed = parsed.and_then(|mut parsed| parsed.remove("value"));
    table.insert(field.to_owned(), parsed.unwrap_or_else(|| toml::Value::String(value.to_owned())));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "listen = '127.0.0.1:8080'\ndata_dir = '/var/lib/relay'\n";

    fn check(text: &str, environment: &[(&str, &str)], expected: Result<(), &str>) {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        match (Config::parse(&format!("{SMALLEST}{text}"), environment), expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_file_with_two_lines_is_enough() {
        check("", &[], Ok(()));
        check("[quotas]\nclaims = { burst = 1, refill_ms = 5 }", &[], Ok(()));
        check("[push]\nenabled = false\ncontact = 'mailto:relay@example.org'", &[], Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        check("colour = 'blue'", &[], Err("colour"));
        check("[limits]\nsocket_max = 5", &[], Err("socket_max"));
        check("[limits]\nsockets_max = 'many'", &[], Err("sockets_max"));
        check(
            "[limits]\nenvelope_bytes_max = 65537",
            &[],
            Err("limits.envelope_bytes_max: 65537 is not within 1..=65536"),
        );
        check("[limits]\nkeep_days = 0", &[], Err("limits.keep_days"));
        check("[limits]\ndisk_free_min_percent = 101", &[], Err("limits.disk_free_min_percent"));
        check("[quotas]\nclaims = { burst = 1 }", &[], Err("refill_ms"));
        check("[push]\ncontact = 'relay@example.org'", &[], Err("push.contact: begins with mailto: or https:"));
        check("[push]\ncontact = 'mailto:a\"@example.org'", &[], Err("push.contact"));
        check("[push]\ngive_up_hours = 0", &[], Err("push.give_up_hours: 0 is not within 1..=8760"));
        check("[push]\nwithin_ms = 600001", &[], Err("push.within_ms"));
        check("names = ['relay.example']", &[], Err("names"));
        check("names = ['relay\".example:443']", &[], Err("names"));
    }

    #[test]
    fn without_tls_only_this_machine_may_connect() {
        let open = [("COMPTOIR_RELAY_LISTEN", "0.0.0.0:8080")];
        check("", &open, Err("listen: not loopback"));
        check("behind_proxy = true", &open, Ok(()));
        check("[tls]\ncertificate = 'a'\nkey = 'b'", &open, Ok(()));
    }

    #[test]
    fn variables_override_and_are_checked_too() {
        let variables = [("COMPTOIR_RELAY_LIMITS__SOCKETS_MAX", "7000"), ("PATH", "x")];
        let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        assert_eq!(Config::parse(SMALLEST, pairs).unwrap().limits.sockets_max, 7_000);
        check("", &[("COMPTOIR_RELAY_LIMITS__SOCKET_MAX", "5")], Err("socket_max"));
        check("", &[("COMPTOIR_RELAY_LISTEN__PORT", "5")], Err("COMPTOIR_RELAY_LISTEN__PORT"));
    }
}
