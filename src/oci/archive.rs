//! Images in one file: archives of layouts (`oci-archive`) and what `docker save` writes (`docker-archive`).
//!
//! An archive is a filesystem in a tar file, so it is read as a layer and looked at as a view: whatever order, spelling, links
//! and repetitions its members have, a path leads to what a tool that unpacked it would find there, and to nothing outside.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::blobs::{Sync, at, hex};
use super::descriptor::Descriptor;
use super::documents::{self, from_json, invalid, to_json};
use super::file::FileSource;
use super::layout::{check_tag, entry};
use super::shelf::{Shelf, blob_path, read_document};
use super::{Layout, LoadOptions, Stored, media};
use crate::content::Source;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::image::Image;
use crate::layer::{Layer, LayerBuilder};
use crate::tar::{self, Compression, ReadOptions, WriteOptions};
use crate::view::View;

const OP: &str = "read archive";
/// What `docker save` calls its list of images.
const DOCKER_MANIFEST: &str = "/manifest.json";

impl Layout {
    /// Copies an image out of an archive, which may be compressed: one of a layout, or of `docker save`.
    ///
    /// `name` is that of [`load`](Self::load); in an archive of `docker save` also a repository with a tag, `game:1`.
    ///
    /// # Errors
    ///
    /// As [`copy_from`](Self::copy_from); `InvalidInput` if the file is no such archive.
    pub fn import_archive(&self, file: impl AsRef<Path>, name: &str, tag: &str) -> Result<Stored> {
        let path = file.as_ref();
        let view = open(path)?;
        let place = |error: Error| error.within(path.display());
        if view.exists("/oci-layout").map_err(place)? {
            // Newer dockers write both; the layout has the digests that registries know.
            return self.copy(&view, name, tag).map_err(place);
        }
        if view.exists(DOCKER_MANIFEST).map_err(place)? {
            return self.import_docker(&view, name, tag).map_err(place);
        }
        let rule = "neither an oci-layout nor a manifest.json is in it";
        Err(at(OP, path, Fault::rule(ErrorKind::InvalidInput, rule)))
    }

    /// Writes an image, for all machines that it is for, as an archive of a layout that has but this one. Its blobs are copied
    /// once into the host's directory for temporary files.
    ///
    /// # Errors
    ///
    /// As [`copy_from`](Self::copy_from), and whatever keeps the file from being written: there is no file then.
    pub fn export_oci_archive(&self, name: &str, file: impl AsRef<Path>, tag: &str) -> Result<()> {
        let only = Self::temporary()?;
        only.copy_from(self, name, tag)?;
        let header = json!({ "imageLayoutVersion": "1.0.0" });
        let mut archive = Layer::builder()
            .dir("/blobs/sha256")
            .file("/oci-layout", to_json(&header))
            .file("/index.json", only.blobs.index()?);
        for (digest, size) in only.blobs.list()? {
            archive = archive.source(blob_path(digest), only.blobs.source(digest, size)?);
        }
        write(archive, file.as_ref())
    }

    /// Writes the image of this machine as `docker save` does, for `docker load`, under a name such as `game:1`, or without
    /// one if it is empty.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), and whatever keeps the file from being written: there is no file then.
    pub fn export_docker_archive(
        &self,
        name: &str,
        file: impl AsRef<Path>,
        repo_tag: &str,
    ) -> Result<()> {
        let image = LoadOptions::new().load(self, name)?;
        let config = image.raw_config().unwrap_or_default();
        let config_name = format!("{}.json", hex(Digest::of(&config)));
        let mut archive = Layer::builder().file(&config_name, config);
        let mut layers = Vec::new();
        for layer in image.layers() {
            let diff_id = layer.diff_id()?;
            let layer_name = format!("{}/layer.tar", hex(diff_id));
            if !layers.contains(&layer_name) {
                archive = archive.source(&layer_name, self.plain(layer, diff_id)?);
            }
            layers.push(layer_name);
        }
        let tags: Vec<_> = Some(repo_tag).into_iter().filter(|tag| !tag.is_empty()).collect();
        let list = json!([{ "Config": config_name, "RepoTags": tags, "Layers": layers }]);
        write(archive.file("/manifest.json", to_json(&list)), file.as_ref())
    }

