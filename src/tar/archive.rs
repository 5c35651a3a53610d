//! An archive while its bytes come in: which of them are headers, which are contents, and where it ends.
//!
//! tar-core's parser is not used, only its layout of headers. That parser begins again at the first extended header
//! whenever one more block is needed, skips a single block of zeros, gives data to types that have none, and takes
//! numbers that do not fit for others. Here every byte is looked at once, and what is not right is an error.

use super::OP;
use super::changes::{Changes, Mark};
use super::files::{OpenFile, To};
use super::header::{self, BLOCK, Fields};
use super::member::{Extended, Kind, Member};
use super::options::{ReadOptions, Skipped, SkippedPart};
use super::place::Place;
use super::sparse::MapText;
use super::unpack::Contents;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::layer::{Layer, absolute};

/// How many times as long as those of one entry all extended headers may be.
const HEADERS_MAX: u64 = 4096;

pub(super) struct Archive<'a> {
    pub(super) options: &'a ReadOptions,
    pub(super) contents: Contents,
    pub(super) changes: Changes,
    skipped: Vec<Skipped>,
    state: State,
    pub(super) extended: Extended,
    /// A block of which only a part has come.
    block: Vec<u8>,
    /// How many bytes have come.
    pub(super) at: u64,
    /// How the archive spells the entry that it is at.
    path: Vec<u8>,
    entries: u64,
    headers: u64,
    sparse_budget: u64,
}

pub(super) enum State {
    Block(Block),
    /// So many bytes more.
    Bytes(u64, To),
    End,
}

/// What the next block is.
pub(super) enum Block {
    Header,
    /// The second of the two blocks of zeros at the end.
    SecondZero,
    /// Some more of GNU's list of pieces, for a file of so many bytes with so many of data.
    SparseHeader {
        file: OpenFile,
        len: u64,
        pieces: Vec<(u64, u64)>,
        data: u64,
    },
    /// Some more of the map before the data.
    SparseMap {
        file: OpenFile,
        len: u64,
        map: MapText,
        data: u64,
    },
}

impl<'a> Archive<'a> {
    pub(super) fn new(options: &'a ReadOptions, contents: Contents) -> Self {
        Self {
            options,
            contents,
            changes: Changes::new(options.strict),
            skipped: Vec::new(),
            state: State::Block(Block::Header),
            extended: Extended::default(),
            block: Vec::new(),
            at: 0,
            path: Vec::new(),
            entries: 0,
            headers: 0,
            sparse_budget: options.max_sparse_bytes,
        }
    }

    /// The next bytes. What comes after the end means nothing.
    pub(super) fn push(&mut self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() && !matches!(self.state, State::End) {
            let used = self.step(data).map_err(|fault| self.refuse(fault))?;
            data = &data[used..];
        }
        Ok(())
    }

    /// An error at the entry that the archive is at.
    pub(super) fn refuse(&self, fault: impl Into<Fault>) -> Error {
        Error::new(OP, &self.path, fault)
    }

    /// There are no more bytes.
    pub(super) fn finish(self) -> Result<(Layer, Vec<Skipped>)> {
        let is_whole = match self.state {
            State::End => true,
            State::Block(Block::Header | Block::SecondZero) => self.block.is_empty(),
            State::Block(_) | State::Bytes(..) => false,
        };
        if !is_whole {
            let rule = format!("the archive ends in the middle of it, after {} bytes", self.at);
            return Err(self.refuse(Fault::rule(ErrorKind::InvalidInput, rule)));
        }
        self.extended.check_empty().map_err(|fault| self.refuse(fault))?;
        Ok((self.changes.finish()?, self.skipped))
    }

    /// Takes some of the bytes, and says how many.
    fn step(&mut self, data: &[u8]) -> Result<usize, Fault> {
        match &mut self.state {
            State::End => Ok(data.len()),
            State::Bytes(left, to) => {
                let now = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
                to.take(&data[..now], *left, &mut self.sparse_budget)?;
                self.at += now as u64;
                *left -= now as u64;
                if *left == 0 {
                    let state = std::mem::replace(&mut self.state, State::End);
                    let State::Bytes(_, to) = state else { return Ok(now) };
                    self.put(to)?;
                    self.state = self.after_bytes();
                }
                Ok(now)
            }
            State::Block(_) => match data.first_chunk() {
                Some(block) if self.block.is_empty() => self.whole_block(block).map(|()| BLOCK),
                _ => {
                    let now = (BLOCK - self.block.len()).min(data.len());
                    self.block.extend_from_slice(&data[..now]);
                    if let Some(&block) = self.block.first_chunk() {
                        self.block.clear();
                        self.whole_block(&block)?;
                    }
                    Ok(now)
                }
            },
        }
    }

    fn whole_block(&mut self, block: &[u8; BLOCK]) -> Result<(), Fault> {
        self.at += BLOCK as u64;
        let State::Block(expected) = std::mem::replace(&mut self.state, State::End) else {
            return Ok(());
        };
        self.state = match expected {
            Block::Header => self.header(block)?,
            Block::SecondZero if is_zero(block) => State::End,
            Block::SecondZero => {
                let rule = "a header after one block of zeros";
                return Err(Fault::rule(ErrorKind::InvalidInput, rule));
            }
            Block::SparseHeader { file, len, mut pieces, data } => {
                let (more, is_continued) = header::more_sparse(block)?;
                pieces.extend(more);
                if is_continued {
                    self.check_regions(&pieces)?;
                    State::Block(Block::SparseHeader { file, len, pieces, data })
                } else {
                    self.sparse(file, len, pieces, data)?
                }
            }
            Block::SparseMap { file, len, mut map, data } => {
                let left = data.checked_sub(BLOCK as u64).ok_or_else(|| {
                    Fault::rule(ErrorKind::InvalidInput, "its sparse map is longer than its data")
                })?;
                match map.take(block)? {
                    Some(pieces) => self.sparse(file, len, pieces, left)?,
                    None => State::Block(Block::SparseMap { file, len, map, data: left }),
                }
            }
        };
        Ok(())
    }

