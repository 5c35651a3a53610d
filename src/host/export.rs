//! A view becomes a real directory.

use std::fmt;
use std::path::Path;

use super::folding::Names;
use super::import::Progress;
use super::policy::{DevicePolicy, Judge, OwnerPolicy, SetIdPolicy, XattrPolicy};
use super::subject::{Item, Subject};
use super::target::Target;
use super::upper;
use super::workers::work_while;
use super::writer::{State, Writer};
use super::writers::{Job, Shared};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::path;
use crate::view::View;

/// Writes all that a view shows into a directory of the host. O(entries + bytes); files are written by several threads.
///
/// The directory is made, or is empty; it gets the mode, owner, time and attributes of the view's root. What could be
/// used against the host is refused: [`ExportOptions`] has the policies. What is not as in the view is in the result.
///
/// # Errors
///
/// Each with the host's path of the object at which it came up. Before anything is written:
///
/// - `NotFound`, `NotADirectory`: there is nothing to make the directory in, or `path` is something else.
/// - `DirectoryNotEmpty`: see [`ExportOptions::replace`].
/// - `NotPermitted`: a device, setuid or setgid, or an attribute not in `user.`.
/// - `OutOfRange`: an owner whose number means "no change" to the kernel.
///
/// While it is written; a directory that the export made is then removed again with all that is in it, one that was there
/// before stays with what was written until then:
///
/// - `PermissionDenied`, `NotPermitted`, `StorageFull`, `ReadOnlyFilesystem`, `NameTooLong`, `Unsupported`: the host refused.
/// - `OutOfRange`: a device whose number the host cannot have.
/// - `AlreadyExists`: the host takes two names for one, or somebody else wrote into the directory meanwhile.
/// - `Io`: the host or a [`Source`](crate::Source) failed, or somebody moved or replaced what was just made.
///
/// # Examples
///
/// ```
/// use stratafs::{Image, Layer, host};
///
/// let view = Image::from_layers([Layer::from([("etc/motd", "hi")])])?.view();
/// let dir = tempfile::tempdir().expect("a place to try this");
/// host::export(&view, dir.path().join("out"))?;
/// assert_eq!(std::fs::read_to_string(dir.path().join("out/etc/motd")).ok().as_deref(), Some("hi"));
/// # Ok::<(), stratafs::Error>(())
/// ```
pub fn export(view: &View, path: impl AsRef<Path>) -> Result<Exported> {
    ExportOptions::new().export(view, path)
}

/// What may be exported, and how.
///
/// # Examples
///
/// Files that belong to whoever runs the program, without what only root can make:
///
/// ```
/// use stratafs::host::{DevicePolicy, ExportOptions, OwnerPolicy, SetIdPolicy, XattrPolicy};
/// use stratafs::{Attrs, Device, Image, Layer};
///
/// let layer = Layer::builder()
///     .char_device("/dev/null", Device { major: 1, minor: 3 })
///     .file("/bin/su", "#!/bin/sh\n")
///     .attrs(Attrs::new().mode(0o4755))
///     .build()?;
/// let view = Image::from_layers([layer])?.view();
/// let dir = tempfile::tempdir().expect("a place to try this");
///
/// let exported = ExportOptions::new()
///     .devices(DevicePolicy::Skip)
///     .set_ids(SetIdPolicy::Strip)
///     .xattrs(XattrPolicy::Strip)
///     .owners(OwnerPolicy::Own)
///     .export(&view, dir.path())?;
/// let told: Vec<_> = exported.differences.iter().map(|error| error.path()).collect();
/// assert_eq!(told, [dir.path().join("bin/su"), dir.path().join("dev/null")]);
/// # Ok::<(), stratafs::Error>(())
/// ```
#[must_use]
pub struct ExportOptions<'a> {
    rules: Rules,
    below: Option<View>,
    progress: Box<dyn FnMut(Progress) + 'a>,
}