    /// The uncompressed bytes of a layer that was loaded from here.
    fn plain(&self, layer: &Layer, diff_id: Digest) -> Result<Arc<dyn Source>> {
        match self.blobs.len(diff_id)? {
            Some(len) => self.blobs.source(diff_id, len),
            // In a store that cannot be written, they are nowhere but in the blob.
            None => self.inflated(layer, diff_id),
        }
    }

    fn inflated(&self, layer: &Layer, diff_id: Digest) -> Result<Arc<dyn Source>> {
        let blob = layer.blob().expect("because it was loaded");
        let input = self.blobs.open(blob.digest, blob.size)?;
        let place = std::env::temp_dir();
        let mut out = tempfile::tempfile().map_err(|error| at(OP, &place, error))?;
        let contents = tar::Contents::At(Arc::clone(&blob.source));
        let unpacked = tar::unpack(input, &mut out, contents, None, &ReadOptions::default())
            .map_err(|error| error.within(blob.digest))?;
        super::blobs::check_digest(diff_id, unpacked.diff_id)?;
        Ok(Arc::new(FileSource::new(out, unpacked.len)))
    }

    fn import_docker(&self, view: &View, name: &str, tag: &str) -> Result<Stored> {
        check_tag(tag)?;
        let _adding = self.adding()?;
        let list = read_document(view, DOCKER_MANIFEST)?;
        let chosen = choose(&list, name)
            .map_err(|fault| Error::new(OP, DOCKER_MANIFEST.as_bytes(), fault))?;
        let config = read_document(view, &chosen.config)?;
        let rootfs = documents::rootfs(&config);
        let rootfs = rootfs.map_err(|fault| Error::new(OP, chosen.config.as_bytes(), fault))?;
        if rootfs.diff_ids.len() != chosen.layers.len() {
            let rule = "the list has another number of layers than the configuration";
            return Err(Error::new(OP, chosen.config.as_bytes(), invalid(rule)));
        }
        let mut stored = Stored::new(Descriptor::new("", Digest::of(b""), 0));
        let mut layers = Vec::new();
        for (path, diff_id) in chosen.layers.iter().zip(&rootfs.diff_ids) {
            let (descriptor, is_new) = self.import_layer(view, path, *diff_id)?;
            let list = if is_new { &mut stored.new_layers } else { &mut stored.shared_layers };
            list.push(descriptor.clone());
            layers.push(entry(&descriptor));
        }
        let size = config.len() as u64;
        let config = Descriptor::new(media::CONFIG, self.blobs.put(&config)?, size);
        let manifest = to_json(&json!({
            "schemaVersion": 2,
            "mediaType": media::MANIFEST,
            "config": entry(&config),
            "layers": layers,
        }));
        let digest = self.blobs.put(&manifest)?;
        stored.manifest = Descriptor::new(media::MANIFEST, digest, manifest.len() as u64);
        self.set_reference(&entry(&stored.manifest), tag)?;
        Ok(stored)
    }

    /// A layer of `docker save` is a plain archive, though some tools compress it.
    fn import_layer(&self, view: &View, path: &str, diff_id: Digest) -> Result<(Descriptor, bool)> {
        let fault = |fault: Fault| Error::new(OP, path.as_bytes(), fault);
        let mut file = view.open(path)?;
        let mut new = self.blobs.create()?;
        let mut begin = Vec::new();
        let read = (&mut file).take(tar::BEGINNING as u64).read_to_end(&mut begin);
        read.map_err(|error| fault(error.into()))?;
        let compression = Compression::of(&begin).map_err(fault)?;
        let copied = new.write_all(&begin).and_then(|()| io::copy(&mut file, &mut new));
        copied.map_err(|error| fault(error.into()))?;
        let digest = new.digest();
        if compression == Compression::None && digest != diff_id {
            let rule =
                format!("its bytes have the digest {digest}, the configuration says {diff_id}");
            return Err(fault(invalid(rule)));
        }
        let before = self.blobs.len(digest)?;
        let (digest, size) = new.keep(Sync::Yes)?;
        Ok((Descriptor::new(media::layer(compression), digest, size), before != Some(size)))
    }
}

/// One image in the list of `docker save`.
struct Chosen {
    config: String,
    layers: Vec<String>,
}

