//! Reading archives (docs/semantics.md, L21 to L35), a test for each rule.

use std::io::Read;

use stratafs::{Device, ErrorKind, FileType, Timestamp, tar};

use super::hand::{archive, base_256, header, record};
use super::{layer, refused, stack, view};
use crate::union::paths;

#[test]
fn l04_the_diff_id_is_that_of_all_bytes_padding_and_trailing_data_included() {
    let bytes = [&archive().file("f", "1").end()[..], b"something after the end"].concat();
    let read = tar::ReadOptions::new().read(&bytes[..]).unwrap();
    assert_eq!(read.diff_id, stratafs::Digest::of(&bytes));
    assert_eq!((read.len, read.stream_len), (bytes.len() as u64, bytes.len() as u64));
    // The layer is not known by what somebody else wrote, but by what it is.
    assert_ne!(read.layer.diff_id().unwrap(), read.diff_id);
}

#[test]
fn l15_plain_gzip_of_several_members_and_zstd_of_several_frames_are_read() {
    let written = layer(archive().dir("d").file("d/f", "1").end());
    for compression in [tar::Compression::None, tar::Compression::Gzip, tar::Compression::Zstd] {
        let mut stream = Vec::new();
        let options = tar::WriteOptions::new().compression(compression);
        let said = options.write(&written, &mut stream).unwrap();
        let read = tar::ReadOptions::new().read(&stream[..]).unwrap();
        assert_eq!((read.compression, read.diff_id), (compression, written.diff_id().unwrap()));
        assert_eq!(
            (said.diff_id, said.digest, said.size),
            (read.diff_id, read.digest, read.stream_len)
        );
    }
    let mut bytes = archive().file("f", "1").end();
    let rest = bytes.split_off(700);
    let gzip = |bytes: &[u8]| super::attacks::gzip(bytes);
    let read = tar::ReadOptions::new().read(&[gzip(&bytes), gzip(&rest)].concat()[..]).unwrap();
    assert_eq!((read.len, read.layer.len()), (2048, 1));
    let zstd = |bytes: &[u8]| super::attacks::zstd(bytes);
    let skippable = b"\x5a\x2a\x4d\x18\x03\0\0\0abc".to_vec();
    let frames = [skippable.clone(), zstd(&bytes), skippable, zstd(&rest)].concat();
    let read = tar::ReadOptions::new().read(&frames[..]).unwrap();
    assert_eq!((read.len, read.layer.len()), (2048, 1));
}

