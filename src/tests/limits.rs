//! Limits are exact: what an operation needs is enough, one less is not, and then nothing has happened.

use proptest::collection::vec;
use proptest::prelude::*;

use super::container::ran;
use super::layers::{Symlinks, image, stack};
use super::ops::{Files, How, Op, done, op};
use super::picture::{Picture, What, picture, stats};
use crate::{Container, ErrorKind, Image, Limits, Snapshot, Usage};

/// What is to be done to a state that was reached without limits; a file is opened first where a handle is needed.
struct Attempt<'a> {
    image: &'a Image,
    state: &'a Snapshot,
    open: Option<&'a str>,
    op: &'a Op,
}

impl Attempt<'_> {
    fn start(&self, limits: Limits) -> (Container, Files) {
        let container = self.image.build_container().limits(limits).build().unwrap();
        container.restore(self.state).unwrap();
        let mut files = Files::new();
        for slot in self.open.iter().flat_map(|_| 0..3) {
            let open = Op::Open(slot, self.open.unwrap_or("/").into(), How::ReadWrite);
            // What cannot be opened is no subject; the operation then does nothing.
            drop(done(&container, &mut files, &open));
        }
        (container, files)
    }

    /// What it takes without limits; `None` if it fails.
    fn freely(&self) -> Option<(Usage, Picture)> {
        let (container, mut files) = self.start(Limits::default());
        done(&container, &mut files, self.op).ok()?;
        Some((container.usage(), picture(&container.view())))
    }

    fn succeeds(&self, limits: Limits, usage: Usage) {
        let (container, mut files) = self.start(limits);
        let result = done(&container, &mut files, self.op);
        assert!(result.is_ok(), "{:?} within {limits:?}: {result:?}", self.op);
        assert_eq!(container.usage(), usage);
    }

    fn fails(&self, limits: Limits, kind: ErrorKind) {
        let (container, mut files) = self.start(limits);
        let before = (stats(&container.view()), container.usage());
        let result = done(&container, &mut files, self.op).map_err(|error| error.kind());
        assert_eq!(result, Err(kind), "{:?} past {limits:?}", self.op);
        assert_eq!((stats(&container.view()), container.usage()), before, "{:?}", self.op);
        assert_eq!(container.check(), Vec::<String>::new());
    }
}

/// The length of the longest file that grew, and of the longest one at all.
fn longest(before: &Picture, after: &Picture) -> (u64, u64) {
    let len = |tree: &Picture, path: &str| match tree.get(path).map(|shown| &shown.what) {
        Some(What::File(text)) => text.0.len() as u64,
        _ => 0,
    };
    let grown = after.keys().filter(|path| len(after, path) > len(before, path));
    let longest = after.keys().map(|path| len(after, path)).max().unwrap_or(0);
    (grown.map(|path| len(after, path)).max().unwrap_or(0), longest)
}

/// Whether an operation only gives names to what is there: no file gets longer by it.
fn moves(op: &Op) -> bool {
    matches!(op, Op::Rename(..) | Op::HardLink(..) | Op::LinkFile(..))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(super::cases(1000)))]

    #[test]
    fn limits_are_exact(
        layers in stack(1..=2, Symlinks::Anywhere),
        before in vec(op(), 0..8),
        op in op(),
        path in super::ops::path(),
    ) {
        let image = image(&layers);
        let container = ran(&image, &before);
        let (state, from) = (container.snapshot(), container.usage());
        let open = match op {
            Op::ReadAt(..) | Op::WriteAt(..) | Op::SetLen(..) | Op::PunchHole(..) | Op::LinkFile(..) => {
                Some(&*path)
            }
            _ => None,
        };
        let attempt = Attempt { image: &image, state: &state, open, op: &op };
        let Some((to, after)) = attempt.freely() else { return Ok(()) };
        let exact = Limits {
            bytes: Some(from.bytes.max(to.bytes)),
            inodes: Some(from.inodes.max(to.inodes)),
            file_size: None,
        };
        attempt.succeeds(exact, to);
        if to.bytes > from.bytes {
            attempt.fails(Limits { bytes: Some(to.bytes - 1), ..exact }, ErrorKind::StorageFull);
        }
        if to.inodes > from.inodes {
            attempt.fails(Limits { inodes: Some(to.inodes - 1), ..exact }, ErrorKind::StorageFull);
        }
        let (grown, longest) = longest(&picture(&container.view()), &after);
        attempt.succeeds(Limits { file_size: Some(longest), ..exact }, to);
        if grown > 0 && !moves(&op) {
            let limits = Limits { file_size: Some(grown - 1), ..exact };
            attempt.fails(limits, ErrorKind::FileTooLarge);
        }
    }
}
