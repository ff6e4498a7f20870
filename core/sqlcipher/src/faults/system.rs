//! The file system that SQLite sees: its own, with a disk of a test in between where there is one.
#![allow(unsafe_code, reason = "SQLite calls its files through C function pointers")]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Once, OnceLock};

use rusqlite::ffi;

use super::{Change, Platter, disk_of};

/// A file of ours: SQLite's own follows it in memory.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    /// Made by `Box::into_raw` in `open`, freed in `close`. Null for a file that is on no disk of a test.
    place: *mut Place,
}

struct Place {
    path: PathBuf,
    disk: Arc<Platter>,
}

/// SQLite's own file system, and ours, which is made of it.
struct Systems {
    real: *mut ffi::sqlite3_vfs,
    methods: ffi::sqlite3_io_methods,
}

// SAFETY: both are written once, before anybody reads them, and never freed; SQLite's own are meant for all threads.
unsafe impl Send for Systems {}
// SAFETY: as above.
unsafe impl Sync for Systems {}

static SYSTEMS: OnceLock<Systems> = OnceLock::new();

fn systems() -> &'static Systems {
    SYSTEMS.get().expect("registered before a file is opened")
}

pub(super) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        crate::open::initialise();
        // SAFETY: SQLite is initialised; the default is a static of its own.
        let real = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
        assert!(!real.is_null(), "SQLite has files of its own");
        let methods = ffi::sqlite3_io_methods {
            iVersion: 2,
            xClose: Some(close),
            xRead: Some(read),
            xWrite: Some(write),
            xTruncate: Some(truncate),
            xSync: Some(sync),
            xFileSize: Some(file_size),
            xLock: Some(lock),
            xUnlock: Some(unlock),
            xCheckReservedLock: Some(check_reserved_lock),
            xFileControl: Some(file_control),
            xSectorSize: Some(sector_size),
            xDeviceCharacteristics: Some(characteristics),
            xShmMap: Some(shm_map),
            xShmLock: Some(shm_lock),
            xShmBarrier: Some(shm_barrier),
            xShmUnmap: Some(shm_unmap),
            xFetch: None,
            xUnfetch: None,
        };
        assert!(SYSTEMS.set(Systems { real, methods }).is_ok(), "once");
        // SAFETY: `real` is valid for ever. The copy is leaked, as SQLite keeps it, and names our functions.
        unsafe {
            let mut ours = Box::new(*real);
            ours.zName = c"faults".as_ptr();
            ours.pNext = std::ptr::null_mut();
            let own = c_int::try_from(size_of::<File>()).expect("a small struct");
            ours.szOsFile = own + (*real).szOsFile;
            ours.xOpen = Some(open);
            ours.xDelete = Some(delete);
            assert_eq!(ffi::sqlite3_vfs_register(Box::leak(ours), 1), ffi::SQLITE_OK, "a file system");
        }
    });
}

/// SQLite's own file behind ours.
///
/// # Safety
/// `file` was given to `open` by SQLite.
unsafe fn real(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: `szOsFile` made room for both, one after the other; `File` is a multiple of the pointer's size.
    unsafe { file.cast::<File>().add(1).cast() }
}

/// # Safety
/// As for `real`; the file is open.
unsafe fn methods<'a>(file: *mut ffi::sqlite3_file) -> &'a ffi::sqlite3_io_methods {
    // SAFETY: SQLite's own `xOpen` has set them.
    unsafe { &*(*real(file)).pMethods }
}

