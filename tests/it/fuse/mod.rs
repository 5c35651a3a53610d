//! Containers through the kernel. Where there is no `/dev/fuse` or no right to mount, these tests say so and are not run.

mod basics;
mod coherence;
mod lives;
mod programs;

use std::path::{Path, PathBuf};

use stratafs::Container;
use stratafs::fuse::{self, Mount, MountOptions, Shown};
use tempfile::TempDir;

/// A mount in a directory of its own.
pub(crate) struct Mounted {
    // Dropped in this order.
    pub(crate) mount: Mount,
    dir: TempDir,
}

impl Mounted {
    /// `None` where nothing can be mounted, with the reason on standard output.
    pub(crate) fn new<'a>(what: impl Into<Shown<'a>>, options: &MountOptions) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("mnt")).unwrap();
        match fuse::mount(what, dir.path().join("mnt"), options) {
            Ok(mount) => Some(Self { mount, dir }),
            Err(error) if can_mount() => panic!("{error}"),
            Err(error) => {
                println!("not run: {error}");
                None
            }
        }
    }

    pub(crate) fn of(container: &Container) -> Option<Self> {
        Self::new(container, &MountOptions::new())
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }
}

/// Root, with a kernel that can.
pub(crate) fn can_mount() -> bool {
    Path::new("/dev/fuse").exists() && rustix::process::geteuid().is_root()
}

/// Takes a mount away. Other tests start programs, and a process that is just being started holds copies of all that this one
/// has open, for some microseconds: so a place that is busy is tried again.
pub(crate) fn unmount(mount: &Mount) -> stratafs::Result<()> {
    let begin = std::time::Instant::now();
    loop {
        match mount.unmount() {
            Err(error)
                if error.kind() == stratafs::ErrorKind::ResourceBusy
                    && begin.elapsed().as_secs() < 10 =>
            {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            ended => return ended,
        }
    }
}
