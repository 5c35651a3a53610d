//! Files of the host as sources; the one place of the store where platforms differ.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::blobs::Blobs;
use crate::content::Source;

/// An open file that nobody changes.
#[derive(Debug)]
pub(super) struct FileSource {
    file: File,
    len: u64,
}

impl FileSource {
    pub(super) fn new(file: File, len: u64) -> Self {
        Self { file, len }
    }
}

impl Source for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        read_at(&self.file, offset, buf)
    }
}

/// A blob of a store that is opened when it is first read: whoever loads an image of 128 layers to run it does not copy
/// them, and has no open file for each.
#[derive(Debug)]
pub(super) struct BlobSource {
    path: PathBuf,
    len: u64,
    /// A temporary store stays as long as somebody may read from it.
    _blobs: Arc<Blobs>,
    file: OnceLock<File>,
}

impl BlobSource {
    pub(super) fn new(blobs: &Arc<Blobs>, path: PathBuf, len: u64) -> Self {
        Self { path, len, _blobs: Arc::clone(blobs), file: OnceLock::new() }
    }
}

impl Source for BlobSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        if self.file.get().is_none() {
            let file = File::open(&self.path)?;
            // Two threads may both have opened it; one of the two is kept.
            drop(self.file.set(file));
        }
        let file = self.file.get().expect("because it was set above");
        read_at(file, offset, buf)
    }
}

/// A source from its beginning to its end.
pub(super) struct SourceReader {
    source: Arc<dyn Source>,
    at: u64,
    len: u64,
}

impl SourceReader {
    pub(super) fn new(source: Arc<dyn Source>, len: u64) -> Self {
        Self { source, at: 0, len }
    }
}

impl io::Read for SourceReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let wanted = (buf.len() as u64).min(self.len - self.at) as usize;
        let read = self.source.read_at(self.at, &mut buf[..wanted])?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(unix)]
fn read_at(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(windows)]
fn read_at(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

#[cfg(not(any(unix, windows)))]
fn read_at(mut file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    use std::io::{Read, Seek, SeekFrom};
    static ONE_AT_A_TIME: parking_lot::Mutex<()> = parking_lot::Mutex::new(());
    let _held = ONE_AT_A_TIME.lock();
    file.seek(SeekFrom::Start(offset))?;
    file.read(buf)
}

/// A temporary file that is to stay has the mode of any new file, less what the process's umask takes.
#[cfg(unix)]
pub(super) fn readable<'a, 'b>(
    builder: &'b mut tempfile::Builder<'a, 'a>,
) -> &'b mut tempfile::Builder<'a, 'a> {
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
}

#[cfg(not(unix))]
pub(super) fn readable<'a, 'b>(
    builder: &'b mut tempfile::Builder<'a, 'a>,
) -> &'b mut tempfile::Builder<'a, 'a> {
    builder
}
