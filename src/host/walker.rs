//! The walk through a directory of the host: which objects there are, and what they are but for the bytes of files.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::vec;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::attributes::{self, Attributes};
use super::facts::{Facts, Id};
use super::import::{Progress, Rules};
use super::levels::{Levels, OPEN, list};
use super::readers::{Job, Shared};
use super::upper::{self, Marks};
use super::{IMPORT, host_path};
use crate::content::Content;
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::layer::{Entry, What};
use crate::tree::{self, Inode, Node};

/// What a walk came to.
#[derive(Default)]
pub(super) struct Found {
    /// Directories before what is in them. Files are empty as yet.
    pub(super) entries: Vec<Entry>,
    pub(super) unreadable: Vec<Error>,
}

pub(super) struct Walker<'a> {
    pub(super) rules: Rules,
    /// The directory that is imported, as the caller calls it.
    pub(super) root: &'a [u8],
    pub(super) shared: &'a Shared,
    pub(super) jobs: SyncSender<Job>,
    pub(super) progress: &'a mut dyn FnMut(Progress),
    pub(super) state: State,
}

/// How far a walk has come.
#[derive(Default)]
pub(super) struct State {
    /// The directories from the root down to where the walk is.
    levels: Levels<Level>,
    /// The object at hand, from the root.
    path: Vec<u8>,
    /// The first name of each object that has several.
    links: HashMap<Id, Box<[u8]>>,
    found: Found,
}

struct Level {
    names: vec::IntoIter<CString>,
    /// Where the path of the directory above ends.
    above: usize,
    holds_whiteouts: bool,
}

/// The way through the directories
impl Walker<'_> {
    pub(super) fn walk(mut self, root: OwnedFd) -> Result<Found> {
        if let Err(fault) = self.open(root, 0) {
            return Err(self.error(fault));
        }
        while let Some(level) = self.state.levels.last_mut() {
            match level.names.next() {
                Some(name) => self.visit(&name)?,
                None => self.leave()?,
            }
            if !self.rules.collect_unreadable && self.shared.failures.load(Ordering::Relaxed) > 0 {
                break;
            }
        }
        Ok(self.state.found)
    }

    fn visit(&mut self, name: &CStr) -> Result<()> {
        let (above, depth) = (self.state.path.len(), self.state.levels.len());
        if above > 0 {
            self.state.path.push(b'/');
        }
        self.state.path.extend_from_slice(name.to_bytes());
        if let Err(fault) = self.import(name, above) {
            let error = self.error(fault);
            if !self.rules.collect_unreadable {
                return Err(error);
            }
            self.state.found.unreadable.push(error);
        }
        if self.state.levels.len() == depth {
            self.state.path.truncate(above);
        }
        (self.progress)(Progress {
            entries: self.state.found.entries.len() as u64,
            bytes: self.shared.bytes.load(Ordering::Relaxed),
        });
        Ok(())
    }

    /// Goes on below a directory that is open.
    fn open(&mut self, dir: OwnedFd, above: usize) -> Result<(), Fault> {
        let facts = Facts::new(&fstat(&dir)?);
        let (attributes, marks) = self.attributes(|| attributes::of_file(dir.as_fd()))?;
        let filesystem = self.state.levels.root().map_or(facts.id.0, |root| root.0);
        let stays_out = self.rules.one_file_system && facts.id.0 != filesystem;
        let names = if stays_out { Vec::new() } else { list(&dir)? };
        self.put_object(&facts, attributes, Node::Dir(tree::Dir::default()), marks.opaque);
        let holds_whiteouts = marks.holds_whiteouts;
        let level = Level { names: names.into_iter(), above, holds_whiteouts };
        self.state.levels.push(dir, facts.id, level);
        Ok(())
    }

    /// Goes back to the directory above, and opens it again if it was closed.
    fn leave(&mut self) -> Result<()> {
        let Some((dir, Level { above, .. })) = self.state.levels.pop() else { return Ok(()) };
        self.state.path.truncate(above);
        self.state.levels.reopen(&dir).map_err(|fault| self.error(fault))
    }

    fn error(&self, fault: Fault) -> Error {
        Error::new(IMPORT, &host_path(self.root, &self.state.path), fault)
    }
}

