//! `commit`: one more layer on an image.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::ValueParserFactory;
use stratafs::host::ImportOptions;
use stratafs::oci::Config;
use stratafs::{Image, Layer, Timestamp, View};

use crate::escape::Shown;
use crate::failure::{Outcome, Result};
use crate::load::{self, Reading};
use crate::name::{FromOsStr, ImageName};
use crate::object::real_path;
use crate::save::{self, Writing};
use crate::session::Session;
use crate::time;

/// Stores an image with one more layer, and prints the digest of its manifest
///
/// The layer holds only what really differs from the image below: what is removed is removed first, then directories are
/// laid over it in their order. The same commit twice gives the same digest.
#[derive(Debug, Args)]
pub(crate) struct Commit {
    /// Lays a directory of this machine over a path of the image; may be given several times
    #[arg(long, value_name = "HOSTDIR=/PATH")]
    add: Vec<Addition>,
    /// Removes a path of the image; may be given several times
    #[arg(long, value_name = "PATH")]
    remove: Vec<PathBuf>,
    /// Gives all that is added to this owner; else it keeps its own
    #[arg(long, value_name = "UID:GID", value_parser = parse_owner)]
    owner: Option<(u32, u32)>,
    /// When the layer was made: 2026-11-24T14:55:22Z or seconds since 1970. Else `SOURCE_DATE_EPOCH`, else the newest time
    /// of modification among what was added
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    created: Option<Timestamp>,
    /// What the history says of how the layer was made
    #[arg(long, value_name = "TEXT")]
    created_by: Option<String>,
    /// The image, named as everywhere: see `stratafs help`
    src: ImageName,
    /// Where it goes; without a tag it is `latest`
    dst: ImageName,
    #[command(flatten)]
    change: ConfigChange,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    writing: Writing,
}

/// What becomes of how the image wants to be run.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "How the image is run")]
struct ConfigChange {
    /// Sets a variable of the environment
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair)]
    env: Vec<(String, String)>,
    /// The command, a word each time that it is given
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    /// The arguments, a word each time that it is given
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    cmd: Vec<String>,
    /// Sets a label
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair)]
    label: Vec<(String, String)>,
    /// Who runs it
    #[arg(long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Where it runs
    #[arg(long, value_name = "PATH")]
    workdir: Option<String>,
}

/// A directory of the host, and where it goes.
#[derive(Clone, Debug)]
struct Addition {
    from: PathBuf,
    to: PathBuf,
}

impl ValueParserFactory for Addition {
    type Parser = FromOsStr<Self>;

    fn value_parser() -> Self::Parser {
        FromOsStr::new(Self::parse)
    }
}

impl Addition {
    fn parse(text: &OsStr) -> Result<Self, String> {
        let bytes = text.as_bytes();
        let at = bytes.windows(2).rposition(|window| window == b"=/");
        let Some(at) = at.filter(|&at| at > 0) else {
            return Err("it is HOSTDIR=/PATH, and /PATH is from the root of the image".into());
        };
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        Ok(Self { from: path(&bytes[..at]), to: path(&bytes[at + 1..]) })
    }
}

fn parse_owner(text: &str) -> Result<(u32, u32), String> {
    let owner =
        text.split_once(':').and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    owner.ok_or_else(|| "an owner is two numbers, UID:GID".into())
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is NAME=VALUE".into()),
    }
}

impl Commit {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        let image = self.reading.load(&self.src, session)?;
        let added = self.import(session)?;
        let story = self.created_by.clone().unwrap_or_else(|| self.story());
        let options = self.writing.options(save::created(self.created, &added)?, story);
        let image = self.with_config(self.with_layer(image, &added)?)?;
        if let Some(digest) = save::save(&image, &self.dst, self.writing, options, session)? {
            session.out.line(digest)?;
        }
        Ok(Outcome::Good)
    }

    fn import(&self, session: &Session) -> Result<Vec<Layer>> {
        let import = |addition: &Addition| {
            let mut options = ImportOptions::new().below(&addition.to);
            if let Some((uid, gid)) = self.owner {
                options = options.owner(uid, gid);
            }
            load::import(&addition.from, options, session)
        };
        self.add.iter().map(import).collect()
    }

    fn with_layer(&self, image: Image, added: &[Layer]) -> Result<Image> {
        let before = image.view();
        let mut after = before.clone();
        for path in &self.remove {
            after = without(&after, path)?;
        }
        for layer in added {
            after = after.apply(layer)?;
        }
        let diff = before.diff(&after)?;
        Ok(if diff.is_empty() { image } else { image.with_layer(diff.into_layer())? })
    }

    fn with_config(&self, image: Image) -> Result<Image> {
        let change = &self.change;
        let before = image.config()?;
        let mut config = before.clone();
        for (name, value) in &change.env {
            set_variable(&mut config, name, value);
        }
        config.labels.extend(change.label.iter().cloned());
        if !change.entrypoint.is_empty() {
            config.entrypoint.clone_from(&change.entrypoint);
        }
        if !change.cmd.is_empty() {
            config.cmd.clone_from(&change.cmd);
        }
        if let Some(user) = &change.user {
            config.user.clone_from(user);
        }
        if let Some(workdir) = &change.workdir {
            config.working_dir.clone_from(workdir);
        }
        Ok(if config == before { image } else { image.with_config(&config)? })
    }

    /// For the history, without anything of this machine.
    fn story(&self) -> String {
        let removed = self.remove.iter().map(|path| ("--remove", path));
        let added = self.add.iter().map(|addition| ("--add", &addition.to));
        let words = removed
            .chain(added)
            .map(|(option, path)| format!(" {option} {}", Shown(path.as_os_str().as_bytes())));
        format!("stratafs commit{}", words.collect::<String>())
    }
}

/// A view without what is at a path.
fn without(view: &View, path: &Path) -> Result<View> {
    let real = real_path(view, path)
        .map_err(|failure| failure.hint("only what the image shows can be removed"))?;
    Ok(view.apply(&Layer::builder().whiteout(real).build()?)?)
}

fn set_variable(config: &mut Config, name: &str, value: &str) {
    let variable = format!("{name}={value}");
    let is_it = |known: &&mut String| known.split_once('=').is_some_and(|(known, _)| known == name);
    match config.env.iter_mut().find(is_it) {
        Some(known) => *known = variable,
        None => config.env.push(variable),
    }
}
