//! From a name to an image.

use std::path::Path;

use clap::Args;
use stratafs::host::ImportOptions;
use stratafs::oci::{Layout, LoadOptions, Platform};
use stratafs::{Image, Layer};

use crate::failure::{Failure, Result};
use crate::name::{ImageName, shown};
use crate::session::{Progress, Session};

/// How images are read.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Reading images")]
pub(crate) struct Reading {
    /// Takes the directories of dir: for upper directories of overlayfs: their whiteouts and opaque marks act
    #[arg(long)]
    overlay: bool,
    /// Imports directories of dir: on which another filesystem is mounted as empty ones
    #[arg(long)]
    one_file_system: bool,
    /// Of an image for several machines, the one for this: OS/ARCHITECTURE[/VARIANT]
    #[arg(long, value_name = "PLATFORM", value_parser = parse_platform)]
    platform: Option<Platform>,
}

fn parse_platform(text: &str) -> Result<Platform, String> {
    let parts: Vec<_> = text.split('/').collect();
    match parts[..] {
        _ if parts.contains(&"") => {}
        [os, architecture] => return Ok(Platform::new(os, architecture)),
        [os, architecture, variant] => {
            return Ok(Platform::new(os, architecture).variant(variant));
        }
        _ => {}
    }
    Err("a platform is OS/ARCHITECTURE[/VARIANT], such as linux/arm64/v8".into())
}

impl Reading {
    /// One image of several is meant, not all of them.
    pub(crate) fn chooses_platform(&self) -> bool {
        self.platform.is_some()
    }

    pub(crate) fn load(&self, name: &ImageName, session: &Session) -> Result<Image> {
        Ok(self.load_with_layout(name, session)?.0)
    }

    /// The same with the layout that it lies in, unless it was made of directories.
    pub(crate) fn load_with_layout(
        &self,
        name: &ImageName,
        session: &Session,
    ) -> Result<(Image, Option<Layout>)> {
        match name {
            ImageName::Dirs(dirs) => {
                let below_first = dirs.iter().rev().map(|dir| self.import(dir, session));
                Ok((Image::from_layers(below_first.collect::<Result<Vec<_>>>()?)?, None))
            }
            ImageName::Layout { .. }
            | ImageName::OciArchive { .. }
            | ImageName::DockerArchive { .. } => {
                let (layout, tag) = open(name, session)?;
                let progress = session.progress(&format!("load {name}"));
                let image = self.load_from(&layout, &tag, &progress);
                Ok((image.map_err(|error| advise(error, name))?, Some(layout)))
            }
        }
    }

    fn load_from(&self, layout: &Layout, tag: &str, progress: &Progress) -> Result<Image> {
        let mut options = LoadOptions::new().progress(|at| progress.at_bytes(at));
        if let Some(platform) = &self.platform {
            options = options.platform(platform.clone());
        }
        Ok(options.load(layout, tag)?)
    }

    fn import(&self, dir: &Path, session: &Session) -> Result<Layer> {
        let options =
            ImportOptions::new().overlay_upper(self.overlay).one_file_system(self.one_file_system);
        import(dir, options, session)
    }
}

/// A directory of this machine as a layer.
pub(crate) fn import(dir: &Path, options: ImportOptions<'_>, session: &Session) -> Result<Layer> {
    let progress = session.progress(&format!("import {}", shown(dir)));
    let report = |done: stratafs::host::Progress| progress.at(done.entries, done.bytes);
    Ok(options.progress(report).import(dir)?.layer)
}

/// A layout that has the image, and its name there. What is in an archive is unpacked into one that goes with the image.
///
/// Directories are in no layout: they are imported.
pub(crate) fn open(name: &ImageName, session: &Session) -> Result<(Layout, String)> {
    match name {
        ImageName::Layout { dir, tag } => Ok((open_layout(dir)?, tag.clone().unwrap_or_default())),
        ImageName::OciArchive { file, tag } | ImageName::DockerArchive { file, tag } => {
            const UNPACKED: &str = "image";
            let _progress = session.progress(&format!("read {}", shown(file)));
            let layout = Layout::temporary()?;
            let wanted = tag.as_deref().unwrap_or_default();
            layout
                .import_archive(file, wanted, UNPACKED)
                .map_err(|error| advise(error.into(), name))?;
            Ok((layout, UNPACKED.to_owned()))
        }
        ImageName::Dirs(_) => Err(Failure::new(format_args!("{name}: not an image layout"))),
    }
}

/// A layout that is there.
pub(crate) fn open_layout(dir: &Path) -> Result<Layout> {
    Layout::open(dir).map_err(|error| {
        Failure::from(error).hint("`stratafs copy SRC oci:DIR` makes a layout with an image in it")
    })
}

/// What to do about an image that is not there.
pub(crate) fn advise(failure: Failure, name: &ImageName) -> Failure {
    match name {
        ImageName::Layout { dir, .. } => {
            failure.hint(format!("`stratafs list oci:{}` shows what is there", shown(dir)))
        }
        _ => failure,
    }
}
