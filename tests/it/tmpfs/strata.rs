//! The side of stratafs.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::Arc;

use stratafs::{
    Attrs, Container, Credentials, Device, DirEntry, Error, File, FileType, Image, ManualClock,
    Metadata, OpenOptions, ReadDir, Timestamp, XattrMode,
};

use super::op::{Flags, Known, On, Op, Rename, SLOTS, Special, When, Xattr};
use super::tree::{Answer, Facts, Object, Seen, Tree};

pub(super) struct Strata {
    container: Container,
    clock: Arc<ManualClock>,
    slots: [Option<File>; SLOTS],
}

/// `EBADF`, for a slot in which nothing is open.
const CLOSED: i32 = 9;

impl Strata {
    pub(super) fn new(image: &Image, who: Credentials) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::new(1_700_000_000, 0)));
        let builder = image.build_container().clock(clock.clone()).credentials(who);
        let container = builder.build().expect("because it has no volumes");
        Self { container, clock, slots: [const { None }; SLOTS] }
    }

    pub(super) fn run(&mut self, op: &Op) -> Result<Answer, i32> {
        self.clock.advance(1_000_000_007);
        self.file_op(op).or_else(|| self.name_op(op)).unwrap_or_else(|| self.attr_op(op))
    }

    /// Short paths without a leading `/`, and open slots.
    pub(super) fn known(&self) -> Known {
        let view = self.container.view();
        let entries = view.walk("/").expect("because every view has a root").flatten();
        let path = |entry: DirEntry| entry.path().to_string_lossy()[1..].to_owned();
        let paths = entries.map(path).filter(|path| path.len() < 40).collect();
        let slots = (0..SLOTS).filter(|&slot| self.slots[slot].is_some()).collect();
        Known { paths, slots }
    }

    fn slot(&self, slot: usize) -> Result<&File, i32> {
        self.slots[slot].as_ref().ok_or(CLOSED)
    }

    fn file_op(&mut self, op: &Op) -> Option<Result<Answer, i32>> {
        Some(match *op {
            Op::Open { slot, ref path, flags, mode } => {
                let opened = self.container.open_with(path, &options(flags, mode));
                opened.map_err(errno).map(|file| self.put(slot, file))
            }
            Op::Close { slot } => {
                self.slots[slot] = None;
                Ok(Answer::Nothing)
            }
            Op::Duplicate { slot } => {
                let duplicate = self.slot(slot).map(File::duplicate);
                duplicate.map(|file| self.put(slot, file))
            }
            _ => return self.content_op(op),
        })
    }

    fn put(&mut self, slot: usize, file: File) -> Answer {
        self.slots[slot] = Some(file);
        Answer::Nothing
    }

    fn content_op(&self, op: &Op) -> Option<Result<Answer, i32>> {
        let on = |slot, act: &dyn Fn(&File) -> Result<Answer, i32>| self.slot(slot).and_then(act);
        Some(match *op {
            Op::ReadAt { slot, offset, len } => on(slot, &|file| {
                let mut buf = vec![0; len];
                let read = file.read_at(&mut buf, offset).map_err(errno)?;
                buf.truncate(read);
                Ok(Answer::Bytes(buf))
            }),
            Op::WriteAt { slot, offset, data } => {
                on(slot, &|file| done(file.write_at(&data.bytes(), offset)))
            }
            Op::Read { slot, len } => on(slot, &|mut file| {
                let mut buf = vec![0; len];
                let read = file.read(&mut buf).map_err(io_errno)?;
                buf.truncate(read);
                Ok(Answer::Bytes(buf))
            }),
            Op::Write { slot, data } => on(slot, &|mut file| {
                file.write_all(&data.bytes()).map_err(io_errno).map(|()| Answer::Nothing)
            }),
            Op::Seek { slot, to } => on(slot, &|mut file| match file.metadata() {
                Ok(metadata) if metadata.is_dir() => Ok(Answer::Nothing),
                _ => file.seek(to).map_err(io_errno).map(Answer::Count),
            }),
            Op::SetLen { slot, len } => on(slot, &|file| done(file.set_len(len))),
            Op::Allocate { slot, offset, len } => {
                on(slot, &|file| done(file.allocate(offset, len)))
            }
            Op::Punch { slot, offset, len } => on(slot, &|file| done(file.punch_hole(offset, len))),
            Op::CopyRange { slot, offset, to, to_offset, len } => on(slot, &|file| {
                let copied = file.copy_range(offset, self.slot(to)?, to_offset, len);
                copied.map_err(errno).map(Answer::Count)
            }),
            Op::NextData { slot, offset } => {
                on(slot, &|file| past_end(file, offset, File::next_data))
            }
            Op::NextHole { slot, offset } => {
                on(slot, &|file| past_end(file, offset, File::next_hole))
            }
            Op::LinkFile { slot, ref path } => {
                on(slot, &|file| done(self.container.link_file(file, path)))
            }
            _ => return None,
        })
    }

    fn name_op(&self, op: &Op) -> Option<Result<Answer, i32>> {
        let fs = &self.container;
        Some(match op {
            Op::ReadPath { path } => {
                fs.read(path).map_err(errno).map(|bytes| Answer::Bytes(bytes.into()))
            }
            Op::WritePath { path, data } => done(fs.write(path, data.bytes())),
            Op::AppendPath { path, data } => done(fs.append(path, data.bytes())),
            Op::Mkdir { path, mode } => done(fs.create_dir_with(path, *mode)),
            Op::Rmdir { path } => done(fs.remove_dir(path)),
            Op::Unlink { path } => done(fs.remove_file(path)),
            Op::Rename { from, to, how } => done(match how {
                Rename::Replace => fs.rename(from, to),
                Rename::NoReplace => fs.rename_no_replace(from, to),
                Rename::Exchange => fs.exchange(from, to),
            }),
            Op::HardLink { from, to } => done(fs.hard_link(from, to)),
            Op::Symlink { target, path } => done(fs.symlink(target, path)),
            Op::ReadLink { path } => {
                let target = fs.read_link(path).map_err(errno);
                target.map(|target| Answer::Bytes(target.into_os_string().into_vec()))
            }
            Op::Mknod { path, mode, what } => done(match *what {
                Special::Fifo => fs.create_fifo(path, *mode),
                Special::Socket => fs.create_socket(path, *mode),
                Special::Char(major, minor) => {
                    fs.create_char_device(path, *mode, Device { major, minor })
                }
                Special::Block(major, minor) => {
                    fs.create_block_device(path, *mode, Device { major, minor })
                }
            }),
            _ => return None,
        })
    }

    fn attr_op(&self, op: &Op) -> Result<Answer, i32> {
        match op {
            Op::Stat { on } => self.metadata(on).map(|metadata| Answer::Seen(seen(&metadata))),
            Op::List { on } => self.list(on).map(names),
            Op::Chmod { on, mode } => self.set_attrs(on, Attrs::new().mode(*mode)),
            Op::Chown { on, uid, gid } => {
                let attrs = uid.map_or(Attrs::new(), |uid| Attrs::new().uid(uid));
                self.set_attrs(on, gid.map_or(attrs, |gid| attrs.gid(gid)))
            }
            Op::Utimens { on, accessed, modified } => {
                self.set_attrs(on, time_attrs(*accessed, *modified))
            }
            _ => self.xattr_op(op),
        }
    }

    fn xattr_op(&self, op: &Op) -> Result<Answer, i32> {
        let fs = &self.container;
        match op {
            Op::SetXattr { on, name, value, how } => {
                let (value, how) = (value.bytes(), xattr_mode(*how));
                done(match on {
                    On::Path(path) | On::Link(path) => fs.set_xattr(path, name, value, how),
                    On::Slot(slot) => self.slot(*slot)?.set_xattr(name, value, how),
                })
            }
            Op::RemoveXattr { on, name } => done(match on {
                On::Path(path) | On::Link(path) => fs.remove_xattr(path, name),
                On::Slot(slot) => self.slot(*slot)?.remove_xattr(name),
            }),
            Op::Xattr { on, name } => {
                let value = match on {
                    On::Path(path) | On::Link(path) => fs.xattr(path, name),
                    On::Slot(slot) => self.slot(*slot)?.xattr(name),
                };
                value.map_err(errno).map(|value| Answer::Bytes(value.into()))
            }
            Op::Xattrs { on } => {
                let names = match on {
                    On::Path(path) | On::Link(path) => fs.xattrs(path),
                    On::Slot(slot) => self.slot(*slot)?.xattrs(),
                };
                let words = |name: std::ffi::OsString| name.to_string_lossy().into_owned();
                names
                    .map_err(errno)
                    .map(|names| Answer::Words(names.into_iter().map(words).collect()))
            }
            _ => unreachable!("because all other operations were tried before: {op:?}"),
        }
    }

    fn metadata(&self, on: &On) -> Result<Metadata, i32> {
        match on {
            On::Path(path) => self.container.metadata(path).map_err(errno),
            On::Link(path) => self.container.symlink_metadata(path).map_err(errno),
            On::Slot(slot) => self.slot(*slot)?.metadata().map_err(errno),
        }
    }

    fn list(&self, on: &On) -> Result<ReadDir, i32> {
        match on {
            On::Path(path) | On::Link(path) => self.container.read_dir(path).map_err(errno),
            On::Slot(slot) => self.slot(*slot)?.read_dir().map_err(errno),
        }
    }

    fn set_attrs(&self, on: &On, attrs: Attrs) -> Result<Answer, i32> {
        done(match on {
            On::Path(path) => self.container.set_attrs(path, attrs),
            On::Link(path) => self.container.set_symlink_attrs(path, attrs),
            On::Slot(slot) => self.slot(*slot)?.set_attrs(attrs),
        })
    }

    /// Everything that is there, and what `check` finds wrong.
    pub(super) fn tree(&self) -> (Tree, Vec<String>) {
        let view = self.container.view();
        let root = view.metadata("/").expect("because every view has a root");
        let mut tree = Tree::from([("/".into(), object(&view, Path::new("/"), &root))]);
        for entry in view.walk("/").expect("because every view has a root") {
            let entry = entry.expect("because a view is read as root");
            let path = entry.path();
            let found = object(&view, &path, &entry.metadata());
            tree.insert(path.to_string_lossy().into_owned(), found);
        }
        for (slot, file) in self.slots.iter().enumerate() {
            if let Some(file) = file {
                let seen = seen(&file.metadata().expect("because nothing was rolled back"));
                let (data, xattrs) = (Vec::new(), BTreeMap::new());
                tree.insert(format!("#{slot}"), Object { seen, data, xattrs });
            }
        }
        (tree, self.container.check())
    }
}

