//! Whether a store is what its digests promise: every fault at once, like fsck.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::Arc;

use super::blobs::{Blobs, check_digest};
use super::descriptor::Descriptor;
use super::documents::{self, Document, Manifest};
use super::load::chain_id;
use super::shelf::Shelf;
use super::toc::Contents;
use super::unpack::read_table;
use super::{Layout, media, refuse};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::layer::Layer;
use crate::tar::{self, ReadOptions};

const OP: &str = "verify";

impl Layout {
    /// Reads everything, and lists every fault: documents that break a rule, blobs that are missing or not what they are called,
    /// layers that are no archives, or not those of the configuration. Empty if all is well. O(bytes).
    ///
    /// Tables of contents are compared with what the layers say. One that is damaged is no fault: it counts as missing when it
    /// is used. One that is whole and untrue is.
    ///
    /// # Errors
    ///
    /// - What keeps the store from being looked at at all: its index cannot be read.
    pub fn verify(&self) -> Result<Vec<Error>> {
        let _kept = self.keeping();
        let mut check = Check {
            blobs: &self.blobs,
            faults: Vec::new(),
            seen: HashSet::new(),
            layers: HashMap::new(),
            images: Vec::new(),
            sound: BTreeMap::new(),
        };
        for reference in self.list()? {
            check.document(&reference.descriptor, 0);
        }
        check.layers();
        check.tables();
        check.other_blobs()?;
        Ok(check.faults)
    }
}

struct Check<'a> {
    blobs: &'a Blobs,
    faults: Vec<Error>,
    /// Blobs whose bytes were looked at.
    seen: HashSet<Digest>,
    /// What the layers are to be, uncompressed.
    layers: HashMap<Digest, (Descriptor, HashSet<Digest>)>,
    /// The stacks of layers that there are.
    images: Vec<Vec<Digest>>,
    /// Layers that are what they are to be.
    sound: BTreeMap<Digest, (Layer, Contents)>,
}