/// The objects
impl Walker<'_> {
    fn import(&mut self, name: &CStr, above: usize) -> Result<(), Fault> {
        let dir = Arc::clone(self.state.levels.dir());
        let facts = Facts::new(&statat(&*dir, name, AtFlags::SYMLINK_NOFOLLOW)?);
        if facts.is_dir() {
            return self.import_dir(&dir, name, &facts, above);
        }
        if self.rules.overlay_upper && upper::is_whiteout(&facts) {
            self.put(What::Whiteout);
            return Ok(());
        }
        if let Some(first) = self.state.links.get(&facts.id) {
            let link = What::Link(first.clone());
            self.put(link);
            return Ok(());
        }
        match facts.kind {
            FileType::RegularFile => self.import_file(&dir, name),
            _ => self.import_special(&dir, name, &facts),
        }
    }

    fn import_dir(
        &mut self,
        dir: &OwnedFd,
        name: &CStr,
        facts: &Facts,
        above: usize,
    ) -> Result<(), Fault> {
        match openat(dir, name, OPEN | OFlags::DIRECTORY, Mode::empty()) {
            Ok(dir) => self.open(dir, above),
            Err(errno) => {
                if errno == Errno::ACCESS {
                    // What is in it nobody can tell, but it is there.
                    let node = Node::Dir(tree::Dir::default());
                    self.put_object(facts, Attributes::new(), node, false);
                }
                Err(errno.into())
            }
        }
    }

    fn import_file(&mut self, dir: &OwnedFd, name: &CStr) -> Result<(), Fault> {
        let file = File::from(openat(dir, name, OPEN, Mode::empty())?);
        let facts = Facts::new(&fstat(&file)?);
        if facts.kind != FileType::RegularFile {
            return Err(Fault::rule(ErrorKind::Io, "it was replaced while it was imported"));
        }
        let (attributes, marks) = self.attributes(|| attributes::of_file(file.as_fd()))?;
        let among_whiteouts = self.state.levels.last().is_some_and(|level| level.holds_whiteouts);
        if marks.whiteout && among_whiteouts && facts.len == 0 {
            self.put(What::Whiteout);
            return Ok(());
        }
        let entry = self.state.found.entries.len();
        self.put_object(&facts, attributes, Node::File(Content::EMPTY), false);
        // Without anybody to receive it, a reader has panicked; that comes out when the readers are joined.
        drop(self.jobs.send(Job { entry, file, facts }));
        Ok(())
    }

    fn import_special(&mut self, dir: &OwnedFd, name: &CStr, facts: &Facts) -> Result<(), Fault> {
        let node = match facts.kind {
            FileType::Symlink => {
                Node::Symlink(readlinkat(dir, name, Vec::new())?.as_bytes().into())
            }
            FileType::Fifo => Node::Fifo,
            FileType::Socket => Node::Socket,
            FileType::CharacterDevice => Node::CharDevice(facts.device),
            FileType::BlockDevice => Node::BlockDevice(facts.device),
            _ => return Err(Fault::rule(ErrorKind::Unsupported, "an object of unknown type")),
        };
        let (attributes, _) = self.attributes(|| attributes::of_name(dir.as_fd(), name))?;
        self.put_object(facts, attributes, node, false);
        Ok(())
    }

    fn attributes(
        &self,
        read: impl FnOnce() -> Result<Attributes, Fault>,
    ) -> Result<(Attributes, Marks), Fault> {
        let Rules { xattrs, overlay_upper, .. } = self.rules;
        let mut attributes = if xattrs || overlay_upper { read()? } else { Attributes::new() };
        let marks =
            if overlay_upper { upper::take_marks(&mut attributes)? } else { Marks::default() };
        if !xattrs {
            attributes.clear();
        }
        Ok((attributes, marks))
    }

    fn put_object(&mut self, facts: &Facts, attributes: Attributes, node: Node, opaque: bool) {
        if facts.nlink > 1 && !facts.is_dir() {
            self.state.links.insert(facts.id, self.state.path.as_slice().into());
        }
        let owner = self.rules.owner.unwrap_or(facts.owner);
        let mut inode = Inode::new(node, facts.mode, owner, facts.modified);
        for (name, value) in attributes {
            inode.xattrs.insert(&name, value.into());
        }
        inode.xattrs = inode.xattrs.sealed();
        self.put(What::Object { inode, opaque });
    }

    fn put(&mut self, what: What) {
        self.state.found.entries.push(Entry { path: self.state.path.as_slice().into(), what });
    }
}
