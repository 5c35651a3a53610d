//! `host::import`: a real directory becomes a layer, and nothing else does.
#![cfg(all(feature = "host", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says why it is skipped"
)]

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{AtFlags, CWD, Mode, Timespec, Timestamps, XattrFlags};
use stratafs::host::{self, ImportOptions};
use stratafs::{EntryKind, ErrorKind, FileType, Image, Layer, View};
use tempfile::TempDir;

pub(crate) fn tempdir() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn view(layer: Layer) -> View {
    let view = Image::from_layers([layer]).unwrap().view();
    assert_eq!(view.check(), Vec::<String>::new());
    view
}

/// Tells another thread to stop when dropped, so that a test that fails does not wait for it for ever.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether this test runs with all rights; if not, says that it is skipped.
pub(crate) fn is_root(why: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: not root, who is needed {why}");
    }
    root
}

/// Runs `act` on a thread that is somebody without rights.
pub(crate) fn as_nobody<R: Send>(act: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        let nobody = scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                let gid = rustix::process::Gid::from_raw(65_534);
                rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
                let uid = rustix::process::Uid::from_raw(65_534);
                rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
            }
            act()
        });
        nobody.join().unwrap()
    })
}

pub(crate) fn set_mtime(path: &Path, secs: i64, nanos: i64) {
    let time = Timespec { tv_sec: secs, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

pub(crate) fn mkfifo(path: &Path) {
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(CWD, path, fifo, Mode::from_raw_mode(0o640), 0).unwrap();
}

pub(crate) fn mkdev(path: &Path, major: u32, minor: u32) {
    let device = rustix::fs::makedev(major, minor);
    let kind = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(CWD, path, kind, Mode::from_raw_mode(0o600), device).unwrap();
}

fn type_of(host: fs::FileType) -> FileType {
    match () {
        () if host.is_dir() => FileType::Dir,
        () if host.is_symlink() => FileType::Symlink,
        () if host.is_fifo() => FileType::Fifo,
        () if host.is_socket() => FileType::Socket,
        () if host.is_char_device() => FileType::CharDevice,
        () if host.is_block_device() => FileType::BlockDevice,
        () => FileType::File,
    }
}

/// Everything in which an object of the host differs from the imported one.
fn differences(host: &Path, view: &View, path: &Path) -> Vec<String> {
    let (theirs, ours) = match (host.symlink_metadata(), view.symlink_metadata(path)) {
        (Ok(theirs), Ok(ours)) => (theirs, ours),
        (theirs, ours) => return vec![format!("{}: {theirs:?}, {ours:?}", path.display())],
    };
    let mut found = Vec::new();
    let mut compare = |what: &str, theirs: &dyn std::fmt::Debug, ours: &dyn std::fmt::Debug| {
        let (theirs, ours) = (format!("{theirs:?}"), format!("{ours:?}"));
        if theirs != ours {
            found.push(format!("{}: {what} is {theirs} there, {ours} here", path.display()));
        }
    };
    let kind = type_of(theirs.file_type());
    compare("type", &kind, &ours.file_type());
    compare("mode", &(theirs.mode() & 0o7777), &ours.mode());
    compare("owner", &(theirs.uid(), theirs.gid()), &(ours.uid(), ours.gid()));
    let modified = ours.modified();
    compare("mtime", &(theirs.mtime(), theirs.mtime_nsec()), &(modified.secs(), modified.nanos()));
    match kind {
        FileType::File => {
            compare("length", &theirs.len(), &ours.len());
            let same = fs::read(host).unwrap() == view.read(path).unwrap();
            compare("that the bytes are the same", &true, &same);
        }
        FileType::Symlink => {
            compare("target", &fs::read_link(host).unwrap(), &view.read_link(path).unwrap());
        }
        FileType::CharDevice | FileType::BlockDevice => {
            let device = theirs.rdev();
            let device = (rustix::fs::major(device), rustix::fs::minor(device));
            let here = ours.device().map(|device| (device.major, device.minor));
            compare("device", &Some(device), &here);
        }
        _ => {}
    }
    found
}

/// Compares a whole tree with the directory, in both directions.
pub(crate) fn assert_same_tree(host: &Path, view: &View) {
    let mut theirs = vec![PathBuf::from("/")];
    let mut next = 0;
    while let Some(dir) = theirs.get(next).cloned() {
        next += 1;
        let real = host.join(dir.strip_prefix("/").unwrap());
        if real.symlink_metadata().unwrap().is_dir() {
            let names = fs::read_dir(real).unwrap().map(|entry| entry.unwrap().file_name());
            theirs.extend(names.map(|name| dir.join(name)));
        }
    }
    let mut faults: Vec<_> = theirs
        .iter()
        .flat_map(|path| differences(&host.join(path.strip_prefix("/").unwrap()), view, path))
        .collect();
    let ours: Vec<_> = view.walk("/").unwrap().map(|entry| entry.unwrap().path()).collect();
    let theirs: std::collections::HashSet<_> = theirs.into_iter().collect();
    faults.extend(
        ours.iter()
            .filter(|path| !theirs.contains(*path))
            .map(|path| format!("{}: only here", path.display())),
    );
    assert!(faults.is_empty(), "{} differences:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_kind_of_object_is_imported_with_its_attributes() {
    let dir = tempdir();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("d/e")).unwrap();
    fs::set_permissions(at("d"), PermissionsExt::from_mode(0o1755)).unwrap();
    fs::write(at("d/file"), "contents").unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::write(at("setuid"), "x").unwrap();
    fs::set_permissions(at("setuid"), PermissionsExt::from_mode(0o6711)).unwrap();
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe \n")), "no UTF-8").unwrap();
    fs::write(at(&"n".repeat(255)), "long").unwrap();
    symlink("../nowhere/at all", at("d/e/link")).unwrap();
    mkfifo(&at("fifo"));
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    set_mtime(&at("empty"), -1_000_000_000, 123_456_789);
    set_mtime(&at("d/e/link"), 17, 1);
    set_mtime(&at("d/e"), 1 << 33, 999_999_999);
    if is_root("for devices and owners") {
        mkdev(&at("null"), 1, 3);
        let device = rustix::fs::makedev(259, 65_537);
        let kind = rustix::fs::FileType::BlockDevice;
        rustix::fs::mknodat(CWD, at("disk"), kind, Mode::from_raw_mode(0o600), device).unwrap();
        std::os::unix::fs::lchown(at("d/e/link"), Some(7), Some(4_000_000_000)).unwrap();
    }
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o2750)).unwrap();
    set_mtime(dir.path(), 5, 6);

    let view = view(host::import(dir.path()).unwrap());
    assert_same_tree(dir.path(), &view);
    assert_eq!(view.metadata("/").unwrap().mode(), 0o2750, "the directory itself is the root");
}

