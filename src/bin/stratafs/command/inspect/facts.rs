//! What is known of an image: from its documents, its layers, and how they lie over one another.

use serde::Serialize;
use serde_json::Value;
use stratafs::oci::Config;
use stratafs::{Digest, Image, LayerShare};

use crate::failure::{Failure, Result};
use crate::time::Rfc3339;

#[derive(Debug, Serialize)]
pub(super) struct Facts {
    pub(super) manifest_digest: Option<Digest>,
    pub(super) platform: Option<String>,
    pub(super) created: Option<String>,
    pub(super) config: Config,
    /// The lowest first.
    pub(super) layers: Vec<LayerFacts>,
    pub(super) wasted_bytes: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct LayerFacts {
    pub(super) diff_id: Digest,
    /// Of the blob that it is moved as.
    pub(super) digest: Option<String>,
    pub(super) media_type: Option<String>,
    pub(super) size: Option<u64>,
    pub(super) created: Option<String>,
    pub(super) created_by: Option<String>,
    #[serde(flatten)]
    pub(super) share: LayerShare,
}

impl Facts {
    pub(super) fn of(image: &Image) -> Result<Self> {
        let documents = Documents::of(image)?;
        let providers = image.providers()?;
        let shares = image.layers().iter().zip(providers.layers()).enumerate();
        let layers = shares.map(|(index, (layer, &share))| {
            let blob = |field: &str| documents.manifest.get("layers")?.get(index)?.get(field);
            let history = documents.history(index);
            let created = history.and_then(|history| text(history, "created"));
            Ok(LayerFacts {
                diff_id: layer.diff_id()?,
                digest: blob("digest").and_then(Value::as_str).map(str::to_owned),
                media_type: blob("mediaType").and_then(Value::as_str).map(str::to_owned),
                size: blob("size").and_then(Value::as_u64),
                created: created.or_else(|| Some(Rfc3339(layer.created()?).to_string())),
                created_by: history.and_then(|history| text(history, "created_by")),
                share,
            })
        });
        Ok(Self {
            manifest_digest: image.raw_manifest().map(|bytes| Digest::of(&bytes)),
            platform: documents.platform(),
            created: text(&documents.config, "created"),
            config: if documents.config.is_null() { Config::default() } else { image.config()? },
            layers: layers.collect::<Result<_>>()?,
            wasted_bytes: providers.wasted_bytes(),
        })
    }
}

/// Configuration and manifest, as they were published.
struct Documents {
    config: Value,
    manifest: Value,
}

impl Documents {
    fn of(image: &Image) -> Result<Self> {
        let parse = |what: &str, bytes: Option<bytes::Bytes>| match bytes {
            Some(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| Failure::about(format_args!("the {what}"), &error)),
            None => Ok(Value::Null),
        };
        Ok(Self {
            config: parse("image configuration", image.raw_config())?,
            manifest: parse("image manifest", image.raw_manifest())?,
        })
    }

    fn platform(&self) -> Option<String> {
        let parts = ["os", "architecture", "variant"].map(|field| text(&self.config, field));
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("/"))
    }

    /// What the history says of a layer: steps that made none do not count.
    fn history(&self, layer: usize) -> Option<&Value> {
        let steps = self.config.get("history")?.as_array()?.iter();
        let made_none = |step: &&Value| step.get("empty_layer") == Some(&Value::Bool(true));
        steps.filter(|step| !made_none(step)).nth(layer)
    }
}

fn text(value: &Value, field: &str) -> Option<String> {
    Some(value.get(field)?.as_str()?.to_owned())
}
