//! An image layout as a whole: its frame, its index, its names.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::blobs::{Blobs, Sync, at, read_document};
use super::descriptor::Descriptor;
use super::documents::{from_json, invalid, to_json};
use super::lock::Lock;
use super::shelf::Shelf;
use super::{LoadOptions, StoreOptions, Stored};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::image::Image;

/// Where the name of a manifest stands in the index (image-spec, annotations.md).
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";
const TAG_MAX: usize = 255;
const HEADER: &str = "oci-layout";
const INDEX: &str = "index.json";

/// An OCI image layout in a directory: a store of images that other tools read and write too.
///
/// A clone is a reference count. Several threads and processes may use one store at once; only [`gc`](Self::gc) waits until
/// nobody else is writing.
///
/// # Examples
///
/// ```
/// use stratafs::{Image, oci::Layout};
///
/// let dir = tempfile::tempdir().expect("a place to try this");
/// let store = Layout::create(dir.path())?;
/// store.store(&Image::scratch(), "empty")?;
/// assert_eq!(store.list()?[0].tag.as_deref(), Some("empty"));
/// assert!(store.verify()?.is_empty());
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Layout {
    pub(super) blobs: Arc<Blobs>,
}

/// One line of a layout's index: a name, and the manifest or index that it stands for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Reference {
    /// The name; a manifest may have none.
    pub tag: Option<String>,
    /// What it stands for.
    pub descriptor: Descriptor,
}

/// Opening
impl Layout {
    /// Opens a layout that is there. It is not changed.
    ///
    /// # Errors
    ///
    /// - `NotFound`: there is no directory, or no `oci-layout` file in it.
    /// - `Unsupported`: a layout of another version than 1.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let layout = Self::at(dir.as_ref().to_owned());
        layout.check_header().map_err(|fault| at("open layout", dir.as_ref(), fault))?;
        Ok(layout)
    }

    /// Opens a layout, and makes one where there is nothing yet or an empty directory.
    ///
    /// # Errors
    ///
    /// - `DirectoryNotEmpty`: the directory holds something else.
    /// - As [`open`](Self::open), and whatever keeps it from being written.
    pub fn create(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let layout = Self::at(dir.to_owned());
        layout.make().map_err(|fault| at("create layout", dir, fault))?;
        if let Some(_alone) = Lock::try_exclusive(&layout.blobs.own("lock"))? {
            layout.blobs.clear_temporary()?;
        }
        Ok(layout)
    }

    /// A layout in a temporary directory, which goes away with the last image, view or handle that may read from it.
    ///
    /// # Errors
    ///
    /// Whatever keeps a directory from being made in the host's place for temporary files.
    pub fn temporary() -> Result<Self> {
        let place = std::env::temp_dir();
        let made = tempfile::Builder::new().prefix("stratafs-").tempdir();
        let temporary = made.map_err(|error| at("create layout", &place, error))?;
        let dir = temporary.path().to_owned();
        let layout = Self { blobs: Arc::new(Blobs::new(dir.clone(), Some(temporary))) };
        layout.make().map_err(|fault| at("create layout", &dir, fault))?;
        Ok(layout)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.blobs.dir()
    }

    /// How many bytes a blob has: a document, a layer as it was published, or, by its `diff_id`, a layer uncompressed.
    /// `None` if it is not here; its bytes are not looked at.
    ///
    /// # Errors
    ///
    /// - `Io`: the host failed.
    ///
    /// # Examples
    ///
    /// ```
    /// use stratafs::{Image, Layer, oci::Layout};
    ///
    /// let store = Layout::temporary()?;
    /// let image = Image::from_layers([Layer::from([("motd", "hi")])])?;
    /// let stored = store.store(&image, "game:1")?;
    /// assert_eq!(store.blob_len(&stored.manifest.digest)?, Some(stored.manifest.size));
    /// assert_eq!(store.blob_len(&image.layers()[0].diff_id()?)?, Some(2048)); // an archive of one small file
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    pub fn blob_len(&self, digest: &Digest) -> Result<Option<u64>> {
        self.blobs.len(*digest)
    }

    fn at(dir: PathBuf) -> Self {
        Self { blobs: Arc::new(Blobs::new(dir, None)) }
    }

    fn check_header(&self) -> Result<(), Fault> {
        let header = match read_document(&self.path().join(HEADER)) {
            Err(Fault::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                let rule = "no image layout: there is no oci-layout file";
                return Err(Fault::rule(ErrorKind::NotFound, rule));
            }
            header => header?,
        };
        let header: Value = from_json(&header)?;
        match header.get("imageLayoutVersion").and_then(Value::as_str) {
            Some(version) if version.starts_with("1.") => Ok(()),
            other => {
                let rule = format!("an image layout of version {other:?}; known is 1");
                Err(Fault::rule(ErrorKind::Unsupported, rule))
            }
        }
    }

    fn make(&self) -> Result<(), Fault> {
        let dir = self.path();
        fs::create_dir_all(dir)?;
        if !dir.join(HEADER).exists() {
            let ours = |name: io::Result<fs::DirEntry>| {
                name.map(|entry| {
                    ["stratafs", "blobs", INDEX, HEADER]
                        .iter()
                        .any(|ours| entry.file_name() == *ours)
                })
            };
            if !fs::read_dir(dir)?
                .map(ours)
                .collect::<io::Result<Vec<_>>>()?
                .iter()
                .all(|ours| *ours)
            {
                let rule = "it holds something else than an image layout";
                return Err(Fault::rule(ErrorKind::DirectoryNotEmpty, rule));
            }
            let _adding = self.adding().map_err(|error| Fault::of(&error))?;
            let lock = self.lock_index().map_err(|error| Fault::of(&error))?;
            if !dir.join(INDEX).exists() {
                let empty = json!({ "schemaVersion": 2, "manifests": [] });
                self.replace(INDEX, &empty, &lock).map_err(|error| Fault::of(&error))?;
            }
            // Last, because it is what makes the directory a layout.
            let header = json!({ "imageLayoutVersion": "1.0.0" });
            self.replace(HEADER, &header, &lock).map_err(|error| Fault::of(&error))?;
        }
        self.check_header()
    }
}

