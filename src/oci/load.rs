//! From a store to an image: by tables of contents where there are some, else by taking the layers apart once.

use std::fmt;

use bytes::Bytes;

use super::blobs::Blobs;
use super::descriptor::{Descriptor, Platform};
use super::shelf::Shelf;
use super::unpack::{Promised, Unpacked};
use super::{Layout, documents, media, refuse};
use crate::digest::Digest;
use crate::error::{ErrorKind, Fault, Result};
use crate::image::{Documents, Image};
use crate::tar::ReadOptions;

pub(super) const OP: &str = "load";

/// How an image is loaded.
///
/// # Examples
///
/// ```
/// use stratafs::{Image, oci::{Layout, LoadOptions, Platform}};
///
/// let store = Layout::temporary()?;
/// store.store(&Image::scratch(), "empty")?;
/// let image = LoadOptions::new().platform(Platform::host()).load(&store, "empty")?;
/// assert!(image.layers().is_empty());
/// # Ok::<(), stratafs::Error>(())
/// ```
#[must_use]
pub struct LoadOptions<'a> {
    platform: Platform,
    limits: ReadOptions,
    progress: Box<dyn FnMut(LoadProgress) + 'a>,
}

/// How far a load has come. Layers that were taken apart before take no time and are not reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadProgress {
    /// Which of the image's layers is at hand, the lowest being 0.
    pub layer: usize,
    /// How many layers the image has.
    pub layers: usize,
    /// How much of its blob is read, in bytes.
    pub read: u64,
    /// The length of its blob, in bytes.
    pub bytes: u64,
}

impl Default for LoadOptions<'_> {
    fn default() -> Self {
        Self {
            platform: Platform::host(),
            limits: ReadOptions::default(),
            progress: Box::new(|_| {}),
        }
    }
}

impl<'a> LoadOptions<'a> {
    /// For this machine, with the usual caps on what a layer may be.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of an image for several machines, the one for this.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// Caps on the layers: bytes, entries, depth.
    pub fn limits(mut self, limits: ReadOptions) -> Self {
        self.limits = limits;
        self
    }

    /// Calls `report` while a layer is taken apart, every 256 KiB of its blob or more often.
    pub fn progress(mut self, report: impl FnMut(LoadProgress) + 'a) -> Self {
        self.progress = Box::new(report);
        self
    }

    /// Loads an image: [`Layout::load`] with these options.
    ///
    /// O(names) with the tables of contents that an earlier load left behind, else O(bytes of the layers).
    ///
    /// # Errors
    ///
    /// As [`Layout::load`].
    pub fn load(mut self, layout: &Layout, name: &str) -> Result<Image> {
        let _kept = layout.keeping();
        let (descriptor, manifest, raw) = layout.blobs.resolve(name, &self.platform)?;
        let config = layout.blobs.config(&manifest.config)?;
        let rootfs = documents::rootfs(&config);
        let rootfs = rootfs.map_err(|fault| refuse(OP, manifest.config.digest, fault))?;
        if rootfs.diff_ids.len() != manifest.layers.len() {
            let rule = format!(
                "the manifest has {} layers, its configuration {}",
                manifest.layers.len(),
                rootfs.diff_ids.len()
            );
            return Err(refuse(OP, descriptor.digest, documents::invalid(rule)));
        }
        let wanted: Vec<_> = manifest.layers.into_iter().zip(rootfs.diff_ids).collect();
        let image = self.assemble(layout, &wanted)?;
        let manifest = Some((descriptor.media_type, raw));
        Ok(image.with_documents(Documents { config, manifest, layers: wanted.len() }))
    }

    fn assemble(&mut self, layout: &Layout, wanted: &[(Descriptor, Digest)]) -> Result<Image> {
        let mut shelf = Unpacked::new(layout);
        for (index, (descriptor, diff_id)) in wanted.iter().enumerate() {
            if !shelf.open(*diff_id)? {
                let bytes = descriptor.size;
                let at = |read| LoadProgress { layer: index, layers: wanted.len(), read, bytes };
                let mut report = |read| (self.progress)(at(read));
                let promised = Promised { descriptor, diff_id: *diff_id, limits: &self.limits };
                shelf.unpack(&promised, &mut report)?;
            }
        }
        let chain = chain_id(wanted.iter().map(|(_, diff_id)| *diff_id));
        // Two cores: one puts the layers together, the other what they are together.
        let (layers, merged) = std::thread::scope(|scope| {
            let merged = scope.spawn(|| chain.and_then(|chain| shelf.merged(chain)));
            let layers = shelf.layers(wanted);
            (layers, merged.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let layers = layers?;
        if let Some(tree) = merged {
            return Ok(Image::merged(layers, tree));
        }
        let image = Image::from_layers(layers)?;
        if let Some(chain) = chain {
            shelf.keep_merged(chain, &image)?;
        }
        Ok(image)
    }
}

/// The name of a stack of layers (image-spec, config.md, "Layer ChainID").
pub(super) fn chain_id(diff_ids: impl Iterator<Item = Digest>) -> Option<Digest> {
    diff_ids.fold(None, |below, diff_id| Some(Digest::chain(below, diff_id)))
}

impl Blobs {
    /// A configuration's bytes, verified, if it is one of an image.
    fn config(&self, descriptor: &Descriptor) -> Result<Bytes> {
        if !media::is_config(&descriptor.media_type) {
            let rule = format!("no image: its configuration is {}", descriptor.media_type);
            let fault = Fault::rule(ErrorKind::Unsupported, rule);
            return Err(refuse(OP, descriptor.digest, fault));
        }
        self.document(descriptor)
    }
}

impl fmt::Debug for LoadOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoadOptions({}, {:?})", self.platform, self.limits)
    }
}
