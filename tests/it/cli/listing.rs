//! What is shown of an image: `ls`, `cat`, `tree`, `diff`, `inspect`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, symlink};

use rustix::fs::{CWD, FileType, Mode, XattrFlags};

use super::{Place, STACK, program, run_in, set_mtime, stack};

#[test]
fn ls_prints_names_of_a_directory_and_an_object_itself() {
    let place = stack();
    assert_eq!(place.ok(&format!("ls {STACK}")), "bin\netc\nshell\nsrv\n");
    assert_eq!(place.ok("ls dir:low etc"), "hosts\nmotd\n");
    assert_eq!(place.ok("ls dir:low /etc/motd"), "motd\n");
    assert_eq!(place.ok("ls dir:low /shell"), "shell\n");
    assert_eq!(place.ok("ls dir:low bin/../etc/"), "hosts\nmotd\n");
    let whole = "/\n/bin\n/bin/sh\n/etc\n/etc/hosts\n/etc/motd\n/shell\n/srv\n/srv/world\n";
    assert_eq!(place.ok(&format!("ls -R {STACK}")), whole);
    assert_eq!(place.ok("ls -R dir:low etc"), "/etc\n/etc/hosts\n/etc/motd\n");
}

#[test]
fn ls_l_prints_what_ls_l_prints() {
    let place = stack();
    let sh = place.path("low/bin/sh");
    fs::set_permissions(&sh, fs::Permissions::from_mode(0o6755)).unwrap();
    fs::hard_link(&sh, place.path("low/bin/bash")).unwrap();
    set_mtime(&place.path("low/bin"), -1, 0);
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let owner = format!("{uid:>5} {gid:>5}");
    let expected = format!(
        "drwxr-xr-x   2 {owner}          0 1969-12-31 23:59:59 /bin\n\
         -rwsr-sr-x   2 {owner}          2 2023-11-14 22:13:20 /bin/bash\n\
         -rwsr-sr-x   2 {owner}          2 2023-11-14 22:13:20 /bin/sh\n"
    );
    assert_eq!(place.ok("ls -lR dir:low bin"), expected);
    let link = place.ok("ls -l dir:low shell");
    assert!(link.starts_with("lrwxrwxrwx   1 ") && link.ends_with(" shell -> bin/sh\n"), "{link}");
}

