//! Extended attributes in PAX records.
//!
//! `SCHILY.xattr.*` is what GNU tar, bsdtar and every container tool write: the value as it is. bsdtar writes
//! `LIBARCHIVE.xattr.*` beside it: the name percent-encoded, the value in base64; it counts where the first is missing.
//! `SCHILY.acl.*` is skipped, as containerd skips it: it names users by the names of another machine. Access control
//! lists that are attributes (`SCHILY.xattr.system.posix_acl_access`) are attributes.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::options::SkippedPart;
use crate::attr::Xattrs;
use crate::error::{ErrorKind, Fault};

/// What the records of one entry say.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    schily: BTreeMap<Vec<u8>, Bytes>,
    libarchive: BTreeMap<Vec<u8>, Bytes>,
    has_acl: bool,
}

impl Attributes {
    /// Takes a record; what is no attribute means nothing here.
    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            self.schily.insert(checked(name.to_vec())?, Bytes::copy_from_slice(value));
        } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
            let malformed =
                || Fault::rule(ErrorKind::InvalidInput, "LIBARCHIVE.xattr is malformed");
            let name = percent_decoded(name).ok_or_else(malformed)?;
            let value = base64_decoded(value).ok_or_else(malformed)?;
            self.libarchive.insert(checked(name)?, value.into());
        } else if key.starts_with(b"SCHILY.acl.") {
            self.has_acl = true;
        }
        Ok(())
    }

    /// The attributes of an object, and what is none of a layer's business.
    pub(super) fn finish(self) -> (Xattrs, Vec<SkippedPart>) {
        let mut xattrs = Xattrs::default();
        let mut skipped = Vec::new();
        let mut all = self.libarchive;
        all.extend(self.schily);
        for (name, value) in all {
            if [&b"trusted.overlay."[..], b"user.overlay."].iter().any(|own| name.starts_with(own))
            {
                let name = String::from_utf8_lossy(&name).into_owned();
                skipped.push(SkippedPart::OverlayAttribute(name));
            } else {
                xattrs.insert(&name, value);
            }
        }
        if self.has_acl {
            skipped.push(SkippedPart::AccessControlList);
        }
        (xattrs.sealed(), skipped)
    }
}

/// As long as Linux lets a name be.
fn checked(name: Vec<u8>) -> Result<Vec<u8>, Fault> {
    if name.is_empty() || name.len() > 255 || name.contains(&0) {
        let rule = "the name of an attribute has 1 to 255 bytes, no NUL";
        return Err(Fault::rule(ErrorKind::InvalidInput, rule));
    }
    Ok(name)
}

fn percent_decoded(mut text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    loop {
        match text {
            [] => return Some(bytes),
            [b'%', high, low, rest @ ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                bytes.push((digit(*high)? << 4 | digit(*low)?) as u8);
                text = rest;
            }
            [byte, rest @ ..] => {
                bytes.push(*byte);
                text = rest;
            }
        }
    }
}

/// libarchive leaves the padding out; others do not.
fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.split(|&byte| byte == b'=').next().unwrap_or_default();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for four in text.chunks(4) {
        let mut bits = 0_u32;
        for &byte in four {
            bits = bits << 6 | sextet(byte)?;
        }
        bits <<= 6 * (4 - four.len());
        let whole = match four.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        bytes.extend_from_slice(&bits.to_be_bytes()[1..=whole]);
    }
    Some(bytes)
}

fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l50_libarchive_encodes_names_and_values() {
        assert_eq!(percent_decoded(b"user.a%3Db%"), Some(b"user.a=b%".to_vec()));
        for (text, bytes) in
            [("", ""), ("Zg", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmE", "fooba")]
        {
            assert_eq!(base64_decoded(text.as_bytes()), Some(bytes.as_bytes().to_vec()), "{text}");
        }
        assert_eq!(base64_decoded(b"Zm9vY"), None);
        assert_eq!(base64_decoded(b"Z!"), None);
    }
}
