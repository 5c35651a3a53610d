//! Changing, snapshots and diffs, in 100,000 files.
#![allow(missing_docs, reason = "criterion's macro makes a public function")]

mod common;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

const FILES: usize = 100_000;

fn change(criterion: &mut Criterion) {
    let image = common::empty_files(FILES, 32);
    let new: Vec<String> = common::dirs(2000).iter().map(|dir| format!("{dir}/new")).collect();
    let data = vec![7; common::FILE_LEN];

    let mut group = criterion.benchmark_group("create_4k/2000_directories");
    group.sample_size(20);
    if let Some(tmpfs) = common::Tmpfs::new("change") {
        tmpfs.fill(&new);
        let clear = || new.iter().for_each(|path| drop(std::fs::remove_file(tmpfs.at(path))));
        let fill = || new.iter().for_each(|path| drop(std::fs::write(tmpfs.at(path), &data)));
        group.bench_function("tmpfs", |b| {
            b.iter_batched(clear, |()| fill(), BatchSize::PerIteration);
        });
    }
    group.bench_function("this", |b| {
        let fill = |container: stratafs::Container| {
            new.iter().for_each(|path| drop(container.write(path, data.clone())));
            container
        };
        b.iter_batched(|| image.container(), fill, BatchSize::PerIteration);
    });
    group.finish();

    criterion.bench_function("rename/directory_of_10k", |b| {
        let rename = |container: stratafs::Container| {
            drop(container.rename(common::LARGE, "/elsewhere"));
            container
        };
        b.iter_batched(|| image.container(), rename, BatchSize::SmallInput);
    });
}

fn state(criterion: &mut Criterion) {
    let image = common::empty_files(FILES, 1);
    let paths = common::paths(FILES);
    let container = image.container();
    common::overwrite(&container, &paths[..100]);

    let mut group = criterion.benchmark_group("state/100k");
    group.bench_function("start", |b| b.iter(|| black_box(image.container())));
    group.bench_function("snapshot", |b| b.iter(|| black_box(container.snapshot())));
    group.bench_function("fork", |b| b.iter(|| black_box(container.fork())));
    group.bench_function("diff_of_100", |b| b.iter(|| black_box(container.diff())));
    group.finish();
}

criterion_group!(benches, change, state);
criterion_main!(benches);
