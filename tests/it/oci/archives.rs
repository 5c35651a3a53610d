//! Images in one file, in and out.

use std::fs;
use std::path::Path;

use serde_json::json;
use stratafs::oci::{Layout, StoreOptions};
use stratafs::tar::{self, Compression};
use stratafs::{Digest, ErrorKind, Image, Layer, LayerBuilder};

use super::hand::{bytes, config};

fn image() -> Image {
    Image::from_layers([
        Layer::from([("a", "1"), ("d/b", "2")]),
        Layer::builder().whiteout("/a").file("/c", "3").build().unwrap(),
    ])
    .unwrap()
}

fn archive(members: LayerBuilder, to: &Path) {
    tar::write_layer(&members.build().unwrap(), fs::File::create(to).unwrap()).unwrap();
}

#[test]
fn an_oci_archive_keeps_the_manifest_digest_there_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = Layout::temporary().unwrap();
    let stored =
        StoreOptions::new().compression(Compression::Gzip).store(&store, &image(), "x:1").unwrap();
    let file = dir.path().join("x.tar");
    store.export_oci_archive("x:1", &file, "y").unwrap();
    let first = fs::read(&file).unwrap();
    store.export_oci_archive("x:1", &file, "y").unwrap();
    assert_eq!(first, fs::read(&file).unwrap(), "the same image is the same file");
    let there = Layout::temporary().unwrap();
    for name in ["y", "", &stored.manifest.digest.to_string()] {
        let imported = there.import_archive(&file, name, "back").unwrap();
        assert_eq!(imported.manifest.digest, stored.manifest.digest);
    }
    assert!(there.load("back").unwrap().view().diff(&image().view()).unwrap().is_empty());
    let error = there.import_archive(&file, "none", "back").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("x.tar"), "{error}");
}

#[test]
fn a_compressed_archive_is_an_archive() {
    let dir = tempfile::tempdir().unwrap();
    let store = Layout::temporary().unwrap();
    let stored = store.store(&image(), "x").unwrap();
    let file = dir.path().join("x.tar");
    store.export_oci_archive("x", &file, "x").unwrap();
    let plain = tar::read_layer(fs::File::open(&file).unwrap()).unwrap();
    for compression in [Compression::Gzip, Compression::Zstd] {
        let out = fs::File::create(&file).unwrap();
        tar::WriteOptions::new().compression(compression).write(&plain, out).unwrap();
        let there = Layout::temporary().unwrap();
        assert_eq!(
            there.import_archive(&file, "x", "x").unwrap().manifest.digest,
            stored.manifest.digest
        );
    }
}

#[test]
fn l20_members_of_an_oci_archive_come_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = Layout::temporary().unwrap();
    let stored = store.store(&image(), "x").unwrap();
    let file = dir.path().join("x.tar");
    store.export_oci_archive("x", &file, "x").unwrap();
    // Each member is a header and its bytes in blocks of 512; the last is moved to the front, one by one.
    let whole = fs::read(&file).unwrap();
    let mut members = Vec::new();
    let mut at = 0;
    while whole[at] != 0 {
        let size = std::str::from_utf8(&whole[at + 124..at + 135]).unwrap();
        let len = 512
            + usize::from_str_radix(size.trim_matches([' ', '\0']), 8)
                // A directory has no length.
                .unwrap_or(0)
                .next_multiple_of(512);
        members.push(&whole[at..at + len]);
        at += len;
    }
    for _ in 0..members.len() {
        members.rotate_right(1);
        fs::write(&file, members.concat()).unwrap();
        let there = Layout::temporary().unwrap();
        assert_eq!(
            there.import_archive(&file, "x", "x").unwrap().manifest.digest,
            stored.manifest.digest
        );
    }
}

#[test]
fn a_docker_archive_has_plain_layers_and_the_configuration_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = Layout::temporary().unwrap();
    StoreOptions::new().compression(Compression::Gzip).store(&store, &image(), "x").unwrap();
    let file = dir.path().join("x.tar");
    store.export_docker_archive("x", &file, "game:1").unwrap();
    let there = Layout::temporary().unwrap();
    for name in ["", "game:1", "docker.io/library/game:1"] {
        there.import_archive(&file, name, "x").unwrap();
        let loaded = there.load("x").unwrap();
        assert_eq!(loaded.raw_config(), store.load("x").unwrap().raw_config());
        assert!(loaded.view().diff(&image().view()).unwrap().is_empty());
    }
    let error = there.import_archive(&file, "game", "x").unwrap_err();
    assert!(error.to_string().contains("there are game:1"), "{error}");
}

