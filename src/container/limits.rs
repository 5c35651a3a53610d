//! How much a container or a volume may hold.

use super::state::Usage;
use crate::error::{ErrorKind, Fault};

/// What the writable layer may hold at most. Counted exactly, at the moment of each change: at the limit succeeds, one
/// past it is refused, and a change that is refused changes nothing. See [`Usage`] for what counts.
///
/// # Examples
///
/// ```
/// use stratafs::{ErrorKind, Image, Limits};
///
/// let limits = Limits { bytes: Some(10), ..Limits::default() };
/// let container = Image::scratch().build_container().limits(limits).build()?;
/// container.write("/ten", "0123456789")?;
/// assert_eq!(container.append("/ten", "x").unwrap_err().kind(), ErrorKind::StorageFull);
/// assert_eq!(container.read("/ten")?, "0123456789");
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Limits {
    /// Bytes that all files together may take; `ENOSPC` past it.
    pub bytes: Option<u64>,
    /// Objects that may be made; `ENOSPC` past it.
    pub inodes: Option<u64>,
    /// Bytes that one file may be long; `EFBIG` past it. Without it, 2^63 - 1.
    pub file_size: Option<u64>,
}

impl Limits {
    /// Whether `more` fits beside what is there.
    pub(super) fn check(&self, usage: Usage, more: Usage) -> Result<(), Fault> {
        let fits = |limit: Option<u64>, now: u64, more: u64| {
            more == 0
                || limit.is_none_or(|limit| now.checked_add(more).is_some_and(|sum| sum <= limit))
        };
        if !fits(self.bytes, usage.bytes, more.bytes) {
            return Err(Fault::rule(ErrorKind::StorageFull, "the limit on bytes"));
        }
        if !fits(self.inodes, usage.inodes, more.inodes) {
            return Err(Fault::rule(ErrorKind::StorageFull, "the limit on inodes"));
        }
        Ok(())
    }

    /// Whether a file may end at `offset + len`; returns that end.
    pub(super) fn check_end(&self, offset: u64, len: u64) -> Result<u64, Fault> {
        let max = self.file_size.unwrap_or(u64::MAX).min(i64::MAX as u64);
        match offset.checked_add(len) {
            Some(end) if end <= max => Ok(end),
            _ => Err(ErrorKind::FileTooLarge.into()),
        }
    }
}
