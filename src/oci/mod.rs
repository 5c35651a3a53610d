//! Images in directories and archives that every container tool reads: the store.
//!
//! A [`Layout`] is an OCI image layout (image-spec, image-layout.md): a directory that skopeo, umoci, buildah and others read
//! and write too, at any time. Every layer is in it once, however many images are made of it.
//!
//! ```text
//!   DIR/oci-layout
//!       index.json                  names, and the manifests that they stand for
//!       blobs/sha256/…              manifests, configurations, layers as they were published; layers uncompressed
//!       stratafs/                   tables of contents, locks, what is being written: all of it can be made again
//! ```
//!
//! An image that is loaded stays on the disk: the bytes of its files are read from the uncompressed layers when somebody
//! asks for them, so it may be larger than memory. The first load of a layer inflates and checks it; from then on an image is
//! opened by its table of contents, without a look at its layers.
//!
//! No image that others made is trusted: whatever is taken in is checked against the digest by which it was called, before
//! any of it is kept. The directory itself is trusted as far as one trusts who can write it: what was checked once is not
//! checked again but by [`Layout::verify`], and tables of contents are believed. A whole layout from a stranger is taken in by
//! [`Layout::copy_from`], which looks at none of its tables.
//!
//! Other tools may read and add at any time; they know nothing of this store's locks, so [`Layout::gc`] is for moments when
//! none of them is adding. What is written is written to a temporary file and renamed, the index last, so that a crash at any moment
//! leaves a store that is whole, with a blob too many at most. Any number of processes may use one store at once.
//!
//! # Examples
//!
//! ```
//! use stratafs::{Image, Layer, oci::Layout};
//!
//! let dir = tempfile::tempdir().expect("a place to try this");
//! let store = Layout::create(dir.path().join("store"))?;
//! let image = Image::from_layers([Layer::from([("srv/motd", "hi")])])?;
//! store.store(&image, "game:1")?;
//!
//! // Another program, another day.
//! let server = store.load("game:1")?.container();
//! server.write("/srv/motd", "bye")?;
//! let stored = store.store(&server.commit()?, "game:2")?;
//! assert_eq!(stored.new_layers.len(), 1); // the layer below is there already
//! # Ok::<(), stratafs::Error>(())
//! ```

mod archive;
mod blobs;
mod config;
mod copy;
mod descriptor;
mod documents;
mod file;
mod layout;
mod load;
mod lock;
mod media;
mod shelf;
mod store;
mod sweep;
mod toc;
mod toc_records;
mod unpack;
mod verify;

pub use self::config::{Config, HistoryEntry};
pub use self::descriptor::{Descriptor, Platform};
pub use self::layout::{Layout, Reference};
pub use self::load::{LoadOptions, LoadProgress};
pub use self::store::{StoreOptions, StoreProgress, Stored};
pub use self::sweep::{Collected, StoreUsage};
use crate::digest::Digest;
use crate::error::{Error, Fault};

/// An error about a blob.
fn refuse(op: &'static str, digest: Digest, fault: impl Into<Fault>) -> Error {
    Error::new(op, digest.to_string().as_bytes(), fault)
}

/// Everything here that reads what others wrote, for the fuzz target: the result is of no interest, only that there is one.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz_documents(bytes: &[u8]) {
    for media_type in [media::MANIFEST, media::INDEX] {
        let _ = documents::parse(bytes, media_type);
    }
    let _ = documents::own_media_type(bytes);
    let _ = documents::rootfs(bytes);
    let _ = documents::annotations(bytes);
    config::fuzz(bytes);
    archive::fuzz(bytes);
    toc::fuzz(bytes);
}