#[test]
fn hard_links_stay_hard_links_whatever_they_link() {
    let dir = tempdir();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("b")).unwrap();
    fs::write(at("b/one"), "1").unwrap();
    fs::hard_link(at("b/one"), at("a")).unwrap();
    fs::hard_link(at("b/one"), at("b/two")).unwrap();
    mkfifo(&at("fifo"));
    fs::hard_link(at("fifo"), at("fifo2")).unwrap();
    symlink("x", at("link")).unwrap();
    rustix::fs::linkat(CWD, at("link"), CWD, at("link2"), AtFlags::empty()).unwrap();
    // One name is outside: what is imported has a single one.
    let outside = tempdir();
    fs::write(at("half"), "h").unwrap();
    fs::hard_link(at("half"), outside.path().join("half")).unwrap();

    let view = view(host::import(dir.path()).unwrap());
    assert_same_tree(dir.path(), &view);
    let stat = |path: &str| view.symlink_metadata(path).unwrap();
    assert_eq!([stat("/a").ino(), stat("/b/two").ino()], [stat("/b/one").ino(); 2]);
    assert_eq!((stat("/a").nlink(), stat("/fifo2").nlink(), stat("/link").nlink()), (3, 2, 2));
    assert_eq!(stat("/half").nlink(), 1);
}

