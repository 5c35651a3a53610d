//! Manifests, indexes and configurations, read from bytes that nobody vouches for.

use std::collections::BTreeMap;

use oci_spec::image::{Descriptor as OciDescriptor, ImageConfiguration, ImageIndex, ImageManifest};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::descriptor::{Descriptor, Platform};
use super::media::{self, Kind};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Fault};

/// A manifest or an index.
pub(super) enum Document {
    Manifest(Manifest),
    Index(Vec<Descriptor>),
}

/// The layers of an image and where its configuration is (image-spec, manifest.md).
pub(super) struct Manifest {
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// Reads a document that its descriptor calls `media_type`.
///
/// # Errors
///
/// - `InvalidInput`: it is no JSON, lacks what the specification requires, calls itself something else than its descriptor
///   does, or is a manifest and an index at once (attack 15).
/// - `Unsupported`: docker schema 1; a media type, or an algorithm of a digest, that is not known.
pub(super) fn parse(bytes: &[u8], media_type: &str) -> Result<Document, Fault> {
    let kind = media::kind(media_type)?;
    let value: Value = from_json(bytes)?;
    if value.get("manifests").is_some()
        && (value.get("layers").is_some() || value.get("config").is_some())
    {
        return Err(invalid("a manifest and an index at once"));
    }
    if let Some(own) = value.get("mediaType").filter(|own| own.as_str() != Some(media_type)) {
        return Err(invalid(format!(
            "it calls itself {own}, its descriptor calls it {media_type}"
        )));
    }
    if value.get("schemaVersion").and_then(Value::as_u64) != Some(2) {
        return Err(invalid("schemaVersion is not 2"));
    }
    match kind {
        Kind::Manifest => manifest(&from_value(value)?).map(Document::Manifest),
        Kind::Index => {
            let index: ImageIndex = from_value(value)?;
            index.manifests().iter().map(descriptor).collect::<Result<_, _>>().map(Document::Index)
        }
    }
}

fn manifest(manifest: &ImageManifest) -> Result<Manifest, Fault> {
    Ok(Manifest {
        config: descriptor(manifest.config())?,
        layers: manifest.layers().iter().map(descriptor).collect::<Result<_, _>>()?,
    })
}

/// What a manifest's maker says of it.
pub(super) fn annotations(bytes: &[u8]) -> Result<BTreeMap<String, String>, Fault> {
    let manifest: ImageManifest = from_json(bytes)?;
    Ok(manifest.annotations().clone().unwrap_or_default().into_iter().collect())
}

/// The media type by which a document calls itself, or that its form shows.
pub(super) fn own_media_type(bytes: &[u8]) -> Result<String, Fault> {
    let value: Value = from_json(bytes)?;
    match value.get("mediaType").and_then(Value::as_str) {
        Some(own) => Ok(own.to_owned()),
        None if value.get("manifests").is_some() => Ok(media::INDEX.to_owned()),
        None => Ok(media::MANIFEST.to_owned()),
    }
}

/// A descriptor with a digest that can be used here.
pub(super) fn descriptor(descriptor: &OciDescriptor) -> Result<Descriptor, Fault> {
    let digest = parse_digest(descriptor.digest().as_ref())?;
    let found = Descriptor {
        media_type: descriptor.media_type().to_string(),
        digest,
        size: descriptor.size(),
        annotations: descriptor.annotations().clone().unwrap_or_default().into_iter().collect(),
        platform: descriptor.platform().as_ref().map(|platform| Platform {
            os: platform.os().to_string(),
            architecture: platform.architecture().to_string(),
            variant: platform.variant().clone(),
        }),
    };
    check_embedded(descriptor, &found)?;
    Ok(found)
}

/// Embedded data is the blob itself, so it has its size and its digest (semantics L14).
fn check_embedded(descriptor: &OciDescriptor, found: &Descriptor) -> Result<(), Fault> {
    use base64::Engine as _;
    let Some(data) = descriptor.data() else { return Ok(()) };
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(data)
        .map_err(|error| invalid(format!("embedded data is no base64: {error}")))?;
    if (bytes.len() as u64, Digest::of(&bytes)) != (found.size, found.digest) {
        return Err(invalid(format!("embedded data is not what {} promises", found.digest)));
    }
    Ok(())
}

/// What is needed of an image configuration to put its layers together (image-spec, config.md).
pub(super) struct RootFs {
    pub(super) diff_ids: Vec<Digest>,
    pub(super) platform: Platform,
}

/// Reads an image configuration. History is not looked at: it may be absent or wrong (semantics L9).
pub(super) fn rootfs(bytes: &[u8]) -> Result<RootFs, Fault> {
    let mut value: Value = from_json(bytes)?;
    if let Some(object) = value.as_object_mut() {
        object.remove("history");
    }
    let config: ImageConfiguration = from_value(value)?;
    if config.rootfs().typ() != "layers" {
        let rule = format!("rootfs.type is {:?}, not \"layers\"", config.rootfs().typ());
        return Err(invalid(rule));
    }
    Ok(RootFs {
        diff_ids: config
            .rootfs()
            .diff_ids()
            .iter()
            .map(|text| parse_digest(text))
            .collect::<Result<_, _>>()?,
        platform: Platform {
            os: config.os().to_string(),
            architecture: config.architecture().to_string(),
            variant: config.variant().clone(),
        },
    })
}

pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| invalid(format!("no valid JSON: {error}")))
}

pub(super) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Fault> {
    serde_json::from_value(value).map_err(|error| invalid(error.to_string()))
}

/// One byte stream for one document: keys in order, no white space.
pub(super) fn to_json(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

pub(super) fn invalid(rule: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::rule(ErrorKind::InvalidInput, rule)
}

fn parse_digest(text: &str) -> Result<Digest, Fault> {
    text.parse().map_err(|error: Error| Fault::of(&error))
}
