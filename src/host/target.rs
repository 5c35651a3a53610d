//! The directory that is written.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, fstat, mkdir, open, openat, unlinkat};
use rustix::io::Errno;

use super::EXPORT;
use super::facts::Facts;
use super::levels::{Levels, OPEN, list};
use super::place::remove;
use crate::error::{Error, ErrorKind, Fault, Result};

/// Open, empty unless it was asked for otherwise. When dropped, a directory that was made for the export is removed again
/// with all that is in it, unless it was finished.
pub(super) struct Target<'a> {
    path: &'a [u8],
    pub(super) dir: OwnedFd,
    /// What is in it already.
    pub(super) names: Vec<CString>,
    unfinished: bool,
}

impl<'a> Target<'a> {
    pub(super) fn open(path: &'a [u8], replace: bool) -> Result<Self> {
        Self::make(path, replace).map_err(|fault| Error::new(EXPORT, path, fault))
    }

    fn make(path: &'a [u8], replace: bool) -> Result<Self, Fault> {
        let made = match mkdir(path, Mode::RWXU) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(errno.into()),
        };
        // A link to a directory is followed if it was there before, and only then.
        let follow = if made { OPEN } else { OPEN.difference(OFlags::NOFOLLOW) };
        let dir = open(path, follow | OFlags::DIRECTORY, Mode::empty())?;
        let mut target = Self { path, dir, names: Vec::new(), unfinished: made };
        target.names = list(&target.dir)?;
        if !target.names.is_empty() && !replace {
            let rule = "only an empty directory is written to, unless replacing was asked for";
            return Err(Fault::rule(ErrorKind::DirectoryNotEmpty, rule));
        }
        Ok(target)
    }

    pub(super) fn finish(mut self) {
        self.unfinished = false;
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        if self.unfinished {
            // The error that is on its way up is the one to be told.
            let _emptied = empty(&self.dir);
            let _removed = unlinkat(CWD, self.path, AtFlags::REMOVEDIR);
        }
    }
}

/// Removes all that is in a directory, as deep as it may be.
fn empty(root: &OwnedFd) -> Result<(), Fault> {
    let mut levels = Levels::default();
    let level = |dir: &OwnedFd| Ok::<_, Fault>((Facts::new(&fstat(dir)?).id, list(dir)?));
    let (id, names) = level(root)?;
    levels.push(root.try_clone()?, id, names);
    while let Some(names) = levels.last_mut() {
        let Some(name) = names.last().cloned() else {
            let (left, _) = levels.pop().expect("because there is a last one");
            levels.reopen(&left)?;
            // What is empty now is removed by its name, which is still the last one above.
            continue;
        };
        match remove(levels.dir(), &name) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                let dir = openat(levels.dir(), &*name, OPEN | OFlags::DIRECTORY, Mode::empty())?;
                let (id, names) = level(&dir)?;
                levels.push(dir, id, names);
            }
            removed => {
                removed?;
                levels.last_mut().map(Vec::pop);
            }
        }
    }
    Ok(())
}
