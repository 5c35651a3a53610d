//! Mistakes that were found by reading and by trying, each with its story.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread;

use serde_json::{Value, json};
use stratafs::oci::{Layout, StoreOptions};
use stratafs::tar::{self, Compression};
use stratafs::{Digest, ErrorKind, Image, Layer};

use super::hand::{
    CONFIG, Hand, INDEX, LAYER, config, digest, everything, for_platform, manifest, named,
};

fn one(name: &str) -> Image {
    Image::from_layers([Layer::from([(name.to_owned(), "1")])]).unwrap()
}

fn index_of(hand: &Hand, list: &[Value]) -> Value {
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": list });
    hand.document(INDEX, &index)
}

/// `{"config": …}` was published as it was, without the fields that every configuration has.
#[test]
fn regression_an_image_without_layers_that_was_told_how_to_run_can_be_loaded() {
    let store = Layout::temporary().unwrap();
    let mut config = Image::scratch().config().unwrap();
    config.env = vec!["A=1".into()];
    store.store(&Image::scratch().with_config(&config).unwrap(), "x").unwrap();
    assert_eq!(store.load("x").unwrap().config().unwrap(), config);
}

/// What was said of the author was lost where only the configuration had changed.
#[test]
fn regression_options_count_where_only_the_configuration_changed() {
    let store = Layout::temporary().unwrap();
    store.store(&one("a"), "x").unwrap();
    let mut config = store.load("x").unwrap().config().unwrap();
    config.env = vec!["A=1".into()];
    let image = store.load("x").unwrap().with_config(&config).unwrap();
    StoreOptions::new().author("ann").store(&store, &image, "y").unwrap();
    let raw = store.load("y").unwrap().raw_config().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&raw).unwrap()["author"], "ann");
}

/// The first index without a platform ended the search, though a manifest further on was the right one.
#[test]
fn regression_an_index_that_has_no_image_for_this_machine_is_not_the_end() {
    let hand = Hand::new();
    let image = hand.image(&[Layer::from([("a", "1")])], "x");
    let host = stratafs::oci::Platform::host();
    let elsewhere = index_of(&hand, &[for_platform(&image, "plan9", "mips")]);
    let missing = json!({ "mediaType": image["mediaType"], "digest": Digest::of(b"gone").to_string(), "size": 4 });
    let right = for_platform(&image, &host.os, &host.architecture);
    hand.index(&[named(&index_of(&hand, &[elsewhere, missing, right]), "x")]);
    assert_eq!(hand.open().load("x").unwrap().view().read("/a").unwrap(), "1");
    let there = Layout::temporary().unwrap();
    there.copy_from(&hand.open(), "x", "x").unwrap();
    assert_eq!(there.load("x").unwrap().view().read("/a").unwrap(), "1");
}

/// Copying went down indexes in indexes by recursion, as deep as somebody had made them, and each as often as it was named.
#[test]
fn regression_copying_indexes_within_indexes_ends() {
    let hand = Hand::new();
    let image = hand.image(&[], "x");
    let mut deep = image.clone();
    for _ in 0..2_000 {
        deep = index_of(&hand, &[deep]);
    }
    hand.index(&[named(&deep, "x")]);
    let there = Layout::temporary().unwrap();
    let error = there.copy_from(&hand.open(), "x", "x").unwrap_err();
    assert!(error.to_string().contains("indexes within indexes"), "{error}");
    let mut wide = image;
    for _ in 0..4 {
        wide = index_of(&hand, &vec![wide; 30]);
    }
    hand.index(&[named(&wide, "x")]);
    there.copy_from(&hand.open(), "x", "x").unwrap();
}

