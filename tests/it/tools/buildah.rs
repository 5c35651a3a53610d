//! Images built and mounted by buildah.

use std::path::PathBuf;
use std::process::Command;

use super::oci::Oci;
use super::recipe::{Step, make_layer};
use super::scratch::{Scratch, output, word};

/// A storage of its own.
struct Store<'a> {
    scratch: &'a Scratch,
    name: &'a str,
}

impl Store<'_> {
    fn buildah(&self, command: &str) -> Command {
        let mut buildah = self.scratch.command("buildah");
        let dir = |kind| self.scratch.dir(&format!("{}/{kind}", self.name));
        buildah.arg("--root").arg(dir("root")).arg("--runroot").arg(dir("run"));
        buildah.args(["--storage-driver", "overlay", command]);
        buildah
    }

    /// A container of an image, and where it is mounted.
    fn container(&self, image: &str) -> (String, PathBuf) {
        let container = word(self.buildah("from").arg(image));
        let at = word(self.buildah("mount").arg(&container));
        (container, PathBuf::from(at))
    }
}

/// An image with one layer for each step, a tag for each number of layers, and the last of the directories that it was made
/// from.
pub(super) fn build(scratch: &Scratch, steps: &[Step]) -> (Oci, PathBuf) {
    let store = Store { scratch, name: "buildah-storage" };
    let image = Oci::new(scratch.at("buildah"), "");
    let mut made = PathBuf::new();
    for (layers, step) in (1..).zip(steps) {
        let below = if layers == 1 { "scratch".to_owned() } else { image.with(layers - 1).name() };
        let (container, root) = store.container(&below);
        make_layer(scratch, layers, *step, &root);
        let name = image.with(layers).name();
        output(store.buildah("commit").args(["--quiet", &container, &name]));
        made = root;
    }
    (image.with(steps.len()), made)
}

/// Mounts an image in a storage of that name.
pub(super) fn mounted(scratch: &Scratch, image: &Oci, name: &str) -> PathBuf {
    Store { scratch, name }.container(&image.name()).1
}
