//! What the entries of an archive do together (docs/semantics.md, L38 to L50), a test for each rule.

use stratafs::{EntryKind, ErrorKind, Image, Layer, tar};

use super::hand::{archive, header};
use super::{layer, refused, stack, view};
use crate::union::paths;

fn lower() -> Vec<u8> {
    let lower = archive().header(&header(b'5', "d").mode(0o700).owner(5, 5));
    lower.file("d/old", "1").file("d/sub/deep", "1").file("f", "1").end()
}

/// What a layer says of a path.
fn says(layer: &Layer, path: &str) -> EntryKind {
    layer.entries().find(|entry| entry.path.to_str() == Some(path)).unwrap().kind
}

#[test]
fn l38_a_whiteout_removes_what_lower_layers_have_wherever_it_stands() {
    for upper in [
        archive().file(".wh.f", "").file("g", "2").file("d/.wh.sub", ""),
        archive().file("d/.wh.sub", "").file("g", "2").file(".wh.f", ""),
    ] {
        assert_eq!(paths(&stack([lower(), upper.end()]), "/"), ["/d", "/d/old", "/g"]);
    }
    let nothing = stack([archive().file("no/such/.wh.place", "").end()]);
    assert_eq!(paths(&nothing, "/"), Vec::<String>::new());
}

#[test]
fn l39_a_whiteout_and_a_directory_of_one_name_leave_only_the_new_in_either_order() {
    let gone = |archive: super::hand::Archive| archive.file(".wh.d", "");
    let new = |archive: super::hand::Archive| archive.dir("d").file("d/new", "2");
    for upper in [new(gone(archive())), gone(new(archive()))] {
        let view = stack([lower(), upper.end()]);
        assert_eq!(paths(&view, "/"), ["/d", "/d/new", "/f"]);
        assert_eq!(view.metadata("/d").unwrap().mode(), 0o755);
    }
}

#[test]
fn l39_a_whiteout_of_a_directory_that_is_only_implied_leaves_a_new_one() {
    for upper in [
        archive().file("d/new", "2").file(".wh.d", ""),
        archive().file(".wh.d", "").file("d/new", "2"),
        archive().file(".wh.d", "").hard_link("d/new", "f"),
    ] {
        let upper = layer(upper.end());
        let EntryKind::Object { metadata, opaque } = says(&upper, "/d") else {
            panic!("{upper:?}")
        };
        assert_eq!((metadata.mode(), metadata.uid(), opaque), (0o755, 0, true));
        let view = Image::from_layers([layer(lower()), upper]).unwrap().view();
        assert_eq!(paths(&view, "/d"), ["/d/new"]);
    }
    // Marks are content too where they make a directory, and are none where they only remove.
    let opaque = layer(archive().file(".wh.d", "").file("d/e/.wh..wh..opq", "").end());
    assert!(matches!(says(&opaque, "/d"), EntryKind::Object { opaque: true, .. }));
    let itself = layer(archive().file(".wh.d", "").file("d/.wh..wh..opq", "").end());
    assert!(matches!(says(&itself, "/d"), EntryKind::Object { opaque: true, .. }));
    let removed = layer(archive().file(".wh.d", "").file("d/.wh.e", "").end());
    assert_eq!(says(&removed, "/d"), EntryKind::Whiteout);
}

#[test]
fn l39_a_whiteout_and_something_else_of_one_name_leave_only_the_new() {
    let upper = archive().file("d", "a file").file(".wh.d", "").symlink("f", "d").file(".wh.f", "");
    let upper = upper.file("d/.wh.x", "").end();
    let view = stack([lower(), upper]);
    assert_eq!(view.read("/d").unwrap(), "a file");
    assert_eq!(view.read("/f").unwrap(), "a file");
    let linked = archive().file("g", "2").hard_link("f", "g").file(".wh.f", "").end();
    assert_eq!(stack([lower(), linked]).read("/f").unwrap(), "2");
}

