//! Extended attributes of the host's objects.

use crate::error::Fault;

/// Names and values, as the host lists them.
pub(super) type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use self::linux::{of_file, of_name, path_of, set, set_on_path};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::ffi::CStr;
    use std::os::fd::{AsRawFd, BorrowedFd};

    use rustix::buffer::spare_capacity;
    use rustix::fs::{
        XattrFlags, fgetxattr, flistxattr, fsetxattr, lgetxattr, llistxattr, setxattr,
    };
    use rustix::io::{self, Errno};

    use super::{Attributes, Fault};

    /// Of what is open.
    pub(in crate::host) fn of_file(file: BorrowedFd<'_>) -> Result<Attributes, Fault> {
        collect(
            |buf| flistxattr(file, spare_capacity(buf)),
            |name, buf| fgetxattr(file, name, spare_capacity(buf)),
        )
    }

    /// Of a name in an open directory that cannot be opened itself: a link, a device, a fifo, a socket.
    ///
    /// There is no system call for this that takes a directory. `/proc/self/fd/N` is that very directory, wherever it has
    /// been moved, and the calls that begin with `l` do not follow what `name` is.
    pub(in crate::host) fn of_name(dir: BorrowedFd<'_>, name: &CStr) -> Result<Attributes, Fault> {
        let path = [path_of(dir).as_bytes(), b"/", name.to_bytes()].concat();
        collect(
            |buf| llistxattr(&*path, spare_capacity(buf)),
            |name, buf| lgetxattr(&*path, name, spare_capacity(buf)),
        )
    }

    /// On what is open.
    pub(in crate::host) fn set(file: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> io::Result<()> {
        fsetxattr(file, name, value, XattrFlags::empty())
    }

    /// On what is open as a path alone (`O_PATH`).
    pub(in crate::host) fn set_on_path(
        object: BorrowedFd<'_>,
        name: &[u8],
        value: &[u8],
    ) -> io::Result<()> {
        setxattr(path_of(object), name, value, XattrFlags::empty())
    }

    /// The path of what is open: that very object, even where it is a symbolic link or has been moved.
    pub(in crate::host) fn path_of(object: BorrowedFd<'_>) -> String {
        format!("/proc/self/fd/{}", object.as_raw_fd())
    }

    fn collect(
        list: impl Fn(&mut Vec<u8>) -> io::Result<usize>,
        get: impl Fn(&CStr, &mut Vec<u8>) -> io::Result<usize>,
    ) -> Result<Attributes, Fault> {
        let names = match fill(list) {
            Err(Errno::OPNOTSUPP) => return Ok(Attributes::new()),
            names => names?,
        };
        let mut found = Attributes::new();
        for name in names.split_inclusive(|&byte| byte == 0) {
            let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
            match fill(|buf| get(name, buf)) {
                Ok(value) => found.push((name.to_bytes().to_vec(), value)),
                // Removed since it was listed.
                Err(Errno::NODATA) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(found)
    }

    /// Calls with a larger buffer each time until all fits; the kernel gives 64 KiB at most.
    fn fill(call: impl Fn(&mut Vec<u8>) -> io::Result<usize>) -> io::Result<Vec<u8>> {
        let mut buf = Vec::with_capacity(256);
        loop {
            match call(&mut buf) {
                Err(Errno::RANGE) if buf.capacity() < 1 << 20 => buf.reserve(buf.capacity() * 4),
                Err(errno) => return Err(errno),
                Ok(_) => return Ok(buf),
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[expect(clippy::unnecessary_wraps, reason = "as it is on Linux")]
pub(super) fn of_file(_: std::os::fd::BorrowedFd<'_>) -> Result<Attributes, Fault> {
    Ok(Attributes::new())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[expect(clippy::unnecessary_wraps, reason = "as it is on Linux")]
pub(super) fn of_name(
    _: std::os::fd::BorrowedFd<'_>,
    _: &std::ffi::CStr,
) -> Result<Attributes, Fault> {
    Ok(Attributes::new())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn set(_: std::os::fd::BorrowedFd<'_>, _: &[u8], _: &[u8]) -> rustix::io::Result<()> {
    Err(rustix::io::Errno::OPNOTSUPP)
}
