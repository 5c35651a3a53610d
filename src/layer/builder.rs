//! Layers from nothing: for fixtures, for programs that make images, for importers.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{Entry, Layer, What, refuse};
use crate::attr::{Attrs, Device, Times, Timestamp};
use crate::content::{Content, Source};
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::path;
use crate::tree::{Dir, Inode, Node};

const OP: &str = "build layer";

/// Puts a [`Layer`] together, entry by entry; errors are kept until [`build`](Self::build).
///
/// Objects are root's, files 0644, directories 0755, symbolic links 0777, the time is 1970 (so that the same calls give
/// the same digest on every day), unless [`attrs`](Self::attrs) says otherwise. Parents need not be mentioned: an image
/// shows the ones that it has, or makes them. A path that is given twice stands for the last one.
///
/// # Examples
///
/// ```
/// use stratafs::{Attrs, Image, Layer};
///
/// let layer = Layer::builder()
///     .dir("/srv")
///     .file("/srv/run.sh", "#!/bin/sh\n")
///     .attrs(Attrs::new().mode(0o755).uid(1000))
///     .symlink("run.sh", "/srv/start")
///     .hard_link("/srv/run.sh", "/srv/again")
///     .whiteout("/tmp/cache")
///     .build()?;
/// let view = Image::from_layers([layer])?.view();
/// assert_eq!(view.metadata("/srv/start")?.nlink(), 2);
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Default)]
#[must_use]
pub struct LayerBuilder {
    entries: Vec<Entry>,
    error: Option<Error>,
}

impl LayerBuilder {
    /// A regular file with these bytes.
    pub fn file(self, path: impl AsRef<Path>, contents: impl Into<Bytes>) -> Self {
        self.object(path.as_ref(), Node::File(Content::lower(contents.into())), 0o644)
    }

    /// A regular file whose bytes are read when they are asked for.
    pub fn source(self, path: impl AsRef<Path>, source: Arc<dyn Source>) -> Self {
        self.object(path.as_ref(), Node::File(Content::source(source)), 0o644)
    }

    /// A directory. Where the layers below have one, their children show through.
    pub fn dir(self, path: impl AsRef<Path>) -> Self {
        self.object(path.as_ref(), Node::Dir(Dir::default()), 0o755)
    }

    /// A directory that shows nothing of the layers below.
    pub fn opaque_dir(mut self, path: impl AsRef<Path>) -> Self {
        self = self.dir(path);
        if let Some(Entry { what: What::Object { opaque, .. }, .. }) = self.entries.last_mut() {
            *opaque = true;
        }
        self
    }

    /// Removes whatever the layers below have in this directory, and says nothing of the directory itself: it stays what it
    /// is below, or is made.
    pub fn opaque_whiteout(self, path: impl AsRef<Path>) -> Self {
        self.entry(path.as_ref(), What::Opaque)
    }

    /// A symbolic link at `link` to `original`, like [`std::os::unix::fs::symlink`].
    pub fn symlink(self, original: impl AsRef<Path>, link: impl AsRef<Path>) -> Self {
        let target = path::bytes(original.as_ref());
        if target.is_empty() || target.len() > path::PATH_MAX || target.contains(&0) {
            return self.refuse(
                link.as_ref(),
                Fault::rule(ErrorKind::InvalidInput, "a target has 1 to 4095 bytes, no NUL"),
            );
        }
        self.object(link.as_ref(), Node::Symlink(target.into()), 0o777)
    }

    /// One more name, `link`, for the file at `original` in this layer or one below, like [`std::fs::hard_link`].
    pub fn hard_link(self, original: impl AsRef<Path>, link: impl AsRef<Path>) -> Self {
        match path::normalise(path::bytes(original.as_ref())) {
            Ok(target) => self.entry(link.as_ref(), What::Link(target.into())),
            Err(kind) => self.refuse(original.as_ref(), kind),
        }
    }