    fn header(&mut self, block: &[u8; BLOCK]) -> Result<State, Fault> {
        if is_zero(block) {
            self.extended.check_empty()?;
            return Ok(State::Block(Block::SecondZero));
        }
        self.check_header(block)?;
        let fields = Fields::new(block);
        match fields.type_flag() {
            b'g' => {
                self.count()?;
                self.extended.check_empty()?;
                self.extended.check_len(fields.size()?, self.options.max_header_bytes)?;
                self.bytes(fields.size()?, To::Nowhere)
            }
            flag @ (b'x' | b'L' | b'K') => {
                let len = fields.size()?;
                self.extended.begin(flag, len, self.options.max_header_bytes)?;
                self.count_header(len)?;
                self.bytes(len, To::Extended(flag, Vec::new()))
            }
            _ => {
                self.count()?;
                let extended = std::mem::take(&mut self.extended);
                let member = Member::new(&fields, extended, &mut self.path)?;
                self.member(&fields, member)
            }
        }
    }

    fn check_header(&mut self, block: &[u8; BLOCK]) -> Result<(), Fault> {
        if header::is_header(block) {
            return Ok(());
        }
        let at = self.at - BLOCK as u64;
        let rule = match at {
            0 => "this is no tar archive, nor one that is compressed with gzip or zstd".to_owned(),
            _ => format!("what comes after it, at byte {at}, is no header: its checksum is wrong"),
        };
        Err(Fault::rule(ErrorKind::InvalidInput, rule))
    }

    /// What extended headers say is kept in memory, for all entries.
    fn count_header(&mut self, len: u64) -> Result<(), Fault> {
        self.headers += len;
        if self.headers > HEADERS_MAX.saturating_mul(self.options.max_header_bytes) {
            let rule = "all extended headers are longer than ReadOptions::max_header_bytes allows";
            return Err(Fault::rule(ErrorKind::QuotaExceeded, rule));
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Fault> {
        self.entries += 1;
        if self.entries > self.options.max_entries {
            let rule = "the archive has more entries than ReadOptions::max_entries";
            return Err(Fault::rule(ErrorKind::QuotaExceeded, rule));
        }
        Ok(())
    }

    /// So many bytes come next, then padding, then a header.
    pub(super) fn bytes(&mut self, len: u64, to: To) -> Result<State, Fault> {
        if len > 0 {
            return Ok(State::Bytes(len, to));
        }
        self.put(to)?;
        Ok(self.after_bytes())
    }

    /// Padding, if there is any, else a header.
    fn after_bytes(&self) -> State {
        match self.at % BLOCK as u64 {
            0 => State::Block(Block::Header),
            used => State::Bytes(BLOCK as u64 - used, To::Nowhere),
        }
    }

    fn member(&mut self, fields: &Fields<'_>, member: Member) -> Result<State, Fault> {
        let data = member.data_len;
        let hidden = match Place::of(&self.path, self.options.max_depth)? {
            Place::At(path) => return self.object(fields, member, path),
            Place::Whiteout(path) => {
                self.changes.mark(path, Mark::Whiteout)?;
                return self.bytes(data, To::Nowhere);
            }
            Place::Opaque(dir) => {
                self.changes.mark(dir, Mark::Opaque)?;
                return self.bytes(data, To::Nowhere);
            }
            Place::Aufs(path) => path,
        };
        self.skipped.push(Skipped { path: absolute(&hidden), what: SkippedPart::AufsEntry });
        if member.kind != Kind::File {
            return self.bytes(data, To::Nowhere);
        }
        let node = member.node(fields)?;
        let (inode, _) = member.inode(fields, node)?;
        self.file(OpenFile { path: hidden, inode, is_hidden: true }, data)
    }

    fn object(
        &mut self,
        fields: &Fields<'_>,
        mut member: Member,
        path: Box<[u8]>,
    ) -> Result<State, Fault> {
        if member.kind == Kind::Link {
            self.changes.link(path, &member.link)?;
            return self.bytes(0, To::Nowhere);
        }
        let (kind, data, sparse) = (member.kind, member.data_len, member.sparse.take());
        let node = member.node(fields)?;
        let (inode, skipped) = member.inode(fields, node)?;
        let skip = |what| Skipped { path: absolute(&path), what };
        self.skipped.extend(skipped.into_iter().map(skip));
        let file = OpenFile { path, inode, is_hidden: false };
        match (kind, sparse) {
            (Kind::File, None) => self.file(file, data),
            (Kind::File, Some(sparse)) => self.open_sparse(file, sparse, data),
            _ => {
                self.changes.object(file.path, file.inode)?;
                self.bytes(0, To::Nowhere)
            }
        }
    }
}

fn is_zero(block: &[u8; BLOCK]) -> bool {
    *block == [0; BLOCK]
}
