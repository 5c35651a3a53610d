//! Paths as the filesystem sees them: bytes, split on `/` and on nothing else.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::ErrorKind;

/// The longest name, in bytes (`NAME_MAX` of Linux).
pub(crate) const NAME_MAX: usize = 255;
/// The longest path that an operation takes, in bytes (`PATH_MAX` of Linux, less its NUL).
pub(crate) const PATH_MAX: usize = 4095;

/// One name in a directory: 1 to 255 bytes without `/` and NUL, neither `.` nor `..`. Cloned by reference count.
pub(crate) type Name = Arc<[u8]>;

/// The bytes of a path. On Unix these are its bytes, elsewhere its WTF-8 form.
pub(crate) fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// The way back. Where the platform's names are not bytes, what is no Unicode is replaced.
pub(crate) fn to_os_string(bytes: &[u8]) -> OsString {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        std::ffi::OsStr::from_bytes(bytes).to_owned()
    }
    #[cfg(not(unix))]
    {
        String::from_utf8_lossy(bytes).into_owned().into()
    }
}

pub(crate) fn to_path_buf(bytes: &[u8]) -> PathBuf {
    to_os_string(bytes).into()
}

/// The names of a path, empty ones left out; `.` and `..` are still among them.
pub(crate) fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty())
}

/// Whether `name` can be a directory entry.
pub(crate) fn check_name(name: &[u8]) -> Result<(), ErrorKind> {
    match name {
        b"" | b"." | b".." => Err(ErrorKind::InvalidInput),
        _ if name.len() > NAME_MAX => Err(ErrorKind::NameTooLong),
        _ if name.contains(&b'/') || name.contains(&0) => Err(ErrorKind::InvalidInput),
        _ => Ok(()),
    }
}

/// `dir/name`, for paths without a leading `/` ("" is the root).
pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() {
        return name.to_vec();
    }
    [dir, b"/", name].concat()
}

/// Splits a path without a leading or trailing `/` into its parent and its name.
pub(crate) fn split_last(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// The directories above a path without a leading `/`, from the root ("") down.
pub(crate) fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes =
        path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(slash, _)| slash);
    let root = (!path.is_empty()).then_some(0);
    root.into_iter().chain(slashes).map(|end| &path[..end])
}

/// Whether `path` is `dir` or lies somewhere in it.
pub(crate) fn is_within(path: &[u8], dir: &[u8]) -> bool {
    dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// Orders paths by their names from the root down, so that a directory comes right before what is in it.
///
/// A name has no NUL, so it is enough to let `/` come before every other byte.
pub(crate) fn compare(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    const BLOCK: usize = 16;
    let blocks = a.chunks_exact(BLOCK).zip(b.chunks_exact(BLOCK));
    let same = BLOCK * blocks.take_while(|(a, b)| a == b).count();
    let rank = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    match a[same..].iter().zip(&b[same..]).find(|(x, y)| x != y) {
        Some((x, y)) => rank(x).cmp(&rank(y)),
        None => a.len().cmp(&b.len()),
    }
}

/// The names of a path from the root down, without `.` and `..`; a `..` that would leave the root is refused (semantics
/// L31). Whether each can be a name is not asked.
pub(crate) fn resolve(path: &[u8]) -> Result<Vec<&[u8]>, ErrorKind> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in components(path) {
        match name {
            b"." => {}
            b".." => drop(names.pop().ok_or(ErrorKind::InvalidInput)?),
            _ => names.push(name),
        }
    }
    Ok(names)
}

/// Brings a path to the form in which layers keep it: no leading or trailing `/`, no `.`, no `..`: `d/../a` is `a`.
pub(crate) fn normalise(path: &[u8]) -> Result<Vec<u8>, ErrorKind> {
    let is_name = |name: &&[u8]| !matches!(*name, b"." | b"..");
    components(path).filter(is_name).try_for_each(check_name)?;
    Ok(resolve(path)?.join(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalise_gives_one_form() {
        for path in ["./a", "/a", "a//", "d/../a", "a/."] {
            assert_eq!(normalise(path.as_bytes()), Ok(b"a".to_vec()), "{path}");
        }
        assert_eq!(normalise(b"/"), Ok(Vec::new()));
    }

    #[test]
    fn normalise_refuses_what_leaves_the_root() {
        assert_eq!(normalise(b"a/../../b"), Err(ErrorKind::InvalidInput));
        assert_eq!(normalise(b".."), Err(ErrorKind::InvalidInput));
        assert_eq!(normalise(&[b'x'; 256]), Err(ErrorKind::NameTooLong));
    }

    #[test]
    fn compare_is_the_order_of_lists_of_names() {
        let names = ["", "a", "a-", "a.b", "b", "a-name-of-more-than-16-bytes", "\u{1}"];
        let mut paths: Vec<String> = names.iter().map(ToString::to_string).collect();
        for a in &names[1..] {
            paths.extend(names[1..].iter().map(|b| format!("{a}/{b}")));
        }
        for (a, b) in paths.iter().flat_map(|a| paths.iter().map(move |b| (a, b))) {
            let as_lists = a.split('/').cmp(b.split('/'));
            assert_eq!(compare(a.as_bytes(), b.as_bytes()), as_lists, "{a} {b}");
        }
    }

    #[test]
    fn compare_puts_a_directory_before_its_children_and_before_longer_names() {
        let mut paths = ["a.b", "a/b", "a", "", "a-"];
        paths.sort_by(|a, b| compare(a.as_bytes(), b.as_bytes()));
        assert_eq!(paths, ["", "a", "a/b", "a-", "a.b"]);
    }
}
