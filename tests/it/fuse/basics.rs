//! What the standard library does, through a mount.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

use stratafs::fuse::MountOptions;
use stratafs::{Image, Layer, Limits, Volume};

use super::{Mounted, unmount};

fn image() -> Image {
    let lower = Layer::from([("etc/hosts", "lower"), ("etc/motd", "hello"), ("srv/a/b/c", "deep")]);
    let upper = Layer::builder().whiteout("/etc/hosts").symlink("motd", "/etc/link").build();
    Image::from_layers([lower, upper.unwrap()]).unwrap()
}

#[test]
fn a_container_is_a_directory() {
    let container = image().container();
    let Some(at) = Mounted::of(&container) else { return };
    assert_eq!(fs::read_to_string(at.path("etc/link")).unwrap(), "hello");
    assert_eq!(fs::metadata(at.path("etc/hosts")).unwrap_err().kind(), ErrorKind::NotFound);
    fs::create_dir(at.path("etc/new")).unwrap();
    fs::rename(at.path("srv/a"), at.path("etc/new/a")).unwrap();
    assert_eq!(container.read_to_string("/etc/new/a/b/c").unwrap(), "deep");
    fs::remove_dir_all(at.path("etc")).unwrap();
    let names = |path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names(at.root()).collect::<Vec<_>>(), ["srv"]);
    assert_eq!(container.check(), Vec::<String>::new());
}

#[test]
fn a_file_is_written_read_cut_and_appended_to() {
    let container = image().container();
    let Some(at) = Mounted::of(&container) else { return };
    let path = at.path("etc/motd");
    let mut file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(&[b'x'; 3_000_000]).unwrap();
    file.set_len(2_000_000).unwrap();
    let mut text = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut text).unwrap();
    assert_eq!((text.len(), &text[..7]), (2_000_000, b"helloxx".as_slice()));
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"end").unwrap();
    assert_eq!(container.read("/etc/motd").unwrap()[1_999_999..], *b"xend");
    File::create(&path).unwrap();
    assert_eq!(container.read("/etc/motd").unwrap(), "");
}

#[test]
fn a_file_without_a_name_is_there_until_it_is_closed() {
    let container = image().container();
    let Some(at) = Mounted::of(&container) else { return };
    let file = OpenOptions::new().read(true).write(true).open(at.path("etc/motd")).unwrap();
    fs::remove_file(at.path("etc/motd")).unwrap();
    file.write_all_at(b"HE", 0).unwrap();
    let mut text = [0; 5];
    file.read_exact_at(&mut text, 0).unwrap();
    assert_eq!((&text, file.metadata().unwrap().nlink()), (b"HEllo", 0));
    file.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    drop(file);
    unmount(&at.mount).unwrap();
    assert_eq!(container.usage().bytes, 0, "nobody keeps it any more");
    assert_eq!(container.check(), Vec::<String>::new());
}

#[test]
fn a_removed_working_directory_is_empty_and_takes_nothing() {
    let container = image().container();
    let Some(at) = Mounted::of(&container) else { return };
    fs::create_dir(at.path("gone")).unwrap();
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY;
    let dir = rustix::fs::open(at.path("gone"), flags, rustix::fs::Mode::empty()).unwrap();
    container.remove_dir("/gone").unwrap();
    assert_eq!(rustix::fs::fstat(&dir).unwrap().st_nlink, 0);
    let made = rustix::fs::mkdirat(&dir, "new", rustix::fs::Mode::RWXU);
    assert_eq!(made, Err(rustix::io::Errno::NOENT));
}

#[test]
fn removing_while_listing_skips_nothing() {
    let container = image().container();
    for number in 0..3000 {
        container.write(format!("/many-{number}"), "").unwrap();
    }
    let Some(at) = Mounted::of(&container) else { return };
    let mut seen = 0;
    for entry in fs::read_dir(at.root()).unwrap() {
        let entry = entry.unwrap();
        let stat = fs::symlink_metadata(entry.path()).unwrap();
        assert_eq!(std::os::unix::fs::DirEntryExt::ino(&entry), stat.ino());
        if stat.is_file() {
            seen += 1;
            fs::remove_file(entry.path()).unwrap();
        }
    }
    assert_eq!(seen, 3000);
    assert_eq!(container.read_dir("/").unwrap().count(), 2);
}

