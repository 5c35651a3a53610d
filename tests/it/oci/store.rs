//! The store as a whole: what is kept once, found again, taken away, and what is said of faults.

use std::fs;

use stratafs::oci::{Layout, LoadOptions, StoreOptions};
use stratafs::tar::Compression;
use stratafs::{ErrorKind, Image, Layer};

use super::hand::{Hand, digest};

fn image(layers: &[(&'static str, &'static str)]) -> Image {
    Image::from_layers(layers.iter().map(|layer| Layer::from([*layer]))).unwrap()
}

#[test]
fn a_layer_is_kept_once_however_many_images_use_it() {
    let store = Layout::temporary().unwrap();
    let base = Layer::from([("base", "x".repeat(100_000))]);
    for number in 0..5 {
        let own = Layer::from([("own", number.to_string())]);
        let stored = store
            .store(&Image::from_layers([base.clone(), own]).unwrap(), &format!("v{number}"))
            .unwrap();
        assert_eq!(stored.new_layers.len(), if number == 0 { 2 } else { 1 });
    }
    let usage = store.usage().unwrap();
    assert_eq!((usage.images, usage.unreferenced_bytes), (5, 0));
    // Four further images have the base for nothing: at least its bytes four times.
    assert!(usage.saved_bytes() >= 400_000, "{usage:?}");
    assert_eq!(usage.blobs, 1 + 5 + 5 + 5, "the base, own layers, configurations, manifests");
}

#[test]
fn every_compression_comes_back_as_it_was() {
    let store = Layout::temporary().unwrap();
    let image = image(&[("a", "1"), ("d/b", "2")]);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        // Layers keep the bytes that they were first stored as, so each needs layers of its own.
        let fresh = Image::from_layers(image.layers().iter().map(|layer| {
            let mut archive = Vec::new();
            stratafs::tar::write_layer(layer, &mut archive).unwrap();
            stratafs::tar::read_layer(&archive[..]).unwrap()
        }));
        let tag = format!("{compression:?}");
        StoreOptions::new().compression(compression).store(&store, &fresh.unwrap(), &tag).unwrap();
        for _ in 0..2 {
            let loaded = store.load(&tag).unwrap();
            assert!(loaded.view().diff(&image.view()).unwrap().is_empty());
            assert_eq!(loaded.chain_id().unwrap(), image.chain_id().unwrap());
            assert_eq!(loaded.view().check(), Vec::<String>::new());
        }
    }
    assert!(store.verify().unwrap().is_empty());
}

#[test]
fn an_image_that_was_loaded_stays_when_its_blobs_are_taken_away() {
    let store = Layout::temporary().unwrap();
    StoreOptions::new()
        .compression(Compression::Gzip)
        .store(&store, &image(&[("a", "1")]), "x")
        .unwrap();
    let loaded = store.load("x").unwrap();
    store.untag("x").unwrap();
    assert!(store.gc().unwrap().files >= 3);
    assert_eq!(loaded.view().read("/a").unwrap(), "1");
    drop(store);
    assert_eq!(
        loaded.container().read("/a").unwrap(),
        "1",
        "the store's directory is gone with the store"
    );
}

#[test]
fn loading_a_second_time_reads_tables_and_not_the_layers() {
    let dir = tempfile::tempdir().unwrap();
    let store = Layout::create(dir.path()).unwrap();
    let stored = StoreOptions::new()
        .compression(Compression::Gzip)
        .store(&store, &image(&[("a", "1")]), "x")
        .unwrap();
    store.load("x").unwrap();
    let blob = &stored.new_layers[0];
    let path = dir.path().join("blobs/sha256").join(&blob.digest.to_string()[7..]);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, vec![0; whole.len()]).unwrap();
    assert_eq!(
        store.load("x").unwrap().view().read("/a").unwrap(),
        "1",
        "the compressed blob is not looked at"
    );
    assert_eq!(store.verify().unwrap().len(), 1, "but it is verified");
    fs::remove_dir_all(dir.path().join("stratafs")).unwrap();
    assert_eq!(store.load("x").unwrap_err().kind(), ErrorKind::InvalidInput);
    fs::write(&path, whole).unwrap();
    assert_eq!(
        store.load("x").unwrap().view().read("/a").unwrap(),
        "1",
        "all tables can be made again"
    );
}

