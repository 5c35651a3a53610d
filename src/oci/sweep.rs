//! What a store holds, for whom, and taking away what is for nobody.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::{fs, io};

use serde_json::Value;

use super::blobs::{Blobs, DOCUMENT_MAX, at, hex};
use super::descriptor::Descriptor;
use super::documents::from_json;
use super::lock::Lock;
use super::shelf::Shelf;
use super::{Layout, media, refuse};
use crate::digest::Digest;
use crate::error::{ErrorKind, Fault, Result};

/// What a garbage collection took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Collected {
    /// How many blobs, tables and left-over files.
    pub files: u64,
    /// Their length, in bytes.
    pub bytes: u64,
}

/// What a store holds, in bytes on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct StoreUsage {
    /// Entries of the index.
    pub images: u64,
    /// Blobs that they refer to, each counted once.
    pub blobs: u64,
    /// The bytes of these blobs.
    pub bytes: u64,
    /// The bytes that there would be if each image had blobs of its own.
    pub unshared_bytes: u64,
    /// Bytes of layers that are kept uncompressed beside their blobs, and of tables of contents: they can be made again.
    pub unpacked_bytes: u64,
    /// Bytes that a garbage collection would give back.
    pub unreferenced_bytes: u64,
}

impl StoreUsage {
    /// How many bytes are saved because layers are kept once, however many images use them.
    pub fn saved_bytes(&self) -> u64 {
        self.unshared_bytes.saturating_sub(self.bytes)
    }
}

impl Layout {
    /// Takes away every blob that no entry of the index leads to, and what writers that died have left behind. Waits until
    /// nobody is writing, and keeps others from it meanwhile.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`, `NotFound`: a document cannot be read, so that nobody can know what it refers to. Nothing was taken
    ///   away then.
    pub fn gc(&self) -> Result<Collected> {
        let _alone = Lock::exclusive(&self.blobs.own("lock"))?;
        self.blobs.check_own()?;
        let mut collected = Collected::default();
        self.garbage_of(&self.mark()?, |path, bytes| {
            collected.files += 1;
            collected.bytes += bytes;
            match fs::remove_file(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            }
        })?;
        self.blobs.clear_temporary()?;
        Ok(collected)
    }

    /// What [`gc`](Self::gc) would take away now. Nothing is.
    ///
    /// # Errors
    ///
    /// As [`gc`](Self::gc).
    ///
    /// # Examples
    ///
    /// ```
    /// use stratafs::{Image, oci::Layout};
    ///
    /// let store = Layout::temporary()?;
    /// store.store(&Image::scratch(), "empty")?;
    /// store.untag("empty")?;
    /// let garbage = store.garbage()?;
    /// assert_eq!(garbage.files, 2); // the manifest and the configuration
    /// assert_eq!(store.gc()?, garbage);
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    pub fn garbage(&self) -> Result<Collected> {
        let _kept = self.keeping();
        let mut collected = Collected::default();
        self.garbage_of(&self.mark()?, |_, bytes| {
            collected.files += 1;
            collected.bytes += bytes;
            Ok(())
        })?;
        Ok(collected)
    }

    /// Calls `each` for every file that nobody needs: path, length.
    fn garbage_of(
        &self,
        marks: &Marks,
        mut each: impl FnMut(&Path, u64) -> io::Result<()>,
    ) -> Result<()> {
        for (digest, bytes) in self.blobs.list()? {
            if !marks.all.contains(&digest) {
                each(&self.blobs.path(digest), bytes)
                    .map_err(|error| refuse("gc", digest, error))?;
            }
        }
        for (tables, kept) in [("layers", &marks.unpacked), ("images", &marks.chains)] {
            let kept: HashSet<String> = kept.iter().map(|digest| hex(*digest)).collect();
            for_files(&self.blobs.own(tables), |path, name, bytes| {
                if kept.contains(name) { Ok(()) } else { each(path, bytes) }
            })?;
        }
        for_files(&self.blobs.own("tmp"), |path, _, bytes| each(path, bytes))
    }

    /// What the store holds, and what sharing saves. O(entries of the index + blobs).
    ///
    /// # Errors
    ///
    /// As [`gc`](Self::gc).
    pub fn usage(&self) -> Result<StoreUsage> {
        let _kept = self.keeping();
        let marks = self.mark()?;
        let mut usage = StoreUsage { images: marks.images.len() as u64, ..StoreUsage::default() };
        let sizes: HashMap<Digest, u64> = self.blobs.list()?.into_iter().collect();
        let size = |digest: &Digest| sizes.get(digest).copied().unwrap_or(0);
        let mut all = 0;
        for (digest, bytes) in &sizes {
            all += bytes;
            if marks.published.contains(digest) {
                usage.blobs += 1;
                usage.bytes += bytes;
            }
        }
        usage.unshared_bytes = marks.images.iter().flatten().map(size).sum();
        for kept in ["layers", "images", "tmp"] {
            for_files(&self.blobs.own(kept), |_, _, bytes| {
                all += bytes;
                Ok(())
            })?;
        }
        self.garbage_of(&marks, |_, bytes| {
            usage.unreferenced_bytes += bytes;
            Ok(())
        })?;
        usage.unpacked_bytes = all.saturating_sub(usage.bytes + usage.unreferenced_bytes);
        Ok(usage)
    }

