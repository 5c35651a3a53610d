//! The tools that others trust, on the same images: umoci, buildah, skopeo, GNU tar and the kernel's overlayfs.
//!
//! An image is built from a real root filesystem by umoci, and another by buildah, with the same changes. What each image
//! is, three say that share no code: umoci unpacks it, buildah mounts it, and the kernel lays one layer over the other
//! after GNU tar has unpacked each. They are compared with each other, which shows where the tools lose something, and
//! `stratafs` with all of them.
//!
//! Needed are root, overlayfs and Debian's packages `skopeo`, `umoci` and `buildah`, which `scripts/test` installs. Where
//! something is missing, the tests print what. `STRATAFS_BIN` names another `stratafs` to be tested.
#![cfg(all(target_os = "linux", feature = "host"))]

mod buildah;
mod committed;
mod compare;
mod copied;
mod furnish;
mod listed;
mod lister;
mod listing;
mod oci;
mod overlay;
mod quirks;
mod recipe;
mod references;
mod scratch;
mod strata;
mod umoci;
