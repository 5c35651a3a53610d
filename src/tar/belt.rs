//! Buffers on their way from the thread that reads and inflates to the one that hashes, writes and parses, and back.

use std::cell::RefCell;
use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender};

use super::options::ReadOptions;
use crate::error::Fault;

/// How much goes at once. Large enough that passing it on costs nothing, small enough for the second level cache.
pub(super) const BUFFER: usize = 256 << 10;
/// How many buffers may be on their way.
pub(super) const ON_THE_WAY: usize = 16;

/// A buffer of which so many bytes count.
pub(super) struct Filled {
    pub(super) buf: Vec<u8>,
    pub(super) len: usize,
}

impl Filled {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buf[..self.len]
    }
}

/// What the bytes of a buffer are.
pub(super) enum Part {
    /// The stream as it comes.
    Input(Filled),
    /// The archive in it.
    Output(Filled),
    /// An archive that is not compressed is its stream.
    Both(Filled),
}

impl Part {
    pub(super) fn filled(self) -> Filled {
        let (Self::Input(filled) | Self::Output(filled) | Self::Both(filled)) = self;
        filled
    }
}

/// Takes parts to where they are used, and gives back a buffer for the next one.
pub(super) trait Belt {
    /// Fails only if nobody takes parts any more; that one knows why.
    fn pass(&self, part: Part) -> io::Result<Vec<u8>>;
}

/// To another thread.
pub(super) struct Across {
    pub(super) there: SyncSender<Part>,
    pub(super) back: Receiver<Vec<u8>>,
}

impl Belt for Across {
    fn pass(&self, part: Part) -> io::Result<Vec<u8>> {
        self.there.send(part).map_err(|_| stopped())?;
        Ok(self.back.try_recv().unwrap_or_else(|_| vec![0; BUFFER]))
    }
}

/// To a function, which may stop it.
pub(super) struct Here<F>(pub(super) RefCell<F>);

impl<F: FnMut(&Part) -> bool> Belt for Here<F> {
    fn pass(&self, part: Part) -> io::Result<Vec<u8>> {
        if (self.0.borrow_mut())(&part) { Ok(part.filled().buf) } else { Err(stopped()) }
    }
}

fn stopped() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// The stream, whose buffers are passed on when they are used up.
pub(super) struct Feed<'a, R> {
    input: R,
    belt: &'a dyn Belt,
    filled: Filled,
    used: usize,
    /// How many bytes have been read.
    pub(super) len: u64,
    progress: Option<&'a dyn Fn(u64)>,
}

impl<'a, R: Read> Feed<'a, R> {
    /// `first` is what was read already.
    pub(super) fn new(
        input: R,
        first: Filled,
        belt: &'a dyn Belt,
        progress: Option<&'a dyn Fn(u64)>,
    ) -> Self {
        let len = first.len as u64;
        Self { input, belt, filled: first, used: 0, len, progress }
    }

    /// Passes on what was used of the last buffer.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.pass(Part::Input)
    }

    fn pass(&mut self, part: fn(Filled) -> Part) -> io::Result<()> {
        let filled = Filled { buf: std::mem::take(&mut self.filled.buf), len: self.filled.len };
        if filled.len > 0 {
            self.filled.buf = self.belt.pass(part(filled))?;
        } else {
            self.filled.buf = filled.buf;
        }
        (self.filled.len, self.used) = (0, 0);
        Ok(())
    }

    fn refill(&mut self) -> io::Result<()> {
        self.filled.len = read_full(&mut self.input, &mut self.filled.buf)?;
        self.len += self.filled.len as u64;
        if let Some(progress) = self.progress {
            progress(self.len);
        }
        Ok(())
    }

    /// Passes all of the stream on as an archive. No byte is copied.
    pub(super) fn pass_all(&mut self, options: &ReadOptions) -> Result<(), Fault> {
        while self.filled.len > 0 {
            options.check_len(self.len, self.len)?;
            self.pass(Part::Both)?;
            self.refill()?;
        }
        Ok(())
    }
}

impl<R: Read> Read for Feed<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buf)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: Read> BufRead for Feed<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.filled.len {
            self.pass(Part::Input)?;
            self.refill()?;
        }
        Ok(&self.filled.bytes()[self.used..])
    }

    fn consume(&mut self, bytes: usize) {
        self.used += bytes;
    }
}

/// Reads until the buffer is full or the stream ends.
pub(super) fn read_full(input: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buf.len() {
        match input.read(&mut buf[len..]) {
            Ok(0) => break,
            Ok(read) => len += read.min(buf.len() - len),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}
