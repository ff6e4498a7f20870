//! Two mebibytes that stand for nothing. When the disk is full they are let go, so that what arrives can still be stored: even to
//! delete something takes room. Until there is room for them again nothing new is begun.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use comptoir_content::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};

const FILE: &str = "comptoir.ballast";
const BYTES: usize = 2 << 20;
const BLOCK: usize = 64 << 10;
/// How often to look whether there is room again, in milliseconds.
const LOOK_EVERY_MS: i64 = 60_000;

pub(crate) struct Ballast {
    path: PathBuf,
    /// When it was looked for room last; `None` while all is well.
    short_since: Option<Timestamp>,
}

impl Ballast {
    /// Puts it into `dir`, if it is not there.
    pub(crate) fn lay(dir: &Path, now: Timestamp) -> Self {
        let mut ballast = Self { path: dir.join(FILE), short_since: None };
        ballast.short_since = (!ballast.put()).then_some(now);
        ballast
    }

    /// The disk is full: makes room.
    pub(crate) fn let_go(&mut self, now: Timestamp) {
        self.short_since = Some(now);
        if fs::remove_file(&self.path).is_ok() {
            tracing::warn!("the disk is full: only what arrives is stored until there is room again");
        }
    }

    /// True while nothing new should be begun.
    pub(crate) fn is_short(&mut self, now: Timestamp) -> bool {
        // A clock that was set back says that no time went by, perhaps for days.
        let is_due = |since: Timestamp| now < since || now.since_ms(since) >= LOOK_EVERY_MS;
        if self.short_since.is_some_and(is_due) {
            self.short_since = (!self.put()).then_some(now);
        }
        self.short_since.is_some()
    }

    /// Says whether it is there now, whole.
    fn put(&self) -> bool {
        if fs::metadata(&self.path).is_ok_and(|file| file.len() == BYTES as u64) {
            return true;
        }
        // Bytes that no file system makes smaller.
        let mut block = vec![0; BLOCK];
        let filled = SystemRandom::new().fill(&mut block);
        let write = || {
            let mut file = fs::File::create(&self.path)?;
            (0..BYTES / BLOCK).try_for_each(|_| file.write_all(&block))
        };
        let written = filled.map_err(|_| io::ErrorKind::Other.into()).and_then(|()| write());
        if written.is_err() {
            // By half it only takes room.
            let _ = fs::remove_file(&self.path);
        }
        written.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn it_is_let_go_once_and_laid_again_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut ballast = Ballast::lay(dir.path(), NOW);
        let size = || fs::metadata(dir.path().join(FILE)).map(|file| file.len()).ok();
        assert_eq!(size(), Some(2 << 20));
        assert!(!ballast.is_short(NOW));
        ballast.let_go(NOW);
        assert_eq!(size(), None);
        assert!(ballast.is_short(NOW.plus_ms(LOOK_EVERY_MS - 1)), "it is not looked at every moment");
        assert!(!ballast.is_short(NOW.plus_ms(LOOK_EVERY_MS)));
        assert_eq!(size(), Some(2 << 20));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_it_away() {
        let dir = tempfile::tempdir().unwrap();
        let mut ballast = Ballast::lay(dir.path(), NOW);
        ballast.let_go(NOW);
        assert!(!ballast.is_short(NOW.plus_ms(-24 * 3_600_000)));
    }

    #[test]
    fn where_there_is_no_room_from_the_start_nothing_is_begun() {
        let mut ballast = Ballast::lay(Path::new("/nowhere/at/all"), NOW);
        assert!(ballast.is_short(NOW));
    }
}
