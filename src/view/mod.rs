//! One immutable state of a filesystem, and how it is read.

mod listing;
mod reading;
mod world;

use std::fmt;

pub use self::listing::{DirEntry, ReadDir, Walk};
pub(crate) use self::reading::{canonicalize, file_to_copy, read, read_link, reading_methods};
pub(crate) use self::world::World;
use crate::error::Result;
use crate::layer::{self, Diff};
use crate::tree::{Ino, Tree};
use crate::walk::{Place, Space};

/// One immutable state of a filesystem, as root sees it: what an [`Image`](crate::Image) shows, or what a
/// [`Container`](crate::Container) showed at one moment (its volumes left out).
///
/// A clone is O(1). Reading never waits and never fails for reasons of its own.
///
/// # Examples
///
/// Keep what was, and look at what changed since:
///
/// ```
/// use stratafs::Image;
///
/// let container = Image::scratch().container();
/// let before = container.view();
/// container.write("/score", "3:1")?;
/// assert!(!before.exists("/score")?);
/// assert_eq!(before.diff(&container.view())?.to_string(), "C /\nA /score\n");
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Clone)]
pub struct View {
    tree: Tree,
}

impl View {
    pub(crate) fn new(tree: Tree) -> Self {
        Self { tree }
    }

    /// This view with a layer laid over it. O(changes).
    ///
    /// # Errors
    ///
    /// - `NotFound`, `InvalidInput`: a hard link of the layer names nothing, or a directory.
    ///
    /// # Examples
    ///
    /// ```
    /// use stratafs::{Image, Layer};
    ///
    /// let view = Image::scratch().view().apply(&Layer::from([("a", "1")]))?;
    /// assert_eq!(view.read_to_string("/a")?, "1");
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    pub fn apply(&self, layer: &crate::Layer) -> Result<Self> {
        Ok(Self::new(layer::apply(self.tree.clone(), layer)?))
    }

    /// What turns this view into `newer`: `self.apply(diff.layer())` shows what `newer` shows.
    ///
    /// Compared are names, types, modes, owners, the time of modification, attributes, targets, devices, bytes and which
    /// names are hard links of one file; not inode numbers and the other two times. The result depends on these alone.
    ///
    /// O(changes) if both come from one image, else O(names); bytes are compared only of files that are not shared.
    ///
    /// # Errors
    ///
    /// - `Io`: the [`Source`](crate::Source) of a file failed.
    pub fn diff(&self, newer: &Self) -> Result<Diff> {
        layer::diff(&self.tree, &newer.tree)
    }

    /// Everything that is wrong in this filesystem's structure, a sentence each; empty unless stratafs has a bug.
    ///
    /// Checks that each name is listed once and leads to one living inode by every way of asking, that link counts are
    /// what can be counted, that every `..` leads back, and that nothing is kept that has no name. O(names × depth).
    pub fn check(&self) -> Vec<String> {
        self.tree.check()
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(crate) fn see<R>(&self, look: impl FnOnce(&Space<'_>) -> R) -> R {
        look(&Space::of(&self.tree))
    }

    fn world(&self) -> World {
        World::of(self.tree.clone())
    }

    /// A view never changes, so nobody can tell when it was read.
    fn was_read(&self, _: Place) {}
}

reading_methods!(View);

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "View({} inodes, {} changed)",
            self.tree.next_ino() - Ino::ROOT.0,
            self.tree.changed()
        )
    }
}