#[test]
fn l40_opaque_is_free_of_order_needs_no_directory_and_works_at_the_root() {
    let mark = |archive: super::hand::Archive| archive.file("d/.wh..wh..opq", "");
    let new = |archive: super::hand::Archive| archive.file("d/new", "2");
    let dir = |archive: super::hand::Archive| archive.dir("d");
    for upper in [new(mark(dir(archive()))), mark(new(dir(archive()))), dir(new(mark(archive())))] {
        let view = stack([lower(), upper.end()]);
        assert_eq!(paths(&view, "/"), ["/d", "/d/new", "/f"]);
        assert_eq!(view.metadata("/d").unwrap().mode(), 0o755, "the archive has the directory");
    }
    for upper in [new(mark(archive())), mark(new(archive()))] {
        let upper = layer(upper.end());
        assert_eq!(says(&upper, "/d"), EntryKind::OpaqueWhiteout);
        let view = Image::from_layers([layer(lower()), upper]).unwrap().view();
        assert_eq!(paths(&view, "/"), ["/d", "/d/new", "/f"]);
        assert_eq!(view.metadata("/d").unwrap().mode(), 0o700, "the directory is as it was");
    }
    for root in [".wh..wh..opq", "./.wh..wh..opq", "/.wh..wh..opq"] {
        let view = stack([lower(), archive().file(root, "").file("g", "2").end()]);
        assert_eq!(paths(&view, "/"), ["/g"], "{root}");
    }
}

#[test]
fn l41_whiteouts_of_no_name_are_errors() {
    for name in [".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh../", "d/.wh.../."] {
        let error = refused(archive().file(name, "").end());
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        assert_eq!(error.path().to_str(), Some(name));
    }
}

