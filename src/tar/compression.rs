//! How a stream is compressed, and how that is recognised.

use super::header;
use crate::error::{ErrorKind, Fault};

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 8878, one frame or several.
    Zstd,
}

/// Enough of a stream to know what it is.
pub(crate) const BEGINNING: usize = 512;

impl Compression {
    /// What a stream is that begins like this, if it is nothing that is known not to be read here.
    pub(crate) fn of(beginning: &[u8]) -> Result<Self, Fault> {
        // An archive may begin with a file that is named like one of these.
        if beginning.first_chunk().is_some_and(header::is_header) {
            return Ok(Self::None);
        }
        let unknown = |name: &str| {
            let rule = format!("the stream is compressed with {name}: tar, gzip and zstd are read");
            Err(Fault::rule(ErrorKind::Unsupported, rule))
        };
        match beginning {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => unknown("xz"),
            [b'B', b'Z', b'h', ..] => unknown("bzip2"),
            [0x04, 0x22, 0x4d, 0x18, ..] => unknown("lz4"),
            [0x5d, 0, 0, ..] => unknown("lzma"),
            [0x1f, 0x9d | 0xa0, ..] => unknown("compress"),
            [b'P', b'K', 3, 4, ..] => unknown("zip"),
            _ => Ok(Self::None),
        }
    }

    /// The same, if a document says what it must be (semantics L16).
    pub(super) fn expected(expected: Option<Self>, beginning: &[u8]) -> Result<Self, Fault> {
        let found = Self::of(beginning)?;
        match expected {
            Some(expected) if expected != found => {
                let rule = format!("the stream is {}, not {}", found.name(), expected.name());
                Err(Fault::rule(ErrorKind::InvalidInput, rule))
            }
            _ => Ok(found),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "not compressed",
            Self::Gzip => "compressed with gzip",
            Self::Zstd => "compressed with zstd",
        }
    }
}
