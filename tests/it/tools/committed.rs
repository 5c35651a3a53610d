//! The way back: the tools read what `stratafs commit` writes.

use std::path::PathBuf;

use super::compare::assert_same;
use super::furnish::furnish;
use super::lister::listing;
use super::listing::{Listing, Object, escaped};
use super::oci::Oci;
use super::recipe::STEPS;
use super::scratch::output;
use super::strata::{Strata, with_strata};
use super::{buildah, overlay, quirks, umoci};

/// Where the directory is in the image.
const ADDED: &str = "/opt/added";

/// An image with everything that a directory can hold as one more layer, and that directory's listing.
fn committed(strata: &Strata<'_>) -> (Oci, Listing) {
    let dir = strata.scratch.dir("added");
    furnish(&dir);
    let (base, _) = umoci::build(strata.scratch, &STEPS[..2]);
    (commit(strata, &base, "none"), listing(strata.scratch, &dir))
}

fn commit(strata: &Strata<'_>, base: &Oci, compression: &str) -> Oci {
    let image = Oci::new(strata.scratch.at("committed"), compression);
    let add = format!("added={ADDED}");
    strata.run(&[
        "commit",
        "--compression",
        compression,
        "--add",
        &add,
        &base.name(),
        &image.name(),
    ]);
    image
}

/// What is below a directory, as if that were the root.
fn below(dir: &str, listing: &Listing) -> Listing {
    let inside = |(path, object): (&Vec<u8>, &Object)| {
        let path = match path.strip_prefix(dir.as_bytes())? {
            b"" => b".".to_vec(),
            rest => rest.strip_prefix(b"/")?.to_vec(),
        };
        let object = Object { path: escaped(&path), ..object.clone() };
        Some((path, object))
    };
    listing.iter().filter_map(inside).collect()
}

#[test]
fn a_directory_that_is_added_is_in_the_image_as_it_was() {
    with_strata(&["umoci"], |strata| {
        let (image, added) = committed(strata);
        let there = below(&ADDED[1..], &strata.ls(&image.name()));
        assert_same(("the directory", &added), ("stratafs", &there), &[]);
    });
}

#[test]
fn what_is_committed_the_tools_unpack_as_it_is_listed() {
    with_strata(&["umoci", "buildah"], |strata| {
        let (image, _) = committed(strata);
        let ours = strata.ls(&image.name());
        let list = |root: PathBuf| listing(strata.scratch, &root);
        let laid = list(overlay::mounted(strata.scratch, &image, "laid"));
        assert_same(("overlayfs", &laid), ("stratafs", &ours), &[]);
        let unpacked = list(umoci::unpacked(strata.scratch, &image, "unpacked"));
        assert_same(("umoci unpack", &unpacked), ("stratafs", &ours), quirks::UNPACKED_BY_UMOCI);
        let mounted = list(buildah::mounted(strata.scratch, &image, "mounted"));
        let lost = quirks::MOUNTED_BY_BUILDAH;
        assert_same(("buildah mount", &mounted), ("stratafs", &ours), lost);
    });
}

fn assert_inspected_and_copied(strata: &Strata<'_>, image: &Oci) {
    let run = |program: &str, args: &[&str]| output(strata.scratch.command(program).args(args));
    run("skopeo", &["inspect", &image.name()]);
    run("skopeo", &["inspect", "--config", &image.name()]);
    run("skopeo", &["copy", &image.name(), &format!("dir:copy-{}", image.tag)]);
    // In two steps, as skopeo makes no docker image of one that has zstd.
    let plain = format!("dir:plain-{}", image.tag);
    run("skopeo", &["copy", "--dest-decompress", &image.name(), &plain]);
    let archive = format!("docker-archive:{}.tar:example/copy:1", image.tag);
    run("skopeo", &["copy", &plain, &archive]);
    let stat = run("umoci", &["stat", "--json", "--image", &image.plain()]);
    let stat: serde_json::Value = serde_json::from_slice(&stat).unwrap();
    let has_layer =
        |one: &&serde_json::Value| one.get("layer").is_some_and(|layer| !layer.is_null());
    let layers = stat["history"].as_array().unwrap().iter().filter(has_layer).count();
    assert_eq!(layers, image.layers().len(), "the history names each layer");
    let (archived, ours) = (strata.ls(&archive), strata.ls(&image.name()));
    assert_same((&archive, &archived), (&image.name(), &ours), &[]);
}

#[test]
fn what_is_committed_the_tools_inspect_and_copy() {
    with_strata(&["umoci", "skopeo"], |strata| {
        let (plain, _) = committed(strata);
        let base = Oci::new(strata.scratch.at("umoci"), "layers-2");
        let ends = [
            (plain, "tar"),
            (commit(strata, &base, "gzip"), "+gzip"),
            (commit(strata, &base, "zstd"), "+zstd"),
        ];
        for (image, end) in ends {
            let types = image.media_types();
            assert!(types.last().unwrap().ends_with(end), "{types:?} is not of {end}");
            assert_inspected_and_copied(strata, &image);
            strata.verify(&image);
        }
    });
}
