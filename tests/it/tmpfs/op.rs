//! Operations as data, and how a random one is made.

use std::io::SeekFrom;

use crate::random::Random;

/// How many handles a sequence can have open.
pub(super) const SLOTS: usize = 4;

/// What an operation on attributes works on.
#[derive(Clone, Debug)]
pub(super) enum On {
    Path(String),
    /// The path, but not through a symbolic link at its end.
    Link(String),
    Slot(usize),
}

#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of open(2)")]
pub(super) struct Flags {
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) append: bool,
    pub(super) truncate: bool,
    pub(super) create: bool,
    pub(super) create_new: bool,
    pub(super) directory: bool,
    pub(super) no_follow: bool,
    pub(super) temporary: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Special {
    Fifo,
    Socket,
    Char(u32, u32),
    Block(u32, u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rename {
    Replace,
    NoReplace,
    Exchange,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Xattr {
    Any,
    Create,
    Replace,
}

/// A time to set: seconds and nanoseconds, the present, or nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    At(i64, u32),
    Now,
    Omit,
}

/// So many equal bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill(pub(super) usize, pub(super) u8);

impl Fill {
    pub(super) fn bytes(self) -> Vec<u8> {
        vec![self.1; self.0]
    }
}

#[derive(Clone, Debug)]
pub(super) enum Op {
    Open {
        slot: usize,
        path: String,
        flags: Flags,
        mode: u32,
    },
    Close {
        slot: usize,
    },
    /// Puts a duplicate in the place of a handle.
    Duplicate {
        slot: usize,
    },
    ReadAt {
        slot: usize,
        offset: u64,
        len: usize,
    },
    WriteAt {
        slot: usize,
        offset: u64,
        data: Fill,
    },
    Read {
        slot: usize,
        len: usize,
    },
    Write {
        slot: usize,
        data: Fill,
    },
    Seek {
        slot: usize,
        to: SeekFrom,
    },
    SetLen {
        slot: usize,
        len: u64,
    },
    Allocate {
        slot: usize,
        offset: u64,
        len: u64,
    },
    Punch {
        slot: usize,
        offset: u64,
        len: u64,
    },
    CopyRange {
        slot: usize,
        offset: u64,
        to: usize,
        to_offset: u64,
        len: u64,
    },
    NextData {
        slot: usize,
        offset: u64,
    },
    NextHole {
        slot: usize,
        offset: u64,
    },
    LinkFile {
        slot: usize,
        path: String,
    },
    ReadPath {
        path: String,
    },
    WritePath {
        path: String,
        data: Fill,
    },
    AppendPath {
        path: String,
        data: Fill,
    },
    Mkdir {
        path: String,
        mode: u32,
    },
    Rmdir {
        path: String,
    },
    Unlink {
        path: String,
    },
    Rename {
        from: String,
        to: String,
        how: Rename,
    },
    HardLink {
        from: String,
        to: String,
    },
    Symlink {
        target: String,
        path: String,
    },
    ReadLink {
        path: String,
    },
    Mknod {
        path: String,
        mode: u32,
        what: Special,
    },
    Stat {
        on: On,
    },
    List {
        on: On,
    },
    Chmod {
        on: On,
        mode: u32,
    },
    Chown {
        on: On,
        uid: Option<u32>,
        gid: Option<u32>,
    },
    Utimens {
        on: On,
        accessed: When,
        modified: When,
    },
    SetXattr {
        on: On,
        name: String,
        value: Fill,
        how: Xattr,
    },
    RemoveXattr {
        on: On,
        name: String,
    },
    Xattr {
        on: On,
        name: String,
    },
    Xattrs {
        on: On,
    },
}

/// Names that the start image has, too.
const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "l", "u"];
const MODES: [u32; 12] =
    [0o000, 0o644, 0o600, 0o755, 0o700, 0o750, 0o711, 0o777, 0o4755, 0o2755, 0o6644, 0o1755];
/// Around page, chunk and file ends.
const OFFSETS: [u64; 12] = [0, 0, 1, 5, 100, 4095, 4096, 65_535, 65_536, 65_537, 131_072, 200_000];
const LENGTHS: [usize; 9] = [0, 1, 3, 10, 100, 4096, 65_536, 70_000, 131_072];
const XATTRS: [&str; 8] =
    ["user.a", "user.b", "trusted.a", "trusted.b", "user.", "bad.name", "nodot", "security.strata"];

/// Makes the operations of one sequence.
pub(super) struct Ops {
    random: Random,
    /// What is there, so that most operations find something.
    known: Known,
}

/// Paths that lead to something, and slots that are open.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) paths: Vec<String>,
    pub(super) slots: Vec<usize>,
}

impl Ops {
    pub(super) fn new(random: Random) -> Self {
        Self { random, known: Known::default() }
    }

    pub(super) fn next(&mut self, known: Known) -> Op {
        self.known = known;
        match self.random.below(10) {
            0..2 => self.open_or_close(),
            2..5 => self.by_handle(),
            5..8 => self.names(),
            8 => self.by_path(),
            _ => self.attributes(),
        }
    }

