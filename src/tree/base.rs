//! The frozen part of a tree: flat arrays and one hash index, built once, never changed, shared by everybody.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::inode::{Ino, Inode};
use crate::attr::FileType;

/// Longer paths are found name by name, so that deep trees cost no more than their names.
pub(super) const INDEXED_PATH_MAX: usize = 512;

/// An index into [`Base::entries`]: one name of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EntryId(pub(crate) u32);

impl EntryId {
    pub(crate) const ROOT: Self = Self(0);
}

/// One name in the frozen tree.
///
/// `text` of the arena is its whole path if that is indexed, else its name alone; the name is its tail in either case.
struct Entry {
    text_start: u32,
    text_len: u16,
    name_len: u8,
    file_type: FileType,
    ino: u32,
    parent: u32,
    /// The first entry after this one's subtree.
    end: u32,
}

impl Entry {
    /// Whether `text` is a path: it is longer than the name, or it is one of the root's names, which are paths.
    fn is_indexed(&self) -> bool {
        self.text_len != u16::from(self.name_len) || self.parent == EntryId::ROOT.0
    }
}

/// All names in depth-first order, siblings by name. So a subtree is a range of entries, the next sibling of `e` is
/// `e.end`, and walking everything reads memory from front to back.
///
/// - `entries[0]` is the root; `inodes[i]` is the object with number `i + 1`.
/// - `index` finds an entry by its path without the leading `/`, or by (parent, name) where the path is too long.
pub(crate) struct Base {
    entries: Vec<Entry>,
    inodes: Vec<Inode>,
    /// The first name of each object.
    entry_of: Vec<EntryId>,
    /// The other names of objects that have several.
    more_names: HashMap<Ino, Vec<EntryId>>,
    arena: Vec<u8>,
    index: HashTable<Slot>,
    hasher: RandomState,
}

/// A place in the index. The high half of the hash saves the look at the arena for most names that are not there.
#[derive(Clone, Copy)]
struct Slot {
    tag: u32,
    entry: u32,
}

impl Base {
    pub(crate) fn len(&self) -> u64 {
        self.inodes.len() as u64
    }

    pub(crate) fn inode(&self, ino: Ino) -> Option<&Inode> {
        self.inodes.get(usize::try_from(ino.0).ok()?.checked_sub(1)?)
    }

    pub(crate) fn contains(&self, ino: Ino) -> bool {
        (1..=self.len()).contains(&ino.0)
    }

    /// Finds an entry by its path, which has no leading `/` and is "" for the root. O(1).
    pub(crate) fn find(&self, path: &[u8]) -> Option<EntryId> {
        let hash = self.hasher.hash_one(path);
        let same = |slot: &Slot| {
            let entry = &self.entries[slot.entry as usize];
            slot.tag == tag(hash) && self.text(entry) == path && entry.is_indexed()
        };
        self.index.find(hash, same).map(|slot| EntryId(slot.entry))
    }

    /// Finds a name in a directory of the base. O(1).
    pub(crate) fn lookup(&self, dir: Ino, name: &[u8]) -> Option<EntryId> {
        let dir = *self.entry_of.get(usize::try_from(dir.0).ok()?.checked_sub(1)?)?;
        let parent = &self.entries[dir.0 as usize];
        if dir.0 + 1 == parent.end {
            return None;
        }
        let mut key = [0; INDEXED_PATH_MAX];
        match child_path(self.path_text(parent), name, &mut key) {
            Some(path) => self.find(path),
            None => self.find_unindexed(dir, name),
        }
    }

    fn find_unindexed(&self, dir: EntryId, name: &[u8]) -> Option<EntryId> {
        let hash = self.hash_unindexed(dir.0, name);
        let same = |slot: &Slot| {
            let entry = &self.entries[slot.entry as usize];
            slot.tag == tag(hash)
                && !entry.is_indexed()
                && entry.parent == dir.0
                && self.text(entry) == name
        };
        self.index.find(hash, same).map(|slot| EntryId(slot.entry))
    }

