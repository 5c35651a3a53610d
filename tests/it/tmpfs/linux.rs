//! The side of the kernel: one thread that has a tmpfs as its root.

use std::collections::BTreeMap;
use std::io::SeekFrom;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, FileType as Kind, Mode, OFlags, Stat, XattrFlags};
use rustix::io::{Errno, Result};
use rustix::mount::{self, MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::{Gid, Uid};
use rustix::thread;
use stratafs::{Device, FileType, Timestamp};

use super::op::{Flags, On, Op, Rename, SLOTS, Special, When, Xattr};
use super::tree::{Answer, Facts, Object, Seen, Tree};

/// Gives this thread, and what it starts, mounts of its own. Nobody else sees them, and they go with the thread.
pub(crate) fn own_mounts() -> Result<()> {
    #[expect(deprecated, reason = "the other is unsafe because of FILES, which is not used here")]
    thread::unshare(thread::UnshareFlags::NEWNS | thread::UnshareFlags::FS)?;
    mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
}

/// A thread of its own mount namespace, in which it can change its root and come back. Nobody else sees what is mounted
/// in it, and it goes with the thread.
pub(super) struct Cell {
    outside: OwnedFd,
    at: PathBuf,
}

impl Cell {
    pub(super) fn new(at: &Path) -> Result<Self> {
        own_mounts()?;
        let outside = fs::open("/", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { outside, at: at.to_path_buf() })
    }

    /// Makes an empty tmpfs the root of this thread. `NODEV`, so that no driver is ever asked for a device.
    pub(super) fn enter(&self) -> Result<()> {
        let flags = MountFlags::NODEV | MountFlags::NOATIME;
        mount::mount("stratafs-test", &self.at, "tmpfs", flags, c"mode=0755")?;
        rustix::process::chroot(&self.at)?;
        rustix::process::chdir("/")
    }

    pub(super) fn leave(&self) -> Result<()> {
        rustix::process::fchdir(&self.outside)?;
        rustix::process::chroot(".")?;
        mount::unmount(&self.at, UnmountFlags::DETACH)
    }
}

/// Waits until the clock of the kernel's timestamps has gone on, so that every change of a time shows.
pub(super) fn wait_for_tick() {
    let now = || rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    let before = now();
    while now() == before {
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
}

/// Who a sequence acts as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: &'static [u32],
    pub(super) umask: u32,
}

pub(super) struct Linux {
    who: Who,
    slots: [Option<OwnedFd>; SLOTS],
    /// Which slots hold a file that never had a name.
    unnamed: [bool; SLOTS],
}

impl Linux {
    pub(super) fn new(who: Who) -> Self {
        rustix::process::umask(Mode::from_raw_mode(who.umask));
        Self { who, slots: [const { None }; SLOTS], unnamed: [false; SLOTS] }
    }

    /// Runs an operation as whom it is to be run.
    pub(super) fn run(&mut self, op: &Op) -> Result<Answer> {
        self.become_user()?;
        let answer = self.run_here(op);
        become_root()?;
        match op {
            Op::Open { slot, flags, .. } if answer.is_ok() => self.unnamed[*slot] = flags.temporary,
            Op::LinkFile { slot, .. } if answer.is_ok() => self.unnamed[*slot] = false,
            _ => {}
        }
        Self::without_devices(op, answer)
    }

    fn become_user(&self) -> Result<()> {
        let groups: Vec<Gid> = self.who.groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
        thread::set_thread_groups(&groups)?;
        thread::set_thread_res_gid(None, Some(Gid::from_raw(self.who.gid)), None)?;
        thread::set_thread_res_uid(None, Some(Uid::from_raw(self.who.uid)), None)
    }

    /// Fifos, sockets and devices cannot be opened in stratafs, whoever asks: `ENXIO`. Here a fifo can, and a device is
    /// refused by the mount (`EACCES`).
    fn without_devices(op: &Op, answer: Result<Answer>) -> Result<Answer> {
        let opens = match op {
            Op::Open { path, flags, .. } if !flags.temporary => Some((path, flags.no_follow)),
            Op::ReadPath { path } | Op::WritePath { path, .. } | Op::AppendPath { path, .. } => {
                Some((path, false))
            }
            _ => None,
        };
        let Some((path, no_follow)) = opens else { return answer };
        let follow = if no_follow { AtFlags::SYMLINK_NOFOLLOW } else { AtFlags::empty() };
        let special = fs::statat(CWD, path, follow).is_ok_and(|stat| is_special(&stat));
        if special && matches!(answer, Ok(_) | Err(Errno::ACCESS)) {
            Err(Errno::NXIO)
        } else {
            answer
        }
    }

    /// Whether an operation is left out, because Linux refuses it for a reason that is not the filesystem's (a user's link
    /// to somebody else's file, `fs.protected_hardlinks`; linking an open file without a capability), or because stratafs
    /// does more by decision (it gives a name to a file that lost its last one).
    pub(super) fn is_left_out(&self, op: &Op) -> bool {
        let is_user = self.who.uid != 0;
        match op {
            Op::HardLink { from, .. } => {
                let stat = fs::statat(CWD, from, AtFlags::SYMLINK_NOFOLLOW);
                is_user && stat.is_ok_and(|stat| stat.st_uid != self.who.uid)
            }
            Op::LinkFile { slot, .. } => {
                let stat = self.slot(*slot).and_then(fs::fstat);
                is_user || stat.is_ok_and(|stat| stat.st_nlink == 0) && !self.unnamed[*slot]
            }
            _ => false,
        }
    }

    #[cfg(feature = "fuse")]
    pub(super) fn is_open(&self, slot: usize) -> bool {
        self.slots[slot].is_some()
    }

    #[cfg(feature = "fuse")]
    pub(super) fn holds_dir(&self, slot: usize) -> bool {
        self.slot(slot).and_then(is_dir).unwrap_or(false)
    }

    fn slot(&self, slot: usize) -> Result<&OwnedFd> {
        self.slots[slot].as_ref().ok_or(Errno::BADF)
    }

    fn put(&mut self, slot: usize, file: OwnedFd) -> Answer {
        self.slots[slot] = Some(file);
        Answer::Nothing
    }

    fn run_here(&mut self, op: &Op) -> Result<Answer> {
        match *op {
            Op::Open { slot, ref path, flags, mode } => {
                let file = fs::open(path, oflags(flags), Mode::from_raw_mode(mode))?;
                if is_special(&fs::fstat(&file)?) {
                    return Err(Errno::NXIO);
                }
                Ok(self.put(slot, file))
            }
            Op::Close { slot } => {
                self.slots[slot] = None;
                Ok(Answer::Nothing)
            }
            Op::Duplicate { slot } => {
                let file = rustix::io::fcntl_dupfd_cloexec(self.slot(slot)?, 0)?;
                Ok(self.put(slot, file))
            }
            Op::Stat { .. } | Op::List { .. } | Op::Chmod { .. } | Op::Chown { .. } => {
                self.attr_op(op)
            }
            Op::Utimens { .. } => self.attr_op(op),
            Op::SetXattr { .. } | Op::RemoveXattr { .. } | Op::Xattr { .. } | Op::Xattrs { .. } => {
                self.xattr_op(op)
            }
            _ => self.content_op(op).unwrap_or_else(|| name_op(op)),
        }
    }

    fn content_op(&self, op: &Op) -> Option<Result<Answer>> {
        let on = |slot, act: &dyn Fn(&OwnedFd) -> Result<Answer>| self.slot(slot).and_then(act);
        let done = |result: Result<()>| result.map(|()| Answer::Nothing);
        Some(match *op {
            Op::ReadAt { slot, offset, len } => on(slot, &|file| {
                let mut buf = vec![0; len];
                let read = rustix::io::pread(file, &mut *buf, offset)?;
                buf.truncate(read);
                Ok(Answer::Bytes(buf))
            }),
            Op::WriteAt { slot, offset, data } => on(slot, &|file| {
                let written = rustix::io::pwrite(file, &data.bytes(), offset)?;
                whole(written, data.0)
            }),
            Op::Read { slot, len } => on(slot, &|file| {
                let mut buf = vec![0; len];
                let read = rustix::io::read(file, &mut *buf)?;
                buf.truncate(read);
                Ok(Answer::Bytes(buf))
            }),
            Op::Write { slot, data } if data.0 > 0 => {
                on(slot, &|file| whole(rustix::io::write(file, &data.bytes())?, data.0))
            }
            // `write_all` of nothing asks nobody.
            Op::Write { slot, .. } => on(slot, &|_| Ok(Answer::Nothing)),
            Op::Seek { slot, to } => on(slot, &|file| seek(file, to)),
            Op::SetLen { slot, len } => on(slot, &|file| done(fs::ftruncate(file, len))),
            Op::Allocate { slot, offset, len } => {
                let flags = fs::FallocateFlags::empty();
                on(slot, &|file| done(fs::fallocate(file, flags, offset, len)))
            }
            Op::Punch { slot, offset, len } => {
                let flags = fs::FallocateFlags::PUNCH_HOLE | fs::FallocateFlags::KEEP_SIZE;
                on(slot, &|file| done(fs::fallocate(file, flags, offset, len)))
            }
            Op::CopyRange { slot, offset, to, to_offset, len } => {
                on(slot, &|file| copy(file, offset, self.slot(to)?, to_offset, len))
            }
            Op::NextData { slot, offset } => {
                on(slot, &|file| past_end(file, offset, fs::SeekFrom::Data(offset)))
            }
            Op::NextHole { slot, offset } => {
                on(slot, &|file| past_end(file, offset, fs::SeekFrom::Hole(offset)))
            }
            Op::LinkFile { slot, ref path } => {
                on(slot, &|file| done(fs::linkat(file, "", CWD, path, AtFlags::EMPTY_PATH)))
            }
            _ => return None,
        })
    }

    fn attr_op(&self, op: &Op) -> Result<Answer> {
        let done = |result: Result<()>| result.map(|()| Answer::Nothing);
        match op {
            Op::Stat { on } => Ok(Answer::Seen(seen(&self.stat(on)?))),
            Op::List { on } => self.list(on).map(Answer::Names),
            Op::Chmod { on, mode } => {
                let mode = Mode::from_raw_mode(*mode);
                done(match on {
                    On::Path(path) | On::Link(path) => {
                        fs::chmodat(CWD, path, mode, AtFlags::empty())
                    }
                    On::Slot(slot) => fs::fchmod(self.slot(*slot)?, mode),
                })
            }
            Op::Chown { on, uid, gid } => {
                let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
                done(match on {
                    On::Path(path) => fs::chownat(CWD, path, uid, gid, AtFlags::empty()),
                    On::Link(path) => fs::chownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW),
                    On::Slot(slot) => fs::fchown(self.slot(*slot)?, uid, gid),
                })
            }
            Op::Utimens { on, accessed, modified } => {
                let times = fs::Timestamps {
                    last_access: timespec(*accessed),
                    last_modification: timespec(*modified),
                };
                done(match on {
                    On::Path(path) => fs::utimensat(CWD, path, &times, AtFlags::empty()),
                    On::Link(path) => fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW),
                    On::Slot(slot) => fs::futimens(self.slot(*slot)?, &times),
                })
            }
            _ => unreachable!("because the caller asks for these: {op:?}"),
        }
    }

    fn xattr_op(&self, op: &Op) -> Result<Answer> {
        let mut buf = vec![0u8; 70_000];
        match op {
            Op::SetXattr { on, name, value, how } => match on {
                On::Path(path) | On::Link(path) => {
                    fs::setxattr(path, name, &value.bytes(), xattr_flags(*how))
                }
                On::Slot(slot) => {
                    fs::fsetxattr(self.slot(*slot)?, name, &value.bytes(), xattr_flags(*how))
                }
            }
            .map(|()| Answer::Nothing),
            Op::RemoveXattr { on, name } => match on {
                On::Path(path) | On::Link(path) => fs::removexattr(path, name),
                On::Slot(slot) => fs::fremovexattr(self.slot(*slot)?, name),
            }
            .map(|()| Answer::Nothing),
            Op::Xattr { on, name } => {
                let len = match on {
                    On::Path(path) | On::Link(path) => fs::getxattr(path, name, &mut buf[..])?,
                    On::Slot(slot) => fs::fgetxattr(self.slot(*slot)?, name, &mut buf[..])?,
                };
                Ok(Answer::Bytes(buf[..len].to_vec()))
            }
            Op::Xattrs { on } => {
                let len = match on {
                    On::Path(path) | On::Link(path) => fs::listxattr(path, &mut buf[..])?,
                    On::Slot(slot) => fs::flistxattr(self.slot(*slot)?, &mut buf[..])?,
                };
                Ok(Answer::Words(words(&buf[..len])))
            }
            _ => unreachable!("because the caller asks for these: {op:?}"),
        }
    }

    fn stat(&self, on: &On) -> Result<Stat> {
        match on {
            On::Path(path) => fs::statat(CWD, path, AtFlags::empty()),
            On::Link(path) => fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW),
            On::Slot(slot) => fs::fstat(self.slot(*slot)?),
        }
    }

    fn list(&self, on: &On) -> Result<Vec<(String, u64)>> {
        match on {
            On::Path(path) | On::Link(path) => {
                list(&fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?)
            }
            On::Slot(slot) => {
                let file = self.slot(*slot)?;
                if is_dir(file)? {
                    fs::seek(file, fs::SeekFrom::Start(0))?;
                }
                match list(file) {
                    // stratafs lists nothing of a directory that was removed.
                    Err(Errno::NOENT) => Ok(Vec::new()),
                    listed => listed,
                }
            }
        }
    }

    /// Everything that is there, as root sees it.
    pub(super) fn tree(&self) -> Result<Tree> {
        let mut tree = Tree::new();
        walk(&mut tree, "/")?;
        for (slot, file) in self.slots.iter().enumerate() {
            if let Some(file) = file {
                let (seen, data, xattrs) = (seen(&fs::fstat(file)?), Vec::new(), BTreeMap::new());
                tree.insert(format!("#{slot}"), Object { seen, data, xattrs });
            }
        }
        Ok(tree)
    }
}

