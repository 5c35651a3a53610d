//! A stream, read once: hashed as it comes, inflated, hashed again, written out, and parsed, all of it on the way.
//!
//! ```text
//!   this thread      stream ─▶ inflate ─┐  buffers of 256 KiB, a few on their way
//!   another thread                      └─▶ sha256 of both ─▶ out ─▶ archive ─▶ changes
//! ```

use std::cell::RefCell;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use super::OP;
use super::archive::Archive;
use super::belt::{Across, BUFFER, Belt, Feed, Filled, Here, ON_THE_WAY, Part, read_full};
use super::compression::{BEGINNING, Compression};
use super::options::{ReadOptions, Skipped};
use super::zstd::ZstdReader;
use crate::content::Source;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::layer::Layer;

/// Up to this length nobody asks from how little an archive came.
const UNSUSPECTED: u64 = 1 << 30;

/// What was read of a stream, all of which was read.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) layer: Layer,
    /// Of the stream as it came.
    pub(crate) digest: Digest,
    pub(crate) input_len: u64,
    /// Of the archive in it.
    pub(crate) diff_id: Digest,
    pub(crate) len: u64,
    pub(crate) compression: Compression,
    pub(crate) skipped: Vec<Skipped>,
}

/// Where the contents of files are.
#[derive(Clone, Debug)]
pub(crate) enum Contents {
    /// They are copied.
    Memory,
    /// They lie in the archive, which this source has, uncompressed. Files with holes are copied.
    At(Arc<dyn Source>),
}

/// Reads a stream to its end, and writes the archive in it, uncompressed, to `out`. All of the stream, or an error.
pub(crate) fn unpack(
    mut input: impl Read,
    out: &mut (impl Write + Send),
    contents: Contents,
    compression: Option<Compression>,
    options: &ReadOptions,
) -> Result<Unpacked> {
    let mut buf = vec![0; BUFFER];
    let len = read_full(&mut input, &mut buf).map_err(refuse)?;
    let first = Filled { buf, len };
    let beginning = &first.bytes()[..len.min(BEGINNING)];
    let compression = Compression::expected(compression, beginning).map_err(refuse)?;
    let sink = Sink::new(out, Archive::new(options, contents));
    let is_short = len < BUFFER;
    let produce = |belt: &dyn Belt| produce(input, first, compression, belt, options);
    let (produced, sink) = if is_short { here(sink, produce) } else { across(sink, produce) };
    sink.finish(produced, compression)
}

fn refuse(fault: impl Into<Fault>) -> Error {
    Error::new(OP, b"", fault)
}

/// On this thread: what is short is done before another one has started.
fn here<W: Write>(
    mut sink: Sink<'_, W>,
    produce: impl FnOnce(&dyn Belt) -> Result<(), Fault>,
) -> (Result<(), Fault>, Sink<'_, W>) {
    let produced = produce(&Here(RefCell::new(|part: &Part| sink.take(part))));
    (produced, sink)
}

/// On this thread and another one.
fn across<W: Write + Send>(
    mut sink: Sink<'_, W>,
    produce: impl FnOnce(&dyn Belt) -> Result<(), Fault>,
) -> (Result<(), Fault>, Sink<'_, W>) {
    let (there, parts) = sync_channel(ON_THE_WAY);
    let (give_back, back) = channel();
    thread::scope(|scope| {
        let consumer = scope.spawn(move || {
            for part in parts {
                if !sink.take(&part) {
                    break;
                }
                // Nobody waits for it if the stream has ended.
                let _ = give_back.send(part.filled().buf);
            }
            sink
        });
        let belt = Across { there, back };
        let produced = produce(&belt);
        drop(belt);
        match consumer.join() {
            Ok(sink) => (produced, sink),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Reads and inflates until the stream ends.
fn produce<R: Read>(
    input: R,
    first: Filled,
    compression: Compression,
    belt: &dyn Belt,
    options: &ReadOptions,
) -> Result<(), Fault> {
    let progress = options.progress.as_deref().map(|progress| progress as &dyn Fn(u64));
    let mut feed = Feed::new(input, first, belt, progress);
    match compression {
        Compression::None => feed.pass_all(options),
        Compression::Gzip => {
            let mut gzip = MultiGzDecoder::new(feed);
            inflate(&mut gzip, |gzip| gzip.get_ref().len, belt, options)?;
            Ok(gzip.get_mut().finish()?)
        }
        Compression::Zstd => {
            let mut zstd = ZstdReader::new(feed);
            inflate(&mut zstd, |zstd| zstd.get_ref().len, belt, options)?;
            Ok(zstd.get_mut().finish()?)
        }
    }
}

fn inflate<D: Read>(
    decoder: &mut D,
    input_len: impl Fn(&D) -> u64,
    belt: &dyn Belt,
    options: &ReadOptions,
) -> Result<(), Fault> {
    let mut len = 0;
    let mut buf = vec![0; BUFFER];
    loop {
        let filled = read_full(decoder, &mut buf)?;
        if filled == 0 {
            return Ok(());
        }
        len += filled as u64;
        options.check_len(len, input_len(decoder))?;
        buf = belt.pass(Part::Output(Filled { buf, len: filled }))?;
    }
}

/// Where parts go.
struct Sink<'a, W> {
    out: &'a mut W,
    archive: Archive<'a>,
    /// Of the stream, unless that is the archive.
    input: Option<(Sha256, u64)>,
    output: (Sha256, u64),
    error: Option<Error>,
}

impl<'a, W: Write> Sink<'a, W> {
    fn new(out: &'a mut W, archive: Archive<'a>) -> Self {
        Self { out, archive, input: None, output: Default::default(), error: None }
    }

    /// Whether more can be taken.
    fn take(&mut self, part: &Part) -> bool {
        match part {
            Part::Input(filled) => {
                let (hasher, len) = self.input.get_or_insert_default();
                hasher.update(filled.bytes());
                *len += filled.len as u64;
            }
            Part::Output(filled) | Part::Both(filled) => {
                self.output.0.update(filled.bytes());
                self.output.1 += filled.len as u64;
                let written = self.out.write_all(filled.bytes());
                let written = written.map_err(|error| self.archive.refuse(error));
                self.error = written.and_then(|()| self.archive.push(filled.bytes())).err();
            }
        }
        self.error.is_none()
    }

    fn finish(self, produced: Result<(), Fault>, compression: Compression) -> Result<Unpacked> {
        if let Some(error) = self.error {
            return Err(error);
        }
        produced.map_err(|fault| self.archive.refuse(fault))?;
        let (layer, skipped) = self.archive.finish()?;
        let (hasher, len) = self.output;
        let diff_id = Digest::finish(hasher);
        let (digest, input_len) = match self.input {
            Some((hasher, len)) => (Digest::finish(hasher), len),
            None => (diff_id, len),
        };
        Ok(Unpacked { layer, digest, input_len, diff_id, len, compression, skipped })
    }
}

impl ReadOptions {
    /// Whether an archive of this length is taken, out of so much of the stream.
    pub(super) fn check_len(&self, len: u64, input_len: u64) -> Result<(), Fault> {
        if len > self.max_bytes {
            let rule = "the archive is longer than ReadOptions::max_bytes";
            return Err(Fault::rule(ErrorKind::QuotaExceeded, rule));
        }
        if len > self.max_ratio.saturating_mul(input_len).max(UNSUSPECTED) {
            let rule = "the stream inflates more than ReadOptions::max_ratio allows";
            return Err(Fault::rule(ErrorKind::QuotaExceeded, rule));
        }
        Ok(())
    }
}
