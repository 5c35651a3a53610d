//! What a store gives back is what it was given: layers, states, whole images.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::container::ran;
use super::layers::{Symlinks, image, stack};
use super::ops::op;
use super::picture::{assert_same, picture};
use crate::oci::{Layout, StoreOptions};
use crate::tar::Compression;
use crate::{EntryKind, Image, LayerEntry};

/// What the layers say, but for which zeros are holes: an archive has none.
fn said(image: &Image) -> Vec<Vec<LayerEntry>> {
    let without_holes = |mut entry: LayerEntry| {
        if let EntryKind::Object { metadata, .. } = &mut entry.kind {
            metadata.blocks = 0;
        }
        entry
    };
    image.layers().iter().map(|layer| layer.entries().map(without_holes).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(super::cases(60)))]

    #[test]
    fn any_state_survives_commit_store_and_load(
        layers in stack(0..=4, Symlinks::Anywhere),
        ops in vec(op(), 0..12),
        compression in select(vec![Compression::None, Compression::Gzip, Compression::Zstd]),
    ) {
        let committed = ran(&image(&layers), &ops).commit().unwrap();
        let store = Layout::temporary().unwrap();
        let options = || StoreOptions::new().compression(compression);
        let stored = options().store(&store, &committed, "x").unwrap();
        // The first load takes the layers apart, the second reads the tables that the first left behind.
        for way in ["taken apart", "by its tables"] {
            let loaded = store.load("x").unwrap();
            let container = loaded.container();
            assert_same(&picture(&container.view()), &picture(&committed.view()), way);
            prop_assert_eq!(said(&loaded), said(&committed), "{}", way);
            prop_assert_eq!(loaded.view().check(), Vec::<String>::new());
            prop_assert_eq!(loaded.chain_id().unwrap(), committed.chain_id().unwrap());
            prop_assert_eq!(container.commit().unwrap().layers().len(), committed.layers().len());
            let again = Layout::temporary().unwrap();
            let kept = options().store(&again, &loaded, "y").unwrap();
            prop_assert_eq!(&kept.manifest.digest, &stored.manifest.digest);
        }
        prop_assert!(store.verify().unwrap().is_empty());
        prop_assert_eq!(store.usage().unwrap().unreferenced_bytes, 0);
    }
}
