//! The changes that make the layers, the same for every tool that builds.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::Path;
use std::time::Duration;

use rustix::fs::XattrFlags;

use super::furnish::{chmod, furnish, large, link, make, write};
use super::scratch::{Scratch, output, output_of};
use crate::host::{mkfifo, set_mtime};

/// Makes one layer's changes in a root directory.
pub(super) type Step = fn(&Scratch, &Path);

/// Makes the changes of the layer of that number. What they touched gets a time of that layer: umoci looks for changes of
/// times by the second, so that what it finds would depend on how fast this is.
pub(super) fn make_layer(scratch: &Scratch, number: usize, step: Step, root: &Path) {
    let marker = scratch.at("marker");
    fs::write(&marker, "").unwrap();
    let began = marker.symlink_metadata().unwrap().modified().unwrap();
    step(scratch, root);
    let time = LAYER_TIME + 1_000 * i64::try_from(number).unwrap();
    let mut paths = vec![root.to_path_buf()];
    while let Some(path) = paths.pop() {
        let there = path.symlink_metadata().unwrap();
        if there.is_dir() {
            paths.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let age = there.modified().unwrap().duration_since(began);
        if age.is_ok_and(|age| age < A_DAY) {
            set_mtime(&path, time, 600_000_000);
        }
    }
}

const LAYER_TIME: i64 = 1_700_000_000;
/// Some files are from the far future.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One layer each, from the lowest.
pub(super) const STEPS: &[Step] = &[debian, fill, change, change_again, replace_dirs];

/// Essential packages, which every Debian has installed: with hard links, setuid programs and links between directories.
const PACKAGES: &[&str] = &["base-files", "base-passwd", "perl-base", "util-linux", "gzip", "grep"];

/// The files of some packages of this machine.
fn debian(scratch: &Scratch, root: &Path) {
    let listed = output(scratch.command("dpkg-query").arg("-L").args(PACKAGES));
    let listed = String::from_utf8(listed).unwrap();
    let inside = |path: &str| {
        // Packages still name /bin, which is /usr/bin.
        let merged = Path::new("/bin").is_symlink()
            && ["/bin/", "/sbin/", "/lib/"].iter().any(|old| path.starts_with(old));
        format!("{}{}", if merged { "usr" } else { "" }, &path[usize::from(!merged)..])
    };
    let mut paths: Vec<_> = listed.lines().filter(|path| path.len() > 2).map(inside).collect();
    paths.extend(["bin", "sbin", "lib"].map(str::to_owned));
    paths.retain(|path| Path::new("/").join(path).symlink_metadata().is_ok());
    paths.sort();
    paths.dedup();
    let mut pack = scratch.command("tar");
    pack.args(["--create", "--format=pax", "--directory=/", "--no-recursion", "--files-from=-"]);
    let packed = output_of(&mut pack, paths.join("\n").as_bytes());
    let mut unpack = scratch.command("tar");
    unpack.args(["--extract", "--same-owner", "--preserve-permissions", "--directory"]).arg(root);
    output_of(&mut unpack, &packed);
    fs::set_permissions(root, PermissionsExt::from_mode(0o755)).unwrap();
}

/// Everything, and what the next layers change.
fn fill(_: &Scratch, root: &Path) {
    furnish(root);
    let dir = &root.join("changing");
    let files = [
        "removed file",
        "removed dir/deep/er/file",
        "removed dir/other",
        "again dir/old/file",
        "again dir/same",
        "again file",
        "dir to file/below",
        "dir to link/below",
        "file to dir",
        "file to link",
        "appended",
        "mode",
        "owner",
        "moved dir/a",
        "moved dir/b/c",
        "emptied/file",
        "kept/gone",
        "kept/stays",
        "attribute",
        "same size",
        "twice removed/in/here",
    ];
    files.iter().for_each(|name| write(&dir.join(name), *name));
    for name in ["link to dir", "link to file", "link to link"] {
        symlink("kept", dir.join(name)).unwrap();
    }
    for group in ["written", "renamed", "shrunk", "split"] {
        write(&dir.join(group).join("one"), group);
        link(&dir.join(group).join("one"), &dir.join(group).join("two"));
        link(&dir.join(group).join("one"), &dir.join(group).join("three"));
    }
    mkfifo(&dir.join("fifo to file"));
}

fn change(scratch: &Scratch, root: &Path) {
    let at = |name: &str| root.join("changing").join(name);
    remove(&at("removed file"));
    remove(&at("removed dir"));
    remove(&at("kept/gone"));
    remove(&at("emptied/file"));
    remove(&at("twice removed/in"));
    write_again(&at("again dir"), "new/file");
    write_again(&at("again dir"), "same");
    remove(&at("again file"));
    write(&at("again file"), "another file");
    replace_types(&at(""));
    append(&at("appended"));
    chmod(&at("mode"), 0o640);
    lchown(at("owner"), Some(12), Some(34)).unwrap();
    // Not rename(2): overlayfs refuses it for a directory of a lower layer, and mv(1) copies then.
    output(scratch.command("mv").args([at("moved dir"), at("moved")]));
    rustix::fs::setxattr(at("attribute"), "user.new", b"1", XattrFlags::empty()).unwrap();
    write(&at("same size"), "same SIZE");
    append(&at("written/two"));
    fs::rename(at("renamed/one"), at("renamed/zero")).unwrap();
    remove(&at("shrunk/one"));
    remove(&at("split/two"));
    write(&at("split/two"), "another");
    link(&root.join("links/a"), &at("new name of an old file"));
    symlink("kept", at("new link")).unwrap();
    remove(&root.join("usr/bin/perl"));
    chmod(&root.join("usr/bin"), 0o711);
}

fn replace_types(dir: &Path) {
    let replaced = [
        "file to dir",
        "file to link",
        "link to dir",
        "link to file",
        "link to link",
        "fifo to file",
    ];
    replaced.iter().for_each(|name| remove(&dir.join(name)));
    write(&dir.join("file to dir/below"), "below");
    symlink("kept/stays", dir.join("file to link")).unwrap();
    write(&dir.join("link to dir/stays"), "not that of the target");
    write(&dir.join("link to file"), "a file");
    symlink("elsewhere", dir.join("link to link")).unwrap();
    write(&dir.join("fifo to file"), "a file");
}

/// Directories with something in them become other things. A layer of its own, as containers/storage cannot read the one
/// that umoci makes of it: see [`super::umoci::LAYERS_FOR_OTHERS`].
fn replace_dirs(_: &Scratch, root: &Path) {
    let at = |name: &str| root.join("changing").join(name);
    ["dir to file", "dir to link", "file to dir"].iter().for_each(|name| remove(&at(name)));
    write(&at("dir to file"), "a file");
    symlink("kept", at("dir to link")).unwrap();
    symlink("/etc", at("file to dir")).unwrap();
}

/// Back, and once more: what was removed is there again, what was made is removed.
fn change_again(_: &Scratch, root: &Path) {
    let at = |name: &str| root.join("changing").join(name);
    write(&at("removed file"), "is back");
    write(&at("removed dir/deep/new"), "only this");
    remove(&at("twice removed"));
    write_again(&at("again dir"), "newer");
    for name in ["fifo to file", "link to file", "file to link"] {
        remove(&at(name));
        write(&at(name).join("third"), "a dir");
    }
    append(&at("written/three"));
    remove(&at("new name of an old file"));
    remove(&at("shrunk/two"));
    remove(&at("moved/b"));
    rustix::fs::setxattr(at("attribute"), "user.new", b"22", XattrFlags::empty()).unwrap();
    remove(&root.join("usr/share"));
    make(&root.join("usr/share"));
    remove(&root.join("names/dirs"));
    large(&root.join("large again"));
    set_mtime(&root.join("times/epoch file"), 0, 1);
    set_mtime(&root.join("times/before file"), -2_000_000, 0);
    set_mtime(&root.join("times"), -5, 500_000_000);
}

fn append(path: &Path) {
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b" and more").unwrap();
}

/// Removes a directory, and makes another of that name with one file.
fn write_again(dir: &Path, file: &str) {
    remove(dir);
    write(&dir.join(file), "new");
}

fn remove(path: &Path) {
    let is_dir = path.symlink_metadata().unwrap().is_dir();
    if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
}
