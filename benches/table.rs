//! The whole table of `docs/performance.md`: every figure that the crate promises, measured in one run.
//!
//! `cargo bench --bench table`, or a part of it: `cargo bench --bench table -- lookup` (memory, overwrite, list, change,
//! merge, commit, threads, state, diff). Criterion has the single operations (`--bench lookup` and so on), but no ratios.
#![allow(clippy::print_stdout, reason = "it prints a table")]

mod common;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::measure::{Figure, Must, Rounds, Table, median, nanos, resident, rounds, shown, time};
use common::{FILE_LEN, Flat, LARGE, Random, Tmpfs, WIDE};
use stratafs::{Container, Image, Layer, OpenOptions, Source};

const FILES: usize = 100_000;
const MANY: usize = 1_000_000;
const CHANGES: usize = 2_000;
/// Rounds of 2,000 lookups: all paths five times.
const LOOKUPS: usize = 250;

fn main() {
    let mut table = Table::default();
    // Memory first: what was freed before would hide what is taken.
    table.head();
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |part: &str| chosen.is_empty() || chosen.iter().any(|name| name == part);
    if wanted("memory") {
        memory_of_idle(&mut table);
    }
    if wanted("overwrite") {
        overwrite(&mut table);
    }
    let paths = common::paths(FILES);
    let contents = common::contents(FILES);
    let image = common::image(&paths, &contents, 32);
    if wanted("lookup") {
        lookups(&mut table, &paths, &contents);
    }
    if wanted("list") {
        listings(&mut table, &paths, &image);
    }
    if wanted("change") {
        changes(&mut table, &image);
        rename(&mut table, &image);
    }
    if wanted("merge") {
        merge(&mut table, &paths, &contents);
    }
    if wanted("commit") {
        commits(&mut table, &paths, &contents, &image);
    }
    if wanted("threads") {
        threads(&mut table, &paths, &image);
    }
    if !wanted("state") && !wanted("diff") {
        return;
    }
    let large = common::empty_files(MANY, 1);
    if wanted("state") {
        states(&mut table, &large);
    }
    if wanted("diff") {
        diffs(&mut table, &image, &large);
    }
    table.foot();
}

/// Looks paths up in their order, 2,000 in each call: less than the slice of time that the scheduler gives.
fn lookups_of<'a>(
    paths: &'a [String],
    mut look: impl FnMut(&str) + 'a,
) -> impl FnMut() -> f64 + 'a {
    let mut parts = paths.chunks(2000).cycle();
    move || {
        let part = parts.next().unwrap_or_default();
        time(part.len(), || part.iter().for_each(|path| look(path)))
    }
}

fn stat(container: &Container) -> impl FnMut(&str) {
    |path| _ = black_box(container.metadata(path))
}

/// `look` and a hit in the hash map, in turn.
fn against_flat(
    flat: &Flat,
    hits: &[String],
    paths: &[String],
    look: impl FnMut(&str),
) -> (Figure, String) {
    let hit = |path: &str| _ = black_box(flat.get(path).map(|(meta, _)| *meta));
    let times = rounds(LOOKUPS, [&mut lookups_of(paths, look), &mut lookups_of(hits, hit)]);
    (times.ratio(0, 1), against(&times, 0, 1))
}

