//! The union of a directory's names: what the base has, less what is removed, with what is changed.

use std::iter::Peekable;

use im::ordmap;

use super::base::BaseChildren;
use super::inode::Ino;
use crate::attr::FileType;
use crate::path::Name;

type Changed<'a> = ordmap::Iter<'a, Name, Option<Ino>, im::shared_ptr::DefaultSharedPtr>;

/// Names and numbers of a directory's children, by the bytes of the name, each once.
pub(crate) struct Children<'a> {
    base: Option<Peekable<BaseChildren<'a>>>,
    changed: Option<Peekable<Changed<'a>>>,
}

impl<'a> Children<'a> {
    pub(super) fn new(base: Option<BaseChildren<'a>>, changed: Option<Changed<'a>>) -> Self {
        Self { base: base.map(Iterator::peekable), changed: changed.map(Iterator::peekable) }
    }
}

impl<'a> Children<'a> {
    /// The next name, and the type of what it leads to if the base knows: an object never changes its type.
    pub(crate) fn next_typed(&mut self) -> Option<(&'a [u8], Ino, Option<FileType>)> {
        loop {
            let lower = self.base.as_mut().and_then(|base| base.peek().map(|(name, ..)| *name));
            let upper =
                self.changed.as_mut().and_then(|changed| changed.peek().map(|(name, _)| &***name));
            let (Some(upper), base) = (upper, &mut self.base) else {
                return typed(self.base.as_mut()?.next());
            };
            match lower {
                Some(lower) if lower < upper => return typed(base.as_mut()?.next()),
                Some(lower) if lower == upper => drop(base.as_mut()?.next()),
                _ => {}
            }
            if let (name, Some(ino)) = self.changed.as_mut()?.next()? {
                return Some((name, *ino, None));
            }
        }
    }

    /// At least as many as there are.
    pub(crate) fn at_most(&self) -> usize {
        let base = self.base.as_ref().and_then(|base| base.size_hint().1).unwrap_or(0);
        base + self.changed.as_ref().map_or(0, |changed| changed.size_hint().0)
    }
}

fn typed(child: Option<(&[u8], Ino, FileType)>) -> Option<(&[u8], Ino, Option<FileType>)> {
    child.map(|(name, ino, file_type)| (name, ino, Some(file_type)))
}

impl<'a> Iterator for Children<'a> {
    type Item = (&'a [u8], Ino);

    fn next(&mut self) -> Option<Self::Item> {
        self.next_typed().map(|(name, ino, _)| (name, ino))
    }
}
