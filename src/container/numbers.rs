//! The second door to every operation: by inode number and single name, as a kernel asks, in the place of a path.
//!
//! Nothing is decided here that is not decided for paths: a number is in the place of the walk, and what follows is the same.

use std::ffi::OsString;
use std::sync::Arc;

use bytes::Bytes;

use super::changing;
use super::file::{Access as Granted, File};
use super::gate::{Change, Taken, XattrMode};
use super::state::{Object, State};
use super::watch::{Door, Watcher};
use super::{Atime, Container, Core, Limits, Pass, Settings, Spot, Usage};
use crate::attr::{Attrs, FileType, Metadata};
use crate::content::Content;
use crate::credentials::Credentials;
use crate::error::{ErrorKind, Fault};
use crate::path::{self, Name};
use crate::tree::{Ino, Inode, Node};
use crate::view::{ReadDir, View};
use crate::walk::{Place, Space};
use crate::xattr;

/// An object that was looked up, as it was then. A kernel that was told of it remembers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) metadata: Metadata,
}

/// A name of a directory, as it was when the directory was listed.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: Box<[u8]>,
    pub(crate) place: Place,
    pub(crate) file_type: FileType,
}

/// What an open file may be used for. The kernel has checked that it may.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "open(2) has these flags")]
pub(crate) struct OpenAs {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) truncate: bool,
}

/// Handles for a mount
impl Container {
    /// A handle for what comes through a mount, which is the door.
    pub(crate) fn for_mount(&self, door: Door, atime: Atime) -> Self {
        let settings = Settings { atime, door, ..Settings::clone(&self.settings) };
        Self { core: Arc::clone(&self.core), settings: Arc::new(settings) }
            .as_user(Credentials::checked(0, 0))
    }

    /// The same for a view, which nobody changes.
    pub(crate) fn showing(view: &View) -> Self {
        let core =
            Core::new(crate::image::Image::scratch(), view.tree().clone(), Limits::default());
        Self { core: Arc::new(core), settings: Arc::default() }
    }

    /// Tells of every change, of the container and of the volumes that are mounted in it: `watcher` makes one for each.
    pub(crate) fn watch(&self, watcher: &mut dyn FnMut(usize) -> Arc<dyn Watcher>) {
        for mount in 0..self.mounts() {
            self.core_of(mount).store.watch(&watcher(mount));
        }
    }

    /// How many trees there are: its own, and those of volumes.
    pub(crate) fn mounts(&self) -> usize {
        self.settings.volumes.len() + 1
    }

    /// Whether a volume is mounted at more than one place.
    pub(crate) fn is_mounted_twice(&self, mount: usize) -> bool {
        let core = self.core_of(mount);
        (0..self.mounts()).any(|other| other != mount && Arc::ptr_eq(self.core_of(other), core))
    }

    /// What the tree with a number holds, and may hold.
    pub(crate) fn room(&self, mount: usize) -> (Usage, Limits) {
        let core = self.core_of(mount);
        (core.store.read(|state| state.usage), core.limits)
    }
}

/// Looking
impl Container {
    /// Looks a name up for a kernel, which remembers what it is told of until it [`forget`](Self::forget_at)s it.
    pub(crate) fn lookup_in(&self, dir: Place, name: &[u8]) -> Result<Found, Fault> {
        if name.len() > path::NAME_MAX {
            return Err(ErrorKind::NameTooLong.into());
        }
        let found = self.core_of(dir.mount).store.quietly(|live| {
            live.state.expect_named_dir(dir.ino)?;
            let ino = live.state.tree.lookup(dir.ino, name).ok_or(ErrorKind::NotFound)?;
            live.remember(ino, self.settings.door);
            let metadata = live.state.tree.expect(ino).metadata(ino);
            Ok(Found { place: Place { ino, ..dir }, metadata })
        })?;
        Ok(self.above(found))
    }

    /// The same for names of a directory that was listed before; `None` for each that leads elsewhere by now.
    pub(crate) fn lookup_entries(&self, dir: Place, entries: &[Entry]) -> Vec<Option<Found>> {
        let found = self.core_of(dir.mount).store.quietly(|live| {
            let find = |entry: &Entry| {
                let ino = live.state.tree.lookup(dir.ino, &entry.name)?;
                live.remember(ino, self.settings.door);
                let metadata = live.state.tree.expect(ino).metadata(ino);
                Some(Found { place: Place { ino, ..dir }, metadata })
            };
            Ok(entries.iter().map(find).collect::<Vec<_>>())
        });
        let found = found.unwrap_or_else(|_| vec![None; entries.len()]);
        found.into_iter().map(|found| found.map(|found| self.above(found))).collect()
    }

    /// What covers a directory, if it is a mount point.
    fn above(&self, found: Found) -> Found {
        if self.settings.mounts.is_empty() {
            return found;
        }
        let place = self.see(|space| space.enter(found.place));
        if place == found.place {
            return found;
        }
        self.forget_at(found.place, 1);
        let metadata = self.stat_at(place).unwrap_or(found.metadata);
        Found { place, metadata }
    }

