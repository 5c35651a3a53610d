//! A directory of blobs, each under its digest (image-spec, image-layout.md, "blobs directory").

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempDir};

use super::file::FileSource;
use super::refuse;
use crate::content::Source;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::path;

/// Documents are read into memory: none that is larger is believed to be one.
pub(super) const DOCUMENT_MAX: u64 = 16 << 20;

/// The part of the store's directory that is its own; no other tool looks there, and all of it can be made again.
const OWN: &str = "stratafs";

/// The blobs of one layout. A blob is either there whole, under its digest, or not at all: it is written to a temporary file
/// beside and renamed.
#[derive(Debug)]
pub(super) struct Blobs {
    dir: PathBuf,
    /// Goes with the last one who reads from it.
    temporary: Option<TempDir>,
    /// The blobs that somebody reads from: an open file each, however many images use it.
    open: Mutex<HashMap<Digest, Weak<FileSource>>>,
}

impl Blobs {
    pub(super) fn new(dir: PathBuf, temporary: Option<TempDir>) -> Self {
        Self { dir, temporary, open: Mutex::default() }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file of the store's own.
    pub(super) fn own(&self, name: &str) -> PathBuf {
        self.dir.join(OWN).join(name)
    }

    /// The table of contents of a layer.
    pub(super) fn layer_table(&self, diff_id: Digest) -> PathBuf {
        self.own("layers").join(hex(diff_id))
    }

    /// The table of contents of a stack of layers.
    pub(super) fn image_table(&self, chain: Digest) -> PathBuf {
        self.own("images").join(hex(chain))
    }

    fn sha256(&self) -> PathBuf {
        self.dir.join("blobs").join("sha256")
    }

    /// Where a blob is. A digest is 64 hexadecimal digits, so nothing else can become a path (attack 17).
    pub(super) fn path(&self, digest: Digest) -> PathBuf {
        self.sha256().join(hex(digest))
    }

    /// The length of a blob, if it is there.
    pub(super) fn len(&self, digest: Digest) -> Result<Option<u64>> {
        let path = self.path(digest);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => Err(at("find blob", &path, ErrorKind::InvalidInput)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at("find blob", &path, error)),
        }
    }

    /// Every blob that is there, with its length, in any order. What is no digest is none.
    pub(super) fn list(&self) -> Result<Vec<(Digest, u64)>> {
        let dir = self.sha256();
        let listed = || -> io::Result<Vec<_>> {
            let mut blobs = Vec::new();
            for entry in fs::read_dir(&dir)? {
                let entry = entry?;
                let name = entry.file_name();
                let digest = name.to_str().and_then(|name| format!("sha256:{name}").parse().ok());
                let Some(digest) = digest else { continue };
                match entry.metadata() {
                    Ok(metadata) if metadata.is_file() => blobs.push((digest, metadata.len())),
                    // Somebody has taken it away meanwhile.
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            Ok(blobs)
        };
        match listed() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(|error| at("list blobs", &dir, error)),
        }
    }

    /// Whether the blobs are the store's own, and not those of another one that a link leads to.
    pub(super) fn check_own(&self) -> Result<()> {
        for dir in [self.dir.join("blobs"), self.sha256()] {
            if fs::symlink_metadata(&dir).is_ok_and(|found| found.is_symlink()) {
                let rule = "a symbolic link: what it leads to may be somebody else's";
                return Err(at(
                    "collect garbage",
                    &dir,
                    Fault::rule(ErrorKind::InvalidInput, rule),
                ));
            }
        }
        Ok(())
    }

    /// Opens a blob of this length. Its bytes are not looked at: whoever takes them in checks the digest.
    ///
    /// # Errors
    ///
    /// - `NotFound`: it is not there.
    /// - `InvalidInput`: it has another length (semantics L1: the length is checked first).
    pub(super) fn open(&self, digest: Digest, size: u64) -> Result<File> {
        let path = self.path(digest);
        let open = || -> Result<File, Fault> {
            // Before it is opened: who opens a fifo waits for its other end.
            let metadata = fs::metadata(&path)?;
            let file = if metadata.is_file() { Some(File::open(&path)?) } else { None };
            let Some(file) = file else {
                return Err(Fault::rule(ErrorKind::InvalidInput, "it is not a file"));
            };
            let metadata = file.metadata()?;
            if metadata.len() != size {
                let rule = format!("it has {} bytes where {size} are promised", metadata.len());
                return Err(Fault::rule(ErrorKind::InvalidInput, rule));
            }
            Ok(file)
        };
        open().map_err(|fault| match fault {
            Fault::Io(error) if error.kind() == io::ErrorKind::NotFound => refuse(
                "open blob",
                digest,
                Fault::rule(ErrorKind::NotFound, "it is not in the store"),
            ),
            fault => refuse("open blob", digest, fault),
        })
    }

    /// The blob as a source, which stays readable when the blob is removed.
    pub(super) fn source(&self, digest: Digest, size: u64) -> Result<Arc<dyn Source>> {
        let mut open = self.open.lock();
        if let Some(known) = open.get(&digest).and_then(Weak::upgrade)
            && known.len() == size
        {
            return Ok(known);
        }
        open.retain(|_, source| source.strong_count() > 0);
        let source = Arc::new(FileSource::new(self.open(digest, size)?, size));
        open.insert(digest, Arc::downgrade(&source));
        Ok(source)
    }

    /// Keeps a document. What is there already is not written again.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        if self.len(digest)? != Some(bytes.len() as u64) {
            let mut new = self.create()?;
            new.write_all(bytes).map_err(|error| refuse("write blob", digest, error))?;
            new.keep(Sync::Yes)?;
        }
        Ok(digest)
    }

    /// Takes in a blob from elsewhere, if it is not there; whether it was missing. What is not what its digest and size
    /// promise is not kept.
    pub(super) fn add(
        &self,
        op: &'static str,
        (digest, size): (Digest, u64),
        open: impl FnOnce() -> Result<Box<dyn io::Read + Send>>,
    ) -> Result<bool> {
        if self.len(digest)? == Some(size) {
            return Ok(false);
        }
        let from = open()?;
        let mut new = self.create()?;
        // One byte more than promised is enough to know.
        let copied = io::copy(&mut io::Read::take(from, size.saturating_add(1)), &mut new);
        copied.map_err(|error| refuse(op, digest, error))?;
        check_digest(digest, new.digest())?;
        new.keep(Sync::Yes)?;
        Ok(true)
    }

    /// A blob whose digest is not known yet.
    pub(super) fn create(&self) -> Result<NewBlob<'_>> {
        let temporary = self.temporary("blob-")?;
        Ok(NewBlob { blobs: self, temporary, hasher: Sha256::new(), len: 0 })
    }

    /// A temporary file that can be renamed to anything in the store.
    pub(super) fn temporary(&self, prefix: &str) -> Result<NamedTempFile> {
        let dir = self.own("tmp");
        let create = || {
            fs::create_dir_all(&dir)?;
            fs::create_dir_all(self.sha256())?;
            super::file::readable(tempfile::Builder::new().prefix(prefix)).tempfile_in(&dir)
        };
        create().map_err(|error| at("write to store", &dir, error))
    }

    /// Takes away what writers that died have left. The caller is alone in the store.
    pub(super) fn clear_temporary(&self) -> Result<()> {
        let dir = self.own("tmp");
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(at("clear store", &dir, error))
            }
            _ => Ok(()),
        }
    }

    /// Gives a temporary file its name, which then leads to all of its bytes or to what it led to before.
    pub(super) fn rename(&self, temporary: NamedTempFile, to: &Path, sync: Sync) -> Result<()> {
        // What goes away with the process need not outlast a loss of power.
        let lasts = sync == Sync::Yes && self.temporary.is_none();
        let rename = || -> io::Result<()> {
            if lasts {
                temporary.as_file().sync_all()?;
            }
            temporary.persist(to).map_err(|error| error.error)?;
            match to.parent() {
                Some(dir) if lasts => sync_dir(dir),
                _ => Ok(()),
            }
        };
        rename().map_err(|error| at("write to store", to, error))
    }
}

