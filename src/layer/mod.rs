//! Immutable, content-addressed sets of changes: what an image is made of.

mod apply;
mod builder;
mod diff;
mod squash;
mod tar;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

pub(crate) use self::apply::{Link, Watch, apply, apply_watched};
pub use self::builder::LayerBuilder;
pub(crate) use self::diff::diff;
pub use self::diff::{Change, ChangeKind, Diff};
#[cfg(feature = "tar")]
pub(crate) use self::tar::{left_out, write as write_canonical};
use crate::attr::{Metadata, Timestamp};
use crate::content::Source;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::path;
use crate::tree::{Ino, Inode};

/// An immutable set of changes to a filesystem: what was added, changed and removed.
///
/// Made by a [`LayerBuilder`], from literals, by [`Container::diff`](crate::Container::diff) or from a host directory;
/// stacked into an [`Image`](crate::Image). A clone shares everything. Nothing that is done to any container changes it.
///
/// ```text
///   Image A ─┐              ┌─ Image B
///            ├─▶ runtime ◀──┤            one Layer, kept once, however many images are made of it
///            └─▶ base    ◀──┘
/// ```
///
/// # Examples
///
/// A fixture is a literal; missing parents are made (0755, root's):
///
/// ```
/// use stratafs::{Image, Layer};
///
/// let layer = Layer::from([("etc/hosts", "127.0.0.1 localhost\n"), ("srv/motd", "hi")]);
/// let image = Image::from_layers([layer])?;
/// assert_eq!(image.view().read_to_string("/srv/motd")?, "hi");
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Clone)]
pub struct Layer(Arc<Inner>);

struct Inner {
    entries: Vec<Entry>,
    diff_id: OnceLock<Digest>,
    blob: OnceLock<Blob>,
    created: Option<Timestamp>,
}

/// The bytes that a layer is moved and kept as: an archive that somebody published, maybe compressed. They are kept as they
/// are, because their digest is what others call the layer by.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "oci"), expect(dead_code, reason = "only stores have blobs"))]
pub(crate) struct Blob {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) source: Arc<dyn Source>,
    /// The same without compression, and how long that is, where it can be read too.
    pub(crate) uncompressed: Option<(Arc<dyn Source>, u64)>,
}

/// One change, at a path without a leading `/`.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) path: Box<[u8]>,
    pub(crate) what: What,
}

#[derive(Clone)]
pub(crate) enum What {
    /// The name is gone.
    Whiteout,
    /// The name stands for this. An `opaque` directory shows nothing of the layers below.
    Object { inode: Inode, opaque: bool },
    /// A directory that shows nothing of the layers below, and is what it is there or implied (image-spec, layer.md,
    /// "Opaque Whiteout", where the archive has no entry for the directory).
    Opaque,
    /// The name is one more name of what stands at this path.
    Link(Box<[u8]>),
}

impl What {
    pub(crate) fn is_dir(&self) -> bool {
        matches!(self, Self::Object { inode, .. } if inode.is_dir()) || matches!(self, Self::Opaque)
    }

    pub(crate) fn is_opaque(&self) -> bool {
        matches!(self, Self::Object { opaque: true, .. } | Self::Opaque)
    }
}

impl Layer {
    /// Starts a layer.
    pub fn builder() -> LayerBuilder {
        LayerBuilder::default()
    }

