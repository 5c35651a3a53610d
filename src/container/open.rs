//! Opening files.

use std::path::Path;

use super::changing::{file_to_make, found_or_dir};
use super::file::{Access as Granted, File};
use super::gate::Change;
use super::{Container, Object, Pass, Spot};
use crate::attr::MODE_MASK;
use crate::content::Content;
use crate::credentials::Access;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::path;
use crate::tree::Node;
use crate::walk::{Follow, Place, Space};

/// How a file is opened: [`std::fs::OpenOptions`], and what Unix adds to it.
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use stratafs::{Image, OpenOptions};
///
/// let container = Image::scratch().container();
/// let mut log = container.open_with("/log", OpenOptions::new().append(true).create(true).mode(0o600))?;
/// log.write_all(b"started\n")?;
/// assert_eq!(container.metadata("/log")?.mode(), 0o600);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[expect(clippy::struct_excessive_bools, reason = "std::fs::OpenOptions is this list of flags")]
pub struct OpenOptions {
    read: bool,
    write: bool,
    append: bool,
    truncate: bool,
    create: bool,
    create_new: bool,
    directory: bool,
    no_follow: bool,
    temporary: bool,
    mode: u32,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl OpenOptions {
    /// Nothing set; new files get 0666 less the umask.
    pub fn new() -> Self {
        Self {
            read: false,
            write: false,
            append: false,
            truncate: false,
            create: false,
            create_new: false,
            directory: false,
            no_follow: false,
            temporary: false,
            mode: 0o666,
        }
    }

    /// For reading.
    pub fn read(&mut self, read: bool) -> &mut Self {
        self.read = read;
        self
    }

    /// For writing. Nothing changes until something is written.
    pub fn write(&mut self, write: bool) -> &mut Self {
        self.write = write;
        self
    }

    /// For writing, always at the end.
    pub fn append(&mut self, append: bool) -> &mut Self {
        self.append = append;
        self
    }

    /// Cut to no bytes.
    pub fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.truncate = truncate;
        self
    }

    /// Made if it is missing.
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.create = create;
        self
    }

    /// Made; `AlreadyExists` if anything, even a symbolic link to nowhere, is there.
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.create_new = create_new;
        self
    }

    /// Only a directory (`O_DIRECTORY`).
    pub fn directory(&mut self, directory: bool) -> &mut Self {
        self.directory = directory;
        self
    }

    /// `FilesystemLoop` if a symbolic link is there (`O_NOFOLLOW`).
    pub fn no_follow(&mut self, no_follow: bool) -> &mut Self {
        self.no_follow = no_follow;
        self
    }

    /// A file without a name in the directory that the path leads to (`O_TMPFILE`). It is gone with its last handle,
    /// unless [`Container::link_file`] gives it a name.
    pub fn temporary(&mut self, temporary: bool) -> &mut Self {
        self.temporary = temporary;
        self
    }

    /// The mode of a new file, of which the umask is taken off.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = mode & 0o7777;
        self
    }

    fn writes(&self) -> bool {
        self.write || self.append
    }

    fn creates(&self) -> bool {
        self.create || self.create_new
    }

    /// The combinations that [`std::fs::OpenOptions`] refuses.
    fn check(&self) -> Result<(), Fault> {
        let rule = match () {
            () if !self.read && !self.writes() => "neither for reading nor for writing",
            () if (self.truncate || self.creates() || self.temporary) && !self.writes() => {
                "truncate, create and temporary need write or append"
            }
            () if self.truncate && self.append && !self.create_new => "truncate and append",
            () if self.directory && self.creates() => "directory and create",
            () => return Ok(()),
        };
        Err(Fault::rule(ErrorKind::InvalidInput, rule))
    }

    fn granted(&self) -> Granted {
        Granted { read: self.read, write: self.writes(), append: self.append }
    }
}