/// Whether bytes have to be on the disk before they get their name. What can be made again need not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    Yes,
    No,
}

/// A blob that is being written. If it is dropped, nothing is left of it.
pub(super) struct NewBlob<'a> {
    blobs: &'a Blobs,
    temporary: NamedTempFile,
    hasher: Sha256,
    len: u64,
}

impl NewBlob<'_> {
    /// The digest of what was written so far.
    pub(super) fn digest(&self) -> Digest {
        Digest::finish(self.hasher.clone())
    }

    /// Gives it its name. One of the same digest that is there already stays.
    pub(super) fn keep(self, sync: Sync) -> Result<(Digest, u64)> {
        let digest = self.digest();
        if self.blobs.len(digest)? != Some(self.len) {
            self.blobs.rename(self.temporary, &self.blobs.path(digest), sync)?;
        }
        Ok((digest, self.len))
    }
}

impl Write for NewBlob<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.temporary.write(buf)?;
        self.hasher.update(&buf[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

pub(super) fn check_digest(promised: Digest, found: Digest) -> Result<()> {
    if promised == found {
        return Ok(());
    }
    let rule = format!("its bytes have the digest {found}");
    Err(refuse("read blob", promised, Fault::rule(ErrorKind::InvalidInput, rule)))
}

/// The digits of a digest, as it is called in a directory of blobs.
pub(super) fn hex(digest: Digest) -> String {
    let text = digest.to_string();
    text["sha256:".len()..].to_owned()
}

/// A document of the host, which is a file and no longer than any may be.
pub(super) fn read_document(path: &Path) -> Result<Vec<u8>, Fault> {
    if !fs::metadata(path)?.is_file() {
        return Err(Fault::rule(ErrorKind::InvalidInput, "it is not a file"));
    }
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(File::open(path)?, DOCUMENT_MAX + 1), &mut bytes)?;
    if bytes.len() as u64 > DOCUMENT_MAX {
        return Err(Fault::rule(ErrorKind::FileTooLarge, "a document has at most 16 MiB"));
    }
    Ok(bytes)
}

/// An error at a path of the host.
pub(super) fn at(op: &'static str, path: &Path, fault: impl Into<Fault>) -> Error {
    Error::new(op, path::bytes(path), fault)
}

/// Makes names survive a loss of power. Where directories cannot be opened, the platform does so by itself.
fn sync_dir(dir: &Path) -> io::Result<()> {
    match File::open(dir) {
        Ok(dir) => dir.sync_all(),
        Err(_) if cfg!(not(unix)) => Ok(()),
        Err(error) => Err(error),
    }
}
