//! `diff`: what turns one image into another.

use std::os::unix::ffi::OsStrExt;

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde::Serialize;
use stratafs::ChangeKind;

use crate::escape::{Shown, percent};
use crate::failure::{Outcome, Result};
use crate::load::Reading;
use crate::name::ImageName;
use crate::session::Session;

/// Lists what turns image A into image B, as `docker diff` does: A added, C changed, D deleted
///
/// Compared are names, types, modes, owners, times of modification, attributes, targets, devices, bytes and which names are
/// links of one file. A directory is listed before what is in it, as changed if only something in it is; what was below a
/// deleted one is not listed. The exit code is 0 if both show the same, 1 if not, 2 on trouble.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// One JSON object a line: kind and path, the path escaped as by `ls --json`
    #[arg(long)]
    json: bool,
    /// The image before
    a: ImageName,
    /// The image after
    b: ImageName,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Serialize)]
struct Line {
    kind: String,
    path: String,
}

impl Diff {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        let before = self.reading.load(&self.a, session)?;
        let after = self.reading.load(&self.b, session)?;
        let diff = before.view().diff(&after.view())?;
        for change in diff.changes() {
            let (kind, path) = (change.kind, change.path.as_os_str().as_bytes());
            if self.json {
                let inside = path.strip_prefix(b"/").unwrap_or(path);
                let path = if inside.is_empty() { ".".into() } else { percent(inside) };
                session.out.json(&Line { kind: kind.to_string(), path })?;
            } else {
                let kind = session.out.painted(colour(kind), kind).to_string();
                session.out.line(format_args!("{kind} {}", Shown(path)))?;
            }
        }
        Ok(Outcome::bad_if(!diff.is_empty()))
    }
}

fn colour(kind: ChangeKind) -> Style {
    match kind {
        ChangeKind::Added => AnsiColor::Green.on_default(),
        ChangeKind::Changed => AnsiColor::Yellow.on_default(),
        ChangeKind::Deleted => AnsiColor::Red.on_default(),
    }
}
