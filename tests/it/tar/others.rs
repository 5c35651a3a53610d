//! Archives that other programs wrote of a real directory, and what `host::import` sees of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use stratafs::{EntryKind, FileType, Image, Layer, host, tar};

/// A directory with everything that archives have trouble with.
fn odd_directory(root: &Path) {
    let at = |path: &str| root.join(path);
    let long = ["n".repeat(90), "m".repeat(90), "o".repeat(200)].join("/");
    fs::create_dir_all(at(&long)).unwrap();
    fs::write(at(&format!("{long}/{}", "f".repeat(250))), "deep").unwrap();
    fs::create_dir(at("empty")).unwrap();
    fs::write(at("-rf"), "a name like an option").unwrap();
    fs::write(at("line\nbreak"), "").unwrap();
    fs::write(at("umlaut-ä"), "1").unwrap();
    fs::write(at("setuid"), "s").unwrap();
    fs::set_permissions(at("setuid"), fs::Permissions::from_mode(0o6711)).unwrap();
    fs::set_permissions(at("empty"), fs::Permissions::from_mode(0o1700)).unwrap();
    for name in ["one", "two"] {
        fs::hard_link(at("-rf"), at(name)).unwrap();
    }
    symlink("../elsewhere", at("link")).unwrap();
    symlink("t".repeat(180), at("long-link")).unwrap();
    fs::hard_link(at("link"), at("link-again")).unwrap();
    let mut sparse = fs::File::create(at("sparse")).unwrap();
    sparse.write_all(b"head").unwrap();
    sparse.set_len(1 << 20).unwrap();
    let made = Command::new("mkfifo").arg(at("fifo")).status();
    drop(made);
    let old = fs::File::options().write(true).open(at("one")).unwrap();
    // Python rounds towards 1970, so it is a whole second.
    old.set_modified(std::time::UNIX_EPOCH - std::time::Duration::from_secs(7)).unwrap();
}

/// What a layer shows, without what not every format has: for each path its type, mode, owner, time, contents or target,
/// and the first of its names.
fn shown(layer: Layer, nanoseconds: bool) -> BTreeMap<String, String> {
    let view = Image::from_layers([layer]).unwrap().view();
    let mut first = BTreeMap::new();
    let mut shown = BTreeMap::new();
    for entry in view.walk("/").unwrap() {
        let path = entry.unwrap().path().to_str().unwrap().to_owned();
        let found = view.symlink_metadata(&path).unwrap();
        let inside = match found.file_type() {
            FileType::File => stratafs::Digest::of(&view.read(&path).unwrap()).to_string(),
            FileType::Symlink => view.read_link(&path).unwrap().display().to_string(),
            _ => String::new(),
        };
        let named = first.entry(found.ino()).or_insert_with(|| path.clone());
        let nanos = if nanoseconds { found.modified().nanos() } else { 0 };
        let line = format!(
            "{:?} {:o} {}:{} {}.{nanos:09} {inside} {named}",
            found.file_type(),
            found.mode(),
            found.uid(),
            found.gid(),
            found.modified().secs(),
        );
        shown.insert(path, line);
    }
    shown
}

fn run(program: &str, args: &[&str], dir: &Path) -> Option<Vec<u8>> {
    let run = Command::new(program).args(args).current_dir(dir).stdin(Stdio::null()).output();
    match run {
        Ok(output) if output.status.success() => Some(output.stdout),
        Ok(output) => {
            println!("skipped: {program}: {}", String::from_utf8_lossy(&output.stderr));
            None
        }
        Err(error) => {
            println!("skipped: {program}: {error}");
            None
        }
    }
}

fn agrees(bytes: &[u8], dir: &Path, nanoseconds: bool, what: &str) {
    let read = tar::read_layer(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    let (read, real) = (shown(read, nanoseconds), shown(host::import(dir).unwrap(), nanoseconds));
    let paths: BTreeSet<_> = read.keys().chain(real.keys()).collect();
    let differ = |path: &&&String| read.get(**path) != real.get(**path);
    let faults: Vec<_> =
        paths.iter().filter(differ).map(|path| (path, read.get(*path), real.get(*path))).collect();
    assert!(faults.is_empty(), "{what}: read, real: {faults:#?}");
}

#[test]
fn archives_of_gnu_tar_agree_with_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    odd_directory(dir.path());
    for (format, nanoseconds) in [
        (&["--format=gnu"][..], false),
        (&["--format=gnu", "--sparse"], false),
        (&["--format=oldgnu", "--sparse"], false),
        (&["--format=posix"], true),
        (&["--format=posix", "--sparse", "--sparse-version=0.0"], true),
        (&["--format=posix", "--sparse", "--sparse-version=0.1"], true),
        (&["--format=posix", "--sparse", "--sparse-version=1.0"], true),
    ] {
        let args = [format, &["--numeric-owner", "-cf", "-", "."]].concat();
        if let Some(bytes) = run("tar", &args, dir.path()) {
            agrees(&bytes, dir.path(), nanoseconds, &format.join(" "));
        }
    }
}

