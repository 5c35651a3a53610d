//! The one place that makes whiteouts: what turns one filesystem into another.
//!
//! The result depends on what the two show and on nothing else, so the same two states give the same layer, whatever
//! happened between them. Trees over one base are compared where they differ only.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{Entry, Layer, What, absolute, refuse};
use crate::attr::{Time, Times};
use crate::content::Content;
use crate::error::{Fault, Result};
use crate::path::{self, Name};
use crate::tree::{Dir, Ino, Inode, Node, Tree};

/// What happened to a path, as `docker diff` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ChangeKind {
    /// It was not there before: `A`.
    Added,
    /// It is another one, or other attributes, or has changes below it: `C`.
    Changed,
    /// It is not there any more: `D`. What was below it went with it and is not listed.
    Deleted,
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "A",
            Self::Changed => "C",
            Self::Deleted => "D",
        })
    }
}

/// One line of a [`Diff`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// Where, from the root.
    pub path: PathBuf,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.path.display())
    }
}

/// What turns one filesystem into another: as a [`Layer`], and as a listing to read.
///
/// Printed, it is what `docker diff` prints: `A /path`, `C /path`, `D /path`, a directory before what is in it.
///
/// # Examples
///
/// ```
/// use stratafs::{Image, Layer};
///
/// let image = Image::from_layers([Layer::from([("etc/motd", "hi"), ("etc/issue", "stratafs")])])?;
/// let container = image.container();
/// container.write("/etc/motd", "bye")?;
/// container.remove_file("/etc/issue")?;
/// container.create_dir("/srv")?;
/// let diff = container.diff()?;
/// assert_eq!(diff.to_string(), "C /\nC /etc\nD /etc/issue\nC /etc/motd\nA /srv\n");
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Clone)]
pub struct Diff {
    layer: Layer,
    kinds: Vec<ChangeKind>,
}

impl Diff {
    /// The changes as a layer: over the first filesystem it gives the second.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// The same, for keeps.
    pub fn into_layer(self) -> Layer {
        self.layer
    }

    /// The changes as a listing, a directory before what is in it.
    pub fn changes(&self) -> impl Iterator<Item = Change> + '_ {
        let entries = self.layer.raw_entries().iter().zip(&self.kinds);
        entries.map(|(entry, &kind)| Change { kind, path: absolute(&entry.path) })
    }

    /// What happened to this path itself; `None` if nothing did.
    pub fn kind(&self, path: impl AsRef<Path>) -> Option<ChangeKind> {
        let path = path::normalise(path::bytes(path.as_ref())).ok()?;
        let index = self
            .layer
            .raw_entries()
            .binary_search_by(|entry| path::compare(&entry.path, &path))
            .ok()?;
        Some(self.kinds[index])
    }

    /// Whether the two filesystems are the same.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.changes().try_for_each(|change| writeln!(f, "{change}"))
    }
}

impl fmt::Debug for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Diff({} changes)", self.kinds.len())
    }
}

/// The layer for which `apply(old, layer)` shows what `new` shows. O(changes) over one base, else O(names).
///
/// Compared are names, types, modes, owners, the time of modification, attributes, targets, device numbers, bytes, and
/// which names are links of one file.
pub(crate) fn diff(old: &Tree, new: &Tree) -> Result<Diff> {
    let mut differ =
        Differ { old, new, found: Vec::new(), linked: HashSet::new(), below: Vec::new() };
    match new.changed_since(old) {
        Some(changed) => differ.compare_changed(changed)?,
        None => differ.compare_objects(b"", Ino::ROOT, Ino::ROOT)?,
    }
    while let Some((path, old, new)) = differ.below.pop() {
        differ.compare_children(&path, old, new)?;
    }
    Ok(differ.finish())
}

struct Differ<'a> {
    old: &'a Tree,
    new: &'a Tree,
    found: Vec<(Box<[u8]>, Found, ChangeKind)>,
    /// Objects with several names that are dealt with.
    linked: HashSet<Ino>,
    /// Directories in which children are still to be compared: a list and not a recursion, however deep they lie.
    below: Vec<(Vec<u8>, Ino, Ino)>,
}

/// What stands at a path now.
enum Found {
    Nothing,
    Object(Ino),
    Link(Box<[u8]>),
}