fn object(view: &stratafs::View, path: &Path, metadata: &Metadata) -> Object {
    let data = match metadata.file_type() {
        FileType::File => view.read(path).expect("because it was listed").into(),
        FileType::Symlink => {
            view.read_link(path).expect("because it was listed").as_os_str().as_bytes().to_vec()
        }
        _ => Vec::new(),
    };
    let mut xattrs = BTreeMap::new();
    if !metadata.is_symlink() {
        for name in view.xattrs(path).expect("because it was listed") {
            let value = view.xattr(path, name.as_bytes()).expect("because it was listed");
            xattrs.insert(name.to_string_lossy().into_owned(), value.into());
        }
    }
    Object { seen: seen(metadata), data, xattrs }
}

fn seen(metadata: &Metadata) -> Seen {
    let facts = Facts {
        kind: metadata.file_type(),
        mode: metadata.mode(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        nlink: metadata.nlink(),
        len: if metadata.is_dir() { 0 } else { metadata.len() },
        device: metadata.device(),
    };
    let times = [metadata.accessed(), metadata.modified(), metadata.changed()];
    Seen { facts, ino: metadata.ino(), times }
}

fn names(dir: ReadDir) -> Answer {
    let name = |entry: DirEntry| (entry.file_name().to_string_lossy().into_owned(), entry.ino());
    Answer::Names(dir.map(name).collect())
}

fn options(flags: Flags, mode: u32) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(flags.read).write(flags.write).append(flags.append).truncate(flags.truncate);
    options.create(flags.create).create_new(flags.create_new).directory(flags.directory);
    options.no_follow(flags.no_follow).temporary(flags.temporary).mode(mode).clone()
}

