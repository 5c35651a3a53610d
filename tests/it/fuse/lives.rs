//! How a mount begins and ends.

use std::fs;

use stratafs::fuse::{self, MountOptions};
use stratafs::{ErrorKind, Image};

use super::{Mounted, can_mount, unmount};

#[test]
fn a_dropped_mount_is_gone_and_the_container_is_not() {
    let container = Image::scratch().container();
    let Some(at) = Mounted::of(&container) else { return };
    fs::write(at.path("a"), "1").unwrap();
    let root = at.root();
    let Mounted { mount, dir } = at;
    drop(mount);
    assert_eq!(fs::read_dir(root).unwrap().count(), 0);
    assert_eq!(container.read("/a").unwrap(), "1");
    drop(dir);
}

#[test]
fn a_mount_in_use_stays_until_it_is_detached() {
    let container = Image::scratch().container();
    container.write("/a", "still here").unwrap();
    let Some(at) = Mounted::of(&container) else { return };
    let file = fs::File::open(at.path("a")).unwrap();
    assert_eq!(at.mount.unmount().unwrap_err().kind(), ErrorKind::ResourceBusy);
    at.mount.detach().unwrap();
    assert_eq!(fs::read_dir(at.root()).unwrap().count(), 0);
    assert_eq!(std::io::read_to_string(&file).unwrap(), "still here");
    drop(file);
    at.mount.wait();
}

#[test]
fn a_mount_point_that_will_not_do_is_refused_with_a_reason() {
    let container = Image::scratch().container();
    let dir = tempfile::tempdir().unwrap();
    let refused = |path: &str, kind| {
        let error = fuse::mount(&container, dir.path().join(path), &MountOptions::new());
        let error = error.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
    };
    refused("missing", ErrorKind::NotFound);
    fs::write(dir.path().join("file"), "").unwrap();
    refused("file", ErrorKind::NotADirectory);
    if can_mount() {
        fs::create_dir(dir.path().join("taken")).unwrap();
        let taken =
            fuse::mount(&container, dir.path().join("taken"), &MountOptions::new()).unwrap();
        refused("taken", ErrorKind::ResourceBusy);
        drop(taken);
    }
}

#[test]
fn regression_the_end_of_a_mount_leaves_the_next_one_at_its_place_alone() {
    // What waits for the end of the process took away whatever was mounted there by then.
    let container = Image::scratch().container();
    container.write("/a", "").unwrap();
    let Some(first) = Mounted::of(&container) else { return };
    let Mounted { mount, dir } = first;
    unmount(&mount).unwrap();
    let next = fuse::mount(&container, dir.path().join("mnt"), &MountOptions::new()).unwrap();
    drop(mount);
    for _ in 0..50 {
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(dir.path().join("mnt/a").exists());
    }
    drop(next);
}
