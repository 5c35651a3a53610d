//! What is in a directory, and in everything below it.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::World;
use crate::attr::{FileType, Metadata};
use crate::credentials::Access;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::path;
use crate::tree::{Node, Tree};
use crate::walk::{Place, Space};
use crate::xattr;

/// Room for this many entries is taken at once, if so many names lie below the directory.
const RESERVED_MAX: usize = 64;

/// The entries of one directory at one moment, by the bytes of their names.
///
/// Like [`std::fs::ReadDir`], but for this: it shows the directory as it was when it was opened, so that removing while
/// iterating neither repeats nor skips a name.
#[derive(Clone)]
pub struct ReadDir {
    listing: Arc<Listing>,
    next: usize,
}

/// Names in one buffer, so that listing a large directory costs three allocations.
struct Listing {
    world: Arc<World>,
    path: Vec<u8>,
    names: Vec<u8>,
    entries: Vec<Entry>,
}

struct Entry {
    name_end: u32,
    file_type: FileType,
    place: Place,
}

impl ReadDir {
    /// A directory in which nothing is.
    pub(crate) fn none() -> Self {
        let world = Arc::new(World::of(Tree::empty()));
        let listing = Listing { world, path: Vec::new(), names: Vec::new(), entries: Vec::new() };
        Self { listing: Arc::new(listing), next: 0 }
    }

    pub(crate) fn open(world: &Arc<World>, place: Place, path: Vec<u8>) -> Result<Self, Fault> {
        let mut listing =
            Listing { world: Arc::clone(world), path, names: Vec::new(), entries: Vec::new() };
        world.see(|space| listing.fill(space, place))?;
        Ok(Self { listing: Arc::new(listing), next: 0 })
    }
}

impl Listing {
    fn fill(&mut self, space: &Space<'_>, dir: Place) -> Result<(), Fault> {
        let inode = space.tree(dir).expect_dir(dir.ino)?;
        space.creds.check(inode, Access::READ)?;
        let mut children = space.tree(dir).children(dir.ino);
        let expected = children.at_most().min(RESERVED_MAX);
        self.entries.reserve(expected);
        self.names.reserve(expected * 16);
        while let Some((name, ino, mut known)) = children.next_typed() {
            let mut place = Place { ino, ..dir };
            if !space.mounts.is_empty() {
                place = space.child(dir, name).unwrap_or(place);
                known = None;
            }
            let file_type = known.unwrap_or_else(|| space.inode(place).file_type());
            self.names.extend_from_slice(name);
            let too_long = || Fault::rule(ErrorKind::OutOfRange, "a directory with 4 GiB of names");
            let name_end = u32::try_from(self.names.len()).map_err(|_| too_long())?;
            self.entries.push(Entry { name_end, file_type, place });
        }
        Ok(())
    }
}

impl Iterator for ReadDir {
    type Item = DirEntry;

