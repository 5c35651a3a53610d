//! The bytes of one open file, with its holes.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rustix::fs::{SeekFrom, fstat, ftruncate, seek};
use rustix::io::Errno;

use super::facts::Facts;
use crate::content::{CHUNK, Content};
use crate::error::{ErrorKind, Fault};

/// No file is believed to be larger than this before its bytes are there.
const TRUSTED: u64 = 64 << 20;

/// As many bytes are written at once, and are in memory for it if they come from elsewhere.
const STEP: u64 = 1 << 20;

/// Writes into a new file all that is no hole, and counts it.
pub(super) fn write(file: &File, content: &Content, written: &AtomicU64) -> Result<(), Fault> {
    let len = content.len();
    if content.data_bytes() < len {
        ftruncate(file, len)?;
    }
    let mut at = 0;
    while let Some(start) = content.next_data(at) {
        let end = content.next_hole(start).unwrap_or(len).min(start + STEP);
        let bytes = content.read(start, end - start)?;
        file.write_all_at(&bytes, start).map_err(host_failed)?;
        written.fetch_add(end - start, Ordering::Relaxed);
        at = end;
    }
    Ok(())
}

/// A failure of the host, not of a source.
fn host_failed(error: io::Error) -> Fault {
    Errno::from_io_error(&error).map_or_else(|| error.into(), Fault::from)
}

/// Reads a file that had these `facts` when it was opened.
///
/// That the file did not change meanwhile is checked by its length and its time of modification.
pub(super) fn read(file: &File, facts: &Facts) -> Result<Content, Fault> {
    let content = if facts.allocated < facts.len && has_holes(file, facts.len)? {
        read_sparse(file, facts.len)?
    } else {
        Content::lower(read_whole(file, facts.len)?)
    };
    let after = Facts::new(&fstat(file)?);
    if (after.len, after.modified) != (facts.len, facts.modified) || content.len() != facts.len {
        return Err(Fault::rule(ErrorKind::Io, "the file changed while it was read"));
    }
    Ok(content)
}

/// All bytes, and one more if there is one: the sign that the file grew.
fn read_whole(file: &File, len: u64) -> Result<Bytes, Fault> {
    let mut bytes = Vec::with_capacity(len.min(TRUSTED) as usize);
    let mut file = file;
    // `SEEK_DATA` may have moved it.
    seek(file, SeekFrom::Start(0))?;
    file.by_ref().take(len.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

/// A filesystem that compresses also uses fewer blocks than there are bytes.
fn has_holes(file: &File, len: u64) -> Result<bool, Fault> {
    let first = next_data(file, 0)?;
    Ok(first.is_none_or(|(start, end)| (start, end.min(len)) != (0, len)))
}

/// Only chunks in which data lies are kept, each up to the end of its last data.
fn read_sparse(file: &File, len: u64) -> Result<Content, Fault> {
    let mut chunks: Vec<(u64, Bytes)> = Vec::new();
    let mut at = 0;
    while at < len
        && let Some((start, end)) = next_data(file, at)?
    {
        let end = end.min(len);
        if start >= end {
            break;
        }
        for index in start / CHUNK..=(end - 1) / CHUNK {
            let chunk = read_chunk(file, index * CHUNK, end)?;
            // A second piece of data in one chunk: what was read now begins at the chunk's beginning too.
            chunks.pop_if(|(last, _)| *last == index);
            chunks.push((index, chunk));
        }
        at = end;
    }
    Ok(Content::sparse(len, chunks))
}

fn read_chunk(file: &File, start: u64, end: u64) -> Result<Bytes, Fault> {
    let mut chunk = vec![0; (end - start).min(CHUNK) as usize];
    match file.read_exact_at(&mut chunk, start) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(Fault::rule(ErrorKind::Io, "the file changed while it was read"))
        }
        Err(error) => Err(error.into()),
        Ok(()) => Ok(chunk.into()),
    }
}

/// The next piece of data at or after `from`: its beginning and its end. All is data where nobody knows of holes.
fn next_data(file: &File, from: u64) -> Result<Option<(u64, u64)>, Fault> {
    let start = match seek(file, SeekFrom::Data(from)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(Errno::INVAL) => return Ok(Some((from, u64::MAX))),
        Err(errno) => return Err(errno.into()),
    };
    let end = seek(file, SeekFrom::Hole(start))?;
    Ok(Some((start, end)))
}
