//! What both sides say of their objects, in one form.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use stratafs::{Device, FileType, Timestamp};

/// What has to be equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) kind: FileType,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) nlink: u32,
    /// Of directories 0: how long a directory is, each filesystem says in its own way.
    pub(super) len: u64,
    pub(super) device: Option<Device>,
}

/// The same, with what has to correspond.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) facts: Facts,
    pub(super) ino: u64,
    /// Access, modification, change.
    pub(super) times: [Timestamp; 3],
}

/// One object of a tree. `data` is the contents or the target.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) seen: Seen,
    pub(super) data: Vec<u8>,
    pub(super) xattrs: BTreeMap<String, Vec<u8>>,
}

/// All objects by path; open handles are `#slot`.
pub(super) type Tree = BTreeMap<String, Object>;

/// What an operation returned.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Nothing,
    Count(u64),
    Bytes(Vec<u8>),
    Seen(Seen),
    Names(Vec<(String, u64)>),
    Words(Vec<String>),
}

/// Which inode number of one side is which of the other, over a whole sequence.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    there: HashMap<u64, u64>,
    here: HashMap<u64, u64>,
}

impl Pairs {
    /// Whether the two can be one object.
    pub(super) fn pair(&mut self, linux: u64, strata: u64) -> bool {
        *self.there.entry(linux).or_insert(strata) == strata
            && *self.here.entry(strata).or_insert(linux) == linux
    }

    pub(super) fn same_answer(&mut self, linux: &Answer, strata: &Answer) -> bool {
        match (linux, strata) {
            (Answer::Nothing, Answer::Nothing) => true,
            (Answer::Count(a), Answer::Count(b)) => a == b,
            (Answer::Bytes(a), Answer::Bytes(b)) => a == b,
            (Answer::Words(a), Answer::Words(b)) => a == b,
            (Answer::Seen(a), Answer::Seen(b)) => a.facts == b.facts && self.pair(a.ino, b.ino),
            (Answer::Names(a), Answer::Names(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && self.pair(a.1, b.1))
            }
            _ => false,
        }
    }

    /// A line for each difference; empty if there is none.
    pub(super) fn differences(&mut self, linux: &Tree, strata: &Tree) -> String {
        let mut lines = String::new();
        let paths: std::collections::BTreeSet<&String> =
            linux.keys().chain(strata.keys()).collect();
        for path in paths {
            let difference = match (linux.get(path), strata.get(path)) {
                (Some(_), None) => Some("is missing in stratafs".into()),
                (None, Some(_)) => Some("is only in stratafs".into()),
                (Some(a), Some(b)) => self.difference(a, b),
                (None, None) => None,
            };
            if let Some(difference) = difference {
                let _ = writeln!(lines, "  {path:.80}: {difference}");
            }
        }
        lines
    }

    fn difference(&mut self, linux: &Object, strata: &Object) -> Option<String> {
        if linux.seen.facts != strata.seen.facts {
            return Some(format!("tmpfs {:?}, stratafs {:?}", linux.seen.facts, strata.seen.facts));
        }
        if linux.xattrs != strata.xattrs {
            return Some(format!("tmpfs {:?}, stratafs {:?}", linux.xattrs, strata.xattrs));
        }
        if linux.data != strata.data {
            let at = linux.data.iter().zip(&strata.data).position(|(a, b)| a != b);
            return Some(format!("contents differ at {at:?}"));
        }
        (!self.pair(linux.seen.ino, strata.seen.ino)).then(|| "it is another inode".into())
    }
}

/// Objects of which the two sides do not agree that a time changed between two trees, a line each.
pub(super) fn time_differences(before: &(Tree, Tree), after: &(Tree, Tree)) -> String {
    let (linux, strata) = (changed_times(&before.0, &after.0), changed_times(&before.1, &after.1));
    let mut lines = String::new();
    for (path, there) in &linux {
        let Some(here) = strata.get(path).filter(|here| *here != there) else { continue };
        let _ = writeln!(
            lines,
            "  {path:.80}: [atime, mtime, ctime] changed in tmpfs {there:?}, in stratafs {here:?}"
        );
    }
    lines
}

/// Which times changed, of each object that was there before.
fn changed_times<'a>(before: &Tree, after: &'a Tree) -> BTreeMap<&'a String, [bool; 3]> {
    let old: HashMap<u64, [Timestamp; 3]> =
        before.values().map(|object| (object.seen.ino, object.seen.times)).collect();
    let changed = |(path, object): (&'a String, &'a Object)| {
        let (old, new) = (old.get(&object.seen.ino)?, object.seen.times);
        Some((path, [0, 1, 2].map(|time| old[time] != new[time])))
    };
    after.iter().filter_map(changed).collect()
}
