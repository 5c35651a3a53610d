//! Lists a directory of the host with system calls and GNU's `sha256sum`, and with nothing of stratafs.

use std::collections::HashMap;
use std::ffi::{CString, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Stat, lgetxattr, llistxattr, statat};

use super::listing::{Listing, Object, escaped, hex};
use super::scratch::{Scratch, output_of};

/// Labels of the host's security module, which are not the image's.
const LABELS: &[&str] = &["security.selinux", "security.SMACK64"];

/// Everything in a directory, which is the root.
pub(super) fn listing(scratch: &Scratch, root: &Path) -> Listing {
    let mut listing = Listing::new();
    let mut dirs = vec![Vec::new()];
    listing.insert(b".".to_vec(), object(root, b"."));
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(root.join(OsString::from_vec(dir.clone()))).unwrap() {
            let name = entry.unwrap().file_name();
            let path = [&*dir, name.as_bytes()].join(&b"/"[..usize::from(!dir.is_empty())]);
            let object = object(&root.join(OsString::from_vec(path.clone())), &path);
            if object.is_dir() {
                dirs.push(path.clone());
            }
            listing.insert(path, object);
        }
    }
    add_digests(scratch, root, &mut listing);
    forget_hidden_names(&mut listing);
    listing
}

/// overlayfs counts the names of a file in its layer, with those that upper layers hide: where that is more than there are,
/// nothing says how many there should be.
fn forget_hidden_names(listing: &mut Listing) {
    let mut names: HashMap<u64, u64> = HashMap::new();
    listing.values().for_each(|object| *names.entry(object.ino).or_default() += 1);
    for object in listing.values_mut().filter(|object| !object.is_dir()) {
        object.nlink = object.nlink.filter(|&nlink| nlink <= names[&object.ino]);
    }
}

fn object(host: &Path, path: &[u8]) -> Object {
    let stat = statat(CWD, host, AtFlags::SYMLINK_NOFOLLOW)
        .unwrap_or_else(|errno| panic!("{}: {errno}", host.display()));
    let kind = FileType::from_raw_mode(stat.st_mode);
    let mut object = Object::new(path, kind_of(kind));
    object.mode = format!("{:04o}", stat.st_mode & 0o7777);
    (object.uid, object.gid) = (stat.st_uid, stat.st_gid);
    object.mtime_ns = stat.st_mtime * 1_000_000_000 + stat.st_mtime_nsec as i64;
    object.nlink = (!object.is_dir() || stat.st_nlink > 1).then_some(stat.st_nlink);
    object.ino = stat.st_ino;
    object.size = (kind == FileType::RegularFile).then_some(stat.st_size as u64);
    object.rdev = device(kind, &stat);
    object.target = (kind == FileType::Symlink)
        .then(|| escaped(fs::read_link(host).unwrap().as_os_str().as_bytes()));
    object.xattrs = xattrs(host).into_iter().collect();
    object
}

fn kind_of(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "reg",
        FileType::Directory => "dir",
        FileType::Symlink => "sym",
        FileType::Fifo => "fifo",
        FileType::CharacterDevice => "chr",
        FileType::BlockDevice => "blk",
        FileType::Socket => "sock",
        FileType::Unknown => panic!("a type that Linux does not have"),
    }
}

fn device(kind: FileType, stat: &Stat) -> Option<String> {
    let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    matches!(kind, FileType::CharacterDevice | FileType::BlockDevice)
        .then(|| format!("{major}:{minor}"))
}

fn xattrs(host: &Path) -> Vec<(String, String)> {
    let mut names = vec![0; 65_536];
    let length = llistxattr(host, &mut names).unwrap();
    let value = |name: &[u8]| {
        let mut value = vec![0; 65_536];
        let length = lgetxattr(host, CString::new(name).unwrap(), &mut value).unwrap();
        hex(&value[..length])
    };
    names[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| (escaped(name), value(name)))
        .filter(|(name, _)| !LABELS.contains(&name.as_str()))
        .collect()
}

/// One process for all files: `digest  path\0` each.
fn add_digests(scratch: &Scratch, root: &Path, listing: &mut Listing) {
    let files = listing.iter().filter(|(_, object)| object.kind == "reg");
    let names: Vec<u8> = files.flat_map(|(path, _)| [b"./", &**path, b"\0"].concat()).collect();
    let mut xargs = scratch.command("xargs");
    let said = output_of(xargs.args(["-0", "sha256sum", "-z", "--"]).current_dir(root), &names);
    let lines = said.split(|&byte| byte == 0).filter(|line| !line.is_empty());
    let digests: HashMap<_, _> = lines.map(|line| (&line[68..], &line[..64])).collect();
    for (path, object) in listing.iter_mut().filter(|(_, object)| object.kind == "reg") {
        object.sha256 = Some(String::from_utf8(digests[&**path].to_vec()).unwrap());
    }
}
