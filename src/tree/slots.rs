//! The inodes of a tree that are not as in its base, by number.

use std::sync::Arc;

use im::OrdMap;
use im::ordmap::DiffItem;

use super::inode::{Ino, Slot};

/// A map from inode numbers, in one of two forms.
#[derive(Clone)]
pub(super) enum Slots {
    /// A persistent map: what every state has that anybody keeps.
    Shared(OrdMap<Ino, Arc<Slot>>),
    /// One row for each number, the first for number 1: what a tree has while layers are merged, when nobody else sees it.
    /// A clone of it copies every row.
    Rows(Vec<Option<Slot>>),
}

impl Slots {
    pub(super) fn new() -> Self {
        Self::Shared(OrdMap::new())
    }

    /// Room for so many, to be filled by one owner.
    pub(super) fn rows(capacity: usize) -> Self {
        Self::Rows(Vec::with_capacity(capacity))
    }

    /// May be `false` for rows of which none is used.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Shared(map) => map.is_empty(),
            Self::Rows(rows) => rows.is_empty(),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Shared(map) => map.len(),
            Self::Rows(rows) => rows.iter().flatten().count(),
        }
    }

    pub(super) fn get(&self, ino: Ino) -> Option<&Slot> {
        match self {
            Self::Shared(map) => map.get(&ino).map(|slot| &**slot),
            Self::Rows(rows) => rows.get(row(ino)?)?.as_ref(),
        }
    }

    pub(super) fn get_mut(&mut self, ino: Ino) -> Option<&mut Slot> {
        match self {
            Self::Shared(map) => map.get_mut(&ino).map(Arc::make_mut),
            Self::Rows(rows) => rows.get_mut(row(ino)?)?.as_mut(),
        }
    }

    pub(super) fn insert(&mut self, ino: Ino, slot: Slot) {
        match self {
            Self::Shared(map) => drop(map.insert(ino, Arc::new(slot))),
            Self::Rows(rows) => {
                let row = row(ino).expect("because numbers are given in turn, so rows fit memory");
                if row >= rows.len() {
                    rows.resize_with(row + 1, || None);
                }
                rows[row] = Some(slot);
            }
        }
    }

    pub(super) fn remove(&mut self, ino: Ino) {
        match self {
            Self::Shared(map) => drop(map.remove(&ino)),
            Self::Rows(rows) => {
                if let Some(slot) = row(ino).and_then(|row| rows.get_mut(row)) {
                    *slot = None;
                }
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Ino, &Slot)> {
        let (shared, rows) = match self {
            Self::Shared(map) => (Some(map.iter().map(|(&ino, slot)| (ino, &**slot))), None),
            Self::Rows(rows) => (None, Some(rows)),
        };
        let used = rows.into_iter().flatten().zip(1..);
        let used = used.filter_map(|(slot, ino)| Some((Ino(ino), slot.as_ref()?)));
        shared.into_iter().flatten().chain(used)
    }

    /// The numbers of those that are not one allocation in both. O(differences) for two states of one history.
    pub(super) fn diff(&self, old: &Self) -> Vec<Ino> {
        let (Self::Shared(new), Self::Shared(old)) = (self, old) else {
            unreachable!("because nobody sees rows");
        };
        let changed = old.diff(new).map(|item| match item {
            DiffItem::Add(ino, _) | DiffItem::Remove(ino, _) => *ino,
            DiffItem::Update { new: (ino, _), .. } => *ino,
        });
        changed.collect()
    }

    /// Whether both are one, not only alike. O(1).
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Shared(a), Self::Shared(b)) => a.ptr_eq(b) || a.is_empty() && b.is_empty(),
            _ => false,
        }
    }
}

fn row(ino: Ino) -> Option<usize> {
    usize::try_from(ino.0).ok()?.checked_sub(1)
}
