//! Who acts, and what the mode bits let them do.

use crate::attr::{FileType, STICKY};
use crate::error::ErrorKind;
use crate::tree::Inode;

/// On whose behalf a container acts: user, groups and umask. Root by default, who may do everything.
///
/// # Examples
///
/// ```
/// use stratafs::{Credentials, ErrorKind, Image};
///
/// let player = Credentials::user(1000, 1000).umask(0o027);
/// let container = Image::scratch().build_container().credentials(player).build()?;
/// let error = container.write("/motd", "mine").unwrap_err(); // the root is root's
/// assert_eq!(error.kind(), ErrorKind::PermissionDenied);
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[must_use]
pub struct Credentials {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) umask: u32,
    /// Somebody else checks what these may do: the kernel, for what comes through a mount. Nothing is refused here.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) checked: bool,
}

impl Default for Credentials {
    fn default() -> Self {
        Self::root()
    }
}

/// What is asked of an object: bits as in one digit of a mode.
#[derive(Clone, Copy)]
pub(crate) struct Access(u32);

impl Access {
    pub(crate) const READ: Self = Self(4);
    pub(crate) const WRITE: Self = Self(2);
    pub(crate) const SEARCH: Self = Self(1);
    pub(crate) const CHANGE_DIR: Self = Self(3);
}

impl Credentials {
    pub(crate) const ROOT: Self =
        Self { uid: 0, gid: 0, groups: Vec::new(), umask: 0o022, checked: false };

    /// Uid 0, gid 0, umask 022: every permission check passes.
    pub fn root() -> Self {
        Self::ROOT
    }

    /// A user with one group and umask 022: POSIX permission checks apply, unless `uid` is 0.
    pub fn user(uid: u32, gid: u32) -> Self {
        Self { uid, gid, ..Self::root() }
    }

    /// Supplementary groups.
    pub fn groups(mut self, groups: impl Into<Vec<u32>>) -> Self {
        self.groups = groups.into();
        self
    }

    /// Mode bits that new objects do not get.
    pub fn umask(mut self, umask: u32) -> Self {
        self.umask = umask & 0o777;
        self
    }

    /// Whoever asked the kernel, which has checked the request and taken the umask off.
    #[cfg(all(feature = "fuse", target_os = "linux"))]
    pub(crate) fn checked(uid: u32, gid: u32) -> Self {
        Self { checked: true, ..Self::user(uid, gid).umask(0) }
    }

    pub(crate) fn is_root(&self) -> bool {
        self.uid == 0 || self.checked
    }

    pub(crate) fn owns(&self, inode: &Inode) -> bool {
        self.is_root() || self.uid == inode.uid
    }

    pub(crate) fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    /// POSIX file access permissions: the owner's digit, else the group's, else the others'.
    pub(crate) fn check(&self, inode: &Inode, access: Access) -> Result<(), ErrorKind> {
        if self.is_root() {
            return Ok(());
        }
        let shift = match () {
            () if self.uid == inode.uid => 6,
            () if self.in_group(inode.gid) => 3,
            () => 0,
        };
        if (inode.mode >> shift) & access.0 == access.0 {
            Ok(())
        } else {
            Err(ErrorKind::PermissionDenied)
        }
    }

    /// Whether `child` may be removed from or replaced in `dir`: writable, and of a sticky directory only one's own.
    pub(crate) fn check_remove(&self, dir: &Inode, child: &Inode) -> Result<(), ErrorKind> {
        self.check(dir, Access::CHANGE_DIR)?;
        let sticky = dir.mode & STICKY != 0;
        if sticky && !self.owns(child) && !self.owns(dir) {
            return Err(ErrorKind::NotPermitted);
        }
        Ok(())
    }

    /// Whether a directory may be given another parent: its `..` is written.
    pub(crate) fn check_move(&self, child: &Inode) -> Result<(), ErrorKind> {
        match child.file_type() {
            FileType::Dir => self.check(child, Access::WRITE),
            _ => Ok(()),
        }
    }
}
