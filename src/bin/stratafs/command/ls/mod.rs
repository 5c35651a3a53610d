//! `ls`: what is in an image.

mod json;
mod long;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use stratafs::{Image, View};

use self::json::Lines;
use crate::escape::Shown;
use crate::failure::{Outcome, Result};
use crate::load::Reading;
use crate::name::ImageName;
use crate::object::Object;
use crate::session::Session;

/// Lists what is at a path of an image
///
/// A symbolic link at the end of PATH is listed itself; with a `/` behind it, what it leads to.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Mode, links, owner, size or device, time in UTC, name and target
    #[arg(short, long, conflicts_with = "json")]
    long: bool,
    /// Everything below PATH, itself first, with paths from the root, by their bytes
    #[arg(short = 'R', long)]
    recursive: bool,
    /// One JSON object a line, with all there is to know; see docs/cli.md for the fields
    #[arg(long)]
    json: bool,
    /// oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG] or dir:HOSTDIR
    image: ImageName,
    /// From the root of the image
    #[arg(default_value = "/")]
    path: OsString,
    #[command(flatten)]
    reading: Reading,
}

impl Ls {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        let image = self.reading.load(&self.image, session)?;
        let mut style = self.style(&image)?;
        let objects = self.objects(&image.view())?;
        for object in objects {
            style.write(&object?, self.recursive, session)?;
        }
        Ok(Outcome::Good)
    }

    fn style(&self, image: &Image) -> Result<Style> {
        Ok(match (self.json, self.long) {
            (true, _) => Style::Json(Box::new(Lines::new(image.providers()?))),
            (false, true) => Style::Long,
            (false, false) => Style::Names,
        })
    }

    /// What is listed, in order.
    fn objects(&self, view: &View) -> Result<Box<dyn Iterator<Item = Result<Object>>>> {
        let top = Object::at(view, &PathBuf::from(&self.path))?;
        Ok(match (self.recursive, top.file_type().is_dir()) {
            (true, _) => {
                let below = top.below()?;
                Box::new([Ok(top)].into_iter().chain(below))
            }
            (false, true) => {
                let children = top.read_dir()?;
                Box::new(children.map(|entry| Ok(Object::Named(entry))))
            }
            (false, false) => Box::new([Ok(top)].into_iter()),
        })
    }
}

/// How an object is written.
enum Style {
    Names,
    Long,
    Json(Box<Lines>),
}

impl Style {
    fn write(&mut self, object: &Object, whole_path: bool, session: &mut Session) -> Result<()> {
        match self {
            Self::Json(lines) => session.out.json(&lines.line(object)?),
            Self::Long => long::write(object, whole_path, &mut session.out),
            Self::Names => {
                let colour = long::colour(object.file_type(), 0);
                let name = called(object, whole_path);
                let line = session.out.painted(colour, Shown(&name)).to_string();
                session.out.line(line)
            }
        }
    }
}

/// What an object is called in a listing for people.
fn called(object: &Object, whole_path: bool) -> Vec<u8> {
    match (object, whole_path) {
        (Object::Root(_), true) => b"/".to_vec(),
        (_, true) => [b"/", &*object.path()].concat(),
        (_, false) => object.name().to_vec(),
    }
}
