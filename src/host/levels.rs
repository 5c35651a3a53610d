//! The directories from the root of a tree down to where somebody is: few of them open, each way back the way that led
//! down.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Dir, Mode, OFlags, fstat, openat};

use super::facts::{Facts, Id};
use crate::error::{ErrorKind, Fault};

/// So many directories stay open on the way down; those further up are opened again on the way back.
const OPEN_DIRS: usize = 32;

/// How everything is opened: for reading, no symbolic link, no waiting for a fifo's other end, no terminal of its own.
pub(super) const OPEN: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// A directory, the one that it is in, and so on up to the root; with each of them a `T`.
///
/// - The deepest is open. So is every other of the last [`OPEN_DIRS`] that was not closed on the way down.
pub(super) struct Levels<T>(Vec<Level<T>>);

struct Level<T> {
    /// `None`: closed on the way down.
    dir: Option<Arc<OwnedFd>>,
    id: Id,
    of: T,
}

impl<T> Default for Levels<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Levels<T> {
    /// Goes into a directory.
    pub(super) fn push(&mut self, dir: OwnedFd, id: Id, of: T) {
        self.0.push(Level { dir: Some(Arc::new(dir)), id, of });
        if let Some(distant) = self.0.iter_mut().nth_back(OPEN_DIRS) {
            distant.dir = None;
        }
    }

    /// Leaves the deepest directory. [`reopen`](Self::reopen) has to be next.
    pub(super) fn pop(&mut self) -> Option<(Arc<OwnedFd>, T)> {
        let Level { dir, of, .. } = self.0.pop()?;
        Some((dir.expect("because the deepest directory is open"), of))
    }

    /// Opens the deepest directory again if it was closed; `left` is the one in it that was left.
    pub(super) fn reopen(&mut self, left: &OwnedFd) -> Result<(), Fault> {
        if let Some(level) = self.0.last_mut()
            && level.dir.is_none()
        {
            level.dir = Some(Arc::new(open_above(left, level.id)?));
        }
        Ok(())
    }

    /// The deepest directory.
    pub(super) fn dir(&self) -> &Arc<OwnedFd> {
        let dir = self.0.last().and_then(|level| level.dir.as_ref());
        dir.expect("because somebody is in a directory, and the deepest one is open")
    }

    /// The number of the root.
    pub(super) fn root(&self) -> Option<Id> {
        self.0.first().map(|root| root.id)
    }

    pub(super) fn last(&self) -> Option<&T> {
        self.0.last().map(|level| &level.of)
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut T> {
        self.0.last_mut().map(|level| &mut level.of)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The names in a directory, sorted. Through a copy of the descriptor, because opening `.` anew asks for the right to
/// search, which listing does not need.
pub(super) fn list(dir: &OwnedFd) -> Result<Vec<CString>, Fault> {
    let mut names = Vec::new();
    let mut entries = Dir::new(dir.try_clone()?)?;
    // A copy of a descriptor goes on where the last reader of the directory ended.
    entries.rewind();
    for entry in entries {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The directory above, if it is still the one that it was on the way down: `..` of a directory that somebody moves
/// leads elsewhere.
fn open_above(dir: &OwnedFd, id: Id) -> Result<OwnedFd, Fault> {
    let above = openat(dir, c"..", OPEN | OFlags::DIRECTORY, Mode::empty())?;
    if Facts::new(&fstat(&above)?).id != id {
        return Err(Fault::rule(ErrorKind::Io, "a directory was moved meanwhile"));
    }
    Ok(above)
}
