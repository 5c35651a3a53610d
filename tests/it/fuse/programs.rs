//! Real programs: a map of a file, many at once, and a server that is killed.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stratafs::fuse::MountOptions;
use stratafs::{Image, Layer};

use super::{Mounted, can_mount, unmount};
use crate::random::Random;

fn image() -> Image {
    Image::from_layers([Layer::from([("d/a", "lower"), ("d/b", "b")])]).unwrap()
}

#[test]
fn a_mapped_file_is_written_and_read() {
    const PROGRAM: &str = r#"
import mmap, os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.ftruncate(file, 1 << 20)
shared = mmap.mmap(file, 1 << 20)
shared[5000:5005] = b"there"
os.pwrite(file, b"here", 9000)
assert shared[9000:9004] == b"here"
shared.flush()
assert os.pread(file, 5, 5000) == b"there"
private = mmap.mmap(file, 4096, flags=mmap.MAP_PRIVATE)
private[0:4] = b"mine"
assert os.pread(file, 4, 0) == b"lowe"
"#;
    let container = image().container();
    let Some(at) = Mounted::of(&container) else { return };
    let run = Command::new("python3").args(["-c", PROGRAM]).arg(at.path("d/a")).status();
    let Ok(status) = run else {
        println!("not run: no python3");
        return;
    };
    assert!(status.success());
    let bytes = container.read("/d/a").unwrap();
    assert_eq!((&bytes[5000..5005], &bytes[9000..9004]), (&b"there"[..], &b"here"[..]));
    assert_eq!((bytes.len(), &bytes[..5]), (1 << 20, b"lower".as_slice()));
}

#[test]
fn four_threads_and_the_api_at_once_leave_a_sound_container() {
    let container = image().container();
    let Some(at) = Mounted::new(&container, &MountOptions::new().threads(4)) else { return };
    let end = Instant::now() + Duration::from_secs(3);
    let root = at.root();
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let root = &root;
            scope.spawn(move || {
                let mut random = Random::new(seed);
                while Instant::now() < end {
                    meddle(root, &mut random);
                }
            });
        }
        let mut random = Random::new(4);
        while Instant::now() < end {
            let name = |random: &mut Random| format!("/d/{}", random.below(6));
            drop(container.write(name(&mut random), vec![1; 5000]));
            drop(container.rename(name(&mut random), name(&mut random)));
            drop(container.remove_dir_all(name(&mut random)));
        }
    });
    assert_eq!(container.check(), Vec::<String>::new());
    let kept: Vec<_> = container.walk("/").unwrap().map(|entry| entry.unwrap().path()).collect();
    for path in kept {
        let through = fs::symlink_metadata(root.join(path.strip_prefix("/").unwrap())).unwrap();
        let direct = container.symlink_metadata(&path).unwrap();
        assert_eq!(through.len(), if direct.is_dir() { 0 } else { direct.len() }, "{path:?}");
    }
    unmount(&at.mount).unwrap();
    assert_eq!(container.check(), Vec::<String>::new());
}

fn meddle(root: &Path, random: &mut Random) {
    let name = |random: &mut Random| root.join(format!("d/{}", random.below(6)));
    match random.below(8) {
        0 => drop(fs::create_dir(name(random))),
        1 => drop(fs::remove_dir_all(name(random))),
        2 => drop(fs::rename(name(random), name(random))),
        3 => drop(fs::hard_link(name(random), name(random))),
        4 => drop(fs::remove_file(name(random))),
        5 => drop(fs::read_dir(root.join("d")).map(|dir| dir.flatten().for_each(drop))),
        6 => drop(File::open(name(random)).and_then(|mut file| file.read(&mut [0; 9000]))),
        _ => drop(File::create(name(random)).and_then(|file| {
            file.write_all_at(&[2; 7000], random.below(100_000))?;
            (&file).write_all(b"start")
        })),
    }
}

/// Is run by the test below, as another process.
#[test]
fn serve_until_killed() {
    let Some(point) = std::env::var_os("STRATAFS_TEST_SERVE") else { return };
    let container = image().container();
    let mount = stratafs::fuse::mount(&container, point, &MountOptions::new()).unwrap();
    println!("mounted");
    mount.wait();
}

#[test]
fn a_killed_process_leaves_no_mount_behind() {
    if !can_mount() {
        println!("not run: no /dev/fuse, or not root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fuse::programs::serve_until_killed", "--nocapture"])
        .env("STRATAFS_TEST_SERVE", dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let until = |wanted: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(20);
        while !wanted() {
            assert!(Instant::now() < end, "it takes too long");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    until(&|| dir.path().join("d/a").exists());
    let mut file = File::create(dir.path().join("d/new")).unwrap();
    file.write_all(&[1; 100_000]).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    until(&|| fs::read_dir(dir.path()).is_ok_and(|dir| dir.count() == 0));
}
