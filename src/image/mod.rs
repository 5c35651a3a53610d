//! Read-only templates: a stack of layers, merged once.

mod providers;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use self::providers::{LayerShare, Providers};

use crate::digest::Digest;
use crate::error::{Error, Fault, Result};
use crate::layer::{self, Layer};
use crate::tree::Tree;
use crate::view::View;

/// A commit keeps the base of the image that it comes from, until this many changes have come together…
const FREEZE_MIN: usize = 1024;
/// …or one in so many inodes of the base.
const FREEZE_FRACTION: u64 = 8;

/// A read-only, immutable template: layers, and the filesystem that they are together.
///
/// The layers are merged once, when the image is made; every container of it shares the result. A clone costs two
/// reference counts. A change makes a new image ([`with_layer`](Self::with_layer), [`Container::commit`](crate::Container::commit)) that shares
/// the layers below.
///
/// # Examples
///
/// ```
/// use stratafs::{Image, Layer};
///
/// let base = Layer::from([("etc/os-release", "ID=strata")]);
/// let game = Layer::from([("srv/game/server.toml", "players = 8")]);
/// let image = Image::from_layers([base, game])?;
/// assert_eq!(image.view().read_to_string("/srv/game/server.toml")?, "players = 8");
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Clone)]
pub struct Image {
    layers: Arc<[Layer]>,
    tree: Tree,
    documents: Option<Arc<Documents>>,
}

/// What was published about an image beside its layers, byte for byte, because digests are taken over it.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "oci"), expect(dead_code, reason = "only stores have documents"))]
pub(crate) struct Documents {
    /// The image configuration (image-spec, config.md).
    pub(crate) config: Bytes,
    /// The manifest and its media type, if there is one: an image that was changed has none until it is stored.
    pub(crate) manifest: Option<(String, Bytes)>,
    /// As many of the image's layers, from the lowest, are in the configuration.
    pub(crate) layers: usize,
}

impl Image {
    /// The image without layers: an empty root directory.
    pub fn scratch() -> Self {
        Self { layers: Arc::new([]), tree: Tree::empty(), documents: None }
    }

    /// Stacks layers, the lowest first. O(changes in all layers). One layer may occur several times.
    ///
    /// # Errors
    ///
    /// - `NotFound`, `InvalidInput`: a hard link in a layer names nothing, or a directory.
    /// - `OutOfRange`: more names than an image can hold (2^32, or 4 GiB of paths).
    pub fn from_layers(layers: impl IntoIterator<Item = Layer>) -> Result<Self> {
        let layers: Arc<[Layer]> = layers.into_iter().collect();
        let mut tree = Tree::for_merging(layers.iter().map(Layer::len).sum());
        for layer in &*layers {
            tree = layer::apply(tree, layer)?;
        }
        Ok(Self { layers, tree: freeze(&tree)?, documents: None })
    }

    /// This image with one more layer on top. O(changes), now and then O(names) when enough has come together.
    ///
    /// # Errors
    ///
    /// As [`from_layers`](Self::from_layers).
    pub fn with_layer(&self, layer: Layer) -> Result<Self> {
        let mut tree = layer::apply(self.tree.clone(), &layer)?;
        let allowed = FREEZE_MIN.max((tree.base_len() / FREEZE_FRACTION) as usize);
        if tree.changed() > allowed {
            tree = freeze(&tree)?;
        }
        let layers = self.layers.iter().cloned().chain([layer]).collect();
        Ok(Self { layers, tree, documents: self.documents.clone() })
    }

    /// The layers, the lowest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The name of the whole stack: that of the lowest layer is its `diff_id`, each further one is the sha256 of
    /// `"<chain id below> <diff_id>"` (image-spec, config.md, "Layer ChainID"). `None` of the image without layers.
    ///
    /// # Errors
    ///
    /// As [`Layer::diff_id`].
    pub fn chain_id(&self) -> Result<Option<Digest>> {
        self.layers.iter().try_fold(None, |below: Option<Digest>, layer| {
            Ok(Some(Digest::chain(below, layer.diff_id()?)))
        })
    }

    /// What the image shows, to read. O(1).
    pub fn view(&self) -> View {
        View::new(self.tree.clone())
    }

    /// The same filesystem as an image of one layer. O(names).
    ///
    /// # Errors
    ///
    /// - `Io`: the [`Source`](crate::Source) of a file failed.
    pub fn squash(&self) -> Result<Self> {
        let squashed = Self::from_layers([self.as_one_layer()?])?;
        let documents = self.documents.as_deref().map(|documents| {
            let config = documents.config.clone();
            Arc::new(Documents { config, manifest: None, layers: 0 })
        });
        Ok(Self { documents, ..squashed })
    }

    /// Bytes of memory that the merged index of this image takes beside file contents: names, metadata, hash table.
    /// Shared by all its containers and by images committed from them.
    pub fn index_memory(&self) -> usize {
        self.tree.base_memory()
    }

    /// All that the image shows, as the changes from nothing. O(names).
    pub(crate) fn as_one_layer(&self) -> Result<Layer> {
        Ok(layer::diff(&Tree::empty(), &self.tree)?.into_layer())
    }

    #[cfg(feature = "oci")]
    pub(crate) fn documents(&self) -> Option<&Documents> {
        self.documents.as_deref()
    }

    #[cfg(feature = "oci")]
    pub(crate) fn with_documents(self, documents: Documents) -> Self {
        Self { documents: Some(Arc::new(documents)), ..self }
    }

    /// Layers that were merged before.
    #[cfg(feature = "oci")]
    pub(crate) fn merged(layers: Vec<Layer>, tree: Tree) -> Self {
        Self { layers: layers.into(), tree, documents: None }
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }
}

fn freeze(tree: &Tree) -> Result<Tree> {
    tree.freeze().map_err(|fault: Fault| Error::new("merge layers", b"/", fault))
}

impl Default for Image {
    fn default() -> Self {
        Self::scratch()
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({} layers)", self.layers.len())
    }
}
