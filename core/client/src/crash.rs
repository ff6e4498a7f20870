//! Where a test pulls the plug: right before or right after the n-th commit that wrote something.
//!
//! `COMPTOIR_CRASH_AT=7:after` aborts the process after its seventh commit. Only in builds with the feature `testing` and
//! debug assertions; everything here is empty otherwise.

use comptoir_sqlcipher::rusqlite::Connection;

/// True when the open transaction has changed rows.
#[cfg(all(feature = "testing", debug_assertions))]
pub(crate) fn wrote(db: &Connection) -> bool {
    use std::sync::atomic::{AtomicU64, Ordering};
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let total = db.total_changes();
    SEEN.swap(total, Ordering::SeqCst) != total
}

#[cfg(all(feature = "testing", debug_assertions))]
pub(crate) fn point(wrote: bool, side: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COMMITS: AtomicU64 = AtomicU64::new(0);
    if !wrote {
        return;
    }
    let number = match side {
        "before" => COMMITS.fetch_add(1, Ordering::SeqCst) + 1,
        _ => COMMITS.load(Ordering::SeqCst),
    };
    if std::env::var("COMPTOIR_CRASH_AT").is_ok_and(|at| at == format!("{number}:{side}")) {
        std::process::abort();
    }
}

#[cfg(not(all(feature = "testing", debug_assertions)))]
pub(crate) fn wrote(_: &Connection) -> bool {
    false
}

#[cfg(not(all(feature = "testing", debug_assertions)))]
pub(crate) fn point(_: bool, _: &str) {}