#[test]
fn l16_a_stream_that_is_not_what_it_must_be_is_an_error() {
    let plain = archive().file("f", "1").end();
    let options = tar::ReadOptions::new().compression(tar::Compression::Gzip);
    let error = options.read(&plain[..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("not compressed, not compressed with gzip"), "{error}");
    // An archive may begin with a file whose name looks like a compressed stream.
    let odd = archive().file(b"\x1f\x8b", "1").end();
    assert_eq!(layer(odd).len(), 1);
}

#[test]
fn l21_types_0_to_6_are_read_global_headers_ignored_and_all_others_refused() {
    let bytes = archive()
        .entry(header(b'g', "pax_global_header"), record("path", "elsewhere"))
        .file("f", "1")
        .entry(header(0, "old"), "2")
        .hard_link("h", "f")
        .symlink("s", "f")
        .header(&header(b'3', "c").device(5, 1))
        .header(&header(b'4', "b").device(8, 0))
        .dir("d/")
        .header(&header(b'6', "p"))
        .end();
    let view = view(bytes);
    let of = |path: &str| view.symlink_metadata(path).unwrap().file_type();
    assert_eq!(paths(&view, "/"), ["/b", "/c", "/d", "/f", "/h", "/old", "/p", "/s"]);
    assert_eq!(view.read("/h").unwrap(), "1");
    assert_eq!(of("/s"), FileType::Symlink);
    assert_eq!((of("/d"), of("/p"), of("/old")), (FileType::Dir, FileType::Fifo, FileType::File));
    let device = |path: &str| view.metadata(path).unwrap().device().unwrap();
    assert_eq!(device("/c"), Device { major: 5, minor: 1 });
    assert_eq!((of("/b"), device("/b")), (FileType::BlockDevice, Device { major: 8, minor: 0 }));
    for flag in [b'7', b'8', b'A', b'D', b'M', b'N', b'V', b'X', 0xff] {
        let error = refused(archive().header(&header(flag, "odd")).end());
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert_eq!(error.path().to_str(), Some("odd"));
    }
}

#[test]
fn l21_a_name_with_a_slash_at_its_end_is_a_directory_in_archives_from_before_ustar() {
    let old = header(0, "d/").v7().size(512);
    let view = view(archive().header(&old).entry(header(b'0', "f/"), "1").end());
    assert!(view.metadata("/d").unwrap().is_dir());
    assert!(view.metadata("/f").unwrap().is_file());
}

#[test]
fn l21_an_extended_header_is_one_in_every_dialect() {
    let records = record("path", "long");
    let bytes = archive().entry(header(b'x', "x").v7(), records).file("short", "1").end();
    assert_eq!(paths(&view(bytes), "/"), ["/long"]);
}

#[test]
fn l22_of_a_pax_record_given_twice_the_last_counts_and_an_empty_one_is_none() {
    let twice = archive().pax([("path", "first"), ("path", "last")]).file("f", "1").end();
    assert_eq!(paths(&view(twice), "/"), ["/last"]);
    let empty = archive()
        .pax([("path", "p"), ("path", ""), ("size", ""), ("uid", "7"), ("uid", ""), ("mtime", "")])
        .entry(header(b'0', "f").owner(5, 5).mtime(9), "1")
        .end();
    let view = view(empty);
    let found = view.metadata("/f").unwrap();
    assert_eq!((found.uid(), found.len(), found.modified()), (5, 1, Timestamp::new(9, 0)));
}

#[test]
fn l22_pax_records_that_are_not_well_formed_are_errors() {
    let bad: [&[u8]; 16] = [
        b"6 a=1",
        b"5 a=1\n",
        b"7 a=1\n",
        b"999 a=1\n",
        b"0 a=1\n",
        b"+6 a=1\n",
        b"-6 a=1\n",
        b" 6 a=1\n",
        b"a=1\n",
        b"4 a\n",
        b"5 =1\n",
        b"6 a=1\n\0",
        b"99999999999999999999999 a=1\n",
        b"18446744073709551616 a=1\n",
        b"3\n\n",
        b"6",
    ];
    for text in bad {
        let error = refused(archive().entry(header(b'x', "x"), text).file("f", "1").end());
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{}", text.escape_ascii());
    }
    for (key, value) in [
        ("path", "a\0b"),
        ("linkpath", "a\0b"),
        ("size", "-1"),
        ("size", "+1"),
        ("size", "0x1"),
        ("size", "1 "),
        ("uid", "-1"),
        ("gid", "1.5"),
        ("mtime", "1.x"),
        ("mtime", "."),
        ("mtime", "--1"),
        ("mtime", "1e3"),
    ] {
        let error = refused(archive().pax([(key, value)]).file("f", "1").end());
        assert!(
            matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::OutOfRange),
            "{key}={value}: {error}"
        );
    }
}

#[test]
fn l23_the_size_of_pax_wins_and_belongs_to_the_next_file_only() {
    let bytes = archive()
        .pax([("size", "3")])
        .header(&header(b'0', "a").size(0))
        .data("abc")
        .file("b", "12345")
        .end();
    let read = view(bytes);
    assert_eq!(
        (read.read("/a").unwrap(), read.read("/b").unwrap()),
        ("abc".into(), "12345".into())
    );
    // Not to an extended header between them, which would be read as half of its name.
    let between = archive()
        .pax([("size", "3")])
        .long(b'L', "n".repeat(150))
        .header(&header(b'0', "a").size(0))
        .data("abc")
        .end();
    assert_eq!(view(between).read(format!("/{}", "n".repeat(150))).unwrap(), "abc");
}

#[test]
fn l24_a_long_name_of_gnu_and_a_pax_path_together_are_an_error_in_either_order() {
    let pax = |archive: super::hand::Archive| archive.pax([("path", "one")]);
    let long = |archive: super::hand::Archive| archive.long(b'L', "other");
    for both in [long(pax(archive())), pax(long(archive()))] {
        assert_eq!(refused(both.file("f", "1").end()).kind(), ErrorKind::InvalidInput);
    }
    let links = archive().pax([("linkpath", "one")]).long(b'K', "other").symlink("s", "t").end();
    assert_eq!(refused(links).kind(), ErrorKind::InvalidInput);
    // One for the name, one for other things: nothing to disagree on.
    let apart = archive().pax([("mtime", "7.5")]).long(b'L', "other").file("f", "1").end();
    assert_eq!(view(apart).metadata("/other").unwrap().modified(), Timestamp::new(7, 500_000_000));
}

