//! Whole trees as values, to be compared: what a view shows, and what the model says it should.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::model::{Id, Model, Node};
use crate::{FileType, Metadata, View};

pub(super) type Picture = BTreeMap<String, Shown>;

/// One path: all that `diff` compares, and the link count.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown {
    pub(super) what: What,
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    pub(super) modified: i64,
    pub(super) nlink: u32,
    pub(super) xattrs: BTreeMap<String, Vec<u8>>,
    /// The first path of the same object, unless it is this one.
    pub(super) same_as: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    File(Text),
    Dir,
    Symlink(String),
    Fifo,
}

/// Bytes that are printed as runs, because a hole of 64 KiB is no pleasure to read.
#[derive(Clone, PartialEq)]
pub(super) struct Text(pub(super) Vec<u8>);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.0.chunk_by(|a, b| a == b).map(|run| (run[0].escape_ascii(), run.len()));
        f.write_str("[")?;
        runs.into_iter().try_for_each(|(byte, len)| write!(f, "{byte}×{len} "))?;
        f.write_str("]")
    }
}

/// What a view shows; on the way, that it lists what it has, once, under the same numbers.
pub(super) fn picture(view: &View) -> Picture {
    let mut first: BTreeMap<u64, String> = BTreeMap::new();
    stats(view)
        .into_iter()
        .map(|(path, metadata)| {
            let known = first.entry(metadata.ino()).or_insert_with(|| path.clone());
            let same_as = (*known != path).then(|| known.clone());
            (path.clone(), shown(view, &path, &metadata, same_as))
        })
        .collect()
}

fn shown(view: &View, path: &str, metadata: &Metadata, same_as: Option<String>) -> Shown {
    let what = match metadata.file_type() {
        FileType::File => What::File(Text(view.read(path).unwrap().to_vec())),
        FileType::Dir => What::Dir,
        FileType::Symlink => What::Symlink(view.read_link(path).unwrap().to_str().unwrap().into()),
        _ => What::Fifo,
    };
    let no_data = matches!(what, What::Dir | What::Fifo);
    assert!(!no_data || metadata.len() == 0, "{path}: a size");
    let xattrs = if metadata.is_symlink() { Vec::new() } else { view.xattrs(path).unwrap() };
    let xattr = |name: std::ffi::OsString| {
        let name = name.into_string().unwrap();
        let value = view.xattr(path, &name).unwrap().to_vec();
        (name, value)
    };
    Shown {
        what,
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        modified: metadata.modified().secs(),
        nlink: metadata.nlink(),
        xattrs: xattrs.into_iter().map(xattr).collect(),
        same_as,
    }
}

/// All paths with all that stat tells, times that `diff` does not compare and inode numbers included.
pub(super) fn stats(view: &View) -> BTreeMap<String, Metadata> {
    let mut stats = BTreeMap::from([("/".to_owned(), view.metadata("/").unwrap())]);
    for entry in view.walk("/").unwrap() {
        let entry = entry.unwrap();
        let path = entry.path().to_str().unwrap().to_owned();
        let metadata = view.symlink_metadata(&path).unwrap();
        assert_eq!(entry.metadata(), metadata, "{path}: readdir and stat differ");
        assert_eq!(entry.ino(), metadata.ino(), "{path}: readdir and stat differ");
        assert_eq!(entry.file_type(), metadata.file_type(), "{path}: readdir and stat differ");
        assert!(stats.insert(path.clone(), metadata).is_none(), "{path}: listed twice");
    }
    stats
}

/// What the model says that a view should show.
pub(super) fn expected(model: &Model) -> Picture {
    let mut first: BTreeMap<Id, String> = BTreeMap::new();
    let paths = model.paths();
    let names = |id| paths.iter().filter(|(_, other)| *other == id).count() as u32;
    let subdirs = |children: &BTreeMap<String, Id>| {
        children.values().filter(|id| model.at(**id).node.is_dir()).count() as u32
    };
    let show = |(path, id): &(String, Id)| {
        let object = model.at(*id);
        let known = first.entry(*id).or_insert_with(|| path.clone());
        let (what, nlink) = match &object.node {
            Node::File(bytes) => (What::File(Text(bytes.clone())), names(*id)),
            Node::Dir(children) => (What::Dir, 2 + subdirs(children)),
            Node::Symlink(target) => (What::Symlink(target.clone()), names(*id)),
            Node::Fifo => (What::Fifo, names(*id)),
        };
        let shown = Shown {
            what,
            mode: object.mode,
            owner: (object.uid, object.gid),
            modified: object.modified,
            nlink,
            xattrs: object.xattrs.clone(),
            same_as: (known != path).then(|| known.clone()),
        };
        (path.clone(), shown)
    };
    paths.iter().map(show).collect()
}

/// Compares two trees and shows only where they differ.
#[track_caller]
pub(super) fn assert_same(got: &Picture, expected: &Picture, context: &str) {
    let faults: Vec<String> = got
        .keys()
        .chain(expected.keys())
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .filter(|path| got.get(*path) != expected.get(*path))
        .map(|path| {
            format!("{path}\n  is        {:?}\n  should be {:?}", got.get(path), expected.get(path))
        })
        .collect();
    assert!(faults.is_empty(), "{context}:\n{}", faults.join("\n"));
}

/// The inode number of everything at a path, by the model's number for it.
pub(super) fn numbers(view: &View, model: &Model) -> BTreeMap<Id, u64> {
    let ino = |path: &str| view.symlink_metadata(Path::new(path)).unwrap().ino();
    let mut numbers = BTreeMap::new();
    for (path, id) in model.paths() {
        let other = *numbers.entry(id).or_insert_with(|| ino(&path));
        assert_eq!(other, ino(&path), "{path}: hard links have one number");
    }
    numbers
}
