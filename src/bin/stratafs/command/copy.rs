//! `copy`: an image from one place to another.

use std::path::Path;

use clap::Args;
use stratafs::Digest;
use stratafs::oci::Layout;

use crate::failure::{Failure, Outcome, Result};
use crate::load::{self, Reading};
use crate::name::{ImageName, shown};
use crate::save::{self, DEFAULT_TAG, Writing};
use crate::session::Session;

/// Copies an image, and prints the digest of its manifest
///
/// Between layouts and archives it is copied as it is, with all platforms, so that its digest stays. A directory becomes an
/// image of one layer, dir:TOP,dir:BELOW one of two; to dir:HOSTDIR goes what the image shows.
#[derive(Debug, Args)]
pub(crate) struct Copy {
    /// The image, named as everywhere: see `stratafs help`
    src: ImageName,
    /// Where it goes; without a tag it is `latest`
    dst: ImageName,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    writing: Writing,
}

impl Copy {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        let in_parts = self.reading.chooses_platform();
        let digest = match (&self.src, &self.dst) {
            (ImageName::Dirs(_), _) | (_, ImageName::Dirs(_)) => self.through_image(session)?,
            _ if in_parts => self.through_image(session)?,
            (src, dst) => as_it_is(src, dst, session)?,
        };
        if let Some(digest) = digest {
            session.out.line(digest)?;
        }
        Ok(Outcome::Good)
    }

    fn through_image(&self, session: &Session) -> Result<Option<Digest>> {
        let image = self.reading.load(&self.src, session)?;
        let created = match self.src {
            ImageName::Dirs(_) => save::created(None, image.layers())?,
            // It knows itself.
            _ => None,
        };
        let options = self.writing.options(created, "stratafs copy");
        save::save(&image, &self.dst, self.writing, options, session)
    }
}

/// The very bytes.
fn as_it_is(src: &ImageName, dst: &ImageName, session: &Session) -> Result<Option<Digest>> {
    let ImageName::Layout { dir, tag } = dst else {
        let (layout, image) = load::open(src, session)?;
        let _progress = session.progress(&format!("write {dst}"));
        return save::export(&layout, &image, dst).map_err(|failure| load::advise(failure, src));
    };
    let tag = tag.as_deref().unwrap_or(DEFAULT_TAG);
    let copied = into_layout(src, dir, tag, session);
    copied.map(Some).map_err(|failure| load::advise(failure, src))
}

/// The source is opened first: a name that is none makes no layout.
fn into_layout(src: &ImageName, dir: &Path, tag: &str, session: &Session) -> Result<Digest> {
    let _progress = session.progress(&format!("copy {src}"));
    let stored = match src {
        ImageName::OciArchive { file, tag: wanted }
        | ImageName::DockerArchive { file, tag: wanted } => {
            std::fs::metadata(file).map_err(|error| Failure::about(shown(file), &error))?;
            let wanted = wanted.as_deref().unwrap_or_default();
            Layout::create(dir)?.import_archive(file, wanted, tag)?
        }
        ImageName::Layout { .. } | ImageName::Dirs(_) => {
            let (from, name) = load::open(src, session)?;
            Layout::create(dir)?.copy_from(&from, &name, tag)?
        }
    };
    session.note_missing(&stored);
    Ok(stored.manifest.digest)
}
