//! Telling the kernel what others changed, because it keeps what it was told.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use fuser::Notifier;

use super::attributes::number;
use crate::container::{Door, Touched, Watcher};
use crate::path;
use crate::walk::Place;

/// What the kernel is to ask for again.
pub(super) enum Stale {
    Object(Place),
    Name(Place, path::Name),
}

impl Stale {
    fn of(mount: usize, touched: &Touched) -> Self {
        match touched {
            Touched::Inode(ino) => Self::Object(Place { mount, ino: *ino }),
            Touched::Name(dir, name) => {
                Self::Name(Place { mount, ino: *dir }, path::Name::clone(name))
            }
        }
    }

    fn tell(&self, kernel: &Notifier) {
        // What the kernel does not know it need not forget; and if it is gone, nobody is left to tell.
        drop(match self {
            Self::Object(place) => kernel.inval_inode(number(*place), 0, 0),
            Self::Name(dir, name) => kernel.inval_entry(number(*dir), &path::to_os_string(name)),
        });
    }
}

/// One of the trees of a mount.
///
/// Who changes something by the crate's own methods tells the kernel before the method returns. A thread that answers some
/// mount must not wait for the kernel, which may be waiting for it: what came through another mount, a thread of its own tells.
pub(super) struct News {
    pub(super) mount: usize,
    pub(super) door: Door,
    /// A volume at two places: what comes by this very mount is news to the other place.
    pub(super) twice: bool,
    pub(super) kernel: Notifier,
    pub(super) later: Sender<Stale>,
}

impl Watcher for News {
    fn changed(&self, touched: &[Touched], by: Door) {
        if by == self.door && !self.twice {
            return;
        }
        for stale in touched.iter().map(|touched| Stale::of(self.mount, touched)) {
            if by == 0 {
                stale.tell(&self.kernel);
            } else {
                // It is gone only if the mount is.
                drop(self.later.send(stale));
            }
        }
    }
}

/// What a thread of its own tells the kernel.
pub(super) struct Later {
    stale: Receiver<Stale>,
}

impl Later {
    pub(super) fn new() -> (Sender<Stale>, Self) {
        let (sender, stale) = channel();
        (sender, Self { stale })
    }

    /// Until nobody can have anything to tell any more.
    pub(super) fn run(self, kernel: &Notifier) {
        self.stale.iter().for_each(|stale| stale.tell(kernel));
    }
}

/// The watchers of a mount, which go with it.
pub(super) type Watchers = Vec<Arc<dyn Watcher>>;
