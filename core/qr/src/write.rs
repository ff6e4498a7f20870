//! Text and bytes to symbols: the smallest version that holds the content, then the strongest error correction that
//! this version still has room for. Every symbol is read back before it is handed out.

use qrcode::bits::Bits;
use qrcode::types::QrError;
use qrcode::{Color, EcLevel, QrCode, Version};

use crate::luma::Plane;
use crate::segments::{Spelling, cheapest};
use crate::{Payload, Payment, ReadError, logo, render, scan};

/// Light modules on every side of a symbol, in modules. Without them other phones do not find the code.
pub const QUIET_ZONE: u32 = 4;

/// The designator of UTF-8 (ECI 26), without which a reader may take non-ASCII text for ISO 8859-1.
const ECI_UTF_8: u32 = 26;

/// How much of a symbol may be damaged and still be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// About 7 %.
    Low,
    /// About 15 %.
    Medium,
    /// About 25 %.
    Quartile,
    /// About 30 %.
    High,
}

/// Why something could not be written as a QR code.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The content does not fit the largest symbol (2,953 bytes, fewer with other alphabets). Shorten it, or put a
    /// link to it in the code.
    #[error("{size_bytes} bytes do not fit a QR code: shorten the content or encode a link to it")]
    TooLong { size_bytes: usize },
    /// The picture would have no pixels, or be wider than [`crate::MAX_PNG_SIDE`]. Ask for a scale from 1 to `max`.
    #[error("{pixels_per_module} pixels per module: choose from 1 to {max}")]
    Scale { pixels_per_module: u32, max: u32 },
    /// The standard of the payment code allows no symbol that large.
    #[error("the payment code does not fit the symbol of its standard: shorten its texts")]
    TooLongForItsStandard { size_bytes: usize },
    /// No symbol that holds the content can bear a logo. Shorten the content, or leave the logo out.
    #[error("no symbol of {size_bytes} bytes can bear a logo: shorten the content, or leave the logo out")]
    NoRoomForLogo { size_bytes: usize },
    /// The logo is no picture. Ask for another one.
    #[error("the logo cannot be read")]
    Logo(#[source] ReadError),
    /// The logo holds a code of its own: a reader might take that one. Ask for another logo.
    #[error("the logo is itself a code")]
    LogoIsACode,
    /// The finished symbol did not read back as its content: a bug in this crate, never shown to a customer.
    #[error("the symbol did not read back as what was written: do not show it, report it")]
    DoesNotReadBack,
    /// The encoder or the PNG writer refused for a reason that no content should cause.
    #[error("writing the QR code")]
    Encoder(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A QR symbol: a square of dark and light modules, without its quiet zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    version: u8,
    level: Level,
    side: u32,
    /// Row by row, `true` is dark.
    modules: Vec<bool>,
}

impl Symbol {
    /// Encodes text. Upper-case alphanumerics make the smallest symbols; text beyond ASCII is marked as UTF-8.
    ///
    /// # Errors
    /// [`WriteError::TooLong`] when no symbol holds the text.
    ///
    /// ```
    /// use comptoir_qr::{Level, Symbol};
    ///
    /// let symbol = Symbol::of_text("COMPTOIR:C/BAKERY")?;
    /// assert_eq!((symbol.version(), symbol.side(), symbol.level()), (1, 21, Level::Medium));
    /// # Ok::<(), comptoir_qr::WriteError>(())
    /// ```
    pub fn of_text(text: &str) -> Result<Self, WriteError> {
        Self::encode(text.as_bytes(), &Rules { utf_8: !text.is_ascii(), ..Rules::OURS })
    }

    /// Draws a payment code by the rules of its standard: bytes only, marked as UTF-8 where it is not ASCII; European and
    /// Swiss codes at level M and no larger than banks read them.
    ///
    /// # Errors
    /// [`WriteError::TooLongForItsStandard`].
    ///
    /// ```
    /// use comptoir_qr::{Level, Scanned, Symbol};
    ///
    /// let text = "BCD\n002\n1\nSCT\n\nRed Cross of Belgium\nBE72000000001616\nEUR1.00";
    /// let Scanned::Payment(payment) = Scanned::of_text(text) else { panic!("a transfer") };
    /// assert_eq!(Symbol::of_payment(&payment)?.level(), Level::Medium);
    /// # Ok::<(), comptoir_qr::WriteError>(())
    /// ```
    pub fn of_payment(payment: &Payment) -> Result<Self, WriteError> {
        let data = payment.raw.as_slice();
        let utf_8 = !data.is_ascii() && std::str::from_utf8(data).is_ok();
        let rules = match payment.payload {
            Payload::Merchant(_) => Rules { bytes_only: true, ..Rules::OURS },
            Payload::Upi(_) => Rules::OURS,
            Payload::Epc(_) => Rules { bytes_only: true, only_medium: true, versions: 13, ..Rules::OURS },
            Payload::Swiss(_) => Rules { bytes_only: true, only_medium: true, versions: 25, ..Rules::OURS },
        };
        let size_bytes = data.len();
        Self::encode(data, &Rules { utf_8, ..rules }).map_err(|error| match error {
            WriteError::TooLong { .. } => WriteError::TooLongForItsStandard { size_bytes },
            other @ (WriteError::TooLongForItsStandard { .. }
            | WriteError::NoRoomForLogo { .. }
            | WriteError::Logo(_)
            | WriteError::LogoIsACode
            | WriteError::Scale { .. }
            | WriteError::DoesNotReadBack
            | WriteError::Encoder(_)) => other,
        })
    }

    /// Encodes text so that a logo fits into the middle: see [`Symbol::png_with_logo`].
    ///
    /// # Errors
    /// [`WriteError::NoRoomForLogo`] when the text is too long for that.
    pub fn of_text_for_logo(text: &str) -> Result<Self, WriteError> {
        let rules = Rules { utf_8: !text.is_ascii(), ..Rules::OURS };
        for version in 1..=40 {
            let levels: &[Level] = if version <= 10 { &[Level::High, Level::Quartile] } else { &[Level::Quartile] };
            for &level in levels {
                if logo::side(version, level).is_some()
                    && let Some((_, bits)) = fit(text.as_bytes(), &rules, version, level)?
                {
                    return Self::draw(text.as_bytes(), version, level, bits);
                }
            }
        }
        Err(WriteError::NoRoomForLogo { size_bytes: text.len() })
    }

    /// Encodes bytes that need not be text.
    ///
    /// # Errors
    /// [`WriteError::TooLong`] when no symbol holds the bytes.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, WriteError> {
        Self::encode(bytes, &Rules::OURS)
    }

    /// The version, 1 to 40. The side is `17 + 4 * version` modules.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.version
    }

    /// The error correction that the content left room for.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// The side in modules, without the quiet zone.
    #[must_use]
    pub fn side(&self) -> u32 {
        self.side
    }

    /// Whether a module is dark. Everything outside the symbol is light, so the quiet zone needs no special case:
    /// coordinates count from the symbol's top left corner and may be negative.
    #[must_use]
    pub fn is_dark(&self, x: i32, y: i32) -> bool {
        match (u32::try_from(x), u32::try_from(y)) {
            (Ok(x), Ok(y)) if x < self.side && y < self.side => self.modules[(y * self.side + x) as usize],
            _ => false,
        }
    }

    fn encode(data: &[u8], rules: &Rules) -> Result<Self, WriteError> {
        let too_long = WriteError::TooLong { size_bytes: data.len() };
        // 7,089 digits are the most that any symbol holds.
        if data.len() > 7089 {
            return Err(too_long);
        }
        let least = if rules.only_medium { Level::Medium } else { Level::Low };
        for version in 1..=rules.versions {
            if let Some((level, bits)) = fit(data, rules, version, least)? {
                if rules.only_medium {
                    return Self::draw(data, version, level, bits);
                }
                let (level, bits) = [Level::High, Level::Quartile, Level::Medium]
                    .into_iter()
                    .find_map(|level| fit(data, rules, version, level).transpose())
                    .transpose()?
                    .unwrap_or((Level::Low, bits));
                return Self::draw(data, version, level, bits);
            }
        }
        Err(too_long)
    }

    fn draw(data: &[u8], version: u8, level: Level, bits: Bits) -> Result<Self, WriteError> {
        let code = QrCode::with_bits(bits, level.into()).map_err(encoder)?;
        let symbol = Self {
            version,
            level,
            side: 17 + 4 * u32::from(version),
            modules: code.to_colors().into_iter().map(|color| color == Color::Dark).collect(),
        };
        let picture = render::luma(&symbol, 3);
        let plane = Plane::new(&picture.luma, picture.side, picture.side, picture.side);
        let found = plane.map_or_else(|_| Vec::new(), scan::plain);
        match found.as_slice() {
            [found] if found.content.bytes == data => Ok(symbol),
            _ => Err(WriteError::DoesNotReadBack),
        }
    }
}

