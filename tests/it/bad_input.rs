//! Arguments that make no sense: an error that says so, never a panic, a hang or memory without bounds.

use std::ffi::OsStr;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use stratafs::{
    Attrs, Container, Device, Digest, Error, ErrorKind, File, Image, Layer, Limits, OpenOptions,
    Result, Source, Timestamp, Volume, XattrMode,
};

use crate::random::Random;

/// Names and paths, good and bad.
fn paths() -> Vec<Vec<u8>> {
    let mut paths: Vec<Vec<u8>> = [
        "",
        "/",
        "//",
        ".",
        "..",
        "/.",
        "/..",
        "a",
        "/a",
        "/dir",
        "/dir/",
        "/dir/.",
        "/dir/..",
        "/dir/a",
        "/link",
        "/link/",
        "/loop",
        "/loop/",
        "/fifo",
        "/fifo/",
        "/../../a",
        "/a/b",
        "/a/",
        "/\0",
        "a\0b",
        "/dir/\0/",
        ".wh.a",
        "/dir/.wh..wh..opq",
        " ",
        "\n",
        "\\",
        "C:\\",
    ]
    .map(|path| path.as_bytes().to_vec())
    .into();
    paths.push(b"\xff\xfe/\x80".to_vec());
    paths.push(vec![b'x'; 255]);
    paths.push(vec![b'x'; 256]);
    paths.push(vec![b'x'; 5000]);
    paths.push("../".repeat(1500).into_bytes());
    paths.push("a/".repeat(2500).into_bytes());
    paths.push(b"dir/../".repeat(700).clone());
    paths
}

/// Numbers at the edges of everything that a number can be.
const NUMBERS: [u64; 14] = [
    0,
    1,
    65_535,
    65_536,
    65_537,
    1 << 31,
    1 << 40,
    1 << 62,
    i64::MAX as u64 - 1,
    i64::MAX as u64,
    i64::MAX as u64 + 1,
    u64::MAX - 65_536,
    u64::MAX - 1,
    u64::MAX,
];

const XATTRS: [&[u8]; 9] =
    [b"", b"user", b"user.", b"user.a", b".", b"\0", b"user.\0", b"user.\xff", &[b'u'; 300]];

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn container() -> Container {
    let layer = Layer::builder()
        .file("/a", "contents")
        .dir("/dir")
        .file("/dir/a", "more")
        .symlink("dir", "/link")
        .symlink("loop", "/loop")
        .fifo("/fifo")
        .build()
        .expect("because the paths are valid");
    Image::from_layers([layer]).expect("because it is one layer").container()
}

/// What every error has to be.
fn check<T>(op: &str, path: &[u8], result: Result<T>) {
    let Err(error) = result else { return };
    assert_eq!(error.op(), op, "{error:?}");
    assert_eq!(error.path().as_os_str().as_bytes(), path, "{error:?}");
    check_kind(&error);
}

fn check_kind(error: &Error) {
    assert_eq!(error.errno(), error.kind().errno());
    assert!((1..=133).contains(&error.errno()), "{error:?}");
    assert!(error.to_string().contains(&error.kind().to_string()), "{error}");
    assert!(!format!("{error:?}").is_empty());
}

