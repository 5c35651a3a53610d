//! Flags of system calls, as the kernel passes them on.

use rustix::fs::OFlags;

use crate::attr::Device;
use crate::container::{OpenAs, Taken, XattrMode};
use crate::content::Content;
use crate::tree::Node;

/// What open(2) asks for.
pub(super) fn open_as(flags: i32) -> OpenAs {
    let flags = OFlags::from_bits_retain(flags.cast_unsigned());
    let access = flags & OFlags::RWMODE;
    OpenAs {
        read: access != OFlags::WRONLY,
        write: access == OFlags::WRONLY || access == OFlags::RDWR,
        append: flags.contains(OFlags::APPEND),
        truncate: flags.contains(OFlags::TRUNC),
    }
}

/// open(2), `O_EXCL`: the file must not be there.
pub(super) fn is_exclusive(flags: i32) -> bool {
    OFlags::from_bits_retain(flags.cast_unsigned()).contains(OFlags::EXCL)
}

/// What mknod(2) makes; `None` for a type that it does not.
pub(super) fn node(mode: u32, device: Device) -> Option<Node> {
    use rustix::fs::FileType;
    Some(match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Node::File(Content::EMPTY),
        FileType::Fifo => Node::Fifo,
        FileType::Socket => Node::Socket,
        FileType::CharacterDevice => Node::CharDevice(device),
        FileType::BlockDevice => Node::BlockDevice(device),
        _ => return None,
    })
}

/// renameat2(2); `None` for a combination that it does not have.
pub(super) fn taken(flags: fuser::RenameFlags) -> Option<Taken> {
    use fuser::RenameFlags;
    match flags {
        _ if flags.is_empty() => Some(Taken::Replace),
        RenameFlags::RENAME_NOREPLACE => Some(Taken::Refuse),
        RenameFlags::RENAME_EXCHANGE => Some(Taken::Exchange),
        _ => None,
    }
}

/// setxattr(2); `None` for a combination that it does not have.
pub(super) fn xattr_mode(flags: i32) -> Option<XattrMode> {
    use rustix::fs::XattrFlags;
    match XattrFlags::from_bits(flags.cast_unsigned())? {
        flags if flags.is_empty() => Some(XattrMode::Any),
        XattrFlags::CREATE => Some(XattrMode::Create),
        XattrFlags::REPLACE => Some(XattrMode::Replace),
        _ => None,
    }
}

/// What lseek(2) looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seek {
    Data,
    Hole,
}

/// `SEEK_DATA` and `SEEK_HOLE`; the kernel does the others by itself.
pub(super) fn seek(whence: i32) -> Option<Seek> {
    match whence {
        3 => Some(Seek::Data),
        4 => Some(Seek::Hole),
        _ => None,
    }
}
