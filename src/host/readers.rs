//! The contents of files, read by several threads while the walk goes on.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use super::contents;
use super::facts::Facts;
use super::workers::work_while;
use crate::content::Content;
use crate::error::Fault;

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
    work_while(|job: Job| (job.entry, read(shared, &job)), walk)
}

fn read(shared: &Shared, job: &Job) -> Result<Content, Fault> {
    let read = contents::read(&job.file, &job.facts);
    match &read {
        Ok(content) => shared.bytes.fetch_add(content.data_bytes(), Ordering::Relaxed),
        Err(_) => shared.failures.fetch_add(1, Ordering::Relaxed),
    };
    read
}
