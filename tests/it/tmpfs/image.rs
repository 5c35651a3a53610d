//! The image that every sequence starts from, and the same tree on the kernel's side.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, FileType as Kind, Mode, XattrFlags};
use rustix::io::Result;
use rustix::process::{Gid, Uid};
use stratafs::{Attrs, DirEntry, FileType, Image, Layer, Metadata, Timestamp, View};

use super::linux::timespec;
use super::op::When;

const ALICE: u32 = 1000;

/// Three layers: every type of object, removals, an opaque directory, links within and between layers, and what a user
/// owns, shares or may not enter.
pub(super) fn image() -> Image {
    let layers = [lowest(), middle(), topmost()];
    let layers = layers.map(|layer| layer.build().expect("because the paths are valid"));
    Image::from_layers(layers).expect("because the links have targets")
}

fn lowest() -> stratafs::LayerBuilder {
    Layer::builder()
        .file("/a/b", "lower b")
        .attrs(Attrs::new().mode(0o640).modified(Timestamp::new(1_600_000_000, 5)))
        .xattr("user.a", "1")
        .file("/a/c/d", "deep")
        .file("/a/c/e", vec![b'z'; 200_000])
        .dir("/a/d")
        .file("/b/a", "hidden by an opaque directory")
        .file("/b/c", "removed")
        .file("/c", "a file at the top")
        .xattr("trusted.a", "root's")
        .symlink("a/c", "/l")
        .symlink("/a", "/a/l")
        .hard_link("/a/b", "/a/e")
        .file("/e/a", "gone with its directory")
}

fn middle() -> stratafs::LayerBuilder {
    Layer::builder()
        .opaque_dir("/b")
        .attrs(Attrs::new().mode(0o1777))
        .symlink("nowhere", "/b/l")
        .symlink("l2", "/b/d")
        .fifo("/b/e")
        .whiteout("/e")
        .hard_link("/a/c/d", "/d/d")
        .file("/d/setuid", "#!")
        .attrs(Attrs::new().mode(0o6755).uid(ALICE).gid(ALICE))
        .char_device("/d/a", stratafs::Device { major: 0, minor: 0 })
        .socket("/d/b")
}

fn topmost() -> stratafs::LayerBuilder {
    let alices = |mode| Attrs::new().mode(mode).uid(ALICE).gid(ALICE);
    Layer::builder()
        .dir("/u")
        .attrs(alices(0o755))
        .file("/u/a", "alice's")
        .attrs(alices(0o644))
        .dir("/u/d")
        .attrs(alices(0o2775).gid(2000))
        .file("/u/d/c", "shared")
        .attrs(alices(0o664).gid(2000))
        .file("/u/b", "somebody else's")
        .attrs(Attrs::new().mode(0o604))
        .dir("/u/c")
        .attrs(Attrs::new().mode(0o750).gid(2000))
        .file("/u/c/a", "for the group")
        .symlink("l", "/u/l")
        .dir("/a/d")
        .attrs(Attrs::new().mode(0o777))
}

/// Makes what a view shows below the root of this thread.
pub(super) fn flatten(view: &View) -> Result<()> {
    let mut names: HashMap<u64, PathBuf> = HashMap::new();
    let entries: Vec<DirEntry> = view
        .walk("/")
        .expect("because every view has a root")
        .map(|entry| entry.expect("because a view is read as root"))
        .collect();
    for entry in &entries {
        let (path, metadata) = (entry.path(), entry.metadata());
        match names.get(&metadata.ino()) {
            Some(first) => fs::linkat(CWD, first, CWD, &path, AtFlags::empty())?,
            None => make(view, &path, &metadata)?,
        }
        names.entry(metadata.ino()).or_insert(path);
    }
    // A directory's times after everything that is made in it.
    for entry in entries.iter().rev() {
        set_times(&entry.path(), &entry.metadata())?;
    }
    set_times(Path::new("/"), &view.metadata("/").expect("because every view has a root"))
}

fn make(view: &View, path: &Path, metadata: &Metadata) -> Result<()> {
    let mode = Mode::from_raw_mode(0o600);
    let special = |kind| {
        let device = metadata.device().unwrap_or_default();
        fs::mknodat(CWD, path, kind, mode, fs::makedev(device.major, device.minor))
    };
    match metadata.file_type() {
        FileType::Dir => fs::mkdirat(CWD, path, mode)?,
        FileType::Symlink => {
            fs::symlinkat(view.read_link(path).expect("because it was listed"), CWD, path)?;
        }
        FileType::File => {
            let bytes = view.read(path).expect("because it was listed");
            std::fs::write(path, bytes).expect("because root may write");
        }
        FileType::Fifo => special(Kind::Fifo)?,
        FileType::Socket => special(Kind::Socket)?,
        FileType::CharDevice => special(Kind::CharacterDevice)?,
        FileType::BlockDevice => special(Kind::BlockDevice)?,
    }
    set_owner_and_mode(view, path, metadata)
}

fn set_owner_and_mode(view: &View, path: &Path, metadata: &Metadata) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    fs::chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if metadata.is_symlink() {
        return Ok(());
    }
    fs::chmodat(CWD, path, Mode::from_raw_mode(metadata.mode()), AtFlags::empty())?;
    for name in view.xattrs(path).expect("because it was listed") {
        let value = view.xattr(path, name.as_bytes()).expect("because it was listed");
        fs::setxattr(path, &*name, &value, XattrFlags::empty())?;
    }
    Ok(())
}

fn set_times(path: &Path, metadata: &Metadata) -> Result<()> {
    let at = |time: Timestamp| timespec(When::At(time.secs(), time.nanos()));
    let times = fs::Timestamps {
        last_access: at(metadata.accessed()),
        last_modification: at(metadata.modified()),
    };
    fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
}
