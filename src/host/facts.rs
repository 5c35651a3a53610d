//! What `stat` tells of an object of the host, in types that are the same on every platform.

use rustix::fs::{FileType, Stat};

use crate::attr::{Device, MODE_MASK, Timestamp};

/// Device and inode number: what makes two names one object.
pub(super) type Id = (u64, u64);

#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) id: Id,
    pub(super) kind: FileType,
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    pub(super) nlink: u64,
    pub(super) device: Device,
    pub(super) len: u64,
    pub(super) allocated: u64,
    pub(super) modified: Timestamp,
}

impl Facts {
    #[allow(
        clippy::cast_lossless,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::unnecessary_cast,
        reason = "the types of these fields differ from platform to platform; none loses a bit that is in use"
    )]
    pub(super) fn new(stat: &Stat) -> Self {
        let device = Device {
            major: rustix::fs::major(stat.st_rdev),
            minor: rustix::fs::minor(stat.st_rdev),
        };
        Self {
            id: (stat.st_dev as u64, stat.st_ino as u64),
            kind: FileType::from_raw_mode(stat.st_mode),
            mode: stat.st_mode as u32 & MODE_MASK,
            owner: (stat.st_uid, stat.st_gid),
            nlink: stat.st_nlink as u64,
            device,
            len: stat.st_size as u64,
            allocated: (stat.st_blocks as u64).saturating_mul(512),
            modified: Timestamp::new(stat.st_mtime as i64, stat.st_mtime_nsec as u32),
        }
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind == FileType::Directory
    }
}
