//! Open files.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::builder::Settings;
use super::gate::{Change, XattrMode};
use super::{Atime, Core, Object, Pass};
use crate::attr::{Attrs, Metadata};
use crate::content::Content;
use crate::credentials::{self, Credentials};
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::path;
use crate::tree::{Ino, Inode, Node};
use crate::view::{DirEntry, ReadDir, View, World};
use crate::walk::{Follow, Place, ROOT};
use crate::xattr;

/// An open file or directory, like [`std::fs::File`].
///
/// It keeps working when its name is gone, after [`reset`](crate::Container::reset) and
/// [`restore`](crate::Container::restore), and after the container was dropped: it keeps the object that it was opened on.
/// An object without names counts against the container's limits until its last handle closes.
///
/// [`Read`], [`Write`] and [`Seek`] are there for `File` and for `&File`; all handles of one file see each other's writes
/// at once. A write is all or nothing: never short.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Seek, Write};
/// use stratafs::{Image, OpenOptions};
///
/// let container = Image::scratch().container();
/// let mut file = container.open_with("/world", OpenOptions::new().read(true).write(true).create(true))?;
/// file.write_all(b"hills")?;
/// container.remove_file("/world")?;
/// file.rewind()?;
/// let mut text = String::new();
/// file.read_to_string(&mut text)?;
/// assert_eq!((text.as_str(), file.metadata()?.nlink()), ("hills", 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct File {
    backing: Backing,
    access: Access,
    position: Mutex<u64>,
    path: Box<[u8]>,
}

enum Backing {
    View(View, Ino),
    Container { core: Arc<Core>, mount: Mounted, settings: Arc<Settings>, object: Object },
}

/// What the mount says by which the file was opened, if it is a volume's.
#[derive(Clone)]
pub(super) enum Mounted {
    Root,
    ReadOnly,
    /// Not to be changed while this container is in a transaction.
    In(Arc<Core>),
}

impl Mounted {
    fn check_writable(&self) -> Result<(), Fault> {
        match self {
            Self::Root => Ok(()),
            Self::ReadOnly => Err(ErrorKind::ReadOnlyFilesystem.into()),
            Self::In(container) => container.check_no_transaction(),
        }
    }
}

/// What a handle was opened for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) append: bool,
}

/// Opening
impl View {
    /// Opens a file or directory for reading.
    ///
    /// # Errors
    ///
    /// As [`metadata`](Self::metadata); and `NoDevice` for fifos, sockets and devices, which are data here.
    pub fn open(&self, path: impl AsRef<std::path::Path>) -> Result<File> {
        let path = path::bytes(path.as_ref());
        let ino = self
            .see(|space| space.lookup(path, Follow::Yes))
            .map_err(|fault| Error::new("open", path, fault))?
            .ino;
        File::of_view(self.clone(), ino, path).map_err(|fault| Error::new("open", path, fault))
    }
}

impl DirEntry {
    /// Opens the file or directory for reading, as it was when it was listed.
    ///
    /// # Errors
    ///
    /// - `NoDevice` for symbolic links, fifos, sockets and devices; `PermissionDenied`.
    pub fn open(&self) -> Result<File> {
        let (place, path) = (self.place(), [b"/", &*self.relative_path()].concat());
        let view = self.see(|space| {
            space.creds.check(space.inode(place), credentials::Access::READ)?;
            Ok::<_, Fault>(View::new(space.tree(place).clone()))
        });
        view.and_then(|view| File::of_view(view, place.ino, &path))
            .map_err(|fault| self.error("open", fault))
    }
}

impl File {
    fn of_view(view: View, ino: Ino, path: &[u8]) -> Result<Self, Fault> {
        if !matches!(view.tree().expect(ino).node, Node::File(_) | Node::Dir(_)) {
            return Err(Fault::rule(
                ErrorKind::NoDevice,
                "fifos, sockets and devices are data here",
            ));
        }
        let access = Access { read: true, write: false, append: false };
        Ok(Self {
            backing: Backing::View(view, ino),
            access,
            position: Mutex::new(0),
            path: path.into(),
        })
    }

