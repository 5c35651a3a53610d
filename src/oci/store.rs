//! From an image to a store: the layers that are missing, the documents, and last the name.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::blobs::Sync;
use super::config::object;
use super::descriptor::{Descriptor, Platform};
use super::documents::to_json;
use super::file::{BlobSource, SourceReader};
use super::layout::{check_tag, entry};
use super::{Layout, media};
use crate::attr::Timestamp;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::image::{Documents, Image};
use crate::layer::{Blob, Layer};
use crate::tar::{Compression, WriteOptions};

const OP: &str = "store";
/// What an image's history says of a layer that nobody else says anything of.
const CREATED_BY: &str = "stratafs";

/// How an image is stored.
///
/// # Examples
///
/// ```
/// use stratafs::{Image, Layer, Timestamp};
/// use stratafs::oci::{Layout, StoreOptions};
/// use stratafs::tar::Compression;
///
/// let store = Layout::temporary()?;
/// let image = Image::from_layers([Layer::from([("srv/motd", "hi")])])?;
/// StoreOptions::new()
///     .compression(Compression::Gzip)
///     .created(Timestamp::new(1_700_000_000, 0))
///     .created_by("make game")
///     .store(&store, &image, "game:1")?;
/// assert_eq!(store.load("game:1")?.history()?[0].created_by.as_deref(), Some("make game"));
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Default)]
#[must_use]
pub struct StoreOptions<'a> {
    created: Option<Timestamp>,
    created_by: Option<String>,
    author: Option<String>,
    compression: Compression,
    annotations: BTreeMap<String, String>,
    platform: Option<Platform>,
    progress: Option<Box<dyn FnMut(StoreProgress) + 'a>>,
}

/// How far a store or copy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreProgress {
    /// Which of the layers is at hand, the first being 0.
    pub layer: usize,
    /// How many layers there are.
    pub layers: usize,
}

/// What came of storing or copying an image.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Stored {
    /// The manifest, or the index of an image for several machines.
    pub manifest: Descriptor,
    /// The layers that were not there before.
    pub new_layers: Vec<Descriptor>,
    /// The layers that were there: they cost nothing.
    pub shared_layers: Vec<Descriptor>,
    /// What no archive can hold, and so is not in the image: sockets, each at its path.
    pub left_out: Vec<PathBuf>,
    /// What is named by an index or a manifest but was not where the image came from: images for other machines, and layers
    /// that only their owner gives away.
    pub missing: Vec<Descriptor>,
}

impl Stored {
    pub(super) fn new(manifest: Descriptor) -> Self {
        Self {
            manifest,
            new_layers: Vec::new(),
            shared_layers: Vec::new(),
            left_out: Vec::new(),
            missing: Vec::new(),
        }
    }
}

impl<'a> StoreOptions<'a> {
    /// New layers as plain archives; the image was created when its newest layer was.
    pub fn new() -> Self {
        Self::default()
    }

    /// When the image, and those of its layers that do not know it themselves, were created.
    pub fn created(mut self, time: Timestamp) -> Self {
        self.created = Some(time);
        self
    }

    /// What the history says of how the new layers came to be.
    pub fn created_by(mut self, command: impl Into<String>) -> Self {
        self.created_by = Some(command.into());
        self
    }

