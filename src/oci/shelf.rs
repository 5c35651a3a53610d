//! Where blobs and an index stand to be read: a layout's directory, or an archive of one.

use std::io::{self, Read};

use bytes::Bytes;
use serde_json::Value;

use super::blobs::{Blobs, DOCUMENT_MAX, at, check_digest, read_document as read_file};
use super::descriptor::{Descriptor, Platform};
use super::documents::{self, Document, Manifest, descriptor, from_json, from_value, invalid};
use super::layout::{Reference, as_digest, ref_name};
use super::{media, refuse};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::view::View;

/// Indexes may name indexes; nobody needs more levels than this (attack 14).
pub(super) const INDEX_DEPTH_MAX: usize = 4;

/// Something in which an image layout stands.
pub(super) trait Shelf {
    /// What it is called in errors.
    fn place(&self) -> Vec<u8>;

    /// The bytes of `index.json`.
    fn index(&self) -> Result<Bytes>;

    /// The bytes of a blob, of which the caller checks length and digest.
    fn open(&self, digest: Digest, size: u64) -> Result<Box<dyn Read + Send>>;

    /// A whole document, verified.
    fn document(&self, descriptor: &Descriptor) -> Result<Bytes> {
        let Descriptor { digest, size, .. } = *descriptor;
        if size > DOCUMENT_MAX {
            let rule = "a document has at most 16 MiB";
            return Err(refuse("read blob", digest, Fault::rule(ErrorKind::FileTooLarge, rule)));
        }
        let mut bytes = Vec::with_capacity(size as usize);
        let read = self.open(digest, size)?.take(size).read_to_end(&mut bytes);
        read.map_err(|error| refuse("read blob", digest, error))?;
        check_digest(digest, Digest::of(&bytes))?;
        Ok(bytes.into())
    }

    /// A manifest or index.
    fn parsed(&self, descriptor: &Descriptor) -> Result<(Document, Bytes)> {
        let bytes = self.document(descriptor)?;
        let parsed = documents::parse(&bytes, &descriptor.media_type);
        Ok((parsed.map_err(|fault| refuse("read document", descriptor.digest, fault))?, bytes))
    }

    /// The entries of the index, as they are.
    fn entries(&self) -> Result<Vec<Value>> {
        let entries = |bytes: &[u8]| -> Result<Vec<Value>, Fault> {
            let mut index: Value = from_json(bytes)?;
            match index.get_mut("manifests").map(Value::take) {
                Some(Value::Array(entries)) => Ok(entries),
                _ => Err(invalid("index.json has no list of manifests")),
            }
        };
        entries(&self.index()?).map_err(|fault| Error::new("read index", &self.place(), fault))
    }

    /// The entries of the index that are about blobs which can be had here: others are no errors (semantics L12).
    fn references(&self) -> Result<Vec<Reference>> {
        let mut references = Vec::new();
        for entry in self.entries()? {
            let tag = ref_name(&entry).map(str::to_owned);
            match from_value(entry).and_then(|entry| descriptor(&entry)) {
                Ok(descriptor) => references.push(Reference { tag, descriptor }),
                Err(Fault::Rule(ErrorKind::Unsupported, _)) => {}
                Err(fault) => return Err(Error::new("read index", &self.place(), fault)),
            }
        }
        Ok(references)
    }

    /// The entry of the index for a name: a tag, a digest, or "" for the only one.
    fn find(&self, name: &str) -> Result<Value> {
        let entries = self.entries()?;
        let missing = |rule: String| {
            Error::new("find image", name.as_bytes(), Fault::rule(ErrorKind::NotFound, rule))
        };
        let tags = || -> String {
            let tags: Vec<_> = entries.iter().filter_map(ref_name).collect();
            if tags.is_empty() { "no names".to_owned() } else { tags.join(", ") }
        };
        if name.is_empty() {
            return match &entries[..] {
                [only] => Ok(only.clone()),
                [] => Err(missing("the layout has no image".into())),
                _ => Err(missing(format!("which one? there are {}", tags()))),
            };
        }
        let is_it = |entry: &&Value| {
            ref_name(entry) == Some(name)
                || entry.get("digest").and_then(Value::as_str) == Some(name)
        };
        let found = entries.iter().find(is_it).cloned();
        found.ok_or_else(|| missing(format!("there is no such image; there are {}", tags())))
    }

    /// The descriptor of a manifest, its parts and its bytes, by a name of the index, through indexes.
    fn resolve(&self, name: &str, wanted: &Platform) -> Result<(Descriptor, Manifest, Bytes)> {
        let entry = match self.find(name) {
            Err(error) => match as_digest(name) {
                Some(digest) => return self.resolve_blob(digest, wanted, error),
                None => return Err(error),
            },
            found => found?,
        };
        let found = from_value(entry).and_then(|entry| descriptor(&entry));
        let found = found.map_err(|fault| Error::new("find image", name.as_bytes(), fault))?;
        self.manifest(&found, wanted, 0)
    }