/// The options that are plain values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    pub(super) devices: DevicePolicy,
    pub(super) set_ids: SetIdPolicy,
    pub(super) xattrs: XattrPolicy,
    pub(super) owners: OwnerPolicy,
    /// What the attributes of overlayfs begin with, where some are written.
    pub(super) marks: Option<&'static [u8]>,
    check_names: bool,
    replace: bool,
    user_xattr: bool,
}

/// What [`ExportOptions::export`] returns.
#[derive(Debug)]
#[non_exhaustive]
pub struct Exported {
    /// In what the directory is not what was exported, each with its path and the reason: what a policy left out or
    /// changed, and times that the filesystem cannot hold.
    pub differences: Vec<Error>,
}

impl Default for ExportOptions<'_> {
    fn default() -> Self {
        Self { rules: Rules::default(), below: None, progress: Box::new(|_| {}) }
    }
}

impl<'a> ExportOptions<'a> {
    /// An empty directory, and nothing in it that could be used against the host.
    pub fn new() -> Self {
        Self::default()
    }

    /// What becomes of devices. By default they are refused.
    pub fn devices(mut self, policy: DevicePolicy) -> Self {
        self.rules.devices = policy;
        self
    }

    /// What becomes of setuid and setgid. By default files with these bits are refused.
    pub fn set_ids(mut self, policy: SetIdPolicy) -> Self {
        self.rules.set_ids = policy;
        self
    }

    /// What becomes of extended attributes. By default those that are not in `user.` are refused.
    pub fn xattrs(mut self, policy: XattrPolicy) -> Self {
        self.rules.xattrs = policy;
        self
    }

    /// Who owns what is written. By default whoever does in the view, if this process is root's.
    pub fn owners(mut self, policy: OwnerPolicy) -> Self {
        self.rules.owners = policy;
        self
    }

    /// Gives everything to this owner: [`OwnerPolicy::All`].
    pub fn owner(self, uid: u32, gid: u32) -> Self {
        self.owners(OwnerPolicy::All(uid, gid))
    }

    /// Refuses names that are one where case does not count (`README` and `readme`), or composed and decomposed letters
    /// are the same, before anything is written. For what is to be carried on to such a filesystem; one that is written
    /// to itself tells in any case.
    pub fn check_names(mut self, yes: bool) -> Self {
        self.rules.check_names = yes;
        self
    }

    /// Allows a directory that is not empty. Directories merge; anything else of the same name is removed and made anew,
    /// never written into or through. What only the host has stays.
    ///
    /// A directory that is in the way of something else is removed only if it is empty (else `DirectoryNotEmpty`).
    pub fn replace(mut self, yes: bool) -> Self {
        self.rules.replace = yes;
        self
    }

    /// For [`export_upper`](Self::export_upper): what the layer lies over. It is needed for what the layer does not say
    /// itself: the attributes of directories that it has no entry for, and files of which it only has a new name.
    pub fn below(mut self, view: &View) -> Self {
        self.below = Some(view.clone());
        self
    }

    /// For [`export_upper`](Self::export_upper): the attributes of overlayfs in their `user.` spelling, for mounts with
    /// the option `userxattr`. By default it is `trusted.`, which takes root.
    pub fn user_xattr(mut self, yes: bool) -> Self {
        self.rules.user_xattr = yes;
        self
    }

    /// Calls `report` after each entry, on the thread that exports.
    pub fn progress(mut self, report: impl FnMut(Progress) + 'a) -> Self {
        self.progress = Box::new(report);
        self
    }

    /// Exports a view: [`export`](fn@export) with these options.
    ///
    /// # Errors
    ///
    /// - As [`export`](fn@export).
    /// - `AlreadyExists`: see [`check_names`](Self::check_names).
    pub fn export(self, view: &View, path: impl AsRef<Path>) -> Result<Exported> {
        self.run(&Subject::Tree(view.tree()), path::bytes(path.as_ref()))
    }

