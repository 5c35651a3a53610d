//! The records of a table of contents: one entry of a layer each, written and read in one place.

use std::sync::Arc;

use bytes::Bytes;

use crate::attr::{Device, Time, Timestamp};
use crate::content::{CHUNK, Content, Extent, Source};
use crate::digest::Digest;
use crate::layer::{Entry, What};
use crate::tree::{Dir, Inode, Node};

/// Contents that lie in no blob, such as those of a sparse file, are in the table itself, up to so many bytes.
const INLINE_MAX: u64 = 64 << 20;

const WHITEOUT: u8 = 0;
const OPAQUE_WHITEOUT: u8 = 1;
const LINK: u8 = 2;
const DIR: u8 = 3;
const EXTENT: u8 = 4;
const INLINE: u8 = 5;
const SYMLINK: u8 = 6;
const FIFO: u8 = 7;
const SOCKET: u8 = 8;
const CHAR_DEVICE: u8 = 9;
const BLOCK_DEVICE: u8 = 10;

const KIND: u8 = 0x0f;
const OPAQUE: u8 = 0x10;
const HAS_XATTRS: u8 = 0x20;
/// Hard links name this object.
const IS_LINKED: u8 = 0x40;

pub(super) struct Writer {
    out: Vec<u8>,
    path: Vec<u8>,
}

impl Writer {
    pub(super) fn new(magic: &[u8], version: u64) -> Self {
        let mut writer = Self { out: magic.to_vec(), path: Vec::new() };
        writer.number(version);
        writer
    }

    pub(super) fn written(&self) -> &[u8] {
        &self.out
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    /// `None` if the bytes of a file can be in no table.
    pub(super) fn entry(
        &mut self,
        entry: &Entry,
        is_linked: bool,
        sources: &[Arc<dyn Source>],
    ) -> Option<()> {
        let shared = self.path.iter().zip(&*entry.path).take_while(|(a, b)| a == b).count();
        self.number(shared as u64);
        self.bytes(&entry.path[shared..]);
        self.path = entry.path.to_vec();
        match &entry.what {
            What::Whiteout => self.out.push(WHITEOUT),
            What::Opaque => self.out.push(OPAQUE_WHITEOUT),
            What::Link(target) => {
                self.out.push(LINK);
                self.bytes(target);
            }
            What::Object { inode, opaque } => {
                let mut flags = kind(&inode.node);
                flags |= if *opaque { OPAQUE } else { 0 };
                flags |= if is_linked { IS_LINKED } else { 0 };
                self.inode(flags, inode);
                self.node(&inode.node, sources)?;
            }
        }
        Some(())
    }

    fn inode(&mut self, flags: u8, inode: &Inode) {
        let xattrs: Vec<_> = inode.xattrs.iter().collect();
        self.out.push(flags | if xattrs.is_empty() { 0 } else { HAS_XATTRS });
        let time = inode.times.get(Time::Modified);
        self.number(inode.mode.into());
        self.number(inode.uid.into());
        self.number(inode.gid.into());
        // Zigzag, so that times before 1970 are short too.
        self.number(((time.secs() << 1) ^ (time.secs() >> 63)).cast_unsigned());
        self.number(time.nanos().into());
        if !xattrs.is_empty() {
            self.number(xattrs.len() as u64);
        }
        for (name, value) in xattrs {
            self.bytes(name);
            self.bytes(value);
        }
    }

    fn node(&mut self, node: &Node, sources: &[Arc<dyn Source>]) -> Option<()> {
        match node {
            Node::File(Content::Extent(extent)) => {
                let is_it = |source: &Arc<dyn Source>| Arc::ptr_eq(source, &extent.source);
                self.number(sources.iter().position(is_it)? as u64);
                self.number(extent.start);
                self.number(extent.len);
            }
            Node::File(content) => self.inline(content)?,
            Node::Symlink(target) => self.bytes(target),
            Node::CharDevice(device) | Node::BlockDevice(device) => {
                self.number(device.major.into());
                self.number(device.minor.into());
            }
            Node::Dir(_) | Node::Fifo | Node::Socket => {}
        }
        Some(())
    }

    fn inline(&mut self, content: &Content) -> Option<()> {
        self.number(content.len());
        if content.data_bytes() > INLINE_MAX {
            return None;
        }
        let mut chunks = Vec::new();
        let mut next = content.next_data(0);
        while let Some(data) = next {
            let index = data / CHUNK;
            chunks.push((index, content.read(index * CHUNK, CHUNK).ok()?));
            next = content.next_data((index + 1) * CHUNK);
        }
        self.number(chunks.len() as u64);
        for (index, bytes) in chunks {
            self.number(index);
            self.bytes(&bytes);
        }
        Some(())
    }
}

fn kind(node: &Node) -> u8 {
    match node {
        Node::Dir(_) => DIR,
        Node::File(Content::Extent(_)) => EXTENT,
        Node::File(_) => INLINE,
        Node::Symlink(_) => SYMLINK,
        Node::Fifo => FIFO,
        Node::Socket => SOCKET,
        Node::CharDevice(_) => CHAR_DEVICE,
        Node::BlockDevice(_) => BLOCK_DEVICE,
    }
}

/// Reads what a [`Writer`] wrote; every `None` means that it did not.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    path: Vec<u8>,
}

