//! Importing a layer by inflating it: how much longer it takes to also hash it twice, write it to a disk and parse it.
//!
//! `cargo bench --bench import`. The layer is some 300 MiB of this machine's `/usr`, by GNU tar.
#![allow(clippy::print_stdout, reason = "it prints a table")]

mod common;

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use common::measure::{Must, Table, nanos, rounds, shown};
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use stratafs::{Source, tar};

const BYTES: u64 = 300 << 20;
const ROUNDS: usize = 7;

fn main() {
    let mut table = Table::default();
    table.head();
    let dir = tempfile::tempdir().expect("because there is room for temporary files");
    match archive(dir.path()) {
        Some(archive) => {
            speed(&mut table, &archive, dir.path());
            memory(&mut table, &archive, dir.path());
        }
        None => table.skip("import", "there is no GNU tar"),
    }
    table.foot();
}

/// Files of `/usr` in the order of their names, until they are enough.
fn archive(dir: &Path) -> Option<PathBuf> {
    let (mut files, mut below, mut bytes) = (Vec::new(), vec![PathBuf::from("/usr")], 0);
    while let Some(path) = below.pop().filter(|_| bytes < BYTES) {
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if found.is_dir() {
            let mut inside: Vec<_> = fs::read_dir(&path)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .collect();
            inside.sort_by(|a, b| b.cmp(a));
            below.extend(inside);
        }
        bytes += if found.is_file() { found.size() } else { 0 };
        files.push(path);
    }
    let path = dir.join("layer.tar");
    let mut child = Command::new("tar")
        .args(["--no-recursion", "--null", "-P", "-T", "-", "-cf"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let list: Vec<u8> = files
        .iter()
        .flat_map(|path| [path.as_os_str().as_encoded_bytes(), b"\0"].concat())
        .collect();
    child.stdin.take()?.write_all(&list).ok()?;
    child.wait().ok()?;
    Some(path)
}

/// The same, compressed by level 6, as most layers are.
fn compressed(archive: &Path, copies: usize) -> PathBuf {
    let path = archive.with_extension(format!("{copies}.gz"));
    let file = File::create(&path).expect("because there is room");
    let mut gzip = GzEncoder::new(file, flate2::Compression::new(6));
    let read = fs::read(archive).expect("because it was written");
    let end = read.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for _ in 0..copies {
        gzip.write_all(&read[..end.next_multiple_of(512)]).expect("because there is room");
    }
    gzip.finish().expect("because there is room");
    path
}

/// The uncompressed archive, as a store keeps it.
#[derive(Debug)]
struct Kept(File);

impl Source for Kept {
    fn len(&self) -> u64 {
        self.0.metadata().map_or(0, |found| found.len())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }
}

/// A store writes to a new file.
fn import(stream: &Path, out: &Path) -> (tar::ReadLayer, f64) {
    drop(fs::remove_file(out));
    let start = Instant::now();
    let mut file = File::create(out).expect("because there is room");
    let kept = Arc::new(Kept(File::open(out).expect("because it was made")));
    let stream = File::open(stream).expect("because it was written");
    let read = tar::ReadOptions::new().unpack(stream, &mut file, kept).expect("because it is good");
    (read, nanos(start.elapsed()))
}

fn inflate(stream: &Path) -> u64 {
    let file = File::open(stream).expect("because it was written");
    let mut gzip = MultiGzDecoder::new(BufReader::with_capacity(256 << 10, file));
    let mut buf = vec![0; 256 << 10];
    let mut len = 0;
    loop {
        match gzip.read(&mut buf).expect("because it is good") {
            0 => return len,
            read => len += read as u64,
        }
    }
}

fn timed<T>(act: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    black_box(act());
    nanos(start.elapsed())
}

fn speed(table: &mut Table, archive: &Path, dir: &Path) {
    let gzip = compressed(archive, 1);
    let out = dir.join("out.tar");
    let len = inflate(&gzip);
    let rounds = rounds(
        ROUNDS,
        [&mut || timed(|| inflate(&gzip)), &mut || import(&gzip, &out).1, &mut || {
            import(archive, &out).1
        }],
    );
    let of = |rival| format!("{} for {} MiB", shown(rounds.median(rival)), len >> 20);
    let ratio = rounds.ratio(0, 1);
    let percent =
        common::measure::Figure { median: 100.0 * ratio.median, best: 100.0 * ratio.best };
    let times = format!("{}; inflating alone {}", of(1), of(0));
    table.row(
        "import of a gzip layer, by inflating alone",
        Must::AtLeast(85.0),
        "%",
        percent,
        &times,
    );
    let rate = len as f64 / f64::from(1 << 20) / (rounds.median(2) / 1e9);
    table.note("import of a plain layer", "MiB/s", rate, &of(2));
}

fn memory(table: &mut Table, archive: &Path, dir: &Path) {
    let gzip = compressed(archive, 4);
    let peak = |reset: bool| {
        if reset {
            fs::write("/proc/self/clear_refs", "5").ok()?;
        }
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.parse::<f64>().ok()
    };
    peak(true);
    let (read, _) = import(&gzip, &dir.join("out.tar"));
    match peak(false) {
        Some(kib) => table.row(
            "memory at most, while a large layer is imported",
            Must::AtMost(200.0),
            "MiB",
            kib / 1024.0,
            &format!("{} MiB, {} entries", read.len >> 20, read.layer.len()),
        ),
        None => table.skip("memory", "this is not Linux"),
    }
}
