//! What can be done to a filesystem, as values; done to a container and to the model.

use std::collections::BTreeMap;
use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::model::{self, Answer, EBADF, EEXIST, EINVAL, EISDIR, ENOENT, Id, Model, Node, Taken};
use crate::{Attrs, Container, File, OpenOptions, Result, Timestamp, XattrMode};

/// How many files are open at once: two handles of one file, and another one.
const SLOTS: usize = 3;

/// `len` times `byte`: prints short, whatever the length.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Blob(pub(super) u8, pub(super) usize);

impl Blob {
    pub(super) fn bytes(self) -> Vec<u8> {
        vec![self.0; self.1]
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob(b'{}', {})", self.0.escape_ascii(), self.1)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum How {
    Read,
    ReadWrite,
    Truncate,
    Append,
    CreateNew,
    /// Without a name, in the directory at the path.
    Temporary,
}

/// One operation; its `Debug` text is the Rust that makes it.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Write(String, Blob),
    Append(String, Blob),
    CreateDir(String),
    CreateDirAll(String),
    RemoveFile(String),
    RemoveDir(String),
    RemoveDirAll(String),
    Rename(String, String, Taken),
    HardLink(String, String),
    Symlink(String, String),
    Fifo(String),
    Copy(String, String),
    Read(String),
    Chmod(String, u32),
    Chown(String, u32),
    Lchown(String, u32),
    SetModified(String, i64),
    SetXattr(String, String, Blob),
    RemoveXattr(String, String),
    Open(usize, String, How),
    Close(usize),
    ReadAt(usize, usize, usize),
    WriteAt(usize, usize, Blob),
    SetLen(usize, usize),
    PunchHole(usize, usize, usize),
    LinkFile(usize, String),
}

/// Three names, three levels: names collide all the time. Now and then the root, and a way up and down again.
pub(super) fn path() -> impl Strategy<Value = String> {
    let plain = vec(select(vec!["a", "b", "c"]), 1..=3);
    let odd = select(vec!["/", "/a/../b", "/b/../../c/a"]).prop_map(str::to_owned);
    prop_oneof![30 => plain.prop_map(|names| format!("/{}", names.join("/"))), 1 => odd]
}

/// Few, so that chains, loops, links to directories, upwards and to nowhere all come up.
pub(super) fn target() -> impl Strategy<Value = String> {
    select(vec!["a", "b", "/c", "../b", "/a/b", "..", "c/a"]).prop_map(str::to_owned)
}

/// Small texts, and now and then one that does not fit one chunk of 64 KiB.
fn blob() -> impl Strategy<Value = Blob> {
    let len = prop_oneof![8 => 0_usize..5, 1 => Just(65_537)];
    (select(vec![b'x', b'y', b'z']), len).prop_map(|(byte, len)| Blob(byte, len))
}

/// Offsets and lengths at the start, and around the border of the first chunk.
fn offset() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0_usize..6, 1 => 65_534_usize..65_539, 1 => Just(140_000)]
}

fn slot() -> impl Strategy<Value = usize> {
    0..SLOTS
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![3 => making(), 3 => names(), 1 => attributes(), 3 => handles()]
}

/// Making and removing: what fills the tree, and what leaves whiteouts.
fn making() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (path(), blob()).prop_map(|(path, blob)| Op::Write(path, blob)),
        1 => (path(), blob()).prop_map(|(path, blob)| Op::Append(path, blob)),
        3 => path().prop_map(Op::CreateDir),
        1 => path().prop_map(Op::CreateDirAll),
        3 => path().prop_map(Op::RemoveFile),
        2 => path().prop_map(Op::RemoveDir),
        2 => path().prop_map(Op::RemoveDirAll),
        1 => path().prop_map(Op::Read),
    ]
}

