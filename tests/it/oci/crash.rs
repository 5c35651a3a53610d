//! Writers that are killed: at any moment, what is left is a store that is whole.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stratafs::oci::{Layout, StoreOptions};
use stratafs::tar::Compression;
use stratafs::{Image, Layer};

/// Set for the process that is killed.
const DIR: &str = "STRATAFS_TEST_CRASH_DIR";
const SEED: &str = "STRATAFS_TEST_CRASH_SEED";

/// Runs a test of this file in a process of its own.
fn start(test: &str, dir: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([&format!("oci::crash::{test}"), "--exact", "--include-ignored", "--nocapture"])
        .env(DIR, dir)
        .env(SEED, seed.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Everything that is named can be had, and nothing is torn.
fn assert_whole(dir: &Path, when: &str) {
    let store = Layout::open(dir).unwrap_or_else(|error| panic!("{when}: {error}"));
    assert_eq!(store.verify().unwrap().len(), 0, "{when}: {:?}", store.verify());
    for reference in store.list().unwrap() {
        let tag = reference.tag.unwrap();
        let image = store.load(&tag).unwrap_or_else(|error| panic!("{when}: {tag}: {error}"));
        assert_eq!(image.view().read("/tag").unwrap(), tag, "{when}");
        assert_eq!(image.view().check(), Vec::<String>::new());
    }
}

#[test]
fn a_writer_that_is_killed_at_any_moment_leaves_a_store_that_is_whole() {
    let mut images = 0;
    for round in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("store");
        Layout::create(&dir).unwrap();
        for point in 0..10_u64 {
            let mut writer = start("writer_until_it_is_killed", &dir, round * 10 + point);
            // From before it does anything to well into its third image, in an order of its own.
            let moment = (round * 10 + point) * 37 % 100;
            std::thread::sleep(Duration::from_micros(2_000 + 2_500 * moment));
            writer.kill().unwrap();
            writer.wait().unwrap();
            assert_whole(&dir, &format!("killed at point {point} of round {round}"));
        }
        images += Layout::open(&dir).unwrap().list().unwrap().len();
        let store = Layout::create(&dir).unwrap();
        store.gc().unwrap();
        let left = std::fs::read_dir(dir.join("stratafs/tmp")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "what was being written is taken away by the next writer");
        assert_eq!(store.usage().unwrap().unreferenced_bytes, 0);
        assert_whole(&dir, "after a collection");
    }
    assert!(images > 0, "no writer came far enough to be worth killing");
}

#[test]
fn writers_and_collectors_in_several_processes_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("store");
    Layout::create(&dir).unwrap();
    let writers: Vec<_> = (0..4).map(|seed| start("writer_of_twenty_images", &dir, seed)).collect();
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_whole(&dir, "after four writers at once");
    assert_eq!(Layout::open(&dir).unwrap().list().unwrap().len(), 4 * 20, "no name was lost");
}

fn told() -> Option<(Layout, u64)> {
    let dir = std::env::var_os(DIR)?;
    Some((Layout::create(dir).unwrap(), std::env::var(SEED).unwrap().parse().unwrap()))
}

fn write(store: &Layout, tag: &str, number: u64) {
    let base = Layer::from([("base", "x".repeat(10_000))]);
    let own = Layer::from([("tag", tag.to_owned()), ("own", number.to_string().repeat(10_000))]);
    let compression = if number.is_multiple_of(2) { Compression::Gzip } else { Compression::None };
    let image = Image::from_layers([base, own]).unwrap();
    StoreOptions::new().compression(compression).store(store, &image, tag).unwrap();
    assert_eq!(store.load(tag).unwrap().view().read("/tag").unwrap(), tag);
}

#[test]
#[ignore = "runs as a process of its own, which is killed"]
fn writer_until_it_is_killed() {
    let Some((store, seed)) = told() else { return };
    for number in 0.. {
        write(&store, &format!("image-{seed}-{number}"), seed + number);
        if number % 3 == 2 {
            store.untag(&format!("image-{seed}-{}", number - 1)).unwrap();
            store.gc().unwrap();
        }
    }
}

#[test]
#[ignore = "runs as a process of its own, beside others"]
fn writer_of_twenty_images() {
    let Some((store, seed)) = told() else { return };
    for number in 0..20 {
        write(&store, &format!("image-{seed}-{number}"), seed * 100 + number);
        if number % 7 == 6 {
            store.gc().unwrap();
        }
    }
}