#[test]
fn holes_stay_holes() {
    let dir = tempdir();
    let sparse = fs::File::create(dir.path().join("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    sparse.write_all_at(b"begin", 5_000).unwrap();
    sparse.write_all_at(b"middle", (1 << 30) - 3).unwrap();
    sparse.write_all_at(b"again", (1 << 30) + 40_000).unwrap();
    sparse.write_all_at(b"end", (1 << 40) - 3).unwrap();
    let hole = fs::File::create(dir.path().join("hole")).unwrap();
    hole.set_len(123_456_789).unwrap();
    let tail = fs::File::create(dir.path().join("tail")).unwrap();
    tail.write_all_at(b"data", 0).unwrap();
    tail.set_len(1 << 20).unwrap();
    if sparse.metadata().unwrap().blocks() > 10_000 {
        println!("skipped: the filesystem of {} has no holes", dir.path().display());
        return;
    }

    let view = view(host::import(dir.path()).unwrap());
    let stat = |path: &str| view.metadata(path).unwrap();
    assert_eq!((stat("/hole").len(), stat("/hole").blocks()), (123_456_789, 0));
    assert_eq!(stat("/sparse").len(), 1 << 40);
    assert!(stat("/sparse").blocks() <= 5 * 128, "one chunk for each piece of data");
    assert!(stat("/tail").blocks() <= 128);
    let file = view.open("/sparse").unwrap();
    for offset in [0, 5_000, (1 << 30) - 3, (1 << 30) + 40_000, (1_u64 << 40) - 100] {
        let (mut ours, mut theirs) = ([1; 100], [2; 100]);
        let read = file.read_at(&mut ours, offset).unwrap();
        assert_eq!(
            read,
            fs::File::open(dir.path().join("sparse"))
                .unwrap()
                .read_at(&mut theirs, offset)
                .unwrap()
        );
        assert_eq!(ours, theirs, "at {offset}");
    }
}

#[test]
fn a_large_file_without_holes_is_imported_whole() {
    let dir = tempdir();
    let bytes: Vec<u8> = (0..3_000_001_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(dir.path().join("large"), &bytes).unwrap();
    let mut last = None;
    let options = ImportOptions::new().progress(|progress| last = Some(progress));
    let layer = options.import(dir.path()).unwrap().layer;
    assert_eq!(view(layer).read("/large").unwrap(), bytes);
    assert_eq!(last.unwrap().entries, 2);
}

#[test]
fn extended_attributes_are_imported_unless_unwanted() {
    let dir = tempdir();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let set = |path: &Path, name: &str, value: &[u8]| {
        rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())
    };
    if let Err(errno) = set(&file, "user.binary", b"\0\xff") {
        println!("skipped: {} has no extended attributes ({errno})", dir.path().display());
        return;
    }
    set(&file, "user.large", &[b'x'; 3_000]).unwrap();
    set(dir.path(), "user.dir", b"").unwrap();
    let layer = host::import(dir.path()).unwrap();
    let imported = view(layer);
    assert_eq!(imported.xattr("/file", "user.binary").unwrap(), &b"\0\xff"[..]);
    assert_eq!(imported.xattr("/file", "user.large").unwrap().len(), 3_000);
    assert_eq!(imported.xattr("/", "user.dir").unwrap(), "");
    if is_root("for attributes of links and devices") {
        symlink("file", dir.path().join("link")).unwrap();
        set(&dir.path().join("link"), "trusted.link", b"l").unwrap();
        mkdev(&dir.path().join("device"), 1, 3);
        set(&dir.path().join("device"), "trusted.device", b"d").unwrap();
        let layer = host::import(dir.path()).unwrap();
        let imported = view(layer.clone());
        assert_eq!(imported.xattr("/device", "trusted.device").unwrap(), "d");
        assert_eq!(imported.xattrs("/file").unwrap().len(), 2, "the link's are not the file's");
        assert_eq!(imported.symlink_xattr("/link", "trusted.link").unwrap(), "l");
        rustix::fs::lremovexattr(dir.path().join("link"), "trusted.link").unwrap();
        assert_ne!(host::import(dir.path()).unwrap().diff_id().unwrap(), layer.diff_id().unwrap());
    }
    let bare = ImportOptions::new().xattrs(false).import(dir.path()).unwrap().layer;
    assert!(view(bare).xattrs("/file").unwrap().is_empty());
}

#[test]
fn a_directory_is_imported_below_a_path_with_its_links() {
    let dir = tempdir();
    fs::create_dir(dir.path().join("bin")).unwrap();
    fs::write(dir.path().join("bin/tool"), "x").unwrap();
    fs::hard_link(dir.path().join("bin/tool"), dir.path().join("link")).unwrap();
    let import = |below: &str| ImportOptions::new().below(below).import(dir.path());
    let below = view(import("opt/./tools/").unwrap().layer);
    assert_eq!(below.metadata("/opt/tools/link").unwrap().nlink(), 2);
    assert_eq!(
        below.metadata("/opt/tools").unwrap().modified(),
        view(host::import(dir.path()).unwrap()).metadata("/").unwrap().modified(),
        "the directory itself came along"
    );
    assert_eq!(below.metadata("/opt").unwrap().modified(), stratafs::Timestamp::EPOCH);
    assert_eq!(
        import("/").unwrap().layer.diff_id().unwrap(),
        host::import(dir.path()).unwrap().diff_id().unwrap()
    );
    let error = import("/a/../../b").unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::InvalidInput, PathBuf::from("/a/../../b"))
    );
}