fn become_root() -> Result<()> {
    thread::set_thread_res_uid(None, Some(Uid::ROOT), None)?;
    thread::set_thread_res_gid(None, Some(Gid::ROOT), None)
}

fn name_op(op: &Op) -> Result<Answer> {
    let done = |result: Result<()>| result.map(|()| Answer::Nothing);
    match op {
        Op::ReadPath { path } => read_path(path).map(Answer::Bytes),
        Op::WritePath { path, data } => write_path(path, OFlags::TRUNC, &data.bytes()),
        Op::AppendPath { path, data } => write_path(path, OFlags::APPEND, &data.bytes()),
        Op::Mkdir { path, mode } => done(fs::mkdirat(CWD, path, Mode::from_raw_mode(*mode))),
        Op::Rmdir { path } => done(fs::unlinkat(CWD, path, AtFlags::REMOVEDIR)),
        Op::Unlink { path } => done(fs::unlinkat(CWD, path, AtFlags::empty())),
        Op::Rename { from, to, how } => {
            let flags = match how {
                Rename::Replace => fs::RenameFlags::empty(),
                Rename::NoReplace => fs::RenameFlags::NOREPLACE,
                Rename::Exchange => fs::RenameFlags::EXCHANGE,
            };
            done(fs::renameat_with(CWD, from, CWD, to, flags))
        }
        Op::HardLink { from, to } => done(fs::linkat(CWD, from, CWD, to, AtFlags::empty())),
        Op::Symlink { target, path } => done(fs::symlinkat(target, CWD, path)),
        Op::ReadLink { path } => {
            Ok(Answer::Bytes(fs::readlinkat(CWD, path, Vec::new())?.into_bytes()))
        }
        Op::Mknod { path, mode, what } => {
            let (kind, device) = match *what {
                Special::Fifo => (Kind::Fifo, 0),
                Special::Socket => (Kind::Socket, 0),
                Special::Char(major, minor) => (Kind::CharacterDevice, fs::makedev(major, minor)),
                Special::Block(major, minor) => (Kind::BlockDevice, fs::makedev(major, minor)),
            };
            done(fs::mknodat(CWD, path, kind, Mode::from_raw_mode(*mode), device))
        }
        _ => unreachable!("because all other operations were tried before: {op:?}"),
    }
}