    /// Writes a layer as an upper directory of the kernel's overlayfs, which over a directory with what is below shows
    /// what the image shows. [`ImportOptions::overlay_upper`](super::ImportOptions::overlay_upper) is the way back.
    ///
    /// Whiteouts are character devices 0:0, which nobody can open and no policy refuses; opaque directories have the
    /// attribute `overlay.opaque`; attributes of the layer that would be taken for such a mark are escaped, as by nested
    /// mounts.
    ///
    /// # Errors
    ///
    /// - As [`export`](fn@export).
    /// - `Unsupported`: something that overlayfs cannot express: a device 0:0 that is no whiteout. Without
    ///   [`below`](Self::below) also an opaque root, a directory that the layer does not mention, and a hard link to a
    ///   file that is not in it.
    /// - `NotFound`, `InvalidInput`: the layer cannot be laid over what is below.
    ///
    /// # Examples
    ///
    /// ```
    /// use stratafs::host::{ExportOptions, ImportOptions};
    /// use stratafs::{Image, Layer};
    ///
    /// let below = Image::from_layers([Layer::from([("etc/motd", "hi"), ("etc/hosts", "")])])?.view();
    /// let layer = Layer::builder().whiteout("/etc/motd").build()?;
    /// let dir = tempfile::tempdir().expect("a place to try this");
    /// ExportOptions::new().below(&below).export_upper(&layer, dir.path())?;
    ///
    /// let back = ImportOptions::new().overlay_upper(true).import(dir.path())?.layer;
    /// assert!(!below.apply(&back)?.exists("/etc/motd")?);
    /// # Ok::<(), stratafs::Error>(())
    /// ```
    pub fn export_upper(mut self, layer: &Layer, path: impl AsRef<Path>) -> Result<Exported> {
        let marks = if self.rules.user_xattr { upper::USER } else { upper::TRUSTED };
        self.rules.marks = Some(marks);
        let path = path::bytes(path.as_ref());
        match self.below.take() {
            // A difference says all that overlayfs needs to be told.
            Some(below) => {
                let changes = below.diff(&below.apply(layer)?)?.into_layer();
                let entries = changes.raw_entries();
                self.run(&Subject::Changes { entries, below: Some(below.tree()) }, path)
            }
            None => {
                let entries = layer.raw_entries();
                self.run(&Subject::Changes { entries, below: None }, path)
            }
        }
    }

    fn run(mut self, subject: &Subject<'_>, path: &[u8]) -> Result<Exported> {
        check(&self.rules, subject, path)?;
        let target = Target::open(path, self.rules.replace)?;
        let shared = Shared::new(path);
        let mut judge = Judge::new(&self.rules, path);
        let progress = &mut *self.progress;
        let (walked, _) = work_while(
            |job: Job| shared.write(job),
            |jobs| {
                let state = State::default();
                let mut writer = Writer {
                    target: &target,
                    shared: &shared,
                    judge: &mut judge,
                    jobs,
                    progress,
                    state,
                };
                subject.each(path, &mut |path, item| writer.put(path, item))?;
                writer.finish()
            },
        );
        walked?;
        let mut differences = judge.notes;
        differences.extend(shared.finish(&target.dir)?);
        target.finish();
        Ok(Exported { differences })
    }
}

/// What is refused whatever the host says is refused before anything is written.
fn check(rules: &Rules, subject: &Subject<'_>, root: &[u8]) -> Result<()> {
    let mut judge = Judge::new(rules, root);
    let mut names = Names::default();
    subject.each(root, &mut |path, item| {
        if rules.check_names {
            names.check(root, path)?;
        }
        if let Item::Object { inode, opaque, .. } = item {
            judge.judge(path, inode, opaque)?;
        }
        Ok(())
    })
}

impl fmt::Debug for ExportOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExportOptions({:?})", self.rules)
    }
}
