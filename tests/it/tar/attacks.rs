//! Hostile archives. Each attack runs in a process of its own that may not take more than so much memory and time.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use stratafs::{Digest, ErrorKind, Image, Layer, tar};

use super::hand::{archive, base_256, header};
use super::{layer, refused, stack, view};
use crate::union::paths;

/// A gibibyte of address space, most of which no attack touches.
const MEMORY: u64 = 1 << 30;
const TIME: Duration = Duration::from_secs(60);

/// Runs an attack in a child that is this program again, and fails if the child does, or takes too much.
fn caged(name: &str, attack: impl FnOnce()) {
    const INSIDE: &str = "STRATAFS_INSIDE_THE_CAGE";
    if std::env::var_os(INSIDE).is_some() {
        let limit = Some(MEMORY);
        setrlimit(Resource::As, Rlimit { current: limit, maximum: limit }).unwrap();
        return attack();
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([&format!("tar::attacks::{name}"), "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .env("MALLOC_ARENA_MAX", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let text = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > TIME {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let text = text.join().unwrap();
    assert!(status.success(), "{name}: {status} after {:?}\n{text}", began.elapsed());
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// A zstd frame of blocks as they are.
pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut frame = b"\x28\xb5\x2f\xfd\x00\x38".to_vec();
    for (index, block) in bytes.chunks(1000).enumerate() {
        let is_last = (index + 1) * 1000 >= bytes.len();
        let head = (block.len() as u32) << 3 | u32::from(is_last);
        frame.extend_from_slice(&head.to_le_bytes()[..3]);
        frame.extend_from_slice(block);
    }
    frame
}

#[test]
fn the_cage_holds() {
    caged("the_cage_holds", || {
        let mut memory = Vec::<u8>::new();
        assert!(memory.try_reserve(MEMORY as usize).is_err(), "there is no limit");
    });
}

#[test]
fn attack_01_names_that_lead_out_of_the_root() {
    caged("attack_01_names_that_lead_out_of_the_root", || {
        for name in ["..", "../", "../a", "/../a", "/..", "a/../../b", "./../a", "a/b/../../../c"] {
            for flag in b'0'..=b'6' {
                let error = refused(archive().header(&header(flag, name).link("x")).end());
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
                assert_eq!(error.path().to_str(), Some(name));
            }
        }
        for name in ["../.wh.a", "/../.wh..wh..opq", "a/../../.wh.b"] {
            assert_eq!(refused(archive().file(name, "").end()).kind(), ErrorKind::InvalidInput);
        }
        let pax = archive().pax([("path", "../a")]).file("innocent", "1").end();
        assert_eq!(refused(pax).path().to_str(), Some("../a"));
        let long = archive().long(b'L', "/../../a").file("innocent", "1").end();
        assert_eq!(refused(long).kind(), ErrorKind::InvalidInput);
        let prefix = archive().file("a", "1").header(&header(b'0', "b").prefix("../..")).end();
        assert_eq!(refused(prefix).path().to_str(), Some("../../b"));
    });
}

#[test]
fn attack_02_symbolic_links_and_then_something_through_them() {
    caged("attack_02_symbolic_links_and_then_something_through_them", || {
        let links = || {
            archive()
                .dir("safe")
                .file("safe/f", "1")
                .symlink("out", "/../../etc")
                .symlink("on", "out")
        };
        for through in ["out/passwd", "on/passwd", "on/../out/passwd"] {
            for bytes in [links().file(through, "2"), links().hard_link(through, "safe/f")] {
                assert_eq!(refused(bytes.end()).kind(), ErrorKind::NotADirectory, "{through}");
            }
        }
        // A whiteout through them acts on nothing.
        let below = archive().file("etc/passwd", "kept").end();
        let upper = links().file("out/.wh.passwd", "").file("on/.wh.passwd", "").end();
        assert_eq!(stack([below.clone(), upper]).read("/etc/passwd").unwrap(), "kept");
        // In a layer below they are followed, and stay inside.
        let view = stack([below, links().end(), archive().file("on/passwd", "changed").end()]);
        assert_eq!(view.read("/etc/passwd").unwrap(), "changed");
    });
}

#[test]
fn attack_03_hard_links_to_the_outside_or_to_a_sibling_with_the_same_beginning() {
    caged("attack_03_hard_links_to_the_outside_or_to_a_sibling_with_the_same_beginning", || {
        for target in ["../f", "/../f", "../root-of-another/f", "a/../../f", ".."] {
            let error = refused(archive().file("f", "1").hard_link("l", target).end());
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{target}");
        }
        // Names are whole: `dir` is not the beginning of `dir-2`.
        let bytes = archive().file("dir-2/f", "1").hard_link("l", "dir/f").end();
        let base = Image::from_layers([Layer::from([("dir/f", "right")])]).unwrap();
        assert_eq!(base.with_layer(layer(bytes)).unwrap().view().read("/l").unwrap(), "right");
    });
}

#[test]
fn attack_04_a_symbolic_link_and_then_a_directory_of_that_name() {
    caged("attack_04_a_symbolic_link_and_then_a_directory_of_that_name", || {
        let open = header(b'5', "l").mode(0o777);
        let target = || archive().header(&header(b'5', "target").mode(0o700));
        let one = view(target().symlink("l", "target").header(&open).end());
        let two = stack([target().symlink("l", "target").end(), archive().header(&open).end()]);
        for view in [one, two] {
            assert_eq!(view.metadata("/target").unwrap().mode(), 0o700);
            assert_eq!(view.symlink_metadata("/l").unwrap().mode(), 0o777);
            assert!(view.symlink_metadata("/l").unwrap().is_dir());
        }
    });
}

#[test]
fn attack_05_the_root_or_no_name_as_something_else_than_a_directory() {
    caged("attack_05_the_root_or_no_name_as_something_else_than_a_directory", || {
        for name in [".", "", "./", "/", "a/.."] {
            for flag in [b'0', b'1', b'2', b'3', b'4', b'6', 0, b'S'] {
                if flag == 0 && name.ends_with('/') {
                    continue; // That is a directory.
                }
                let entry = header(flag, name).gnu().link("target");
                assert_eq!(refused(archive().header(&entry).end()).kind(), ErrorKind::InvalidInput);
            }
        }
        assert_eq!(refused(archive().dir("").end()).kind(), ErrorKind::InvalidInput);
        assert_eq!(refused(archive().symlink("s", "").end()).kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn attack_06_whiteouts_of_dots_and_through_a_symbolic_link() {
    caged("attack_06_whiteouts_of_dots_and_through_a_symbolic_link", || {
        for name in [".wh.", ".wh..", ".wh...", "a/.wh...", ".wh.../", "a/b/.wh.../.."] {
            let bytes = archive().file(name, "").end();
            // Its last name is `b` there, and nothing is removed.
            if name.ends_with("/..") {
                assert_eq!(paths(&view(bytes), "/"), ["/a", "/a/b"]);
            } else {
                assert_eq!(refused(bytes).kind(), ErrorKind::InvalidInput, "{name}");
            }
        }
        let lower =
            archive().file("etc/passwd", "1").symlink("l", "/../etc").symlink("loop", "loop").end();
        let upper = archive().file("l/.wh.passwd", "").file("loop/.wh.x", "").end();
        assert_eq!(paths(&stack([lower, upper]), "/"), ["/etc", "/l", "/loop"]);
    });
}

#[test]
fn attack_08_a_layer_that_fails_leaves_no_trace() {
    caged("attack_08_a_layer_that_fails_leaves_no_trace", || {
        let base = Image::from_layers([Layer::from([("f", "1")])]).unwrap();
        let before = paths(&base.view(), "/");
        let bad = archive().file(".wh.f", "").file("new", "2").hard_link("l", "missing").end();
        base.with_layer(layer(bad)).unwrap_err();
        assert_eq!(paths(&base.view(), "/"), before);
        assert_eq!(base.view().read("/f").unwrap(), "1");
    });
}

#[test]
fn attack_09_what_is_hashed_is_what_is_parsed() {
    /// Another stream each time that it is read from the beginning, of which there is one.
    struct Once<'a>(&'a [u8], u64);
    impl Read for Once<'_> {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            let read = self.0.read(buf)?;
            self.1 += read as u64;
            Ok(read)
        }
    }
    caged("attack_09_what_is_hashed_is_what_is_parsed", || {
        let bytes = archive().file("f", vec![7; 2 << 20]).end();
        for stream in [bytes.clone(), gzip(&bytes), zstd(&bytes)] {
            let mut once = Once(&stream, 0);
            let read = tar::ReadOptions::new().read(&mut once).unwrap();
            assert_eq!(once.1, stream.len() as u64, "each byte was read once");
            assert_eq!(read.digest, Digest::of(&stream));
            assert_eq!(read.diff_id, Digest::of(&bytes));
        }
    });
}

#[test]
fn attack_10_sizes_that_do_not_agree() {
    caged("attack_10_sizes_that_do_not_agree", || {
        let inner = archive().file("smuggled", "evil").bytes();
        // PAX against ustar: PAX counts, so what looks like headers is contents.
        let both =
            archive().pax([("size", inner.len().to_string())]).header(&header(b'0', "f").size(0));
        assert_eq!(paths(&view(both.raw(&inner).end()), "/"), ["/f"]);
        // PAX before GNU's long name: its size is not that of the name.
        let long = archive()
            .pax([("size", "1024")])
            .long(b'L', "named")
            .header(&header(b'0', "f").size(4));
        let read = view(long.raw(&inner).end());
        assert_eq!(
            (paths(&read, "/"), read.metadata("/named").unwrap().len()),
            (vec!["/named".to_owned()], 1024)
        );
        // On what has no data it counts for nothing.
        for flag in b'1'..=b'6' {
            let sized = archive()
                .file("f", "1")
                .pax([("size", "1024")])
                .header(&header(flag, "d").link("f").size(1024));
            let shown = paths(&view(sized.raw(&inner).end()), "/");
            assert_eq!(shown, ["/d", "/f", "/smuggled"], "type {}", char::from(flag));
        }
        // In a global header, for nothing at all.
        let global = archive().entry(header(b'g', "g"), super::hand::record("size", "1024"));
        assert_eq!(paths(&view(global.file("f", "").raw(&inner).end()), "/"), ["/f", "/smuggled"]);
    });
}

#[test]
fn attack_11_headers_without_end() {
    caged("attack_11_headers_without_end", || {
        // An extended header of 4 GiB and more.
        for size in [4 << 30, (1 << 33) - 1] {
            for flag in [b'x', b'g', b'L', b'K'] {
                let error = refused(
                    archive().header(&header(flag, "x").size(size)).data([b'1'; 4096]).end(),
                );
                assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{error}");
            }
        }
        // A million headers in a row, of each kind.
        let many = |flag| header(flag, "x").block().repeat(1_000_000);
        let stream = many(b'g');
        assert_eq!(layer(stream).len(), 0);
        for flag in [b'x', b'L', b'K'] {
            assert_eq!(refused(many(flag)).kind(), ErrorKind::InvalidInput);
        }
        // Many small records in the largest header, each once more for the same key.
        let records = super::hand::record("path", "a").repeat(80_000);
        let bytes = archive().entry(header(b'x', "x"), records).file("f", "1").end();
        assert_eq!(paths(&view(bytes), "/"), ["/a"]);
    });
}

#[test]
fn attack_11_ten_million_sparse_regions() {
    caged("attack_11_ten_million_sparse_regions", || {
        let ten = [
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.realsize", "99999999"),
        ];
        let map = |count: &str| {
            let text = [count, "\n", &"0\n0\n".repeat(300_000)].concat();
            archive().pax(ten).entry(header(b'0', "f"), text).end()
        };
        for count in ["10000000", "18446744073709551615"] {
            assert_eq!(refused(map(count)).kind(), ErrorKind::QuotaExceeded);
        }
        assert_eq!(refused(map("99999999999999999999999")).kind(), ErrorKind::InvalidInput);
        let old = header(b'S', "f").gnu().field(483, "00077777777\0").field(482, [1]);
        let mut more = [0; 512];
        for piece in more[..504].chunks_mut(24) {
            piece[..12].copy_from_slice(b"00000000000\0");
            piece[12..].copy_from_slice(b"00000000000\0");
        }
        more[504] = 1;
        let bytes = archive().header(&old).raw(more.repeat(480_000)).end();
        assert_eq!(refused(bytes).kind(), ErrorKind::QuotaExceeded);
        // Few bytes, each of which takes a chunk.
        let pieces: Vec<_> =
            (1..=60_000_u64).map(|chunk| format!("{},1", chunk * 65_536 - 1)).collect();
        let records = [("GNU.sparse.size", "9999999999"), ("GNU.sparse.map", &pieces.join(","))];
        let bytes = archive().pax(records).file("f", "x".repeat(60_000)).end();
        let options = tar::ReadOptions::new().max_header_bytes(2 << 20).max_sparse_bytes(64 << 20);
        let error = options.read(&bytes[..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{error}");
    });
}

#[test]
fn attack_12_gzip_bombs() {
    caged("attack_12_gzip_bombs", || {
        let zeros = vec![0; 64 << 20];
        let bomb = gzip(&zeros).repeat(40);
        let error = tar::read_layer(&bomb[..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{error}");
        assert!(error.to_string().contains("max_ratio"), "{error}");
        let file = gzip(&archive().header(&header(b'0', "f").size(1 << 32)).bytes());
        let error =
            tar::ReadOptions::new().max_file_bytes(1 << 20).read(&[file, bomb].concat()[..]);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::FileTooLarge);
        // A million members of nothing, and a name that does not end.
        let member = gzip(b"");
        assert_eq!(tar::read_layer(&member.repeat(1_000_000)[..]).unwrap().len(), 0);
        let endless = [&b"\x1f\x8b\x08\x08\0\0\0\0\0\x03"[..], &[b'a'; 1 << 20]].concat();
        assert_eq!(tar::read_layer(&endless[..]).unwrap_err().op(), "read layer");
    });
}

#[test]
fn attack_12_zstd_bombs_and_a_window_of_2_gib() {
    caged("attack_12_zstd_bombs_and_a_window_of_2_gib", || {
        // Blocks of one byte, 128 KiB times.
        let rle = |last: u32| {
            [&((128_u32 << 10) << 3 | 1 << 1 | last).to_le_bytes()[..3], b"\0"].concat()
        };
        let frame = [&b"\x28\xb5\x2f\xfd\x00\x38"[..], &rle(0).repeat(1 << 17), &rle(1)].concat();
        let error = tar::read_layer(&frame[..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{error}");
        for window in [0xa8, 0xb0, 0xff] {
            let frame = [&b"\x28\xb5\x2f\xfd\x00"[..], &[window], &rle(1)].concat();
            let error = tar::read_layer(&frame[..]).unwrap_err();
            assert!(error.to_string().contains("invalid argument"), "{error}");
        }
        let single = [&b"\x28\xb5\x2f\xfd\xe0"[..], &[0xff; 8], &rle(1)].concat();
        assert_eq!(tar::read_layer(&single[..]).unwrap_err().op(), "read layer");
        let skip = b"\x50\x2a\x4d\x18\0\0\0\0".repeat(1_000_000);
        assert_eq!(tar::read_layer(&skip[..]).unwrap().len(), 0);
        let endless = b"\x50\x2a\x4d\x18\xff\xff\xff\xffabc";
        assert_eq!(tar::read_layer(&endless[..]).unwrap_err().kind(), ErrorKind::Io);
    });
}

#[test]
fn attack_12_more_entries_or_longer_paths_than_there_may_be() {
    caged("attack_12_more_entries_or_longer_paths_than_there_may_be", || {
        let many = header(b'6', "p").block().repeat(100_001);
        let error = tar::ReadOptions::new().max_entries(100_000).read(&many[..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
        let deep = ["d"; 5000].join("/");
        let error = refused(archive().pax([("path", &deep)]).file("f", "").end());
        assert_eq!(error.kind(), ErrorKind::NameTooLong);
        let long = "n".repeat(1 << 19);
        let error = refused(archive().pax([("path", &long)]).file("f", "").end());
        assert_eq!(error.kind(), ErrorKind::NameTooLong);
        let error = refused(archive().pax([("linkpath", &long)]).symlink("s", "").end());
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn attack_13_a_size_of_2_to_the_63_less_1_takes_no_memory() {
    caged("attack_13_a_size_of_2_to_the_63_less_1_takes_no_memory", || {
        let huge = header(b'0', "f").field(124, base_256::<12>(i128::from(i64::MAX)));
        let bytes = archive().header(&huge).data([1; 1024]).bytes();
        assert_eq!(refused(bytes.clone()).kind(), ErrorKind::FileTooLarge);
        let error = tar::ReadOptions::new().max_file_bytes(u64::MAX).read(&bytes[..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("ends in the middle"), "{error}");
        let pax = archive().pax([("size", "9223372036854775807")]).file("f", [1; 1024]).bytes();
        let error = tar::ReadOptions::new().max_file_bytes(u64::MAX).read(&pax[..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn attack_16_trailing_bytes_bad_checksums_and_truncations() {
    caged("attack_16_trailing_bytes_bad_checksums_and_truncations", || {
        let bytes = archive().pax([("mtime", "1")]).file("f", [7; 600]).dir("d").end();
        let read = |bytes: &[u8]| tar::ReadOptions::new().read(bytes);
        let diff_id = read(&bytes).unwrap().diff_id;
        // What is added, anywhere, is another archive.
        assert_ne!(read(&[&bytes[..], b"x"].concat()).unwrap().diff_id, diff_id);
        let two = [gzip(&bytes), gzip(b"x")].concat();
        assert_ne!(read(&two).unwrap().diff_id, diff_id);
        assert_eq!(read(&gzip(&bytes)).unwrap().diff_id, diff_id);
        // What is cut off is an error, but between entries.
        let whole = [0, bytes.len() - 1536, bytes.len() - 1024, bytes.len() - 512];
        for len in 0..bytes.len() {
            let cut = read(&bytes[..len]);
            assert_eq!(cut.is_ok(), whole.contains(&len), "{len} of {}", bytes.len());
        }
        for stream in [gzip(&bytes), zstd(&bytes), checked_zstd(&bytes)] {
            assert_eq!(read(&stream).unwrap().diff_id, diff_id);
            for len in 1..stream.len() {
                assert!(read(&stream[..len]).is_err(), "{len} of {}", stream.len());
            }
            let mut trailing = stream.clone();
            trailing.extend_from_slice(b"trailing");
            assert!(read(&trailing).is_err());
        }
        for (mut stream, back) in [(gzip(&bytes), 8), (gzip(&bytes), 1), (checked_zstd(&bytes), 1)]
        {
            let at = stream.len() - back;
            stream[at] ^= 1;
            assert!(read(&stream).is_err(), "the checksum is wrong");
        }
        // No flipped bit of a compressed stream gives this archive another contents.
        let stream = gzip(&bytes);
        for bit in 0..stream.len() * 8 {
            let mut flipped = stream.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped).map_or(true, |read| read.diff_id == diff_id), "bit {bit}");
        }
    });
}

/// A frame with a checksum.
fn checked_zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn attack_18_an_id_that_overflows_is_never_that_of_root() {
    caged("attack_18_an_id_that_overflows_is_never_that_of_root", || {
        for id in [
            "4294967296",
            "18446744073709551616",
            "99999999999999999999999999999999999999999",
            "-1",
        ] {
            for key in ["uid", "gid"] {
                let error = refused(archive().pax([(key, id)]).file("f", "1").end());
                assert!(matches!(error.kind(), ErrorKind::OutOfRange), "{key}={id}: {error}");
            }
        }
        for id in [1 << 32, (1 << 56) | 1, -1, -(1 << 40)] {
            for at in [108, 116] {
                let odd = header(b'0', "f").field(at, base_256::<8>(id));
                assert_eq!(refused(archive().header(&odd).end()).kind(), ErrorKind::OutOfRange);
            }
        }
        let device = header(b'3', "c").field(329, base_256::<8>(1 << 32));
        assert_eq!(refused(archive().header(&device).end()).kind(), ErrorKind::OutOfRange);
    });
}

#[test]
fn attack_24_other_compressions_are_named() {
    caged("attack_24_other_compressions_are_named", || {
        for (beginning, name) in [
            (&b"\xfd7zXZ\0"[..], "xz"),
            (b"BZh91AY", "bzip2"),
            (b"\x04\x22\x4d\x18", "lz4"),
            (b"\x5d\0\0\x80\0", "lzma"),
            (b"\x1f\x9d\x90", "compress"),
            (b"PK\x03\x04", "zip"),
        ] {
            let error = refused([beginning, &[7; 600]].concat());
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains(name), "{error}");
        }
        let error = refused(b"<!DOCTYPE html>".repeat(100));
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("no tar archive"), "{error}");
    });
}

#[test]
fn attack_25_work_is_linear_and_depth_overflows_no_stack() {
    caged("attack_25_work_is_linear_and_depth_overflows_no_stack", || {
        // One path of 100,000 names.
        let deep = ["d"; 100_000].join("/");
        let bytes = archive().pax([("path", &deep)]).file("f", "1").end();
        let options = tar::ReadOptions::new().max_depth(100_000);
        let read = options.read(&bytes[..]).unwrap().layer;
        assert!(Image::from_layers([read]).is_ok());
        // Marks within marks, each one level deeper.
        let mut marks = archive();
        for depth in (0..800).rev() {
            let dir = "d/".repeat(depth);
            for name in ["x", ".wh.d", ".wh..wh..opq"] {
                marks = marks.pax([("path", [&dir, name].concat())]).file("f", "");
            }
        }
        let read = view(marks.end());
        assert_eq!(paths(&read, "/").len(), 800 + 799);
        // Links in a chain.
        let mut links = archive().file("0", "");
        for link in 1..20_000 {
            links = links.hard_link(link.to_string(), (link - 1).to_string());
        }
        let linked = Image::from_layers([layer(links.end())]).unwrap();
        assert_eq!(linked.view().metadata("/7").unwrap().nlink(), 20_000);
    });
}
