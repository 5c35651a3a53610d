//! A directory of blobs, each under its digest (image-spec, image-layout.md, "blobs directory").

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
}

impl Blobs {
    pub(super) fn new(dir: PathBuf, temporary: Option<TempDir>) -> Self {
        Self { dir, temporary }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file of the store's own.
    pub(super) fn own(&self, name: &str) -> PathBuf {
        self.dir.join(OWN).join(name)
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
                if let (Some(digest), metadata) = (digest, entry.metadata()?)
                    && metadata.is_file()
                {
                    blobs.push((digest, metadata.len()));
                }
            }
            Ok(blobs)
        };
        match listed() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(|error| at("list blobs", &dir, error)),
        }
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
            let file = File::open(&path)?;
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Err(Fault::rule(ErrorKind::InvalidInput, "it is not a file"));
            }
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
        Ok(Arc::new(FileSource::new(self.open(digest, size)?, size)))
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
            tempfile::Builder::new().prefix(prefix).tempfile_in(&dir)
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
            allow_reading(temporary.as_file())?;
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

/// An error at a path of the host.
pub(super) fn at(op: &'static str, path: &Path, fault: impl Into<Fault>) -> Error {
    Error::new(op, path::bytes(path), fault)
}

/// Temporary files are their maker's alone; what is in a store is to be read by everybody who may read the store.
pub(super) fn allow_reading(file: &File) -> io::Result<()> {
    let mut permissions = file.metadata()?.permissions();
    super::file::allow_reading(&mut permissions);
    file.set_permissions(permissions)
}

/// Makes names survive a loss of power. Where directories cannot be opened, the platform does so by itself.
fn sync_dir(dir: &Path) -> io::Result<()> {
    match File::open(dir) {
        Ok(dir) => dir.sync_all(),
        Err(_) if cfg!(not(unix)) => Ok(()),
        Err(error) => Err(error),
    }
}
