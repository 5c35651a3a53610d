//! From entries in the order of an archive to the changes that they are together (semantics L38 to L51).
//!
//! The order of an archive matters for two things only: of a path that is given twice the last counts, and a hard link
//! names what stood at its target when it came, in this archive or in a layer below. Marks have no order.

use std::collections::{HashMap, HashSet};

use super::OP;
use crate::error::{ErrorKind, Fault, Result};
use crate::layer::{Entry, Layer, What, refuse};
use crate::path;
use crate::tree::Inode;

#[derive(Default)]
pub(super) struct Changes {
    things: Vec<Thing>,
    /// Which of the things stands at a path.
    names: HashMap<Box<[u8]>, usize>,
    /// Files among the books of aufs: only hard links can bring them into the layer.
    hidden: HashMap<Box<[u8]>, usize>,
    marks: HashSet<(Box<[u8]>, Mark)>,
    strict: bool,
}

/// What names stand for: several, if they are hard links of each other.
enum Thing {
    Object(Inode),
    /// What a layer below has at this path.
    Below(Box<[u8]>),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Mark {
    Opaque,
    Whiteout,
}

/// What is said of a path; it is said in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Name(usize),
    Mark(Mark),
}

impl Changes {
    pub(super) fn new(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    pub(super) fn object(&mut self, path: Box<[u8]>, inode: Inode) -> Result<(), Fault> {
        if path.is_empty() && !inode.is_dir() {
            return Err(Fault::rule(ErrorKind::InvalidInput, "the root is a directory"));
        }
        self.name(path, self.things.len())?;
        self.things.push(Thing::Object(inode));
        Ok(())
    }

    pub(super) fn hide(&mut self, path: Box<[u8]>, inode: Inode) {
        self.hidden.insert(path, self.things.len());
        self.things.push(Thing::Object(inode));
    }

    /// The target is resolved inside the root, however it is spelled (semantics L46).
    pub(super) fn link(&mut self, path: Box<[u8]>, target: &[u8]) -> Result<(), Fault> {
        let refused = |rule| Err(Fault::rule(ErrorKind::InvalidInput, rule));
        let target: Box<[u8]> = match path::normalise(target) {
            Ok(target) => target.into(),
            Err(kind) => return Err(Fault::rule(kind, "a hard link to outside of the root")),
        };
        if path.is_empty() {
            return refused("the root is a directory");
        }
        if target == path {
            return refused("a hard link to itself");
        }
        let thing = match self.names.get(&target).or_else(|| self.hidden.get(&target)) {
            _ if target.is_empty() => return refused("a hard link to a directory"),
            Some(&thing) if self.is_dir(thing) => return refused("a hard link to a directory"),
            Some(&thing) => thing,
            None => {
                self.things.push(Thing::Below(target));
                self.things.len() - 1
            }
        };
        self.name(path, thing)
    }

    pub(super) fn mark(&mut self, path: Box<[u8]>, mark: Mark) -> Result<(), Fault> {
        let is_new = self.marks.insert((path, mark));
        self.once(is_new)
    }

    fn name(&mut self, path: Box<[u8]>, thing: usize) -> Result<(), Fault> {
        let is_new = self.names.insert(path, thing).is_none();
        self.once(is_new)
    }

    /// Of a path that is given twice the last counts, unless that is refused (semantics L45).
    fn once(&self, is_new: bool) -> Result<(), Fault> {
        if !is_new && self.strict {
            return Err(Fault::rule(ErrorKind::AlreadyExists, "a path that is given twice"));
        }
        Ok(())
    }

    fn is_dir(&self, thing: usize) -> bool {
        matches!(&self.things[thing], Thing::Object(inode) if inode.is_dir())
    }

    /// All of it as one layer.
    pub(super) fn finish(mut self) -> Result<Layer> {
        self.check_targets()?;
        let names = std::mem::take(&mut self.names).into_iter();
        let names = names.map(|(path, thing)| (path, Said::Name(thing)));
        let marks = std::mem::take(&mut self.marks).into_iter();
        let mut said: Vec<_> =
            names.chain(marks.map(|(path, mark)| (path, Said::Mark(mark)))).collect();
        said.sort_unstable_by(|(a, first), (b, second)| {
            path::compare(a, b).then(first.cmp(second))
        });
        self.drop_blocked(&mut said);
        let entries = self.entries(said);
        Layer::from_entries_of(OP, entries)
    }

    /// A hard link names what stands at its target when it comes: never what only comes after it (semantics L46).
    fn check_targets(&self) -> Result<()> {
        let late = self.names.iter().filter(|(_, thing)| match &self.things[**thing] {
            Thing::Below(target) => self.names.contains_key(target),
            Thing::Object(_) => false,
        });
        let rule = "a hard link to an entry that comes after it";
        match late.map(|(path, _)| path).min() {
            Some(path) => Err(refuse(path, OP, Fault::rule(ErrorKind::NotFound, rule))),
            None => Ok(()),
        }
    }

    /// An opaque mark at or below what is no directory acts on nothing, like a whiteout there (semantics L44). Whiteouts are
    /// kept: a layer may say so.
    fn drop_blocked(&self, said: &mut Vec<(Box<[u8]>, Said)>) {
        let mut blocked: Option<Box<[u8]>> = None;
        said.retain(|(path, says)| {
            let is_blocked = blocked.as_ref().is_some_and(|file| path::is_within(path, file));
            match says {
                Said::Mark(Mark::Opaque) => !is_blocked,
                Said::Mark(Mark::Whiteout) => true,
                Said::Name(thing) => {
                    if !is_blocked && !self.is_dir(*thing) {
                        blocked = Some(path.clone());
                    }
                    true
                }
            }
        });
    }

    /// One entry for each path.
    fn entries(&self, said: Vec<(Box<[u8]>, Said)>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::with_capacity(said.len());
        let mut first: HashMap<usize, Box<[u8]>> = HashMap::new();
        for (path, says) in said {
            if let (Some(last), Said::Mark(mark)) = (entries.last_mut(), says)
                && last.path == path
            {
                last.what = marked(std::mem::replace(&mut last.what, What::Whiteout), mark);
                continue;
            }
            let what = match says {
                Said::Mark(Mark::Opaque) => What::Opaque,
                Said::Mark(Mark::Whiteout) => What::Whiteout,
                Said::Name(thing) => match (&self.things[thing], first.get(&thing)) {
                    (Thing::Below(target), _) => What::Link(target.clone()),
                    (Thing::Object(_), Some(first)) => What::Link(first.clone()),
                    (Thing::Object(inode), None) => {
                        first.insert(thing, path.clone());
                        What::Object { inode: inode.clone(), opaque: false }
                    }
                },
            };
            entries.push(Entry { path, what });
        }
        entries
    }
}

/// A mark on what the layer has at this path: a directory shows nothing of the layers below (semantics L39), and all else
/// hides them anyway.
fn marked(what: What, mark: Mark) -> What {
    match (what, mark) {
        (What::Object { inode, .. }, _) if inode.is_dir() => What::Object { inode, opaque: true },
        // The directory below is taken away, so that this one is new.
        (What::Opaque, Mark::Whiteout) => {
            What::Object { inode: Inode::implied_dir(), opaque: true }
        }
        (what, _) => what,
    }
}
