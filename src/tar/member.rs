//! One entry: its header, and what extended headers before it say.

use super::header::Fields;
use super::options::SkippedPart;
use super::pax::Records;
use crate::attr::{Device, Timestamp};
use crate::content::Content;
use crate::error::{ErrorKind, Fault};
use crate::path::PATH_MAX;
use crate::tree::{Dir, Inode, Node};

/// What extended headers say of the entry that comes next, and of no other (semantics L23).
#[derive(Debug, Default)]
pub(super) struct Extended {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    records: Option<Records>,
    len: u64,
}

impl Extended {
    /// An extended header begins. Two of one kind are an error: which of them counts, nobody agrees on.
    pub(super) fn begin(&mut self, flag: u8, len: u64, max_len: u64) -> Result<(), Fault> {
        let is_second = match flag {
            b'x' => self.records.is_some(),
            b'L' => self.long_name.is_some(),
            _ => self.long_link.is_some(),
        };
        if is_second {
            return Err(invalid("two extended headers of one kind before one entry"));
        }
        self.check_len(len, max_len)?;
        self.len += len;
        Ok(())
    }

    pub(super) fn check_len(&self, len: u64, max_len: u64) -> Result<(), Fault> {
        if self.len.saturating_add(len) > max_len {
            let rule = "its extended headers are longer than ReadOptions::max_header_bytes";
            return Err(Fault::rule(ErrorKind::QuotaExceeded, rule));
        }
        Ok(())
    }

    /// All of the text of the header that began.
    pub(super) fn put(&mut self, flag: u8, text: &[u8], max_regions: u64) -> Result<(), Fault> {
        match flag {
            b'x' => self.records = Some(Records::parse(text, max_regions)?),
            b'L' => self.long_name = Some(long(text)?),
            _ => self.long_link = Some(long(text)?),
        }
        Ok(())
    }

    /// Something comes that extended headers cannot be about.
    pub(super) fn check_empty(&self) -> Result<(), Fault> {
        let is_empty =
            self.records.is_none() && self.long_name.is_none() && self.long_link.is_none();
        if is_empty { Ok(()) } else { Err(invalid("an extended header without an entry after it")) }
    }
}

/// A name of GNU's, which ends in a NUL.
fn long(text: &[u8]) -> Result<Vec<u8>, Fault> {
    let end = text.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    if text[..end].contains(&0) {
        return Err(invalid("a name has no NUL"));
    }
    Ok(text[..end].to_vec())
}

fn invalid(rule: &'static str) -> Fault {
    Fault::rule(ErrorKind::InvalidInput, rule)
}

/// An entry whose path and type are known. What else it says is asked for only if it counts: a hard link has no attributes
/// of its own (semantics L47), and a mark has none at all.
pub(super) struct Member {
    pub(super) kind: Kind,
    /// How many bytes of data follow.
    pub(super) data_len: u64,
    pub(super) sparse: Option<Pieces>,
    /// What a link of either kind leads to.
    pub(super) link: Vec<u8>,
    records: Records,
}

/// What an entry is, by its type (semantics L21).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Link,
    Symlink,
    CharDevice,
    BlockDevice,
    Dir,
    Fifo,
}

/// How the archive tells where the data of a file with holes lies; with the file's length.
#[derive(Debug)]
pub(super) enum Pieces {
    /// In the header, and, if `is_continued`, in blocks after it.
    Header {
        len: u64,
        pieces: Vec<(u64, u64)>,
        is_continued: bool,
    },
    Records {
        len: u64,
        pieces: Vec<(u64, u64)>,
    },
    /// In the data.
    Data {
        len: u64,
    },
}

impl Kind {
    fn of(flag: u8) -> Result<Self, Fault> {
        match flag {
            0 | b'0' | b'S' => Ok(Self::File),
            b'1' => Ok(Self::Link),
            b'2' => Ok(Self::Symlink),
            b'3' => Ok(Self::CharDevice),
            b'4' => Ok(Self::BlockDevice),
            b'5' => Ok(Self::Dir),
            b'6' => Ok(Self::Fifo),
            _ => {
                let rule = format!("a layer has no entries of type {:?}", char::from(flag));
                Err(Fault::rule(ErrorKind::Unsupported, rule))
            }
        }
    }
}