    fn mark(&self) -> Result<Marks> {
        let mut marks = Marks::default();
        for entry in self.blobs.entries()? {
            check_entry(&self.blobs, &entry)?;
            let mut image = HashSet::new();
            mark(&self.blobs, &entry, &mut image, &mut marks)?;
            marks.published.extend(&image);
            marks.images.push(image);
        }
        marks.all = marks.published.union(&marks.unpacked).copied().collect();
        Ok(marks)
    }
}

/// What is for somebody.
#[derive(Default)]
struct Marks {
    /// The blobs that each entry of the index leads to.
    images: Vec<HashSet<Digest>>,
    published: HashSet<Digest>,
    unpacked: HashSet<Digest>,
    chains: HashSet<Digest>,
    all: HashSet<Digest>,
}

/// What a name stands for must be there: while it is missing, nobody knows what it refers to.
fn check_entry(blobs: &Blobs, entry: &Value) -> Result<()> {
    let text = |key| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let Ok(digest) = text("digest").parse::<Digest>() else { return Ok(()) };
    let is_there = blobs.len(digest)?.is_some_and(|len| len <= DOCUMENT_MAX);
    if is_there || media::kind(text("mediaType")).is_err() {
        return Ok(());
    }
    let rule =
        "a name stands for it, but it is not in the store: bring it back, or take the name away";
    Err(refuse("find what is in use", digest, Fault::rule(ErrorKind::NotFound, rule)))
}

/// Everything that looks like a descriptor counts, whatever the document is: who made it knew what for.
fn mark(
    blobs: &Blobs,
    value: &Value,
    image: &mut HashSet<Digest>,
    marks: &mut Marks,
) -> Result<()> {
    let mut open = vec![value.clone()];
    let mut followed = HashSet::new();
    while let Some(value) = open.pop() {
        match value {
            Value::Array(values) => open.extend(values),
            Value::Object(object) => {
                note_layers(&object, marks);
                let digest = object.get("digest").and_then(Value::as_str);
                let media_type =
                    object.get("mediaType").and_then(Value::as_str).unwrap_or_default();
                let is_document = media_type.ends_with("json") || media_type.is_empty();
                if let Some(digest) = digest.and_then(|digest| digest.parse().ok())
                    && (image.insert(digest) | is_document)
                    && is_document
                    && followed.insert(digest)
                    && let Some(size) = blobs.len(digest)?.filter(|&size| size <= DOCUMENT_MAX)
                {
                    let document = blobs.document(&Descriptor::new(media_type, digest, size))?;
                    match from_json(&document) {
                        Ok(parsed) => open.push(parsed),
                        // What no image is made of need not be a document.
                        Err(_) if !is_known(media_type) => {}
                        Err(fault) => return Err(refuse("find what is in use", digest, fault)),
                    }
                }
                open.extend(object.into_iter().map(|(_, value)| value));
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_known(media_type: &str) -> bool {
    media_type.is_empty() || media::kind(media_type).is_ok() || media::is_config(media_type)
}

/// Layers that a configuration names are kept uncompressed too.
fn note_layers(object: &serde_json::Map<String, Value>, marks: &mut Marks) {
    let diff_ids = object.get("diff_ids").and_then(Value::as_array);
    let mut chain = None;
    for diff_id in diff_ids.into_iter().flatten() {
        let Some(diff_id) = diff_id.as_str().and_then(|text| text.parse().ok()) else { return };
        let whole = Digest::chain(chain, diff_id);
        marks.unpacked.insert(diff_id);
        marks.chains.insert(whole);
        chain = Some(whole);
    }
}

/// Calls `each` for every file of a directory, if there is one: path, name, length.
fn for_files(dir: &Path, mut each: impl FnMut(&Path, &str, u64) -> io::Result<()>) -> Result<()> {
    let mut visit = || -> io::Result<()> {
        // A link leads to what is somebody else's.
        if !fs::symlink_metadata(dir)?.is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let bytes = match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => continue,
                Ok(metadata) => metadata.len(),
                // Somebody has taken it away meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            each(&entry.path(), &entry.file_name().to_string_lossy(), bytes)?;
        }
        Ok(())
    };
    match visit() {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at("list store", dir, error)),
        _ => Ok(()),
    }
}
