//! The commands, a file each.

mod cat;
mod commit;
mod completions;
mod copy;
mod diff;
mod gc;
mod inspect;
mod list;
mod ls;
mod man;
#[cfg(target_os = "linux")]
mod mount;
mod squash;
mod tag;
mod tree;
mod usage;
mod verify;

use clap::Subcommand;

use crate::failure::{Outcome, Result};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Ls(ls::Ls),
    Cat(cat::Cat),
    Tree(tree::Tree),
    Inspect(inspect::Inspect),
    Diff(diff::Diff),
    Verify(verify::Verify),
    Copy(copy::Copy),
    Squash(squash::Squash),
    Commit(Box<commit::Commit>),
    Tag(tag::Tag),
    Untag(tag::Untag),
    List(list::List),
    Gc(gc::Gc),
    Usage(usage::Usage),
    #[cfg(target_os = "linux")]
    Mount(Box<mount::Mount>),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        match self {
            Self::Ls(ls) => ls.run(session),
            Self::Cat(cat) => cat.run(session),
            Self::Tree(tree) => tree.run(session),
            Self::Inspect(inspect) => inspect.run(session),
            Self::Diff(diff) => diff.run(session),
            Self::Verify(verify) => verify.run(session),
            Self::Copy(copy) => copy.run(session),
            Self::Squash(squash) => squash.run(session),
            Self::Commit(commit) => commit.run(session),
            Self::Tag(tag) => tag.run(session),
            Self::Untag(untag) => untag.run(session),
            Self::List(list) => list.run(session),
            Self::Gc(gc) => gc.run(session),
            Self::Usage(usage) => usage.run(session),
            #[cfg(target_os = "linux")]
            Self::Mount(mount) => mount.run(session),
            Self::Completions(completions) => completions.run(session),
            Self::Man(man) => man.run(session),
        }
    }
}
