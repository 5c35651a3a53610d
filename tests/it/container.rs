//! What a container can do beside being a filesystem: go back, fork, commit, be limited, be somebody.

use std::io::{Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};

use stratafs::{
    Atime, Attrs, Container, Credentials, Error, ErrorKind, Image, Layer, Limits, ManualClock,
    OpenOptions, Timestamp, Usage, XattrMode,
};

use crate::union::paths;

fn image() -> Image {
    Image::from_layers([Layer::from([("d/a", "1"), ("f", "lower")])]).unwrap()
}

fn sound(container: &Container) {
    assert_eq!(container.check(), Vec::<String>::new());
}

#[test]
fn transaction_is_seen_by_others_whole_or_not_at_all() {
    let container = image().container();
    let (started, go_on) = (mpsc::channel::<()>(), mpsc::channel::<()>());
    std::thread::scope(|scope| {
        let (container, other) = (&container, &container);
        scope.spawn(move || {
            started.1.recv().unwrap();
            assert_eq!(other.read("/f").unwrap(), "lower");
            assert!(!other.exists("/new").unwrap());
            assert_eq!(other.view().read("/f").unwrap(), "lower");
            go_on.0.send(()).unwrap();
        });
        container
            .transaction(|container| {
                container.write("/f", "changed")?;
                container.write("/new", "1")?;
                assert_eq!(container.read("/f")?, "changed", "this thread sees its own changes");
                started.0.send(()).unwrap();
                go_on.1.recv().unwrap();
                Ok::<(), Error>(())
            })
            .unwrap();
    });
    assert_eq!(container.read("/f").unwrap(), "changed");
}

