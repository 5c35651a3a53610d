//! Whiteouts, opaque directories and what is made again, over many layers, against the rule read top down.
//!
//! The crate lays layers over each other from the bottom up. Here a path is looked for from the top down, component by
//! component, as the kernel's overlayfs would: the two have nothing in common but the result.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::layers::{
    Literal, Say, Symlinks, above, attributes, builder, hostile_stack, image, stack,
};
use super::picture::{Shown, Text, What, assert_same, picture};
use crate::{ErrorKind, Image, Layer};

/// The layers in which a directory's children are looked for: these and no others show in it.
type Merged = std::ops::Range<usize>;

enum Top {
    Nothing,
    Object(What, u32),
    Dir(u32, Merged),
}

/// Looks for one path, whose parent shows the layers `merged`.
fn look(layers: &[Literal], merged: &Merged, path: &str) -> Top {
    let (mut mode, mut is_dir, mut emptied) = (None, false, None);
    for (number, layer) in layers.iter().enumerate().take(merged.end).skip(merged.start).rev() {
        let implied = layer
            .iter()
            .any(|(other, say)| *say != Say::Whiteout && above(other).any(|dir| dir == path));
        let says = layer.get(path);
        is_dir |= implied;
        let stops = match says {
            None => false,
            Some(Say::Dir(own) | Say::Opaque(own)) => {
                mode.get_or_insert(*own);
                is_dir = true;
                matches!(says, Some(Say::Opaque(_)))
            }
            // Nothing further down shows in it, but what it is may be said there.
            Some(Say::OpaqueWhiteout) => {
                emptied.get_or_insert(number);
                is_dir = true;
                false
            }
            Some(Say::Whiteout) => true,
            Some(file) if !is_dir => return Top::Object(what(file), file_mode(file)),
            // A directory is over it: it is replaced, and nothing further down shows.
            Some(_) => {
                return Top::Dir(mode.unwrap_or(0o755), emptied.unwrap_or(number + 1)..merged.end);
            }
        };
        if stops && is_dir {
            return Top::Dir(mode.unwrap_or(0o755), emptied.unwrap_or(number)..merged.end);
        }
        if stops {
            return Top::Nothing;
        }
    }
    if !is_dir {
        return Top::Nothing;
    }
    Top::Dir(mode.unwrap_or(0o755), emptied.unwrap_or(merged.start)..merged.end)
}

fn what(say: &Say) -> What {
    match say {
        Say::File(text) => What::File(Text(text.clone().into())),
        Say::Symlink(target) => What::Symlink(target.clone()),
        Say::Fifo => What::Fifo,
        other => panic!("{other:?} is no object of its own"),
    }
}

fn file_mode(say: &Say) -> u32 {
    if matches!(say, Say::Symlink(_)) { 0o777 } else { 0o644 }
}

/// Everything below a directory; how many subdirectories it has is returned.
fn fill(
    layers: &[Literal],
    merged: &Merged,
    dir: &str,
    shown: &mut BTreeMap<String, Shown>,
) -> u32 {
    let mut subdirs = 0;
    for name in ["a", "b", "c", "s"].iter().filter(|_| dir.len() < 6) {
        let path = format!("{dir}/{name}");
        match look(layers, merged, &path) {
            Top::Nothing => {}
            Top::Object(what, mode) => drop(shown.insert(path, plain(what, mode, 1))),
            Top::Dir(mode, merged) => {
                subdirs += 1;
                let nlink = 2 + fill(layers, &merged, &path, shown);
                shown.insert(path, plain(What::Dir, mode, nlink));
            }
        }
    }
    subdirs
}

fn plain(what: What, mode: u32, nlink: u32) -> Shown {
    let (uid, modified, xattrs) = attributes(mode);
    Shown { what, mode, owner: (uid, 0), modified, nlink, xattrs, same_as: None }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(super::cases(400)))]

    #[test]
    fn layers_show_what_the_topmost_says(mut layers in stack(1..=6, Symlinks::Leaves)) {
        // Hard links go across layers; the model of containers has them.
        for layer in &mut layers {
            layer.retain(|_, say| !matches!(say, Say::Link(_)));
        }
        let mut expected = BTreeMap::new();
        let nlink = 2 + fill(&layers, &(0..layers.len()), "", &mut expected);
        expected.insert("/".into(), plain(What::Dir, 0o755, nlink));
        let image = image(&layers);
        assert_same(&picture(&image.view()), &expected, "from the top down");
        prop_assert_eq!(image.view().check(), Vec::<String>::new());
        let whole = image.container();
        prop_assert_eq!(whole.check(), Vec::<String>::new());
    }

    #[test]
    fn hostile_layers_are_refused_or_leave_a_sound_tree(layers in hostile_stack()) {
        let mut view = Image::scratch().view();
        for layer in layers.iter().filter_map(|literal| builder(literal).build().ok()) {
            view = view.apply(&layer).unwrap_or(view);
            prop_assert_eq!(view.check(), Vec::<String>::new());
            picture(&view);
        }
    }
}

/// Found by `squash_of_an_image_shows_the_same_and_is_one_layer`: `b/a` is the root, so `b/a/b` replaced the directory
/// `b`, while `apply` still had it open for `b/b`, and panicked.
#[test]
fn regression_entry_through_a_link_upwards_replaces_its_own_way() {
    let lower = Layer::builder().symlink("..", "/b/a").build().unwrap();
    let upper = Layer::from([("b/a/b", "1"), ("b/b", "2")]);
    let view = Image::from_layers([lower, upper]).unwrap().view();
    assert_eq!(view.read("/b/b").unwrap(), "2");
    assert_eq!(view.check(), Vec::<String>::new());
}

/// Found by `container_does_what_the_model_does`: the way to the link's own name replaced the file that it names, and the
/// name led to an object that was gone.
#[test]
fn regression_hard_link_below_its_own_target_is_refused() {
    let base = Image::from_layers([Layer::from([("a", "1"), ("b/c", "2")])]).unwrap();
    for (target, link) in [("/a", "/a/a"), ("/b/c", "/b")] {
        let layer = Layer::builder().hard_link(target, link).build().unwrap();
        let error = base.view().apply(&layer).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput), "{error}");
    }
}

/// `diff` went down by recursion where the two trees have no base in common, and a tree of some thousand levels overflowed
/// the stack of a thread.
#[test]
fn regression_diff_of_deep_trees_takes_no_stack() {
    let deep = |name: &str| {
        let layer = Layer::from([("d/".repeat(5_000) + name, "1")]);
        Image::from_layers([layer]).unwrap().view()
    };
    let diff = deep("a").diff(&deep("b")).unwrap();
    assert_eq!(
        diff.changes().filter(|change| change.kind != crate::ChangeKind::Changed).count(),
        2
    );
}