#[test]
fn archives_of_python_agree_with_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    odd_directory(dir.path());
    // Python knows no hard links of symbolic links.
    fs::remove_file(dir.path().join("link-again")).unwrap();
    // Python's times are floats, so only GNU tar's nanoseconds are compared.
    for format in ["GNU", "PAX"] {
        let program = format!(
            "import sys, tarfile\n\
             tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.{format}_FORMAT).add('.')"
        );
        if let Some(bytes) = run("python3", &["-c", &program], dir.path()) {
            agrees(&bytes, dir.path(), false, format);
        }
    }
}

#[test]
fn ustar_archives_of_others_agree_with_a_directory_that_fits() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(90)).join("e".repeat(60));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("f".repeat(80)), "1").unwrap();
    symlink("f", deep.join("s")).unwrap();
    let python = "import sys, tarfile\n\
                  tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.USTAR_FORMAT).add('.')";
    for (program, args) in
        [("tar", &["--format=ustar", "-cf", "-", "."][..]), ("python3", &["-c", python])]
    {
        if let Some(bytes) = run(program, args, dir.path()) {
            agrees(&bytes, dir.path(), false, program);
        }
    }
}

#[test]
fn streams_of_gzip_and_zstd_programs_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let layer = Layer::from([("f", vec![7_u8; 3_000_000]), ("g", b"1".to_vec())]);
    let file = dir.path().join("layer.tar");
    tar::write_layer(&layer, fs::File::create(&file).unwrap()).unwrap();
    for (program, args) in [
        ("gzip", &["-9", "-c", "layer.tar"][..]),
        ("zstd", &["-19", "-c", "layer.tar"]),
        ("zstd", &["-3", "--no-check", "-c", "layer.tar"]),
        ("zstd", &["--long=24", "-c", "layer.tar"]),
    ] {
        if let Some(bytes) = run(program, args, dir.path()) {
            let read = tar::ReadOptions::new().read(&bytes[..]).unwrap();
            assert_eq!(read.diff_id, layer.diff_id().unwrap(), "{program} {args:?}");
        }
    }
}

#[test]
fn archives_written_here_are_read_by_others() {
    let dir = tempfile::tempdir().unwrap();
    let layer = Layer::builder()
        .file("/d/f", "1")
        .attrs(stratafs::Attrs::new().uid(3_000_000).modified(stratafs::Timestamp::new(-7, 500)))
        .hard_link("/d/f", "/l")
        .symlink("t".repeat(180), "/s")
        .file(format!("/{}", "n".repeat(200)), "2")
        .whiteout("/gone")
        .build()
        .unwrap();
    let file = dir.path().join("layer.tar");
    tar::write_layer(&layer, fs::File::create(&file).unwrap()).unwrap();
    let marks = |entry: &stratafs::LayerEntry| !matches!(entry.kind, EntryKind::Whiteout);
    let ours: Vec<_> = layer
        .entries()
        .filter(marks)
        .map(|entry| entry.path.to_str().unwrap()[1..].to_owned())
        .collect();
    let python = "import tarfile\n\
                  print('\\0'.join(m.name for m in tarfile.open('layer.tar') if '.wh.' not in m.name), end='')";
    if let Some(names) = run("python3", &["-c", python], dir.path()) {
        let mut names: Vec<_> =
            String::from_utf8(names).unwrap().split('\0').map(str::to_owned).collect();
        names.sort();
        let mut ours = ours.clone();
        ours.sort();
        assert_eq!(names, ours);
    }
    if let Some(names) = run("tar", &["-tf", "layer.tar", "--exclude=*.wh.*"], dir.path()) {
        assert_eq!(String::from_utf8(names).unwrap().lines().count(), ours.len());
    }
}
