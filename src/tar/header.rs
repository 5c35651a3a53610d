//! One header: a block of 512 bytes with names and numbers.
//!
//! The layout is tar-core's; what the bytes mean is decided here, because a layer takes archives of everybody: numbers
//! that do not fit are errors and never others, and what a name is depends on the dialect.

use std::borrow::Cow;

use tar_core::{GNU_MAGIC, Header};

use crate::attr::{Device, MODE_MASK, Timestamp};
use crate::error::{ErrorKind, Fault};

pub(super) const BLOCK: usize = 512;

/// Whether these bytes are a header: their sum is what it says, the sum itself counted as spaces. Some old programs took
/// bytes for signed.
pub(super) fn is_header(block: &[u8; BLOCK]) -> bool {
    let field = &Header::from_bytes(block).as_ustar().cksum;
    let Ok(said) = number(field) else { return false };
    let unsigned = |bytes: &[u8]| bytes.iter().fold(0, |sum, &byte| sum + i32::from(byte));
    let sum = unsigned(block) - unsigned(field) + 8 * i32::from(b' ');
    let large = |bytes: &[u8]| bytes.iter().fold(0, |sum, &byte| sum + i32::from(byte >> 7));
    let signed = || sum - 0x100 * (large(block) - large(field));
    said == i128::from(sum) || said == i128::from(signed())
}

/// The bytes of a header, asked by field.
pub(super) struct Fields<'a>(&'a Header);

impl<'a> Fields<'a> {
    pub(super) fn new(block: &'a [u8; BLOCK]) -> Self {
        Self(Header::from_bytes(block))
    }

    pub(super) fn type_flag(&self) -> u8 {
        self.0.as_ustar().typeflag[0]
    }

    /// The name, with the prefix where the dialect has one.
    pub(super) fn name(&self) -> Cow<'a, [u8]> {
        let fields = self.0.as_ustar();
        let prefix = match (&fields.magic, self.0.as_bytes().last_chunk()) {
            (b"ustar\0", Some(b"tar\0")) => &fields.prefix[..131], // star keeps times behind it
            (b"ustar\0", _) => &fields.prefix[..],
            _ => &[], // GNU keeps times there, older ones nothing
        };
        match (text(prefix), text(&fields.name)) {
            (b"", name) => name.into(),
            (prefix, name) => [prefix, b"/", name].concat().into(),
        }
    }

    pub(super) fn link_name(&self) -> &'a [u8] {
        text(&self.0.as_ustar().linkname)
    }

    pub(super) fn size(&self) -> Result<u64, Fault> {
        size_of_file(number(&self.0.as_ustar().size)?)
    }

    pub(super) fn mode(&self) -> Result<u32, Fault> {
        // Some programs put the type into the bits above.
        Ok(u32_of(number(&self.0.as_ustar().mode)?, "mode")? & MODE_MASK)
    }

    pub(super) fn uid(&self) -> Result<u32, Fault> {
        u32_of(number(&self.0.as_ustar().uid)?, "uid")
    }

    pub(super) fn gid(&self) -> Result<u32, Fault> {
        u32_of(number(&self.0.as_ustar().gid)?, "gid")
    }

    pub(super) fn modified(&self) -> Result<Timestamp, Fault> {
        let secs = number(&self.0.as_ustar().mtime)?;
        let secs = i64::try_from(secs).map_err(|_| out_of_range("mtime"))?;
        Ok(Timestamp::new(secs, 0))
    }

    /// The number of a device; before ustar there was no field for it.
    pub(super) fn device(&self) -> Result<Device, Fault> {
        let fields = self.0.as_ustar();
        if !fields.magic.starts_with(b"ustar") {
            return Ok(Device::default());
        }
        let major = u32_of(number(&fields.dev_major)?, "device number")?;
        Ok(Device { major, minor: u32_of(number(&fields.dev_minor)?, "device number")? })
    }

    /// GNU's fields for a file with holes: its length, its first pieces, and whether more of them follow.
    pub(super) fn sparse(&self) -> Result<(u64, Vec<(u64, u64)>, bool), Fault> {
        let fields = self.0.as_gnu();
        if fields.magic != *GNU_MAGIC {
            let rule = "a file with holes needs a header of GNU's";
            return Err(Fault::rule(ErrorKind::InvalidInput, rule));
        }
        let pieces = fields.sparse.iter().map(|piece| (&piece.offset[..], &piece.numbytes[..]));
        let len = size_of_file(number(&fields.realsize)?)?;
        Ok((len, sparse_pieces(pieces)?, fields.isextended[0] != 0))
    }
}

/// The pieces of one block that continues a list of GNU's, and whether another one follows.
pub(super) fn more_sparse(block: &[u8; BLOCK]) -> Result<(Vec<(u64, u64)>, bool), Fault> {
    const PIECES: usize = 21;
    const PIECE: usize = 24;
    let pieces = block.chunks_exact(PIECE).take(PIECES).map(|piece| piece.split_at(PIECE / 2));
    Ok((sparse_pieces(pieces)?, block[PIECES * PIECE] != 0))
}

/// Pieces up to the first that is not used.
fn sparse_pieces<'a>(
    pieces: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<Vec<(u64, u64)>, Fault> {
    pieces
        .take_while(|(offset, len)| offset[0] != 0 && len[0] != 0)
        .map(|(offset, len)| Ok((size_of_file(number(offset)?)?, size_of_file(number(len)?)?)))
        .collect()
}

/// What comes before the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A number: octal digits, or GNU's base 256, which is two's complement after the first bit (semantics L25).
fn number(field: &[u8]) -> Result<i128, Fault> {
    match field {
        [first, rest @ ..] if first & 0x80 != 0 => {
            let sign = if first & 0x40 == 0 { 0 } else { -1 };
            let first = sign << 6 | i128::from(first & 0x3f);
            Ok(rest.iter().fold(first, |value, &byte| value << 8 | i128::from(byte)))
        }
        _ => octal(field),
    }
}

/// Digits between spaces and NULs, of which there may be none.
fn octal(field: &[u8]) -> Result<i128, Fault> {
    let is_padding = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_padding(byte)).unwrap_or(field.len());
    let digits = text(&field[start..]).trim_ascii_end();
    digits.iter().try_fold(0, |value, byte| match byte {
        b'0'..=b'7' => Ok(value << 3 | i128::from(byte - b'0')),
        _ => Err(Fault::rule(ErrorKind::InvalidInput, "a number in its header is no octal number")),
    })
}

/// A size is neither negative nor larger than files are.
pub(super) fn size_of_file(number: i128) -> Result<u64, Fault> {
    match u64::try_from(number) {
        Ok(size) if size <= i64::MAX.cast_unsigned() => Ok(size),
        Ok(_) => Err(out_of_range("size")),
        Err(_) => Err(Fault::rule(ErrorKind::InvalidInput, "its size is negative or too large")),
    }
}

/// Never cut: a uid that overflows must not become root's (semantics L30).
pub(super) fn u32_of(number: i128, what: &str) -> Result<u32, Fault> {
    u32::try_from(number).map_err(|_| out_of_range(what))
}

pub(super) fn out_of_range(what: &str) -> Fault {
    Fault::rule(ErrorKind::OutOfRange, format!("its {what} is negative or too large"))
}
