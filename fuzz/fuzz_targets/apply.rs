//! Any bytes as two archives, laid over a small filesystem: refused, or a sound tree.
#![no_main]

mod mend;

use libfuzzer_sys::fuzz_target;
use stratafs::tar::ReadOptions;
use stratafs::{Image, Layer};

fn base() -> Image {
    let layer = Layer::builder()
        .file("/a/b", "1")
        .file("/a/c/d", "2")
        .symlink("a", "/l")
        .symlink("../l/c", "/a/up")
        .symlink("loop", "/loop")
        .hard_link("/a/b", "/h")
        .build();
    let layer = layer.expect("because the layer is good");
    Image::from_layers([layer]).expect("because the layer is good")
}

fuzz_target!(|data: &[u8]| {
    let Some((&blocks, data)) = data.split_first() else { return };
    let mended = mend::mended(data);
    let (one, two) = mended.split_at((usize::from(blocks) * 512).min(mended.len()));
    let options = ReadOptions::new().max_sparse_bytes(16 << 20);
    let options = options.max_file_bytes(64 << 20).max_depth(64);
    let mut image = base();
    let mut layers = Vec::new();
    for archive in [one, two] {
        let Ok(read) = options.read(archive) else { continue };
        let before = image.view();
        if let Ok(with) = image.with_layer(read.layer.clone()) {
            assert_eq!(with.view().check(), Vec::<String>::new());
            image = with;
            layers.push(read.layer);
        }
        assert_eq!(before.check(), Vec::<String>::new());
    }
    // Two layers in one do the same as one after the other, or cannot be written as one.
    if let [one, two] = &layers[..]
        && let Ok(both) = one.squash(two)
    {
        let squashed = base().with_layer(both).expect("what both do, one does");
        assert!(squashed.view().diff(&image.view()).expect("nothing fails").is_empty());
    }
});
