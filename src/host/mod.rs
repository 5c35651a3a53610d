//! Real directories: [`import`] makes a [`Layer`](crate::Layer) of one, [`export`] writes a [`View`](crate::View) into one.
//!
//! What is imported is what is in the directory, nothing that it points to; what is exported changes the directory and
//! nothing else. Every object is opened or made relative to the directory that holds it, never by a path and never through
//! a symbolic link, so that nothing leads out of the directory, even while somebody swaps directories for links.
//!
//! | kept, both ways | not kept |
//! |---|---|
//! | regular files with their holes, directories, symbolic links, fifos, sockets, devices | inode numbers |
//! | names as bytes, UTF-8 or not | names of a hard-linked file outside of the directory |
//! | hard links among what is imported or exported | access and change times: a layer knows one time |
//! | mode with setuid, setgid and sticky; owner; time of modification to the nanosecond, before 1970 too | immutable, append-only and other flags |
//! | extended attributes (Linux) | extended attributes elsewhere than on Linux |
//!
//! What an export would bring to the host that could be used against it (devices, setuid, attributes that the kernel
//! reads) is refused, unless a policy of [`ExportOptions`] says otherwise.
//!
//! An entry that cannot be read is an error with its path. [`ImportOptions::collect_unreadable`] makes it a line of a
//! list instead; what an export does not write as it is in the view is in [`Exported::differences`]. Nothing is left out in
//! silence.
//!
//! # Examples
//!
//! ```
//! use stratafs::{Image, host};
//!
//! let dir = tempfile::tempdir().expect("a place to try this");
//! std::fs::write(dir.path().join("motd"), "hi").expect("a file to import");
//!
//! let image = Image::from_layers([host::import(dir.path())?])?;
//! let container = image.container();
//! container.write("/motd", "changed")?; // in the container; the host's file stays
//! assert_eq!(std::fs::read_to_string(dir.path().join("motd")).ok().as_deref(), Some("hi"));
//!
//! let out = tempfile::tempdir().expect("another place");
//! host::export(&container.view(), out.path())?;
//! assert_eq!(std::fs::read_to_string(out.path().join("motd")).ok().as_deref(), Some("changed"));
//! # Ok::<(), stratafs::Error>(())
//! ```

mod attributes;
mod beneath;
mod contents;
mod export;
mod facts;
mod folding;
mod handle;
mod import;
mod levels;
mod pinned;
mod place;
mod policy;
mod readers;
mod subject;
mod target;
mod upper;
mod walker;
mod workers;
mod writer;
mod writers;

use rustix::io::Errno;

pub use self::export::{ExportOptions, Exported, export};
pub use self::import::{ImportOptions, Imported, Progress, import};
pub use self::policy::{DevicePolicy, OwnerPolicy, SetIdPolicy, XattrPolicy};
use crate::error::{ErrorKind, Fault};

/// What an import calls itself in errors.
const IMPORT: &str = "import";
/// What an export calls itself in errors.
const EXPORT: &str = "export";

impl From<Errno> for Fault {
    /// What a filesystem refuses keeps its kind; what fails keeps its cause.
    fn from(errno: Errno) -> Self {
        let kind = match errno {
            Errno::PERM => ErrorKind::NotPermitted,
            Errno::EXIST => ErrorKind::AlreadyExists,
            Errno::ISDIR => ErrorKind::IsADirectory,
            Errno::NOTEMPTY => ErrorKind::DirectoryNotEmpty,
            Errno::NAMETOOLONG => ErrorKind::NameTooLong,
            Errno::MLINK => ErrorKind::TooManyLinks,
            Errno::NOSPC => ErrorKind::StorageFull,
            Errno::DQUOT => ErrorKind::QuotaExceeded,
            Errno::ROFS => ErrorKind::ReadOnlyFilesystem,
            Errno::OPNOTSUPP => ErrorKind::Unsupported,
            _ => return Self::Io(errno.into()),
        };
        Self::Kind(kind)
    }
}

/// What the host calls an object of the directory `root`.
fn host_path(root: &[u8], path: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        return root.to_vec();
    }
    let root = root.strip_suffix(b"/").unwrap_or(root);
    [root, b"/", path].concat()
}