/// Every operation that takes one path.
fn ask_path(container: &Container, at: &[u8], mode: u32) {
    let p = path(at);
    check("read", at, container.read(p));
    check("metadata", at, container.metadata(p));
    check("symlink_metadata", at, container.symlink_metadata(p));
    check("exists", at, container.exists(p));
    check("read_link", at, container.read_link(p));
    check("canonicalize", at, container.canonicalize(p));
    check("read_dir", at, container.read_dir(p));
    check("walk", at, container.walk(p));
    check("xattrs", at, container.xattrs(p));
    check("symlink_xattr", at, container.symlink_xattr(p, "user.a"));
    check("symlink_xattrs", at, container.symlink_xattrs(p));
    check("open", at, container.open(p));
    check("open", at, container.view().open(p));
    check("create_dir", at, container.create_dir_with(p, mode));
    check("remove_dir", at, container.remove_dir(p));
    check("write", at, container.write(p, "x"));
    check("append", at, container.append(p, "x"));
    check("remove_file", at, container.remove_file(p));
    check("create_fifo", at, container.create_fifo(p, mode));
    check("create_socket", at, container.create_socket(p, mode));
    let device = Device { major: mode, minor: u32::MAX };
    check("create_char_device", at, container.create_char_device(p, mode, device));
    check("create_block_device", at, container.create_block_device(p, mode, device));
    check("create_dir_all", at, container.create_dir_all(p));
    check("remove_dir_all", at, container.remove_dir_all(p));
}

/// Every operation that takes two.
fn ask_two(container: &Container, from: &[u8], to: &[u8]) {
    let (a, b) = (path(from), path(to));
    check("rename", from, container.rename(a, b));
    check("rename_no_replace", from, container.rename_no_replace(a, b));
    check("exchange", from, container.exchange(a, b));
    check("hard_link", from, container.hard_link(a, b));
    check("symlink", from, container.symlink(a, b));
    if let Err(error) = container.copy(a, b) {
        check_kind(&error);
    }
}

fn ask_attributes(container: &Container, at: &[u8], random: &mut Random) {
    let p = path(at);
    let time = |random: &mut Random| {
        let secs = random.pick_number(&[i64::MIN, -1, 0, i64::MAX]);
        Timestamp::new(secs, random.pick_number(&[0, 999_999_999, u32::MAX]))
    };
    let number = |random: &mut Random| random.pick_number(&NUMBERS) as u32;
    let attrs = Attrs::new()
        .mode(number(random))
        .uid(number(random))
        .gid(number(random))
        .accessed(time(random))
        .modified(time(random));
    check("set_attrs", at, container.set_attrs(p, attrs));
    check("set_symlink_attrs", at, container.set_symlink_attrs(p, attrs));
    for name in XATTRS {
        let value = vec![0; random.pick_number(&[0, 1, 65_536, 65_537])];
        check("set_xattr", at, container.set_xattr(p, name, value, XattrMode::Any));
        check("xattr", at, container.xattr(p, name));
        check("remove_xattr", at, container.remove_xattr(p, name));
    }
}

#[test]
fn no_path_makes_any_operation_panic() {
    for (seed, at) in (1..).zip(paths()) {
        let container = container();
        let mut random = Random::new(seed);
        ask_attributes(&container, &at, &mut random);
        ask_path(&container, &at, random.next() as u32);
        assert_eq!(container.check(), Vec::<String>::new(), "{}", at.escape_ascii());
        container.view().diff(&container.view()).unwrap();
        container.diff().unwrap();
    }
}

#[test]
fn no_two_paths_make_any_operation_panic() {
    let paths = paths();
    for from in &paths {
        let container = container();
        for to in &paths {
            ask_two(&container, from, to);
        }
        assert_eq!(container.check(), Vec::<String>::new(), "{}", from.escape_ascii());
    }
}

#[test]
fn no_flags_make_open_panic() {
    for bits in 0..512_u32 {
        let is = |bit: u32| bits & (1 << bit) != 0;
        let mut options = OpenOptions::new();
        options.read(is(0)).write(is(1)).append(is(2)).truncate(is(3)).create(is(4));
        options.create_new(is(5)).directory(is(6)).no_follow(is(7)).temporary(is(8)).mode(!0);
        let container = container();
        for at in paths() {
            check("open", &at, container.open_with(path(&at), &options));
        }
    }
}

