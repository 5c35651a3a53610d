//! One value with one writer at a time and readers that do not wait for it.
//!
//! The writer changes its value in place, which is the cheapest there is. Readers read a published copy (a clone of the
//! value is a few reference counts). Who finds the copy out of date reads the writer's value under the lock, if nobody
//! holds it; if somebody does, there is real concurrency, and from then on the writer publishes after every change,
//! for a while. So a program of one thread never pays for publishing, and one of many never waits for more than one change.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::{ArcSwap, Guard};
use parking_lot::{Mutex, ReentrantMutex, ReentrantMutexGuard};

use super::state::{Before, Live, OpenId, State};
use super::watch::{Door, Watcher};
use crate::error::{ErrorKind, Fault};

/// How many changes are published at once after a reader had to wait.
const EAGER_CHANGES: u32 = 256;
/// How many times the same state is read under the lock before it is published.
const LOCKED_READS: u32 = 8;

/// How often, and with how many pauses between, a reader looks whether a change has ended: some microseconds.
const SPINS: u32 = 100;
const SPIN_PAUSES: u32 = 10;

/// - `version` counts changes that readers must see; `published.version` is at least `version`, or the copy is stale.
/// - Only the holder of `writer` stores to `published` and `version`.
pub(super) struct Store {
    published: ArcSwap<Published>,
    version: AtomicU64,
    eager: AtomicU32,
    locked_reads: AtomicU32,
    in_transaction: AtomicBool,
    writer: ReentrantMutex<RefCell<Live>>,
    pub(super) watchers: Mutex<Vec<Weak<dyn Watcher>>>,
}

struct Published {
    state: State,
    version: u64,
}

impl Store {
    pub(super) fn new(state: State) -> Self {
        Self {
            published: ArcSwap::from_pointee(Published { state: state.clone(), version: 0 }),
            version: AtomicU64::new(0),
            eager: AtomicU32::new(0),
            locked_reads: AtomicU32::new(0),
            in_transaction: AtomicBool::new(false),
            writer: ReentrantMutex::new(RefCell::new(Live::new(state))),
            watchers: Mutex::new(Vec::new()),
        }
    }

    /// Whether the state is the one that the store was made with, for this thread too: no change was ever finished, and
    /// none of a transaction of this thread is to be seen.
    pub(super) fn is_untouched(&self) -> bool {
        self.version.load(Ordering::Acquire) == 0 && !self.is_in_transaction()
    }

