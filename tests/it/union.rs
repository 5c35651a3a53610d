//! The sixteen rules of the union (docs/semantics.md, "The union"), one test or more for each.

use std::io::{Read, Write};
use std::sync::Arc;

use stratafs::{
    Attrs, Container, Device, ErrorKind, Image, Layer, ManualClock, OpenOptions, Timestamp, View,
};

pub(crate) fn image<const N: usize>(layers: [Layer; N]) -> Image {
    Image::from_layers(layers).unwrap()
}

/// Paths below a directory, in order.
pub(crate) fn paths(view: &View, dir: &str) -> Vec<String> {
    view.walk(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .collect()
}

fn names(container: &Container, dir: &str) -> Vec<String> {
    container.read_dir(dir).unwrap().map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn sound(container: &Container) {
    assert_eq!(container.check(), Vec::<String>::new());
}

#[test]
fn u01_the_topmost_object_of_a_name_wins() {
    let image = image([Layer::from([("a", "1"), ("b", "1")]), Layer::from([("a", "2")])]);
    assert_eq!(image.view().read("/a").unwrap(), "2");
    assert_eq!(image.view().read("/b").unwrap(), "1");
}

#[test]
fn u01_directories_merge_and_anything_else_hides_what_is_below() {
    let lower = Layer::from([("d/x", "1"), ("f/x", "1"), ("g", "1")]);
    let upper =
        Layer::builder().file("/d/y", "2").file("/f", "2").file("/g/y", "2").build().unwrap();
    assert_eq!(
        paths(&image([lower, upper]).view(), "/"),
        ["/d", "/d/x", "/d/y", "/f", "/g", "/g/y"]
    );
}

#[test]
fn u01_what_hides_an_ancestor_hides_all_its_descendants_for_good() {
    let lowest = Layer::from([("d/e/f/deep", "1")]);
    let file = Layer::from([("d/e", "a file between")]);
    let top = Layer::from([("d/e/new", "3")]);
    assert_eq!(paths(&image([lowest, file, top]).view(), "/"), ["/d", "/d/e", "/d/e/new"]);
}

#[test]
fn u02_a_merged_directory_has_the_attributes_of_the_topmost_whole() {
    let lower = Layer::builder()
        .dir("/d")
        .attrs(Attrs::new().mode(0o700).uid(1))
        .xattr("user.low", "1")
        .build()
        .unwrap();
    let upper = Layer::builder()
        .dir("/d")
        .attrs(Attrs::new().mode(0o711).gid(2))
        .xattr("user.up", "2")
        .build()
        .unwrap();
    let view = image([lower, upper]).view();
    let metadata = view.metadata("/d").unwrap();
    assert_eq!((metadata.mode(), metadata.uid(), metadata.gid()), (0o711, 0, 2));
    assert_eq!(view.xattrs("/d").unwrap(), ["user.up"]);
}

#[test]
fn u03_whiteouts_and_opaque_marks_are_never_visible() {
    let lower = Layer::from([("d/a", "1"), ("d/b", "1"), ("o/x", "1")]);
    let marks =
        Layer::builder().whiteout("/d/a").opaque_dir("/o").whiteout("/never").build().unwrap();
    let view = image([lower, marks, Layer::from([("d/c", "3")])]).view();
    assert_eq!(paths(&view, "/"), ["/d", "/d/b", "/d/c", "/o"]);
    for hidden in ["/d/.wh.a", "/o/.wh..wh..opq", "/d/a", "/never", "/o/x"] {
        assert!(!view.exists(hidden).unwrap(), "{hidden}");
    }
    assert_eq!(view.metadata("/").unwrap().nlink(), 4);
}

#[test]
fn u04_a_directory_removed_and_made_again_is_empty_at_every_depth() {
    let container =
        image([Layer::from([("d/e/f", "1"), ("d/x", "1")]), Layer::from([("d/e/g", "2")])])
            .container();
    container.remove_dir_all("/d").unwrap();
    container.create_dir_all("/d/e").unwrap();
    assert_eq!(paths(&container.view(), "/"), ["/d", "/d/e"]);
    assert!(!container.exists("/d/e/f").unwrap());
    assert_eq!(container.metadata("/d").unwrap().nlink(), 3);
    sound(&container);
    let committed = container.commit().unwrap();
    assert_eq!(paths(&committed.view(), "/"), ["/d", "/d/e"]);
}

#[test]
fn u04_no_child_of_a_removed_directory_can_be_reached_by_its_full_path() {
    let container = image([Layer::from([("a/b/c/d", "1")])]).container();
    container.remove_dir_all("/a/b").unwrap();
    for path in ["/a/b", "/a/b/c", "/a/b/c/d"] {
        assert_eq!(container.metadata(path).unwrap_err().kind(), ErrorKind::NotFound, "{path}");
    }
    sound(&container);
}

#[test]
fn u05_remove_dir_looks_at_the_merged_view() {
    let container =
        image([Layer::from([("d/low", "1")]), Layer::from([("d/up", "2")])]).container();
    container.write("/d/own", "3").unwrap();
    for file in ["/d/own", "/d/up", "/d/low"] {
        assert_eq!(container.remove_dir("/d").unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
        container.remove_file(file).unwrap();
    }
    container.remove_dir("/d").unwrap();
    sound(&container);
}

#[test]
fn u06_removing_a_name_of_the_writable_layer_leaves_no_mark() {
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let container =
        image([Layer::from([("d/low", "1")])]).build_container().clock(clock).build().unwrap();
    container.write("/d/own", "1").unwrap();
    container.remove_file("/d/own").unwrap();
    assert_eq!(container.diff().unwrap().to_string(), "");
    assert_eq!(container.usage(), stratafs::Usage::default());
}

#[test]
fn u07_rename_moves_a_lower_directory_as_one_step() {
    let container =
        image([Layer::from([("d/a", "1"), ("d/e/b", "1")]), Layer::from([("d/e/c", "2")])])
            .container();
    let ino = container.metadata("/d/e/b").unwrap().ino();
    container.write("/d/e/own", "3").unwrap();
    container.rename("/d", "/moved").unwrap();
    let expected = ["/moved", "/moved/a", "/moved/e", "/moved/e/b", "/moved/e/c", "/moved/e/own"];
    assert_eq!(paths(&container.view(), "/"), expected);
    assert_eq!(container.metadata("/moved/e/b").unwrap().ino(), ino);
    assert!(!container.exists("/d/e/b").unwrap());
    sound(&container);
    assert_eq!(paths(&container.commit().unwrap().view(), "/"), expected);
}

#[test]
fn u07_rename_within_a_moved_directory_and_back() {
    let container = image([Layer::from([("d/e/b", "1"), ("x/y", "1")])]).container();
    container.rename("/d", "/x/d").unwrap();
    container.rename("/x/d/e", "/e").unwrap();
    container.rename("/x/d", "/d").unwrap();
    container.rename("/e", "/d/e").unwrap();
    assert_eq!(paths(&container.view(), "/"), ["/d", "/d/e", "/d/e/b", "/x", "/x/y"]);
    sound(&container);
}

#[test]
fn u08_rename_onto_a_removed_name_is_as_onto_a_free_one() {
    let container =
        image([Layer::from([("a", "1"), ("b", "1"), ("d/x", "1"), ("e/y", "1")])]).container();
    container.remove_file("/b").unwrap();
    container.rename_no_replace("/a", "/b").unwrap();
    container.remove_dir_all("/e").unwrap();
    container.rename_no_replace("/d", "/e").unwrap();
    assert_eq!(paths(&container.view(), "/"), ["/b", "/e", "/e/x"]);
    sound(&container);
}

#[test]
fn u08_exchange_works_across_layers_and_types() {
    let container = image([Layer::from([("d/x", "1")])]).container();
    container.write("/f", "own").unwrap();
    container.exchange("/d", "/f").unwrap();
    assert_eq!(paths(&container.view(), "/"), ["/d", "/f", "/f/x"]);
    assert_eq!(container.read("/d").unwrap(), "own");
    sound(&container);
}

#[test]
fn u08_rename_between_two_links_of_one_file_does_nothing() {
    let layer = Layer::builder().file("/a", "1").hard_link("/a", "/b").build().unwrap();
    let container = image([layer]).container();
    container.rename("/a", "/b").unwrap();
    assert_eq!(paths(&container.view(), "/"), ["/a", "/b"]);
    assert!(container.diff().unwrap().is_empty());
}

#[test]
fn u08_a_directory_cannot_go_into_its_own_subtree() {
    let container = image([Layer::from([("d/e/x", "1")])]).container();
    assert_eq!(container.rename("/d", "/d/e/f").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(container.exchange("/d", "/d/e").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(container.exchange("/d/e", "/d").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(container.diff().unwrap().is_empty());
}

#[test]
fn u09_the_inode_number_never_changes() {
    let container = image([Layer::from([("d/f", "1")])]).container();
    let ino = container.metadata("/d/f").unwrap().ino();
    container.append("/d/f", "2").unwrap();
    container.set_attrs("/d/f", Attrs::new().mode(0o600)).unwrap();
    container.hard_link("/d/f", "/g").unwrap();
    container.rename("/d/f", "/h").unwrap();
    let _kept = container.snapshot();
    container.write("/h", "3").unwrap();
    for name in ["/g", "/h"] {
        assert_eq!(container.metadata(name).unwrap().ino(), ino, "{name}");
    }
    let listed = container.read_dir("/").unwrap().find(|entry| entry.name() == b"h").unwrap();
    assert_eq!(listed.ino(), ino);
}

#[test]
fn u09_nlink_counts_visible_names_only() {
    let lower = Layer::builder()
        .dir("/d/a")
        .dir("/d/b")
        .file("/f", "1")
        .hard_link("/f", "/g")
        .build()
        .unwrap();
    let container =
        image([lower, Layer::builder().dir("/d/c").whiteout("/d/a").build().unwrap()]).container();
    assert_eq!(container.metadata("/d").unwrap().nlink(), 4);
    container.remove_dir("/d/b").unwrap();
    assert_eq!(container.metadata("/d").unwrap().nlink(), 3);
    container.remove_file("/g").unwrap();
    assert_eq!(container.metadata("/f").unwrap().nlink(), 1);
}

#[test]
fn u10_hard_links_stay_hard_links_after_a_write() {
    let lower = Layer::builder().file("/a", "1").hard_link("/a", "/d/b").build().unwrap();
    let container = image([lower]).container();
    container.write("/d/b", "through b").unwrap();
    container.hard_link("/a", "/c").unwrap();
    container.set_attrs("/c", Attrs::new().mode(0o600)).unwrap();
    for name in ["/a", "/d/b", "/c"] {
        let metadata = container.metadata(name).unwrap();
        assert_eq!((metadata.nlink(), metadata.mode(), metadata.len()), (3, 0o600, 9), "{name}");
    }
    let again = container.commit().unwrap().view();
    assert_eq!(again.metadata("/a").unwrap().ino(), again.metadata("/d/b").unwrap().ino());
    assert_eq!(again.metadata("/c").unwrap().nlink(), 3);
}

#[test]
fn u11_a_handle_opened_before_the_first_write_sees_later_changes() {
    let container = image([Layer::from([("f", "old")])]).container();
    let mut reader = container.open("/f").unwrap();
    container.write("/f", "newer").unwrap();
    container.set_attrs("/f", Attrs::new().mode(0o640)).unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), reader.metadata().unwrap().mode()), ("newer", 0o640));
}

#[test]
fn u11_a_removed_open_file_stays_until_its_last_handle_closes() {
    let container = Image::scratch().container();
    container.write("/f", "12345").unwrap();
    let file = container.open_with("/f", OpenOptions::new().read(true).write(true)).unwrap();
    let twin = file.duplicate();
    container.remove_file("/f").unwrap();
    container.write("/f", "another").unwrap();
    file.write_at(b"67", 5).unwrap();
    assert_eq!(twin.read_bytes(0, 99).unwrap(), "1234567");
    assert_eq!((twin.metadata().unwrap().nlink(), container.usage().bytes), (0, 14));
    drop(file);
    assert_eq!(container.usage().bytes, 14);
    drop(twin);
    assert_eq!((container.usage().bytes, container.usage().inodes), (7, 1));
    sound(&container);
}

#[test]
fn u12_opening_for_writing_without_writing_changes_nothing() {
    let container = image([Layer::from([("f", "1")])]).container();
    let before = container.metadata("/f").unwrap();
    drop(
        container.open_with("/f", OpenOptions::new().read(true).write(true).create(true)).unwrap(),
    );
    assert_eq!(container.metadata("/f").unwrap(), before);
    assert!(container.diff().unwrap().is_empty());
    assert_eq!(container.usage().bytes, 0);
}

#[test]
fn u12_the_first_write_keeps_all_but_the_times_and_does_not_touch_the_parent() {
    let attrs = Attrs::new().mode(0o4755).uid(7).gid(8).modified(Timestamp::new(5, 0));
    let lower = Layer::builder()
        .dir("/d")
        .file("/d/f", "1")
        .attrs(attrs)
        .xattr("user.k", "v")
        .build()
        .unwrap();
    let container = image([lower]).container();
    let parent = container.metadata("/d").unwrap();
    container.append("/d/f", "2").unwrap();
    let after = container.metadata("/d/f").unwrap();
    assert_eq!((after.mode(), after.uid(), after.gid(), after.len()), (0o4755, 7, 8, 2));
    assert_eq!(container.xattr("/d/f", "user.k").unwrap(), "v");
    assert!(after.modified() > Timestamp::new(5, 0));
    assert_eq!(container.metadata("/d").unwrap(), parent);
}

#[test]
fn u12_a_write_by_anybody_but_root_clears_setuid_and_setgid() {
    let lower = Layer::builder().file("/f", "1").attrs(Attrs::new().mode(0o6777)).build().unwrap();
    let container = image([lower]).container();
    container.as_user(stratafs::Credentials::user(7, 7)).append("/f", "2").unwrap();
    assert_eq!(container.metadata("/f").unwrap().mode(), 0o777);
}

#[test]
fn u13_concurrent_first_writes_end_in_one_file_with_everybodys_bytes() {
    let container = image([Layer::from([("f", "________"), ("log", "")])]).container();
    std::thread::scope(|scope| {
        for index in 0..8_u8 {
            let container = &container;
            scope.spawn(move || {
                let file = container.open_with("/f", OpenOptions::new().write(true)).unwrap();
                file.write_at(&[b'a' + index], index.into()).unwrap();
                let mut log = container.open_with("/log", OpenOptions::new().append(true)).unwrap();
                (0..100).for_each(|_| log.write_all(b"line\n").unwrap());
            });
        }
    });
    assert_eq!(container.read("/f").unwrap(), "abcdefgh");
    assert_eq!(container.metadata("/log").unwrap().len(), 8 * 100 * 5);
}

#[test]
fn u14_removing_while_iterating_neither_repeats_nor_skips() {
    let lower =
        Layer::builder().file("/d/a", "").file("/d/b", "").file("/d/c", "").build().unwrap();
    let container = image([lower]).container();
    container.write("/d/aa", "").unwrap();
    let mut seen = Vec::new();
    for entry in container.read_dir("/d").unwrap() {
        container.remove_file(entry.path()).unwrap();
        seen.push(entry.file_name());
    }
    assert_eq!(seen, ["a", "aa", "b", "c"]);
    assert!(names(&container, "/d").is_empty(), "starting again shows the present state");
}

#[test]
fn u15_nothing_in_a_layer_ever_changes() {
    let layers = [Layer::from([("a", "1"), ("d/b", "1")]), Layer::from([("d/c", "2")])];
    let digests = || layers.iter().map(|layer| layer.diff_id().unwrap()).collect::<Vec<_>>();
    // Computed anew from a copy, so that a digest that was kept cannot hide a change.
    let copies = || {
        layers
            .iter()
            .map(|layer| format!("{:?}", layer.entries().collect::<Vec<_>>()))
            .collect::<Vec<_>>()
    };
    let (before, listed) = (digests(), copies());
    let container = Image::from_layers(layers.clone()).unwrap().container();
    container.write("/a", "changed").unwrap();
    container.rename("/d", "/e").unwrap();
    container.remove_dir_all("/e").unwrap();
    container.commit().unwrap();
    assert_eq!((digests(), copies()), (before, listed));
}

#[test]
fn u16_any_device_and_any_name_is_an_ordinary_object() {
    let container = image([Layer::from([("d/x", "1")])]).container();
    container.create_char_device("/d/zero", 0o600, Device { major: 0, minor: 0 }).unwrap();
    container.write("/d/.wh.x", "a file").unwrap();
    container.write("/d/.wh..wh..opq", "another").unwrap();
    container.write(format!("/d/{}", "n".repeat(255)), "").unwrap();
    assert_eq!(
        names(&container, "/d")[..4],
        [".wh..wh..opq", ".wh.x", "n".repeat(255).as_str(), "x"]
    );
    assert_eq!(container.read("/d/x").unwrap(), "1");
    let committed = container.commit().unwrap();
    assert_eq!(committed.view().read("/d/.wh.x").unwrap(), "a file");
    assert_eq!(
        committed.chain_id().unwrap_err().kind(),
        ErrorKind::InvalidInput,
        "OCI cannot hold it"
    );
}
