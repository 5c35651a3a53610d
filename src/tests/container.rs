//! A container does what a plain filesystem does, step by step, whatever the layers below it.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::layers::{Literal, Symlinks, image, model, stack};
use super::model::{Id, Model};
use super::ops::{Files, Handles, Op, act, imagine, op};
use super::picture::{assert_same, expected, numbers, picture, stats};
use crate::{Clock, Container, Image, ManualClock, Timestamp};

/// A container and its model, with what each has open.
pub(super) struct Pair {
    pub(super) container: Container,
    pub(super) files: Files,
    pub(super) model: Model,
    pub(super) handles: Handles,
    clock: Arc<ManualClock>,
    numbers: BTreeMap<Id, u64>,
}

impl Pair {
    pub(super) fn over(layers: &[Literal]) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::new(1000, 0)));
        let clock_of_container = Arc::clone(&clock) as Arc<dyn Clock>;
        let container = image(layers).build_container().clock(clock_of_container).build().unwrap();
        let mut model = model(layers);
        model.now = 1000;
        let (files, handles) = (Files::new(), Handles::new());
        Self { container, files, model, handles, clock, numbers: BTreeMap::new() }
    }

    /// Another container at the same moment, by the same clock.
    pub(super) fn with(
        &self,
        container: Container,
        model: Model,
        files: Files,
        handles: Handles,
    ) -> Self {
        let (clock, numbers) = (Arc::clone(&self.clock), self.numbers.clone());
        Self { container, files, model, handles, clock, numbers }
    }

    pub(super) fn steps(&mut self, ops: &[Op]) {
        for op in ops {
            self.step(op);
        }
    }

    /// Does one thing to both and compares everything.
    pub(super) fn step(&mut self, op: &Op) {
        self.clock.advance(1_000_000_000);
        self.model.now = self.clock.now().secs();
        let (view, usage) = (self.container.view(), self.container.usage());
        let got = act(&self.container, &mut self.files, op);
        assert_eq!(got, imagine(&mut self.model, &mut self.handles, op), "result of {op:?}");
        if got.is_err() {
            assert_eq!(stats(&self.container.view()), stats(&view), "{op:?} failed, but changed");
            assert_eq!(self.container.usage(), usage, "{op:?} failed, but changed the account");
        }
        self.compare(&format!("after {op:?}"));
    }

    pub(super) fn compare(&mut self, context: &str) {
        let view = self.container.view();
        assert_same(&picture(&view), &expected(&self.model), context);
        assert_eq!(self.container.check(), Vec::<String>::new(), "{context}");
        for (id, number) in numbers(&view, &self.model) {
            let known = *self.numbers.entry(id).or_insert(number);
            assert_eq!(known, number, "{context}: an inode number changed");
        }
        for (slot, (id, _)) in &self.handles {
            let metadata = self.files[slot].metadata().unwrap();
            assert_eq!(metadata.nlink(), self.model.nlink(*id), "{context}: nlink of {slot}");
            assert_eq!(metadata.mode(), self.model.at(*id).mode, "{context}: mode of {slot}");
            if let Ok(bytes) = self.model.file(*id) {
                assert_eq!(metadata.len(), bytes.len() as u64, "{context}: length of {slot}");
            }
        }
        self.compare_contents_of_handles(context);
    }

    fn compare_contents_of_handles(&self, context: &str) {
        for (slot, (id, how)) in &self.handles {
            let (file, Ok(bytes)) = (&self.files[slot], self.model.file(*id)) else { continue };
            if *how != super::ops::How::Truncate {
                let read = file.read_bytes(0, u64::MAX).unwrap();
                assert!(read == bytes[..], "{context}: contents of handle {slot}");
            }
        }
    }

    /// Closes everything: then only what has a name may count.
    pub(super) fn close(&mut self) {
        self.files.clear();
        self.handles.clear();
        self.compare("after all handles are closed");
        let again = self.container.fork();
        assert_eq!(again.usage(), self.container.usage(), "an unnamed object was kept");
    }
}

/// A container in which all this happened, by a clock of its own.
pub(super) fn ran(image: &Image, ops: &[Op]) -> Container {
    let clock = Arc::new(ManualClock::new(Timestamp::new(1000, 0)));
    let container = image.build_container().clock(clock).build().unwrap();
    let mut files = Files::new();
    for op in ops {
        drop(act(&container, &mut files, op));
    }
    container
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(super::cases(400)))]

    #[test]
    fn container_does_what_the_model_does(
        layers in stack(1..=4, Symlinks::Anywhere),
        ops in vec(op(), 1..40),
    ) {
        let mut pair = Pair::over(&layers);
        pair.compare("before anything");
        pair.steps(&ops);
        pair.close();
    }
}