fn read_path(path: &str) -> Result<Vec<u8>> {
    let file = fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
    if Kind::from_raw_mode(fs::fstat(&file)?.st_mode) == Kind::Fifo {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; size(&fs::fstat(&file)?) as usize + 1];
    let read = rustix::io::pread(&file, &mut *bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn write_path(path: &str, how: OFlags, bytes: &[u8]) -> Result<Answer> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NONBLOCK | how;
    let file = fs::open(path, flags, Mode::from_raw_mode(0o666))?;
    whole(rustix::io::write(&file, bytes)?, bytes.len())
}

fn whole(written: usize, asked: usize) -> Result<Answer> {
    if written == asked { Ok(Answer::Nothing) } else { Err(Errno::IO) }
}

/// What the position in a directory means, each filesystem says in its own way.
fn seek(file: &OwnedFd, to: SeekFrom) -> Result<Answer> {
    if is_dir(file)? {
        return Ok(Answer::Nothing);
    }
    let to = match to {
        SeekFrom::Start(offset) => fs::SeekFrom::Start(offset),
        SeekFrom::Current(by) => fs::SeekFrom::Current(by),
        SeekFrom::End(by) => fs::SeekFrom::End(by),
    };
    fs::seek(file, to).map(Answer::Count)
}

/// Asks again until all is copied that was there at first: one call may copy less than asked.
fn copy(from: &OwnedFd, mut at: u64, to: &OwnedFd, mut to_at: u64, len: u64) -> Result<Answer> {
    let there = size(&fs::fstat(from)?).saturating_sub(at);
    let mut sum = 0;
    loop {
        let copied =
            fs::copy_file_range(from, Some(&mut at), to, Some(&mut to_at), (len - sum) as usize)?;
        sum += copied as u64;
        if copied == 0 || sum >= len.min(there) {
            return Ok(Answer::Count(sum));
        }
    }
}

fn past_end(file: &OwnedFd, offset: u64, to: fs::SeekFrom) -> Result<Answer> {
    let stat = fs::fstat(file)?;
    let is_file = Kind::from_raw_mode(stat.st_mode) == Kind::RegularFile;
    if is_file && offset < size(&stat) {
        return Ok(Answer::Nothing);
    }
    let position = fs::tell(file)?;
    let found = fs::seek(file, to);
    fs::seek(file, fs::SeekFrom::Start(position))?;
    found.map(Answer::Count)
}

fn list(dir: &OwnedFd) -> Result<Vec<(String, u64)>> {
    let mut names = Vec::new();
    let mut buf = [MaybeUninit::uninit(); 8192];
    let mut entries = fs::RawDir::new(dir.as_fd(), &mut buf);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push((name, entry.ino()));
        }
    }
    names.sort();
    Ok(names)
}

