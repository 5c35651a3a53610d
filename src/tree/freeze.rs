//! Merging a tree into one new base: once for each image, so that every container reads at the speed of a hash map.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::base::{BaseBuilder, EntryId, TooLarge};
use super::{Dir, Ino, Inode, Node, Tree};
use crate::error::{ErrorKind, Fault};
use crate::path::Name;

impl From<TooLarge> for Fault {
    fn from(_: TooLarge) -> Self {
        Self::rule(ErrorKind::OutOfRange, "an image holds at most 2^32 names with 4 GiB of paths")
    }
}

pub(super) fn empty() -> Tree {
    let mut builder = BaseBuilder::with_capacity(1);
    let root = builder.inode(Inode::implied_dir()).ok().expect("because one inode fits");
    builder.entry(EntryId::ROOT, b"", root).ok().expect("because one entry fits");
    Tree::over(builder.finish())
}

impl Tree {
    /// The same filesystem as one frozen base without a delta. Numbers are given anew. O(names).
    pub(crate) fn freeze(&self) -> Result<Self, Fault> {
        let mut builder = BaseBuilder::with_capacity((self.base.len() as usize) + self.slots.len());
        let mut linked: HashMap<Ino, Ino, RandomState> = HashMap::default();
        let root = builder.inode(frozen(self.expect(Ino::ROOT)))?;
        let mut open = vec![(builder.entry(EntryId::ROOT, b"", root)?, self.children(Ino::ROOT))];
        while let Some((parent, children)) = open.last_mut() {
            let parent = *parent;
            let Some((name, ino)) = children.next() else {
                builder.close(parent);
                open.pop();
                continue;
            };
            let inode = self.expect(ino);
            let new = match linked.get(&ino) {
                Some(&known) => known,
                None => builder.inode(frozen(inode))?,
            };
            let entry = builder.entry(parent, name, new)?;
            if inode.is_dir() {
                open.push((entry, self.children(ino)));
            } else if inode.nlink > 1 {
                linked.insert(ino, new);
            }
        }
        Ok(Self::over(builder.finish()))
    }
}

/// An inode as a base holds it: nobody's own, directories without changed names.
fn frozen(inode: &Inode) -> Inode {
    let node = match &inode.node {
        Node::File(content) => Node::File(content.sealed()),
        Node::Dir(_) => Node::Dir(Dir::default()),
        Node::Symlink(target) => Node::Symlink(Name::clone(target)),
        Node::Fifo => Node::Fifo,
        Node::Socket => Node::Socket,
        Node::CharDevice(device) => Node::CharDevice(*device),
        Node::BlockDevice(device) => Node::BlockDevice(*device),
    };
    let xattrs = inode.xattrs.clone().sealed();
    Inode {
        mode: inode.mode,
        uid: inode.uid,
        gid: inode.gid,
        nlink: 0,
        times: inode.times,
        xattrs,
        node,
    }
}
