//! Something that cannot be opened (a symbolic link, fifo, socket or device), held fast while its attributes are set.

use super::facts::Facts;
use crate::error::{ErrorKind, Fault};

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) use self::elsewhere::Pinned;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use self::linux::Pinned;

/// On Linux a descriptor can stand for an object that is not open: `O_PATH`.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::ffi::CStr;
    use std::marker::PhantomData;
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timestamps, Uid};
    use rustix::fs::{chmod, chownat, fstat, openat, utimensat};
    use rustix::io;

    use super::{Facts, Fault, check};
    use crate::host::attributes;

    pub(in crate::host) struct Pinned<'a> {
        object: OwnedFd,
        facts: Facts,
        place: PhantomData<&'a CStr>,
    }

    impl<'a> Pinned<'a> {
        /// What was just made in `dir`, which has this type and no other name.
        pub(in crate::host) fn new(
            dir: &'a OwnedFd,
            name: &'a CStr,
            kind: FileType,
        ) -> Result<Self, Fault> {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let object = openat(dir, name, flags, Mode::empty())?;
            let facts = check(Facts::new(&fstat(&object)?), kind)?;
            Ok(Self { object, facts, place: PhantomData })
        }

        /// What it was when it was made.
        pub(in crate::host) fn facts(&self) -> Facts {
            self.facts
        }

        pub(in crate::host) fn stat(&self) -> io::Result<Stat> {
            fstat(&self.object)
        }

        pub(in crate::host) fn set_owner(&self, uid: Uid, gid: Gid) -> io::Result<()> {
            chownat(&self.object, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
        }

        pub(in crate::host) fn set_xattr(&self, name: &[u8], value: &[u8]) -> io::Result<()> {
            attributes::set_on_path(self.object.as_fd(), name, value)
        }

        /// `fchmod` does not take such a descriptor (open(2), "`O_PATH`").
        pub(in crate::host) fn set_mode(&self, mode: Mode) -> io::Result<()> {
            chmod(attributes::path_of(self.object.as_fd()), mode)
        }

        pub(in crate::host) fn set_times(&self, times: &Timestamps) -> io::Result<()> {
            utimensat(&self.object, c"", times, AtFlags::EMPTY_PATH)
        }
    }
}

/// Elsewhere it is its name, which is not followed.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod elsewhere {
    use std::ffi::CStr;
    use std::os::fd::OwnedFd;

    use rustix::fs::{AtFlags, FileType, Gid, Mode, Stat, Timestamps, Uid};
    use rustix::fs::{chmodat, chownat, statat, utimensat};
    use rustix::io::{self, Errno};

    use super::{Facts, Fault, check};

    pub(in crate::host) struct Pinned<'a> {
        dir: &'a OwnedFd,
        name: &'a CStr,
        facts: Facts,
    }

    impl<'a> Pinned<'a> {
        pub(in crate::host) fn new(
            dir: &'a OwnedFd,
            name: &'a CStr,
            kind: FileType,
        ) -> Result<Self, Fault> {
            let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(Self { dir, name, facts: check(Facts::new(&stat), kind)? })
        }

        pub(in crate::host) fn facts(&self) -> Facts {
            self.facts
        }

        pub(in crate::host) fn stat(&self) -> io::Result<Stat> {
            statat(self.dir, self.name, AtFlags::SYMLINK_NOFOLLOW)
        }

        pub(in crate::host) fn set_owner(&self, uid: Uid, gid: Gid) -> io::Result<()> {
            chownat(self.dir, self.name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        }

        pub(in crate::host) fn set_xattr(&self, _: &[u8], _: &[u8]) -> io::Result<()> {
            Err(Errno::OPNOTSUPP)
        }

        pub(in crate::host) fn set_mode(&self, mode: Mode) -> io::Result<()> {
            chmodat(self.dir, self.name, mode, AtFlags::SYMLINK_NOFOLLOW)
        }

        pub(in crate::host) fn set_times(&self, times: &Timestamps) -> io::Result<()> {
            utimensat(self.dir, self.name, times, AtFlags::SYMLINK_NOFOLLOW)
        }
    }
}

fn check(facts: Facts, kind: rustix::fs::FileType) -> Result<Facts, Fault> {
    if facts.kind == kind && facts.nlink == 1 { Ok(facts) } else { Err(replaced()) }
}

/// Somebody put something else where an object had just been made.
pub(super) fn replaced() -> Fault {
    Fault::rule(ErrorKind::Io, "it was replaced while it was exported")
}
