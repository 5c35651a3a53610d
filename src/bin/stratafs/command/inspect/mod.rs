//! `inspect`: what an image is made of.

mod facts;

use clap::Args;
use indicatif::{HumanBytes, HumanCount};

use self::facts::{Facts, LayerFacts};
use crate::failure::{Outcome, Result};
use crate::load::Reading;
use crate::name::ImageName;
use crate::output::Output;
use crate::session::Session;

/// Tells what an image is made of: configuration, platform, layers, and what each layer adds and hides
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// One JSON document
    #[arg(long)]
    json: bool,
    /// oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG] or dir:HOSTDIR
    image: ImageName,
    #[command(flatten)]
    reading: Reading,
}

impl Inspect {
    pub(crate) fn run(self, session: &mut Session) -> Result<Outcome> {
        let (image, layout) = self.reading.load_with_layout(&self.image, session)?;
        let facts = {
            let _progress = session.progress("inspect");
            Facts::of(&image, layout.as_ref())?
        };
        if self.json {
            session.out.json_document(&facts)?;
        } else {
            write(&facts, &mut session.out)?;
        }
        Ok(Outcome::Good)
    }
}

fn write(facts: &Facts, out: &mut Output) -> Result<()> {
    let mut say = |what: &str, value: Option<String>| match value {
        Some(value) if !value.is_empty() => out.line(format_args!("{what:<12} {value}")),
        _ => Ok(()),
    };
    let config = &facts.config;
    say("manifest", facts.manifest_digest.map(|digest| digest.to_string()))?;
    say("platform", facts.platform.clone())?;
    say("created", facts.created.clone())?;
    say("entrypoint", Some(words(&config.entrypoint)))?;
    say("cmd", Some(words(&config.cmd)))?;
    say("user", Some(config.user.clone()))?;
    say("directory", Some(config.working_dir.clone()))?;
    config.env.iter().try_for_each(|variable| say("env", Some(variable.clone())))?;
    say("ports", Some(config.exposed_ports.join(" ")))?;
    say("volumes", Some(config.volumes.join(" ")))?;
    say("stop signal", config.stop_signal.clone())?;
    config
        .labels
        .iter()
        .try_for_each(|(name, value)| say("label", Some(format!("{name}={value}"))))?;
    facts
        .layers
        .iter()
        .enumerate()
        .try_for_each(|(index, layer)| write_layer(index, layer, out))?;
    out.line("")?;
    out.line(format_args!("wasted       {}", HumanBytes(facts.wasted_bytes)))
}

fn words(words: &[String]) -> String {
    words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" ")
}

fn write_layer(index: usize, layer: &LayerFacts, out: &mut Output) -> Result<()> {
    let share = &layer.share;
    out.line("")?;
    out.line(format_args!("layer {index:<6} {}", layer.diff_id))?;
    if let Some(digest) = &layer.digest {
        out.line(format_args!("  blob       {digest}"))?;
    }
    let sizes = [("blob size", layer.size), ("archive", layer.archive_size)];
    for (what, size) in sizes.into_iter().filter_map(|(what, size)| Some((what, size?))) {
        out.line(format_args!("  {what:<10} {}", HumanBytes(size)))?;
    }
    out.line(format_args!("  files      {}", HumanBytes(share.bytes)))?;
    let [added, changed, removed] =
        [share.added, share.changed, share.removed].map(|count| HumanCount(count).to_string());
    out.line(format_args!("  names      {added} added, {changed} changed, {removed} removed"))?;
    let [hides, hidden] = [share.hides, share.hidden].map(|bytes| HumanBytes(bytes).to_string());
    out.line(format_args!("  hides      {hides} of layers below"))?;
    out.line(format_args!("  hidden     {hidden} of its own"))?;
    if let Some(created) = &layer.created {
        out.line(format_args!("  created    {created}"))?;
    }
    match &layer.created_by {
        Some(story) => out.line(format_args!("  created by {story}")),
        None => Ok(()),
    }
}