#[test]
fn importing_twice_gives_one_digest_and_the_owner_can_be_set() {
    let dir = tempdir();
    for number in 0..300 {
        fs::write(dir.path().join(format!("f{number}")), format!("{number}")).unwrap();
    }
    fs::hard_link(dir.path().join("f299"), dir.path().join("a")).unwrap();
    let import = || ImportOptions::new().owner(7, 8).import(dir.path()).unwrap().layer;
    assert_eq!(import().diff_id().unwrap(), import().diff_id().unwrap());
    let view = view(import());
    let owner =
        |path: &str| (view.metadata(path).unwrap().uid(), view.metadata(path).unwrap().gid());
    assert_eq!((owner("/"), owner("/f7")), ((7, 8), (7, 8)));
}

#[test]
fn no_link_is_followed_but_the_one_to_the_directory_itself() {
    let (dir, outside) = (tempdir(), tempdir());
    fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path(), dir.path().join("out")).unwrap();
    symlink("/", dir.path().join("root")).unwrap();
    symlink(".", dir.path().join("loop")).unwrap();
    let layer = host::import(dir.path()).unwrap();
    assert_eq!(layer.len(), 4);
    let to_it = outside.path().join("to it");
    symlink(dir.path(), &to_it).unwrap();
    assert_eq!(host::import(&to_it).unwrap().diff_id().unwrap(), layer.diff_id().unwrap());
}

#[test]
fn what_is_no_directory_is_refused_with_its_path() {
    let dir = tempdir();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = host::import(&file).unwrap_err();
    assert_eq!((error.op(), error.kind()), ("import", ErrorKind::NotADirectory));
    assert_eq!(error.path(), file);
    let missing = dir.path().join("missing");
    assert_eq!(host::import(&missing).unwrap_err().kind(), ErrorKind::NotFound);
}

