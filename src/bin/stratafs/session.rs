//! What a command has beside its arguments: somewhere to write to, and somewhere to show how far it has come.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use stratafs::oci::{LoadProgress, Stored};

use crate::args::Global;
use crate::failure::with_causes;
use crate::name::shown;
use crate::output::Output;

pub(crate) struct Session {
    pub(crate) out: Output,
    quiet: bool,
}

impl Session {
    pub(crate) fn new(global: Global) -> Self {
        Self { out: Output::new(global.color), quiet: global.quiet }
    }

    /// Tells what was done in another way than asked for, on standard error.
    pub(crate) fn note(&self, what: &stratafs::Error) {
        self.note_text(format_args!("{}", with_causes(what)));
    }

    /// Tells what of an image is not where it was copied to.
    pub(crate) fn note_missing(&self, stored: &Stored) {
        for path in &stored.left_out {
            self.note_text(format_args!(
                "{}: a socket, which no image can hold, was left out",
                shown(path)
            ));
        }
        for missing in &stored.missing {
            let what = missing
                .platform
                .as_ref()
                .map_or_else(String::new, |platform| format!(" for {platform}"));
            self.note_text(format_args!("{}{what}: not there to be copied", missing.digest));
        }
    }

    fn note_text(&self, text: std::fmt::Arguments<'_>) {
        if !self.quiet {
            // Nobody is left to tell that there is nobody to tell.
            drop(writeln!(io::stderr().lock(), "stratafs: note: {text}"));
        }
    }

    /// Something that takes long begins. Shown on standard error if that is a terminal, and gone when it is dropped.
    pub(crate) fn progress(&self, what: &str) -> Progress {
        if self.quiet {
            return Progress(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner().with_message(what.to_owned());
        if bar.is_hidden() {
            return Progress(bar);
        }
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {prefix}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress(bar)
    }
}

pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// It is at one of so many layers.
    pub(crate) fn at_layer(&self, layer: usize, layers: usize) {
        self.0.set_prefix(format!("(layer {} of {layers})", layer + 1));
    }

    /// So much of one of the layers is done: a bar, and how long it may still take.
    pub(crate) fn at_bytes(&self, at: LoadProgress) {
        if self.0.is_hidden() {
            return;
        }
        if self.0.length() != Some(at.bytes) || at.read == 0 {
            let bar = "{spinner} {msg} {prefix} {wide_bar} {bytes}/{total_bytes} {eta}";
            if let Ok(style) = ProgressStyle::with_template(bar) {
                self.0.set_style(style);
            }
            self.0.set_length(at.bytes);
            self.at_layer(at.layer, at.layers);
        }
        self.0.set_position(at.read);
    }

    /// So many objects and bytes are done. Not each of them is worth a look.
    pub(crate) fn at(&self, entries: u64, bytes: u64) {
        if entries.is_multiple_of(64) && !self.0.is_hidden() {
            self.0.set_prefix(format!("({} entries, {})", HumanCount(entries), HumanBytes(bytes)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