    fn hash_unindexed(&self, parent: u32, name: &[u8]) -> u64 {
        self.hasher.hash_one((parent, name))
    }

    pub(crate) fn ino(&self, entry: EntryId) -> Ino {
        Ino(self.entries[entry.0 as usize].ino.into())
    }

    pub(crate) fn parent(&self, entry: EntryId) -> EntryId {
        EntryId(self.entries[entry.0 as usize].parent)
    }

    pub(crate) fn name(&self, entry: EntryId) -> &[u8] {
        let entry = &self.entries[entry.0 as usize];
        let text = self.text(entry);
        &text[text.len() - usize::from(entry.name_len)..]
    }

    /// The entries of a subtree: the directory itself, then all that is below it.
    pub(crate) fn subtree(&self, entry: EntryId) -> std::ops::Range<u32> {
        entry.0..self.entries[entry.0 as usize].end
    }

    /// All names of an object of the base.
    pub(crate) fn names_of(&self, ino: Ino) -> impl Iterator<Item = EntryId> {
        let first = usize::try_from(ino.0 - 1).ok().and_then(|row| self.entry_of.get(row));
        let more = if self.more_names.is_empty() { None } else { self.more_names.get(&ino) };
        first.into_iter().chain(more.into_iter().flatten()).copied()
    }

    /// The entry of an object with one name, such as a directory.
    pub(crate) fn entry_of(&self, ino: Ino) -> Option<EntryId> {
        self.entry_of.get(usize::try_from(ino.0).ok()?.checked_sub(1)?).copied()
    }

    /// The entry of an object, if that is its only one.
    pub(crate) fn only_entry_of(&self, ino: Ino) -> Option<EntryId> {
        let more = !self.more_names.is_empty() && self.more_names.contains_key(&ino);
        if more { None } else { self.entry_of(ino) }
    }

    /// The children of a directory of the base, by name.
    pub(crate) fn children(&self, dir: EntryId) -> BaseChildren<'_> {
        let range = self.subtree(dir);
        BaseChildren { base: self, next: range.start + 1, end: range.end }
    }

    /// Bytes of memory that this holds beside contents, the parts of one allocation all counted.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.inodes.capacity() * size_of::<Inode>()
            + self.entry_of.capacity() * size_of::<EntryId>()
            + self.arena.capacity()
            + self.index.allocation_size()
    }

    /// The whole path of an entry, if it is indexed.
    pub(crate) fn path(&self, entry: EntryId) -> Option<&[u8]> {
        self.path_text(&self.entries[entry.0 as usize])
    }

    fn text(&self, entry: &Entry) -> &[u8] {
        let start = entry.text_start as usize;
        &self.arena[start..start + usize::from(entry.text_len)]
    }

    /// The whole path, if it is indexed.
    fn path_text(&self, entry: &Entry) -> Option<&[u8]> {
        entry.is_indexed().then(|| self.text(entry))
    }
}

fn tag(hash: u64) -> u32 {
    (hash >> 25) as u32
}

/// Writes `parent/name` into `buf`, if the parent's path is known and there is room.
fn child_path<'a>(
    parent: Option<&[u8]>,
    name: &[u8],
    buf: &'a mut [u8; INDEXED_PATH_MAX],
) -> Option<&'a [u8]> {
    let parent = parent?;
    let slash = usize::from(!parent.is_empty());
    let len = parent.len() + slash + name.len();
    let path = buf.get_mut(..len)?;
    path[..parent.len()].copy_from_slice(parent);
    path[parent.len()..parent.len() + slash].fill(b'/');
    path[parent.len() + slash..].copy_from_slice(name);
    Some(path)
}

/// The children of one directory of the base, by name.
pub(crate) struct BaseChildren<'a> {
    base: &'a Base,
    next: u32,
    end: u32,
}

impl<'a> Iterator for BaseChildren<'a> {
    type Item = (&'a [u8], Ino, FileType);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.end {
            return None;
        }
        let id = EntryId(self.next);
        let entry = &self.base.entries[self.next as usize];
        self.next = entry.end;
        Some((self.base.name(id), Ino(entry.ino.into()), entry.file_type))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some((self.end - self.next) as usize))
    }
}

