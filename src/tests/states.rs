//! Layers never change, a fork never sees its twin, and going back goes back to exactly what was.

use proptest::collection::vec;
use proptest::prelude::*;

use super::container::Pair;
use super::layers::{Literal, Symlinks, layer, stack};
use super::ops::{Files, Handles, Op, act, op};
use super::picture::{assert_same, expected, picture, stats};
use crate::{Digest, Error, ErrorKind, Image, Layer, LayerEntry, Usage};

fn inside(layers: &[Layer]) -> Vec<(Digest, Vec<LayerEntry>)> {
    // Made anew, so that the digest is not the one that was kept.
    let again = |layer: &Layer| layer.squash(&Layer::builder().build().unwrap()).unwrap();
    layers
        .iter()
        .map(|layer| (again(layer).diff_id().unwrap(), layer.entries().collect()))
        .collect()
}

fn layers() -> impl Strategy<Value = Vec<Literal>> {
    stack(1..=3, Symlinks::Anywhere)
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 0..15)
}

/// Half of what is done fails, so that a part that a transaction takes back has both.
fn give_up() -> Error {
    Image::scratch().view().read("/none").unwrap_err()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(super::cases(120)))]

    #[test]
    fn layers_are_the_same_after_whatever_a_container_did(literals in layers(), ops in ops()) {
        let layers: Vec<Layer> = literals.iter().map(layer).collect();
        let before = inside(&layers);
        let image = Image::from_layers(layers.clone()).unwrap();
        let shown = stats(&image.view());
        let (container, mut files) = (image.container(), Files::new());
        for op in &ops {
            drop(act(&container, &mut files, op));
        }
        let committed = container.commit().unwrap();
        drop(act(&committed.container(), &mut Files::new(), &Op::RemoveDirAll("/a".into())));
        container.reset();
        prop_assert_eq!(inside(&layers), before);
        prop_assert_eq!(stats(&image.view()), shown);
        prop_assert_eq!(stats(&container.view()), stats(&image.view()));
    }

    #[test]
    fn fork_and_its_twin_do_not_see_each_other(
        literals in layers(),
        before in ops(),
        here in ops(),
        there in ops(),
    ) {
        let mut pair = Pair::over(&literals);
        pair.steps(&before);
        let mut twin = pair.fork();
        twin.compare("a fork");
        for (here, there) in here.iter().zip(&there) {
            pair.step(here);
            twin.step(there);
            twin.compare("a step of one");
            pair.compare("a step of the other");
        }
    }

    #[test]
    fn restore_and_reset_go_back_to_exactly_what_was(
        literals in layers(),
        before in ops(),
        after in ops(),
        then in ops(),
    ) {
        let mut pair = Pair::over(&literals);
        let first = pair.model.clone();
        let origin = stats(&pair.container.view());
        pair.steps(&before);
        let saved = (pair.model.clone(), stats(&pair.container.view()));
        let snapshot = pair.container.snapshot();
        pair.steps(&after);
        pair.container.restore(&snapshot).unwrap();
        pair.go_back(&saved.0);
        pair.compare("after restore");
        prop_assert_eq!(&stats(&pair.container.view()), &saved.1);
        // It goes on from there, with what was open before.
        pair.steps(&then);
        pair.container.reset();
        pair.go_back(&first);
        pair.compare("after reset");
        prop_assert_eq!(stats(&pair.container.view()), origin);
        prop_assert!(pair.container.diff().unwrap().is_empty());
        pair.close();
        prop_assert_eq!(pair.container.usage(), Usage::default());
        pair.container.restore(&snapshot).unwrap();
        prop_assert_eq!(pair.container.usage(), snapshot.usage());
        prop_assert_eq!(&stats(&pair.container.view()), &saved.1);
    }

    #[test]
    fn transaction_that_fails_leaves_all_as_it_was(
        literals in layers(),
        before in ops(),
        undone in ops(),
        then in ops(),
    ) {
        let mut pair = Pair::over(&literals);
        pair.steps(&before);
        let was = (stats(&pair.container.view()), pair.container.snapshot().usage());
        // What it opens and closes is not taken back: it works with handles of its own, and those from before.
        let mut files = Files::new();
        let kept = undone.iter().filter(|op| !matches!(op, Op::Open(..) | Op::Close(_)));
        let result: Result<(), Error> = pair.container.transaction(|container| {
            for op in &undone {
                drop(act(container, &mut files, op));
            }
            for op in kept {
                drop(act(container, &mut pair.files, op));
            }
            assert_eq!(container.check(), Vec::<String>::new(), "in a transaction");
            // What is closed stays closed.
            drop(pair.files.remove(&0));
            Err(give_up())
        });
        pair.handles.remove(&0);
        prop_assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
        prop_assert_eq!(&stats(&pair.container.view()), &was.0);
        pair.compare("rolled back");
        for file in files.values() {
            // What was there before is as it was; what it made is gone.
            match file.metadata() {
                Ok(metadata) => prop_assert!(was.0.values().any(|other| *other == metadata)),
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::StaleHandle),
            }
        }
        drop(files);
        prop_assert_eq!(pair.container.snapshot().usage(), was.1);
        pair.compare("closed");
        pair.steps(&then);
        pair.close();
    }

    #[test]
    fn transaction_that_succeeds_does_what_its_steps_do(
        literals in layers(),
        before in ops(),
        inside in ops(),
    ) {
        let mut pair = Pair::over(&literals);
        pair.steps(&before);
        let container = pair.container.as_user(crate::Credentials::root());
        let untouched = container.view();
        let seen = container.transaction(|same| {
            // Nobody else may see a step of it.
            let elsewhere = std::thread::scope(|scope| {
                pair.steps(&inside);
                scope.spawn(|| picture(&same.view())).join().unwrap()
            });
            Ok::<_, Error>(elsewhere)
        });
        assert_same(&seen.unwrap(), &picture(&untouched), "seen by others before the end");
        pair.compare("committed");
        assert_same(&picture(&container.view()), &expected(&pair.model), "committed");
        pair.close();
    }
}

