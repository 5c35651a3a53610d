//! What a mount serves: a container by numbers, for whoever asks, and what is open in it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use bytes::Bytes;
use fuser::{FileHandle, FopenFlags, INodeNo, Request};
use parking_lot::{Mutex, RwLock};

use super::attributes::place;
use super::flags::Seek;
use super::handles::{Handles, Open};
use super::news::Stale;
use crate::attr::{Attrs, Metadata};
use crate::container::{Atime, Container, Door, Entry, File, OpenAs};
use crate::credentials::Credentials;
use crate::error::{ErrorKind, Fault};
use crate::walk::Place;

/// The kernel is told of everything that changes otherwise than by its own requests.
const FOREVER: Duration = Duration::from_secs(1 << 31);
/// As many bytes are copied in one request; whoever wants more asks again.
const COPY_MAX: u64 = 16 << 20;
/// fallocate(2).
const KEEP_SIZE: i32 = 1;
const PUNCH_HOLE: i32 = 2;
const ZERO_RANGE: i32 = 16;
/// A handle for each of so many users is kept.
const PEOPLE_MAX: usize = 1024;

pub(super) struct Tree {
    container: Container,
    /// Whose writes clear setuid and setgid.
    unprivileged: Container,
    people: RwLock<HashMap<(u32, u32), Arc<Container>>>,
    pub(super) handles: Handles,
    /// Of each volume, whether it is at two places: then the kernel must not keep what it is told of one of them.
    twice: Vec<bool>,
    later: Sender<Stale>,
    /// A view: the kernel may keep its listings, too.
    never_changes: bool,
}

impl Tree {
    pub(super) fn new(
        container: &Container,
        (door, atime): (Door, Atime),
        later: Sender<Stale>,
        never_changes: bool,
    ) -> Self {
        let container = container.for_mount(door, atime);
        Self {
            unprivileged: container.as_user(Credentials::user(u32::MAX, u32::MAX)),
            people: RwLock::default(),
            handles: Handles::new(),
            twice: (0..container.mounts()).map(|mount| container.is_mounted_twice(mount)).collect(),
            container,
            later,
            never_changes,
        }
    }

    /// For what is allowed to everybody who got as far as here.
    pub(super) fn anybody(&self) -> &Container {
        &self.container
    }

    /// On behalf of who made the request: what is made is theirs.
    pub(super) fn of(&self, request: &Request) -> Arc<Container> {
        let who = (request.uid(), request.gid());
        if let Some(known) = self.people.read().get(&who) {
            return Arc::clone(known);
        }
        let handle = Arc::new(self.container.as_user(Credentials::checked(who.0, who.1)));
        let mut people = self.people.write();
        if people.len() >= PEOPLE_MAX {
            people.clear();
        }
        people.insert(who, Arc::clone(&handle));
        handle
    }

    /// How long the kernel may believe what it is told.
    pub(super) fn lifetime(&self, place: Place) -> Duration {
        if self.twice.get(place.mount) == Some(&true) { Duration::ZERO } else { FOREVER }
    }

    /// Whether the kernel keeps the contents that it has of a file when it is opened again.
    pub(super) fn kept(&self, place: Place) -> FopenFlags {
        let keeps = !self.lifetime(place).is_zero();
        if keeps { FopenFlags::FOPEN_KEEP_CACHE } else { FopenFlags::empty() }
    }

    /// For what changes contents, which clears setuid and setgid, unless root does it.
    pub(super) fn writing(&self, clears: bool) -> &Container {
        if clears { &self.unprivileged } else { &self.container }
    }

    fn handle(&self, handle: FileHandle) -> Result<Arc<Open>, Fault> {
        Ok(self.handles.get(handle).ok_or(ErrorKind::BadHandle)?)
    }

    /// Acts on an open file.
    pub(super) fn with_file<R>(
        &self,
        handle: FileHandle,
        act: impl FnOnce(&File) -> crate::Result<R>,
    ) -> Result<R, Fault> {
        match &*self.handle(handle)? {
            Open::File { file, .. } => Ok(act(file).map_err(|error| error.kind())?),
            Open::Dir(_) => Err(ErrorKind::IsADirectory.into()),
        }
    }
}

impl Drop for Tree {
    /// A kernel that is gone has forgotten everything, and said nothing of it.
    fn drop(&mut self) {
        self.container.forget_all();
    }
}