/// Every kind of object, with all that a line of JSON can say.
#[test]
fn ls_json_says_all_there_is_in_one_form() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root, who is needed for devices, owners and attributes");
        return;
    }
    let place = Place::new();
    place.file("d/sub/x", "").file("d/sub-x", "after sub, before sub/x");
    place.file("d/file", "hello").file("d/zero", "");
    fs::File::create(place.path("d/holes")).unwrap().write_all_at(b"end", 299_997).unwrap();
    let odd = place.path(OsStr::from_bytes(b"d/% \xff\n~"));
    fs::write(&odd, "odd").unwrap();
    fs::hard_link(place.path("d/file"), place.path("d/link")).unwrap();
    symlink(OsStr::from_bytes(b"no where\xfe"), place.path("d/symlink")).unwrap();
    let make = |name: &str, kind: FileType, mode: u32, device: (u32, u32)| {
        let device = rustix::fs::makedev(device.0, device.1);
        let path = place.path(name);
        rustix::fs::mknodat(CWD, &path, kind, Mode::from_raw_mode(mode), device).unwrap();
        path
    };
    make("d/block", FileType::BlockDevice, 0, (8, 1));
    make("d/char", FileType::CharacterDevice, 0, (1, 3));
    make("d/fifo", FileType::Fifo, 0, (0, 0));
    make("d/socket", FileType::Socket, 0, (0, 0));
    place.settle();
    fs::set_permissions(place.path("d/file"), fs::Permissions::from_mode(0o4711)).unwrap();
    chown(place.path("d/zero"), Some(1000), Some(100)).unwrap();
    let set = |path: &str, name: &str, value: &[u8]| {
        rustix::fs::lsetxattr(place.path(path), name, value, XattrFlags::empty())
    };
    if let Err(errno) = set("d/symlink", "trusted.b c", b"\0\xff") {
        println!("skipped: no extended attributes here ({errno})");
        return;
    }
    set("d/symlink", "trusted.a", b"").unwrap();
    set("d", "trusted.dir", b"D").unwrap();
    for (path, secs, nanos) in [("d/holes", -1, 999_999_999), ("d/zero", 4_000_000_000, 7)] {
        set_mtime(&place.path(path), secs, nanos);
    }
    let expected = r#"
{"path":".","type":"dir","mode":"0755","uid":0,"gid":0,"mtime_ns":1700000000000000000,"xattrs":{"trusted.dir":"44"},"nlink":3,"ino":1,"layer":0}
{"path":"%25%20%FF%0A~","type":"reg","mode":"0644","uid":0,"gid":0,"size":3,"sha256":"990cb8ebd0afb7150da453a213036a92f2c05e091df0d803e62d257ea7796c27","mtime_ns":1700000000000000000,"xattrs":{},"nlink":1,"ino":2,"layer":0}
{"path":"block","type":"blk","mode":"0644","uid":0,"gid":0,"mtime_ns":1700000000000000000,"rdev":"8:1","xattrs":{},"nlink":1,"ino":3,"layer":0}
{"path":"char","type":"chr","mode":"0644","uid":0,"gid":0,"mtime_ns":1700000000000000000,"rdev":"1:3","xattrs":{},"nlink":1,"ino":4,"layer":0}
{"path":"fifo","type":"fifo","mode":"0644","uid":0,"gid":0,"mtime_ns":1700000000000000000,"xattrs":{},"nlink":1,"ino":5,"layer":0}
{"path":"file","type":"reg","mode":"4711","uid":0,"gid":0,"size":5,"sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","mtime_ns":1700000000000000000,"xattrs":{},"nlink":2,"ino":6,"layer":0}
{"path":"holes","type":"reg","mode":"0644","uid":0,"gid":0,"size":300000,"sha256":"149fe9204544621a9640dfa3d09baf2c274e865b3a5401ad1fc6d1770c96ca51","mtime_ns":-1,"xattrs":{},"nlink":1,"ino":7,"layer":0}
{"path":"link","type":"reg","mode":"4711","uid":0,"gid":0,"size":5,"sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","mtime_ns":1700000000000000000,"xattrs":{},"nlink":2,"ino":6,"layer":0}
{"path":"socket","type":"sock","mode":"0644","uid":0,"gid":0,"mtime_ns":1700000000000000000,"xattrs":{},"nlink":1,"ino":8,"layer":0}
{"path":"sub","type":"dir","mode":"0755","uid":0,"gid":0,"mtime_ns":1700000000000000000,"xattrs":{},"nlink":2,"ino":9,"layer":0}
{"path":"sub-x","type":"reg","mode":"0644","uid":0,"gid":0,"size":23,"sha256":"3b8b87ffa1f5ca58f2040a5b2f0850349160eafdf3cc282754e14dafbcf89849","mtime_ns":1700000000000000000,"xattrs":{},"nlink":1,"ino":11,"layer":0}
{"path":"sub/x","type":"reg","mode":"0644","uid":0,"gid":0,"size":0,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","mtime_ns":1700000000000000000,"xattrs":{},"nlink":1,"ino":10,"layer":0}
{"path":"symlink","target":"no%20where%FE","type":"sym","mode":"0777","uid":0,"gid":0,"mtime_ns":1700000000000000000,"xattrs":{"trusted.a":"","trusted.b%20c":"00ff"},"nlink":1,"ino":12,"layer":0}
{"path":"zero","type":"reg","mode":"0644","uid":1000,"gid":100,"size":0,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","mtime_ns":4000000000000000007,"xattrs":{},"nlink":1,"ino":13,"layer":0}
"#;
    assert_eq!(place.ok("ls -R --json dir:d"), expected.trim_start());
}

#[test]
fn ls_json_says_which_layer_provides_an_entry() {
    let place = stack();
    let lines = place.ok(&format!("ls -R --json {STACK}"));
    let field = |line: &str, name: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        value[name].to_string()
    };
    let found: Vec<_> =
        lines.lines().map(|line| field(line, "path") + " " + &field(line, "layer")).collect();
    let expected = [
        r#""." 1"#,
        r#""bin" 0"#,
        r#""bin/sh" 0"#,
        r#""etc" 1"#,
        r#""etc/hosts" 0"#,
        r#""etc/motd" 1"#,
        r#""shell" 0"#,
        r#""srv" 1"#,
        r#""srv/world" 1"#,
    ];
    assert_eq!(found, expected);
    let one = place.ok(&format!("ls --json {STACK} etc/motd"));
    assert_eq!(one.lines().count(), 1, "an object that is no directory is listed itself");
    assert_eq!(field(&one, "layer"), "1");
    assert_eq!(place.ok(&format!("ls --json {STACK} etc")).lines().count(), 2);
}

#[test]
fn ls_shows_nothing_that_a_terminal_would_obey() {
    let place = Place::new();
    place.file("d/\u{1b}[2J\nä", "").file(OsStr::from_bytes(b"d/\xff\\"), "");
    assert_eq!(place.ok("ls dir:d"), "\\u{1b}[2J\\nä\n\\xff\\\\\n");
}