#[test]
fn tables_that_are_torn_or_meddled_with_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Layout::create(dir.path()).unwrap();
    let image = image(&[("a", "1"), ("d/b", "2")]);
    store.store(&image, "x").unwrap();
    store.load("x").unwrap();
    let tables: Vec<_> = ["layers", "images"]
        .iter()
        .flat_map(|kind| fs::read_dir(dir.path().join("stratafs").join(kind)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(tables.len(), 3 + 1 - 1, "two layers and what they are together");
    for table in &tables {
        let whole = fs::read(table).unwrap();
        for damage in 0..whole.len() {
            let mut torn = whole.clone();
            if damage % 2 == 0 {
                torn.truncate(damage)
            } else {
                torn[damage] ^= 0x55
            }
            fs::write(table, torn).unwrap();
            let loaded = store.load("x").unwrap();
            assert!(loaded.view().diff(&image.view()).unwrap().is_empty());
        }
        store.load("x").unwrap();
        assert_eq!(fs::read(table).unwrap(), whole, "the table is there again, the same");
    }
}

#[test]
fn verify_lists_all_faults_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Layout::create(dir.path()).unwrap();
    let stored = store.store(&image(&[("a", "1"), ("b", "2"), ("c", "3")]), "x").unwrap();
    let blob = |index: usize| {
        dir.path().join("blobs/sha256").join(&stored.new_layers[index].digest.to_string()[7..])
    };
    let mut bytes = fs::read(blob(0)).unwrap();
    bytes[600] ^= 1;
    fs::write(blob(0), bytes).unwrap();
    fs::write(blob(1), "short").unwrap();
    fs::remove_file(blob(2)).unwrap();
    let faults = store.verify().unwrap();
    assert_eq!(faults.len(), 3, "{faults:?}");
    for layer in &stored.new_layers {
        let digest = layer.digest.to_string();
        assert!(
            faults.iter().any(|fault| fault.to_string().contains(&digest)),
            "{digest}: {faults:?}"
        );
    }
}

#[test]
fn gc_keeps_what_any_entry_leads_to_and_takes_the_rest() {
    let store = Layout::temporary().unwrap();
    let shared = Layer::from([("shared", "1")]);
    let with = |own: &str| {
        Image::from_layers([shared.clone(), Layer::from([("own", own.to_owned())])]).unwrap()
    };
    store.store(&with("kept"), "kept").unwrap();
    store.store(&with("gone"), "gone").unwrap();
    store.load("kept").unwrap();
    store.load("gone").unwrap();
    store.untag("gone").unwrap();
    let before = store.usage().unwrap();
    assert!(before.unreferenced_bytes > 0);
    let collected = store.gc().unwrap();
    assert!(collected.bytes >= before.unreferenced_bytes, "{collected:?} {before:?}");
    assert_eq!(store.usage().unwrap().unreferenced_bytes, 0);
    assert_eq!(store.load("kept").unwrap().view().read("/own").unwrap(), "kept");
    assert!(store.verify().unwrap().is_empty());
    assert_eq!(store.gc().unwrap().files, 0, "nothing is left to take away");
}

#[test]
fn gc_that_cannot_know_what_is_in_use_takes_nothing() {
    let hand = Hand::new();
    let manifest = hand.image(&[Layer::from([("a", "1")])], "x");
    let store = hand.open();
    let before = store.usage().unwrap();
    fs::write(hand.blob_path(&digest(&manifest)), "{}").unwrap();
    let error = store.gc().unwrap_err();
    assert!(error.to_string().contains(&digest(&manifest)), "{error}");
    assert_eq!(
        fs::read_dir(hand.dir.path().join("blobs/sha256")).unwrap().count() as u64,
        before.blobs
    );
}

