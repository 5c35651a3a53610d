//! Which layer of an image each name comes from, and what each layer adds to, changes in and hides of those below.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use super::Image;
use crate::error::Result;
use crate::layer::{self, Layer, Link, Watch, What};
use crate::path::{self, Name};
use crate::tree::{Ino, Inode, Node, Tree};

/// Which layer of an [`Image`] provides each name, and what each layer contributes. Layers are counted from the lowest, 0,
/// as in [`Image::layers`].
///
/// - What is no directory is provided by the layer that made the name: of a hard link, the one that made the link, though
///   the bytes may be those of a layer below.
/// - A directory is provided by the topmost layer that has an entry for it, because that one gave it its attributes; one
///   that is only implied, by the lowest layer that implied it.
/// - The root directory is there before all layers. If none has an entry for it, the lowest counts.
///
/// # Examples
///
/// ```
/// use stratafs::{Image, Layer};
///
/// let base = Layer::from([("bin/sh", "old shell"), ("etc/motd", "hi")]);
/// let update = Layer::from([("bin/sh", "shell")]);
/// let providers = Image::from_layers([base, update])?.providers()?;
/// assert_eq!(providers.of("/bin/sh"), Some(1));
/// assert_eq!(providers.of("/bin"), Some(0)); // the update only implies it
/// assert_eq!(providers.of("/bin/bash"), None);
/// assert_eq!(providers.layers()[1].changed, 1);
/// assert_eq!(providers.wasted_bytes(), 9); // the old shell is still in the lower layer
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Clone)]
pub struct Providers {
    /// Sorted by [`path::compare`], without a leading `/`; the root is "".
    names: Vec<(Box<[u8]>, u32)>,
    layers: Vec<LayerShare>,
}

/// What one layer contributes to its image. Names are counted as they are in the merged filesystem, before and after the
/// layer was laid over those below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LayerShare {
    /// Names that were not there below, implied directories among them.
    pub added: u64,
    /// Names that were there below and that the layer has an entry for, be it the same.
    pub changed: u64,
    /// Names that were there below and are not any more, each of a removed directory.
    pub removed: u64,
    /// Bytes of the files that the layer brings.
    pub bytes: u64,
    /// Bytes of files of the layers below that lost their last name to this layer.
    pub hides: u64,
    /// Of `bytes`, those that do not show any more: they are moved and kept with the image, and nobody can read them.
    pub hidden: u64,
}

impl Image {
    /// Which layer provides each name, and what each layer contributes. Merges the layers once more: O(entries of all
    /// layers).
    ///
    /// # Errors
    ///
    /// As [`from_layers`](Self::from_layers), and none for an image that was made with it.
    pub fn providers(&self) -> Result<Providers> {
        let mut tree = Tree::for_merging(self.layers().iter().map(Layer::len).sum());
        let mut record = Record::default();
        for layer in self.layers() {
            record.begin(&tree, layer);
            tree = layer::apply_watched(tree, layer, &mut record)?;
            record.end(&tree);
        }
        let names = if self.layers().is_empty() { Vec::new() } else { record.names(&tree) };
        Ok(Providers { names, layers: record.layers })
    }
}

impl Providers {
    /// The layer that provides this name; `None` if the image shows nothing there. Symbolic links are not followed.
    /// O(log n).
    pub fn of(&self, path: impl AsRef<Path>) -> Option<usize> {
        let path = path::normalise(path::bytes(path.as_ref())).ok()?;
        let found = self.names.binary_search_by(|(name, _)| path::compare(name, &path)).ok()?;
        Some(self.names[found].1 as usize)
    }

    /// What each layer contributes, the lowest first.
    pub fn layers(&self) -> &[LayerShare] {
        &self.layers
    }

    /// Bytes of files that some layer has and that the image does not show.
    pub fn wasted_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.hidden).sum()
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Providers({} names, {} layers)", self.names.len(), self.layers.len())
    }
}