/// Every operation that takes a handle and numbers.
fn ask_file(file: &File, to: &File, at: u64, len: u64) {
    let p = b"/file";
    check("set_len", p, file.set_len(at));
    check("write_at", p, file.write_at(b"x", at));
    check("read_at", p, file.read_at(&mut [0; 3], at));
    check("read_bytes", p, file.read_bytes(at, len));
    check("allocate", p, file.allocate(at, len));
    check("punch_hole", p, file.punch_hole(at, len));
    check("next_data", p, file.next_data(at));
    check("next_hole", p, file.next_hole(at));
    check("copy_range", p, file.copy_range(at, to, len, len));
    check("copy_range", p, file.copy_range(at, file, len, len));
    for seek in
        [SeekFrom::Start(at), SeekFrom::Current(at.cast_signed()), SeekFrom::End(len.cast_signed())]
    {
        drop((&*file).seek(seek));
    }
    drop((&*file).read(&mut [0; 3]));
}

#[test]
fn no_offsets_and_lengths_make_a_file_panic_or_hang() {
    for at in NUMBERS {
        for len in NUMBERS {
            let container = Image::scratch().container();
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true);
            let file = container.open_with("/file", &options).unwrap();
            let to = container.open_with("/to", &options).unwrap();
            ask_file(&file, &to, at, len);
            assert_eq!(container.check(), Vec::<String>::new(), "at {at}, {len}");
            // The same file as part of a layer, and what changed since.
            let committed = container.commit().unwrap().container();
            let file = committed.open_with("/file", &options).unwrap();
            ask_file(&file, &to, len, at);
            committed.diff().unwrap();
            assert_eq!(committed.check(), Vec::<String>::new(), "at {at}, {len}");
        }
    }
}

#[test]
fn reading_a_huge_sparse_file_whole_is_refused_and_in_parts_works() {
    let container = Image::scratch().container();
    let file = {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        container.open_with("/sparse", &options).unwrap()
    };
    file.set_len(1 << 62).unwrap();
    file.write_at(b"end", (1 << 62) - 3).unwrap();
    let refused = [
        container.read("/sparse").unwrap_err(),
        container.view().read("/sparse").unwrap_err(),
        file.read_bytes(0, u64::MAX).unwrap_err(),
        file.copy_range(0, &container.create("/to").unwrap(), 0, u64::MAX).unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::FileTooLarge, "{error:?}");
        let rule = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(rule.contains("read it in parts"), "the error says what to do instead: {rule:?}");
    }
    assert_eq!(file.read_bytes((1 << 62) - 4, 9).unwrap(), "\0end");
    assert_eq!(container.metadata("/sparse").unwrap().len(), 1 << 62);
    assert_eq!(container.copy("/sparse", "/copy").unwrap(), 1 << 62, "a copy shares what is there");
}

#[test]
fn a_huge_sparse_file_is_compared_and_punched_at_once() {
    let image = {
        let container = Image::scratch().container();
        container.create("/sparse").unwrap().set_len(i64::MAX as u64).unwrap();
        container.commit().unwrap()
    };
    let container = image.container();
    let file = container.open_with("/sparse", OpenOptions::new().write(true)).unwrap();
    file.write_at(b"x", 1 << 40).unwrap();
    assert_eq!(container.diff().unwrap().to_string(), "C /\nC /sparse\n");
    file.punch_hole(0, u64::MAX).unwrap();
    assert!(container.usage().bytes <= 64 * 1024, "holes cost nothing");
    file.set_len(0).unwrap();
    file.set_len(i64::MAX as u64).unwrap();
    assert_eq!(container.check(), Vec::<String>::new());
}

/// Claims a length, and gives nothing.
#[derive(Debug)]
struct Liar(u64);

impl Source for Liar {
    fn len(&self) -> u64 {
        self.0
    }

    fn read_at(&self, _offset: u64, _buf: &mut [u8]) -> std::io::Result<usize> {
        Ok(0)
    }
}

