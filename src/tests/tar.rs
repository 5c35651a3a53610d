//! Archives of random layers, whole, in pieces and damaged.

use std::io::Read;

use proptest::collection::vec;
use proptest::prelude::*;

use super::cases;
use super::layers::{Symlinks, layer, stack};
use crate::tar::{Compression, ReadOptions, WriteOptions, read_layer, write_layer};
use crate::{Image, Layer};

fn written(layer: &Layer) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_layer(layer, &mut bytes).unwrap();
    bytes
}

fn random() -> impl Strategy<Value = Layer> {
    stack(1..=3, Symlinks::Anywhere).prop_map(|stack| layer(stack.last().unwrap()))
}

fn compression() -> impl Strategy<Value = Compression> {
    prop_oneof![Just(Compression::None), Just(Compression::Gzip), Just(Compression::Zstd)]
}

/// Gives as many bytes at a time as it was told.
struct Pieces<'a>(&'a [u8], std::iter::Cycle<std::vec::IntoIter<usize>>);

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let len = self.1.next().unwrap_or(1).min(buf.len());
        self.0.read(&mut buf[..len])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(256)))]

    #[test]
    fn import_export_import_is_a_fixed_point(layer in random()) {
        let once = written(&layer);
        let again = read_layer(&once[..]).unwrap();
        prop_assert_eq!(layer.entries().collect::<Vec<_>>(), again.entries().collect::<Vec<_>>());
        prop_assert!(written(&again) == once);
    }

    #[test]
    fn layers_by_way_of_archives_are_the_same_image(stack in stack(1..=3, Symlinks::Anywhere)) {
        let layers: Vec<Layer> = stack.iter().map(layer).collect();
        let again = layers.iter().map(|layer| read_layer(&written(layer)[..]).unwrap());
        let (here, there) = (Image::from_layers(layers.clone()).unwrap(), Image::from_layers(again).unwrap());
        prop_assert!(here.view().diff(&there.view()).unwrap().is_empty());
        prop_assert_eq!(there.view().check(), Vec::<String>::new());
    }

    #[test]
    fn pieces_of_any_size_give_the_same(
        layer in random(),
        compression in compression(),
        pieces in vec(prop_oneof![1..9_usize, 500..520_usize], 1..5),
    ) {
        let mut stream = Vec::new();
        WriteOptions::new().compression(compression).write(&layer, &mut stream).unwrap();
        let whole = ReadOptions::new().read(&stream[..]).unwrap();
        let pieces = ReadOptions::new().read(Pieces(&stream, pieces.into_iter().cycle())).unwrap();
        prop_assert_eq!((whole.diff_id, whole.digest, whole.len), (pieces.diff_id, pieces.digest, pieces.len));
        prop_assert_eq!(whole.diff_id, layer.diff_id().unwrap());
        prop_assert_eq!(pieces.layer.diff_id().unwrap(), layer.diff_id().unwrap());
    }

    /// Damage gives an error or another layer, which can be laid over something, or cannot; never a panic.
    #[test]
    fn damaged_archives_are_refused_or_are_other_layers(
        layer in random(),
        compression in compression(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<Option<prop::sample::Index>>(),
        mend in any::<bool>(),
    ) {
        let mut stream = Vec::new();
        WriteOptions::new().compression(compression).write(&layer, &mut stream).unwrap();
        for (at, byte) in &damage {
            let at = at.index(stream.len());
            stream[at] ^= byte;
            if mend && compression == Compression::None {
                mend_checksum(&mut stream, at / 512 * 512);
            }
        }
        if let Some(cut) = cut {
            stream.truncate(cut.index(stream.len()));
        }
        if let Ok(layer) = read_layer(&stream[..])
            && let Ok(image) = Image::from_layers([layer])
        {
            prop_assert_eq!(image.view().check(), Vec::<String>::new());
        }
    }
}

/// Else every damage to a header would be the same error.
fn mend_checksum(stream: &mut [u8], start: usize) {
    let block = &mut stream[start..start + 512];
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