    pub(super) fn of_container(
        core: &Arc<Core>,
        mount: Mounted,
        settings: &Arc<Settings>,
        object: Object,
        access: Access,
        path: &[u8],
    ) -> Self {
        let (core, settings) = (Arc::clone(core), Arc::clone(settings));
        let backing = Backing::Container { core, mount, settings, object };
        Self { backing, access, position: Mutex::new(0), path: path.into() }
    }

    /// The object, if it is one of this container or volume.
    pub(super) fn object_in(&self, core: &Arc<Core>) -> Option<Object> {
        match &self.backing {
            Backing::Container { core: own, object, .. } if Arc::ptr_eq(own, core) => Some(*object),
            _ => None,
        }
    }

    /// The path that it was opened by.
    pub fn path(&self) -> PathBuf {
        path::to_path_buf(&self.path)
    }

    fn wrap(&self, op: &'static str) -> impl Fn(Fault) -> Error + '_ {
        move |fault| Error::new(op, &self.path, fault)
    }

    fn credentials(&self) -> &Credentials {
        match &self.backing {
            Backing::View(..) => &ROOT,
            Backing::Container { settings, .. } => &settings.credentials,
        }
    }

    fn look<R>(&self, look: impl FnOnce(&Inode) -> Result<R, Fault>) -> Result<R, Fault> {
        match &self.backing {
            Backing::View(view, ino) => look(view.tree().expect(*ino)),
            Backing::Container { core, object, .. } => {
                core.store.read(|state| look(state.inode(*object).ok_or(ErrorKind::StaleHandle)?))
            }
        }
    }

    fn content<R>(&self, look: impl FnOnce(&Content) -> Result<R, Fault>) -> Result<R, Fault> {
        self.look(|inode| match &inode.node {
            Node::File(content) => look(content),
            Node::Dir(_) => Err(ErrorKind::IsADirectory.into()),
            _ => Err(ErrorKind::InvalidInput.into()),
        })
    }

    fn change<R>(
        &self,
        act: impl FnOnce(&mut Change<'_>, Object) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        match &self.backing {
            Backing::View(..) => Err(ErrorKind::ReadOnlyFilesystem.into()),
            Backing::Container { core, mount, settings, object } => {
                mount.check_writable()?;
                core.change(settings, Pass::Change, |change| act(change, *object))
            }
        }
    }

    fn write_change<R>(
        &self,
        act: impl FnOnce(&mut Change<'_>, Object) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        if !self.access.write {
            return Err(Fault::rule(ErrorKind::BadHandle, "not opened for writing"));
        }
        self.change(act)
    }
}

/// Contents
impl File {
    /// Reads at an offset, without moving the position. Returns how many bytes it read; fewer than asked only at the end.
    ///
    /// # Errors
    ///
    /// - `BadHandle`: not opened for reading. `IsADirectory`. `StaleHandle`.
    /// - `Io`: the [`Source`](crate::Source) of the file failed.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.read_into(buf, offset).map_err(self.wrap("read_at"))
    }

    fn read_into(&self, buf: &mut [u8], offset: u64) -> Result<usize, Fault> {
        if !self.access.read {
            return Err(Fault::rule(ErrorKind::BadHandle, "not opened for reading"));
        }
        let read = self.content(|content| Ok(content.read_into(offset, buf)?))?;
        self.accessed(read > 0);
        Ok(read)
    }

    /// Up to `len` bytes at an offset, fewer at the end; without a copy if they lie in one chunk.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at).
    pub fn read_bytes(&self, offset: u64, len: u64) -> Result<Bytes> {
        if !self.access.read {
            return Err(self.wrap("read_bytes")(ErrorKind::BadHandle.into()));
        }
        let bytes = self
            .content(|content| Ok(content.read(offset, len)?))
            .map_err(self.wrap("read_bytes"))?;
        self.accessed(!bytes.is_empty());
        Ok(bytes)
    }