    /// A kernel does not remember an object any more, as far as so many lookups go.
    pub(crate) fn forget_at(&self, place: Place, lookups: u64) {
        if place.mount < self.mounts() {
            // From inside a source it cannot be let go; it goes with the container.
            drop(self.core_of(place.mount).store.quietly(|live| {
                live.forget(place.ino, lookups, self.settings.door);
                Ok(())
            }));
        }
    }

    /// A mount is gone.
    pub(crate) fn forget_all(&self) {
        for mount in 0..self.mounts() {
            // From inside a source it cannot be let go; it goes with the container.
            drop(self.core_of(mount).store.quietly(|live| {
                live.forget_all(self.settings.door);
                Ok(())
            }));
        }
    }

    fn look_at<R>(
        &self,
        place: Place,
        look: impl FnOnce(&Inode) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        self.core_of(place.mount).store.read(|state| {
            let inode = state.inode(state.object(place.ino));
            look(inode.ok_or(ErrorKind::StaleHandle)?)
        })
    }

    pub(crate) fn stat_at(&self, place: Place) -> Result<Metadata, Fault> {
        self.look_at(place, |inode| Ok(inode.metadata(place.ino)))
    }

    pub(crate) fn read_link_at(&self, place: Place) -> Result<Name, Fault> {
        let target = self.look_at(place, |inode| match &inode.node {
            Node::Symlink(target) => Ok(Name::clone(target)),
            _ => Err(ErrorKind::InvalidInput.into()),
        })?;
        self.was_read(place);
        Ok(target)
    }

    /// What is in a directory, by the bytes of the names; nothing if it was removed.
    pub(crate) fn list_at(&self, dir: Place) -> Result<Vec<Entry>, Fault> {
        if matches!(
            self.core_of(dir.mount).store.read(|state| state.object(dir.ino)),
            Object::Open(..)
        ) {
            return Ok(Vec::new());
        }
        let listing = ReadDir::open(&Arc::new(self.world()), dir, Vec::new())?;
        self.was_read(dir);
        let entry = |entry: crate::view::DirEntry| Entry {
            name: entry.name().into(),
            place: entry.place(),
            file_type: entry.file_type(),
        };
        Ok(listing.map(entry).collect())
    }

    /// The directory above, as `..` shows it.
    pub(crate) fn parent_of(&self, dir: Place) -> Place {
        self.see(|space| space.parent(dir))
    }

    pub(crate) fn xattr_at(&self, place: Place, name: &[u8]) -> Result<Bytes, Fault> {
        xattr::check_name(name)?;
        self.look_at(place, |inode| xattr::get(&self.settings.credentials, inode, name))
    }

    /// The names of all attributes, those in `trusted.` only if they are to be seen.
    pub(crate) fn xattrs_at(&self, place: Place, trusted: bool) -> Result<Vec<OsString>, Fault> {
        let who = if trusted { Credentials::root() } else { Credentials::user(1, 1) };
        self.look_at(place, |inode| Ok(xattr::names(&who, inode)))
    }
}

/// Making and removing
impl Container {
    /// Makes anything: a directory, a file, a link, a device.
    pub(crate) fn make_in(
        &self,
        dir: Place,
        name: &[u8],
        node: &Node,
        mode: u32,
    ) -> Result<Found, Fault> {
        self.change_in_dir(dir, name, |change, spot| {
            let ino = match node {
                Node::Dir(_) => changing::make_dir(change, spot, mode)?,
                _ => changing::make(change, spot, node, mode)?,
            };
            self.found(change, Object::Named(ino), dir.mount)
        })
    }

    /// Makes a file, or takes the one that is there, and opens it for `writer`.
    pub(crate) fn create_in(
        &self,
        dir: Place,
        name: &[u8],
        mode: u32,
        (how, exclusive): (OpenAs, bool),
        writer: &Self,
    ) -> Result<(Found, File), Fault> {
        let (found, object) = self.change_in_dir(dir, name, |change, spot| {
            let ino = match spot.found {
                Some(_) if exclusive => return Err(ErrorKind::AlreadyExists.into()),
                Some(place) if place.mount != dir.mount => {
                    return Err(ErrorKind::IsADirectory.into());
                }
                Some(place) => place.ino,
                None => changing::make(change, spot, &Node::File(Content::EMPTY), mode)?,
            };
            let object = open(change, Object::Named(ino), how)?;
            Ok((self.found(change, object, dir.mount)?, object))
        })?;
        Ok((found, writer.file(dir.mount, object, how)))
    }

    pub(crate) fn remove_in(&self, dir: Place, name: &[u8]) -> Result<(), Fault> {
        self.change_in_dir(dir, name, changing::remove_file)
    }

    pub(crate) fn remove_dir_in(&self, dir: Place, name: &[u8]) -> Result<(), Fault> {
        self.change_in_dir(dir, name, changing::remove_dir)
    }

