//! The store: how long an image takes to open, and what taking a layer apart takes, in one run.
//!
//! `cargo bench --all-features --bench store`. Rivals run in turn, and ratios are medians over the rounds.
#![allow(clippy::print_stdout, reason = "it prints a table")]

mod common;

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Command;

use common::measure::{Figure, Must, Table, nanos, rounds, shown, time};
use stratafs::oci::{Layout, StoreOptions};
use stratafs::tar::Compression;
use stratafs::{Image, Layer};

const FILES: usize = 100_000;
const LAYERS: usize = 4;
/// The uncompressed length of the large layer.
const LARGE: usize = 1 << 30;
/// A process of its own measures the memory that a load takes at most.
const CHILD: &str = "STRATAFS_BENCH_LOAD";

fn main() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return load_and_report(Path::new(&dir));
    }
    let mut table = Table::default();
    table.head();
    opening(&mut table);
    taking_apart(&mut table);
    table.foot();
}

/// An image that was loaded before: its tables of contents are there.
fn opening(table: &mut Table) {
    let dir = tempfile::tempdir().expect("a place for a store");
    let store = Layout::create(dir.path()).expect("a store");
    let (paths, contents) = (common::paths(FILES), common::contents(FILES));
    let image = common::image(&paths, &contents, LAYERS);
    StoreOptions::new().compression(Compression::Gzip).store(&store, &image, "x").expect("stored");
    let first = time(1, || drop(store.load("x").expect("the first load takes the layers apart")));
    let times: Vec<f64> = (0..15)
        .map(|_| {
            let mut loaded = None;
            let taken = time(1, || loaded = Some(store.load("x").expect("an image")));
            // Dropping a hundred thousand objects is not opening them.
            drop(loaded);
            taken
        })
        .collect();
    let figure = Figure::of(&times, 1e6);
    let beside = format!("the first time {}", shown(first));
    table.row("open a stored image of 100,000 files", Must::AtMost(50.0), "ms", figure, &beside);
}

/// A layer of a gibibyte that is taken apart: inflated, hashed, written and parsed, against inflating alone.
fn taking_apart(table: &mut Table) {
    let dir = tempfile::tempdir().expect("a place for a store");
    let store = Layout::create(dir.path()).expect("a store");
    let options = StoreOptions::new().compression(Compression::Gzip);
    let stored = options.store(&store, &large(), "x").expect("stored");
    let blob = dir.path().join("blobs/sha256").join(&stored.new_layers[0].digest.to_string()[7..]);
    let mut inflate = || {
        let mut blob = flate2::bufread::MultiGzDecoder::new(io::BufReader::with_capacity(
            1 << 18,
            File::open(&blob).expect("the blob"),
        ));
        time(1, || _ = io::copy(&mut blob, &mut io::sink()).expect("gzip"))
    };
    let mut load = || {
        let _ = std::fs::remove_dir_all(dir.path().join("stratafs"));
        let start = std::time::Instant::now();
        let loaded = store.load("x").expect("an image");
        let taken = nanos(start.elapsed());
        drop(loaded);
        taken
    };
    let times = rounds(5, [&mut inflate, &mut load]);
    let beside = format!("{} and {}", shown(times.median(0)), shown(times.median(1)));
    let ratio = times.ratio(0, 1);
    let figure = Figure { median: ratio.median, best: ratio.best };
    table.row(
        "take a gzip layer of 1 GiB apart",
        Must::AtLeast(0.85),
        "of inflating",
        figure,
        &beside,
    );
    let _ = std::fs::remove_dir_all(dir.path().join("stratafs"));
    match peak_of_a_load(dir.path()) {
        Some(mebibytes) => {
            table.row(
                "memory of that, at most",
                Must::AtMost(200.0),
                "MiB",
                mebibytes,
                "peak of a process",
            );
        }
        None => table.skip("memory of that, at most", "the kernel does not say"),
    }
}

/// Text of some redundancy: it shrinks to about a third, as programs and their data do.
fn large() -> Image {
    let mut random = common::Random::new(7);
    let words: Vec<String> = (0..4096).map(|_| format!("{:x} ", random.below(1 << 40))).collect();
    let layer = (0..64).fold(Layer::builder(), |layer, file| {
        let mut text = String::with_capacity(LARGE / 64 + 16);
        while text.len() < LARGE / 64 {
            text.push_str(&words[random.below(words.len())]);
        }
        layer.file(format!("/srv/{file:02}"), text)
    });
    Image::from_layers([layer.build().expect("a layer")]).expect("an image")
}

fn load_and_report(dir: &Path) {
    Layout::open(dir).and_then(|store| store.load("x")).expect("an image");
    println!("{}", peak().unwrap_or(0.0));
}

fn peak_of_a_load(dir: &Path) -> Option<f64> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new(program).env(CHILD, dir).output().ok()?;
    let peak: f64 = String::from_utf8(output.stdout).ok()?.trim().parse().ok()?;
    (peak > 0.0).then_some(peak)
}

/// The most memory that this process had at a time, in MiB.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}
