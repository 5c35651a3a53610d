//! A tree from a list that somebody kept, without laying layers over each other again.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::base::{BaseBuilder, EntryId};
use super::{Ino, Inode, Tree};
use crate::path;

/// Puts a tree together from objects and links in the order of [`path::compare`], each name below a directory that came
/// before. Whoever reads such a list from somewhere learns from a `None` that it was none.
pub(crate) struct Freezer {
    builder: BaseBuilder,
    /// The directories that the next name may lie in, from the root down: entry, and length of the path.
    open: Vec<(EntryId, usize)>,
    /// The path that came last.
    path: Vec<u8>,
    /// The objects that links will name.
    linked: HashMap<Box<[u8]>, Ino, RandomState>,
}

impl Freezer {
    pub(crate) fn with_capacity(names: usize) -> Self {
        let builder = BaseBuilder::with_capacity(names + 1);
        Self { builder, open: Vec::new(), path: Vec::new(), linked: HashMap::default() }
    }

    /// The next name, of an object that is new. The root, if it is said what it is, comes first.
    pub(crate) fn object(&mut self, path: &[u8], inode: Inode, is_linked: bool) -> Option<()> {
        if path.is_empty() {
            return (self.open.is_empty() && inode.is_dir()).then(|| self.root(inode))?;
        }
        let parent = self.parent(path)?;
        let is_dir = inode.is_dir();
        let ino = self.builder.inode(inode).ok()?;
        let entry = self.builder.entry(parent, path::split_last(path).1, ino).ok()?;
        if is_dir {
            self.open.push((entry, path.len()));
        } else if is_linked {
            self.linked.insert(path.into(), ino);
        }
        Some(())
    }

    /// The next name, of an object that has one already.
    pub(crate) fn link(&mut self, path: &[u8], target: &[u8]) -> Option<()> {
        let ino = *self.linked.get(target)?;
        let parent = self.parent(path)?;
        self.builder.entry(parent, path::split_last(path).1, ino).ok()?;
        Some(())
    }

    pub(crate) fn finish(mut self) -> Option<Tree> {
        if self.open.is_empty() {
            self.root(Inode::implied_dir())?;
        }
        while let Some((dir, _)) = self.open.pop() {
            self.builder.close(dir);
        }
        Some(Tree::over(self.builder.finish()))
    }

    fn root(&mut self, inode: Inode) -> Option<()> {
        let ino = self.builder.inode(inode).ok()?;
        self.open.push((self.builder.entry(EntryId::ROOT, b"", ino).ok()?, 0));
        Some(())
    }

    /// The directory that holds this name, which comes after all that came before.
    fn parent(&mut self, path: &[u8]) -> Option<EntryId> {
        if self.open.is_empty() {
            self.root(Inode::implied_dir())?;
        }
        let (above, name) = path::split_last(path);
        if path::check_name(name).is_err() || path::compare(&self.path, path).is_ge() {
            return None;
        }
        while let Some(&(dir, len)) = self.open.last().filter(|(_, len)| *len > above.len()) {
            debug_assert!(len <= self.path.len(), "what is open is above the path that came last");
            self.builder.close(dir);
            self.open.pop();
        }
        let &(parent, len) = self.open.last()?;
        if len != above.len() || !self.path.starts_with(above) {
            return None;
        }
        self.path.clear();
        self.path.extend_from_slice(path);
        Some(parent)
    }
}