/// Semantics §4.26, the other way round: while the import runs, directories become links to the outside and back.
#[test]
fn a_directory_that_is_swapped_for_a_link_never_leads_out() {
    let (dir, outside) = (tempdir(), tempdir());
    for sub in ["a", "b", "c"] {
        for path in [dir.path(), outside.path()] {
            fs::create_dir_all(path.join(sub).join("x/y")).unwrap();
        }
        for number in 0..50 {
            fs::write(dir.path().join(format!("{sub}/x/y/{number}")), "inside").unwrap();
            fs::write(outside.path().join(format!("{sub}/x/y/{number}")), "SECRET").unwrap();
        }
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            let (real, link) = (dir.path().join("b"), dir.path().join("b.link"));
            symlink(outside.path().join("b"), &link).unwrap();
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(
                    CWD,
                    &real,
                    CWD,
                    &link,
                    rustix::fs::RenameFlags::EXCHANGE,
                )
                .unwrap();
            }
        });
        let mut seen = [0; 2];
        for _ in 0..300 {
            let imported = ImportOptions::new().collect_unreadable(true).import(dir.path());
            let layer = imported.unwrap().layer;
            let image = view(layer);
            for entry in image.walk("/").unwrap().map(Result::unwrap) {
                if entry.file_type().is_file() {
                    assert_eq!(image.read(entry.path()).unwrap(), "inside", "{entry:?}");
                }
            }
            seen[usize::from(image.symlink_metadata("/b").is_ok_and(|b| b.is_symlink()))] += 1;
        }
        println!("seen as a directory {} times, as a link {} times", seen[0], seen[1]);
    });
}

/// `..` of a directory that somebody moves out while the import is in it leads out.
#[test]
fn a_directory_that_is_moved_out_never_leads_out() {
    let (dir, outside) = (tempdir(), tempdir());
    fs::write(outside.path().join("secret"), "SECRET").unwrap();
    let deep: PathBuf = std::iter::repeat_n("d", 100).collect();
    fs::create_dir_all(dir.path().join("top").join(&deep)).unwrap();
    fs::write(dir.path().join("zz"), "inside").unwrap();
    let mut moved = false;
    let options = ImportOptions::new().progress(|progress| {
        if progress.entries == 60 && !moved {
            // The walk is 58 levels down, and those above the last 32 are closed.
            let from = dir.path().join("top/d/d/d");
            fs::rename(from, outside.path().join("moved")).unwrap();
            moved = true;
        }
    });
    let error = options.collect_unreadable(true).import(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("a directory was moved meanwhile"), "{error}");
}

#[test]
fn what_cannot_be_read_is_an_error_or_a_line_in_a_list() {
    let dir = tempdir();
    let at = |name: &str| dir.path().join(name);
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::create_dir_all(at("closed/below")).unwrap();
    fs::create_dir(at("listed")).unwrap();
    fs::write(at("listed/file"), "x").unwrap();
    fs::write(at("secret"), "x").unwrap();
    fs::hard_link(at("secret"), at("secret too")).unwrap();
    fs::write(at("open"), "x").unwrap();
    for (name, mode) in [("closed", 0o700), ("listed", 0o744), ("secret", 0o600)] {
        fs::set_permissions(at(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root, who is needed to have what others may not read");
        return;
    }
    let error = as_nobody(|| host::import(dir.path())).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::PermissionDenied, at("closed")));

    let imported =
        as_nobody(|| ImportOptions::new().collect_unreadable(true).import(dir.path())).unwrap();
    let paths: Vec<_> = imported.unreadable.iter().map(stratafs::Error::path).collect();
    assert_eq!(paths, [at("closed"), at("listed/file"), at("secret"), at("secret too")]);
    assert!(imported.unreadable.iter().all(|error| error.kind() == ErrorKind::PermissionDenied));
    let view = view(imported.layer);
    assert_eq!(view.metadata("/closed").unwrap().mode(), 0o700);
    assert_eq!(view.read_dir("/").unwrap().count(), 3, "closed, listed and open");
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error_or_a_line_in_a_list() {
    // Files of /proc say that they are empty, and are not: to a reader they grow.
    if !Path::new("/proc/self/attr").exists() {
        println!("skipped: no /proc/self/attr");
        return;
    }
    let import = |collect| {
        let dir = "/proc/self/net/stat";
        ImportOptions::new().collect_unreadable(collect).import(dir)
    };
    let error = import(false).unwrap_err();
    assert!(error.to_string().contains("changed while it was read"), "{error}");
    let imported = import(true).unwrap();
    assert!(!imported.unreadable.is_empty());
    assert!(imported.unreadable.iter().any(|other| other.path() == error.path()));
    assert!(!view(imported.layer).exists(error.path().file_name().unwrap()).unwrap());
}

#[test]
fn a_file_that_grows_meanwhile_is_whole_or_reported_with_its_other_names() {
    let dir = tempdir();
    let file = fs::File::create(dir.path().join("log")).unwrap();
    fs::hard_link(dir.path().join("log"), dir.path().join("log too")).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                io::Write::write_all(&mut &file, &[b'x'; 4096]).unwrap();
                if file.metadata().unwrap().len() > 16 << 20 {
                    file.set_len(0).unwrap();
                    io::Seek::rewind(&mut &file).unwrap();
                }
            }
        });
        for _ in 0..50 {
            let options = ImportOptions::new().collect_unreadable(true);
            let imported = options.import(dir.path()).unwrap();
            let names = view(imported.layer).read_dir("/").unwrap().len();
            assert_eq!(names + imported.unreadable.len(), 2, "{:?}", imported.unreadable);
        }
    });
}

