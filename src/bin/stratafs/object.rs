//! The objects of an image, one by one, in the order in which they are listed.

use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::vec;

use bytes::Bytes;
use stratafs::{DirEntry, File, FileType, Metadata, ReadDir, View};

use crate::failure::{Failure, Result};
use crate::name::shown;

/// An object under one of its names.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    Root(View),
    Named(DirEntry),
}

impl Object {
    /// What a path leads to. A symbolic link at its end is the link itself, unless the path ends in `/`.
    pub(crate) fn at(view: &View, path: &Path) -> Result<Self> {
        let real = real_path(view, path)?;
        let (Some(above), Some(name)) = (real.parent(), real.file_name()) else {
            return Ok(Self::Root(view.clone()));
        };
        let mut siblings = view.read_dir(above)?;
        let found = siblings.find(|entry| entry.name() == name.as_bytes());
        found.map(Self::Named).ok_or_else(|| {
            Failure::new(format_args!("{}: it is there, but not listed", shown(path)))
        })
    }

    /// The path from the root, without a leading `/`; of the root itself "".
    pub(crate) fn path(&self) -> Vec<u8> {
        match self {
            Self::Root(_) => Vec::new(),
            Self::Named(entry) => entry.path().as_os_str().as_bytes()[1..].to_vec(),
        }
    }

    /// The last name of the path; of the root ".".
    pub(crate) fn name(&self) -> &[u8] {
        match self {
            Self::Root(_) => b".",
            Self::Named(entry) => entry.name(),
        }
    }

    pub(crate) fn file_type(&self) -> FileType {
        match self {
            Self::Root(_) => FileType::Dir,
            Self::Named(entry) => entry.file_type(),
        }
    }

    pub(crate) fn metadata(&self) -> Result<Metadata> {
        match self {
            Self::Root(view) => Ok(view.metadata("/")?),
            Self::Named(entry) => Ok(entry.metadata()),
        }
    }

    pub(crate) fn xattrs(&self) -> Result<Vec<(OsString, Bytes)>> {
        match self {
            Self::Root(view) => {
                let value = |name: OsString| Ok((name.clone(), view.xattr("/", name.as_bytes())?));
                view.xattrs("/")?.into_iter().map(value).collect()
            }
            Self::Named(entry) => Ok(entry.xattrs()),
        }
    }

    pub(crate) fn read_link(&self) -> Option<PathBuf> {
        match self {
            Self::Root(_) => None,
            Self::Named(entry) => entry.read_link(),
        }
    }

    pub(crate) fn open(&self) -> Result<File> {
        match self {
            Self::Root(view) => Ok(view.open("/")?),
            Self::Named(entry) => Ok(entry.open()?),
        }
    }

    /// What is in it, by name. Of a directory.
    pub(crate) fn read_dir(&self) -> Result<ReadDir> {
        match self {
            Self::Root(view) => Ok(view.read_dir("/")?),
            Self::Named(entry) => Ok(entry.read_dir()?),
        }
    }

    /// Everything below it, in the order of the bytes of whole paths.
    pub(crate) fn below(&self) -> Result<Below> {
        let open = if self.file_type().is_dir() { vec![steps(self.read_dir()?)] } else { vec![] };
        Ok(Below { open })
    }
}

/// A path without symbolic links, `.` and `..`, but for a link at its end.
pub(crate) fn real_path(view: &View, path: &Path) -> Result<PathBuf> {
    view.symlink_metadata(path)?;
    let bytes = path.as_os_str().as_bytes();
    let (above, name) = match bytes.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&bytes[..=slash], &bytes[slash + 1..]),
        None => (&b"/"[..], bytes),
    };
    if matches!(name, b"" | b"." | b"..") {
        return Ok(view.canonicalize(path)?);
    }
    let above = view.canonicalize(OsStr::from_bytes(above))?;
    Ok(above.join(OsStr::from_bytes(name)))
}

/// Everything below a directory, see [`Object::below`].
pub(crate) struct Below {
    open: Vec<vec::IntoIter<Step>>,
}

/// A name and what is below it are two steps: in the order of bytes `d-` stands between `d` and `d/a`.
enum Step {
    Entry(DirEntry),
    Into(DirEntry),
}

impl Step {
    /// A name has no `/`, so what is below a directory stands together, at the place of the name and a `/`.
    fn compare(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }

    fn bytes(&self) -> impl Iterator<Item = &u8> {
        let (entry, slash) = match self {
            Self::Entry(entry) => (entry, &b""[..]),
            Self::Into(entry) => (entry, &b"/"[..]),
        };
        entry.name().iter().chain(slash)
    }
}

fn steps(dir: ReadDir) -> vec::IntoIter<Step> {
    let mut steps = Vec::with_capacity(dir.len());
    for entry in dir {
        if entry.file_type().is_dir() {
            steps.push(Step::Into(entry.clone()));
        }
        steps.push(Step::Entry(entry));
    }
    steps.sort_by(Step::compare);
    steps.into_iter()
}

impl Iterator for Below {
    type Item = Result<Object>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.open.last_mut()?.next() {
                Some(Step::Entry(entry)) => return Some(Ok(Object::Named(entry))),
                Some(Step::Into(entry)) => match entry.read_dir() {
                    Ok(dir) => self.open.push(steps(dir)),
                    Err(error) => return Some(Err(error.into())),
                },
                None => drop(self.open.pop()),
            }
        }
    }
}
