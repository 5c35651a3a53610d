//! `host::export`: a view becomes a real directory, and nothing outside of it changes.
#![cfg(all(feature = "host", unix))]

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use stratafs::host::{
    self, DevicePolicy, ExportOptions, ImportOptions, OwnerPolicy, SetIdPolicy, XattrPolicy,
};
use stratafs::{
    Attrs, Container, Device, Error, ErrorKind, Image, Layer, OpenOptions, Source, Timestamp, View,
};
use tempfile::TempDir;

use super::host::{
    Mount, Stop, as_nobody, assert_same_tree, is_root, mkdev, remove_deep, tempdir, view,
};

/// Everything as it is in the view.
fn keep_all() -> ExportOptions<'static> {
    ExportOptions::new()
        .devices(DevicePolicy::Keep)
        .set_ids(SetIdPolicy::Keep)
        .xattrs(XattrPolicy::Keep)
}

/// Exports into a directory that is made for it, and says what an import of that shows.
fn there_and_back(options: ExportOptions<'_>, view: &View) -> View {
    let dir = tempdir();
    let target = dir.path().join("out");
    let exported = options.export(view, &target).unwrap();
    assert!(exported.differences.is_empty(), "{:?}", exported.differences);
    assert_same_tree(&target, view);
    super::host::view(host::import(&target).unwrap())
}

fn assert_no_difference(there: &View, back: &View) {
    let diff = there.diff(back).unwrap();
    assert!(diff.is_empty(), "differs after the way there and back:\n{diff}");
}

/// A directory in memory where there is such a place, for tests that make and remove much.
fn memory_dir() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempdir())
}

/// A directory that anybody may enter.
fn public_dir() -> TempDir {
    let dir = tempdir();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    dir
}

fn has_xattrs(dir: &Path) -> bool {
    let set = rustix::fs::setxattr(dir, "user.probe", b"", rustix::fs::XattrFlags::empty());
    if let Err(errno) = set {
        println!("skipped: no extended attributes in {} ({errno})", dir.display());
    }
    set.is_ok()
}

/// One of each, and of each attribute that can trip an exporter.
fn everything() -> View {
    let attrs = |mode| Attrs::new().mode(mode).modified(Timestamp::new(7, 8));
    let layer = Layer::builder()
        .dir("/")
        .attrs(attrs(0o2750).modified(Timestamp::new(5, 6)))
        .dir("/d")
        .attrs(attrs(0o1777).modified(Timestamp::new(1 << 33, 999_999_999)))
        .file("/d/file", "contents")
        .attrs(attrs(0o640).uid(7).gid(4_000_000_000))
        .file("/empty", "")
        .attrs(Attrs::new().modified(Timestamp::new(-1_000_000_000, 123_456_789)))
        .file("/closed", "nobody may read this")
        .attrs(attrs(0))
        .dir("/shut")
        .attrs(attrs(0))
        .file("/shut/inside", "x")
        .dir("/read-only")
        .attrs(attrs(0o555))
        .file("/read-only/inside", "x")
        .hard_link("/shut/inside", "/z/link of what is shut in")
        .file("/setuid", "x")
        .attrs(attrs(0o6711).uid(3))
        .file(OsStr::from_bytes(b"/\xff\xfe \n"), "no UTF-8")
        .file(format!("/{}", "n".repeat(255)), "long")
        .symlink("../nowhere/at all", "/d/link")
        .attrs(attrs(0o777).uid(7).gid(8))
        .hard_link("/d/link", "/link too")
        .fifo("/fifo")
        .attrs(attrs(0o622))
        .hard_link("/fifo", "/d/fifo too")
        .socket("/socket")
        .attrs(attrs(0o777))
        .file("/b/one", "1")
        .hard_link("/b/one", "/a")
        .hard_link("/b/one", "/b/two")
        .char_device("/null", Device { major: 1, minor: 3 })
        .attrs(attrs(0o666))
        .char_device("/none", Device { major: 0, minor: 0 })
        .block_device("/disk", Device { major: 259, minor: 65_537 })
        .attrs(attrs(0o600).uid(1).gid(6))
        .build();
    Image::from_layers([layer.unwrap()]).unwrap().view()
}

#[test]
fn every_kind_of_object_comes_back_as_it_was() {
    if !is_root("for devices and owners") {
        return;
    }
    let there = everything();
    assert_no_difference(&there, &there_and_back(keep_all(), &there));
}

#[test]
fn attributes_of_every_kind_of_object_come_back() {
    let dir = tempdir();
    if !has_xattrs(dir.path()) || !is_root("for attributes that are not in `user.`") {
        return;
    }
    let large = vec![b'x'; 3_000];
    let layer = Layer::builder()
        .dir("/")
        .xattr("user.root", "r")
        .dir("/d")
        .xattr("trusted.dir", "d")
        .attrs(Attrs::new().mode(0o500))
        .file("/d/f", "1")
        .xattr("user.binary", &b"\0\xff"[..])
        .xattr("user.large", large)
        .attrs(Attrs::new().mode(0).uid(5))
        .symlink("f", "/d/link")
        .xattr("trusted.link", "l")
        .fifo("/fifo")
        .xattr("trusted.fifo", "f")
        .char_device("/null", Device { major: 1, minor: 3 })
        .xattr("trusted.device", "n")
        .build();
    let there = view(layer.unwrap());
    assert_no_difference(&there, &there_and_back(keep_all(), &there));
}