    /// Removes what the layers below have at this path.
    pub fn whiteout(self, path: impl AsRef<Path>) -> Self {
        self.entry(path.as_ref(), What::Whiteout)
    }

    /// A named pipe.
    pub fn fifo(self, path: impl AsRef<Path>) -> Self {
        self.object(path.as_ref(), Node::Fifo, 0o644)
    }

    /// A socket. An OCI layer cannot hold one: it is not in the layer's digest.
    pub fn socket(self, path: impl AsRef<Path>) -> Self {
        self.object(path.as_ref(), Node::Socket, 0o644)
    }

    /// A character device.
    pub fn char_device(self, path: impl AsRef<Path>, device: Device) -> Self {
        self.object(path.as_ref(), Node::CharDevice(device), 0o644)
    }

    /// A block device.
    pub fn block_device(self, path: impl AsRef<Path>, device: Device) -> Self {
        self.object(path.as_ref(), Node::BlockDevice(device), 0o644)
    }

    /// Mode, owner and times of the object that was added last. A layer knows one time: a change of `modified` is a
    /// change of all three.
    pub fn attrs(mut self, attrs: Attrs) -> Self {
        if let Some(Entry { what: What::Object { inode, .. }, .. }) = self.entries.last_mut() {
            inode.mode = attrs.mode.unwrap_or(inode.mode);
            inode.uid = attrs.uid.unwrap_or(inode.uid);
            inode.gid = attrs.gid.unwrap_or(inode.gid);
            if let Some(time) = attrs.modified {
                let time = time.or(Timestamp::EPOCH);
                inode.times = Times::all(time);
            }
        }
        self
    }

    /// An extended attribute of the object that was added last.
    pub fn xattr(mut self, name: impl AsRef<[u8]>, value: impl Into<Bytes>) -> Self {
        if let Some(Entry { what: What::Object { inode, .. }, .. }) = self.entries.last_mut() {
            inode.xattrs.insert(name.as_ref(), value.into());
            inode.xattrs = std::mem::take(&mut inode.xattrs).sealed();
        }
        self
    }

    fn object(self, path: &Path, node: Node, mode: u32) -> Self {
        let inode = Inode::new(node, mode, (0, 0), Timestamp::EPOCH);
        self.entry(path, What::Object { inode, opaque: false })
    }

    fn entry(mut self, path: &Path, what: What) -> Self {
        match path::normalise(path::bytes(path)) {
            Ok(normal) if normal.is_empty() && !what.is_dir() => {
                self.refuse(path, Fault::rule(ErrorKind::InvalidInput, "the root is a directory"))
            }
            Ok(normal) => {
                self.entries.push(Entry { path: normal.into(), what });
                self
            }
            Err(kind) => self.refuse(path, kind),
        }
    }

    fn refuse(mut self, path: &Path, fault: impl Into<Fault>) -> Self {
        self.error.get_or_insert_with(|| Error::new(OP, path::bytes(path), fault));
        self
    }

    /// The layer. O(n log n).
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: a path leaves the root, has a NUL byte, or names the root as something else than a directory; a
    ///   hard link names itself, a directory, or something that this layer removes.
    /// - `NameTooLong`: a name of more than 255 bytes.
    /// - `NotADirectory`: an entry lies below something that this layer makes no directory (semantics L35).
    pub fn build(self) -> Result<Layer> {
        self.error.map_or_else(|| Layer::from_entries(self.entries), Err)
    }
}

impl Layer {
    /// Entries in any order, whose paths are in normal form. The errors are those of [`LayerBuilder::build`].
    pub(crate) fn from_entries(entries: Vec<Entry>) -> Result<Self> {
        Self::from_entries_of(OP, entries)
    }