#[test]
fn a_tree_of_5000_levels_is_imported_with_few_open_files() {
    const DEPTH: usize = 5_000;
    /// So often something is left to do on the way back.
    const SIDE: usize = 100;
    const DIRS: usize = DEPTH + DEPTH / SIDE;
    // In memory where there is such a place: what takes time here is to remove the tree.
    let dir = tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempdir());
    let open = |at: &rustix::fd::OwnedFd| {
        let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        rustix::fs::openat(at, "d", flags, Mode::empty()).unwrap()
    };
    let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let mut at = rustix::fs::open(dir.path(), flags, Mode::empty()).unwrap();
    for level in 0..DEPTH {
        rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
        if level % SIDE == 0 {
            rustix::fs::mkdirat(&at, "e", Mode::RWXU).unwrap();
        }
        at = open(&at);
    }
    let mut most = 0;
    let options = ImportOptions::new().progress(|progress| {
        if progress.entries % 100 == 0 {
            most = most.max(fs::read_dir("/proc/self/fd").map_or(0, Iterator::count));
        }
    });
    let layer = options.import(dir.path()).unwrap().layer;
    assert_eq!(layer.len(), 1 + DIRS);
    assert!(most < 500, "{most} files open, those of tests that run at the same time included");
    let image = Image::from_layers([layer]).unwrap();
    assert_eq!(image.view().walk("/").unwrap().count(), DIRS);

    remove_deep(&rustix::fs::open(dir.path(), flags, Mode::empty()).unwrap());
}

/// Takes a tree of `d` and `e` apart from the top down, where paths are short and nothing has to recurse.
pub(crate) fn remove_deep(root: &rustix::fd::OwnedFd) {
    let remove = |name: &str| rustix::fs::unlinkat(root, name, AtFlags::REMOVEDIR);
    let rename = |from: &str, to: &str| rustix::fs::renameat(root, from, root, to);
    while rename("d", "top").is_ok() {
        let _no_e = remove("e");
        let _last = (rename("top/d", "d"), rename("top/e", "e"));
        remove("top").unwrap();
    }
}

/// Real input: what this machine has.
#[test]
fn real_directories_are_imported_entry_by_entry() {
    for dir in ["/etc", "/usr/share/doc", "/usr/lib/x86_64-linux-gnu/perl-base"] {
        if !Path::new(dir).is_dir() {
            println!("skipped: no {dir}");
            continue;
        }
        let imported = ImportOptions::new().collect_unreadable(true).import(dir).unwrap();
        if !imported.unreadable.is_empty() {
            println!("not compared: {dir}, of which this user may not read all");
            continue;
        }
        assert_same_tree(Path::new(dir), &view(imported.layer));
    }
}

