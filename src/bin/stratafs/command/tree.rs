//! `tree`: an image as a tree, in the colours of its layers.

use std::ffi::{OsStr, OsString};
use std::iter::Peekable;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use clap::Args;
use indicatif::HumanBytes;
use stratafs::{Image, Providers, ReadDir};

use crate::escape::Shown;
use crate::failure::{Outcome, Result};
use crate::load::Reading;
use crate::name::ImageName;
use crate::object::Object;
use crate::output::Output;
use crate::session::Session;

/// Draws an image as a tree, each name in the colour of the layer that provides it
#[derive(Debug, Args)]
pub(crate) struct Tree {
    /// So many levels below PATH
    #[arg(long, short = 'd', value_name = "N")]
    depth: Option<usize>,
    /// The sizes of files
    #[arg(long, short)]
    sizes: bool,
    /// oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG] or dir:HOSTDIR
    image: ImageName,
    /// From the root of the image
    #[arg(default_value = "/")]
    path: OsString,
    #[command(flatten)]
    reading: Reading,
}

/// In turn, from the lowest layer up.
const COLOURS: [AnsiColor; 12] = [
    AnsiColor::White,
    AnsiColor::Green,
    AnsiColor::Cyan,
    AnsiColor::Yellow,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::Red,
    AnsiColor::BrightGreen,
    AnsiColor::BrightCyan,
    AnsiColor::BrightYellow,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

impl Tree {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        let image = self.reading.load(&self.image, session)?;
        let providers = image.providers()?;
        let top = Object::at(&image.view(), &PathBuf::from(&self.path))?;
        let mut drawing = Drawing { providers, sizes: self.sizes, out: &mut session.out };
        drawing.draw(&top, self.depth.unwrap_or(usize::MAX))?;
        drawing.legend(&image)?;
        Ok(Outcome::Good)
    }
}

struct Drawing<'a> {
    providers: Providers,
    sizes: bool,
    out: &'a mut Output,
}

/// A directory that is being drawn.
struct Level {
    entries: Peekable<ReadDir>,
    /// How long the lines' beginnings are above it.
    indent: usize,
}

impl Drawing<'_> {
    fn draw(&mut self, top: &Object, depth: usize) -> Result<()> {
        self.entry("", top)?;
        let mut indent = String::new();
        let mut open = Vec::new();
        if depth > 0 && top.file_type().is_dir() {
            open.push(Level { entries: top.read_dir()?.peekable(), indent: 0 });
        }
        while let Some(level) = open.last_mut() {
            indent.truncate(level.indent);
            let Some(entry) = level.entries.next() else {
                open.pop();
                continue;
            };
            let is_last = level.entries.peek().is_none();
            let branch = if is_last { "└── " } else { "├── " };
            self.entry(&format!("{indent}{branch}"), &Object::Named(entry.clone()))?;
            if entry.file_type().is_dir() && open.len() < depth {
                indent.push_str(if is_last { "    " } else { "│   " });
                open.push(Level { entries: entry.read_dir()?.peekable(), indent: indent.len() });
            }
        }
        Ok(())
    }

    fn entry(&mut self, before: &str, object: &Object) -> Result<()> {
        let path = object.path();
        let layer = self.providers.of(OsStr::from_bytes(&path));
        let is_top = before.is_empty();
        let whole = [b"/", &*path].concat();
        let name = Shown(if is_top { &whole } else { object.name() });
        let name = self.out.painted(layer.map_or_else(Style::new, colour), name);
        let target = object.read_link();
        let target = target.map(|target| format!(" -> {}", Shown(target.as_os_str().as_bytes())));
        let number = match layer {
            Some(layer) if !self.out.has_colours() => format!("  [{layer}]"),
            _ => String::new(),
        };
        let size = self.size(object)?;
        let line = format!("{before}{name}{}{size}{number}", target.unwrap_or_default());
        self.out.line(line)
    }

    fn size(&self, object: &Object) -> Result<String> {
        if !self.sizes || !object.file_type().is_file() {
            return Ok(String::new());
        }
        Ok(format!("  ({})", HumanBytes(object.metadata()?.len())))
    }

    /// Which colour is which layer.
    fn legend(&mut self, image: &Image) -> Result<()> {
        self.out.line("")?;
        for (index, layer) in image.layers().iter().enumerate() {
            let label = self.out.painted(colour(index), format!("[{index}]"));
            let line = format!("{label} layer {index} {}", layer.diff_id()?);
            self.out.line(line)?;
        }
        Ok(())
    }
}

fn colour(layer: usize) -> Style {
    COLOURS[layer % COLOURS.len()].on_default()
}
