//! The rules of POSIX and Linux, one by one: first a test for each errno, then what `tmpfs.rs` once found wrong.
//!
//! `EMLINK` needs 2^32 links and `EDQUOT` is not used: neither has a test.

use std::sync::Arc;

use stratafs::{
    Attrs, Container, Credentials, Device, Image, Layer, Limits, ManualClock, OpenOptions, Result,
    Timestamp, Volume, XattrMode,
};

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const ENXIO: i32 = 6;
const EBADF: i32 = 9;
const EACCES: i32 = 13;
const EBUSY: i32 = 16;
const EEXIST: i32 = 17;
const EXDEV: i32 = 18;
const ENOTDIR: i32 = 20;
const EISDIR: i32 = 21;
const EINVAL: i32 = 22;
const EFBIG: i32 = 27;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const ERANGE: i32 = 34;
const ENAMETOOLONG: i32 = 36;
const ENOTEMPTY: i32 = 39;
const ELOOP: i32 = 40;
const ENODATA: i32 = 61;
const EOPNOTSUPP: i32 = 95;

/// ```text
///   /f          "file"          /d/f    "in a directory"       /s     -> f
///   /secret     0600, root's    /d/e/   empty                  /loop  -> loop
///   /home/      user's          /home/f user's                 /away  -> nowhere
///   /fifo       /tmp/           1777    /tmp/f  root's
/// ```
fn container() -> Container {
    let layer = Layer::builder()
        .file("/f", "file")
        .file("/secret", "for root")
        .attrs(Attrs::new().mode(0o600))
        .file("/d/f", "in a directory")
        .dir("/d/e")
        .symlink("f", "/s")
        .symlink("loop", "/loop")
        .symlink("nowhere", "/away")
        .fifo("/fifo")
        .dir("/home")
        .attrs(Attrs::new().uid(1000).gid(1000))
        .file("/home/f", "user's")
        .attrs(Attrs::new().uid(1000).gid(1000))
        .dir("/tmp")
        .attrs(Attrs::new().mode(0o1777))
        .file("/tmp/f", "root's")
        .build()
        .expect("because the paths are valid");
    Image::from_layers([layer]).expect("because it is one layer").container()
}

fn user(container: &Container) -> Container {
    container.as_user(Credentials::user(1000, 1000))
}

#[track_caller]
fn refused<T>(result: Result<T>, errno: i32) {
    let got = result.as_ref().err().map(stratafs::Error::errno);
    assert_eq!(got, Some(errno), "{:?}", result.err());
}

fn options(set: impl FnOnce(&mut OpenOptions) -> &mut OpenOptions) -> OpenOptions {
    set(&mut OpenOptions::new()).clone()
}

#[test]
fn eacces_what_the_mode_bits_do_not_allow() {
    let (root, user) = (container(), user(&container()));
    refused(user.read("/secret"), EACCES);
    refused(user.write("/f", ""), EACCES);
    refused(user.write("/new", ""), EACCES);
    refused(user.remove_file("/d/f"), EACCES);
    refused(user.rename("/home/f", "/d/g"), EACCES);
    root.set_attrs("/d", Attrs::new().mode(0o700)).unwrap();
    refused(root.as_user(Credentials::user(1000, 1000)).metadata("/d/f"), EACCES);
    refused(root.as_user(Credentials::user(1000, 1000)).read_dir("/d"), EACCES);
}

#[test]
fn ebadf_a_handle_that_was_not_opened_for_this() {
    let container = container();
    let (read, write) = (
        container.open("/f").unwrap(),
        container.open_with("/f", &options(|open| open.write(true))).unwrap(),
    );
    refused(read.write_at(b"x", 0), EBADF);
    refused(write.read_at(&mut [0], 0), EBADF);
    refused(read.allocate(0, 1), EBADF);
    refused(write.copy_range(0, &write, 10, 1), EBADF);
    let append = container.open_with("/d/f", &options(|open| open.append(true))).unwrap();
    refused(read.copy_range(0, &append, 0, 1), EBADF);
}

#[test]
fn ebusy_the_root_and_mount_points_stay() {
    let volume = Volume::memory();
    let container = Image::scratch().build_container().volume("/mnt", &volume).build().unwrap();
    refused(container.remove_dir("/mnt"), EBUSY);
    refused(container.rename("/mnt", "/other"), EBUSY);
    refused(container.remove_dir("/"), EBUSY);
    refused(container.rename("/", "/other"), EBUSY);
}