impl Differ<'_> {
    /// Over one base: looks where an inode differs. A directory that moved, or lies in one that did, is met as a name
    /// that differs in the directory where it moved, and compared from there.
    fn compare_changed(&mut self, changed: Vec<Ino>) -> Result<()> {
        for ino in changed {
            // What is new is met where its name is: in a directory that changed, or is new itself.
            let (Some(old), Some(new)) = (self.old.inode(ino), self.new.inode(ino)) else {
                continue;
            };
            if old.is_dir() && new.is_dir() {
                let Some(path) = self.unmoved(ino).map(Cow::into_owned) else { continue };
                self.compare_dir_itself(&path, ino, ino);
                for (name, old, new) in self.new.changed_names(self.old, ino) {
                    self.compare_names(&path::join(&path, &name), old, new)?;
                }
            } else if let Some(path) = self.new.kept_path(self.old, ino) {
                self.compare_files(path, ino, ino)?;
            } else {
                for (dir, name) in self.new.names_of(ino) {
                    if self.new.lookup(dir, &name) == Some(ino)
                        && let Some(path) = self.unmoved(dir)
                    {
                        let old = self.old.lookup(dir, &name);
                        self.compare_names(&path::join(&path, &name), old, Some(ino))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The path of a directory that has the same in both, by the same directories.
    fn unmoved(&self, dir: Ino) -> Option<Cow<'_, [u8]>> {
        if let Some(path) = self.new.path_in_base(dir)
            && self.old.path_in_base(dir).is_some()
        {
            return Some(path.into());
        }
        let mut names: Vec<Name> = Vec::new();
        let mut at = dir;
        while at != Ino::ROOT {
            let (parent, name) = self.new.names_of(at).pop()?;
            let leads_here = |tree: &Tree| tree.lookup(parent, &name) == Some(at);
            if !leads_here(self.new) || !leads_here(self.old) {
                return None;
            }
            names.push(name);
            at = parent;
        }
        names.reverse();
        Some(names.join(&b'/').into())
    }

    fn compare_names(&mut self, path: &[u8], old: Option<Ino>, new: Option<Ino>) -> Result<()> {
        match (old, new) {
            (None, None) => Ok(()),
            (Some(_), None) => {
                self.note(path, Found::Nothing, ChangeKind::Deleted);
                Ok(())
            }
            (None, Some(new)) => self.add(path, new, ChangeKind::Added),
            (Some(old), Some(new)) => self.compare_objects(path, old, new),
        }
    }

    fn compare_objects(&mut self, path: &[u8], old: Ino, new: Ino) -> Result<()> {
        match (self.old.expect(old).is_dir(), self.new.expect(new).is_dir()) {
            (true, true) => {
                self.compare_dir_itself(path, old, new);
                self.below.push((path.to_vec(), old, new));
                Ok(())
            }
            (false, false) => self.compare_files(path, old, new),
            _ => self.add(path, new, ChangeKind::Changed),
        }
    }

    fn compare_dir_itself(&mut self, path: &[u8], old: Ino, new: Ino) {
        if !same_attributes(self.old.expect(old), self.new.expect(new)) {
            self.note(path, Found::Object(new), ChangeKind::Changed);
        }
    }

    fn compare_children(&mut self, path: &[u8], old_dir: Ino, new_dir: Ino) -> Result<()> {
        let (old, new) = (self.old, self.new);
        let mut olds = old.children(old_dir).peekable();
        let mut news = new.children(new_dir).peekable();
        loop {
            let name = match (olds.peek(), news.peek()) {
                (Some((a, _)), Some((b, _))) => *a.min(b),
                (Some((name, _)), None) | (None, Some((name, _))) => *name,
                (None, None) => return Ok(()),
            };
            let old = olds.next_if(|(other, _)| *other == name).map(|(_, ino)| ino);
            let new = news.next_if(|(other, _)| *other == name).map(|(_, ino)| ino);
            self.compare_names(&path::join(path, name), old, new)?;
        }
    }

    fn compare_files(&mut self, path: &[u8], old: Ino, new: Ino) -> Result<()> {
        if self.old.expect(old).nlink > 1 || self.new.expect(new).nlink > 1 {
            return self.compare_links(new);
        }
        if self.same_object(path, old, new)? {
            return Ok(());
        }
        self.note(path, Found::Object(new), ChangeKind::Changed);
        Ok(())
    }

    /// A file with several names, now or before, is left out only if all its names led to one file that had the same
    /// in it; else the layer holds all of them, so that it does not depend on what is below.
    fn compare_links(&mut self, new: Ino) -> Result<()> {
        if !self.linked.insert(new) {
            return Ok(());
        }
        let paths = self.new.paths_of(new);
        if self.is_kept(&paths, new)? {
            return Ok(());
        }
        let first = paths.first().cloned().unwrap_or_default();
        for path in paths {
            let kind =
                if self.old.at(&path).is_some() { ChangeKind::Changed } else { ChangeKind::Added };
            let found =
                if path == first { Found::Object(new) } else { Found::Link(first.clone().into()) };
            self.note(path, found, kind);
        }
        Ok(())
    }

    fn is_kept(&self, paths: &[Vec<u8>], new: Ino) -> Result<bool> {
        let Some(old) = paths.first().and_then(|path| self.old.at(path)) else { return Ok(false) };
        if self.old.expect(old).is_dir() || paths.iter().any(|path| self.old.at(path) != Some(old))
        {
            return Ok(false);
        }
        if !self.same_object(&paths[0], old, new)? {
            return Ok(false);
        }
        // A file that was split in two goes on at the first of its old names; the other part is a new file.
        for path in self.old.paths_of(old) {
            let Some(heir) = self.new.at(&path) else { continue };
            if !self.new.expect(heir).is_dir() && self.same_object(&path, old, heir)? {
                return Ok(heir == new);
            }
        }
        Ok(false)
    }

    /// Everything from `path` down is new.
    fn add(&mut self, path: &[u8], new: Ino, kind: ChangeKind) -> Result<()> {
        let mut below = vec![(path.to_vec(), new, kind)];
        while let Some((path, ino, kind)) = below.pop() {
            let inode = self.new.expect(ino);
            if inode.is_dir() {
                let children = self.new.children(ino);
                below.extend(
                    children.map(|(name, ino)| (path::join(&path, name), ino, ChangeKind::Added)),
                );
            } else if inode.nlink > 1 {
                self.compare_links(ino)?;
                continue;
            }
            self.note(path, Found::Object(ino), kind);
        }
        Ok(())
    }

    fn note(&mut self, path: impl Into<Box<[u8]>>, found: Found, kind: ChangeKind) {
        self.found.push((path.into(), found, kind));
    }

    /// The changes in order, with the directories above each of them as they are (semantics L53).
    fn finish(mut self) -> Diff {
        self.found.sort_by(|(a, ..), (b, ..)| path::compare(a, b));
        self.found.dedup_by(|(a, ..), (b, ..)| a == b);
        // In a tree of some depth there are about as many directories above as changes.
        let room = 3 * self.found.len();
        let (mut entries, mut kinds) = (Vec::with_capacity(room), Vec::with_capacity(room));
        for (path, found, kind) in self.found {
            // The first directory that is missing is found by its path, those below it one from the other.
            let mut above: Option<Ino> = None;
            for dir in path::above(&path) {
                // What comes before in order is in it, or is it, if the directory is there already.
                let there =
                    entries.last().is_some_and(|last: &Entry| path::is_within(&last.path, dir));
                if there {
                    continue;
                }
                above = match above {
                    Some(above) => self.new.lookup(above, path::split_last(dir).1),
                    None => self.new.at(dir),
                };
                let Some(ino) = above else { break };
                entries.push(Entry { path: dir.into(), what: object(self.new.expect(ino)) });
                kinds.push(ChangeKind::Changed);
            }
            let what = match found {
                Found::Nothing => What::Whiteout,
                Found::Object(ino) => object(self.new.expect(ino)),
                Found::Link(target) => What::Link(target),
            };
            entries.push(Entry { path, what });
            kinds.push(kind);
        }
        entries.shrink_to_fit();
        Diff { layer: Layer::new(entries), kinds }
    }

    fn same_object(&self, path: &[u8], old: Ino, new: Ino) -> Result<bool> {
        let (old, new) = (self.old.expect(old), self.new.expect(new));
        let same = same_attributes(old, new)
            && same_node(&old.node, &new.node).map_err(|fault| refuse(path, "diff", fault))?;
        Ok(same)
    }
}

fn same_attributes(a: &Inode, b: &Inode) -> bool {
    (a.mode, a.uid, a.gid, a.times.get(Time::Modified))
        == (b.mode, b.uid, b.gid, b.times.get(Time::Modified))
        && a.xattrs == b.xattrs
}

fn same_node(a: &Node, b: &Node) -> Result<bool, Fault> {
    Ok(match (a, b) {
        (Node::File(a), Node::File(b)) => Content::same_bytes(a, b)?,
        (Node::Symlink(a), Node::Symlink(b)) => a == b,
        (Node::CharDevice(a), Node::CharDevice(b))
        | (Node::BlockDevice(a), Node::BlockDevice(b)) => a == b,
        (Node::Dir(_), Node::Dir(_)) | (Node::Fifo, Node::Fifo) | (Node::Socket, Node::Socket) => {
            true
        }
        _ => false,
    })
}

/// An inode as a layer holds it: one time, nobody's own, without names.
fn object(inode: &Inode) -> What {
    let node = match &inode.node {
        Node::File(content) => Node::File(content.sealed()),
        Node::Dir(_) => Node::Dir(Dir::default()),
        other => other.clone(),
    };
    let times = Times::all(inode.times.get(Time::Modified));
    let inode = Inode { node, times, nlink: 0, xattrs: inode.xattrs.clone().sealed(), ..*inode };
    What::Object { inode, opaque: false }
}
