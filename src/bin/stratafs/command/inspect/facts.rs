//! What is known of an image: from its documents, its layers, and how they lie over one another.

use std::io;

use serde::Serialize;
use serde_json::Value;
use stratafs::oci::{Config, HistoryEntry, Layout};
use stratafs::tar::WriteOptions;
use stratafs::{Digest, Image, Layer, LayerShare};

use crate::failure::{Failure, Result};

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
    /// Of the blob that it is moved as, and its type and length.
    pub(super) digest: Option<String>,
    pub(super) media_type: Option<String>,
    pub(super) size: Option<u64>,
    /// The length of its archive, uncompressed.
    pub(super) archive_size: Option<u64>,
    pub(super) created: Option<String>,
    pub(super) created_by: Option<String>,
    #[serde(flatten)]
    pub(super) share: LayerShare,
}

impl Facts {
    pub(super) fn of(image: &Image, layout: Option<&Layout>) -> Result<Self> {
        let documents = Documents::of(image)?;
        let providers = image.providers()?;
        let shares = image.layers().iter().zip(providers.layers()).enumerate();
        let layers = shares.map(|(index, (layer, &share))| {
            let (diff_id, archive_size) = archive(layer, layout)?;
            let blob = |field: &str| documents.manifest.get("layers")?.get(index)?.get(field);
            let step = documents.history.get(index);
            let created = step.and_then(|step| step.created.clone());
            Ok(LayerFacts {
                diff_id,
                digest: blob("digest").and_then(Value::as_str).map(str::to_owned),
                media_type: blob("mediaType").and_then(Value::as_str).map(str::to_owned),
                size: blob("size").and_then(Value::as_u64),
                archive_size,
                created: created.or_else(|| Some(layer.created()?.to_string())),
                created_by: step.and_then(|step| step.created_by.clone()),
                share,
            })
        });
        Ok(Self {
            manifest_digest: image.raw_manifest().map(|bytes| Digest::of(&bytes)),
            platform: documents.platform(),
            created: documents.text("created"),
            config: image.config()?,
            layers: layers.collect::<Result<_>>()?,
            wasted_bytes: providers.wasted_bytes(),
        })
    }
}

/// The archive of a layer: what it is called by and how long it is. Of a layer that is in none, the one that it would get.
fn archive(layer: &Layer, layout: Option<&Layout>) -> Result<(Digest, Option<u64>)> {
    let Some(layout) = layout else {
        let written = WriteOptions::new().write(layer, io::sink())?;
        return Ok((written.diff_id, Some(written.size)));
    };
    let diff_id = layer.diff_id()?;
    Ok((diff_id, layout.blob_len(&diff_id)?))
}

/// What was published beside the layers.
struct Documents {
    config: Value,
    manifest: Value,
    /// A step for each layer: those that made none are left out.
    history: Vec<HistoryEntry>,
}

impl Documents {
    fn of(image: &Image) -> Result<Self> {
        let parse = |what: &str, bytes: Option<bytes::Bytes>| match bytes {
            Some(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| Failure::about(format_args!("the image's {what}"), &error)),
            None => Ok(Value::Null),
        };
        let mut history = image.history()?;
        history.retain(|step| !step.empty_layer);
        Ok(Self {
            config: parse("configuration", image.raw_config())?,
            manifest: parse("manifest", image.raw_manifest())?,
            history,
        })
    }

    fn platform(&self) -> Option<String> {
        let parts = ["os", "architecture", "variant"].map(|field| self.text(field));
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("/"))
    }

    /// A field of the configuration.
    fn text(&self, field: &str) -> Option<String> {
        Some(self.config.get(field)?.as_str()?.to_owned())
    }
}
