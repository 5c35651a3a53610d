//! An object that was just made, held fast: what is set is set on it and on nothing that took its place.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Gid, Mode, OFlags, RawMode, Stat, Timespec, Timestamps, Uid};
use rustix::fs::{fchmod, fchown, fstat, futimens, openat};
use rustix::io::{self, Errno};

use super::attributes;
use super::facts::Facts;
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
            Self::Pinned(object) => Ok(object.facts),
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

/// Something that cannot be opened: a symbolic link, fifo, socket or device.
pub(super) struct Pinned<'a> {
    facts: Facts,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    object: OwnedFd,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    _place: std::marker::PhantomData<&'a CStr>,
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    place: (&'a OwnedFd, &'a CStr),
}

/// On Linux a descriptor can stand for an object that is not open: `O_PATH`.
#[cfg(any(target_os = "linux", target_os = "android"))]
impl<'a> Pinned<'a> {
    /// What was just made in `dir`, which has this type and no other name.
    pub(super) fn new(dir: &'a OwnedFd, name: &'a CStr, kind: FileType) -> Result<Self, Fault> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let object = openat(dir, name, flags, Mode::empty())?;
        let facts = Facts::new(&fstat(&object)?);
        if facts.kind != kind || facts.nlink != 1 {
            return Err(replaced());
        }
        Ok(Self { facts, object, _place: std::marker::PhantomData })
    }

    fn stat(&self) -> io::Result<Stat> {
        fstat(&self.object)
    }

    fn set_owner(&self, uid: Uid, gid: Gid) -> io::Result<()> {
        let itself = rustix::fs::AtFlags::EMPTY_PATH;
        rustix::fs::chownat(&self.object, c"", Some(uid), Some(gid), itself)
    }

    fn set_xattr(&self, name: &[u8], value: &[u8]) -> io::Result<()> {
        attributes::set_on_path(self.object.as_fd(), name, value)
    }

    fn set_mode(&self, mode: Mode) -> io::Result<()> {
        let path = attributes::path_of(self.object.as_fd());
        rustix::fs::chmod(path, mode)
    }

    fn set_times(&self, times: &Timestamps) -> io::Result<()> {
        rustix::fs::utimensat(&self.object, c"", times, rustix::fs::AtFlags::EMPTY_PATH)
    }
}

/// Elsewhere by its name, which is not followed.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl<'a> Pinned<'a> {
    pub(super) fn new(dir: &'a OwnedFd, name: &'a CStr, kind: FileType) -> Result<Self, Fault> {
        let nofollow = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        let facts = Facts::new(&rustix::fs::statat(dir, name, nofollow)?);
        if facts.kind != kind || facts.nlink != 1 {
            return Err(replaced());
        }
        Ok(Self { facts, place: (dir, name) })
    }

    fn stat(&self) -> io::Result<Stat> {
        let nofollow = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::statat(self.place.0, self.place.1, nofollow)
    }

    fn set_owner(&self, uid: Uid, gid: Gid) -> io::Result<()> {
        let nofollow = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(self.place.0, self.place.1, Some(uid), Some(gid), nofollow)
    }

    fn set_xattr(&self, _: &[u8], _: &[u8]) -> io::Result<()> {
        Err(Errno::OPNOTSUPP)
    }

    fn set_mode(&self, mode: Mode) -> io::Result<()> {
        let nofollow = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chmodat(self.place.0, self.place.1, mode, nofollow)
    }

    fn set_times(&self, times: &Timestamps) -> io::Result<()> {
        let nofollow = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(self.place.0, self.place.1, times, nofollow)
    }
}

/// Somebody put something else where an object had just been made.
pub(super) fn replaced() -> Fault {
    Fault::rule(ErrorKind::Io, "it was replaced while it was exported")
}
