//! The one error type: which operation, on which path, broke which rule.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::path;

/// What a stratafs operation returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation that was refused or failed, and why.
///
/// One word wide. The text names the operation, the path (or both paths) and the rule, as in
/// `rename "/a" -> "/b": directory not empty`; [`source`](StdError::source) has the cause when
/// something outside of stratafs failed. A failed operation has changed nothing.
///
/// `From<Error> for std::io::Error` keeps the error inside, with the [`io::ErrorKind`] that the
/// standard library gives to the same errno.
///
/// # Examples
///
/// ```
/// use stratafs::{ErrorKind, Image};
///
/// let error = Image::scratch().view().read("/etc/hosts").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.errno(), 2);
/// assert_eq!(error.to_string(), r#"read "/etc/hosts": no such file or directory"#);
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    op: &'static str,
    path: Box<[u8]>,
    dest: Option<Box<[u8]>>,
    detail: Option<Cow<'static, str>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(op: &'static str, path: &[u8], fault: impl Into<Fault>) -> Self {
        Self::with_dest(op, path, None, fault.into())
    }

    pub(crate) fn between(
        op: &'static str,
        path: &[u8],
        dest: &[u8],
        fault: impl Into<Fault>,
    ) -> Self {
        Self::with_dest(op, path, Some(dest.into()), fault.into())
    }

    fn with_dest(op: &'static str, path: &[u8], dest: Option<Box<[u8]>>, fault: Fault) -> Self {
        let (kind, detail, source) = match fault {
            Fault::Kind(kind) => (kind, None, None),
            Fault::Rule(kind, rule) => (kind, Some(rule), None),
            Fault::Io(cause) => (ErrorKind::of_io(&cause), None, Some(cause.into())),
        };
        Self(Box::new(Inner { kind, op, path: path.into(), dest, detail, source }))
    }

    /// The same with one more word on where it was, such as in which blob the path is.
    #[cfg(feature = "oci")]
    pub(crate) fn within(mut self, place: impl fmt::Display) -> Self {
        let detail = match &self.0.detail {
            Some(detail) => format!("{detail}; in {place}"),
            None => format!("in {place}"),
        };
        self.0.detail = Some(detail.into());
        self
    }

    /// The rule that was broken, as one of a closed-over set of kinds.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that was asked for, by its method's name.
    pub fn op(&self) -> &'static str {
        self.0.op
    }

    /// The path as the caller gave it.
    pub fn path(&self) -> PathBuf {
        path::to_path_buf(&self.0.path)
    }

    /// The second path, of operations that take two.
    pub fn dest(&self) -> Option<PathBuf> {
        self.0.dest.as_deref().map(path::to_path_buf)
    }

    /// The errno that Linux gives for the same mistake, for example 39 (`ENOTEMPTY`).
    pub fn errno(&self) -> i32 {
        self.0.kind.errno()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, op, path, dest, detail, .. } = &*self.0;
        write!(f, "{op} \"{}\"", path.escape_ascii())?;
        if let Some(dest) = dest {
            write!(f, " -> \"{}\"", dest.escape_ascii())?;
        }
        write!(f, ": {kind}")?;
        match detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}, errno {}: {self})", self.0.kind, self.errno())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind().to_io(), error)
    }
}

/// Why an operation was refused. Each kind is one errno of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ErrorKind {
    /// `ENOENT`: a component of the path does not exist.
    #[error("no such file or directory")]
    NotFound,
    /// `EEXIST`: the name is taken.
    #[error("file exists")]
    AlreadyExists,
    /// `ENOTDIR`: a directory was needed.
    #[error("not a directory")]
    NotADirectory,
    /// `EISDIR`: something else than a directory was needed.
    #[error("is a directory")]
    IsADirectory,
    /// `ENOTEMPTY`: the directory has visible children.
    #[error("directory not empty")]
    DirectoryNotEmpty,
    /// `EACCES`: the mode bits do not allow it to these credentials.
    #[error("permission denied")]
    PermissionDenied,
    /// `EPERM`: never allowed to these credentials, or to nobody.
    #[error("operation not permitted")]
    NotPermitted,
    /// `EINVAL`: an argument that has no meaning here.
    #[error("invalid argument")]
    InvalidInput,
    /// `ELOOP`: more than 40 symbolic links on the way, or one where none may be followed.
    #[error("too many levels of symbolic links")]
    FilesystemLoop,
    /// `ENAMETOOLONG`: a name of more than 255 bytes or a path of more than 4095.
    #[error("file name too long")]
    NameTooLong,
    /// `EMLINK`: the object has as many links as can be counted.
    #[error("too many links")]
    TooManyLinks,
    /// `ENODATA`: no such extended attribute.
    #[error("no such attribute")]
    NoData,
    /// `ENOSPC`: the limit on bytes or inodes would be passed.
    #[error("no space left")]
    StorageFull,
    /// `EDQUOT`: a quota would be passed.
    #[error("quota exceeded")]
    QuotaExceeded,
    /// `EFBIG`: the limit on one file's size would be passed.
    #[error("file too large")]
    FileTooLarge,
    /// `EROFS`: the view, volume or mount is read-only.
    #[error("read-only file system")]
    ReadOnlyFilesystem,
    /// `EXDEV`: a rename or link across the border of a volume.
    #[error("crosses the border of a volume")]
    CrossesDevices,
    /// `EBUSY`: the root or a mount point may not be removed or renamed.
    #[error("resource busy")]
    ResourceBusy,
    /// `EBADF`: the handle was not opened for this.
    #[error("bad file handle")]
    BadHandle,
    /// `ESTALE`: the object was created in a transaction that was rolled back; or the container went back to a state in
    /// which it was another.
    #[error("stale file handle")]
    StaleHandle,
    /// `ENXIO`: a fifo, socket or device is data here and cannot be opened; or no data lies after this offset.
    #[error("no such device or address")]
    NoDevice,
    /// `EOPNOTSUPP`: not supported for this kind of object.
    #[error("operation not supported")]
    Unsupported,
    /// `ERANGE`: larger than the filesystem can hold.
    #[error("result out of range")]
    OutOfRange,
    /// `EDEADLK`: would wait for itself.
    #[error("would wait for itself")]
    Deadlock,
    /// `EIO`: the source of a file's contents failed; see [`source`](StdError::source).
    #[error("input/output error")]
    Io,
}