#[test]
fn holes_stay_holes() {
    let container = Image::scratch().container();
    let sparse = container.create("/sparse").unwrap();
    for (offset, bytes) in [(5_000, "begin"), ((1 << 30) - 3, "middle"), ((1 << 40) - 3, "end")] {
        sparse.write_at(bytes.as_bytes(), offset).unwrap();
    }
    container.create("/hole").unwrap().set_len(123_456_789).unwrap();
    let tail = container.create("/tail").unwrap();
    tail.write_at(b"data", 0).unwrap();
    tail.set_len(1 << 20).unwrap();
    drop((sparse, tail));

    let dir = tempdir();
    let exported = host::export(&container.view(), dir.path()).unwrap();
    println!("{:?}", exported.differences);
    let stat = |name: &str| fs::metadata(dir.path().join(name)).unwrap();
    assert_eq!([stat("sparse").len(), stat("hole").len()], [1 << 40, 123_456_789]);
    assert_eq!(stat("tail").len(), 1 << 20);
    assert!(stat("sparse").blocks() <= 4 * 128 && stat("hole").blocks() <= 8, "holes were filled");
    assert!(stat("tail").blocks() <= 128);
    let (theirs, ours) =
        (fs::File::open(dir.path().join("sparse")).unwrap(), container.open("/sparse").unwrap());
    for offset in [0, 5_000, (1 << 30) - 3, (1_u64 << 40) - 100] {
        let (mut a, mut b) = ([1; 100], [2; 100]);
        theirs.read_exact_at(&mut a, offset).unwrap();
        ours.read_at(&mut b, offset).unwrap();
        assert_eq!(a, b, "at {offset}");
    }
}

/// Bytes that are made when they are asked for, until one offset.
#[derive(Debug)]
struct Made {
    len: u64,
    fails_at: u64,
    largest: AtomicUsize,
}

impl Made {
    fn new(len: u64, fails_at: u64) -> Arc<Self> {
        Arc::new(Self { len, fails_at, largest: AtomicUsize::new(0) })
    }
}

impl Source for Made {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        if offset >= self.fails_at {
            return Err(io::Error::other("the disk is gone"));
        }
        self.largest.fetch_max(buf.len(), Ordering::Relaxed);
        let len = buf.len().min((self.len - offset) as usize).min(100_000);
        for (at, byte) in (offset..).zip(&mut buf[..len]) {
            *byte = (at / 1_000) as u8;
        }
        Ok(len)
    }
}

#[test]
fn contents_from_elsewhere_are_streamed() {
    let source = Made::new(20_000_000, u64::MAX);
    let layer = Layer::builder().source("/large", Arc::clone(&source) as Arc<dyn Source>);
    let dir = tempdir();
    let view = view(layer.build().unwrap());
    let mut last = None;
    let options = ExportOptions::new().progress(|progress| last = Some(progress));
    options.export(&view, dir.path()).unwrap();
    assert_eq!(last.map(|last| last.entries), Some(2), "the root and the file");
    let bytes = fs::read(dir.path().join("large")).unwrap();
    assert_eq!(bytes.len(), 20_000_000);
    assert!((0_u64..).zip(&bytes).all(|(at, byte)| *byte == (at / 1_000) as u8));
    assert!(source.largest.load(Ordering::Relaxed) <= 1 << 20, "no more than a part is in memory");
}

/// Real input: what this machine has.
#[test]
fn real_directories_come_back_as_they_were() {
    for dir in ["/etc", "/usr/share/doc", "/usr/lib/x86_64-linux-gnu/perl-base"] {
        if !Path::new(dir).is_dir() || !is_root("for owners") {
            println!("skipped: {dir}");
            continue;
        }
        let there = view(host::import(dir).unwrap());
        assert_no_difference(&there, &there_and_back(keep_all(), &there));
    }
}

/// A small generator, so that every run does the same.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    fn path(&mut self) -> String {
        let names = ["a", "b", "c", "d.e", "ü", "-"];
        let depth = 1 + self.below(4);
        (0..depth).flat_map(|_| ["/", names[self.below(6) as usize]]).collect()
    }
}

/// Does something to a container, or fails to.
fn act(container: &Container, random: &mut Random) -> Result<(), Error> {
    let (path, other) = (random.path(), random.path());
    let bytes = vec![random.below(256) as u8; random.below(200_000) as usize];
    match random.below(12) {
        0..=3 => container.create_dir_all(&path),
        4 | 5 => container.write(&path, bytes),
        6 => container.symlink(&other, &path),
        7 => container.hard_link(&other, &path),
        8 => container.rename(&other, &path),
        9 => {
            // Not before 1901, where ext4 begins.
            let secs = random.below(1 << 33).cast_signed() - (1 << 31);
            let time = Timestamp::new(secs, random.below(1_000_000_000) as u32);
            let mode = random.below(0o2000) as u32;
            container.set_attrs(&path, Attrs::new().mode(mode).modified(time))
        }
        10 => {
            let file = container.open_with(&path, OpenOptions::new().write(true))?;
            let offset = random.below(1 << 21);
            file.write_at(&bytes, offset).map(drop)
        }
        _ => container.remove_file(&path),
    }
}

