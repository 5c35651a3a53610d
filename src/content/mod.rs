//! The bytes of a file: shared until changed, changed by chunks, absent where there is a hole.

mod chunks;
mod source;

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use self::chunks::Chunks;
pub(crate) use self::source::Extent;
use self::source::Origin;
pub use self::source::Source;

/// Changes copy this many bytes at most: 64 KiB, measured as the best between the cost of a small write and of a map.
pub(crate) const CHUNK: u64 = 64 * 1024;

/// As many bytes of holes are read into one buffer: a file may be 2^63 bytes long and cost nothing, its copy may not.
const HOLES_MAX: u64 = 1 << 30;
/// A buffer for more than this grows while it is filled, so that it is no larger than what was really read.
const STEP: u64 = 16 << 20;

/// A file's contents, a persistent value: a clone costs a reference count, a change of the clone costs its chunks.
///
/// ```text
///   Whole    one allocation: every file that was never changed in parts, and every small one
///   Extent   a part of a source, such as a layer's blob on disk, that was never changed
///   Chunks   own      the chunks that a container wrote              (it pays for these)
///            sealed   the chunks that committed layers changed
///            origin   the bytes as the first layer has them, in memory or elsewhere
/// ```
#[derive(Clone)]
pub(crate) enum Content {
    Whole { bytes: Bytes, own: bool },
    Extent(Extent),
    Chunks(Arc<Chunks>),
}

impl Content {
    pub(crate) const EMPTY: Self = Self::Whole { bytes: Bytes::new(), own: false };

    /// Contents of a layer.
    pub(crate) fn lower(bytes: Bytes) -> Self {
        Self::Whole { bytes, own: false }
    }

    /// Contents that a container wrote and pays for.
    pub(crate) fn own(bytes: Bytes) -> Self {
        Self::Whole { bytes, own: true }
    }

    /// Contents of a layer that are read when asked for.
    pub(crate) fn source(source: Arc<dyn Source>) -> Self {
        let len = source.len();
        Self::Extent(Extent { source, start: 0, len })
    }

    /// Contents of a layer that are a part of a source: `start + len` does not pass 2^64.
    #[cfg(feature = "tar")]
    pub(crate) fn part(source: Arc<dyn Source>, start: u64, len: u64) -> Self {
        Self::Extent(Extent { source, start, len })
    }