    fn accessed(&self, read: bool) {
        let Backing::Container { core, mount, settings, object } = &self.backing else { return };
        if !read || settings.atime == Atime::Never || mount.check_writable().is_err() {
            return;
        }
        let now = settings.clock.now();
        if self.look(|inode| Ok(settings.atime.is_due(inode, now))).unwrap_or(false) {
            // An access time is no promise: that it could not be noted is no reason for the read to fail.
            drop(core.change(settings, Pass::Change, |change| {
                change.set_accessed(*object);
                Ok(())
            }));
        }
    }

    /// Writes all of `buf` at an offset, without moving the position; beyond the end, what is between is a hole. A handle
    /// that was opened to append writes at the end, wherever `offset` is, as Linux does.
    ///
    /// # Errors
    ///
    /// - `BadHandle`: not opened for writing. `StaleHandle`.
    /// - `StorageFull`, `FileTooLarge`: a limit would be passed; nothing was written.
    pub fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.write_from(buf, offset).map(drop).map_err(self.wrap("write_at"))
    }

    /// Returns where it wrote.
    fn write_from(&self, buf: &[u8], offset: u64) -> Result<u64, Fault> {
        let data = Bytes::copy_from_slice(buf);
        let offset = (!self.access.append).then_some(offset);
        self.write_change(|change, object| change.write(object, offset, &data))
    }

    /// Writes at an offset, or at the end, on behalf of whom `who` acts. Returns where it began.
    #[cfg(all(feature = "fuse", target_os = "linux"))]
    pub(crate) fn write_for(
        &self,
        who: &super::Container,
        offset: Option<u64>,
        data: &Bytes,
    ) -> Result<u64, Fault> {
        let Backing::Container { core, mount, object, .. } = &self.backing else {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        };
        mount.check_writable()?;
        core.change(&who.settings, Pass::Change, |change| change.write(*object, offset, data))
    }

    /// Cuts the file, or adds a hole at its end. The position stays.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: not opened for writing (as Linux says it).
    /// - `FileTooLarge`; `StaleHandle`.
    pub fn set_len(&self, len: u64) -> Result<()> {
        let set = || {
            if !self.access.write {
                return Err(Fault::rule(ErrorKind::InvalidInput, "not opened for writing"));
            }
            self.change(|change, object| change.set_len(object, len))
        };
        set().map_err(self.wrap("set_len"))
    }

    /// Makes the file at least `offset + len` bytes long, if so many bytes would fit (`fallocate`). Nothing is set aside:
    /// a later write can still meet the limit, if others were faster.
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at); `InvalidInput` if `len` is 0.
    pub fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.range(len, |change, object| change.allocate(object, offset, len))
            .map_err(self.wrap("allocate"))
    }

    /// Turns a range into zeros, and into a hole as far as it covers whole chunks of 64 KiB; the length stays
    /// (`fallocate` with `FALLOC_FL_PUNCH_HOLE`).
    ///
    /// # Errors
    ///
    /// As [`write_at`](Self::write_at); `InvalidInput` if `len` is 0.
    pub fn punch_hole(&self, offset: u64, len: u64) -> Result<()> {
        self.range(len, |change, object| change.punch_hole(object, offset, len))
            .map_err(self.wrap("punch_hole"))
    }

    fn range(
        &self,
        len: u64,
        act: impl FnOnce(&mut Change<'_>, Object) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if len == 0 {
            return Err(Fault::rule(ErrorKind::InvalidInput, "a range of no bytes"));
        }
        self.write_change(act)
    }

    /// Copies up to `len` bytes from here to another file, of this container or any other (`copy_file_range`). Returns how
    /// many; fewer at the end. Whole chunks are shared, not copied.
    ///
    /// # Errors
    ///
    /// As [`read_at`](Self::read_at) here and [`write_at`](Self::write_at) there; `BadHandle` if `to` appends;
    /// `InvalidInput` if the two ranges are of one file and overlap.
    pub fn copy_range(&self, offset: u64, to: &Self, to_offset: u64, len: u64) -> Result<u64> {
        let copy = || {
            // As Linux asks: what both are, and only then what they were opened for.
            to.content(|_| Ok(()))?;
            let len = self.content(|content| Ok(content.len().saturating_sub(offset).min(len)))?;
            if !self.access.read || !to.access.write || to.access.append {
                return Err(ErrorKind::BadHandle.into());
            }
            let overlaps =
                offset < to_offset.saturating_add(len) && to_offset < offset.saturating_add(len);
            if self.is_same(to) && overlaps {
                return Err(Fault::rule(ErrorKind::InvalidInput, "the ranges overlap"));
            }
            let data = self.content(|content| Ok(content.read(offset, len)?))?;
            to.write_change(|change, object| change.write(object, Some(to_offset), &data))?;
            Ok(data.len() as u64)
        };
        copy().map_err(|fault| Error::between("copy_range", &self.path, &to.path, fault))
    }

    fn is_same(&self, other: &Self) -> bool {
        match (&self.backing, &other.backing) {
            (
                Backing::Container { core, object, .. },
                Backing::Container { core: other, object: other_object, .. },
            ) => Arc::ptr_eq(core, other) && object.ino() == other_object.ino(),
            _ => false,
        }
    }

    /// Where the next data at or after `offset` lies (`SEEK_DATA`). The position stays.
    ///
    /// # Errors
    ///
    /// - `NoDevice`: none follows (as Linux says it). `InvalidInput`: a directory. `StaleHandle`.
    pub fn next_data(&self, offset: u64) -> Result<u64> {
        self.seek_content(|content| content.next_data(offset)).map_err(self.wrap("next_data"))
    }

    /// Where the next hole at or after `offset` begins; the end of the file counts as one (`SEEK_HOLE`).
    ///
    /// # Errors
    ///
    /// As [`next_data`](Self::next_data).
    pub fn next_hole(&self, offset: u64) -> Result<u64> {
        self.seek_content(|content| content.next_hole(offset)).map_err(self.wrap("next_hole"))
    }

    /// lseek(2): a directory has neither data nor holes.
    fn seek_content(&self, next: impl FnOnce(&Content) -> Option<u64>) -> Result<u64, Fault> {
        self.look(|inode| match &inode.node {
            Node::File(content) => Ok(next(content).ok_or(ErrorKind::NoDevice)?),
            _ => Err(ErrorKind::InvalidInput.into()),
        })
    }

    /// Does nothing, like [`std::fs::File::sync_all`] on a filesystem in memory: what is written is there.
    ///
    /// # Errors
    ///
    /// None.
    pub fn sync_all(&self) -> Result<()> {
        Ok(())
    }
}