#[test]
fn random_trees_come_back_as_they_were() {
    for seed in 1..=60 {
        let mut random = Random(seed * 0x9e37_79b9);
        let container = Image::scratch().container();
        let done = (0..120).filter(|_| act(&container, &mut random).is_ok()).count();
        let there = container.view();
        let back = there_and_back(ExportOptions::new().owner(0, 0), &there);
        let diff = there.diff(&back).unwrap();
        assert!(diff.is_empty(), "seed {seed}, {done} done:\n{diff}");
        if !is_root("to see what may not be read") {
            return;
        }
    }
}

#[test]
fn the_directory_is_made_or_empty() {
    let dir = tempdir();
    let at = |name: &str| dir.path().join(name);
    let view = view(Layer::from([("a/b", "1")]));
    fs::create_dir(at("empty")).unwrap();
    fs::create_dir(at("full")).unwrap();
    fs::write(at("full/other"), "theirs").unwrap();
    fs::write(at("file"), "").unwrap();
    symlink("empty", at("link")).unwrap();
    let export = |name: &str| {
        let error = host::export(&view, at(name)).err()?;
        assert_eq!((error.op(), error.path()), ("export", at(name)));
        Some(error.kind())
    };
    assert_eq!(export("new"), None);
    assert_eq!(export("link"), None, "a link to the directory itself is followed");
    assert_eq!(export("empty"), Some(ErrorKind::DirectoryNotEmpty), "it is not any more");
    assert_eq!(export("full"), Some(ErrorKind::DirectoryNotEmpty));
    assert_eq!(export("file"), Some(ErrorKind::NotADirectory));
    assert_eq!(export("missing/new"), Some(ErrorKind::NotFound));
    assert_eq!(fs::read(at("empty/a/b")).unwrap(), b"1");
    assert_eq!(fs::read_dir(at("full")).unwrap().count(), 1);
}

#[test]
fn replacing_merges_directories_and_makes_all_else_anew() {
    let (dir, outside) = (tempdir(), tempdir());
    let at = |name: &str| dir.path().join(name);
    for name in ["both/sub", "dir then file", "full/of"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    fs::write(at("both/theirs"), "theirs").unwrap();
    fs::write(outside.path().join("victim"), "victim").unwrap();
    fs::hard_link(outside.path().join("victim"), at("both/hard")).unwrap();
    symlink(outside.path().join("victim"), at("both/soft")).unwrap();
    symlink(outside.path(), at("link then dir")).unwrap();
    let view = view(Layer::from([
        ("both/hard", "new"),
        ("both/soft", "new"),
        ("both/sub/ours", "new"),
        ("dir then file", "new"),
        ("link then dir/victim", "new"),
    ]));
    let exported = ExportOptions::new().replace(true).export(&view, dir.path()).unwrap();
    println!("{:?}", exported.differences);
    for name in ["both/hard", "both/soft", "both/sub/ours", "dir then file"] {
        assert_eq!(fs::read(at(name)).unwrap(), b"new", "{name}");
    }
    assert_eq!(fs::read(at("both/theirs")).unwrap(), b"theirs");
    assert!(at("link then dir").symlink_metadata().unwrap().is_dir());
    assert_eq!(fs::read(outside.path().join("victim")).unwrap(), b"victim");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);

    let over_full = super::host::view(Layer::from([("full", "a file")]));
    let error = ExportOptions::new().replace(true).export(&over_full, dir.path()).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::DirectoryNotEmpty, at("full")));
    assert!(at("full/of").is_dir() && at("both/theirs").exists(), "what was there stays");
}

/// Attack 19: what could be used against the host.
fn dangerous() -> View {
    let layer = Layer::builder()
        .char_device("/dev/null", Device { major: 1, minor: 3 })
        .hard_link("/dev/null", "/dev/zero")
        .file("/su", "x")
        .attrs(Attrs::new().mode(0o4755))
        .file("/ping", "x")
        .xattr("security.capability", "\x01")
        .xattr("trusted.x", "y")
        .dir("/shared")
        .attrs(Attrs::new().mode(0o2775));
    view(layer.build().unwrap())
}

#[test]
fn devices_setuid_and_attributes_of_the_kernel_are_refused_before_anything_is_written() {
    let dir = tempdir();
    let target = dir.path().join("out");
    let refused = |options: ExportOptions<'_>, name: &str, rule: &str| {
        let error = options.export(&dangerous(), &target).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::NotPermitted, target.join(name)));
        assert!(error.to_string().contains(rule), "{error}");
        assert!(!target.exists(), "nothing was made");
    };
    let options = ExportOptions::new;
    refused(options(), "dev/null", "a device");
    refused(options().devices(DevicePolicy::Skip), "ping", "security.capability");
    let options = || options().devices(DevicePolicy::Skip).xattrs(XattrPolicy::Strip);
    refused(options(), "su", "setuid");
}

