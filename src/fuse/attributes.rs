//! What the kernel is told, in its form: numbers, attributes, times, errors.

use std::time::SystemTime;

use fuser::{Errno, FileAttr, FileType as Kind, INodeNo, TimeOrNow};

use crate::attr::{Attrs, Device, FileType, Metadata, SetTime, Timestamp};
use crate::container::Found;
use crate::error::{Error, Fault};
use crate::tree::Ino;
use crate::walk::Place;

/// Below this bit is the inode number, above it the volume. No table is needed, and a number means the same for ever.
const MOUNT_SHIFT: u32 = 48;
const BLOCK_SIZE: u32 = 4096;

/// Which object is meant by the number that the kernel was given.
pub(super) fn place(number: INodeNo) -> Place {
    let ino = Ino(number.0 & ((1 << MOUNT_SHIFT) - 1));
    Place { mount: (number.0 >> MOUNT_SHIFT) as usize, ino }
}

/// The number for an object.
pub(super) fn number(place: Place) -> INodeNo {
    INodeNo(place.ino.0 | (place.mount as u64) << MOUNT_SHIFT)
}

pub(super) fn attributes_of(found: &Found) -> FileAttr {
    attributes(found.place, &found.metadata)
}

pub(super) fn attributes(place: Place, metadata: &Metadata) -> FileAttr {
    FileAttr {
        ino: number(place),
        size: metadata.len(),
        blocks: metadata.blocks(),
        atime: system_time(metadata.accessed()),
        mtime: system_time(metadata.modified()),
        ctime: system_time(metadata.changed()),
        crtime: SystemTime::UNIX_EPOCH,
        kind: kind(metadata.file_type()),
        perm: metadata.mode() as u16,
        nlink: metadata.nlink(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: metadata.device().map_or(0, encode_device),
        blksize: BLOCK_SIZE,
        flags: 0,
    }
}

pub(super) fn kind(file_type: FileType) -> Kind {
    match file_type {
        FileType::File => Kind::RegularFile,
        FileType::Dir => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::NamedPipe,
        FileType::Socket => Kind::Socket,
        FileType::CharDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
    }
}

/// As the kernel's `new_encode_dev`: 12 bits of major, 20 of minor.
fn encode_device(device: Device) -> u32 {
    (device.minor & 0xff) | (device.major & 0xfff) << 8 | (device.minor & 0xf_ff00) << 12
}

/// As the kernel's `new_decode_dev`.
pub(super) fn decode_device(number: u32) -> Device {
    Device { major: (number & 0xf_ff00) >> 8, minor: (number & 0xff) | (number >> 12 & 0xf_ff00) }
}

/// The platform's clock holds every time that the kernel can name.
fn system_time(time: Timestamp) -> SystemTime {
    SystemTime::try_from(time).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A time that the kernel gave. Before 1970, `fuser` counts the nanoseconds backwards: from second and nanosecond -1, 5 it
/// makes 1.000000005 seconds before 1970, and not 0.999999995.
fn timestamp(time: SystemTime) -> Timestamp {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(_) => time.into(),
        Err(before) => {
            let before = before.duration();
            let secs = 0_i64.saturating_sub_unsigned(before.as_secs());
            Timestamp::new(secs, before.subsec_nanos())
        }
    }
}

fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(time) => SetTime::At(timestamp(time)),
    }
}

/// What a kernel asks to be changed.
pub(super) fn patch(
    mode: Option<u32>,
    (uid, gid): (Option<u32>, Option<u32>),
    (accessed, modified): (Option<TimeOrNow>, Option<TimeOrNow>),
) -> Attrs {
    let mut attrs = Attrs::new();
    if let Some(mode) = mode {
        attrs = attrs.mode(mode);
    }
    attrs.uid = uid;
    attrs.gid = gid;
    attrs.accessed = accessed.map(set_time);
    attrs.modified = modified.map(set_time);
    attrs
}

/// An error, as the kernel is told of it.
pub(super) trait ToErrno {
    fn to_errno(&self) -> Errno;
}

impl ToErrno for Fault {
    fn to_errno(&self) -> Errno {
        Errno::from_i32(self.kind().errno())
    }
}

impl ToErrno for Error {
    fn to_errno(&self) -> Errno {
        Errno::from_i32(self.errno())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_device_survives_the_way_to_the_kernel_and_back() {
        for (major, minor) in [(0, 0), (8, 1), (259, 70_000), (4095, 0xf_ffff)] {
            let device = Device { major, minor };
            assert_eq!(decode_device(encode_device(device)), device);
        }
    }

    #[test]
    fn a_time_before_1970_is_what_the_kernel_said() {
        // What fuser makes of the kernel's seconds and nanoseconds.
        let from_fuser = |secs: u64, nanos| SystemTime::UNIX_EPOCH - Duration::new(secs, nanos);
        assert_eq!(timestamp(from_fuser(1, 5)), Timestamp::new(-1, 5));
        assert_eq!(timestamp(from_fuser(7, 0)), Timestamp::new(-7, 0));
        assert_eq!(
            system_time(Timestamp::new(-1, 5)),
            SystemTime::UNIX_EPOCH - Duration::new(0, 999_999_995)
        );
    }

    #[test]
    fn numbers_are_those_of_the_root_filesystem_and_tell_volumes_apart() {
        assert_eq!(number(Place::ROOT), INodeNo::ROOT);
        let there = Place { mount: 3, ino: Ino(77) };
        assert_eq!(place(number(there)), there);
        assert_ne!(number(there), number(Place { mount: 0, ..there }));
    }
}