/// A name that cannot be one was refused when the layers were written already.
#[test]
fn regression_a_name_is_refused_before_anything_is_written() {
    let store = Layout::temporary().unwrap();
    for error in [
        store.store(&one("a"), "no name").unwrap_err(),
        store.copy_from(&Layout::temporary().unwrap(), "", "no name").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    assert_eq!(store.usage().unwrap().unreferenced_bytes, 0);
}

/// A layer kept the path of its blob: when somebody else had moved the name and collected, a running container could not be
/// saved any more, though all its files were there.
#[test]
fn regression_what_runs_can_be_saved_when_its_blobs_were_collected() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let store = Layout::temporary().unwrap();
        StoreOptions::new().compression(compression).store(&store, &one("a"), "x").unwrap();
        let loaded = store.load("x").unwrap();
        let server = loaded.container();
        server.write("/b", "precious").unwrap();
        store.store(&one("other"), "x").unwrap();
        store.gc().unwrap();
        store.store(&server.commit().unwrap(), "saved").unwrap();
        store.store(&loaded, "as it was").unwrap_err();
        store.store(&loaded, "as-it-was").unwrap();
        let saved = store.load("saved").unwrap().view();
        assert_eq!(
            (saved.read("/a").unwrap(), saved.read("/b").unwrap()),
            ("1".into(), "precious".into())
        );
        assert!(store.verify().unwrap().is_empty(), "{compression:?}");
    }
    // The same of a layer that never was on the disk before it was stored.
    let (store, image) = (Layout::temporary().unwrap(), one("a"));
    store.store(&image, "x").unwrap();
    store.untag("x").unwrap();
    store.gc().unwrap();
    store.store(&image, "x").unwrap();
    assert!(store.verify().unwrap().is_empty());
}

/// A digest that was met first under a type that is no document was never followed, so that what it names was collected.
#[test]
fn regression_gc_follows_what_is_named_by_two_types() {
    let hand = Hand::new();
    let image = hand.image(&[Layer::from([("a", "1")])], "x");
    let host = stratafs::oci::Platform::host();
    let right = for_platform(&image, &host.os, &host.architecture);
    let mut other = image.clone();
    other["mediaType"] = json!("application/octet-stream");
    for list in [[right.clone(), other.clone()], [other, right]] {
        hand.index(&[named(&index_of(&hand, &list), "x")]);
        hand.open().gc().unwrap();
        fs::remove_dir_all(hand.dir.path().join("stratafs")).unwrap();
        assert_eq!(hand.open().load("x").unwrap().view().read("/a").unwrap(), "1");
    }
}

/// One artifact whose blobs call themselves JSON, and are not, kept a store from ever being collected.
#[test]
fn regression_gc_does_not_read_what_no_image_is_made_of() {
    let hand = Hand::new();
    let image = hand.image(&[Layer::from([("a", "1")])], "x");
    let lines = hand.blob("application/x-lines+json", b"{}\n{}\n");
    let none = hand.document("application/vnd.oci.empty.v1+json", &json!({}));
    let artifact = hand.manifest(&none, std::slice::from_ref(&lines));
    hand.index(&[named(&image, "x"), named(&artifact, "log")]);
    hand.open().gc().unwrap();
    assert!(hand.blob_path(&digest(&lines)).exists());
    // A directory of somebody's is no table.
    fs::create_dir_all(hand.dir.path().join("stratafs/images/lost+found")).unwrap();
    hand.open().gc().unwrap();
}

/// Blobs of unknown types were marked as seen before they were looked at.
#[test]
fn regression_verify_reads_blobs_of_unknown_types() {
    let hand = Hand::new();
    let entry = hand.blob("application/octet-stream", b"right");
    let layer = hand.blob("application/vnd.example.layer", b"also right");
    let config = hand.config(&[Digest::of(b"also right").to_string()]);
    let image = hand.manifest(&config, std::slice::from_ref(&layer));
    hand.index(&[named(&entry, "entry"), named(&image, "image")]);
    assert!(hand.open().verify().unwrap().is_empty());
    for blob in [&entry, &layer] {
        let path = hand.blob_path(&digest(blob));
        let whole = fs::read(&path).unwrap();
        fs::write(&path, vec![b'x'; whole.len()]).unwrap();
        assert_eq!(hand.open().verify().unwrap().len(), 1, "damaged");
        fs::remove_file(&path).unwrap();
        assert_eq!(hand.open().verify().unwrap().len(), 1, "missing");
        fs::write(&path, whole).unwrap();
    }
}