#[test]
fn one_file_system_leaves_out_what_is_mounted() {
    let dir = tempdir();
    let mounted = dir.path().join("mounted");
    fs::create_dir(&mounted).unwrap();
    let Some(_mount) = Mount::new("tmpfs", "size=1m", &mounted) else { return };
    fs::write(mounted.join("file"), "x").unwrap();
    assert!(view(host::import(dir.path()).unwrap()).exists("/mounted/file").unwrap());
    let one = ImportOptions::new().one_file_system(true).import(dir.path()).unwrap().layer;
    assert_eq!(view(one).read_dir("/mounted").unwrap().count(), 0);
}

/// A mount of the host, for one test.
pub(crate) struct Mount(PathBuf);

impl Mount {
    pub(crate) fn new(kind: &str, options: &str, target: &Path) -> Option<Self> {
        if !is_root("to mount") {
            return None;
        }
        let mut mount = std::process::Command::new("mount");
        let mount = mount.args(["-t", kind, kind, "-o", options]).arg(target).output();
        match mount {
            Ok(done) if done.status.success() => Some(Self(target.into())),
            failed => {
                println!("skipped: cannot mount {kind}: {failed:?}");
                None
            }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "{} stays mounted",
            self.0.display()
        );
    }
}

/// A kernel overlay mount in a directory of its own.
struct Overlay {
    /// Before `dir`, so that it is dropped first.
    mount: Option<Mount>,
    dir: TempDir,
}

impl Overlay {
    fn new(fill: impl FnOnce(&Path), options: &str) -> Option<Self> {
        let dir = tempdir();
        for name in ["lower", "upper", "work", "merged"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fill(&dir.path().join("lower"));
        let at = |name: &str| dir.path().join(name).display().to_string();
        let (lower, upper, work) = (at("lower"), at("upper"), at("work"));
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work}{options}");
        let mount = Mount::new("overlay", &options, &dir.path().join("merged"))?;
        Some(Self { mount: Some(mount), dir })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn upper(&self) -> stratafs::Result<Layer> {
        let options = ImportOptions::new().overlay_upper(true);
        options.import(self.at("upper")).map(|imported| imported.layer)
    }

    /// The kernel merges the two directories, and so do we.
    fn assert_merged_alike(&self) {
        let lower = host::import(self.at("lower")).unwrap();
        let image = Image::from_layers([lower, self.upper().unwrap()]).unwrap();
        assert_eq!(image.view().check(), Vec::<String>::new());
        assert_same_tree(&self.at("merged"), &image.view());
    }
}

fn fill_lower(lower: &Path) {
    for dir in ["keep/sub", "gone/sub/deep", "again/sub", "replaced", "renamed"] {
        fs::create_dir_all(lower.join(dir)).unwrap();
        fs::write(lower.join(dir).join("file"), dir).unwrap();
    }
    fs::write(lower.join("top"), "top").unwrap();
    symlink("keep", lower.join("link")).unwrap();
}

#[test]
fn an_overlayfs_upper_directory_is_the_layer_that_the_kernel_sees() {
    for options in ["", ",userxattr"] {
        let Some(overlay) = Overlay::new(fill_lower, options) else { return };
        let merged = overlay.at("merged");
        let at = |name: &str| merged.join(name);
        fs::write(at("keep/new"), "new").unwrap();
        fs::write(at("keep/sub/file"), "changed").unwrap();
        fs::set_permissions(at("keep/sub"), PermissionsExt::from_mode(0o711)).unwrap();
        fs::remove_dir_all(at("gone")).unwrap();
        fs::remove_dir_all(at("again")).unwrap();
        fs::create_dir_all(at("again/sub/other")).unwrap();
        fs::write(at("again/file2"), "2").unwrap();
        fs::remove_dir_all(at("replaced")).unwrap();
        fs::write(at("replaced"), "a file now").unwrap();
        fs::remove_file(at("link")).unwrap();
        fs::create_dir(at("link")).unwrap();
        fs::rename(at("top"), at("keep/top")).unwrap();
        fs::rename(at("renamed/file"), at("renamed/file2")).unwrap();
        fs::hard_link(at("keep/new"), at("keep/linked")).unwrap();
        symlink("new", at("keep/symlink")).unwrap();

        overlay.assert_merged_alike();
        let layer = overlay.upper().unwrap();
        let kinds: Vec<_> = layer.entries().collect();
        let gone = kinds.iter().find(|entry| entry.path == Path::new("/gone")).unwrap();
        assert_eq!(gone.kind, EntryKind::Whiteout);
        let again = kinds.iter().find(|entry| entry.path == Path::new("/again")).unwrap();
        assert!(matches!(again.kind, EntryKind::Object { opaque: true, .. }));
        let view = view(layer);
        for entry in view.walk("/").unwrap().map(Result::unwrap) {
            assert_eq!(view.xattrs(entry.path()).unwrap_or_default().len(), 0, "{entry:?}");
        }
    }
}

#[test]
fn without_the_option_the_marks_of_overlayfs_are_ordinary_objects() {
    if !is_root("for devices") {
        return;
    }
    let dir = tempdir();
    mkdev(&dir.path().join("device"), 0, 0);
    let plain = host::import(dir.path()).unwrap();
    assert_eq!(view(plain).symlink_metadata("/device").unwrap().file_type(), FileType::CharDevice);
}

#[test]
fn a_redirected_directory_is_refused_with_its_path() {
    let Some(overlay) = Overlay::new(fill_lower, ",redirect_dir=on") else { return };
    fs::rename(overlay.at("merged/keep"), overlay.at("merged/elsewhere")).unwrap();
    let error = overlay.upper().unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Unsupported, overlay.at("upper/elsewhere"))
    );
    assert!(error.to_string().contains("redirect"), "{error}");
}

