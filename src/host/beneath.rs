//! From an open directory to one further down, and never out of it.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, openat};

use super::levels::OPEN;
use crate::error::Fault;
use crate::path;

/// Opens the directory at a path below `root` ("" is `root`), through directories only.
pub(super) fn open_dir(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Fault> {
    match open_at_once(root, path) {
        Some(dir) => Ok(dir),
        None => open_step_by_step(root, path),
    }
}

/// In one call, where the kernel has it. If it fails for any reason, the steps say why.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_at_once(root: &OwnedFd, path: &[u8]) -> Option<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};

    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, OPEN | OFlags::DIRECTORY, Mode::empty(), resolve).ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open_at_once(_: &OwnedFd, _: &[u8]) -> Option<OwnedFd> {
    None
}

fn open_step_by_step(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Fault> {
    let mut dir = root.try_clone()?;
    for name in path::components(path) {
        dir = openat(&dir, name, OPEN | OFlags::DIRECTORY, Mode::empty())?;
    }
    Ok(dir)
}
