//! What the name of an entry says: a path of the layer, or a mark on one (image-spec, layer.md, "Whiteouts").

use crate::error::{ErrorKind, Fault};
use crate::path;

/// What an entry is about.
#[derive(Debug, PartialEq)]
pub(super) enum Place {
    /// An object or one more name of one at this path, in normal form.
    At(Box<[u8]>),
    /// The name is gone.
    Whiteout(Box<[u8]>),
    /// The directory shows nothing of the layers below.
    Opaque(Box<[u8]>),
    /// aufs kept its books there: nothing of a layer.
    Aufs(Box<[u8]>),
}

const PREFIX: &[u8] = b".wh.";
const AUFS: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

impl Place {
    /// Only the last name can be a mark, whatever the type of the entry is (semantics L42): `.wh.x/y` is a file in a
    /// directory with an odd name, as it is to containerd, which looks at the last name alone. To take it for a whiteout
    /// of `x` would let an archive remove what its own entry for `.wh.x` does not name.
    pub(super) fn of(path: &[u8], max_depth: usize) -> Result<Self, Fault> {
        if path.is_empty() {
            return Err(Fault::rule(ErrorKind::InvalidInput, "an entry without a name"));
        }
        let names =
            path::resolve(path).map_err(|kind| Fault::rule(kind, "its path leaves the root"))?;
        if names.len() > max_depth {
            let rule = "it has more names in its path than ReadOptions::max_depth";
            return Err(Fault::rule(ErrorKind::NameTooLong, rule));
        }
        let Some((last, dirs)) = names.split_last() else { return Ok(Self::At(Box::default())) };
        for dir in dirs {
            path::check_name(dir)?;
        }
        if names.iter().any(|name| name.starts_with(AUFS)) {
            let is_marker = *last == OPAQUE && !dirs.iter().any(|name| name.starts_with(AUFS));
            let is_about = if is_marker { Self::Opaque } else { Self::Aufs };
            let names = if is_marker { dirs } else { &names };
            return Ok(is_about(names.join(&b'/').into()));
        }
        match last.strip_prefix(PREFIX) {
            Some(b"" | b"." | b"..") => {
                Err(Fault::rule(ErrorKind::InvalidInput, "a whiteout of no name"))
            }
            Some(name) => {
                path::check_name(name)?;
                Ok(Self::Whiteout([dirs, &[name]].concat().join(&b'/').into()))
            }
            None => {
                path::check_name(last)?;
                Ok(Self::At(names.join(&b'/').into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Place {
        Place::of(path.as_bytes(), 9).unwrap()
    }

    #[test]
    fn only_the_last_name_is_a_mark() {
        assert_eq!(of("./a//b/"), Place::At((*b"a/b").into()));
        assert_eq!(of("/"), Place::At((*b"").into()));
        assert_eq!(of("a/.wh.b/"), Place::Whiteout((*b"a/b").into()));
        assert_eq!(of("a/.wh.b/c"), Place::At((*b"a/.wh.b/c").into()));
        assert_eq!(of("a/.wh..wh..opq"), Place::Opaque((*b"a").into()));
        assert_eq!(of(".wh..wh..opq"), Place::Opaque((*b"").into()));
        assert_eq!(of(".wh..wh.plnk/1.2"), Place::Aufs((*b".wh..wh.plnk/1.2").into()));
        assert_eq!(of(".wh..wh..opq/x"), Place::Aufs((*b".wh..wh..opq/x").into()));
    }

    #[test]
    fn a_whiteout_of_the_longest_name_is_longer_than_a_name() {
        let name = "x".repeat(255);
        assert_eq!(of(&format!(".wh.{name}")), Place::Whiteout(name.as_bytes().into()));
        assert!(Place::of(format!(".wh.{name}x").as_bytes(), 9).is_err());
        assert!(Place::of(format!(".wh.{name}/x").as_bytes(), 9).is_err());
    }
}
