//! `cat`: the bytes of files.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::failure::{Outcome, Result};
use crate::load::Reading;
use crate::name::ImageName;
use crate::session::Session;

/// Files are read in parts of this size.
const PART: usize = 1 << 18;

/// Writes files of an image to standard output
#[derive(Debug, Args)]
pub(crate) struct Cat {
    /// oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG] or dir:HOSTDIR
    image: ImageName,
    /// From the root of the image; symbolic links are followed
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<OsString>,
    #[command(flatten)]
    reading: Reading,
}

impl Cat {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        let view = self.reading.load(&self.image, session)?.view();
        let mut part = vec![0; PART];
        for path in self.paths.iter().map(PathBuf::from) {
            let file = view.open(&path)?;
            let mut offset = 0;
            loop {
                let read = file.read_at(&mut part, offset)?;
                if read == 0 {
                    break;
                }
                session.out.bytes(&part[..read])?;
                offset += read as u64;
            }
        }
        Ok(Outcome::Good)
    }
}
