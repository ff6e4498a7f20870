//! A disk that fails when a test says so: power that is cut with writes still in its cache, room that runs out, operations
//! that answer with an error, or do not answer until the test lets them. It lies over SQLite's own files, for everything below
//! a folder that a test names.
//!
//! Whatever was written since a file was last synced is in the cache. When the power is cut, the cache is lost in part: of
//! each file some of these writes are there, whole, by sectors, or not at all, in any combination. What was synced stays.
//!
//! With the feature `testing`, never in a release.
#![allow(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod system;

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::ffi;

const SECTOR: usize = 512;

/// A disk below one folder, until it is dropped. Files that are open then stay on it.
#[derive(Debug)]
pub struct Disk {
    platter: Arc<Platter>,
}

#[derive(Debug, Default)]
struct Platter {
    state: Mutex<State>,
    goes_on: Condvar,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It answers with an input/output error; a write may be there in part.
    Io,
    /// There is no room; a write may be there in part.
    Full,
}

#[derive(Debug, Default)]
struct State {
    /// Operations that change something, so far: writes, truncations, syncs, deletions.
    operations: u64,
    cut_at: Option<u64>,
    fail_at: Option<(u64, Fault)>,
    /// Bytes by which files may still grow.
    room: Option<u64>,
    dead: bool,
    is_stalled: bool,
    /// Operations that wait until it is not.
    waiting: usize,
    /// What is in the cache, for each file: what it holds for certain, and what was done to it since.
    cache: BTreeMap<PathBuf, Cached>,
}

#[derive(Debug)]
struct Cached {
    synced: Vec<u8>,
    since: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate { len: usize },
}

impl Disk {
    /// The disk below `dir`. Files that are opened from now on are on it.
    ///
    /// # Panics
    /// When SQLite has no files of its own on this system.
    #[must_use]
    pub fn below(dir: &Path) -> Self {
        system::register();
        let dir = fs::canonicalize(dir).expect("a folder that is there");
        let platter = Arc::<Platter>::default();
        disks().push((dir, Arc::clone(&platter)));
        Self { platter }
    }

    /// Operations so far that changed something.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The power is cut in the middle of operation `number`, counted from 1; 0 for never.
    pub fn cut_at(&self, number: u64) {
        self.state().cut_at = Some(number);
    }

    /// Operation `number`, counted from 1, fails.
    pub fn fail_at(&self, number: u64, fault: Fault) {
        self.state().fail_at = Some((number, fault));
    }

    /// Files may grow by so many bytes and no more; `None`: as they like.
    pub fn room(&self, bytes: Option<u64>) {
        self.state().room = bytes;
    }

    /// From now on whatever changes something waits until [`Self::goes_on`], as on a disk that hangs. Reads do not.
    pub fn stalls(&self) {
        self.state().is_stalled = true;
    }

    /// Ends a stall. Dropping the disk does so too.
    pub fn goes_on(&self) {
        self.platter.goes_on();
    }

    /// Operations that wait for the end of a stall.
    pub fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// True when the power was cut: nothing is written any more, and every operation fails.
    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// The machine writes its cache back, as it does by itself sooner or later: what is in the files now is on the disk. For a
    /// test that changes files itself.
    pub fn flushes(&self) {
        self.state().cache.clear();
    }

    /// The power is back. Of what was in the cache some is there, as `seed` has it. To be called when all connections are
    /// closed.
    ///
    /// # Panics
    /// When a file cannot be written.
    pub fn comes_back(&self, seed: u64) {
        let mut state = self.state();
        let mut dice = seed;
        for (path, cached) in std::mem::take(&mut state.cache) {
            let mut bytes = cached.synced;
            for change in cached.since {
                match (change, draw(&mut dice) % 3) {
                    (_, 0) => {}
                    (Change::Truncate { len }, _) => bytes.resize(len, 0),
                    (Change::Write { at, bytes: written }, 1) => lay(&mut bytes, at, &written),
                    (Change::Write { at, bytes: written }, _) => {
                        for (number, sector) in written.chunks(SECTOR).enumerate() {
                            if draw(&mut dice).is_multiple_of(2) {
                                lay(&mut bytes, at + number * SECTOR, sector);
                            }
                        }
                    }
                }
            }
            if path.exists() {
                fs::write(&path, bytes).expect("a file of the disk");
            }
        }
        *state = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.platter.state()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        disks().retain(|(_, platter)| !Arc::ptr_eq(platter, &self.platter));
        self.platter.goes_on();
    }
}

impl Platter {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state for an operation that changes something: while the disk hangs, so does the operation.
    fn state_to_change(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.waiting += 1;
        state = self.goes_on.wait_while(state, |state| state.is_stalled).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    fn goes_on(&self) {
        self.state().is_stalled = false;
        self.goes_on.notify_all();
    }

    fn is_dead(&self) -> bool {
        self.state().dead
    }
}

/// SplitMix64.
fn draw(dice: &mut u64) -> u64 {
    *dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *dice;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn lay(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if file.len() < at + bytes.len() {
        file.resize(at + bytes.len(), 0);
    }
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

impl State {
    /// Counts an operation. `Err` is what SQLite hears instead of its being done; a cut leaves the power off.
    fn begins(&mut self, failed: c_int) -> Result<(), c_int> {
        if self.dead {
            return Err(failed);
        }
        self.operations += 1;
        if self.cut_at == Some(self.operations) {
            self.dead = true;
            return Err(failed);
        }
        match self.fail_at {
            Some((number, Fault::Io)) if number == self.operations => Err(failed),
            Some((number, Fault::Full)) if number == self.operations => Err(ffi::SQLITE_FULL),
            _ => Ok(()),
        }
    }

    fn cached(&mut self, path: &Path) -> &mut Cached {
        self.cache
            .entry(path.to_owned())
            .or_insert_with(|| Cached { synced: fs::read(path).unwrap_or_default(), since: Vec::new() })
    }
}

/// Folders, and the disks below them.
type Disks = Vec<(PathBuf, Arc<Platter>)>;

fn disks() -> MutexGuard<'static, Disks> {
    static DISKS: OnceLock<Mutex<Disks>> = OnceLock::new();
    DISKS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

fn disk_of(path: &Path) -> Option<Arc<Platter>> {
    disks().iter().rev().find(|(dir, _)| path.starts_with(dir)).map(|(_, disk)| Arc::clone(disk))
}
