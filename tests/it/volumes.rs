//! Volumes: shared, kept, and apart from everything that a container is.

use std::sync::Arc;

use stratafs::{Credentials, ErrorKind, Image, Layer, Limits, ManualClock, OpenOptions, Volume};

fn with(volume: &Volume) -> stratafs::Container {
    let image =
        Image::from_layers([Layer::from([("srv/data/hidden", "1"), ("etc/x", "1")])]).unwrap();
    image.build_container().volume("/srv/data", volume).build().unwrap()
}

#[test]
fn volume_covers_what_the_image_has_at_its_mount_point() {
    let volume = Volume::memory();
    volume.write("/v", "volume").unwrap();
    let container = with(&volume);
    assert!(!container.exists("/srv/data/hidden").unwrap());
    assert_eq!(container.read("/srv/data/v").unwrap(), "volume");
    assert_eq!(container.read("/srv/../srv/data/./v").unwrap(), "volume");
    let walked: Vec<_> =
        container.walk("/srv").unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(walked, ["/srv/data", "/srv/data/v"].map(std::path::PathBuf::from));
    assert_eq!(container.canonicalize("/srv/data/v").unwrap().to_str(), Some("/srv/data/v"));
}

#[test]
fn volume_is_shared_by_running_containers_and_outlives_them() {
    let volume = Volume::memory();
    let (one, two) = (with(&volume), with(&volume));
    one.create_dir("/srv/data/players").unwrap();
    two.write("/srv/data/players/anna", "1").unwrap();
    one.append("/srv/data/players/anna", "2").unwrap();
    drop((one, two));
    assert_eq!(volume.read("/players/anna").unwrap(), "12");
    assert!(volume.check().is_empty());
}

#[test]
fn volume_is_never_part_of_a_diff_a_commit_or_a_reset() {
    let volume = Volume::memory();
    let container = with(&volume);
    container.write("/srv/data/v", "1").unwrap();
    assert!(container.diff().unwrap().is_empty());
    assert_eq!(container.commit().unwrap().layers().len(), 1);
    assert_eq!(container.usage().bytes, 0);
    container.reset();
    assert_eq!(container.read("/srv/data/v").unwrap(), "1");
    let fork = container.fork();
    fork.write("/srv/data/v", "2").unwrap();
    assert_eq!(container.read("/srv/data/v").unwrap(), "2");
}

#[test]
fn volume_border_cannot_be_crossed_by_rename_and_link() {
    let volume = Volume::memory();
    volume.write("/v", "1").unwrap();
    let container = with(&volume);
    for (from, to) in [("/srv/data/v", "/etc/v"), ("/etc/x", "/srv/data/x")] {
        assert_eq!(container.rename(from, to).unwrap_err().kind(), ErrorKind::CrossesDevices);
        assert_eq!(container.hard_link(from, to).unwrap_err().kind(), ErrorKind::CrossesDevices);
    }
    container.copy("/srv/data/v", "/etc/v").unwrap();
    assert_eq!(container.read("/etc/v").unwrap(), "1");
}

#[test]
fn volume_mount_point_cannot_be_removed_or_renamed() {
    let container = with(&Volume::memory());
    assert_eq!(container.remove_dir("/srv/data").unwrap_err().kind(), ErrorKind::ResourceBusy);
    assert_eq!(container.remove_dir_all("/srv").unwrap_err().kind(), ErrorKind::ResourceBusy);
    assert_eq!(container.remove_dir_all("/srv/data").unwrap_err().kind(), ErrorKind::ResourceBusy);
    assert_eq!(
        container.rename("/srv/data", "/srv/other").unwrap_err().kind(),
        ErrorKind::ResourceBusy
    );
    container.create_dir("/d").unwrap();
    assert_eq!(container.rename("/d", "/srv/data").unwrap_err().kind(), ErrorKind::ResourceBusy);
    assert_eq!(
        container.exchange("/etc", "/srv/data").unwrap_err().kind(),
        ErrorKind::ResourceBusy
    );
    assert!(container.view().exists("/srv/data/hidden").unwrap());
}

#[test]
fn volume_stays_mounted_when_a_directory_above_is_renamed() {
    let volume = Volume::memory();
    volume.write("/v", "1").unwrap();
    let container = with(&volume);
    container.rename("/srv", "/moved").unwrap();
    assert_eq!(container.read("/moved/data/v").unwrap(), "1");
    assert!(!container.exists("/srv/data/v").unwrap());
    assert_eq!(container.read("/moved/data/../data/v").unwrap(), "1");
}

