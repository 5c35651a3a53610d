//! Extended attributes: which names there are, and who may see and change them (xattr(7)).

use std::ffi::OsString;

use bytes::Bytes;

use crate::attr::STICKY;
use crate::credentials::{Access, Credentials};
use crate::error::{ErrorKind, Fault};
use crate::path;
use crate::tree::{Inode, Node};

/// `XATTR_NAME_MAX` of Linux.
const NAME_MAX: usize = 255;

/// What is to be done with an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Read,
    Change,
}

/// What is asked of a name alone, before anybody looks where the attribute is.
pub(crate) fn check_name(name: &[u8]) -> Result<(), Fault> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(Fault::rule(ErrorKind::OutOfRange, "an attribute's name has 1 to 255 bytes"));
    }
    if name.contains(&0) {
        return Err(Fault::rule(ErrorKind::InvalidInput, "an attribute's name has no NUL byte"));
    }
    Ok(())
}

/// Whether this use of an attribute is allowed: in each namespace by other rules.
pub(crate) fn check(
    creds: &Credentials,
    inode: &Inode,
    name: &[u8],
    wanted: Use,
) -> Result<(), Fault> {
    check_name(name)?;
    let dot = name.iter().position(|&byte| byte == b'.').map_or(name.len(), |dot| dot + 1);
    let (namespace, rest) = name.split_at(dot);
    check_permission(creds, inode, namespace, wanted)?;
    match namespace {
        b"user." | b"trusted." | b"security." | b"system." if rest.is_empty() => {
            Err(ErrorKind::InvalidInput.into())
        }
        b"user." | b"trusted." | b"security." | b"system." => Ok(()),
        _ => Err(Fault::rule(
            ErrorKind::Unsupported,
            "attributes begin with user., trusted., security. or system.",
        )),
    }
}

fn check_permission(
    creds: &Credentials,
    inode: &Inode,
    namespace: &[u8],
    wanted: Use,
) -> Result<(), Fault> {
    let hidden = |rule: &'static str| match wanted {
        Use::Read => Fault::rule(ErrorKind::NoData, rule),
        Use::Change => Fault::rule(ErrorKind::NotPermitted, rule),
    };
    match namespace {
        b"trusted." if !creds.is_root() => return Err(hidden("trusted attributes are root's")),
        b"security." | b"system." if wanted == Use::Read || creds.is_root() => return Ok(()),
        b"security." | b"system." => return Err(ErrorKind::NotPermitted.into()),
        b"user." if !matches!(inode.node, Node::File(_) | Node::Dir(_)) => {
            return Err(hidden("only files and directories have user attributes"));
        }
        b"user." if wanted == Use::Change && is_sticky(inode) && !creds.owns(inode) => {
            return Err(ErrorKind::NotPermitted.into());
        }
        _ => {}
    }
    let access = if wanted == Use::Read { Access::READ } else { Access::WRITE };
    Ok(creds.check(inode, access)?)
}

fn is_sticky(inode: &Inode) -> bool {
    inode.is_dir() && inode.mode & STICKY != 0
}

/// The value of an attribute. What a layer brought, root can read, whatever object it is of and whatever it is called: so
/// everything that is listed to root has a value.
pub(crate) fn get(creds: &Credentials, inode: &Inode, name: &[u8]) -> Result<Bytes, Fault> {
    match inode.xattrs.get(name) {
        Some(value) if creds.is_root() => Ok(value.clone()),
        value => {
            check(creds, inode, name, Use::Read)?;
            Ok(value.cloned().ok_or(ErrorKind::NoData)?)
        }
    }
}

/// The names that these credentials may see, sorted.
pub(crate) fn names(creds: &Credentials, inode: &Inode) -> Vec<OsString> {
    let visible = |name: &[u8]| creds.is_root() || !name.starts_with(b"trusted.");
    let names = inode.xattrs.iter().map(|(name, _)| name).filter(|name| visible(name));
    names.map(path::to_os_string).collect()
}

/// All names and values that these credentials may read, sorted by name.
pub(crate) fn all(creds: &Credentials, inode: &Inode) -> Vec<(OsString, Bytes)> {
    let readable = |(name, _): (&[u8], &Bytes)| {
        Some((path::to_os_string(name), get(creds, inode, name).ok()?))
    };
    inode.xattrs.iter().filter_map(readable).collect()
}
