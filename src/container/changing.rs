//! Changing by path: what each operation asks of the names that it is given, before it passes the gate.

use std::path::Path;

use bytes::Bytes;

use super::gate::{Change, Taken, XattrMode};
use super::{Container, Object, Pass, Spot, SpotName};
use crate::attr::{Attrs, Device};
use crate::content::Content;
use crate::credentials::Access;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::path;
use crate::tree::{Ino, Node};
use crate::view;
use crate::walk::{Follow, Place, Space};
use crate::xattr;

/// Making and removing
impl Container {
    /// Writes a whole file, like [`std::fs::write`]: it is made (0666 less the umask) or its contents are replaced. In one
    /// step: nobody sees it empty or half written. `Bytes` are kept without a copy.
    ///
    /// # Errors
    ///
    /// - As [`metadata`](Self::metadata) for the way to the file.
    /// - `IsADirectory`, `NoDevice`: something else than a file is there.
    /// - `PermissionDenied`; `ReadOnlyFilesystem` in a volume that is mounted read-only.
    /// - `StorageFull`, `FileTooLarge`: a limit would be passed.
    pub fn write(&self, path: impl AsRef<Path>, contents: impl Into<Bytes>) -> Result<()> {
        let path = path::bytes(path.as_ref());
        let contents = contents.into();
        let find = |space: &Space<'_>| file_to_make(space, path, Follow::Yes);
        self.change(Pass::Change, find, |change, spot| {
            let (contents, name) = (contents.clone(), spot.name(ErrorKind::IsADirectory)?);
            match spot.found {
                Some(Place { ino, .. }) => {
                    writable_file(change, ino)?;
                    change.replace(Object::Named(ino), Content::own(contents))
                }
                None => change
                    .create(spot.dir.ino, name, Node::File(Content::own(contents)), 0o666)
                    .map(drop),
            }
        })
        .map_err(|fault| Error::new("write", path, fault))
    }