/// Names: what moves subtrees, and gives objects several names.
fn names() -> impl Strategy<Value = Op> {
    let taken = select(vec![Taken::Replace, Taken::Replace, Taken::Refuse, Taken::Exchange]);
    prop_oneof![
        5 => (path(), path(), taken).prop_map(|(from, to, taken)| Op::Rename(from, to, taken)),
        2 => (path(), path()).prop_map(|(from, to)| Op::HardLink(from, to)),
        2 => (target(), path()).prop_map(|(target, path)| Op::Symlink(target, path)),
        1 => path().prop_map(Op::Fifo),
        1 => (path(), path()).prop_map(|(from, to)| Op::Copy(from, to)),
    ]
}

/// Attributes: metadata-only changes; 2775 is inherited in directories, 4755 and 2755 are lost by chown.
fn attributes() -> impl Strategy<Value = Op> {
    let mode = select(vec![0o600, 0o755, 0o2775, 0o4755, 0]);
    let name = || select(vec!["user.k", "user.l"]).prop_map(str::to_owned);
    prop_oneof![
        (path(), mode).prop_map(|(path, mode)| Op::Chmod(path, mode)),
        (path(), 0_u32..3).prop_map(|(path, id)| Op::Chown(path, id)),
        (path(), 0_u32..3).prop_map(|(path, id)| Op::Lchown(path, id)),
        (path(), -3_i64..3).prop_map(|(path, secs)| Op::SetModified(path, secs)),
        (path(), name(), blob()).prop_map(|(path, name, Blob(byte, len))| {
            Op::SetXattr(path, name, Blob(byte, len.min(4)))
        }),
        (path(), name()).prop_map(|(path, name)| Op::RemoveXattr(path, name)),
    ]
}

/// Handles: they outlive names, and change what they were opened on, wherever it is now.
pub(super) fn handles() -> impl Strategy<Value = Op> {
    let how = select(vec![
        How::Read,
        How::ReadWrite,
        How::Truncate,
        How::Append,
        How::CreateNew,
        How::Temporary,
    ]);
    prop_oneof![
        4 => (slot(), path(), how).prop_map(|(slot, path, how)| Op::Open(slot, path, how)),
        1 => slot().prop_map(Op::Close),
        1 => (slot(), offset(), offset()).prop_map(|(slot, at, len)| Op::ReadAt(slot, at, len)),
        3 => (slot(), offset(), blob()).prop_map(|(slot, at, blob)| Op::WriteAt(slot, at, blob)),
        2 => (slot(), offset()).prop_map(|(slot, len)| Op::SetLen(slot, len)),
        1 => (slot(), offset(), offset()).prop_map(|(slot, at, len)| Op::PunchHole(slot, at, len)),
        1 => (slot(), path()).prop_map(|(slot, path)| Op::LinkFile(slot, path)),
    ]
}

/// The files that a run has open.
pub(super) type Files = BTreeMap<usize, File>;

/// Runs an operation on a container; unit is no bytes.
pub(super) fn act(container: &Container, files: &mut Files, op: &Op) -> Answer {
    done(container, files, op).map_err(|error| error.errno())
}

