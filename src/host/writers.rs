//! The files of a tree, written by several threads while the walk goes on.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::handle::Handle;
use super::place::Place;
use super::policy::Wanted;
use super::{EXPORT, beneath, contents, host_path};
use crate::content::Content;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::path;

/// A file to be written.
pub(super) struct Job {
    pub(super) place: Place,
    pub(super) within: Arc<Unfinished>,
    pub(super) content: Content,
    pub(super) wanted: Wanted,
}

/// A directory in which something is still being made. Whoever is the last to have it gives it what it is to have:
/// everything that is made in a directory changes its time, and its mode may forbid it.
pub(super) struct Unfinished {
    pub(super) path: Box<[u8]>,
    pub(super) wanted: Wanted,
}

/// What the walk and the writers share.
pub(super) struct Shared<'a> {
    /// The directory that is written, as the caller calls it.
    pub(super) root: &'a [u8],
    pub(super) is_root: bool,
    pub(super) bytes: AtomicU64,
    has_failed: AtomicBool,
    failures: Mutex<Vec<(Box<[u8]>, Fault)>>,
    closed: Mutex<Vec<Unfinished>>,
    /// In what the host does not do as it is told.
    notes: Mutex<Vec<Error>>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(root: &'a [u8]) -> Self {
        Self {
            root,
            is_root: rustix::process::geteuid().is_root(),
            bytes: AtomicU64::new(0),
            has_failed: AtomicBool::new(false),
            failures: Mutex::default(),
            closed: Mutex::default(),
            notes: Mutex::default(),
        }
    }

    pub(super) fn error(&self, path: &[u8], fault: Fault) -> Error {
        Error::new(EXPORT, &host_path(self.root, path), fault)
    }

    /// Writes a file, unless something failed before.
    pub(super) fn write(&self, job: Job) {
        if self.has_failed() {
            return;
        }
        let path = path::join(&job.within.path, job.place.name.to_bytes());
        match self.write_file(&path, &job) {
            Ok(()) => self.release(&job.place.dir, job.within),
            Err(fault) => self.fail(&path, fault),
        }
    }

    fn write_file(&self, path: &[u8], job: &Job) -> Result<(), Fault> {
        let file = job.place.make_file(&job.wanted)?;
        contents::write(&file, &job.content, &self.bytes)?;
        self.settle(path, &Handle::Open(file.as_fd()), &job.wanted)
    }

    /// Gives an object what it is to have.
    pub(super) fn settle(
        &self,
        path: &[u8],
        object: &Handle<'_>,
        wanted: &Wanted,
    ) -> Result<(), Fault> {
        object.settle(wanted)?;
        if !object.keeps_time(wanted)? {
            let rule = "the filesystem has no such time, and took the nearest that it has";
            let fault = Fault::rule(ErrorKind::OutOfRange, rule);
            self.notes.lock().push(self.error(path, fault));
        }
        Ok(())
    }

    /// Has no more to do in a directory.
    pub(super) fn release(&self, dir: &OwnedFd, within: Arc<Unfinished>) {
        let Some(last) = Arc::into_inner(within).filter(|_| !self.has_failed()) else { return };
        // Who is not root cannot go back into such a directory, be it for one more link or to take all away.
        if !self.is_root && last.wanted.mode & 0o700 != 0o700 {
            self.closed.lock().push(last);
            return;
        }
        if let Err(fault) = self.settle(&last.path, &Handle::Open(dir.as_fd()), &last.wanted) {
            self.fail(&last.path, fault);
        }
    }

    fn fail(&self, path: &[u8], fault: Fault) {
        self.failures.lock().push((path.into(), fault));
        self.has_failed.store(true, Ordering::Relaxed);
    }

    fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// The failure of a file, if there is one.
    pub(super) fn check(&self) -> Result<()> {
        if !self.has_failed() {
            return Ok(());
        }
        let mut failures = self.failures.lock();
        failures.sort_by(|(a, _), (b, _)| path::compare(b, a));
        failures.pop().map_or(Ok(()), |(path, fault)| Err(self.error(&path, fault)))
    }

    /// When all is written: sets the modes that would have been in the way, and tells what is not as it should be.
    pub(super) fn finish(&self, dir: &OwnedFd) -> Result<Vec<Error>> {
        self.check()?;
        let mut closed = std::mem::take(&mut *self.closed.lock());
        // What is in a directory before the directory.
        closed.sort_by(|a, b| path::compare(&b.path, &a.path));
        for Unfinished { path, wanted } in closed {
            let settle = beneath::open_dir(dir, &path)
                .and_then(|dir| self.settle(&path, &Handle::Open(dir.as_fd()), &wanted));
            settle.map_err(|fault| self.error(&path, fault))?;
        }
        Ok(std::mem::take(&mut *self.notes.lock()))
    }
}
