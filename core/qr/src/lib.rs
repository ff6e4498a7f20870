//! QR codes: text to symbols ([`Symbol`]), pictures and camera frames to codes ([`read_picture`], [`Live`]), and what a code
//! means ([`Scanned`]).
//!
//! Everything here is a pure function of its input: no clock, no file, no network. Pictures come from strangers, so
//! reading one has a fixed budget of memory and work and never panics. A code never acts by itself: whoever calls
//! [`Scanned::of`] shows the person what was found and lets them choose.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use comptoir_qr::{Scanned, Symbol, read_picture};
//!
//! let png = Symbol::of_text("COMPTOIR:C/BAKERY234567")?.png(4)?;
//! let codes = read_picture(&png)?;
//! assert_eq!(Scanned::of(&codes[0]), Scanned::Comptoir("COMPTOIR:C/BAKERY234567".to_owned()));
//! # Ok(())
//! # }
//! ```

mod bits;
mod cross;
mod decoder;
mod detect;
mod finder;
mod grid;
mod logo;
mod luma;
mod modules;
mod payload;
mod read;
mod render;
mod scan;
mod scanned;
mod segments;
mod split;
mod write;

pub use luma::Plane;
pub use modules::{Mode, Part, Segment};
pub use payload::{
    AmountError, Currency, EpcTransfer, Field, Initiation, MAX_PAYMENT_BYTES, MINOR_MAX, MerchantAccount, MerchantCode,
    Money, NativeName, NewMerchantCode, Object, Payload, Payment, Refused, Scheme, SwissAddress, SwissBill, Tip,
    UpiLink, Way,
};
pub use read::{Code, MAX_PICTURE_BYTES, MAX_PICTURE_PIXELS, MAX_PICTURE_SIDE, ReadError, read_frame, read_picture};
pub use render::{MAX_PNG_SIDE, Terminal};
pub use scan::{Hints, Live, Update, look_in_every_way};
pub use scanned::Scanned;
pub use split::{JoinError, Joiner, MAX_SPLIT_BYTES, split};
pub use write::{Level, QUIET_ZONE, Symbol, WriteError};
