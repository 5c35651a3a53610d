//! The one data structure: a persistent tree of inodes, a frozen [`Base`] under a small delta.
//!
//! ```text
//!   Tree ── base ──▶ Base    entries, inodes, names, index       shared by every tree that comes from one image
//!        ├─ slots            ino → changed or new inode           persistent maps: a clone of the tree shares
//!        └─ cuts             subtrees of the base that moved       them, a change copies one path of nodes
//! ```
//!
//! Everything here works on inode numbers and single names. It knows nothing of paths with `..`, of permissions,
//! of time or of limits: those act above, at the gate.

mod base;
mod check;
mod children;
mod edit;
mod freeze;
#[cfg(feature = "oci")]
mod freezer;
mod inode;
mod slots;

use std::sync::Arc;

use im::OrdMap;

pub(crate) use self::base::{Base, EntryId};
pub(crate) use self::children::Children;
#[cfg(feature = "oci")]
pub(crate) use self::freezer::Freezer;
pub(crate) use self::inode::{Dir, Ino, Inode, Links, Node, Slot};
use self::slots::Slots;
use crate::attr::{Time, Timestamp};
use crate::error::{ErrorKind, Fault};
use crate::path::{self, Name};

/// A filesystem at one moment. A clone costs three reference counts and shares everything.
///
/// - Every name leads to an inode that is in `slots` or, if it is not there, in `base`.
/// - `slots` holds only inodes that a name leads to.
/// - `cuts` holds every entry of the base, as part of a range, that is not at its path any more because a directory
///   above it, or it itself being a directory, was moved, removed or emptied; and maybe some that came back.
/// - Numbers from `next_ino` on were never used.
#[derive(Clone)]
pub(crate) struct Tree {
    base: Arc<Base>,
    slots: Slots,
    cuts: OrdMap<u32, u32>,
    next_ino: u64,
}

/// What the index of whole paths knows.
pub(crate) enum Found {
    At(Ino),
    Missing,
    /// Nothing: go name by name.
    Unknown,
}

impl Tree {
    /// A root directory (0755, root's, without a time) and nothing in it.
    pub(crate) fn empty() -> Self {
        freeze::empty()
    }

    /// The same, to lay layers of so many entries over it and to [`freeze`](Self::freeze) it then: not to be cloned.
    pub(crate) fn for_merging(entries: usize) -> Self {
        Self { slots: Slots::rows(entries), ..Self::empty() }
    }

    fn over(base: Base) -> Self {
        let next_ino = base.len() + 1;
        Self { base: Arc::new(base), slots: Slots::new(), cuts: OrdMap::new(), next_ino }
    }

    pub(crate) fn inode(&self, ino: Ino) -> Option<&Inode> {
        match self.slot(ino) {
            Some(slot) => Some(&slot.inode),
            None => self.base.inode(ino),
        }
    }

    fn slot(&self, ino: Ino) -> Option<&Slot> {
        if self.slots.is_empty() { None } else { self.slots.get(ino) }
    }

    /// The changed names of a directory, and `None` where all is as in the base.
    fn dir(&self, ino: Ino) -> Option<&Dir> {
        match &self.slot(ino)?.inode.node {
            Node::Dir(dir) => Some(dir),
            _ => None,
        }
    }

    /// Numbers from this one on are new to the tree.
    pub(crate) fn next_ino(&self) -> u64 {
        self.next_ino
    }

    /// How many inodes differ from the base.
    pub(crate) fn changed(&self) -> usize {
        self.slots.len()
    }

    /// How many inodes the base has.
    pub(crate) fn base_len(&self) -> u64 {
        self.base.len()
    }

    /// Bytes that the base takes, beside contents.
    pub(crate) fn base_memory(&self) -> usize {
        self.base.memory()
    }

    /// Finds a name in a directory. O(1) in the base, O(log n) in changed directories.
    pub(crate) fn lookup(&self, dir: Ino, name: &[u8]) -> Option<Ino> {
        if let Some(changed) = self.dir(dir) {
            match changed.names.get(name) {
                Some(binding) => return *binding,
                None if changed.opaque => return None,
                None => {}
            }
        }
        self.base.lookup(dir, name).map(|entry| self.base.ino(entry))
    }

    /// Finds a path that has no `.`, `..`, `//`, leading or trailing `/` ("" is the root) and leads through no symbolic
    /// link, in one probe; one more for each name at its end that is new or missing. Any other path, and one that was
    /// moved, is `Unknown`: so it needs no check before.
    pub(crate) fn find(&self, path: &[u8]) -> Found {
        match self.base.find(path) {
            Some(entry) => self.find_entry(entry),
            None => self.find_in_dir(path),
        }
    }

