//! `man`: manual pages.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::args::Cli;
use crate::failure::{Failure, Outcome, Result};
use crate::name::shown;
use crate::session::Session;

/// Writes the manual page to standard output, or that of each command to a directory
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// A directory for stratafs.1, stratafs-ls.1 and so on
    dir: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        let command = Cli::command();
        if let Some(dir) = self.dir {
            clap_mangen::generate_to(command, &dir)
                .map_err(|error| Failure::about(shown(&dir), &error))?;
            return Ok(Outcome::Good);
        }
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        session.out.bytes(&page)?;
        Ok(Outcome::Good)
    }
}
