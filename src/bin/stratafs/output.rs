//! Standard output: buffered, in colours where they are wanted.

use std::fmt;
use std::io::{self, BufWriter, StdoutLock, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::Style;
use serde::Serialize;

use crate::args::Color;
use crate::failure::Result;

pub(crate) struct Output {
    stream: BufWriter<StdoutLock<'static>>,
    colours: bool,
}

impl Output {
    pub(crate) fn new(color: Color) -> Self {
        let stdout = io::stdout();
        let colours = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => AutoStream::choice(&stdout) != ColorChoice::Never,
        };
        Self { stream: BufWriter::with_capacity(1 << 16, stdout.lock()), colours }
    }

    /// Whether styles show.
    pub(crate) fn has_colours(&self) -> bool {
        self.colours
    }

    /// Text in a style, if those are wanted.
    pub(crate) fn painted<T: fmt::Display>(&self, style: Style, text: T) -> Painted<T> {
        Painted { style: if self.colours { style } else { Style::new() }, text }
    }

    /// One line.
    pub(crate) fn line(&mut self, line: impl fmt::Display) -> Result<()> {
        Ok(writeln!(self.stream, "{line}")?)
    }

    /// One line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.stream, value)?;
        Ok(self.stream.write_all(b"\n")?)
    }

    /// JSON to be read by people too.
    pub(crate) fn json_document(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer_pretty(&mut self.stream, value)?;
        Ok(self.stream.write_all(b"\n")?)
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Everything out.
    pub(crate) fn finish(&mut self) -> Result<()> {
        Ok(self.stream.flush()?)
    }
}

pub(crate) struct Painted<T> {
    style: Style,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:#}", self.style, self.text, self.style)
    }
}