fn choose(list: &[u8], name: &str) -> Result<Chosen, Fault> {
    let list: Vec<Value> = from_json(list)?;
    let tags = |image: &Value| -> Vec<String> {
        let tags = image.get("RepoTags").and_then(Value::as_array);
        tags.into_iter().flatten().filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
    };
    let found = match &list[..] {
        [only] if name.is_empty() => Some(only),
        // The last one of a name counts: names may repeat (semantics L20).
        _ => list.iter().rev().find(|image| tags(image).iter().any(|tag| is_called(tag, name))),
    };
    let image = found.ok_or_else(|| {
        let there: Vec<_> = list.iter().flat_map(tags).collect();
        let rule = format!("there is no image {name:?}; there are {}", there.join(", "));
        Fault::rule(ErrorKind::NotFound, rule)
    })?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(inside);
    let layers = image
        .get("Layers")
        .and_then(Value::as_array)
        .map(|layers| layers.iter().map(|layer| text(Some(layer))).collect::<Option<Vec<_>>>());
    let parts = text(image.get("Config")).zip(layers.flatten());
    let (config, layers) = parts.ok_or_else(|| invalid("an image without Config or Layers"))?;
    Ok(Chosen { config, layers })
}

/// A member's name as a path from the archive's root.
fn inside(name: &str) -> String {
    format!("/{name}")
}

/// `game`, `game:latest` and `docker.io/library/game:latest` are one name.
fn is_called(tag: &str, name: &str) -> bool {
    let short = |name: &str| {
        let name = name.strip_prefix("docker.io/").unwrap_or(name);
        let name = name.strip_prefix("library/").unwrap_or(name);
        if name.rsplit('/').next().is_some_and(|last| last.contains(':')) {
            name.to_owned()
        } else {
            format!("{name}:latest")
        }
    };
    !name.is_empty() && short(tag) == short(name)
}

/// An archive as a filesystem. What is in it stays in it, and is read from there; only of a compressed one a copy is made.
fn open(path: &Path) -> Result<View> {
    let io = |error: io::Error| at(OP, path, error);
    let mut begin = Vec::new();
    let file = File::open(path).map_err(io)?;
    (&file).take(tar::BEGINNING as u64).read_to_end(&mut begin).map_err(io)?;
    let input = File::open(path).map_err(io)?;
    let limits = ReadOptions::default();
    let unpacked =
        if Compression::of(&begin).map_err(|fault| at(OP, path, fault))? == Compression::None {
            let contents = tar::Contents::At(Arc::new(FileSource::new(file, u64::MAX)));
            tar::unpack(input, &mut io::sink(), contents, None, &limits)
        } else {
            let mut copy =
                tempfile::tempfile().map_err(|error| at(OP, &std::env::temp_dir(), error))?;
            let reader = copy.try_clone().map_err(io)?;
            let contents = tar::Contents::At(Arc::new(FileSource::new(reader, u64::MAX)));
            tar::unpack(input, &mut copy, contents, None, &limits)
        };
    let place = |error: Error| error.within(path.display());
    Ok(Image::from_layers([unpacked.map_err(place)?.layer]).map_err(place)?.view())
}

/// Writes a set of files as an archive, in one step: it is there whole or not at all. In place of a file or of nothing only;
/// a link leads to the place.
fn write(archive: LayerBuilder, path: &Path) -> Result<()> {
    let resolved = std::fs::canonicalize(path);
    let path = resolved.as_deref().unwrap_or(path);
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        let rule = "it is there, and no file: an archive is written to a file and renamed";
        return Err(at("write archive", path, Fault::rule(ErrorKind::AlreadyExists, rule)));
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let io = |error| at("write archive", path, error);
    let temporary = super::file::readable(tempfile::Builder::new().prefix(".stratafs-"))
        .tempfile_in(dir)
        .map_err(io)?;
    let mut out = io::BufWriter::with_capacity(1 << 20, temporary);
    WriteOptions::new().write(&archive.build()?, &mut out)?;
    let temporary = out.into_inner().map_err(|error| io(error.into_error()))?;
    temporary.as_file().sync_all().map_err(io)?;
    temporary.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

#[cfg(fuzzing)]
pub(super) fn fuzz(bytes: &[u8]) {
    let _ = choose(bytes, "");
    let _ = choose(bytes, "game:1");
}
