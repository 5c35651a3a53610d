//! Two layers in one, without knowing what lies below them.

use std::collections::BTreeMap;

use super::{Entry, Layer, What, refuse};
use crate::error::{ErrorKind, Fault, Result};
use crate::path;
use crate::tree::{Inode, Node};

const OP: &str = "squash";

/// For any filesystem `a`: `apply(apply(a, lower), upper) == apply(a, squash(lower, upper))`.
pub(super) fn squash(lower: &Layer, upper: &Layer) -> Result<Layer> {
    let both = lower
        .raw_entries()
        .iter()
        .map(|entry| (key(&entry.path), (entry.what.clone(), Side::Lower)));
    let mut squash = Squash { both: both.collect() };
    for entry in upper.raw_entries() {
        squash.check_way(entry, upper)?;
    }
    for entry in upper.raw_entries() {
        squash.remove(entry);
    }
    for entry in upper
        .raw_entries()
        .iter()
        .filter(|entry| matches!(entry.what, What::Object { .. } | What::Opaque))
    {
        squash.put(&entry.path, &entry.what);
    }
    for entry in upper.raw_entries().iter().filter(|entry| matches!(entry.what, What::Link(_))) {
        squash.put(&entry.path, &entry.what);
    }
    squash.mend_links(lower)?;
    squash.mend_implied(lower, upper)?;
    let entries =
        squash.both.into_iter().map(|(key, (what, _))| Entry { path: unkey(&key).into(), what });
    Ok(Layer::new(entries.collect()))
}

/// Which of the two an entry comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Lower,
    Upper,
}

/// Where a hard link stands, what it names, and whose it is.
type Link = (Vec<u8>, Box<[u8]>, Side);

struct Squash {
    both: BTreeMap<Vec<u8>, (What, Side)>,
}

/// A path whose order by bytes is the order from the root down: no name has a NUL.
fn key(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&byte| if byte == b'/' { 0 } else { byte }).collect()
}

fn unkey(key: &[u8]) -> Vec<u8> {
    key.iter().map(|&byte| if byte == 0 { b'/' } else { byte }).collect()
}

/// The keys of everything below a path, which is not the root.
fn below(path: &[u8]) -> std::ops::Range<Vec<u8>> {
    let key = key(path);
    [&*key, &[0]].concat()..[&*key, &[1]].concat()
}

/// The directories above a path, from the one below the root down.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(slash, _)| &path[..slash])
}

fn is_whiteout(what: &What) -> bool {
    matches!(what, What::Whiteout)
}

fn said<'a>(layer: &'a Layer, path: &[u8]) -> Option<&'a What> {
    let entries = layer.raw_entries();
    let index = entries.binary_search_by(|entry| path::compare(&entry.path, path)).ok()?;
    Some(&entries[index].what)
}

/// Whether a layer takes a directory of the layers below away, by itself or with one above it.
fn removes(layer: &Layer, dir: &[u8]) -> bool {
    let emptied = |dir| said(layer, dir).is_some_and(What::is_opaque);
    let replaced = |dir| said(layer, dir).is_some_and(|what| !what.is_dir());
    replaced(dir) || above(dir).any(|dir| replaced(dir) || emptied(dir)) || emptied(b"")
}

impl Squash {
    fn at(&self, path: &[u8]) -> Option<&What> {
        self.both.get(&key(path)).map(|(what, _)| what)
    }

    /// Refuses an upper entry whose way leads through a symbolic link of the lower layer. A directory that is only emptied
    /// may itself be one.
    fn check_way(&self, entry: &Entry, upper: &Layer) -> Result<()> {
        let emptied = matches!(entry.what, What::Opaque).then_some(&*entry.path);
        for dir in above(&entry.path).chain(emptied) {
            let is_link = |what: &What| match what {
                What::Object { inode, .. } => matches!(inode.node, Node::Symlink(_)),
                What::Link(target) => {
                    !matches!(self.at(target), Some(What::Object { inode, .. }) if !matches!(inode.node, Node::Symlink(_)))
                }
                What::Whiteout | What::Opaque => false,
            };
            let implied = matches!(said(upper, dir), None | Some(What::Opaque));
            if implied && self.at(dir).is_some_and(is_link) {
                let rule = "the lower layer has a symbolic link on the way";
                return Err(refuse(&entry.path, OP, Fault::rule(ErrorKind::Unsupported, rule)));
            }
        }
        Ok(())
    }

    fn remove(&mut self, entry: &Entry) {
        match &entry.what {
            What::Whiteout => {
                self.clear(&entry.path);
                self.both.remove(&key(&entry.path));
                if !self.hidden(&entry.path) {
                    self.both.insert(key(&entry.path), (What::Whiteout, Side::Upper));
                }
            }
            what if what.is_opaque() => self.clear(&entry.path),
            _ => {}
        }
    }

    /// Whether nothing of what lies further below shows at a path.
    fn hidden(&self, path: &[u8]) -> bool {
        let hides =
            |what: &What| !matches!(what, What::Object { inode, opaque: false } if inode.is_dir());
        above(path).any(|dir| self.at(dir).is_some_and(hides))
            || self.at(b"").is_some_and(What::is_opaque)
    }