fn walk(tree: &mut Tree, path: &str) -> Result<()> {
    let found = object(path)?;
    let is_dir = found.seen.facts.kind.is_dir();
    tree.insert(path.into(), found);
    if is_dir {
        for (name, _) in list(&fs::open(path, OFlags::DIRECTORY, Mode::empty())?)? {
            walk(tree, &format!("{}/{name}", path.trim_end_matches('/')))?;
        }
    }
    Ok(())
}

fn object(path: &str) -> Result<Object> {
    let seen = seen(&fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?);
    let data = match seen.facts.kind {
        FileType::File => read_path(path)?,
        FileType::Symlink => fs::readlinkat(CWD, path, Vec::new())?.into_bytes(),
        _ => Vec::new(),
    };
    let mut xattrs = BTreeMap::new();
    if !seen.facts.kind.is_symlink() {
        let mut buf = vec![0u8; 70_000];
        let len = fs::llistxattr(path, &mut buf[..])?;
        for name in words(&buf[..len]) {
            let len = fs::lgetxattr(path, &name, &mut buf[..])?;
            xattrs.insert(name, buf[..len].to_vec());
        }
    }
    Ok(Object { seen, data, xattrs })
}

/// Names that end in NUL each, sorted.
fn words(bytes: &[u8]) -> Vec<String> {
    let names = bytes.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    let mut words: Vec<_> = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    words.sort();
    words
}

