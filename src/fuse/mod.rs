//! Containers and views as directories of this machine, for programs that know nothing of stratafs (feature `fuse`, Linux).
//!
//! ```no_run
//! use stratafs::fuse::{self, MountOptions};
//! use stratafs::{Image, Layer};
//!
//! let image = Image::from_layers([Layer::from([("etc/motd", "hello\n")])])?;
//! let container = image.container();
//! let mount = fuse::mount(&container, "/mnt", &MountOptions::new())?;
//! assert_eq!(std::fs::read_to_string("/mnt/etc/motd")?, "hello\n");
//! std::fs::write("/mnt/etc/motd", "changed\n")?;
//! assert_eq!(container.read("/etc/motd")?, "changed\n");
//! mount.unmount()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The two ways to a container show the same at every moment: what is changed through the mount, the container shows when
//! the call returns, and what is changed by the crate's own methods, the mount shows when the method returns, although the
//! kernel keeps everything that it was told: it is told what changed.
//!
//! The kernel checks permissions (`default_permissions`): only it knows all groups and capabilities of who asks. The
//! container's own [`Credentials`](crate::Credentials) do not count in a mount; what is made belongs to who made it.

mod attributes;
mod flags;
mod handles;
mod listing;
mod mount;
mod news;
mod options;
mod point;
mod requests;
mod room;
mod tree;
mod watchdog;

use std::path::Path;

pub use self::mount::Mount;
pub use self::options::MountOptions;
use crate::container::Container;
use crate::error::Result;
use crate::view::View;

/// What can be mounted: made from a reference to a container or a view.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Shown<'a> {
    /// As it is at every moment, with its volumes.
    Container(&'a Container),
    /// As it is, read-only.
    View(&'a View),
}

impl<'a> From<&'a Container> for Shown<'a> {
    fn from(container: &'a Container) -> Self {
        Self::Container(container)
    }
}

impl<'a> From<&'a View> for Shown<'a> {
    fn from(view: &'a View) -> Self {
        Self::View(view)
    }
}

/// Mounts a container or a view at a directory, until the returned [`Mount`] is dropped or somebody unmounts it.
///
/// The container can be used, cloned and dropped as before: the mount keeps what it needs.
///
/// # Errors
///
/// - `NotFound`, `NotADirectory`: the mount point; `ResourceBusy`: something is mounted there.
/// - `NoDevice`: the kernel has no `/dev/fuse`; `NotPermitted`: this user may not mount.
pub fn mount<'a>(
    what: impl Into<Shown<'a>>,
    point: impl AsRef<Path>,
    options: &MountOptions,
) -> Result<Mount> {
    Mount::new(what.into(), point.as_ref(), options)
}
