//! The kernel's requests, each handed on and answered.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, Generation,
    INodeNo, InitFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen,
    ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use super::attributes::{
    ToErrno, attributes, attributes_of, decode_device, kind, number, patch, place,
};
use super::tree::Tree;
use super::{flags, listing, room};
use crate::container::Found;
use crate::error::{ErrorKind, Fault};
use crate::tree::{Dir, Node};

/// What the kernel may send at once, and may be sent.
const REQUEST_MAX: u32 = 1 << 20;
/// Requests that run ahead of who waits for them.
const BACKGROUND_MAX: u16 = 64;
/// Numbers are never given out a second time.
const GENERATION: Generation = Generation(0);
/// Access control lists, which nobody would enforce: they are refused, not kept without effect.
const ACL: &[u8] = b"system.posix_acl_";

/// A mount's side of the conversation.
pub(super) struct Requests(pub(super) Tree);

impl Requests {
    fn entry(&self, found: Result<Found, Fault>, reply: ReplyEntry) {
        match found {
            Ok(found) => {
                let lifetime = self.0.lifetime(found.place);
                reply.entry(&lifetime, &attributes_of(&found), GENERATION);
            }
            Err(fault) => reply.error(fault.to_errno()),
        }
    }
}

fn done(result: Result<(), Fault>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(fault) => reply.error(fault.to_errno()),
    }
}

/// A value, or how long it is for who asks for nothing.
fn value(found: Result<Bytes, Fault>, size: u32, reply: ReplyXattr) {
    match found {
        Ok(value) if size == 0 => reply.size(value.len() as u32),
        Ok(value) if value.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(value) => reply.data(&value),
        Err(fault) => reply.error(fault.to_errno()),
    }
}