/// Opening
impl Container {
    /// Opens a file or directory for reading, like [`std::fs::File::open`]. The handle sees later writes, whoever makes
    /// them, and keeps the object when its name is removed or replaced.
    ///
    /// # Errors
    ///
    /// - As [`metadata`](Self::metadata); `PermissionDenied`; `NoDevice` for fifos, sockets and devices, which are data here.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<File> {
        self.open_with(path, OpenOptions::new().read(true))
    }

    /// Makes a file or cuts it to no bytes, and opens it for writing, like [`std::fs::File::create`].
    ///
    /// # Errors
    ///
    /// As [`open_with`](Self::open_with).
    pub fn create(&self, path: impl AsRef<Path>) -> Result<File> {
        self.open_with(path, OpenOptions::new().write(true).create(true).truncate(true))
    }

    /// Opens a file as `options` say, like [`std::fs::OpenOptions::open`].
    ///
    /// # Errors
    ///
    /// - As [`metadata`](Self::metadata), [`write`](Self::write) and [`create_dir`](Self::create_dir).
    /// - `IsADirectory`: a directory for writing; `NotADirectory`, `FilesystemLoop`, `AlreadyExists`: as the options ask.
    /// - `InvalidInput`: options that exclude each other.
    pub fn open_with(&self, path: impl AsRef<Path>, options: &OpenOptions) -> Result<File> {
        let path = path::bytes(path.as_ref());
        options
            .check()
            .and_then(|()| self.open_at(path, options))
            .map_err(|fault| Error::new("open", path, fault))
    }

    fn open_at(&self, path: &[u8], options: &OpenOptions) -> Result<File, Fault> {
        let follow = match () {
            () if options.create_new => Follow::Never,
            () if options.no_follow => Follow::No,
            () => Follow::Yes,
        };
        let find = |space: &Space<'_>| {
            if options.creates() {
                file_to_make(space, path, follow)
            } else {
                found_or_dir(space, path, follow)
            }
        };
        // A file that is there and stays as it is needs no change: nobody else has to notice.
        let as_it_is = !options.truncate && !options.temporary && !options.create_new;
        let opened = if as_it_is {
            self.change(Pass::Open, find, |change, spot| match spot.found {
                Some(place) => self.open_found(change, &spot, place, options).map(Some),
                None if options.create => Ok(None),
                None => Err(ErrorKind::NotFound.into()),
            })?
        } else {
            None
        };
        let (mount, object) = match opened {
            Some(opened) => opened,
            None => self.change(Pass::Change, find, |change, spot| match spot.found {
                Some(place) if options.temporary => {
                    let (id, ino) = change.create_unnamed(place.ino, options.mode & MODE_MASK)?;
                    Ok((place.mount, Object::Open(id, ino)))
                }
                Some(place) => self.open_found(change, &spot, place, options),
                None => open_new(change, &spot, options),
            })?,
        };
        let (core, mounted) = (self.core_of(mount), self.mounted(mount));
        Ok(File::of_container(core, mounted, &self.settings, object, options.granted(), path))
    }

    fn open_found(
        &self,
        change: &mut Change<'_>,
        spot: &Spot,
        place: Place,
        options: &OpenOptions,
    ) -> Result<(usize, Object), Fault> {
        let object = Object::Named(place.ino);
        let inode = change.get(object)?;
        if options.create_new {
            return Err(ErrorKind::AlreadyExists.into());
        }
        if spot.dir_only && options.create {
            return Err(ErrorKind::IsADirectory.into());
        }
        match &inode.node {
            Node::Dir(_) if options.writes() => return Err(ErrorKind::IsADirectory.into()),
            Node::Dir(_) => {}
            Node::Symlink(_) if options.directory => return Err(ErrorKind::NotADirectory.into()),
            Node::Symlink(_) => return Err(ErrorKind::FilesystemLoop.into()),
            _ if options.directory || spot.dir_only => return Err(ErrorKind::NotADirectory.into()),
            Node::File(_) => {}
            _ => {
                return Err(Fault::rule(
                    ErrorKind::NoDevice,
                    "fifos, sockets and devices are data here",
                ));
            }
        }
        if options.read {
            change.creds.check(inode, Access::READ)?;
        }
        if options.writes() {
            change.creds.check(inode, Access::WRITE)?;
            self.check_writable(place.mount)?;
        }
        if options.truncate {
            change.set_len(object, 0)?;
        }
        Ok((place.mount, Object::Open(change.live.open(place.ino), place.ino)))
    }

    /// Gives an open file one more name, also one that never had any, or lost it (`linkat` with `AT_EMPTY_PATH`).
    ///
    /// # Errors
    ///
    /// - As [`hard_link`](Self::hard_link); `CrossesDevices` if the file is of another container or volume.
    /// - `StaleHandle`: the container went back to a state in which the file has a name. The handle keeps the file as it
    ///   was before that; both at once would be two files of one inode number.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write;
    /// use stratafs::{Image, OpenOptions};
    ///
    /// let container = Image::scratch().container();
    /// let mut save = container.open_with("/", OpenOptions::new().write(true).temporary(true))?;
    /// save.write_all(b"level 7")?;
    /// container.link_file(&save, "/save")?; // whole, or not at all
    /// assert_eq!(container.read("/save")?, "level 7");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn link_file(&self, file: &File, link: impl AsRef<Path>) -> Result<()> {
        let path = path::bytes(link.as_ref());
        let find = |space: &Space<'_>| {
            super::changing::dir_of(space, path).map(|(place, spot)| (place, (place, spot)))
        };
        self.change(Pass::Change, find, |change, (place, spot)| {
            let name = spot.name(ErrorKind::AlreadyExists)?;
            if spot.found.is_some() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            let object =
                file.object_in(self.core_of(place.mount)).ok_or(ErrorKind::CrossesDevices)?;
            change.link(object, place.ino, name)
        })
        .map_err(|fault| Error::new("link_file", path, fault))
    }
}

fn open_new(
    change: &mut Change<'_>,
    spot: &Spot,
    options: &OpenOptions,
) -> Result<(usize, Object), Fault> {
    if !options.creates() {
        return Err(ErrorKind::NotFound.into());
    }
    let name = spot.name(ErrorKind::IsADirectory)?;
    let ino =
        change.create(spot.dir.ino, name, Node::File(Content::EMPTY), options.mode & MODE_MASK)?;
    Ok((spot.dir.mount, Object::Open(change.live.open(ino), ino)))
}
