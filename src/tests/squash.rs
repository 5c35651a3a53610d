//! Two layers in one do what the two do.

use proptest::prelude::*;

use super::layers::{Literal, Say, Symlinks, above, image, layer, stack, stack_under_two};
use super::picture::{assert_same, picture};
use crate::{EntryKind, Error, ErrorKind, Image, Layer, LayerEntry, View};

/// The documented exceptions: a symbolic link on the way, a file from further below that was taken from its link, and
/// a directory of unknown attributes that is left without what implied it.
fn assert_excused(error: &Error, lower: &Literal, upper: &Literal) {
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let path = error.path().to_str().unwrap().to_owned();
    let is_link = |path: &str| matches!(lower.get(path), Some(Say::Symlink(_) | Say::Link(_)));
    let emptied = matches!(upper.get(&path), Some(Say::OpaqueWhiteout)).then_some(&*path);
    let leads_through_link = upper.contains_key(&path) && above(&path).chain(emptied).any(is_link);
    let lost_its_file = match lower.get(&path) {
        Some(Say::Link(target)) => !lower.contains_key(target) || is_link(target),
        _ => false,
    };
    let inside = format!("{path}/");
    let implied =
        !lower.contains_key(&path) && lower.keys().any(|other| other.starts_with(&inside));
    assert!(leads_through_link || lost_its_file || implied, "no reason to refuse: {error}");
}

fn assert_squashed(below: &View, lower: &Layer, upper: &Layer, both: &Layer) {
    // What a layer cannot be laid over, its squash need not be either.
    let Ok(two_steps) = below.apply(lower).and_then(|view| view.apply(upper)) else { return };
    let one_step = below.apply(both).unwrap();
    assert_same(&picture(&one_step), &picture(&two_steps), "in one step");
    assert_eq!(one_step.check(), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(super::cases(400)))]

    #[test]
    fn squash_of_two_layers_does_what_both_do(
        layers in stack_under_two(2),
        other in stack(0..=2, Symlinks::Leaves),
    ) {
        let [below @ .., lower, upper] = &layers[..] else { unreachable!() };
        let (first, then) = (layer(lower), layer(upper));
        match first.squash(&then) {
            Ok(both) => {
                assert_squashed(&image(below).view(), &first, &then, &both);
                assert_squashed(&image(&other).view(), &first, &then, &both);
            }
            Err(error) => assert_excused(&error, lower, upper),
        }
    }

    #[test]
    fn squash_of_an_image_shows_the_same_and_is_one_layer(
        layers in stack(0..=5, Symlinks::Anywhere),
    ) {
        let image = image(&layers);
        let squashed = image.squash().unwrap();
        assert_same(&picture(&squashed.view()), &picture(&image.view()), "squashed");
        prop_assert_eq!(squashed.layers().len(), 1);
        let whiteout = |entry: LayerEntry| entry.kind == EntryKind::Whiteout;
        prop_assert!(!squashed.layers()[0].entries().any(whiteout), "over nothing");
    }
}

/// Found by `squash_of_two_layers_does_what_both_do`: a file of the upper layer stood beside what lay below it.
#[test]
fn regression_squash_of_a_file_over_an_implied_directory() {
    let both = Layer::from([("b/a/a", "1")]).squash(&Layer::from([("b", "2")])).unwrap();
    assert_eq!(both.len(), 1);
}

/// Found by the same: the whiteout of `b` hid that the lower layer makes `b` again, so that `b/a` stayed.
#[test]
fn regression_squash_of_a_whiteout_below_a_directory_made_again() {
    let lower =
        Layer::builder().whiteout("/b").file("/b/a", "1").file("/b/c", "1").build().unwrap();
    let upper = Layer::builder().whiteout("/b/a").build().unwrap();
    let view = Image::scratch().view().apply(&lower.squash(&upper).unwrap()).unwrap();
    assert!(!view.exists("/b/a").unwrap());
}

/// Found by the same: nothing said any more that there is a directory `c`, whose attributes nobody can know here.
#[test]
fn regression_squash_that_loses_an_implied_directory_is_refused() {
    let upper = Layer::builder().whiteout("/c/d").build().unwrap();
    let error = Layer::from([("c/d", "1")]).squash(&upper).unwrap_err();
    assert_eq!((error.kind(), error.path().to_str()), (ErrorKind::Unsupported, Some("/c")));
    // Where nothing below can show, they are known.
    let fresh = Layer::builder().whiteout("/c").file("/c/d", "1").build().unwrap();
    let view = Image::scratch().view().apply(&fresh.squash(&upper).unwrap()).unwrap();
    assert_eq!(view.metadata("/c").unwrap().mode(), 0o755);
}
