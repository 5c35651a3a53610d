//! A filesystem and its volumes at one moment, for whoever looks longer than one call.

use std::sync::{Arc, LazyLock};

use crate::credentials::Credentials;
use crate::tree::Tree;
use crate::walk::{MountPoint, Space};

/// An owned [`Space`]. A clone costs a few reference counts for each volume.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) root: Tree,
    pub(crate) volumes: Vec<Tree>,
    pub(crate) mounts: Arc<[MountPoint]>,
    pub(crate) creds: Arc<Credentials>,
}

static NO_MOUNTS: LazyLock<Arc<[MountPoint]>> = LazyLock::new(|| Arc::new([]));
static ROOT: LazyLock<Arc<Credentials>> = LazyLock::new(Arc::default);

impl World {
    /// One tree, seen by root.
    pub(crate) fn of(root: Tree) -> Self {
        Self { root, volumes: Vec::new(), mounts: Arc::clone(&NO_MOUNTS), creds: Arc::clone(&ROOT) }
    }

    pub(crate) fn see<R>(&self, look: impl FnOnce(&Space<'_>) -> R) -> R {
        let volumes: Vec<&Tree> = self.volumes.iter().collect();
        look(&Space {
            root: &self.root,
            volumes: &volumes,
            mounts: &self.mounts,
            creds: &self.creds,
        })
    }
}