fn lookups(table: &mut Table, paths: &[String], contents: &[Bytes]) {
    let missing = common::missing(paths);
    let flat = common::flat(paths, contents);
    let [one, many] = [1, 128].map(|layers| common::image(paths, contents, layers).container());
    let changed = one.fork();
    common::overwrite(&changed, &paths[..CHANGES]);

    let (ratio, times) = against_flat(&flat, paths, paths, stat(&one));
    table.row("stat, untouched container", Must::AtMost(3.0), "× flat", ratio, &times);
    let times =
        rounds(LOOKUPS, [&mut lookups_of(paths, stat(&many)), &mut lookups_of(paths, stat(&one))]);
    table.row(
        "stat, 128 layers",
        Must::AtMost(1.1),
        "× 1 layer",
        times.ratio(0, 1),
        &against(&times, 0, 1),
    );
    let (ratio, times) = against_flat(&flat, paths, paths, stat(&changed));
    table.row("stat, 2,000 files changed", Must::AtMost(6.0), "× flat", ratio, &times);
    let (ratio, times) = against_flat(&flat, paths, &missing, stat(&one));
    table.row("stat of a missing path", Must::AtMost(3.0), "× flat", ratio, &times);
    let (ratio, times) = against_flat(&flat, paths, &missing, stat(&changed));
    table.note("stat of a missing path, 2,000 files changed", "× flat", ratio, &times);
    let exists = |path: &str| _ = black_box(one.exists(path));
    let (ratio, times) = against_flat(&flat, paths, &missing, exists);
    table.note("`exists` of a missing path", "× flat", ratio, &times);
    let clone = |path: &str| _ = black_box(flat.get(path).map(|(_, bytes)| bytes.clone()));
    let read = |path: &str| _ = black_box(one.read(path));
    let times = rounds(LOOKUPS, [&mut lookups_of(paths, read), &mut lookups_of(paths, clone)]);
    table.row(
        "read 4 KiB as `Bytes`",
        Must::AtMost(4.0),
        "× flat",
        times.ratio(0, 1),
        &against(&times, 0, 1),
    );
}

fn against(times: &Rounds, rival: usize, by: usize) -> String {
    format!("{} : {}", shown(times.median(rival)), shown(times.median(by)))
}

fn listings(table: &mut Table, paths: &[String], image: &Image) {
    let Some(tmpfs) = Tmpfs::new("list") else {
        return table.skip("readdir and walk", "there is no /dev/shm");
    };
    tmpfs.fill(paths);
    let container = image.container();
    let listed = |count: usize| assert_eq!(black_box(count), 1000);
    let times = rounds(
        25,
        [
            &mut || {
                time(1, || {
                    let dir = std::fs::read_dir(tmpfs.at(WIDE)).expect("because it was made");
                    let names =
                        dir.flatten().map(|entry| (entry.file_name(), entry.file_type().ok()));
                    listed(names.filter(|(name, _)| !name.is_empty()).count());
                })
            },
            &mut || {
                time(1, || {
                    let dir = container.read_dir(WIDE).expect("because it is there");
                    let names = dir.map(|entry| {
                        let file_type = entry.file_type();
                        black_box(entry.name());
                        file_type
                    });
                    listed(names.filter(|of| of.is_file()).count());
                })
            },
        ],
    );
    let must = Must::AtMost(0.1);
    table.row(
        "readdir of 1,000 merged entries",
        must,
        "× tmpfs",
        times.ratio(1, 0),
        &against(&times, 1, 0),
    );
    let walked = |count: usize| assert!(black_box(count) > FILES);
    let times = rounds(
        15,
        [&mut || time(1, || walked(tmpfs.walk("/"))), &mut || {
            time(1, || {
                let entries = container.walk("/").expect("because it is there").flatten();
                walked(
                    entries
                        .filter(|entry| black_box(entry.file_type()) != stratafs::FileType::Socket)
                        .count(),
                );
            })
        }],
    );
    let must = Must::AtMost(0.05);
    table.row("walk of all 100,000", must, "× tmpfs", times.ratio(1, 0), &against(&times, 1, 0));
}

