//! What `diff` says is all that differs, and nothing else; what is committed is what was there.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::container::ran;
use super::layers::{Literal, Symlinks, image, stack};
use super::ops::{Op, op};
use super::picture::{assert_same, picture};
use crate::{Image, Layer, View};

/// A view with a history: layers, and what a container did.
fn history() -> impl Strategy<Value = (Vec<Literal>, Vec<Op>)> {
    (stack(0..=3, Symlinks::Anywhere), vec(op(), 0..12))
}

fn view((layers, ops): &(Vec<Literal>, Vec<Op>)) -> View {
    ran(&image(layers), ops).view()
}

#[track_caller]
fn assert_diff_leads(from: &View, to: &View) {
    let diff = from.diff(to).unwrap();
    let applied = from.apply(diff.layer()).unwrap();
    assert_same(&picture(&applied), &picture(to), &format!("applied\n{diff}"));
    assert_eq!(applied.check(), Vec::<String>::new());
    assert_eq!(to.diff(&applied).unwrap().to_string(), "", "nothing is left to say");
    assert_eq!(diff.is_empty(), picture(from) == picture(to), "it is empty if all is the same");
    assert_eq!(diff.changes().count(), diff.layer().len(), "the listing is the layer's");
}

/// The same tree by another way: one layer, made from nothing.
fn retold(view: &View) -> View {
    let layer = Image::scratch().view().diff(view).unwrap().into_layer();
    Image::from_layers([layer]).unwrap().view()
}

fn said(layer: &Layer) -> (Vec<crate::LayerEntry>, crate::Digest) {
    // Only of the modification does a layer tell the time; the other two are set to it.
    (layer.entries().collect(), layer.diff_id().unwrap())
}

/// Files that are all alike, so that they differ only in which names are links of one: names with one number are.
fn alike() -> impl Strategy<Value = Vec<Option<u8>>> {
    vec(proptest::option::weighted(0.9, 0_u8..3), 4)
}

fn grouped(groups: &[Option<u8>]) -> View {
    let mut first: BTreeMap<u8, String> = BTreeMap::new();
    let mut builder = Layer::builder();
    for (group, name) in groups.iter().zip(["/a", "/b", "/c/a", "/c/b"]) {
        let Some(group) = group else { continue };
        builder = if let Some(file) = first.get(group) {
            builder.hard_link(file, name)
        } else {
            first.insert(*group, name.to_owned());
            builder.file(name, "alike")
        };
    }
    Image::from_layers([builder.build().unwrap()]).unwrap().view()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(super::cases(120)))]

    #[test]
    fn diff_of_unrelated_views_leads_from_one_to_the_other(a in history(), b in history()) {
        let (a, b) = (view(&a), view(&b));
        assert_diff_leads(&a, &b);
        assert_diff_leads(&b, &a);
    }

    #[test]
    fn diff_of_related_views_leads_from_one_to_the_other(
        layers in stack(1..=3, Symlinks::Anywhere),
        a in vec(op(), 0..12),
        b in vec(op(), 0..12),
    ) {
        let image = image(&layers);
        let (a, b) = (ran(&image, &a).view(), ran(&image, &b).view());
        assert_diff_leads(&a, &b);
        assert_diff_leads(&b, &a);
        assert_diff_leads(&image.view(), &b);
    }

    #[test]
    fn diff_tells_links_from_files_that_are_alike(a in alike(), b in alike()) {
        assert_diff_leads(&grouped(&a), &grouped(&b));
    }

    #[test]
    fn diff_of_a_view_to_itself_is_empty(a in history()) {
        let view = view(&a);
        prop_assert!(view.diff(&view).unwrap().is_empty());
        prop_assert!(view.diff(&retold(&view)).unwrap().is_empty());
    }

    #[test]
    fn diff_depends_on_what_is_visible_only(
        layers in stack(1..=3, Symlinks::Anywhere),
        a in vec(op(), 0..12),
        b in vec(op(), 0..12),
    ) {
        let image = image(&layers);
        let (a, b) = (ran(&image, &a).view(), ran(&image, &b).view());
        let direct = said(a.diff(&b).unwrap().layer());
        for (a, b) in [(&a, &retold(&b)), (&retold(&a), &b), (&retold(&a), &retold(&b))] {
            prop_assert_eq!(&direct, &said(a.diff(b).unwrap().layer()));
        }
    }

    #[test]
    fn commit_shows_what_was_there_and_has_one_digest(
        layers in stack(1..=3, Symlinks::Anywhere),
        first in vec(op(), 0..12),
        then in vec(op(), 0..12),
    ) {
        let container = ran(&image(&layers), &first);
        let image = container.commit().unwrap();
        assert_same(&picture(&image.view()), &picture(&container.view()), "committed");
        let again = container.commit().unwrap();
        prop_assert_eq!(again.chain_id().unwrap(), image.chain_id().unwrap());
        // A commit on top of a commit: the tree keeps a delta, and contents are sealed more than once.
        let child = ran(&image, &then);
        let grandchild = child.commit().unwrap();
        assert_same(&picture(&grandchild.view()), &picture(&child.view()), "committed again");
        let fresh = Image::from_layers(grandchild.layers().to_vec()).unwrap();
        assert_same(&picture(&fresh.view()), &picture(&child.view()), "made again of its layers");
    }
}