    /// Looks at the present state: the one after every change that was finished before the call.
    pub(super) fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        if self.is_in_transaction() {
            let writer = self.writer.lock();
            // While a source is asked in mid-change, there is only what was before.
            if let Ok(live) = writer.try_borrow() {
                return look(&live.state);
            }
        }
        let published = self.published.load();
        if published.version >= self.version.load(Ordering::Acquire) {
            return look(&published.state);
        }
        drop(published);
        self.read_stale(look)
    }

    #[cold]
    fn read_stale<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        let writer = match self.writer.try_lock() {
            Some(writer) if self.locked_reads.fetch_add(1, Ordering::Relaxed) < LOCKED_READS => {
                if let Ok(live) = writer.try_borrow() {
                    return look(&live.state);
                }
                writer
            }
            Some(writer) => writer,
            None => {
                self.eager.store(EAGER_CHANGES, Ordering::Relaxed);
                if let Some(published) = self.wait_for_writer() {
                    return look(&published.state);
                }
                self.writer.lock()
            }
        };
        self.publish(&writer);
        drop(writer);
        look(&self.published.load().state)
    }

    /// Waits for the end of the change that is under way, after which the writer publishes. Sleeping on the lock would
    /// take longer than most changes; `None` if this one takes longer than that.
    fn wait_for_writer(&self) -> Option<Guard<Arc<Published>>> {
        let version = self.version.load(Ordering::Acquire);
        for _ in 0..SPINS {
            let published = self.published.load();
            if published.version >= version {
                return Some(published);
            }
            drop(published);
            (0..SPIN_PAUSES).for_each(|_| std::hint::spin_loop());
        }
        None
    }

    fn publish(&self, writer: &ReentrantMutexGuard<'_, RefCell<Live>>) {
        // A change that is under way on this very thread (a file's source asks the container) is not to be seen yet.
        if let Ok(live) = writer.try_borrow()
            && !self.in_transaction.load(Ordering::Relaxed)
        {
            let version = self.version.load(Ordering::Relaxed);
            self.published.store(Arc::new(Published { state: live.state.clone(), version }));
            self.locked_reads.store(0, Ordering::Relaxed);
        }
    }

    /// Changes the state, for whoever comes by a door. `change` returns an error only if it changed nothing.
    pub(super) fn change<R>(
        &self,
        by: Door,
        change: impl FnOnce(&mut Live) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let writer = self.writer.lock();
        let in_transaction = self.in_transaction.load(Ordering::Relaxed);
        let (result, touched) = {
            let mut live = writer.try_borrow_mut().map_err(|_| ErrorKind::Deadlock)?;
            let result = change(&mut live)?;
            (result, if in_transaction { None } else { live.take_touched() })
        };
        if !in_transaction {
            self.changed(&writer);
        }
        drop(writer);
        self.tell(touched, by);
        Ok(result)
    }

    /// Whether this thread is in a transaction.
    pub(super) fn is_in_transaction(&self) -> bool {
        self.in_transaction.load(Ordering::Relaxed) && self.writer.is_owned_by_current_thread()
    }

    fn changed(&self, writer: &ReentrantMutexGuard<'_, RefCell<Live>>) {
        let version = self.version.load(Ordering::Relaxed) + 1;
        let eager = self.eager.load(Ordering::Relaxed);
        if eager > 0 {
            self.eager.store(eager - 1, Ordering::Relaxed);
            let state = writer.borrow().state.clone();
            self.published.store(Arc::new(Published { state, version }));
        }
        self.locked_reads.store(0, Ordering::Relaxed);
        self.version.store(version, Ordering::Release);
    }

    /// Looks at and changes what readers do not see: which files are open.
    pub(super) fn quietly<R>(
        &self,
        act: impl FnOnce(&mut Live) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let writer = self.writer.lock();
        let mut live = writer.try_borrow_mut().map_err(|_| ErrorKind::Deadlock)?;
        act(&mut live)
    }

    /// Closes a handle. Readers notice only if something goes with it.
    pub(super) fn close(&self, id: OpenId) -> Result<(), Fault> {
        let writer = self.writer.lock();
        let gone = {
            let mut live = writer.try_borrow_mut().map_err(|_| ErrorKind::Deadlock)?;
            let before = live.state.orphans.len();
            live.close(id);
            live.state.orphans.len() < before
        };
        if gone && !self.in_transaction.load(Ordering::Relaxed) {
            self.changed(&writer);
        }
        Ok(())
    }

    /// Runs `act` as one change: this thread sees every step of it, the others nothing until its end. If it fails or
    /// panics, all is as before.
    pub(super) fn transaction<R, E: From<crate::Error>>(
        &self,
        act: impl FnOnce() -> Result<R, E>,
    ) -> Result<R, E> {
        let writer = self.writer.lock();
        let deadlock = |_| crate::Error::new("transaction", b"/", ErrorKind::Deadlock);
        let before = writer.try_borrow().map_err(deadlock)?.before();
        let outermost = !self.in_transaction.load(Ordering::Relaxed);
        if outermost {
            self.publish(&writer);
            self.in_transaction.store(true, Ordering::Relaxed);
        }
        let mut undo = Undo { store: self, writer, before: Some(before), outermost };
        let result = act()?;
        undo.before = None;
        let touched = if outermost { undo.writer.borrow_mut().take_touched() } else { None };
        drop(undo);
        self.tell(touched, 0);
        Ok(result)
    }
}

/// Ends a transaction, by going back unless it was told not to.
struct Undo<'a> {
    store: &'a Store,
    writer: ReentrantMutexGuard<'a, RefCell<Live>>,
    before: Option<Before>,
    outermost: bool,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            let mut live = self.writer.borrow_mut();
            live.roll_back(before);
            // Nobody else saw any of it.
            if self.outermost {
                drop(live.take_touched());
            }
        }
        if self.outermost {
            self.store.in_transaction.store(false, Ordering::Relaxed);
            self.store.changed(&self.writer);
        }
    }
}