    /// Writes at the end of a file, which is made if it is missing. Two appends never overwrite each other.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn append(&self, path: impl AsRef<Path>, contents: impl Into<Bytes>) -> Result<()> {
        let path = path::bytes(path.as_ref());
        let contents = contents.into();
        let find = |space: &Space<'_>| file_to_make(space, path, Follow::Yes);
        self.change(Pass::Change, find, |change, spot| {
            let name = spot.name(ErrorKind::IsADirectory)?;
            match spot.found {
                Some(Place { ino, .. }) => {
                    writable_file(change, ino)?;
                    change.write(Object::Named(ino), None, &contents).map(drop)
                }
                None => change
                    .create(spot.dir.ino, name, Node::File(Content::own(contents.clone())), 0o666)
                    .map(drop),
            }
        })
        .map_err(|fault| Error::new("append", path, fault))
    }

    /// Makes a directory (0777 less the umask), like [`std::fs::create_dir`].
    ///
    /// # Errors
    ///
    /// - As [`metadata`](Self::metadata) for the way to it; `AlreadyExists`; `PermissionDenied`; `ReadOnlyFilesystem`;
    ///   `StorageFull`.
    pub fn create_dir(&self, path: impl AsRef<Path>) -> Result<()> {
        self.create_dir_with(path, 0o777)
    }

    /// The same with another mode than 0777; the umask is taken off.
    ///
    /// # Errors
    ///
    /// As [`create_dir`](Self::create_dir).
    pub fn create_dir_with(&self, path: impl AsRef<Path>, mode: u32) -> Result<()> {
        let path = path::bytes(path.as_ref());
        self.create_dir_at(path, mode).map_err(|fault| Error::new("create_dir", path, fault))
    }

    fn create_dir_at(&self, path: &[u8], mode: u32) -> Result<(), Fault> {
        self.change(
            Pass::Change,
            |space| dir_of(space, path),
            |change, spot| make_dir(change, &spot, mode).map(drop),
        )
    }

    /// Makes a directory and all that is missing above it, like [`std::fs::create_dir_all`]. All or nothing, except
    /// across the border of a volume.
    ///
    /// # Errors
    ///
    /// As [`create_dir`](Self::create_dir), but for `AlreadyExists`: a directory that is there is fine;
    /// `NotADirectory`: something else is.
    pub fn create_dir_all(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path::bytes(path.as_ref());
        let wrap = |fault| Error::new("create_dir_all", path, fault);
        if let Ok(place) = self
            .see(|space| space.lookup(path, Follow::Yes).map(|place| space.inode(place).is_dir()))
        {
            return if place { Ok(()) } else { Err(wrap(ErrorKind::NotADirectory.into())) };
        }
        if path.is_empty() {
            return Err(wrap(ErrorKind::NotFound.into()));
        }
        let make = || -> Result<(), Error> {
            let ends = (1..=path.len()).filter(|&end| end == path.len() || path[end] == b'/');
            for prefix in ends.map(|end| &path[..end]).filter(|prefix| prefix.last() != Some(&b'/'))
            {
                match self.create_dir_at(prefix, 0o777) {
                    Err(Fault::Kind(ErrorKind::AlreadyExists)) => {}
                    made => made.map_err(wrap)?,
                }
            }
            let is_dir = self.see(|space| {
                space.lookup(path, Follow::Yes).map(|place| space.inode(place).is_dir())
            });
            if is_dir.map_err(wrap)? { Ok(()) } else { Err(wrap(ErrorKind::NotADirectory.into())) }
        };
        if self.settings.volumes.is_empty() { self.core.store.transaction(make) } else { make() }
    }

    /// Removes a name of anything but a directory, like [`std::fs::remove_file`]. Open handles keep the object.
    ///
    /// # Errors
    ///
    /// - As [`metadata`](Self::metadata) for the way to it, and `NotFound`; `IsADirectory`.
    /// - `PermissionDenied`; `NotPermitted` in a sticky directory; `ReadOnlyFilesystem`.
    pub fn remove_file(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path::bytes(path.as_ref());
        self.change(
            Pass::Change,
            |space| dir_of(space, path),
            |change, spot| remove_file(change, &spot),
        )
        .map_err(|fault| Error::new("remove_file", path, fault))
    }

    /// Removes a directory in which nothing is visible, like [`std::fs::remove_dir`].
    ///
    /// # Errors
    ///
    /// - As [`remove_file`](Self::remove_file), with `NotADirectory` in the place of `IsADirectory`.
    /// - `DirectoryNotEmpty`; `ResourceBusy` for the root and mount points; `InvalidInput` if the path ends in `.`.
    pub fn remove_dir(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path::bytes(path.as_ref());
        self.change(
            Pass::Change,
            |space| dir_of(space, path),
            |change, spot| remove_dir(change, &spot),
        )
        .map_err(|fault| Error::new("remove_dir", path, fault))
    }

    /// Removes a directory with everything below it, like [`std::fs::remove_dir_all`], but in one step: all of it or
    /// nothing. O(names below).
    ///
    /// # Errors
    ///
    /// As [`remove_dir`](Self::remove_dir), but for `DirectoryNotEmpty`; `ResourceBusy` also if a volume is mounted below.
    pub fn remove_dir_all(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path::bytes(path.as_ref());
        let mounts = &self.settings.mounts;
        self.change(
            Pass::Change,
            |space| dir_of(space, path),
            |change, spot| {
                let name = spot.removable_dir()?;
                let ino = spot.present()?;
                change.live.state.tree.expect_dir(ino)?;
                let below = |at: Place| {
                    at.mount == spot.dir.mount && change.live.state.tree.is_within(at.ino, ino)
                };
                if mounts.iter().any(|mount| below(mount.at)) {
                    return Err(Fault::rule(ErrorKind::ResourceBusy, "a volume is mounted below"));
                }
                change.remove_all(spot.dir.ino, name, ino)
            },
        )
        .map_err(|fault| Error::new("remove_dir_all", path, fault))
    }

    /// Makes a symbolic link at `link` to `original`, like [`std::os::unix::fs::symlink`].
    ///
    /// # Errors
    ///
    /// - As [`create_dir`](Self::create_dir); `NotFound` for an empty target, `NameTooLong` for one of more than 4095
    ///   bytes, `InvalidInput` for one with a NUL.
    pub fn symlink(&self, original: impl AsRef<Path>, link: impl AsRef<Path>) -> Result<()> {
        let (target, path) = (path::bytes(original.as_ref()), path::bytes(link.as_ref()));
        let checked = match target {
            b"" => Err(ErrorKind::NotFound.into()),
            _ if target.contains(&0) => {
                Err(Fault::rule(ErrorKind::InvalidInput, "a target has no NUL byte"))
            }
            _ if target.len() > path::PATH_MAX => Err(ErrorKind::NameTooLong.into()),
            _ => self.make(path, &Node::Symlink(target.into()), 0o777),
        };
        checked.map_err(|fault| Error::between("symlink", target, path, fault))
    }

    /// Makes a named pipe, as data; the umask is taken off the mode.
    ///
    /// # Errors
    ///
    /// As [`create_dir`](Self::create_dir).
    pub fn create_fifo(&self, path: impl AsRef<Path>, mode: u32) -> Result<()> {
        self.mknod("create_fifo", path.as_ref(), &Node::Fifo, mode)
    }

    /// Makes a socket, as data; the umask is taken off the mode.
    ///
    /// # Errors
    ///
    /// As [`create_dir`](Self::create_dir).
    pub fn create_socket(&self, path: impl AsRef<Path>, mode: u32) -> Result<()> {
        self.mknod("create_socket", path.as_ref(), &Node::Socket, mode)
    }

    /// Makes a character device, as data. Any number is allowed, 0:0 too; the umask is taken off the mode.
    ///
    /// # Errors
    ///
    /// As [`create_dir`](Self::create_dir); `NotPermitted` to all but root, unless it is 0:0.
    pub fn create_char_device(
        &self,
        path: impl AsRef<Path>,
        mode: u32,
        device: Device,
    ) -> Result<()> {
        self.mknod("create_char_device", path.as_ref(), &Node::CharDevice(device), mode)
    }

    /// Makes a block device, as data; the umask is taken off the mode.
    ///
    /// # Errors
    ///
    /// As [`create_dir`](Self::create_dir); `NotPermitted` to all but root.
    pub fn create_block_device(
        &self,
        path: impl AsRef<Path>,
        mode: u32,
        device: Device,
    ) -> Result<()> {
        self.mknod("create_block_device", path.as_ref(), &Node::BlockDevice(device), mode)
    }

    fn mknod(&self, op: &'static str, path: &Path, node: &Node, mode: u32) -> Result<()> {
        let path = path::bytes(path);
        self.make(path, node, mode).map_err(|fault| Error::new(op, path, fault))
    }

    /// Makes anything but a directory.
    fn make(&self, path: &[u8], node: &Node, mode: u32) -> Result<(), Fault> {
        self.change(
            Pass::Change,
            |space| dir_of(space, path),
            |change, spot| make(change, &spot, node, mode).map(drop),
        )
    }
}

