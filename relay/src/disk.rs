//! How much room the disk has. When it gets short, new accounts are refused first: mail for those who are here goes on.

use std::path::Path;

/// True when less than `free_min_percent` of the disk under `dir` may still be written. A disk that cannot be asked is not
/// short: what it really refuses, the store notices.
pub(crate) fn is_short(dir: &Path, free_min_percent: u32) -> bool {
    match room(dir) {
        Some((free, all)) => free.saturating_mul(100) < all.saturating_mul(free_min_percent.into()),
        None => false,
    }
}

/// Blocks that the relay may still write, and all blocks.
#[cfg(unix)]
fn room(dir: &Path) -> Option<(u64, u64)> {
    match rustix::fs::statvfs(dir) {
        Ok(disk) => Some((disk.f_bavail, disk.f_blocks)),
        Err(error) => {
            tracing::warn!(%error, "the disk does not say how full it is");
            None
        }
    }
}

#[cfg(not(unix))]
fn room(_dir: &Path) -> Option<(u64, u64)> {
    None
}
