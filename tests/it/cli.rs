//! The program `stratafs`: what it prints, what it answers, how it ends.
#![cfg(all(feature = "cli", unix))]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use tempfile::TempDir;

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_stratafs"));
    program.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env_remove("SOURCE_DATE_EPOCH");
    program
}

/// What a run came to.
#[derive(Debug)]
struct Run {
    code: i32,
    out: String,
    err: String,
}

fn run_in<S: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = S>) -> Run {
    let output = program().current_dir(dir).args(args).output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A place with directories to make images of.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(path)
    }

    fn file(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
        self
    }

    /// Mode, owner and time of all there is, so that a listing is the same everywhere.
    fn settle(&self) -> &Self {
        let mut below = vec![self.path("")];
        while let Some(path) = below.pop() {
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                below.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            if !metadata.is_symlink() {
                let mode = if metadata.is_dir() { 0o755 } else { 0o644 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
            set_mtime(&path, 1_700_000_000, 0);
        }
        self
    }

    /// Runs with exit code 0 and nothing on standard error, and gives what was printed.
    fn ok(&self, line: &str) -> String {
        let run = self.run(line);
        assert_eq!((run.code, &*run.err), (0, ""), "{line}");
        run.out
    }

    /// Runs with this exit code.
    fn ends(&self, code: i32, line: &str) -> Run {
        let run = self.run(line);
        assert_eq!(run.code, code, "{line}: {run:?}");
        run
    }

    /// Runs with exit code 2, nothing printed, and one line of what is wrong, maybe one more of what to do.
    fn fails(&self, line: &str) -> String {
        let run = self.ends(2, line);
        assert_eq!(run.out, "", "{line}");
        let lines: Vec<_> = run.err.lines().collect();
        let well_formed = match lines[..] {
            [error] => error.starts_with("stratafs: "),
            [error, hint] => error.starts_with("stratafs: ") && hint.starts_with("hint: "),
            _ => false,
        };
        assert!(well_formed, "{line}: {}", run.err);
        run.err
    }

    fn run(&self, line: &str) -> Run {
        run_in(self.dir.path(), line.split_whitespace())
    }
}

fn set_mtime(path: &Path, secs: i64, nanos: i64) {
    let time = Timespec { tv_sec: secs, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Two directories, one to lay over the other.
fn stack() -> Place {
    let place = Place::new();
    place.file("low/etc/motd", "hi\n").file("low/etc/hosts", "local\n").file("low/bin/sh", "#!");
    place.file("top/etc/motd", "bye\n").file("top/srv/world", "new");
    symlink("bin/sh", place.path("low/shell")).unwrap();
    place.settle();
    place
}

const STACK: &str = "dir:top,dir:low";

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
fn what_is_no_image_is_one_line_that_says_what_one_is() {
    let place = stack();
    for (line, expected) in [
        ("ls", "required arguments were not provided"),
        ("ls low", "did you mean dir:low or oci:low?"),
        ("ls docker:low", "an image is oci:DIR[:TAG]"),
        ("ls dir:", "nothing follows the `:`"),
        ("ls dir:nothing", r#"import "nothing": no such file or directory"#),
        ("ls dir:low/bin/sh", r#"import "low/bin/sh": not a directory"#),
        ("ls dir:low /nothing", r#""/nothing": no such file or directory"#),
        ("ls oci:low:-", "`-` is no tag"),
        ("ls oci:low --platform=x", "OS/ARCHITECTURE[/VARIANT]"),
        ("list dir:low", "only a layout will do: oci:DIR"),
        ("gc oci:low:v1", "the whole layout is meant: oci:DIR, no tag"),
        ("untag oci:low", "which tag?"),
        ("commit --add low dir:low oci:new", "it is HOSTDIR=/PATH"),
        ("commit --owner root dir:low oci:new", "two numbers, UID:GID"),
        ("commit --created today dir:low oci:new", "is no time"),
        ("frobnicate", "unrecognized subcommand 'frobnicate'"),
        ("ls --frobnicate dir:low", "unexpected argument '--frobnicate'"),
        ("", "no command was given"),
    ] {
        let error = place.fails(line);
        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn what_cannot_be_read_is_one_line_with_its_path() {
    use std::os::unix::process::CommandExt;

    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root, who is needed to become somebody else");
        return;
    }
    let place = stack();
    let secret = place.path("low/etc/hosts");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let mut program = program();
    program.uid(65_534).gid(65_534).current_dir(place.path("")).args(["ls", "dir:low"]);
    // Where not everybody may run what was built, there is nothing to see.
    let Ok(output) = program.output() else { return };
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(error, "stratafs: import \"low/etc/hosts\": permission denied\n");
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
fn a_reader_that_has_enough_ends_it_quietly() {
    let place = Place::new();
    for number in 0..3_000 {
        place.file(format!("d/a-name-that-takes-some-room-{number}"), "");
    }
    let mut program = program();
    program.current_dir(place.path("")).args(["ls", "--json", "dir:d"]);
    let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with(r#"{"path":"a-name"#), "{first}");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
}

#[test]
fn output_that_cannot_be_written_is_trouble() {
    let Ok(full) = fs::File::options().write(true).open("/dev/full") else { return };
    let place = stack();
    let mut program = program();
    let output = program.current_dir(place.path("")).args(["ls", "dir:low"]).stdout(full).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.starts_with(b"stratafs: write the output: "));
}

#[test]
fn completions_and_manual_pages_are_there() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(place.ok(&format!("completions {shell}")).contains("inspect"), "{shell}");
    }
    assert!(place.ok("man").contains(".TH stratafs 1"));
    fs::create_dir(place.path("man")).unwrap();
    assert_eq!(place.ok("man man"), "");
    let page = fs::read_to_string(place.path("man/stratafs-ls.1")).unwrap();
    assert!(page.contains("recursive"));
    assert!(place.fails("man nothing").contains("nothing: "));
}

#[test]
fn help_and_version_go_to_standard_output() {
    let place = Place::new();
    let commands = [
        "ls",
        "cat",
        "tree",
        "inspect",
        "diff",
        "verify",
        "copy",
        "squash",
        "commit",
        "tag",
        "untag",
        "list",
        "gc",
        "usage",
        "completions",
        "man",
    ];
    let help = place.ok("--help");
    for command in commands {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command}");
        assert!(!place.ok(&format!("help {command}")).is_empty());
    }
    assert_eq!(place.ok("--version"), format!("stratafs {}\n", env!("CARGO_PKG_VERSION")));
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

/// The stack in a layout `store`, as `app:1`.
fn stored() -> (Place, String) {
    let place = stack();
    let digest = place.ok(&format!("copy {STACK} oci:store:app:1"));
    assert!(digest.starts_with("sha256:") && digest.lines().count() == 1, "{digest}");
    (place, digest.trim_end().to_owned())
}

#[test]
fn an_image_of_a_layout_is_read_as_directories_are() {
    let (place, digest) = stored();
    assert_eq!(place.ok("ls oci:store:app:1"), "bin\netc\nshell\nsrv\n");
    let by_digest = format!("ls -R --json oci:store:{digest}");
    assert_eq!(place.ok(&by_digest), place.ok(&format!("ls -R --json {STACK}")));
    assert_eq!(place.ok("cat oci:store etc/motd"), "bye\n", "the only image needs no name");
    assert_eq!(place.ends(0, &format!("diff oci:store {STACK}")).out, "");
    assert!(place.ok("tree oci:store etc").contains("├── hosts  [0]\n└── motd  [1]\n"));
}

#[test]
fn names_of_a_layout_are_listed_given_and_taken_away() {
    let (place, digest) = stored();
    assert_eq!(place.ok("list oci:store"), format!("app:1                {digest}\n"));
    assert_eq!(place.ok("tag oci:store:app:1 app:stable"), "");
    let lines = place.ok("list --json oci:store");
    let tags: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["tag"].clone())
        .collect();
    assert_eq!(tags, ["app:1", "app:stable"]);
    assert_eq!(place.ok("untag oci:store:app:1"), "");
    assert_eq!(place.ok("list oci:store"), format!("app:stable           {digest}\n"));
    let error = place.fails("untag oci:store:app:1");
    assert!(error.contains("app:1"), "{error}");
    assert!(place.fails("tag oci:store:nothing new").contains("nothing"));
}

#[test]
fn an_image_that_is_not_there_is_one_line_with_a_hint() {
    let (place, _) = stored();
    let error = place.fails("ls oci:store:app:2");
    assert!(
        error.contains("app:2") && error.contains("hint: `stratafs list oci:store`"),
        "{error}"
    );
    for line in ["ls oci:low", "verify oci:low", "list oci:nothing", "gc oci:low"] {
        let error = place.fails(line);
        assert!(error.contains("stratafs: open layout"), "{line}: {error}");
    }
    assert!(place.fails("copy dir:low oci:top").contains("holds something else"));
    assert!(place.fails("ls oci-archive:low/bin/sh").contains("low/bin/sh"));
    assert!(place.fails("ls docker-archive:nothing").contains("nothing"));
    assert!(place.fails("ls --platform plan9/mips oci:store:app:2").contains("app:2"));
}

#[test]
fn copies_between_layouts_and_archives_keep_the_digest() {
    let (place, digest) = stored();
    let digest = digest + "\n";
    assert_eq!(place.ok("copy oci:store:app:1 oci:other:x"), digest);
    assert_eq!(place.ok("copy oci:other:x oci-archive:x.tar:y"), digest);
    assert_eq!(place.ok("copy oci-archive:x.tar:y oci:third"), digest);
    assert!(place.ok("list oci:third").starts_with("latest "), "the tag that there is without one");
    assert_eq!(place.ok("copy oci-archive:x.tar oci-archive:z.tar"), digest);
    assert_eq!(place.ok("cat oci-archive:z.tar etc/motd"), "bye\n");
    assert_eq!(place.ok("copy oci:store:app:1 docker-archive:d.tar:app:1"), "");
    assert_eq!(place.ok("cat docker-archive:d.tar:app:1 srv/world"), "new");
    let image = |name: &str| {
        let json = place.ok(&format!("inspect --json {name}"));
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        (value["layers"][0]["diff_id"].clone(), value["layers"][1]["diff_id"].clone())
    };
    assert_eq!(image("docker-archive:d.tar"), image("oci:store:app:1"));
}

#[test]
fn layers_are_compressed_on_request() {
    let place = stack();
    for how in ["gzip", "zstd"] {
        let line = format!("copy --compression {how} dir:low oci:{how}");
        place.ok(&line);
        let json = place.ok(&format!("inspect --json oci:{how}"));
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let layer = &value["layers"][0];
        assert!(layer["media_type"].as_str().unwrap().ends_with(&format!("+{how}")), "{layer}");
        assert!(layer["size"].as_u64() < layer["archive_size"].as_u64(), "{layer}");
        assert_eq!(place.ok(&format!("cat oci:{how} etc/motd")), "hi\n");
    }
}

#[test]
fn squash_makes_one_layer_that_shows_the_same() {
    let (place, _) = stored();
    let digest = place.ok("squash oci:store:app:1 oci:store:app:flat");
    assert_eq!(place.ok("squash oci:store:app:1 oci:store:app:flat"), digest);
    assert_eq!(place.ok("diff oci:store:app:1 oci:store:app:flat"), "");
    let text = place.ok("inspect oci:store:app:flat");
    assert!(text.contains("layer 0 ") && !text.contains("layer 1 "), "{text}");
    assert!(text.contains("wasted       0 B"), "{text}");
}

#[test]
fn commit_adds_one_layer_with_what_really_changed() {
    let (place, _) = stored();
    place.file("new/motd", "changed\n").file("new/hosts", "local\n").file("new/extra/x", "x");
    place.settle();
    let line = "commit --add new=/etc --remove /srv --remove shell oci:store:app:1 oci:store:app:2";
    let digest = place.ok(line);
    assert_eq!(place.ok(line), digest, "the same commit twice gives the same digest");
    let changes = place.ends(1, "diff oci:store:app:1 oci:store:app:2").out;
    let expected = "C /\nC /etc\nA /etc/extra\nA /etc/extra/x\nC /etc/motd\nD /shell\nD /srv\n";
    assert_eq!(changes.replace("C /\n", ""), expected.replace("C /\n", ""));
    let text = place.ok("inspect oci:store:app:2");
    assert!(text.contains("layer 2 ") && !text.contains("layer 3 "), "{text}");
    assert!(text.contains("created by stratafs commit --remove /srv --remove shell --add /etc\n"));
    assert!(text.contains("  created    2023-11-14T22:13:20Z\n"), "the newest of what was added");
    assert!(!text.contains("new=") && !text.contains("/tmp"), "nothing of this machine: {text}");
    let again = "commit --add new=/etc oci:store:app:2 oci:store:app:3";
    assert_eq!(place.ok(again), digest, "what is there already is no layer");
}

#[test]
fn commit_writes_down_when_it_was_made() {
    let (place, _) = stored();
    place.file("new/x", "x").settle();
    let created = |name: &str| {
        let json = place.ok(&format!("inspect --json oci:store:{name}"));
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        value["created"].as_str().unwrap().to_owned()
    };
    place.ok("commit --created 2020-02-29T12:00:00+01:00 --add new=/n oci:store:app:1 oci:store:a");
    assert_eq!(created("a"), "2020-02-29T11:00:00Z");
    let mut program = program();
    let args = ["commit", "--add", "new=/n", "oci:store:app:1", "oci:store:b"];
    program.current_dir(place.path("")).args(args).env("SOURCE_DATE_EPOCH", "86400");
    assert!(program.output().unwrap().status.success());
    assert_eq!(created("b"), "1970-01-02T00:00:00Z");
    let output = program.env("SOURCE_DATE_EPOCH", "soon").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.starts_with(b"stratafs: SOURCE_DATE_EPOCH: `soon` is no time"));
}

#[test]
fn commit_changes_how_the_image_is_run() {
    let (place, _) = stored();
    let line = "commit --env A=1 --env B=2 --entrypoint /bin/sh --entrypoint -c --cmd run \
                --label team=blue --user 7:8 --workdir /srv oci:store:app:1 oci:store:run";
    place.ok(line);
    place.ok("commit --env A=3 --label team=red oci:store:run oci:store:run");
    let json = place.ok("inspect --json oci:store:run");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let config = &value["config"];
    assert_eq!(config["env"], serde_json::json!(["A=3", "B=2"]));
    assert_eq!(config["entrypoint"], serde_json::json!(["/bin/sh", "-c"]));
    assert_eq!(config["cmd"], serde_json::json!(["run"]));
    assert_eq!(config["labels"], serde_json::json!({ "team": "red" }));
    assert_eq!((&config["user"], &config["working_dir"]), (&"7:8".into(), &"/srv".into()));
    assert_eq!(value["layers"].as_array().unwrap().len(), 2, "no file changed, so no layer");
    let same = place.ok("commit --env A=3 oci:store:run oci:store:run");
    assert_eq!(
        place.ok("list oci:store").lines().last(),
        Some(&*format!("run                  {}", same.trim_end()))
    );
}

#[test]
fn commit_gives_what_is_added_to_an_owner_on_request() {
    let (place, _) = stored();
    place.file("new/x", "x").settle();
    place.ok("commit --owner 1000:100 --add new=/deep/down oci:store:app:1 oci:store:o");
    let line = place.ok("ls -l oci:store:o deep/down/x");
    assert!(line.contains("  1000   100 "), "{line}");
    let error = place.fails("commit --remove /nothing oci:store:app:1 oci:store:o");
    assert!(error.contains("only what the image shows can be removed"), "{error}");
}

#[test]
fn verify_lists_every_fault_and_ends_with_1() {
    let (place, digest) = stored();
    let run = place.ends(0, "verify oci:store");
    assert_eq!((&*run.out, &*run.err), ("", ""));
    let blob = place.path("store/blobs/sha256").join(digest.trim_start_matches("sha256:"));
    let mut bytes = fs::read(&blob).unwrap();
    bytes[0] ^= 1;
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&blob, bytes).unwrap();
    let run = place.ends(1, "verify oci:store");
    assert!(run.out.contains(digest.trim_start_matches("sha256:")), "{}", run.out);
    let json = place.ends(1, "verify --json oci:store").out;
    let fault: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert!(fault["kind"].is_string() && fault["message"].is_string(), "{fault}");
    assert_eq!(json.lines().count(), run.out.lines().count());
}

#[test]
fn gc_removes_what_no_image_needs() {
    let (place, _) = stored();
    place.file("low/large", vec![7; 100_000]).ok("copy dir:low oci:store:b");
    assert_eq!(place.ok("gc --dry-run oci:store"), "would remove 0 files, 0 B\n");
    place.ok("untag oci:store:b");
    let foreseen = place.ok("gc --dry-run oci:store");
    assert!(foreseen.trim_end().ends_with(" KiB"), "{foreseen}");
    assert_eq!(place.ok("gc oci:store"), foreseen.replace("would remove", "removed"));
    assert_eq!(place.ok("gc oci:store"), "removed 0 files, 0 B\n");
    assert_eq!(place.ok("verify oci:store"), "");
}

#[test]
fn usage_tells_what_sharing_saves() {
    let (place, _) = stored();
    place.file("new/x", "x").settle();
    place.ok("commit --add new=/n oci:store:app:1 oci:store:app:2");
    let text = place.ok("usage oci:store");
    assert!(text.contains("images                       2\n"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&place.ok("usage --json oci:store")).unwrap();
    assert!(json["unshared_bytes"].as_u64() > json["bytes"].as_u64(), "{json}");
}

/// Every `console` block of `docs/cli.md`, one after the other in one directory: what it shows is what there is.
#[test]
fn what_the_documentation_shows_is_what_the_program_prints() {
    if !rustix::process::geteuid().is_root() || cfg!(not(target_arch = "x86_64")) {
        println!("skipped: the listings are those of root, the platform is linux/amd64");
        return;
    }
    let place = Place::new();
    let text = include_str!("../../docs/cli.md");
    let blocks = text.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut printed = String::new();
    for line in blocks.clone().flat_map(str::lines) {
        let Some(command) = line.strip_prefix("$ ") else { continue };
        printed.push_str(&format!("{line}\n{}", shell(&place.path(""), command)));
    }
    let shown: String = blocks.collect();
    let differs = shown.lines().zip(printed.lines()).find(|(shown, printed)| shown != printed);
    assert_eq!(differs, None, "shown, printed");
    assert_eq!(shown.lines().count(), printed.lines().count());
    assert!(shown.lines().count() > 50);
}

/// What a line of shell prints on both outputs.
fn shell(dir: &Path, command: &str) -> String {
    let here = Path::new(env!("CARGO_BIN_EXE_stratafs")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path =
        std::env::join_paths([here.to_owned()].into_iter().chain(std::env::split_paths(&path)));
    let mut shell = Command::new("sh");
    shell
        .current_dir(dir)
        .env("PATH", path.unwrap())
        .args(["-c", &format!("umask 022; {command}")]);
    for variable in ["NO_COLOR", "CLICOLOR_FORCE", "SOURCE_DATE_EPOCH"] {
        shell.env_remove(variable);
    }
    let output = shell.output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn an_image_is_written_to_a_directory_and_read_back() {
    let (place, _) = stored();
    assert_eq!(place.ok("copy oci:store:app:1 dir:out"), "");
    assert_eq!(fs::read(place.path("out/etc/motd")).unwrap(), b"bye\n");
    assert_eq!(place.ok("diff oci:store:app:1 dir:out"), "");
    assert!(place.fails("copy oci:store:app:1 dir:out").contains("hint: --replace"));
    place.file("out/more", "");
    assert_eq!(place.ok("copy --replace oci:store:app:1 dir:out"), "");
    assert!(place.path("out/more").exists(), "what only the directory has stays");
    let error = place.fails("copy oci:store:app:1 dir:a,dir:b");
    assert!(error.contains("an image is written to one directory"), "{error}");
    assert_eq!(place.ok("squash dir:top,dir:low dir:flat"), "");
    assert_eq!(place.ok("diff oci:store dir:flat"), "");
}

#[test]
fn what_could_be_used_against_the_host_is_refused_unless_asked_for() {
    let place = Place::new();
    place.file("d/su", "#!").settle();
    fs::set_permissions(place.path("d/su"), fs::Permissions::from_mode(0o4755)).unwrap();
    let error = place.fails("copy dir:d dir:out");
    assert!(
        error.contains("su") && error.contains("hint: --devices=skip, --set-ids=strip"),
        "{error}"
    );
    assert!(!place.path("out").exists());
    let run = place.ends(0, "copy --set-ids strip dir:d dir:out");
    assert!(
        run.err.starts_with("stratafs: note: export \"out/su\"") && run.err.lines().count() == 1,
        "{run:?}"
    );
    let mode = |path: &str| fs::metadata(place.path(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("out/su"), 0o755);
    assert_eq!(place.ends(0, "--quiet copy --set-ids strip dir:d dir:quiet").err, "");
    place.ok("copy --set-ids keep dir:d dir:kept");
    assert_eq!(mode("kept/su"), 0o4755);
}
