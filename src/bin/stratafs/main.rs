//! The command line program: images of container tools and directories of this machine, listed, compared, packed and kept
//! in order.
//!
//! It uses what the crate offers to everybody and decides no rule of its own about filesystems.

mod args;
mod command;
mod escape;
mod export;
mod failure;
mod load;
mod name;
mod object;
mod output;
mod save;
mod session;
mod time;

use std::process::ExitCode;

use clap::Parser;

use self::args::Cli;
use self::failure::Failure;
use self::session::Session;

fn main() -> ExitCode {
    let ended = Cli::try_parse().map_err(Failure::from).and_then(|cli| {
        let mut session = Session::new(cli.global);
        let outcome = cli.command.run(&mut session)?;
        session.out.finish()?;
        Ok(outcome)
    });
    match ended {
        Ok(outcome) => outcome.into(),
        Err(failure) => failure.report(),
    }
}
