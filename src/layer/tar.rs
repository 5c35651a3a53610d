//! The canonical tar form of a layer: one byte stream for one set of changes, on every machine (semantics L52 to L57).
//!
//! Depth first; in each directory the opaque marker, then whiteouts, then entries, by the bytes of their names. ustar
//! headers, with PAX records for what does not fit: long paths, nanoseconds, times before 1970, large numbers, attributes.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::io::{self, Write};

use sha2::{Digest as _, Sha256};
use tar_core::EntryType;
use tar_core::builder::EntryBuilder;

use super::{Entry, Layer, What, refuse};
use crate::attr::{Time, Timestamp};
use crate::content::Content;
use crate::digest::Digest;
use crate::error::{ErrorKind, Fault, Result};
use crate::path;
use crate::tree::{Inode, Node};

/// image-spec, layer.md, "Whiteouts".
const WHITEOUT_PREFIX: &[u8] = b".wh.";
/// image-spec, layer.md, "Opaque Whiteout".
const OPAQUE_MARKER: &[u8] = b".wh..wh..opq";
const OP: &str = "write layer";
const BLOCK: u64 = 512;

pub(super) fn digest(layer: &Layer) -> Result<Digest> {
    let mut hasher = Hasher(Sha256::new());
    write(layer, &mut hasher)?;
    Ok(Digest::finish(hasher.0))
}

struct Hasher(Sha256);

