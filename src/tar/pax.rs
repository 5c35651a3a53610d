//! PAX records: what an extended header says of the entry after it (POSIX, pax, "pax Extended Header").

use super::attributes::Attributes;
use super::header::{out_of_range, size_of_file, u32_of};
use crate::attr::Timestamp;
use crate::error::{ErrorKind, Fault};

/// The records of one extended header. An empty value takes back what came before it, so that the field of the header
/// counts (semantics L22).
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link_path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) modified: Option<Timestamp>,
    pub(super) device_major: Option<u32>,
    pub(super) device_minor: Option<u32>,
    pub(super) attributes: Attributes,
    pub(super) sparse: SparseRecords,
}

/// GNU's records for files with holes, of all three versions.
#[derive(Debug, Default)]
pub(super) struct SparseRecords {
    pub(super) version: (Option<u64>, Option<u64>),
    pub(super) name: Option<Vec<u8>>,
    pub(super) len: Option<u64>,
    /// Of version 0.0, which repeats its records, and of 0.1.
    pub(super) map: Option<Vec<(u64, u64)>>,
    offset: Option<u64>,
}

impl Records {
    pub(super) fn parse(mut text: &[u8], max_regions: u64) -> Result<Self, Fault> {
        let mut records = Self::default();
        while !text.is_empty() {
            let (key, value, rest) = record(text).ok_or_else(|| invalid("a PAX record"))?;
            records.put(key, value, max_regions)?;
            text = rest;
        }
        Ok(records)
    }

    fn put(&mut self, key: &[u8], value: &[u8], max_regions: u64) -> Result<(), Fault> {
        match key {
            b"path" => self.path = name(value)?,
            b"linkpath" => self.link_path = name(value)?,
            b"size" => self.size = unless_empty(value, size)?,
            b"uid" => self.uid = unless_empty(value, |value| u32_of(whole(value)?, "uid"))?,
            b"gid" => self.gid = unless_empty(value, |value| u32_of(whole(value)?, "gid"))?,
            b"mtime" => self.modified = unless_empty(value, time)?,
            b"SCHILY.devmajor" => self.device_major = unless_empty(value, device)?,
            b"SCHILY.devminor" => self.device_minor = unless_empty(value, device)?,
            _ => match key.strip_prefix(b"GNU.sparse.") {
                Some(key) => self.sparse.put(key, value, max_regions)?,
                None => self.attributes.put(key, value)?,
            },
        }
        Ok(())
    }
}

impl SparseRecords {
    fn put(&mut self, key: &[u8], value: &[u8], max_regions: u64) -> Result<(), Fault> {
        match key {
            b"major" => self.version.0 = unless_empty(value, size)?,
            b"minor" => self.version.1 = unless_empty(value, size)?,
            b"name" => self.name = name(value)?,
            b"size" | b"realsize" => self.len = unless_empty(value, size)?,
            b"offset" => self.offset = Some(size(value)?),
            b"numbytes" => {
                let offset = self.offset.take().ok_or_else(|| invalid("GNU.sparse.numbytes"))?;
                let map = self.map.get_or_insert_default();
                map.push((offset, size(value)?));
            }
            b"map" => self.map = unless_empty(value, map)?,
            _ => {}
        }
        let regions = self.map.as_ref().map_or(0, Vec::len) as u64;
        if regions > max_regions {
            return Err(super::sparse::too_many());
        }
        Ok(())
    }
}

/// The first record, `<length> <key>=<value>\n` where the length is that of all of it, and what comes after.
fn record(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    const DIGITS_MAX: usize = 20;
    let space = text.iter().take(DIGITS_MAX + 1).position(|&byte| byte == b' ')?;
    let len = usize::try_from(digits(&text[..space])?).ok()?;
    let body = text.get(space + 1..len)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    (equals > 0).then_some((&body[..equals], &body[equals + 1..], &text[len..]))
}

fn unless_empty<T>(
    value: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    if value.is_empty() { Ok(None) } else { parse(value).map(Some) }
}

fn name(value: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    if value.contains(&0) {
        return Err(Fault::rule(ErrorKind::InvalidInput, "a name has no NUL"));
    }
    Ok((!value.is_empty()).then(|| value.to_vec()))
}

fn digits(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'))?;
    text.parse().ok()
}

/// A whole number, maybe negative: whether it may be is the caller's rule.
fn whole(value: &[u8]) -> Result<i128, Fault> {
    let (sign, text) = match value.strip_prefix(b"-") {
        Some(text) => (-1, text),
        None => (1, value),
    };
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if !is_number {
        return Err(invalid("a number in a PAX record"));
    }
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i128>().ok());
    number.map(|number| sign * number).ok_or_else(|| out_of_range("number in a PAX record"))
}

fn size(value: &[u8]) -> Result<u64, Fault> {
    size_of_file(whole(value)?)
}

fn device(value: &[u8]) -> Result<u32, Fault> {
    u32_of(whole(value)?, "device number")
}

/// Seconds with a fraction, exactly; what is finer than a nanosecond is cut off.
fn time(value: &[u8]) -> Result<Timestamp, Fault> {
    let (seconds, fraction) = match value.iter().position(|&byte| byte == b'.') {
        Some(point) => (&value[..point], &value[point + 1..]),
        None => (value, &b""[..]),
    };
    let is_negative = seconds.starts_with(b"-");
    let seconds = whole(seconds)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(invalid("a time in a PAX record"));
    }
    let nanos = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    let nanos = nanos.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
    let (seconds, nanos) = match (is_negative, nanos) {
        (true, 1..) => (seconds - 1, 1_000_000_000 - nanos),
        _ => (seconds, nanos),
    };
    let seconds = i64::try_from(seconds).map_err(|_| out_of_range("time"))?;
    Ok(Timestamp::new(seconds, nanos))
}

/// `offset,length,offset,length`, as version 0.1 has it.
fn map(value: &[u8]) -> Result<Vec<(u64, u64)>, Fault> {
    let numbers: Vec<u64> =
        value.split(|&byte| byte == b',').map(size).collect::<Result<_, _>>()?;
    let (pieces, rest) = numbers.as_chunks();
    if !rest.is_empty() {
        return Err(invalid("GNU.sparse.map"));
    }
    Ok(pieces.iter().map(|&[offset, len]| (offset, len)).collect())
}

fn invalid(what: &str) -> Fault {
    Fault::rule(ErrorKind::InvalidInput, format!("{what} is malformed"))
}