#[test]
fn transaction_that_fails_or_panics_leaves_all_as_it_was() {
    let container = image().container();
    let before = container.view();
    let failed: Result<(), Error> = container.transaction(|container| {
        container.remove_dir_all("/d")?;
        container.write("/g", "1")?;
        container.read("/missing").map(drop)
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::NotFound);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        container.transaction(|container| {
            container.write("/g", "1")?;
            panic!("in mid-game");
            #[expect(unreachable_code, reason = "it gives the closure its type")]
            Ok::<(), Error>(())
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(before.diff(&container.view()).unwrap().to_string(), "");
    assert_eq!(container.usage(), Usage::default());
    container.write("/g", "usable").unwrap();
    sound(&container);
}

#[test]
fn transaction_inside_a_transaction_goes_back_alone() {
    let container = image().container();
    container
        .transaction(|container| {
            container.write("/outer", "1")?;
            let inner: Result<(), Error> = container.transaction(|container| {
                container.write("/inner", "1")?;
                container.remove_file("/missing")
            });
            assert!(inner.is_err());
            Ok::<(), Error>(())
        })
        .unwrap();
    assert_eq!(paths(&container.view(), "/"), ["/d", "/d/a", "/f", "/outer"]);
}

#[test]
fn transaction_taken_back_keeps_old_handles_and_makes_new_ones_stale() {
    let container = image().container();
    let old = container.open_with("/f", OpenOptions::new().read(true).write(true)).unwrap();
    let mut new = None;
    let failed: Result<(), Error> = container.transaction(|container| {
        new = Some(container.create("/new")?);
        old.write_at(b"LOWER", 0)?;
        container.remove_file("/f")?;
        container.remove_file("/missing")
    });
    assert!(failed.is_err());
    assert_eq!(old.read_bytes(0, 9).unwrap(), "lower");
    assert_eq!(old.metadata().unwrap().nlink(), 1);
    let new = new.unwrap();
    assert_eq!(new.write_at(b"x", 0).unwrap_err().kind(), ErrorKind::StaleHandle);
    container.write("/another", "1").unwrap();
    assert_eq!(
        new.metadata().unwrap_err().kind(),
        ErrorKind::StaleHandle,
        "numbers are not given out again"
    );
    drop((old, new));
    sound(&container);
}

#[test]
fn transaction_that_closes_the_last_handle_and_goes_back_keeps_nothing() {
    let container = image().container();
    let file = container.open("/f").unwrap();
    container.remove_file("/f").unwrap();
    let failed: Result<(), Error> = container.transaction(|container| {
        drop(file);
        container.remove_file("/missing")
    });
    assert!(failed.is_err());
    sound(&container);
}

#[test]
fn restore_detaches_open_handles_and_gives_their_space_back_at_the_last_close() {
    let container = image().container();
    container.write("/f", "written").unwrap();
    let save = container.snapshot();
    let file = container.open_with("/f", OpenOptions::new().read(true).write(true)).unwrap();
    file.write_at(b"WRI", 0).unwrap();
    container.restore(&save).unwrap();
    assert_eq!(container.read("/f").unwrap(), "written");
    assert_eq!(
        (file.read_bytes(0, 99).unwrap(), file.metadata().unwrap().nlink()),
        ("WRItten".into(), 0)
    );
    file.write_at(b"more", 7).unwrap();
    assert_eq!(container.read("/f").unwrap(), "written");
    assert_eq!(container.usage().bytes, 7 + 11);
    sound(&container);
    drop(file);
    assert_eq!(container.usage().bytes, 7);
    sound(&container);
}

#[test]
fn restore_of_a_snapshot_of_another_start_is_refused() {
    let (one, two) = (image().container(), image().container());
    assert_eq!(one.restore(&two.snapshot()).unwrap_err().kind(), ErrorKind::InvalidInput);
    one.fork().restore(&one.snapshot()).unwrap();
}

#[test]
fn handle_keeps_working_after_reset_and_after_the_container_is_dropped() {
    let container = image().container();
    let mut file = container.open_with("/d/a", OpenOptions::new().read(true).append(true)).unwrap();
    container.reset();
    file.write_all(b"2").unwrap();
    assert_eq!(container.read("/d/a").unwrap(), "1");
    drop(container);
    file.write_all(b"3").unwrap();
    file.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "123");
}

#[test]
fn fork_and_its_twin_do_not_see_each_other() {
    let container = image().container();
    container.write("/shared", "1").unwrap();
    let twin = container.fork();
    container.write("/shared", "2").unwrap();
    twin.remove_dir_all("/d").unwrap();
    assert_eq!(twin.read("/shared").unwrap(), "1");
    assert!(container.exists("/d/a").unwrap());
    assert_eq!(twin.usage(), Usage { bytes: 1, inodes: 1 });
}

#[test]
fn commit_shares_all_lower_layers_and_nothing_more_is_added_without_a_change() {
    let image = image();
    let container = image.container();
    assert_eq!(container.commit().unwrap().layers().len(), 1);
    container.write("/g", "1").unwrap();
    let committed = container.commit().unwrap();
    let below = committed.layers()[0].diff_id().unwrap();
    assert_eq!(below, image.layers()[0].diff_id().unwrap());
    assert_eq!(container.view().diff(&committed.view()).unwrap().to_string(), "");
}

#[test]
fn commit_of_a_long_chain_stays_whole() {
    let mut image = image();
    for round in 0..300 {
        let container = image.container();
        (0..10).for_each(|index| {
            container.write(format!("/d/{}", (round * 7 + index) % 400), "x").unwrap()
        });
        container.append("/f", "+").unwrap();
        if round % 3 == 0 {
            container.rename("/d", "/e").unwrap();
            container.rename("/e", "/d").unwrap();
        }
        image = container.commit().unwrap();
    }
    assert_eq!(image.view().check(), Vec::<String>::new());
    assert_eq!(image.view().metadata("/f").unwrap().len(), 305);
    let again = Image::from_layers(image.layers().iter().cloned()).unwrap();
    assert_eq!(again.view().diff(&image.view()).unwrap().to_string(), "");
}

#[test]
fn limits_are_exact_for_bytes_inodes_and_file_size() {
    let limits = Limits { bytes: Some(8), inodes: Some(2), file_size: Some(6) };
    let container = image().build_container().limits(limits).build().unwrap();
    container.write("/a", "123456").unwrap();
    assert_eq!(container.append("/a", "7").unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert_eq!(container.write("/b", "123").unwrap_err().kind(), ErrorKind::StorageFull);
    assert!(!container.exists("/b").unwrap(), "a file that does not fit is not made empty");
    container.symlink("ab", "/b").unwrap();
    assert_eq!(container.create_dir("/c").unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(container.usage(), Usage { bytes: 8, inodes: 2 });
    assert_eq!(
        container.set_xattr("/f", "user.k", "v", XattrMode::Any).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    container.remove_file("/a").unwrap();
    container.set_xattr("/f", "user.k", "", XattrMode::Any).unwrap();
    assert_eq!(container.usage().bytes, 8);
    sound(&container);
}

#[test]
fn limits_count_a_temporary_file_until_it_is_closed() {
    let limits = Limits { inodes: Some(1), ..Limits::default() };
    let container = image().build_container().limits(limits).build().unwrap();
    let temporary = |container: &Container| {
        container.open_with("/d", OpenOptions::new().write(true).temporary(true))
    };
    let file = temporary(&container).unwrap();
    assert_eq!(temporary(&container).unwrap_err().kind(), ErrorKind::StorageFull);
    drop(file);
    let file = temporary(&container).unwrap();
    container.link_file(&file, "/d/named").unwrap();
    drop(file);
    assert_eq!(container.usage().inodes, 1);
    sound(&container);
}

#[test]
fn sparse_files_cost_nothing_for_their_holes() {
    let limits = Limits { bytes: Some(100_000), ..Limits::default() };
    let container = image().build_container().limits(limits).build().unwrap();
    let file =
        container.open_with("/s", OpenOptions::new().read(true).write(true).create(true)).unwrap();
    file.set_len(1 << 40).unwrap();
    file.write_at(b"x", 1 << 39).unwrap();
    assert_eq!((container.usage().bytes, file.metadata().unwrap().len()), (1, 1 << 40));
    assert_eq!((file.next_data(0).unwrap(), file.next_hole(0).unwrap()), (1 << 39, 0));
    assert_eq!(file.read_bytes((1 << 39) - 1, 3).unwrap(), &b"\0x\0"[..]);
    file.punch_hole(1 << 39, 1).unwrap();
    assert_eq!(container.usage().bytes, 0);
    assert_eq!(file.next_data(0).unwrap_err().kind(), ErrorKind::NoDevice);
    sound(&container);
}

#[test]
fn clock_is_asked_once_for_each_change() {
    let clock = Arc::new(ManualClock::new(Timestamp::new(10, 0)));
    let container = image().build_container().clock(clock.clone()).build().unwrap();
    container.write("/g", "1").unwrap();
    clock.advance(5_000_000_001);
    container.append("/g", "2").unwrap();
    let metadata = container.metadata("/g").unwrap();
    assert_eq!(
        (metadata.modified(), metadata.accessed()),
        (Timestamp::new(15, 1), Timestamp::new(10, 0))
    );
    assert_eq!(container.metadata("/").unwrap().modified(), Timestamp::new(10, 0));
}

#[test]
fn atime_follows_the_policy() {
    let clock = Arc::new(ManualClock::new(Timestamp::new(10, 0)));
    let start =
        |atime| image().build_container().clock(clock.clone()).atime(atime).build().unwrap();
    let accessed = |container: &Container| container.metadata("/f").unwrap().accessed().secs();
    let (never, relative, strict) =
        (start(Atime::Never), start(Atime::Relative), start(Atime::Strict));
    let all = [&never, &relative, &strict];
    all.iter().for_each(|container| drop(container.read("/f").unwrap()));
    assert_eq!(all.map(accessed), [0, 10, 10]);
    clock.advance(1_000_000_000);
    all.iter().for_each(|container| drop(container.open("/f").unwrap().read_bytes(0, 1).unwrap()));
    assert_eq!(all.map(accessed), [0, 10, 11]);
    clock.advance(24 * 3600 * 1_000_000_000);
    all.iter().for_each(|container| drop(container.read("/f").unwrap()));
    assert_eq!(all.map(accessed), [0, 24 * 3600 + 11, 24 * 3600 + 11]);
    assert!(strict.diff().unwrap().is_empty(), "an access is not a change");
}

#[test]
fn credentials_apply_to_every_step_of_a_path_and_to_sticky_directories() {
    let root = image().container();
    root.create_dir_with("/closed", 0o700).unwrap();
    root.write("/closed/f", "1").unwrap();
    root.create_dir("/tmp").unwrap();
    root.set_attrs("/tmp", Attrs::new().mode(0o1777)).unwrap();
    let (anna, ben) =
        (root.as_user(Credentials::user(1, 1)), root.as_user(Credentials::user(2, 2)));
    assert_eq!(anna.read("/closed/f").unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(anna.metadata("/closed/../d/a").unwrap_err().kind(), ErrorKind::PermissionDenied);
    anna.write("/tmp/hers", "1").unwrap();
    assert_eq!(ben.remove_file("/tmp/hers").unwrap_err().kind(), ErrorKind::NotPermitted);
    assert_eq!(ben.rename("/tmp/hers", "/tmp/his").unwrap_err().kind(), ErrorKind::NotPermitted);
    assert_eq!(
        ben.set_attrs("/tmp/hers", Attrs::new().mode(0o777)).unwrap_err().kind(),
        ErrorKind::NotPermitted
    );
    anna.remove_file("/tmp/hers").unwrap();
}

#[test]
fn setgid_directories_and_umask_decide_what_new_objects_get() {
    let root = image().container();
    root.create_dir("/team").unwrap();
    root.set_attrs("/team", Attrs::new().mode(0o2777).gid(50)).unwrap();
    let user = root.as_user(Credentials::user(1, 1).umask(0o027));
    user.write("/team/f", "").unwrap();
    user.create_dir("/team/d").unwrap();
    let (file, dir) = (root.metadata("/team/f").unwrap(), root.metadata("/team/d").unwrap());
    assert_eq!((file.mode(), file.uid(), file.gid()), (0o640, 1, 50));
    assert_eq!((dir.mode(), dir.gid()), (0o2750, 50));
}

#[test]
fn first_write_to_a_large_lower_file_copies_one_chunk() {
    let layer = Layer::builder().file("/big", vec![7_u8; 64 << 20]).build().unwrap();
    let container = Image::from_layers([layer]).unwrap().container();
    let file = container.open_with("/big", OpenOptions::new().read(true).write(true)).unwrap();
    file.write_at(&[8], 33 << 20).unwrap();
    assert_eq!(container.usage().bytes, 64 * 1024);
    assert_eq!(file.read_bytes((33 << 20) - 1, 3).unwrap(), [7, 8, 7].as_slice());
    sound(&container);
}

#[test]
fn source_that_fails_is_an_error_with_its_cause_and_changes_nothing() {
    #[derive(Debug)]
    struct Broken;
    impl stratafs::Source for Broken {
        fn len(&self) -> u64 {
            1 << 20
        }
        fn read_at(&self, _: u64, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let layer = Layer::builder().source("/f", Arc::new(Broken)).build().unwrap();
    let container = Image::from_layers([layer]).unwrap().container();
    let file = container.open_with("/f", OpenOptions::new().read(true).write(true)).unwrap();
    for error in [container.read("/f").unwrap_err(), file.write_at(b"x", 70_000).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the disk is gone");
    }
    assert_eq!((container.usage().bytes, container.diff().unwrap().is_empty()), (0, true));
    file.write_at(&[1; 65536], 65536).unwrap();
    assert_eq!(
        file.read_bytes(65536, 2).unwrap(),
        [1, 1].as_slice(),
        "a whole chunk needs no source"
    );
    sound(&container);
}

#[test]
fn source_that_changes_its_own_container_is_refused() {
    #[derive(Debug)]
    struct Meddler(std::sync::OnceLock<std::sync::Weak<Container>>);
    impl stratafs::Source for Meddler {
        fn len(&self) -> u64 {
            1 << 20
        }
        fn read_at(&self, _: u64, buf: &mut [u8]) -> std::io::Result<usize> {
            if let Some(container) = self.0.get().and_then(std::sync::Weak::upgrade) {
                container.write("/meddled", "1")?;
            }
            buf.fill(0);
            Ok(buf.len())
        }
    }
    let source = Arc::new(Meddler(std::sync::OnceLock::new()));
    let layer = Layer::builder().source("/f", source.clone()).build().unwrap();
    let container = Arc::new(Image::from_layers([layer]).unwrap().container());
    source.0.set(Arc::downgrade(&container)).unwrap();
    let file = container.open_with("/f", OpenOptions::new().write(true)).unwrap();
    assert_eq!(file.write_at(b"x", 1).unwrap_err().kind(), ErrorKind::Io);
    assert!(!container.exists("/meddled").unwrap());
}

#[test]
fn values_are_small_and_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Container>();
    shared::<stratafs::Volume>();
    shared::<stratafs::File>();
    shared::<Layer>();
    shared::<stratafs::View>();
    shared::<stratafs::Snapshot>();
    shared::<stratafs::ReadDir>();
    shared::<Error>();
    assert!(size_of::<Container>() <= 2 * size_of::<usize>());
    assert!(size_of::<Error>() == size_of::<usize>());
    assert!(size_of::<stratafs::Metadata>() <= 128);
}

#[cfg(feature = "serde")]
#[test]
fn plain_values_survive_serde() {
    fn round_trip<
        T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    >(
        value: &T,
    ) {
        let text = serde_json::to_string(value).unwrap();
        assert_eq!(serde_json::from_str::<T>(&text).unwrap(), *value, "{text}");
    }
    let container = image().container();
    container.write("/g", "1").unwrap();
    round_trip(&container.metadata("/g").unwrap());
    round_trip(&container.usage());
    round_trip(&Limits { bytes: Some(1), ..Limits::default() });
    round_trip(&Credentials::user(1, 2).groups([3]));
    round_trip(&image().layers()[0].diff_id().unwrap());
    round_trip(&container.diff().unwrap().changes().collect::<Vec<_>>());
    round_trip(&image().layers()[0].entries().collect::<Vec<_>>());
    round_trip(&Attrs::new().mode(0o600).touched());
    round_trip(&ErrorKind::NotFound);
    round_trip(OpenOptions::new().read(true));
}

#[test]
fn transaction_taken_back_keeps_the_handle_from_before_when_it_opened_the_file_again() {
    let container = image().container();
    let file = container.open("/f").unwrap();
    let save = container.snapshot();
    let mut again = None;
    let failed: Result<(), Error> = container.transaction(|container| {
        container.restore(&save)?;
        again = Some(container.open("/f")?);
        container.remove_file("/missing")
    });
    assert!(failed.is_err());
    container.remove_file("/f").unwrap();
    assert_eq!(file.read_bytes(0, 9).unwrap(), "lower");
    drop((file, again));
    sound(&container);
}

#[test]
fn source_that_asks_its_own_container_in_a_transaction_sees_what_was_before() {
    #[derive(Debug)]
    struct Curious(std::sync::OnceLock<std::sync::Weak<Container>>);
    impl stratafs::Source for Curious {
        fn len(&self) -> u64 {
            1 << 20
        }
        fn read_at(&self, _: u64, buf: &mut [u8]) -> std::io::Result<usize> {
            if let Some(container) = self.0.get().and_then(std::sync::Weak::upgrade) {
                container.exists("/f")?;
            }
            buf.fill(0);
            Ok(buf.len())
        }
    }
    let source = Arc::new(Curious(std::sync::OnceLock::new()));
    let layer = Layer::builder().source("/f", source.clone()).build().unwrap();
    let container = Arc::new(Image::from_layers([layer]).unwrap().container());
    source.0.set(Arc::downgrade(&container)).unwrap();
    let file = container.open_with("/f", OpenOptions::new().write(true)).unwrap();
    container.transaction(|_| file.write_at(b"x", 1)).unwrap();
    assert_eq!(container.usage().bytes, 64 * 1024);
}

#[test]
fn copy_is_one_step_and_keeps_holes() {
    let container = image().container();
    container.create("/hole").unwrap().set_len(100 << 20).unwrap();
    assert_eq!(container.copy("/hole", "/copy").unwrap(), 100 << 20);
    assert_eq!(container.usage().bytes, 0);
    container.write("/rootsown", "kept").unwrap();
    container.set_attrs("/rootsown", Attrs::new().mode(0o666)).unwrap();
    let user = container.as_user(Credentials::user(7, 7));
    let error = user.copy("/f", "/rootsown").unwrap_err();
    assert_eq!((error.op(), error.kind()), ("copy", ErrorKind::NotPermitted));
    assert_eq!(container.read("/rootsown").unwrap(), "kept");
    container.append("/copy", "x").unwrap();
    assert_eq!(container.metadata("/hole").unwrap().len(), 100 << 20);
    sound(&container);
}

#[test]
fn walk_lists_a_directory_that_may_not_be_read_and_then_says_so() {
    let container = image().container();
    container.create_dir_with("/closed", 0o700).unwrap();
    let user = container.as_user(Credentials::user(7, 7));
    let seen: Vec<_> = user.walk("/").unwrap().collect();
    assert_eq!(seen[0].as_ref().unwrap().path().to_str(), Some("/closed"));
    let error = seen[1].as_ref().unwrap_err();
    assert_eq!(
        (error.kind(), error.path().to_str()),
        (ErrorKind::PermissionDenied, Some("/closed"))
    );
    assert_eq!(seen.len(), 5);
}

#[test]
fn remove_dir_all_changes_the_ctime_of_files_that_keep_a_link() {
    let clock = Arc::new(ManualClock::new(Timestamp::new(10, 0)));
    let container = image().build_container().clock(clock.clone()).build().unwrap();
    container.hard_link("/f", "/d/f").unwrap();
    clock.advance(1_000_000_000);
    container.remove_dir_all("/d").unwrap();
    let metadata = container.metadata("/f").unwrap();
    assert_eq!((metadata.nlink(), metadata.changed()), (1, Timestamp::new(11, 0)));
    sound(&container);
}

#[test]
fn attributes_of_a_symbolic_link_are_its_own() {
    let layer = Layer::builder()
        .file("/file", "")
        .xattr("user.of", "file")
        .symlink("file", "/link")
        .xattr("trusted.of", "link")
        .xattr("user.odd", "only a layer can bring it")
        .build()
        .unwrap();
    let container = Image::from_layers([layer]).unwrap().container();
    assert_eq!(container.xattrs("/link").unwrap(), ["user.of"]);
    assert_eq!(container.symlink_xattrs("/link").unwrap(), ["trusted.of", "user.odd"]);
    assert_eq!(container.symlink_xattr("/link", "trusted.of").unwrap(), "link");
    assert_eq!(container.view().symlink_xattr("/file", "user.of").unwrap(), "file");
    let odd = container.symlink_xattr("/link", "user.odd").unwrap();
    assert_eq!(odd, "only a layer can bring it", "what is listed can be read");
    let missing = container.symlink_xattr("/link", "user.of").unwrap_err();
    assert_eq!((missing.kind(), missing.op()), (ErrorKind::NoData, "symlink_xattr"));
    let user = container.as_user(Credentials::user(7, 7));
    assert_eq!(user.symlink_xattrs("/link").unwrap(), ["user.odd"]);
    assert_eq!(user.symlink_xattr("/link", "user.odd").unwrap_err().kind(), ErrorKind::NoData);
}

#[test]
fn an_entry_of_a_listing_tells_all_of_its_object() {
    let layer = Layer::builder()
        .file("/d/file", "bytes")
        .xattr("user.a", "1")
        .symlink("file", "/d/link")
        .fifo("/fifo")
        .build()
        .unwrap();
    let container = Image::from_layers([layer]).unwrap().container();
    let mut root = container.read_dir("/").unwrap();
    let dir = root.next().unwrap();
    container.remove_dir_all("/d").unwrap();
    let inside: Vec<_> = dir.read_dir().unwrap().collect();
    assert_eq!(inside[0].xattrs(), [("user.a".into(), "1".into())]);
    assert_eq!((inside[0].read_link(), inside[1].read_link()), (None, Some("file".into())));
    let mut text = String::new();
    inside[0].open().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "bytes", "as it was when it was listed");
    let refused = inside[0].read_dir().unwrap_err();
    assert_eq!(refused.to_string(), r#"read_dir "/d/file": not a directory"#);
    assert_eq!(root.next().unwrap().open().unwrap_err().kind(), ErrorKind::NoDevice);
}

#[test]
fn an_entry_of_a_listing_is_what_its_reader_may_see() {
    let container = Image::scratch().container();
    container.write("/secret", "key").unwrap();
    container.set_attrs("/secret", Attrs::new().mode(0o600)).unwrap();
    let user = container.as_user(Credentials::user(7, 7));
    let secret = user.read_dir("/").unwrap().next().unwrap();
    assert_eq!(secret.open().unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert!(secret.xattrs().is_empty());
}
