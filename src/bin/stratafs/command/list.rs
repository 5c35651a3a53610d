//! `list`: the images of a layout.

use clap::Args;

use crate::failure::{Outcome, Result};
use crate::load::open_layout;
use crate::name::WholeLayout;
use crate::session::Session;

/// Lists the images of a layout: tag, digest, platform
#[derive(Debug, Args)]
pub(crate) struct List {
    /// One JSON object a line: tag and descriptor
    #[arg(long)]
    json: bool,
    /// oci:DIR
    layout: WholeLayout,
}

impl List {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        for line in open_layout(&self.layout.dir)?.list()? {
            if self.json {
                session.out.json(&line)?;
                continue;
            }
            let tag = line.tag.as_deref().unwrap_or("-");
            let platform = line.descriptor.platform.map(|platform| format!(" {platform}"));
            let platform = platform.unwrap_or_default();
            session.out.line(format_args!("{tag:<20} {}{platform}", line.descriptor.digest))?;
        }
        Ok(Outcome::Good)
    }
}
