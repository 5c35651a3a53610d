//! Layouts by hand: every byte is the test's own.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stratafs::oci::Layout;
use stratafs::{Digest, Layer, tar};
use tempfile::TempDir;

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(super) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image layout whose documents are what the test says, not what the crate would write.
pub(super) struct Hand {
    pub(super) dir: TempDir,
}

impl Hand {
    pub(super) fn new() -> Self {
        let hand = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(hand.dir.path().join("blobs/sha256")).unwrap();
        hand.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        hand.index(&[]);
        hand
    }

    pub(super) fn file(&self, name: &str, bytes: &[u8]) {
        fs::write(self.dir.path().join(name), bytes).unwrap();
    }

    pub(super) fn open(&self) -> Layout {
        Layout::open(self.dir.path()).unwrap()
    }

    pub(super) fn index(&self, entries: &[Value]) {
        self.file("index.json", &bytes(&json!({ "schemaVersion": 2, "manifests": entries })));
    }

    pub(super) fn blob_path(&self, digest: &str) -> std::path::PathBuf {
        self.dir.path().join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap())
    }

    /// A blob, as a descriptor.
    pub(super) fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes).to_string();
        fs::write(self.blob_path(&digest), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    pub(super) fn document(&self, media_type: &str, value: &Value) -> Value {
        self.blob(media_type, &bytes(value))
    }

    /// A layer as a plain archive: its descriptor, and its `diff_id`.
    pub(super) fn layer(&self, layer: &Layer) -> (Value, String) {
        let mut archive = Vec::new();
        tar::write_layer(layer, &mut archive).unwrap();
        (self.blob(LAYER, &archive), Digest::of(&archive).to_string())
    }

    /// A configuration with these `diff_ids`.
    pub(super) fn config(&self, diff_ids: &[String]) -> Value {
        self.document(CONFIG, &config(diff_ids))
    }

    pub(super) fn manifest(&self, config: &Value, layers: &[Value]) -> Value {
        self.document(MANIFEST, &manifest(config, layers))
    }

    /// A whole image of plain layers, under a name.
    pub(super) fn image(&self, layers: &[Layer], tag: &str) -> Value {
        let (layers, diff_ids): (Vec<_>, Vec<_>) =
            layers.iter().map(|layer| self.layer(layer)).unzip();
        let manifest = self.manifest(&self.config(&diff_ids), &layers);
        self.index(&[named(&manifest, tag)]);
        manifest
    }
}

pub(super) fn config(diff_ids: &[String]) -> Value {
    json!({
        "architecture": "amd64",
        "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
}

pub(super) fn manifest(config: &Value, layers: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers })
}

/// An entry of an index with a name.
pub(super) fn named(descriptor: &Value, tag: &str) -> Value {
    let mut entry = descriptor.clone();
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
    entry
}

pub(super) fn for_platform(descriptor: &Value, os: &str, architecture: &str) -> Value {
    let mut entry = descriptor.clone();
    entry["platform"] = json!({ "os": os, "architecture": architecture });
    entry
}

pub(super) fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

pub(super) fn digest(descriptor: &Value) -> String {
    descriptor["digest"].as_str().unwrap().to_owned()
}

/// Every file below a directory with its bytes, to see that nothing was changed. The store's own part is left out.
pub(super) fn everything(dir: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut all = std::collections::BTreeMap::new();
    let mut below = vec![dir.to_owned()];
    while let Some(next) = below.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                if !name.ends_with("lock") {
                    all.insert(name, fs::read(path).unwrap());
                }
            }
        }
    }
    all
}