impl Write for Hasher {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.update(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn write(layer: &Layer, out: &mut impl Write) -> Result<()> {
    let mut entries: Vec<&Entry> = layer.raw_entries().iter().collect();
    entries.sort_by(|a, b| compare(a, b));
    for entry in entries.into_iter().filter(|entry| has_tar_form(layer, entry)) {
        write_entry(layer, entry, out).map_err(|fault| refuse(&entry.path, OP, fault))?;
    }
    out.write_all(&[0; 2 * BLOCK as usize]).map_err(|error| refuse(b"", OP, error))
}

/// The paths that the canonical form leaves out.
#[cfg(feature = "tar")]
pub(crate) fn left_out(layer: &Layer) -> impl Iterator<Item = &[u8]> {
    let entries = layer.raw_entries().iter();
    entries.filter(|entry| !has_tar_form(layer, entry)).map(|entry| &*entry.path)
}

/// Sockets have none, by whichever of their names (semantics L56).
fn has_tar_form(layer: &Layer, entry: &Entry) -> bool {
    let is_socket = |what: &What| matches!(what, What::Object { inode, .. } if matches!(inode.node, Node::Socket));
    match &entry.what {
        What::Link(target) => !layer.at(target).is_some_and(is_socket),
        what => !is_socket(what),
    }
}

fn compare(a: &Entry, b: &Entry) -> Ordering {
    let mut left = a.path.split(|&byte| byte == b'/').peekable();
    let mut right = b.path.split(|&byte| byte == b'/').peekable();
    loop {
        match (left.next(), right.next()) {
            (Some(x), Some(y)) if x == y => {}
            (Some(x), Some(y)) => {
                let whiteout =
                    |entry: &Entry, is_last| is_last && matches!(entry.what, What::Whiteout);
                let first = (!whiteout(a, left.peek().is_none()), x);
                return first.cmp(&(!whiteout(b, right.peek().is_none()), y));
            }
            (x, y) => return x.is_some().cmp(&y.is_some()),
        }
    }
}

fn write_entry(layer: &Layer, entry: &Entry, out: &mut impl Write) -> Result<(), Fault> {
    let path = &*entry.path;
    check_name(path)?;
    match &entry.what {
        What::Whiteout => {
            let (dir, name) = path::split_last(path);
            write_marker(&path::join(dir, &[WHITEOUT_PREFIX, name].concat()), out)
        }
        What::Link(target) => {
            let mut header = EntryBuilder::new_ustar();
            header.entry_type(EntryType::Link).path(path).link_name(target);
            match layer.at(target) {
                Some(What::Object { inode, .. }) => describe(&mut header, inode)?,
                _ => drop(header.mode(0o644).map_err(unfit)?),
            }
            Ok(out.write_all(&header.finish_bytes())?)
        }
        What::Object { inode, opaque } => {
            write_object(path, inode, out)?;
            if *opaque { write_marker(&path::join(path, OPAQUE_MARKER), out) } else { Ok(()) }
        }
        What::Opaque => write_marker(&path::join(path, OPAQUE_MARKER), out),
    }
}

/// A name that would be read back as a whiteout cannot be written (semantics L52).
fn check_name(path: &[u8]) -> Result<(), Fault> {
    if path::components(path).any(|name| name.starts_with(WHITEOUT_PREFIX)) {
        return Err(Fault::rule(
            ErrorKind::InvalidInput,
            "an OCI layer cannot hold a name that begins with .wh.",
        ));
    }
    Ok(())
}

fn write_marker(path: &[u8], out: &mut impl Write) -> Result<(), Fault> {
    let mut header = EntryBuilder::new_ustar();
    header.entry_type(EntryType::Regular).path(path);
    header.mode(0o644).map_err(unfit)?;
    Ok(out.write_all(&header.finish_bytes())?)
}

fn write_object(path: &[u8], inode: &Inode, out: &mut impl Write) -> Result<(), Fault> {
    let mut header = EntryBuilder::new_ustar();
    let mut name = Cow::Borrowed(path);
    let mut contents = None;
    let entry_type = match &inode.node {
        Node::File(content) => {
            contents = Some(content);
            EntryType::Regular
        }
        Node::Dir(_) => {
            name = if path.is_empty() { b"./"[..].into() } else { [path, b"/"].concat().into() };
            EntryType::Directory
        }
        Node::Symlink(target) => {
            header.link_name(target);
            EntryType::Symlink
        }
        Node::Fifo => EntryType::Fifo,
        Node::CharDevice(_) => EntryType::Char,
        Node::BlockDevice(_) => EntryType::Block,
        Node::Socket => unreachable!("because what has no tar form is left out"),
    };
    header.entry_type(entry_type).path(&name);
    if let Some(device) = inode.device() {
        header.device(device.major, device.minor).map_err(unfit)?;
    }
    if let Some(content) = contents {
        header.size(content.len()).map_err(unfit)?;
    }
    describe(&mut header, inode)?;
    out.write_all(&header.finish_bytes())?;
    contents.map_or(Ok(()), |content| write_contents(content, out))
}

/// What all names of an object say of it. A hard link too: containers/storage gives the file what is in the header of a
/// link, so that one without would make a file of somebody's own one that all can read, and take its rights away.
fn describe(header: &mut EntryBuilder, inode: &Inode) -> Result<(), Fault> {
    header.mode(inode.mode).and_then(|header| header.uid(inode.uid.into())).map_err(unfit)?;
    header.gid(inode.gid.into()).map_err(unfit)?;
    write_time(header, inode.times.get(Time::Modified))?;
    for (name, value) in inode.xattrs.iter() {
        let name = std::str::from_utf8(name).ok().filter(|name| !name.contains('='));
        let rule = "a PAX record cannot hold an attribute name with = or without UTF-8";
        let name = name.ok_or_else(|| Fault::rule(ErrorKind::InvalidInput, rule))?;
        header.add_pax(&["SCHILY.xattr.", name].concat(), value);
    }
    Ok(())
}

fn unfit(error: impl std::fmt::Display) -> Fault {
    Fault::rule(ErrorKind::OutOfRange, error.to_string())
}

fn write_time(header: &mut EntryBuilder, time: Timestamp) -> Result<(), Fault> {
    let in_header = u64::try_from(time.secs()).ok().filter(|&secs| secs < 1 << 33);
    header.mtime(in_header.unwrap_or(0)).map_err(unfit)?;
    if in_header.is_none() || time.nanos() != 0 {
        header.add_pax("mtime", decimal(time));
    }
    Ok(())
}

/// Seconds with a fraction, as PAX writes times: `-0.5` is half a second before 1970.
fn decimal(time: Timestamp) -> String {
    let (secs, nanos) = (i128::from(time.secs()), i128::from(time.nanos()));
    let total = secs * 1_000_000_000 + nanos;
    let sign = if total < 0 { "-" } else { "" };
    let (whole, fraction) = (total.abs() / 1_000_000_000, total.abs() % 1_000_000_000);
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{}", format!("{fraction:09}").trim_end_matches('0'))
}

fn write_contents(content: &Content, out: &mut impl Write) -> Result<(), Fault> {
    const STEP: u64 = 1 << 20;
    let mut at = 0;
    while at < content.len() {
        let bytes = content.read(at, STEP)?;
        out.write_all(&bytes)?;
        at += bytes.len() as u64;
    }
    let padding = content.len().next_multiple_of(BLOCK) - content.len();
    Ok(out.write_all(&[0; BLOCK as usize][..padding as usize])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l11_the_empty_layer_has_the_digest_that_everybody_knows() {
        let empty = Layer::builder().build().unwrap();
        let known = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
        assert_eq!(empty.diff_id().unwrap().to_string(), known);
    }

    #[test]
    fn l52_a_name_that_looks_like_a_whiteout_is_refused_with_its_path() {
        let layer = Layer::from([("srv/.wh.me", "")]);
        let error = layer.diff_id().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("/srv/.wh.me"), "{error}");
    }

    #[test]
    fn l53_whiteouts_come_before_their_siblings_and_parents_before_children() {
        let layer = Layer::builder()
            .file("/a/a", "")
            .whiteout("/a/z")
            .dir("/a")
            .opaque_dir("/b")
            .build()
            .unwrap();
        let mut tar = Vec::new();
        write(&layer, &mut tar).unwrap();
        let names: Vec<_> =
            tar.chunks(512).map(|block| block[..100].split(|b| *b == 0).next().unwrap()).collect();
        assert_eq!(names, [&b"a/"[..], b"a/.wh.z", b"a/a", b"b/", b"b/.wh..wh..opq", b"", b""]);
    }

    /// Tools take the header of a link for what the file is: one of 0600 must not become one of 0644.
    #[test]
    fn l53_the_header_of_a_hard_link_says_what_its_file_is() {
        let attrs = crate::Attrs::new().mode(0o4710).uid(7).modified(Timestamp::new(9, 0));
        let layer = Layer::builder().file("/a", "x").attrs(attrs).hard_link("/a", "/b");
        let mut tar = Vec::new();
        write(&layer.build().unwrap(), &mut tar).unwrap();
        let (file, link) = (&tar[..512], &tar[1024..1536]);
        assert_eq!((&link[..2], link[156]), (&b"b\0"[..], b'1'));
        // Mode, uid, gid; not the size, because a link has none; time.
        assert_eq!((&file[100..124], &file[136..148]), (&link[100..124], &link[136..148]));
    }

    #[test]
    fn time_before_1970_is_written_as_a_negative_decimal() {
        assert_eq!(decimal(Timestamp::new(-1, 500_000_000)), "-0.5");
        assert_eq!(decimal(Timestamp::new(7, 1)), "7.000000001");
        assert_eq!(decimal(Timestamp::new(i64::MIN, 0)), "-9223372036854775808");
    }
}
