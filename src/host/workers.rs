//! Threads that work on the files of a tree while somebody walks through it.

use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use parking_lot::Mutex;

/// How many open files may wait for a thread.
const QUEUE: usize = 32;
const THREADS_MAX: usize = 8;

/// Runs `walk`, which sends jobs, and the threads that do the `work`; all are done when it returns.
///
/// Without anybody to receive it, sending a job fails: then a thread has panicked, which comes out here.
pub(super) fn work_while<R, J: Send, O: Send>(
    work: impl Fn(J) -> O + Sync,
    walk: impl FnOnce(SyncSender<J>) -> R,
) -> (R, Vec<O>) {
    let (sender, receiver) = sync_channel(QUEUE);
    let receiver = Mutex::new(receiver);
    let threads = thread::available_parallelism().map_or(2, NonZero::get).clamp(2, THREADS_MAX);
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| work_all(&work, &receiver))).collect();
        let walked = walk(sender);
        (walked, workers.into_iter().flat_map(join).collect())
    })
}

fn work_all<J, O>(work: impl Fn(J) -> O, jobs: &Mutex<Receiver<J>>) -> Vec<O> {
    // The lock is held while waiting: whoever waits for the lock would wait for a file otherwise.
    let next = || jobs.lock().recv().ok();
    std::iter::from_fn(next).map(work).collect()
}

fn join<O>(worker: ScopedJoinHandle<'_, Vec<O>>) -> Vec<O> {
    worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