/// What an old `docker save` writes: a directory for each layer, and for one that is the same as another a link.
#[test]
fn l20_a_layer_of_a_docker_archive_may_be_a_link_and_names_may_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let mut layer = Vec::new();
    tar::write_layer(&Layer::from([("a", "1")]), &mut layer).unwrap();
    let diff_id = Digest::of(&layer).to_string();
    let config = bytes(&config(&[diff_id.clone(), diff_id]));
    let list = json!([
        { "Config": "none.json", "RepoTags": ["game:1"], "Layers": [] },
        { "Config": "config.json", "RepoTags": ["game:1"], "Layers": ["one/layer.tar", "two/layer.tar"] },
    ]);
    let members = Layer::builder()
        .file("manifest.json", bytes(&list))
        .file("config.json", config.clone())
        .symlink("../one/layer.tar", "two/layer.tar")
        .file("one/layer.tar", layer);
    let file = dir.path().join("x.tar");
    archive(members, &file);
    let store = Layout::temporary().unwrap();
    let stored = store.import_archive(&file, "game:1", "x").unwrap();
    assert_eq!((stored.new_layers.len(), stored.shared_layers.len()), (1, 1));
    let loaded = store.load("x").unwrap();
    assert_eq!((loaded.layers().len(), loaded.raw_config().unwrap()), (2, config.into()));
}

#[test]
fn attack_17_members_of_an_archive_lead_nowhere_outside() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secret"), "secret").unwrap();
    let secret = dir.path().join("secret");
    let file = dir.path().join("x.tar");
    let store = Layout::temporary().unwrap();
    for config in [secret.to_str().unwrap(), "../../../../../../../etc/passwd", "link"] {
        let list = json!([{ "Config": config, "RepoTags": [], "Layers": [] }]);
        let members = Layer::builder().file("manifest.json", bytes(&list)).symlink(&secret, "link");
        archive(members, &file);
        let error = store.import_archive(&file, "", "x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(store.list().unwrap().is_empty());
    }
}

#[test]
fn a_docker_archive_that_lies_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.tar");
    let store = Layout::temporary().unwrap();
    let mut layer = Vec::new();
    tar::write_layer(&Layer::from([("a", "1")]), &mut layer).unwrap();
    let wrong = bytes(&config(&[Digest::of(b"other").to_string()]));
    let cases = [
        (json!([{ "Config": "c", "Layers": ["l"] }]), wrong.clone(), "its bytes have the digest"),
        (json!([{ "Config": "c", "Layers": [] }]), wrong.clone(), "another number of layers"),
        (json!([{ "Layers": [] }]), wrong.clone(), "without Config"),
        (json!([{ "Config": "c", "Layers": [7] }]), wrong.clone(), "without Config or Layers"),
        (json!([]), wrong.clone(), "there is no image"),
        (json!({}), wrong, "JSON"),
        (json!([{ "Config": "c", "Layers": ["l"] }]), b"{".to_vec(), "JSON"),
    ];
    for (list, config, words) in cases {
        let members = Layer::builder()
            .file("manifest.json", bytes(&list))
            .file("c", config)
            .file("l", layer.clone());
        archive(members, &file);
        let error = store.import_archive(&file, "", "x").unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert!(store.list().unwrap().is_empty(), "nothing is stored");
    }
    fs::write(&file, "no archive").unwrap();
    assert!(store.import_archive(&file, "", "x").is_err());
    archive(Layer::builder().file("x", "1"), &file);
    let error = store.import_archive(&file, "", "x").unwrap_err();
    assert!(error.to_string().contains("neither"), "{error}");
}

#[test]
fn a_file_that_cannot_be_written_is_not_there() {
    let store = Layout::temporary().unwrap();
    store.store(&image(), "x").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("none/x.tar");
    let error = store.export_oci_archive("x", &file, "x").unwrap_err();
    assert!(error.to_string().contains("none/x.tar"), "{error}");
    let file = dir.path().join("x.tar");
    store.export_docker_archive("none", &file, "x").unwrap_err();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
