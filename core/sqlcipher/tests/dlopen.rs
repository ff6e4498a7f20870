//! The provider inside a shared library that is really loaded, as a phone does it.
#![allow(unsafe_code, reason = "loading a library and calling a C function is what is tested")]

use std::ffi::{CString, c_char, c_int};
use std::path::PathBuf;

#[test]
fn a_loaded_library_opens_encrypted_files() {
    // Cargo builds the examples of a package before it runs the package's tests, next to `deps`.
    let library = std::env::current_exe().unwrap().parent().unwrap().join("../examples").join(format!(
        "{}loaded_library{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    ));
    let dir = tempfile::tempdir().unwrap();
    let file: PathBuf = dir.path().join("phone.db");
    let path = CString::new(file.to_str().unwrap()).unwrap();
    // SAFETY: our own library, with the signature written in examples/loaded_library.rs.
    let answer = unsafe {
        let library = libloading::Library::new(&library).unwrap();
        let call: libloading::Symbol<'_, unsafe extern "C" fn(*const c_char) -> c_int> =
            library.get(b"write_and_read_back").unwrap();
        call(path.as_ptr())
    };
    assert_eq!(answer, 0);
    let bytes = std::fs::read(file).unwrap();
    assert!(bytes.starts_with(b"SQLite format 3\0"), "the first 32 bytes stay readable");
    assert!(!bytes.windows(12).any(|window| window == b"CREATE TABLE"), "the schema is not");
}
