//! Real images: stored where every container tool finds them, changed by a server, saved as one more layer, moved in a file.
//!
//! `cargo run --features oci --example images`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use stratafs::oci::{Layout, StoreOptions};
use stratafs::tar::Compression;
use stratafs::{Image, Layer};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = Layout::create(dir.path().join("store"))?;

    // Three layers, as a build would make them. The first one is large, and many images will use it.
    let runtime = Layer::from([("usr/lib/runtime.so", "machine code ".repeat(100_000))]);
    let game =
        Layer::from([("srv/game/server", "#!/bin/sh\n"), ("srv/game/world.db", "a new world")]);
    let settings = Layer::from([("srv/game/server.toml", "players = 8\n")]);
    let image = Image::from_layers([runtime, game, settings])?;
    let mut config = image.config()?;
    config.entrypoint = vec!["/srv/game/server".into()];
    let options = StoreOptions::new().compression(Compression::Gzip).created_by("make game");
    let stored = options.store(&store, &image.with_config(&config)?, "game:1")?;
    println!("stored {} with {} layers", stored.manifest.digest, stored.new_layers.len());

    // Another day, another process: the image is opened by its table of contents, its files are read from the disk.
    let server = store.load("game:1")?.container();
    server.write("/srv/game/world.db", "explored")?;
    server.remove_file("/srv/game/server.toml")?;
    print!("{}", server.diff()?);

    // What is worth keeping is one small layer more.
    let saved = store.store(&server.commit()?, "game:saved")?;
    assert_eq!((saved.new_layers.len(), saved.shared_layers.len()), (1, 3));
    let image = store.load("game:saved")?;
    assert_eq!(image.view().read("/srv/game/world.db")?, "explored");
    assert!(!image.view().exists("/srv/game/server.toml")?);
    assert_eq!(image.config()?.entrypoint, ["/srv/game/server"]);

    // In one file to another machine, and there under the same digest.
    let file = dir.path().join("game.tar");
    store.export_oci_archive("game:saved", &file, "game:saved")?;
    let elsewhere = Layout::create(dir.path().join("elsewhere"))?;
    let moved = elsewhere.import_archive(&file, "game:saved", "game:saved")?;
    assert_eq!(moved.manifest.digest, saved.manifest.digest);

    let usage = store.usage()?;
    println!(
        "{} images, {} bytes, {} saved by sharing",
        usage.images,
        usage.bytes,
        usage.saved_bytes()
    );
    assert!(store.verify()?.is_empty());
    Ok(())
}