/// Two manifests that promise two lengths of one layer: one of them cannot be loaded.
#[test]
fn regression_verify_sees_what_load_sees() {
    let hand = Hand::new();
    let (layer, diff_id) = hand.layer(&Layer::from([("a", "1")]));
    let mut wrong = layer.clone();
    wrong["size"] = json!(7);
    let config = hand.config(&[diff_id]);
    let images = [hand.manifest(&config, &[layer]), hand.manifest(&config, &[wrong])];
    hand.index(&[named(&images[0], "right"), named(&images[1], "wrong")]);
    assert!(hand.open().load("wrong").is_err());
    assert_eq!(hand.open().verify().unwrap().len(), 1);
}

/// One layer in two blobs: only one of them was copied, and the manifest named both.
#[test]
fn regression_a_layer_in_two_blobs_is_stored_in_both() {
    let hand = Hand::new();
    let layer = Layer::from([("a", "1")]);
    let (plain, diff_id) = hand.layer(&layer);
    let mut gzip = Vec::new();
    tar::WriteOptions::new().compression(Compression::Gzip).write(&layer, &mut gzip).unwrap();
    let gzip = hand.blob(&format!("{LAYER}+gzip"), &gzip);
    let image = hand.manifest(&hand.config(&[diff_id.clone(), diff_id]), &[plain, gzip]);
    hand.index(&[named(&image, "x")]);
    let there = Layout::temporary().unwrap();
    let stored = there.store(&hand.open().load("x").unwrap(), "x").unwrap();
    assert_eq!(stored.manifest.digest.to_string(), digest(&image));
    assert!(there.verify().unwrap().is_empty());
}

/// A history of steps without layers was dropped with the first layer.
#[test]
fn regression_the_history_of_a_base_without_layers_stays() {
    let hand = Hand::new();
    let mut config = config(&[]);
    config["history"] = json!([{ "created_by": "ENV A=1", "empty_layer": true }]);
    hand.index(&[named(&hand.manifest(&hand.document(CONFIG, &config), &[]), "x")]);
    let container = hand.open().load("x").unwrap().container();
    container.write("/a", "1").unwrap();
    hand.open().store(&container.commit().unwrap(), "y").unwrap();
    assert_eq!(hand.open().load("y").unwrap().history().unwrap().len(), 2);
}

/// `"annotations": null` in an entry: the new name was lost, and nobody was told.
#[test]
fn regression_an_entry_with_annotations_of_null_gets_its_name() {
    let hand = Hand::new();
    let mut image = hand.image(&[Layer::from([("a", "1")])], "x");
    image["annotations"] = json!(null);
    hand.index(&[image]);
    hand.open().tag("", "y").unwrap();
    assert_eq!(hand.open().load("y").unwrap().view().read("/a").unwrap(), "1");
}

/// A store that was being made when its maker died could never be made again.
#[test]
fn regression_a_store_that_was_half_made_is_made() {
    let dir = tempfile::tempdir().unwrap();
    Layout::create(dir.path()).unwrap();
    fs::remove_file(dir.path().join("oci-layout")).unwrap();
    Layout::create(dir.path()).unwrap();
}

