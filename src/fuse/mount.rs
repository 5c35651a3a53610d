//! A mount, as long as it is there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use fuser::{Config, MountOption, Session, SessionACL};
use parking_lot::{Condvar, Mutex};

use super::news::{Later, News, Watchers};
use super::options::MountOptions;
use super::requests::Requests;
use super::tree::Tree;
use super::watchdog::Watchdog;
use super::{Shown, point};
use crate::container::{Atime, Container};
use crate::error::{Error, Fault, Result};

/// Every mount is a door of its own; 0 is the crate's own interface.
static NEXT_DOOR: AtomicU64 = AtomicU64::new(1);

/// A mounted container or view. Dropping it unmounts it: at once if nobody uses it, else from its place, and altogether when
/// the last program that has something open there is done.
pub struct Mount {
    point: PathBuf,
    ended: Arc<Ended>,
    session: Option<JoinHandle<()>>,
}

/// Whether the kernel has let go.
#[derive(Default)]
struct Ended {
    is_over: Mutex<bool>,
    changed: Condvar,
    /// Until then.
    watchdog: Mutex<Option<Watchdog>>,
}

impl Mount {
    pub(super) fn new(what: Shown<'_>, at: &Path, options: &MountOptions) -> Result<Self> {
        Self::try_new(what, at, options)
            .map_err(|fault| Error::new("mount", at.as_os_str().as_encoded_bytes(), fault))
    }

    fn try_new(what: Shown<'_>, at: &Path, options: &MountOptions) -> Result<Self, Fault> {
        let real = point::check(at)?;
        let door = NEXT_DOOR.fetch_add(1, Ordering::Relaxed);
        let (view, read_only, atime);
        let container = match what {
            Shown::Container(container) => {
                (read_only, atime) = (options.read_only, options.atime);
                container
            }
            Shown::View(shown) => {
                (read_only, atime) = (true, Atime::Never);
                view = Container::showing(shown);
                &view
            }
        };
        let (later, news) = Later::new();
        let tree =
            Tree::new(container, (door, atime), later.clone(), matches!(what, Shown::View(_)));
        let session = Session::new(Requests(tree), &real, &config(options, read_only))
            .map_err(point::refused)?;
        let kernel = session.notifier();
        let mut watchers = Watchers::new();
        container.watch(&mut |mount| {
            let twice = container.is_mounted_twice(mount);
            let (kernel, later) = (kernel.clone(), later.clone());
            watchers.push(Arc::new(News { mount, door, twice, kernel, later }));
            Arc::clone(&watchers[mount])
        });
        let ended = Arc::new(Ended::default());
        let session = serve(session, watchers, Arc::clone(&ended))?;
        std::thread::Builder::new()
            .name("stratafs-news".into())
            .spawn(move || news.run(&kernel))?;
        let mount = Self { point: real, ended, session: Some(session) };
        if options.auto_unmount {
            *mount.ended.watchdog.lock() = Some(Watchdog::start(&mount.point)?);
        }
        Ok(mount)
    }
}

/// Answers the kernel until nobody asks any more.
fn serve(
    session: Session<Requests>,
    watchers: Watchers,
    ended: Arc<Ended>,
) -> Result<JoinHandle<()>, Fault> {
    let answer = move || {
        // That the kernel broke it off is an end as good as any.
        drop(session.run());
        drop(watchers);
        // What is mounted there from now on is not ours.
        drop(ended.watchdog.lock().take());
        *ended.is_over.lock() = true;
        ended.changed.notify_all();
    };
    Ok(std::thread::Builder::new().name("stratafs-fuse".into()).spawn(answer)?)
}

fn config(options: &MountOptions, read_only: bool) -> Config {
    let mut list = vec![
        MountOption::FSName(options.fsname.clone()),
        MountOption::Subtype("stratafs".into()),
        MountOption::DefaultPermissions,
    ];
    list.extend(read_only.then_some(MountOption::RO));
    list.extend(options.suid.then_some(MountOption::Suid));
    list.extend(options.dev.then_some(MountOption::Dev));
    list.extend((options.atime == Atime::Never).then_some(MountOption::NoAtime));
    let mut config = Config::default();
    config.mount_options = list;
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(options.threads);
    config
}

impl Mount {
    /// Where it is mounted.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// Takes it away, and returns when the kernel has let go of it.
    ///
    /// # Errors
    ///
    /// - `ResourceBusy`: a program has something open there; it stays mounted.
    pub fn unmount(&self) -> Result<()> {
        self.take_away(false)?;
        self.wait();
        Ok(())
    }

    /// Takes it from its place now, whoever uses it; who has something open there can go on with that.
    ///
    /// # Errors
    ///
    /// - `Io`: the kernel refuses.
    pub fn detach(&self) -> Result<()> {
        self.take_away(true)
    }

    fn take_away(&self, lazily: bool) -> Result<()> {
        if *self.ended.is_over.lock() {
            return Ok(());
        }
        point::unmount(&self.point, lazily).map_err(|fault| {
            Error::new("unmount", self.point.as_os_str().as_encoded_bytes(), fault)
        })
    }

    /// Waits until it is unmounted, by whomever, and nobody uses it any more.
    pub fn wait(&self) {
        let mut ended = self.ended.is_over.lock();
        while !*ended {
            self.ended.changed.wait(&mut ended);
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let gone = self.unmount().is_ok();
        if !gone {
            // The thread goes on for those who use it, and ends with them.
            drop(self.detach());
        }
        if let Some(session) = self.session.take().filter(|_| gone) {
            drop(session.join());
        }
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mount({})", self.point.display())
    }
}