#[test]
fn a_file_of_which_only_the_metadata_was_copied_is_refused_with_its_path() {
    let Some(overlay) = Overlay::new(fill_lower, ",metacopy=on") else { return };
    fs::set_permissions(overlay.at("merged/top"), PermissionsExt::from_mode(0o600)).unwrap();
    let error = overlay.upper().unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Unsupported, overlay.at("upper/top")));
    assert!(error.to_string().contains("metacopy"), "{error}");
}

#[test]
fn a_hard_link_of_the_overlay_index_is_refused_with_its_path() {
    let fill = |lower: &Path| {
        fs::write(lower.join("a"), "1").unwrap();
        fs::hard_link(lower.join("a"), lower.join("b")).unwrap();
    };
    let Some(mut overlay) = Overlay::new(fill, ",index=on") else { return };
    fs::write(overlay.at("merged/a"), "2").unwrap();
    overlay.mount = None;
    let error = overlay.upper().unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Unsupported, overlay.at("upper/a")));
}

#[test]
fn whiteouts_that_are_attributes_count_only_in_a_directory_marked_for_them() {
    let dir = tempdir();
    let at = |name: &str| dir.path().join(name);
    let set = |path: &Path, name: &str, value: &[u8]| {
        rustix::fs::setxattr(path, name, value, XattrFlags::empty())
    };
    for name in ["marked", "plain"] {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("gone"), "").unwrap();
        fs::write(at(name).join("full"), "not empty").unwrap();
        for file in ["gone", "full"] {
            if let Err(errno) = set(&at(name).join(file), "user.overlay.whiteout", b"") {
                println!("skipped: no extended attributes here ({errno})");
                return;
            }
        }
    }
    set(&at("marked"), "user.overlay.opaque", b"x").unwrap();
    set(&at("plain"), "user.overlay.overlay.nested", b"1").unwrap();
    let options = ImportOptions::new().overlay_upper(true);
    let upper = options.import(dir.path()).unwrap().layer;
    let files = ["marked/gone", "marked/full", "plain/gone"].map(|path| (path, "lower"));
    let image = Image::from_layers([Layer::from(files), upper]).unwrap().view();
    assert!(!image.exists("/marked/gone").unwrap());
    assert_eq!(image.read("/marked/full").unwrap(), "not empty", "the directory is not opaque");
    assert_eq!(image.read("/plain/gone").unwrap(), "");
    assert_eq!(
        image.xattr("/plain", "user.overlay.nested").unwrap(),
        "1",
        "escaped by a nested mount"
    );
}
