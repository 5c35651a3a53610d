//! `tag` and `untag`: names of images in a layout.

use clap::Args;

use crate::failure::{Failure, Outcome, Result};
use crate::load::open_layout;
use crate::name::{LayoutName, parse_tag, shown};
use crate::session::Session;

/// Gives an image of a layout one more name, which it takes from whatever had it
#[derive(Debug, Args)]
pub(crate) struct Tag {
    /// oci:DIR, oci:DIR:TAG or oci:DIR:DIGEST
    image: LayoutName,
    /// The new name
    #[arg(value_parser = parse_tag)]
    tag: String,
}

impl Tag {
    pub(crate) fn run(self, _: &mut Session) -> Result<Outcome> {
        let image = self.image.tag.as_deref().unwrap_or_default();
        open_layout(&self.image.dir)?.tag(image, &self.tag)?;
        Ok(Outcome::Good)
    }
}

/// Takes a name away; the image stays until `gc`
#[derive(Debug, Args)]
pub(crate) struct Untag {
    /// oci:DIR:TAG
    image: LayoutName,
}

impl Untag {
    pub(crate) fn run(self, _: &mut Session) -> Result<Outcome> {
        let LayoutName { dir, tag } = self.image;
        let Some(tag) = tag else {
            let message = format_args!("oci:{}: which tag?", shown(&dir)).to_string();
            return Err(Failure::new(message).hint("write oci:DIR:TAG"));
        };
        open_layout(&dir)?.untag(&tag)?;
        Ok(Outcome::Good)
    }
}