    /// Who made it.
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.author = Some(author.into());
        self
    }

    /// How layers are compressed that were neither in an archive nor in a store before. Those that were keep their bytes, and so their digests.
    ///
    /// Not at all by default: such a layer is on the disk once, and its files are read from it where they are.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// An annotation of the manifest (image-spec, annotations.md). The manifest is a new one then, and has no others.
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// For which machine the image is, if it does not say so itself. The host's by default.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }

    /// Calls `report` before each layer.
    pub fn progress(mut self, report: impl FnMut(StoreProgress) + 'a) -> Self {
        self.progress = Some(Box::new(report));
        self
    }

    /// Stores an image: [`Layout::store`] with these options. O(bytes of the layers that are missing).
    ///
    /// An image that was loaded and is unchanged keeps its manifest, byte for byte.
    ///
    /// # Errors
    ///
    /// As [`Layout::store`].
    pub fn store(mut self, layout: &Layout, image: &Image, tag: &str) -> Result<Stored> {
        check_tag(tag)?;
        let _adding = layout.adding()?;
        let mut layers = Vec::with_capacity(image.layers().len());
        let mut stored = Stored::new(Descriptor::new("", Digest::of(b""), 0));
        for (index, layer) in image.layers().iter().enumerate() {
            if let Some(report) = &mut self.progress {
                report(StoreProgress { layer: index, layers: image.layers().len() });
            }
            let (descriptor, is_new) = self.put_layer(layout, layer, &mut stored.left_out)?;
            let list = if is_new { &mut stored.new_layers } else { &mut stored.shared_layers };
            list.push(descriptor.clone());
            layers.push(descriptor);
        }
        let none = Documents::none();
        let known = image.documents().unwrap_or(&none);
        let config = self.config(image, known)?;
        let config_digest = layout.blobs.put(&config)?;
        let config = Descriptor::new(media::CONFIG, config_digest, config.len() as u64);
        let (media_type, manifest) = self.manifest(image, known, &config, &layers);
        let digest = layout.blobs.put(&manifest)?;
        stored.manifest = Descriptor::new(media_type, digest, manifest.len() as u64);
        layout.set_reference(&entry(&stored.manifest), tag)?;
        Ok(stored)
    }

    /// A layer's blob, written if it is not there.
    fn put_layer(
        &self,
        layout: &Layout,
        layer: &Layer,
        left_out: &mut Vec<PathBuf>,
    ) -> Result<(Descriptor, bool)> {
        let Some(blob) = layer.blob() else { return self.write_layer(layout, layer, left_out) };
        let open = || -> Result<Box<dyn Read + Send>> {
            Ok(Box::new(SourceReader::new(Arc::clone(&blob.source), blob.size)))
        };
        match layout.blobs.add(OP, (blob.digest, blob.size), open) {
            // It was collected where it came from. Its files are there still, so the layer is published anew.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.publish_anew(layout, layer, blob, error)
            }
            added => Ok((Descriptor::new(&blob.media_type, blob.digest, blob.size), added?)),
        }
    }

    /// The same layer in another blob: uncompressed as it was, or as its canonical form if that is the same.
    fn publish_anew(
        &self,
        layout: &Layout,
        layer: &Layer,
        blob: &Blob,
        gone: Error,
    ) -> Result<(Descriptor, bool)> {
        let diff_id = layer.diff_id()?;
        if let Some((source, len)) = &blob.uncompressed {
            let open = || -> Result<Box<dyn Read + Send>> {
                Ok(Box::new(SourceReader::new(Arc::clone(source), *len)))
            };
            let is_new = layout.blobs.add(OP, (diff_id, *len), open)?;
            return Ok((Descriptor::new(media::layer(Compression::None), diff_id, *len), is_new));
        }
        let mut new = layout.blobs.create()?;
        let written = WriteOptions::new().compression(self.compression).write(layer, &mut new)?;
        if written.diff_id != diff_id {
            return Err(gone);
        }
        let (digest, size) = new.keep(Sync::Yes)?;
        Ok((Descriptor::new(media::layer(self.compression), digest, size), true))
    }

    /// A layer that was in no archive yet.
    fn write_layer(
        &self,
        layout: &Layout,
        layer: &Layer,
        left_out: &mut Vec<PathBuf>,
    ) -> Result<(Descriptor, bool)> {
        let blobs = &layout.blobs;
        let mut new = blobs.create()?;
        let options = WriteOptions::new().compression(self.compression);
        let written = options.write(layer, &mut new)?;
        let diff_id = written.diff_id;
        left_out.extend(written.left_out);
        let before = blobs.len(new.digest())?;
        let (digest, size) = new.keep(Sync::Yes)?;
        let media_type = media::layer(self.compression).to_owned();
        let descriptor = Descriptor::new(media_type.clone(), digest, size);
        let source = Arc::new(BlobSource::new(blobs, blobs.path(digest), size));
        layer.set_blob(diff_id, Blob { media_type, digest, size, source, uncompressed: None });
        Ok((descriptor, before != Some(size)))
    }

    /// The configuration: the one that the image has, with the layers that it does not know yet.
    fn config(&self, image: &Image, known: &Documents) -> Result<Bytes> {
        let layers = image.layers();
        if known.layers == layers.len() && known.manifest.is_some() {
            return Ok(known.config.clone());
        }
        let diff_ids = layers.iter().map(Layer::diff_id).collect::<Result<Vec<_>>>()?;
        let extended = self.extend(&known.config, known.layers, layers, &diff_ids);
        extended.map_err(|fault| Error::new(OP, b"config", fault))
    }

    fn extend(
        &self,
        bytes: &[u8],
        described: usize,
        layers: &[Layer],
        diff_ids: &[Digest],
    ) -> Result<Bytes, Fault> {
        let mut document = object(bytes)?;
        let added = &layers[described..];
        let newest = self.created.or_else(|| added.iter().filter_map(Layer::created).max());
        match newest {
            Some(time) => drop(document.insert("created".into(), json!(time.to_string()))),
            None => {
                document.entry("created").or_insert_with(|| json!(Timestamp::EPOCH.to_string()));
            }
        }
        if let Some(author) = &self.author {
            document.insert("author".into(), json!(author));
        }
        let platform = self.platform.clone().unwrap_or_else(Platform::host);
        document.entry("architecture").or_insert_with(|| json!(platform.architecture));
        document.entry("os").or_insert_with(|| json!(platform.os));
        if let Some(variant) = platform.variant {
            document.entry("variant").or_insert_with(|| json!(variant));
        }
        let diff_ids: Vec<_> = diff_ids.iter().map(ToString::to_string).collect();
        document.insert("rootfs".into(), json!({ "type": "layers", "diff_ids": diff_ids }));
        let mut history = kept_history(&mut document, described);
        history.extend(added.iter().map(|layer| self.step(layer)));
        document.insert("history".into(), Value::Array(history));
        Ok(to_json(&Value::Object(document)).into())
    }

    /// What the history says of a new layer.
    fn step(&self, layer: &Layer) -> Value {
        let created = layer.created().or(self.created).unwrap_or(Timestamp::EPOCH);
        let created_by = self.created_by.as_deref().unwrap_or(CREATED_BY);
        let mut step = json!({ "created": created.to_string(), "created_by": created_by });
        if let (Some(author), Some(step)) = (&self.author, step.as_object_mut()) {
            step.insert("author".into(), json!(author));
        }
        step
    }

    /// The manifest that the image came with, if it still says what there is; else a new one.
    fn manifest(
        &self,
        image: &Image,
        known: &Documents,
        config: &Descriptor,
        layers: &[Descriptor],
    ) -> (String, Bytes) {
        if let Some((media_type, bytes)) = &known.manifest
            && known.layers == image.layers().len()
            && self.annotations.is_empty()
            && image.layers().iter().zip(layers).all(|(layer, stored)| {
                layer.blob().is_some_and(|blob| blob.digest == stored.digest)
            })
        {
            return (media_type.clone(), bytes.clone());
        }
        let oci = |layer: &Descriptor| {
            entry(&Descriptor { media_type: media::as_oci(&layer.media_type), ..layer.clone() })
        };
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": media::MANIFEST,
            "config": entry(config),
            "layers": layers.iter().map(oci).collect::<Vec<_>>(),
        });
        if let (false, Some(manifest)) = (self.annotations.is_empty(), manifest.as_object_mut()) {
            manifest.insert("annotations".into(), json!(self.annotations));
        }
        (media::MANIFEST.to_owned(), to_json(&manifest).into())
    }
}

/// The history of the layers that stay. Where it does not fit them (semantics L9), each has a line that says nothing.
fn kept_history(document: &mut Map<String, Value>, layers: usize) -> Vec<Value> {
    let history = match document.remove("history") {
        Some(Value::Array(history)) => history,
        _ => Vec::new(),
    };
    let has_layer = |step: &&Value| step.get("empty_layer").and_then(Value::as_bool) != Some(true);
    if history.iter().filter(has_layer).count() == layers {
        return history;
    }
    vec![json!({ "created_by": "unknown" }); layers]
}

impl fmt::Debug for StoreOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreOptions({:?}, created {:?})", self.compression, self.created)
    }
}
