//! An image and a disposable writable layer: the only thing that changes.

mod builder;
mod changing;
mod file;
mod gate;
mod limits;
#[cfg(all(feature = "fuse", target_os = "linux"))]
mod numbers;
mod open;
mod snapshot;
mod state;
mod store;
mod watch;

use std::fmt;
use std::sync::{Arc, LazyLock};

use self::builder::Settings;
pub use self::builder::{Atime, ContainerBuilder};
pub use self::file::File;
use self::file::Mounted;
use self::gate::Change;
#[cfg(all(feature = "fuse", target_os = "linux"))]
pub(crate) use self::gate::Taken;
pub use self::gate::XattrMode;
pub use self::limits::Limits;
#[cfg(all(feature = "fuse", target_os = "linux"))]
pub(crate) use self::numbers::{Entry, Found, OpenAs};
pub use self::open::OpenOptions;
pub use self::snapshot::Snapshot;
pub use self::state::Usage;
use self::state::{Object, State};
use self::store::Store;
#[cfg(all(feature = "fuse", target_os = "linux"))]
pub(crate) use self::watch::{Door, Touched, Watcher};
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::image::Image;
use crate::layer::{self, Diff};
use crate::path::Name;
use crate::tree::Tree;
use crate::view::{View, World, reading_methods};
use crate::walk::{Follow, Last, Place, Space, Walk};

/// An image and a writable layer of its own: a filesystem that can be changed, and thrown away.
///
/// What is written goes into the writable layer and nowhere else. It lives as long as the container, and nobody else
/// sees it. What is to be shared or kept lies in a [`Volume`](crate::Volume).
///
/// Starting, [`fork`](Self::fork), [`snapshot`](Self::snapshot), [`restore`](Self::restore) and [`reset`](Self::reset)
/// are a few reference counts. All methods take `&self`: share a container between threads by [`Arc`]. Each change is
/// atomic; readers see it whole or not at all, and never wait for more than the end of one change.
///
/// ```text
///   Container 1  delta ─┐
///   Container 2  delta ─┼──▶ Image: one merged index, layers      read-only, shared
///   Container 3  delta ─┘
/// ```
///
/// # Examples
///
/// ```
/// use stratafs::{Image, Layer};
///
/// let image = Image::from_layers([Layer::from([("srv/world", "new")])])?;
/// let server = image.container();
/// server.write("/srv/world", "explored")?;
/// server.create_dir_all("/srv/players/anna")?;
/// assert_eq!(image.view().read("/srv/world")?, "new"); // the image never changes
/// server.reset();
/// assert_eq!(server.read("/srv/world")?, "new");
/// # Ok::<(), stratafs::Error>(())
/// ```
pub struct Container {
    core: Arc<Core>,
    settings: Arc<Settings>,
}

/// Starting
impl Image {
    /// Starts a container: this image and an empty writable layer, acting as root, without limits. O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// # use stratafs::Image;
    /// let image = Image::scratch();
    /// let (one, two) = (image.container(), image.container());
    /// one.write("/id", "1")?;
    /// assert!(!two.exists("/id")?);
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    pub fn container(&self) -> Container {
        let core = Core::new(self.clone(), self.tree().clone(), Limits::default());
        Container { core: Arc::new(core), settings: Arc::clone(&DEFAULT_SETTINGS) }
    }

    /// Starts a container with limits, volumes, a clock or credentials of its own.
    pub fn build_container(&self) -> ContainerBuilder {
        ContainerBuilder::new(self.clone())
    }
}

/// What all handles of one container share.
pub(crate) struct Core {
    store: Store,
    image: Image,
    /// The state that it was built with: the image, and the mount points that it lacked.
    origin: Tree,
    /// Whether it began as `origin`, not as a fork.
    is_started: bool,
    limits: Limits,
}

static DEFAULT_SETTINGS: LazyLock<Arc<Settings>> = LazyLock::new(Arc::default);

/// Starting, and going back
impl Container {
    /// The image that this container was started from.
    pub fn image(&self) -> &Image {
        &self.core.image
    }

    /// Another handle on this very container, which acts for somebody else. O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// use stratafs::{Credentials, ErrorKind, Image};
    ///
    /// let container = Image::scratch().container();
    /// container.write("/rules", "no griefing")?;
    /// let player = container.as_user(Credentials::user(1000, 1000));
    /// assert_eq!(player.read("/rules")?, "no griefing");
    /// assert_eq!(player.write("/rules", "").unwrap_err().kind(), ErrorKind::PermissionDenied);
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    #[must_use]
    pub fn as_user(&self, credentials: Credentials) -> Self {
        let settings =
            Settings { credentials: Arc::new(credentials), ..Settings::clone(&self.settings) };
        Self { core: Arc::clone(&self.core), settings: Arc::new(settings) }
    }