/// Names
impl Container {
    /// Gives an object another name, like [`std::fs::rename`]: whatever is there is replaced. One step, of the same cost
    /// for a file and for a directory with a million files, from whichever layer they come.
    ///
    /// # Errors
    ///
    /// - As [`metadata`](Self::metadata) for both ways, and `NotFound`.
    /// - `IsADirectory`, `NotADirectory`, `DirectoryNotEmpty`: what is there cannot be replaced by this.
    /// - `InvalidInput`: a directory into itself.
    /// - `CrossesDevices`: into or out of a volume; `ResourceBusy` for the root and mount points.
    /// - `PermissionDenied`; `NotPermitted` in sticky directories; `ReadOnlyFilesystem`.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
        self.rename_with("rename", from.as_ref(), to.as_ref(), Taken::Replace)
    }

    /// The same, unless the new name is taken (`RENAME_NOREPLACE`).
    ///
    /// # Errors
    ///
    /// As [`rename`](Self::rename); `AlreadyExists`.
    pub fn rename_no_replace(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
        self.rename_with("rename_no_replace", from.as_ref(), to.as_ref(), Taken::Refuse)
    }

    /// Exchanges what two names lead to, of whatever types and layers (`RENAME_EXCHANGE`). One step.
    ///
    /// # Errors
    ///
    /// As [`rename`](Self::rename); both must be there.
    pub fn exchange(&self, a: impl AsRef<Path>, b: impl AsRef<Path>) -> Result<()> {
        self.rename_with("exchange", a.as_ref(), b.as_ref(), Taken::Exchange)
    }

    fn rename_with(&self, op: &'static str, from: &Path, to: &Path, taken: Taken) -> Result<()> {
        let (from, to) = (path::bytes(from), path::bytes(to));
        let find = |space: &Space<'_>| {
            let old = Spot::find_unchecked(space, from)?;
            let new = Spot::find_unchecked(space, to)?;
            if old.dir.mount != new.dir.mount {
                return Err(ErrorKind::CrossesDevices.into());
            }
            Ok((old.dir, (old, new)))
        };
        self.change(Pass::Change, find, |change, (old, new)| rename(change, &old, &new, taken))
            .map_err(|fault| Error::between(op, from, to, fault))
    }

    /// Gives a file one more name, like [`std::fs::hard_link`]. A symbolic link is linked itself.
    ///
    /// # Errors
    ///
    /// - As [`metadata`](Self::metadata) for both ways; `AlreadyExists`; `NotPermitted` for directories.
    /// - `CrossesDevices`: into or out of a volume; `PermissionDenied`; `ReadOnlyFilesystem`.
    pub fn hard_link(&self, original: impl AsRef<Path>, link: impl AsRef<Path>) -> Result<()> {
        let (from, to) = (path::bytes(original.as_ref()), path::bytes(link.as_ref()));
        let find = |space: &Space<'_>| {
            let file = space.lookup(from, Follow::No)?;
            let spot = Spot::find(space, to, Follow::Never)?;
            Ok((spot.dir, (file, spot)))
        };
        self.change(Pass::Change, find, |change, (file, spot)| {
            add_link(change, file, Object::Named(file.ino), &spot)
        })
        .map_err(|fault| Error::between("hard_link", from, to, fault))
    }

    /// Copies a file, like [`std::fs::copy`]: its bytes (shared, not copied, until one of the two changes; holes stay
    /// holes) and its mode, also into and out of volumes. In one step. Returns how many bytes it has.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read) and [`write`](Self::write); `NotPermitted` if the file to be replaced is somebody else's.
    pub fn copy(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<u64> {
        let (from, to) = (path::bytes(from.as_ref()), path::bytes(to.as_ref()));
        let find = |space: &Space<'_>| {
            let source = view::file_to_copy(space, from)?;
            let (place, spot) = file_to_make(space, to, Follow::Yes)?;
            Ok((place, (source, spot)))
        };
        self.change(Pass::Change, find, |change, ((content, mode), spot)| {
            let (len, attrs) = (content.len(), Attrs::new().mode(mode));
            let name = spot.name(ErrorKind::IsADirectory)?;
            let ino = match spot.found {
                Some(Place { ino, .. }) => {
                    writable_file(change, ino)?;
                    change.check_attrs(change.get(Object::Named(ino))?, &attrs)?;
                    change.replace(Object::Named(ino), content)?;
                    ino
                }
                None => change.create(spot.dir.ino, name, Node::File(content), mode)?,
            };
            change.set_attrs(Object::Named(ino), &attrs)?;
            Ok(len)
        })
        .map_err(|fault| Error::between("copy", from, to, fault))
    }
}

