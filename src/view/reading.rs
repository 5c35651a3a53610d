//! Reading, the same for views and containers.

use std::sync::Arc;

use bytes::Bytes;

use crate::content::Content;
use crate::credentials::Access;
use crate::error::{ErrorKind, Fault};
use crate::tree::Node;
use crate::walk::{Follow, Place, Space};

/// The bytes of a file.
pub(crate) fn read(space: &Space<'_>, path: &[u8]) -> Result<(Place, Bytes), Fault> {
    let place = space.lookup(path, Follow::Yes)?;
    let inode = space.inode(place);
    space.creds.check(inode, Access::READ)?;
    match &inode.node {
        Node::File(content) => Ok((place, content.read(0, u64::MAX)?)),
        Node::Dir(_) => Err(ErrorKind::IsADirectory.into()),
        _ => Err(ErrorKind::NoDevice.into()),
    }
}

/// The contents and the mode of a file that may be read.
pub(crate) fn file_to_copy(space: &Space<'_>, path: &[u8]) -> Result<(Content, u32), Fault> {
    let inode = space.inode(space.lookup(path, Follow::Yes)?);
    space.creds.check(inode, Access::READ)?;
    match &inode.node {
        Node::File(content) => Ok((content.clone(), inode.mode)),
        Node::Dir(_) => Err(ErrorKind::IsADirectory.into()),
        _ => Err(ErrorKind::NoDevice.into()),
    }
}

pub(crate) fn read_link(space: &Space<'_>, path: &[u8]) -> Result<Arc<[u8]>, Fault> {
    match &space.inode(space.lookup(path, Follow::No)?).node {
        Node::Symlink(target) => Ok(Arc::clone(target)),
        _ => Err(Fault::rule(ErrorKind::InvalidInput, "not a symbolic link")),
    }
}

/// The path without symbolic links, `.` and `..`, from the root.
pub(crate) fn canonicalize(space: &Space<'_>, path: &[u8]) -> Result<Vec<u8>, Fault> {
    let walk = space.walk(path, Follow::Yes)?;
    let place = walk.existing(space)?;
    let path = match walk.last {
        crate::walk::Last::Name(name) => crate::path::join(&space.path_of_dir(walk.dir), name),
        _ => space.path_of_dir(place),
    };
    Ok([b"/", &*path].concat())
}

