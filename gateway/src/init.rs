//! A new shop: its account, its till, its files. The owner's keys go into a file to take offline.

use std::io;
use std::path::{Path, PathBuf};

use comptoir_client::ClientError;
use comptoir_client::headless::{Owner, TurnError, write_secret};
use comptoir_content::{Payee, Profile, Signed, SigningKey, TillCertificate};
use comptoir_engine::limits;
use comptoir_sqlcipher::rusqlite::params;
use zeroize::Zeroizing;

use crate::config::{Config, ConfigError};
use crate::gateway::{ShopClock, open_core};

/// A till certificate holds for a year.
const TILL_LIFE_MS: i64 = 365 * 24 * 3_600_000;

/// What a new shop is made of.
#[derive(Clone, Debug)]
pub struct NewShop {
    /// 1 to 64 characters.
    pub name: String,
    /// At most 255 characters.
    pub about: String,
    /// `wss://host[:port]`, or `ws://` on loopback.
    pub relay: String,
    /// Where the owner's keys are written. Never inside the shop's folder for long: take it offline.
    pub owner_key: PathBuf,
}

/// Why a shop could not be made. Nothing is overwritten.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("there is a shop in {path} already")]
    Exists { path: PathBuf },
    #[error("{field}: {why}")]
    Field { field: &'static str, why: String },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Makes the shop in `dir`, which holds `gateway.toml`, the catalogue and the secrets of the providers already. Returns its
/// contact link.
///
/// # Errors
/// [`InitError`] names the field or file.
pub async fn init(dir: &Path, new: &NewShop, clock: Option<ShopClock>) -> Result<String, InitError> {
    let refused = |field| move |why: comptoir_engine::Refused| InitError::Field { field, why: why.to_string() };
    limits::check_title("name", &new.name, limits::NAME_CHARS_MAX).map_err(refused("name"))?;
    limits::check_text("about", &new.about, limits::ABOUT_CHARS_MAX, true).map_err(refused("about"))?;
    let config = Config::read(dir)?;
    config.catalogue()?;
    let providers = config.adapters()?;
    let live = providers.iter().all(|provider| provider.is_live());
    if !live && providers.iter().any(|provider| provider.is_live()) {
        return Err(InitError::Field { field: "providers", why: "either all live or all test".to_owned() });
    }
    if new.owner_key.exists() {
        return Err(InitError::Exists { path: new.owner_key.clone() });
    }
    let payees: Vec<Payee> = providers
        .iter()
        .map(|provider| Payee {
            provider: provider.name().to_owned(),
            account: provider.account().to_owned(),
            live: provider.is_live(),
        })
        .collect();

    let client = open_core(dir, clock)?;
    if client.identity()?.is_some() {
        return Err(InitError::Exists { path: dir.to_owned() });
    }
    let (seed, now) = client.turn(|tx| Ok((tx.random.bytes::<32>(), tx.now))).await?;
    let till = SigningKey::from_seed(seed);
    let certificate = TillCertificate {
        till: till.public(),
        term: 1,
        live,
        // A little earlier: clocks differ.
        from: now.plus_ms(-limits::SKEW_MS),
        until: now.plus_ms(TILL_LIFE_MS),
    };
    let shop = new.clone();
    client
        .turn(move |tx| {
            let owner = tx.create_shop_account(&shop.relay, &[certificate])?;
            let profile = Profile {
                account: owner.account.id,
                revision: 1,
                name: shop.name.clone(),
                about: shop.about.clone(),
                payees,
                issued_at: now,
            };
            let profile = Signed::sign(&profile, &owner.account_key);
            tx.sql().execute(
                "INSERT INTO till (one, seed, term, live, profile) VALUES (1, ?1, 1, ?2, ?3)",
                params![seed, live, profile.encode()],
            )?;
            // On disk before the commit: there is never a shop without its owner's keys.
            write_secret(&shop.owner_key, owner_keys(&shop, &owner).as_bytes())
                .map_err(|error| TurnError::Aborted(format!("{}: {error}", shop.owner_key.display())))
        })
        .await?;
    let link = client.identity()?.map(|me| me.link).unwrap_or_default();
    client.shutdown()?;
    Ok(link)
}

fn owner_keys(shop: &NewShop, owner: &Owner) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "# The owner's keys of {}. Whoever has this file is the shop: take it offline.\n\
         account = \"{}\"\naccount_key = \"{}\"\nrecovery_key = \"{}\"\n",
        shop.name.replace(char::is_control, " "),
        owner.account.id,
        data_encoding::BASE32_NOPAD.encode(&*owner.account_key.to_seed()),
        data_encoding::BASE32_NOPAD.encode(&*owner.recovery_key.to_seed()),
    ))
}
