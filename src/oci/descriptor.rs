//! What documents say of blobs, and for which machine images are.

use std::collections::BTreeMap;
use std::fmt;

use crate::digest::Digest;

/// What a document says of a blob: type, digest, size (image-spec, descriptor.md).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Descriptor {
    /// The media type of the blob.
    pub media_type: String,
    /// The sha256 of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// What its maker says of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// For which machine it is, of manifests in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    pub(super) fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        let media_type = media_type.into();
        Self { media_type, digest, size, annotations: BTreeMap::new(), platform: None }
    }
}

/// For which machine an image is made (image-spec, image-index.md, "platform"), in the words that Go has for it.
///
/// # Examples
///
/// ```
/// use stratafs::oci::Platform;
///
/// let platform = Platform::new("linux", "arm64").variant("v8");
/// assert_eq!(platform.to_string(), "linux/arm64/v8");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Platform {
    /// The operating system: `linux`.
    pub os: String,
    /// The processor: `amd64`, `arm64`.
    pub architecture: String,
    /// The processor's variant, where it matters: `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// A platform of any variant.
    pub fn new(os: impl Into<String>, architecture: impl Into<String>) -> Self {
        Self { os: os.into(), architecture: architecture.into(), variant: None }
    }

    /// The same with a variant of the processor.
    #[must_use]
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// Linux on the processor that this program was built for.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "powerpc64" => "ppc64",
            "loongarch64" => "loong64",
            same => same,
        };
        Self::new("linux", architecture)
    }

    /// Whether an image for `self` is one for `wanted`, which may leave the variant open.
    pub(super) fn is_one_of(&self, wanted: &Self) -> bool {
        (&self.os, &self.architecture) == (&wanted.os, &wanted.architecture)
            && (wanted.variant.is_none() || self.variant == wanted.variant)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}