/// Attributes
impl File {
    /// What is known of the object, like [`std::fs::File::metadata`].
    ///
    /// # Errors
    ///
    /// - `StaleHandle`: a transaction that made it was rolled back.
    pub fn metadata(&self) -> Result<Metadata> {
        let ino = match &self.backing {
            Backing::View(_, ino) => *ino,
            Backing::Container { object, .. } => object.ino(),
        };
        self.look(|inode| Ok(inode.metadata(ino))).map_err(self.wrap("metadata"))
    }

    /// Changes mode, owner and times, in one step.
    ///
    /// # Errors
    ///
    /// As [`Container::set_attrs`](crate::Container::set_attrs).
    pub fn set_attrs(&self, attrs: Attrs) -> Result<()> {
        self.change(|change, object| change.set_attrs(object, &attrs))
            .map_err(self.wrap("set_attrs"))
    }

    /// The value of an extended attribute.
    ///
    /// # Errors
    ///
    /// As [`Container::xattr`](crate::Container::xattr); `StaleHandle`.
    pub fn xattr(&self, name: impl AsRef<[u8]>) -> Result<Bytes> {
        self.look(|inode| xattr::get(self.credentials(), inode, name.as_ref()))
            .map_err(self.wrap("xattr"))
    }

    /// The names of all extended attributes, sorted; those in `trusted.` only to root.
    ///
    /// # Errors
    ///
    /// - `StaleHandle`.
    pub fn xattrs(&self) -> Result<Vec<std::ffi::OsString>> {
        self.look(|inode| Ok(xattr::names(self.credentials(), inode))).map_err(self.wrap("xattrs"))
    }