#[test]
fn a_view_and_a_read_only_mount_refuse_changes() {
    let (image, options) = (image(), MountOptions::new().read_only(true));
    let container = image.container();
    let view = image.view();
    for at in [Mounted::new(&view, &MountOptions::new()), Mounted::new(&container, &options)] {
        let Some(at) = at else { return };
        assert_eq!(fs::read_to_string(at.path("etc/motd")).unwrap(), "hello");
        let error = fs::write(at.path("etc/motd"), "").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem);
        assert_eq!(fs::create_dir(at.path("x")).unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
    }
    assert!(container.diff().unwrap().is_empty());
}

#[test]
fn a_view_lists_the_same_again_and_again() {
    let files = (0..2000).map(|number| format!("d/{number}"));
    let layer = files.fold(Layer::builder(), |layer, path| layer.file(path, ""));
    let view = Image::from_layers([layer.build().unwrap()]).unwrap().view();
    let Some(at) = Mounted::new(&view, &MountOptions::new()) else { return };
    for _ in 0..4 {
        let names: Vec<_> =
            fs::read_dir(at.path("d")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2000);
        assert!(fs::metadata(at.path("d").join(&names[1234])).unwrap().is_file());
    }
}

#[test]
fn volumes_have_numbers_and_limits_of_their_own() {
    let limits = Limits { bytes: Some(1 << 20), ..Limits::default() };
    let (small, shared) = (Volume::with_limits(limits), Volume::memory());
    shared.write("/rules", "read only").unwrap();
    let builder = image().build_container().volume("/small", &small);
    let container = builder.volume_read_only("/shared", &shared).build().unwrap();
    let Some(at) = Mounted::of(&container) else { return };
    fs::write(at.path("small/a"), "1").unwrap();
    assert_eq!(small.read("/a").unwrap(), "1");
    let error = fs::write(at.path("small/b"), vec![0; 2 << 20]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(rustix::fs::statvfs(at.path("small")).unwrap().f_blocks, 256);
    let error = fs::write(at.path("shared/rules"), "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem);
    let error = fs::rename(at.path("etc/motd"), at.path("small/motd")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CrossesDevices);
    for entry in fs::read_dir(at.root()).unwrap() {
        let entry = entry.unwrap();
        let stat = entry.metadata().unwrap();
        assert_eq!(std::os::unix::fs::DirEntryExt::ino(&entry), stat.ino(), "{entry:?}");
    }
    let above = fs::metadata(at.path("small/..")).unwrap().ino();
    assert_eq!(above, fs::metadata(at.root()).unwrap().ino());
}

#[test]
fn limits_are_what_statfs_shows() {
    let limits = Limits { bytes: Some(40 << 20), inodes: Some(10), ..Limits::default() };
    let container = image().build_container().limits(limits).build().unwrap();
    let Some(at) = Mounted::of(&container) else { return };
    fs::write(at.path("ten"), vec![1; 10 << 20]).unwrap();
    let room = rustix::fs::statvfs(at.root()).unwrap();
    assert_eq!(room.f_blocks * room.f_frsize, 40 << 20);
    assert_eq!(room.f_bavail * room.f_frsize, 30 << 20);
    assert_eq!((room.f_files, room.f_ffree), (10, 9));
}

#[test]
fn attributes_are_kept_and_a_short_buffer_is_refused() {
    use rustix::fs::{XattrFlags, getxattr, listxattr, setxattr};
    use rustix::io::Errno;
    let container = image().container();
    let Some(at) = Mounted::of(&container) else { return };
    let path = at.path("etc/motd");
    setxattr(&path, "user.note", b"12345", XattrFlags::CREATE).unwrap();
    assert_eq!(setxattr(&path, "user.note", b"", XattrFlags::CREATE), Err(Errno::EXIST));
    assert_eq!(setxattr(&path, "user.none", b"", XattrFlags::REPLACE), Err(Errno::NODATA));
    assert_eq!(getxattr(&path, "user.note", &mut [0_u8; 5][..]), Ok(5));
    assert_eq!(getxattr(&path, "user.note", &mut [0_u8; 4][..]), Err(Errno::RANGE));
    assert_eq!(listxattr(&path, &mut [0_u8; 10][..]), Ok(10));
    assert_eq!(listxattr(&path, &mut [0_u8; 9][..]), Err(Errno::RANGE));
    let acl = setxattr(&path, "system.posix_acl_access", b"\x02\0\0\0", XattrFlags::empty());
    assert!(acl.is_err(), "nobody would enforce it");
}
