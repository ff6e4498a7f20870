//! The cipher provider: the eighteen functions SQLCipher asks of a cryptography library, on ring and RustCrypto.
//!
//! SQLCipher calls [`comptoir_sqlcipher_provider_setup`] once per process while SQLite initialises and copies the table
//! of functions. From then on each connection has a context of ours, which caches the expanded AES and HMAC keys: every
//! page is ciphered under the same key, and expanding it each time would cost more than the page itself.
//!
//! The page format is stock SQLCipher 4 (AES-256-CBC, no padding, HMAC over ciphertext ‖ IV ‖ page number).
#![allow(unsafe_code, reason = "this is the C boundary of SQLCipher; every pointer and length comes from its codec")]

use std::ffi::{CStr, c_char, c_int, c_uchar, c_void};
use std::num::NonZeroU32;
use std::slice;

use aes::cipher::block_padding::NoPadding;
use aes::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use aes::{Aes256Dec, Aes256Enc};
use ring::rand::SecureRandom;
use ring::{hmac, pbkdf2, rand};
use zeroize::Zeroizing;

const SQLITE_OK: c_int = 0;
const SQLITE_ERROR: c_int = 1;
const ENCRYPT: c_int = 1;
const KEY_LEN: usize = 32;
const BLOCK_LEN: usize = 16;
pub(crate) const NAME: &CStr = c"ring+rustcrypto";
const VERSION: &CStr = c"1";
const CIPHER: &CStr = c"aes-256-cbc";

/// The table of functions, laid out as `struct sqlcipher_provider` of SQLCipher 4.19.
#[repr(C)]
pub(crate) struct SqlcipherProvider {
    init: unsafe extern "C" fn() -> c_int,
    shutdown: unsafe extern "C" fn(),
    get_provider_name: unsafe extern "C" fn(*mut c_void) -> *const c_char,
    add_random: unsafe extern "C" fn(*mut c_void, *const c_void, c_int) -> c_int,
    random: unsafe extern "C" fn(*mut c_void, *mut c_void, c_int) -> c_int,
    hmac: unsafe extern "C" fn(
        *mut c_void,
        c_int,
        *const c_uchar,
        c_int,
        *const c_uchar,
        c_int,
        *const c_uchar,
        c_int,
        *mut c_uchar,
    ) -> c_int,
    kdf: unsafe extern "C" fn(
        *mut c_void,
        c_int,
        *const c_uchar,
        c_int,
        *const c_uchar,
        c_int,
        c_int,
        c_int,
        *mut c_uchar,
    ) -> c_int,
    cipher: unsafe extern "C" fn(
        *mut c_void,
        c_int,
        *const c_uchar,
        c_int,
        *const c_uchar,
        *const c_uchar,
        c_int,
        *mut c_uchar,
    ) -> c_int,
    get_cipher: unsafe extern "C" fn(*mut c_void) -> *const c_char,
    get_key_sz: unsafe extern "C" fn(*mut c_void) -> c_int,
    get_iv_sz: unsafe extern "C" fn(*mut c_void) -> c_int,
    get_block_sz: unsafe extern "C" fn(*mut c_void) -> c_int,
    get_hmac_sz: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    ctx_init: unsafe extern "C" fn(*mut *mut c_void) -> c_int,
    ctx_free: unsafe extern "C" fn(*mut *mut c_void) -> c_int,
    fips_status: unsafe extern "C" fn(*mut c_void) -> c_int,
    get_provider_version: unsafe extern "C" fn(*mut c_void) -> *const c_char,
    next: *mut Self,
}

/// Fills SQLCipher's provider table. Called by SQLCipher's C code while SQLite initialises, never by Rust.
///
/// # Safety
/// `provider` is null or points to a table that SQLCipher owns.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn comptoir_sqlcipher_provider_setup(provider: *mut SqlcipherProvider) -> c_int {
    // SAFETY: the caller passes its own table; only the list link it already holds is kept.
    let Some(table) = (unsafe { provider.as_mut() }) else {
        return SQLITE_ERROR;
    };
    *table = SqlcipherProvider {
        init,
        shutdown,
        get_provider_name,
        add_random,
        random,
        hmac: hmac_pages,
        kdf,
        cipher,
        get_cipher,
        get_key_sz,
        get_iv_sz,
        get_block_sz,
        get_hmac_sz,
        ctx_init,
        ctx_free,
        fips_status,
        get_provider_version,
        next: table.next,
    };
    SQLITE_OK
}