#[test]
fn what_a_policy_leaves_out_is_listed() {
    let dir = tempdir();
    let options = || {
        ExportOptions::new()
            .devices(DevicePolicy::Skip)
            .set_ids(SetIdPolicy::Strip)
            .owners(OwnerPolicy::Own)
    };
    for policy in [XattrPolicy::Strip, XattrPolicy::Drop] {
        let target = dir.path().join(format!("{policy:?}"));
        let exported = options().xattrs(policy).export(&dangerous(), &target).unwrap();
        let at = |name: &str| target.join(name);
        let paths: Vec<_> = exported.differences.iter().map(Error::path).collect();
        let told = ["dev/null", "dev/zero", "ping", "ping", "su"].map(at);
        assert_eq!(paths, told, "{:?}", exported.differences);
        let mode = |name: &str| fs::metadata(at(name)).unwrap().mode() & 0o7777;
        assert_eq!((mode("su"), mode("shared")), (0o755, 0o2775), "of a directory it is kept");
        assert_eq!(fs::read_dir(at("dev")).unwrap().count(), 0);
    }
}

#[test]
fn what_a_policy_keeps_is_made() {
    let dir = tempdir();
    if !has_xattrs(dir.path()) || !is_root("for devices") {
        return;
    }
    let layer = Layer::builder()
        .char_device("/null", Device { major: 1, minor: 3 })
        .file("/su", "x")
        .attrs(Attrs::new().mode(0o6755).uid(1).gid(2))
        .xattr("trusted.x", "y");
    let there = view(layer.build().unwrap());
    assert_no_difference(&there, &there_and_back(keep_all(), &there));
}

#[test]
fn an_owner_is_kept_mapped_or_ones_own() {
    if !is_root("to give files away") {
        return;
    }
    let layer = Layer::builder().file("/f", "").attrs(Attrs::new().uid(3).gid(4));
    let view = view(layer.symlink("f", "/l").attrs(Attrs::new().uid(5).gid(6)).build().unwrap());
    let owners = |options: ExportOptions<'_>| {
        let dir = tempdir();
        let exported = options.export(&view, dir.path()).unwrap();
        assert!(exported.differences.is_empty());
        ["f", "l"].map(|name| {
            let stat = dir.path().join(name).symlink_metadata().unwrap();
            (stat.uid(), stat.gid())
        })
    };
    assert_eq!(owners(ExportOptions::new()), [(3, 4), (5, 6)]);
    assert_eq!(owners(ExportOptions::new().owners(OwnerPolicy::Keep)), [(3, 4), (5, 6)]);
    assert_eq!(owners(ExportOptions::new().owners(OwnerPolicy::Own)), [(0, 0); 2]);
    assert_eq!(owners(ExportOptions::new().owner(7, 8)), [(7, 8); 2]);
}

#[test]
fn an_owner_that_means_nobody_never_becomes_root() {
    let layer = Layer::builder().file("/f", "").attrs(Attrs::new().uid(u32::MAX));
    let view = view(layer.build().unwrap());
    let dir = tempdir();
    let options = ExportOptions::new().owners(OwnerPolicy::Keep);
    let error = options.export(&view, dir.path().join("out")).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::OutOfRange, dir.path().join("out/f")));
}

#[test]
fn an_ordinary_user_gets_all_but_the_owners_which_are_listed_once() {
    let layer = Layer::builder()
        .dir("/")
        .attrs(Attrs::new().mode(0o500))
        .dir("/shut")
        .attrs(Attrs::new().mode(0))
        .dir("/shut/deep")
        .attrs(Attrs::new().mode(0o111).modified(Timestamp::new(3, 4)))
        .file("/shut/deep/file", "1")
        .attrs(Attrs::new().mode(0))
        .hard_link("/shut/deep/file", "/z/again")
        .file("/read-only/file", "2")
        .attrs(Attrs::new().mode(0o400))
        .symlink("x", "/link")
        .fifo("/fifo")
        .socket("/socket");
    let there = view(layer.build().unwrap());
    let dir = public_dir();
    let target = dir.path().join("out");
    let exported = as_nobody(|| host::export(&there, &target)).unwrap();
    assert_eq!(exported.differences.len(), 1, "{:?}", exported.differences);
    assert!(exported.differences[0].to_string().contains("owner"));
    if !rustix::process::geteuid().is_root() {
        println!("not compared: what is shut cannot be read");
        return;
    }
    let back = ImportOptions::new().owner(0, 0).import(&target).unwrap().layer;
    assert_no_difference(&there, &view(back));
    assert_eq!(fs::metadata(target.join("z/again")).unwrap().uid(), 65_534);
}

