//! The walk that writes: directories, links and all that has no contents; files are sent to others.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;

use rustix::fs::{FileType, fstat};

use super::beneath;
use super::facts::Facts;
use super::handle::Handle;
use super::import::Progress;
use super::levels::Levels;
use super::pinned::Pinned;
use super::place::Place;
use super::policy::{Judge, Wanted};
use super::subject::Item;
use super::target::Target;
use super::writers::{Job, Shared, Unfinished};
use crate::attr::Device;
use crate::error::{Fault, Result};
use crate::path;
use crate::tree::{Inode, Node};

pub(super) struct Writer<'a, 'j> {
    pub(super) target: &'a Target<'j>,
    pub(super) shared: &'a Shared<'j>,
    pub(super) judge: &'a mut Judge<'j>,
    pub(super) jobs: SyncSender<Job>,
    pub(super) progress: &'a mut dyn FnMut(Progress),
    pub(super) state: State,
}

/// How far a walk has come.
#[derive(Default)]
pub(super) struct State {
    /// The directories from the root down to where the walk is.
    levels: Levels<Level>,
    /// The deepest of them.
    path: Vec<u8>,
    /// Objects that are not written and may have other names.
    left_out: HashSet<Box<[u8]>>,
    entries: u64,
}

struct Level {
    within: Arc<Unfinished>,
    /// What was in it before, sorted.
    names: Vec<CString>,
    /// Where the path of the directory above ends.
    above: usize,
}

impl Writer<'_, '_> {
    /// Writes one name, or has it written.
    pub(super) fn put(&mut self, path: &[u8], item: Item<'_>) -> Result<()> {
        self.go_to(path)?;
        match item {
            Item::Object { inode, opaque, linked } => {
                match self.judge.judge(path, inode, opaque)? {
                    Some(wanted) => self
                        .put_object(path, inode, wanted, linked)
                        .map_err(|fault| self.shared.error(path, fault))?,
                    None => drop(self.state.left_out.insert(path.into())),
                }
            }
            Item::Link(first) if self.state.left_out.contains(first) => {
                self.judge.note(path, "one more name of what was left out");
            }
            Item::Link(first) => {
                self.put_link(path, first).map_err(|fault| self.shared.error(path, fault))?;
            }
            Item::Whiteout => {
                let made = self.place(path).and_then(|place| place.make_whiteout());
                made.map_err(|fault| self.shared.error(path, fault))?;
            }
        }
        self.state.entries += 1;
        let bytes = self.shared.bytes.load(Ordering::Relaxed);
        (self.progress)(Progress { entries: self.state.entries, bytes });
        self.shared.check()
    }

    /// Leaves all directories, when the last name is written.
    pub(super) fn finish(mut self) -> Result<()> {
        while self.state.levels.len() > 0 {
            self.leave()?;
        }
        Ok(())
    }

    /// Goes up to the directory in which `path` is.
    fn go_to(&mut self, path: &[u8]) -> Result<()> {
        let (dir, _) = path::split_last(path);
        while self.state.levels.len() > 0 && self.state.path != dir {
            self.leave()?;
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<()> {
        let Some((dir, Level { within, above, .. })) = self.state.levels.pop() else {
            return Ok(());
        };
        self.state.path.truncate(above);
        // Before its mode may forbid to leave it.
        let reopened = self.state.levels.reopen(&dir);
        reopened.map_err(|fault| self.shared.error(&self.state.path, fault))?;
        self.shared.release(&dir, within);
        Ok(())
    }

    fn put_object(
        &mut self,
        path: &[u8],
        inode: &Inode,
        wanted: Wanted,
        linked: bool,
    ) -> Result<(), Fault> {
        if path.is_empty() {
            return self.enter(
                path,
                self.target.dir.try_clone()?,
                self.target.names.clone(),
                wanted,
            );
        }
        let place = self.place(path)?;
        let node = |kind, device| self.settle(path, place.make_node(kind, device)?, &wanted);
        match &inode.node {
            Node::Dir(_) => {
                let (dir, names) = place.make_dir()?;
                self.enter(path, dir, names, wanted)
            }
            Node::File(content) => {
                let within = Arc::clone(self.within());
                let job = Job { place, within, content: content.clone(), wanted };
                // A file has to be there when its other names come.
                if linked {
                    self.shared.write(job);
                } else {
                    // Without anybody to receive it, a writer has panicked; that comes out when they are joined.
                    drop(self.jobs.send(job));
                }
                Ok(())
            }
            Node::Symlink(target) => self.settle(path, place.make_symlink(target)?, &wanted),
            Node::Fifo => node(FileType::Fifo, Device::default()),
            Node::Socket => node(FileType::Socket, Device::default()),
            Node::CharDevice(device) => node(FileType::CharacterDevice, *device),
            Node::BlockDevice(device) => node(FileType::BlockDevice, *device),
        }
    }

    fn settle(&self, path: &[u8], object: Pinned<'_>, wanted: &Wanted) -> Result<(), Fault> {
        self.shared.settle(path, &Handle::Pinned(object), wanted)
    }

    fn enter(
        &mut self,
        path: &[u8],
        dir: OwnedFd,
        names: Vec<CString>,
        wanted: Wanted,
    ) -> Result<(), Fault> {
        let id = Facts::new(&fstat(&dir)?).id;
        let above = self.state.path.len();
        self.state.path = path.to_vec();
        let within = Arc::new(Unfinished { path: path.into(), wanted });
        self.state.levels.push(dir, id, Level { within, names, above });
        Ok(())
    }

    fn put_link(&mut self, path: &[u8], first: &[u8]) -> Result<(), Fault> {
        let place = self.place(path)?;
        let (above, name) = path::split_last(first);
        if above == self.state.path {
            return place.make_link(&place.dir, name);
        }
        place.make_link(&beneath::open_dir(&self.target.dir, above)?, name)
    }

    fn place(&self, path: &[u8]) -> Result<Place, Fault> {
        let name = CString::new(path::split_last(path).1).map_err(std::io::Error::from)?;
        let level = self.state.levels.last().expect("because the root comes first");
        let replaces = level.names.binary_search(&name).is_ok();
        Ok(Place { dir: Arc::clone(self.state.levels.dir()), name, replaces })
    }

    fn within(&self) -> &Arc<Unfinished> {
        &self.state.levels.last().expect("because the root comes first").within
    }
}
