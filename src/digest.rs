//! The name of a content: `sha256:` and 64 hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind, Fault};

/// The sha256 of something, written `sha256:<64 lower-case hex digits>` as OCI does.
///
/// # Examples
///
/// ```
/// use stratafs::Digest;
///
/// let empty = Digest::of(b"");
/// assert_eq!(empty.to_string(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
/// assert_eq!(empty.to_string().parse::<Digest>()?, empty);
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of all that a reader gives.
    ///
    /// # Errors
    ///
    /// The reader's.
    #[cfg(feature = "oci")]
    pub(crate) fn of_reader(reader: &mut impl std::io::Read) -> std::io::Result<Self> {
        let (mut hasher, mut buf) = (Sha256::new(), vec![0; 1 << 18]);
        loop {
            match reader.read(&mut buf) {
                Ok(0) => return Ok(Self::finish(hasher)),
                Ok(read) => hasher.update(&buf[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The 32 bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A hash that was computed before.
    pub fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The name of a stack of layers: that of the layers below, and the topmost one's own (image-spec, config.md, "Layer
    /// ChainID").
    pub(crate) fn chain(below: Option<Self>, diff_id: Self) -> Self {
        below.map_or(diff_id, |below| Self::of(format!("{below} {diff_id}").as_bytes()))
    }

    pub(crate) fn finish(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Error;

    /// # Errors
    ///
    /// - `Unsupported`: a well-formed digest of another algorithm (image-spec, descriptor.md, "Digests").
    /// - `InvalidInput`: anything else that is not `sha256:` and exactly 64 of `0-9a-f`.
    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map_err(|fault| Error::new("parse digest", text.as_bytes(), fault))
    }
}

fn parse(text: &str) -> Result<Digest, Fault> {
    let malformed = || {
        Fault::rule(
            ErrorKind::InvalidInput,
            "a digest is sha256: and 64 lower-case hexadecimal digits",
        )
    };
    let (algorithm, encoded) = text.split_once(':').ok_or_else(malformed)?;
    if algorithm != "sha256" {
        let word = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let well_formed = algorithm.split(['+', '.', '_', '-']).all(word)
            && !encoded.is_empty()
            && encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"=_-".contains(&b));
        let unknown =
            || Fault::rule(ErrorKind::Unsupported, "a digest of another algorithm than sha256");
        return Err(if well_formed { unknown() } else { malformed() });
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(malformed()),
    };
    let mut hash = [0; 32];
    if encoded.len() != 64 {
        return Err(malformed());
    }
    for (byte, pair) in hash.iter_mut().zip(encoded.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(Digest(hash))
}

#[cfg(feature = "serde")]
impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l2_anything_but_64_lower_case_hex_is_malformed() {
        for text in [
            "",
            "sha256",
            "sha256:",
            "sha256:ABC",
            &format!("sha256:{}", "a".repeat(63)),
            ":a",
            "SHA256:aa",
        ] {
            assert_eq!(
                text.parse::<Digest>().unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{text}"
            );
        }
        assert!(format!("sha256:{}", "A".repeat(64)).parse::<Digest>().is_err());
        assert!(format!("sha256:../{}", "a".repeat(61)).parse::<Digest>().is_err());
    }

    #[test]
    fn l3_unknown_algorithm_is_unsupported() {
        let error = "sha512+b64u:cafe".parse::<Digest>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
