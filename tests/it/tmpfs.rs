//! The same random operations on a container and on the kernel's tmpfs: the same answers, errors, trees and times.
//!
//! What stratafs does differently, by decision:
//!
//! - Fifos, sockets and devices are data and cannot be opened: `ENXIO`, whoever asks.
//! - Access times are kept only if asked for (`noatime` is the default here; the tmpfs is mounted so).
//! - A write is never short, and `EDQUOT` is not used.
//! - Flags that `std::fs::OpenOptions` refuses are refused here too; no sequence has them.
//! - `system.` attributes can be set by root, so that layers keep them (tmpfs knows only ACLs); no sequence has them.
//! - A value of more than 64 KiB is `ERANGE` (`E2BIG` in Linux); no sequence has one.
//! - How long a directory is, what a position in it means, and where in a file holes lie, each filesystem says in its own way: not compared.
//! - An open directory that was removed lists nothing (`ENOENT` in Linux).
//! - `File::duplicate` copies the position (dup(2) shares it): one of the two is closed at once.
//! - `link_file` gives a name to a file that lost its last one, too (`ENOENT` in Linux, but for `O_TMPFILE`).
//! - `fs.protected_*` are rules of a machine's administrator, checked above any filesystem: links to files of others are
//!   left out, and no directory is both sticky and writable for all where symlinks, fifos or files are protected.
#![cfg(target_os = "linux")]

mod image;
mod linux;
#[cfg(feature = "fuse")]
mod mounted;
mod op;
mod strata;
mod tree;

use std::fmt::Write;
use std::path::Path;

use stratafs::{Credentials, Image};

pub(crate) use self::linux::own_mounts;
use self::linux::{Cell, Linux, Who};
use self::op::{Op, Ops};
use self::strata::Strata;
use self::tree::{Pairs, Tree};
use crate::random::Random;

/// Operations in a sequence.
const OPERATIONS: usize = 60;
/// After every operation of one in so many sequences all trees and times are compared, of the others at the end.
const THOROUGH: u64 = 16;

/// Runs `STRATAFS_SEQUENCES` sequences (300), from seed `STRATAFS_SEED` (0) on.
#[test]
fn every_operation_does_what_it_does_on_tmpfs() {
    let first: u64 = number("STRATAFS_SEED").unwrap_or(0);
    let count: u64 = number("STRATAFS_SEQUENCES").unwrap_or(300);
    let at = tempfile::tempdir().expect("because there is a place for temporary files");
    let seeds = |parity: u64| (first..first + count).filter(move |seed| seed % 2 == parity);
    std::thread::scope(|scope| {
        let threads = [0, 1].map(|parity| {
            let at = at.path();
            scope.spawn(move || run_all(at, seeds(parity)))
        });
        for thread in threads {
            if let Err(report) = thread.join().expect("because mismatches are reported") {
                panic!("{report}");
            }
        }
    });
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

#[expect(clippy::print_stdout, reason = "a test that is not run says why")]
fn run_all(at: &Path, seeds: impl Iterator<Item = u64>) -> Result<(), String> {
    let cell = match Cell::new(at).and_then(|cell| cell.enter().map(|()| cell)) {
        Ok(cell) => cell,
        Err(error) => {
            println!(
                "not run: no mount namespace with a tmpfs of its own ({error}); root is needed"
            );
            return Ok(());
        }
    };
    cell.leave().map_err(|error| error.to_string())?;
    let image = image::image();
    for seed in seeds {
        let thorough = seed % (2 * THOROUGH) < 2;
        if let Err(report) = run_in(&cell, &image, seed, thorough) {
            // Again, to find the first operation after which something differs.
            let first = if thorough { None } else { run_in(&cell, &image, seed, true).err() };
            return Err(first.unwrap_or(report));
        }
    }
    Ok(())
}

fn run_in(cell: &Cell, image: &Image, seed: u64, thorough: bool) -> Result<(), String> {
    cell.enter().map_err(|error| format!("mount: {error}"))?;
    let result = Sequence::new(image, seed).and_then(|sequence| sequence.run(thorough));
    cell.leave().map_err(|error| format!("unmount: {error}"))?;
    result
}

/// One sequence on both sides.
struct Sequence {
    seed: u64,
    who: Who,
    linux: Linux,
    strata: Strata,
    ops: Ops,
    pairs: Pairs,
    log: String,
}

impl Sequence {
    fn new(image: &Image, seed: u64) -> Result<Self, String> {
        let mut random = Random::new(seed);
        let who = who(&mut random);
        rustix::process::umask(rustix::fs::Mode::empty());
        image::flatten(&image.view()).map_err(|error| format!("flatten: {error}"))?;
        Ok(Self {
            seed,
            who,
            linux: Linux::new(who),
            strata: Strata::new(image, credentials(who)),
            ops: Ops::new(random),
            pairs: Pairs::default(),
            log: String::new(),
        })
    }

    fn run(mut self, thorough: bool) -> Result<(), String> {
        let mut before = self.compare_trees()?;
        for _ in 0..OPERATIONS {
            let op = self.ops.next(self.strata.known());
            if self.linux.is_left_out(&op) {
                continue;
            }
            if thorough {
                linux::wait_for_tick();
            }
            self.step(&op)?;
            if thorough {
                let after = self.compare_trees()?;
                let difference = tree::time_differences(&before, &after);
                if !difference.is_empty() {
                    return Err(self.report(&difference));
                }
                before = after;
            }
        }
        self.compare_trees().map(drop)
    }

    fn step(&mut self, op: &Op) -> Result<(), String> {
        let linux = self.linux.run(op).map_err(rustix::io::Errno::raw_os_error);
        let strata = self.strata.run(op);
        let same = match (&linux, &strata) {
            (Ok(linux), Ok(strata)) => self.pairs.same_answer(linux, strata),
            (Err(linux), Err(strata)) => linux == strata,
            _ => false,
        };
        let outcome = linux.as_ref().map_or_else(|errno| format!("errno {errno}"), |_| "ok".into());
        let _ = writeln!(self.log, "  {:.300}  => {outcome}", format!("{op:?}"));
        if same {
            return Ok(());
        }
        let answers = format!(
            "  tmpfs {:.300}\n  stratafs {:.300}",
            format!("{linux:?}"),
            format!("{strata:?}")
        );
        Err(self.report(&answers))
    }

    fn compare_trees(&mut self) -> Result<(Tree, Tree), String> {
        let linux = self.linux.tree().map_err(|error| format!("reading the tmpfs: {error}"))?;
        let (strata, faults) = self.strata.tree();
        let differences = self.pairs.differences(&linux, &strata);
        if differences.is_empty() && faults.is_empty() {
            return Ok((linux, strata));
        }
        Err(self.report(&format!("{differences}  check: {faults:?}")))
    }

    fn report(&self, what: &str) -> String {
        let Self { seed, who, log, .. } = self;
        format!("STRATAFS_SEED={seed} STRATAFS_SEQUENCES=1, as {who:?}\n{log}{what}")
    }
}

/// Root, or a user with a group.
fn who(random: &mut Random) -> Who {
    let umask = random.pick_number(&[0o022, 0o022, 0, 0o077]);
    if random.below(5) < 3 {
        return Who { uid: 0, gid: 0, groups: &[], umask };
    }
    Who { uid: 1000, gid: 1000, groups: &[2000], umask }
}

fn credentials(who: Who) -> Credentials {
    Credentials::user(who.uid, who.gid).groups(who.groups).umask(who.umask)
}
