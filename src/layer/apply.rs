//! The one place where a layer's whiteouts act: laying a layer over a filesystem.
//!
//! The order of entries in a layer has no meaning, so there are three passes (semantics L38 to L51): first what is
//! removed, which touches only what lies below; then objects, parents first; then hard links, whose targets are there.
//!
//! Whoever wants to know what a layer did to the filesystem below it passes a [`Watch`].

use super::{Entry, Layer, What, refuse};
use crate::error::{ErrorKind, Fault, Result};
use crate::path::{self, Name};
use crate::tree::{Ino, Inode, Node, Tree};
use crate::walk::{Follow, Place, Space};

const OP: &str = "apply layer";

/// `layer` over `below`. All or nothing: an error gives no tree. Where nobody else has `below`, it is changed in place.
pub(crate) fn apply(below: Tree, layer: &Layer) -> Result<Tree> {
    apply_watched(below, layer, &mut ())
}

/// The same, and `watch` hears of each step.
pub(crate) fn apply_watched<W: Watch>(below: Tree, layer: &Layer, watch: &mut W) -> Result<Tree> {
    let entries = layer.raw_entries();
    let mut apply = Apply { tree: below, entries, open: Vec::new(), watch };
    if W::WATCHES {
        for entry in apply.entries {
            apply.look_below(entry);
        }
        apply.open.clear();
    }
    for entry in apply.entries {
        apply.remove(entry);
    }
    apply.open.clear();
    for entry in apply.entries {
        match &entry.what {
            What::Object { inode, .. } => apply.put(&entry.path, inode),
            What::Opaque => drop(apply.make_dir(&entry.path)),
            What::Whiteout | What::Link(_) => {}
        }
    }
    apply.open.clear();
    for entry in apply.entries {
        if let What::Link(target) = &entry.what {
            apply.link(&entry.path, target).map_err(|fault| refuse(&entry.path, OP, fault))?;
        }
    }
    Ok(apply.tree)
}

/// Is told what a layer does, step by step. Objects that the layer makes have the numbers from the tree's `next_ino` on.
pub(crate) trait Watch {
    /// Whether anybody listens.
    const WATCHES: bool = true;

    /// An object or a link of this layer has a name that the layers below have too. Comes before all other steps.
    fn covers(&mut self) {}

    /// An object is about to lose one of its names; with the last one it goes.
    fn loses_name(&mut self, _: Ino, _: &Inode) {}

    /// A directory of the layers below got the attributes of this one's.
    fn merged(&mut self, _dir: Ino) {}

    /// A hard link of this layer acts.
    fn linked(&mut self, _dir: Ino, _name: &Name, _link: Link) {}
}

/// What a hard link did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// It gave the object one more name.
    New,
    /// The name led to the object already.
    Same,
}

/// Nobody wants to know.
impl Watch for () {
    const WATCHES: bool = false;
}

struct Apply<'a, 'w, W> {
    tree: Tree,
    entries: &'a [Entry],
    /// The directory of the last entry, from the root down: path and number of each. Entries come sorted, so the next
    /// one starts from the deepest that they share.
    open: Vec<(&'a [u8], Ino)>,
    watch: &'w mut W,
}

impl<'a, W: Watch> Apply<'a, '_, W> {
    /// Before anything is done: whether the layers below have the name of an entry.
    fn look_below(&mut self, entry: &'a Entry) {
        if !matches!(entry.what, What::Object { .. } | What::Link(_)) {
            return;
        }
        let (dir, name) = path::split_last(&entry.path);
        let is_there = entry.path.is_empty()
            || self.lower_dir(dir).is_some_and(|dir| self.tree.lookup(dir, name).is_some());
        if is_there {
            self.watch.covers();
        }
    }

    /// First pass: a whiteout or an opaque directory removes what is below, and nothing that this layer brings.
    fn remove(&mut self, entry: &'a Entry) {
        match &entry.what {
            What::Whiteout => {
                let (dir, name) = path::split_last(&entry.path);
                if let Some(dir) = self.lower_dir(dir)
                    && let Some(ino) = self.tree.lookup(dir, name)
                {
                    self.remove_name(dir, name, ino);
                }
            }
            what if what.is_opaque() => {
                if let Some(dir) = self.lower_dir(&entry.path) {
                    let Self { tree, watch, .. } = self;
                    tree.clear_dir(dir, &mut |tree, ino| watch.loses_name(ino, tree.expect(ino)));
                    self.open.clear();
                }
            }
            _ => {}
        }
    }

    fn remove_name(&mut self, dir: Ino, name: &[u8], ino: Ino) {
        let Self { tree, watch, .. } = &mut *self;
        watch.loses_name(ino, tree.expect(ino));
        if tree.expect(ino).is_dir() {
            tree.forget_subtree(ino, &mut |tree, ino| watch.loses_name(ino, tree.expect(ino)));
            // By a symbolic link to further up, what goes may be what is open.
            self.open.clear();
        }
        self.tree.unbind(dir, name, ino);
    }

