//! Merging layers into an image, and committing.
#![allow(missing_docs, reason = "criterion's macro makes a public function")]

mod common;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use stratafs::Image;

const FILES: usize = 100_000;

fn image(criterion: &mut Criterion) {
    let paths = common::paths(FILES);
    let contents = common::contents(FILES);
    let mut group = criterion.benchmark_group("merge/100k");
    group.sample_size(10);
    for count in [1, 32] {
        let files = paths.iter().map(String::as_str).zip(contents.iter().cloned());
        let layers = common::layers(files, count);
        group.bench_function(format!("{count}_layers"), |b| {
            b.iter_batched(|| layers.clone(), Image::from_layers, BatchSize::PerIteration);
        });
    }
    group.finish();

    let image = common::image(&paths, &contents, 32);
    criterion.bench_function("commit/10_changes_in_100k", |b| {
        let changed = || {
            let container = image.container();
            common::overwrite(&container, &paths[..10]);
            container
        };
        b.iter_batched(changed, |container| container.commit(), BatchSize::SmallInput);
    });
}

criterion_group!(benches, image);
criterion_main!(benches);
