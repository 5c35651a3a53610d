//! `completions`: for shells.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::failure::{Outcome, Result};
use crate::session::Session;

/// Writes the completions for a shell to standard output
#[derive(Debug, Args)]
pub(crate) struct Completions {
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "stratafs", &mut text);
        session.out.bytes(&text)?;
        Ok(Outcome::Good)
    }
}
