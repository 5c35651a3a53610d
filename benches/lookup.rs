//! Finding and reading, each beside a hit in a flat hash map or beside tmpfs, in 100,000 files.
#![allow(missing_docs, reason = "criterion's macro makes a public function")]

mod common;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};

const FILES: usize = 100_000;

fn lookup(criterion: &mut Criterion) {
    let paths = common::paths(FILES);
    let missing = common::missing(&paths);
    let contents = common::contents(FILES);
    let flat = common::flat(&paths, &contents);
    let untouched = common::image(&paths, &contents, 32).container();
    let changed = untouched.fork();
    common::overwrite(&changed, &paths[..2000]);

    let mut group = criterion.benchmark_group("stat/100k");
    let mut next = paths.iter().cycle();
    let mut path = || next.next().map_or("", String::as_str);
    group.bench_function("flat", |b| b.iter(|| black_box(flat.get(path()).map(|hit| hit.0))));
    group.bench_function("this", |b| b.iter(|| black_box(untouched.metadata(path()))));
    group.bench_function("this_2000_changed", |b| b.iter(|| black_box(changed.metadata(path()))));
    let mut next = missing.iter().cycle();
    let mut path = || next.next().map_or("", String::as_str);
    group.bench_function("this_missing", |b| b.iter(|| black_box(untouched.metadata(path()))));
    group.finish();

    let mut group = criterion.benchmark_group("read_4k/100k");
    let mut next = paths.iter().cycle();
    let mut path = || next.next().map_or("", String::as_str);
    group.bench_function("flat", |b| {
        b.iter(|| black_box(flat.get(path()).map(|hit| hit.1.clone())));
    });
    group.bench_function("this", |b| b.iter(|| black_box(untouched.read(path()))));
    group.finish();
}

fn list(criterion: &mut Criterion) {
    let paths = common::paths(FILES);
    let container = common::empty_files(FILES, 32).container();
    let tmpfs = common::Tmpfs::new("lookup");
    if let Some(tmpfs) = &tmpfs {
        tmpfs.fill(&paths);
    }
    for (name, dir) in [("readdir/1000", common::WIDE), ("walk/100k", "/")] {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(20);
        if let Some(tmpfs) = &tmpfs {
            group.bench_function("tmpfs", |b| b.iter(|| tmpfs.walk(dir)));
        }
        group.bench_function("this", |b| b.iter(|| container.walk(dir).map(Iterator::count).ok()));
        group.finish();
    }
}

criterion_group!(benches, lookup, list);
criterion_main!(benches);