/// Writes the reading methods for a type that has `see`, `world` and `was_read`.
///
/// One text for both, so that a view and a container cannot come to differ.
macro_rules! reading_methods {
    ($type:ident) => {
        /// Reading
        impl $type {
            /// The whole contents of a file, like [`std::fs::read`]. No copy if they were written in one piece.
            ///
            /// O(1) for such files whose path has no symbolic link, else O(components of the path + bytes).
            ///
            /// # Errors
            ///
            /// As [`metadata`](Self::metadata); `IsADirectory`; `PermissionDenied`; `NoDevice` for fifos, sockets and
            /// devices, which are data here; `Io` if the [`Source`](crate::Source) of the file failed.
            pub fn read(&self, path: impl AsRef<std::path::Path>) -> $crate::Result<bytes::Bytes> {
                let path = $crate::path::bytes(path.as_ref());
                let (place, bytes) = self
                    .see(|space| $crate::view::read(space, path))
                    .map_err(|fault| $crate::Error::new("read", path, fault))?;
                self.was_read(place);
                Ok(bytes)
            }

            /// The whole contents of a file as text, like [`std::fs::read_to_string`].
            ///
            /// # Errors
            ///
            /// As [`read`](Self::read); `InvalidInput` if it is not UTF-8.
            pub fn read_to_string(
                &self,
                path: impl AsRef<std::path::Path>,
            ) -> $crate::Result<String> {
                let bytes = self.read(path.as_ref())?;
                String::from_utf8(bytes.into()).map_err(|_| {
                    let rule =
                        $crate::error::Fault::rule($crate::ErrorKind::InvalidInput, "not UTF-8");
                    $crate::Error::new("read_to_string", $crate::path::bytes(path.as_ref()), rule)
                })
            }

            /// What is known of the object that a path leads to, like [`std::fs::metadata`].
            ///
            /// One probe of a hash table where the path has no symbolic link, whatever the number of layers; else
            /// O(components).
            ///
            /// # Errors
            ///
            /// - `NotFound`, `NotADirectory`: something on the way, or at its end, is not there or is no directory.
            /// - `PermissionDenied`: a directory on the way may not be searched.
            /// - `FilesystemLoop`: more than 40 symbolic links.
            /// - `NameTooLong`: a name of more than 255 bytes, a path of more than 4095.
            /// - `InvalidInput`: a NUL byte.
            pub fn metadata(
                &self,
                path: impl AsRef<std::path::Path>,
            ) -> $crate::Result<$crate::Metadata> {
                let path = $crate::path::bytes(path.as_ref());
                self.stat("metadata", path, $crate::walk::Follow::Yes)
            }

            /// The same of a symbolic link itself, like [`std::fs::symlink_metadata`].
            ///
            /// # Errors
            ///
            /// As [`metadata`](Self::metadata).
            pub fn symlink_metadata(
                &self,
                path: impl AsRef<std::path::Path>,
            ) -> $crate::Result<$crate::Metadata> {
                let path = $crate::path::bytes(path.as_ref());
                self.stat("symlink_metadata", path, $crate::walk::Follow::No)
            }

            fn stat(
                &self,
                op: &'static str,
                path: &[u8],
                follow: $crate::walk::Follow,
            ) -> $crate::Result<$crate::Metadata> {
                self.see(|space| {
                    let place = space.lookup(path, follow)?;
                    Ok(space.inode(place).metadata(place.ino))
                })
                .map_err(|fault: $crate::error::Fault| $crate::Error::new(op, path, fault))
            }

            /// Whether a path leads to something, like [`std::fs::exists`].
            ///
            /// # Errors
            ///
            /// As [`metadata`](Self::metadata), but for `NotFound` and `NotADirectory`, which mean no.
            pub fn exists(&self, path: impl AsRef<std::path::Path>) -> $crate::Result<bool> {
                let path = $crate::path::bytes(path.as_ref());
                match self.see(|space| space.lookup(path, $crate::walk::Follow::Yes)) {
                    Ok(_) => Ok(true),
                    Err($crate::error::Fault::Kind(
                        $crate::ErrorKind::NotFound | $crate::ErrorKind::NotADirectory,
                    )) => Ok(false),
                    Err(fault) => Err($crate::Error::new("exists", path, fault)),
                }
            }

            /// The target of a symbolic link, like [`std::fs::read_link`].
            ///
            /// # Errors
            ///
            /// As [`metadata`](Self::metadata); `InvalidInput` if it is no symbolic link.
            pub fn read_link(
                &self,
                path: impl AsRef<std::path::Path>,
            ) -> $crate::Result<std::path::PathBuf> {
                let path = $crate::path::bytes(path.as_ref());
                let target = self.see(|space| $crate::view::read_link(space, path));
                Ok($crate::path::to_path_buf(
                    &target.map_err(|fault| $crate::Error::new("read_link", path, fault))?,
                ))
            }

            /// The path from the root without symbolic links, `.` and `..`, like [`std::fs::canonicalize`]. O(components).
            ///
            /// # Errors
            ///
            /// As [`metadata`](Self::metadata).
            pub fn canonicalize(
                &self,
                path: impl AsRef<std::path::Path>,
            ) -> $crate::Result<std::path::PathBuf> {
                let path = $crate::path::bytes(path.as_ref());
                let real = self.see(|space| $crate::view::canonicalize(space, path));
                Ok($crate::path::to_path_buf(
                    &real.map_err(|fault| $crate::Error::new("canonicalize", path, fault))?,
                ))
            }

            /// The entries of a directory, like [`std::fs::read_dir`], sorted by name. O(entries).
            ///
            /// # Errors
            ///
            /// As [`metadata`](Self::metadata); `NotADirectory`; `PermissionDenied`.
            pub fn read_dir(
                &self,
                path: impl AsRef<std::path::Path>,
            ) -> $crate::Result<$crate::ReadDir> {
                let path = $crate::path::bytes(path.as_ref());
                self.list(path)
                    .map(|(_, dir)| dir)
                    .map_err(|fault| $crate::Error::new("read_dir", path, fault))
            }

            /// Everything below a directory, at this moment. O(names).
            ///
            /// # Errors
            ///
            /// As [`read_dir`](Self::read_dir).
            pub fn walk(&self, path: impl AsRef<std::path::Path>) -> $crate::Result<$crate::Walk> {
                let path = $crate::path::bytes(path.as_ref());
                let (world, dir) =
                    self.list(path).map_err(|fault| $crate::Error::new("walk", path, fault))?;
                Ok($crate::Walk::new(world, dir))
            }

            fn list(
                &self,
                path: &[u8],
            ) -> Result<(std::sync::Arc<$crate::view::World>, $crate::ReadDir), $crate::error::Fault> {
                let world = std::sync::Arc::new(self.world());
                let (place, real) = world.see(|space| {
                    let place = space.lookup(path, $crate::walk::Follow::Yes)?;
                    space.tree(place).expect_dir(place.ino)?;
                    Ok::<_, $crate::error::Fault>((place, space.path_of_dir(place)))
                })?;
                let dir = $crate::ReadDir::open(&world, place, real)?;
                Ok((world, dir))
            }

            /// The value of an extended attribute, such as `user.comment`. Symbolic links are followed.
            ///
            /// # Errors
            ///
            /// - As [`metadata`](Self::metadata).
            /// - `NoData`: there is none of this name, or it is in `trusted.` and these credentials are not root's.
            /// - `PermissionDenied`; `OutOfRange`, `InvalidInput`, `Unsupported`: no attribute can have this name.
            pub fn xattr(
                &self,
                path: impl AsRef<std::path::Path>,
                name: impl AsRef<[u8]>,
            ) -> $crate::Result<bytes::Bytes> {
                let path = $crate::path::bytes(path.as_ref());
                self.attribute("xattr", path, name.as_ref(), $crate::walk::Follow::Yes)
            }

            /// The same of a symbolic link itself, like `lgetxattr(2)`.
            ///
            /// # Errors
            ///
            /// As [`xattr`](Self::xattr).
            ///
            /// # Examples
            ///
            /// ```
            /// use stratafs::{Image, Layer};
            ///
            /// let layer = Layer::builder().symlink("target", "/link").xattr("trusted.note", "kept").build()?;
            /// let image = Image::from_layers([layer])?;
            /// assert_eq!(image.view().symlink_xattrs("/link")?, ["trusted.note"]);
            /// assert_eq!(image.view().symlink_xattr("/link", "trusted.note")?, "kept");
            /// # Ok::<(), stratafs::Error>(())
            /// ```
            pub fn symlink_xattr(
                &self,
                path: impl AsRef<std::path::Path>,
                name: impl AsRef<[u8]>,
            ) -> $crate::Result<bytes::Bytes> {
                let path = $crate::path::bytes(path.as_ref());
                self.attribute("symlink_xattr", path, name.as_ref(), $crate::walk::Follow::No)
            }

            fn attribute(
                &self,
                op: &'static str,
                path: &[u8],
                name: &[u8],
                follow: $crate::walk::Follow,
            ) -> $crate::Result<bytes::Bytes> {
                self.see(|space| {
                    $crate::xattr::check_name(name)?;
                    let place = space.lookup(path, follow)?;
                    $crate::xattr::get(space.creds, space.inode(place), name)
                })
                .map_err(|fault| $crate::Error::new(op, path, fault))
            }

            /// The names of all extended attributes, sorted; those in `trusted.` only to root. Symbolic links are followed.
            ///
            /// # Errors
            ///
            /// As [`metadata`](Self::metadata).
            pub fn xattrs(
                &self,
                path: impl AsRef<std::path::Path>,
            ) -> $crate::Result<Vec<std::ffi::OsString>> {
                let path = $crate::path::bytes(path.as_ref());
                self.attributes("xattrs", path, $crate::walk::Follow::Yes)
            }

            /// The same of a symbolic link itself, like `llistxattr(2)`.
            ///
            /// # Errors
            ///
            /// As [`metadata`](Self::metadata).
            pub fn symlink_xattrs(
                &self,
                path: impl AsRef<std::path::Path>,
            ) -> $crate::Result<Vec<std::ffi::OsString>> {
                let path = $crate::path::bytes(path.as_ref());
                self.attributes("symlink_xattrs", path, $crate::walk::Follow::No)
            }

            fn attributes(
                &self,
                op: &'static str,
                path: &[u8],
                follow: $crate::walk::Follow,
            ) -> $crate::Result<Vec<std::ffi::OsString>> {
                self.see(|space| {
                    let place = space.lookup(path, follow)?;
                    Ok($crate::xattr::names(space.creds, space.inode(place)))
                })
                .map_err(|fault: $crate::error::Fault| $crate::Error::new(op, path, fault))
            }
        }
    };
}

pub(crate) use reading_methods;