    /// The same, as part of another operation.
    pub(crate) fn from_entries_of(op: &'static str, mut entries: Vec<Entry>) -> Result<Self> {
        // Stable: of one path the last one given comes last, and it is the one that is kept.
        entries.sort_by(|a, b| path::compare(&a.path, &b.path));
        entries.reverse();
        entries.dedup_by(|later, kept| later.path == kept.path);
        entries.reverse();
        settle_parents(op, &mut entries)?;
        settle_whiteouts(&mut entries);
        resolve_links(op, &mut entries)?;
        Ok(Self::new(entries))
    }
}

/// In one layer nothing lies below anything but directories. A whiteout there acts on nothing (semantics L44): it is no
/// mistake, but it is no change either.
fn settle_parents(op: &'static str, entries: &mut Vec<Entry>) -> Result<()> {
    let mut blocked: Option<Box<[u8]>> = None;
    let mut misplaced = None;
    entries.retain(|entry| {
        let is_below =
            |file: &[u8]| entry.path.strip_prefix(file).is_some_and(|rest| rest.starts_with(b"/"));
        let is_whiteout = matches!(entry.what, What::Whiteout);
        if blocked.as_deref().is_some_and(is_below) {
            if !is_whiteout {
                misplaced.get_or_insert_with(|| entry.path.clone());
            }
            return false;
        }
        blocked = (!is_whiteout && !entry.what.is_dir()).then(|| entry.path.clone());
        true
    });
    misplaced.map_or(Ok(()), |path| {
        let rule = "it lies below something that this layer makes no directory";
        Err(refuse(&path, op, Fault::rule(ErrorKind::NotADirectory, rule)))
    })
}

/// A whiteout takes away what is below, so what this layer has there lies in a directory that is new (semantics L39).
fn settle_whiteouts(entries: &mut [Entry]) {
    let mut content: Option<usize> = None;
    for index in (0..entries.len()).rev() {
        if !matches!(entries[index].what, What::Whiteout) {
            content = Some(index);
        } else if content.is_some_and(|at| path::is_within(&entries[at].path, &entries[index].path))
        {
            entries[index].what = What::Object { inode: Inode::implied_dir(), opaque: true };
            content = Some(index);
        }
    }
}

/// Makes every hard link point at an object of this layer, or at a path of a layer below: never at a link. An object of
/// this layer stands at the first of its names, so that one set of changes has one form.
fn resolve_links(op: &'static str, entries: &mut [Entry]) -> Result<()> {
    let at: BTreeMap<&[u8], usize> =
        entries.iter().enumerate().map(|(index, entry)| (&*entry.path, index)).collect();
    let mut groups: BTreeMap<Box<[u8]>, Vec<usize>> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let What::Link(mut target) = entry.what.clone() else { continue };
        for _ in 0..entries.len() {
            match at.get(&*target).map(|&index| &entries[index].what) {
                Some(What::Link(next)) => target.clone_from(next),
                _ => break,
            }
        }
        let bad = match at.get(&*target).map(|&index| &entries[index].what) {
            Some(What::Link(_)) => Some("a hard link to itself"),
            Some(What::Whiteout) => Some("a hard link to what this layer removes"),
            Some(what) if what.is_dir() => Some("a hard link to a directory"),
            _ if target.is_empty() => Some("a hard link to a directory"),
            _ => None,
        };
        if let Some(rule) = bad {
            return Err(refuse(&entry.path, op, Fault::rule(ErrorKind::InvalidInput, rule)));
        }
        groups.entry(target).or_default().push(index);
    }
    let groups: Vec<_> = groups
        .into_iter()
        .map(|(target, links)| (at.get(&*target).copied(), target, links))
        .collect();
    for (object, mut target, mut links) in groups {
        if let Some(object) = object {
            links.push(object);
            links.sort_unstable();
            let first = links.remove(0);
            let link = std::mem::replace(&mut entries[object].what, What::Whiteout);
            entries[first].what = link;
            target.clone_from(&entries[first].path);
        }
        for link in links {
            entries[link].what = What::Link(target.clone());
        }
    }
    Ok(())
}

impl fmt::Debug for LayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LayerBuilder({} entries)", self.entries.len())
    }
}