/// Makers cleared away what others were writing at that moment; a name was given to what a collection took meanwhile.
#[test]
fn regression_making_naming_and_collecting_at_once_fails_nobody() {
    let dir = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| drop(Layout::create(dir.path()).unwrap())));
        }
    });
    let store = Layout::open(dir.path()).unwrap();
    store.store(&one("a"), "x").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| (0..50).for_each(|_| drop(Layout::create(dir.path()).unwrap())));
        scope.spawn(|| (0..50).for_each(|_| store.tag("x", "y").unwrap()));
    });
    for round in 0..40 {
        store.store(&one(&format!("{round}")), "x").unwrap();
        thread::scope(|scope| {
            let tagged = scope.spawn(|| store.tag("x", "kept").is_ok());
            scope.spawn(|| {
                store.untag("x").unwrap();
                store.gc().unwrap();
            });
            if tagged.join().unwrap() {
                assert!(store.load("kept").is_ok(), "a name that leads nowhere");
            }
        });
    }
}

/// A file that went away while a store was listed ended the listing, as if there had been no more.
#[test]
fn regression_usage_is_right_while_others_collect() {
    let store = Layout::temporary().unwrap();
    store.store(&one("a"), "x").unwrap();
    let least = store.usage().unwrap().bytes;
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..15 {
                for image in 0..4 {
                    store.store(&one(&format!("{round}-{image}")), "y").unwrap();
                }
                store.untag("y").unwrap();
                store.gc().unwrap();
            }
        });
        while !writer.is_finished() {
            assert!(store.usage().unwrap().bytes >= least);
        }
    });
}

/// Attack: a layout whose own part is a link to a directory of somebody's, in which a collection then took things away.
#[test]
fn regression_nothing_outside_of_the_store_is_taken_away() {
    let victim = tempfile::tempdir().unwrap();
    for file in ["tmp/work/thesis", "images/photo", "layers/map", "photo"] {
        let file = victim.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "mine").unwrap();
    }
    let before = everything(victim.path());
    let whole = Hand::new();
    whole.image(&[Layer::from([("a", "1")])], "x");
    symlink(victim.path(), whole.dir.path().join("stratafs")).unwrap();
    assert!(Layout::create(whole.dir.path()).is_err());
    assert!(whole.open().gc().is_err());
    let parts = Hand::new();
    parts.image(&[Layer::from([("a", "1")])], "x");
    fs::create_dir(parts.dir.path().join("stratafs")).unwrap();
    for name in ["tmp", "images", "layers"] {
        symlink(victim.path(), parts.dir.path().join("stratafs").join(name)).unwrap();
    }
    drop(Layout::create(parts.dir.path()));
    drop(parts.open().gc());
    let blobs = Hand::new();
    blobs.index(&[]);
    fs::rename(parts.dir.path().join("blobs"), victim.path().join("blobs")).unwrap();
    let before_blobs = everything(victim.path());
    fs::remove_dir_all(blobs.dir.path().join("blobs")).unwrap();
    symlink(victim.path().join("blobs"), blobs.dir.path().join("blobs")).unwrap();
    assert!(blobs.open().gc().is_err());
    assert_eq!(everything(victim.path()), before_blobs);
    assert!(before.keys().all(|file| before_blobs.contains_key(file)));
}

/// Attack: tables of contents that are right in form and untrue. They are believed, which the documentation says; but they
/// are found by `verify`, and none leads out of the root.
#[test]
fn regression_untrue_tables_are_found_and_lead_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let store = Layout::create(dir.path()).unwrap();
    let image = Image::from_layers([Layer::from([("aa", "1"), ("bb/good", "2")])]).unwrap();
    store.store(&image, "x").unwrap();
    store.load("x").unwrap();
    let tables = || {
        ["layers", "images"].iter().flat_map(|kind| {
            fs::read_dir(dir.path().join("stratafs").join(kind))
                .unwrap()
                .map(|entry| entry.unwrap().path())
        })
    };
    let forge = |from: &[u8], to: &[u8]| {
        for path in tables() {
            let mut table = fs::read(&path).unwrap();
            let found = table.windows(from.len()).position(|part| part == from);
            let Some(at) = found else { continue };
            table[at..at + from.len()].copy_from_slice(to);
            let body = table.len() - 32;
            let digest = Digest::of(&table[..body]);
            table[body..].copy_from_slice(digest.as_bytes());
            fs::write(path, table).unwrap();
        }
    };
    assert!(store.verify().unwrap().is_empty());
    forge(b"good", b"evil");
    assert_eq!(store.verify().unwrap().len(), tables().count(), "each is untrue");
    // The layer's table has the directory only as a part of the path.
    forge(b"bb/evil", b"../evil");
    fs::remove_dir_all(dir.path().join("stratafs/images")).unwrap();
    let error = store.load("x").unwrap_err();
    assert!(error.to_string().contains("table of contents"), "{error}");
}

