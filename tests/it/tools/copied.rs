//! One image in every form that skopeo writes, and the copies that `stratafs copy` makes.

use super::compare::assert_same;
use super::oci::{Oci, from_skopeo_dir};
use super::references::UMOCI;
use super::scratch::{Scratch, output};
use super::strata::{Strata, with_strata};

fn skopeo(scratch: &Scratch, args: &[&str]) -> String {
    String::from_utf8(output(scratch.command("skopeo").args(args))).unwrap()
}

/// Image layouts of the same image, with what the media type of each of their layers ends in.
fn layouts(scratch: &Scratch, image: &Oci) -> [(Oci, &'static str); 4] {
    let copy = |args: &[&str]| skopeo(scratch, &[&["copy", "--quiet"], args].concat());
    let name = image.name();
    copy(&["--dest-compress-format", "zstd", &name, "oci:zstd:tag"]);
    copy(&["--dest-decompress", &name, "dir:plain-dir"]);
    copy(&["--dest-oci-accept-uncompressed-layers", "dir:plain-dir", "oci:plain:tag"]);
    copy(&["--format", "v2s2", &name, "dir:docker-dir"]);
    from_skopeo_dir(&scratch.at("docker-dir"), &scratch.at("docker"), "tag");
    let made = |name| Oci::new(scratch.at(name), "tag");
    [
        (image.clone(), "image.layer.v1.tar+gzip"),
        (made("zstd"), "image.layer.v1.tar+zstd"),
        (made("plain"), "image.layer.v1.tar"),
        (made("docker"), "image.rootfs.diff.tar.gzip"),
    ]
}

fn assert_listed_as(image: &Oci, strata: &Strata<'_>, form: &str) {
    assert_same((&image.name(), &strata.ls(&image.name())), (form, &strata.ls(form)), &[]);
}

#[test]
fn every_compression_and_docker_s_manifest_are_listed_the_same_and_verified() {
    with_strata(&["umoci", "skopeo"], |strata| {
        let image = UMOCI.image(strata.scratch);
        for (layout, end) in layouts(strata.scratch, &image) {
            let types = layout.media_types();
            assert!(types.iter().all(|one| one.ends_with(end)), "{layout:?} has {types:?}");
            assert_listed_as(&image, strata, &layout.name());
            strata.verify(&layout);
        }
    });
}

#[test]
fn archives_of_skopeo_are_listed_the_same_and_verified() {
    with_strata(&["umoci", "skopeo"], |strata| {
        let image = UMOCI.image(strata.scratch);
        let archives = [
            ("docker-archive:docker.tar", ":example/image:1", "from-docker"),
            ("oci-archive:oci.tar", ":tag", "from-oci"),
        ];
        for (file, name, layout) in archives {
            let archive = format!("{file}{name}");
            skopeo(strata.scratch, &["copy", "--quiet", &image.name(), &archive]);
            assert_listed_as(&image, strata, &archive);
            let only_image = file;
            let unpacked = Oci::new(strata.scratch.at(layout), "tag");
            strata.run(&["copy", only_image, &unpacked.name()]);
            strata.verify(&unpacked);
            assert_listed_as(&image, strata, &unpacked.name());
        }
    });
}

#[test]
fn a_copy_and_a_copy_back_keep_the_manifest() {
    with_strata(&["umoci", "skopeo"], |strata| {
        let image = UMOCI.image(strata.scratch);
        for (layout, end) in layouts(strata.scratch, &image) {
            let name = layout.dir_name();
            let back = Oci::new(strata.scratch.at(&format!("back-{name}")), "again");
            let archive = format!("oci-archive:{name}.tar:copy");
            strata.run(&["copy", &layout.name(), &archive]);
            strata.run(&["copy", &archive, &back.name()]);
            strata.verify(&back);
            assert_eq!(layout.manifest(), back.manifest(), "{layout:?}, by {archive}");
            // skopeo finds no docker manifest in a layout: "no descriptor found for reference".
            if !end.starts_with("image.rootfs") {
                let raw = |image: &str| skopeo(strata.scratch, &["inspect", "--raw", image]);
                let [original, archived, copied] =
                    [layout.name(), archive, back.name()].map(|image| raw(&image));
                assert_eq!((&original, &original), (&archived, &copied), "{layout:?}");
                skopeo(
                    strata.scratch,
                    &["copy", "--quiet", &back.name(), &format!("dir:{name}-dir")],
                );
            }
        }
    });
}
