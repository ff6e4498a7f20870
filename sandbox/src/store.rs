//! The one copy of the world, behind a mutex, and its file. A change is on disk before anyone hears of it; when it
//! cannot be stored it is taken back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::refused::Refused;
use crate::world::{VERSION, World};

pub(crate) struct Store {
    world: Mutex<World>,
    file: Option<StateFile>,
    closed: AtomicBool,
    /// Rings when a webhook may be waiting.
    pub(crate) outbox_bell: Notify,
    /// Rings for everyone who waits for the outbox to be empty.
    pub(crate) change_bell: Notify,
}

/// Why a state file could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("another sandbox uses it")]
    InUse,
    #[error("it is not a state file of this version")]
    NotOurs(#[source] Option<serde_json::Error>),
    #[error("reading or writing it")]
    Io(#[from] io::Error),
}

struct StateFile {
    path: PathBuf,
    /// Held until the store is closed, so that two sandboxes never overwrite each other.
    lock: File,
}

impl Store {
    /// Opens the file, or begins a new world named `epoch`.
    pub(crate) fn open(path: Option<PathBuf>, epoch: String) -> Result<Self, OpenError> {
        let (file, world) = match path {
            None => (None, World::new(epoch)),
            Some(path) => {
                let lock = open_private(&beside(&path, "lock"))?;
                lock.try_lock().map_err(|_| OpenError::InUse)?;
                let world = match fs::read(&path) {
                    Ok(bytes) => read_world(&bytes)?,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => World::new(epoch),
                    Err(error) => return Err(error.into()),
                };
                (Some(StateFile { path, lock }), world)
            }
        };
        Ok(Self {
            world: Mutex::new(world),
            file,
            closed: AtomicBool::new(false),
            outbox_bell: Notify::new(),
            change_bell: Notify::new(),
        })
    }

    /// Reads or changes the world and stores the change before it returns. Off the async threads, because disks wait.
    pub(crate) async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut World) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Refused> {
        let store = Arc::clone(self);
        tokio::task::spawn_blocking(move || store.with_now(act)).await.map_err(|_| Refused::Broken)?
    }

    /// Waits for the change that is being made, makes no further one, and leaves the file to the next sandbox.
    pub(crate) async fn close(self: &Arc<Self>) {
        let store = Arc::clone(self);
        let close = tokio::task::spawn_blocking(move || {
            let _world = store.world.lock();
            store.closed.store(true, Ordering::Relaxed);
            if let Some(file) = &store.file {
                // Where unlocking fails, the lock ends with the last handle.
                let _ = file.lock.unlock();
            }
        });
        let _ = close.await;
    }

    fn with_now<T>(&self, act: impl FnOnce(&mut World) -> Result<T, Refused>) -> Result<T, Refused> {
        // A poisoned lock means that a change stopped half-way: the file has the last whole state.
        let mut world = self.world.lock().map_err(|_| Refused::Broken)?;
        if self.closed.load(Ordering::Relaxed) {
            return Err(Refused::Broken);
        }
        let before = self.file.is_some().then(|| world.clone());
        let answer = act(&mut world);
        if !world.changed {
            return answer;
        }
        if let (Some(file), Some(before)) = (&self.file, before)
            && let Err(error) = file.save(&world)
        {
            tracing::error!(kind = ?error.kind(), "a change could not be stored");
            *world = before;
            return Err(Refused::NotStored);
        }
        world.changed = false;
        self.outbox_bell.notify_one();
        self.change_bell.notify_waiters();
        answer
    }
}

impl StateFile {
    fn save(&self, world: &World) -> io::Result<()> {
        let bytes = serde_json::to_vec(world)?;
        let fresh = beside(&self.path, "new");
        let mut file = open_private(&fresh)?;
        file.set_len(0)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        // The rename itself must survive a power cut too.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

fn read_world(bytes: &[u8]) -> Result<World, OpenError> {
    let world: World = serde_json::from_slice(bytes).map_err(|error| OpenError::NotOurs(Some(error)))?;
    if world.version == VERSION { Ok(world) } else { Err(OpenError::NotOurs(None)) }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// A file that only its owner may read: the addresses in it open payment pages.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