impl Filesystem for Requests {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        let wanted = InitFlags::FUSE_ATOMIC_O_TRUNC
            | InitFlags::FUSE_DO_READDIRPLUS
            | InitFlags::FUSE_READDIRPLUS_AUTO
            | InitFlags::FUSE_ASYNC_DIO
            | InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_CACHE_SYMLINKS
            | InitFlags::FUSE_HANDLE_KILLPRIV_V2;
        // What an older kernel does not have, it does in a slower way. More than it takes it is not sent.
        let _ = config.add_capabilities(wanted & config.capabilities());
        let _ = config.set_max_write(REQUEST_MAX);
        let _ = config.set_max_background(BACKGROUND_MAX);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.entry(self.0.anybody().lookup_in(place(parent), name.as_bytes()), reply);
    }

    fn forget(&self, _: &Request, ino: INodeNo, lookups: u64) {
        self.0.anybody().forget_at(place(ino), lookups);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.0.anybody().stat_at(place(ino)) {
            Ok(metadata) => {
                let place = place(ino);
                reply.attr(&self.0.lifetime(place), &attributes(place, &metadata));
            }
            Err(fault) => reply.error(fault.to_errno()),
        }
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let attrs = patch(mode, (uid, gid), (atime, mtime));
        match self.0.set_attrs(request, ino, size, attrs) {
            Ok(metadata) => {
                let place = place(ino);
                reply.attr(&self.0.lifetime(place), &attributes(place, &metadata));
            }
            Err(fault) => reply.error(fault.to_errno()),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.0.anybody().read_link_at(place(ino)) {
            Ok(target) => reply.data(&target),
            Err(fault) => reply.error(fault.to_errno()),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        let Some(node) = flags::node(mode, decode_device(rdev)) else {
            return reply.error(Errno::EINVAL);
        };
        let container = self.0.of(request);
        self.entry(container.make_in(place(parent), name.as_bytes(), &node, mode), reply);
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let (container, node) = (self.0.of(request), Node::Dir(Dir::default()));
        self.entry(container.make_in(place(parent), name.as_bytes(), &node, mode), reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(self.0.anybody().remove_in(place(parent), name.as_bytes()), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(self.0.anybody().remove_dir_in(place(parent), name.as_bytes()), reply);
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let node = Node::Symlink(Arc::from(target.as_os_str().as_bytes()));
        let container = self.0.of(request);
        self.entry(container.make_in(place(parent), name.as_bytes(), &node, 0o777), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        how: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let Some(taken) = flags::taken(how) else { return reply.error(Errno::EINVAL) };
        let from = (place(parent), name.as_bytes());
        let to = (place(newparent), newname.as_bytes());
        done(self.0.anybody().rename_in(from, to, taken), reply);
    }

    fn link(&self, _: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.entry(self.0.anybody().link_in(place(ino), place(parent), name.as_bytes()), reply);
    }

    fn open(&self, request: &Request, ino: INodeNo, how: OpenFlags, reply: ReplyOpen) {
        match self.0.open(request, ino, flags::open_as(how.0)) {
            Ok(handle) => reply.opened(handle, self.0.kept(place(ino))),
            Err(fault) => reply.error(fault.to_errno()),
        }
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        how: i32,
        reply: ReplyCreate,
    ) {
        let (container, open_as) = (self.0.of(request), flags::open_as(how));
        let how = (open_as, flags::is_exclusive(how));
        let writer = self.0.writing(request.uid() != 0);
        match container.create_in(place(parent), name.as_bytes(), mode, how, writer) {
            Ok((found, file)) => {
                let (handle, lifetime) = (self.0.keep(file, open_as), self.0.lifetime(found.place));
                let kept = self.0.kept(found.place);
                reply.created(&lifetime, &attributes_of(&found), GENERATION, handle, kept);
            }
            Err(fault) => reply.error(fault.to_errno()),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.0.with_file(handle, |file| file.read_bytes(offset, size.into())) {
            Ok(bytes) => reply.data(&bytes),
            Err(fault) => reply.error(fault.to_errno()),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        how: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let clears = how.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
        let cached = how.contains(WriteFlags::FUSE_WRITE_CACHE);
        match self.0.write(handle, offset, data, (clears, cached)) {
            Ok(at) => {
                reply.written(data.len() as u32);
                if at != offset {
                    self.0.ask_again(ino);
                }
            }
            Err(fault) => reply.error(fault.to_errno()),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Nothing is held back, and the kernel does not ask again.
        reply.error(Errno::ENOSYS);
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.0.handles.remove(handle);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let (handle, kept) = self.0.open_dir();
        reply.opened(handle, kept);
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let entries = match self.0.entries(ino, handle, offset) {
            Ok(entries) => entries,
            Err(fault) => return reply.error(fault.to_errno()),
        };
        for (next, name, place, file_type) in
            listing::lines(self.0.anybody(), place(ino), &entries, offset)
        {
            if reply.add(number(place), next, kind(file_type), OsStr::from_bytes(name)) {
                break;
            }
        }
        reply.ok();
    }

    fn readdirplus(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        match self.0.entries(ino, handle, offset) {
            Ok(entries) => {
                listing::fill(&self.0, place(ino), &entries, offset, &mut reply);
                reply.ok();
            }
            Err(fault) => reply.error(fault.to_errno()),
        }
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.0.handles.remove(handle);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        reply.ok();
    }

    fn statfs(&self, _: &Request, ino: INodeNo, reply: ReplyStatfs) {
        room::tell(self.0.anybody().room(place(ino).mount), reply);
    }

    fn setxattr(
        &self,
        _: &Request,
        ino: INodeNo,
        name: &OsStr,
        bytes: &[u8],
        how: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        let Some(mode) = flags::xattr_mode(how) else { return reply.error(Errno::EINVAL) };
        if name.as_bytes().starts_with(ACL) {
            return reply.error(Fault::from(ErrorKind::Unsupported).to_errno());
        }
        let bytes = Bytes::copy_from_slice(bytes);
        done(self.0.anybody().set_xattr_at(place(ino), name.as_bytes(), &bytes, mode), reply);
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        value(self.0.anybody().xattr_at(place(ino), name.as_bytes()), size, reply);
    }

    fn listxattr(&self, request: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let names = self.0.anybody().xattrs_at(place(ino), request.uid() == 0);
        let end = |name: std::ffi::OsString| [name.as_bytes(), b"\0"].concat();
        let list = names.map(|names| names.into_iter().flat_map(end).collect::<Vec<u8>>().into());
        value(list, size, reply);
    }

    fn removexattr(&self, _: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(self.0.anybody().remove_xattr_at(place(ino), name.as_bytes()), reply);
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        // The kernel checks by itself.
        reply.ok();
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        done(self.0.allocate(handle, (offset, length), mode), reply);
    }

    fn lseek(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let Some(seek) = flags::seek(whence) else { return reply.error(Errno::EINVAL) };
        match self.0.seek(handle, offset, seek) {
            Ok(at) => reply.offset(at.cast_signed()),
            Err(fault) => reply.error(fault.to_errno()),
        }
    }

    fn copy_file_range(
        &self,
        _: &Request,
        _: INodeNo,
        from: FileHandle,
        offset: u64,
        _: INodeNo,
        to: FileHandle,
        to_offset: u64,
        len: u64,
        _: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        match self.0.copy((from, offset), (to, to_offset), len) {
            Ok(copied) => reply.written(copied),
            Err(fault) => reply.error(fault.to_errno()),
        }
    }
}