/// What a record says of its path.
pub(super) struct Record {
    pub(super) what: What,
    pub(super) is_linked: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, path: Vec::new() }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The path of the last record.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn number32(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let bytes = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(bytes)
    }

    pub(super) fn digest(&mut self) -> Option<Digest> {
        Some(Digest::from_bytes(self.bytes()?.try_into().ok()?))
    }

    pub(super) fn record(&mut self, sources: &[Arc<dyn Source>]) -> Option<Record> {
        let shared = usize::try_from(self.number()?).ok().filter(|&len| len <= self.path.len())?;
        self.path.truncate(shared);
        let rest = self.bytes()?;
        self.path.extend_from_slice(rest);
        let flags = self.byte()?;
        let what = match flags & KIND {
            WHITEOUT => What::Whiteout,
            OPAQUE_WHITEOUT => What::Opaque,
            LINK => What::Link(self.bytes()?.into()),
            kind => {
                let inode = self.inode(flags)?;
                let node = self.node(kind, sources)?;
                What::Object { inode: Inode { node, ..inode }, opaque: flags & OPAQUE != 0 }
            }
        };
        Some(Record { what, is_linked: flags & IS_LINKED != 0 })
    }

    /// All but what the object holds.
    fn inode(&mut self, flags: u8) -> Option<Inode> {
        let mode = self.number32()?;
        let owner = (self.number32()?, self.number32()?);
        let zigzag = self.number()?;
        let secs = (zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed());
        let time = Timestamp::new(secs, self.number32()?);
        let mut inode = Inode::new(Node::Fifo, mode, owner, time);
        if flags & HAS_XATTRS != 0 {
            for _ in 0..self.number()? {
                let name = self.bytes()?;
                inode.xattrs.insert(name, Bytes::copy_from_slice(self.bytes()?));
            }
            inode.xattrs = inode.xattrs.sealed();
        }
        Some(inode)
    }

    fn node(&mut self, kind: u8, sources: &[Arc<dyn Source>]) -> Option<Node> {
        Some(match kind {
            DIR => Node::Dir(Dir::default()),
            EXTENT => {
                let source = Arc::clone(sources.get(usize::try_from(self.number()?).ok()?)?);
                let (start, len) = (self.number()?, self.number()?);
                start.checked_add(len).filter(|&end| end <= source.len())?;
                Node::File(Content::Extent(Extent { source, start, len }))
            }
            INLINE => Node::File(self.inline()?),
            SYMLINK => Node::Symlink(self.bytes()?.into()),
            FIFO => Node::Fifo,
            SOCKET => Node::Socket,
            CHAR_DEVICE => Node::CharDevice(self.device()?),
            BLOCK_DEVICE => Node::BlockDevice(self.device()?),
            _ => return None,
        })
    }

    fn device(&mut self) -> Option<Device> {
        Some(Device { major: self.number32()?, minor: self.number32()? })
    }

    fn inline(&mut self) -> Option<Content> {
        let len = self.number()?;
        let mut chunks = Vec::new();
        for _ in 0..self.number()? {
            let (index, bytes) = (self.number()?, self.bytes()?);
            let end = index.checked_mul(CHUNK)?.checked_add(bytes.len() as u64)?;
            if bytes.len() as u64 > CHUNK || end > len {
                return None;
            }
            chunks.push((index, Bytes::copy_from_slice(bytes)));
        }
        Some(match &chunks[..] {
            [(0, bytes)] if bytes.len() as u64 == len => Content::lower(bytes.clone()),
            [] if len == 0 => Content::EMPTY,
            _ => Content::sparse(len, chunks),
        })
    }
}
