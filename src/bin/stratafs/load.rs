//! From a name to an image.

use std::path::Path;

use clap::Args;
use stratafs::host::ImportOptions;
use stratafs::oci::{Layout, Platform};
use stratafs::{Image, Layer};

use crate::failure::{Failure, Result};
use crate::name::{ImageName, shown};
use crate::session::Session;

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
    let (os, architecture, variant) = match parts[..] {
        [os, architecture] => (os, architecture, None),
        [os, architecture, variant] => (os, architecture, Some(variant)),
        _ => return Err("a platform is OS/ARCHITECTURE[/VARIANT], such as linux/arm64/v8".into()),
    };
    let fields = serde_json::json!({
        "os": os, "architecture": architecture, "variant": variant,
    });
    serde_json::from_value(fields).map_err(|error| error.to_string())
}

impl Reading {
    /// One image of several is meant, not all of them.
    pub(crate) fn chooses_platform(&self) -> bool {
        self.platform.is_some()
    }

    pub(crate) fn load(&self, name: &ImageName, session: &Session) -> Result<Image> {
        match name {
            ImageName::Dirs(dirs) => {
                let below_first = dirs.iter().rev().map(|dir| self.import(dir, session));
                Ok(Image::from_layers(below_first.collect::<Result<Vec<_>>>()?)?)
            }
            ImageName::Layout { .. }
            | ImageName::OciArchive { .. }
            | ImageName::DockerArchive { .. } => {
                let (layout, tag) = open(name, session)?;
                self.load_from(&layout, &tag).map_err(|failure| with_advice(failure, name))
            }
        }
    }

    fn load_from(&self, layout: &Layout, tag: &str) -> Result<Image> {
        Ok(match &self.platform {
            Some(platform) => layout.load_platform(tag, platform)?,
            None => layout.load(tag)?,
        })
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
                .map_err(|error| with_advice(error.into(), name))?;
            Ok((layout, UNPACKED.to_owned()))
        }
        ImageName::Dirs(_) => Err(Failure::new(format_args!("{name}: not an image layout"))),
    }
}

/// A layout that is there.
pub(crate) fn open_layout(dir: &Path) -> Result<Layout> {
    Layout::open(dir).map_err(|error| {
        let advice = "an image layout is a directory with the files oci-layout and index.json";
        Failure::from(error).hint(advice)
    })
}

fn with_advice(failure: Failure, name: &ImageName) -> Failure {
    match name {
        ImageName::Layout { dir, .. } => {
            failure.hint(format!("`stratafs list oci:{}` shows what is there", shown(dir)))
        }
        _ => failure,
    }
}
