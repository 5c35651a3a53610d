//! `verify`: everything that is wrong in a layout.

use clap::Args;
use serde::Serialize;

use crate::escape::Shown;
use crate::failure::{Outcome, Result, with_causes};
use crate::load::open_layout;
use crate::name::WholeLayout;
use crate::session::Session;

/// Checks a whole layout, and lists every fault
///
/// The exit code is 0 if there is none, 1 if there are some, 2 if the layout cannot be checked.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// One JSON object a line: op, path, kind and message
    #[arg(long)]
    json: bool,
    /// oci:DIR
    layout: WholeLayout,
}

#[derive(Debug, Serialize)]
struct Line {
    op: &'static str,
    path: String,
    kind: stratafs::ErrorKind,
    message: String,
}

impl Verify {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        let layout = open_layout(&self.layout.dir)?;
        let faults = {
            let _progress = session.progress("verify");
            layout.verify()?
        };
        for fault in &faults {
            let message = with_causes(fault);
            if self.json {
                let path = fault.path().to_string_lossy().into_owned();
                session.out.json(&Line { op: fault.op(), path, kind: fault.kind(), message })?;
            } else {
                session.out.line(Shown(message.as_bytes()))?;
            }
        }
        Ok(Outcome::bad_if(!faults.is_empty()))
    }
}
