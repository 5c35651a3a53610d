//! From an image to a name.

use std::path::Path;

use clap::{Args, ValueEnum};
use stratafs::oci::{Layout, StoreOptions};
use stratafs::{Digest, Image};

use crate::failure::{Failure, Result};
use crate::name::{ImageName, shown};
use crate::session::Session;

/// The tag of an image in a layout, unless another is given.
pub(crate) const DEFAULT_TAG: &str = "latest";

/// What becomes of devices where an image is written to a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Devices {
    /// Left out, each reported
    #[default]
    Skip,
    /// Made, which takes root
    Keep,
    /// An error
    Refuse,
}

/// How images are written to directories.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Writing directories")]
pub(crate) struct Writing {
    /// What becomes of devices
    #[arg(long, value_enum, default_value_t, value_name = "POLICY")]
    pub(crate) devices: Devices,
}

/// Stores an image; the digest of its manifest, where there is one.
pub(crate) fn save(
    image: &Image,
    name: &ImageName,
    options: &StoreOptions,
    writing: Writing,
    session: &Session,
) -> Result<Option<Digest>> {
    match name {
        ImageName::Layout { dir, tag } => {
            let layout = open_or_create(dir)?;
            let _progress = session.progress(&format!("store {name}"));
            let tag = tag.as_deref().unwrap_or(DEFAULT_TAG);
            Ok(Some(layout.store_with(image, tag, options)?.manifest.digest))
        }
        ImageName::OciArchive { .. } | ImageName::DockerArchive { .. } => {
            let layout = Layout::temporary()?;
            let _progress = session.progress(&format!("store {name}"));
            let stored = layout.store_with(image, DEFAULT_TAG, options)?;
            export(&layout, DEFAULT_TAG, name)?;
            Ok(Some(stored.manifest.digest))
        }
        ImageName::Dirs(_) => write_dir(image, name, writing, session).map(|()| None),
    }
}

/// An image of a layout as an archive.
pub(crate) fn export(layout: &Layout, tag: &str, name: &ImageName) -> Result<()> {
    match name {
        ImageName::OciArchive { file, tag: new } => {
            layout.export_oci_archive(tag, file, new.as_deref().unwrap_or(DEFAULT_TAG))?;
            Ok(())
        }
        ImageName::DockerArchive { file, tag: Some(new) } => {
            layout.export_docker_archive(tag, file, new)?;
            Ok(())
        }
        ImageName::DockerArchive { file, tag: None } => {
            let advice = format!("such as docker-archive:{}:name:tag", shown(file));
            Err(Failure::new(format_args!("{name}: it needs the name that docker will call it by"))
                .hint(advice))
        }
        ImageName::Layout { .. } | ImageName::Dirs(_) => {
            Err(Failure::new(format_args!("{name}: not an archive")))
        }
    }
}

/// A layout to store into, made if there is none.
pub(crate) fn open_or_create(dir: &Path) -> Result<Layout> {
    if dir.join("oci-layout").exists() { Ok(Layout::open(dir)?) } else { Ok(Layout::create(dir)?) }
}

fn write_dir(image: &Image, name: &ImageName, writing: Writing, _: &Session) -> Result<()> {
    let _ = (image, writing);
    Err(Failure::new(format_args!("{name}: writing images to directories is not there yet")))
}
