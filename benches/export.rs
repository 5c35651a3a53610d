//! Exporting a view of 20,000 files into a directory, against `cp -a` of the same tree on the same filesystem.
//!
//! `cargo bench --bench export` measures in memory, `cargo bench --bench export -- /some/dir` there.
#![allow(clippy::print_stdout, reason = "it prints a table")]

mod common;

use std::process::Command;

use common::Random;
use common::measure::{Must, Table, rounds, shown, time};
use stratafs::host::{self, ExportOptions};
use stratafs::{Attrs, Image, Layer, Timestamp, View};

const FILES: usize = 20_000;
const PER_DIR: usize = 20;
const ROUNDS: usize = 7;

fn main() {
    let mut places: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if places.is_empty() {
        places.push("/dev/shm".into());
    }
    let view = tree();
    let mut table = Table::default();
    table.head();
    for place in places {
        against_cp(&mut table, &place, &view);
    }
    table.foot();
}

/// Files of all sizes, most of them small, with modes and times as in a distribution.
fn tree() -> View {
    let mut random = Random::new(5);
    let mut layer = Layer::builder();
    for number in 0..FILES {
        let len = match random.below(100) {
            0..60 => random.below(4 << 10),
            60..90 => random.below(32 << 10),
            90..99 => random.below(128 << 10),
            _ => random.below(1 << 20),
        };
        let attrs = Attrs::new()
            .mode([0o644, 0o755, 0o444, 0o600][random.below(4)])
            .modified(Timestamp::new(1_600_000_000 + number.cast_signed() as i64, 123_456_789));
        let path = format!("/usr/d{}/e{}/f{number}", number / PER_DIR / 30, number / PER_DIR);
        layer = layer.file(path, vec![number as u8; len]).attrs(attrs);
    }
    let image = Image::from_layers([layer.build().expect("because the paths are good")]);
    image.expect("because the layer is good").view()
}

fn against_cp(table: &mut Table, place: &str, view: &View) {
    let operation = format!("export of 20,000 files, {place}");
    let Ok(dir) = tempfile::tempdir_in(place) else {
        return table.skip(&operation, "no directory can be made there");
    };
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let options = || ExportOptions::new().owners(host::OwnerPolicy::Own);
    options().export(view, &from).expect("because there is room").differences.clear();
    let cleared = || {
        if to.exists() {
            std::fs::remove_dir_all(&to).expect("because it was made here");
        }
    };
    let mut export = || {
        cleared();
        time(1, || _ = options().export(view, &to).expect("because there is room"))
    };
    let mut copy = || {
        cleared();
        let mut cp = Command::new("cp");
        let cp = cp.arg("-a").args([&from, &to]);
        time(1, || assert!(cp.status().is_ok_and(|status| status.success()), "cp failed"))
    };
    let times = rounds(ROUNDS, [&mut export, &mut copy]);
    let against = format!("{} against {}", shown(times.median(0)), shown(times.median(1)));
    table.row(&operation, Must::AtLeast(0.7), "× cp -a", times.ratio(1, 0), &against);
}
