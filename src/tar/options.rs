//! What is read of an archive, and how much of it at most.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::compression::Compression;
use super::unpack::{Contents, Unpacked, unpack};
use crate::content::Source;
use crate::digest::Digest;
use crate::error::Result;
use crate::layer::Layer;

/// How an archive is read: what it must be, and what it may cost at most.
///
/// The limits are wide enough for every layer that people have, and narrow enough that no archive of a few kilobytes
/// takes the machine's memory. Whoever meets one is told its name.
///
/// # Examples
///
/// ```
/// use stratafs::{Layer, tar};
///
/// let mut archive = Vec::new();
/// tar::write_layer(&Layer::from([("etc/motd", "hi")]), &mut archive)?;
///
/// let read = tar::ReadOptions::new().strict(true).max_entries(10).read(&archive[..])?;
/// assert_eq!(read.diff_id, stratafs::Digest::of(&archive));
///
/// let error = tar::ReadOptions::new().max_bytes(100).read(&archive[..]).unwrap_err();
/// assert!(error.to_string().contains("max_bytes"));
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct ReadOptions {
    pub(super) max_bytes: u64,
    pub(super) max_ratio: u64,
    pub(super) max_entries: u64,
    pub(super) max_depth: usize,
    pub(super) max_header_bytes: u64,
    pub(super) max_file_bytes: u64,
    pub(super) max_sparse_bytes: u64,
    pub(super) max_sparse_regions: u64,
    pub(super) strict: bool,
    pub(super) compression: Option<Compression>,
    pub(super) progress: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 30,
            max_ratio: 256,
            max_entries: 4_000_000,
            max_depth: 4096,
            max_header_bytes: 1 << 20,
            max_file_bytes: 64 << 30,
            max_sparse_bytes: 1 << 30,
            max_sparse_regions: 65_536,
            strict: false,
            compression: None,
            progress: None,
        }
    }
}