#[test]
fn eexist_a_name_that_is_taken() {
    let container = container();
    refused(container.create_dir("/f"), EEXIST);
    refused(container.create_dir("/"), EEXIST);
    refused(container.symlink("f", "/away"), EEXIST);
    refused(container.hard_link("/f", "/d"), EEXIST);
    refused(container.create_fifo("/s", 0o644), EEXIST);
    refused(container.rename_no_replace("/f", "/s"), EEXIST);
    let new = options(|open| open.write(true).create_new(true));
    refused(container.open_with("/away", &new), EEXIST);
    container.set_xattr("/f", "user.a", "", XattrMode::Any).unwrap();
    refused(container.set_xattr("/f", "user.a", "", XattrMode::Create), EEXIST);
}

#[test]
fn efbig_a_file_past_its_limit() {
    let limits = Limits { file_size: Some(10), ..Limits::default() };
    let container = container().image().build_container().limits(limits).build().unwrap();
    refused(container.write("/f", "01234567890"), EFBIG);
    let file = container.create("/g").unwrap();
    refused(file.set_len(11), EFBIG);
    refused(file.write_at(b"x", 10), EFBIG);
    refused(file.allocate(5, 6), EFBIG);
    file.set_len(10).unwrap();
    let file = Image::scratch().container().create("/g").unwrap();
    refused(file.set_len(1 << 63), EFBIG);
}

#[test]
fn einval_arguments_without_a_meaning() {
    let container = container();
    refused(container.read_link("/f"), EINVAL);
    refused(container.rename("/d", "/d/e/d"), EINVAL);
    refused(container.exchange("/d/e", "/d"), EINVAL);
    refused(container.remove_dir("/d/e/."), EINVAL);
    refused(container.read("/a\0b"), EINVAL);
    refused(container.open("/f").unwrap().set_len(0), EINVAL);
    let file = container.open_with("/f", &options(|open| open.read(true).write(true))).unwrap();
    refused(file.allocate(0, 0), EINVAL);
    refused(file.punch_hole(0, 0), EINVAL);
    refused(file.copy_range(0, &file, 1, 3), EINVAL);
    for bad in [
        OpenOptions::new(),
        options(|open| open.read(true).truncate(true)),
        options(|open| open.read(true).create(true)),
        options(|open| open.append(true).truncate(true)),
        options(|open| open.write(true).create(true).directory(true)),
    ] {
        refused(container.open_with("/f", &bad), EINVAL);
    }
}

#[test]
fn eisdir_a_directory_where_a_file_is_needed() {
    let container = container();
    refused(container.read("/d"), EISDIR);
    refused(container.write("/d", ""), EISDIR);
    refused(container.remove_file("/d"), EISDIR);
    refused(container.rename("/f", "/d"), EISDIR);
    refused(container.create("/d"), EISDIR);
    refused(container.create("/new/"), EISDIR);
    refused(container.open("/d").unwrap().read_at(&mut [0], 0), EISDIR);
}

#[test]
fn eloop_too_many_links_or_one_too_many() {
    let container = container();
    refused(container.read("/loop"), ELOOP);
    refused(container.metadata("/loop/f"), ELOOP);
    let no_follow = options(|open| open.read(true).no_follow(true));
    refused(container.open_with("/s", &no_follow), ELOOP);
    for number in 1..=40 {
        let before = if number == 1 { "f".into() } else { format!("l{}", number - 1) };
        container.symlink(before, format!("/l{number}")).unwrap();
    }
    container.symlink("l40", "/l41").unwrap();
    assert_eq!(container.read("/l40").unwrap(), "file", "40 links are followed");
    refused(container.read("/l41"), ELOOP);
}

#[test]
fn enametoolong_names_past_255_and_paths_past_4095_bytes() {
    let container = container();
    container.write("n".repeat(255), "").unwrap();
    refused(container.write("n".repeat(256), ""), ENAMETOOLONG);
    refused(container.metadata(format!("/{}/f", "n".repeat(256))), ENAMETOOLONG);
    container.metadata(format!("{}f", "/".repeat(4094))).unwrap();
    refused(container.metadata(format!("{}f", "/".repeat(4095))), ENAMETOOLONG);
    refused(container.symlink("t".repeat(4096), "/new"), ENAMETOOLONG);
}

#[test]
fn enodata_an_attribute_that_is_not_there() {
    let container = container();
    refused(container.xattr("/f", "user.none"), ENODATA);
    refused(container.remove_xattr("/f", "user.none"), ENODATA);
    refused(container.set_xattr("/f", "user.none", "", XattrMode::Replace), ENODATA);
}

#[test]
fn enoent_something_on_the_way_is_not_there() {
    let container = container();
    refused(container.read("/none"), ENOENT);
    refused(container.read(""), ENOENT);
    refused(container.read("/away"), ENOENT);
    refused(container.write("/none/f", ""), ENOENT);
    refused(container.remove_dir("/none"), ENOENT);
    refused(container.exchange("/f", "/none"), ENOENT);
    refused(container.symlink("", "/new"), ENOENT);
    refused(container.symlink("f", "/new/"), ENOENT);
}

