//! Who wants to know what changed: a kernel that keeps what it was told.
//!
//! What is changed is noted by the writer, if anybody watches, and told when the change is finished and nobody waits for it.

#[cfg(all(feature = "fuse", target_os = "linux"))]
use std::sync::Arc;
use std::sync::Weak;

use super::state::{Live, Object};
use super::store::Store;
use crate::path::Name;
use crate::tree::{Ino, Inode, Tree};

/// By which way a change came: 0 is the crate's own interface, all others are mounts.
pub(crate) type Door = u64;

/// Something that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Touched {
    /// Attributes or contents of an object.
    Inode(Ino),
    /// What a name in a directory leads to.
    Name(Ino, Name),
}

/// Who is told of changes, after each of them or after the transaction that it was part of.
pub(crate) trait Watcher: Send + Sync {
    /// The caller holds no lock. `by` is who made the changes.
    fn changed(&self, touched: &[Touched], by: Door);
}

impl Store {
    /// Tells `watcher` of all changes from now on, as long as it is there.
    #[cfg(all(feature = "fuse", target_os = "linux"))]
    pub(super) fn watch(&self, watcher: &Arc<dyn Watcher>) {
        let mut watchers = self.watchers.lock();
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(Arc::downgrade(watcher));
        drop(watchers);
        drop(self.quietly(|live| {
            live.touched.get_or_insert_default();
            Ok(())
        }));
    }

    /// Tells everybody what was touched.
    pub(super) fn tell(&self, touched: Option<Vec<Touched>>, by: Door) {
        let Some(mut touched) = touched.filter(|touched| !touched.is_empty()) else { return };
        touched.sort();
        touched.dedup();
        let watchers = self.watchers.lock().clone();
        for watcher in watchers.iter().filter_map(Weak::upgrade) {
            watcher.changed(&touched, by);
        }
    }
}

/// Changing, and noting what changed
impl Live {
    pub(super) fn touch(&mut self, what: Touched) {
        if let Some(touched) = &mut self.touched {
            touched.push(what);
        }
    }

    /// What was noted since this was asked last.
    pub(super) fn take_touched(&mut self) -> Option<Vec<Touched>> {
        self.touched.as_mut().map(std::mem::take)
    }

    /// As [`State::edit`](super::state::State::edit).
    pub(super) fn edit<R>(
        &mut self,
        object: Object,
        edit: impl FnOnce(&mut Inode) -> R,
    ) -> Option<R> {
        self.touch(Touched::Inode(object.ino()));
        self.state.edit(object, edit)
    }

    pub(super) fn edit_dir(&mut self, dir: Ino) -> &mut Inode {
        self.touch(Touched::Inode(dir));
        self.state.tree.edit(dir)
    }

    pub(super) fn add(&mut self, dir: Ino, name: Name, inode: Inode) -> Ino {
        self.touch_name(dir, &name);
        self.state.tree.add(dir, name, inode)
    }

    pub(super) fn bind(&mut self, dir: Ino, name: Name, ino: Ino) {
        self.touch_name(dir, &name);
        self.state.tree.bind(dir, name, ino);
    }

    pub(super) fn unbind(&mut self, dir: Ino, name: &[u8], ino: Ino) {
        self.touch_name(dir, name);
        self.touch(Touched::Inode(ino));
        self.state.tree.unbind(dir, name, ino);
    }

    pub(super) fn rebind(&mut self, from: (Ino, &[u8]), to: (Ino, Name), ino: Ino) {
        self.touch_name(from.0, from.1);
        self.touch_name(to.0, &to.1);
        self.state.tree.rebind(from, to, ino);
    }

    pub(super) fn exchange(&mut self, a: (Ino, Name), b: (Ino, Name), old: Ino, new: Ino) {
        self.touch_name(a.0, &a.1);
        self.touch_name(b.0, &b.1);
        self.state.tree.exchange(a, b, old, new);
    }

    fn touch_name(&mut self, dir: Ino, name: &[u8]) {
        if self.touched.is_some() {
            self.touch(Touched::Name(dir, name.into()));
        }
    }

    /// Notes everything in which another tree over the same base differs.
    pub(super) fn touch_differences(&mut self, other: &Tree) {
        if self.touched.is_none() {
            return;
        }
        let now = self.state.tree.clone();
        for ino in other.changed_since(&now).unwrap_or_default() {
            self.touch(Touched::Inode(ino));
            for (name, ..) in other.changed_names(&now, ino) {
                self.touch(Touched::Name(ino, name));
            }
        }
    }
}
