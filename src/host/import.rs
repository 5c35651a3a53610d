//! A real directory becomes a layer.

use std::collections::HashSet;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::readers::{Outcome, Shared, read_while};
use super::walker::{Found, State, Walker};
use super::{IMPORT, host_path};
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::layer::{Entry, Layer, What};
use crate::path;
use crate::tree::Node;

/// Makes a layer of a directory of the host, with everything that is in it. O(entries + bytes); files are read by several
/// threads.
///
/// The directory itself becomes the layer's root directory: its mode, owner, time and attributes are imported. If `path`
/// ends in a symbolic link, that one is followed; within the directory none ever is.
///
/// # Errors
///
/// Each with the host's path of the object at which it came up:
///
/// - `NotFound`, `NotADirectory`: `path` is no directory.
/// - `PermissionDenied`: something may not be read by this process.
/// - `Io`: the host failed, or a file changed while it was read.
///
/// # Examples
///
/// ```
/// use stratafs::{Image, host};
///
/// let dir = tempfile::tempdir().expect("a place to try this");
/// std::os::unix::fs::symlink("/etc/passwd", dir.path().join("out")).expect("a link");
///
/// let view = Image::from_layers([host::import(dir.path())?])?.view();
/// assert_eq!(view.read_link("/out")?.to_str(), Some("/etc/passwd")); // the link, not what it points to
/// # Ok::<(), stratafs::Error>(())
/// ```
pub fn import(path: impl AsRef<Path>) -> Result<Layer> {
    Ok(ImportOptions::new().import(path)?.layer)
}

/// What is imported, and how.
///
/// # Examples
///
/// What an ordinary user may see of a system's configuration, as if it were root's:
///
/// ```
/// use stratafs::host::ImportOptions;
///
/// let imported = ImportOptions::new().owner(0, 0).collect_unreadable(true).import("/etc")?;
/// for error in &imported.unreadable {
///     assert_eq!(error.op(), "import"); // such as: import "/etc/shadow": permission denied
/// }
/// assert!(imported.layer.len() > 1);
/// # Ok::<(), stratafs::Error>(())
/// ```
#[must_use]
pub struct ImportOptions<'a> {
    rules: Rules,
    below: PathBuf,
    progress: Box<dyn FnMut(Progress) + 'a>,
}

/// The options that are plain values.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own, set by name")]
pub(super) struct Rules {
    pub(super) overlay_upper: bool,
    pub(super) one_file_system: bool,
    pub(super) owner: Option<(u32, u32)>,
    pub(super) xattrs: bool,
    pub(super) collect_unreadable: bool,
}

/// How far an import or export has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Progress {
    /// Names found, or made.
    pub entries: u64,
    /// Bytes of files read, or written, holes not counted.
    pub bytes: u64,
}

/// What [`ImportOptions::import`] returns.
#[derive(Debug)]
#[non_exhaustive]
pub struct Imported {
    /// What could be read.
    pub layer: Layer,
    /// What could not, each with its path and the reason. Such a directory is in the layer, without its children; such
    /// an object of any other type is not. Empty unless it was asked for.
    pub unreadable: Vec<Error>,
}

impl Default for ImportOptions<'_> {
    fn default() -> Self {
        let rules = Rules {
            overlay_upper: false,
            one_file_system: false,
            owner: None,
            xattrs: true,
            collect_unreadable: false,
        };
        Self { rules, below: PathBuf::new(), progress: Box::new(|_| {}) }
    }
}

impl<'a> ImportOptions<'a> {
    /// Everything as it is; what cannot be read is an error.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the directory for an upper directory of the kernel's overlayfs, as container runtimes leave them behind.
    ///
    /// Its whiteouts (character devices 0:0, or empty files with the attribute `overlay.whiteout` in a directory marked
    /// for them) and opaque directories (`overlay.opaque`) become those of the layer, in the `trusted.` and in the `user.`
    /// spelling. Other attributes of overlayfs are left out. Without this option all of them are ordinary objects.
    ///
    /// To see `trusted.` attributes takes `CAP_SYS_ADMIN`: without it the kernel hides them, so that opaque directories of
    /// mounts that were not made with `userxattr` look like others.
    ///
    /// What overlayfs does not keep in the upper directory alone (redirected directories, files of which only the metadata
    /// was copied, indexed hard links) is refused as `Unsupported`.
    pub fn overlay_upper(mut self, yes: bool) -> Self {
        self.rules.overlay_upper = yes;
        self
    }

    /// Imports directories on which another filesystem is mounted as empty ones, as `tar --one-file-system` does. For an
    /// import of `/`.
    pub fn one_file_system(mut self, yes: bool) -> Self {
        self.rules.one_file_system = yes;
        self
    }

    /// Gives everything to this owner. By default everything keeps its own.
    pub fn owner(mut self, uid: u32, gid: u32) -> Self {
        self.rules.owner = Some((uid, gid));
        self
    }