#[test]
fn a_tree_of_many_levels_is_listed_to_its_end() {
    const DEPTH: usize = 600;
    let place = Place::new();
    let mut dir = place.path("d");
    fs::create_dir(&dir).unwrap();
    for _ in 0..DEPTH {
        // By a short name, because a path may have 4095 bytes only; given its long one afterwards, from below.
        dir.push("x");
        fs::create_dir(&dir).unwrap();
    }
    fs::write(dir.join("f"), "deep").unwrap();
    while dir.file_name() == Some(OsStr::new("x")) {
        fs::rename(&dir, dir.with_file_name("a-name-of-some-length")).unwrap();
        dir.pop();
    }
    let lines = place.ok("ls -R --json dir:d");
    assert_eq!(lines.lines().count(), DEPTH + 2);
    let deepest = lines.lines().last().unwrap();
    assert!(deepest.len() > 4095 * 2 && deepest.contains(r#""size":4,"sha256":""#), "{deepest}");
    assert!(place.ok("tree dir:d").contains("└── f"));
}

#[test]
fn cat_writes_the_bytes_of_files() {
    let place = stack();
    assert_eq!(place.ok(&format!("cat {STACK} etc/motd /etc/hosts shell")), "bye\nlocal\n#!");
    assert!(place.fails("cat dir:low nothing").contains(r#"open "nothing": no such file"#));
    assert!(place.fails("cat dir:low etc").contains("is a directory"));
}

#[test]
fn tree_draws_the_image_and_says_which_layer_provides_what() {
    let place = stack();
    let drawn = place.ok(&format!("tree {STACK}"));
    let expected = "\
/  [1]
├── bin  [0]
│   └── sh  [0]
├── etc  [1]
│   ├── hosts  [0]
│   └── motd  [1]
├── shell -> bin/sh  [0]
└── srv  [1]
    └── world  [1]

[0] layer 0 sha256:";
    assert!(drawn.starts_with(expected), "{drawn}");
    let flat = place.ok("tree --depth 1 --sizes dir:low etc");
    assert!(
        flat.starts_with("/etc  [0]\n├── hosts  (6 B)  [0]\n└── motd  (3 B)  [0]\n\n"),
        "{flat}"
    );
    assert!(place.ok("tree -d 0 dir:low").starts_with("/  [0]\n\n"));
}

#[test]
fn colours_show_where_they_are_wanted() {
    let place = stack();
    let is_plain = |text: &str| !text.contains('\x1b');
    assert!(is_plain(&place.ok("ls -l dir:low")), "no terminal");
    assert!(!is_plain(&place.ok("ls -l --color=always dir:low")));
    let coloured = place.ok(&format!("--color=always tree {STACK}"));
    assert!(
        coloured.contains("\x1b[32mmotd\x1b[0m") && !coloured.contains("motd  ["),
        "{coloured}"
    );
    let run = |variable: &str, option: &str| {
        let args = ["ls", "dir:low", option];
        let output = program().current_dir(place.path("")).args(args).env(variable, "1").output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert!(!is_plain(&run("CLICOLOR_FORCE", "--color=auto")), "asked for by the environment");
    assert!(is_plain(&run("NO_COLOR", "--color=auto")));
    assert!(is_plain(&run("CLICOLOR_FORCE", "--color=never")));
}

#[test]
fn diff_lists_what_changed_and_says_so_by_its_exit_code() {
    let place = stack();
    let same = place.ends(0, "diff dir:low dir:low");
    assert_eq!((&*same.out, &*same.err), ("", ""));
    let run = place.ends(1, &format!("diff dir:low {STACK}"));
    assert_eq!(run.out, "C /\nC /etc\nC /etc/motd\nA /srv\nA /srv/world\n");
    let back = place.ends(1, &format!("diff --json {STACK} dir:low"));
    let expected = r#"
{"kind":"C","path":"."}
{"kind":"C","path":"etc"}
{"kind":"C","path":"etc/motd"}
{"kind":"D","path":"srv"}
"#;
    assert_eq!(back.out, expected.trim_start());
    place.fails("diff dir:low dir:nothing");
}

#[test]
fn inspect_tells_what_layers_add_and_hide() {
    let place = stack();
    let text = place.ok(&format!("inspect {STACK}"));
    for line in [
        "  names      2 added, 3 changed, 0 removed",
        "  hides      3 B of layers below",
        "  hidden     3 B of its own",
        "wasted       3 B",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&place.ok(&format!("inspect --json {STACK}"))).unwrap();
    assert_eq!(json["wasted_bytes"], 3);
    assert_eq!(json["layers"].as_array().unwrap().len(), 2);
    assert_eq!((&json["layers"][0]["hidden"], &json["layers"][1]["hides"]), (&3.into(), &3.into()));
    assert_eq!(json["manifest_digest"], serde_json::Value::Null);
}

#[test]
fn overlay_takes_directories_for_those_of_overlayfs() {
    let place = stack();
    fs::remove_file(place.path("top/etc/motd")).unwrap();
    let whiteout = place.path("top/etc/motd");
    let made = rustix::fs::mknodat(CWD, &whiteout, FileType::CharacterDevice, Mode::empty(), 0);
    if let Err(errno) = made {
        println!("skipped: no devices can be made ({errno})");
        return;
    }
    assert_eq!(place.ok(&format!("ls {STACK} etc")), "hosts\nmotd\n");
    assert_eq!(place.ok(&format!("ls --overlay {STACK} etc")), "hosts\n");
}

#[test]
fn a_name_that_is_no_unicode_names_a_directory_too() {
    let place = Place::new();
    let name = OsStr::from_bytes(b"dir-\xff");
    fs::create_dir(place.path(name)).unwrap();
    fs::write(place.path(name).join("f"), "").unwrap();
    let image: OsString = [OsStr::new("dir:"), name].into_iter().collect();
    let run = run_in(&place.path(""), [OsStr::new("ls"), &image]);
    assert_eq!((run.code, &*run.out), (0, "f\n"), "{run:?}");
}
