//! `gc`: what no image needs goes.

use clap::Args;
use indicatif::{HumanBytes, HumanCount};

use crate::failure::{Outcome, Result};
use crate::load::open_layout;
use crate::name::WholeLayout;
use crate::session::Session;

/// Removes from a layout what no image in its index refers to
#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// Only says how much there is to remove
    #[arg(long)]
    dry_run: bool,
    /// oci:DIR
    layout: WholeLayout,
}

impl Gc {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        let layout = open_layout(&self.layout.dir)?;
        let (did, garbage) = if self.dry_run {
            ("would remove", layout.garbage()?)
        } else {
            ("removed", layout.gc()?)
        };
        let (files, bytes) = (HumanCount(garbage.files), HumanBytes(garbage.bytes));
        session.out.line(format_args!("{did} {files} files, {bytes}"))?;
        Ok(Outcome::Good)
    }
}