/// Files
impl Tree {
    pub(super) fn open(
        &self,
        request: &Request,
        number: INodeNo,
        how: OpenAs,
    ) -> Result<FileHandle, Fault> {
        let opener = self.writing(request.uid() != 0);
        let file = opener.open_by_number(place(number), how)?;
        Ok(self.keep(file, how))
    }

    pub(super) fn keep(&self, file: File, how: OpenAs) -> FileHandle {
        self.handles.add(Open::File { file, appends: how.append })
    }

    /// Writes all of it, and says where. What the kernel writes from its cache has its place, whatever the file was opened for.
    pub(super) fn write(
        &self,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        (clears, cached): (bool, bool),
    ) -> Result<u64, Fault> {
        let open = self.handle(handle)?;
        let Open::File { file, appends } = &*open else {
            return Err(ErrorKind::IsADirectory.into());
        };
        let at = (!*appends || cached).then_some(offset);
        let data = Bytes::copy_from_slice(data);
        file.write_for(self.writing(clears), at, &data)
    }

    /// An append that others were faster than: the kernel holds the bytes for what is at another place.
    pub(super) fn ask_again(&self, number: INodeNo) {
        drop(self.later.send(Stale::Object(place(number))));
    }

    pub(super) fn allocate(
        &self,
        handle: FileHandle,
        (offset, len): (u64, u64),
        mode: i32,
    ) -> Result<(), Fault> {
        self.with_file(handle, |file| match mode {
            0 => file.allocate(offset, len),
            // Nothing is ever set aside.
            KEEP_SIZE => Ok(()),
            _ if mode == PUNCH_HOLE | KEEP_SIZE => file.punch_hole(offset, len),
            _ if mode == ZERO_RANGE | KEEP_SIZE => file.punch_hole(offset, len),
            ZERO_RANGE => {
                file.allocate(offset, len)?;
                file.punch_hole(offset, len)
            }
            _ => Err(crate::Error::new("fallocate", b"", ErrorKind::Unsupported)),
        })
    }

    pub(super) fn seek(&self, handle: FileHandle, offset: i64, seek: Seek) -> Result<u64, Fault> {
        let offset = u64::try_from(offset).map_err(|_| ErrorKind::NoDevice)?;
        self.with_file(handle, |file| match seek {
            Seek::Data => file.next_data(offset),
            Seek::Hole => file.next_hole(offset),
        })
    }

    pub(super) fn copy(
        &self,
        (from, offset): (FileHandle, u64),
        (to, to_offset): (FileHandle, u64),
        len: u64,
    ) -> Result<u32, Fault> {
        let to = self.handle(to)?;
        let Open::File { file: to, .. } = &*to else { return Err(ErrorKind::IsADirectory.into()) };
        let len = len.min(COPY_MAX);
        let copied = self.with_file(from, |from| from.copy_range(offset, to, to_offset, len))?;
        Ok(u32::try_from(copied).expect("because no more than 16 MiB were asked for"))
    }

    pub(super) fn set_attrs(
        &self,
        request: &Request,
        number: INodeNo,
        len: Option<u64>,
        attrs: Attrs,
    ) -> Result<Metadata, Fault> {
        if let Some(len) = len {
            self.writing(request.uid() != 0).set_len_at(place(number), len)?;
        }
        self.container.set_attrs_at(place(number), attrs)
    }
}

/// Directories
impl Tree {
    pub(super) fn open_dir(&self) -> (FileHandle, FopenFlags) {
        let handle = self.handles.add(Open::Dir(Mutex::new(Arc::new([]))));
        // Where something changes, what the kernel kept of a listing has other positions than the next one.
        let kept = FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE;
        (handle, if self.never_changes { kept } else { FopenFlags::empty() })
    }

    /// What an open directory has. From the start it is read anew, as rewinddir(3) asks.
    pub(super) fn entries(
        &self,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
    ) -> Result<Arc<[Entry]>, Fault> {
        let open = self.handle(handle)?;
        let Open::Dir(entries) = &*open else { return Err(ErrorKind::NotADirectory.into()) };
        let mut entries = entries.lock();
        if offset == 0 || entries.is_empty() {
            *entries = self.container.list_at(place(number))?.into();
        }
        Ok(Arc::clone(&entries))
    }
}
