//! From a store to an image: by tables of contents where there are some, else by taking the layers apart once.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::blobs::{Blobs, Sync, at, check_digest, hex};
use super::descriptor::{Descriptor, Platform};
use super::file::{BlobSource, FileSource};
use super::lock::Lock;
use super::shelf::Shelf;
use super::toc::{self, Contents, Table};
use super::{Layout, documents, media, refuse};
use crate::content::Source;
use crate::digest::Digest;
use crate::error::{ErrorKind, Fault, Result};
use crate::image::{Documents, Image};
use crate::layer::{Blob, Layer};
use crate::tar::{self, Compression, ReadOptions};
use crate::tree::Tree;

const OP: &str = "load";

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
    /// The length of this one's blob, in bytes.
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

    /// Calls `report` before each layer that has to be taken apart.
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
        let mut shelf = Unpacked { layout, contents: BTreeMap::new(), tables: BTreeMap::new() };
        for (index, (descriptor, diff_id)) in wanted.iter().enumerate() {
            if !shelf.open(*diff_id)? {
                (self.progress)(LoadProgress {
                    layer: index,
                    layers: wanted.len(),
                    bytes: descriptor.size,
                });
                shelf.unpack(descriptor, *diff_id, &self.limits)?;
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

/// The layers of an image, uncompressed, with their tables of contents.
struct Unpacked<'a> {
    layout: &'a Layout,
    contents: BTreeMap<Digest, Contents>,
    tables: BTreeMap<Digest, Table>,
}

impl Unpacked<'_> {
    fn blobs(&self) -> &Arc<Blobs> {
        &self.layout.blobs
    }

    /// Whether a layer was taken apart before, and is whole.
    fn open(&mut self, diff_id: Digest) -> Result<bool> {
        if self.tables.contains_key(&diff_id) {
            return Ok(true);
        }
        let Some(table) = read_table(&self.layer_table(diff_id)) else { return Ok(false) };
        let [(of, len)] = *table.blobs() else { return Ok(false) };
        if of != diff_id || self.blobs().len(diff_id)? != Some(len) {
            return Ok(false);
        }
        let source = self.blobs().source(diff_id, len)?;
        self.contents.insert(diff_id, Contents { diff_id, len, source });
        self.tables.insert(diff_id, table);
        Ok(true)
    }

    fn layer_table(&self, diff_id: Digest) -> PathBuf {
        self.blobs().own("layers").join(hex(diff_id))
    }

    fn image_table(&self, chain: Digest) -> PathBuf {
        self.blobs().own("images").join(hex(chain))
    }

    /// Takes a layer apart: inflates, checks and parses it in one pass.
    fn unpack(
        &mut self,
        descriptor: &Descriptor,
        diff_id: Digest,
        limits: &ReadOptions,
    ) -> Result<()> {
        let compression = media::layer_compression(&descriptor.media_type)
            .map_err(|fault| refuse(OP, descriptor.digest, fault))?;
        let blob = self.blobs().open(descriptor.digest, descriptor.size)?;
        let writable = Lock::shared(&self.blobs().own("lock"));
        let (layer, source, len) = if compression == Compression::None {
            self.read_plain(descriptor, diff_id, blob, limits)?
        } else if writable.is_ok() {
            self.inflate(descriptor, compression, diff_id, blob, limits)?
        } else {
            inflate_aside(descriptor, compression, diff_id, blob, limits)?
        };
        let contents = Contents { diff_id, len, source };
        let bytes: Bytes = toc::encode(&layer, std::slice::from_ref(&contents))
            .ok_or_else(|| refuse(OP, descriptor.digest, too_much_inline()))?
            .into();
        if writable.is_ok() {
            self.keep(&self.layer_table(diff_id), &bytes)?;
        }
        let table = Table::open(bytes).expect("because it was written just now");
        self.contents.insert(diff_id, contents);
        self.tables.insert(diff_id, table);
        Ok(())
    }

    /// A layer that is not compressed is its own contents.
    fn read_plain(
        &self,
        descriptor: &Descriptor,
        diff_id: Digest,
        blob: File,
        limits: &ReadOptions,
    ) -> Result<(Layer, Arc<dyn Source>, u64)> {
        let source = self.blobs().source(descriptor.digest, descriptor.size)?;
        let layer =
            read(descriptor, Compression::None, diff_id, blob, &mut io::sink(), &source, limits)?.0;
        Ok((layer, source, descriptor.size))
    }

    /// Keeps the uncompressed bytes in the store, as a blob among others.
    fn inflate(
        &self,
        descriptor: &Descriptor,
        compression: Compression,
        diff_id: Digest,
        blob: File,
        limits: &ReadOptions,
    ) -> Result<(Layer, Arc<dyn Source>, u64)> {
        let mut temporary = self.blobs().temporary("layer-")?;
        let path = self.blobs().path(diff_id);
        let reader = temporary.as_file().try_clone().map_err(|error| at(OP, &path, error))?;
        // Its length is not known yet, and nobody asks before the table says it.
        let source: Arc<dyn Source> = Arc::new(FileSource::new(reader, u64::MAX));
        let (layer, len) =
            read(descriptor, compression, diff_id, blob, temporary.as_file_mut(), &source, limits)?;
        self.blobs().rename(temporary, &path, Sync::Yes)?;
        Ok((layer, source, len))
    }

    /// Tables are for the next time: that they cannot be kept keeps nobody from using this one.
    fn keep(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(|error| at(OP, dir, error))?;
        }
        let mut temporary = self.blobs().temporary("table-")?;
        temporary.write_all(bytes).map_err(|error| at(OP, path, error))?;
        self.blobs().rename(temporary, path, Sync::No)
    }

    fn layers(&self, wanted: &[(Descriptor, Digest)]) -> Result<Vec<Layer>> {
        let mut known: HashMap<Digest, Layer> = HashMap::new();
        let mut layers = Vec::with_capacity(wanted.len());
        for (descriptor, diff_id) in wanted {
            let layer = match known.get(diff_id) {
                Some(layer) => layer.clone(),
                None => self.layer(descriptor, *diff_id)?,
            };
            known.insert(*diff_id, layer.clone());
            layers.push(layer);
        }
        Ok(layers)
    }

    fn layer(&self, descriptor: &Descriptor, diff_id: Digest) -> Result<Layer> {
        let (table, contents) = (&self.tables[&diff_id], &self.contents[&diff_id]);
        let layer = table.layer(&[Arc::clone(&contents.source)]).ok_or_else(|| {
            let rule = "its table of contents is not what was written";
            refuse(OP, diff_id, Fault::rule(ErrorKind::Io, rule))
        })?;
        let path = self.blobs().path(descriptor.digest);
        let source = BlobSource::new(self.blobs(), path, descriptor.size);
        let media_type = descriptor.media_type.clone();
        layer.set_blob(
            diff_id,
            Blob { media_type, digest: descriptor.digest, source: Arc::new(source) },
        );
        Ok(layer)
    }

    /// What the layers are together, if that was written down. By the chain of all layers, never by the digest of one: the
    /// same layer over another is another filesystem (attack 21).
    fn merged(&self, chain: Digest) -> Option<Tree> {
        let table = read_table(&self.image_table(chain))?;
        let source = |(diff_id, len): &(Digest, u64)| {
            let contents = self.contents.get(diff_id)?;
            (contents.len == *len).then(|| Arc::clone(&contents.source))
        };
        table.tree(&table.blobs().iter().map(source).collect::<Option<Vec<_>>>()?)
    }

    fn keep_merged(&self, chain: Digest, image: &Image) -> Result<()> {
        let Ok(_writable) = Lock::shared(&self.blobs().own("lock")) else { return Ok(()) };
        let whole = image.as_one_layer()?;
        let contents: Vec<_> = self.contents.values().cloned().collect();
        match toc::encode(&whole, &contents) {
            Some(bytes) => self.keep(&self.image_table(chain), &bytes),
            None => Ok(()),
        }
    }
}

