//! Containers with limits, volumes, a clock and credentials.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::limits::Limits;
use super::watch::Door;
use super::{Container, Core, Pass};
use crate::attr::{Time, Timestamp};
use crate::clock::{Clock, SystemClock};
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::image::Image;
use crate::path::{self, Name};
use crate::tree::Inode;
use crate::view::World;
use crate::walk::{Follow, MountPoint, Place};

/// When reading a file changes its access time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Atime {
    /// Never: reading writes nothing (`noatime`). The default, because a container that is only read should stay empty.
    #[default]
    Never,
    /// If it is not later than the last change, or a day old (`relatime`).
    Relative,
    /// Always (`strictatime`).
    Strict,
}

impl Atime {
    pub(super) fn is_due(self, inode: &Inode, now: Timestamp) -> bool {
        let accessed = inode.times.get(Time::Accessed);
        match self {
            Self::Never => false,
            Self::Strict => true,
            Self::Relative => {
                accessed <= inode.times.get(Time::Modified).max(inode.times.get(Time::Changed))
                    || now.secs().saturating_sub(accessed.secs()) >= 24 * 60 * 60
            }
        }
    }
}

/// What the handles of a container have in common, beside its state.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) credentials: Arc<Credentials>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) atime: Atime,
    /// One for each of `volumes`.
    pub(super) mounts: Arc<[MountPoint]>,
    pub(super) volumes: Arc<[Mount]>,
    /// By which way changes come.
    pub(super) door: Door,
}

/// A volume as a container has it.
pub(super) struct Mount {
    pub(super) core: Arc<Core>,
    pub(super) read_only: bool,
}

static SYSTEM_CLOCK: LazyLock<Arc<SystemClock>> = LazyLock::new(Arc::default);

impl Default for Settings {
    fn default() -> Self {
        Self {
            credentials: Arc::default(),
            clock: Arc::clone(&*SYSTEM_CLOCK) as Arc<dyn Clock>,
            atime: Atime::default(),
            mounts: Arc::new([]),
            volumes: Arc::new([]),
            door: 0,
        }
    }
}

/// Starts a [`Container`] with more than an image. Made by [`Image::build_container`].
///
/// # Examples
///
/// ```
/// use stratafs::{Image, Limits, Volume};
///
/// let players = Volume::memory();
/// let server = Image::scratch()
///     .build_container()
///     .limits(Limits { bytes: Some(64 << 20), ..Limits::default() })
///     .volume("/srv/players", &players)
///     .build()?;
/// server.write("/srv/players/anna", "level 3")?;
/// drop(server);
/// assert_eq!(players.read("/anna")?, "level 3"); // outlives the container
/// # Ok::<(), stratafs::Error>(())
/// ```
#[must_use]
pub struct ContainerBuilder {
    image: Image,
    limits: Limits,
    settings: Settings,
    volumes: Vec<(Vec<u8>, Mount)>,
}

impl ContainerBuilder {
    pub(crate) fn new(image: Image) -> Self {
        Self {
            image,
            limits: Limits::default(),
            settings: Settings::default(),
            volumes: Vec::new(),
        }
    }

    /// How much it may write. Volumes have limits of their own.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where it gets the time from.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings.clock = clock;
        self
    }

    /// On whose behalf it acts.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.settings.credentials = Arc::new(credentials);
        self
    }

    /// When reading changes access times.
    pub fn atime(mut self, atime: Atime) -> Self {
        self.settings.atime = atime;
        self
    }

    pub(crate) fn mount(mut self, path: &Path, core: &Arc<Core>, read_only: bool) -> Self {
        self.volumes
            .push((path::bytes(path).to_vec(), Mount { core: Arc::clone(core), read_only }));
        self
    }

    /// Starts the container. O(1), and O(components) for each volume.
    ///
    /// # Errors
    ///
    /// - `NotADirectory`, `FilesystemLoop`, `NameTooLong`, `InvalidInput`: a volume cannot be mounted at its path.
    /// - `ReadOnlyFilesystem`: a mount point would have to be made in a volume that is mounted read-only.
    /// - `ResourceBusy`: a volume cannot be mounted over the root.
    pub fn build(self) -> Result<Container> {
        let Self { image, limits, mut settings, volumes } = self;
        let mut world = World::of(image.tree().clone());
        let (mut mounts, mut mounted): (Vec<MountPoint>, Vec<Mount>) = (Vec::new(), Vec::new());
        for (path, volume) in volumes {
            let at = mount_point(&mut world, &mounted, &path)
                .map_err(|fault| Error::new("mount volume", &path, fault))?;
            let real = world.see(|space| space.path_of_dir(at));
            mounts.push(MountPoint { at, path: real.into() });
            world.mounts = mounts.clone().into();
            world.volumes.push(volume.core.store.read(|state| state.tree.clone()));
            mounted.push(volume);
        }
        settings.mounts = world.mounts;
        settings.volumes = mounted.into();
        let core = Core::new(image, world.root, limits);
        Ok(Container { core: Arc::new(core), settings: Arc::new(settings) })
    }
}

/// The directory to mount at; what is missing of it is made, in the container's origin or in the volume that it is in.
fn mount_point(world: &mut World, mounted: &[Mount], path: &[u8]) -> Result<Place, Fault> {
    let mut done: Vec<u8> = b"/".to_vec();
    for name in path::components(path) {
        done.extend_from_slice(name);
        let missing = world.see(|space| {
            let walk = space.walk(&done, Follow::Yes)?;
            Ok::<_, Fault>(walk.found.is_none().then(|| (walk.dir, walk.last_name())))
        })?;
        if let Some((dir, Some(name))) = missing {
            path::check_name(&name)?;
            make_dir(world, mounted, dir, name)?;
        }
        done.push(b'/');
    }
    let place = world.see(|space| space.lookup(&done, Follow::Yes))?;
    if place == Place::ROOT {
        return Err(Fault::rule(ErrorKind::ResourceBusy, "the root is the container's own"));
    }
    Ok(place)
}

fn make_dir(world: &mut World, mounted: &[Mount], dir: Place, name: Name) -> Result<(), Fault> {
    let Some(volume) = dir.mount.checked_sub(1) else {
        world.root.add(dir.ino, name, Inode::implied_dir());
        return Ok(());
    };
    if mounted[volume].read_only {
        return Err(ErrorKind::ReadOnlyFilesystem.into());
    }
    let settings = Settings::default();
    world.volumes[volume] = mounted[volume].core.change(&settings, Pass::Change, |change| {
        if change.live.state.tree.lookup(dir.ino, &name).is_none() {
            change.make_dir(dir.ino, &name, 0o755)?;
        }
        Ok(change.live.state.tree.clone())
    })?;
    Ok(())
}

impl fmt::Debug for ContainerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContainerBuilder({:?}, {} volumes)", self.image, self.volumes.len())
    }
}
