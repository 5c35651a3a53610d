//! Copying an image as it is, with all that its manifest or index names: only what is missing, byte for byte.

use std::collections::HashSet;

use super::blobs::Blobs;
use super::descriptor::Descriptor;
use super::documents::{Document, Manifest, descriptor, from_value, invalid};
use super::layout::{check_tag, entry};
use super::shelf::{INDEX_DEPTH_MAX, Shelf};
use super::{Layout, Stored, media, refuse};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};

impl Layout {
    /// Copies an image from another store under a name, for all machines that it is for, with the very bytes of its manifest.
    /// Layers that are here already are not read.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), but layers of unknown types are copied too (semantics L13), and as [`store`](Self::store).
    ///
    /// # Examples
    ///
    /// ```
    /// use stratafs::{Image, oci::Layout};
    ///
    /// let (here, there) = (Layout::temporary()?, Layout::temporary()?);
    /// let stored = here.store(&Image::scratch(), "empty")?;
    /// assert_eq!(there.copy_from(&here, "empty", "none")?.manifest.digest, stored.manifest.digest);
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    pub fn copy_from(&self, from: &Self, name: &str, tag: &str) -> Result<Stored> {
        self.copy(&*from.blobs, name, tag)
    }

    pub(super) fn copy(&self, from: &dyn Shelf, name: &str, tag: &str) -> Result<Stored> {
        check_tag(tag)?;
        let _adding = self.adding()?;
        let found = from_value(from.find(name)?).and_then(|entry| descriptor(&entry));
        let found = found.map_err(|fault| Error::new("copy", name.as_bytes(), fault))?;
        let mut copy = Copy {
            from,
            to: &self.blobs,
            stored: Stored::new(found.clone()),
            done: HashSet::new(),
        };
        copy.document(&found, 0)?;
        self.set_reference(&entry(&found), tag)?;
        Ok(copy.stored)
    }
}

struct Copy<'a> {
    from: &'a dyn Shelf,
    to: &'a Blobs,
    stored: Stored,
    /// Documents that are here, with all that they name.
    done: HashSet<Digest>,
}

impl Copy<'_> {
    /// A manifest or an index, after all that it names.
    fn document(&mut self, descriptor: &Descriptor, depth: usize) -> Result<()> {
        if self.done.contains(&descriptor.digest) {
            return Ok(());
        }
        if depth > INDEX_DEPTH_MAX {
            return Err(refuse("copy", descriptor.digest, invalid("indexes within indexes")));
        }
        let (document, bytes) = self.from.parsed(descriptor)?;
        match document {
            Document::Manifest(manifest) => self.manifest(&manifest)?,
            Document::Index(list) => self.index(descriptor, &list, depth)?,
        }
        self.to.put(&bytes)?;
        self.done.insert(descriptor.digest);
        Ok(())
    }

    /// An index may name images that are not there: who has one machine needs no others.
    fn index(&mut self, index: &Descriptor, list: &[Descriptor], depth: usize) -> Result<()> {
        let mut copied = 0;
        for descriptor in list {
            if self.from.size(descriptor.digest)?.is_none() {
                self.stored.missing.push(descriptor.clone());
                continue;
            }
            match media::kind(&descriptor.media_type) {
                Ok(_) => self.document(descriptor, depth + 1)?,
                Err(_) => drop(self.blob(descriptor)?),
            }
            copied += 1;
        }
        if copied == 0 && !list.is_empty() {
            return Err(refuse("copy", index.digest, ErrorKind::NotFound));
        }
        Ok(())
    }

    fn manifest(&mut self, manifest: &Manifest) -> Result<()> {
        for layer in &manifest.layers {
            // What is its owner's to give away need not be here (semantics L17).
            if media::is_foreign(&layer.media_type) && self.from.size(layer.digest)?.is_none() {
                self.stored.missing.push(layer.clone());
                continue;
            }
            let is_new = self.blob(layer)?;
            let stored = &mut self.stored;
            let list = if is_new { &mut stored.new_layers } else { &mut stored.shared_layers };
            list.push(layer.clone());
        }
        self.blob(&manifest.config)?;
        Ok(())
    }

    /// Any blob; whether it was missing.
    fn blob(&mut self, descriptor: &Descriptor) -> Result<bool> {
        let Descriptor { digest, size, .. } = *descriptor;
        self.to.add("copy", (digest, size), || self.from.open(digest, size))
    }
}