/// Builds a [`Base`] from names in depth-first order.
pub(crate) struct BaseBuilder {
    base: Base,
}

/// More than this cannot be numbered; the arrays would take some terabytes.
pub(crate) struct TooLarge;

impl BaseBuilder {
    pub(crate) fn with_capacity(entries: usize) -> Self {
        let base = Base {
            entries: Vec::with_capacity(entries),
            inodes: Vec::with_capacity(entries),
            entry_of: Vec::with_capacity(entries),
            more_names: HashMap::new(),
            arena: Vec::with_capacity(entries * 32),
            index: HashTable::new(),
            hasher: RandomState::default(),
        };
        Self { base }
    }

    /// The next object gets the next number. Its links are counted when its names come.
    pub(crate) fn inode(&mut self, inode: Inode) -> Result<Ino, TooLarge> {
        let nlink = if inode.is_dir() { 2 } else { 0 };
        self.base.inodes.push(Inode { nlink, ..inode });
        u32::try_from(self.base.inodes.len()).map_err(|_| TooLarge)?;
        Ok(Ino(self.base.inodes.len() as u64))
    }

    /// The next name in depth-first order. `parent` is open: [`close`](Self::close) has not been called for it.
    pub(crate) fn entry(
        &mut self,
        parent: EntryId,
        name: &[u8],
        ino: Ino,
    ) -> Result<EntryId, TooLarge> {
        let base = &mut self.base;
        let id =
            u32::try_from(base.entries.len()).ok().filter(|&id| id < u32::MAX).ok_or(TooLarge)?;
        let mut buf = [0; INDEXED_PATH_MAX];
        let parent_path =
            if id == 0 { Some(&b""[..]) } else { base.path_text(&base.entries[parent.0 as usize]) };
        let path = child_path(parent_path, name, &mut buf);
        let text = path.unwrap_or(name);
        let entry = Entry {
            text_start: u32::try_from(base.arena.len()).map_err(|_| TooLarge)?,
            text_len: text.len() as u16,
            name_len: name.len() as u8,
            file_type: base.inodes[ino.0 as usize - 1].file_type(),
            ino: ino.0 as u32,
            parent: parent.0,
            end: id + 1,
        };
        base.arena.extend_from_slice(text);
        base.entries.push(entry);
        if id > 0 {
            let is_dir = base.inodes[ino.0 as usize - 1].is_dir();
            let counted = if is_dir { base.entries[parent.0 as usize].ino } else { ino.0 as u32 };
            base.inodes[counted as usize - 1].nlink += 1;
        }
        match base.entry_of.len() as u64 + 1 {
            next if next == ino.0 => base.entry_of.push(EntryId(id)),
            _ => base.more_names.entry(ino).or_default().push(EntryId(id)),
        }
        Ok(EntryId(id))
    }

    /// All children of this directory are there.
    pub(crate) fn close(&mut self, dir: EntryId) {
        self.base.entries[dir.0 as usize].end = self.base.entries.len() as u32;
    }

    pub(crate) fn finish(mut self) -> Base {
        let base = &mut self.base;
        base.arena.shrink_to_fit();
        base.entries.shrink_to_fit();
        base.inodes.shrink_to_fit();
        base.entry_of.shrink_to_fit();
        let mut index = HashTable::with_capacity(base.entries.len());
        for (id, entry) in base.entries.iter().enumerate() {
            let hash = base.hash_of(entry);
            index.insert_unique(hash, Slot { tag: tag(hash), entry: id as u32 }, |_| {
                unreachable!("because the table is as large as it will be")
            });
        }
        base.index = index;
        self.base
    }
}

impl Base {
    fn hash_of(&self, entry: &Entry) -> u64 {
        if entry.is_indexed() {
            return self.hasher.hash_one(self.text(entry));
        }
        self.hash_unindexed(entry.parent, self.text(entry))
    }
}