    /// Entries sorted by [`path::compare`], each path once, parents that are mentioned being directories.
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        Self(Arc::new(Inner {
            entries,
            diff_id: OnceLock::new(),
            blob: OnceLock::new(),
            created: None,
        }))
    }

    /// A layer that came out of a container at this time.
    pub(crate) fn created_at(self, time: Timestamp) -> Self {
        let inner = Arc::try_unwrap(self.0).unwrap_or_else(|shared| Inner {
            entries: shared.entries.clone(),
            diff_id: shared.diff_id.clone(),
            blob: shared.blob.clone(),
            created: None,
        });
        Self(Arc::new(Inner { created: Some(time), ..inner }))
    }

    /// When the last change was made of those that a container's commit made this layer of, by the container's clock; `None`
    /// if the layer was made in another way. Not part of the layer's digest.
    pub fn created(&self) -> Option<Timestamp> {
        self.0.created
    }

    /// The layer as it was published. Without effect if it is known already.
    #[cfg(feature = "oci")]
    pub(crate) fn set_blob(&self, diff_id: Digest, blob: Blob) {
        // Both say the same of a layer that has them: they are what its bytes are.
        let _ = self.0.blob.set(blob);
        let _ = self.0.diff_id.set(diff_id);
    }

    #[cfg(feature = "oci")]
    pub(crate) fn blob(&self) -> Option<&Blob> {
        self.0.blob.get()
    }

    pub(crate) fn raw_entries(&self) -> &[Entry] {
        &self.0.entries
    }

    /// What the layer says of a path. O(log n).
    pub(crate) fn at(&self, path: &[u8]) -> Option<&What> {
        let entries = self.raw_entries();
        let index = entries.binary_search_by(|entry| path::compare(&entry.path, path)).ok()?;
        Some(&entries[index].what)
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// Whether the layer changes nothing.
    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    /// The changes, a directory before what is in it. O(1) for each.
    ///
    /// # Examples
    ///
    /// ```
    /// use stratafs::{EntryKind, Layer};
    ///
    /// let layer = Layer::builder().file("/new", "1").whiteout("/old").build()?;
    /// let entries: Vec<_> = layer.entries().collect();
    /// assert_eq!(entries[0].path.to_str(), Some("/new"));
    /// assert_eq!(entries[1].kind, EntryKind::Whiteout);
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    pub fn entries(&self) -> impl Iterator<Item = LayerEntry> + '_ {
        self.0.entries.iter().map(|entry| LayerEntry {
            path: absolute(&entry.path),
            kind: match &entry.what {
                What::Whiteout => EntryKind::Whiteout,
                What::Opaque => EntryKind::OpaqueWhiteout,
                What::Link(target) => EntryKind::HardLink(absolute(target)),
                What::Object { inode, opaque } => EntryKind::Object {
                    metadata: Metadata { nlink: 1, ..inode.metadata(Ino(0)) },
                    opaque: *opaque,
                },
            },
        })
    }

    /// The sha256 of the layer's canonical tar form, as OCI counts it (image-spec, config.md, "Layer DiffID").
    ///
    /// The same changes give the same digest on every machine. Computed when first asked for, O(bytes), then kept.
    /// Sockets have no tar form and are not in it. A layer that was loaded from an archive keeps the digest of that archive,
    /// in whatever form it is.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: a name begins with `.wh.`, which an OCI layer cannot hold.
    /// - `Io`: the [`Source`](crate::Source) of some file failed.
    ///
    /// # Examples
    ///
    /// ```
    /// use stratafs::Layer;
    ///
    /// let one = Layer::from([("etc/motd", "hi")]);
    /// let same = Layer::builder().file("/etc/motd", "hi").build()?;
    /// assert_eq!(one.diff_id()?, same.diff_id()?);
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    pub fn diff_id(&self) -> Result<Digest> {
        if let Some(&known) = self.0.diff_id.get() {
            return Ok(known);
        }
        let digest = tar::digest(self)?;
        Ok(*self.0.diff_id.get_or_init(|| digest))
    }

    /// Two layers in one: laying the result over any filesystem is the same as laying `self` over it, then `upper`.
    /// O(entries).
    ///
    /// # Errors
    ///
    /// - `Unsupported`: `self` gives a new name to a file of a layer further below, and `upper` removes or replaces that
    ///   file, so that without the file neither name can be written down; or `upper` has entries below what is a symbolic
    ///   link in `self`, so that where they go depends on what is further below; or `upper` removes all that `self` has in
    ///   a directory that it does not mention, which then stays, but with attributes that only the layers below know.
    ///
    /// # Examples
    ///
    /// ```
    /// use stratafs::Layer;
    ///
    /// let lower = Layer::from([("a", "1"), ("b", "1")]);
    /// let upper = Layer::builder().whiteout("/a").file("/b", "2").build()?;
    /// let both = lower.squash(&upper)?;
    /// assert_eq!(both.len(), 2); // the whiteout stays: it may hide an `a` further below
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    pub fn squash(&self, upper: &Self) -> Result<Self> {
        squash::squash(self, upper)
    }
}

pub(crate) fn absolute(path: &[u8]) -> PathBuf {
    path::to_path_buf(&[b"/", path].concat())
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layer({} entries", self.len())?;
        if let Some(digest) = self.0.diff_id.get() {
            write!(f, ", {digest}")?;
        }
        f.write_str(")")
    }
}

impl<P: AsRef<std::path::Path>, C: Into<bytes::Bytes>, const N: usize> From<[(P, C); N]> for Layer {
    /// Regular files (0644, root's, from 1970) as a literal, for fixtures.
    ///
    /// # Panics
    ///
    /// If a path leaves the root, names the root, has a NUL byte, a name of more than 255 bytes, or leads through one of
    /// the other files: a literal that is wrong is a bug at the place where it is written. For paths that come from
    /// elsewhere use [`Layer::builder`], which returns these as errors.
    fn from(files: [(P, C); N]) -> Self {
        let builder = files
            .into_iter()
            .fold(Self::builder(), |layer, (path, contents)| layer.file(path, contents));
        match builder.build() {
            Ok(layer) => layer,
            #[expect(
                clippy::panic,
                reason = "documented: a wrong literal is a bug where it is written"
            )]
            Err(error) => panic!("{error}"),
        }
    }
}

/// One change of a [`Layer`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LayerEntry {
    /// Where, from the root.
    pub path: PathBuf,
    /// What.
    pub kind: EntryKind,
}

/// What a layer says of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum EntryKind {
    /// Whatever the layers below have there is removed.
    Whiteout,
    /// Whatever the layers below have in this directory is removed; the directory itself is as they have it, or is made
    /// as 0755, root's.
    OpaqueWhiteout,
    /// One more name of the file at this path.
    HardLink(PathBuf),
    /// An object. Its inode number is 0 and it counts one link: both belong to images, not to layers.
    Object {
        /// Type, mode, owner, size and times.
        metadata: Metadata,
        /// A directory that shows nothing of the layers below.
        opaque: bool,
    },
}

pub(crate) fn refuse(
    path: &[u8],
    op: &'static str,
    fault: impl Into<crate::error::Fault>,
) -> Error {
    Error::new(op, &[b"/", path].concat(), fault)
}
