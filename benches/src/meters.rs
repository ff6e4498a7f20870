//! Instruments: processor time, memory, bytes read. What only Linux tells is an error elsewhere, and the line of the
//! table says so.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::Result;

/// Processor time that this thread has used.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

/// Microseconds of processor time that something takes on this thread.
pub(crate) fn cpu_micros(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let before = thread_cpu();
    work()?;
    Ok(micros(thread_cpu().saturating_sub(before)))
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A thread of this process, by its number in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadId(u32);

/// The threads of this process that have this name.
pub(crate) fn threads_named(name: &str) -> Result<Vec<ThreadId>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let entry = entry?;
        // A thread that ended meanwhile is not one of those that are looked for.
        let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if comm.trim_end() == name {
            found.push(ThreadId(entry.file_name().to_string_lossy().parse()?));
        }
    }
    Ok(found)
}

/// Processor time of a thread. Exact while it sleeps; up to a tick of the kernel late while it runs.
pub(crate) fn cpu_of_thread(thread: ThreadId) -> Result<Duration> {
    cpu_in(&format!("/proc/self/task/{}/schedstat", thread.0))
}

/// Processor time of all threads that a process has now.
pub(crate) fn cpu_of_process(process: u32) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for entry in fs::read_dir(format!("/proc/{process}/task"))? {
        total += cpu_in(&entry?.path().join("schedstat").to_string_lossy()).unwrap_or_default();
    }
    Ok(total)
}

fn cpu_in(schedstat: &str) -> Result<Duration> {
    let text = fs::read_to_string(schedstat)?;
    let nanos = text.split_whitespace().next().ok_or("an empty schedstat")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// Memory of a process that is in RAM.
pub(crate) fn resident_bytes(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// Bytes that this process has read so far, whether from the disk or from the system's cache.
pub(crate) fn bytes_read() -> Result<u64> {
    counted(std::process::id(), "rchar: ")
}

/// Bytes that a process has given to the disk so far.
pub(crate) fn bytes_written(process: u32) -> Result<u64> {
    counted(process, "write_bytes: ")
}

fn counted(process: u32, name: &str) -> Result<u64> {
    let io = fs::read_to_string(format!("/proc/{process}/io"))?;
    let line = io.lines().find_map(|line| line.strip_prefix(name)).ok_or("an io file without its lines")?;
    Ok(line.parse()?)
}

/// Makes the system forget what it has cached of a file and its write-ahead log.
pub(crate) fn forget_cached(database: &Path) -> Result<()> {
    let mut wal = database.as_os_str().to_owned();
    wal.push("-wal");
    for path in [database, Path::new(&wal)] {
        if let Ok(file) = fs::File::open(path) {
            file.sync_all()?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}

/// The load averages, where the system tells them.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}