/// What one connection keeps between pages.
#[derive(Default)]
struct Context {
    cipher: Option<CipherKeys>,
    hmac: Option<HmacKey>,
}

struct CipherKeys {
    key: Zeroizing<[u8; KEY_LEN]>,
    enc: Aes256Enc,
    dec: Aes256Dec,
}

struct HmacKey {
    algorithm: c_int,
    key: Zeroizing<Vec<u8>>,
    expanded: hmac::Key,
}

impl Context {
    fn cipher_keys(&mut self, key: &[u8; KEY_LEN]) -> &CipherKeys {
        if self.cipher.as_ref().is_none_or(|kept| *kept.key != *key) {
            let array = Array::from(*key);
            self.cipher = Some(CipherKeys {
                key: Zeroizing::new(*key),
                enc: Aes256Enc::new(&array),
                dec: Aes256Dec::new(&array),
            });
        }
        self.cipher.as_ref().expect("set just above")
    }

    fn hmac_key(&mut self, algorithm: c_int, key: &[u8]) -> Option<&hmac::Key> {
        if self.hmac.as_ref().is_none_or(|kept| kept.algorithm != algorithm || **kept.key != *key) {
            self.hmac = Some(HmacKey {
                algorithm,
                key: Zeroizing::new(key.to_vec()),
                expanded: hmac::Key::new(hmac_algorithm(algorithm)?, key),
            });
        }
        self.hmac.as_ref().map(|kept| &kept.expanded)
    }
}

