//! Any bytes as an archive: refused, or a layer whose canonical form is a fixed point.
#![no_main]

mod mend;

use libfuzzer_sys::fuzz_target;
use stratafs::tar::{ReadOptions, read_layer, write_layer};

fuzz_target!(|data: &[u8]| {
    let Some((&first, data)) = data.split_first() else { return };
    let mended = if first & 1 == 0 { mend::mended(data) } else { data.to_vec() };
    let options = ReadOptions::new().max_bytes(16 << 20).max_sparse_bytes(16 << 20);
    let Ok(read) = options.max_file_bytes(64 << 20).strict(first & 2 != 0).read(&mended[..]) else { return };
    let mut once = Vec::new();
    if write_layer(&read.layer, &mut once).is_err() {
        return;
    }
    let again = ReadOptions::new().max_ratio(u64::MAX).read(&once[..]).expect("what was written can be read").layer;
    let mut twice = Vec::new();
    write_layer(&again, &mut twice).expect("what was written once can be written again");
    assert!(once == twice, "the canonical form is a fixed point");
    drop(read_layer(&once[..once.len() - 512]));
});
