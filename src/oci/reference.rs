//! What a store says of what is in it.

use crate::digest::Digest;
use std::collections::BTreeMap;

/// What a document says of a blob (image-spec, descriptor.md).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Descriptor {
    /// The type of what the bytes are.
    pub media_type: String,
    /// The sha256 of the bytes.
    pub digest: Digest,
    /// How many bytes there are.
    pub size: u64,
    /// What its maker says of it.
    pub annotations: BTreeMap<String, String>,
    /// For which machine it is.
    pub platform: Option<Platform>,
}

/// For which machine an image is made (image-spec, image-index.md, "platform").
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// As Go calls it: `amd64`, `arm64`.
    pub architecture: String,
    /// Such as `v8`.
    pub variant: Option<String>,
}

/// One line of a layout's index: a name, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Reference {
    /// The name, which may be missing (image-spec, annotations.md, `org.opencontainers.image.ref.name`).
    pub tag: Option<String>,
    /// The manifest or index.
    pub descriptor: Descriptor,
}
