//! What of a tree may come to a host, and what is done with the rest.

use bytes::Bytes;
use rustix::process::{getegid, geteuid};

use super::export::Rules;
use super::{EXPORT, host_path, upper};
use crate::attr::{Device, FileType, SETGID, SETUID, Time, Timestamp};
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::tree::Inode;

/// What becomes of character and block devices: whoever may open one reaches the host's driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum DevicePolicy {
    /// An error, before anything is written.
    #[default]
    Refuse,
    /// They are left out, each with a line in [`Exported::differences`](super::Exported::differences).
    Skip,
    /// They are made. Takes root.
    Keep,
}

/// What becomes of the setuid and setgid bits of files: a program that has them runs with its owner's rights.
///
/// Those of directories are kept in any case: there they only say who owns what is made in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum SetIdPolicy {
    /// An error, before anything is written.
    #[default]
    Refuse,
    /// The bits are taken off, each time with a line in [`Exported::differences`](super::Exported::differences).
    Strip,
    /// They are set.
    Keep,
}

/// What becomes of extended attributes. Those in `user.` mean something to programs, all others (`trusted.`, `security.`
/// with the capabilities of programs, `system.` with access lists) to the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum XattrPolicy {
    /// Those in `user.` are set; any other is an error, before anything is written.
    #[default]
    Refuse,
    /// Those in `user.` are set; the others are left out, each with a line in
    /// [`Exported::differences`](super::Exported::differences).
    Strip,
    /// All are set. Takes root.
    Keep,
    /// None is set, each with a line in [`Exported::differences`](super::Exported::differences): for filesystems that
    /// have no attributes.
    Drop,
}

/// Who owns what is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum OwnerPolicy {
    /// Whoever owns it in the view, if this process is root's; else this process, with one line in
    /// [`Exported::differences`](super::Exported::differences).
    #[default]
    KeepIfRoot,
    /// Whoever owns it in the view. An error where the host does not allow it.
    Keep,
    /// This process.
    Own,
    /// This user and group.
    All(u32, u32),
}

/// What an object of the host is to have beside its contents.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) mode: u32,
    /// `None`: whoever makes it.
    pub(super) owner: Option<(u32, u32)>,
    pub(super) accessed: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) xattrs: Vec<(Vec<u8>, Bytes)>,
}

