//! Tables of contents: what a layer, or a whole image, consists of, without the bytes of its files. With one, an image is
//! opened without a look at its blobs.
//!
//! ```text
//!   magic  version  blobs: (diff_id, length)*  count  records…  sha256 of all before
//!   record: bytes shared with the path before, rest of the path, kind and flags, then what the kind has
//! ```
//!
//! Numbers are in LEB128. The tables are the store's own and can be made again at any time, so whatever is wrong with one
//! (another version, torn, damaged) means that there is none. Their digest is against accidents: who can write a store's
//! directory can write tables that are right in form and untrue.

use std::sync::Arc;

use bytes::Bytes;

use super::toc_records::{Reader, Record, Writer};
use crate::content::Source;
use crate::digest::Digest;
use crate::layer::{Entry, Layer, What};
use crate::path;
use crate::tree::{Freezer, Tree};

const MAGIC: &[u8; 8] = b"stratoc\0";
const VERSION: u64 = 1;

/// The uncompressed layers in which the bytes of files lie: name, length, and where they can be read.
#[derive(Clone, Debug)]
pub(super) struct Contents {
    pub(super) diff_id: Digest,
    pub(super) len: u64,
    pub(super) source: Arc<dyn Source>,
}

/// Writes a table. `None` if an entry has contents that are neither in `blobs` nor small: there can be no table then.
pub(super) fn encode(layer: &Layer, blobs: &[Contents]) -> Option<Vec<u8>> {
    let mut writer = Writer::new(MAGIC, VERSION);
    writer.number(blobs.len() as u64);
    for blob in blobs {
        writer.bytes(blob.diff_id.as_bytes());
        writer.number(blob.len);
    }
    let sources: Vec<_> = blobs.iter().map(|blob| Arc::clone(&blob.source)).collect();
    let entries = layer.raw_entries();
    let linked: std::collections::HashSet<&[u8]> = entries
        .iter()
        .filter_map(
            |entry| if let What::Link(target) = &entry.what { Some(&**target) } else { None },
        )
        .collect();
    writer.number(entries.len() as u64);
    for entry in entries {
        writer.entry(entry, linked.contains(&*entry.path), &sources)?;
    }
    let digest = Digest::of(writer.written());
    writer.raw(digest.as_bytes());
    Some(writer.finish())
}

/// A table whose bytes are what was written.
pub(super) struct Table {
    bytes: Bytes,
    blobs: Vec<(Digest, u64)>,
    count: usize,
    records: usize,
}

impl Table {
    /// Looks at the frame of a table; `None` if there is anything wrong with it.
    pub(super) fn open(bytes: Bytes) -> Option<Self> {
        let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
        if Digest::of(body).as_bytes() != digest || !body.starts_with(MAGIC) {
            return None;
        }
        let mut reader = Reader::new(body, MAGIC.len());
        if reader.number()? != VERSION {
            return None;
        }
        let blobs = (0..reader.number()?)
            .map(|_| Some((reader.digest()?, reader.number()?)))
            .collect::<Option<Vec<_>>>()?;
        let count = usize::try_from(reader.number()?).ok().filter(|&count| count <= body.len())?;
        let records = reader.position();
        Some(Self { bytes, blobs, count, records })
    }

    /// Whether this is the table of a layer with these contents.
    pub(super) fn is_of(&self, layer: &Layer, blobs: &[Contents]) -> bool {
        encode(layer, blobs).is_some_and(|bytes| self.bytes == bytes)
    }

    /// The uncompressed layers that the contents lie in.
    pub(super) fn blobs(&self) -> &[(Digest, u64)] {
        &self.blobs
    }

    fn reader(&self) -> Reader<'_> {
        Reader::new(&self.bytes[..self.bytes.len() - 32], self.records)
    }

    /// The layer that the table is of.
    pub(super) fn layer(&self, sources: &[Arc<dyn Source>]) -> Option<Layer> {
        let mut reader = self.reader();
        let mut entries = Vec::with_capacity(self.count);
        for _ in 0..self.count {
            let Record { what, .. } = reader.record(sources)?;
            let comes_after = |last: &Entry| path::compare(&last.path, reader.path()).is_lt();
            if !is_path(reader.path()) || !entries.last().is_none_or(comes_after) {
                return None;
            }
            entries.push(Entry { path: reader.path().into(), what });
        }
        reader.is_done().then(|| Layer::new(entries))
    }

    /// The filesystem that the table is of, if it is of one: objects and links, each below a directory.
    pub(super) fn tree(&self, sources: &[Arc<dyn Source>]) -> Option<Tree> {
        let mut reader = self.reader();
        let mut freezer = Freezer::with_capacity(self.count);
        for _ in 0..self.count {
            let Record { what, is_linked } = reader.record(sources)?;
            match what {
                What::Object { inode, .. } => freezer.object(reader.path(), inode, is_linked)?,
                What::Link(target) => freezer.link(reader.path(), &target)?,
                What::Whiteout | What::Opaque => return None,
            }
        }
        reader.is_done().then(|| freezer.finish()).flatten()
    }
}

/// Whether this is a path as layers keep them: names between `/`, or the root.
fn is_path(path: &[u8]) -> bool {
    path.is_empty() || path.split(|&byte| byte == b'/').all(|name| path::check_name(name).is_ok())
}

/// Reads bytes as a table, with a digest that is right.
#[cfg(fuzzing)]
pub(super) fn fuzz(bytes: &[u8]) {
    let framed = [&MAGIC[..], &[VERSION as u8], bytes].concat();
    let digest = Digest::of(&framed);
    let Some(table) = Table::open([&framed[..], digest.as_bytes()].concat().into()) else { return };
    let source: Arc<dyn Source> = Arc::new(Zeros);
    let sources = vec![source; table.blobs().len()];
    if let Some(layer) = table.layer(&sources) {
        assert_eq!(layer.len(), table.count);
    }
    if let Some(tree) = table.tree(&sources) {
        assert_eq!(tree.check(), Vec::<String>::new(), "a table gives a sound tree or none");
    }
}

/// A mebibyte of nothing.
#[cfg(fuzzing)]
#[derive(Debug)]
struct Zeros;

#[cfg(fuzzing)]
impl Source for Zeros {
    fn len(&self) -> u64 {
        1 << 20
    }

    fn read_at(&self, _: u64, buf: &mut [u8]) -> std::io::Result<usize> {
        buf.fill(0);
        Ok(buf.len())
    }
}
