//! The files of an archive: where their bytes go.

use std::sync::Arc;

use super::archive::{Archive, Block, State};
use super::member::Pieces;
use super::sparse::{self, MapText, Sparse};
use super::unpack::Contents;
use crate::content::Content;
use crate::error::{ErrorKind, Fault};
use crate::tree::{Inode, Node};

/// Where bytes go.
pub(super) enum To {
    Nowhere,
    Extended(u8, Vec<u8>),
    Whole(OpenFile, Vec<u8>),
    Sparse(OpenFile, Sparse),
}

/// A file whose contents are still to come.
pub(super) struct OpenFile {
    pub(super) path: Box<[u8]>,
    pub(super) inode: Inode,
    /// It is among the books of aufs.
    pub(super) is_hidden: bool,
}

impl To {
    /// The next bytes; `left` counts these and all that follow. Never makes room for more than twice what has come.
    pub(super) fn take(&mut self, data: &[u8], left: u64, budget: &mut u64) -> Result<(), Fault> {
        match self {
            Self::Nowhere => {}
            Self::Extended(_, buf) | Self::Whole(_, buf) => {
                if buf.capacity() - buf.len() < data.len() {
                    let left = usize::try_from(left).unwrap_or(usize::MAX);
                    buf.reserve_exact(left.min(buf.len().max(data.len())));
                }
                buf.extend_from_slice(data);
            }
            Self::Sparse(_, sparse) => sparse.take(data, budget)?,
        }
        Ok(())
    }
}

impl Archive<'_> {
    /// Opens a file that has `data` bytes, as they are.
    pub(super) fn file(&mut self, file: OpenFile, data: u64) -> Result<State, Fault> {
        self.check_file(data)?;
        match &self.contents {
            Contents::Memory => self.bytes(data, To::Whole(file, Vec::new())),
            Contents::At(source) => {
                let content = Content::part(Arc::clone(source), self.at, data);
                self.close(file, content)?;
                self.bytes(data, To::Nowhere)
            }
        }
    }

    /// Opens a file with holes, of which `data` bytes follow.
    pub(super) fn open_sparse(
        &mut self,
        file: OpenFile,
        pieces: Pieces,
        data: u64,
    ) -> Result<State, Fault> {
        match pieces {
            Pieces::Header { len, pieces, is_continued: true } => {
                Ok(State::Block(Block::SparseHeader { file, len, pieces, data }))
            }
            Pieces::Header { len, pieces, .. } | Pieces::Records { len, pieces } => {
                self.sparse(file, len, pieces, data)
            }
            Pieces::Data { len } => {
                let map = MapText::new(self.options.max_sparse_regions);
                Ok(State::Block(Block::SparseMap { file, len, map, data }))
            }
        }
    }

    /// The map of a file with holes is there; its data follows.
    pub(super) fn sparse(
        &mut self,
        file: OpenFile,
        len: u64,
        pieces: Vec<(u64, u64)>,
        data: u64,
    ) -> Result<State, Fault> {
        self.check_file(len)?;
        self.check_regions(&pieces)?;
        let sparse = Sparse::new(len, pieces, data)?;
        self.bytes(data, To::Sparse(file, sparse))
    }

    pub(super) fn check_regions(&self, pieces: &[(u64, u64)]) -> Result<(), Fault> {
        let is_good = pieces.len() as u64 <= self.options.max_sparse_regions;
        if is_good { Ok(()) } else { Err(sparse::too_many()) }
    }

    fn check_file(&self, len: u64) -> Result<(), Fault> {
        if len > self.options.max_file_bytes {
            let rule = "it is longer than ReadOptions::max_file_bytes";
            return Err(Fault::rule(ErrorKind::FileTooLarge, rule));
        }
        Ok(())
    }

    /// All bytes have come.
    pub(super) fn put(&mut self, to: To) -> Result<(), Fault> {
        match to {
            To::Nowhere => Ok(()),
            To::Extended(flag, text) => {
                self.extended.put(flag, &text, self.options.max_sparse_regions)
            }
            To::Whole(file, bytes) => self.close(file, Content::lower(bytes.into())),
            To::Sparse(file, sparse) => self.close(file, sparse.finish()),
        }
    }

    fn close(&mut self, mut file: OpenFile, content: Content) -> Result<(), Fault> {
        file.inode.node = Node::File(content);
        if file.is_hidden {
            self.changes.hide(file.path, file.inode);
            return Ok(());
        }
        self.changes.object(file.path, file.inode)
    }
}
