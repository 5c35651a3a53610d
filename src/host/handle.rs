//! An object that was just made, held fast: what is set is set on it and on nothing that took its place.

use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, Gid, Mode, RawMode, Timespec, Timestamps, Uid};
use rustix::fs::{fchmod, fchown, fstat, futimens};
use rustix::io::{self, Errno};

use super::attributes;
use super::facts::Facts;
use super::pinned::Pinned;
use super::policy::Wanted;
use crate::attr::{SETGID, SETUID, Timestamp};
use crate::error::{ErrorKind, Fault};

/// A file or directory that is open, or something that cannot be opened.
pub(super) enum Handle<'a> {
    Open(BorrowedFd<'a>),
    Pinned(Pinned<'a>),
}

impl Handle<'_> {
    /// Gives the object what it is to have, where it is not so already. In this order, because a change of owner takes
    /// setuid away, an access list is part of the mode, and everything but a time changes a time.
    pub(super) fn settle(&self, wanted: &Wanted) -> Result<(), Fault> {
        let is = self.facts()?;
        let owner = wanted.owner.filter(|owner| *owner != is.owner);
        if let Some((uid, gid)) = owner {
            self.set_owner(Uid::from_raw(uid), Gid::from_raw(gid))?;
        }
        for (name, value) in &wanted.xattrs {
            self.set_xattr(name, value).map_err(|errno| refused_xattr(name, errno))?;
        }
        let unsettled = !wanted.xattrs.is_empty()
            || (owner.is_some() && wanted.mode & (SETUID | SETGID) != 0)
            || is.mode != wanted.mode;
        // The mode of a symbolic link means nothing, and Linux does not change it.
        if unsettled && is.kind != FileType::Symlink {
            self.set_mode(Mode::from_raw_mode(wanted.mode as RawMode))?;
        }
        self.set_times(&Timestamps {
            last_access: timespec(wanted.accessed),
            last_modification: timespec(wanted.modified),
        })?;
        Ok(())
    }

    /// Whether the time of modification is what it should be. Most filesystems end at some year, and take the last second
    /// that they have for all others.
    pub(super) fn keeps_time(&self, wanted: &Wanted) -> Result<bool, Fault> {
        let everybody_has = i64::from(i32::MIN)..=i64::from(i32::MAX);
        if everybody_has.contains(&wanted.modified.secs()) {
            return Ok(true);
        }
        let is = match self {
            Self::Open(file) => fstat(file)?,
            Self::Pinned(object) => object.stat()?,
        };
        Ok(Facts::new(&is).modified == wanted.modified)
    }

    fn facts(&self) -> Result<Facts, Fault> {
        match self {
            Self::Open(file) => Ok(Facts::new(&fstat(file)?)),
            Self::Pinned(object) => Ok(object.facts()),
        }
    }

    fn set_owner(&self, uid: Uid, gid: Gid) -> io::Result<()> {
        match self {
            Self::Open(file) => fchown(file, Some(uid), Some(gid)),
            Self::Pinned(object) => object.set_owner(uid, gid),
        }
    }

    fn set_xattr(&self, name: &[u8], value: &[u8]) -> io::Result<()> {
        match self {
            Self::Open(file) => attributes::set(*file, name, value),
            Self::Pinned(object) => object.set_xattr(name, value),
        }
    }

    fn set_mode(&self, mode: Mode) -> io::Result<()> {
        match self {
            Self::Open(file) => fchmod(file, mode),
            Self::Pinned(object) => object.set_mode(mode),
        }
    }

    fn set_times(&self, times: &Timestamps) -> io::Result<()> {
        match self {
            Self::Open(file) => futimens(file, times),
            Self::Pinned(object) => object.set_times(times),
        }
    }
}

fn refused_xattr(name: &[u8], errno: Errno) -> Fault {
    let rule = format!("the host does not take the attribute {}", name.escape_ascii());
    match Fault::from(errno) {
        Fault::Kind(kind) => Fault::rule(kind, rule),
        _ if errno == Errno::ACCESS => Fault::rule(ErrorKind::PermissionDenied, rule),
        fault => fault,
    }
}

fn timespec(time: Timestamp) -> Timespec {
    Timespec { tv_sec: time.secs(), tv_nsec: time.nanos().into() }
}
