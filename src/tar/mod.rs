//! Layers from and to archives: plain, or compressed with gzip or zstd.
//!
//! What is read is what every container tool and every tar writes: ustar, PAX and GNU's dialect, with whiteouts as OCI
//! has them (image-spec, layer.md). What is ambiguous is an error, never a guess; what is not of a layer is skipped and
//! reported. What is written is the canonical form, one byte stream for one set of changes.
//!
//! # Examples
//!
//! ```
//! use stratafs::{Image, Layer, tar};
//!
//! let layer = Layer::builder().file("/srv/motd", "hi").whiteout("/tmp/cache").build()?;
//! let mut archive = Vec::new();
//! tar::write_layer(&layer, &mut archive)?;
//!
//! let again = tar::read_layer(&archive[..])?;
//! assert_eq!(again.diff_id()?, layer.diff_id()?);
//! assert_eq!(Image::from_layers([again])?.view().read("/srv/motd")?, "hi");
//! # Ok::<(), stratafs::Error>(())
//! ```

mod archive;
mod attributes;
mod belt;
mod changes;
mod compression;
mod files;
mod header;
mod member;
mod options;
mod pax;
mod place;
mod sparse;
mod unpack;
mod write;
mod zstd;

use std::io::{Read, Write};

#[cfg(feature = "oci")]
pub(crate) use self::compression::BEGINNING;
pub use self::compression::Compression;
pub use self::options::{ReadLayer, ReadOptions, Skipped, SkippedPart};
#[cfg(feature = "oci")]
pub(crate) use self::unpack::{Contents, unpack};
pub use self::write::{WriteOptions, Written};
use crate::error::Result;
use crate::layer::Layer;

/// What reading calls itself in errors.
const OP: &str = "read layer";

/// Reads a layer from an archive, plain or compressed with gzip or zstd, which its first bytes tell. The contents of files
/// are kept in memory. O(bytes + entries × depth).
///
/// Like [`ReadOptions::read`] with the defaults.
///
/// # Errors
///
/// Those of [`ReadOptions::read`].
///
/// # Examples
///
/// ```
/// use stratafs::{ErrorKind, tar};
///
/// let error = tar::read_layer(&b"<!DOCTYPE html>"[..]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// ```
pub fn read_layer(stream: impl Read) -> Result<Layer> {
    Ok(ReadOptions::new().read(stream)?.layer)
}

/// Writes a layer as an archive that is not compressed, in its canonical form, whose sha256 is the layer's diff id. O(bytes).
///
/// Like [`WriteOptions::write`] with the defaults.
///
/// # Errors
///
/// Those of [`WriteOptions::write`].
///
/// # Examples
///
/// ```
/// use stratafs::{Digest, Layer, tar};
///
/// let layer = Layer::from([("etc/motd", "hi")]);
/// let mut archive = Vec::new();
/// let written = tar::write_layer(&layer, &mut archive)?;
/// assert_eq!(written.diff_id, layer.diff_id()?);
/// assert_eq!(Digest::of(&archive), written.digest);
/// # Ok::<(), stratafs::Error>(())
/// ```
pub fn write_layer(layer: &Layer, out: impl Write) -> Result<Written> {
    WriteOptions::new().write(layer, out)
}