    /// The present state, to read. It does not follow later changes; volumes are not in it. O(1).
    pub fn view(&self) -> View {
        View::new(self.core.store.read(|state| state.tree.clone()))
    }

    /// A second container in the present state. What one of them does from now on, the other does not see; volumes are
    /// shared. Open handles stay with this one. O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// # use stratafs::Image;
    /// let game = Image::scratch().container();
    /// game.write("/turn", "41")?;
    /// let what_if = game.fork();
    /// what_if.write("/turn", "42")?;
    /// assert_eq!(game.read("/turn")?, "41");
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.core.store.read(State::without_orphans);
        let Core { image, origin, limits, .. } = &*self.core;
        let core = Core {
            store: Store::new(state),
            image: image.clone(),
            origin: origin.clone(),
            is_started: false,
            limits: *limits,
        };
        Self { core: Arc::new(core), settings: Arc::clone(&self.settings) }
    }

    /// The present state, to come back to. O(1).
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.core.store.read(State::without_orphans), self.core.origin.clone())
    }

    /// Goes back to a snapshot of this container, of one that it was forked from, or of one forked from it. O(1) and
    /// O(open handles).
    ///
    /// Handles that are open keep the object as it is now, without a name. Volumes stay as they are.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: the snapshot is of a container of another start.
    ///
    /// # Examples
    ///
    /// ```
    /// # use stratafs::Image;
    /// let game = Image::scratch().container();
    /// game.write("/lives", "3")?;
    /// let save = game.snapshot();
    /// game.write("/lives", "0")?;
    /// game.restore(&save)?;
    /// assert_eq!(game.read("/lives")?, "3");
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    pub fn restore(&self, snapshot: &Snapshot) -> Result<()> {
        if !snapshot.is_of(&self.core.origin) {
            let rule = "the snapshot is of a container of another start";
            return Err(Error::new("restore", b"/", Fault::rule(ErrorKind::InvalidInput, rule)));
        }
        self.replace(snapshot.state().clone()).map_err(|fault| Error::new("restore", b"/", fault))
    }

    /// Throws all changes away. O(1) and O(open handles). Handles and volumes: as [`restore`](Self::restore).
    ///
    /// # Panics
    ///
    /// If called by a [`Source`](crate::Source) while this container reads from it.
    pub fn reset(&self) {
        self.replace(State::new(self.core.origin.clone()))
            .expect("because only a source could be in the way");
    }

    fn replace(&self, state: State) -> Result<(), Fault> {
        self.core.store.change(self.settings.door, |live| {
            live.replace(state);
            Ok(())
        })
    }

    /// Runs several operations as one: other threads see all of them or none. If `act` returns an error or panics,
    /// everything is as it was before. Transactions nest.
    ///
    /// On this thread every operation on this container, also by handles that were open before, is part of it; writes
    /// of other threads wait until it ends. Volumes cannot be changed meanwhile, because they could not go back.
    /// A handle of a file that a transaction made and took back is stale.
    ///
    /// # Errors
    ///
    /// What `act` returns; `Deadlock` from inside a [`Source`](crate::Source) of this container.
    ///
    /// # Examples
    ///
    /// ```
    /// use stratafs::{ErrorKind, Image};
    ///
    /// let bank = Image::scratch().container();
    /// bank.write("/anna", "100")?;
    /// let result: Result<(), stratafs::Error> = bank.transaction(|bank| {
    ///     bank.write("/anna", "0")?;
    ///     bank.rename("/nobody", "/ben")
    /// });
    /// assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
    /// assert_eq!(bank.read("/anna")?, "100");
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    pub fn transaction<R, E: From<Error>>(
        &self,
        act: impl FnOnce(&Self) -> Result<R, E>,
    ) -> Result<R, E> {
        self.core.store.transaction(|| act(self))
    }

    /// What this container changed since it was started: as a layer and as a listing. O(changes).
    ///
    /// # Errors
    ///
    /// - `Io`: the [`Source`](crate::Source) of a file failed.
    pub fn diff(&self) -> Result<Diff> {
        layer::diff(&self.core.origin, self.view().tree())
    }

    /// A new image: the layers of this container's one, and what it changed as one more. O(changes). If nothing changed,
    /// the image itself. The container stays as it is.
    ///
    /// The new layer was created, as a store will write it down, when the last of its changes was made, by the container's
    /// clock. So committing one state twice gives one image, to the digest.
    ///
    /// # Errors
    ///
    /// As [`diff`](Self::diff).
    ///
    /// # Examples
    ///
    /// ```
    /// use stratafs::{Image, Layer};
    ///
    /// let image = Image::from_layers([Layer::from([("etc/motd", "hi")])])?;
    /// let container = image.container();
    /// container.write("/etc/issue", "stratafs")?;
    /// let committed = container.commit()?;
    /// assert_eq!(committed.layers().len(), 2);
    /// assert_eq!(committed.layers()[0].diff_id()?, image.layers()[0].diff_id()?);
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    pub fn commit(&self) -> Result<Image> {
        let (before, now) = (&self.core.origin, self.view());
        let diff = layer::diff(before, now.tree())?;
        if diff.is_empty() {
            return Ok(self.core.image.clone());
        }
        let last_change = now.tree().last_change_since(before).unwrap_or_default();
        self.core.image.with_layer(diff.into_layer().created_at(last_change))
    }

    /// What the writable layer holds. O(1).
    pub fn usage(&self) -> Usage {
        self.core.store.read(|state| state.usage)
    }

    /// The limits that it was built with.
    pub fn limits(&self) -> Limits {
        self.core.limits
    }

    /// Everything that is wrong in the container's structure, a sentence each; empty unless stratafs has a bug.
    ///
    /// [`View::check`], and: usage is what is there, and nothing without a name is kept without a handle. O(names × depth).
    pub fn check(&self) -> Vec<String> {
        let checked = self.core.store.quietly(|live| Ok(live.state.check(Some(live))));
        checked.unwrap_or_else(|_| vec!["it is being changed by this very thread".into()])
    }
}

