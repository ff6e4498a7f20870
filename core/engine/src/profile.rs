//! What a shop may say of itself, and who may say it.

use comptoir_content::{AccountKind, Profile, Verified};

use crate::Refused;
use crate::account::Account;
use crate::limits::{self, check_text, check_title};

/// Whether a profile is that of this account: signed by its account key, and within the limits. An older one never
/// replaces a newer one; that is for whoever keeps them.
///
/// # Errors
/// [`Refused`] says what is wrong with it.
pub fn check(profile: &Verified<Profile>, account: &Account) -> Result<(), Refused> {
    if profile.signer() != account.account_key || profile.account != account.id || account.kind != AccountKind::Business
    {
        return Err(Refused::ProfileSigner);
    }
    check_title("name", &profile.name, limits::NAME_CHARS_MAX)?;
    check_text("about", &profile.about, limits::ABOUT_CHARS_MAX, true)?;
    if profile.payees.len() > limits::PAYEES_MAX {
        return Err(Refused::TooLong { field: "payees", max: limits::PAYEES_MAX });
    }
    Ok(())
}