fn hmac_algorithm(algorithm: c_int) -> Option<hmac::Algorithm> {
    match algorithm {
        0 => Some(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        1 => Some(hmac::HMAC_SHA256),
        2 => Some(hmac::HMAC_SHA512),
        _ => None,
    }
}

/// # Safety
/// `pointer` is valid for `len` bytes, or `len` is not positive.
unsafe fn bytes<'a>(pointer: *const c_uchar, len: c_int) -> &'a [u8] {
    match usize::try_from(len) {
        // SAFETY: promised by the caller.
        Ok(len) if len > 0 && !pointer.is_null() => unsafe { slice::from_raw_parts(pointer, len) },
        _ => &[],
    }
}

unsafe extern "C" fn init() -> c_int {
    SQLITE_OK
}

unsafe extern "C" fn shutdown() {}

unsafe extern "C" fn get_provider_name(_ctx: *mut c_void) -> *const c_char {
    NAME.as_ptr()
}

unsafe extern "C" fn get_provider_version(_ctx: *mut c_void) -> *const c_char {
    VERSION.as_ptr()
}

unsafe extern "C" fn get_cipher(_ctx: *mut c_void) -> *const c_char {
    CIPHER.as_ptr()
}

unsafe extern "C" fn get_key_sz(_ctx: *mut c_void) -> c_int {
    KEY_LEN as c_int
}

unsafe extern "C" fn get_iv_sz(_ctx: *mut c_void) -> c_int {
    BLOCK_LEN as c_int
}

unsafe extern "C" fn get_block_sz(_ctx: *mut c_void) -> c_int {
    BLOCK_LEN as c_int
}

unsafe extern "C" fn get_hmac_sz(_ctx: *mut c_void, algorithm: c_int) -> c_int {
    hmac_algorithm(algorithm).map_or(0, |algorithm| algorithm.digest_algorithm().output_len() as c_int)
}

unsafe extern "C" fn fips_status(_ctx: *mut c_void) -> c_int {
    0
}

/// The operating system's generator needs no seeding from us.
unsafe extern "C" fn add_random(_ctx: *mut c_void, _buffer: *const c_void, _length: c_int) -> c_int {
    SQLITE_OK
}

unsafe extern "C" fn random(_ctx: *mut c_void, buffer: *mut c_void, length: c_int) -> c_int {
    let Ok(length) = usize::try_from(length) else {
        return SQLITE_ERROR;
    };
    if buffer.is_null() {
        return SQLITE_ERROR;
    }
    // SAFETY: SQLCipher asks to fill `length` bytes of its own buffer.
    let buffer = unsafe { slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    match rand::SystemRandom::new().fill(buffer) {
        Ok(()) => SQLITE_OK,
        Err(_) => SQLITE_ERROR,
    }
}

unsafe extern "C" fn hmac_pages(
    ctx: *mut c_void,
    algorithm: c_int,
    hmac_key: *const c_uchar,
    key_sz: c_int,
    input: *const c_uchar,
    input_sz: c_int,
    input2: *const c_uchar,
    input2_sz: c_int,
    out: *mut c_uchar,
) -> c_int {
    if ctx.is_null() || input.is_null() || out.is_null() {
        return SQLITE_ERROR;
    }
    // SAFETY: `ctx` came from `ctx_init` and belongs to the one connection that calls; the buffers are the codec's.
    unsafe {
        let context = &mut *ctx.cast::<Context>();
        let Some(key) = context.hmac_key(algorithm, bytes(hmac_key, key_sz)) else {
            return SQLITE_ERROR;
        };
        let mut signing = hmac::Context::with_key(key);
        signing.update(bytes(input, input_sz));
        signing.update(bytes(input2, input2_sz));
        let tag = signing.sign();
        slice::from_raw_parts_mut(out, tag.as_ref().len()).copy_from_slice(tag.as_ref());
    }
    SQLITE_OK
}

unsafe extern "C" fn kdf(
    _ctx: *mut c_void,
    algorithm: c_int,
    pass: *const c_uchar,
    pass_sz: c_int,
    salt: *const c_uchar,
    salt_sz: c_int,
    workfactor: c_int,
    key_sz: c_int,
    key: *mut c_uchar,
) -> c_int {
    let algorithm = match algorithm {
        0 => pbkdf2::PBKDF2_HMAC_SHA1,
        1 => pbkdf2::PBKDF2_HMAC_SHA256,
        2 => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return SQLITE_ERROR,
    };
    let rounds = u32::try_from(workfactor).ok().and_then(NonZeroU32::new);
    let (Some(rounds), Ok(key_sz)) = (rounds, usize::try_from(key_sz)) else {
        return SQLITE_ERROR;
    };
    if key.is_null() {
        return SQLITE_ERROR;
    }
    // SAFETY: the buffers are the codec's, with the lengths it gave.
    unsafe {
        let derived = slice::from_raw_parts_mut(key, key_sz);
        pbkdf2::derive(algorithm, rounds, bytes(salt, salt_sz), bytes(pass, pass_sz), derived);
    }
    SQLITE_OK
}

unsafe extern "C" fn cipher(
    ctx: *mut c_void,
    mode: c_int,
    key: *const c_uchar,
    key_sz: c_int,
    iv: *const c_uchar,
    input: *const c_uchar,
    input_sz: c_int,
    out: *mut c_uchar,
) -> c_int {
    let Ok(len) = usize::try_from(input_sz) else {
        return SQLITE_ERROR;
    };
    if ctx.is_null() || iv.is_null() || input.is_null() || out.is_null() || !len.is_multiple_of(BLOCK_LEN) {
        return SQLITE_ERROR;
    }
    // SAFETY: `ctx` came from `ctx_init`; key, iv, input and output are the codec's buffers of the given lengths. Input
    // and output may be one buffer, so the bytes are moved first and ciphered in place.
    unsafe {
        let Ok(key) = <&[u8; KEY_LEN]>::try_from(bytes(key, key_sz)) else {
            return SQLITE_ERROR;
        };
        let iv = Array::from(*iv.cast::<[u8; BLOCK_LEN]>());
        std::ptr::copy(input, out, len);
        let page = slice::from_raw_parts_mut(out, len);
        let keys = (*ctx.cast::<Context>()).cipher_keys(key);
        let done = if mode == ENCRYPT {
            cbc::Encryptor::inner_iv_init(&keys.enc, &iv).encrypt_padded::<NoPadding>(page, len).is_ok()
        } else {
            cbc::Decryptor::inner_iv_init(&keys.dec, &iv).decrypt_padded::<NoPadding>(page).is_ok()
        };
        if done { SQLITE_OK } else { SQLITE_ERROR }
    }
}

unsafe extern "C" fn ctx_init(ctx: *mut *mut c_void) -> c_int {
    if ctx.is_null() {
        return SQLITE_ERROR;
    }
    let context = Box::into_raw(Box::<Context>::default());
    // SAFETY: SQLCipher gives the place where it keeps our context.
    unsafe { *ctx = context.cast() };
    SQLITE_OK
}

unsafe extern "C" fn ctx_free(ctx: *mut *mut c_void) -> c_int {
    // SAFETY: the pointer is the one that `ctx_init` stored, freed once; the keys inside zeroise on drop.
    unsafe {
        if !ctx.is_null() && !(*ctx).is_null() {
            drop(Box::from_raw((*ctx).cast::<Context>()));
            *ctx = std::ptr::null_mut();
        }
    }
    SQLITE_OK
}
