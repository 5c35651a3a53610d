//! `usage`: what a layout holds, and what sharing saves.

use clap::Args;
use indicatif::HumanBytes;

use crate::failure::{Outcome, Result};
use crate::load::open_layout;
use crate::name::WholeLayout;
use crate::session::Session;

/// Tells what a layout holds, and how much it saves that images share layers
#[derive(Debug, Args)]
pub(crate) struct Usage {
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// oci:DIR
    layout: WholeLayout,
}

impl Usage {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        let usage = open_layout(&self.layout.dir)?.usage()?;
        if self.json {
            session.out.json(&usage)?;
            return Ok(Outcome::Good);
        }
        let bytes = |bytes| HumanBytes(bytes).to_string();
        for (what, amount) in [
            ("images", usage.images.to_string()),
            ("blobs", usage.blobs.to_string()),
            ("bytes", bytes(usage.bytes)),
            ("without sharing", bytes(usage.unshared_bytes)),
            ("saved by sharing", bytes(usage.saved_bytes())),
            ("unpacked", bytes(usage.unpacked_bytes)),
            ("unreferenced", bytes(usage.unreferenced_bytes)),
        ] {
            session.out.line(format_args!("{what:<17} {amount:>12}"))?;
        }
        Ok(Outcome::Good)
    }
}