    /// The same for paths of the base alone: what it finds lies where it lay when the base was made.
    pub(crate) fn find_unmoved(&self, path: &[u8]) -> Found {
        self.base.find(path).map_or(Found::Unknown, |entry| self.find_entry(entry))
    }

    /// What a name of the base leads to now.
    fn find_entry(&self, entry: EntryId) -> Found {
        if self.slots.is_empty() {
            return Found::At(self.base.ino(entry));
        }
        if self.is_cut(entry) {
            return Found::Unknown;
        }
        if let Some(parent) = self.dir(self.base.ino(self.base.parent(entry)))
            && entry != EntryId::ROOT
        {
            match parent.names.get(self.base.name(entry)) {
                Some(Some(ino)) => return Found::At(*ino),
                Some(None) => return Found::Missing,
                None if parent.opaque => return Found::Missing,
                None => {}
            }
        }
        Found::At(self.base.ino(entry))
    }

    /// Finds a path that the base does not index, by its directory: the name is new there, or missing, or something on
    /// the way is.
    fn find_in_dir(&self, path: &[u8]) -> Found {
        let (above, name) = path::split_last(path);
        let normal = !path.starts_with(b"/") && path::check_name(name).is_ok();
        if path.len() > base::INDEXED_PATH_MAX || !normal {
            return Found::Unknown;
        }
        let dir = match self.find(above) {
            Found::At(dir) if self.expect(dir).is_dir() => dir,
            Found::Missing => return Found::Missing,
            Found::At(_) | Found::Unknown => return Found::Unknown,
        };
        // Where the base has the directory at this path, it has nothing of this name in it.
        let child = match self.base.entry_of(dir) {
            Some(entry) if self.base.path(entry) != Some(above) => self.lookup(dir, name),
            _ => self.dir(dir).and_then(|changed| *changed.names.get(name)?),
        };
        child.map_or(Found::Missing, Found::At)
    }

    /// Goes down a path without a leading `/`, name by name, through directories only.
    pub(crate) fn at(&self, path: &[u8]) -> Option<Ino> {
        match self.find(path) {
            Found::At(ino) => Some(ino),
            Found::Missing => None,
            Found::Unknown => {
                path::components(path).try_fold(Ino::ROOT, |dir, name| self.lookup(dir, name))
            }
        }
    }

    fn is_cut(&self, entry: EntryId) -> bool {
        !self.cuts.is_empty() && self.cuts.get_prev(&entry.0).is_some_and(|(_, end)| entry.0 < *end)
    }