/// What happens while layers are merged.
#[derive(Default)]
struct Record {
    layers: Vec<LayerShare>,
    /// For each layer the first number of the objects that it made: numbers are given in turn.
    starts: Vec<u64>,
    /// The topmost layer that gave a directory its attributes after it was made. Numbers are not used twice.
    merged: HashMap<Ino, u32>,
    /// The topmost layer that linked an object at a name. If the name stands for another one by now, a layer further up
    /// has made that.
    linked: HashMap<(Ino, Name), u32>,
    /// Of the layer at hand: names made.
    gained: u64,
    /// Names that were there already, and that it has a directory or the same link for.
    kept: u64,
    /// Names lost. What a name is made in place of is lost and gained.
    lost: u64,
}

impl Record {
    fn begin(&mut self, below: &Tree, layer: &Layer) {
        self.starts.push(below.next_ino());
        (self.gained, self.kept, self.lost) = (0, 0, 0);
        let share = LayerShare {
            bytes: layer.raw_entries().iter().map(|entry| file_bytes(&entry.what)).sum(),
            ..LayerShare::default()
        };
        self.layers.push(share);
    }

    fn end(&mut self, tree: &Tree) {
        let start = self.starts.last().copied().unwrap_or_default();
        let gained = self.gained + (tree.next_ino() - start);
        let (kept, lost, share) = (self.kept, self.lost, self.share());
        share.added = (gained + kept).saturating_sub(share.changed);
        share.removed = (share.added + lost).saturating_sub(gained);
    }

    /// The layer at hand.
    fn current(&self) -> u32 {
        self.layers.len().saturating_sub(1) as u32
    }

    fn share(&mut self) -> &mut LayerShare {
        self.layers.last_mut().expect("because a layer is at hand")
    }

    /// The layer that made an object.
    fn maker(&self, ino: Ino) -> u32 {
        self.starts.partition_point(|&start| start <= ino.0).saturating_sub(1) as u32
    }

    fn provider(&self, tree: &Tree, dir: Ino, name: &[u8], ino: Ino) -> u32 {
        let inode = tree.expect(ino);
        let made = self.maker(ino);
        let later = if inode.is_dir() {
            self.merged.get(&ino).copied()
        } else if self.linked.is_empty() {
            None
        } else {
            self.linked.get(&(dir, Name::from(name))).copied()
        };
        later.map_or(made, |layer| layer.max(made))
    }

    /// All names, a directory before what is in it, siblings by name.
    fn names(&self, tree: &Tree) -> Vec<(Box<[u8]>, u32)> {
        let root = self.merged.get(&Ino::ROOT).copied().unwrap_or_default();
        let mut names = vec![(Box::default(), root)];
        let mut path = Vec::new();
        let mut open = vec![(Ino::ROOT, tree.children(Ino::ROOT), 0)];
        while let Some((dir, children, above)) = open.last_mut() {
            path.truncate(*above);
            let Some((name, ino)) = children.next() else {
                open.pop();
                continue;
            };
            path = path::join(&path, name);
            names.push((path.as_slice().into(), self.provider(tree, *dir, name, ino)));
            if tree.expect(ino).is_dir() {
                open.push((ino, tree.children(ino), path.len()));
            }
        }
        names
    }
}

impl Watch for Record {
    fn covers(&mut self) {
        self.share().changed += 1;
    }

    fn loses_name(&mut self, ino: Ino, inode: &Inode) {
        self.lost += 1;
        if let Node::File(content) = &inode.node
            && inode.nlink == 1
        {
            let maker = self.maker(ino) as usize;
            self.layers[maker].hidden += content.len();
            self.share().hides += content.len();
        }
    }

    fn merged(&mut self, dir: Ino) {
        self.kept += 1;
        self.merged.insert(dir, self.current());
    }

    fn linked(&mut self, dir: Ino, name: &Name, link: Link) {
        match link {
            Link::New => self.gained += 1,
            Link::Same => self.kept += 1,
        }
        self.linked.insert((dir, Name::clone(name)), self.current());
    }
}

fn file_bytes(what: &What) -> u64 {
    match what {
        What::Object { inode, .. } if matches!(inode.node, Node::File(_)) => inode.len(),
        _ => 0,
    }
}
