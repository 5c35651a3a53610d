//! Files with holes: which bytes of the archive lie where in the file (GNU tar manual, "Storing Sparse Files").

use bytes::Bytes;

use super::header::BLOCK;
use crate::content::{CHUNK, Content};
use crate::error::{ErrorKind, Fault};

pub(super) fn too_many() -> Fault {
    let rule = "it has more pieces of data than ReadOptions::max_sparse_regions";
    Fault::rule(ErrorKind::QuotaExceeded, rule)
}

fn malformed(rule: &'static str) -> Fault {
    Fault::rule(ErrorKind::InvalidInput, rule)
}

/// The map of version 1.0, which stands before the data: the number of pieces, then their offsets and lengths, each a line,
/// up to the end of a block.
#[derive(Debug)]
pub(super) struct MapText {
    /// The number that is being read, if it has begun.
    number: Option<u64>,
    count: Option<u64>,
    numbers: Vec<u64>,
    max_regions: u64,
}

impl MapText {
    pub(super) fn new(max_regions: u64) -> Self {
        Self { number: None, count: None, numbers: Vec::new(), max_regions }
    }

    /// One block more; the map, if it ends in it.
    pub(super) fn take(&mut self, block: &[u8; BLOCK]) -> Result<Option<Vec<(u64, u64)>>, Fault> {
        for byte in block {
            match (byte, self.number) {
                (b'0'..=b'9', number) => {
                    let digit = u64::from(byte - b'0');
                    let longer = number.unwrap_or(0).checked_mul(10);
                    let longer = longer.and_then(|number| number.checked_add(digit));
                    self.number =
                        Some(longer.ok_or_else(|| malformed("its sparse map overflows"))?);
                }
                (b'\n', Some(number)) => {
                    self.number = None;
                    if self.line(number)? {
                        let (pieces, _) = self.numbers.as_chunks();
                        return Ok(Some(pieces.iter().map(|&[at, len]| (at, len)).collect()));
                    }
                }
                _ => return Err(malformed("its sparse map has something else than numbers")),
            }
        }
        Ok(None)
    }

    /// Whether this was the last line.
    fn line(&mut self, number: u64) -> Result<bool, Fault> {
        match self.count {
            None if number > self.max_regions => return Err(too_many()),
            None => self.count = Some(number),
            Some(_) => self.numbers.push(number),
        }
        Ok(self.count.is_some_and(|count| self.numbers.len() as u64 == 2 * count))
    }
}

/// The contents of a file with holes while its data comes in, one piece after the other.
#[derive(Debug)]
pub(super) struct Sparse {
    len: u64,
    /// What is still to come, the next one last: (offset, length).
    pieces: Vec<(u64, u64)>,
    chunks: Vec<(u64, Bytes)>,
    open: (u64, Vec<u8>),
}

impl Sparse {
    /// Pieces come in their order, do not overlap, lie within the file, and are all the data there is.
    pub(super) fn new(len: u64, mut pieces: Vec<(u64, u64)>, data_len: u64) -> Result<Self, Fault> {
        let (mut end, mut data) = (0, 0);
        for &(offset, piece) in &pieces {
            let piece_end = offset.checked_add(piece).filter(|&end| end <= len);
            if offset < end {
                return Err(malformed("its pieces of data overlap or are not sorted"));
            }
            end = piece_end
                .ok_or_else(|| malformed("a piece of its data lies outside of the file"))?;
            data += piece;
        }
        if data != data_len {
            return Err(malformed("its pieces of data are not as long as its data"));
        }
        pieces.reverse();
        pieces.retain(|(_, len)| *len > 0);
        Ok(Self { len, pieces, chunks: Vec::new(), open: (0, Vec::new()) })
    }

    /// The next bytes. `budget` is what may still be kept, and becomes less.
    pub(super) fn take(&mut self, mut data: &[u8], budget: &mut u64) -> Result<(), Fault> {
        while let (false, Some((offset, left))) = (data.is_empty(), self.pieces.last_mut()) {
            let (index, start) = (*offset / CHUNK, (*offset % CHUNK) as usize);
            let room = (CHUNK - *offset % CHUNK).min(*left).min(data.len() as u64);
            let (now, later) = data.split_at(room as usize);
            data = later;
            *offset += room;
            *left -= room;
            if *left == 0 {
                self.pieces.pop();
            }
            if self.open.0 != index {
                self.close();
                self.open.0 = index;
            }
            let chunk = &mut self.open.1;
            let kept = (start + now.len()).saturating_sub(chunk.len()) as u64;
            *budget = budget.checked_sub(kept).ok_or_else(|| {
                let rule = "files with holes take more memory than ReadOptions::max_sparse_bytes";
                Fault::rule(ErrorKind::QuotaExceeded, rule)
            })?;
            chunk.resize(start, 0);
            chunk.extend_from_slice(now);
        }
        Ok(())
    }

    fn close(&mut self) {
        let (index, mut chunk) = std::mem::take(&mut self.open);
        if !chunk.is_empty() {
            chunk.shrink_to_fit();
            self.chunks.push((index, chunk.into()));
        }
    }

    pub(super) fn finish(mut self) -> Content {
        self.close();
        Content::sparse(self.len, self.chunks)
    }
}