/// What is no file was opened to be read: a fifo waits for ever, and some devices never end.
#[test]
fn regression_what_is_no_file_is_not_read() {
    let hand = Hand::new();
    let image = hand.image(&[Layer::from([("a", "1")])], "x");
    let fifo = hand.blob_path(&digest(&image));
    fs::remove_file(&fifo).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.is_ok_and(|status| status.success()), "a fifo");
    assert!(hand.open().load("x").unwrap_err().to_string().contains("not a file"));
    for name in ["oci-layout", "index.json"] {
        let endless = Hand::new();
        fs::remove_file(endless.dir.path().join(name)).unwrap();
        symlink("/dev/zero", endless.dir.path().join(name)).unwrap();
        let listed = Layout::open(endless.dir.path()).and_then(|store| store.list());
        assert!(listed.unwrap_err().to_string().contains("not a file"), "{name}");
    }
}

/// A document in an archive is not read whole because a few bytes say that it is gigabytes long.
#[test]
fn regression_documents_in_archives_have_a_limit_too() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["manifest.json", "index.json"] {
        let file = dir.path().join("x.tar");
        let members = Layer::builder().file("oci-layout", "{}").file(name, vec![b' '; 17 << 20]);
        let members = if name == "index.json" {
            members
        } else {
            Layer::builder().file(name, vec![b' '; 17 << 20])
        };
        tar::write_layer(&members.build().unwrap(), fs::File::create(&file).unwrap()).unwrap();
        let error = Layout::temporary().unwrap().import_archive(&file, "", "x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge, "{error}");
    }
}

/// Each load opened every layer once more, until the process had no files left.
#[test]
fn regression_a_layer_is_one_open_file_however_often_it_is_loaded() {
    let store = Layout::temporary().unwrap();
    store.store(&one("a"), "x").unwrap();
    let open = || fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let before = open();
    let images: Vec<_> = (0..300).map(|_| store.load("x").unwrap()).collect();
    assert!(open() < before + 100, "{} files for {} images", open() - before, images.len());
}

/// That a table of contents could not be kept, as on a full disk, was an error of the load that did not need it.
#[test]
fn regression_a_table_that_cannot_be_kept_keeps_nobody_from_loading() {
    let hand = Hand::new();
    hand.image(&[Layer::from([("a", "1")])], "x");
    let own = hand.dir.path().join("stratafs");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("layers"), "no place for tables").unwrap();
    assert_eq!(hand.open().load("x").unwrap().view().read("/a").unwrap(), "1");
}