fn time_attrs(accessed: When, modified: When) -> Attrs {
    let mut attrs = Attrs::new();
    if let (When::Now, When::Now) = (accessed, modified) {
        return attrs.touched();
    }
    if let When::At(secs, nanos) = accessed {
        attrs = attrs.accessed(Timestamp::new(secs, nanos));
    }
    if let When::At(secs, nanos) = modified {
        attrs = attrs.modified(Timestamp::new(secs, nanos));
    }
    attrs
}

fn xattr_mode(how: Xattr) -> XattrMode {
    match how {
        Xattr::Any => XattrMode::Any,
        Xattr::Create => XattrMode::Create,
        Xattr::Replace => XattrMode::Replace,
    }
}

/// Where data lies is a matter of each filesystem's pages; that none lies past the end is not.
fn past_end(
    file: &File,
    offset: u64,
    next: impl Fn(&File, u64) -> stratafs::Result<u64>,
) -> Result<Answer, i32> {
    let len = file.metadata().map_err(errno)?.len();
    if offset < len && file.metadata().map_err(errno)?.is_file() {
        return Ok(Answer::Nothing);
    }
    next(file, offset).map_err(errno).map(Answer::Count)
}

fn done(result: stratafs::Result<()>) -> Result<Answer, i32> {
    result.map_err(errno).map(|()| Answer::Nothing)
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where map_err wants it")]
fn errno(error: Error) -> i32 {
    error.errno()
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where map_err wants it")]
fn io_errno(error: io::Error) -> i32 {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    inner.expect("because stratafs wraps its own errors").errno()
}
