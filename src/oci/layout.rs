//! An OCI image layout as a store.

use std::path::{Path, PathBuf};

use super::{Config, Descriptor, Platform, Reference};
use crate::attr::Timestamp;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::image::Image;

/// An image layout directory (image-spec, image-layout.md).
#[derive(Clone, Debug)]
pub struct Layout {
    dir: PathBuf,
}

/// How an image is stored.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The created time; else that of the newest layer.
    pub created: Option<Timestamp>,
    /// For the history.
    pub created_by: Option<String>,
}

/// What was stored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stored {
    /// The manifest.
    pub manifest: Descriptor,
    /// The layers that were not there before.
    pub new_layers: Vec<Descriptor>,
}

/// What a garbage collection took away.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Collected {
    /// How many blobs.
    pub blobs: u64,
    /// Of how many bytes.
    pub bytes: u64,
}

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct StoreUsage {
    /// Images that have a name or stand in the index.
    pub images: u64,
    /// Blobs, each counted once.
    pub blobs: u64,
    /// Their bytes on disk.
    pub bytes: u64,
    /// What the images would take if each had its own copy of its blobs.
    pub unshared_bytes: u64,
    /// Bytes of blobs that no image refers to.
    pub unreferenced_bytes: u64,
    /// Bytes of unpacked layers and indexes, which can be made again.
    pub cache_bytes: u64,
}

fn later<T>(op: &'static str) -> Result<T> {
    Err(Error::new(op, b"", ErrorKind::Unsupported))
}

#[allow(missing_docs, clippy::missing_errors_doc, reason = "being written")]
impl Layout {
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { dir: dir.as_ref().into() })
    }
    pub fn create(dir: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { dir: dir.as_ref().into() })
    }
    /// A layout in a temporary directory, which goes with the last image, layer or file handle that needs it.
    pub fn temporary() -> Result<Self> {
        later("open layout")
    }
    pub fn path(&self) -> &Path {
        &self.dir
    }
    pub fn list(&self) -> Result<Vec<Reference>> {
        later("list")
    }
    /// `name`: a tag, a digest of a manifest, or "" if the layout has but one image.
    pub fn load(&self, name: &str) -> Result<Image> {
        let _ = name;
        later("load")
    }
    pub fn load_platform(&self, name: &str, platform: &Platform) -> Result<Image> {
        let _ = (name, platform);
        later("load")
    }
    /// The descriptor of the image's manifest, through indexes.
    pub fn resolve(&self, name: &str) -> Result<Descriptor> {
        let _ = name;
        later("resolve")
    }
    pub fn store(&self, image: &Image, tag: &str) -> Result<Stored> {
        self.store_with(image, tag, &StoreOptions::default())
    }
    pub fn store_with(&self, image: &Image, tag: &str, options: &StoreOptions) -> Result<Stored> {
        let _ = (image, tag, options);
        later("store")
    }
    pub fn tag(&self, digest: &Digest, tag: &str) -> Result<()> {
        let _ = (digest, tag);
        later("tag")
    }
    pub fn untag(&self, tag: &str) -> Result<()> {
        let _ = tag;
        later("untag")
    }
    /// Every fault, all at once.
    pub fn verify(&self) -> Result<Vec<Error>> {
        later("verify")
    }
    pub fn gc(&self) -> Result<Collected> {
        later("gc")
    }
    pub fn usage(&self) -> Result<StoreUsage> {
        later("usage")
    }
    /// Copies an image (all platforms of an index) with its exact bytes, only what is missing.
    pub fn copy_from(&self, from: &Self, name: &str, tag: &str) -> Result<Stored> {
        let _ = (from, name, tag);
        later("copy")
    }
    /// oci-archive and docker-archive, in and out. `name`: as `load`.
    pub fn import_archive(&self, file: impl AsRef<Path>, name: &str, tag: &str) -> Result<Stored> {
        let _ = (file.as_ref(), name, tag);
        later("import archive")
    }
    pub fn export_oci_archive(&self, name: &str, file: impl AsRef<Path>, tag: &str) -> Result<()> {
        let _ = (file.as_ref(), name, tag);
        later("export archive")
    }
    pub fn export_docker_archive(
        &self,
        name: &str,
        file: impl AsRef<Path>,
        repo_tag: &str,
    ) -> Result<()> {
        let _ = (file.as_ref(), name, repo_tag);
        later("export archive")
    }
}

/// Documents
#[allow(missing_docs, clippy::missing_errors_doc, reason = "being written")]
impl Image {
    /// How the image wants to be run; the default if nothing is known.
    pub fn config(&self) -> Result<Config> {
        later("config")
    }
    pub fn with_config(&self, config: &Config) -> Result<Self> {
        let _ = config;
        later("config")
    }
    /// The exact bytes of the image configuration, if it has one.
    pub fn raw_config(&self) -> Option<bytes::Bytes> {
        None
    }
    /// The exact bytes of the manifest, if the image was loaded and is unchanged since.
    pub fn raw_manifest(&self) -> Option<bytes::Bytes> {
        None
    }
}
