//! What a container is at one moment: its tree, and the files that have no name but are open.

use std::collections::HashMap;

use im::OrdMap;

use super::watch::{Door, Touched};
use crate::tree::{Ino, Inode, Node, Tree};

/// What the writable layer of a container holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Usage {
    /// Bytes of contents, targets and attributes. Of a file of a lower layer that was changed in parts, the changed
    /// chunks of 64 KiB count; holes do not, and neither does a copy of a lower file until it is changed. A file that was
    /// removed counts until its last handle is closed.
    pub bytes: u64,
    /// Objects that the container made and that are still there.
    pub inodes: u64,
}

/// One state; a clone is a few reference counts.
#[derive(Clone)]
pub(super) struct State {
    pub(super) tree: Tree,
    /// Objects without a name, by the handle that keeps them.
    pub(super) orphans: OrdMap<OpenId, Orphan>,
    pub(super) usage: Usage,
    /// Inode numbers from here on are the container's own objects.
    pub(super) first_own: u64,
}

/// The name of an open object. It stays when the object loses its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct OpenId(u64);

#[derive(Clone)]
pub(super) struct Orphan {
    pub(super) ino: Ino,
    pub(super) inode: Inode,
}

/// An object that an operation works on: by its number while it has a name, by its handle when it has none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Object {
    Named(Ino),
    Open(OpenId, Ino),
}

impl State {
    pub(super) fn new(tree: Tree) -> Self {
        let first_own = tree.next_ino();
        Self { tree, orphans: OrdMap::new(), usage: Usage::default(), first_own }
    }

    /// The object, or `None` if a transaction that made it was rolled back.
    pub(super) fn inode(&self, object: Object) -> Option<&Inode> {
        match object {
            Object::Open(id, _) if !self.orphans.is_empty() && self.orphans.contains_key(&id) => {
                self.orphans.get(&id).map(|orphan| &orphan.inode)
            }
            Object::Named(ino) | Object::Open(_, ino) => self.tree.inode(ino),
        }
    }

    /// Whether an object without a name cannot have one, because what it was in a state that the container went back to
    /// has one: two objects would have one number.
    pub(super) fn has_successor(&self, object: Object) -> bool {
        match object {
            Object::Open(id, ino) => self.orphans.contains_key(&id) && self.tree.is_named(ino),
            Object::Named(_) => false,
        }
    }

    /// The object with a number: the one in the tree or, if it has no name any more, what keeps it.
    #[cfg(all(feature = "fuse", target_os = "linux"))]
    pub(super) fn object(&self, ino: Ino) -> Object {
        let unnamed = self.orphans.iter().rev().find(|(_, orphan)| orphan.ino == ino);
        match unnamed {
            Some((&id, _)) if !self.tree.is_named(ino) => Object::Open(id, ino),
            _ => Object::Named(ino),
        }
    }

    /// What an object costs the writable layer.
    pub(super) fn cost(&self, ino: Ino, inode: &Inode) -> Usage {
        let new = ino.0 >= self.first_own;
        let data = match &inode.node {
            Node::File(content) => content.own_bytes(),
            Node::Symlink(target) if new => target.len() as u64,
            _ => 0,
        };
        Usage { bytes: data + inode.xattrs.own_bytes(), inodes: new.into() }
    }

    pub(super) fn add(&mut self, cost: Usage) {
        self.usage.bytes += cost.bytes;
        self.usage.inodes += cost.inodes;
    }

    pub(super) fn subtract(&mut self, cost: Usage) {
        self.usage.bytes -= cost.bytes;
        self.usage.inodes -= cost.inodes;
    }

    /// Changes an object and keeps the account. `edit` must not fail half-way.
    pub(super) fn edit<R>(
        &mut self,
        object: Object,
        edit: impl FnOnce(&mut Inode) -> R,
    ) -> Option<R> {
        let before = {
            let inode = self.inode(object)?;
            self.cost(object.ino(), inode)
        };
        let result = match object {
            Object::Open(id, _) if self.orphans.contains_key(&id) => {
                edit(&mut self.orphans.get_mut(&id)?.inode)
            }
            Object::Named(ino) | Object::Open(_, ino) => edit(self.tree.edit(ino)),
        };
        let after = {
            let inode = self.inode(object)?;
            self.cost(object.ino(), inode)
        };
        self.subtract(before);
        self.add(after);
        Some(result)
    }

    /// The state without what only open handles of this container keep.
    pub(super) fn without_orphans(&self) -> Self {
        let mut state = self.clone();
        for orphan in self.orphans.values() {
            state.subtract(self.cost(orphan.ino, &orphan.inode));
        }
        state.orphans = OrdMap::new();
        state
    }

