//! Where contents come from when they are not in memory.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::gather;

/// Immutable bytes that lie somewhere else, such as in a layer's blob on disk, and are read when they are asked for.
///
/// Given to [`LayerBuilder::source`](crate::LayerBuilder::source). A source never changes: two reads of one range
/// give the same bytes for as long as it lives.
///
/// # Examples
///
/// ```
/// use std::{io, sync::Arc};
/// use stratafs::{Image, Layer, Source};
///
/// /// A gibibyte of `x` that takes no memory.
/// #[derive(Debug)]
/// struct Xs;
///
/// impl Source for Xs {
///     fn len(&self) -> u64 {
///         1 << 30
///     }
///     fn read_at(&self, _offset: u64, buf: &mut [u8]) -> io::Result<usize> {
///         buf.fill(b'x');
///         Ok(buf.len())
///     }
/// }
///
/// let layer = Layer::builder().source("/pak0", Arc::new(Xs)).build()?;
/// let container = Image::from_layers([layer])?.container();
/// let mut end = [0; 3];
/// container.open("/pak0")?.read_at(&mut end, (1 << 30) - 2)?;
/// assert_eq!(&end, b"xx\0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Source: Send + Sync + fmt::Debug {
    /// How many bytes there are. The same at every call.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads at an offset into `buf` and returns how many bytes it read: at least one, unless `buf` is empty or
    /// `offset` is at or past the end.
    ///
    /// # Errors
    ///
    /// Whatever keeps the bytes from being read; it becomes the `source()` of the reading operation's error.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
}

/// A part of a source: the bytes of one file in the blob of its layer, say. Thousands of them share one source.
///
/// - `start + len` does not pass 2^64.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) start: u64,
    pub(crate) len: u64,
}

impl Extent {
    /// The bytes from `start` to `end` of the extent, both within its length, read into a new buffer.
    pub(super) fn range(&self, start: u64, end: u64) -> io::Result<Bytes> {
        gather(end - start, |at, part| self.read_into(start + at, part))
    }

    /// Fills `buf` from `start`; both ends lie within the length.
    pub(super) fn read_into(&self, start: u64, buf: &mut [u8]) -> io::Result<()> {
        read_exact_at(&*self.source, self.start + start, buf)
    }

    fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source)
            && (self.start, self.len) == (other.start, other.len)
    }
}

/// The unchanged part of a file: what its layer says.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    Memory(Bytes),
    Elsewhere(Extent),
}

impl Origin {
    pub(super) const NONE: Self = Self::Memory(Bytes::new());

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Elsewhere(extent) => extent.len,
        }
    }

    /// The bytes from `start` to `end`, both within the length: without a copy from memory, else read into a new buffer.
    pub(super) fn range(&self, start: u64, end: u64) -> io::Result<Bytes> {
        match self {
            Self::Memory(bytes) => Ok(bytes.slice(start as usize..end as usize)),
            Self::Elsewhere(extent) => extent.range(start, end),
        }
    }

    /// Two origins that are one allocation hold the same bytes; any others may or may not.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Memory(a), Self::Memory(b)) => a.as_ptr() == b.as_ptr() && a.len() == b.len(),
            (Self::Elsewhere(a), Self::Elsewhere(b)) => a.same(b),
            _ => false,
        }
    }
}

fn read_exact_at(source: &dyn Source, mut offset: u64, mut buf: &mut [u8]) -> io::Result<()> {
    while !buf.is_empty() {
        match source.read_at(offset, buf) {
            Ok(0) => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the source ends before its length",
                ));
            }
            Ok(n) if n > buf.len() => {
                return Err(io::Error::other("the source claims to have read more than asked"));
            }
            Ok(n) => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
