//! Layers taken apart: uncompressed bytes in the store, and tables of contents for the next time.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::blobs::{Blobs, Sync, at, check_digest, hex};
use super::descriptor::Descriptor;
use super::file::{BlobSource, FileSource};
use super::load::OP;
use super::lock::Lock;
use super::toc::{self, Contents, Table};
use super::{Layout, documents, media, refuse};
use crate::content::Source;
use crate::digest::Digest;
use crate::error::{ErrorKind, Fault, Result};
use crate::image::Image;
use crate::layer::{Blob, Layer};
use crate::tar::{self, Compression, ReadOptions};
use crate::tree::Tree;

/// The layers of an image, uncompressed, with their tables of contents.
pub(super) struct Unpacked<'a> {
    layout: &'a Layout,
    contents: BTreeMap<Digest, Contents>,
    tables: BTreeMap<Digest, Table>,
}

impl<'a> Unpacked<'a> {
    pub(super) fn new(layout: &'a Layout) -> Self {
        Self { layout, contents: BTreeMap::new(), tables: BTreeMap::new() }
    }

    fn blobs(&self) -> &Arc<Blobs> {
        &self.layout.blobs
    }

    /// Whether a layer was taken apart before, and is whole.
    pub(super) fn open(&mut self, diff_id: Digest) -> Result<bool> {
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
    pub(super) fn unpack(
        &mut self,
        promised: &Promised<'_>,
        report: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let Promised { descriptor, diff_id, .. } = *promised;
        let compression = media::layer_compression(&descriptor.media_type)
            .map_err(|fault| refuse(OP, descriptor.digest, fault))?;
        let blob = self.blobs().open(descriptor.digest, descriptor.size)?;
        let mut blob = Watched { file: blob, read: 0, report };
        let writable = Lock::shared(&self.blobs().own("lock"));
        let (layer, source, len) = match compression {
            // It is its own contents.
            Compression::None => {
                let source = self.blobs().source(descriptor.digest, descriptor.size)?;
                let read = promised.read(compression, &mut blob, &mut io::sink(), &source)?;
                (read.0, source, descriptor.size)
            }
            _ if writable.is_ok() => self.inflate(promised, compression, &mut blob)?,
            _ => inflate_aside(promised, compression, &mut blob)?,
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

    /// Keeps the uncompressed bytes in the store, as a blob among others.
    fn inflate(
        &self,
        promised: &Promised<'_>,
        compression: Compression,
        blob: &mut Watched<'_>,
    ) -> Result<(Layer, Arc<dyn Source>, u64)> {
        let mut temporary = self.blobs().temporary("layer-")?;
        let path = self.blobs().path(promised.diff_id);
        let reader = temporary.as_file().try_clone().map_err(|error| at(OP, &path, error))?;
        // Its length is not known yet, and nobody asks before the table says it.
        let source: Arc<dyn Source> = Arc::new(FileSource::new(reader, u64::MAX));
        let (layer, len) = promised.read(compression, blob, temporary.as_file_mut(), &source)?;
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

    pub(super) fn layers(&self, wanted: &[(Descriptor, Digest)]) -> Result<Vec<Layer>> {
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
    pub(super) fn merged(&self, chain: Digest) -> Option<Tree> {
        let table = read_table(&self.image_table(chain))?;
        let source = |(diff_id, len): &(Digest, u64)| {
            let contents = self.contents.get(diff_id)?;
            (contents.len == *len).then(|| Arc::clone(&contents.source))
        };
        table.tree(&table.blobs().iter().map(source).collect::<Option<Vec<_>>>()?)
    }

    pub(super) fn keep_merged(&self, chain: Digest, image: &Image) -> Result<()> {
        let Ok(_writable) = Lock::shared(&self.blobs().own("lock")) else { return Ok(()) };
        let whole = image.as_one_layer()?;
        let contents: Vec<_> = self.contents.values().cloned().collect();
        match toc::encode(&whole, &contents) {
            Some(bytes) => self.keep(&self.image_table(chain), &bytes),
            None => Ok(()),
        }
    }
}

/// What manifest and configuration promise of a layer, and what it may cost.
pub(super) struct Promised<'a> {
    pub(super) descriptor: &'a Descriptor,
    pub(super) diff_id: Digest,
    pub(super) limits: &'a ReadOptions,
}

impl Promised<'_> {
    /// Reads a blob as a layer, and checks that it is what was promised.
    fn read(
        &self,
        compression: Compression,
        blob: &mut Watched<'_>,
        out: &mut (impl Write + Send),
        source: &Arc<dyn Source>,
    ) -> Result<(Layer, u64)> {
        let digest = self.descriptor.digest;
        let contents = tar::Contents::At(Arc::clone(source));
        let unpacked = tar::unpack(blob, out, contents, Some(compression), self.limits)
            .map_err(|error| error.within(digest))?;
        check_digest(digest, unpacked.digest)?;
        if unpacked.diff_id != self.diff_id {
            let rule = format!(
                "uncompressed it has the digest {}, where the configuration says {}",
                unpacked.diff_id, self.diff_id
            );
            return Err(refuse(OP, digest, documents::invalid(rule)));
        }
        Ok((unpacked.layer, unpacked.len))
    }
}

/// A blob, and somebody who wants to know how much of it is read.
struct Watched<'a> {
    file: File,
    read: u64,
    report: &'a mut dyn FnMut(u64),
}

impl Read for Watched<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buf)?;
        self.read += read as u64;
        (self.report)(self.read);
        Ok(read)
    }
}

/// Where the store cannot be written, the uncompressed bytes go to a file without a name in the host's temporary directory.
fn inflate_aside(
    promised: &Promised<'_>,
    compression: Compression,
    blob: &mut Watched<'_>,
) -> Result<(Layer, Arc<dyn Source>, u64)> {
    let place = std::env::temp_dir();
    let both = tempfile::tempfile().and_then(|file| Ok((file.try_clone()?, file)));
    let (reader, mut file) = both.map_err(|error| at(OP, &place, error))?;
    let source: Arc<dyn Source> = Arc::new(FileSource::new(reader, u64::MAX));
    let (layer, len) = promised.read(compression, blob, &mut file, &source)?;
    Ok((layer, source, len))
}

fn too_much_inline() -> Fault {
    Fault::rule(ErrorKind::Unsupported, "it has more than 64 MiB in sparse files")
}

/// A table, if there is one that is whole. What keeps it from being read keeps nobody from making it again.
fn read_table(path: &Path) -> Option<Table> {
    Table::open(std::fs::read(path).ok()?.into())
}