fn is_dir(file: &OwnedFd) -> Result<bool> {
    Ok(Kind::from_raw_mode(fs::fstat(file)?.st_mode) == Kind::Directory)
}

fn size(stat: &Stat) -> u64 {
    stat.st_size.unsigned_abs()
}

fn is_special(stat: &Stat) -> bool {
    !matches!(
        Kind::from_raw_mode(stat.st_mode),
        Kind::RegularFile | Kind::Directory | Kind::Symlink
    )
}

fn seen(stat: &Stat) -> Seen {
    let device = Device { major: fs::major(stat.st_rdev), minor: fs::minor(stat.st_rdev) };
    let (kind, device) = match Kind::from_raw_mode(stat.st_mode) {
        Kind::Directory => (FileType::Dir, None),
        Kind::Symlink => (FileType::Symlink, None),
        Kind::Fifo => (FileType::Fifo, None),
        Kind::Socket => (FileType::Socket, None),
        Kind::CharacterDevice => (FileType::CharDevice, Some(device)),
        Kind::BlockDevice => (FileType::BlockDevice, Some(device)),
        _ => (FileType::File, None),
    };
    let facts = Facts {
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        nlink: stat.st_nlink as u32,
        len: if kind.is_dir() { 0 } else { size(stat) },
        device,
    };
    let times = [
        Timestamp::new(stat.st_atime, stat.st_atime_nsec as u32),
        Timestamp::new(stat.st_mtime, stat.st_mtime_nsec as u32),
        Timestamp::new(stat.st_ctime, stat.st_ctime_nsec as u32),
    ];
    Seen { facts, ino: stat.st_ino, times }
}