    /// Sets an extended attribute.
    ///
    /// # Errors
    ///
    /// As [`Container::set_xattr`](crate::Container::set_xattr).
    pub fn set_xattr(
        &self,
        name: impl AsRef<[u8]>,
        value: impl Into<Bytes>,
        mode: XattrMode,
    ) -> Result<()> {
        let value = value.into();
        self.change(|change, object| change.set_xattr(object, name.as_ref(), value, mode))
            .map_err(self.wrap("set_xattr"))
    }

    /// Removes an extended attribute.
    ///
    /// # Errors
    ///
    /// As [`Container::remove_xattr`](crate::Container::remove_xattr).
    pub fn remove_xattr(&self, name: impl AsRef<[u8]>) -> Result<()> {
        self.change(|change, object| change.remove_xattr(object, name.as_ref()))
            .map_err(self.wrap("remove_xattr"))
    }

    /// The entries of an open directory, at this moment. None if it was removed. Volumes that are mounted in it do not show.
    ///
    /// # Errors
    ///
    /// - `NotADirectory`.
    pub fn read_dir(&self) -> Result<ReadDir> {
        let list = || match &self.backing {
            Backing::View(view, ino) => list(World::of(view.tree().clone()), *ino),
            Backing::Container { core, object, .. } => {
                let (removed, world) = core.store.read(|state| {
                    let inode = state.inode(*object).ok_or(ErrorKind::StaleHandle)?;
                    if !inode.is_dir() {
                        return Err(Fault::from(ErrorKind::NotADirectory));
                    }
                    Ok((inode.nlink == 0, World::of(state.tree.clone())))
                })?;
                // A directory that was removed was empty, or was removed with all that was in it.
                if removed { Ok(ReadDir::none()) } else { list(world, object.ino()) }
            }
        };
        list().map_err(self.wrap("read_dir"))
    }

    /// One more handle on the same object, with a position of its own, which starts where this one is.
    ///
    /// # Panics
    ///
    /// If called by a [`Source`](crate::Source) while the container of an open file changes.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let backing = match &self.backing {
            Backing::View(view, ino) => Backing::View(view.clone(), *ino),
            Backing::Container { core, mount, settings, object } => {
                if let Object::Open(id, _) = object {
                    let reopened = core.store.quietly(|live| {
                        live.reopen(*id);
                        Ok(())
                    });
                    reopened.expect("because only a source could be in the way");
                }
                Backing::Container {
                    core: Arc::clone(core),
                    mount: mount.clone(),
                    settings: Arc::clone(settings),
                    object: *object,
                }
            }
        };
        let position = Mutex::new(*self.position.lock());
        Self { backing, access: self.access, position, path: self.path.clone() }
    }
}

fn list(world: World, dir: Ino) -> Result<ReadDir, Fault> {
    world.root.expect_dir(dir)?;
    let path = world.root.path_of_dir(dir);
    ReadDir::open(&Arc::new(world), Place { mount: 0, ino: dir }, path)
}

impl Drop for File {
    fn drop(&mut self) {
        if let Backing::Container { core, object: Object::Open(id, _), .. } = &self.backing {
            // From inside a source the object cannot be let go; it goes with the container.
            drop(core.store.close(*id));
        }
    }
}

impl Read for &File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut position = self.position.lock();
        let read = self.read_into(buf, *position).map_err(self.wrap("read"))?;
        *position += read as u64;
        Ok(read)
    }
}

impl Write for &File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut position = self.position.lock();
        let start = self.write_from(buf, *position).map_err(self.wrap("write"))?;
        *position = start + buf.len() as u64;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for &File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut position = self.position.lock();
        let moved = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => position.checked_add_signed(by),
            SeekFrom::End(by) => {
                let len = self.look(|inode| Ok(inode.len())).map_err(self.wrap("seek"))?;
                len.checked_add_signed(by)
            }
        };
        let rule = || Fault::rule(ErrorKind::InvalidInput, "before the start, or past 2^63 - 1");
        let valid = moved.filter(|&offset| i64::try_from(offset).is_ok());
        *position = valid.ok_or_else(|| self.wrap("seek")(rule()))?;
        Ok(*position)
    }
}

impl Read for File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Write for File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        (&*self).seek(to)
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File(\"{}\")", self.path.escape_ascii())
    }
}