/// A layer with more than 64 MiB in files with holes can be in no table, and was refused; it is taken apart each time.
#[test]
fn regression_a_layer_that_fits_no_table_is_loaded_all_the_same() {
    const DATA: usize = 65 << 20;
    let hand = Hand::new();
    let file = fs::File::create(hand.dir.path().join("holes")).unwrap();
    file.set_len(DATA as u64 + (8 << 20)).unwrap();
    (&file).write_all(&vec![b'x'; DATA]).unwrap();
    let packed = std::process::Command::new("tar")
        .args(["--sparse", "-cf", "-", "holes"])
        .current_dir(hand.dir.path())
        .output();
    let Ok(packed) = packed.map(|output| output.stdout) else {
        return println!("not run: there is no tar");
    };
    let layer = hand.blob(LAYER, &packed);
    let config = hand.config(&[Digest::of(&packed).to_string()]);
    hand.index(&[named(&hand.manifest(&config, &[layer]), "x")]);
    for _ in 0..2 {
        let view = hand.open().load("x").unwrap().view();
        assert!(view.metadata("/holes").unwrap().blocks() * 512 < DATA as u64 + (1 << 20), "holes");
        let bytes = view.read("/holes").unwrap();
        assert!(bytes[..DATA].iter().all(|byte| *byte == b'x'), "what was written");
        assert!(bytes[DATA..].iter().all(|byte| *byte == 0), "and a hole behind it");
    }
    let layers = hand.dir.path().join("stratafs/layers");
    assert_eq!(fs::read_dir(layers).map_or(0, Iterator::count), 0, "it fits no table");
}

/// An archive was readable by all, whatever its maker's umask said.
#[test]
fn regression_files_have_the_mode_of_any_new_file() {
    let store = Layout::temporary().unwrap();
    store.store(&one("a"), "x").unwrap();
    let dir = tempfile::tempdir().unwrap();
    store.export_docker_archive("x", dir.path().join("x.tar"), "x").unwrap();
    fs::write(dir.path().join("plain"), "").unwrap();
    let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode("x.tar"), mode("plain"));
}

/// Annotations of the manifest that an image came with go when others are set: this is what is documented.
#[test]
fn annotations_that_are_set_are_those_of_a_new_manifest() {
    let hand = Hand::new();
    let (layer, diff_id) = hand.layer(&Layer::from([("a", "1")]));
    let mut document = manifest(&hand.config(&[diff_id]), &[layer]);
    document["annotations"] = json!({ "old": "1" });
    hand.index(&[named(&hand.document(super::hand::MANIFEST, &document), "x")]);
    let store = hand.open();
    assert_eq!(store.load("x").unwrap().annotations().unwrap()["old"], "1");
    StoreOptions::new()
        .annotation("new", "1")
        .store(&store, &store.load("x").unwrap(), "y")
        .unwrap();
    assert_eq!(store.load("y").unwrap().annotations().unwrap().keys().collect::<Vec<_>>(), ["new"]);
}

/// A manifest that was missing for a moment: a collection took all that it names, and it could not be repaired any more.
#[test]
fn regression_gc_takes_nothing_while_what_is_named_is_missing() {
    let hand = Hand::new();
    let image = hand.image(&[Layer::from([("a", "1")])], "x");
    let path = hand.blob_path(&digest(&image));
    let whole = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let error = hand.open().gc().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(hand.open().garbage().is_err(), "a rehearsal says the same");
    fs::write(&path, whole).unwrap();
    assert_eq!(hand.open().load("x").unwrap().view().read("/a").unwrap(), "1");
}

/// An archive was renamed over whatever was at its path: links, fifos, `/dev/stdout`.
#[test]
fn regression_an_archive_takes_the_place_of_a_file_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = Layout::temporary().unwrap();
    store.store(&one("a"), "x").unwrap();
    let (file, link) = (dir.path().join("file.tar"), dir.path().join("link.tar"));
    fs::write(&file, "old").unwrap();
    symlink(&file, &link).unwrap();
    store.export_oci_archive("x", &link, "x").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(Layout::temporary().unwrap().import_archive(&file, "x", "x").is_ok());
    let error = store.export_oci_archive("x", "/dev/null", "x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
}

/// Sockets were left out of what is stored, and nobody was told.
#[test]
fn regression_what_no_image_can_hold_is_reported() {
    let layer = Layer::builder().socket("/run/game.sock").file("/a", "1").build().unwrap();
    let store = Layout::temporary().unwrap();
    let stored = store.store(&Image::from_layers([layer]).unwrap(), "x").unwrap();
    assert_eq!(stored.left_out, [std::path::PathBuf::from("/run/game.sock")]);
}
