//! Contents in parts: what a container wrote, over what committed layers changed, over what the first layer has.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use im::OrdMap;

use super::source::Origin;
use super::{CHUNK, HOLES_MAX, gather, overwritten, too_large};

/// - `own` and `sealed` are keyed by chunk number; a chunk's bytes past the end of its `Bytes` are zeros.
/// - No chunk reaches past `len`; `sealed` and the first `origin_len` bytes of `origin` count only up to `lower_len`,
///   which is at most `len`.
/// - `own_bytes` is the sum of the lengths in `own`; `data_bytes` is the sum of what is visible of all chunks.
#[derive(Clone)]
pub(crate) struct Chunks {
    len: u64,
    lower_len: u64,
    origin: Origin,
    origin_len: u64,
    sealed: OrdMap<u64, Chunk>,
    own: OrdMap<u64, Chunk>,
    own_bytes: u64,
    data_bytes: u64,
}

/// A chunk that hides what lies below it.
#[derive(Clone)]
enum Chunk {
    Data(Bytes),
    Hole,
}

impl Chunk {
    fn len(&self) -> u64 {
        match self {
            Self::Data(bytes) => bytes.len() as u64,
            Self::Hole => 0,
        }
    }
}

impl Chunks {
    pub(super) fn over(origin: Origin) -> Self {
        let len = origin.len();
        let (sealed, own) = (OrdMap::new(), OrdMap::new());
        Self {
            len,
            lower_len: len,
            origin,
            origin_len: len,
            sealed,
            own,
            own_bytes: 0,
            data_bytes: len,
        }
    }

