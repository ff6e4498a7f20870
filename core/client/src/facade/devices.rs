//! More than one device for an account.

use comptoir_content::{DeviceGrant, DeviceId, Link, Signed, SigningKey};

use super::links::unreadable;
use super::{Client, ClientError, Identity};
use crate::actor::{FinishLink, Input};

#[cfg_attr(feature = "uniffi", uniffi::export)]
impl Client {
    /// On a new device: makes its keys, and the code by which it asks to be linked, to be scanned by the device that holds
    /// the account key. Good for ten minutes, and once: the same code again until then, and another one after.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `account.exists` when this device has an account.
    pub async fn link_request(&self) -> Result<String, ClientError> {
        if self.identity()?.is_some() {
            return Err(ClientError::ask("account.exists", "this device belongs to an account already"));
        }
        Ok(self.turn(crate::turns::account::link_request).await?.to_link())
    }

    /// On the device with the account key: takes the device that asks into the account. Gives the code that the new device
    /// reads in turn; there is no secret in it, but it can be too long for one QR symbol.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `link.unreadable` when it is no such code, `account.no_key` when this device does not hold
    /// the account key, `account.request_expired` or `account.request_used` when the new device has to show another code.
    pub async fn link_device(&self, request: &str) -> Result<String, ClientError> {
        let Link::DeviceRequest(request) = Link::parse(request).map_err(unreadable)? else {
            return Err(unreadable("this code does not ask to be linked"));
        };
        let (account, certificate, relay) = self.ask(|reply| Input::LinkDevice { request, reply }).await?;
        Ok(DeviceGrant { relay, certificate: certificate.encode(), log: account.log().clone() }.to_link())
    }

    /// On the new device: takes over the account.
    ///
    /// # Errors
    /// [`ClientError::AskUser`] `link.unreadable`, or `account.grant` when it is for another device or does not hold.
    pub async fn finish_link(&self, grant: &str) -> Result<Identity, ClientError> {
        let Link::DeviceGrant(grant) = Link::parse(grant).map_err(unreadable)? else {
            return Err(unreadable("this code does not link a device"));
        };
        let DeviceGrant { relay, certificate, log } = *grant;
        super::check_relay(&relay)?;
        let (device, key) = self.link_keys().await?;
        let certificate = Signed::decode(&certificate).map_err(unreadable)?;
        let grant = FinishLink { log, certificate, device, key, relay };
        self.ask(|reply| Input::FinishLink { grant, reply }).await?;
        self.identity()?.ok_or_else(ClientError::suspended)
    }
}

impl Client {
    async fn link_keys(&self) -> Result<(DeviceId, SigningKey), ClientError> {
        self.turn(crate::turns::account::link_keys).await
    }
}
