//! The media types that are understood (image-spec, media-types.md), and those of docker that are the same by other names.

use crate::error::{ErrorKind, Fault};
use crate::tar::Compression;

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker's first schema: signed, without a configuration (semantics L15).
const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+";

/// What a document of a media type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Manifest,
    Index,
}

pub(super) fn kind(media_type: &str) -> Result<Kind, Fault> {
    match media_type {
        MANIFEST | DOCKER_MANIFEST => Ok(Kind::Manifest),
        INDEX | DOCKER_LIST => Ok(Kind::Index),
        old if old.starts_with(DOCKER_SCHEMA_1) => Err(Fault::rule(
            ErrorKind::Unsupported,
            "docker schema 1 has no configuration: convert the image to schema 2 or OCI",
        )),
        other => {
            let rule = format!("neither a manifest nor an index: {other}");
            Err(Fault::rule(ErrorKind::Unsupported, rule))
        }
    }
}

pub(super) fn is_config(media_type: &str) -> bool {
    matches!(media_type, CONFIG | DOCKER_CONFIG)
}

/// How a layer of this type is compressed; `Unsupported` if it is no layer that is known (semantics L13).
pub(super) fn layer_compression(media_type: &str) -> Result<Compression, Fault> {
    let rest = [
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
    ]
    .iter()
    .find_map(|begin| media_type.strip_prefix(begin));
    match rest {
        Some("") => Ok(Compression::None),
        Some("+gzip" | ".gzip") => Ok(Compression::Gzip),
        Some("+zstd" | ".zstd") => Ok(Compression::Zstd),
        _ => {
            let rule = format!("no layer of a known media type: {media_type}");
            Err(Fault::rule(ErrorKind::Unsupported, rule))
        }
    }
}

/// The type of a layer that is written here.
pub(super) fn layer(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "application/vnd.oci.image.layer.v1.tar",
        Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    }
}

/// What OCI calls a layer that docker has another word for: the bytes are the same, and a manifest has words of one kind.
pub(super) fn as_oci(media_type: &str) -> String {
    let Ok(compression) = layer_compression(media_type) else { return media_type.to_owned() };
    match (is_foreign(media_type), compression) {
        (false, compression) => layer(compression).to_owned(),
        (true, compression) => layer(compression).replace("layer.v1", "layer.nondistributable.v1"),
    }
}

/// Whether a layer is its owner's to give away, and nobody else's (semantics L17).
pub(super) fn is_foreign(media_type: &str) -> bool {
    media_type.contains(".nondistributable.") || media_type.contains(".foreign.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l15_oci_and_docker_layers_are_accepted_whatever_their_compression() {
        for (compression, endings) in [
            (Compression::None, ["", ""]),
            (Compression::Gzip, ["+gzip", ".gzip"]),
            (Compression::Zstd, ["+zstd", ".zstd"]),
        ] {
            for (begin, ending) in [
                ("application/vnd.oci.image.layer.v1.tar", endings[0]),
                ("application/vnd.oci.image.layer.nondistributable.v1.tar", endings[0]),
                ("application/vnd.docker.image.rootfs.diff.tar", endings[1]),
                ("application/vnd.docker.image.rootfs.foreign.diff.tar", endings[1]),
            ] {
                let found = layer_compression(&format!("{begin}{ending}"));
                assert!(matches!(found, Ok(found) if found == compression), "{begin}{ending}");
            }
        }
    }

    #[test]
    fn docker_layers_have_a_name_in_oci() {
        for (docker, oci) in [
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", layer(Compression::Gzip)),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar",
                "application/vnd.oci.image.layer.nondistributable.v1.tar",
            ),
            ("application/x-unknown", "application/x-unknown"),
        ] {
            assert_eq!(as_oci(docker), oci);
            assert_eq!(as_oci(oci), oci);
        }
    }

    #[test]
    fn l15_docker_schema_1_is_refused_with_what_to_do() {
        let refused = kind("application/vnd.docker.distribution.manifest.v1+prettyjws");
        assert!(
            matches!(refused, Err(Fault::Rule(ErrorKind::Unsupported, rule)) if rule.contains("convert"))
        );
    }

    #[test]
    fn attack_24_xz_and_unknown_compressions_are_refused_by_name() {
        let media_type = "application/vnd.oci.image.layer.v1.tar+xz";
        let refused = layer_compression(media_type);
        assert!(
            matches!(refused, Err(Fault::Rule(ErrorKind::Unsupported, rule)) if rule.contains("+xz"))
        );
    }
}