#[test]
fn volume_read_only_refuses_every_change() {
    let volume = Volume::memory();
    volume.write("/v", "1").unwrap();
    let container =
        Image::scratch().build_container().volume_read_only("/ro", &volume).build().unwrap();
    let writes = [
        container.write("/ro/v", "2"),
        container.write("/ro/new", "2"),
        container.create_dir("/ro/d"),
        container.remove_file("/ro/v"),
        container.rename("/ro/v", "/ro/w"),
        container.set_attrs("/ro/v", stratafs::Attrs::new().mode(0)),
        container.open_with("/ro/v", OpenOptions::new().write(true)).map(drop),
    ];
    for error in writes.map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::ReadOnlyFilesystem, "{error}");
    }
    assert_eq!(container.open("/ro/v").unwrap().read_bytes(0, 9).unwrap(), "1");
}

#[test]
fn volume_has_limits_of_its_own() {
    let volume = Volume::with_limits(Limits { bytes: Some(3), ..Limits::default() });
    let container = Image::scratch().build_container().volume("/v", &volume).build().unwrap();
    container.write("/outside", "12345678").unwrap();
    container.write("/v/a", "123").unwrap();
    assert_eq!(container.append("/v/a", "4").unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(volume.usage().bytes, 3);
}

#[test]
fn volume_inside_a_volume_and_over_a_missing_directory() {
    let (outer, inner) = (Volume::memory(), Volume::memory());
    inner.write("/i", "inner").unwrap();
    let built = Image::scratch().build_container().volume("/a/b", &outer).volume("/a/b/c", &inner);
    let container = built.build().unwrap();
    assert_eq!(container.read("/a/b/c/i").unwrap(), "inner");
    assert_eq!(container.read("/a/b/c/../../b/c/i").unwrap(), "inner");
    assert!(outer.metadata("/c").unwrap().is_dir());
    assert!(container.diff().unwrap().is_empty(), "a mount point that was made is not a change");
    assert_eq!(container.canonicalize("/a/b/c/i").unwrap().to_str(), Some("/a/b/c/i"));
}

#[test]
fn volume_cannot_be_mounted_over_the_root_or_a_file() {
    let image = Image::from_layers([Layer::from([("f", "1")])]).unwrap();
    let mount =
        |path| image.build_container().volume(path, &Volume::memory()).build().unwrap_err().kind();
    assert_eq!(mount("/"), ErrorKind::ResourceBusy);
    assert_eq!(mount("/f"), ErrorKind::NotADirectory);
    assert_eq!(mount("/f/x"), ErrorKind::NotADirectory);
}

#[test]
fn volume_cannot_be_changed_in_a_transaction() {
    let volume = Volume::memory();
    let container = with(&volume);
    let result = container.transaction(|container| {
        container.write("/etc/x", "2")?;
        container.write("/srv/data/v", "2")
    });
    assert_eq!(result.unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
    assert_eq!(container.read("/etc/x").unwrap(), "1");
}

#[test]
fn volume_follows_the_credentials_and_the_clock_of_the_container() {
    let volume = Volume::memory();
    let clock = Arc::new(ManualClock::new(stratafs::Timestamp::new(77, 0)));
    let container = Image::scratch()
        .build_container()
        .clock(clock)
        .credentials(Credentials::user(5, 5))
        .volume("/v", &volume)
        .build()
        .unwrap();
    assert_eq!(container.write("/v/f", "").unwrap_err().kind(), ErrorKind::PermissionDenied);
    volume.set_attrs("/", stratafs::Attrs::new().mode(0o777)).unwrap();
    container.write("/v/f", "").unwrap();
    let metadata = volume.metadata("/f").unwrap();
    assert_eq!((metadata.uid(), metadata.modified().secs()), (5, 77));
}

#[test]
fn volume_handle_works_after_the_container_is_dropped() {
    let volume = Volume::memory();
    let container = with(&volume);
    let file = container.create("/srv/data/f").unwrap();
    drop(container);
    file.write_at(b"late", 0).unwrap();
    assert_eq!(volume.read("/f").unwrap(), "late");
}

#[test]
fn volume_read_only_refuses_changes_by_handles_too() {
    let volume = Volume::memory();
    volume.write("/v", "1").unwrap();
    let container =
        Image::scratch().build_container().volume_read_only("/ro", &volume).build().unwrap();
    let file = container.open("/ro/v").unwrap();
    let attrs = file.set_attrs(stratafs::Attrs::new().mode(0o600)).unwrap_err();
    let xattr = file.duplicate().set_xattr("user.k", "v", stratafs::XattrMode::Any).unwrap_err();
    assert_eq!(
        (attrs.kind(), xattr.kind()),
        (ErrorKind::ReadOnlyFilesystem, ErrorKind::ReadOnlyFilesystem)
    );
    assert_eq!(volume.metadata("/v").unwrap().mode(), 0o644);
}

#[test]
fn volume_cannot_be_changed_in_a_transaction_by_a_handle_from_before() {
    let volume = Volume::memory();
    let container = with(&volume);
    let file = container.create("/srv/data/f").unwrap();
    let result = container.transaction(|_| file.write_at(b"x", 0));
    assert_eq!(result.unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
    file.write_at(b"y", 0).unwrap();
    assert_eq!(volume.read("/f").unwrap(), "y");
}