reading_methods!(Container);

/// How reading and changing find their way
impl Container {
    fn see<R>(&self, look: impl FnOnce(&Space<'_>) -> R) -> R {
        if !self.settings.volumes.is_empty() {
            return self.world().see(look);
        }
        let creds = &self.settings.credentials;
        self.core.see(|root| look(&Space { root, volumes: &[], mounts: &[], creds }))
    }

    fn world(&self) -> World {
        let Settings { volumes, mounts, credentials, .. } = &*self.settings;
        World {
            root: self.core.store.read(|state| state.tree.clone()),
            volumes: volumes
                .iter()
                .map(|mount| mount.core.store.read(|state| state.tree.clone()))
                .collect(),
            mounts: Arc::clone(mounts),
            creds: Arc::clone(credentials),
        }
    }

    /// Notes that an object was read, as the policy asks.
    fn was_read(&self, place: Place) {
        if self.settings.atime == Atime::Never {
            return;
        }
        let now = self.settings.clock.now();
        let due = self.see(|space| {
            let tree = space.tree(place);
            tree.inode(place.ino).is_some_and(|inode| self.settings.atime.is_due(inode, now))
        });
        if due && !self.is_read_only(place.mount) {
            // An access time is no promise: that it could not be noted is no reason for the read to fail.
            drop(self.change_in(place.mount, Pass::Change, |change| {
                change.set_accessed(Object::Named(place.ino));
                Ok(())
            }));
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn core_of(&self, mount: usize) -> &Arc<Core> {
        match mount.checked_sub(1) {
            None => &self.core,
            Some(volume) => &self.settings.volumes[volume].core,
        }
    }

    fn is_read_only(&self, mount: usize) -> bool {
        mount.checked_sub(1).is_some_and(|volume| self.settings.volumes[volume].read_only)
    }

    /// Passes the gate of one tree.
    fn change_in<R>(
        &self,
        mount: usize,
        pass: Pass,
        act: impl FnOnce(&mut Change<'_>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        if pass == Pass::Change {
            self.check_writable(mount)?;
        }
        self.core_of(mount).change(&self.settings, pass, act)
    }

    fn check_writable(&self, mount: usize) -> Result<(), Fault> {
        if self.is_read_only(mount) {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
        if mount > 0 { self.core.check_no_transaction() } else { Ok(()) }
    }

    fn mounted(&self, mount: usize) -> Mounted {
        match mount {
            0 => Mounted::Root,
            _ if self.is_read_only(mount) => Mounted::ReadOnly,
            _ => Mounted::In(Arc::clone(&self.core)),
        }
    }

    /// Looks something up and passes the gate of the tree in which it was found.
    ///
    /// The look that counts is done at the gate, so that what was found is what is changed.
    fn change<A, R>(
        &self,
        pass: Pass,
        find: impl Fn(&Space<'_>) -> Result<(Place, A), Fault>,
        mut act: impl FnMut(&mut Change<'_>, A) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let creds = &*self.settings.credentials;
        if self.settings.volumes.is_empty() {
            return self.change_in(0, pass, |change| {
                let space =
                    Space { root: &change.live.state.tree, volumes: &[], mounts: &[], creds };
                let (_, found) = find(&space)?;
                act(change, found)
            });
        }
        loop {
            let mut world = self.world();
            let mount = world.see(|space| find(space).map(|(place, _)| place.mount))?;
            let done = self.change_in(mount, pass, |change| {
                let present = change.live.state.tree.clone();
                match mount.checked_sub(1) {
                    None => world.root = present,
                    Some(volume) => world.volumes[volume] = present,
                }
                let (place, found) = world.see(&find)?;
                if place.mount == mount { act(change, found).map(Some) } else { Ok(None) }
            })?;
            if let Some(result) = done {
                return Ok(result);
            }
        }
    }
}

/// Whether readers are to see what is done at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    Change,
    /// Only what is open changes.
    Open,
}

impl Core {
    /// A volume cannot go back with the container, so it is not changed in a transaction of it.
    fn check_no_transaction(&self) -> Result<(), Fault> {
        if !self.store.is_in_transaction() {
            return Ok(());
        }
        Err(Fault::rule(ErrorKind::ReadOnlyFilesystem, "a transaction cannot change volumes"))
    }

    fn new(image: Image, origin: Tree, limits: Limits) -> Self {
        let store = Store::new(State::new(origin.clone()));
        Self { store, image, origin, is_started: true, limits }
    }

    /// Looks at the present tree. That of an untouched container needs no shared counter: it cannot go away meanwhile.
    fn see<R>(&self, look: impl FnOnce(&Tree) -> R) -> R {
        if self.is_started && self.store.is_untouched() {
            return look(&self.origin);
        }
        self.store.read(|state| look(&state.tree))
    }

    fn change<R>(
        &self,
        settings: &Settings,
        pass: Pass,
        act: impl FnOnce(&mut Change<'_>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let now = settings.clock.now();
        let (limits, creds) = (&self.limits, &*settings.credentials);
        let act = |live: &mut _| act(&mut Change { live, limits, creds, now });
        match pass {
            Pass::Change => self.store.change(settings.door, act),
            Pass::Open => self.store.quietly(act),
        }
    }
}

/// Where a path led, for keeps.
#[derive(Clone, Debug)]
struct Spot {
    dir: Place,
    last: SpotName,
    found: Option<Place>,
    dir_only: bool,
}

#[derive(Clone, Debug)]
enum SpotName {
    Name(Name),
    Dot,
    DotDot,
    Root,
}

impl Spot {
    fn find(space: &Space<'_>, path: &[u8], follow: Follow) -> Result<Self, Fault> {
        let walk = space.walk(path, follow)?;
        walk.check_name()?;
        Ok(Self::of(&walk))
    }

    /// The same, but the last name may be too long yet.
    fn find_unchecked(space: &Space<'_>, path: &[u8]) -> Result<Self, Fault> {
        Ok(Self::of(&space.walk(path, Follow::Never)?))
    }

    fn of(walk: &Walk<'_>) -> Self {
        let &Walk { dir, last, found, dir_only } = walk;
        let last = match last {
            Last::Name(name) => SpotName::Name(name.into()),
            Last::Dot => SpotName::Dot,
            Last::DotDot => SpotName::DotDot,
            Last::Root => SpotName::Root,
        };
        Self { dir, last, found, dir_only }
    }

    /// A name in a directory that is known by its number.
    #[cfg(all(feature = "fuse", target_os = "linux"))]
    fn in_dir(space: &Space<'_>, dir: Place, name: &[u8]) -> Result<Self, Fault> {
        space.tree(dir).expect_dir(dir.ino)?;
        let found = space.child(dir, name);
        Ok(Self { dir, last: SpotName::Name(name.into()), found, dir_only: false })
    }

    /// The name, or the error for a path that ends in `.`, `..` or is the root.
    fn name(&self, otherwise: ErrorKind) -> Result<&Name, Fault> {
        match &self.last {
            SpotName::Name(name) => Ok(name),
            _ => Err(otherwise.into()),
        }
    }

    /// Whether a volume is mounted at the name: what is found is not what the directory holds.
    fn is_mount_point(&self) -> bool {
        self.found.is_some_and(|found| found.mount != self.dir.mount)
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Usage { bytes, inodes } = self.usage();
        write!(f, "Container({:?}, {bytes} bytes and {inodes} inodes of its own)", self.core.image)
    }
}
