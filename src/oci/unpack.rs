//! Layers taken apart: uncompressed bytes in the store, and tables of contents for the next time.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::blobs::{Blobs, Sync, at, check_digest};
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
    parts: BTreeMap<Digest, Part>,
}

/// A layer, as its table of contents or as it was just read.
enum Part {
    Table(Table),
    Read(Layer),
}

impl<'a> Unpacked<'a> {
    pub(super) fn new(layout: &'a Layout) -> Self {
        Self { layout, contents: BTreeMap::new(), parts: BTreeMap::new() }
    }

    fn blobs(&self) -> &Arc<Blobs> {
        &self.layout.blobs
    }

    /// Whether a layer was taken apart before, and is whole.
    pub(super) fn open(&mut self, diff_id: Digest) -> Result<bool> {
        if self.parts.contains_key(&diff_id) {
            return Ok(true);
        }
        let Some(table) = read_table(&self.blobs().layer_table(diff_id)) else { return Ok(false) };
        let [(of, len)] = *table.blobs() else { return Ok(false) };
        if of != diff_id || self.blobs().len(diff_id)? != Some(len) {
            return Ok(false);
        }
        let source = self.blobs().source(diff_id, len)?;
        self.contents.insert(diff_id, Contents { diff_id, len, source });
        self.parts.insert(diff_id, Part::Table(table));
        Ok(true)
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
                // Another program may have written it; what has a table is to outlast a loss of power.
                blob.file.sync_all().map_err(|error| refuse(OP, descriptor.digest, error))?;
                let source = self.blobs().source(descriptor.digest, descriptor.size)?;
                let read = promised.read(compression, &mut blob, &mut io::sink(), &source)?;
                (read.0, source, descriptor.size)
            }
            _ if writable.is_ok() => self.inflate(promised, compression, &mut blob)?,
            _ => inflate_aside(promised, compression, &mut blob)?,
        };
        let contents = Contents { diff_id, len, source };
        // A layer with a lot in files with holes has no table, and is taken apart each time.
        if let Some(bytes) = toc::encode(&layer, std::slice::from_ref(&contents))
            && writable.is_ok()
        {
            self.keep(&self.blobs().layer_table(diff_id), &bytes);
        }
        self.contents.insert(diff_id, contents);
        self.parts.insert(diff_id, Part::Read(layer));
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

    /// Tables are for the next time: that one cannot be kept keeps nobody from using this one.
    fn keep(&self, path: &Path, bytes: &[u8]) {
        let keep = || -> Result<()> {
            if let Some(dir) = path.parent() {
                std::fs::create_dir_all(dir).map_err(|error| at(OP, dir, error))?;
            }
            let mut temporary = self.blobs().temporary("table-")?;
            temporary.write_all(bytes).map_err(|error| at(OP, path, error))?;
            self.blobs().rename(temporary, path, Sync::No)
        };
        let _ = keep();
    }

    pub(super) fn layers(&self, wanted: &[(Descriptor, Digest)]) -> Result<Vec<Layer>> {
        // Two blobs may be one layer, compressed in two ways.
        let mut known: HashMap<(Digest, Digest), Layer> = HashMap::new();
        let mut layers = Vec::with_capacity(wanted.len());
        for (descriptor, diff_id) in wanted {
            let key = (descriptor.digest, *diff_id);
            let layer = match known.get(&key) {
                Some(layer) => layer.clone(),
                None => self.layer(descriptor, *diff_id)?,
            };
            known.insert(key, layer.clone());
            layers.push(layer);
        }
        Ok(layers)
    }

    fn layer(&self, descriptor: &Descriptor, diff_id: Digest) -> Result<Layer> {
        let contents = &self.contents[&diff_id];
        let layer = match &self.parts[&diff_id] {
            Part::Table(table) => {
                table.layer(&[Arc::clone(&contents.source)]).ok_or_else(|| {
                    let rule = "its table of contents is not what was written: remove it";
                    refuse(OP, diff_id, Fault::rule(ErrorKind::Io, rule))
                })?
            }
            Part::Read(layer) => Layer::new(layer.raw_entries().to_vec()),
        };
        let source: Arc<dyn Source> = if descriptor.digest == diff_id {
            Arc::clone(&contents.source)
        } else {
            let path = self.blobs().path(descriptor.digest);
            Arc::new(BlobSource::new(self.blobs(), path, descriptor.size))
        };
        layer.set_blob(
            diff_id,
            Blob {
                media_type: descriptor.media_type.clone(),
                digest: descriptor.digest,
                size: descriptor.size,
                source,
                uncompressed: Some((Arc::clone(&contents.source), contents.len)),
            },
        );
        Ok(layer)
    }

    /// What the layers are together, if that was written down. By the chain of all layers, never by the digest of one: the
    /// same layer over another is another filesystem (attack 21).
    pub(super) fn merged(&self, chain: Digest) -> Option<Tree> {
        let table = read_table(&self.blobs().image_table(chain))?;
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
        if let Some(bytes) = toc::encode(&whole, &contents) {
            self.keep(&self.blobs().image_table(chain), &bytes);
        }
        Ok(())
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

/// A table, if there is one that is whole. What keeps it from being read keeps nobody from making it again.
pub(super) fn read_table(path: &Path) -> Option<Table> {
    if !std::fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    Table::open(std::fs::read(path).ok()?.into())
}
