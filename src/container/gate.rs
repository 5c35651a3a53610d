//! The one gate that every change passes: limits, clock and credentials act here and nowhere else.

use std::collections::HashSet;

use bytes::Bytes;

use super::limits::Limits;
use super::state::{Live, Object, OpenId, Usage};
use crate::attr::{Attrs, MODE_MASK, SETGID, SETUID, SetTime, Time, Timestamp};
use crate::content::Content;
use crate::credentials::{Access, Credentials};
use crate::error::{ErrorKind, Fault};
use crate::path::{self, Name};
use crate::tree::{Dir, Ino, Inode, Node};
use crate::xattr;

/// `XATTR_SIZE_MAX` of Linux.
const XATTR_VALUE_MAX: usize = 64 * 1024;
/// All attributes of one object together.
const XATTRS_MAX: usize = 1024 * 1024;

/// One change in the making. Each method checks everything first and then cannot fail, so that an error leaves all as
/// it was.
pub(super) struct Change<'a> {
    pub(super) live: &'a mut Live,
    pub(super) limits: &'a Limits,
    pub(super) creds: &'a Credentials,
    pub(super) now: Timestamp,
}

/// What [`Change::rename`] does if the new name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Replace,
    Refuse,
    Exchange,
}

/// Whether an existing attribute may, must or must not be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum XattrMode {
    /// Create it or replace it.
    #[default]
    Any,
    /// `AlreadyExists` if it is there (`XATTR_CREATE`).
    Create,
    /// `NoData` if it is not (`XATTR_REPLACE`).
    Replace,
}

