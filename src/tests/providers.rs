//! Which layer provides each name, against the images of the layers below.

use proptest::prelude::*;

use super::layers::{Literal, Say, Symlinks, above, image, stack};
use super::picture::{Picture, What, picture};

/// What each image shows, from the one without layers on.
fn pictures(layers: &[Literal]) -> Vec<Picture> {
    (0..=layers.len()).map(|count| picture(&image(&layers[..count]).view())).collect()
}

/// Bytes of the files of a picture, each file once.
fn bytes(picture: &Picture) -> u64 {
    let files = picture.values().filter(|shown| shown.same_as.is_none());
    let lengths = files.map(|shown| match &shown.what {
        What::File(text) => text.0.len() as u64,
        _ => 0,
    });
    lengths.sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(super::cases(300)))]

    #[test]
    fn name_is_there_as_it_is_from_the_layer_on_that_provides_it(
        layers in stack(1..=6, Symlinks::Anywhere),
    ) {
        let (pictures, providers) = (pictures(&layers), image(&layers).providers().unwrap());
        for (path, shown) in pictures.last().unwrap() {
            let provider = providers.of(path).unwrap();
            prop_assert!(provider < layers.len());
            for (count, picture) in pictures.iter().enumerate().skip(provider + 1) {
                let then = picture.get(path);
                let same = then.is_some_and(|then| {
                    (&then.what, then.mode, then.owner) == (&shown.what, shown.mode, shown.owner)
                });
                prop_assert!(same, "{path}: by {provider}, but with {count} layers {then:?}");
            }
        }
    }

    #[test]
    fn layer_that_provides_a_name_says_it_or_implies_it_anew(
        layers in stack(1..=6, Symlinks::Leaves),
    ) {
        let (pictures, providers) = (pictures(&layers), image(&layers).providers().unwrap());
        for (path, shown) in pictures.last().unwrap().iter().filter(|(path, _)| *path != "/") {
            let provider = providers.of(path).unwrap();
            let before = pictures[provider].get(path);
            match (&shown.what, layers[provider].get(path)) {
                (What::Dir, Some(Say::Dir(_) | Say::Opaque(_))) => {}
                // Only implied: it was not there, or went with what this layer removes.
                (What::Dir, _) => {
                    let was_dir = before.is_some_and(|before| before.what == What::Dir);
                    let removes = |path: &str| {
                        matches!(
                            layers[provider].get(path),
                            Some(Say::Whiteout | Say::Opaque(_) | Say::OpaqueWhiteout)
                        )
                    };
                    let removed = above(path).chain([&**path]).any(removes);
                    prop_assert!(!was_dir || removed, "{path}: {provider}");
                }
                (_, says) => prop_assert!(says.is_some(), "{path}: {provider}"),
            }
            let said = |layer: &Literal| !matches!(layer.get(path), None | Some(Say::OpaqueWhiteout));
            prop_assert!(!layers[provider + 1..].iter().any(said), "{path}: not the topmost");
        }
    }

    #[test]
    fn names_and_bytes_of_all_layers_add_up(layers in stack(0..=6, Symlinks::Anywhere)) {
        let (pictures, providers) = (pictures(&layers), image(&layers).providers().unwrap());
        for (share, count) in providers.layers().iter().zip(0..) {
            let (before, after) = (pictures[count].len() as u64, pictures[count + 1].len() as u64);
            prop_assert_eq!(before + share.added, after + share.removed, "layer {}", count);
        }
        let all: u64 = providers.layers().iter().map(|share| share.bytes).sum();
        let hides: u64 = providers.layers().iter().map(|share| share.hides).sum();
        prop_assert_eq!(hides, providers.wasted_bytes());
        prop_assert_eq!(all, providers.wasted_bytes() + bytes(&pictures[layers.len()]));
    }
}