/// Names
impl Layout {
    /// The names, and the manifests without one, in the order of the index.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: the index is not valid.
    pub fn list(&self) -> Result<Vec<Reference>> {
        self.blobs.references()
    }

    /// The image of this name, for the machine that this program runs on: [`LoadOptions`] has more.
    ///
    /// `name` is a tag, the digest of a manifest, or "" if there is but one image.
    ///
    /// # Errors
    ///
    /// - `NotFound`: there is no such image, or none for this machine, or a blob is missing.
    /// - `InvalidInput`: a document or a layer is not what its digest promises, or breaks a rule; names the blob, the path and
    ///   the rule.
    /// - `Unsupported`: a media type, a compression or an algorithm that is not known.
    pub fn load(&self, name: &str) -> Result<Image> {
        LoadOptions::new().load(self, name)
    }

    /// Stores an image under a name; only the layers that are missing are written. [`StoreOptions`] has more.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: the name is no tag (letters, digits and `-._:@+/`, image-spec, annotations.md); a layer has a name that
    ///   begins with `.wh.`.
    /// - Whatever keeps the store from being written. The store is then as it was.
    pub fn store(&self, image: &Image, tag: &str) -> Result<Stored> {
        StoreOptions::new().store(self, image, tag)
    }

    /// The manifest of an image: the name is that of [`load`](Self::load), indexes are followed to the one for this machine.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), but layers are not looked at.
    pub fn resolve(&self, name: &str) -> Result<Descriptor> {
        Ok(self.blobs.resolve(name, &super::Platform::host())?.0)
    }

    /// Gives one more name to what has one, or moves a name to it.
    ///
    /// # Errors
    ///
    /// - `NotFound`: `name` is neither a name nor a digest of the index.
    /// - `InvalidInput`: `tag` is no tag.
    pub fn tag(&self, name: &str, tag: &str) -> Result<()> {
        let _adding = self.adding()?;
        let found = self.blobs.find(name)?;
        self.set_reference(&found, tag)
    }

    /// Takes a name away. The blobs stay until [`gc`](Self::gc).
    ///
    /// # Errors
    ///
    /// - `NotFound`: there is no such name.
    pub fn untag(&self, tag: &str) -> Result<()> {
        let _adding = self.adding()?;
        self.edit_index(|manifests| {
            let before = manifests.len();
            manifests.retain(|entry| ref_name(entry) != Some(tag));
            if manifests.len() == before {
                return Err(Fault::rule(ErrorKind::NotFound, format!("there is no image {tag:?}")));
            }
            Ok(())
        })
    }