    /// Whether something lies below a path, so that a directory is there.
    fn is_implied(&self, path: &[u8]) -> bool {
        self.both.range(below(path)).any(|(_, (what, _))| !is_whiteout(what))
    }

    /// Removes everything below a path.
    fn clear(&mut self, path: &[u8]) {
        if path.is_empty() {
            self.both.retain(|key, _| key.is_empty());
            return;
        }
        let below: Vec<_> = self.both.range(below(path)).map(|(key, _)| key.clone()).collect();
        for key in below {
            self.both.remove(&key);
        }
    }

    fn put(&mut self, path: &[u8], what: &What) {
        // What the upper layer implies is a directory, whatever was there.
        for dir in above(path) {
            if self.at(dir).is_some_and(|what| !what.is_dir()) {
                let fresh = What::Object { inode: Inode::implied_dir(), opaque: true };
                self.both.insert(key(dir), (fresh, Side::Upper));
            }
        }
        let mut what = what.clone();
        match (self.at(path), &mut what) {
            // The directory stays what the lower layer says of it.
            (Some(What::Object { inode, .. }), What::Opaque) if inode.is_dir() => {
                what = What::Object { inode: inode.clone(), opaque: true };
            }
            (Some(What::Opaque) | None, What::Opaque) => {}
            (Some(_), What::Opaque) => {
                what = What::Object { inode: Inode::implied_dir(), opaque: true };
            }
            (Some(What::Object { inode: old, opaque: hid }), What::Object { inode, opaque })
                if inode.is_dir() =>
            {
                *opaque |= *hid || !old.is_dir();
            }
            (Some(_), What::Object { inode, opaque }) if inode.is_dir() => *opaque = true,
            (None, what) if what.is_dir() => {}
            // Even where nothing was said of the path itself, it may have been a directory for what is below it.
            _ => self.clear(path),
        }
        self.both.insert(key(path), (what, Side::Upper));
    }

    /// Hard links whose file went, was replaced or moved to another name.
    fn mend_links(&mut self, lower: &Layer) -> Result<()> {
        let links: Vec<Link> = self
            .both
            .iter()
            .filter_map(|(key, (what, from))| match what {
                What::Link(target) => Some((unkey(key), target.clone(), *from)),
                _ => None,
            })
            .collect();
        let mut heirs: BTreeMap<Box<[u8]>, Box<[u8]>> = BTreeMap::new();
        for (path, target, from) in links.iter().filter(|(.., from)| *from == Side::Lower) {
            if let Some(heir) = heirs.get(target) {
                self.both.insert(key(path), (What::Link(heir.clone()), *from));
                continue;
            }
            let file = lower.raw_entries().iter().find(|entry| entry.path == *target);
            let still_there = match self.both.get(&key(target)) {
                Some((What::Object { .. }, Side::Lower)) => true,
                Some(_) => false,
                None => file.is_none() && !self.hidden(target) && !self.is_implied(target),
            };
            match file {
                _ if still_there => {}
                Some(file) => {
                    self.both.insert(key(path), (file.what.clone(), Side::Lower));
                    heirs.insert(target.clone(), path.clone().into());
                }
                None => {
                    let rule = "the upper layer takes away the file that a hard link of the lower one names";
                    return Err(refuse(path, OP, Fault::rule(ErrorKind::Unsupported, rule)));
                }
            }
        }
        self.redirect_upper_links(&links)
    }

    /// Directories that are there only because the lower layer had something in them, of which nothing is left.
    fn mend_implied(&mut self, lower: &Layer, upper: &Layer) -> Result<()> {
        let objects = lower.raw_entries().iter().filter(|entry| !is_whiteout(&entry.what));
        for dir in objects.flat_map(|entry| above(&entry.path)) {
            if said(lower, dir).is_some_and(|what| !is_whiteout(what)) || removes(upper, dir) {
                continue;
            }
            if self.at(dir).is_some_and(|what| !is_whiteout(what)) || self.is_implied(dir) {
                continue;
            }
            if self.at(dir).is_none() && !self.hidden(dir) {
                let rule =
                    "the lower layer implies a directory in which the upper one leaves nothing";
                return Err(refuse(dir, OP, Fault::rule(ErrorKind::Unsupported, rule)));
            }
            let fresh = What::Object { inode: Inode::implied_dir(), opaque: true };
            self.both.insert(key(dir), (fresh, Side::Lower));
        }
        Ok(())
    }

    /// A link of the upper layer to what is a link in the lower one names the same file.
    fn redirect_upper_links(&mut self, links: &[Link]) -> Result<()> {
        for (path, target, _) in links.iter().filter(|(.., from)| *from == Side::Upper) {
            match self.at(target) {
                Some(What::Link(next)) => {
                    let next = next.clone();
                    self.both.insert(key(path), (What::Link(next), Side::Upper));
                }
                Some(What::Object { inode, .. }) if !inode.is_dir() => {}
                None if !self.hidden(target) => {}
                _ => {
                    let rule = "the target of a hard link does not exist";
                    return Err(refuse(path, OP, Fault::rule(ErrorKind::NotFound, rule)));
                }
            }
        }
        Ok(())
    }
}