    /// Bytes that a container wrote, cut into chunks without a copy.
    pub(super) fn owning(bytes: &Bytes) -> Self {
        let mut chunks = Self::over(Origin::NONE);
        chunks.len = bytes.len() as u64;
        for index in 0..chunks.len.div_ceil(CHUNK) {
            let start = index * CHUNK;
            chunks.put(index, bytes.slice(start as usize..chunks.len.min(start + CHUNK) as usize));
        }
        chunks
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn own_bytes(&self) -> u64 {
        self.own_bytes
    }

    pub(super) fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// How many bytes from the start of a chunk are data; the rest of it is a hole.
    fn data_len(&self, index: u64) -> u64 {
        match self.own.get(&index) {
            Some(chunk) => chunk.len(),
            None => self.lower_data_len(index),
        }
    }

    fn lower_data_len(&self, index: u64) -> u64 {
        let below = |end: u64| end.saturating_sub(index * CHUNK).min(CHUNK);
        match self.sealed.get(&index) {
            Some(chunk) => chunk.len().min(below(self.lower_len)),
            None => below(self.lower_len.min(self.origin_len)),
        }
    }

    /// The chunks of a range that may have data: work on a file of 2^63 bytes is done for what it has, not for its holes.
    fn with_data(&self, range: Range<u64>) -> impl Iterator<Item = u64> + use<> {
        let of_origin = self.lower_len.min(self.origin_len).div_ceil(CHUNK).min(range.end);
        let start = range.start.max(of_origin);
        let changed = |map: &OrdMap<u64, Chunk>| {
            let indexes = map.range(start..).map(|(&index, _)| index);
            indexes.take_while(|&index| index < range.end).collect::<Vec<_>>()
        };
        let mut rest = [changed(&self.own), changed(&self.sealed)].concat();
        rest.sort_unstable();
        rest.dedup();
        (range.start..of_origin).chain(rest)
    }

    fn may_have_data(&self, index: u64) -> bool {
        index < self.lower_len.min(self.origin_len).div_ceil(CHUNK)
            || self.own.contains_key(&index)
            || self.sealed.contains_key(&index)
    }

    /// The parts of the chunks of a range that may have data.
    fn pieces_with_data(&self, offset: u64, len: u64) -> impl Iterator<Item = Piece> + use<> {
        let end = offset + len;
        let chunks = if len == 0 { 0..0 } else { offset / CHUNK..end.div_ceil(CHUNK) };
        self.with_data(chunks).map(move |index| piece(index, offset, end))
    }

    /// The data of a chunk, as long as [`data_len`](Self::data_len).
    fn chunk(&self, index: u64) -> io::Result<Bytes> {
        let len = self.data_len(index);
        match self.own.get(&index).or_else(|| self.sealed.get(&index)) {
            Some(Chunk::Data(bytes)) => Ok(bytes.slice(..len as usize)),
            Some(Chunk::Hole) => Ok(Bytes::new()),
            None if len == 0 => Ok(Bytes::new()),
            None => self.origin.range(index * CHUNK, index * CHUNK + len),
        }
    }

    /// Reads a range within the length.
    pub(super) fn range(&self, start: u64, end: u64) -> io::Result<Bytes> {
        let untouched = self.own.is_empty() && self.sealed.is_empty();
        if untouched && end <= self.lower_len.min(self.origin_len) {
            return self.origin.range(start, end);
        }
        if start < end && start / CHUNK == (end - 1) / CHUNK {
            let (from, to) = ((start % CHUNK) as usize, ((end - 1) % CHUNK + 1) as usize);
            let chunk = self.chunk(start / CHUNK)?;
            if to <= chunk.len() {
                return Ok(chunk.slice(from..to));
            }
        }
        if end - start > self.data_bytes.saturating_add(HOLES_MAX) {
            return Err(too_large("it has more than 1 GiB of holes: read it in parts"));
        }
        gather(end - start, |at, part| self.read_into(start + at, part))
    }

    /// Fills `buf` from `start`; both ends lie within the length.
    pub(super) fn read_into(&self, start: u64, buf: &mut [u8]) -> io::Result<()> {
        for piece in pieces(start, buf.len() as u64) {
            let target = &mut buf[piece.at..piece.at + piece.len()];
            let chunk = self.chunk(piece.index)?;
            let data = chunk
                .get(piece.from.min(chunk.len())..piece.to.min(chunk.len()))
                .unwrap_or_default();
            target[..data.len()].copy_from_slice(data);
            target[data.len()..].fill(0);
        }
        Ok(())
    }

    pub(super) fn write_cost(&self, offset: u64, len: u64) -> u64 {
        let own = |index| self.own.get(&index).map_or(0, Chunk::len);
        pieces(offset, len)
            .map(|piece| self.data_len(piece.index).max(piece.to as u64) - own(piece.index))
            .sum()
    }

    pub(super) fn write(&mut self, offset: u64, data: &Bytes) -> io::Result<()> {
        let edges = self.load_edges(offset, data.len() as u64)?;
        self.len = self.len.max(offset + data.len() as u64);
        for piece in pieces(offset, data.len() as u64) {
            let part = data.slice(piece.at..piece.at + piece.len());
            if piece.from == 0 && piece.to as u64 >= self.data_len(piece.index) {
                self.put(piece.index, part);
                continue;
            }
            let old =
                self.take_own(piece.index).or_else(|| edges.get(piece.index)).unwrap_or_default();
            self.put(piece.index, overwritten(old, piece.from as u64, piece.to as u64, &part));
        }
        Ok(())
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let first_gone = len.div_ceil(CHUNK);
        let cut: Vec<u64> = self.own.range(len / CHUNK..).map(|(&index, _)| index).collect();
        for index in cut {
            match self.own.get(&index) {
                Some(Chunk::Data(bytes)) if index < first_gone => {
                    let kept = bytes.slice(..bytes.len().min((len % CHUNK) as usize));
                    self.put(index, kept);
                }
                Some(_) if index >= first_gone => self.forget(index),
                _ => {}
            }
        }
        if len < self.lower_len {
            let lost = self.lower_visible_from(len);
            self.lower_len = len;
            self.data_bytes -= lost;
        }
        self.len = len;
    }

    /// Data bytes of the lower part at and after `from` that no own chunk hides. O(chunks changed by layers).
    fn lower_visible_from(&self, from: u64) -> u64 {
        // An origin without changed chunks above it is counted in one step.
        if self.own.is_empty() && self.sealed.is_empty() {
            return self.lower_len.min(self.origin_len).saturating_sub(from);
        }
        let visible = |chunk: u64| {
            let from = from.saturating_sub(chunk * CHUNK);
            self.lower_data_len(chunk).saturating_sub(from)
        };
        let chunks = self.with_data(from / CHUNK..self.lower_len.div_ceil(CHUNK));
        chunks.filter(|chunk| !self.own.contains_key(chunk)).map(visible).sum()
    }

    pub(super) fn punch_cost(&self, offset: u64, len: u64) -> u64 {
        let own = |index| self.own.get(&index).map_or(0, Chunk::len);
        let len = len.min(self.len.saturating_sub(offset));
        let (mut added, mut freed) = (0, 0);
        for piece in self.pieces_with_data(offset, len) {
            if self.is_zeroed_in_part(&piece) {
                added += self.data_len(piece.index) - own(piece.index);
            } else if piece.from == 0 {
                freed += own(piece.index);
            }
        }
        added.saturating_sub(freed)
    }

    pub(super) fn punch_hole(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let len = len.min(self.len.saturating_sub(offset));
        let edges = self.load_edges(offset, len)?;
        for piece in self.pieces_with_data(offset, len) {
            let data_len = self.data_len(piece.index);
            if piece.from == 0 && piece.to as u64 >= data_len {
                self.hide(piece.index);
            } else if self.is_zeroed_in_part(&piece) {
                let old = self
                    .take_own(piece.index)
                    .or_else(|| edges.get(piece.index))
                    .unwrap_or_default();
                let to = (piece.to as u64).min(data_len);
                let zeros = vec![0; to as usize - piece.from];
                self.put(piece.index, overwritten(old, piece.from as u64, to, &zeros));
            }
        }
        Ok(())
    }

    fn is_zeroed_in_part(&self, piece: &Piece) -> bool {
        let data_len = self.data_len(piece.index);
        let whole = piece.from == 0 && piece.to as u64 >= data_len;
        !whole && (piece.from as u64) < data_len
    }

    pub(super) fn next_data(&self, offset: u64) -> Option<u64> {
        let mut index = offset / CHUNK;
        if self.data_len(index) > offset % CHUNK {
            return Some(offset);
        }
        // Lower data is contiguous but for changed chunks: step, but never over more than the changed ones.
        while index * CHUNK < self.len {
            index += 1;
            if index * CHUNK >= self.lower_len.min(self.origin_len) {
                let next =
                    |map: &OrdMap<u64, Chunk>| map.range(index..).map(|(&index, _)| index).next();
                index = [next(&self.own), next(&self.sealed)].into_iter().flatten().min()?;
            }
            if self.data_len(index) > 0 {
                return Some(index * CHUNK).filter(|&data| data < self.len);
            }
        }
        None
    }

    pub(super) fn next_hole(&self, offset: u64) -> u64 {
        let mut index = offset / CHUNK;
        if self.data_len(index) <= offset % CHUNK {
            return offset;
        }
        while index * CHUNK < self.len && self.data_len(index) == CHUNK {
            index += 1;
        }
        (index * CHUNK + self.data_len(index)).min(self.len)
    }

    /// Makes what the container wrote part of the lower contents.
    pub(super) fn seal(&mut self) {
        // Chunks that a truncation cut must not show their ends again when the file grows.
        for (&index, chunk) in self.sealed.clone().range(self.lower_len / CHUNK..) {
            let visible = self.lower_data_len(index);
            if visible < chunk.len() {
                let kept = if let Chunk::Data(bytes) = chunk {
                    bytes.slice(..visible as usize)
                } else {
                    Bytes::new()
                };
                self.sealed.insert(index, Chunk::Data(kept));
            }
        }
        self.origin_len = self.origin_len.min(self.lower_len);
        for (&index, chunk) in &std::mem::take(&mut self.own) {
            self.sealed.insert(index, chunk.clone());
        }
        self.lower_len = self.len;
        self.own_bytes = 0;
    }

    pub(super) fn same_bytes(&self, other: &Self) -> io::Result<bool> {
        let same_lower = self.origin.same(&other.origin)
            && (self.origin_len, self.lower_len) == (other.origin_len, other.lower_len);
        if same_lower && self.sealed.ptr_eq(&other.sealed) && self.own.ptr_eq(&other.own) {
            return Ok(true);
        }
        let all = 0..self.len.div_ceil(CHUNK);
        let others = other.with_data(all.clone()).filter(|&index| !self.may_have_data(index));
        for index in self.with_data(all).chain(others) {
            let untouched = |map: &OrdMap<u64, Chunk>| map.get(&index).is_none();
            let shared = same_lower
                && [&self.own, &self.sealed, &other.own, &other.sealed].into_iter().all(untouched);
            if !shared && !same_with_zeros(&self.chunk(index)?, &other.chunk(index)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sets a chunk's own bytes and counts.
    pub(super) fn put(&mut self, index: u64, bytes: Bytes) {
        let new = bytes.len() as u64;
        self.data_bytes += new;
        self.data_bytes -= self.data_len(index);
        self.own_bytes += new;
        self.own_bytes -= self.own.insert(index, Chunk::Data(bytes)).map_or(0, |old| old.len());
    }

    /// Takes own bytes out to change them in place; they still count, until `put` brings them back.
    fn take_own(&mut self, index: u64) -> Option<Bytes> {
        match self.own.get_mut(&index)? {
            Chunk::Hole => Some(Bytes::new()),
            Chunk::Data(bytes) => {
                let taken = std::mem::take(bytes);
                self.own_bytes -= taken.len() as u64;
                self.data_bytes -= taken.len() as u64;
                Some(taken)
            }
        }
    }

    /// Takes the own chunk away at the end of the file, where nothing lower shows through.
    fn forget(&mut self, index: u64) {
        let gone = self.own.remove(&index).map_or(0, |chunk| chunk.len());
        self.own_bytes -= gone;
        self.data_bytes -= gone;
        // What shows through until `lower_len` is cut, too.
        self.data_bytes += self.lower_data_len(index);
    }

    /// Makes a whole chunk a hole.
    fn hide(&mut self, index: u64) {
        self.data_bytes -= self.data_len(index);
        self.own_bytes -= self.own.remove(&index).map_or(0, |chunk| chunk.len());
        if self.lower_data_len(index) > 0 {
            self.own.insert(index, Chunk::Hole);
        }
    }

    /// Reads the chunks that a change of a range keeps in part, before anything is changed.
    fn load_edges(&self, offset: u64, len: u64) -> io::Result<Edges> {
        let mut edges = Edges::default();
        for piece in
            [pieces(offset, len).next(), pieces(offset, len).next_back()].into_iter().flatten()
        {
            let kept_in_part = piece.from > 0 || (piece.to as u64) < self.data_len(piece.index);
            if kept_in_part
                && !self.own.contains_key(&piece.index)
                && edges.get(piece.index).is_none()
            {
                edges.0.push((piece.index, self.chunk(piece.index)?));
            }
        }
        Ok(edges)
    }
}

/// At most two chunks, by number.
#[derive(Default)]
struct Edges(Vec<(u64, Bytes)>);

impl Edges {
    fn get(&self, index: u64) -> Option<Bytes> {
        self.0.iter().find(|(edge, _)| *edge == index).map(|(_, bytes)| bytes.clone())
    }
}

/// The part of a range that lies in one chunk: bytes `from..to` of chunk `index`, `at` bytes into the range.
struct Piece {
    index: u64,
    from: usize,
    to: usize,
    at: usize,
}

impl Piece {
    fn len(&self) -> usize {
        self.to - self.from
    }
}

fn pieces(offset: u64, len: u64) -> impl DoubleEndedIterator<Item = Piece> {
    let end = offset + len;
    let chunks = if len == 0 { 0..0 } else { offset / CHUNK..end.div_ceil(CHUNK) };
    chunks.map(move |index| piece(index, offset, end))
}

/// The part of `offset..end` that lies in a chunk.
fn piece(index: u64, offset: u64, end: u64) -> Piece {
    let start = index * CHUNK;
    let from = offset.saturating_sub(start);
    let to = (end - start).min(CHUNK);
    Piece { index, from: from as usize, to: to as usize, at: (start + from - offset) as usize }
}

/// Compares two chunks of which either may leave out zeros at its end.
fn same_with_zeros(a: &[u8], b: &[u8]) -> bool {
    let common = a.len().min(b.len());
    a[..common] == b[..common]
        && [&a[common..], &b[common..]].concat().iter().all(|&byte| byte == 0)
}
