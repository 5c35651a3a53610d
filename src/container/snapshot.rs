//! A state to come back to.

use std::fmt;

use super::state::{State, Usage};
use crate::tree::Tree;
use crate::view::View;

/// The state of a container at one moment, to come back to with [`Container::restore`](crate::Container::restore). A
/// clone is O(1); it keeps alive what it shows and nothing else.
#[derive(Clone)]
pub struct Snapshot {
    state: State,
    origin: Tree,
}

impl Snapshot {
    pub(super) fn new(state: State, origin: Tree) -> Self {
        Self { state, origin }
    }

    /// What it shows, to read. O(1).
    pub fn view(&self) -> View {
        View::new(self.state.tree.clone())
    }

    /// What the writable layer held.
    pub fn usage(&self) -> Usage {
        self.state.usage
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Whether it is of a container that was started from this state.
    pub(super) fn is_of(&self, origin: &Tree) -> bool {
        self.origin.is_same(origin)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({:?})", self.state.usage)
    }
}