#[test]
fn an_ordinary_user_takes_away_what_it_could_not_finish() {
    let layer = Layer::builder()
        .dir("/a")
        .attrs(Attrs::new().mode(0))
        .file("/a/file", "1")
        .dir("/b")
        .attrs(Attrs::new().mode(0o555))
        .file("/b/file", "1")
        .source("/z", Made::new(9_000_000, 5_000_000));
    let view = view(layer.build().unwrap());
    let dir = public_dir();
    let error = as_nobody(|| host::export(&view, dir.path().join("out"))).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Io, dir.path().join("out/z")));
    assert!(!dir.path().join("out").exists());
}

#[test]
fn a_time_that_the_filesystem_cannot_hold_is_listed() {
    let attrs = |secs| Attrs::new().modified(Timestamp::new(secs, 0));
    let layer = Layer::builder()
        .dir("/d")
        .attrs(attrs(1 << 50))
        .file("/f", "")
        .attrs(attrs(-(1 << 50)))
        .symlink("x", "/l")
        .attrs(attrs(1 << 50))
        .file("/now", "")
        .attrs(attrs(1 << 31));
    let view = view(layer.build().unwrap());
    let dir = tempdir();
    let exported = ExportOptions::new().owners(OwnerPolicy::Own).export(&view, dir.path()).unwrap();
    for name in ["d", "f", "l", "now"] {
        let there = dir.path().join(name).symlink_metadata().unwrap().mtime();
        let kept = there == view.symlink_metadata(name).unwrap().modified().secs();
        let listed = exported.differences.iter().any(|error| error.path() == dir.path().join(name));
        assert_ne!(kept, listed, "{name}: {there} {:?}", exported.differences);
    }
}

/// Semantics §4.26: while the export runs, directories become links to the outside and back.
#[test]
fn a_directory_that_is_swapped_for_a_link_never_leads_out() {
    let (dir, outside) = (memory_dir(), memory_dir());
    let target = dir.path().join("t");
    let swaps = [("b", "park"), ("c/x", "park too")];
    for sub in ["b/x/y", "c/x/y"] {
        fs::create_dir_all(outside.path().join(sub)).unwrap();
    }
    let paths = ["a", "b", "c"]
        .into_iter()
        .flat_map(|sub| (0..20).map(move |number| format!("/{sub}/x/y/{number}")));
    let layer = paths.fold(Layer::builder(), |layer, path| {
        // The way to the first name of a file leads through what is swapped.
        let linked = format!("/d{path}");
        layer
            .file(&path, "inside")
            .symlink("inside", format!("{path}.link"))
            .hard_link(path, linked)
    });
    let view = view(layer.build().unwrap());
    let picture = || {
        let mut found = Vec::new();
        let mut below = vec![outside.path().to_owned()];
        while let Some(dir) = below.pop() {
            below.extend(fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()));
            let stat = dir.metadata().unwrap();
            found.push((dir, stat.mode(), stat.mtime(), stat.mtime_nsec()));
        }
        found
    };
    let before = picture();
    let link = |swapped: &str, park: &str| {
        drop(fs::remove_dir_all(dir.path().join(park)));
        let _there = symlink(outside.path().join(swapped), dir.path().join(park));
    };
    let stop = AtomicBool::new(false);
    let mut seen = [0; 2];
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for (swapped, park) in swaps {
            let (target, park, stop) = (target.join(swapped), dir.path().join(park), &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let _done = renameat_with(CWD, &target, CWD, &park, RenameFlags::EXCHANGE);
                }
            });
        }
        for round in 0..300 {
            fs::create_dir_all(&target).unwrap();
            swaps.into_iter().for_each(|(swapped, park)| link(swapped, park));
            let options = ExportOptions::new().replace(round % 2 == 1);
            let exported = options.export(&view, &target);
            if let Err(error) = &exported {
                assert!(error.path().starts_with(&target), "{error}");
            }
            seen[usize::from(exported.is_err())] += 1;
            while target.exists() {
                let _swapped_again = fs::remove_dir_all(&target);
            }
        }
    });
    println!("exported {} times, refused {} times", seen[0], seen[1]);
    assert_eq!(picture(), before, "something outside has changed");
}

/// `..` of a directory that somebody moves out while the export is in it leads out.
#[test]
fn a_directory_that_is_moved_out_never_leads_out() {
    let (dir, outside) = (tempdir(), tempdir());
    let deep: PathBuf = std::iter::repeat_n("d", 100).collect();
    let layer = Layer::builder().file(Path::new("top").join(deep).join("file"), "x");
    let view = view(layer.file("top/zz", "after all that").build().unwrap());
    let target = dir.path().join("out");
    let mut moved = false;
    let options = ExportOptions::new().progress(|progress| {
        if progress.entries == 60 && !moved {
            // The walk is 58 levels down, and those above the last 32 are closed.
            fs::rename(target.join("top/d/d/d"), outside.path().join("moved")).unwrap();
            moved = true;
        }
    });
    let error = options.export(&view, &target).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("a directory was moved meanwhile"), "{error}");
    let names: Vec<_> = fs::read_dir(outside.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(!target.exists(), "what is left of it is taken away");
}

