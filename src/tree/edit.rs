//! Changing a tree: names and inodes, one step at a time. No step can fail; whoever calls has checked.

use super::{Dir, EntryId, Ino, Inode, Links, Slot, Tree};
use crate::path::Name;

impl Tree {
    /// An inode to be changed; a copy of the base's one is made at the first time.
    pub(crate) fn edit(&mut self, ino: Ino) -> &mut Inode {
        &mut self.edit_slot(ino).inode
    }

    fn edit_slot(&mut self, ino: Ino) -> &mut Slot {
        if self.slot(ino).is_none() {
            let inode = self.base.inode(ino).expect("because every name leads to an inode").clone();
            self.slots.insert(ino, Slot { inode, links: Links::Base });
        }
        self.slots.get_mut(ino).expect("because it was inserted above")
    }

    fn edit_dir(&mut self, ino: Ino) -> &mut Dir {
        self.edit(ino).names_mut()
    }

    /// Adds an object under a name that is free.
    pub(crate) fn add(&mut self, dir: Ino, name: Name, mut inode: Inode) -> Ino {
        let ino = Ino(self.next_ino);
        self.next_ino += 1;
        let is_dir = inode.is_dir();
        let parent = self.edit(dir);
        parent.names_mut().names.insert(Name::clone(&name), Some(ino));
        if is_dir {
            parent.nlink += 1;
        } else {
            inode.nlink += 1;
        }
        self.slots.insert(ino, Slot { inode, links: Links::One(dir, name) });
        ino
    }

    /// Adds an object that no name leads to, under a number that it had before; [`bind`](Self::bind) comes next.
    pub(crate) fn insert(&mut self, ino: Ino, inode: Inode) {
        self.slots.insert(ino, Slot { inode, links: Links::Many(im::OrdSet::new()) });
    }

    /// Makes sure that numbers below this one are not given out again.
    pub(crate) fn reserve_inos(&mut self, next: u64) {
        self.next_ino = self.next_ino.max(next);
    }

    /// Gives an object one more name, which is free.
    pub(crate) fn bind(&mut self, dir: Ino, name: Name, ino: Ino) {
        self.attach(dir, name, ino);
        let inode = self.edit(ino);
        if !inode.is_dir() {
            inode.nlink += 1;
        }
    }

    /// Takes a name away. With the last name the object goes; whoever has it open took a copy before.
    ///
    /// A directory that goes is empty, or is forgotten by [`forget_subtree`](Self::forget_subtree).
    pub(crate) fn unbind(&mut self, dir: Ino, name: &[u8], ino: Ino) {
        let inode = self.expect(ino);
        if inode.is_dir() || inode.nlink == 1 {
            // Its own list of names dies with it, so that is not kept up to date.
            self.detach_name(dir, name, ino);
            self.slots.remove(ino);
        } else {
            self.detach(dir, name, ino);
            self.edit(ino).nlink -= 1;
        }
    }

    /// Moves a name, both of whose ends are there and free; links and number of the object stay.
    pub(crate) fn rebind(&mut self, (from, old): (Ino, &[u8]), (to, new): (Ino, Name), ino: Ino) {
        self.detach(from, old, ino);
        self.attach(to, new, ino);
    }

    /// Exchanges what two names lead to.
    pub(crate) fn exchange(
        &mut self,
        (a_dir, a_name): (Ino, Name),
        (b_dir, b_name): (Ino, Name),
        a: Ino,
        b: Ino,
    ) {
        self.detach(a_dir, &a_name, a);
        self.detach(b_dir, &b_name, b);
        self.attach(a_dir, a_name, b);
        self.attach(b_dir, b_name, a);
    }

    /// Drops what is changed below a directory that is about to go or to be emptied, and says what loses a name by it: each
    /// object is passed to `losing`, before, once for each name. A directory, or what has one link left, goes. The directory
    /// itself still lists them. O(names below).
    pub(crate) fn forget_subtree(&mut self, top: Ino, losing: &mut impl FnMut(&Self, Ino)) {
        let mut below = vec![top];
        while let Some(dir) = below.pop() {
            let children: Vec<(Name, Ino)> =
                self.children(dir).map(|(name, ino)| (name.into(), ino)).collect();
            for (name, ino) in children {
                losing(self, ino);
                let inode = self.expect(ino);
                if inode.is_dir() {
                    below.push(ino);
                } else if inode.nlink == 1 {
                    self.slots.remove(ino);
                } else {
                    self.spell_out_links(ino).remove(dir, &name);
                    self.edit(ino).nlink -= 1;
                }
            }
            if dir != top {
                self.slots.remove(dir);
            }
        }
    }

    fn attach(&mut self, dir: Ino, name: Name, ino: Ino) {
        self.spell_out_links(ino).add(dir, Name::clone(&name));
        self.edit_dir(dir).names.insert(name, Some(ino));
        if self.expect(ino).is_dir() {
            self.edit(dir).nlink += 1;
        }
    }

    fn detach(&mut self, dir: Ino, name: &[u8], ino: Ino) {
        self.spell_out_links(ino).remove(dir, &Name::from(name));
        self.detach_name(dir, name, ino);
    }

    fn detach_name(&mut self, dir: Ino, name: &[u8], ino: Ino) {
        let is_dir = self.expect(ino).is_dir();
        let in_base = self.base.lookup(dir, name);
        let changed = self.edit_dir(dir);
        match in_base {
            Some(_) if !changed.opaque => drop(changed.names.insert(name.into(), None)),
            _ => drop(changed.names.remove(name)),
        }
        if is_dir {
            self.edit(dir).nlink -= 1;
            self.cut(ino);
        }
    }

    /// The names of an object, ready to be changed.
    fn spell_out_links(&mut self, ino: Ino) -> &mut Links {
        if matches!(self.edit_slot(ino).links, Links::Base) {
            let mut names = self.base_names_of(ino);
            let links = match names.pop() {
                Some((dir, name)) if names.is_empty() => Links::One(dir, name),
                last => Links::Many(names.into_iter().chain(last).collect()),
            };
            self.edit_slot(ino).links = links;
        }
        &mut self.edit_slot(ino).links
    }

    /// Takes everything out of a directory at once. O(names below); see [`forget_subtree`](Self::forget_subtree).
    pub(crate) fn clear_dir(&mut self, dir: Ino, gone: &mut impl FnMut(&Self, Ino)) {
        self.forget_subtree(dir, gone);
        *self.edit_dir(dir) = Dir { names: im::OrdMap::new(), opaque: self.base.contains(dir) };
        self.edit(dir).nlink = 2;
        self.cut(dir);
    }

    /// Remembers that a directory of the base, and so all below it, is not at its path any more.
    fn cut(&mut self, dir: Ino) {
        let Some(entry) = self.base.entry_of(dir) else { return };
        let range = self.base.subtree(entry);
        if self.is_cut(EntryId(range.start)) {
            return;
        }
        let inner: Vec<u32> = self.cuts.range(range.clone()).map(|(&start, _)| start).collect();
        for start in inner {
            self.cuts.remove(&start);
        }
        self.cuts.insert(range.start, range.end);
    }
}
