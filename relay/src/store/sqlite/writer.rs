//! The one writer: a thread that owns the write connection and commits in groups.
//!
//! It takes what is waiting, up to 256 operations or 1 MiB, runs it in one transaction, and answers when that
//! transaction is on the disk. No timer: while one group syncs, the next one gathers.
//! A group that fails is run again one by one, so that one bad operation does not take its neighbours down.
//!
//! What would wait too long is refused at once. The last part of the room is kept for what lets go of something: a relay that
//! has too much must still take the acknowledgements that make it less.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use comptoir_sqlcipher::crash;
use comptoir_sqlcipher::rusqlite::{self, Connection, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::failed;
use crate::store::StoreError;

const GROUP_OPERATIONS_MAX: usize = 256;
const GROUP_BYTES_MAX: usize = 1024 * 1024;
const WAITING_OPERATIONS_MAX: usize = 8_192;
const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Of these, kept for what [`Writer::settle`] is asked.
const KEPT_OPERATIONS: usize = WAITING_OPERATIONS_MAX / 4;
const KEPT_BYTES: usize = WAITING_BYTES_MAX / 4;

/// What the writer did since it started.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) batches: AtomicU64,
    pub(super) operations: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Writer {
    // `None` after `close`.
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    bytes: Arc<Semaphore>,
    done: Arc<Done>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Job {
    work: Box<dyn Work>,
    bytes: usize,
    room: OwnedSemaphorePermit,
}

impl Job {
    /// Makes room, then answers.
    fn committed(self) {
        drop(self.room);
        self.work.committed();
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Job({} bytes)", self.bytes)
    }
}

/// An operation with its answer's type hidden. `run` may be called again after its transaction was rolled back.
trait Work: Send {
    fn run(&mut self, tx: &Connection) -> rusqlite::Result<()>;
    fn committed(self: Box<Self>);
    fn failed(self: Box<Self>, error: rusqlite::Error);
}

struct Asked<T, F> {
    doing: &'static str,
    ask: F,
    answer: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Work for Asked<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, tx: &Connection) -> rusqlite::Result<()> {
        self.answer = Some((self.ask)(tx)?);
        Ok(())
    }

    fn committed(self: Box<Self>) {
        // Nobody may be waiting any more; what was asked is done all the same.
        if let Some(answer) = self.answer {
            self.reply.send(Ok(answer)).ok();
        }
    }

    fn failed(self: Box<Self>, error: rusqlite::Error) {
        self.reply.send(Err(failed(self.doing)(error))).ok();
    }
}

impl Writer {
    /// Starts the thread, which logs within the caller's span. `guard` is dropped when the connection is closed.
    pub(super) fn start(db: Connection, guard: impl Send + 'static) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_OPERATIONS_MAX);
        let done = Arc::new(Done::default());
        let counted = Arc::clone(&done);
        let span = tracing::Span::current();
        let thread = std::thread::Builder::new().name("relay-writer".into()).spawn(move || {
            let _within = span.entered();
            write_all(db, waiting, &counted);
            drop(guard);
        })?;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            bytes: Arc::new(Semaphore::new(WAITING_BYTES_MAX)),
            done,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Runs `ask` in a transaction and answers when it is on the disk. Dropping the future does not take it back.
    pub(super) async fn write<T, F>(&self, doing: &'static str, bytes: usize, ask: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        // Looked at without a lock: a few more than that may slip in, and there is room for them.
        let left_bytes = self.bytes.available_permits().saturating_sub(KEPT_BYTES);
        if bytes > left_bytes || self.waiting() >= (WAITING_OPERATIONS_MAX - KEPT_OPERATIONS) as u64 {
            return Err(StoreError::Busy);
        }
        self.settle(doing, bytes, ask).await
    }

    /// As [`Self::write`], for what makes less of something, and for who arrives or leaves: it is taken while more is refused.
    pub(super) async fn settle<T, F>(&self, doing: &'static str, bytes: usize, ask: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let room = u32::try_from(bytes.clamp(1, WAITING_BYTES_MAX)).map_err(|_| StoreError::Busy)?;
        let room = Arc::clone(&self.bytes).try_acquire_many_owned(room).map_err(|_| StoreError::Busy)?;
        let work = Box::new(Asked { doing, ask, answer: None, reply });
        {
            let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let jobs = jobs.as_ref().ok_or(StoreError::Closed)?;
            jobs.try_send(Job { work, bytes, room }).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Busy,
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            })?;
        }
        answer.await.map_err(|_| StoreError::Closed)?
    }

    pub(super) fn done(&self) -> &Done {
        &self.done
    }

    /// Operations that wait for the disk.
    pub(super) fn waiting(&self) -> u64 {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.as_ref().map_or(0, |jobs| (jobs.max_capacity() - jobs.capacity()) as u64)
    }

    /// Takes no more work and hands over the thread, which ends after what is waiting.
    pub(super) fn stop(&self) -> Option<JoinHandle<()>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Writer {
    /// Waits until what was asked is on the disk and the lock is released, so that the next open finds both.
    fn drop(&mut self) {
        if let Some(thread) = self.stop() {
            thread.join().ok();
        }
    }
}

fn write_all(mut db: Connection, mut waiting: mpsc::Receiver<Job>, done: &Done) {
    let mut group = Vec::with_capacity(GROUP_OPERATIONS_MAX);
    while let Some(first) = waiting.blocking_recv() {
        let mut bytes = first.bytes;
        group.push(first);
        while group.len() < GROUP_OPERATIONS_MAX && bytes < GROUP_BYTES_MAX {
            let Ok(next) = waiting.try_recv() else { break };
            bytes += next.bytes;
            group.push(next);
        }
        commit_group(&mut db, &mut group, done);
    }
    // The last connection to close writes the log back into the file.
    if let Err((_, error)) = db.close() {
        tracing::error!(%error, "closing the database");
    }
}

fn commit_group(db: &mut Connection, group: &mut Vec<Job>, done: &Done) {
    let Err(error) = commit(db, group, done) else {
        group.drain(..).for_each(Job::committed);
        return;
    };
    if group.len() > 1 {
        tracing::warn!(%error, operations = group.len(), "a group failed and is run one by one");
        for job in group.drain(..) {
            commit_group(db, &mut vec![job], done);
        }
    } else if let Some(job) = group.pop() {
        tracing::error!(%error, "an operation failed");
        drop(job.room);
        job.work.failed(error);
    }
}

fn commit(db: &mut Connection, group: &mut [Job], done: &Done) -> rusqlite::Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in group.iter_mut() {
        job.work.run(&tx)?;
    }
    crash::point("relay.commit.before");
    tx.commit()?;
    crash::point("relay.commit.after");
    done.batches.fetch_add(1, Ordering::Relaxed);
    done.operations.fetch_add(group.len() as u64, Ordering::Relaxed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::stream::FuturesUnordered;
    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;

    fn insert(n: i64) -> impl FnMut(&Connection) -> rusqlite::Result<i64> + Send + 'static {
        move |tx| {
            tx.execute("INSERT INTO t VALUES (?1)", [n])?;
            Ok(n)
        }
    }

    fn writer() -> (tempfile::TempDir, Writer) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let db = comptoir_sqlcipher::open_plain(&path, comptoir_sqlcipher::Access::Write).unwrap();
        db.execute_batch("CREATE TABLE t(n INTEGER UNIQUE) STRICT").unwrap();
        (dir, Writer::start(db, ()).unwrap())
    }

    #[tokio::test]
    async fn what_waits_together_is_one_transaction() {
        let (_dir, writer) = writer();
        // The first operation holds the thread until the others are waiting.
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let gate = writer.write("wait", 0, move |_| {
            gate.recv().ok();
            Ok(0)
        });
        let all = async {
            let rest = futures_util::future::join_all((1..=100).map(|n| writer.write("insert", 10, insert(n))));
            let (done, ()) = tokio::join!(rest, async move { drop(go) });
            done
        };
        let (gate, all) = tokio::join!(gate, all);
        assert_eq!(gate.unwrap(), 0);
        assert_eq!(all.into_iter().map(Result::unwrap).collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
        assert_eq!(writer.done().operations.load(Ordering::Relaxed), 101);
        assert!(writer.done().batches.load(Ordering::Relaxed) <= 3);
    }

    #[tokio::test]
    async fn one_bad_operation_leaves_its_neighbours_alone() {
        let (_dir, writer) = writer();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let gate = writer.write("wait", 0, move |_| {
            gate.recv().ok();
            Ok(0)
        });
        let three = async {
            let (one, bad, two, ()) = tokio::join!(
                writer.write("insert", 1, insert(1)),
                writer.write("insert", 1, insert(1)),
                writer.write("insert", 1, insert(2)),
                async move { drop(go) }
            );
            (one, bad, two)
        };
        let (_, (one, bad, two)) = tokio::join!(gate, three);
        assert_eq!((one.unwrap(), two.unwrap()), (1, 2));
        assert!(matches!(bad, Err(StoreError::Failed { doing: "insert", .. })), "{bad:?}");
        let count =
            writer.write("count", 0, |tx| tx.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)));
        assert_eq!(count.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn too_much_waiting_is_refused_and_nothing_is_lost() {
        let (_dir, writer) = writer();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let half = (WAITING_BYTES_MAX - KEPT_BYTES) / 2 + 1;
        let gate = writer.write("wait", half, move |_| {
            gate.recv().ok();
            Ok(0)
        });
        let over = async {
            let refused = writer.write("insert", half, insert(1)).await;
            drop(go);
            refused
        };
        let (gate, over) = tokio::join!(gate, over);
        assert!(gate.is_ok());
        assert!(matches!(over, Err(StoreError::Busy)));
        assert_eq!(writer.write("insert", half, insert(1)).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn no_more_operations_wait_than_allowed_and_the_last_places_are_for_what_lets_go() {
        let (_dir, writer) = writer();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let mut held = Box::pin(writer.write("wait", 0, move |_| {
            gate.recv().ok();
            Ok(0)
        }));
        // Once the thread has taken it, it does not wait any more.
        assert!(held.as_mut().now_or_never().is_none());
        while writer.waiting() > 0 {
            std::thread::yield_now();
        }
        let writer = &writer;
        let fill = async |most: usize, settles: bool| {
            let ask = async move || {
                let nothing = |_: &Connection| Ok(());
                if settles {
                    writer.settle("settle", 0, nothing).await
                } else {
                    writer.write("write", 0, nothing).await
                }
            };
            let mut all: FuturesUnordered<_> = (0..=most).map(|_| Box::pin(ask())).collect();
            // The only one that ends is the one that was too many.
            assert!(matches!(all.next().await, Some(Err(StoreError::Busy))));
            assert_eq!(all.len(), most);
            drop(all);
        };
        // Whoever asked does not wait for the answer; what was asked is done all the same.
        fill(WAITING_OPERATIONS_MAX - KEPT_OPERATIONS, false).await;
        fill(KEPT_OPERATIONS, true).await;
        assert_eq!(writer.waiting(), WAITING_OPERATIONS_MAX as u64);
        drop(go);
        assert!(held.await.is_ok());
        while writer.waiting() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(writer.write("write", 0, |_| Ok(())).await.is_ok());
        assert_eq!(writer.done().operations.load(Ordering::Relaxed), WAITING_OPERATIONS_MAX as u64 + 2);
        assert_eq!(writer.bytes.available_permits(), WAITING_BYTES_MAX);
    }

    #[tokio::test]
    async fn what_was_asked_before_the_stop_is_done() {
        let (_dir, writer) = writer();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let gate = writer.write("wait", 0, move |_| {
            gate.recv().ok();
            Ok(0)
        });
        let stop = async {
            let thread = writer.stop().unwrap();
            drop(go);
            thread
        };
        let (gate, one, two, thread) =
            tokio::join!(gate, writer.write("insert", 1, insert(1)), writer.write("insert", 1, insert(2)), stop);
        assert_eq!((gate.unwrap(), one.unwrap(), two.unwrap()), (0, 1, 2));
        thread.join().unwrap();
    }

    #[tokio::test]
    async fn after_stop_work_is_refused() {
        let (_dir, writer) = writer();
        writer.stop().unwrap().join().unwrap();
        assert!(matches!(writer.write("insert", 0, insert(1)).await, Err(StoreError::Closed)));
    }
}
