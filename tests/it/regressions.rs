//! Bugs that other layered filesystems had (docs/semantics.md, "Bugs that others had"), a test for each.

use std::io::{Read, Seek, Write};

use stratafs::{Attrs, Container, ErrorKind, Image, Layer, Limits, OpenOptions, Timestamp};

use crate::union::paths;

/// A container over two layers, so that every object has something to be lower than.
fn container() -> Container {
    let lower = Layer::from([("d/a", "1"), ("d/e/b", "1"), ("f", "lower"), ("g", "1")]);
    Image::from_layers([lower, Layer::from([("d/e/c", "2")])]).unwrap().container()
}

fn sound(container: &Container) {
    assert_eq!(container.check(), Vec::<String>::new());
}

#[test]
fn regression_deleted_lower_directory_leaves_no_readable_children() {
    let container = container();
    container.remove_dir_all("/d").unwrap();
    assert_eq!(container.read("/d/e/b").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(container.open("/d/a").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn regression_recreating_a_lower_directory_does_not_bring_its_children_back() {
    let container = container();
    container.remove_dir_all("/d").unwrap();
    container.create_dir("/d").unwrap();
    container.create_dir("/d/e").unwrap();
    assert_eq!(paths(&container.view(), "/d"), ["/d/e"]);
}

#[test]
fn regression_renaming_a_lower_directory_neither_loses_nor_splits_its_children() {
    let container = container();
    container.write("/d/e/own", "3").unwrap();
    container.rename("/d/e", "/moved").unwrap();
    assert_eq!(paths(&container.view(), "/moved"), ["/moved/b", "/moved/c", "/moved/own"]);
    assert_eq!(paths(&container.view(), "/d"), ["/d/a"]);
    sound(&container);
}

#[test]
fn regression_rmdir_of_a_non_empty_lower_directory_is_refused() {
    let container = container();
    assert_eq!(container.remove_dir("/d/e").unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    assert!(container.exists("/d/e/b").unwrap());
}

#[test]
fn regression_no_marker_is_listed() {
    let container = container();
    container.remove_file("/f").unwrap();
    container.remove_file("/d/a").unwrap();
    assert_eq!(paths(&container.view(), "/"), ["/d", "/d/e", "/d/e/b", "/d/e/c", "/g"]);
}

#[test]
fn regression_removing_a_changed_lower_file_does_not_bring_the_lower_one_back() {
    let container = container();
    container.write("/f", "changed").unwrap();
    container.remove_file("/f").unwrap();
    assert!(!container.exists("/f").unwrap());
    container.write("/f", "new").unwrap();
    container.remove_file("/f").unwrap();
    assert!(!container.exists("/f").unwrap());
}

#[test]
fn regression_times_of_a_lower_file_can_be_set() {
    let container = container();
    container.set_attrs("/f", Attrs::new().modified(Timestamp::new(-5, 7))).unwrap();
    let metadata = container.metadata("/f").unwrap();
    assert_eq!((metadata.modified(), metadata.len()), (Timestamp::new(-5, 7), 5));
}

#[test]
fn regression_creating_a_file_over_a_lower_directory_is_refused() {
    let container = container();
    assert_eq!(container.write("/d", "file").unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(container.create("/d").unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(container.create_dir("/d").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert!(container.exists("/d/e/b").unwrap());
}

#[test]
fn regression_truncate_at_open_is_not_lost() {
    let container = container();
    drop(container.open_with("/f", OpenOptions::new().write(true).truncate(true)).unwrap());
    assert_eq!(container.metadata("/f").unwrap().len(), 0);
    assert_eq!(container.diff().unwrap().to_string(), "C /\nC /f\n");
}

#[test]
fn regression_an_unlinked_open_file_keeps_its_bytes_and_does_not_come_back() {
    let container = container();
    let mut file = container.open_with("/f", OpenOptions::new().read(true).write(true)).unwrap();
    container.remove_file("/f").unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    file.write_all(b" and more").unwrap();
    assert_eq!(text, "lower");
    drop(file);
    assert!(!container.exists("/f").unwrap());
    sound(&container);
}

#[test]
fn regression_two_append_handles_lose_no_bytes() {
    let container = container();
    let mut handles =
        [0, 1].map(|_| container.open_with("/f", OpenOptions::new().append(true)).unwrap());
    for text in ["a", "b", "c"] {
        handles.iter_mut().for_each(|file| file.write_all(text.as_bytes()).unwrap());
    }
    assert_eq!(container.read("/f").unwrap(), "loweraabbcc");
}

#[test]
fn regression_reading_past_the_end_reads_nothing() {
    let container = container();
    let mut file = container.open("/f").unwrap();
    file.seek(std::io::SeekFrom::Start(1 << 40)).unwrap();
    assert_eq!(file.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(file.read_bytes(u64::MAX, u64::MAX).unwrap(), "");
}

#[test]
fn regression_opening_for_writing_copies_nothing() {
    let container = container();
    let file = container.open_with("/f", OpenOptions::new().write(true)).unwrap();
    assert_eq!((container.usage().bytes, container.usage().inodes), (0, 0));
    drop(file);
    assert!(container.diff().unwrap().is_empty());
}

#[test]
fn regression_a_snapshot_remembers_removals() {
    let container = container();
    container.remove_file("/f").unwrap();
    container.remove_dir_all("/d").unwrap();
    let snapshot = container.snapshot();
    container.reset();
    assert!(container.exists("/f").unwrap());
    container.restore(&snapshot).unwrap();
    assert_eq!(paths(&container.view(), "/"), ["/g"]);
    assert_eq!(paths(&container.fork().view(), "/"), ["/g"]);
}

#[test]
fn regression_removals_survive_a_commit_and_a_new_start() {
    let container = container();
    container.remove_dir_all("/d/e").unwrap();
    let image = container.commit().unwrap();
    let again = Image::from_layers(image.layers().iter().cloned()).unwrap();
    for view in [image.view(), again.view(), again.container().view()] {
        assert_eq!(paths(&view, "/"), ["/d", "/d/a", "/f", "/g"]);
    }
}

#[test]
fn regression_a_link_keeps_the_inode_number() {
    let container = container();
    let ino = container.metadata("/f").unwrap().ino();
    container.hard_link("/f", "/d/link").unwrap();
    assert_eq!(container.metadata("/f").unwrap().ino(), ino);
    assert_eq!(container.metadata("/d/link").unwrap().ino(), ino);
}

#[test]
fn regression_no_replace_over_a_removed_name_succeeds() {
    let container = container();
    container.remove_file("/g").unwrap();
    container.rename_no_replace("/f", "/g").unwrap();
    assert_eq!(container.read("/g").unwrap(), "lower");
}

#[test]
fn regression_no_needless_whiteouts() {
    let container = container();
    container.write("/own", "1").unwrap();
    container.rename("/own", "/own2").unwrap();
    container.remove_file("/own2").unwrap();
    container.create_dir("/dir").unwrap();
    container.remove_dir("/dir").unwrap();
    assert_eq!(container.diff().unwrap().to_string(), "C /\n", "only the time of the root");
}

#[test]
fn regression_renaming_over_a_removed_name_leaves_the_whiteout_of_the_old_one() {
    let container = container();
    container.remove_file("/g").unwrap();
    container.rename("/f", "/g").unwrap();
    let again = container.commit().unwrap().view();
    assert_eq!(paths(&again, "/"), ["/d", "/d/a", "/d/e", "/d/e/b", "/d/e/c", "/g"]);
    container.remove_file("/g").unwrap();
    assert!(!container.commit().unwrap().view().exists("/g").unwrap());
}

#[test]
fn regression_an_opaque_mark_holds_for_grandchildren() {
    let lower = Layer::from([("d/e/b", "1"), ("d/e/h/i", "1")]);
    let upper = Layer::builder().opaque_dir("/d").dir("/d/e").build().unwrap();
    let image = Image::from_layers([lower, upper]).unwrap();
    assert_eq!(paths(&image.view(), "/"), ["/d", "/d/e"]);
    assert!(!image.view().exists("/d/e/h/i").unwrap());
}

#[test]
fn regression_the_listed_number_is_the_objects_number() {
    let container = container();
    container.append("/d/e/b", "2").unwrap();
    container.rename("/d/e", "/d/x").unwrap();
    for entry in container.walk("/").unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.ino(),
            container.symlink_metadata(entry.path()).unwrap().ino(),
            "{entry:?}"
        );
    }
}

#[test]
fn regression_setuid_is_lost_on_a_users_write_and_on_nothing_else() {
    let lower = Layer::builder().file("/s", "1").attrs(Attrs::new().mode(0o4777)).build().unwrap();
    let container = Image::from_layers([lower]).unwrap().container();
    let user = container.as_user(stratafs::Credentials::user(9, 9));
    drop(user.open_with("/s", OpenOptions::new().write(true)).unwrap());
    container.rename("/s", "/t").unwrap();
    container.append("/t", "by root").unwrap();
    assert_eq!(container.metadata("/t").unwrap().mode(), 0o4777);
    user.append("/t", "by a user").unwrap();
    assert_eq!(container.metadata("/t").unwrap().mode(), 0o777);
}

#[test]
fn regression_limits_hold_for_restored_files_and_at_the_exact_limit() {
    let limits = Limits { bytes: Some(10), ..Limits::default() };
    let image =
        Image::from_layers([Layer::from([("big", "a file of a layer is not the container's")])])
            .unwrap();
    let container = image.build_container().limits(limits).build().unwrap();
    container.write("/ten", "0123456789").unwrap();
    let full = container.snapshot();
    container.reset();
    container.write("/five", "01234").unwrap();
    container.restore(&full).unwrap();
    assert_eq!(container.append("/ten", "x").unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(container.copy("/ten", "/copy").unwrap_err().kind(), ErrorKind::StorageFull);
    container.write("/ten", "9876543210").unwrap();
    assert_eq!(container.usage().bytes, 10);
    sound(&container);
}