#[test]
fn enospc_a_limit_would_be_passed() {
    let limits = Limits { bytes: Some(4), inodes: Some(1), ..Limits::default() };
    let container = Image::scratch().build_container().limits(limits).build().unwrap();
    container.write("/f", "1234").unwrap();
    refused(container.append("/f", "5"), ENOSPC);
    refused(container.create_dir("/d"), ENOSPC);
    refused(container.set_xattr("/f", "user.a", "", XattrMode::Any), ENOSPC);
    assert_eq!(container.read("/f").unwrap(), "1234");
}

#[test]
fn enotdir_something_else_where_a_directory_is_needed() {
    let container = container();
    refused(container.read("/f/g"), ENOTDIR);
    refused(container.metadata("/f/"), ENOTDIR);
    refused(container.read_dir("/f"), ENOTDIR);
    refused(container.remove_dir("/f"), ENOTDIR);
    refused(container.remove_dir("/s"), ENOTDIR);
    refused(container.rename("/d", "/f"), ENOTDIR);
    refused(container.remove_file("/f/"), ENOTDIR);
    let directory = options(|open| open.read(true).directory(true));
    refused(container.open_with("/f", &directory), ENOTDIR);
}

#[test]
fn enotempty_a_directory_with_something_in_it() {
    let container = container();
    refused(container.remove_dir("/d"), ENOTEMPTY);
    refused(container.remove_dir("/d/e/.."), ENOTEMPTY);
    refused(container.rename("/home", "/d"), ENOTEMPTY);
    refused(container.rename("/d/e", "/d"), ENOTEMPTY);
}

#[test]
fn enxio_fifos_and_devices_are_data_and_no_data_lies_past_the_end() {
    let container = container();
    refused(container.open("/fifo"), ENXIO);
    refused(container.read("/fifo"), ENXIO);
    let file = container.open("/f").unwrap();
    refused(file.next_data(4), ENXIO);
    refused(file.next_hole(4), ENXIO);
    assert_eq!((file.next_data(1).unwrap(), file.next_hole(1).unwrap()), (1, 4));
}

#[test]
fn eperm_what_only_root_or_the_owner_may() {
    let container = container();
    let user = user(&container);
    refused(user.set_attrs("/f", Attrs::new().mode(0o777)), EPERM);
    refused(user.set_attrs("/home/f", Attrs::new().uid(0)), EPERM);
    refused(user.set_attrs("/home/f", Attrs::new().gid(0)), EPERM);
    refused(user.set_attrs("/f", Attrs::new().modified(Timestamp::EPOCH)), EPERM);
    refused(user.remove_file("/tmp/f"), EPERM);
    refused(user.rename("/tmp/f", "/tmp/g"), EPERM);
    refused(user.set_xattr("/home/f", "trusted.a", "", XattrMode::Any), EPERM);
    refused(container.set_xattr("/fifo", "user.a", "", XattrMode::Any), EPERM);
    refused(container.hard_link("/d", "/d2"), EPERM);
}

#[test]
fn erofs_views_and_read_only_mounts() {
    let volume = Volume::memory();
    volume.write("/f", "shared").unwrap();
    let container =
        Image::scratch().build_container().volume_read_only("/mnt", &volume).build().unwrap();
    refused(container.write("/mnt/f", ""), EROFS);
    refused(container.create_dir("/mnt/d"), EROFS);
    refused(container.set_attrs("/mnt/f", Attrs::new().mode(0)), EROFS);
    let write = options(|open| open.write(true));
    refused(container.open_with("/mnt/f", &write), EROFS);
    refused(volume.view().open("/f").unwrap().set_attrs(Attrs::new().mode(0)), EROFS);
}

#[test]
fn exdev_names_do_not_cross_the_border_of_a_volume() {
    let (volume, container) = (Volume::memory(), container());
    let container = container.image().build_container().volume("/mnt", &volume).build().unwrap();
    refused(container.rename("/f", "/mnt/f"), EXDEV);
    refused(container.hard_link("/f", "/mnt/f"), EXDEV);
    refused(container.link_file(&container.open("/f").unwrap(), "/mnt/f"), EXDEV);
    container.copy("/f", "/mnt/f").unwrap();
}

// What the comparison with tmpfs found.

