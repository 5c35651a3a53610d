//! Everything that a filesystem can hold.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, lchown, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, XattrFlags};

use crate::host::{mkdev, mkfifo, set_mtime};

/// Fills a directory.
pub(super) fn furnish(root: &Path) {
    let at = |name: &str| root.join(name);
    names(&at("names"));
    modes(&at("modes"));
    times(&at("times"));
    links(&at("links"));
    attributes(&at("attributes"));
    large(&at("large"));
    make(&at("empty/is/this"));
    write(&at("opt/x/below"), "hidden");
}

/// Names are bytes.
fn names(dir: &Path) {
    let odd: &[&[u8]] = &[
        b" two  spaces ",
        b"new\nline",
        b"\xff\xfe",
        b"-dash",
        b"--help",
        b"100%",
        b"%41",
        b"tab\t",
        b"back\\slash",
        b"\\n",
        b"'\"`$(echo)",
        b"...",
        b".wh",
        b"wh.x",
        b"#",
        b"\x01\x7f",
        "größe \u{1f600}".as_bytes(),
        "e\u{301}".as_bytes(),
        "\u{e9}".as_bytes(),
    ];
    let odd = odd.iter().map(|name| name.to_vec()).chain([vec![b'n'; 255], vec![0xc3; 255]]);
    for name in odd {
        let name = OsStr::from_bytes(&name);
        write(&dir.join("files").join(name), name);
        write(&dir.join("dirs").join(name).join("file"), "");
        make(&dir.join("links"));
        symlink(name, dir.join("links").join(name)).unwrap();
    }
    let long = "long/".repeat(90);
    write(&dir.join(long).join("n".repeat(200)), "a path of 650 bytes");
}

fn modes(dir: &Path) {
    for mode in [0o4755, 0o2755, 0o6711, 0o1644, 0, 0o7777, 0o111, 0o600] {
        write(&dir.join(format!("file {mode:o}")), "x");
        chmod(&dir.join(format!("file {mode:o}")), mode);
        write(&dir.join(format!("dir {mode:o}/inside")), "x");
        chmod(&dir.join(format!("dir {mode:o}")), mode);
    }
    for (uid, gid) in [(1000, 1000), (65_534, 0), (0, 4_000_000_000), (2_097_152, 2_097_151)] {
        write(&dir.join(format!("of {uid} {gid}")), "x");
        lchown(dir.join(format!("of {uid} {gid}")), Some(uid), Some(gid)).unwrap();
    }
    // A setuid program of somebody else: the owner is set first, as that clears the bit.
    write(&dir.join("theirs"), "x");
    lchown(dir.join("theirs"), Some(7), Some(8)).unwrap();
    chmod(&dir.join("theirs"), 0o6755);
    mkfifo(&dir.join("fifo"));
    mkdev(&dir.join("null"), 1, 3);
    mkdev(&dir.join("high"), 511, 1_048_575);
    let (kind, mode) = (rustix::fs::FileType::BlockDevice, Mode::from_raw_mode(0o660));
    let device = rustix::fs::makedev(259, 65_537);
    rustix::fs::mknodat(CWD, dir.join("disk"), kind, mode, device).unwrap();
}

/// Seconds and nanoseconds.
const TIMES: &[(&str, i64, i64)] = &[
    ("epoch", 0, 0),
    ("second", 1_000_000_000, 0),
    ("nanosecond", 1_000_000_000, 1),
    ("nanoseconds", 1_234_567_890, 123_456_789),
    ("almost", 1_234_567_890, 999_999_999),
    ("before", -1_000_000, 0),
    ("just before", -1, 999_999_999),
    ("before by parts", -1_000_000, 250_000_000),
    ("after 2038", 1 << 32, 5),
    ("after ustar", 1 << 33, 0),
];

fn times(dir: &Path) {
    make(dir);
    for &(name, secs, nanos) in TIMES {
        let paths = ["file", "dir", "link"].map(|kind| dir.join(format!("{name} {kind}")));
        let [file, directory, link] = &paths;
        write(file, name);
        make(directory);
        symlink("nowhere", link).unwrap();
        paths.iter().for_each(|path| set_mtime(path, secs, nanos));
    }
}

fn links(dir: &Path) {
    make(dir);
    let links: &[(&str, &str)] = &[
        ("dangling", "no/such thing"),
        ("absolute", "/etc/os-release"),
        ("up", "../../../../etc"),
        ("itself", "itself"),
        ("dir", "../empty"),
        ("slash", "../empty/"),
        ("odd", "a\nb %41 \u{e9}"),
    ];
    links.iter().for_each(|(name, target)| symlink(target, dir.join(name)).unwrap());
    symlink("x".repeat(4_000), dir.join("long")).unwrap();
    write(&dir.join("b/one"), "hard");
    link(&dir.join("b/one"), &dir.join("a"));
    link(&dir.join("b/one"), &dir.join("b/two"));
    mkfifo(&dir.join("fifo"));
    link(&dir.join("fifo"), &dir.join("a fifo"));
    mkdev(&dir.join("zero"), 1, 5);
    link(&dir.join("zero"), &dir.join("a zero"));
    link(&dir.join("dangling"), &dir.join("a dangling"));
    // The owner, then the mode, then the capability: each takes away the next.
    write(&dir.join("program/one"), "with rights");
    lchown(dir.join("program/one"), Some(1000), Some(1001)).unwrap();
    chmod(&dir.join("program/one"), 0o6710);
    make_capable(&dir.join("program/one"));
    link(&dir.join("program/one"), &dir.join("program/two"));
}

fn attributes(dir: &Path) {
    let set = |name: &str, attribute: &str, value: &[u8]| {
        let path = dir.join(name);
        rustix::fs::lsetxattr(path, attribute, value, XattrFlags::empty()).unwrap();
    };
    ["file", "dir/inside", "program"].iter().for_each(|name| write(&dir.join(name), *name));
    symlink("file", dir.join("link")).unwrap();
    set("file", "user.text", b"text");
    set("file", "user.binary", b"\0\xff\n=");
    set("file", "user.empty", b"");
    // No `=`: Go's archive/tar cannot write such a name, and both tools use it.
    set("file", "user.odd \u{e9} %", b"1");
    set("file", "user.long", &[b'v'; 2_000]);
    set("dir", "user.dir", b"d");
    set("dir/inside", "trusted.inside", b"t");
    set("link", "trusted.link", b"l");
    make_capable(&dir.join("program"));
}

/// `cap_net_raw+ep` as setcap(8) writes it: revision 2, effective; permitted is bit 13.
fn make_capable(path: &Path) {
    let mut capability = [0; 20];
    (capability[0], capability[3], capability[5]) = (1, 2, 1 << 5);
    rustix::fs::setxattr(path, "security.capability", &capability, XattrFlags::empty()).unwrap();
}

/// Sparse, with the data at the begin, in the middle and at the end.
pub(super) fn large(path: &Path) {
    let file = fs::File::create(path).unwrap();
    let length = 16 << 20;
    file.set_len(length).unwrap();
    file.write_all_at(b"begin", 0).unwrap();
    file.write_all_at(b"middle", length / 2 - 3).unwrap();
    file.write_all_at(b"end", length - 3).unwrap();
}

pub(super) fn make(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
}

/// Writes a file, with the directories above it.
pub(super) fn write(path: &Path, bytes: impl AsRef<OsStr>) {
    make(path.parent().unwrap());
    fs::write(path, bytes.as_ref().as_bytes()).unwrap();
}

pub(super) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A hard link, to a symbolic link too.
pub(super) fn link(from: &Path, to: &Path) {
    rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty()).unwrap();
}