fn changes(table: &mut Table, image: &Image) {
    let Some(tmpfs) = Tmpfs::new("change") else {
        return table.skip("create, write and unlink", "there is no /dev/shm");
    };
    let dirs = common::dirs(CHANGES);
    let new: Vec<String> = dirs.iter().map(|dir| format!("{dir}/new.dat")).collect();
    let old: Vec<String> = dirs.iter().map(|dir| format!("{dir}/file07.dat")).collect();
    tmpfs.fill(&old);
    let data = vec![7; FILE_LEN];
    let keep = std::cell::RefCell::new(image.container());
    let times = rounds(
        25,
        [
            &mut || {
                time(CHANGES, || {
                    new.iter().for_each(|path| {
                        std::fs::write(tmpfs.at(path), &data).expect("because there is room")
                    })
                })
            },
            &mut || {
                time(CHANGES, || {
                    new.iter().for_each(|path| {
                        std::fs::remove_file(tmpfs.at(path)).expect("because it is there")
                    })
                })
            },
            &mut || {
                *keep.borrow_mut() = image.container();
                let container = keep.borrow();
                time(CHANGES, || {
                    new.iter().for_each(|path| {
                        container.write(path, data.clone()).expect("because there is room")
                    })
                })
            },
            &mut || {
                let container = keep.borrow();
                time(CHANGES, || {
                    new.iter()
                        .for_each(|path| container.remove_file(path).expect("because it is there"))
                })
            },
            &mut || {
                *keep.borrow_mut() = image.container();
                let container = keep.borrow();
                time(CHANGES, || {
                    old.iter()
                        .for_each(|path| container.remove_file(path).expect("because it is there"))
                })
            },
        ],
    );
    let mut row = |name: &str, rival, by| {
        table.row(
            name,
            Must::AtMost(0.5),
            "× tmpfs",
            times.ratio(rival, by),
            &against(&times, rival, by),
        );
    };
    row("create and write 4 KiB in 2,000 directories", 2, 0);
    row("unlink of what was created", 3, 1);
    row("unlink of a lower file in 2,000 directories", 4, 1);
}

fn memory_of_idle(table: &mut Table) {
    let image = common::empty_files(1000, 1);
    let mut idle = Vec::with_capacity(10_000);
    let before = resident();
    idle.resize_with(10_000, || image.container());
    match resident().zip(before) {
        Some((after, before)) => {
            let each = (after - before) / idle.len() as f64;
            table.row(
                "memory of an idle container (10,000 of them)",
                Must::AtMost(1024.0),
                "bytes",
                each,
                "",
            );
        }
        None => table.skip("memory of an idle container", "there is no /proc/self/statm"),
    }
}

/// A gibibyte that takes no memory.
#[derive(Debug)]
struct Zeros;

impl Source for Zeros {
    fn len(&self) -> u64 {
        1 << 30
    }

    fn read_at(&self, _offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
        buf.fill(0);
        Ok(buf.len())
    }
}

fn overwrite(table: &mut Table) {
    const COUNT: usize = 200;
    let layer = Layer::builder()
        .source("/pak0", Arc::new(Zeros))
        .build()
        .expect("because the path is good");
    let image = Image::from_layers([layer]).expect("because the layer is good");
    let before = resident();
    let mut random = Random::new(5);
    let mut kept = Vec::new();
    let times: Vec<f64> = (0..COUNT)
        .map(|_| {
            let container = image.container();
            kept.push((container.fork(), container.snapshot()));
            let offset = random.below(1 << 30) as u64;
            let time = time(1, || {
                let file = container
                    .open_with("/pak0", OpenOptions::new().write(true))
                    .expect("because it is there");
                file.write_at(&[1], offset).expect("because there is no limit");
            });
            kept.push((container.fork(), container.snapshot()));
            time
        })
        .collect();
    let memory =
        resident().zip(before).map(|(after, before)| (after - before) / COUNT as f64 / 1024.0);
    let figure = Figure::of(&times, 1e3);
    table.row(
        "open, overwrite 1 byte of a 1 GiB lower file, snapshot kept",
        Must::AtMost(20.0),
        "µs",
        figure,
        "",
    );
    match memory {
        Some(memory) => table.row("memory of that", Must::AtMost(1024.0), "KiB", memory, ""),
        None => table.skip("memory of that", "there is no /proc/self/statm"),
    }
}

