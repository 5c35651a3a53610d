//! What all benches measure against: one synthetic image, a flat hash map, a directory in tmpfs.
#![allow(
    dead_code,
    clippy::print_stdout,
    reason = "each bench uses a part of it, and one prints a table"
)]

pub(crate) mod measure;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use stratafs::{Container, Image, Layer};

/// How many bytes each file has.
pub(crate) const FILE_LEN: usize = 4096;
/// Files in a directory, but for `/wide`.
const PER_DIR: usize = 45;
/// The directory with 1,000 entries.
pub(crate) const WIDE: &str = "/wide/shared/entries";
/// A directory with 10,000 files below it, and a few.
pub(crate) const LARGE: &str = "/t0";

/// A small generator, so that every run sees the same order.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// The paths of `n` files at depth 4 to 6, in a random order that is the same each time.
pub(crate) fn paths(n: usize) -> Vec<String> {
    let wide = (n / 10).min(1000);
    let mut paths: Vec<String> = (0..wide).map(|i| format!("{WIDE}/entry{i:04}")).collect();
    paths.extend((wide..n).map(|i| format!("{}/file{:02}.dat", dir(i / PER_DIR), i % PER_DIR)));
    Random::new(7).shuffle(&mut paths);
    // Copied, so that they lie in memory in this order: the bytes that are asked for should not be what is waited for.
    paths.clone()
}

/// Directory `i`, of which the image has more than 2,000 if it has 100,000 files.
pub(crate) fn dir(i: usize) -> String {
    let below = ["", "/src", "/src/implementation"][i % 3];
    // The first few are full of `/wide`.
    format!("/t{}/group{:02}/package{i:05}{below}", i % 9, i / 9 % 20)
}

/// `n` directories that are in an image of 100,000 files, each once, in a random order.
pub(crate) fn dirs(n: usize) -> Vec<String> {
    let mut dirs: Vec<String> = (30..30 + n).map(dir).collect();
    Random::new(11).shuffle(&mut dirs);
    dirs
}

/// Paths that lead nowhere: half of them in directories that are there.
pub(crate) fn missing(paths: &[String]) -> Vec<String> {
    let absent = |(i, path): (usize, &String)| match i % 2 {
        0 => format!("{path}x"),
        _ => path.replacen("/file", "/none/file", 1) + "~",
    };
    paths.iter().enumerate().map(absent).collect()
}

/// Contents, one allocation for each file.
pub(crate) fn contents(n: usize) -> Vec<Bytes> {
    (0..n).map(|i| Bytes::from(vec![i as u8; FILE_LEN])).collect()
}

/// `files` spread over `count` layers.
pub(crate) fn layers<P: AsRef<Path>>(
    files: impl Iterator<Item = (P, Bytes)>,
    count: usize,
) -> Vec<Layer> {
    let mut builders: Vec<_> = (0..count).map(|_| Layer::builder()).collect();
    let mut random = Random::new(3);
    for (path, bytes) in files {
        let builder = &mut builders[random.below(count)];
        *builder = std::mem::take(builder).file(path, bytes);
    }
    builders
        .into_iter()
        .map(|builder| builder.build().expect("because the paths are good"))
        .collect()
}

/// The image of all benches: 4 KiB files, each an allocation of its own, spread over layers.
pub(crate) fn image(paths: &[String], contents: &[Bytes], layer_count: usize) -> Image {
    let files = paths.iter().map(String::as_str).zip(contents.iter().cloned());
    Image::from_layers(layers(files, layer_count)).expect("because the layers are good")
}

/// The same of any size, with files of no bytes.
pub(crate) fn empty_files(n: usize, layer_count: usize) -> Image {
    let paths = paths(n);
    let files = paths.iter().map(|path| (&**path, Bytes::new()));
    Image::from_layers(layers(files, layer_count)).expect("because the layers are good")
}

/// As large as what `stat` returns.
#[derive(Clone, Copy)]
pub(crate) struct Meta(pub(crate) [u32; 25]);

/// The rival of lookups: no directories, no links, nothing but a hash map.
pub(crate) type Flat = HashMap<String, (Meta, Bytes), RandomState>;

pub(crate) fn flat(paths: &[String], contents: &[Bytes]) -> Flat {
    let mut flat = Flat::with_capacity_and_hasher(paths.len(), RandomState::default());
    for (i, (path, bytes)) in paths.iter().zip(contents).enumerate() {
        flat.insert(path.clone(), (Meta([i as u32; 25]), bytes.clone()));
    }
    flat
}

/// Overwrites so many files of a container.
pub(crate) fn overwrite(container: &Container, paths: &[String]) {
    for path in paths {
        container.write(path, vec![1; FILE_LEN]).expect("because the file is there");
    }
}

/// A directory in memory of the kernel's own, removed at the end.
pub(crate) struct Tmpfs(PathBuf);

impl Tmpfs {
    /// `None` where there is no `/dev/shm`.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let root = PathBuf::from(format!("/dev/shm/stratafs-bench-{name}-{}", std::process::id()));
        std::fs::create_dir(&root).ok()?;
        Some(Self(root))
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// Makes files of no bytes.
    pub(crate) fn fill(&self, paths: &[String]) {
        for path in paths {
            let path = self.at(path);
            let dir = path.parent().expect("because it has a name");
            if !dir.exists() {
                std::fs::create_dir_all(dir).expect("because tmpfs has room");
            }
            std::fs::write(&path, b"").expect("because tmpfs has room");
        }
    }

    /// Counts everything below a directory.
    pub(crate) fn walk(&self, path: &str) -> usize {
        let mut below = vec![self.at(path)];
        let mut count = 0;
        while let Some(dir) = below.pop() {
            for entry in std::fs::read_dir(dir).expect("because it was made").flatten() {
                count += 1;
                if entry.file_type().is_ok_and(|of| of.is_dir()) {
                    below.push(entry.path());
                }
            }
        }
        count
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A container that two threads can have.
pub(crate) fn shared(image: &Image) -> Arc<Container> {
    Arc::new(image.container())
}
