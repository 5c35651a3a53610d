//! How a command ends that cannot do what it was asked to.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use super::{Place, program, stack, stored};

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