/// Reading an attribute asked nobody: a user could see those in `trusted.`, and those of a file that he may not read.
#[test]
fn attributes_are_seen_by_whom_linux_shows_them() {
    let (root, name) = (container(), "trusted.a");
    let user = user(&root);
    root.set_xattr("/f", name, "root's", XattrMode::Any).unwrap();
    root.set_xattr("/secret", "user.a", "root's", XattrMode::Any).unwrap();
    refused(user.xattr("/f", name), ENODATA);
    refused(user.open("/f").unwrap().xattr(name), ENODATA);
    assert!(user.xattrs("/f").unwrap().is_empty());
    assert_eq!(root.xattrs("/f").unwrap(), [name]);
    refused(user.xattr("/secret", "user.a"), EACCES);
    assert_eq!(user.xattrs("/secret").unwrap(), ["user.a"], "the names are no secret");
}

/// Reading an attribute of an impossible name said `ENODATA`.
#[test]
fn attribute_names_are_checked_when_read_and_before_the_path() {
    let container = container();
    for (name, errno) in [("", ERANGE), ("user.", EINVAL), ("other.a", EOPNOTSUPP)] {
        refused(container.xattr("/f", name), errno);
        refused(container.set_xattr("/f", name, "", XattrMode::Any), errno);
    }
    refused(container.xattr("/none", "n".repeat(256)), ERANGE);
    refused(container.remove_xattr("/none", ""), ERANGE);
}

/// `O_CREAT` with a path that ends in a slash is `EISDIR`, whatever is there; it was `ENOTDIR` or `EEXIST` for files.
#[test]
fn a_file_to_be_made_cannot_end_in_a_slash() {
    let container = container();
    for path in ["/f/", "/s/", "/away/", "/d/", "/new//"] {
        refused(container.write(path, ""), EISDIR);
        refused(container.append(path, ""), EISDIR);
        refused(container.create(path), EISDIR);
        let new = options(|open| open.write(true).create_new(true));
        refused(container.open_with(path, &new), EISDIR);
    }
    refused(container.open("/f/"), ENOTDIR);
}

/// Allocating what is there already left the times as they were.
#[test]
fn allocate_counts_as_a_change() {
    let clock = Arc::new(ManualClock::new(Timestamp::new(1000, 0)));
    let container = Image::scratch().build_container().clock(clock.clone()).build().unwrap();
    let file = container.create("/f").unwrap();
    file.write_at(b"there", 0).unwrap();
    clock.advance(5);
    file.allocate(0, 3).unwrap();
    assert_eq!(file.metadata().unwrap().modified(), Timestamp::new(1000, 5));
    assert_eq!(file.metadata().unwrap().len(), 5);
}

/// A device is refused for the directory first (`EACCES`), and 0:0 anybody may make: it leads to no driver.
#[test]
fn devices_are_made_by_root_but_for_0_0() {
    let user = user(&container());
    let device = Device { major: 1, minor: 3 };
    refused(user.create_char_device("/null", 0o666, device), EACCES);
    refused(user.create_char_device("/home/null", 0o666, device), EPERM);
    refused(user.create_block_device("/home/null", 0o666, Device::default()), EPERM);
    user.create_char_device("/home/null", 0o666, Device::default()).unwrap();
}

/// Each of these was refused for the wrong one of two reasons.
#[test]
fn rename_and_unlink_judge_in_the_order_of_linux() {
    let (root, long) = (container(), "n".repeat(256));
    let user = user(&root);
    refused(user.exchange("/d/f", "/d"), EINVAL);
    refused(root.rename("/none", &long), ENOENT);
    refused(root.rename(&long, "/f/g"), ENOTDIR);
    refused(root.rename("/f", &long), ENAMETOOLONG);
    refused(user.remove_file("/d/e/"), EISDIR);
}

/// Directories were judged by how they were opened, before what they are; and seeking in one was `EISDIR`.
#[test]
fn directories_have_no_contents_to_copy_or_seek() {
    let container = container();
    let (dir, file) = (container.open("/d").unwrap(), container.create("/g").unwrap());
    refused(dir.copy_range(0, &file, 0, 1), EISDIR);
    refused(file.copy_range(0, &dir, 0, 1), EISDIR);
    refused(dir.next_data(0), EINVAL);
    refused(dir.next_hole(0), EINVAL);
}

#[test]
fn a_link_whose_target_ends_in_a_slash_names_no_file_to_be_made() {
    // open(2) with O_CREAT judges the slash before it follows what stands before it, here into a loop.
    let container = Image::scratch().container();
    container.symlink("/loop", "/loop").unwrap();
    container.symlink("/loop/", "/to_loop").unwrap();
    container.symlink("/missing/", "/to_missing").unwrap();
    for path in ["/to_loop", "/to_missing"] {
        let mut options = OpenOptions::new();
        options.write(true).create(true);
        let opened = container.open_with(path, &options).map(drop);
        let made = [opened, container.write(path, ""), container.append(path, "")];
        assert!(made.into_iter().all(|made| made.unwrap_err().errno() == 21), "{path}");
    }
    assert_eq!(container.read("/to_loop").unwrap_err().errno(), 40);
}