    pub(crate) fn rename_in(
        &self,
        (from, old): (Place, &[u8]),
        (to, new): (Place, &[u8]),
        taken: Taken,
    ) -> Result<(), Fault> {
        if from.mount != to.mount {
            return Err(ErrorKind::CrossesDevices.into());
        }
        let find = |space: &Space<'_>| {
            let spots = (Spot::in_dir(space, from, old)?, Spot::in_dir(space, to, new)?);
            Ok((from, spots))
        };
        self.change(Pass::Change, find, |change, (old, new)| {
            change.live.state.expect_named_dir(from.ino)?;
            change.live.state.expect_named_dir(to.ino)?;
            changing::rename(change, &old, &new, taken)
        })
    }

    pub(crate) fn link_in(&self, file: Place, dir: Place, name: &[u8]) -> Result<Found, Fault> {
        self.change_in_dir(dir, name, |change, spot| {
            let object = change.live.state.object(file.ino);
            changing::add_link(change, file, object, spot)?;
            self.found(change, Object::Named(file.ino), dir.mount)
        })
    }

    /// An object for a kernel, which remembers it from now on.
    fn found(&self, change: &mut Change<'_>, object: Object, mount: usize) -> Result<Found, Fault> {
        let ino = object.ino();
        let metadata = change.get(object)?.metadata(ino);
        change.live.remember(ino, self.settings.door);
        Ok(Found { place: Place { mount, ino }, metadata })
    }

    fn change_in_dir<R>(
        &self,
        dir: Place,
        name: &[u8],
        act: impl Fn(&mut Change<'_>, &Spot) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        if name.len() > path::NAME_MAX {
            return Err(ErrorKind::NameTooLong.into());
        }
        let find = |space: &Space<'_>| Spot::in_dir(space, dir, name).map(|spot| (dir, spot));
        self.change(Pass::Change, find, |change, spot| {
            change.live.state.expect_named_dir(dir.ino)?;
            act(change, &spot)
        })
    }
}

/// Objects
impl Container {
    pub(crate) fn open_by_number(&self, place: Place, how: OpenAs) -> Result<File, Fault> {
        if how.write {
            self.check_writable(place.mount)?;
        }
        let pass = if how.truncate { Pass::Change } else { Pass::Open };
        let object = self.change_in(place.mount, pass, |change| {
            let object = change.live.state.object(place.ino);
            open(change, object, how)
        })?;
        Ok(self.file(place.mount, object, how))
    }

    fn file(&self, mount: usize, object: Object, how: OpenAs) -> File {
        let granted = Granted { read: how.read, write: how.write, append: how.append };
        let (core, mounted) = (self.core_of(mount), self.mounted(mount));
        File::of_container(core, mounted, &self.settings, object, granted, b"")
    }

    pub(crate) fn set_attrs_at(&self, place: Place, attrs: Attrs) -> Result<Metadata, Fault> {
        self.change_at(place, |change, object| change.set_attrs(object, &attrs))?;
        self.stat_at(place)
    }

    pub(crate) fn set_len_at(&self, place: Place, len: u64) -> Result<(), Fault> {
        self.change_at(place, |change, object| change.set_len(object, len))
    }

    pub(crate) fn set_xattr_at(
        &self,
        place: Place,
        name: &[u8],
        value: &Bytes,
        mode: XattrMode,
    ) -> Result<(), Fault> {
        xattr::check_name(name)?;
        self.change_at(place, |change, object| change.set_xattr(object, name, value.clone(), mode))
    }

    pub(crate) fn remove_xattr_at(&self, place: Place, name: &[u8]) -> Result<(), Fault> {
        xattr::check_name(name)?;
        self.change_at(place, |change, object| change.remove_xattr(object, name))
    }

    fn change_at<R>(
        &self,
        place: Place,
        act: impl FnOnce(&mut Change<'_>, Object) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        self.change_in(place.mount, Pass::Change, |change| {
            let object = change.live.state.object(place.ino);
            act(change, object)
        })
    }
}

/// Opens an object at the gate.
fn open(change: &mut Change<'_>, object: Object, how: OpenAs) -> Result<Object, Fault> {
    match &change.get(object)?.node {
        Node::File(_) => {}
        Node::Dir(_) if !how.write => {}
        Node::Dir(_) => return Err(ErrorKind::IsADirectory.into()),
        Node::Symlink(_) => return Err(ErrorKind::FilesystemLoop.into()),
        _ => return Err(ErrorKind::NoDevice.into()),
    }
    if how.truncate {
        change.set_len(object, 0)?;
    }
    Ok(match object {
        Object::Named(ino) => Object::Open(change.live.open(ino), ino),
        Object::Open(id, _) => {
            change.live.reopen(id);
            object
        }
    })
}

impl State {
    /// A directory that is somewhere: nothing can be made in one that was removed.
    fn expect_named_dir(&self, dir: Ino) -> Result<(), Fault> {
        match self.object(dir) {
            Object::Named(ino) => self.tree.expect_dir(ino).map(drop),
            Object::Open(..) => Err(ErrorKind::NotFound.into()),
        }
    }
}
