//! What the tools do not keep, found out by these tests with the versions of Debian 12: umoci 0.4.7, buildah 1.28.2.

use super::compare::Quirk;

/// umoci packs, and unpacks that.
pub(super) const PACKED_BY_UMOCI: &[Quirk] = &[ROUNDED, NO_EMPTY_XATTRS, NO_LINKS_TO_LOWER_LAYERS];

/// buildah packs the last layer over what it unpacked of the others.
pub(super) const PACKED_BY_BUILDAH: &[Quirk] = &[CUT, ROOT_TIME, ROOT_MODE];

/// umoci unpacks.
pub(super) const UNPACKED_BY_UMOCI: &[Quirk] = &[NO_EMPTY_XATTRS];

/// umoci unpacks what buildah packed.
pub(super) const UNPACKED_BY_UMOCI_OF_BUILDAH: &[Quirk] = &[NO_EMPTY_XATTRS, ROOT_TIME];

/// buildah unpacks.
pub(super) const MOUNTED_BY_BUILDAH: &[Quirk] =
    &[NO_EMPTY_XATTRS, ROOT_TIME, ROOT_MODE, NO_TIMES_BEFORE_1970];

/// buildah unpacks what umoci packed.
pub(super) const MOUNTED_BY_BUILDAH_OF_UMOCI: &[Quirk] =
    &[ROOT_TIME, ROOT_MODE, NO_TIMES_BEFORE_1970, IMPLIED_TIMES];

/// No layer says anything of the root.
pub(super) const NO_ROOT: &[Quirk] = &[ROOT_TIME];

const NO_EMPTY_XATTRS: Quirk = Quirk {
    why: "an attribute without a value is lost: to Go's archive/tar an empty record is one that is removed",
    forget: |object| object.xattrs.retain(|_, value| !value.is_empty()),
};

const ROOT_TIME: Quirk = Quirk {
    why: "the time of the root is when it was made: buildah's layers do not name it, and its storage does not read it",
    forget: |object| {
        if object.path == "." {
            object.mtime_ns = 0;
        }
    },
};

const ROOT_MODE: Quirk = Quirk {
    why: "the root is 0555: containers/storage makes it so, whatever a layer says",
    forget: |object| {
        if object.path == "." {
            object.mode = "0755".into();
        }
    },
};

const NO_TIMES_BEFORE_1970: Quirk = Quirk {
    why: "a time before 1970 becomes 1970, but for symbolic links",
    forget: |object| {
        if object.kind != "sym" {
            object.mtime_ns = object.mtime_ns.max(0);
        }
    },
};

const IMPLIED_TIMES: Quirk = Quirk {
    why: "a directory that a layer does not name is made anew for what is in it, so it has the time of the unpacking",
    forget: |object| {
        if ["changing/written", "links", "links/b"].contains(&&*object.path) {
            object.mtime_ns = 0;
        }
    },
};

const NO_LINKS_TO_LOWER_LAYERS: Quirk = Quirk {
    why: "a new name of a file that did not change is packed as another file: umoci looks for links among what changed",
    forget: |object| {
        if object.path.starts_with("changing/renamed/") {
            object.nlink = None;
        }
        if object.path == "changing/renamed/zero" {
            object.ino = 0;
        }
    },
};

const CUT: Quirk = Quirk {
    why: "parts of a second are cut off: containers/storage writes headers without them",
    forget: |object| object.mtime_ns = object.mtime_ns.div_euclid(1_000_000_000),
};

const ROUNDED: Quirk = Quirk {
    why: "times are rounded to whole seconds: Go's archive/tar writes parts of them only when told to",
    forget: |object| object.mtime_ns = (object.mtime_ns + 500_000_000).div_euclid(1_000_000_000),
};
