//! One image in every form that skopeo writes, and the copies that `stratafs copy` makes.

use super::compare::assert_same;
use super::oci::{Oci, from_skopeo_dir};
use super::references::UMOCI;
use super::scratch::{Scratch, output};
use super::strata::with_strata;

fn skopeo(scratch: &Scratch, args: &[&str]) -> Vec<u8> {
    output(scratch.command("skopeo").args(args))
}

/// The same image in other forms, which skopeo makes.
fn forms(scratch: &Scratch, image: &Oci) -> Vec<String> {
    let name = image.name();
    let copy = |args: &[&str]| skopeo(scratch, &[&["copy", "--quiet"], args].concat());
    copy(&["--dest-compress-format", "zstd", &name, "oci:zstd:tag"]);
    copy(&["--dest-decompress", &name, "dir:plain-dir"]);
    copy(&["--dest-oci-accept-uncompressed-layers", "dir:plain-dir", "oci:plain:tag"]);
    copy(&["--format", "v2s2", &name, "dir:docker-dir"]);
    from_skopeo_dir(&scratch.at("docker-dir"), &scratch.at("docker"), "tag");
    copy(&[&name, "docker-archive:docker.tar:example/image:1"]);
    copy(&[&name, "oci-archive:oci.tar:tag"]);
    let forms = [
        "oci:zstd:tag",
        "oci:plain:tag",
        "oci:docker:tag",
        "docker-archive:docker.tar",
        "docker-archive:docker.tar:example/image:1",
        "oci-archive:oci.tar:tag",
        "oci-archive:oci.tar",
    ];
    forms.map(str::to_owned).to_vec()
}

/// The media types of the layers, in one word.
fn media_types(scratch: &Scratch, image: &str) -> String {
    let manifest: serde_json::Value =
        serde_json::from_slice(&skopeo(scratch, &["inspect", "--raw", image])).unwrap();
    manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["mediaType"].to_string())
        .collect()
}

#[test]
fn every_form_of_an_image_is_listed_the_same_and_verified() {
    with_strata(&["umoci", "skopeo"], |strata| {
        let image = UMOCI.image(strata.scratch);
        let forms = forms(strata.scratch, &image);
        for (form, word) in
            [("oci:zstd:tag", "+zstd"), ("oci:docker:tag", ".docker."), (&image.name(), "+gzip")]
        {
            assert!(media_types(strata.scratch, form).contains(word), "{form} is no {word}");
        }
        assert!(
            !media_types(strata.scratch, "oci:plain:tag").contains('+'),
            "the plain one is compressed"
        );
        let listed = strata.ls(&image.name());
        for form in forms {
            assert_same(("the original", &listed), (&form, &strata.ls(&form)), &[]);
            strata.run(&["verify", &form]);
        }
    });
}

#[test]
fn a_copy_and_a_copy_back_keep_the_manifest() {
    with_strata(&["umoci", "skopeo"], |strata| {
        let image = UMOCI.image(strata.scratch);
        let forms = forms(strata.scratch, &image);
        let layouts = forms.iter().filter(|form| form.starts_with("oci:"));
        for (number, form) in layouts.chain([&image.name()]).enumerate() {
            let raw = |image: &str| skopeo(strata.scratch, &["inspect", "--raw", image]);
            let (archive, back) =
                (format!("oci-archive:{number}.tar:copy"), format!("oci:back-{number}:again"));
            strata.run(&["copy", form, &archive]);
            strata.run(&["copy", &archive, &back]);
            assert_eq!(raw(form), raw(&archive), "{form} to {archive}");
            assert_eq!(raw(form), raw(&back), "{archive} to {back}");
            strata.run(&["verify", &back]);
            skopeo(strata.scratch, &["copy", "--quiet", &back, &format!("dir:dir-{number}")]);
        }
    });
}