    fn open_or_close(&mut self) -> Op {
        let slot = self.slot();
        match self.random.below(8) {
            1.. if self.known.slots.len() < SLOTS => {
                let slot = self.random.below(SLOTS as u64) as usize;
                Op::Open { slot, path: self.path(), flags: self.flags(), mode: self.mode() }
            }
            0 => Op::Close { slot },
            1 => Op::Duplicate { slot },
            2 => Op::LinkFile { slot, path: self.path() },
            _ => Op::Open { slot, path: self.path(), flags: self.flags(), mode: self.mode() },
        }
    }

    fn by_handle(&mut self) -> Op {
        if self.known.slots.len() < 2 && !self.random.one_in(4) {
            return self.open_or_close();
        }
        let (slot, offset, len) = (self.slot(), self.offset(), self.len());
        match self.random.below(14) {
            0 => Op::ReadAt { slot, offset, len },
            1..4 => Op::WriteAt { slot, offset, data: self.fill() },
            4 => Op::Read { slot, len },
            5 => Op::Write { slot, data: self.fill() },
            6 => Op::Seek { slot, to: self.seek() },
            7..9 => Op::SetLen { slot, len: offset },
            9 => Op::Allocate { slot, offset, len: len as u64 },
            10 => Op::Punch { slot, offset, len: len as u64 },
            11 => {
                let (to, to_offset) = (self.slot(), self.offset());
                Op::CopyRange { slot, offset, to, to_offset, len: len as u64 }
            }
            12 => Op::NextData { slot, offset },
            _ => Op::NextHole { slot, offset },
        }
    }

    fn names(&mut self) -> Op {
        let path = self.path();
        if self.random.one_in(2) {
            return self.new_name(path);
        }
        match self.random.below(16) {
            0..3 => Op::Mkdir { path, mode: self.mode() },
            3 => Op::Rmdir { path },
            4 => Op::Unlink { path },
            5..9 => Op::Rename { from: path, to: self.path(), how: self.rename() },
            9..11 => Op::HardLink { from: path, to: self.path() },
            11..13 => Op::Symlink { target: self.target(), path },
            13 => Op::ReadLink { path },
            14 => Op::Mknod { path, mode: self.mode(), what: self.special() },
            _ => Op::List { on: self.on() },
        }
    }

    /// What gives a name that is probably free, so that it succeeds.
    fn new_name(&mut self, path: String) -> Op {
        let free = self.free();
        match self.random.below(8) {
            0..2 => Op::Mkdir { path: free, mode: self.mode() },
            2 => Op::Symlink { target: self.target(), path: free },
            3 => Op::Mknod { path: free, mode: self.mode(), what: self.special() },
            4 => Op::HardLink { from: path, to: free },
            5 => Op::Rename { from: path, to: free, how: self.rename() },
            6 => Op::Unlink { path: self.plain() },
            _ => Op::Rmdir { path: self.plain() },
        }
    }

    /// A new name beside something that is there.
    fn free(&mut self) -> String {
        let beside = self.plain();
        let dir = beside.rsplit_once('/').map_or("", |(dir, _)| dir);
        format!("/{dir}/{}", self.random.pick(&["f", "g", "h", "i", "j"]))
    }

    fn by_path(&mut self) -> Op {
        let path = self.path();
        match self.random.below(5) {
            0 => Op::ReadPath { path },
            1..3 => Op::WritePath { path, data: self.fill() },
            3 => Op::AppendPath { path, data: self.fill() },
            _ => Op::Stat { on: self.on() },
        }
    }

    fn attributes(&mut self) -> Op {
        let on = self.on();
        match self.random.below(9) {
            // The mode of a symbolic link cannot be changed in Linux either, but fchmodat2(2) is too new to ask.
            0..2 => Op::Chmod { on: self.followed(), mode: self.mode() },
            2 => {
                let id = |random: &mut Random| random.pick_number(&[None, Some(0), Some(1000)]);
                let uid = id(&mut self.random);
                let gid = self.random.pick_number(&[None, Some(0), Some(1000), Some(2000)]);
                // chown(2) of nothing clears setuid, an empty `Attrs` changes nothing.
                let uid = uid.or(if gid.is_none() { Some(1000) } else { None });
                Op::Chown { on, uid, gid }
            }
            3 => {
                let (accessed, modified) = self.times();
                Op::Utimens { on, accessed, modified }
            }
            4..6 => {
                let how = self.random.pick_number(&[Xattr::Any, Xattr::Create, Xattr::Replace]);
                Op::SetXattr { on: self.followed(), name: self.xattr(), value: self.small(), how }
            }
            6 => Op::RemoveXattr { on: self.followed(), name: self.xattr() },
            7 => Op::Xattr { on: self.followed(), name: self.xattr() },
            _ => Op::Xattrs { on: self.followed() },
        }
    }

