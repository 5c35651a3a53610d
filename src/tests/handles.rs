//! Open files outlive their names, the state that they were opened in, and their container.

use proptest::collection::vec;
use proptest::prelude::*;

use super::container::Pair;
use super::layers::{Symlinks, stack};
use super::ops::{Op, handles, imagine_file, on_file, op};
use crate::{Container, ErrorKind, File, Image, Layer, OpenOptions, Snapshot, Usage};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(super::cases(150)))]

    #[test]
    fn handles_work_after_their_container_is_dropped(
        layers in stack(1..=2, Symlinks::Anywhere),
        before in vec(prop_oneof![op(), handles()], 1..20),
        after in vec(handles(), 1..20),
    ) {
        let mut pair = Pair::over(&layers);
        pair.steps(&before);
        let Pair { container, files, mut model, handles, .. } = pair;
        drop(container);
        for op in &after {
            let (Op::ReadAt(slot, ..) | Op::WriteAt(slot, ..) | Op::SetLen(slot, _)
                | Op::PunchHole(slot, ..)) = op else { continue };
            let Some((id, how)) = handles.get(slot) else { continue };
            let got = on_file(&files, op).map_err(|error| error.errno());
            prop_assert_eq!(got, imagine_file(&mut model, *id, *how, op), "{:?}", op);
        }
    }
}

fn read(file: &File) -> bytes::Bytes {
    file.read_bytes(0, u64::MAX).unwrap()
}

fn open(container: &Container) -> File {
    container.open_with("/f", OpenOptions::new().read(true).write(true)).unwrap()
}

type Way = fn(&Container, &Snapshot);

/// Every way to take the name from an open file, of a layer and of the container.
const WAYS: [(&str, Way); 4] = [
    ("unlink", |container, _| container.remove_file("/f").unwrap()),
    ("rename over", |container, _| container.rename("/g", "/f").unwrap()),
    ("reset", |container, _| container.reset()),
    ("restore", |container, start| container.restore(start).unwrap()),
];

#[test]
fn file_is_kept_and_given_back_at_the_last_close() {
    let image = Image::from_layers([Layer::from([("f", "lower"), ("g", "g")])]).unwrap();
    let start = image.container().snapshot();
    for (way, act) in WAYS {
        for own in [false, true] {
            let container = image.container();
            if own {
                container.write("/f", "own").unwrap();
            }
            let (file, other) = (open(&container), open(&container));
            let third = other.duplicate();
            let metadata = file.metadata().unwrap();
            act(&container, &start);
            assert_eq!(file.metadata().unwrap().ino(), metadata.ino(), "{way}");
            assert_eq!(file.metadata().unwrap().nlink(), 0, "{way}");
            assert_eq!(read(&other), if own { "own" } else { "lower" }, "{way}");
            third.write_at(b"still here", 0).unwrap();
            assert_eq!(read(&file), "still here", "{way}");
            let named = container.snapshot().usage();
            let kept = Usage { bytes: named.bytes + 10, ..named };
            assert_eq!(container.usage(), kept, "{way}: it counts while it is open");
            assert_eq!(container.check(), Vec::<String>::new(), "{way}");
            drop((file, other));
            assert_eq!(container.usage(), kept, "{way}: one handle is left");
            drop(third);
            assert_eq!(container.usage(), named, "{way}: it is given back");
            assert_eq!(container.check(), Vec::<String>::new(), "{way}");
        }
    }
}

#[test]
fn file_made_in_a_transaction_that_failed_is_stale() {
    let container = Image::scratch().container();
    let mut made = None;
    let result: crate::Result<()> = container.transaction(|container| {
        made = Some(container.open_with("/f", OpenOptions::new().write(true).create(true))?);
        container.remove_file("/none")
    });
    assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
    let file = made.unwrap();
    assert_eq!(file.write_at(b"x", 0).unwrap_err().kind(), ErrorKind::StaleHandle);
    // Its number is not given to another object.
    container.write("/f", "new").unwrap();
    assert_eq!(file.metadata().unwrap_err().kind(), ErrorKind::StaleHandle);
    drop(file);
    assert_eq!(container.check(), Vec::<String>::new());
}
