//! What the kernel has open.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fuser::FileHandle;
use parking_lot::{Mutex, RwLock};

use crate::container::{Entry, File};

/// An open file or directory.
pub(super) enum Open {
    File {
        file: File,
        appends: bool,
    },
    /// What was in the directory when it was read from the start: so positions in it stay what they are, whatever is removed
    /// meanwhile.
    Dir(Mutex<Arc<[Entry]>>),
}

/// All of them, by the number that the kernel was given.
pub(super) struct Handles {
    open: RwLock<HashMap<u64, Arc<Open>>>,
    next: AtomicU64,
}

impl Handles {
    pub(super) fn new() -> Self {
        Self { open: RwLock::default(), next: AtomicU64::new(1) }
    }

    pub(super) fn add(&self, open: Open) -> FileHandle {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.write().insert(number, Arc::new(open));
        FileHandle(number)
    }

    pub(super) fn get(&self, handle: FileHandle) -> Option<Arc<Open>> {
        self.open.read().get(&handle.0).map(Arc::clone)
    }

    pub(super) fn remove(&self, handle: FileHandle) {
        // The object is let go after the lock is.
        let removed = self.open.write().remove(&handle.0);
        drop(removed);
    }
}
