//! The names of a directory, as the kernel reads them.
//!
//! A position is a place in the listing that was made when the directory was read from its start: 1 and 2 are after `.` and
//! `..`, all others after an entry.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use fuser::{Generation, ReplyDirectoryPlus};

use super::attributes::{attributes, attributes_of};
use super::tree::Tree;
use crate::attr::FileType;
use crate::container::{Container, Entry};
use crate::walk::Place;

/// As many names are looked up in one step.
const STEP: usize = 16;

/// All that comes after a position: the position after it, name, object and type.
pub(super) fn lines<'e>(
    container: &Container,
    dir: Place,
    entries: &'e [Entry],
    offset: u64,
) -> impl Iterator<Item = (u64, &'e [u8], Place, FileType)> {
    let dots = [(1, b".".as_slice(), dir), (2, b"..".as_slice(), container.parent_of(dir))];
    let dots = dots.map(|(next, name, place)| (next, name, place, FileType::Dir));
    let names = (3..).zip(entries).skip(after_dots(offset));
    let names = names.map(|(next, entry)| (next, &*entry.name, entry.place, entry.file_type));
    dots.into_iter().skip(usize::try_from(offset).unwrap_or(usize::MAX)).chain(names)
}

fn after_dots(offset: u64) -> usize {
    usize::try_from(offset.saturating_sub(2)).unwrap_or(usize::MAX)
}

/// The same with what each name leads to, until the answer is full. The kernel remembers what it is told of here.
pub(super) fn fill(
    tree: &Tree,
    dir: Place,
    entries: &[Entry],
    offset: u64,
    reply: &mut ReplyDirectoryPlus,
) {
    let container = tree.anybody();
    let dots = lines(container, dir, &[], offset);
    for (next, name, place, _) in dots {
        let Ok(metadata) = container.stat_at(place) else { continue };
        let (attributes, lifetime) = (attributes(place, &metadata), tree.lifetime(place));
        let name = OsStr::from_bytes(name);
        if reply.add(attributes.ino, next, name, &lifetime, &attributes, Generation(0)) {
            return;
        }
    }
    let start = after_dots(offset).min(entries.len());
    for (step, entries) in entries[start..].chunks(STEP).enumerate() {
        let first = (start + step * STEP) as u64 + 3;
        if fill_step(tree, dir, entries, first, reply) {
            return;
        }
    }
}

/// Whether the answer is full.
fn fill_step(
    tree: &Tree,
    dir: Place,
    entries: &[Entry],
    first: u64,
    reply: &mut ReplyDirectoryPlus,
) -> bool {
    let container = tree.anybody();
    let mut found = (first..).zip(entries).zip(container.lookup_entries(dir, entries));
    while let Some(((next, entry), found_here)) = found.next() {
        let Some(found_here) = found_here else { continue };
        let (attributes, lifetime) = (attributes_of(&found_here), tree.lifetime(found_here.place));
        let name = OsStr::from_bytes(&entry.name);
        if reply.add(attributes.ino, next, name, &lifetime, &attributes, Generation(0)) {
            let untold = found.filter_map(|(_, found)| found).chain([found_here]);
            untold.for_each(|untold| container.forget_at(untold.place, 1));
            return true;
        }
    }
    false
}