    /// Lets a name stand for a manifest and for nothing else.
    pub(super) fn set_reference(&self, to: &Value, tag: &str) -> Result<()> {
        check_tag(tag)?;
        let mut entry = to.clone();
        if !entry["annotations"].is_object() {
            entry["annotations"] = json!({});
        }
        entry["annotations"][REF_NAME] = tag.into();
        self.edit_index(|manifests| {
            let first = manifests.iter().position(|entry| ref_name(entry) == Some(tag));
            manifests.retain(|entry| ref_name(entry) != Some(tag));
            let place = first.unwrap_or(manifests.len()).min(manifests.len());
            manifests.insert(place, entry);
            Ok(())
        })
    }

    /// Reads the index, lets it be changed, and puts it in place of the old one, while nobody else does.
    fn edit_index(&self, edit: impl FnOnce(&mut Vec<Value>) -> Result<(), Fault>) -> Result<()> {
        let lock = self.lock_index()?;
        let path = self.path().join(INDEX);
        let edited = || -> Result<Value, Fault> {
            let mut index: Value = from_json(&read_document(&path)?)?;
            let manifests = index.get_mut("manifests").and_then(Value::as_array_mut);
            edit(manifests.ok_or_else(|| invalid("it has no list of manifests"))?)?;
            Ok(index)
        };
        let index = edited().map_err(|fault| at("edit index", &path, fault))?;
        self.replace(INDEX, &index, &lock)
    }

    fn lock_index(&self) -> Result<Lock> {
        Lock::exclusive(&self.blobs.own("index.lock"))
    }

    fn replace(&self, name: &str, document: &Value, _held: &Lock) -> Result<()> {
        let to = self.path().join(name);
        let mut temporary = self.blobs.temporary("document-")?;
        temporary
            .write_all(&to_json(document))
            .map_err(|error| at("write to store", &to, error))?;
        self.blobs.rename(temporary, &to, Sync::Yes)
    }

    /// Held while blobs are read that belong together: none is taken away meanwhile. Nothing is held in a store that cannot
    /// be written, in which nobody can take anything away through this.
    pub(super) fn keeping(&self) -> Option<Lock> {
        self.adding().ok()
    }

    /// Held while blobs are added: none is taken away meanwhile.
    pub(super) fn adding(&self) -> Result<Lock> {
        Lock::shared(&self.blobs.own("lock"))
    }
}

/// The name of an entry of the index.
pub(super) fn ref_name(entry: &Value) -> Option<&str> {
    entry.get("annotations")?.get(REF_NAME)?.as_str()
}

/// Characters of a name (image-spec, annotations.md, "org.opencontainers.image.ref.name"), a little wider than there, as
/// docker's tags are: two separators in a row are no harm.
pub(super) fn check_tag(tag: &str) -> Result<()> {
    let in_component = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@+".contains(&byte);
    let is_component = |part: &str| {
        part.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_')
            && part.bytes().all(in_component)
    };
    if as_digest(tag).is_some() {
        let rule = "a digest is the name of what has it, and of nothing else";
        return Err(Error::new("tag", tag.as_bytes(), invalid(rule)));
    }
    if tag.len() <= TAG_MAX && tag.split('/').all(is_component) {
        return Ok(());
    }
    let rule = "a name has letters, digits and -._:@+, in parts between / that begin with a letter or digit";
    Err(Error::new("tag", tag.as_bytes(), invalid(rule)))
}

/// The entry of an index for a manifest.
pub(super) fn entry(descriptor: &Descriptor) -> Value {
    let mut entry = json!({
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest.to_string(),
        "size": descriptor.size,
    });
    if let (Some(platform), Some(entry)) = (&descriptor.platform, entry.as_object_mut()) {
        entry.insert("platform".into(), json!(platform));
    }
    entry
}

/// A name that is a digest.
pub(super) fn as_digest(name: &str) -> Option<Digest> {
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_what_the_specification_lets_them_be() {
        for tag in ["v1.0", "latest", "a/b:c@d", "docker.io/library/debian:12", "1", "a--b", "x_y"]
        {
            assert!(check_tag(tag).is_ok(), "{tag}");
        }
        for tag in [
            "",
            "/",
            "a/",
            "-a",
            "a b",
            "../x",
            ".",
            "ä",
            "a\n",
            &"x".repeat(256),
            &Digest::of(b"").to_string(),
        ] {
            assert!(check_tag(tag).is_err(), "{tag}");
        }
    }
}