    /// A directory of the layers below, if this layer leaves one at this path. Links of lower layers are followed where
    /// this layer only implies the directory; what it replaces has nothing below it (semantics L34, L44).
    fn lower_dir(&mut self, path: &'a [u8]) -> Option<Ino> {
        let mut dir = self.rewind(path);
        for (prefix, name) in prefixes(path).skip(self.open.len()) {
            let child = self.tree.lookup(dir, name)?;
            dir = match (&self.tree.expect(child).node, self.says(prefix)) {
                (Node::Dir(_), None | Some(What::Whiteout)) => child,
                (Node::Dir(_), Some(what)) if what.is_dir() => child,
                (Node::Symlink(_), None | Some(What::Opaque)) => self.follow(dir, name)?,
                _ => return None,
            };
            self.open.push((prefix, dir));
        }
        Some(dir)
    }

    /// Second pass: an object of this layer.
    fn put(&mut self, path: &'a [u8], inode: &Inode) {
        if path.is_empty() {
            return self.merge_dir(Ino::ROOT, inode);
        }
        let (parent, name) = path::split_last(path);
        let dir = self.make_dir(parent);
        match self.tree.lookup(dir, name) {
            Some(ino) if inode.is_dir() && self.tree.expect(ino).is_dir() => {
                self.merge_dir(ino, inode)
            }
            Some(ino) => {
                self.remove_name(dir, name, ino);
                self.add(dir, name, inode.clone());
            }
            None => drop(self.add(dir, name, inode.clone())),
        }
    }

    fn add(&mut self, dir: Ino, name: &[u8], inode: Inode) -> Ino {
        let nlink = if inode.is_dir() { 2 } else { 0 };
        self.tree.add(dir, Name::from(name), Inode { nlink, ..inode })
    }

    /// All attributes of a merged directory are the upper one's (semantics L36).
    fn merge_dir(&mut self, ino: Ino, upper: &Inode) {
        let dir = self.tree.edit(ino);
        let Inode { mode, uid, gid, times, ref xattrs, .. } = *upper;
        *dir = Inode {
            mode,
            uid,
            gid,
            times,
            xattrs: xattrs.clone(),
            nlink: dir.nlink,
            node: dir.node.clone(),
        };
        self.watch.merged(ino);
    }

    /// The directory at a path, made if it is missing and in place of whatever else is there (semantics L33 to L35).
    fn make_dir(&mut self, path: &'a [u8]) -> Ino {
        let mut dir = self.rewind(path);
        for (prefix, name) in prefixes(path).skip(self.open.len()) {
            dir = match self.tree.lookup(dir, name) {
                Some(child) if self.tree.expect(child).is_dir() => child,
                Some(child) => match self.follow(dir, name) {
                    Some(target) => target,
                    None => {
                        self.remove_name(dir, name, child);
                        self.add(dir, name, Inode::implied_dir())
                    }
                },
                None => self.add(dir, name, Inode::implied_dir()),
            };
            self.open.push((prefix, dir));
        }
        dir
    }

    /// Third pass: one more name (semantics L46 to L48). Making room for it must not take the target away.
    fn link(&mut self, path: &'a [u8], target: &[u8]) -> Result<(), Fault> {
        let (parent, name) = path::split_last(path);
        let dir = self.make_dir(parent);
        let (ino, name) = (self.target(target)?, Name::from(name));
        match self.tree.lookup(dir, &name) {
            Some(old) if old == ino => {
                self.watch.linked(dir, &name, Link::Same);
                return Ok(());
            }
            Some(old) => {
                self.remove_name(dir, &name, old);
                self.target(target)?;
            }
            None => {}
        }
        self.watch.linked(dir, &name, Link::New);
        self.tree.bind(dir, name, ino);
        Ok(())
    }

    /// The file that a hard link names.
    fn target(&self, target: &[u8]) -> Result<Ino, Fault> {
        let space = Space::of(&self.tree);
        let Ok(Place { ino, .. }) = space.lookup(&[b"/", target].concat(), Follow::No) else {
            let rule = "the target of a hard link does not exist";
            return Err(Fault::rule(ErrorKind::NotFound, rule));
        };
        if self.tree.expect(ino).is_dir() {
            return Err(Fault::rule(ErrorKind::InvalidInput, "a hard link to a directory"));
        }
        Ok(ino)
    }

    /// Goes up until what is open is above or at `path`.
    fn rewind(&mut self, path: &[u8]) -> Ino {
        let above = |open: &[u8]| {
            path.strip_prefix(open).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        while self.open.last().is_some_and(|(open, _)| !above(open)) {
            self.open.pop();
        }
        self.open.last().map_or(Ino::ROOT, |(_, dir)| *dir)
    }

    /// The directory that a symbolic link leads to, inside the root.
    fn follow(&self, dir: Ino, name: &[u8]) -> Option<Ino> {
        let space = Space::of(&self.tree);
        let path = [b"/", &*path::join(&self.tree.path_of_dir(dir), name)].concat();
        let place = space.lookup(&path, Follow::Yes).ok()?;
        space.inode(place).is_dir().then_some(place.ino)
    }

    fn says(&self, path: &[u8]) -> Option<&'a What> {
        let index = self.entries.binary_search_by(|entry| path::compare(&entry.path, path)).ok()?;
        Some(&self.entries[index].what)
    }
}

/// Every directory on the way to a path and the path itself, each with its name: `a`, `a/b`, `a/b/c`.
fn prefixes(path: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(slash, _)| slash);
    let ends = ends.chain((!path.is_empty()).then_some(path.len()));
    ends.map(|end| (&path[..end], path::split_last(&path[..end]).1))
}
