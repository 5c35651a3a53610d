//! A layer becomes an archive.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use super::compression::Compression;
use super::zstd::ZstdWriter;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layer::{Layer, absolute, left_out, write_canonical};

const OP: &str = "write layer";

/// How a layer is written.
///
/// # Examples
///
/// ```
/// use stratafs::{Layer, tar};
///
/// let layer = Layer::from([("etc/motd", "hi")]);
/// let mut archive = Vec::new();
/// let options = tar::WriteOptions::new().compression(tar::Compression::Gzip);
/// let written = options.write(&layer, &mut archive)?;
/// assert_eq!(written.diff_id, layer.diff_id()?);
/// assert_eq!(written.digest, stratafs::Digest::of(&archive));
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct WriteOptions {
    compression: Compression,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The sha256 of the archive, uncompressed.
    pub diff_id: Digest,
    /// The sha256 of what was written.
    pub digest: Digest,
    /// How many bytes were written.
    pub size: u64,
    /// What no archive can hold, by path: sockets.
    pub left_out: Vec<PathBuf>,
}

impl WriteOptions {
    /// Without compression.
    pub fn new() -> Self {
        Self::default()
    }

    /// How the archive is compressed.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Writes the canonical form of a layer: the same changes give the same archive on every machine, byte for byte.
    /// Compressed, that holds for one version of this crate and its compressors. O(bytes).
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: a name begins with `.wh.`, or the name of an attribute is not UTF-8 or has a `=`, which an
    ///   archive cannot hold.
    /// - `OutOfRange`: the number of a device is larger than an archive can hold.
    /// - `Io`: `out` failed, or the [`Source`](crate::Source) of some file did.
    pub fn write(&self, layer: &Layer, out: impl Write) -> Result<Written> {
        let mut out = Hashing::new(BufWriter::new(out));
        let failed = |error: io::Error| Error::new(OP, b"", error);
        let diff_id = match self.compression {
            Compression::None => {
                write_canonical(layer, &mut out)?;
                None
            }
            Compression::Gzip => {
                let gzip = GzEncoder::new(&mut out, flate2::Compression::default());
                let mut archive = Hashing::new(gzip);
                write_canonical(layer, &mut archive)?;
                archive.out.try_finish().map_err(failed)?;
                Some(archive.digest())
            }
            Compression::Zstd => {
                let mut archive = Hashing::new(ZstdWriter::new(&mut out));
                write_canonical(layer, &mut archive)?;
                archive.out.finish().map_err(failed)?;
                Some(archive.digest())
            }
        };
        out.flush().map_err(failed)?;
        let (digest, size) = (out.digest(), out.len);
        let left_out = left_out(layer).map(absolute).collect();
        Ok(Written { diff_id: diff_id.unwrap_or(digest), digest, size, left_out })
    }
}

/// Bytes that are hashed on their way.
struct Hashing<W> {
    out: W,
    hasher: Sha256,
    len: u64,
}

impl<W> Hashing<W> {
    fn new(out: W) -> Self {
        Self { out, hasher: Sha256::new(), len: 0 }
    }

    fn digest(&self) -> Digest {
        Digest::finish(self.hasher.clone())
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buf)?;
        self.hasher.update(&buf[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