/// What may be read
impl ReadOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes the archive may have, uncompressed, padding included: 64 GiB unless it is set.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many times larger than the compressed the uncompressed archive may be: 256 unless it is set. Up to 1 GiB any
    /// archive may become: files full of zeros, which shrink to a thousandth and less, are no attack.
    pub fn max_ratio(mut self, ratio: u64) -> Self {
        self.max_ratio = ratio;
        self
    }

    /// How many entries there may be, of all kinds: 4,000,000 unless it is set.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.max_entries = entries;
        self
    }

    /// How many names a path may have: 4096 unless it is set.
    pub fn max_depth(mut self, names: usize) -> Self {
        self.max_depth = names;
        self
    }

    /// How many bytes of extended headers (long names, PAX records) one entry may have: 1 MiB unless it is set. All entries
    /// together may have 4096 times as many.
    pub fn max_header_bytes(mut self, bytes: u64) -> Self {
        self.max_header_bytes = bytes;
        self
    }

    /// How long one file may be, holes included: 64 GiB unless it is set.
    pub fn max_file_bytes(mut self, bytes: u64) -> Self {
        self.max_file_bytes = bytes;
        self
    }

    /// How many bytes of memory all files with holes may take together: 1 GiB unless it is set.
    pub fn max_sparse_bytes(mut self, bytes: u64) -> Self {
        self.max_sparse_bytes = bytes;
        self
    }

    /// How many pieces of data a file with holes may have: 65,536 unless it is set.
    pub fn max_sparse_regions(mut self, regions: u64) -> Self {
        self.max_sparse_regions = regions;
        self
    }

    /// Whether a path that is given twice is an error. Else the last one counts (semantics L45).
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// What the stream must be, because a document says so; else it is recognised by its first bytes.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// Is told now and then how many bytes of the stream have been read, by the thread that reads.
    pub fn progress(mut self, progress: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// Reads an archive to the end of the stream. The contents of files are kept in memory. O(bytes + entries × depth).
    ///
    /// # Errors
    ///
    /// Each with the path of the entry at which it came up, as the archive spells it:
    ///
    /// - `InvalidInput`: this is no archive, it is damaged or ends too early, it is compressed in another way than it
    ///   must be, or it breaks a rule of the semantics, section 3.
    /// - `AlreadyExists`: a path is given twice, and that was refused.
    /// - `NotADirectory`: an entry lies below something that the archive makes no directory.
    /// - `NotFound`: a hard link names something that only comes after it.
    /// - `Unsupported`: a type of entry or a compression that layers do not have.
    /// - `OutOfRange`: a number is larger than a filesystem holds.
    /// - `NameTooLong`: a name of more than 255 bytes, or too many names in a path.
    /// - `FileTooLarge`, `QuotaExceeded`: one of the limits.
    /// - `Io`: the stream failed; see [`source`](std::error::Error::source).
    pub fn read(&self, stream: impl Read) -> Result<ReadLayer> {
        let read = unpack(stream, &mut io::sink(), Contents::Memory, self.compression, self)?;
        Ok(ReadLayer::from(read))
    }

    /// The same for archives that are larger than memory: what is read is written to `out`, uncompressed, and the contents
    /// of files are not kept but read from `archive` when they are asked for, which must have the bytes that `out` gets.
    /// Files with holes are kept in memory, so that they have their holes.
    ///
    /// Reading, inflating, hashing and writing go on at once, in two threads.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read). What `out` has got then is a part of an archive.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{io, sync::Arc};
    /// use stratafs::{Image, Layer, Source, tar};
    ///
    /// #[derive(Debug)]
    /// struct InFile(std::fs::File, u64);
    ///
    /// impl Source for InFile {
    ///     fn len(&self) -> u64 {
    ///         self.1
    ///     }
    ///     fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    ///         std::os::unix::fs::FileExt::read_at(&self.0, buf, offset)
    ///     }
    /// }
    ///
    /// let mut stream = Vec::new();
    /// let gzip = tar::WriteOptions::new().compression(tar::Compression::Gzip);
    /// let len = tar::write_layer(&Layer::from([("motd", "hi")]), io::sink())?.size;
    /// gzip.write(&Layer::from([("motd", "hi")]), &mut stream)?;
    ///
    /// let mut file = tempfile::tempfile()?;
    /// let archive = Arc::new(InFile(file.try_clone()?, len));
    /// let read = tar::ReadOptions::new().unpack(&stream[..], &mut file, archive)?;
    /// assert_eq!(Image::from_layers([read.layer])?.view().read("/motd")?, "hi");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unpack(
        &self,
        stream: impl Read,
        mut out: impl Write + Send,
        archive: Arc<dyn Source>,
    ) -> Result<ReadLayer> {
        let read = unpack(stream, &mut out, Contents::At(archive), self.compression, self)?;
        Ok(ReadLayer::from(read))
    }
}

impl From<Unpacked> for ReadLayer {
    fn from(read: Unpacked) -> Self {
        Self {
            layer: read.layer,
            diff_id: read.diff_id,
            len: read.len,
            digest: read.digest,
            stream_len: read.input_len,
            compression: read.compression,
            skipped: read.skipped,
        }
    }
}

impl fmt::Debug for ReadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOptions")
            .field("max_bytes", &self.max_bytes)
            .field("max_ratio", &self.max_ratio)
            .field("max_entries", &self.max_entries)
            .field("strict", &self.strict)
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

/// What [`ReadOptions::read`] returns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReadLayer {
    /// The changes. Its own [`diff_id`](Layer::diff_id) is that of its canonical form, which the archive need not have.
    pub layer: Layer,
    /// The sha256 of the whole archive, uncompressed: padding and whatever comes after its end included.
    pub diff_id: Digest,
    /// How many bytes that is.
    pub len: u64,
    /// The sha256 of the stream as it came.
    pub digest: Digest,
    /// How many bytes that is.
    pub stream_len: u64,
    /// How the stream was compressed.
    pub compression: Compression,
    /// What the archive has and the layer has not.
    pub skipped: Vec<Skipped>,
}

/// Something that is in an archive and says nothing to a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Skipped {
    /// The entry, from the root.
    pub path: PathBuf,
    /// What of it.
    pub what: SkippedPart,
}

/// What of an entry was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum SkippedPart {
    /// All of it: its name is one by which aufs kept its books (`.wh..wh.plnk`).
    AufsEntry,
    /// An attribute by which overlayfs keeps its books (`trusted.overlay.opaque`); in a layer, names do that.
    OverlayAttribute(String),
    /// An access control list in the text form of `star`, which names users instead of numbers.
    AccessControlList,
}