/// Applies the policies to one object after the other, and keeps what they changed.
pub(super) struct Judge<'a> {
    rules: &'a Rules,
    /// The directory that is written, as the caller calls it.
    root: &'a [u8],
    me: (u32, u32),
    owners_noted: bool,
    pub(super) notes: Vec<Error>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(rules: &'a Rules, root: &'a [u8]) -> Self {
        let me = (geteuid().as_raw(), getegid().as_raw());
        Self { rules, root, me, owners_noted: false, notes: Vec::new() }
    }

    /// What the object at `path` is to have; `None` if it is left out.
    pub(super) fn judge(
        &mut self,
        path: &[u8],
        inode: &Inode,
        opaque: bool,
    ) -> Result<Option<Wanted>> {
        self.wanted(path, inode, opaque)
            .map_err(|fault| Error::new(EXPORT, &host_path(self.root, path), fault))
    }

    fn wanted(
        &mut self,
        path: &[u8],
        inode: &Inode,
        opaque: bool,
    ) -> Result<Option<Wanted>, Fault> {
        if self.leaves_out(path, inode)? {
            return Ok(None);
        }
        Ok(Some(Wanted {
            mode: self.mode(path, inode)?,
            owner: self.owner(path, inode)?,
            accessed: inode.times.get(Time::Accessed),
            modified: inode.times.get(Time::Modified),
            xattrs: self.xattrs(path, inode, opaque)?,
        }))
    }

    fn leaves_out(&mut self, path: &[u8], inode: &Inode) -> Result<bool, Fault> {
        if !matches!(inode.file_type(), FileType::CharDevice | FileType::BlockDevice) {
            return Ok(false);
        }
        let is_mark = inode.device() == Some(Device::default())
            && inode.file_type() == FileType::CharDevice
            && self.rules.marks.is_some();
        match self.rules.devices {
            _ if is_mark => {
                let rule = "overlayfs takes a character device 0:0 for a whiteout";
                Err(Fault::rule(ErrorKind::Unsupported, rule))
            }
            DevicePolicy::Refuse => {
                let rule = "a device: made only if the policy for devices says so";
                Err(Fault::rule(ErrorKind::NotPermitted, rule))
            }
            DevicePolicy::Skip => {
                self.note(path, "a device, left out");
                Ok(true)
            }
            DevicePolicy::Keep => Ok(false),
        }
    }

    fn mode(&mut self, path: &[u8], inode: &Inode) -> Result<u32, Fault> {
        let bits = inode.mode & (SETUID | SETGID);
        match self.rules.set_ids {
            _ if bits == 0 || inode.is_dir() => Ok(inode.mode),
            SetIdPolicy::Refuse => {
                let rule = "setuid or setgid: set only if the policy for these bits says so";
                Err(Fault::rule(ErrorKind::NotPermitted, rule))
            }
            SetIdPolicy::Strip => {
                self.note(path, "setuid and setgid were taken off");
                Ok(inode.mode & !bits)
            }
            SetIdPolicy::Keep => Ok(inode.mode),
        }
    }

    fn owner(&mut self, path: &[u8], inode: &Inode) -> Result<Option<(u32, u32)>, Fault> {
        let owner = match self.rules.owners {
            OwnerPolicy::KeepIfRoot if self.me.0 != 0 => {
                if (inode.uid, inode.gid) != self.me && !self.owners_noted {
                    self.owners_noted = true;
                    self.note(path, "its owner was not kept, nor that of others: only root can");
                }
                None
            }
            OwnerPolicy::KeepIfRoot | OwnerPolicy::Keep => Some((inode.uid, inode.gid)),
            OwnerPolicy::Own => None,
            OwnerPolicy::All(uid, gid) => Some((uid, gid)),
        };
        match owner {
            // chown(2): "if the owner or group is specified as -1, then that ID is not changed".
            Some((u32::MAX, _) | (_, u32::MAX)) => {
                let rule = "4294967295 is no number of a user or group";
                Err(Fault::rule(ErrorKind::OutOfRange, rule))
            }
            owner => Ok(owner),
        }
    }

    fn xattrs(
        &mut self,
        path: &[u8],
        inode: &Inode,
        opaque: bool,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, Fault> {
        let mut xattrs = Vec::new();
        for (name, value) in inode.xattrs.iter() {
            if self.takes(path, name)? {
                let name = self
                    .rules
                    .marks
                    .map_or_else(|| name.to_vec(), |prefix| upper::escaped(prefix, name));
                xattrs.push((name, value.clone()));
            }
        }
        if let (true, Some(prefix)) = (opaque, self.rules.marks) {
            xattrs.push(upper::opaque_mark(prefix));
        }
        Ok(xattrs)
    }

    fn takes(&mut self, path: &[u8], name: &[u8]) -> Result<bool, Fault> {
        let shown = name.escape_ascii();
        match self.rules.xattrs {
            XattrPolicy::Keep => Ok(true),
            XattrPolicy::Drop => {
                self.note(path, format!("the attribute {shown} was left out"));
                Ok(false)
            }
            _ if name.starts_with(b"user.") => Ok(true),
            XattrPolicy::Refuse => {
                let rule =
                    format!("the attribute {shown}: set only if the policy for them says so");
                Err(Fault::rule(ErrorKind::NotPermitted, rule))
            }
            XattrPolicy::Strip => {
                self.note(path, format!("the attribute {shown} was left out"));
                Ok(false)
            }
        }
    }

    /// Puts a line into the list of differences.
    pub(super) fn note(&mut self, path: &[u8], what: impl Into<std::borrow::Cow<'static, str>>) {
        let fault = Fault::rule(ErrorKind::NotPermitted, what);
        self.notes.push(Error::new(EXPORT, &host_path(self.root, path), fault));
    }
}