    /// The same of a manifest that is in no index.
    fn resolve_blob(
        &self,
        digest: Digest,
        wanted: &Platform,
        missing: Error,
    ) -> Result<(Descriptor, Manifest, Bytes)> {
        let Some(size) = self.size(digest)? else { return Err(missing) };
        let mut found = Descriptor::new("", digest, size);
        let own = documents::own_media_type(&self.document(&found)?);
        found.media_type = own.map_err(|fault| refuse("find image", digest, fault))?;
        self.manifest(&found, wanted, 0)
    }

    /// The length of a blob, if it is there.
    fn size(&self, digest: Digest) -> Result<Option<u64>>;

    fn manifest(
        &self,
        found: &Descriptor,
        wanted: &Platform,
        depth: usize,
    ) -> Result<(Descriptor, Manifest, Bytes)> {
        let list = match self.parsed(found)? {
            (Document::Manifest(manifest), bytes) => return Ok((found.clone(), manifest, bytes)),
            (Document::Index(list), _) => list,
        };
        let fault = |kind, rule| refuse("find image", found.digest, Fault::rule(kind, rule));
        if depth >= INDEX_DEPTH_MAX {
            return Err(fault(ErrorKind::InvalidInput, "indexes within indexes".to_owned()));
        }
        // The first that matches (image-spec, image-index.md, "manifests").
        for manifest in &list {
            match self.is_for(manifest, wanted) {
                Ok(true) => {}
                Ok(false) => continue,
                // Images for other machines may be missing.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            match self.manifest(manifest, wanted, depth + 1) {
                // An index that does not say for what machines it is has others only.
                Err(error)
                    if error.kind() == ErrorKind::NotFound && manifest.platform.is_none() => {}
                found => return found,
            }
        }
        let there: Vec<_> =
            list.iter().filter_map(|found| Some(found.platform.as_ref()?.to_string())).collect();
        let rule = format!("no image for {wanted}; there are {}", there.join(", "));
        Err(fault(ErrorKind::NotFound, rule))
    }

    /// Whether a manifest of an index is for a platform. Where the index does not say, its configuration does (L18).
    fn is_for(&self, found: &Descriptor, wanted: &Platform) -> Result<bool> {
        if let Some(platform) = &found.platform {
            return Ok(platform.is_one_of(wanted));
        }
        match media::kind(&found.media_type) {
            Ok(media::Kind::Index) => Ok(true),
            // An artifact of another kind is no error beside images.
            Err(_) => Ok(false),
            Ok(media::Kind::Manifest) => match self.parsed(found)?.0 {
                Document::Manifest(manifest) if media::is_config(&manifest.config.media_type) => {
                    let config = self.document(&manifest.config)?;
                    let rootfs = documents::rootfs(&config);
                    let rootfs = rootfs
                        .map_err(|fault| refuse("read config", manifest.config.digest, fault))?;
                    Ok(rootfs.platform.is_one_of(wanted))
                }
                _ => Ok(false),
            },
        }
    }
}

impl Shelf for Blobs {
    fn place(&self) -> Vec<u8> {
        crate::path::bytes(&self.dir().join("index.json")).to_vec()
    }

    fn index(&self) -> Result<Bytes> {
        let path = self.dir().join("index.json");
        let read = read_file(&path).map(Bytes::from);
        read.map_err(|fault| at("read index", &path, fault))
    }

    fn open(&self, digest: Digest, size: u64) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(Self::open(self, digest, size)?))
    }

    fn size(&self, digest: Digest) -> Result<Option<u64>> {
        self.len(digest)
    }
}

/// An archive of a layout is a filesystem with a layout in it.
impl Shelf for View {
    fn place(&self) -> Vec<u8> {
        b"index.json".to_vec()
    }

    fn index(&self) -> Result<Bytes> {
        read_document(self, "/index.json")
    }

    fn open(&self, digest: Digest, size: u64) -> Result<Box<dyn Read + Send>> {
        let file = Self::open(self, blob_path(digest))?;
        let len = file.metadata()?.len();
        if len != size {
            let rule = format!("it has {len} bytes where {size} are promised");
            return Err(refuse("open blob", digest, Fault::rule(ErrorKind::InvalidInput, rule)));
        }
        Ok(Box::new(io::BufReader::with_capacity(1 << 20, file)))
    }

    fn size(&self, digest: Digest) -> Result<Option<u64>> {
        let path = blob_path(digest);
        if self.exists(&path)? { Ok(Some(self.metadata(&path)?.len())) } else { Ok(None) }
    }
}

/// A document in an archive, which is no longer than any may be: a few bytes of an archive can claim to be very many.
pub(super) fn read_document(view: &View, path: &str) -> Result<Bytes> {
    if view.metadata(path)?.len() > DOCUMENT_MAX {
        let fault = Fault::rule(ErrorKind::FileTooLarge, "a document has at most 16 MiB");
        return Err(Error::new("read document", path.as_bytes(), fault));
    }
    view.read(path)
}

/// Where an archive of a layout has a blob.
pub(super) fn blob_path(digest: Digest) -> String {
    format!("/blobs/sha256/{}", super::blobs::hex(digest))
}
