//! What is known of an object beside its contents: type, mode, owner, times, attributes.

mod timestamp;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use self::timestamp::Timestamp;

/// The bits of a mode that can be set: permissions, setuid, setgid and sticky.
pub(crate) const MODE_MASK: u32 = 0o7777;
pub(crate) const SETUID: u32 = 0o4000;
pub(crate) const SETGID: u32 = 0o2000;
pub(crate) const STICKY: u32 = 0o1000;

/// What kind of object a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A named pipe, as data: nobody can open it here.
    Fifo,
    /// A socket, as data.
    Socket,
    /// A character device, as data. Any number is allowed, 0:0 too.
    CharDevice,
    /// A block device, as data.
    BlockDevice,
}

impl FileType {
    /// Whether this is a regular file.
    pub fn is_file(self) -> bool {
        self == Self::File
    }

    /// Whether this is a directory.
    pub fn is_dir(self) -> bool {
        self == Self::Dir
    }

    /// Whether this is a symbolic link.
    pub fn is_symlink(self) -> bool {
        self == Self::Symlink
    }
}

/// The number of a device: major and minor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Device {
    /// Which driver.
    pub major: u32,
    /// Which of the driver's devices.
    pub minor: u32,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// The three times of an inode, packed: an image of a million files holds a million of these.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    secs: [i64; 3],
    nanos: [u32; 3],
}

#[derive(Clone, Copy)]
pub(crate) enum Time {
    Accessed = 0,
    Modified = 1,
    Changed = 2,
}

impl Times {
    pub(crate) fn all(time: Timestamp) -> Self {
        Self { secs: [time.secs(); 3], nanos: [time.nanos(); 3] }
    }

    pub(crate) fn get(&self, which: Time) -> Timestamp {
        Timestamp::new(self.secs[which as usize], self.nanos[which as usize])
    }

    pub(crate) fn set(&mut self, which: Time, time: Timestamp) {
        self.secs[which as usize] = time.secs();
        self.nanos[which as usize] = time.nanos();
    }
}

/// What `stat` tells of an object, at one moment. A plain value: it does not follow later changes.
///
/// # Examples
///
/// ```
/// use stratafs::Image;
///
/// let container = Image::scratch().container();
/// container.write("/motd", "hello")?;
/// let metadata = container.metadata("/motd")?;
/// assert!(metadata.is_file());
/// assert_eq!((metadata.len(), metadata.mode(), metadata.nlink()), (5, 0o644, 1));
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Metadata {
    pub(crate) file_type: FileType,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) nlink: u32,
    pub(crate) ino: u64,
    pub(crate) len: u64,
    pub(crate) blocks: u64,
    pub(crate) accessed: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) changed: Timestamp,
    pub(crate) device: Option<Device>,
}

impl Metadata {
    /// The type of the object.
    pub fn file_type(&self) -> FileType {
        self.file_type
    }

    /// Whether this is a regular file.
    pub fn is_file(&self) -> bool {
        self.file_type.is_file()
    }

    /// Whether this is a directory.
    pub fn is_dir(&self) -> bool {
        self.file_type.is_dir()
    }

    /// Whether this is a symbolic link (only [`symlink_metadata`](crate::View::symlink_metadata) can say so).
    pub fn is_symlink(&self) -> bool {
        self.file_type.is_symlink()
    }

    /// Permission bits with setuid, setgid and sticky: 0 to 0o7777, without the type.
    pub fn mode(&self) -> u32 {
        self.mode
    }

    /// The owner's user id.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The owning group's id.
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// How many visible names the object has; of a directory, 2 and one for each visible subdirectory.
    pub fn nlink(&self) -> u32 {
        self.nlink
    }

    /// The inode number. It never changes while the object lives, whatever is done to it.
    pub fn ino(&self) -> u64 {
        self.ino
    }