#[test]
fn l24_two_extended_headers_of_one_kind_or_one_without_an_entry_are_errors() {
    for flag in [b'L', b'K'] {
        let twice = archive().long(flag, "a").long(flag, "b").file("f", "1").end();
        assert_eq!(refused(twice).kind(), ErrorKind::InvalidInput);
    }
    let records = || archive().pax([("path", "a")]);
    let twice = records().pax([("path", "b")]).file("f", "1").end();
    assert_eq!(refused(twice).kind(), ErrorKind::InvalidInput);
    assert_eq!(refused(records().end()).kind(), ErrorKind::InvalidInput);
    assert_eq!(refused(records().bytes()).kind(), ErrorKind::InvalidInput);
    let global = records().entry(header(b'g', "g"), record("a", "b")).file("f", "1").end();
    assert_eq!(refused(global).kind(), ErrorKind::InvalidInput);
}

#[test]
fn l25_base_256_numbers_and_the_ustar_prefix_are_honoured() {
    let big = header(b'0', "big")
        .gnu()
        .field(108, base_256::<8>(0xffff_ffff))
        .field(116, base_256::<8>(3_000_000))
        .field(124, base_256::<12>(3))
        .field(136, base_256::<12>(-5));
    let bytes = archive()
        .header(&big)
        .data("abc")
        .entry(header(b'0', "name").prefix("some/dir"), "1")
        .entry(header(b'0', "star").prefix("d").field(475, "\0\x00012345").field(508, "tar\0"), "2")
        .entry(header(b'0', "gnu").gnu().prefix("00000001234"), "3")
        .entry(header(b'0', "n".repeat(100)).prefix("p".repeat(155)), "4")
        .end();
    let view = view(bytes);
    let found = view.metadata("/big").unwrap();
    assert_eq!((found.uid(), found.gid(), found.len()), (u32::MAX, 3_000_000, 3));
    assert_eq!(found.modified(), Timestamp::new(-5, 0));
    assert_eq!(view.read("/some/dir/name").unwrap(), "1");
    assert_eq!(view.read("/d/star").unwrap(), "2");
    assert_eq!(view.read("/gnu").unwrap(), "3", "GNU keeps times where ustar has a prefix");
    assert_eq!(view.read(format!("/{}/{}", "p".repeat(155), "n".repeat(100))).unwrap(), "4");
}

#[test]
fn l25_negative_and_overflowing_sizes_and_numbers_that_are_none_are_errors() {
    let sizes =
        [base_256::<12>(-1), base_256(1 << 63), base_256(i128::from(u64::MAX) + 1), [0xff; 12]];
    for size in sizes {
        let error = refused(archive().header(&header(b'0', "f").field(124, size)).end());
        assert!(matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::OutOfRange), "{error}");
        assert_eq!(error.path().to_str(), Some("f"));
    }
    for (at, text) in
        [(100, "0000088\0"), (108, "-000001\0"), (124, "0000000001x\0"), (136, "0x000000000\0")]
    {
        let error = refused(archive().header(&header(b'0', "f").field(at, text)).end());
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
    }
    // What tars write for numbers: spaces before or after, no NUL, nothing at all.
    let loose = header(b'0', "f").field(100, "   644 \0").field(108, "7777777 ").field(116, [0; 8]);
    let found = view(archive().header(&loose).end()).metadata("/f").unwrap();
    assert_eq!((found.mode(), found.uid(), found.gid()), (0o644, 0o7_777_777, 0));
}

#[test]
fn l25_the_checksum_may_be_of_signed_bytes_and_must_be_right() {
    let odd = header(b'0', b"\xff\xfe");
    let mut bytes = odd.block();
    bytes[148..156].fill(b' ');
    let sum: i32 = bytes.iter().map(|&byte| i32::from(byte as i8)).sum();
    assert_eq!(layer(archive().header(&odd.clone().checksum(sum as u32)).end()).len(), 1);
    let error = refused(archive().file("f", "1").header(&odd.checksum(7)).end());
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("byte 1024"), "{error}");
}

