//! Who may do what in a store at a time, across processes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use super::blobs::at;
use crate::error::Result;

/// Held as long as this lives; the system takes it away from who dies.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "closing the file gives the lock back")] File);

impl Lock {
    /// For who adds blobs: as many as like at once, but none while blobs are taken away.
    pub(super) fn shared(path: &Path) -> Result<Self> {
        take(path, File::lock_shared)
    }

    /// For who takes blobs away or edits the index: alone.
    pub(super) fn exclusive(path: &Path) -> Result<Self> {
        take(path, File::lock)
    }

    /// The same, if nobody else holds it right now.
    pub(super) fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        let file = open(path).map_err(|error| at("lock store", path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(at("lock store", path, error)),
        }
    }
}

fn take(path: &Path, lock: impl Fn(&File) -> io::Result<()>) -> Result<Lock> {
    let taken = open(path).and_then(|file| lock(&file).map(|()| Lock(file)));
    taken.map_err(|error| at("lock store", path, error))
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
        // What is taken away below it must be the store's own.
        if fs::symlink_metadata(dir)?.is_symlink() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "a symbolic link"));
        }
    }
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the lock is no file"));
    }
    OpenOptions::new().create(true).truncate(false).write(true).open(path)
}