pub(super) fn done(container: &Container, files: &mut Files, op: &Op) -> Result<Vec<u8>> {
    let set = |path: &str, attrs| container.set_attrs(path, attrs);
    match op {
        Op::Write(path, blob) => container.write(path, blob.bytes()),
        Op::Append(path, blob) => container.append(path, blob.bytes()),
        Op::CreateDir(path) => container.create_dir(path),
        Op::CreateDirAll(path) => container.create_dir_all(path),
        Op::RemoveFile(path) => container.remove_file(path),
        Op::RemoveDir(path) => container.remove_dir(path),
        Op::RemoveDirAll(path) => container.remove_dir_all(path),
        Op::Rename(from, to, Taken::Replace) => container.rename(from, to),
        Op::Rename(from, to, Taken::Refuse) => container.rename_no_replace(from, to),
        Op::Rename(from, to, Taken::Exchange) => container.exchange(from, to),
        Op::HardLink(from, to) => container.hard_link(from, to),
        Op::Symlink(target, path) => container.symlink(target, path),
        Op::Fifo(path) => container.create_fifo(path, 0o644),
        Op::Copy(from, to) => container.copy(from, to).map(drop),
        Op::Read(path) => return container.read(path).map(|bytes| bytes.to_vec()),
        Op::Chmod(path, mode) => set(path, Attrs::new().mode(*mode)),
        Op::Chown(path, id) => set(path, Attrs::new().uid(*id).gid(*id)),
        Op::Lchown(path, id) => container.set_symlink_attrs(path, Attrs::new().uid(*id).gid(*id)),
        Op::SetModified(path, secs) => set(path, Attrs::new().modified(Timestamp::new(*secs, 0))),
        Op::SetXattr(path, name, blob) => {
            container.set_xattr(path, name, blob.bytes(), XattrMode::Any)
        }
        Op::RemoveXattr(path, name) => container.remove_xattr(path, name),
        Op::Open(slot, path, how) => container.open_with(path, &how.options()).map(|file| {
            drop(files.insert(*slot, file));
        }),
        Op::Close(slot) => {
            drop(files.remove(slot));
            Ok(())
        }
        Op::LinkFile(slot, path) => {
            files.get(slot).map_or(Ok(()), |file| container.link_file(file, path))
        }
        on_handle => return on_file(files, on_handle),
    }
    .map(|()| Vec::new())
}

pub(super) fn on_file(files: &Files, op: &Op) -> Result<Vec<u8>> {
    match op {
        Op::ReadAt(slot, at, len) => files.get(slot).map_or(Ok(Vec::new()), |file| {
            let mut buf = vec![0; *len];
            let read = file.read_at(&mut buf, *at as u64)?;
            buf.truncate(read);
            Ok(buf)
        }),
        Op::WriteAt(slot, at, blob) => files.get(slot).map_or(Ok(Vec::new()), |file| {
            file.write_at(&blob.bytes(), *at as u64).map(|()| Vec::new())
        }),
        Op::SetLen(slot, len) => files
            .get(slot)
            .map_or(Ok(Vec::new()), |file| file.set_len(*len as u64).map(|()| Vec::new())),
        Op::PunchHole(slot, at, len) => files.get(slot).map_or(Ok(Vec::new()), |file| {
            file.punch_hole(*at as u64, *len as u64).map(|()| Vec::new())
        }),
        other => panic!("{other:?} is no operation on a file"),
    }
}

impl How {
    fn options(self) -> OpenOptions {
        let mut options = OpenOptions::new();
        match self {
            Self::Read => options.read(true),
            Self::ReadWrite => options.read(true).write(true),
            Self::Truncate => options.write(true).truncate(true).create(true),
            Self::Append => options.read(true).append(true).create(true),
            Self::CreateNew => options.read(true).write(true).create_new(true),
            Self::Temporary => options.read(true).write(true).temporary(true),
        };
        options
    }

    fn reads(self) -> bool {
        self != Self::Truncate
    }

    fn writes(self) -> bool {
        self != Self::Read
    }
}

/// What the model has open.
pub(super) type Handles = BTreeMap<usize, (Id, How)>;

