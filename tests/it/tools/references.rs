//! What an image is, said by three that share no code, and compared with each other.

use std::path::PathBuf;

use super::compare::{Quirk, assert_same};
use super::lister::listing;
use super::listing::Listing;
use super::oci::Oci;
use super::recipe::{STEPS, Step};
use super::scratch::{Scratch, in_scratch};
use super::{buildah, overlay, quirks, umoci};

/// Who builds images, and what each of the others does not keep of them.
pub(super) struct Builder {
    build: fn(&Scratch, &[Step]) -> (Oci, PathBuf),
    /// What unpacks with the same program.
    tool: &'static str,
    packed: &'static [Quirk],
    laid: &'static [Quirk],
    unpacked: &'static [Quirk],
    mounted: &'static [Quirk],
    /// So many layers can buildah unpack.
    layers_to_mount: usize,
}

pub(super) const UMOCI: Builder = Builder {
    build: umoci::build,
    tool: "umoci unpack",
    packed: quirks::PACKED_BY_UMOCI,
    laid: &[],
    unpacked: &[],
    mounted: quirks::MOUNTED_BY_BUILDAH_OF_UMOCI,
    layers_to_mount: umoci::LAYERS_FOR_OTHERS,
};

pub(super) const BUILDAH: Builder = Builder {
    build: buildah::build,
    tool: "buildah mount",
    packed: quirks::PACKED_BY_BUILDAH,
    laid: quirks::NO_ROOT,
    unpacked: quirks::UNPACKED_BY_UMOCI_OF_BUILDAH,
    mounted: quirks::MOUNTED_BY_BUILDAH,
    layers_to_mount: STEPS.len(),
};

/// What a tool says that an image holds.
pub(super) struct Reference {
    pub(super) tool: &'static str,
    pub(super) image: Oci,
    pub(super) listing: Listing,
    pub(super) quirks: &'static [Quirk],
}

impl Builder {
    pub(super) fn image(&self, scratch: &Scratch) -> Oci {
        (self.build)(scratch, STEPS).0
    }

    /// What each tool says of an image that was built so, first the kernel (of all layers, and of fewer).
    pub(super) fn references(&self, scratch: &Scratch, image: &Oci) -> Vec<Reference> {
        let fewer = image.with(self.layers_to_mount);
        let reference = |tool, image: &Oci, root: PathBuf, quirks| Reference {
            tool,
            image: image.clone(),
            listing: listing(scratch, &root),
            quirks,
        };
        vec![
            reference("overlayfs", image, overlay::mounted(scratch, image, "laid"), self.laid),
            reference("overlayfs", &fewer, overlay::mounted(scratch, &fewer, "fewer"), self.laid),
            reference(
                "umoci unpack",
                image,
                umoci::unpacked(scratch, image, "unpacked"),
                self.unpacked,
            ),
            reference(
                "buildah mount",
                &fewer,
                buildah::mounted(scratch, &fewer, "mounted"),
                self.mounted,
            ),
        ]
    }

    fn assert_agreement(&self, scratch: &Scratch) {
        let (image, made) = (self.build)(scratch, STEPS);
        let made = listing(scratch, &made);
        let references = self.references(scratch, &image);
        let (laid, others) = references.split_at(2);
        for one in others {
            let laid = laid.iter().find(|laid| laid.image.tag == one.image.tag).unwrap();
            assert_same((laid.tool, &laid.listing), (one.tool, &one.listing), one.quirks);
        }
        let own = others.iter().find(|one| one.tool == self.tool).unwrap();
        assert_same(("what was packed", &made), (own.tool, &own.listing), self.packed);
    }
}

#[test]
fn references_agree_on_an_image_of_umoci() {
    in_scratch(&["umoci", "buildah"], |scratch| UMOCI.assert_agreement(scratch));
}

#[test]
fn references_agree_on_an_image_of_buildah() {
    in_scratch(&["umoci", "buildah"], |scratch| BUILDAH.assert_agreement(scratch));
}