/// Where the store cannot be written, the uncompressed bytes go to a file without a name in the host's temporary directory.
fn inflate_aside(
    descriptor: &Descriptor,
    compression: Compression,
    diff_id: Digest,
    blob: File,
    limits: &ReadOptions,
) -> Result<(Layer, Arc<dyn Source>, u64)> {
    let place = std::env::temp_dir();
    let both = tempfile::tempfile().and_then(|file| Ok((file.try_clone()?, file)));
    let (reader, mut file) = both.map_err(|error| at(OP, &place, error))?;
    let source: Arc<dyn Source> = Arc::new(FileSource::new(reader, u64::MAX));
    let (layer, len) = read(descriptor, compression, diff_id, blob, &mut file, &source, limits)?;
    Ok((layer, source, len))
}

/// Reads a blob as a layer, and checks that it is what manifest and configuration promise.
fn read(
    descriptor: &Descriptor,
    compression: Compression,
    diff_id: Digest,
    blob: File,
    out: &mut (impl Write + Send),
    source: &Arc<dyn Source>,
    limits: &ReadOptions,
) -> Result<(Layer, u64)> {
    let contents = tar::Contents::At(Arc::clone(source));
    let unpacked = tar::unpack(blob, out, contents, Some(compression), limits)
        .map_err(|error| error.within(descriptor.digest))?;
    check_digest(descriptor.digest, unpacked.digest)?;
    if unpacked.diff_id != diff_id {
        let rule = format!(
            "uncompressed it has the digest {}, where the configuration says {diff_id}",
            unpacked.diff_id
        );
        return Err(refuse(OP, descriptor.digest, documents::invalid(rule)));
    }
    Ok((unpacked.layer, unpacked.len))
}

fn too_much_inline() -> Fault {
    Fault::rule(ErrorKind::Unsupported, "it has more than 64 MiB in sparse files")
}

/// A table, if there is one that is whole. What keeps it from being read keeps nobody from making it again.
fn read_table(path: &Path) -> Option<Table> {
    Table::open(std::fs::read(path).ok()?.into())
}

/// The name of a stack of layers (image-spec, config.md, "Layer ChainID").
fn chain_id(diff_ids: impl Iterator<Item = Digest>) -> Option<Digest> {
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