#[test]
fn l26_types_1_to_6_carry_no_data_whatever_their_size_says() {
    for flag in b'1'..=b'6' {
        let hidden = header(flag, "x").link("f").size(512);
        let sized = archive().file("f", "1").header(&hidden).file("inside", "seen").end();
        assert_eq!(view(sized).read("/inside").unwrap(), "seen", "type {}", char::from(flag));
        let pax = archive().file("f", "1").pax([("size", "512")]).header(&hidden);
        assert_eq!(view(pax.file("inside", "seen").end()).read("/inside").unwrap(), "seen");
    }
}

#[test]
fn l27_names_are_bytes() {
    let name: &[u8] = b"\xff\xc0\x80 \n\\";
    let bytes =
        archive().file(name, "1").pax([(&b"path"[..], name), (b"mtime", b"1")]).dir("d").end();
    let layer = layer(bytes);
    let path = layer.entries().next().unwrap().path;
    assert_eq!(path.as_os_str().as_encoded_bytes(), [b"/", name].concat());
    assert_eq!(layer.len(), 1, "both names are one");
}

#[test]
fn l28_an_archive_may_end_without_zeros_and_a_header_after_one_block_of_them_is_an_error() {
    let one = archive().file("f", "1");
    assert_eq!(layer(one.clone().bytes()).len(), 1);
    assert_eq!(layer(one.clone().raw([0; 512]).bytes()).len(), 1);
    assert_eq!(layer(Vec::new()).len(), 0);
    let stray = one.clone().raw([0; 512]).file("g", "2").end();
    let error = refused(stray);
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("after one block of zeros"), "{error}");
    // After two, nothing means anything.
    assert_eq!(layer([one.end(), archive().file("g", "2").end()].concat()).len(), 1);
}

/// A file of 300,000 bytes: `head` at 0 and `tail` at 200,000.
fn assert_sparse(bytes: Vec<u8>) {
    let view = view(bytes);
    let found = view.metadata("/sparse").unwrap();
    assert_eq!((found.len(), view.read("/after").unwrap()), (300_000, "next".into()));
    assert!(found.blocks() * 512 < 100_000, "holes cost nothing: {} blocks", found.blocks());
    let mut contents = vec![0; 300_000];
    contents[..4].copy_from_slice(b"head");
    contents[200_000..200_004].copy_from_slice(b"tail");
    assert!(view.read("/sparse").unwrap() == contents);
}

fn octal(number: u64) -> String {
    format!("{number:011o}\0")
}

#[test]
fn l29_files_with_holes_of_gnus_old_format_have_their_holes() {
    let sparse = header(b'S', "sparse").gnu().size(8).field(483, octal(300_000));
    let first = sparse.clone().field(386, octal(0)).field(398, octal(4));
    let whole = first.clone().field(410, octal(200_000)).field(422, octal(4));
    assert_sparse(archive().header(&whole).data("headtail").file("after", "next").end());
    let mut more = [0; 512];
    more[..12].copy_from_slice(octal(200_000).as_bytes());
    more[12..24].copy_from_slice(octal(4).as_bytes());
    more[24..36].copy_from_slice(octal(300_000).as_bytes());
    more[36..48].copy_from_slice(octal(0).as_bytes());
    let continued = first.field(482, [1]);
    let bytes = archive().header(&continued).raw(more).data("headtail").file("after", "next").end();
    assert_sparse(bytes);
}

#[test]
fn l29_files_with_holes_of_pax_0_0_0_1_and_1_0_have_their_holes() {
    let data = |archive: super::hand::Archive, data: &[u8]| {
        archive.entry(header(b'0', "GNUSparseFile.1/x"), data).file("after", "next").end()
    };
    let zero = archive().pax([
        ("GNU.sparse.size", "300000"),
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.offset", "0"),
        ("GNU.sparse.numbytes", "4"),
        ("GNU.sparse.offset", "200000"),
        ("GNU.sparse.numbytes", "4"),
        ("path", "sparse"),
    ]);
    assert_sparse(data(zero, b"headtail"));
    let one = archive().pax([
        ("GNU.sparse.size", "300000"),
        ("GNU.sparse.map", "0,4,200000,4"),
        ("GNU.sparse.name", "sparse"),
    ]);
    assert_sparse(data(one, b"headtail"));
    let ten = archive().pax([
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "sparse"),
        ("GNU.sparse.realsize", "300000"),
    ]);
    let mut map = b"2\n0\n4\n200000\n4\n".to_vec();
    map.resize(512, 0);
    assert_sparse(data(ten, &[&map[..], b"headtail"].concat()));
}