#[test]
fn a_tree_of_5000_levels_is_exported_and_taken_away_with_few_open_files() {
    const DEPTH: usize = 5_000;
    let place = memory_dir();
    let layer = |depth: usize, last: bool| {
        let mut path = PathBuf::new();
        let mut layer = Layer::builder();
        for level in 0..depth {
            path.push("d");
            layer = layer.dir(&path);
            if level % 100 == 0 {
                layer = layer.dir(path.with_file_name("e"));
            }
        }
        if last {
            layer = layer.source("z", Made::new(10, 0));
        }
        view(layer.build().unwrap())
    };
    let mut most = 0;
    let options = ExportOptions::new().progress(|progress| {
        if progress.entries % 100 == 0 {
            most = most.max(fs::read_dir("/proc/self/fd").map_or(0, Iterator::count));
        }
    });
    let there = layer(DEPTH, false);
    let exported = options.export(&there, place.path()).unwrap();
    println!("{:?}", exported.differences);
    let back = ImportOptions::new().owner(0, 0).import(place.path()).unwrap().layer;
    assert_eq!(view(back).walk("/").unwrap().count(), there.walk("/").unwrap().count());
    assert!(most < 500, "{most} files open, those of tests that run at the same time included");
    let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    remove_deep(&rustix::fs::open(place.path(), flags, rustix::fs::Mode::empty()).unwrap());

    let target = place.path().join("out");
    assert_eq!(host::export(&layer(1_000, true), &target).unwrap_err().path(), target.join("z"));
    assert!(!target.exists());
}

#[test]
fn a_failing_source_is_an_error_with_the_path_and_leaves_nothing_behind() {
    let layer = || {
        let layer = (0..50).fold(Layer::builder(), |l, n| l.file(format!("/a/{n}"), "x"));
        layer.source("/b/broken", Made::new(9_000_000, 5_000_000))
    };
    for linked in [false, true] {
        let layer = if linked { layer().hard_link("/b/broken", "/c") } else { layer() };
        let view = view(layer.build().unwrap());
        let dir = tempdir();
        let target = dir.path().join("out");
        let error = host::export(&view, &target).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Io, target.join("b/broken")));
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("the disk is gone"), "{cause}");
        assert!(!target.exists(), "what the export made it takes away");

        fs::create_dir(&target).unwrap();
        assert!(host::export(&view, &target).is_err());
        assert!(target.join("a").is_dir(), "what was there before stays, with what was written");
    }
}

#[test]
fn a_full_or_read_only_disk_is_an_error_with_the_path() {
    let dir = tempdir();
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let Some(mount) = Mount::new("tmpfs", "size=256k", &disk) else { return };
    let view = view(Layer::from([("a", vec![1; 100_000]), ("b", vec![2; 1_000_000])]));
    let error = host::export(&view, disk.join("out")).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::StorageFull, disk.join("out/b")));
    assert_eq!(fs::read_dir(&disk).unwrap().count(), 0, "the room is given back");
    drop(mount);
    let Some(_mount) = Mount::new("tmpfs", "ro", &disk) else { return };
    let error = host::export(&view, disk.join("out")).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::ReadOnlyFilesystem, disk.join("out")));
}

#[test]
fn a_place_without_permission_is_an_error_with_the_path() {
    if !is_root("to have what others may not write") {
        return;
    }
    let dir = tempdir();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let view = view(Layer::from([("a", "1")]));
    let target = dir.path().join("out");
    let error = as_nobody(|| host::export(&view, &target)).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::PermissionDenied, target.clone()));
    fs::create_dir(&target).unwrap();
    let error = as_nobody(|| host::export(&view, &target)).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::PermissionDenied, target.join("a")));
}

#[test]
fn names_that_collide_where_case_does_not_count_are_found_before_anything_is_written() {
    let dir = tempdir();
    for (one, other) in [("d/README", "d/readme"), ("d/\u{e9}", "d/e\u{301}")] {
        let view = view(Layer::from([(one, "1"), (other, "2")]));
        let target = dir.path().join("out");
        let error = ExportOptions::new().check_names(true).export(&view, &target).unwrap_err();
        assert_eq!((error.op(), error.kind()), ("export", ErrorKind::AlreadyExists));
        assert!(error.to_string().contains("the same name as"), "{error}");
        assert!(!target.exists());
        host::export(&view, &target).unwrap();
        assert_eq!(fs::read_dir(target.join("d")).unwrap().count(), 2);
        fs::remove_dir_all(&target).unwrap();
    }
    let apart = view(Layer::from([("a/b", "1"), ("b/B", "2"), ("c", "3")]));
    let options = ExportOptions::new().check_names(true);
    options.export(&apart, dir.path().join("out")).unwrap();
}