    /// Combinations that `std::fs::OpenOptions` takes.
    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        match self.random.below(8) {
            0..2 => flags.read = true,
            2..4 => flags.write = true,
            4..6 => (flags.read, flags.write) = (true, true),
            6 => flags.append = true,
            _ => (flags.read, flags.append) = (true, true),
        }
        flags.no_follow = self.random.one_in(5);
        let writes = flags.write || flags.append;
        match self.random.below(10) {
            0 => flags.directory = true,
            1 if writes => flags.temporary = true,
            2..4 if writes => flags.create_new = true,
            4..8 if writes => flags.create = true,
            _ => {}
        }
        let may_cut = writes && !flags.directory && !flags.temporary;
        flags.truncate = may_cut && (flags.create_new || !flags.append) && self.random.one_in(3);
        flags
    }

    fn slot(&mut self) -> usize {
        if !self.known.slots.is_empty() && !self.random.one_in(10) {
            return self.random.pick_number(&self.known.slots);
        }
        self.random.below(SLOTS as u64) as usize
    }

    fn offset(&mut self) -> u64 {
        self.random.pick_number(&OFFSETS)
    }

    fn len(&mut self) -> usize {
        self.random.pick_number(&LENGTHS)
    }

    fn mode(&mut self) -> u32 {
        self.random.pick_number(&MODES)
    }

    fn fill(&mut self) -> Fill {
        Fill(self.len(), b'a' + self.random.below(26) as u8)
    }

    fn small(&mut self) -> Fill {
        Fill(self.random.below(20) as usize, b'a' + self.random.below(26) as u8)
    }

    fn seek(&mut self) -> SeekFrom {
        let by = 100_i64.saturating_sub_unsigned(self.random.below(200));
        match self.random.below(3) {
            0 => SeekFrom::Start(self.offset()),
            1 => SeekFrom::Current(by),
            _ => SeekFrom::End(by),
        }
    }

    fn rename(&mut self) -> Rename {
        let how = [Rename::Replace, Rename::Replace, Rename::NoReplace, Rename::Exchange];
        self.random.pick_number(&how)
    }

    fn special(&mut self) -> Special {
        let what = [
            Special::Fifo,
            Special::Socket,
            Special::Char(0, 0),
            Special::Char(7, 70_000),
            Special::Block(0, 0),
            Special::Block(4000, 9),
        ];
        self.random.pick_number(&what)
    }

    fn times(&mut self) -> (When, When) {
        let times =
            [When::At(-5, 7), When::At(1_000_000_000, 999_999_999), When::At(0, 0), When::Omit];
        if self.random.one_in(3) {
            return (When::Now, When::Now);
        }
        match (self.random.pick_number(&times), self.random.pick_number(&times)) {
            // utimensat(2) of nothing does not even look at the path.
            (When::Omit, When::Omit) => (When::Omit, When::At(3, 0)),
            times => times,
        }
    }

    fn xattr(&mut self) -> String {
        match self.random.below(40) {
            0 => format!("user.{}", "x".repeat(250)),
            1 => format!("user.{}", "x".repeat(251)),
            2 => String::new(),
            _ => self.random.pick(&XATTRS).into(),
        }
    }

    fn on(&mut self) -> On {
        if self.random.one_in(3) { On::Link(self.path()) } else { self.followed() }
    }

    fn followed(&mut self) -> On {
        if self.random.one_in(3) { On::Slot(self.slot()) } else { On::Path(self.path()) }
    }

    fn target(&mut self) -> String {
        match self.random.below(12) {
            0 => String::new(),
            1 => "../".into(),
            2 => "/".into(),
            3 => "x".repeat(self.random.pick_number(&[4095, 4096])),
            _ => self.path(),
        }
    }

    /// One to three names, in one of the ways in which a path can be spelt.
    fn path(&mut self) -> String {
        let plain = self.plain();
        let names: Vec<&str> = plain.split('/').collect();
        match self.random.below(36) {
            0..4 => plain,
            4 => format!("//{}", names.join("//")),
            5 => format!("/{}", names.join("/./")),
            6 => format!("/{}/../{plain}", names[0]),
            7 => format!("../{plain}"),
            8..10 => format!("/{plain}/"),
            10 => format!("/{plain}//"),
            11 => format!("/{plain}/."),
            12 => format!("/{plain}/.."),
            13 => format!("/{plain}/./"),
            14 => self.odd(),
            _ => format!("/{plain}"),
        }
    }

    fn plain(&mut self) -> String {
        let known = self.known.paths.len() as u64;
        if known > 0 && self.random.one_in(2) {
            return self.known.paths[self.random.below(known) as usize].clone();
        }
        let depth = 1 + self.random.below(5) / 2;
        (0..depth).map(|_| self.random.pick(&NAMES)).collect::<Vec<_>>().join("/")
    }

    fn odd(&mut self) -> String {
        match self.random.below(9) {
            0 => String::new(),
            1 => ".".into(),
            2 => "..".into(),
            3 => "/".into(),
            4 => "//".into(),
            5 => "n".repeat(255),
            6 => "n".repeat(256),
            7 => format!("/{}a", "a/../".repeat(819))[..self.random.pick_number(&[4095, 4096])]
                .into(),
            _ => format!("{}c", "./".repeat(2047)),
        }
    }
}