/// Names
impl Change<'_> {
    pub(super) fn get(&self, object: Object) -> Result<&Inode, Fault> {
        Ok(self.live.state.inode(object).ok_or(ErrorKind::StaleHandle)?)
    }

    fn named(&self, ino: Ino) -> &Inode {
        self.live.state.tree.expect(ino)
    }

    /// Makes an object under a free name.
    pub(super) fn create(
        &mut self,
        dir: Ino,
        name: &Name,
        node: Node,
        mode: u32,
    ) -> Result<Ino, Fault> {
        path::check_name(name)?;
        let inode = self.new_inode(dir, node, mode)?;
        let parent = self.named(dir);
        if inode.is_dir() && parent.nlink == u32::MAX {
            return Err(ErrorKind::TooManyLinks.into());
        }
        let ino = Ino(self.live.state.tree.next_ino());
        let cost = self.live.state.cost(ino, &inode);
        self.limits.check(self.live.state.usage, cost)?;
        self.live.state.add(cost);
        let ino = self.live.add(dir, Name::clone(name), inode);
        self.touch_dir(dir);
        Ok(ino)
    }

    /// mknod(2): who may not make anything in the directory is told so first.
    pub(super) fn check_may_make_device(&self, dir: Ino) -> Result<(), Fault> {
        self.creds.check(self.named(dir), Access::CHANGE_DIR)?;
        if self.creds.is_root() { Ok(()) } else { Err(ErrorKind::NotPermitted.into()) }
    }

    /// An inode as it is made in a directory: owner, and group and setgid from a setgid directory (inode(7)).
    fn new_inode(&self, dir: Ino, node: Node, mode: u32) -> Result<Inode, Fault> {
        let parent = self.live.state.tree.expect_dir(dir)?;
        self.creds.check(parent, Access::CHANGE_DIR)?;
        if let Node::File(content) = &node {
            self.limits.check_end(0, content.len())?;
        }
        let inherits = parent.mode & SETGID != 0;
        let gid = if inherits { parent.gid } else { self.creds.gid };
        let mut mode =
            if matches!(node, Node::Symlink(_)) { 0o777 } else { mode & !self.creds.umask };
        if inherits && matches!(node, Node::Dir(_)) {
            mode |= SETGID;
        } else if inherits
            && mode & 0o2010 == 0o2010
            && !self.creds.is_root()
            && !self.creds.in_group(gid)
        {
            mode &= !SETGID;
        }
        Ok(Inode::new(node, mode, (self.creds.uid, gid), self.now))
    }

    /// Makes a file that has no name, open once.
    pub(super) fn create_unnamed(&mut self, dir: Ino, mode: u32) -> Result<(OpenId, Ino), Fault> {
        let inode = self.new_inode(dir, Node::File(Content::EMPTY), mode)?;
        self.limits.check(self.live.state.usage, Usage { bytes: 0, inodes: 1 })?;
        Ok(self.live.open_unnamed(inode))
    }

    /// Removes a name of anything but a directory.
    pub(super) fn unlink(&mut self, dir: Ino, name: &[u8], ino: Ino) -> Result<(), Fault> {
        self.creds.check_remove(self.named(dir), self.named(ino))?;
        if self.named(ino).is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        self.drop_name(dir, name, ino);
        self.touch_dir(dir);
        Ok(())
    }

    /// Removes a directory in which no name is visible.
    pub(super) fn remove_dir(&mut self, dir: Ino, name: &[u8], ino: Ino) -> Result<(), Fault> {
        self.creds.check_remove(self.named(dir), self.named(ino))?;
        self.live.state.tree.expect_dir(ino)?;
        if !self.live.state.tree.is_empty_dir(ino) {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        self.drop_name(dir, name, ino);
        self.touch_dir(dir);
        Ok(())
    }

    /// Removes a name and everything below it, or nothing.
    pub(super) fn remove_all(&mut self, dir: Ino, name: &[u8], ino: Ino) -> Result<(), Fault> {
        self.creds.check_remove(self.named(dir), self.named(ino))?;
        self.check_remove_below(ino)?;
        let (mut gone, mut kept) = (Vec::new(), HashSet::new());
        if self.named(ino).is_dir() {
            self.live.state.tree.forget_subtree(ino, &mut |tree, ino| {
                let inode = tree.expect(ino);
                if inode.is_dir() || inode.nlink == 1 {
                    gone.push((ino, inode.clone()));
                } else {
                    kept.insert(ino);
                }
            });
        }
        for (ino, mut inode) in gone {
            kept.remove(&ino);
            inode.times.set(Time::Changed, self.now);
            self.live.let_go(ino, inode);
        }
        kept.into_iter().for_each(|ino| self.set_changed(Object::Named(ino)));
        self.drop_name(dir, name, ino);
        self.touch_dir(dir);
        Ok(())
    }

    fn check_remove_below(&self, top: Ino) -> Result<(), Fault> {
        if self.creds.is_root() {
            return Ok(());
        }
        let tree = &self.live.state.tree;
        let mut below = vec![top];
        while let Some(dir) = below.pop() {
            let inode = tree.expect(dir);
            if inode.is_dir() && !tree.is_empty_dir(dir) {
                self.creds.check(inode, Access::READ)?;
                for (_, child) in tree.children(dir) {
                    self.creds.check_remove(inode, tree.expect(child))?;
                    below.push(child);
                }
            }
        }
        Ok(())
    }

    /// Takes a name away; with the last one the object goes, unless it is open.
    fn drop_name(&mut self, dir: Ino, name: &[u8], ino: Ino) {
        let inode = self.named(ino);
        if inode.is_dir() || inode.nlink == 1 {
            let mut inode = inode.clone();
            inode.times.set(Time::Changed, self.now);
            self.live.unbind(dir, name, ino);
            self.live.let_go(ino, inode);
        } else {
            self.live.unbind(dir, name, ino);
            self.set_changed(Object::Named(ino));
        }
    }

    /// One more name for an object, which is no directory.
    pub(super) fn link(&mut self, object: Object, dir: Ino, name: &Name) -> Result<(), Fault> {
        path::check_name(name)?;
        self.creds.check(self.live.state.tree.expect_dir(dir)?, Access::CHANGE_DIR)?;
        let inode = self.get(object)?;
        if inode.is_dir() {
            return Err(ErrorKind::NotPermitted.into());
        }
        if inode.nlink == u32::MAX {
            return Err(ErrorKind::TooManyLinks.into());
        }
        if self.live.state.has_successor(object) {
            return Err(Fault::rule(
                ErrorKind::StaleHandle,
                "the container went back, and the file has a name as it was then",
            ));
        }
        let ino = match object {
            Object::Open(id, ino) => self.live.adopt(id).unwrap_or(ino),
            Object::Named(ino) => ino,
        };
        self.live.bind(dir, Name::clone(name), ino);
        self.set_changed(Object::Named(ino));
        self.touch_dir(dir);
        Ok(())
    }

    /// Gives an object another name, in one step whatever lies below it.
    ///
    /// The caller has found `old` and `new`, if there is one, and knows that neither is a mount point.
    pub(super) fn rename(
        &mut self,
        (from, old_name, old): (Ino, &Name, Ino),
        (to, new_name, new): (Ino, &Name, Option<Ino>),
        taken: Taken,
    ) -> Result<(), Fault> {
        path::check_name(new_name)?;
        match (new, taken) {
            (Some(_), Taken::Refuse) => return Err(ErrorKind::AlreadyExists.into()),
            (None, Taken::Exchange) => return Err(ErrorKind::NotFound.into()),
            _ => {}
        }
        let tree = &self.live.state.tree;
        if tree.expect(old).is_dir() && tree.is_within(to, old) {
            return Err(Fault::rule(
                ErrorKind::InvalidInput,
                "a directory cannot become its own descendant",
            ));
        }
        if new.is_some_and(|new| tree.is_within(from, new)) {
            let exchanged = Fault::rule(
                ErrorKind::InvalidInput,
                "a directory cannot become its own descendant",
            );
            let replaced = ErrorKind::DirectoryNotEmpty.into();
            return Err(if taken == Taken::Exchange { exchanged } else { replaced });
        }
        if new == Some(old) {
            return Ok(());
        }
        self.creds.check_remove(tree.expect_dir(from)?, self.named(old))?;
        self.creds.check(tree.expect_dir(to)?, Access::CHANGE_DIR)?;
        match (new, taken) {
            (Some(new), Taken::Exchange) => {
                self.exchange((from, old_name, old), (to, new_name, new))
            }
            (new, _) => self.move_name((from, old_name, old), (to, new_name, new)),
        }
    }

    fn exchange(
        &mut self,
        (from, old_name, old): (Ino, &Name, Ino),
        (to, new_name, new): (Ino, &Name, Ino),
    ) -> Result<(), Fault> {
        let tree = &self.live.state.tree;
        self.creds.check_remove(tree.expect(to), tree.expect(new))?;
        if from != to {
            self.creds.check_move(tree.expect(old))?;
            self.creds.check_move(tree.expect(new))?;
        }
        let (a, b) = ((from, Name::clone(old_name)), (to, Name::clone(new_name)));
        self.live.exchange(a, b, old, new);
        self.set_changed(Object::Named(new));
        self.finish_move(old, from, to);
        Ok(())
    }

    fn move_name(
        &mut self,
        (from, old_name, old): (Ino, &Name, Ino),
        (to, new_name, new): (Ino, &Name, Option<Ino>),
    ) -> Result<(), Fault> {
        let tree = &self.live.state.tree;
        if let Some(new) = new {
            self.creds.check_remove(tree.expect(to), tree.expect(new))?;
            match (tree.expect(old).is_dir(), tree.expect(new).is_dir()) {
                (true, false) => return Err(ErrorKind::NotADirectory.into()),
                (false, true) => return Err(ErrorKind::IsADirectory.into()),
                (true, true) if !tree.is_empty_dir(new) => {
                    return Err(ErrorKind::DirectoryNotEmpty.into());
                }
                _ => {}
            }
        }
        if from != to {
            self.creds.check_move(tree.expect(old))?;
        }
        if let Some(new) = new {
            self.drop_name(to, new_name, new);
        }
        self.live.rebind((from, old_name), (to, Name::clone(new_name)), old);
        self.finish_move(old, from, to);
        Ok(())
    }

    fn finish_move(&mut self, object: Ino, from: Ino, to: Ino) {
        self.set_changed(Object::Named(object));
        self.touch_dir(from);
        self.touch_dir(to);
    }

    fn touch_dir(&mut self, dir: Ino) {
        let now = self.now;
        let inode = self.live.edit_dir(dir);
        inode.times.set(Time::Modified, now);
        inode.times.set(Time::Changed, now);
    }

    fn set_changed(&mut self, object: Object) {
        let now = self.now;
        self.live.edit(object, |inode| inode.times.set(Time::Changed, now));
    }
}

