//! An image layout that was made, read as the specification has it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::listing::hex;

/// A tag of an image layout, which lies directly in the place where programs run.
#[derive(Clone, Debug)]
pub(super) struct Oci {
    pub(super) dir: PathBuf,
    pub(super) tag: String,
}

impl Oci {
    pub(super) fn new(dir: PathBuf, tag: &str) -> Self {
        Self { dir, tag: tag.to_owned() }
    }

    /// The tag of so many layers, where each number of them has one.
    pub(super) fn with(&self, layers: usize) -> Self {
        Self::new(self.dir.clone(), &format!("layers-{layers}"))
    }

    /// `DIR:TAG`, as umoci wants it. The directory is named from where programs run: buildah makes a name of an image of
    /// it, in which no letter may be upper-case.
    pub(super) fn plain(&self) -> String {
        format!("{}:{}", self.dir_name(), self.tag)
    }

    pub(super) fn dir_name(&self) -> String {
        self.dir.file_name().unwrap().display().to_string()
    }

    /// `oci:DIR:TAG`, as the others do.
    pub(super) fn name(&self) -> String {
        format!("oci:{}", self.plain())
    }

    /// The manifest as it is.
    pub(super) fn manifest(&self) -> String {
        let index = read_json(&self.dir.join("index.json"));
        let is_it = |manifest: &&Value| {
            manifest["annotations"]["org.opencontainers.image.ref.name"] == *self.tag
        };
        let manifest = index["manifests"].as_array().unwrap().iter().find(is_it).unwrap();
        fs::read_to_string(self.blob(&manifest["digest"])).unwrap()
    }

    /// The layers' descriptors, from the lowest.
    fn descriptors(&self) -> Vec<Value> {
        let manifest: Value = serde_json::from_str(&self.manifest()).unwrap();
        manifest["layers"].as_array().unwrap().clone()
    }

    pub(super) fn media_types(&self) -> Vec<String> {
        let of = |layer: &Value| layer["mediaType"].as_str().unwrap().to_owned();
        self.descriptors().iter().map(of).collect()
    }

    /// The blobs of the layers, from the lowest.
    pub(super) fn layers(&self) -> Vec<PathBuf> {
        self.descriptors().iter().map(|layer| self.blob(&layer["digest"])).collect()
    }

    fn blob(&self, digest: &Value) -> PathBuf {
        self.dir.join("blobs").join(digest.as_str().unwrap().replace(':', "/"))
    }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Makes an image layout of what skopeo wrote as `dir:`, with the manifest as it is, a docker one too: skopeo's own copy to
/// a layout would make it another.
pub(super) fn from_skopeo_dir(from: &Path, to: &Path, tag: &str) {
    let blobs = to.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), blobs.join(entry.file_name())).unwrap();
    }
    let manifest = from.join("manifest.json");
    let digest = hex(&Sha256::digest(fs::read(&manifest).unwrap()));
    fs::rename(blobs.join("manifest.json"), blobs.join(&digest)).unwrap();
    fs::remove_file(blobs.join("version")).unwrap();
    let index = json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": read_json(&manifest)["mediaType"],
        "digest": format!("sha256:{digest}"),
        "size": fs::metadata(&manifest).unwrap().len(),
        "annotations": { "org.opencontainers.image.ref.name": tag },
    }]});
    fs::write(to.join("index.json"), index.to_string()).unwrap();
    fs::write(to.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}
