//! Images built and unpacked by umoci.

use std::path::PathBuf;

use super::oci::Oci;
use super::recipe::{Step, make_layer};
use super::scratch::{Scratch, output};

/// So many layers of the whole recipe can be read by containers/storage. Where a directory became a file or a symbolic
/// link, umoci removes what was in it too (`dir/.wh.below`), which others try to make there: "no such file or directory".
pub(super) const LAYERS_FOR_OTHERS: usize = 4;

/// An image with one layer for each step, a tag for each number of layers, and the directory that it was made from.
pub(super) fn build(scratch: &Scratch, steps: &[Step]) -> (Oci, PathBuf) {
    let image = Oci::new(scratch.at("umoci"), "layers-0");
    let umoci = |args: &[&str]| output(scratch.command("umoci").args(args));
    umoci(&["init", "--layout", "umoci"]);
    umoci(&["new", "--image", &image.plain()]);
    umoci(&["unpack", "--image", &image.plain(), "umoci-bundle"]);
    let root = scratch.at("umoci-bundle/rootfs");
    for (layers, step) in (1..).zip(steps) {
        make_layer(scratch, layers, *step, &root);
        umoci(&["repack", "--refresh-bundle", "--image", &image.plain(), "umoci-bundle"]);
        umoci(&["tag", "--image", &image.plain(), &format!("layers-{layers}")]);
    }
    (image.with(steps.len()), root)
}

/// Unpacks an image into a directory of that name.
pub(super) fn unpacked(scratch: &Scratch, image: &Oci, name: &str) -> PathBuf {
    let bundle = scratch.at(name);
    let mut umoci = scratch.command("umoci");
    output(umoci.args(["unpack", "--image", &image.plain()]).arg(&bundle));
    bundle.join("rootfs")
}
