//! What a commit writes down: configuration, history, times; and that it is the same every time.

use std::sync::Arc;

use serde_json::{Value, json};
use stratafs::oci::{Layout, Platform, StoreOptions};
use stratafs::{Image, Layer, ManualClock, Timestamp};

use super::hand::{CONFIG, Hand, named};

fn base() -> Image {
    Image::from_layers([Layer::from([("etc/os-release", "ID=strata\n")])]).unwrap()
}

fn document(image: &Image) -> Value {
    serde_json::from_slice(&image.raw_config().unwrap()).unwrap()
}

#[test]
fn a_commit_is_stored_with_layers_diff_ids_history_and_the_clocks_time() {
    let clock = Arc::new(ManualClock::new(Timestamp::new(1_700_000_000, 0)));
    let container = base().build_container().clock(clock.clone()).build().unwrap();
    container.write("/srv", "1").unwrap();
    clock.advance(100_000_000_005);
    container.write("/srv", "2").unwrap();
    clock.advance(1_000_000_000_000_000);
    let committed = container.commit().unwrap();
    let store = Layout::temporary().unwrap();
    StoreOptions::new().created_by("play").author("ann").store(&store, &committed, "x").unwrap();
    let loaded = store.load("x").unwrap();
    let config = document(&loaded);
    let diff_ids: Vec<_> =
        loaded.layers().iter().map(|layer| layer.diff_id().unwrap().to_string()).collect();
    assert_eq!(config["rootfs"], json!({ "type": "layers", "diff_ids": diff_ids }));
    let last_change = "2023-11-14T22:15:00.000000005Z";
    assert_eq!(
        config["created"], last_change,
        "when the last change was made, not when it was committed"
    );
    assert_eq!(config["author"], "ann");
    let history = loaded.history().unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!(history[1].created.as_deref(), Some(last_change));
    assert_eq!(history[1].created_by.as_deref(), Some("play"));
}

#[test]
fn the_same_commit_twice_gives_the_same_manifest_digest() {
    // With the system's clock: what counts is when the changes were made.
    let container = base().container();
    container.write("/srv", "1").unwrap();
    let digest = || {
        let store = Layout::temporary().unwrap();
        store.store(&container.commit().unwrap(), "x").unwrap().manifest.digest
    };
    let first = digest();
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(first, digest());
    assert_eq!(container.fork().commit().unwrap().layers().len(), 2);
}

#[test]
fn storing_what_was_loaded_keeps_its_manifest_byte_for_byte() {
    let hand = Hand::new();
    let manifest = hand.image(&[Layer::from([("a", "1")]), Layer::from([("b", "2")])], "x");
    let image = hand.open().load("x").unwrap();
    let there = Layout::temporary().unwrap();
    let stored = there.store(&image, "y").unwrap();
    assert_eq!(stored.manifest.digest.to_string(), manifest["digest"].as_str().unwrap());
    assert_eq!(there.load("y").unwrap().raw_manifest(), image.raw_manifest());
    let unchanged = image.container().commit().unwrap();
    assert_eq!(there.store(&unchanged, "z").unwrap().manifest.digest, stored.manifest.digest);
}