    /// Contents of a layer with holes: `chunks` are (number, bytes), all else up to `len` is zeros that cost nothing.
    #[cfg_attr(
        not(any(test, feature = "tar", all(feature = "host", unix))),
        expect(dead_code, reason = "only host::import and archives have files with holes")
    )]
    pub(crate) fn sparse(len: u64, chunks: impl IntoIterator<Item = (u64, Bytes)>) -> Self {
        let mut sparse = Chunks::over(Origin::NONE);
        sparse.set_len(len);
        for (index, bytes) in chunks {
            sparse.put(index, bytes);
        }
        sparse.seal();
        Self::Chunks(Arc::new(sparse))
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Whole { bytes, .. } => bytes.len() as u64,
            Self::Extent(extent) => extent.len,
            Self::Chunks(chunks) => chunks.len(),
        }
    }

    /// Bytes that a container's writable layer pays for.
    pub(crate) fn own_bytes(&self) -> u64 {
        match self {
            Self::Whole { bytes, own } => {
                if *own {
                    bytes.len() as u64
                } else {
                    0
                }
            }
            Self::Extent(_) => 0,
            Self::Chunks(chunks) => chunks.own_bytes(),
        }
    }

    /// Bytes that are not holes.
    pub(crate) fn data_bytes(&self) -> u64 {
        match self {
            Self::Whole { bytes, .. } => bytes.len() as u64,
            Self::Extent(extent) => extent.len,
            Self::Chunks(chunks) => chunks.data_bytes(),
        }
    }

    /// Up to `len` bytes from `offset`, fewer at the end. No copy if they lie in one chunk. `FileTooLarge` if they are
    /// more than fit in one buffer.
    pub(crate) fn read(&self, offset: u64, len: u64) -> io::Result<Bytes> {
        let start = offset.min(self.len());
        let end = start.saturating_add(len).min(self.len());
        match self {
            Self::Whole { bytes, .. } => Ok(bytes.slice(start as usize..end as usize)),
            Self::Extent(extent) => extent.range(start, end),
            Self::Chunks(chunks) => chunks.range(start, end),
        }
    }

    /// Reads into a buffer; the count is short only at the end.
    pub(crate) fn read_into(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let start = offset.min(self.len());
        let end = start.saturating_add(buf.len() as u64).min(self.len());
        let buf = &mut buf[..(end - start) as usize];
        match self {
            Self::Whole { bytes, .. } => buf.copy_from_slice(&bytes[start as usize..end as usize]),
            Self::Extent(extent) => extent.read_into(start, buf)?,
            Self::Chunks(chunks) => chunks.read_into(start, buf)?,
        }
        Ok(buf.len())
    }

    /// What a write would add to [`own_bytes`](Self::own_bytes).
    pub(crate) fn write_cost(&self, offset: u64, len: u64) -> u64 {
        match self.small_write(offset, len) {
            Some(end) => self.len().max(end) - self.own_bytes(),
            None => self.chunks().write_cost(offset, len),
        }
    }

    /// Writes all of `data`, or fails (only a source can) and changes nothing.
    pub(crate) fn write(&mut self, offset: u64, data: &Bytes) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let small = self.small_write(offset, data.len() as u64);
        if let (Self::Whole { bytes, own }, Some(end)) = (&mut *self, small) {
            let replaces_all = offset == 0 && data.len() >= bytes.len();
            *bytes = if replaces_all {
                data.clone()
            } else {
                overwritten(std::mem::take(bytes), offset, end, data)
            };
            *own = true;
            return Ok(());
        }
        self.make_chunks().write(offset, data)
    }

    /// Cuts, or adds a hole at the end.
    pub(crate) fn set_len(&mut self, len: u64) {
        match self {
            Self::Whole { bytes, .. } if len <= bytes.len() as u64 => bytes.truncate(len as usize),
            _ => self.make_chunks().set_len(len),
        }
    }

    /// What [`punch_hole`](Self::punch_hole) would add to [`own_bytes`](Self::own_bytes), when it adds any.
    pub(crate) fn punch_cost(&self, offset: u64, len: u64) -> u64 {
        self.chunks().punch_cost(offset, len)
    }

    /// Turns a range into zeros that cost nothing, as far as it covers whole chunks; the length stays.
    pub(crate) fn punch_hole(&mut self, offset: u64, len: u64) -> io::Result<()> {
        self.make_chunks().punch_hole(offset, len)
    }

    /// Where the next byte at or after `offset` lies that is no hole.
    pub(crate) fn next_data(&self, offset: u64) -> Option<u64> {
        match self {
            _ if offset >= self.len() => None,
            Self::Whole { .. } | Self::Extent(_) => Some(offset),
            Self::Chunks(chunks) => chunks.next_data(offset),
        }
    }

    /// Where the next hole at or after `offset` begins; the end of the file counts as one.
    pub(crate) fn next_hole(&self, offset: u64) -> Option<u64> {
        match self {
            _ if offset >= self.len() => None,
            Self::Whole { .. } | Self::Extent(_) => Some(self.len()),
            Self::Chunks(chunks) => Some(chunks.next_hole(offset)),
        }
    }

    /// The same bytes as part of a layer: no container pays for them. O(changed chunks).
    pub(crate) fn sealed(&self) -> Self {
        match self {
            Self::Whole { bytes, .. } => Self::lower(bytes.clone()),
            Self::Extent(extent) => Self::Extent(extent.clone()),
            Self::Chunks(chunks) => {
                let mut sealed = Chunks::clone(chunks);
                sealed.seal();
                Self::Chunks(Arc::new(sealed))
            }
        }
    }

    /// Whether both hold the same bytes. Shared parts are not read.
    pub(crate) fn same_bytes(&self, other: &Self) -> io::Result<bool> {
        if self.len() != other.len() {
            return Ok(false);
        }
        match (self, other) {
            (Self::Whole { bytes: a, .. }, Self::Whole { bytes: b, .. }) => Ok(a == b),
            (Self::Chunks(a), Self::Chunks(b)) if Arc::ptr_eq(a, b) => Ok(true),
            _ => self.chunks().same_bytes(&other.chunks()),
        }
    }

    /// The end of a write that leaves a whole content whole: it touches or overlaps it and stays within one chunk.
    fn small_write(&self, offset: u64, len: u64) -> Option<u64> {
        let end = offset.checked_add(len)?;
        match self {
            Self::Whole { bytes, .. } if end <= CHUNK && bytes.len() as u64 <= CHUNK => Some(end),
            // A file that is replaced from its first byte to past its last one.
            Self::Whole { bytes, .. } if offset == 0 && end >= bytes.len() as u64 => Some(end),
            _ => None,
        }
    }

    fn chunks(&self) -> Chunks {
        match self {
            Self::Whole { bytes, own: false } => Chunks::over(Origin::Memory(bytes.clone())),
            Self::Whole { bytes, own: true } => Chunks::owning(bytes),
            Self::Extent(extent) => Chunks::over(Origin::Elsewhere(extent.clone())),
            Self::Chunks(chunks) => Chunks::clone(chunks),
        }
    }

    fn make_chunks(&mut self) -> &mut Chunks {
        if !matches!(self, Self::Chunks(_)) {
            *self = Self::Chunks(Arc::new(self.chunks()));
        }
        match self {
            Self::Chunks(chunks) => Arc::make_mut(chunks),
            Self::Whole { .. } | Self::Extent(_) => {
                unreachable!("because it was turned into chunks above")
            }
        }
    }
}

/// `bytes` with `data` at `offset`, `end` bytes long at least, zeros between. In place if nobody else holds them.
fn overwritten(bytes: Bytes, offset: u64, end: u64, data: &[u8]) -> Bytes {
    let mut buf = bytes.try_into_mut().unwrap_or_else(|shared| {
        let mut copy = BytesMut::with_capacity((end as usize).max(shared.len()));
        copy.extend_from_slice(&shared);
        copy
    });
    if buf.len() < end as usize {
        buf.resize(end as usize, 0);
    }
    buf[offset as usize..end as usize].copy_from_slice(data);
    buf.freeze()
}

/// One buffer of `len` bytes, `fill`ed part by part: each call gets where in the buffer a part begins, and the part.
fn gather(len: u64, mut fill: impl FnMut(u64, &mut [u8]) -> io::Result<()>) -> io::Result<Bytes> {
    if len <= STEP {
        let mut buf = vec![0; len as usize];
        fill(0, &mut buf)?;
        return Ok(buf.into());
    }
    let mut buf = Vec::new();
    let reserved = usize::try_from(len).ok().and_then(|len| buf.try_reserve_exact(len).ok());
    reserved.ok_or_else(|| too_large("no memory for a buffer of this size: read it in parts"))?;
    while (buf.len() as u64) < len {
        let start = buf.len();
        buf.resize((start as u64 + STEP).min(len) as usize, 0);
        fill(start as u64, &mut buf[start..])?;
    }
    Ok(buf.into())
}

fn too_large(rule: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, rule)
}
