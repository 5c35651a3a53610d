//! A name in an open directory at which something is made.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawMode};
use rustix::fs::{linkat, mkdirat, openat, symlinkat, unlinkat};
use rustix::io::{self, Errno};

use super::folding;
use super::levels::{OPEN, list};
use super::pinned::{Pinned, replaced};
use super::policy::Wanted;
use crate::attr::Device;
use crate::error::{ErrorKind, Fault};

/// Whatever is made is new: no call here opens what somebody else has put there, or follows a link.
pub(super) struct Place {
    pub(super) dir: Arc<OwnedFd>,
    pub(super) name: CString,
    /// The name was there before, and may be taken.
    pub(super) replaces: bool,
}

impl Place {
    /// An empty file that is open for writing.
    pub(super) fn make_file(&self, wanted: &Wanted) -> Result<File, Fault> {
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::NOFOLLOW
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        // Only who may write to a file may set attributes; setuid comes when the bytes are there.
        let mode = if wanted.xattrs.is_empty() { wanted.mode & 0o777 } else { 0o600 };
        let mode = Mode::from_raw_mode(mode as RawMode);
        Ok(self.make(|| openat(&self.dir, &self.name, flags, mode))?.into())
    }

    /// A directory that only this process can enter, or the one that is there, with the names that are in it already.
    pub(super) fn make_dir(&self) -> Result<(OwnedFd, Vec<CString>), Fault> {
        let open = || openat(&self.dir, &self.name, OPEN | OFlags::DIRECTORY, Mode::empty());
        if self.replaces {
            match open() {
                Ok(dir) => return list(&dir).map(|names| (dir, names)),
                Err(Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        self.make(|| mkdirat(&self.dir, &self.name, Mode::RWXU))?;
        match open() {
            Ok(dir) => Ok((dir, Vec::new())),
            Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => Err(replaced()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// One more name of what has this name in that directory.
    pub(super) fn make_link(&self, dir: &OwnedFd, first: &[u8]) -> Result<(), Fault> {
        self.make(|| linkat(dir, first, &self.dir, &self.name, AtFlags::empty()))
    }

    pub(super) fn make_symlink(&self, target: &[u8]) -> Result<Pinned<'_>, Fault> {
        self.make(|| symlinkat(target, &self.dir, &self.name))?;
        Pinned::new(&self.dir, &self.name, FileType::Symlink)
    }

    /// A fifo, socket or device.
    pub(super) fn make_node(&self, kind: FileType, device: Device) -> Result<Pinned<'_>, Fault> {
        self.mknod(kind, device)?;
        let made = Pinned::new(&self.dir, &self.name, kind)?;
        if matches!(kind, FileType::CharacterDevice | FileType::BlockDevice)
            && made.facts().device != device
        {
            // The kernel drops the bits that it has no use for: this would be another device.
            remove(&self.dir, &self.name)?;
            return Err(Fault::rule(ErrorKind::OutOfRange, "the host has no such device number"));
        }
        Ok(made)
    }

    /// "A whiteout is created as a character device with 0/0 device number …"
    pub(super) fn make_whiteout(&self) -> Result<(), Fault> {
        self.mknod(FileType::CharacterDevice, Device::default())
    }

    #[cfg(not(target_vendor = "apple"))]
    fn mknod(&self, kind: FileType, Device { major, minor }: Device) -> Result<(), Fault> {
        use rustix::fs::{makedev, mknodat};

        let device = makedev(major, minor);
        self.make(|| mknodat(&self.dir, &self.name, kind, Mode::RUSR | Mode::WUSR, device))
    }

    #[cfg(target_vendor = "apple")]
    fn mknod(&self, _: FileType, _: Device) -> Result<(), Fault> {
        let rule = "this host has no call for fifos, sockets and devices in an open directory";
        Err(Fault::rule(ErrorKind::Unsupported, rule))
    }

    fn make<T>(&self, make: impl Fn() -> io::Result<T>) -> Result<T, Fault> {
        if self.replaces {
            self.clear()?;
        }
        make().map_err(|errno| match errno {
            Errno::EXIST => folding::explain(&self.dir, &self.name),
            errno => errno.into(),
        })
    }

    /// Takes away what is there; a directory only if nothing is in it.
    fn clear(&self) -> Result<(), Fault> {
        match remove(&self.dir, &self.name) {
            Err(Errno::NOENT) => Ok(()),
            removed => Ok(removed?),
        }
    }
}

/// Removes a name, be it a directory's or not.
pub(super) fn remove(dir: impl AsFd, name: &std::ffi::CStr) -> io::Result<()> {
    match unlinkat(&dir, name, AtFlags::empty()) {
        // POSIX has `EPERM` for directories, Linux `EISDIR`.
        Err(Errno::ISDIR | Errno::PERM) => unlinkat(&dir, name, AtFlags::REMOVEDIR),
        removed => removed,
    }
}
