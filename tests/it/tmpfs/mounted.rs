//! The same random operations on a tmpfs and through a mount, by the kernel's calls on both sides.
//!
//! What a mount does differently:
//!
//! - `O_TMPFILE` is `EOPNOTSUPP`; no sequence has it.
//! - `SEEK_DATA` in a directory is `ENXIO` (`EINVAL` on tmpfs): the kernel answers that by itself.

use std::fmt::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, Mode, OFlags};
use rustix::io::Result as Done;
use rustix::mount::{self, MountFlags, UnmountFlags};
use stratafs::fuse::{self, Mount, MountOptions};
use stratafs::{Container, Image};

use super::linux::{self, Linux};
use super::op::{Known, Op, Ops, SLOTS};
use super::tree::{self, Pairs, Tree};
use super::{OPERATIONS, THOROUGH, image, number, own_mounts, who};
use crate::fuse::{can_mount, unmount};
use crate::random::Random;

/// Runs a quarter of `STRATAFS_SEQUENCES` sequences (300), from seed `STRATAFS_SEED` (0) on.
#[test]
fn every_operation_through_a_mount_does_what_it_does_on_tmpfs() {
    if !can_mount() {
        println!("not run: no /dev/fuse, or not root");
        return;
    }
    let first = number("STRATAFS_SEED").unwrap_or(0);
    let count = number("STRATAFS_SEQUENCES").unwrap_or(300).div_ceil(4);
    let run = move || -> Result<(), String> {
        let sides = Sides::new().map_err(|error| error.to_string())?;
        let image = image::image();
        (first..first + count).try_for_each(|seed| run(&sides, &image, seed))
    };
    // A thread, because its mounts and its root are its own.
    let ended = std::thread::spawn(run).join().unwrap();
    if let Err(report) = ended {
        panic!("{report}");
    }
}

fn run(sides: &Sides, image: &Image, seed: u64) -> Result<(), String> {
    let thorough = seed.is_multiple_of(THOROUGH);
    let report = sides.sequence(image, seed, thorough);
    match report {
        // Again, to find the first operation after which something differs.
        Err(report) if !thorough => Err(sides.sequence(image, seed, true).err().unwrap_or(report)),
        report => report,
    }
}

/// Two places to be, in mounts of this thread's own.
struct Sides {
    outside: OwnedFd,
    dir: tempfile::TempDir,
}

impl Sides {
    fn new() -> Done<Self> {
        own_mounts()?;
        let outside = fs::open("/", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let dir = tempfile::tempdir().unwrap();
        for side in ["tmpfs", "strata"] {
            std::fs::create_dir(dir.path().join(side)).unwrap();
        }
        Ok(Self { outside, dir })
    }

    fn path(&self, side: &str) -> PathBuf {
        self.dir.path().join(side)
    }

    fn go_out(&self) -> Done<()> {
        rustix::process::fchdir(&self.outside)?;
        rustix::process::chroot(".")
    }

    fn go_to(&self, side: &str) -> Done<()> {
        self.go_out()?;
        rustix::process::chroot(self.path(side))?;
        rustix::process::chdir("/")
    }

    fn sequence(&self, image: &Image, seed: u64, thorough: bool) -> Result<(), String> {
        let text = |error: rustix::io::Errno| error.to_string();
        let flags = MountFlags::NODEV | MountFlags::NOATIME;
        mount::mount("tmpfs", self.path("tmpfs"), "tmpfs", flags, c"mode=0755").map_err(text)?;
        self.go_to("tmpfs").map_err(text)?;
        rustix::process::umask(Mode::empty());
        image::flatten(&image.view()).map_err(text)?;
        self.go_out().map_err(text)?;
        let container = image.container();
        let mounted = mounted(&container, &self.path("strata"));
        let ended = Sequence::new(self, &container, seed).run(thorough);
        self.go_out().map_err(text)?;
        unmount(&mounted).map_err(|error| error.to_string())?;
        mount::unmount(self.path("tmpfs"), UnmountFlags::DETACH).map_err(text)?;
        ended.and_then(|()| match container.check() {
            faults if faults.is_empty() => Ok(()),
            faults => Err(format!("seed {seed}, after it was unmounted: {faults:?}")),
        })
    }
}

fn mounted(container: &Container, at: &Path) -> Mount {
    let options = MountOptions::new().allow_other(true).auto_unmount(false);
    fuse::mount(container, at, &options).unwrap()
}

/// One sequence on both sides.
struct Sequence<'a> {
    sides: &'a Sides,
    container: &'a Container,
    seed: u64,
    there: Linux,
    here: Linux,
    ops: Ops,
    pairs: Pairs,
    log: String,
}