/// Runs an operation on the model.
pub(super) fn imagine(model: &mut Model, handles: &mut Handles, op: &Op) -> Answer {
    match op {
        Op::Write(path, blob) => model.write(path, &blob.bytes(), false),
        Op::Append(path, blob) => model.write(path, &blob.bytes(), true),
        Op::CreateDir(path) => model.make(path, Node::Dir(BTreeMap::new()), 0o755),
        Op::CreateDirAll(path) => model.create_dir_all(path),
        Op::RemoveFile(path) => model.remove_file(path),
        Op::RemoveDir(path) => model.remove_dir(path, false),
        Op::RemoveDirAll(path) => model.remove_dir(path, true),
        Op::Rename(from, to, taken) => model.rename(from, to, *taken),
        Op::HardLink(from, to) => model.hard_link(from, to),
        Op::Symlink(target, path) => model.make(path, Node::Symlink(target.clone()), 0o777),
        Op::Fifo(path) => model.make(path, Node::Fifo, 0o644),
        Op::Copy(from, to) => model.copy(from, to),
        Op::Read(path) => model.read(path),
        Op::Chmod(path, mode) => model.set(path, true, |object| object.mode = *mode),
        Op::Chown(path, id) => model.set(path, true, |object| object.chown(*id, *id)),
        Op::Lchown(path, id) => model.set(path, false, |object| object.chown(*id, *id)),
        Op::SetModified(path, secs) => model.set(path, true, |object| object.modified = *secs),
        Op::SetXattr(path, name, blob) => model.xattr(path, name, Some(blob.bytes())),
        Op::RemoveXattr(path, name) => model.xattr(path, name, None),
        Op::Open(slot, path, how) => {
            let id = open(model, path, *how)?;
            handles.insert(*slot, (id, *how));
            Ok(Vec::new())
        }
        Op::Close(slot) => {
            handles.remove(slot);
            Ok(Vec::new())
        }
        Op::ReadAt(slot, ..)
        | Op::WriteAt(slot, ..)
        | Op::SetLen(slot, _)
        | Op::PunchHole(slot, ..)
        | Op::LinkFile(slot, _) => match handles.get(slot) {
            Some((id, how)) => imagine_file(model, *id, *how, op),
            None => Ok(Vec::new()),
        },
    }
}

fn open(model: &mut Model, path: &str, how: How) -> Result<Id, model::Errno> {
    let spot = model.walk(path, how != How::CreateNew)?;
    match spot.found {
        Some(_) if how == How::CreateNew => Err(EEXIST),
        Some(dir) if how == How::Temporary => model.create_unnamed(dir),
        Some(id) if model.at(id).node.is_dir() => {
            if how.writes() {
                Err(EISDIR)
            } else {
                Ok(id)
            }
        }
        Some(id) => {
            model.file(id)?;
            if how == How::Truncate {
                model.change_file(id, Vec::clear);
            }
            Ok(id)
        }
        None if matches!(how, How::Read | How::ReadWrite | How::Temporary) => Err(ENOENT),
        None => {
            let name = spot.name.expect("because only a name can be missing");
            Ok(model.create((spot.dir, name), Node::File(Vec::new()), 0o644))
        }
    }
}

pub(super) fn imagine_file(model: &mut Model, id: Id, how: How, op: &Op) -> Answer {
    match op {
        Op::LinkFile(_, path) => return model.link(id, path),
        Op::ReadAt(..) if !how.reads() => return Err(EBADF),
        Op::ReadAt(_, at, len) => {
            let bytes = model.file(id)?;
            return Ok(bytes.iter().skip(*at).take(*len).copied().collect());
        }
        Op::PunchHole(_, _, 0) => return Err(EINVAL),
        Op::SetLen(..) if !how.writes() => return Err(EINVAL),
        _ if !how.writes() => return Err(EBADF),
        Op::WriteAt(_, _, Blob(_, 0)) => {}
        Op::WriteAt(_, at, blob) => model.change_file(id, |bytes| {
            let at = if how == How::Append { bytes.len() } else { *at };
            bytes.resize(bytes.len().max(at + blob.1), 0);
            bytes[at..at + blob.1].fill(blob.0);
        }),
        Op::SetLen(_, len) => model.change_file(id, |bytes| bytes.resize(*len, 0)),
        Op::PunchHole(_, at, len) => model.change_file(id, |bytes| {
            let end = (at + len).min(bytes.len());
            bytes[(*at).min(end)..end].fill(0);
        }),
        other => panic!("{other:?} is no operation on a file"),
    }
    Ok(Vec::new())
}
