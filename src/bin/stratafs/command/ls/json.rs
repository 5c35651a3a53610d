//! An object as one line of JSON, with all there is to know of it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use stratafs::{FileType, Metadata, Providers};

use crate::escape::{hex, percent};
use crate::failure::Result;
use crate::object::Object;

/// Files are read in parts of this size.
const PART: usize = 1 << 18;

/// The fields of a line, in their order.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(rename = "type")]
    file_type: &'static str,
    mode: String,
    uid: u32,
    gid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    mtime_ns: i128,
    #[serde(skip_serializing_if = "Option::is_none")]
    rdev: Option<String>,
    #[serde(serialize_with = "as_object")]
    xattrs: Vec<(String, String)>,
    nlink: u32,
    ino: u64,
    layer: Option<usize>,
}

fn as_object<S: Serializer>(pairs: &[(String, String)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// What lines are made with.
pub(super) struct Lines {
    providers: Providers,
    /// Of files with several names: the hash, so that each is read once.
    hashes: HashMap<u64, String>,
}

impl Lines {
    pub(super) fn new(providers: Providers) -> Self {
        Self { providers, hashes: HashMap::new() }
    }

    pub(super) fn line(&mut self, object: &Object) -> Result<Line> {
        let (path, metadata) = (object.path(), object.metadata()?);
        let modified = metadata.modified();
        let target = object.read_link().map(|target| percent(target.as_os_str().as_bytes()));
        Ok(Line {
            layer: self.providers.of(OsStr::from_bytes(&path)),
            path: if path.is_empty() { ".".into() } else { percent(&path) },
            file_type: short(metadata.file_type()),
            mode: format!("{:04o}", metadata.mode()),
            uid: metadata.uid(),
            gid: metadata.gid(),
            size: metadata.is_file().then(|| metadata.len()),
            sha256: metadata.is_file().then(|| self.hash(object, &metadata)).transpose()?,
            mtime_ns: i128::from(modified.secs()) * 1_000_000_000 + i128::from(modified.nanos()),
            target,
            rdev: metadata.device().map(|device| device.to_string()),
            xattrs: object
                .xattrs()?
                .into_iter()
                .map(|(name, value): (_, Bytes)| (percent(name.as_bytes()), hex(&value)))
                .collect(),
            nlink: metadata.nlink(),
            ino: metadata.ino(),
        })
    }

    fn hash(&mut self, object: &Object, metadata: &Metadata) -> Result<String> {
        if let Some(known) = self.hashes.get(&metadata.ino()) {
            return Ok(known.clone());
        }
        let hash = sha256(object)?;
        if metadata.nlink() > 1 {
            self.hashes.insert(metadata.ino(), hash.clone());
        }
        Ok(hash)
    }
}

fn sha256(object: &Object) -> Result<String> {
    let file = object.open()?;
    let (mut hasher, mut offset) = (Sha256::new(), 0);
    let mut part = vec![0; PART];
    loop {
        let read = file.read_at(&mut part, offset)?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&part[..read]);
        offset += read as u64;
    }
}

fn short(file_type: FileType) -> &'static str {
    match file_type {
        FileType::File => "reg",
        FileType::Dir => "dir",
        FileType::Symlink => "sym",
        FileType::Fifo => "fifo",
        FileType::Socket => "sock",
        FileType::CharDevice => "chr",
        FileType::BlockDevice => "blk",
    }
}