    /// Everything that is wrong, a sentence each.
    pub(super) fn check(&self, live: Option<&Live>) -> Vec<String> {
        let mut faults = self.tree.check();
        let mut counted = Usage::default();
        let mut count = |ino: Ino, inode: &Inode| {
            let cost = self.cost(ino, inode);
            counted.bytes += cost.bytes;
            counted.inodes += cost.inodes;
        };
        for (ino, inode) in self.tree.changed_inodes() {
            count(ino, inode);
        }
        for orphan in self.orphans.values() {
            count(orphan.ino, &orphan.inode);
        }
        if counted != self.usage {
            faults.push(format!("usage is {:?}, but {counted:?} is there", self.usage));
        }
        if let Some(live) = live {
            let open = |id: &OpenId| live.handles.contains_key(id);
            faults.extend(
                self.orphans
                    .keys()
                    .filter(|id| !open(id))
                    .map(|id| format!("{id:?} is kept by no handle")),
            );
        }
        faults
    }
}

impl Object {
    pub(super) fn ino(self) -> Ino {
        match self {
            Self::Named(ino) | Self::Open(_, ino) => ino,
        }
    }
}

/// The state that the writer changes, and what readers do not see.
pub(super) struct Live {
    pub(super) state: State,
    /// The object that is open under a number, as long as it is the one with that number in the tree.
    open: HashMap<Ino, OpenId>,
    /// How many handles an open object has.
    handles: HashMap<OpenId, Handles>,
    next_open: u64,
    /// What kernels know by number: they may ask for it when it has no name any more.
    remembered: HashMap<Ino, Remembered>,
    /// What changed, for whoever watches.
    pub(super) touched: Option<Vec<Touched>>,
}

/// An object that a kernel has looked up.
#[derive(Default)]
#[cfg_attr(
    not(all(feature = "fuse", target_os = "linux")),
    expect(dead_code, reason = "only mounts have kernels remember")
)]
struct Remembered {
    /// By which mounts, and how often; a kernel forgets as often.
    lookups: Vec<(Door, u64)>,
    /// The handle that keeps it, since it lost its name.
    kept: Option<OpenId>,
}

struct Handles {
    ino: Ino,
    count: usize,
}

