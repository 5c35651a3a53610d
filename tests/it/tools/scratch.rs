//! A place that goes away, with mounts that nobody else sees, and running programs in it.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use rustix::fs::{XattrFlags, removexattr, setxattr};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use crate::host::is_root;
use crate::tmpfs::own_mounts;

/// Where skopeo and buildah keep what they know of blobs, whatever they are told.
const CACHE: &str = "/var/lib/containers";

pub(super) struct Scratch {
    dir: TempDir,
}

/// Runs a test in a place of its own, or prints why it is skipped.
pub(super) fn in_scratch(programs: &[&str], test: impl FnOnce(&Scratch) + Send) {
    if !is_root("to mount, and for devices and owners") {
        return;
    }
    if let Some(missing) = programs.iter().find(|program| !is_there(program)) {
        println!("skipped: there is no {missing} (scripts/test installs it on Debian)");
        return;
    }
    let in_thread = || match Scratch::new() {
        Ok(scratch) => test(&scratch),
        Err(why) => println!("skipped: {why}"),
    };
    let outcome = thread::scope(|scope| scope.spawn(in_thread).join());
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn mount_tmpfs(at: &Path) -> Result<(), Errno> {
    mount("stratafs-test", at, "tmpfs", MountFlags::empty(), None)
}

fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

impl Scratch {
    fn new() -> Result<Self, String> {
        own_mounts().map_err(|errno| format!("no mounts of one's own: {errno}"))?;
        let scratch = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(CACHE).unwrap();
        mount_tmpfs(CACHE.as_ref()).map_err(|errno| format!("no tmpfs: {errno}"))?;
        scratch.move_to_memory();
        scratch.try_overlay().map_err(|errno| format!("no overlayfs here: {errno}"))?;
        Ok(scratch)
    }

    /// Twice as fast as a disk, as the tools wait for it often. Not where a tmpfs has no attributes of users: before Linux
    /// 6.6.
    fn move_to_memory(&self) {
        let dir = self.dir.path();
        let mounted = mount_tmpfs(dir).is_ok();
        let has_xattrs = || setxattr(dir, "user.try", b"", XattrFlags::empty()).is_ok();
        if mounted && has_xattrs() {
            removexattr(dir, "user.try").unwrap();
        } else if mounted {
            unmount(dir, UnmountFlags::empty()).unwrap();
        }
    }

    /// buildah's own storage is one, and the reference is another.
    fn try_overlay(&self) -> Result<(), Errno> {
        let dirs =
            ["lower", "upper", "work", "merged"].map(|name| self.dir(&format!("try/{name}")));
        let [lower, upper, work, merged] = dirs.each_ref().map(|dir| dir.display());
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        let options = std::ffi::CString::new(options).unwrap();
        mount("stratafs-test", merged.to_string(), "overlay", MountFlags::empty(), &*options)?;
        unmount(merged.to_string(), UnmountFlags::empty())
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A directory of that name, made if it is not there.
    pub(super) fn dir(&self, name: &str) -> PathBuf {
        let dir = self.at(name);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    /// A program that leaves nothing outside.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("TMPDIR", self.dir("tmp")).env("LC_ALL", "C").current_dir(self.dir.path());
        command
    }
}

/// Unmounts what programs left mounted below, last first, before the directory goes.
impl Drop for Scratch {
    fn drop(&mut self) {
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(Path::new);
        let below: Vec<_> = points.filter(|point| point.starts_with(self.dir.path())).collect();
        for point in below.into_iter().rev() {
            if let Err(errno) = unmount(point, UnmountFlags::DETACH) {
                eprintln!("{} stays mounted: {errno}", point.display());
            }
        }
    }
}

/// What a program prints, if it succeeds.
pub(super) fn output(command: &mut Command) -> Vec<u8> {
    output_of(command, &[])
}

/// The same, of a program that reads.
pub(super) fn output_of(command: &mut Command, input: &[u8]) -> Vec<u8> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    output.stdout
}

/// What a program prints, as a word.
pub(super) fn word(command: &mut Command) -> String {
    String::from_utf8(output(command)).unwrap().trim().to_owned()
}
