//! Mount points: whether something can be mounted there, and taking it away.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::mount::UnmountFlags;

use crate::error::{ErrorKind, Fault};

/// The real path of a directory at which nothing is mounted yet.
pub(super) fn check(point: &Path) -> Result<PathBuf, Fault> {
    let metadata = fs::metadata(point).map_err(|error| missing(&error))?;
    if !metadata.is_dir() {
        return Err(Fault::rule(ErrorKind::NotADirectory, "a mount point is a directory"));
    }
    let real = fs::canonicalize(point)?;
    let above = fs::metadata(real.join(".."))?;
    if above.dev() != metadata.dev() || above.ino() == metadata.ino() {
        let rule = "something is mounted there: unmount it, or choose another directory";
        return Err(Fault::rule(ErrorKind::ResourceBusy, rule));
    }
    Ok(real)
}

fn missing(error: &io::Error) -> Fault {
    match error.raw_os_error() {
        Some(107) => Fault::rule(
            ErrorKind::ResourceBusy,
            "a mount whose process died is there: take it away with `umount -l`",
        ),
        _ if error.kind() == io::ErrorKind::NotFound => {
            Fault::rule(ErrorKind::NotFound, "make the directory first")
        }
        _ => ErrorKind::PermissionDenied.into(),
    }
}

/// Why the kernel did not mount, and what to do about it.
pub(super) fn refused(error: io::Error) -> Fault {
    if !Path::new("/dev/fuse").exists() {
        let rule = "there is no /dev/fuse: load the kernel's module (`modprobe fuse`)";
        return Fault::rule(ErrorKind::NoDevice, rule);
    }
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let text = error.to_string();
            let rule = if text.contains("user_allow_other") {
                "allow_other is root's, unless /etc/fuse.conf says user_allow_other"
            } else {
                "mounting needs root, or /dev/fuse for everybody and `fusermount3` (package fuse3)"
            };
            Fault::rule(ErrorKind::NotPermitted, rule)
        }
        io::ErrorKind::NotFound => Fault::rule(
            ErrorKind::NotPermitted,
            "who is not root needs `fusermount3` (package fuse3) to mount",
        ),
        _ => Fault::Io(error),
    }
}

/// Takes a mount away: at once, or, `lazily`, from its place now and altogether when nobody uses it any more.
pub(super) fn unmount(point: &Path, lazily: bool) -> Result<(), Fault> {
    let flags = if lazily { UnmountFlags::DETACH } else { UnmountFlags::empty() };
    match rustix::mount::unmount(point, flags) {
        Ok(()) => Ok(()),
        // It is gone already.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
        Err(rustix::io::Errno::BUSY) => Err(Fault::rule(
            ErrorKind::ResourceBusy,
            "a program has a file or its working directory there",
        )),
        Err(rustix::io::Errno::PERM) => unmount_as_user(point, lazily),
        Err(errno) => Err(Fault::Io(errno.into())),
    }
}

fn unmount_as_user(point: &Path, lazily: bool) -> Result<(), Fault> {
    let mut command = Command::new("fusermount3");
    command.args(["-u", "-q"]).args(lazily.then_some("-z")).arg("--").arg(point);
    let status = command.stdin(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() {
        return Ok(());
    }
    Err(Fault::rule(ErrorKind::ResourceBusy, "fusermount3 did not unmount it"))
}