impl Live {
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            open: HashMap::new(),
            handles: HashMap::new(),
            next_open: 0,
            remembered: HashMap::new(),
            touched: None,
        }
    }

    /// One more handle for an object that has a name.
    pub(super) fn open(&mut self, ino: Ino) -> OpenId {
        let id = *self.open.entry(ino).or_insert_with(|| {
            self.next_open += 1;
            OpenId(self.next_open)
        });
        self.handles.entry(id).or_insert(Handles { ino, count: 0 }).count += 1;
        id
    }

    /// The first handle for an object that never had a name.
    pub(super) fn open_unnamed(&mut self, inode: Inode) -> (OpenId, Ino) {
        let ino = Ino(self.state.tree.next_ino());
        self.state.tree.reserve_inos(ino.0 + 1);
        let id = self.open(ino);
        self.open.remove(&ino);
        self.state.add(self.state.cost(ino, &inode));
        self.state.orphans.insert(id, Orphan { ino, inode });
        (id, ino)
    }

    /// One more handle for what has one.
    pub(super) fn reopen(&mut self, id: OpenId) {
        if let Some(handles) = self.handles.get_mut(&id) {
            handles.count += 1;
        }
    }

    /// One handle less. With the last one, what has no name goes.
    pub(super) fn close(&mut self, id: OpenId) {
        let Some(handles) = self.handles.get_mut(&id) else { return };
        handles.count -= 1;
        if handles.count > 0 {
            return;
        }
        let ino = handles.ino;
        self.handles.remove(&id);
        if self.open.get(&ino) == Some(&id) {
            self.open.remove(&ino);
        }
        if let Some(orphan) = self.state.orphans.remove(&id) {
            self.state.subtract(self.state.cost(orphan.ino, &orphan.inode));
        }
    }

    /// An object lost its last name: open handles keep it, else it goes.
    pub(super) fn let_go(&mut self, ino: Ino, inode: Inode) {
        self.touch(Touched::Inode(ino));
        match self.handle_to_keep(ino) {
            Some(id) => drop(
                self.state.orphans.insert(id, Orphan { ino, inode: Inode { nlink: 0, ..inode } }),
            ),
            None => self.state.subtract(self.state.cost(ino, &inode)),
        }
    }

    /// The handle that keeps an object that is about to lose its last name, if anybody wants it.
    fn handle_to_keep(&mut self, ino: Ino) -> Option<OpenId> {
        let open = self.open.remove(&ino);
        if self.remembered.get(&ino).is_none_or(|remembered| remembered.kept.is_some()) {
            return open;
        }
        let id = match open {
            Some(id) => {
                self.reopen(id);
                id
            }
            None => {
                let id = self.open(ino);
                self.open.remove(&ino);
                id
            }
        };
        self.remembered.entry(ino).or_default().kept = Some(id);
        Some(id)
    }

    /// A kernel knows this object from now on.
    #[cfg(all(feature = "fuse", target_os = "linux"))]
    pub(super) fn remember(&mut self, ino: Ino, door: Door) {
        if ino == Ino::ROOT {
            return;
        }
        let lookups = &mut self.remembered.entry(ino).or_default().lookups;
        match lookups.iter_mut().find(|(other, _)| *other == door) {
            Some((_, count)) => *count += 1,
            None => lookups.push((door, 1)),
        }
    }

    /// A kernel does not know it any more, as far as so many lookups go.
    #[cfg(all(feature = "fuse", target_os = "linux"))]
    pub(super) fn forget(&mut self, ino: Ino, lookups: u64, door: Door) {
        let Some(remembered) = self.remembered.get_mut(&ino) else { return };
        let counts = &mut remembered.lookups;
        counts.iter_mut().filter(|(other, _)| *other == door).for_each(|(_, count)| {
            *count = count.saturating_sub(lookups);
        });
        counts.retain(|(_, count)| *count > 0);
        if counts.is_empty()
            && let Some(Remembered { kept: Some(id), .. }) = self.remembered.remove(&ino)
        {
            self.close(id);
        }
    }

    /// A mount is gone, and with it all that its kernel knew.
    #[cfg(all(feature = "fuse", target_os = "linux"))]
    pub(super) fn forget_all(&mut self, door: Door) {
        let known: Vec<Ino> = self.remembered.keys().copied().collect();
        known.into_iter().for_each(|ino| self.forget(ino, u64::MAX, door));
    }

    /// An open object without a name gets one: it is in the tree from now on.
    pub(super) fn adopt(&mut self, id: OpenId) -> Option<Ino> {
        let orphan = self.state.orphans.remove(&id)?;
        self.open.insert(orphan.ino, id);
        self.state.tree.insert(orphan.ino, orphan.inode);
        Some(orphan.ino)
    }

    /// Goes to another state. What is open stays as it is now, without a name.
    pub(super) fn replace(&mut self, mut state: State) {
        state.tree.reserve_inos(self.state.tree.next_ino());
        self.touch_differences(&state.tree);
        self.open_what_is_lost(&state.tree);
        for (&ino, &id) in &self.open {
            if let Some(inode) = self.state.tree.inode(ino) {
                let inode = Inode { nlink: 0, ..inode.clone() };
                state.add(state.cost(ino, &inode));
                state.orphans.insert(id, Orphan { ino, inode });
            }
        }
        for (&id, orphan) in &self.state.orphans {
            state.add(state.cost(orphan.ino, &orphan.inode));
            state.orphans.insert(id, orphan.clone());
        }
        self.open.clear();
        self.state = state;
    }

    /// What a kernel remembers and another tree does not have is kept, as if it were open.
    fn open_what_is_lost(&mut self, other: &Tree) {
        let lost = |ino: &Ino| self.state.tree.is_named(*ino) && !other.is_named(*ino);
        let lost: Vec<Ino> = self.remembered.keys().copied().filter(lost).collect();
        for ino in lost {
            if let Some(id) = self.handle_to_keep(ino) {
                self.open.insert(ino, id);
            }
        }
    }

    /// What a transaction may have to go back to.
    pub(super) fn before(&self) -> Before {
        Before { state: self.state.clone(), open: self.open.clone() }
    }

    /// Goes back to before a transaction. Handles of what was there are as they were; those of what the transaction made
    /// are stale.
    pub(super) fn roll_back(&mut self, Before { mut state, mut open }: Before) {
        state.tree.reserve_inos(self.state.tree.next_ino());
        open.retain(|_, id| self.handles.contains_key(id));
        for (&id, handles) in &self.handles {
            if !state.orphans.contains_key(&id) {
                open.entry(handles.ino).or_insert(id);
            }
        }
        let closed: Vec<OpenId> =
            state.orphans.keys().filter(|id| !self.handles.contains_key(id)).copied().collect();
        for id in closed {
            if let Some(orphan) = state.orphans.remove(&id) {
                state.subtract(state.cost(orphan.ino, &orphan.inode));
            }
        }
        (self.state, self.open) = (state, open);
    }
}

/// What there was before a transaction.
pub(super) struct Before {
    state: State,
    open: HashMap<Ino, OpenId>,
}