/// What a symbol may be like.
struct Rules {
    /// The content is marked as UTF-8.
    utf_8: bool,
    bytes_only: bool,
    /// Level M, no more and no less.
    only_medium: bool,
    /// The largest version.
    versions: u8,
}

impl Rules {
    const OURS: Self = Self { utf_8: false, bytes_only: false, only_medium: false, versions: 40 };
}

/// The content as the bits of one symbol, or `None` when it does not fit.
fn fit(data: &[u8], rules: &Rules, version: u8, level: Level) -> Result<Option<(Level, Bits)>, WriteError> {
    let mut bits = Bits::new(Version::Normal(i16::from(version)));
    let pushed = (|| {
        if rules.utf_8 {
            bits.push_eci_designator(ECI_UTF_8)?;
        }
        if rules.bytes_only {
            bits.push_byte_data(data)?;
            return bits.push_terminator(level.into());
        }
        for segment in cheapest(data, version) {
            let stretch = &data[segment.range];
            match segment.spelling {
                Spelling::Numeric => bits.push_numeric_data(stretch)?,
                Spelling::Alphanumeric => bits.push_alphanumeric_data(stretch)?,
                Spelling::Bytes => bits.push_byte_data(stretch)?,
            }
        }
        bits.push_terminator(level.into())
    })();
    match pushed {
        Ok(()) => Ok(Some((level, bits))),
        Err(QrError::DataTooLong) => Ok(None),
        Err(other) => Err(encoder(other)),
    }
}

fn encoder(error: QrError) -> WriteError {
    WriteError::Encoder(Box::new(error))
}

impl From<Level> for EcLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Low => Self::L,
            Level::Medium => Self::M,
            Level::Quartile => Self::Q,
            Level::High => Self::H,
        }
    }
}