#[test]
fn names_move_and_go() {
    let store = Layout::temporary().unwrap();
    store.store(&image(&[("a", "1")]), "game:1").unwrap();
    store.store(&image(&[("a", "2")]), "game:2").unwrap();
    store.tag("game:1", "game:latest").unwrap();
    store.tag("game:2", "game:latest").unwrap();
    assert_eq!(store.load("game:latest").unwrap().view().read("/a").unwrap(), "2");
    assert_eq!(store.list().unwrap().len(), 3);
    store.untag("game:latest").unwrap();
    let error = store.untag("game:latest").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(store.tag("none", "x").unwrap_err().kind(), ErrorKind::NotFound);
    let digest = store.resolve("game:1").unwrap().digest.to_string();
    assert_eq!(store.load(&digest).unwrap().view().read("/a").unwrap(), "1");
}

#[test]
fn what_is_no_layout_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Layout::open(dir.path().join("none")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(
        Layout::open(dir.path()).unwrap_err().to_string().contains("there is no oci-layout file")
    );
    fs::write(dir.path().join("mine"), "1").unwrap();
    assert_eq!(Layout::create(dir.path()).unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    let file = Layout::create(dir.path().join("mine")).unwrap_err();
    assert!(file.to_string().contains("mine"), "{file}");
    let newer = Hand::new();
    newer.file("oci-layout", br#"{"imageLayoutVersion":"2.0.0"}"#);
    assert_eq!(Layout::open(newer.dir.path()).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn a_layer_with_a_name_that_no_archive_can_hold_stores_nothing() {
    let store = Layout::temporary().unwrap();
    let error = store.store(&image(&[("a", "1"), ("d/.wh.x", "2")]), "x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("/d/.wh.x"), "{error}");
    assert!(store.list().unwrap().is_empty());
    assert!(store.verify().unwrap().is_empty());
    assert_eq!(store.gc().unwrap().files, 1, "the first layer is a blob too many, and goes");
}

#[test]
fn a_store_that_cannot_be_written_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let image = image(&[("a", "1")]);
    let store = Layout::create(dir.path()).unwrap();
    StoreOptions::new().compression(Compression::Gzip).store(&store, &image, "x").unwrap();
    fs::remove_dir_all(dir.path().join("stratafs")).unwrap();
    // Root may write anywhere, so the place where the store would write is taken.
    fs::write(dir.path().join("stratafs"), "taken").unwrap();
    let loaded = Layout::open(dir.path()).unwrap().load("x").unwrap();
    assert!(loaded.view().diff(&image.view()).unwrap().is_empty());
    assert!(store.store(&image, "y").unwrap_err().to_string().contains("stratafs"));
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn sparse_files_and_every_kind_of_object_survive_a_store() {
    let image = Image::from_layers([Layer::from([("base", "1")])]).unwrap();
    let container = image.container();
    container.write("/small", "12").unwrap();
    let file = container
        .open_with("/holes", stratafs::OpenOptions::new().write(true).create(true))
        .unwrap();
    file.set_len(1 << 25).unwrap();
    file.write_at(b"end", (1 << 25) - 3).unwrap();
    container.symlink("nowhere", "/link").unwrap();
    container.hard_link("/small", "/again").unwrap();
    container.create_char_device("/null", 0o666, stratafs::Device { major: 1, minor: 3 }).unwrap();
    container.set_xattr("/small", "user.k", "v", stratafs::XattrMode::Any).unwrap();
    let committed = container.commit().unwrap();
    let store = Layout::temporary().unwrap();
    store.store(&committed, "x").unwrap();
    for _ in 0..2 {
        let loaded = store.load("x").unwrap();
        assert!(loaded.view().diff(&committed.view()).unwrap().is_empty());
    }
}

#[test]
fn options_say_themselves_shortly() {
    let shown = format!("{:?} {:?}", StoreOptions::new(), LoadOptions::new());
    assert!(shown.starts_with("StoreOptions(") && shown.len() < 600, "{shown}");
}
