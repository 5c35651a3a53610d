//! The program `stratafs`: what it prints, what it answers, how it ends.
#![cfg(all(feature = "cli", unix))]

mod commit;
mod failures;
mod listing;
mod pages;
mod store;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use tempfile::TempDir;

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_stratafs"));
    program.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env_remove("SOURCE_DATE_EPOCH");
    program
}

/// What a run came to.
#[derive(Debug)]
struct Run {
    code: i32,
    out: String,
    err: String,
}

fn run_in<S: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = S>) -> Run {
    let output = program().current_dir(dir).args(args).output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A place with directories to make images of.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(path)
    }

    fn file(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
        self
    }

    /// Mode, owner and time of all there is, so that a listing is the same everywhere.
    fn settle(&self) -> &Self {
        let mut below = vec![self.path("")];
        while let Some(path) = below.pop() {
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                below.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            if !metadata.is_symlink() {
                let mode = if metadata.is_dir() { 0o755 } else { 0o644 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
            set_mtime(&path, 1_700_000_000, 0);
        }
        self
    }

    /// Runs with exit code 0 and nothing on standard error, and gives what was printed.
    fn ok(&self, line: &str) -> String {
        let run = self.run(line);
        assert_eq!((run.code, &*run.err), (0, ""), "{line}");
        run.out
    }

    /// Runs with this exit code.
    fn ends(&self, code: i32, line: &str) -> Run {
        let run = self.run(line);
        assert_eq!(run.code, code, "{line}: {run:?}");
        run
    }

    /// Runs with exit code 2, nothing printed, and one line of what is wrong, maybe one more of what to do.
    fn fails(&self, line: &str) -> String {
        let run = self.ends(2, line);
        assert_eq!(run.out, "", "{line}");
        let lines: Vec<_> = run.err.lines().collect();
        let well_formed = match lines[..] {
            [error] => error.starts_with("stratafs: "),
            [error, hint] => error.starts_with("stratafs: ") && hint.starts_with("hint: "),
            _ => false,
        };
        assert!(well_formed, "{line}: {}", run.err);
        run.err
    }

    fn run(&self, line: &str) -> Run {
        run_in(self.dir.path(), line.split_whitespace())
    }
}

fn set_mtime(path: &Path, secs: i64, nanos: i64) {
    let time = Timespec { tv_sec: secs, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Two directories, one to lay over the other.
fn stack() -> Place {
    let place = Place::new();
    place.file("low/etc/motd", "hi\n").file("low/etc/hosts", "local\n").file("low/bin/sh", "#!");
    place.file("top/etc/motd", "bye\n").file("top/srv/world", "new");
    symlink("bin/sh", place.path("low/shell")).unwrap();
    place.settle();
    place
}

const STACK: &str = "dir:top,dir:low";

/// The stack in a layout `store`, as `app:1`.
fn stored() -> (Place, String) {
    let place = stack();
    let digest = place.ok(&format!("copy {STACK} oci:store:app:1"));
    assert!(digest.starts_with("sha256:") && digest.lines().count() == 1, "{digest}");
    (place, digest.trim_end().to_owned())
}