    /// Size in bytes: of a file its length, of a symbolic link its target's; 0 for all else.
    #[expect(
        clippy::len_without_is_empty,
        reason = "std::fs::Metadata has none either: it is a size, not a collection"
    )]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Blocks of 512 bytes that hold data; holes do not count.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// When the contents were last read, under the container's [`Atime`](crate::Atime) policy.
    pub fn accessed(&self) -> Timestamp {
        self.accessed
    }

    /// When the contents were last changed.
    pub fn modified(&self) -> Timestamp {
        self.modified
    }

    /// When contents or metadata were last changed (`ctime`).
    pub fn changed(&self) -> Timestamp {
        self.changed
    }

    /// The device's number, of devices.
    pub fn device(&self) -> Option<Device> {
        self.device
    }
}

/// A change of attributes: what is set is changed, all else stays.
///
/// One patch instead of `set_permissions`, `chown` and `utimes`, so that several change in one step.
///
/// # Examples
///
/// ```
/// use stratafs::{Attrs, Image, Timestamp};
///
/// let container = Image::scratch().container();
/// container.write("/run.sh", "#!/bin/sh")?;
/// container.set_attrs("/run.sh", Attrs::new().mode(0o755).uid(1000).modified(Timestamp::EPOCH))?;
/// assert_eq!(container.metadata("/run.sh")?.mode(), 0o755);
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[must_use]
pub struct Attrs {
    pub(crate) mode: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) accessed: Option<SetTime>,
    pub(crate) modified: Option<SetTime>,
}

/// A time that is given, or the moment of the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) enum SetTime {
    Now,
    At(Timestamp),
}

impl SetTime {
    pub(crate) fn or(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Now => now,
            Self::At(time) => time,
        }
    }
}

impl Attrs {
    /// A patch that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Permission bits with setuid, setgid and sticky; bits above 0o7777 are ignored, as `chmod` does.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode & MODE_MASK);
        self
    }

    /// The owner's user id.
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// The owning group's id.
    pub fn gid(mut self, gid: u32) -> Self {
        self.gid = Some(gid);
        self
    }

    /// The time of the last read.
    pub fn accessed(mut self, time: Timestamp) -> Self {
        self.accessed = Some(SetTime::At(time));
        self
    }

    /// The time of the last change of contents.
    pub fn modified(mut self, time: Timestamp) -> Self {
        self.modified = Some(SetTime::At(time));
        self
    }

    /// Both times, from the container's clock at the moment of the change. Whoever may write may do this.
    pub fn touched(mut self) -> Self {
        self.accessed = Some(SetTime::Now);
        self.modified = Some(SetTime::Now);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Extended attributes of one inode, sorted by name; shared until changed.
///
/// `own` is what a container's writable layer pays for them, in bytes of names and values.
#[derive(Clone, Default)]
pub(crate) struct Xattrs {
    map: Option<Arc<BTreeMap<Box<[u8]>, Bytes>>>,
    own: u32,
}

impl Xattrs {
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Bytes> {
        self.map.as_ref()?.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Bytes)> {
        self.map.iter().flat_map(|map| map.iter()).map(|(name, value)| (&**name, value))
    }

    pub(crate) fn insert(&mut self, name: &[u8], value: Bytes) {
        Arc::make_mut(self.map.get_or_insert_default()).insert(name.into(), value);
        self.count();
    }

    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<Bytes> {
        let removed = Arc::make_mut(self.map.as_mut()?).remove(name);
        self.count();
        removed
    }

    pub(crate) fn own_bytes(&self) -> u64 {
        self.own.into()
    }

    /// The same attributes as part of a layer: no container pays for them.
    pub(crate) fn sealed(mut self) -> Self {
        self.own = 0;
        self
    }

    /// Bytes of all names and values.
    pub(crate) fn size(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    fn count(&mut self) {
        if self.map.as_ref().is_some_and(|map| map.is_empty()) {
            self.map = None;
        }
        self.own = u32::try_from(self.size()).unwrap_or(u32::MAX);
    }
}

impl PartialEq for Xattrs {
    fn eq(&self, other: &Self) -> bool {
        match (&self.map, &other.map) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
            (None, None) => true,
            _ => false,
        }
    }
}