#[test]
fn l29_sparse_maps_that_are_not_well_formed_or_too_large_are_errors() {
    let file = |len: &str, map: &str, data: &str| {
        let records = [("GNU.sparse.size", len), ("GNU.sparse.map", map)];
        archive().pax(records).file("f", data).end()
    };
    for (len, map) in [
        ("10", "0,4,2,4"),
        ("10", "4,4,0,4"),
        ("10", "0,4,8,4"),
        ("10", "0,4"),
        ("10", "0,4,4"),
        ("10", "0,4,18446744073709551615,4"),
        ("10", "0,4,9223372036854775807,4"),
        ("10", ",,"),
        ("-1", "0,4,4,4"),
    ] {
        let error = refused(file(len, map, "headtail"));
        assert!(matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::OutOfRange), "{error}");
    }
    let error = refused(file("9223372036854775807", "0,8", "headtail"));
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    let later = [("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0")];
    let error = refused(archive().pax(later).file("f", "1").end());
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn l30_ids_to_2_to_the_32_less_1_and_times_with_nanoseconds_and_before_1970() {
    let records = [("uid", "4294967295"), ("gid", "4294967294"), ("mtime", "-1.25")];
    let found = view(archive().pax(records).file("f", "1").end()).metadata("/f").unwrap();
    assert_eq!((found.uid(), found.gid()), (4_294_967_295, 4_294_967_294));
    assert_eq!(found.modified(), Timestamp::new(-2, 750_000_000));
    for (text, time) in [
        ("0", (0, 0)),
        ("1.5", (1, 500_000_000)),
        ("1.", (1, 0)),
        ("1234567890.123456789", (1_234_567_890, 123_456_789)),
        ("1.9999999999", (1, 999_999_999)),
        ("-0.5", (-1, 500_000_000)),
        ("-7", (-7, 0)),
        ("-0.0000000001", (0, 0)),
        ("-9223372036854775808", (i64::MIN, 0)),
        ("9223372036854775807.999999999", (i64::MAX, 999_999_999)),
    ] {
        let found = view(archive().pax([("mtime", text)]).file("f", "1").end());
        let time = Timestamp::new(time.0, time.1);
        assert_eq!(found.metadata("/f").unwrap().modified(), time, "{text}");
    }
    for text in ["9223372036854775808", "-9223372036854775808.5"] {
        let error = refused(archive().pax([("mtime", text)]).file("f", "1").end());
        assert_eq!(error.kind(), ErrorKind::OutOfRange, "{text}");
    }
}

#[test]
fn l31_all_spellings_of_a_path_are_one_and_a_way_out_of_the_root_is_an_error() {
    for path in ["./a", "/a", "a//", "d/../a", "a/.", "///a"] {
        assert_eq!(paths(&view(archive().file(path, "1").end()), "/"), ["/a"], "{path}");
    }
    let error = refused(archive().file("d/../../a", "1").end());
    assert_eq!((error.kind(), error.path().to_str()), (ErrorKind::InvalidInput, Some("d/../../a")));
    let error = refused(archive().pax([("path", "x".repeat(256))]).file("f", "1").end());
    assert_eq!(error.kind(), ErrorKind::NameTooLong);
}

#[test]
fn l32_a_root_entry_applies_and_must_be_a_directory() {
    for root in ["./", "/", ".", "d/.."] {
        let view = view(archive().header(&header(b'5', root).mode(0o700).owner(3, 4)).end());
        let found = view.metadata("/").unwrap();
        assert_eq!((found.mode(), found.uid()), (0o700, 3), "{root}");
        for flag in [b'0', b'1', b'2', b'3', b'6'] {
            let error = refused(archive().header(&header(flag, root).link("x")).end());
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{root}");
        }
    }
}

#[test]
fn l33_missing_parents_appear_and_implied_ones_keep_what_they_are() {
    let lower = archive().header(&header(b'5', "old").mode(0o700).owner(5, 5)).end();
    let view = stack([lower, archive().file("old/x/y", "1").end()]);
    let (old, new) = (view.metadata("/old").unwrap(), view.metadata("/old/x").unwrap());
    assert_eq!((old.mode(), old.uid()), (0o700, 5));
    assert_eq!((new.mode(), new.uid(), new.modified()), (0o755, 0, Timestamp::EPOCH));
}

