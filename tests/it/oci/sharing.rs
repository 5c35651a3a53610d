//! One store, several users of it at once, in one process.

use std::thread;

use stratafs::oci::{Layout, StoreOptions};
use stratafs::tar::Compression;
use stratafs::{Image, Layer};

#[test]
fn threads_that_load_one_image_for_the_first_time_all_get_it() {
    let store = Layout::temporary().unwrap();
    let image =
        Image::from_layers((0..8).map(|number| {
            Layer::from([(format!("d/{number}"), format!("{number}").repeat(10_000))])
        }));
    StoreOptions::new().compression(Compression::Gzip).store(&store, &image.unwrap(), "x").unwrap();
    let loaded: Vec<Image> = thread::scope(|scope| {
        let loading: Vec<_> = (0..4).map(|_| scope.spawn(|| store.load("x").unwrap())).collect();
        loading.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for image in loaded {
        assert_eq!(image.view().read_dir("/d").unwrap().count(), 8);
        assert_eq!(image.view().read("/d/7").unwrap().len(), 10_000);
    }
    assert!(store.verify().unwrap().is_empty());
}

#[test]
fn containers_of_one_loaded_image_share_its_blobs_and_not_their_changes() {
    let store = Layout::temporary().unwrap();
    store.store(&Image::from_layers([Layer::from([("world", "new")])]).unwrap(), "game").unwrap();
    let image = store.load("game").unwrap();
    let servers: Vec<_> = (0..3).map(|_| image.container()).collect();
    for (number, server) in servers.iter().enumerate() {
        server.write("/world", format!("played by {number}")).unwrap();
        let stored = store.store(&server.commit().unwrap(), &format!("game-{number}")).unwrap();
        assert_eq!((stored.new_layers.len(), stored.shared_layers.len()), (1, 1));
    }
    for number in 0..3 {
        let saved = store.load(&format!("game-{number}")).unwrap();
        assert_eq!(saved.view().read("/world").unwrap(), format!("played by {number}"));
    }
    assert_eq!(image.view().read("/world").unwrap(), "new");
}