/// Found by `restore_and_reset_go_back_to_exactly_what_was`: the file that the handle kept took the number, and so the
/// place, of the one that was restored.
#[test]
fn regression_link_of_a_file_that_was_left_behind_is_refused() {
    let container = Image::scratch().container();
    container.write("/a", "then").unwrap();
    let (file, save) = (container.open("/a").unwrap(), container.snapshot());
    container.write("/a", "now").unwrap();
    container.restore(&save).unwrap();
    assert_eq!(container.link_file(&file, "/b").unwrap_err().kind(), ErrorKind::StaleHandle);
    assert_eq!(container.read("/a").unwrap(), "then");
    assert_eq!(container.check(), Vec::<String>::new());
    // Where its number is free it can have a name again.
    container.remove_file("/a").unwrap();
    container.link_file(&file, "/b").unwrap();
    assert_eq!(container.read("/b").unwrap(), "now");
    assert_eq!(container.check(), Vec::<String>::new());
}

impl Pair {
    /// A fork of both; what is open stays with the first.
    fn fork(&self) -> Self {
        let (files, handles) = (Files::new(), Handles::new());
        self.with(self.container.fork(), self.model.clone(), files, handles)
    }

    /// The model as it was; what is open stays as it is now, without a name.
    fn go_back(&mut self, saved: &super::model::Model) {
        let now = std::mem::replace(&mut self.model, saved.clone());
        (self.model.next, self.model.now) = (now.next, now.now);
        self.model.left_behind = now.left_behind.clone();
        let mut moved = std::collections::BTreeMap::new();
        for (id, _) in self.handles.values_mut() {
            *id = *moved.entry(*id).or_insert_with(|| {
                let orphan = self.model.next;
                self.model.next += 1;
                self.model.objects.insert(orphan, now.at(*id).clone());
                let was = now.left_behind.get(id).copied().unwrap_or(*id);
                self.model.left_behind.insert(orphan, was);
                orphan
            });
        }
    }
}
