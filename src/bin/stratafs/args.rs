//! What can be written on the command line.

use clap::{Args, Parser, ValueEnum};

use crate::command::Command;

/// Layered filesystem images: list, compare, pack and keep them in order, without privileges and without a daemon.
///
/// An IMAGE is one of oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG] and dir:HOSTDIR; a stack of
/// directories is dir:TOP,dir:BELOW.
///
/// The exit code is 0, or 1 for a difference or faults, or 2 for wrong usage and trouble.
#[derive(Debug, Parser)]
#[command(name = "stratafs", version, max_term_width = 100, propagate_version = true)]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Global {
    /// Shows no progress and no notes
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// When to use colours; `auto` means on a terminal, unless `NO_COLOR` is set
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Color,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}
