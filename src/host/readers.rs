//! Threads that read the contents of files while the walk goes on.

use std::fs::File;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use parking_lot::Mutex;

use super::contents;
use super::facts::Facts;
use crate::content::Content;
use crate::error::Fault;

/// How many open files may wait to be read.
const QUEUE: usize = 32;
const THREADS_MAX: usize = 8;

/// A file to be read, for the entry of this number.
pub(super) struct Job {
    pub(super) entry: usize,
    pub(super) file: File,
    pub(super) facts: Facts,
}

/// What came of it.
pub(super) type Outcome = (usize, Result<Content, Fault>);

/// What the walk and the readers share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) bytes: AtomicU64,
    pub(super) failures: AtomicU64,
}

/// Runs `walk`, which sends files, and the threads that read them; all are done when it returns.
pub(super) fn read_while<R>(
    shared: &Shared,
    walk: impl FnOnce(SyncSender<Job>) -> R,
) -> (R, Vec<Outcome>) {
    let (sender, receiver) = sync_channel(QUEUE);
    let receiver = Mutex::new(receiver);
    let threads = thread::available_parallelism().map_or(2, NonZero::get).clamp(2, THREADS_MAX);
    thread::scope(|scope| {
        let readers: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| read_all(shared, &receiver))).collect();
        let walked = walk(sender);
        (walked, readers.into_iter().flat_map(join).collect())
    })
}

fn read_all(shared: &Shared, jobs: &Mutex<Receiver<Job>>) -> Vec<Outcome> {
    // The lock is held while waiting: whoever waits for the lock would wait for a file otherwise.
    let next = || jobs.lock().recv().ok();
    std::iter::from_fn(next).map(|job| (job.entry, read(shared, &job))).collect()
}

fn read(shared: &Shared, job: &Job) -> Result<Content, Fault> {
    let read = contents::read(&job.file, &job.facts);
    match &read {
        Ok(content) => shared.bytes.fetch_add(content.data_bytes(), Ordering::Relaxed),
        Err(_) => shared.failures.fetch_add(1, Ordering::Relaxed),
    };
    read
}

fn join(reader: ScopedJoinHandle<'_, Vec<Outcome>>) -> Vec<Outcome> {
    reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