    /// The names in a directory, each once, by their bytes.
    pub(crate) fn children(&self, dir: Ino) -> Children<'_> {
        let changed = self.dir(dir);
        let base = match changed {
            Some(changed) if changed.opaque => None,
            _ => self.base.entry_of(dir).map(|entry| self.base.children(entry)),
        };
        Children::new(base, changed.map(|dir| dir.names.iter()))
    }

    pub(crate) fn is_empty_dir(&self, dir: Ino) -> bool {
        self.children(dir).next().is_none()
    }

    /// The directory above a directory; the root's is the root.
    pub(crate) fn parent(&self, dir: Ino) -> Ino {
        match self.slot(dir).map(|slot| &slot.links) {
            Some(Links::One(parent, _)) => *parent,
            _ => self
                .base
                .entry_of(dir)
                .map_or(Ino::ROOT, |entry| self.base.ino(self.base.parent(entry))),
        }
    }

    /// Where an object is named: directory and name of each. O(links).
    pub(crate) fn names_of(&self, ino: Ino) -> Vec<(Ino, Name)> {
        match self.slot(ino).map(|slot| &slot.links) {
            Some(links @ (Links::One(..) | Links::Many(_))) => {
                links.iter().map(|(dir, name)| (dir, Name::clone(name))).collect()
            }
            _ => self.base_names_of(ino),
        }
    }

    fn base_names_of(&self, ino: Ino) -> Vec<(Ino, Name)> {
        if ino == Ino::ROOT || !self.base.contains(ino) {
            return Vec::new();
        }
        let named =
            |entry| (self.base.ino(self.base.parent(entry)), Name::from(self.base.name(entry)));
        self.base.names_of(ino).map(named).collect()
    }

    /// The path of a directory, without a leading `/`. O(depth).
    pub(crate) fn path_of_dir(&self, dir: Ino) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = dir;
        while at != Ino::ROOT {
            match self.slot(at).map(|slot| &slot.links) {
                Some(Links::One(parent, name)) => {
                    names.push(Name::clone(name));
                    at = *parent;
                }
                _ => match self.base.entry_of(at) {
                    Some(entry) => {
                        names.push(self.base.name(entry).into());
                        at = self.base.ino(self.base.parent(entry));
                    }
                    None => break,
                },
            }
        }
        names.reverse();
        names.join(&b'/')
    }

    /// The path of a directory of the base that neither moved nor lies in one that did. O(log changes).
    pub(crate) fn path_in_base(&self, dir: Ino) -> Option<&[u8]> {
        let entry = self.base.entry_of(dir)?;
        if self.is_cut(entry) { None } else { self.base.path(entry) }
    }

    /// All paths of an object, sorted, without a leading `/`. O(links × depth).
    pub(crate) fn paths_of(&self, ino: Ino) -> Vec<Vec<u8>> {
        let full = |(dir, name): &(Ino, Name)| path::join(&self.path_of_dir(*dir), name);
        let mut paths: Vec<_> = self.names_of(ino).iter().map(full).collect();
        paths.sort_by(|a, b| path::compare(a, b));
        paths
    }

    /// Whether a name leads to this number. O(links × depth).
    pub(crate) fn is_named(&self, ino: Ino) -> bool {
        self.inode(ino).is_some()
            && self.paths_of(ino).iter().any(|path| self.at(path) == Some(ino))
    }

    /// Whether `dir` is `above` or lies somewhere in it. O(depth).
    pub(crate) fn is_within(&self, mut dir: Ino, above: Ino) -> bool {
        while dir != above {
            if dir == Ino::ROOT {
                return false;
            }
            dir = self.parent(dir);
        }
        true
    }

    /// Inodes that differ between two trees over one base, or `None` where the bases are not one.
    pub(crate) fn changed_since<'a>(&'a self, old: &'a Self) -> Option<Vec<Ino>> {
        if !Arc::ptr_eq(&self.base, &old.base) {
            return None;
        }
        Some(self.slots.diff(&old.slots))
    }

    /// When the newest of the changes was made that lie between two trees over one base. O(changes).
    pub(crate) fn last_change_since(&self, old: &Self) -> Option<Timestamp> {
        let changed = self.changed_since(old)?;
        changed
            .into_iter()
            .map(|ino| Some(self.inode(ino)?.times.get(Time::Changed)))
            .max()
            .flatten()
    }

    /// The path of an object that in both trees has its one name of the base and no other.
    pub(crate) fn kept_path(&self, old: &Self, ino: Ino) -> Option<&[u8]> {
        let entry = match self.slot(ino)?.links {
            Links::Base => self.base.only_entry_of(ino)?,
            Links::One(..) | Links::Many(_) => return None,
        };
        let leads = |tree: &Self| matches!(tree.find_entry(entry), Found::At(at) if at == ino);
        (leads(self) && leads(old)).then(|| self.base.path(entry)).flatten()
    }

    /// The names that differ in one directory between two trees over one base, each with what it led to and leads to.
    pub(crate) fn changed_names(
        &self,
        old: &Self,
        dir: Ino,
    ) -> Vec<(Name, Option<Ino>, Option<Ino>)> {
        let empty = Dir::default();
        let (before, after) = (old.dir(dir).unwrap_or(&empty), self.dir(dir).unwrap_or(&empty));
        let names: Vec<Name> = if before.opaque == after.opaque {
            let name = |item| match item {
                im::ordmap::DiffItem::Add(name, _) | im::ordmap::DiffItem::Remove(name, _) => {
                    Name::clone(name)
                }
                im::ordmap::DiffItem::Update { new: (name, _), .. } => Name::clone(name),
            };
            before.names.diff(&after.names).map(name).collect()
        } else {
            let all = old.children(dir).chain(self.children(dir));
            all.map(|(name, _)| Name::from(name))
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect()
        };
        let leads = |name: Name| {
            let (before, after) = (old.lookup(dir, &name), self.lookup(dir, &name));
            (before != after).then_some((name, before, after))
        };
        names.into_iter().filter_map(leads).collect()
    }

    /// The inode that a name just led to.
    pub(crate) fn expect(&self, ino: Ino) -> &Inode {
        self.inode(ino).expect("because every name leads to an inode")
    }

    /// The inode of a directory.
    pub(crate) fn expect_dir(&self, ino: Ino) -> Result<&Inode, Fault> {
        let inode = self.inode(ino).ok_or(ErrorKind::NotFound)?;
        if inode.is_dir() { Ok(inode) } else { Err(ErrorKind::NotADirectory.into()) }
    }
}

impl Tree {
    /// Inodes that differ from the base.
    pub(crate) fn changed_inodes(&self) -> impl Iterator<Item = (Ino, &Inode)> {
        self.slots.iter().map(|(ino, slot)| (ino, &slot.inode))
    }

    /// Whether both are one state, not only alike. O(1).
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.base, &other.base) && self.slots.is_same(&other.slots)
    }
}
