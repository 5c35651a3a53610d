//! The program under test.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;

use super::listing::{Listing, parsed};
use super::oci::Oci;
use super::scratch::{Scratch, in_scratch, output};

pub(super) struct Strata<'a> {
    pub(super) scratch: &'a Scratch,
    program: PathBuf,
}

/// Runs a test with `stratafs` in a place of its own, or prints why it is skipped.
pub(super) fn with_strata(programs: &[&str], test: impl FnOnce(&Strata<'_>) + Send) {
    let built = option_env!("CARGO_BIN_EXE_stratafs").map(PathBuf::from);
    let Some(program) = env::var_os("STRATAFS_BIN").map(PathBuf::from).or(built) else {
        println!("skipped: no stratafs binary");
        return;
    };
    in_scratch(programs, |scratch| test(&Strata { scratch, program }));
}

impl Strata<'_> {
    /// What it prints, if it succeeds.
    pub(super) fn run(&self, args: &[impl AsRef<OsStr>]) -> Vec<u8> {
        output(self.scratch.command(&self.program).args(args))
    }

    /// Insists that there is no fault in a whole layout.
    pub(super) fn verify(&self, image: &Oci) {
        let layout = format!("oci:{}", image.dir_name());
        let faults = self.run(&["verify", &layout]);
        assert_eq!(String::from_utf8_lossy(&faults), "", "faults of {layout}");
    }

    pub(super) fn ls(&self, image: &str) -> Listing {
        parsed(&self.run(&["ls", "-R", "--json", image]))
    }
}