/// Attributes
impl Container {
    /// Changes mode, owner and times, in one step. Symbolic links are followed.
    ///
    /// # Errors
    ///
    /// - As [`metadata`](Self::metadata); `NotPermitted` if these credentials may not; `ReadOnlyFilesystem`.
    pub fn set_attrs(&self, path: impl AsRef<Path>, attrs: Attrs) -> Result<()> {
        self.set_attrs_with("set_attrs", path.as_ref(), Follow::Yes, attrs)
    }

    /// The same of a symbolic link itself.
    ///
    /// # Errors
    ///
    /// As [`set_attrs`](Self::set_attrs); `Unsupported`: the mode of a symbolic link, which has none that counts.
    pub fn set_symlink_attrs(&self, path: impl AsRef<Path>, attrs: Attrs) -> Result<()> {
        self.set_attrs_with("set_symlink_attrs", path.as_ref(), Follow::No, attrs)
    }

    fn set_attrs_with(
        &self,
        op: &'static str,
        path: &Path,
        follow: Follow,
        attrs: Attrs,
    ) -> Result<()> {
        let path = path::bytes(path);
        self.change_object(path, follow, |change, object| {
            if attrs.mode.is_some() && matches!(change.get(object)?.node, Node::Symlink(_)) {
                return Err(ErrorKind::Unsupported.into());
            }
            change.set_attrs(object, &attrs)
        })
        .map_err(|fault| Error::new(op, path, fault))
    }

