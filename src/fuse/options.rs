//! How something is mounted.

use crate::container::Atime;

/// How something is mounted.
///
/// # Examples
///
/// ```
/// use stratafs::Atime;
/// use stratafs::fuse::MountOptions;
///
/// let options = MountOptions::new().allow_other(true).atime(Atime::Relative).fsname("world-1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "mount(8) has this list of options")]
#[must_use]
pub struct MountOptions {
    pub(super) read_only: bool,
    pub(super) allow_other: bool,
    pub(super) suid: bool,
    pub(super) dev: bool,
    pub(super) auto_unmount: bool,
    pub(super) fsname: String,
    pub(super) atime: Atime,
    pub(super) threads: usize,
}

impl Default for MountOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl MountOptions {
    /// For reading and writing, by this user alone, with two threads, `noatime`, unmounted if the process dies.
    pub fn new() -> Self {
        Self {
            read_only: false,
            allow_other: false,
            suid: false,
            dev: false,
            auto_unmount: true,
            fsname: "stratafs".into(),
            atime: Atime::Never,
            threads: 2,
        }
    }

    /// Refuses all changes through the mount. A view is mounted so in any case.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Lets other users in, as far as the modes of files do. Who is not root needs `user_allow_other` in `/etc/fuse.conf`.
    pub fn allow_other(mut self, allow_other: bool) -> Self {
        self.allow_other = allow_other;
        self
    }

    /// Lets setuid and setgid bits of programs count. Only root can have that.
    pub fn suid(mut self, suid: bool) -> Self {
        self.suid = suid;
        self
    }

    /// Lets device files lead to devices. Only root can have that.
    pub fn dev(mut self, dev: bool) -> Self {
        self.dev = dev;
        self
    }

    /// Takes the mount away if this process dies, however it does: a small shell waits for that, and for nothing else.
    pub fn auto_unmount(mut self, auto_unmount: bool) -> Self {
        self.auto_unmount = auto_unmount;
        self
    }

    /// What is shown as the source of the mount.
    pub fn fsname(mut self, fsname: impl Into<String>) -> Self {
        self.fsname = fsname.into();
        self
    }

    /// When reading through the mount changes access times.
    pub fn atime(mut self, atime: Atime) -> Self {
        self.atime = atime;
        self
    }

    /// How many threads answer the kernel; at least one does.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }
}
