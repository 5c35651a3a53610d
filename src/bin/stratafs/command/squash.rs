//! `squash`: many layers in one.

use clap::Args;
use stratafs::{Image, Timestamp};

use crate::failure::{Outcome, Result};
use crate::load::Reading;
use crate::name::ImageName;
use crate::save::{self, Writing};
use crate::session::Session;
use crate::time;

/// Stores an image as one of a single layer that shows the same, and prints the digest of its manifest
#[derive(Debug, Args)]
pub(crate) struct Squash {
    /// The image, named as everywhere: see `stratafs help`
    src: ImageName,
    /// Where it goes; without a tag it is `latest`
    dst: ImageName,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    writing: Writing,
}

impl Squash {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        let image = self.reading.load(&self.src, session)?;
        let created = save::created(created(&image)?, image.layers())?;
        let image = image.squash()?;
        let options = self.writing.options(created, "stratafs squash");
        if let Some(digest) = save::save(&image, &self.dst, self.writing, options, session)? {
            session.out.line(digest)?;
        }
        Ok(Outcome::Good)
    }
}

/// When the image was made, if it says so.
fn created(image: &Image) -> Result<Option<Timestamp>> {
    let newest = image.history()?.into_iter().filter_map(|step| time::parse(&step.created?).ok());
    Ok(newest.max())
}