impl Member {
    /// `path` becomes what the archive calls the entry, and stays so if that is an error.
    pub(super) fn new(
        fields: &Fields<'_>,
        extended: Extended,
        path: &mut Vec<u8>,
    ) -> Result<Self, Fault> {
        let Extended { long_name, long_link, records, .. } = extended;
        let mut records = records.unwrap_or_default();
        let name = records.sparse.name.take().or(records.path.take());
        let is_ambiguous = (name.is_some() && long_name.is_some())
            || (records.link_path.is_some() && long_link.is_some());
        *path = name.or(long_name).unwrap_or_else(|| fields.name().into_owned());
        if is_ambiguous {
            return Err(invalid("a long name of GNU's and a PAX path, which may differ"));
        }
        let link = records.link_path.take().or(long_link);
        let link = link.unwrap_or_else(|| fields.link_name().to_vec());
        let kind = match fields.type_flag() {
            // Before ustar a directory was a file whose name ends in a slash.
            0 if path.ends_with(b"/") => Kind::Dir,
            flag => Kind::of(flag)?,
        };
        let mut member = Self { kind, data_len: 0, sparse: None, link, records };
        // Types 1 to 6 have no data, whatever their size says (semantics L26).
        if kind == Kind::File {
            member.data_len = member.records.size.map_or_else(|| fields.size(), Ok)?;
            member.sparse = sparse(fields, &mut member.records)?;
        }
        Ok(member)
    }

    /// What stands at the path, if it is more than one more name.
    pub(super) fn node(&self, fields: &Fields<'_>) -> Result<Node, Fault> {
        Ok(match self.kind {
            Kind::File | Kind::Link => Node::File(Content::EMPTY),
            Kind::Symlink if self.link.is_empty() || self.link.len() > PATH_MAX => {
                return Err(invalid("the target of a symbolic link has 1 to 4095 bytes"));
            }
            Kind::Symlink => Node::Symlink(self.link.as_slice().into()),
            Kind::CharDevice => Node::CharDevice(self.device(fields)?),
            Kind::BlockDevice => Node::BlockDevice(self.device(fields)?),
            Kind::Dir => Node::Dir(Dir::default()),
            Kind::Fifo => Node::Fifo,
        })
    }

    fn device(&self, fields: &Fields<'_>) -> Result<Device, Fault> {
        let Records { device_major, device_minor, .. } = self.records;
        let Device { major, minor } = fields.device()?;
        Ok(Device { major: device_major.unwrap_or(major), minor: device_minor.unwrap_or(minor) })
    }

    pub(super) fn inode(
        self,
        fields: &Fields<'_>,
        node: Node,
    ) -> Result<(Inode, Vec<SkippedPart>), Fault> {
        let Records { uid, gid, modified, attributes, .. } = self.records;
        let uid = uid.map_or_else(|| fields.uid(), Ok)?;
        let gid = gid.map_or_else(|| fields.gid(), Ok)?;
        let modified: Timestamp = modified.map_or_else(|| fields.modified(), Ok)?;
        let mut inode = Inode::new(node, fields.mode()?, (uid, gid), modified);
        let (xattrs, skipped) = attributes.finish();
        inode.xattrs = xattrs;
        Ok((inode, skipped))
    }
}

fn sparse(fields: &Fields<'_>, records: &mut Records) -> Result<Option<Pieces>, Fault> {
    let records = std::mem::take(&mut records.sparse);
    let len = || records.len.ok_or_else(|| invalid("a file with holes has no length"));
    match (fields.type_flag(), records.version, records.map) {
        (b'S', (None, None), None) => {
            let (len, pieces, is_continued) = fields.sparse()?;
            Ok(Some(Pieces::Header { len, pieces, is_continued }))
        }
        (b'S', ..) => Err(invalid("two maps of the holes of one file")),
        (_, (Some(1), Some(0)), None) => Ok(Some(Pieces::Data { len: len()? })),
        (_, (None, None) | (Some(0), Some(0 | 1)), Some(pieces)) => {
            Ok(Some(Pieces::Records { len: len()?, pieces }))
        }
        (_, (None, None), None) => Ok(None),
        _ => {
            let rule = "a file with holes, of another version than 0.0, 0.1 and 1.0";
            Err(Fault::rule(ErrorKind::Unsupported, rule))
        }
    }
}
