//! One object of a filesystem, without its names.

use std::fmt;

use im::{OrdMap, OrdSet};

use crate::attr::{Device, FileType, Metadata, Time, Times, Timestamp, Xattrs};
use crate::content::Content;
use crate::path::Name;

/// The number of an object within one container and all states that it ever has. The root's is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ino(pub(crate) u64);

impl Ino {
    pub(crate) const ROOT: Self = Self(1);
}

/// - `nlink` of a directory is 2 and one for each visible subdirectory; of all else the number of its names.
#[derive(Clone)]
pub(crate) struct Inode {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) nlink: u32,
    pub(crate) times: Times,
    pub(crate) xattrs: Xattrs,
    pub(crate) node: Node,
}

/// What an object is and holds.
#[derive(Clone)]
pub(crate) enum Node {
    File(Content),
    Dir(Dir),
    Symlink(Name),
    Fifo,
    Socket,
    CharDevice(Device),
    BlockDevice(Device),
}

/// The changed names of a directory: what is not in `names` is as in the base, unless `opaque`.
#[derive(Clone, Default)]
pub(crate) struct Dir {
    /// `None` marks a name of the base that is removed.
    pub(crate) names: OrdMap<Name, Option<Ino>>,
    /// The base shows nothing in this directory.
    pub(crate) opaque: bool,
}

impl Inode {
    pub(crate) fn new(node: Node, mode: u32, (uid, gid): (u32, u32), now: Timestamp) -> Self {
        let nlink = if matches!(node, Node::Dir(_)) { 2 } else { 0 };
        Self { mode, uid, gid, nlink, times: Times::all(now), xattrs: Xattrs::default(), node }
    }

    /// A directory as it appears where a layer implies one (semantics L33): 0755, root's, without a time.
    pub(crate) fn implied_dir() -> Self {
        Self::new(Node::Dir(Dir::default()), 0o755, (0, 0), Timestamp::EPOCH)
    }

    pub(crate) fn file_type(&self) -> FileType {
        match self.node {
            Node::File(_) => FileType::File,
            Node::Dir(_) => FileType::Dir,
            Node::Symlink(_) => FileType::Symlink,
            Node::Fifo => FileType::Fifo,
            Node::Socket => FileType::Socket,
            Node::CharDevice(_) => FileType::CharDevice,
            Node::BlockDevice(_) => FileType::BlockDevice,
        }
    }

    pub(crate) fn is_dir(&self) -> bool {
        matches!(self.node, Node::Dir(_))
    }

    /// The changed names of a directory, to change them further.
    pub(super) fn names_mut(&mut self) -> &mut Dir {
        match &mut self.node {
            Node::Dir(dir) => dir,
            _ => unreachable!("because names are changed in directories only"),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match &self.node {
            Node::File(content) => content.len(),
            Node::Symlink(target) => target.len() as u64,
            _ => 0,
        }
    }

    pub(crate) fn device(&self) -> Option<Device> {
        match self.node {
            Node::CharDevice(device) | Node::BlockDevice(device) => Some(device),
            _ => None,
        }
    }

    pub(crate) fn metadata(&self, ino: Ino) -> Metadata {
        let data = if let Node::File(content) = &self.node { content.data_bytes() } else { 0 };
        Metadata {
            file_type: self.file_type(),
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            nlink: self.nlink,
            ino: ino.0,
            len: self.len(),
            blocks: data.div_ceil(512),
            accessed: self.times.get(Time::Accessed),
            modified: self.times.get(Time::Modified),
            changed: self.times.get(Time::Changed),
            device: self.device(),
        }
    }
}

impl fmt::Debug for Inode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {:04o} {}:{} {} bytes",
            self.file_type(),
            self.mode,
            self.uid,
            self.gid,
            self.len()
        )
    }
}

/// An inode that is not as in the base, and where it is named.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) inode: Inode,
    pub(crate) links: Links,
}

/// Two slots are one only if they are one allocation: `diff` asks what was touched, not what is alike.
impl PartialEq for Slot {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Slot {}

/// The names of an object: (directory, name). It answers "where is it?", for `diff` and for `..`.
#[derive(Clone)]
pub(crate) enum Links {
    /// As in the base.
    Base,
    One(Ino, Name),
    /// Any other number.
    Many(OrdSet<(Ino, Name)>),
}

impl Links {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ino, &Name)> {
        let (one, many) = match self {
            Self::Base => (None, None),
            Self::One(dir, name) => (Some((*dir, name)), None),
            Self::Many(links) => (None, Some(links.iter().map(|(dir, name)| (*dir, name)))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    pub(crate) fn add(&mut self, dir: Ino, name: Name) {
        *self = match std::mem::replace(self, Self::Base) {
            Self::Many(links) if links.is_empty() => Self::One(dir, name),
            Self::Many(mut links) => {
                links.insert((dir, name));
                Self::Many(links)
            }
            Self::One(other_dir, other) => {
                Self::Many(OrdSet::from_iter([(other_dir, other), (dir, name)]))
            }
            Self::Base => {
                unreachable!("because links of the base are spelled out before they change")
            }
        };
    }

    pub(crate) fn remove(&mut self, dir: Ino, name: &Name) {
        match self {
            Self::Many(links) => drop(links.remove(&(dir, Name::clone(name)))),
            Self::One(..) => *self = Self::Many(OrdSet::new()),
            Self::Base => {
                unreachable!("because links of the base are spelled out before they change")
            }
        }
    }
}
