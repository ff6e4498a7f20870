//! A shared library with an encrypted database inside, as a phone loads it. `tests/dlopen.rs` opens it.
#![allow(unsafe_code, reason = "a C entry point is what this library is for")]

use std::ffi::{CStr, c_char, c_int};
use std::path::Path;

use comptoir_sqlcipher::{Access, DatabaseKey, open_encrypted};

/// Writes a row to the encrypted file `path` and reads it back through a second connection. 0 when it worked.
///
/// # Safety
/// `path` is a NUL-terminated UTF-8 string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write_and_read_back(path: *const c_char) -> c_int {
    // SAFETY: promised by the caller.
    let Ok(path) = (unsafe { CStr::from_ptr(path) }).to_str() else {
        return 2;
    };
    let key = DatabaseKey::from_bytes([9; DatabaseKey::LEN]);
    let write = || -> Result<i64, Box<dyn std::error::Error>> {
        let writer = open_encrypted(Path::new(path), &key, Access::Write)?;
        writer.execute_batch("CREATE TABLE t(n INTEGER) STRICT; INSERT INTO t VALUES (42)")?;
        let reader = open_encrypted(Path::new(path), &key, Access::Read)?;
        Ok(reader.query_row("SELECT n FROM t", [], |row| row.get(0))?)
    };
    match write() {
        Ok(42) => 0,
        _ => 1,
    }
}