/// Start, snapshot, fork, restore of one image's container with changes.
fn state_times(image: &Image, changed: &[String]) -> [f64; 4] {
    const COUNT: usize = 1000;
    let container = image.container();
    common::overwrite(&container, changed);
    let snapshot = container.snapshot();
    let times = rounds(
        25,
        [
            &mut || {
                let mut kept = Vec::with_capacity(COUNT);
                time(COUNT, || (0..COUNT).for_each(|_| kept.push(image.container())))
            },
            &mut || {
                let mut kept = Vec::with_capacity(COUNT);
                time(COUNT, || (0..COUNT).for_each(|_| kept.push(container.snapshot())))
            },
            &mut || {
                let mut kept = Vec::with_capacity(COUNT);
                time(COUNT, || (0..COUNT).for_each(|_| kept.push(container.fork())))
            },
            &mut || {
                let restores = (0..COUNT).map(|i| {
                    container.write(&changed[i % changed.len()], "").expect("because it is there");
                    let start = Instant::now();
                    container.restore(&snapshot).expect("because it is its own");
                    nanos(start.elapsed())
                });
                median(restores.collect::<Vec<_>>().into_iter())
            },
        ],
    );
    [0, 1, 2, 3].map(|rival| times.median(rival))
}

fn states(table: &mut Table, large: &Image) {
    let small = common::empty_files(1000, 1);
    let changed = |n| common::paths(n).into_iter().take(100).collect::<Vec<_>>();
    let (small_paths, large_paths) = (changed(1000), changed(MANY));
    let (few, many) = (state_times(&small, &small_paths), state_times(large, &large_paths));
    for (i, name) in ["start a container", "snapshot", "fork", "restore"].into_iter().enumerate() {
        let times = format!("1,000 files: {}; 1,000,000: {}", shown(few[i]), shown(many[i]));
        table.row(name, Must::AtMost(1.0), "µs", few[i].max(many[i]) / 1e3, &times);
        table.note(&format!("{name}, 1,000,000 files"), "× 1,000 files", many[i] / few[i], "");
    }
}

fn rename(table: &mut Table, image: &Image) {
    let below = image.view().walk(LARGE).expect("because it is there").count();
    assert!(below > 10_000, "{below} below {LARGE}");
    let times = (0..1000).map(|_| {
        let container = image.container();
        time(1, || container.rename(LARGE, "/elsewhere").expect("because it is there"))
    });
    let figure = Figure::of(&times.collect::<Vec<_>>(), 1e3);
    table.row("rename a lower directory of 10,000 files", Must::AtMost(5.0), "µs", figure, "");
}

/// 60 files overwritten, 20 made, 20 removed.
fn hundred_changes(image: &Image, paths: &[String]) -> Container {
    let container = image.container();
    common::overwrite(&container, &paths[..60]);
    for path in &paths[60..80] {
        container.write(format!("{path}.new"), "new").expect("because there is room");
    }
    for path in &paths[80..100] {
        container.remove_file(path).expect("because it is there");
    }
    container
}

fn diffs(table: &mut Table, image: &Image, large: &Image) {
    let few = hundred_changes(image, &common::paths(FILES)[..100]);
    let many = hundred_changes(large, &common::paths(MANY)[..100]);
    let diff = |container: &Container| {
        time(20, || (0..20).for_each(|_| drop(black_box(container.diff()))))
    };
    let times = rounds(100, [&mut || diff(&few), &mut || diff(&many)]);
    table.row(
        "diff after 100 changes in 100,000 files",
        Must::AtMost(50.0),
        "µs",
        times.figure(0, 1e3),
        "",
    );
    table.row(
        "the same in 1,000,000",
        Must::AtMost(1.5),
        "× 100,000",
        times.ratio(1, 0),
        &shown(times.median(1)),
    );
}