    /// Sets an extended attribute. Symbolic links are followed.
    ///
    /// # Errors
    ///
    /// - As [`metadata`](Self::metadata); `AlreadyExists`, `NoData` as `mode` asks.
    /// - `Unsupported`: a name outside of `user.`, `trusted.`, `security.` and `system.`.
    /// - `OutOfRange`: a name of no or more than 255 bytes, a value of more than 65536.
    /// - `NotPermitted`: `user.` on anything but files and directories, the other three by anybody but root.
    /// - `PermissionDenied`; `ReadOnlyFilesystem`; `StorageFull`.
    pub fn set_xattr(
        &self,
        path: impl AsRef<Path>,
        name: impl AsRef<[u8]>,
        value: impl Into<Bytes>,
        mode: XattrMode,
    ) -> Result<()> {
        let (path, name, value) = (path::bytes(path.as_ref()), name.as_ref(), value.into());
        xattr::check_name(name)
            .and_then(|()| {
                self.change_object(path, Follow::Yes, |change, object| {
                    change.set_xattr(object, name, value.clone(), mode)
                })
            })
            .map_err(|fault| Error::new("set_xattr", path, fault))
    }

    /// Removes an extended attribute. Symbolic links are followed.
    ///
    /// # Errors
    ///
    /// As [`set_xattr`](Self::set_xattr); `NoData` if it is not there.
    pub fn remove_xattr(&self, path: impl AsRef<Path>, name: impl AsRef<[u8]>) -> Result<()> {
        let (path, name) = (path::bytes(path.as_ref()), name.as_ref());
        xattr::check_name(name)
            .and_then(|()| {
                self.change_object(path, Follow::Yes, |change, object| {
                    change.remove_xattr(object, name)
                })
            })
            .map_err(|fault| Error::new("remove_xattr", path, fault))
    }

    fn change_object<R>(
        &self,
        path: &[u8],
        follow: Follow,
        mut act: impl FnMut(&mut Change<'_>, Object) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let find = |space: &Space<'_>| space.lookup(path, follow).map(|place| (place, place.ino));
        self.change(Pass::Change, find, |change, ino| act(change, Object::Named(ino)))
    }
}

/// The last name of a path, in the tree of its directory.
pub(super) fn dir_of(space: &Space<'_>, path: &[u8]) -> Result<(Place, Spot), Fault> {
    let spot = Spot::find(space, path, Follow::Never)?;
    Ok((spot.dir, spot))
}

/// The last name of a path, in the tree of what is there or, if nothing is, of its directory.
pub(super) fn found_or_dir(
    space: &Space<'_>,
    path: &[u8],
    follow: Follow,
) -> Result<(Place, Spot), Fault> {
    let spot = Spot::find(space, path, follow)?;
    Ok((spot.found.unwrap_or(spot.dir), spot))
}

/// The same for a file that is made if it is missing: nothing that ends in `/` is one, whatever is there (open(2), `O_CREAT`).
pub(super) fn file_to_make(
    space: &Space<'_>,
    path: &[u8],
    follow: Follow,
) -> Result<(Place, Spot), Fault> {
    let follow = if follow == Follow::Yes { Follow::ToMake } else { Follow::Never };
    let (place, spot) = found_or_dir(space, path, follow)?;
    if spot.dir_only && matches!(spot.last, SpotName::Name(_)) {
        return Err(ErrorKind::IsADirectory.into());
    }
    Ok((place, spot))
}

pub(super) fn make_dir(change: &mut Change<'_>, spot: &Spot, mode: u32) -> Result<Ino, Fault> {
    let name = spot.free_name()?;
    change.make_dir(spot.dir.ino, name, mode & 0o1777)
}

/// Makes anything but a directory.
pub(super) fn make(
    change: &mut Change<'_>,
    spot: &Spot,
    node: &Node,
    mode: u32,
) -> Result<Ino, Fault> {
    let name = spot.free_name()?;
    if spot.dir_only {
        return Err(ErrorKind::NotFound.into());
    }
    // mknod(2) asks for no privilege to make the device 0:0, which leads to no driver.
    let device = match node {
        Node::CharDevice(device) => *device != Device::default(),
        Node::BlockDevice(_) => true,
        _ => false,
    };
    if device {
        change.check_may_make_device(spot.dir.ino)?;
    }
    change.create(spot.dir.ino, name, node.clone(), mode & 0o7777)
}

pub(super) fn remove_file(change: &mut Change<'_>, spot: &Spot) -> Result<(), Fault> {
    let name = spot.name(ErrorKind::IsADirectory)?;
    let ino = spot.present()?;
    if spot.dir_only {
        let is_dir = change.get(Object::Named(ino))?.is_dir();
        return Err(if is_dir {
            ErrorKind::IsADirectory.into()
        } else {
            ErrorKind::NotADirectory.into()
        });
    }
    change.unlink(spot.dir.ino, name, ino)
}

pub(super) fn remove_dir(change: &mut Change<'_>, spot: &Spot) -> Result<(), Fault> {
    let name = spot.removable_dir()?;
    let ino = spot.present()?;
    change.remove_dir(spot.dir.ino, name, ino)
}

pub(super) fn add_link(
    change: &mut Change<'_>,
    file: Place,
    object: Object,
    spot: &Spot,
) -> Result<(), Fault> {
    let name = spot.free_name()?;
    if spot.dir_only {
        return Err(ErrorKind::NotFound.into());
    }
    if file.mount != spot.dir.mount {
        return Err(ErrorKind::CrossesDevices.into());
    }
    change.link(object, spot.dir.ino, name)
}

fn writable_file(change: &Change<'_>, ino: Ino) -> Result<(), Fault> {
    let inode = change.get(Object::Named(ino))?;
    match &inode.node {
        Node::File(_) => Ok(change.creds.check(inode, Access::WRITE)?),
        Node::Dir(_) => Err(ErrorKind::IsADirectory.into()),
        _ => Err(ErrorKind::NoDevice.into()),
    }
}

impl Spot {
    /// The object at the name, in the directory's own tree.
    fn present(&self) -> Result<Ino, Fault> {
        match self.found {
            None => Err(ErrorKind::NotFound.into()),
            Some(_) if self.is_mount_point() => {
                Err(Fault::rule(ErrorKind::ResourceBusy, "a volume is mounted there"))
            }
            Some(place) => Ok(place.ino),
        }
    }

