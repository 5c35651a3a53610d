//! From an image to a name.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use stratafs::oci::{Layout, Reference, StoreOptions};
use stratafs::tar::Compression;
use stratafs::{Digest, EntryKind, Image, Layer, Timestamp};

use crate::export::Policies;
use crate::failure::{Failure, Result};
use crate::name::ImageName;
use crate::session::Session;
use crate::time;

/// The tag of an image in a layout, unless another is given.
pub(crate) const DEFAULT_TAG: &str = "latest";

/// How layers are compressed that are in no archive yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compressed {
    /// Not at all
    #[default]
    None,
    /// What every tool reads
    Gzip,
    /// Faster to read; older tools do not know it
    Zstd,
}

/// How images are written.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Writing images")]
pub(crate) struct Writing {
    /// How new layers are compressed; those that were in an image before keep their bytes
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    compression: Compressed,
    #[command(flatten)]
    policies: Policies,
}

impl Writing {
    /// The options of the store that these stand for, and what the history says.
    pub(crate) fn options<'a>(
        self,
        created: Option<Timestamp>,
        created_by: impl Into<String>,
    ) -> StoreOptions<'a> {
        let options =
            StoreOptions::new().created_by(created_by).compression(match self.compression {
                Compressed::None => Compression::None,
                Compressed::Gzip => Compression::Gzip,
                Compressed::Zstd => Compression::Zstd,
            });
        match created {
            Some(time) => options.created(time),
            None => options,
        }
    }
}

/// When what was put together here counts as made: the given time, else `SOURCE_DATE_EPOCH`, else the newest time of
/// modification in the layers. So the same again is the same image.
pub(crate) fn created(given: Option<Timestamp>, layers: &[Layer]) -> Result<Option<Timestamp>> {
    if given.is_some() {
        return Ok(given);
    }
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => {
            let wrong = |reason| Failure::new(format_args!("SOURCE_DATE_EPOCH: {reason}"));
            Ok(Some(time::parse(&text).map_err(wrong)?))
        }
        Err(_) => Ok(layers.iter().filter_map(newest).max()),
    }
}

/// The newest time of modification in a layer.
fn newest(layer: &Layer) -> Option<Timestamp> {
    let times = layer.entries().filter_map(|entry| match entry.kind {
        EntryKind::Object { metadata, .. } => Some(metadata.modified()),
        _ => None,
    });
    times.max()
}

/// Stores an image; the digest of its manifest, where there is one.
pub(crate) fn save(
    image: &Image,
    name: &ImageName,
    writing: Writing,
    options: StoreOptions<'_>,
    session: &Session,
) -> Result<Option<Digest>> {
    if let ImageName::Dirs(dirs) = name {
        writing.policies.export(&image.view(), only(dirs, name)?, session)?;
        return Ok(None);
    }
    let progress = session.progress(&format!("store {name}"));
    let options = options.progress(|at| progress.at_layer(at.layer, at.layers));
    match name {
        ImageName::Layout { dir, tag } => {
            let tag = tag.as_deref().unwrap_or(DEFAULT_TAG);
            let stored = options.store(&Layout::create(dir)?, image, tag)?;
            session.note_missing(&stored);
            Ok(Some(stored.manifest.digest))
        }
        _ => {
            let layout = Layout::temporary()?;
            session.note_missing(&options.store(&layout, image, DEFAULT_TAG)?);
            export(&layout, DEFAULT_TAG, name)
        }
    }
}

/// An image of a layout as an archive; the digest of its manifest, if it is in the archive.
pub(crate) fn export(layout: &Layout, image: &str, name: &ImageName) -> Result<Option<Digest>> {
    match name {
        ImageName::OciArchive { file, tag } => {
            layout.export_oci_archive(image, file, tag.as_deref().unwrap_or(DEFAULT_TAG))?;
            let is_it = |line: &Reference| {
                image.is_empty()
                    || line.tag.as_deref() == Some(image)
                    || line.descriptor.digest.to_string() == image
            };
            let found = layout.list()?.into_iter().find(is_it);
            Ok(found.map(|line| line.descriptor.digest))
        }
        ImageName::DockerArchive { file, tag } => {
            layout.export_docker_archive(image, file, tag.as_deref().unwrap_or_default())?;
            Ok(None)
        }
        ImageName::Layout { .. } | ImageName::Dirs(_) => {
            Err(Failure::new(format_args!("{name}: not an archive")))
        }
    }
}

/// The directory to write to.
fn only<'a>(dirs: &'a [PathBuf], name: &ImageName) -> Result<&'a Path> {
    match dirs {
        [dir] => Ok(dir),
        _ => Err(Failure::new(format_args!("{name}: an image is written to one directory"))),
    }
}
