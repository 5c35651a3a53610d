//! Property tests.

mod container;
mod content;
mod diff;
mod handles;
mod layering;
mod layers;
mod limits;
mod model;
#[cfg(feature = "oci")]
mod oci;
mod ops;
mod picture;
mod providers;
mod squash;
mod states;
#[cfg(feature = "tar")]
mod tar;

/// How many cases a test runs: `default`, or as many times more as `PROPTEST_CASES` is more than proptest's own 256.
fn cases(default: u32) -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse::<u32>().ok());
    asked.map_or(default, |asked| (default * asked / 256).max(1))
}
