//! The one crate that owns SQLite.
//!
//! It compiles [SQLCipher](https://www.zetetic.net/sqlcipher/design/) with a cipher provider on ring and RustCrypto
//! instead of OpenSSL, and re-exports [`rusqlite`] so that nobody can link another SQLite by accident. The file format
//! is stock SQLCipher 4: the `sqlcipher` shell opens our files when it is given the raw key and the settings below.
//!
//! There are two ways to open a file, and no third: [`open_encrypted`] for a person's or a merchant's database, and
//! [`open_plain`] for the relay's, which holds nothing that is not already sealed.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use comptoir_sqlcipher::{Access, DatabaseKey, open_encrypted};
//!
//! let dir = tempfile::tempdir()?;
//! let key = DatabaseKey::from_bytes([7; DatabaseKey::LEN]);
//! let db = open_encrypted(&dir.path().join("alice.db"), &key, Access::Write)?;
//! db.execute_batch("CREATE TABLE note(text TEXT) STRICT; INSERT INTO note VALUES ('only Alice reads this')")?;
//! # Ok(())
//! # }
//! ```

pub mod crash;
#[cfg(all(feature = "testing", unix))]
pub mod faults;
mod migrate;
mod open;
mod provider;

pub use migrate::{MigrateError, migrate, migrate_part};
pub use open::{Access, DatabaseKey, OpenError, PROVIDER_NAME, open_encrypted, open_plain};
pub use rusqlite;