impl ErrorKind {
    /// The number that Linux gives to this error.
    pub fn errno(self) -> i32 {
        match self {
            Self::NotPermitted => 1,
            Self::NotFound => 2,
            Self::Io => 5,
            Self::NoDevice => 6,
            Self::BadHandle => 9,
            Self::PermissionDenied => 13,
            Self::ResourceBusy => 16,
            Self::AlreadyExists => 17,
            Self::CrossesDevices => 18,
            Self::NotADirectory => 20,
            Self::IsADirectory => 21,
            Self::InvalidInput => 22,
            Self::FileTooLarge => 27,
            Self::StorageFull => 28,
            Self::ReadOnlyFilesystem => 30,
            Self::TooManyLinks => 31,
            Self::OutOfRange => 34,
            Self::Deadlock => 35,
            Self::NameTooLong => 36,
            Self::DirectoryNotEmpty => 39,
            Self::FilesystemLoop => 40,
            Self::NoData => 61,
            Self::Unsupported => 95,
            Self::StaleHandle => 116,
            Self::QuotaExceeded => 122,
        }
    }

    fn to_io(self) -> io::ErrorKind {
        match self {
            Self::NotFound => io::ErrorKind::NotFound,
            Self::AlreadyExists => io::ErrorKind::AlreadyExists,
            Self::NotADirectory => io::ErrorKind::NotADirectory,
            Self::IsADirectory => io::ErrorKind::IsADirectory,
            Self::DirectoryNotEmpty => io::ErrorKind::DirectoryNotEmpty,
            Self::PermissionDenied | Self::NotPermitted => io::ErrorKind::PermissionDenied,
            Self::InvalidInput => io::ErrorKind::InvalidInput,
            Self::NameTooLong => io::ErrorKind::InvalidFilename,
            Self::TooManyLinks => io::ErrorKind::TooManyLinks,
            Self::StorageFull => io::ErrorKind::StorageFull,
            Self::QuotaExceeded => io::ErrorKind::QuotaExceeded,
            Self::FileTooLarge => io::ErrorKind::FileTooLarge,
            Self::ReadOnlyFilesystem => io::ErrorKind::ReadOnlyFilesystem,
            Self::CrossesDevices => io::ErrorKind::CrossesDevices,
            Self::ResourceBusy => io::ErrorKind::ResourceBusy,
            Self::StaleHandle => io::ErrorKind::StaleNetworkFileHandle,
            Self::Unsupported => io::ErrorKind::Unsupported,
            Self::Deadlock => io::ErrorKind::Deadlock,
            // `io::ErrorKind::FilesystemLoop` is not stable; the others have no kind of their own.
            Self::FilesystemLoop
            | Self::NoData
            | Self::BadHandle
            | Self::NoDevice
            | Self::OutOfRange
            | Self::Io => io::ErrorKind::Other,
        }
    }

    /// The kind for a failure outside of stratafs. Refusals keep their kind, the rest is `Io`.
    fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            io::ErrorKind::NotADirectory => Self::NotADirectory,
            io::ErrorKind::InvalidInput => Self::InvalidInput,
            io::ErrorKind::FileTooLarge => Self::FileTooLarge,
            _ => Self::Io,
        }
    }
}

/// An error on its way up: it does not know yet which operation and path it belongs to.
#[derive(Debug)]
pub(crate) enum Fault {
    Kind(ErrorKind),
    Rule(ErrorKind, Cow<'static, str>),
    Io(io::Error),
}

impl From<ErrorKind> for Fault {
    fn from(kind: ErrorKind) -> Self {
        Self::Kind(kind)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Fault {
    /// A whole error as the cause of one at another path.
    #[cfg(feature = "oci")]
    pub(crate) fn of(error: &Error) -> Self {
        Self::Rule(error.kind(), error.to_string().into())
    }

    #[cfg(all(feature = "fuse", target_os = "linux"))]
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Kind(kind) | Self::Rule(kind, _) => *kind,
            Self::Io(error) => ErrorKind::of_io(error),
        }
    }

    pub(crate) fn rule(kind: ErrorKind, rule: impl Into<Cow<'static, str>>) -> Self {
        Self::Rule(kind, rule.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_is_one_word_and_send() {
        fn send<T: Send + Sync>() {}
        send::<Error>();
        assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
    }

    #[test]
    fn error_names_both_paths_and_the_rule() {
        let error = Error::between("rename", b"/a", b"/b\n", ErrorKind::DirectoryNotEmpty);
        assert_eq!(error.to_string(), r#"rename "/a" -> "/b\n": directory not empty"#);
        assert_eq!(error.dest(), Some(PathBuf::from("/b\n")));
    }

    #[test]
    fn error_becomes_io_error_and_stays_inside() {
        let io: io::Error = Error::new("read", b"/x", ErrorKind::NotFound).into();
        assert_eq!(io.kind(), io::ErrorKind::NotFound);
        let inner = io.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        assert_eq!(inner.map(Error::op), Some("read"));
    }
}
