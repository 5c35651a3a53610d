//! What is exported, object by object, in the order in which it can be written.

use std::collections::{HashMap, HashSet};

use super::{EXPORT, host_path};
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::layer::{Entry, What};
use crate::path;
use crate::tree::{Ino, Inode, Tree};

/// What is exported.
pub(super) enum Subject<'a> {
    /// All that a filesystem shows.
    Tree(&'a Tree),
    /// What a layer says, over what is `below` it if that is known. Nothing that only `below` has.
    Changes { entries: &'a [Entry], below: Option<&'a Tree> },
}

/// One name of it.
#[derive(Clone, Copy)]
pub(super) enum Item<'a> {
    /// `linked`: other names of it may follow.
    Object {
        inode: &'a Inode,
        opaque: bool,
        linked: bool,
    },
    /// One more name of what came at this path.
    Link(&'a [u8]),
    Whiteout,
}

type Visit<'a> = dyn FnMut(&[u8], Item<'_>) -> Result<()> + 'a;

impl Subject<'_> {
    /// Calls `visit` with every path, the root ("") first, each directory right before what is in it. `root` is the
    /// directory of the host, for errors.
    pub(super) fn each(&self, root: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        match *self {
            Self::Tree(tree) => each_of_tree(tree, visit),
            Self::Changes { entries, below } => {
                let linked = entries.iter().filter_map(|entry| match &entry.what {
                    What::Link(first) => Some(&**first),
                    _ => None,
                });
                let linked = linked.collect();
                Changes { entries, below, root, linked, open: Vec::new() }.each(visit)
            }
        }
    }
}

fn each_of_tree(tree: &Tree, visit: &mut Visit<'_>) -> Result<()> {
    let mut firsts: HashMap<Ino, Box<[u8]>> = HashMap::new();
    let mut path = Vec::new();
    let root = tree.expect(Ino::ROOT);
    visit(&path, Item::Object { inode: root, opaque: false, linked: false })?;
    let mut open = vec![(tree.children(Ino::ROOT), 0)];
    while let Some((children, dir)) = open.last_mut() {
        path.truncate(*dir);
        let Some((name, ino)) = children.next() else {
            open.pop();
            continue;
        };
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let inode = tree.expect(ino);
        let linked = inode.nlink > 1 && !inode.is_dir();
        if let Some(first) = firsts.get(&ino) {
            visit(&path, Item::Link(first))?;
            continue;
        }
        if linked {
            firsts.insert(ino, path.as_slice().into());
        }
        visit(&path, Item::Object { inode, opaque: false, linked })?;
        if inode.is_dir() {
            open.push((tree.children(ino), path.len()));
        }
    }
    Ok(())
}

struct Changes<'a> {
    entries: &'a [Entry],
    below: Option<&'a Tree>,
    root: &'a [u8],
    /// The objects of which the layer has other names.
    linked: HashSet<&'a [u8]>,
    /// The directories from the root down to the last entry, and whether they show nothing of what is below.
    open: Vec<(&'a [u8], bool)>,
}

impl<'a> Changes<'a> {
    fn each(mut self, visit: &mut Visit<'_>) -> Result<()> {
        let entries = self.entries;
        self.open_above(b"", entries.first().is_none_or(|first| !first.path.is_empty()), visit)?;
        let mut nothing: Option<&[u8]> = None;
        for Entry { path, what } in entries {
            // Below what is removed, and below a file, there can be whiteouts only, which act on nothing.
            if nothing.is_some_and(|gone| path::is_within(path, gone)) {
                continue;
            }
            self.open_above(path, false, visit)?;
            let item = match what {
                // It acts on nothing, and the kernel would list it.
                What::Whiteout if self.is_hidden() => continue,
                What::Whiteout => Item::Whiteout,
                What::Link(first) => self.link(path, first)?,
                what if what.is_opaque() && path.is_empty() => {
                    return Err(self.refuse(path, "the root of an overlayfs is never opaque"));
                }
                What::Opaque => {
                    let inode = self.lower(path)?;
                    self.enter(path, &inode, true, visit)?;
                    continue;
                }
                What::Object { inode, opaque } => {
                    let linked = self.linked.contains(&**path);
                    Item::Object { inode, opaque: *opaque, linked }
                }
            };
            visit(path, item)?;
            nothing = (!what.is_dir()).then_some(path);
            if what.is_dir() {
                self.open.push((path, what.is_opaque() || self.is_hidden()));
            }
        }
        Ok(())
    }

    /// Brings the directories above a path that the layer does not mention; with `root`, the root itself.
    fn open_above(&mut self, path: &'a [u8], root: bool, visit: &mut Visit<'_>) -> Result<()> {
        while self.open.last().is_some_and(|(open, _)| !path::is_within(path, open)) {
            self.open.pop();
        }
        let root: &[&[u8]] = if root { &[b""] } else { &[] };
        let missing = path::above(path).skip(self.open.len());
        for dir in root.iter().copied().chain(missing) {
            let inode = self.lower(dir)?;
            self.enter(dir, &inode, false, visit)?;
        }
        Ok(())
    }

    /// Whether nothing of what is below shows in the directory at hand.
    fn is_hidden(&self) -> bool {
        self.open.last().is_some_and(|(_, hidden)| *hidden)
    }

    /// What a directory is that the layer has no entry for.
    fn lower(&self, dir: &[u8]) -> Result<Inode> {
        match self.below {
            _ if self.is_hidden() => Ok(Inode::implied_dir()),
            Some(below) => {
                let lower = below.at(dir).map(|ino| below.expect(ino));
                let lower = lower.filter(|inode| inode.is_dir()).cloned();
                Ok(lower.unwrap_or_else(Inode::implied_dir))
            }
            None => {
                let rule = "the layer has no entry for this directory: what is below must be given";
                Err(self.refuse(dir, rule))
            }
        }
    }

    /// Brings a directory that the layer has no entry for.
    fn enter(
        &mut self,
        dir: &'a [u8],
        inode: &Inode,
        opaque: bool,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        self.open.push((dir, opaque || self.is_hidden()));
        visit(dir, Item::Object { inode, opaque, linked: false })
    }

    fn link(&self, path: &[u8], first: &'a [u8]) -> Result<Item<'a>> {
        let found = self.entries.binary_search_by(|entry| path::compare(&entry.path, first));
        match found {
            Ok(_) => Ok(Item::Link(first)),
            Err(_) => {
                let rule = "a hard link to a file of a lower layer: what is below must be given";
                Err(self.refuse(path, rule))
            }
        }
    }

    fn refuse(&self, path: &[u8], rule: &'static str) -> Error {
        let fault = Fault::rule(ErrorKind::Unsupported, rule);
        Error::new(EXPORT, &host_path(self.root, path), fault)
    }
}