    fn next(&mut self) -> Option<DirEntry> {
        let index = self.next;
        (index < self.listing.entries.len()).then(|| {
            self.next += 1;
            DirEntry { listing: Arc::clone(&self.listing), index }
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.listing.entries.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for ReadDir {}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadDir(\"/{}\", {} left)", self.listing.path.escape_ascii(), self.len())
    }
}

/// One entry of a directory. Cloning and asking for the type cost next to nothing; names and paths are copied when asked for.
#[derive(Clone)]
pub struct DirEntry {
    listing: Arc<Listing>,
    index: usize,
}

impl DirEntry {
    /// The name, as bytes.
    pub fn name(&self) -> &[u8] {
        let start =
            self.index.checked_sub(1).map_or(0, |before| self.listing.entries[before].name_end);
        &self.listing.names[start as usize..self.entry().name_end as usize]
    }

    /// The name.
    pub fn file_name(&self) -> OsString {
        path::to_os_string(self.name())
    }

    /// The path from the root.
    pub fn path(&self) -> PathBuf {
        path::to_path_buf(&[b"/", &*self.relative_path()].concat())
    }

    /// The type; a symbolic link is a symbolic link.
    pub fn file_type(&self) -> FileType {
        self.entry().file_type
    }

    /// The inode number, the same as [`Metadata::ino`].
    pub fn ino(&self) -> u64 {
        self.entry().place.ino.0
    }

    /// The metadata as it was when the directory was opened; symbolic links are not followed.
    pub fn metadata(&self) -> Metadata {
        let place = self.place();
        self.see(|space| space.inode(place).metadata(place.ino))
    }

    /// All extended attributes that may be read, with their values, sorted by name; those of a symbolic link itself.
    ///
    /// This and the methods below do not go by the path again. So they cost O(1) beside what they return, and they work at
    /// every depth, also where the path has more than the 4,095 bytes that other operations take.
    pub fn xattrs(&self) -> Vec<(OsString, Bytes)> {
        self.see(|space| xattr::all(space.creds, space.inode(self.place())))
    }

    /// The target, if this is a symbolic link.
    pub fn read_link(&self) -> Option<PathBuf> {
        self.see(|space| match &space.inode(self.place()).node {
            Node::Symlink(target) => Some(path::to_path_buf(target)),
            _ => None,
        })
    }

    /// What is in it, if this is a directory.
    ///
    /// # Errors
    ///
    /// - `NotADirectory`; `PermissionDenied`.
    ///
    /// # Examples
    ///
    /// ```
    /// use stratafs::{Image, Layer};
    ///
    /// let view = Image::from_layers([Layer::from([("etc/hosts", "127.0.0.1 localhost\n")])])?.view();
    /// let etc = view.read_dir("/")?.next().expect("etc");
    /// let hosts = etc.read_dir()?.next().expect("hosts");
    /// let mut start = [0; 9];
    /// hosts.open()?.read_at(&mut start, 0)?;
    /// assert_eq!(&start, b"127.0.0.1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_dir(&self) -> Result<ReadDir> {
        ReadDir::open(&self.listing.world, self.place(), self.relative_path())
            .map_err(|fault| self.error("read_dir", fault))
    }

    pub(crate) fn error(&self, op: &'static str, fault: impl Into<Fault>) -> Error {
        Error::new(op, &[b"/", &*self.relative_path()].concat(), fault)
    }

    pub(crate) fn see<R>(&self, look: impl FnOnce(&Space<'_>) -> R) -> R {
        self.listing.world.see(look)
    }

    pub(crate) fn place(&self) -> Place {
        self.entry().place
    }

    fn entry(&self) -> &Entry {
        &self.listing.entries[self.index]
    }

    pub(crate) fn relative_path(&self) -> Vec<u8> {
        path::join(&self.listing.path, self.name())
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DirEntry(\"/{}\", {:?})", self.relative_path().escape_ascii(), self.file_type())
    }
}

/// Everything below a directory at one moment: depth first, siblings by name, a directory before what is in it.
///
/// Symbolic links are listed, not followed. A directory that may not be read is an error in the place of its children.
#[derive(Clone)]
pub struct Walk {
    world: Arc<World>,
    open: Vec<ReadDir>,
    /// The directory that was listed last, to go into next.
    enter: Option<DirEntry>,
}

impl Walk {
    pub(crate) fn new(world: Arc<World>, dir: ReadDir) -> Self {
        Self { world, open: vec![dir], enter: None }
    }
}

impl Iterator for Walk {
    type Item = Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(dir) = self.enter.take() {
            let path = dir.relative_path();
            match ReadDir::open(&self.world, dir.entry().place, path) {
                Ok(below) => self.open.push(below),
                Err(fault) => return Some(Err(dir.error("walk", fault))),
            }
        }
        let entry = loop {
            match self.open.last_mut()?.next() {
                Some(entry) => break entry,
                None => drop(self.open.pop()),
            }
        };
        self.enter = entry.file_type().is_dir().then(|| entry.clone());
        Some(Ok(entry))
    }
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Walk({} directories open)", self.open.len())
    }
}