fn merge(table: &mut Table, paths: &[String], contents: &[Bytes]) {
    let layers = common::layers(paths.iter().map(String::as_str).zip(contents.iter().cloned()), 32);
    let one = common::layers(paths.iter().map(String::as_str).zip(contents.iter().cloned()), 1);
    let merge = |layers: &[Layer]| {
        let layers = layers.to_vec();
        let mut image = None;
        let time = time(1, || image = Image::from_layers(layers).ok());
        drop(black_box(image));
        time
    };
    let times = rounds(11, [&mut || merge(&layers), &mut || merge(&one)]);
    table.row(
        "merge 32 layers of 100,000 files",
        Must::AtMost(100.0),
        "ms",
        times.figure(0, 1e6),
        "",
    );
    table.note("merge 1 layer of 100,000 files", "ms", times.figure(1, 1e6), "");
    let image = Image::from_layers(layers).expect("because the layers are good");
    let each = image.index_memory() as f64 / FILES as f64;
    table.row("memory of a file beside contents", Must::AtMost(200.0), "bytes", each, "");
}

fn commits(table: &mut Table, paths: &[String], contents: &[Bytes], image: &Image) {
    const COUNT: usize = 1000;
    let mut image = image.clone();
    let times: Vec<f64> = (0..COUNT)
        .map(|i| {
            let container = image.container();
            common::overwrite(&container, &paths[i * 10..i * 10 + 10]);
            time(1, || image = container.commit().expect("because all is in memory"))
        })
        .collect();
    let (first, last) =
        (median(times[..50].iter().copied()), median(times[COUNT - 50..].iter().copied()));
    let all = format!(
        "first {}, last {}, the longest {}, all {}",
        shown(first),
        shown(last),
        shown(times.iter().copied().fold(0.0, f64::max)),
        shown(times.iter().sum()),
    );
    table.row(
        "1,000 commits of 10 changes, the last",
        Must::AtMost(3.0),
        "× the first",
        last / first,
        &all,
    );
    let flat = common::flat(paths, contents);
    let container = image.container();
    let (ratio, times) = against_flat(&flat, paths, paths, stat(&container));
    table.row("stat after 1,000 commits", Must::AtMost(6.0), "× flat", ratio, &times);
}

/// Lookups for a while on some threads: nanoseconds of one, over all of them.
fn read_for_a_while(
    container: &Arc<Container>,
    paths: &[String],
    readers: usize,
    write: bool,
) -> f64 {
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for reader in 0..readers {
            let (stop, done) = (&stop, &done);
            scope.spawn(move || {
                let mut paths = paths.iter().cycle().skip(reader * paths.len() / 2);
                while !stop.load(Ordering::Relaxed) {
                    for path in paths.by_ref().take(1000) {
                        drop(black_box(container.metadata(path)));
                    }
                    done.fetch_add(1000, Ordering::Relaxed);
                }
            });
        }
        if write {
            scope.spawn(|| {
                for path in paths.iter().take(CHANGES).cycle() {
                    container.write(path, vec![1; FILE_LEN]).expect("because it is there");
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_millis(20));
        stop.store(true, Ordering::Relaxed);
    });
    nanos(start.elapsed()) / done.load(Ordering::Relaxed) as f64
}

fn threads(table: &mut Table, paths: &[String], image: &Image) {
    let container = common::shared(image);
    let times = rounds(
        60,
        [&mut || read_for_a_while(&container, paths, 1, false), &mut || {
            read_for_a_while(&container, paths, 2, false)
        }],
    );
    table.row("two reader threads", Must::AtLeast(1.8), "× one", times.ratio(0, 1), "");
    let changed = common::shared(image);
    common::overwrite(&changed, &paths[..CHANGES]);
    let times = rounds(
        60,
        [&mut || read_for_a_while(&changed, paths, 1, false), &mut || {
            read_for_a_while(&changed, paths, 1, true)
        }],
    );
    table.row(
        "a reader while one thread writes",
        Must::AtLeast(0.6),
        "× undisturbed",
        times.ratio(0, 1),
        &against(&times, 1, 0),
    );
}