    /// Whether extended attributes are imported. They are by default. Some, such as `security.selinux`, differ from host
    /// to host, and with them the layer's digest.
    pub fn xattrs(mut self, yes: bool) -> Self {
        self.rules.xattrs = yes;
        self
    }

    /// Puts what cannot be read into [`Imported::unreadable`] and goes on. By default it ends the import.
    pub fn collect_unreadable(mut self, yes: bool) -> Self {
        self.rules.collect_unreadable = yes;
        self
    }

    /// Where in the layer the directory comes to stand, from the root. By default it is the layer's root itself. Directories
    /// above are implied: an image shows the ones that it has, or makes them.
    ///
    /// # Examples
    ///
    /// ```
    /// use stratafs::{Image, host::ImportOptions};
    ///
    /// let dir = tempfile::tempdir().expect("a place to try this");
    /// std::fs::write(dir.path().join("run.sh"), "#!/bin/sh\n").expect("a file to import");
    ///
    /// let layer = ImportOptions::new().below("/opt/game").import(dir.path())?.layer;
    /// assert!(Image::from_layers([layer])?.view().exists("/opt/game/run.sh")?);
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    pub fn below(mut self, path: impl AsRef<Path>) -> Self {
        self.below = path.as_ref().into();
        self
    }

    /// Calls `report` after each entry, on the thread that imports.
    pub fn progress(mut self, report: impl FnMut(Progress) + 'a) -> Self {
        self.progress = Box::new(report);
        self
    }

    /// Imports a directory: [`import`](fn@import) with these options.
    ///
    /// # Errors
    ///
    /// As [`import`](fn@import); those of single entries are collected, if that was asked for.
    ///
    /// - `Unsupported`: see [`overlay_upper`](Self::overlay_upper).
    /// - `InvalidInput`, `NameTooLong`: [`below`](Self::below) leaves the root, or no directory can be called so.
    /// - `Io`: a directory was moved while it was imported. Always ends the import: the way back is lost.
    pub fn import(self, path: impl AsRef<Path>) -> Result<Imported> {
        self.import_path(path::bytes(path.as_ref()))
    }

    fn import_path(mut self, root: &[u8]) -> Result<Imported> {
        let below = path::normalise(path::bytes(&self.below))
            .map_err(|kind| Error::new(IMPORT, path::bytes(&self.below), kind))?;
        let dir = open_root(root)?;
        let (rules, shared) = (self.rules, Shared::default());
        let progress = &mut *self.progress;
        let (walked, outcomes) = read_while(&shared, |jobs| {
            let state = State::default();
            Walker { rules, root, shared: &shared, jobs, progress, state }.walk(dir)
        });
        let Found { entries, mut unreadable } = settle(walked?, outcomes, root);
        if !rules.collect_unreadable && !unreadable.is_empty() {
            return Err(unreadable.swap_remove(0));
        }
        let layer = Layer::from_entries(moved(entries, &below))?;
        Ok(Imported { layer, unreadable })
    }
}

/// The same entries in a directory further down.
fn moved(mut entries: Vec<Entry>, below: &[u8]) -> Vec<Entry> {
    if below.is_empty() {
        return entries;
    }
    let move_path = |path: &mut Box<[u8]>| {
        *path = if path.is_empty() { below.into() } else { path::join(below, path).into() };
    };
    for Entry { path, what } in &mut entries {
        move_path(path);
        if let What::Link(target) = what {
            move_path(target);
        }
    }
    entries
}

fn open_root(path: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| Error::new(IMPORT, path, errno))
}

/// Gives the files their bytes; those that have none, and their other names, go to what is unreadable.
fn settle(found: Found, mut outcomes: Vec<Outcome>, root: &[u8]) -> Found {
    let Found { mut entries, mut unreadable } = found;
    outcomes.sort_unstable_by_key(|(entry, _)| *entry);
    let mut lost = HashSet::new();
    for (entry, outcome) in outcomes {
        let Entry { path, what } = &mut entries[entry];
        match (outcome, what) {
            (Ok(content), What::Object { inode, .. }) => inode.node = Node::File(content),
            (Ok(_), _) => unreachable!("because only objects are sent to be read"),
            (Err(fault), _) => {
                unreadable.push(Error::new(IMPORT, &host_path(root, path), fault));
                lost.insert(path.clone());
            }
        }
    }
    if !lost.is_empty() {
        entries.retain(|Entry { path, what }| match what {
            What::Link(first) if lost.contains(first) => {
                let rule = "one more name of a file that could not be read";
                let fault = Fault::rule(ErrorKind::Io, rule);
                unreadable.push(Error::new(IMPORT, &host_path(root, path), fault));
                false
            }
            _ => !lost.contains(path),
        });
    }
    Found { entries, unreadable }
}

impl fmt::Debug for ImportOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImportOptions({:?})", self.rules)
    }
}
