//! Writing what an image shows to a directory of this machine.

use std::path::Path;

use clap::{Args, ValueEnum};
use stratafs::host::{DevicePolicy, ExportOptions, OwnerPolicy, SetIdPolicy, XattrPolicy};
use stratafs::{ErrorKind, View};

use crate::failure::{Failure, Result};
use crate::name::shown;
use crate::session::Session;

/// What may come to this machine, and what is done with the rest.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Writing directories")]
pub(crate) struct Policies {
    /// What becomes of devices
    #[arg(long, value_enum, default_value_t, value_name = "POLICY")]
    devices: Devices,
    /// What becomes of setuid and setgid
    #[arg(long, value_enum, default_value_t, value_name = "POLICY")]
    set_ids: SetIds,
    /// What becomes of extended attributes outside of `user`
    #[arg(long, value_enum, default_value_t, value_name = "POLICY")]
    xattrs: Xattrs,
    /// Who owns what is written
    #[arg(long, value_enum, default_value_t, value_name = "POLICY")]
    owners: Owners,
    /// Lays the image over a directory that is not empty
    #[arg(long)]
    replace: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Devices {
    /// An error, before anything is written
    #[default]
    Refuse,
    /// Left out
    Skip,
    /// Made, which takes root
    Keep,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum SetIds {
    /// An error, before anything is written
    #[default]
    Refuse,
    /// Written without these bits
    Strip,
    /// Written as they are
    Keep,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Xattrs {
    /// An error, before anything is written
    #[default]
    Refuse,
    /// Left out
    Strip,
    /// Set, which takes root
    Keep,
    /// None is set, those in `user` neither
    Drop,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Owners {
    /// As in the image, if this is root; else whoever runs this
    #[default]
    KeepIfRoot,
    /// As in the image
    Keep,
    /// Whoever runs this
    Own,
}

impl Policies {
    /// Writes all that a view shows; what had to be left out or changed is noted on standard error.
    pub(crate) fn export(self, view: &View, dir: &Path, session: &Session) -> Result<()> {
        let exported = {
            let progress = session.progress(&format!("write {}", shown(dir)));
            let options = self.options().progress(|at| progress.at(at.entries, at.bytes));
            options.export(view, dir).map_err(advise)?
        };
        exported.differences.iter().for_each(|difference| session.note(difference));
        Ok(())
    }

    fn options<'a>(self) -> ExportOptions<'a> {
        ExportOptions::new()
            .replace(self.replace)
            .devices(match self.devices {
                Devices::Refuse => DevicePolicy::Refuse,
                Devices::Skip => DevicePolicy::Skip,
                Devices::Keep => DevicePolicy::Keep,
            })
            .set_ids(match self.set_ids {
                SetIds::Refuse => SetIdPolicy::Refuse,
                SetIds::Strip => SetIdPolicy::Strip,
                SetIds::Keep => SetIdPolicy::Keep,
            })
            .xattrs(match self.xattrs {
                Xattrs::Refuse => XattrPolicy::Refuse,
                Xattrs::Strip => XattrPolicy::Strip,
                Xattrs::Keep => XattrPolicy::Keep,
                Xattrs::Drop => XattrPolicy::Drop,
            })
            .owners(match self.owners {
                Owners::KeepIfRoot => OwnerPolicy::KeepIfRoot,
                Owners::Keep => OwnerPolicy::Keep,
                Owners::Own => OwnerPolicy::Own,
            })
    }
}

fn advise(error: stratafs::Error) -> Failure {
    let advice = match error.kind() {
        ErrorKind::NotPermitted => {
            "--devices=skip, --set-ids=strip and --xattrs=strip leave out what could be used against this machine"
        }
        ErrorKind::DirectoryNotEmpty => "--replace lays it over what is there",
        _ => return error.into(),
    };
    Failure::from(error).hint(advice)
}