/// Contents
impl Change<'_> {
    fn file(&self, object: Object) -> Result<&Content, Fault> {
        match &self.get(object)?.node {
            Node::File(content) => Ok(content),
            Node::Dir(_) => Err(ErrorKind::IsADirectory.into()),
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    /// Writes all of `data` at `offset`, or at the end if there is none; returns where it began.
    pub(super) fn write(
        &mut self,
        object: Object,
        offset: Option<u64>,
        data: &Bytes,
    ) -> Result<u64, Fault> {
        let content = self.file(object)?;
        let offset = offset.unwrap_or(content.len());
        if data.is_empty() {
            return Ok(offset);
        }
        self.limits.check_end(offset, data.len() as u64)?;
        let bytes = content.write_cost(offset, data.len() as u64);
        self.limits.check(self.live.state.usage, Usage { bytes, inodes: 0 })?;
        self.edit_content(object, |content| content.write(offset, data))?;
        Ok(offset)
    }

    /// Replaces the whole contents.
    pub(super) fn replace(&mut self, object: Object, new: Content) -> Result<(), Fault> {
        self.limits.check_end(0, new.len())?;
        let bytes = new.own_bytes().saturating_sub(self.file(object)?.own_bytes());
        self.limits.check(self.live.state.usage, Usage { bytes, inodes: 0 })?;
        self.edit_content(object, |content| {
            *content = new;
            Ok(())
        })
    }

    pub(super) fn set_len(&mut self, object: Object, len: u64) -> Result<(), Fault> {
        let now = self.file(object)?.len();
        if len > now {
            self.limits.check_end(0, len)?;
        }
        self.edit_content(object, |content| {
            content.set_len(len);
            Ok(())
        })
    }

    /// Makes sure that a file is at least this long, and that so many bytes would fit now. Nothing is set aside.
    pub(super) fn allocate(&mut self, object: Object, offset: u64, len: u64) -> Result<(), Fault> {
        let content = self.file(object)?;
        let end = self.limits.check_end(offset, len)?;
        let (len, missing) = (content.len(), end.saturating_sub(content.len()));
        self.limits.check(self.live.state.usage, Usage { bytes: missing, inodes: 0 })?;
        // As on tmpfs, the file counts as modified also if it is long enough already.
        self.set_len(object, len + missing)
    }

    pub(super) fn punch_hole(
        &mut self,
        object: Object,
        offset: u64,
        len: u64,
    ) -> Result<(), Fault> {
        let bytes = self.file(object)?.punch_cost(offset, len);
        self.limits.check(self.live.state.usage, Usage { bytes, inodes: 0 })?;
        self.edit_content(object, |content| content.punch_hole(offset, len))
    }

    /// Changes contents and times, and clears setuid and setgid as POSIX asks of whoever is not root.
    fn edit_content(
        &mut self,
        object: Object,
        edit: impl FnOnce(&mut Content) -> std::io::Result<()>,
    ) -> Result<(), Fault> {
        let (now, keeps_setuid) = (self.now, self.creds.is_root());
        let edited = self.live.edit(object, |inode| -> std::io::Result<()> {
            let Node::File(content) = &mut inode.node else { return Ok(()) };
            edit(content)?;
            inode.times.set(Time::Modified, now);
            inode.times.set(Time::Changed, now);
            if !keeps_setuid {
                inode.mode &= !SETUID;
                inode.mode &= if inode.mode & 0o010 != 0 { !SETGID } else { !0 };
            }
            Ok(())
        });
        Ok(edited.ok_or(ErrorKind::StaleHandle)??)
    }
}

/// Attributes
impl Change<'_> {
    pub(super) fn set_attrs(&mut self, object: Object, attrs: &Attrs) -> Result<(), Fault> {
        let inode = self.get(object)?;
        self.check_attrs(inode, attrs)?;
        if attrs.is_empty() {
            return Ok(());
        }
        let mode = self.new_mode(inode, attrs);
        let now = self.now;
        self.live.edit(object, |inode| {
            inode.mode = mode;
            inode.uid = attrs.uid.unwrap_or(inode.uid);
            inode.gid = attrs.gid.unwrap_or(inode.gid);
            for (which, time) in
                [(Time::Accessed, attrs.accessed), (Time::Modified, attrs.modified)]
            {
                if let Some(time) = time {
                    inode.times.set(which, time.or(now));
                }
            }
            inode.times.set(Time::Changed, now);
        });
        Ok(())
    }

    /// chmod(2), chown(2), utimensat(2): who may.
    pub(super) fn check_attrs(&self, inode: &Inode, attrs: &Attrs) -> Result<(), Fault> {
        let owner_only = attrs.mode.is_some() || attrs.uid.is_some() || attrs.gid.is_some();
        if owner_only && !self.creds.owns(inode) {
            return Err(ErrorKind::NotPermitted.into());
        }
        if !self.creds.is_root() {
            let gives_away = attrs.uid.is_some_and(|uid| uid != inode.uid);
            let foreign =
                attrs.gid.is_some_and(|gid| gid != inode.gid && !self.creds.in_group(gid));
            if gives_away || foreign {
                return Err(ErrorKind::NotPermitted.into());
            }
        }
        let times = [attrs.accessed, attrs.modified];
        if times.iter().any(|time| matches!(time, Some(SetTime::At(_)))) && !self.creds.owns(inode)
        {
            return Err(ErrorKind::NotPermitted.into());
        }
        if times.iter().any(Option::is_some) && !self.creds.owns(inode) {
            self.creds.check(inode, Access::WRITE)?;
        }
        Ok(())
    }

    /// A change of owner clears setuid and setgid of everything but directories; a chmod sets what it says, but setgid
    /// only by a member of the group.
    fn new_mode(&self, inode: &Inode, attrs: &Attrs) -> u32 {
        let mut mode = inode.mode;
        let chown = attrs.uid.is_some() || attrs.gid.is_some();
        if chown && !inode.is_dir() {
            mode &= !SETUID;
            mode &= if mode & 0o010 != 0 { !SETGID } else { !0 };
        }
        if let Some(set) = attrs.mode {
            let gid = attrs.gid.unwrap_or(inode.gid);
            let member = self.creds.is_root() || self.creds.in_group(gid);
            mode = MODE_MASK & if member { set } else { set & !SETGID };
        }
        mode
    }

    pub(super) fn set_xattr(
        &mut self,
        object: Object,
        name: &[u8],
        value: Bytes,
        mode: XattrMode,
    ) -> Result<(), Fault> {
        let inode = self.get(object)?;
        xattr::check(self.creds, inode, name, xattr::Use::Change)?;
        let old = inode.xattrs.get(name);
        match (mode, old) {
            (XattrMode::Create, Some(_)) => return Err(ErrorKind::AlreadyExists.into()),
            (XattrMode::Replace, None) => return Err(ErrorKind::NoData.into()),
            _ => {}
        }
        if value.len() > XATTR_VALUE_MAX {
            return Err(Fault::rule(
                ErrorKind::OutOfRange,
                "an attribute's value has at most 65536 bytes",
            ));
        }
        let size = inode.xattrs.size() - old.map_or(0, |old| name.len() + old.len())
            + name.len()
            + value.len();
        if size > XATTRS_MAX {
            return Err(Fault::rule(
                ErrorKind::StorageFull,
                "the attributes of one object have at most 1 MiB",
            ));
        }
        let bytes = (size as u64).saturating_sub(inode.xattrs.own_bytes());
        self.limits.check(self.live.state.usage, Usage { bytes, inodes: 0 })?;
        self.edit_xattrs(object, |inode| inode.xattrs.insert(name, value));
        Ok(())
    }

    pub(super) fn remove_xattr(&mut self, object: Object, name: &[u8]) -> Result<(), Fault> {
        let inode = self.get(object)?;
        xattr::check(self.creds, inode, name, xattr::Use::Change)?;
        let old = inode.xattrs.get(name).ok_or(ErrorKind::NoData)?;
        // The rest of a lower object's attributes becomes the container's own.
        let left = (inode.xattrs.size() - name.len() - old.len()) as u64;
        let bytes = left.saturating_sub(inode.xattrs.own_bytes());
        self.limits.check(self.live.state.usage, Usage { bytes, inodes: 0 })?;
        self.edit_xattrs(object, |inode| drop(inode.xattrs.remove(name)));
        Ok(())
    }

    fn edit_xattrs(&mut self, object: Object, edit: impl FnOnce(&mut Inode)) {
        let now = self.now;
        self.live.edit(object, |inode| {
            edit(inode);
            inode.times.set(Time::Changed, now);
        });
    }

    /// The contents were read: relatime or strictatime.
    pub(super) fn set_accessed(&mut self, object: Object) {
        let now = self.now;
        self.live.edit(object, |inode| inode.times.set(Time::Accessed, now));
    }

    pub(super) fn make_dir(&mut self, dir: Ino, name: &Name, mode: u32) -> Result<Ino, Fault> {
        self.create(dir, name, Node::Dir(Dir::default()), mode)
    }
}