/// # Safety
/// As for `methods`.
unsafe fn place<'a>(file: *mut ffi::sqlite3_file) -> Option<&'a Place> {
    // SAFETY: null, or a box that lives until `close`.
    unsafe { (*file.cast::<File>()).place.as_ref() }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let systems = systems();
    // SAFETY: SQLite gives memory of `szOsFile` bytes, and a name that is null or ends in zero.
    unsafe {
        (*file.cast::<File>()).base.pMethods = std::ptr::null();
        (*file.cast::<File>()).place = std::ptr::null_mut();
        let found = (!name.is_null())
            .then(|| PathBuf::from(OsStr::from_bytes(CStr::from_ptr(name).to_bytes())))
            .and_then(|path| disk_of(&path).map(|disk| Place { path, disk }));
        if let Some(place) = &found
            && place.disk.is_dead()
        {
            return ffi::SQLITE_CANTOPEN;
        }
        let code = (*systems.real).xOpen.expect("every file system opens")(systems.real, name, real(file), flags, out);
        if code == ffi::SQLITE_OK {
            (*file.cast::<File>()).base.pMethods = &raw const systems.methods;
            (*file.cast::<File>()).place = found.map_or(std::ptr::null_mut(), |place| Box::into_raw(Box::new(place)));
        }
        code
    }
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    let systems = systems();
    // SAFETY: a name that ends in zero.
    unsafe {
        let path = PathBuf::from(OsStr::from_bytes(CStr::from_ptr(name).to_bytes()));
        if let Some(disk) = disk_of(&path) {
            let mut state = disk.state_to_change();
            if let Err(code) = state.begins(ffi::SQLITE_IOERR_DELETE) {
                return code;
            }
            state.cache.remove(&path);
        }
        (*systems.real).xDelete.expect("every file system deletes")(systems.real, name, sync_dir)
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: the last call for this file.
    unsafe {
        let place = std::mem::replace(&mut (*file.cast::<File>()).place, std::ptr::null_mut());
        if !place.is_null() {
            drop(Box::from_raw(place));
        }
        methods(file).xClose.expect("every file closes")(real(file))
    }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, len: c_int, at: i64) -> c_int {
    // SAFETY: handed on as it came.
    unsafe {
        if place(file).is_some_and(|place| place.disk.is_dead()) {
            return ffi::SQLITE_IOERR_READ;
        }
        methods(file).xRead.expect("every file is read")(real(file), to, len, at)
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, len: c_int, at: i64) -> c_int {
    // SAFETY: `from` has `len` bytes; everything is handed on as it came.
    unsafe {
        let write = methods(file).xWrite.expect("every file is written");
        let Some(place) = place(file) else {
            return write(real(file), from, len, at);
        };
        let bytes = std::slice::from_raw_parts(from.cast::<u8>(), usize::try_from(len).unwrap_or(0));
        let start = usize::try_from(at).unwrap_or(0);
        let mut state = place.disk.state_to_change();
        let mut begun = state.begins(ffi::SQLITE_IOERR_WRITE);
        let grows =
            (start + bytes.len()).saturating_sub(fs::metadata(&place.path).map_or(0, |file| file.len() as usize));
        if let Some(room) = &mut state.room
            && grows > 0
            && begun.is_ok()
        {
            match room.checked_sub(grows as u64) {
                Some(left) => *room = left,
                None => begun = Err(ffi::SQLITE_FULL),
            }
        }
        let whole = begun.is_ok();
        // One that fails is there by half.
        let written = if whole { bytes } else { &bytes[..bytes.len() / 2] };
        if !(state.dead && state.cut_at != Some(state.operations)) {
            state.cached(&place.path).since.push(Change::Write { at: start, bytes: written.to_vec() });
        }
        if state.dead {
            // What the file becomes is made up when the power is back.
            return begun.err().unwrap_or(ffi::SQLITE_IOERR_WRITE);
        }
        let code = write(real(file), from, c_int::try_from(written.len()).unwrap_or(0), at);
        begun.err().unwrap_or(code)
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: i64) -> c_int {
    // SAFETY: handed on as it came.
    unsafe {
        if let Some(place) = place(file) {
            let mut state = place.disk.state_to_change();
            if let Err(code) = state.begins(ffi::SQLITE_IOERR_TRUNCATE) {
                return code;
            }
            let len = usize::try_from(len).unwrap_or(0);
            state.cached(&place.path).since.push(Change::Truncate { len });
        }
        methods(file).xTruncate.expect("every file is truncated")(real(file), len)
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: handed on as it came.
    unsafe {
        let Some(place) = place(file) else {
            return methods(file).xSync.expect("every file is synced")(real(file), flags);
        };
        let mut state = place.disk.state_to_change();
        if let Err(code) = state.begins(ffi::SQLITE_IOERR_FSYNC) {
            return code;
        }
        // What is in the cache of this machine is safe from a power that is only cut here.
        state.cache.remove(&place.path);
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: handed on as it came.
    unsafe { methods(file).xFileSize.expect("every file has a size")(real(file), size) }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: handed on as it came.
    unsafe { methods(file).xLock.expect("every file is locked")(real(file), level) }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: handed on as it came.
    unsafe { methods(file).xUnlock.expect("every file is unlocked")(real(file), level) }
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: handed on as it came.
    unsafe { methods(file).xCheckReservedLock.expect("every file says so")(real(file), out) }
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, op: c_int, arg: *mut c_void) -> c_int {
    // SAFETY: handed on as it came.
    unsafe { methods(file).xFileControl.expect("every file is controlled")(real(file), op, arg) }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: handed on as it came.
    unsafe { methods(file).xSectorSize.map_or(4096, |size| size(real(file))) }
}

/// This disk promises nothing: not that a write leaves its neighbours alone, nor that bytes are there before the file is longer.
unsafe extern "C" fn characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    0
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: handed on as it came.
    unsafe { methods(file).xShmMap.expect("files share memory")(real(file), page, size, extend, out) }
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, offset: c_int, n: c_int, flags: c_int) -> c_int {
    // SAFETY: handed on as it came.
    unsafe { methods(file).xShmLock.expect("files share memory")(real(file), offset, n, flags) }
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: handed on as it came.
    unsafe { methods(file).xShmBarrier.expect("files share memory")(real(file)) }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: handed on as it came.
    unsafe { methods(file).xShmUnmap.expect("files share memory")(real(file), delete) }
}