/// Attack 23, where the kernel has such a filesystem.
#[test]
fn names_that_collide_on_a_folding_filesystem_are_an_error_with_both() {
    let dir = tempdir();
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let Some(_mount) = Mount::new("tmpfs", "casefold,size=1m", &disk) else {
        println!("skipped: this kernel has no tmpfs that folds case");
        return;
    };
    let folds = disk.join("folds");
    fs::create_dir(&folds).unwrap();
    let chattr = std::process::Command::new("chattr").arg("+F").arg(&folds).status();
    if !chattr.is_ok_and(|status| status.success()) {
        println!("skipped: no directory can be made to fold case");
        return;
    }
    let view = view(Layer::from([("README", "1"), ("readme", "2")]));
    for replace in [false, true] {
        let error = ExportOptions::new().replace(replace).export(&view, &folds).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.to_string().contains(r#"the same name as "README""#), "{error}");
        fs::remove_file(folds.join("README")).unwrap();
    }
}

#[test]
fn a_name_that_somebody_else_makes_meanwhile_is_not_written_to() {
    let dir = tempdir();
    let outside = dir.path().join("outside");
    fs::write(&outside, "theirs").unwrap();
    let view = view(Layer::from([("a/1", ""), ("b", "ours")]));
    let target = dir.path().join("out");
    let options = ExportOptions::new().progress(|progress| {
        if progress.entries == 2 {
            symlink(&outside, target.join("b")).unwrap();
        }
    });
    let error = options.export(&view, &target).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::AlreadyExists, target.join("b")));
    assert!(error.to_string().contains("somebody else made it meanwhile"), "{error}");
    assert_eq!(fs::read(&outside).unwrap(), b"theirs");
}

/// A lower filesystem and changes of every kind to it.
fn lower_and_changes() -> (Image, Layer) {
    let files = ["keep/sub", "gone/sub/deep", "again/sub", "replaced", "renamed"];
    let lower =
        files.iter().fold(Layer::builder(), |layer, dir| layer.file(format!("{dir}/file"), *dir));
    let lower = lower
        .dir("keep/sub")
        .attrs(Attrs::new().mode(0o710).modified(Timestamp::new(9, 9)))
        .file("top", "top")
        .symlink("keep", "link")
        .hard_link("top", "keep/top of lower")
        .build();
    let image = Image::from_layers([lower.unwrap()]).unwrap();
    let container = image.container();
    container.write("/keep/new", "new").unwrap();
    container.write("/keep/sub/file", "changed").unwrap();
    container.remove_dir_all("/gone").unwrap();
    container.remove_dir_all("/again").unwrap();
    container.create_dir_all("/again/sub/other").unwrap();
    container.write("/again/file2", "2").unwrap();
    container.remove_dir_all("/replaced").unwrap();
    container.write("/replaced", "a file now").unwrap();
    container.remove_file("/link").unwrap();
    container.create_dir("/link").unwrap();
    container.rename("/renamed/file", "/renamed/file2").unwrap();
    container.hard_link("/keep/new", "/keep/linked").unwrap();
    container.hard_link("/top", "/third name of top").unwrap();
    container.symlink("new", "/keep/symlink").unwrap();
    let changes = container.diff().unwrap().into_layer();
    (image, changes)
}

fn import_upper(dir: &Path) -> Layer {
    ImportOptions::new().overlay_upper(true).import(dir).unwrap().layer
}

#[test]
fn a_layer_comes_back_from_an_upper_directory_entry_by_entry() {
    if !is_root("for owners and attributes in `trusted.`") {
        return;
    }
    let opaque = Layer::builder()
        .dir("/")
        .opaque_dir("/opaque")
        .file("/opaque/file", "1")
        .dir("/d")
        .whiteout("/d/gone");
    let (_, changes) = lower_and_changes();
    for layer in [changes, opaque.build().unwrap()] {
        for user in [false, true] {
            let dir = tempdir();
            if user && !has_xattrs(dir.path()) {
                continue;
            }
            let options = ExportOptions::new().user_xattr(user);
            let exported = options.export_upper(&layer, dir.path().join("upper")).unwrap();
            assert!(exported.differences.is_empty(), "{:?}", exported.differences);
            let back = import_upper(&dir.path().join("upper"));
            let entries = |layer: &Layer| layer.entries().collect::<Vec<_>>();
            assert_eq!(entries(&back), entries(&layer));
            assert_eq!(back.diff_id().unwrap(), layer.diff_id().unwrap());
        }
    }
}

#[test]
fn the_kernel_shows_an_upper_directory_as_the_image_shows_the_layer() {
    let (image, changes) = lower_and_changes();
    let opaque = Layer::builder()
        .opaque_dir("/keep")
        .attrs(Attrs::new().mode(0o751))
        .file("/keep/only", "1")
        .file("/gone/sub/implied parents", "2")
        .whiteout("/again/sub/file")
        .whiteout("/renamed")
        .file("/renamed/made/again", "3")
        .hard_link("/top", "/one more name of lower")
        .xattr("trusted.overlay.opaque", "y")
        .build()
        .unwrap();
    for (layer, user) in [(&changes, false), (&opaque, false), (&changes, true), (&opaque, true)] {
        let dir = tempdir();
        let at = |name: &str| dir.path().join(name);
        for name in ["work", "merged"] {
            fs::create_dir(at(name)).unwrap();
        }
        let lower = host::export(&image.view(), at("lower")).unwrap();
        let options = ExportOptions::new().below(&image.view()).user_xattr(user);
        let upper = options.xattrs(XattrPolicy::Keep).export_upper(layer, at("upper")).unwrap();
        println!("{:?} {:?}", lower.differences, upper.differences);
        let shown = |name: &str| at(name).display().to_string();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}{}",
            shown("lower"),
            shown("upper"),
            shown("work"),
            if user { ",userxattr" } else { "" }
        );
        let Some(_mount) = Mount::new("overlay", &options, &at("merged")) else { return };
        let expected = image.with_layer(layer.clone()).unwrap().view();
        assert_same_tree(&at("merged"), &expected);
    }
}

