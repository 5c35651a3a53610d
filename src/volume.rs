//! Storage that outlives containers and is shared between them.

use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use crate::container::{Container, ContainerBuilder, Limits};
use crate::error::Result;
use crate::image::Image;

/// Storage that outlives containers and is shared between running ones.
///
/// Mounted with [`ContainerBuilder::volume`](crate::ContainerBuilder::volume). It is never part of a container's diff,
/// commit, fork, snapshot or reset; renaming and linking across its border is `EXDEV`; its mount point cannot be removed
/// or renamed. A clone is one more handle on the same storage.
///
/// It derefs to a [`Container`] without an image: everything that a container can, on the volume itself.
///
/// # Examples
///
/// ```
/// use stratafs::{Image, Volume};
///
/// let players = Volume::memory();
/// players.write("/list", "anna\n")?;
/// let image = Image::scratch();
/// let one = image.build_container().volume("/players", &players).build()?;
/// let two = image.build_container().volume_read_only("/players", &players).build()?;
/// one.append("/players/list", "ben\n")?;
/// assert_eq!(two.read_to_string("/players/list")?, "anna\nben\n");
/// assert!(one.diff()?.is_empty());
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Clone)]
pub struct Volume(Arc<Container>);

impl Volume {
    /// An empty volume in memory, without limits. Its root is 0755, root's.
    pub fn memory() -> Self {
        Self(Arc::new(Image::scratch().container()))
    }

    /// The same, with limits on what all its users together may keep in it.
    ///
    /// # Examples
    ///
    /// ```
    /// use stratafs::{ErrorKind, Limits, Volume};
    ///
    /// let small = Volume::with_limits(Limits { inodes: Some(1), ..Limits::default() });
    /// small.write("/one", "")?;
    /// assert_eq!(small.write("/two", "").unwrap_err().kind(), ErrorKind::StorageFull);
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    pub fn with_limits(limits: Limits) -> Self {
        Self::try_with_limits(limits).expect("because no volume is mounted in it")
    }

    /// A volume in which an image lies at first. Only what is changed in it counts as its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use stratafs::{Image, Layer, Volume};
    ///
    /// let maps = Volume::from_image(&Image::from_layers([Layer::from([("arena", "…")])])?);
    /// let server = Image::scratch().build_container().volume_read_only("/maps", &maps).build()?;
    /// assert!(server.exists("/maps/arena")?);
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    pub fn from_image(image: &Image) -> Self {
        Self(Arc::new(image.container()))
    }

    fn try_with_limits(limits: Limits) -> Result<Self> {
        Ok(Self(Arc::new(Image::scratch().build_container().limits(limits).build()?)))
    }
}

/// Volumes
impl ContainerBuilder {
    /// Mounts a volume at a directory, which is made if it is missing. Several, in the order of the calls; one may be
    /// mounted inside another.
    pub fn volume(self, path: impl AsRef<Path>, volume: &Volume) -> Self {
        self.mount(path.as_ref(), volume.0.core(), false)
    }

    /// The same, but what is in it cannot be changed through this container.
    pub fn volume_read_only(self, path: impl AsRef<Path>, volume: &Volume) -> Self {
        self.mount(path.as_ref(), volume.0.core(), true)
    }
}

impl Deref for Volume {
    type Target = Container;

    fn deref(&self) -> &Container {
        &self.0
    }
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Volume({:?})", self.usage())
    }
}
