//! Immutable layers, a merged image, disposable containers: an embeddable union filesystem in one process, without
//! privileges.
//!
//! ```
//! use stratafs::{Image, Layer};
//!
//! // Layers, each reusable by many images.
//! let base = Layer::from([("etc/os-release", "ID=strata\n")]);
//! let game = Layer::from([("srv/world.db", "a new world"), ("srv/server.toml", "players = 8\n")]);
//! let image = Image::from_layers([base, game])?;
//!
//! // A container is the image and a writable layer of its own. Starting one takes less than a microsecond.
//! let server = image.container();
//! server.write("/srv/world.db", "explored")?;
//! server.remove_file("/srv/server.toml")?;
//! assert_eq!(server.diff()?.to_string(), "C /\nC /srv\nD /srv/server.toml\nC /srv/world.db\n");
//!
//! // The image does not change. What is worth keeping becomes a new image that shares the layers below.
//! assert_eq!(image.view().read("/srv/world.db")?, "a new world");
//! let saved = server.commit()?;
//! assert_eq!(saved.layers().len(), 3);
//! # Ok::<(), stratafs::Error>(())
//! ```
//!
//! # The idea
//!
//! ```text
//!   Layer      an immutable, content-addressed set of changes
//!   Image      an ordered stack of layers and the merged tree, built once, read-only, shared by everybody
//!   View       one immutable state of a filesystem; a clone is O(1)
//!   Container  an image and a disposable writable layer: the only thing that changes
//!   Volume     storage that outlives containers and is shared between them
//!
//!   apply : View × Layer → View        diff : View × View → Layer        apply(a, diff(a, b)) = b
//! ```
//!
//! Seen from inside, all layers are one filesystem, by POSIX's rules and without the exceptions that the kernel's own
//! union makes: directories from lower layers can be renamed, hard links stay hard links, inode numbers never change.
//!
//! # What it is not
//!
//! No container runtime (no namespaces, cgroups or network), no kernel module, no block device, no database, not async.
//!
//! # Features
//!
//! None is on by default; the core is pure Rust without `unsafe`.
//!
//! | feature | what it adds |
//! |---|---|
//! | `serde` | `Serialize` and `Deserialize` on every plain value |
//! | `host` | [`host::import`] and [`host::export`]: a real directory becomes a layer, a view a real directory (Unix) |
//! | `tar` | [`tar::read_layer`], [`tar::write_layer`]: layers from and to archives, plain, gzip or zstd |
//! | `oci` | [`oci::Layout`]: a store of images that every container tool reads; archives of images |
//! | `fuse` | `fuse::mount`: a container or a view as a directory of the machine (Linux) |
//! | `cli` | the program `stratafs`, see [`_docs::cli`] (Unix) |
//!
//! The longer texts are in [`_docs`].
#![cfg_attr(
    not(all(feature = "host", unix)),
    doc = "",
    doc = "[`host::import`]: crate#features\n[`host::export`]: crate#features"
)]
#![cfg_attr(not(feature = "tar"), doc = "", doc = "[`tar::read_layer`]: crate#features")]
#![cfg_attr(not(feature = "tar"), doc = "", doc = "[`tar::write_layer`]: crate#features")]
#![cfg_attr(not(feature = "oci"), doc = "", doc = "[`oci::Layout`]: crate#features")]

pub mod _docs;
mod attr;
mod clock;
mod container;
mod content;
mod credentials;
mod digest;
mod error;
#[cfg(all(feature = "fuse", target_os = "linux"))]
pub mod fuse;
#[cfg(all(feature = "host", unix))]
pub mod host;
mod image;
mod layer;
#[cfg(feature = "oci")]
pub mod oci;
mod path;
#[cfg(feature = "tar")]
pub mod tar;
mod tree;
mod view;
mod volume;
mod walk;
mod xattr;

#[cfg(test)]
mod tests;

pub use self::attr::{Attrs, Device, FileType, Metadata, Timestamp};
pub use self::clock::{Clock, ManualClock, SystemClock};
pub use self::container::{
    Atime, Container, ContainerBuilder, File, Limits, OpenOptions, Snapshot, Usage, XattrMode,
};
pub use self::content::Source;
pub use self::credentials::Credentials;
pub use self::digest::Digest;
pub use self::error::{Error, ErrorKind, Result};
pub use self::image::{Image, LayerShare, Providers};
pub use self::layer::{Change, ChangeKind, Diff, EntryKind, Layer, LayerBuilder, LayerEntry};
pub use self::view::{DirEntry, ReadDir, View, Walk};
pub use self::volume::Volume;
