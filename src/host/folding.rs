//! Names that are one where case does not count, or composed and decomposed letters are the same.

use std::collections::HashMap;
use std::ffi::CStr;
use std::os::fd::OwnedFd;

use unicode_normalization::UnicodeNormalization;

use super::levels::list;
use super::{EXPORT, host_path};
use crate::error::{Error, ErrorKind, Fault, Result};
use crate::path;

/// What all names that a folding filesystem takes for this one have in common. Names that are not UTF-8 stay apart.
fn folded(name: &[u8]) -> Vec<u8> {
    let Ok(name) = std::str::from_utf8(name) else { return name.to_vec() };
    // To upper case and back, because several small letters can have one capital: ſ and s, ς and σ, ß and ss.
    let upper = name.nfd().flat_map(char::to_uppercase);
    let lower = upper.flat_map(char::to_lowercase);
    lower.nfc().collect::<String>().into_bytes()
}

/// Why a name could not be made that was not there before.
pub(super) fn explain(dir: &OwnedFd, name: &CStr) -> Fault {
    let names = list(dir).unwrap_or_default();
    match other_of(names.iter().map(|other| other.to_bytes()), name.to_bytes()) {
        Some(other) => Fault::rule(ErrorKind::AlreadyExists, collides(other)),
        None => {
            let rule = "it was not there before: somebody else made it meanwhile";
            Fault::rule(ErrorKind::AlreadyExists, rule)
        }
    }
}

/// The other name that a folding filesystem takes for this one.
fn other_of<'a>(names: impl IntoIterator<Item = &'a [u8]>, name: &[u8]) -> Option<&'a [u8]> {
    let key = folded(name);
    names.into_iter().find(|&other| other != name && folded(other) == key)
}

fn collides(other: &[u8]) -> String {
    format!("on this filesystem it is the same name as \"{}\"", other.escape_ascii())
}

/// Looks for names that collide, in a tree that comes directory by directory.
#[derive(Default)]
pub(super) struct Names {
    /// The directories from the root down: where in `last` the path of each ends, and the names in it so far.
    open: Vec<(usize, HashMap<Vec<u8>, Box<[u8]>>)>,
    /// The directory of the last name.
    last: Vec<u8>,
}

impl Names {
    /// # Errors
    ///
    /// - `AlreadyExists`: a name before this one in its directory collides with it.
    pub(super) fn check(&mut self, root: &[u8], path: &[u8]) -> Result<()> {
        let (above, name) = path::split_last(path);
        let last = &self.last;
        while self.open.last().is_some_and(|(len, _)| !path::is_within(above, &last[..*len])) {
            self.open.pop();
        }
        if self.open.last().is_none_or(|(len, _)| *len != above.len()) {
            self.open.push((above.len(), HashMap::new()));
        }
        self.last = above.to_vec();
        let Some((_, names)) = self.open.last_mut() else { return Ok(()) };
        match names.insert(folded(name), name.into()) {
            Some(other) if *other != *name => {
                let rule = format!(
                    "where case and composition do not count, it is the same name as \"{}\"",
                    other.escape_ascii()
                );
                let fault = Fault::rule(ErrorKind::AlreadyExists, rule);
                Err(Error::new(EXPORT, &host_path(root, path), fault))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_or_composition_are_one() {
        let one = [
            ("README", "readme"),
            ("\u{e9}t\u{e9}", "e\u{301}TE\u{301}"),
            ("stra\u{df}e", "STRASSE"),
            ("\u{3c3}\u{3c2}", "\u{3a3}\u{3a3}"),
            ("\u{212b}", "a\u{30a}"),
        ];
        for (a, b) in one {
            assert_eq!(folded(a.as_bytes()), folded(b.as_bytes()), "{a} {b}");
        }
        for (a, b) in [("a", "b"), ("e", "\u{e9}"), ("a.b", "a-b")] {
            assert_ne!(folded(a.as_bytes()), folded(b.as_bytes()), "{a} {b}");
        }
        assert_ne!(folded(b"\xffA"), folded(b"\xffa"), "what is no text has no case");
    }

    #[test]
    fn the_other_name_is_found_among_many() {
        let names = [&b"b"[..], b"MakeFile", b"z"];
        assert_eq!(other_of(names, b"Makefile"), Some(&b"MakeFile"[..]));
        assert_eq!(other_of(names, b"z"), None);
    }

    #[test]
    fn names_are_compared_within_one_directory_only() {
        let mut names = Names::default();
        for path in ["", "a", "a/x", "a/x/q", "a/y", "b", "b/X", "b/X/Q", "c"] {
            assert!(names.check(b"/t", path.as_bytes()).is_ok(), "{path}");
        }
        let error = names.check(b"/t", b"A").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.to_string().contains(r#"export "/t/A""#), "{error}");
        assert!(error.to_string().contains(r#"the same name as "a""#), "{error}");
    }
}
