//! zstd by ruzstd, which reads and writes single frames: here are streams of several, checked to the end.

use std::io::{self, BufRead, Read, Write};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// The largest window that is read, which is what the `zstd` program takes without being told to.
const WINDOW_MAX: u64 = 128 << 20;

/// Reads all frames of a stream (RFC 8878, section 3).
pub(super) struct ZstdReader<R> {
    input: R,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: BufRead> ZstdReader<R> {
    pub(super) fn new(input: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_MAX);
        Self { input, decoder, in_frame: false }
    }

    pub(super) fn get_ref(&self) -> &R {
        &self.input
    }

    pub(super) fn get_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// Whether one more frame begins; frames that are to be skipped are.
    fn next_frame(&mut self) -> io::Result<bool> {
        if self.input.fill_buf()?.is_empty() {
            return Ok(false);
        }
        match self.decoder.reset(&mut self.input) {
            Ok(()) => self.in_frame = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let length = u64::from(length);
                if io::copy(&mut self.input.by_ref().take(length), &mut io::sink())? < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error) => return Err(invalid(error)),
        }
        Ok(true)
    }

    fn end_frame(&mut self) -> io::Result<()> {
        self.in_frame = false;
        match self.decoder.get_checksum_from_data() {
            Some(said) if self.decoder.get_calculated_checksum() != Some(said) => {
                Err(invalid("the checksum of a zstd frame is wrong"))
            }
            _ => Ok(()),
        }
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while !buf.is_empty() {
            if !self.in_frame {
                if !self.next_frame()? {
                    return Ok(0);
                }
                continue;
            }
            match self.decoder.read(buf)? {
                0 if self.decoder.is_finished() => self.end_frame()?,
                0 => {
                    let one = BlockDecodingStrategy::UptoBlocks(1);
                    self.decoder.decode_blocks(&mut self.input, one).map_err(invalid)?;
                }
                read => return Ok(read),
            }
        }
        Ok(0)
    }
}

/// Writes a frame for every 8 MiB: ruzstd's encoder asks for bytes instead of taking them, and ends the program when it
/// cannot have or write them, so it is given memory only.
pub(super) struct ZstdWriter<W> {
    out: W,
    buf: Vec<u8>,
}

impl<W: Write> ZstdWriter<W> {
    const FRAME: usize = 8 << 20;

    pub(super) fn new(out: W) -> Self {
        Self { out, buf: Vec::new() }
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.frame()
    }

    fn frame(&mut self) -> io::Result<()> {
        if !self.buf.is_empty() {
            self.out.write_all(&compress_to_vec(&self.buf[..], CompressionLevel::Fastest))?;
            self.buf.clear();
        }
        Ok(())
    }
}

impl<W: Write> Write for ZstdWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let now = bytes.len().min(Self::FRAME - self.buf.len());
        self.buf.extend_from_slice(&bytes[..now]);
        if self.buf.len() == Self::FRAME {
            self.frame()?;
        }
        Ok(now)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
