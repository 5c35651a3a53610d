//! The reference that no image tool has a part in: GNU tar unpacks each layer, the kernel's overlayfs lays one over the
//! other.
//!
//! In between the marks of the image format become those of overlayfs: a device 0:0 for a name that is removed, an
//! attribute for an opaque directory (<https://docs.kernel.org/filesystems/overlayfs.html>).

use std::collections::BTreeSet;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, XattrFlags, stat, utimensat};
use rustix::mount::{MountFlags, mount};

use super::oci::Oci;
use super::scratch::{Scratch, output, output_of};
use crate::host::mkdev;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Mounts an image read-only.
pub(super) fn mounted(scratch: &Scratch, image: &Oci, name: &str) -> PathBuf {
    // overlayfs wants two directories where nothing is to be written.
    let mut layers = vec![scratch.dir(&format!("{name}/a")), scratch.dir(&format!("{name}/b"))];
    for (index, blob) in image.layers().iter().enumerate() {
        let below = lay(scratch, &layers, &format!("{name}/m{index}"));
        let layer = scratch.dir(&format!("{name}/{index}"));
        let entries = entries(scratch, blob);
        unpack(scratch, blob, &layer);
        copy_implied(scratch, &entries, &below, &layer);
        mark(&entries, &layer);
        layers.push(layer);
    }
    lay(scratch, &layers, &format!("{name}/m"))
}

fn lay(scratch: &Scratch, layers: &[PathBuf], name: &str) -> PathBuf {
    let merged = scratch.dir(name);
    let dirs: Vec<_> = layers.iter().rev().map(|dir| dir.display().to_string()).collect();
    let options = CString::new(format!("lowerdir={}", dirs.join(":"))).unwrap();
    mount("stratafs-test", &merged, "overlay", MountFlags::RDONLY, &*options).unwrap();
    merged
}

/// All but the marks, which need not have a place: umoci writes some below what is a file by now.
fn unpack(scratch: &Scratch, blob: &Path, layer: &Path) {
    let mut tar = scratch.command("tar");
    tar.args(["--extract", "--same-owner", "--numeric-owner", "--preserve-permissions"]);
    tar.args(["--xattrs", "--xattrs-include=*", "--delay-directory-restore", "--exclude=.wh.*"]);
    output(tar.arg("--directory").arg(layer).arg("--file").arg(blob));
}

/// Makes the marks those of overlayfs. The directories that have some keep their times.
fn mark(entries: &[Vec<u8>], layer: &Path) {
    for (dir, name) in entries.iter().map(|entry| split(entry)) {
        let Some(hidden) = name.strip_prefix(WHITEOUT) else { continue };
        let path = layer.join(OsStr::from_bytes(dir));
        if !is_reachable(layer, dir) || !path.exists() {
            continue;
        }
        let before = stat(&path).unwrap();
        if name == OPAQUE {
            make_opaque(&path);
        } else {
            hide(&path.join(OsStr::from_bytes(hidden)));
        }
        let time = Timespec { tv_sec: before.st_mtime, tv_nsec: before.st_mtime_nsec as i64 };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, &path, &times, AtFlags::empty()).unwrap();
    }
}

/// The directory, which is empty or ends in `/`, and the name in it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1))
}

/// A mark acts on lower layers only: what the same layer has stays, but of a directory nothing lower shows.
fn hide(path: &Path) {
    match path.symlink_metadata() {
        Ok(there) if there.is_dir() => make_opaque(path),
        Ok(_) => {}
        Err(_) => mkdev(path, 0, 0),
    }
}

fn make_opaque(dir: &Path) {
    rustix::fs::lsetxattr(dir, "trusted.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
}

/// The paths that an archive names, without the marks below what another mark removes: umoci writes those too.
fn entries(scratch: &Scratch, blob: &Path) -> Vec<Vec<u8>> {
    let mut tar = scratch.command("tar");
    let listed = output(tar.args(["--list", "--quoting-style=escape", "--file"]).arg(blob));
    let lines = listed.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let mut paths: Vec<_> = lines.map(unquoted).collect();
    let removed = |path: &Vec<u8>| {
        let (dir, name) = split(path);
        name.strip_prefix(WHITEOUT).map(|hidden| [dir, hidden].concat())
    };
    let gone: BTreeSet<_> = paths.iter().filter_map(removed).collect();
    paths.retain(|path| removed(path).is_none() || !above(path).any(|dir| gone.contains(dir)));
    paths
}

/// Undoes the quoting, and leaves out `./` at the begin and `/` at the end; the root is empty.
fn unquoted(line: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), line);
    while let Some((&first, after)) = rest.split_first() {
        let (byte, length) = match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), 4)
            }
            (b'\\', [letter, ..]) => (control(*letter), 2),
            _ => (first, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    let path = bytes.strip_suffix(b"/").unwrap_or(&bytes);
    path.strip_prefix(b"./")
        .or(path.strip_prefix(b".").filter(|rest| rest.is_empty()))
        .unwrap_or(path)
        .to_vec()
}

fn control(letter: u8) -> u8 {
    let known = [(b'a', 7), (b'b', 8), (b't', 9), (b'n', 10), (b'v', 11), (b'f', 12), (b'r', 13)];
    known.iter().find(|(known, _)| *known == letter).map_or(letter, |(_, byte)| *byte)
}

/// Whether nothing on the way to a path is another thing than a directory.
fn is_reachable(layer: &Path, path: &[u8]) -> bool {
    let is_dir = |dir: &[u8]| match layer.join(OsStr::from_bytes(dir)).symlink_metadata() {
        Ok(there) => there.is_dir(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    above(path).all(is_dir)
}

/// The directories on the way to a path, but the root.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.map(|(slash, _)| &path[..slash])
}

/// Directories on the way that a layer does not name are as they were below.
fn copy_implied(scratch: &Scratch, entries: &[Vec<u8>], below: &Path, layer: &Path) {
    let named: BTreeSet<&[u8]> = entries.iter().map(|path| &**path).collect();
    let mut implied: BTreeSet<&[u8]> = entries.iter().flat_map(|path| above(path)).collect();
    implied.insert(b"");
    implied.retain(|dir| {
        let lower = below.join(OsStr::from_bytes(dir)).symlink_metadata();
        let is_lower = lower.is_ok_and(|lower| lower.is_dir());
        is_lower && !named.contains(dir) && is_reachable(layer, &[dir, &b"/"[..]].concat())
    });
    let paths: Vec<u8> = implied.iter().flat_map(|dir| [b"./", *dir, b"\0"].concat()).collect();
    let mut pack = scratch.command("tar");
    pack.args(["--create", "--format=pax", "--numeric-owner", "--xattrs", "--xattrs-include=*"]);
    pack.arg("--directory").arg(below).args(["--no-recursion", "--null", "--files-from=-"]);
    let packed = output_of(&mut pack, &paths);
    let mut unpack = scratch.command("tar");
    unpack.args(["--extract", "--same-owner", "--numeric-owner", "--preserve-permissions"]);
    unpack.args(["--xattrs", "--xattrs-include=*", "--directory"]).arg(layer);
    output_of(&mut unpack, &packed);
}
