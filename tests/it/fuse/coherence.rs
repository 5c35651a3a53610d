//! Both ways to a container show the same at every moment.

use std::fs;
use std::os::unix::fs::MetadataExt;

use stratafs::{Attrs, Image, Layer, Volume};

use super::Mounted;

fn image() -> Image {
    Image::from_layers([Layer::from([("d/a", "0"), ("d/b", "b"), ("e/x", "x")])]).unwrap()
}

#[test]
fn what_the_api_changes_the_mount_shows_at_once() {
    let container = image().container();
    let Some(at) = Mounted::of(&container) else { return };
    for round in 0..500 {
        let text = format!("round {round}, {}", "x".repeat(round));
        container.write("/d/a", text.clone()).unwrap();
        assert_eq!(fs::metadata(at.path("d/a")).unwrap().len(), text.len() as u64);
        assert_eq!(fs::read_to_string(at.path("d/a")).unwrap(), text);
        container.set_attrs("/d/a", Attrs::new().mode(0o600 + round as u32 % 8)).unwrap();
        assert_eq!(fs::metadata(at.path("d/a")).unwrap().mode() & 0o7, round as u32 % 8);
        assert!(!fs::exists(at.path("d/new")).unwrap());
        container.rename("/d/b", "/d/new").unwrap();
        assert_eq!(fs::read_to_string(at.path("d/new")).unwrap(), "b");
        assert!(!fs::exists(at.path("d/b")).unwrap());
        container.rename("/d/new", "/d/b").unwrap();
        container.exchange("/d", "/e").unwrap();
        assert_eq!(fs::read_to_string(at.path("d/x")).unwrap(), "x");
        container.exchange("/d", "/e").unwrap();
    }
}

#[test]
fn what_the_mount_changes_the_api_shows_at_once() {
    let container = image().container();
    let Some(at) = Mounted::of(&container) else { return };
    for round in 0..500 {
        let text = format!("round {round}");
        fs::write(at.path("d/a"), &text).unwrap();
        assert_eq!(container.read_to_string("/d/a").unwrap(), text);
        fs::rename(at.path("d/b"), at.path("d/new")).unwrap();
        assert!(container.exists("/d/new").unwrap() && !container.exists("/d/b").unwrap());
        container.rename("/d/new", "/d/b").unwrap();
        fs::remove_file(at.path("d/a")).unwrap();
        assert!(!container.exists("/d/a").unwrap());
        container.write("/d/a", text).unwrap();
    }
}

#[test]
fn a_mapped_file_and_an_open_one_show_what_the_api_wrote() {
    let container = image().container();
    let Some(at) = Mounted::of(&container) else { return };
    let file = fs::File::open(at.path("d/a")).unwrap();
    for round in 0..100_u8 {
        container.write("/d/a", vec![round; 10_000]).unwrap();
        let mut text = vec![0; 10_000];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut text, 0).unwrap();
        assert!(text.iter().all(|byte| *byte == round), "round {round}");
    }
}

#[test]
fn transactions_resets_and_restores_show_at_once() {
    let container = image().container();
    let Some(at) = Mounted::of(&container) else { return };
    for round in 0..100 {
        let save = container.snapshot();
        let failed: Result<(), stratafs::Error> = container.transaction(|container| {
            container.write("/d/a", "half")?;
            container.read("/none").map(drop)
        });
        assert!(failed.is_err());
        assert_ne!(fs::read_to_string(at.path("d/a")).unwrap(), "half");
        let done: Result<(), stratafs::Error> = container.transaction(|container| {
            container.write("/d/a", format!("{round}"))?;
            container.create_dir("/d/dir")?;
            container.write("/d/dir/f", "f")
        });
        done.unwrap();
        assert_eq!(fs::read_to_string(at.path("d/a")).unwrap(), format!("{round}"));
        assert_eq!(fs::read_to_string(at.path("d/dir/f")).unwrap(), "f");
        if round % 2 == 0 {
            container.restore(&save).unwrap();
        } else {
            container.reset();
        }
        assert_eq!(fs::read_to_string(at.path("d/a")).unwrap(), "0", "round {round}");
        assert!(!fs::exists(at.path("d/dir")).unwrap());
        assert_eq!(fs::read_dir(at.path("d")).unwrap().count(), 2);
        assert_eq!(container.check(), Vec::<String>::new());
    }
}

#[test]
fn two_mounts_of_one_volume_show_the_same() {
    let volume = Volume::memory();
    let one = image().build_container().volume("/v", &volume).build().unwrap();
    let two =
        image().build_container().volume("/v", &volume).volume("/w", &volume).build().unwrap();
    let (Some(a), Some(b)) = (Mounted::of(&one), Mounted::of(&two)) else { return };
    for round in 0..100 {
        fs::write(b.path("v/f"), format!("{round}")).unwrap();
        assert_eq!(fs::read_to_string(b.path("w/f")).unwrap(), format!("{round}"));
        assert_eq!(volume.read_to_string("/f").unwrap(), format!("{round}"));
        volume.write("/g", format!("{round}")).unwrap();
        assert_eq!(fs::read_to_string(a.path("v/g")).unwrap(), format!("{round}"));
        assert_eq!(fs::read_to_string(b.path("w/g")).unwrap(), format!("{round}"));
    }
}