impl Check<'_> {
    fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.faults.push(error)).ok()
    }

    fn document(&mut self, descriptor: &Descriptor, depth: usize) {
        if media::kind(&descriptor.media_type).is_err() {
            return self.blob(descriptor);
        }
        if !self.seen.insert(descriptor.digest) {
            return;
        }
        if depth > super::shelf::INDEX_DEPTH_MAX {
            self.faults.push(refuse(
                OP,
                descriptor.digest,
                documents::invalid("indexes within indexes"),
            ));
            return;
        }
        match self.note(self.blobs.parsed(descriptor)) {
            Some((Document::Manifest(manifest), _)) => self.manifest(descriptor, &manifest),
            Some((Document::Index(list), _)) => {
                // Images for other machines may be missing.
                let there = |found: &&Descriptor| !matches!(self.blobs.len(found.digest), Ok(None));
                let list: Vec<_> = list.iter().filter(there).cloned().collect();
                list.iter().for_each(|found| self.document(found, depth + 1));
            }
            None => {}
        }
    }

    fn manifest(&mut self, descriptor: &Descriptor, manifest: &Manifest) {
        if !media::is_config(&manifest.config.media_type) {
            self.blob(&manifest.config);
            return manifest.layers.iter().for_each(|layer| self.blob(layer));
        }
        self.seen.insert(manifest.config.digest);
        let Some(config) = self.note(self.blobs.document(&manifest.config)) else { return };
        let rootfs = documents::rootfs(&config);
        let rootfs = rootfs.map_err(|fault| refuse(OP, manifest.config.digest, fault));
        let Some(rootfs) = self.note(rootfs) else { return };
        if rootfs.diff_ids.len() != manifest.layers.len() {
            let rule = "the manifest has another number of layers than its configuration";
            self.faults.push(refuse(OP, descriptor.digest, documents::invalid(rule)));
        }
        self.images.push(rootfs.diff_ids.clone());
        for (layer, diff_id) in manifest.layers.iter().zip(rootfs.diff_ids) {
            if media::is_foreign(&layer.media_type)
                && matches!(self.blobs.len(layer.digest), Ok(None))
            {
                continue;
            }
            let promised =
                self.layers.entry(layer.digest).or_insert_with(|| (layer.clone(), HashSet::new()));
            promised.1.insert(diff_id);
            if promised.0.size != layer.size {
                let checked = Blobs::open(self.blobs, layer.digest, layer.size);
                self.note(checked);
            }
        }
    }

    fn layers(&mut self) {
        for (digest, (descriptor, diff_ids)) in std::mem::take(&mut self.layers) {
            if media::layer_compression(&descriptor.media_type).is_err() {
                self.blob(&descriptor);
            } else if self.seen.insert(digest) {
                let checked = self.layer(&descriptor, &diff_ids);
                self.note(checked);
            }
        }
    }

    fn layer(&mut self, descriptor: &Descriptor, diff_ids: &HashSet<Digest>) -> Result<()> {
        let compression = media::layer_compression(&descriptor.media_type)
            .map_err(|fault| refuse(OP, descriptor.digest, fault))?;
        let blob = Blobs::open(self.blobs, descriptor.digest, descriptor.size)?;
        // Nobody reads the files: where their bytes lie is all that a table says.
        let source = self.blobs.source(descriptor.digest, descriptor.size)?;
        let nowhere = tar::Contents::At(Arc::clone(&source));
        let limits = ReadOptions::default();
        let unpacked = tar::unpack(blob, &mut io::sink(), nowhere, Some(compression), &limits)
            .map_err(|error| error.within(descriptor.digest))?;
        check_digest(descriptor.digest, unpacked.digest)?;
        for diff_id in diff_ids.iter().filter(|&&diff_id| diff_id != unpacked.diff_id) {
            let rule = format!(
                "uncompressed it has the digest {}, where a configuration says {diff_id}",
                unpacked.diff_id
            );
            self.faults.push(refuse(OP, descriptor.digest, documents::invalid(rule)));
        }
        let contents = Contents { diff_id: unpacked.diff_id, len: unpacked.len, source };
        self.sound.insert(unpacked.diff_id, (unpacked.layer, contents));
        Ok(())
    }

    /// Tables that are whole, and say something else than the layers do.
    fn tables(&mut self) {
        let untrue = |name: Digest| {
            refuse(
                OP,
                name,
                documents::invalid("its table of contents is not that of what is there"),
            )
        };
        for (diff_id, (layer, contents)) in &self.sound {
            let table = read_table(&self.blobs.layer_table(*diff_id));
            if table.is_some_and(|table| !table.is_of(layer, std::slice::from_ref(contents))) {
                self.faults.push(untrue(*diff_id));
            }
        }
        for diff_ids in std::mem::take(&mut self.images) {
            let Some(chain) = chain_id(diff_ids.iter().copied()) else { continue };
            let table = read_table(&self.blobs.image_table(chain));
            let parts: Option<BTreeMap<_, _>> =
                diff_ids.iter().map(|id| Some((*id, self.sound.get(id)?))).collect();
            if let (Some(table), Some(parts)) = (table, parts) {
                let layers = diff_ids.iter().map(|id| parts[id].0.clone());
                let whole = Image::from_layers(layers).and_then(|image| image.as_one_layer());
                let contents: Vec<_> =
                    parts.values().map(|(_, contents)| contents.clone()).collect();
                if whole.is_ok_and(|whole| !table.is_of(&whole, &contents)) {
                    self.faults.push(untrue(chain));
                }
            }
        }
    }

    /// A blob of which nothing is known but its name.
    fn blob(&mut self, descriptor: &Descriptor) {
        if self.seen.insert(descriptor.digest) {
            let checked = hash(self.blobs, descriptor.digest, descriptor.size);
            self.note(checked);
        }
    }

    /// Blobs that nothing refers to, and uncompressed layers.
    fn other_blobs(&mut self) -> Result<()> {
        for (digest, size) in self.blobs.list()? {
            if self.seen.insert(digest) {
                let checked = hash(self.blobs, digest, size);
                self.note(checked);
            }
        }
        Ok(())
    }
}

fn hash(blobs: &Blobs, digest: Digest, size: u64) -> Result<()> {
    let mut file = Blobs::open(blobs, digest, size)?;
    let found = Digest::of_reader(&mut file).map_err(|error| refuse(OP, digest, error))?;
    check_digest(digest, found)
}