fn oflags(flags: Flags) -> OFlags {
    let access = match (flags.read, flags.write || flags.append) {
        (_, false) => OFlags::RDONLY,
        (false, true) => OFlags::WRONLY,
        (true, true) => OFlags::RDWR,
    };
    let wanted = [
        (flags.append, OFlags::APPEND),
        (flags.truncate, OFlags::TRUNC),
        (flags.create, OFlags::CREATE),
        (flags.create_new, OFlags::CREATE | OFlags::EXCL),
        (flags.directory, OFlags::DIRECTORY),
        (flags.no_follow, OFlags::NOFOLLOW),
        (flags.temporary, OFlags::TMPFILE),
    ];
    // Nobody waits for the other end of a fifo.
    let base = access | OFlags::NONBLOCK | OFlags::CLOEXEC;
    wanted.iter().filter(|(set, _)| *set).fold(base, |all, (_, flag)| all | *flag)
}

pub(super) fn timespec(when: When) -> fs::Timespec {
    match when {
        When::At(tv_sec, nanos) => fs::Timespec { tv_sec, tv_nsec: nanos.into() },
        When::Now => fs::Timespec { tv_sec: 0, tv_nsec: fs::UTIME_NOW },
        When::Omit => fs::Timespec { tv_sec: 0, tv_nsec: fs::UTIME_OMIT },
    }
}

fn xattr_flags(how: Xattr) -> XattrFlags {
    match how {
        Xattr::Any => XattrFlags::empty(),
        Xattr::Create => XattrFlags::CREATE,
        Xattr::Replace => XattrFlags::REPLACE,
    }
}