#[test]
fn what_the_kernel_shows_of_an_opaque_directory_is_only_the_layers() {
    let (image, _) = lower_and_changes();
    let layer = Layer::builder()
        .dir("/")
        .opaque_dir("/keep")
        .attrs(Attrs::new().mode(0o751))
        .xattr("trusted.overlay.redirect", "an attribute of the merged view")
        .file("/keep/only", "1")
        .whiteout("/keep/sub")
        .whiteout("/gone")
        .file("/gone/made/again", "2")
        .whiteout("/top")
        .build()
        .unwrap();
    let dir = tempdir();
    let at = |name: &str| dir.path().join(name);
    for name in ["work", "merged"] {
        fs::create_dir(at(name)).unwrap();
    }
    if !is_root("for attributes in `trusted.`") {
        return;
    }
    host::export(&image.view(), at("lower")).unwrap();
    let options = ExportOptions::new().xattrs(XattrPolicy::Keep);
    options.export_upper(&layer, at("upper")).unwrap();
    let mut escaped = Vec::with_capacity(100);
    let spare = rustix::buffer::spare_capacity(&mut escaped);
    let name = "trusted.overlay.overlay.redirect";
    assert!(rustix::fs::getxattr(at("upper/keep"), name, spare).is_ok(), "as the kernel escapes");
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        at("lower").display(),
        at("upper").display(),
        at("work").display()
    );
    let Some(_mount) = Mount::new("overlay", &options, &at("merged")) else { return };
    let expected = image.with_layer(layer).unwrap().view();
    assert_same_tree(&at("merged"), &expected);
    assert_eq!(fs::read_dir(at("merged/keep")).unwrap().count(), 1);
}

#[test]
fn what_an_upper_directory_cannot_say_alone_is_refused_with_its_path() {
    let dir = tempdir();
    let device = Device { major: 0, minor: 0 };
    let cases = [
        (Layer::from([("etc/hosts", "")]), ""),
        (Layer::builder().dir("/").file("/etc/hosts", "").build().unwrap(), "/etc"),
        (Layer::builder().dir("/").whiteout("/etc/hosts").build().unwrap(), "/etc"),
        (Layer::builder().dir("/").hard_link("/lower", "/l").build().unwrap(), "/l"),
        (Layer::builder().dir("/").char_device("/none", device).build().unwrap(), "/none"),
        (Layer::builder().opaque_dir("/").build().unwrap(), ""),
        (Layer::builder().build().unwrap(), ""),
    ];
    for (layer, path) in cases {
        let target = dir.path().join("upper");
        let error = ExportOptions::new().export_upper(&layer, &target).unwrap_err();
        let path = PathBuf::from(format!("{}{path}", target.display()));
        assert_eq!((error.kind(), error.path()), (ErrorKind::Unsupported, path), "{error}");
        assert!(!target.exists());
    }
    // Whiteouts are no devices to any policy.
    let view = Image::scratch().view().apply(&Layer::from([("gone", "")])).unwrap();
    let layer = Layer::builder().whiteout("/gone").build().unwrap();
    let target = dir.path().join("upper");
    ExportOptions::new().below(&view).export_upper(&layer, &target).unwrap();
    assert!(!view.apply(&import_upper(&target)).unwrap().exists("/gone").unwrap());
}

#[test]
fn a_device_never_becomes_another_one() {
    if !is_root("for devices") {
        return;
    }
    for (major, minor) in [(4096 + 1, 3), (1, (1 << 20) + 3)] {
        let layer = Layer::builder().char_device("/null", Device { major, minor });
        let view = view(layer.build().unwrap());
        let dir = tempdir();
        let options = ExportOptions::new().devices(DevicePolicy::Keep);
        let error = options.export(&view, dir.path()).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::OutOfRange, dir.path().join("null")));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{error}");
    }
}

#[test]
fn a_device_that_is_there_already_is_replaced_and_not_opened() {
    if !is_root("for devices") {
        return;
    }
    let dir = tempdir();
    mkdev(&dir.path().join("null"), 1, 3);
    let view = view(Layer::from([("null", "a file now")]));
    ExportOptions::new().replace(true).export(&view, dir.path()).unwrap();
    assert_eq!(fs::read(dir.path().join("null")).unwrap(), b"a file now");
}
