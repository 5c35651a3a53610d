//! `mount`: an image as a directory, for programs that know nothing of it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use clap::Args;
use clap::builder::ValueParserFactory;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use stratafs::fuse::{self, MountOptions};
use stratafs::host::ImportOptions;
use stratafs::{Container, Image, Limits, Volume};

use crate::failure::{Failure, Outcome, Result};
use crate::load::{self, Reading};
use crate::name::{FromOsStr, ImageName};
use crate::save::{self, Writing};
use crate::session::Session;

/// Mounts an image at a directory: what is changed there goes into a layer of its own, which is thrown away at the end
///
/// It ends when the directory is unmounted, or by an interrupt (Ctrl-C) or a termination, which unmounts it. Needs root, or
/// the program fusermount3.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(crate) struct Mount {
    /// Refuses changes
    #[arg(long)]
    read_only: bool,
    /// Lets other users in, as far as the modes of files do
    #[arg(long)]
    allow_other: bool,
    /// Lets setuid programs and device files count, which takes root
    #[arg(long)]
    suid_dev: bool,
    /// How many bytes may be written; more is `ENOSPC`
    #[arg(long, value_name = "N")]
    limit_bytes: Option<u64>,
    /// How many objects may be made
    #[arg(long, value_name = "N")]
    limit_inodes: Option<u64>,
    /// Shows a directory of this machine, as it is now, at a path of the image; may be given several times
    #[arg(long, value_name = "HOSTDIR:PATH:ro")]
    volume: Vec<HostVolume>,
    /// Stores the image with what was changed, when it is unmounted, and prints the digest
    #[arg(long, value_name = "DST", conflicts_with_all = ["read_only", "daemon"])]
    commit: Option<ImageName>,
    /// Returns when it is mounted, and goes on in the background
    #[arg(long)]
    daemon: bool,
    /// Says that it is mounted, to who started it as its daemon
    #[arg(long, hide = true)]
    ready: bool,
    /// The image, named as everywhere: see `stratafs help`
    image: ImageName,
    /// An empty directory
    point: PathBuf,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    writing: Writing,
}

/// A directory of the host, and where it is shown.
#[derive(Clone, Debug)]
struct HostVolume {
    from: PathBuf,
    to: PathBuf,
}

impl ValueParserFactory for HostVolume {
    type Parser = FromOsStr<Self>;

    fn value_parser() -> Self::Parser {
        FromOsStr::new(Self::parse)
    }
}

impl HostVolume {
    fn parse(text: &OsStr) -> Result<Self, String> {
        let bytes = text.as_bytes();
        let Some(bytes) = bytes.strip_suffix(b":ro") else {
            return Err(
                "it is HOSTDIR:/PATH:ro; directories of this machine are shown read-only".into()
            );
        };
        let at = bytes.windows(2).rposition(|window| window == b":/");
        let Some(at) = at.filter(|&at| at > 0) else {
            return Err("it is HOSTDIR:/PATH:ro, and /PATH is from the root of the image".into());
        };
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        Ok(Self { from: path(&bytes[..at]), to: path(&bytes[at + 1..]) })
    }
}

impl Mount {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        if self.daemon {
            return start_daemon();
        }
        let container = self.container(session)?;
        let mount = Arc::new(fuse::mount(&container, &self.point, &self.options())?);
        if self.ready {
            session.out.line("mounted")?;
            session.out.finish()?;
        }
        wait(&mount)?;
        if let Some(dst) = &self.commit {
            let options = self.writing.options(None, "stratafs mount --commit");
            let image = container.commit()?;
            if let Some(digest) = save::save(&image, dst, self.writing, options, session)? {
                session.out.line(digest)?;
            }
        }
        Ok(Outcome::Good)
    }

    fn options(&self) -> MountOptions {
        MountOptions::new()
            .read_only(self.read_only)
            .allow_other(self.allow_other)
            .suid(self.suid_dev)
            .dev(self.suid_dev)
            .fsname(self.image.to_string().replace(',', ":"))
    }

    fn container(&self, session: &Session) -> Result<Container> {
        let image = self.reading.load(&self.image, session)?;
        let limits =
            Limits { bytes: self.limit_bytes, inodes: self.limit_inodes, ..Limits::default() };
        let mut builder = image.build_container().limits(limits);
        for volume in &self.volume {
            let layer = load::import(&volume.from, ImportOptions::new(), session)?;
            let contents = Volume::from_image(&Image::from_layers([layer])?);
            builder = builder.volume_read_only(&volume.to, &contents);
        }
        Ok(builder.build()?)
    }
}

/// Starts this very program again, without `--daemon`, and returns when it has mounted.
fn start_daemon() -> Result<Outcome> {
    let failed = |error: std::io::Error| Failure::about("start the daemon", &error);
    let program = std::env::current_exe().map_err(failed)?;
    let words = std::env::args_os().skip(1).filter(|word| word != "--daemon");
    let mut daemon = Command::new(program);
    daemon.args(words).arg("--ready").stdin(Stdio::null()).stdout(Stdio::piped());
    // A group of its own: an interrupt from the terminal is not for it.
    std::os::unix::process::CommandExt::process_group(&mut daemon, 0);
    let mut daemon = daemon.spawn().map_err(failed)?;
    let mut line = String::new();
    if let Some(output) = daemon.stdout.take() {
        BufReader::new(output).read_line(&mut line).map_err(failed)?;
    }
    if line == "mounted\n" {
        return Ok(Outcome::Good);
    }
    // It has said why.
    drop(daemon.wait());
    Ok(Outcome::Trouble)
}

/// Until it is unmounted, by whomever. The first signal unmounts it, or takes it from its place if it is in use; with the
/// second, what is in use is given up.
fn wait(mount: &Arc<fuse::Mount>) -> Result<()> {
    let failed = |error: std::io::Error| Failure::about("wait for signals", &error);
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(failed)?;
    let (ended, end) = channel();
    let (by_signal, ended_by_signal) = (Arc::clone(mount), Sender::clone(&ended));
    std::thread::spawn(move || {
        let mut signals = signals.forever();
        if signals.next().is_some() && by_signal.unmount().is_err() {
            // If even that is refused, it stays until somebody unmounts it.
            drop(by_signal.detach());
        }
        if signals.next().is_some() {
            let _ = ended_by_signal.send(());
        }
    });
    let waiting = Arc::clone(mount);
    std::thread::spawn(move || {
        waiting.wait();
        let _ = ended.send(());
    });
    end.recv().map_err(|error| Failure::about("wait for the end", &error))
}