impl<'a> Sequence<'a> {
    fn new(sides: &'a Sides, container: &'a Container, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let who = who(&mut random);
        let (there, here) = (Linux::new(who), Linux::new(who));
        let (ops, pairs) = (Ops::new(random), Pairs::default());
        Self { sides, container, seed, there, here, ops, pairs, log: String::new() }
    }

    fn run(mut self, thorough: bool) -> Result<(), String> {
        let mut before = self.compare_trees()?;
        for _ in 0..OPERATIONS {
            let op = self.ops.next(self.known());
            if self.is_left_out(&op)? {
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

    fn known(&self) -> Known {
        let view = self.container.view();
        let entries = view.walk("/").unwrap().flatten();
        let path = |entry: stratafs::DirEntry| entry.path().to_string_lossy()[1..].to_owned();
        let paths = entries.map(path).filter(|path| path.len() < 40).collect();
        Known { paths, slots: (0..SLOTS).filter(|&slot| self.there.is_open(slot)).collect() }
    }

    fn is_left_out(&self, op: &Op) -> Result<bool, String> {
        self.go_to("tmpfs")?;
        let is_other = match op {
            Op::Open { flags, .. } => flags.temporary,
            Op::NextData { slot, .. } | Op::NextHole { slot, .. } => self.there.holds_dir(*slot),
            _ => false,
        };
        Ok(is_other || self.there.is_left_out(op))
    }

    fn go_to(&self, side: &str) -> Result<(), String> {
        self.sides.go_to(side).map_err(|error| format!("going to {side}: {error}"))
    }

    fn step(&mut self, op: &Op) -> Result<(), String> {
        self.go_to("tmpfs")?;
        let there = self.there.run(op).map_err(rustix::io::Errno::raw_os_error);
        self.go_to("strata")?;
        let here = self.here.run(op).map_err(rustix::io::Errno::raw_os_error);
        let same = match (&there, &here) {
            (Ok(there), Ok(here)) => self.pairs.same_answer(there, here),
            (Err(there), Err(here)) => there == here,
            _ => false,
        };
        let outcome = there.as_ref().map_or_else(|errno| format!("errno {errno}"), |_| "ok".into());
        let _ = writeln!(self.log, "  {:.300}  => {outcome}", format!("{op:?}"));
        if same {
            return Ok(());
        }
        let (there, here) = (format!("{there:?}"), format!("{here:?}"));
        Err(self.report(&format!("  tmpfs {there:.300}\n  mount {here:.300}")))
    }

    fn compare_trees(&mut self) -> Result<(Tree, Tree), String> {
        self.go_to("tmpfs")?;
        let there = self.there.tree().map_err(|error| format!("reading the tmpfs: {error}"))?;
        self.go_to("strata")?;
        let here = self.here.tree();
        let here = here.map_err(|error| self.report(&format!("reading the mount: {error}")))?;
        let (differences, faults) = (self.pairs.differences(&there, &here), self.container.check());
        if differences.is_empty() && faults.is_empty() {
            return Ok((there, here));
        }
        Err(self.report(&format!("{differences}  check: {faults:?}")))
    }

    fn report(&self, what: &str) -> String {
        format!("STRATAFS_SEED={} STRATAFS_SEQUENCES=1\n{}{what}", self.seed, self.log)
    }
}