#[test]
fn l34_a_lower_symbolic_link_as_parent_is_followed_inside_the_root() {
    let lower = archive().dir("usr/bin").symlink("bin", "usr/bin").symlink("abs", "/../usr").end();
    let upper = archive().file("bin/x", "1").file("abs/y", "1").end();
    let view = stack([lower, upper]);
    assert_eq!(paths(&view, "/usr"), ["/usr/bin", "/usr/bin/x", "/usr/y"]);
}

#[test]
fn l35_an_entry_below_a_lower_file_makes_it_a_directory_and_is_an_error_in_one_layer() {
    let over = stack([archive().file("f", "1").end(), archive().file("f/x", "2").end()]);
    assert_eq!(paths(&over, "/"), ["/f", "/f/x"]);
    for bytes in
        [archive().file("f", "1").file("f/x", "2"), archive().file("f/x", "2").file("f", "1")]
    {
        let error = refused(bytes.end());
        assert_eq!(error.kind(), ErrorKind::NotADirectory);
        assert!(error.to_string().contains("/f/x"), "{error}");
    }
}

/// Gives one byte at a time, and is interrupted before each.
struct Slow<'a>(&'a [u8], bool);

impl Read for Slow<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            Err(std::io::ErrorKind::Interrupted.into())
        } else {
            self.0.take(1).read(buf).inspect(|read| self.0 = &self.0[*read..])
        }
    }
}

struct Broken;
impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the cable is gone"))
    }
}

#[test]
fn a_stream_in_small_pieces_gives_the_same_and_its_error_keeps_its_cause() {
    let bytes = archive().file("d/f", "1".repeat(1000)).dir("d").end();
    let options = tar::ReadOptions::new();
    let (slow, fast) =
        (options.read(Slow(&bytes, false)).unwrap(), options.read(&bytes[..]).unwrap());
    assert_eq!((slow.diff_id, slow.digest), (fast.diff_id, fast.digest));
    assert_eq!(slow.layer.diff_id().unwrap(), fast.layer.diff_id().unwrap());
    let error = tar::read_layer((&bytes[..700]).chain(Broken)).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!((error.kind(), &*cause), (ErrorKind::Io, "the cable is gone"));
}

#[test]
fn every_limit_is_exact_and_named() {
    let bytes = archive().file("a/b", "12345").pax([("mtime", "1")]).file("c", "1").end();
    let options = tar::ReadOptions::new;
    let len = bytes.len() as u64;
    let good =
        options().max_bytes(len).max_entries(2).max_depth(2).max_file_bytes(5).max_header_bytes(11);
    assert!(good.read(&bytes[..]).is_ok(), "{:?}", good.read(&bytes[..]));
    for (name, kind, less) in [
        ("max_bytes", ErrorKind::QuotaExceeded, options().max_bytes(len - 1)),
        ("max_entries", ErrorKind::QuotaExceeded, options().max_entries(1)),
        ("max_depth", ErrorKind::NameTooLong, options().max_depth(1)),
        ("max_file_bytes", ErrorKind::FileTooLarge, options().max_file_bytes(4)),
        ("max_header_bytes", ErrorKind::QuotaExceeded, options().max_header_bytes(10)),
    ] {
        let error = less.read(&bytes[..]).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(name), "{error}");
    }
    let records = [("GNU.sparse.size", "300000"), ("GNU.sparse.map", "0,1,200000,1")];
    let sparse = archive().pax(records).file("f", "12").end();
    let kept = 1 + 200_000 % 65_536 + 1;
    assert!(options().max_sparse_bytes(kept).max_sparse_regions(2).read(&sparse[..]).is_ok());
    let error = options().max_sparse_bytes(kept - 1).read(&sparse[..]).unwrap_err();
    assert!(error.to_string().contains("max_sparse_bytes"), "{error}");
    let error = options().max_sparse_regions(1).read(&sparse[..]).unwrap_err();
    assert!(error.to_string().contains("max_sparse_regions"), "{error}");
}

#[test]
fn progress_is_told_with_the_bytes_of_the_stream() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    let bytes = archive().file("f", vec![7; 2 << 20]).end();
    let last = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&last);
    let options =
        tar::ReadOptions::new().progress(move |bytes| seen.store(bytes, Ordering::Relaxed));
    options.read(&bytes[..]).unwrap();
    assert_eq!(last.load(Ordering::Relaxed), bytes.len() as u64);
}
