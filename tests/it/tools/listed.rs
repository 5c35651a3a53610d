//! `stratafs ls` shows of an image what the tools make of it.

use super::compare::assert_same;
use super::furnish::furnish;
use super::lister::listing;
use super::references::{BUILDAH, Builder, UMOCI};
use super::strata::{Strata, with_strata};

fn assert_listed(strata: &Strata<'_>, builder: &Builder) {
    let image = builder.image(strata.scratch);
    strata.verify(&image);
    for reference in builder.references(strata.scratch, &image) {
        let ours = strata.ls(&reference.image.name());
        assert_same((reference.tool, &reference.listing), ("stratafs", &ours), reference.quirks);
    }
}

#[test]
fn a_directory_is_listed_as_it_is() {
    with_strata(&[], |strata| {
        furnish(&strata.scratch.dir("dir"));
        let there = listing(strata.scratch, &strata.scratch.at("dir"));
        assert_same(("the directory", &there), ("stratafs", &strata.ls("dir:dir")), &[]);
    });
}

#[test]
fn an_image_of_umoci_is_listed_as_the_tools_have_it() {
    with_strata(&["umoci", "buildah"], |strata| assert_listed(strata, &UMOCI));
}

#[test]
fn an_image_of_buildah_is_listed_as_the_tools_have_it() {
    with_strata(&["umoci", "buildah"], |strata| assert_listed(strata, &BUILDAH));
}