#[test]
fn a_source_that_lies_about_its_length_is_an_error_and_takes_no_memory() {
    for len in [1, 1 << 30, 1 << 40, 1 << 62, u64::MAX] {
        let layer = Layer::builder().source("/liar", Arc::new(Liar(len))).build().unwrap();
        let container = Image::from_layers([layer]).unwrap().container();
        let error = container.read("/liar").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::FileTooLarge), "{error:?}");
        check_kind(&error);
        assert_eq!(container.check(), Vec::<String>::new());
    }
}

/// A layer of random calls: any may be wrong.
fn random_layer(random: &mut Random, paths: &[Vec<u8>]) -> Result<Layer> {
    let mut builder = Layer::builder();
    for _ in 0..random.below(8) {
        let pick = |random: &mut Random| paths[random.below(paths.len() as u64) as usize].clone();
        let (a, b) = (pick(random), pick(random));
        let (a, b) = (path(&a).to_path_buf(), path(&b).to_path_buf());
        let device = Device { major: random.next() as u32, minor: random.next() as u32 };
        builder = match random.below(11) {
            0 => builder.file(&a, "x"),
            1 => builder.dir(&a),
            2 => builder.opaque_dir(&a),
            3 => builder.symlink(&b, &a),
            4 => builder.hard_link(&b, &a),
            5 => builder.whiteout(&a),
            6 => builder.fifo(&a),
            7 => builder.char_device(&a, device),
            8 => builder.xattr(random.pick(&XATTRS), "value"),
            9 => builder.attrs(
                Attrs::new().mode(!0).uid(u32::MAX).modified(Timestamp::new(i64::MIN, u32::MAX)),
            ),
            _ => builder.source(&a, Arc::new(Liar(random.below(3)))),
        };
    }
    builder.build()
}

#[test]
fn no_layers_make_an_image_panic() {
    let paths: Vec<Vec<u8>> = paths().into_iter().filter(|path| path.len() < 1000).collect();
    for seed in 0..3000 {
        let mut random = Random::new(seed);
        let layers: Vec<Result<Layer>> =
            (0..3).map(|_| random_layer(&mut random, &paths)).collect();
        let asked = catch_unwind(AssertUnwindSafe(|| ask_layers(layers)));
        assert!(asked.is_ok(), "seed {seed}");
    }
}

fn ask_layers(layers: Vec<Result<Layer>>) {
    let mut image = Image::scratch();
    for layer in layers {
        let layer = match layer {
            Ok(layer) => layer,
            Err(error) => {
                check_kind(&error);
                continue;
            }
        };
        drop(layer.diff_id());
        match image.with_layer(layer.clone()) {
            Ok(next) => image = next,
            Err(error) => check_kind(&error),
        }
        for below in image.layers() {
            drop(below.squash(&layer));
        }
    }
    assert_eq!(image.view().check(), Vec::<String>::new());
    drop(image.squash());
    drop(image.chain_id());
}

#[test]
fn no_mount_point_makes_a_builder_panic() {
    let (image, volume) = (container().commit().unwrap(), Volume::memory());
    for at in paths() {
        let built = image.build_container().volume(path(&at), &volume).build();
        match built {
            Ok(container) => ask_path(&container, &at, 0o644),
            Err(error) => check_kind(&error),
        }
    }
}

#[test]
fn limits_of_nothing_refuse_everything_and_break_nothing() {
    let none = Limits { bytes: Some(0), inodes: Some(0), file_size: Some(0) };
    let image = container().commit().unwrap();
    for at in paths() {
        let container = image.build_container().limits(none).build().unwrap();
        ask_path(&container, &at, 0o644);
        assert_eq!((container.usage().bytes, container.usage().inodes), (0, 0));
        assert_eq!(container.check(), Vec::<String>::new());
    }
}

#[test]
fn no_text_makes_a_digest_panic() {
    for at in paths() {
        drop(String::from_utf8_lossy(&at).parse::<Digest>());
    }
    assert!(format!("sha256:{}", "é".repeat(32)).parse::<Digest>().is_err());
}