    /// A name at which nothing is.
    pub(super) fn free_name(&self) -> Result<&path::Name, Fault> {
        let name = self.name(ErrorKind::AlreadyExists)?;
        if self.found.is_some() { Err(ErrorKind::AlreadyExists.into()) } else { Ok(name) }
    }

    fn removable_dir(&self) -> Result<&path::Name, Fault> {
        match &self.last {
            SpotName::Name(name) => Ok(name),
            SpotName::Dot => Err(ErrorKind::InvalidInput.into()),
            SpotName::DotDot => Err(ErrorKind::DirectoryNotEmpty.into()),
            SpotName::Root => Err(ErrorKind::ResourceBusy.into()),
        }
    }
}

/// The rules of rename(2) on the two names; those on the two objects are at the gate.
pub(super) fn rename(
    change: &mut Change<'_>,
    old: &Spot,
    new: &Spot,
    taken: Taken,
) -> Result<(), Fault> {
    let old_name = old.name(ErrorKind::ResourceBusy)?;
    let refused =
        if taken == Taken::Refuse { ErrorKind::AlreadyExists } else { ErrorKind::ResourceBusy };
    let new_name = new.name(refused)?;
    path::check_name(old_name)?;
    let old_ino = old.present()?;
    path::check_name(new_name)?;
    let new_ino = match new.found {
        Some(_) if taken == Taken::Refuse => return Err(ErrorKind::AlreadyExists.into()),
        None if taken == Taken::Exchange => return Err(ErrorKind::NotFound.into()),
        Some(_) => Some(new.present()?),
        None => None,
    };
    let is_dir = |ino| change.get(Object::Named(ino)).map(crate::tree::Inode::is_dir);
    // Unless it is a directory, a name may not be followed by a slash.
    let new_slash = new.dir_only && taken != Taken::Exchange;
    if (old.dir_only || new_slash) && !is_dir(old_ino)? {
        return Err(ErrorKind::NotADirectory.into());
    }
    if let (Taken::Exchange, true, Some(ino)) = (taken, new.dir_only, new_ino)
        && !is_dir(ino)?
    {
        return Err(ErrorKind::NotADirectory.into());
    }
    change.rename((old.dir.ino, old_name, old_ino), (new.dir.ino, new_name, new_ino), taken)
}