#[test]
fn a_commit_on_a_loaded_image_keeps_the_layers_and_all_that_is_known_of_it() {
    let hand = Hand::new();
    let (layer, diff_id) = hand.layer(&Layer::from([("a", "1")]));
    let config = json!({
        "architecture": "arm64", "os": "linux", "variant": "v8", "x-unknown": { "kept": [1] },
        "created": "2020-01-01T00:00:00Z",
        "config": { "Env": ["A=1"], "Cmd": null, "x-inner": true, "Labels": { "l": "1" } },
        "rootfs": { "type": "layers", "diff_ids": [diff_id] },
        "history": [{ "created_by": "base" }, { "created_by": "ENV A=1", "empty_layer": true }],
    });
    let manifest = hand.manifest(&hand.document(CONFIG, &config), std::slice::from_ref(&layer));
    hand.index(&[named(&manifest, "x")]);
    let store = hand.open();
    let container = store.load("x").unwrap().container();
    container.write("/b", "2").unwrap();
    let mut wanted = store.load("x").unwrap().config().unwrap();
    assert_eq!(
        (wanted.env.clone(), wanted.labels["l"].clone()),
        (vec!["A=1".to_owned()], "1".into())
    );
    wanted.entrypoint = vec!["/b".into()];
    let committed = container.commit().unwrap().with_config(&wanted).unwrap();
    let stored = store.store(&committed, "y").unwrap();
    assert_eq!(stored.new_layers.len(), 1);
    assert_eq!(stored.shared_layers[0].digest.to_string(), layer["digest"].as_str().unwrap());
    let loaded = store.load("y").unwrap();
    let kept = document(&loaded);
    assert_eq!(
        (&kept["x-unknown"], &kept["config"]["x-inner"]),
        (&json!({ "kept": [1] }), &json!(true))
    );
    assert_eq!((&kept["architecture"], &kept["variant"]), (&json!("arm64"), &json!("v8")));
    assert_eq!(loaded.config().unwrap(), wanted);
    let steps: Vec<_> =
        loaded.history().unwrap().into_iter().filter_map(|step| step.created_by).collect();
    assert_eq!(steps, ["base", "ENV A=1", "stratafs"]);
    assert_ne!(kept["created"], "2020-01-01T00:00:00Z");
}

#[test]
fn every_field_of_the_configuration_survives() {
    let mut config = base().config().unwrap();
    config.env = vec!["A=1".into(), "B=2".into()];
    config.entrypoint = vec!["/run".into()];
    config.cmd = vec!["--fast".into()];
    config.user = "1000:1000".into();
    config.working_dir = "/srv".into();
    config.labels.insert("k".into(), "v".into());
    config.volumes = vec!["/data".into(), "/logs".into()];
    config.exposed_ports = vec!["30000/udp".into()];
    config.stop_signal = Some("SIGINT".into());
    let store = Layout::temporary().unwrap();
    let with = base().with_config(&config).unwrap();
    assert_eq!(with.config().unwrap(), config);
    let options = || {
        StoreOptions::new()
            .platform(Platform::new("linux", "riscv64"))
            .annotation("org.example", "1")
    };
    let digest = options().store(&store, &with, "x").unwrap().manifest.digest;
    assert_eq!(digest, options().store(&store, &with, "x").unwrap().manifest.digest);
    let loaded = stratafs::oci::LoadOptions::new().load(&store, "x").unwrap();
    assert_eq!(loaded.config().unwrap(), config);
    assert_eq!(loaded.annotations().unwrap()["org.example"], "1");
    assert_eq!(document(&loaded)["architecture"], "riscv64");
    // Saying it again changes nothing; taking it back leaves no trace of it.
    assert_eq!(loaded.with_config(&config).unwrap().raw_manifest(), loaded.raw_manifest());
    let bare = loaded.with_config(&base().config().unwrap()).unwrap();
    assert_eq!(document(&bare)["config"], json!({}));
    assert_eq!(bare.raw_manifest(), None);
}

#[test]
fn a_squashed_image_has_one_layer_and_one_step_and_runs_as_before() {
    let mut config = base().config().unwrap();
    config.user = "7".into();
    let container = base().with_config(&config).unwrap().container();
    container.remove_file("/etc/os-release").unwrap();
    let squashed = container.commit().unwrap().squash().unwrap();
    let store = Layout::temporary().unwrap();
    store.store(&squashed, "x").unwrap();
    let loaded = store.load("x").unwrap();
    assert_eq!((loaded.layers().len(), loaded.history().unwrap().len()), (1, 1));
    assert_eq!(loaded.config().unwrap().user, "7");
    assert!(loaded.view().diff(&squashed.view()).unwrap().is_empty());
}

#[test]
fn an_image_without_layers_can_be_stored() {
    let store = Layout::temporary().unwrap();
    store.store(&Image::scratch(), "empty").unwrap();
    let loaded = store.load("empty").unwrap();
    assert!(loaded.layers().is_empty() && loaded.history().unwrap().is_empty());
    assert_eq!(document(&loaded)["rootfs"], json!({ "type": "layers", "diff_ids": [] }));
}
