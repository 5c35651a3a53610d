//! Upper directories of the kernel's overlayfs: how it writes down what was removed.
//!
//! <https://docs.kernel.org/filesystems/overlayfs.html>, "whiteouts and opaque directories".

use bytes::Bytes;
use rustix::fs::FileType;

use super::attributes::Attributes;
use super::facts::Facts;
use crate::attr::Device;
use crate::error::{ErrorKind, Fault};

/// "Extended attributes … `trusted.overlay.`"; with the mount option `userxattr` "`user.overlay.`" instead.
const PREFIXES: [&[u8]; 2] = [TRUSTED, USER];
pub(super) const TRUSTED: &[u8] = b"trusted.overlay.";
pub(super) const USER: &[u8] = b"user.overlay.";
/// "… nested overlay mounts … `trusted.overlay.overlay.`": an attribute of the merged view, not of this mount.
const ESCAPE: &[u8] = b"overlay.";

/// What overlayfs wrote on an object.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    /// A directory that shows nothing of the layers below.
    pub(super) opaque: bool,
    /// A directory in which empty files can be whiteouts.
    pub(super) holds_whiteouts: bool,
    /// An empty file that is a whiteout, if its directory holds such.
    pub(super) whiteout: bool,
}

/// "A whiteout is created as a character device with 0/0 device number …"
pub(super) fn is_whiteout(facts: &Facts) -> bool {
    facts.kind == FileType::CharacterDevice && facts.device == Device::default()
}

/// Takes what belongs to overlayfs out of the attributes of an object.
///
/// # Errors
///
/// - `Unsupported`: the object is not all there, or its names are elsewhere: what it is only the mount can tell.
pub(super) fn take_marks(attributes: &mut Attributes) -> Result<Marks, Fault> {
    let mut marks = Marks::default();
    let mut kept = Attributes::new();
    for (name, value) in attributes.drain(..) {
        let own = PREFIXES.iter().find_map(|&prefix| Some((prefix, name.strip_prefix(prefix)?)));
        match own {
            None => kept.push((name, value)),
            Some((prefix, rest)) => match rest.strip_prefix(ESCAPE) {
                Some(escaped) => kept.push(([prefix, escaped].concat(), value)),
                None => marks.note(rest, &value)?,
            },
        }
    }
    *attributes = kept;
    Ok(marks)
}

/// The name under which overlayfs, with its own attributes under `prefix`, keeps an attribute of the merged view.
pub(super) fn escaped(prefix: &[u8], name: &[u8]) -> Vec<u8> {
    match name.strip_prefix(prefix) {
        Some(rest) => [prefix, ESCAPE, rest].concat(),
        None => name.to_vec(),
    }
}

/// "A directory is made opaque by setting the xattr "trusted.overlay.opaque" to "y"."
pub(super) fn opaque_mark(prefix: &[u8]) -> (Vec<u8>, Bytes) {
    ([prefix, b"opaque"].concat(), Bytes::from_static(b"y"))
}

impl Marks {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        let refused = match name {
            b"redirect" => "overlayfs keeps the contents of this directory elsewhere (redirect)",
            b"metacopy" => "overlayfs keeps the contents of this file in a lower layer (metacopy)",
            b"nlink" => "overlayfs keeps names of this file in a lower layer (index)",
            b"opaque" => {
                self.opaque = value == b"y";
                self.holds_whiteouts = value == b"x";
                return Ok(());
            }
            b"whiteout" => {
                self.whiteout = true;
                return Ok(());
            }
            // `origin`, `impure`, `uuid`, `upper` and the like help the mount, and say nothing of the object.
            _ => return Ok(()),
        };
        Err(Fault::rule(ErrorKind::Unsupported, refused))
    }
}