#[test]
fn l42_only_the_last_name_is_a_mark_whatever_the_type_is() {
    for flag in b'0'..=b'6' {
        let mark =
            header(flag, "d/.wh.old").link("anything").size(if flag == b'0' { 3 } else { 0 });
        let upper = archive().header(&mark).data(if flag == b'0' { "abc" } else { "" });
        let view = stack([lower(), upper.file("next", "").end()]);
        assert_eq!(paths(&view, "/"), ["/d", "/d/sub", "/d/sub/deep", "/f", "/next"]);
    }
    for flag in [b'2', b'3'] {
        let mark = header(flag, ".wh.f").field(329, "rubbish").field(100, "rubbish");
        let view = stack([lower(), archive().header(&mark).end()]);
        assert!(!paths(&view, "/").contains(&"/f".to_owned()), "what a mark says beside its name");
    }
    // As containerd reads it: a file in a directory with an odd name, which nothing can write again.
    let odd = layer(archive().file(".wh.d/old", "2").end());
    let view = Image::from_layers([layer(lower()), odd.clone()]).unwrap().view();
    assert_eq!(view.read("/.wh.d/old").unwrap(), "2");
    assert_eq!(view.read("/d/old").unwrap(), "1");
    let error = tar::write_layer(&odd, std::io::sink()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn l42_the_books_of_aufs_are_skipped_and_reported() {
    let bytes = archive()
        .dir(".wh..wh.plnk")
        .file(".wh..wh.plnk/1.2", "shared")
        .file(".wh..wh.aufs", "")
        .file("d/.wh..wh.orph", "")
        .hard_link("one", ".wh..wh.plnk/1.2")
        .hard_link("two", "/.wh..wh.plnk/1.2")
        .end();
    let read = tar::ReadOptions::new().read(&bytes[..]).unwrap();
    let skipped: Vec<_> = read
        .skipped
        .iter()
        .map(|skipped| (skipped.path.to_str().unwrap(), &skipped.what))
        .collect();
    let aufs = &tar::SkippedPart::AufsEntry;
    assert_eq!(
        skipped,
        [
            ("/.wh..wh.plnk", aufs),
            ("/.wh..wh.plnk/1.2", aufs),
            ("/.wh..wh.aufs", aufs),
            ("/d/.wh..wh.orph", aufs)
        ]
    );
    // Hard links to what is kept there are what the layer has of it.
    let view = Image::from_layers([read.layer]).unwrap().view();
    assert_eq!(paths(&view, "/"), ["/one", "/two"]);
    assert_eq!(
        (view.read("/two").unwrap(), view.metadata("/one").unwrap().nlink()),
        ("shared".into(), 2)
    );
}

#[test]
fn l43_overlay_attributes_are_dropped_and_reported_and_0_0_devices_are_kept() {
    let attributes = [
        ("SCHILY.xattr.trusted.overlay.opaque", "y"),
        ("SCHILY.xattr.user.overlay.whiteout", ""),
        ("SCHILY.xattr.user.kept", "1"),
    ];
    let upper = archive().pax(attributes).dir("d").header(&header(b'3', "f").device(0, 0)).end();
    let read = tar::ReadOptions::new().read(&upper[..]).unwrap();
    let skipped: Vec<_> = read.skipped.iter().map(|skipped| skipped.what.clone()).collect();
    let dropped = |name: &str| tar::SkippedPart::OverlayAttribute(name.into());
    assert_eq!(skipped, [dropped("trusted.overlay.opaque"), dropped("user.overlay.whiteout")]);
    let view = Image::from_layers([layer(lower()), read.layer]).unwrap().view();
    assert_eq!(view.xattrs("/d").unwrap(), ["user.kept"]);
    assert_eq!(view.read("/d/old").unwrap(), "1", "an attribute is no opaque mark");
    assert_eq!(view.metadata("/f").unwrap().device(), Some(stratafs::Device::default()));
}

#[test]
fn l44_a_mark_below_what_this_layer_makes_no_directory_acts_on_nothing() {
    for made in [
        archive().symlink("d", "elsewhere"),
        archive().file("d", ""),
        archive().hard_link("d", "f"),
    ] {
        let upper =
            made.file("d/.wh.old", "").file("d/.wh..wh..opq", "").file("d/sub/.wh..wh..opq", "");
        let lower = archive().file("elsewhere/old", "1").file("d/old", "1").file("f", "1").end();
        let view = stack([lower, upper.end()]);
        assert_eq!(view.read("/elsewhere/old").unwrap(), "1");
        assert!(!view.symlink_metadata("/d").unwrap().is_dir());
    }
}

#[test]
fn l45_of_one_path_twice_the_last_counts_and_strict_refuses() {
    let twice = archive().file("a", "first").dir("b").hard_link("c", "a").file("./a", "last");
    let twice = twice.header(&header(b'5', "b/").mode(0o711)).end();
    let view = view(twice.clone());
    assert_eq!(
        (view.read("/a").unwrap(), view.read("/c").unwrap()),
        ("last".into(), "first".into())
    );
    assert_eq!(view.metadata("/b").unwrap().mode(), 0o711);
    for bytes in [
        twice,
        archive().file(".wh.a", "").file("/.wh.a", "").end(),
        archive().file(".wh..wh..opq", "").file(".wh..wh..opq", "").end(),
        archive().file("a", "").hard_link("a/", "b").end(),
    ] {
        let error = tar::ReadOptions::new().strict(true).read(&bytes[..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    }
    let both = archive().file(".wh.a", "").file("a", "").end();
    assert!(tar::ReadOptions::new().strict(true).read(&both[..]).is_ok(), "these are two names");
}

#[test]
fn l46_hard_links_name_earlier_entries_or_lower_files_in_all_spellings() {
    for target in ["d/f", "/d/f", "./d//f", "x/../d/f", "/d/./f/"] {
        let bytes = archive().file("d/f", "1").hard_link("l", target).end();
        let view = view(bytes);
        assert_eq!(view.metadata("/l").unwrap().nlink(), 2, "{target}");
    }
    let view = stack([lower(), archive().hard_link("l", "/d/old").hard_link("m", "l").end()]);
    assert_eq!(view.metadata("/m").unwrap().nlink(), 3);
    let long = "n".repeat(200);
    let bytes = archive().pax([("path", &long)]).file("f", "1").pax([("linkpath", &long)]);
    assert_eq!(super::view(bytes.hard_link("l", "cut").end()).metadata("/l").unwrap().nlink(), 2);
    let bytes = archive().long(b'L', &long).file("f", "1").long(b'K', &long).hard_link("l", "cut");
    assert_eq!(super::view(bytes.end()).metadata("/l").unwrap().nlink(), 2);
    let to_link = archive().symlink("s", "nowhere").hard_link("l", "s").end();
    assert_eq!(super::view(to_link).read_link("/l").unwrap().to_str(), Some("nowhere"));
}

#[test]
fn l46_hard_links_to_directories_themselves_later_or_missing_entries_are_errors() {
    for (bytes, kind) in [
        (archive().dir("d").hard_link("l", "d"), ErrorKind::InvalidInput),
        (archive().hard_link("l", "/"), ErrorKind::InvalidInput),
        (archive().hard_link("l", ""), ErrorKind::InvalidInput),
        (archive().hard_link("l", "./l"), ErrorKind::InvalidInput),
        (archive().file("l", "1").hard_link("l", "l"), ErrorKind::InvalidInput),
        (archive().hard_link("l", "f").file("f", "1"), ErrorKind::NotFound),
        (archive().hard_link("a", "b").hard_link("b", "a"), ErrorKind::NotFound),
        (archive().hard_link("l", "../f"), ErrorKind::InvalidInput),
        (archive().hard_link("l", "f").file(".wh.f", ""), ErrorKind::InvalidInput),
    ] {
        let error = refused(bytes.end());
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.path().ends_with("l") || error.path().ends_with("a"), "{error}");
    }
    let base = Image::from_layers([layer(lower())]).unwrap();
    for target in ["missing", "d", "d/missing"] {
        let upper = layer(archive().hard_link("l", target).end());
        let error = base.with_layer(upper).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput), "{error}");
    }
}

#[test]
fn l47_the_attributes_in_the_header_of_a_hard_link_are_ignored() {
    let odd = header(b'1', "l").link("f").mode(0o7777).owner(9, 9).field(136, "rubbish");
    let link = archive().file("f", "1").pax([("SCHILY.xattr.user.a", "1"), ("mtime", "5")]);
    let view = view(link.header(&odd).end());
    let found = view.metadata("/l").unwrap();
    assert_eq!((found.mode(), found.uid(), found.modified().secs()), (0o644, 0, 0));
    assert!(view.xattrs("/l").unwrap().is_empty());
}

#[test]
fn l48_replacing_one_name_of_a_link_group_leaves_the_others() {
    let below = archive().file("a", "1").hard_link("b", "a").hard_link("c", "a").end();
    let view = stack([below, archive().file("a", "2").end()]);
    assert_eq!((view.read("/b").unwrap(), view.metadata("/c").unwrap().nlink()), ("1".into(), 2));
}

#[test]
fn l49_setuid_setgid_sticky_and_mode_0_survive() {
    for mode in [0o7755, 0o4000, 0o2000, 0o1777, 0] {
        let bytes =
            archive().header(&header(b'0', "f").mode(mode)).header(&header(b'5', "d").mode(mode));
        let view = view(bytes.end());
        for path in ["/f", "/d"] {
            assert_eq!(view.metadata(path).unwrap().mode(), mode);
        }
    }
    let typed = header(b'0', "f").field(100, "0100644\0");
    assert_eq!(view(archive().header(&typed).end()).metadata("/f").unwrap().mode(), 0o644);
}

#[test]
fn l50_binary_attributes_and_capabilities_are_read_as_they_are() {
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let records: [(&[u8], &[u8]); 5] = [
        (b"SCHILY.xattr.security.capability", capability),
        (b"SCHILY.xattr.user.lines", b"a=b\nc\0\xff"),
        (b"SCHILY.xattr.user.empty", b""),
        (b"LIBARCHIVE.xattr.user.a%3Db", b"AAH/"),
        (b"SCHILY.acl.access", b"user::rwx"),
    ];
    let bytes = archive().pax(records).file("f", "1").end();
    let read = tar::ReadOptions::new().read(&bytes[..]).unwrap();
    assert_eq!(read.skipped[0].what, tar::SkippedPart::AccessControlList);
    let view = Image::from_layers([read.layer]).unwrap().view();
    let value = |name: &str| view.xattr("/f", name).unwrap();
    assert_eq!(value("security.capability"), &capability[..]);
    assert_eq!(value("user.lines"), &b"a=b\nc\0\xff"[..]);
    assert_eq!(value("user.empty"), "");
    assert_eq!(value("user.a=b"), &[0, 1, 0xff][..]);
    for name in ["SCHILY.xattr.", "LIBARCHIVE.xattr.%00"] {
        let error = refused(archive().pax([(name, "")]).file("f", "1").end());
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn l51_marks_may_come_after_what_stands_beside_them() {
    let upper = archive().file("d/new", "2").file("d/sub/new", "2").file("d/sub/.wh..wh..opq", "");
    let upper = upper.file("d/.wh.old", "").file(".wh.f", "").file("f", "2").end();
    let view = stack([lower(), upper]);
    assert_eq!(paths(&view, "/"), ["/d", "/d/new", "/d/sub", "/d/sub/new", "/f"]);
    assert_eq!(view.read("/f").unwrap(), "2");
}
