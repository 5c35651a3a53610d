//! What an image says of itself: how it wants to be run, and how it came to be.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci_spec::image::{Config as OciConfig, History};
use serde_json::{Map, Value, json};

use super::documents::{annotations, from_json, from_value, to_json};
use crate::error::{Error, Fault, Result};
use crate::image::{Documents, Image};

/// How an image wants to be run (image-spec, config.md, "config").
///
/// A plain value: change its fields, and give it to [`Image::with_config`].
///
/// # Examples
///
/// ```
/// use stratafs::{Image, Layer};
///
/// let image = Image::from_layers([Layer::from([("srv/run.sh", "#!/bin/sh\n")])])?;
/// let mut config = image.config()?;
/// config.entrypoint = vec!["/srv/run.sh".into()];
/// config.env.push("PLAYERS=8".into());
/// let image = image.with_config(&config)?;
/// assert_eq!(image.config()?.env, ["PLAYERS=8"]);
/// # Ok::<(), stratafs::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Config {
    /// Environment of the process, each as `NAME=value`.
    pub env: Vec<String>,
    /// The command, to which the user's arguments are added.
    pub entrypoint: Vec<String>,
    /// The arguments, or the whole command, if the user gives none.
    pub cmd: Vec<String>,
    /// Who runs it: `user`, `uid`, `user:group`, `uid:gid`. Empty is root.
    pub user: String,
    /// The directory to run it in. Empty is `/`.
    pub working_dir: String,
    /// Whatever its maker says of it.
    pub labels: BTreeMap<String, String>,
    /// Directories whose contents are meant to be a volume, sorted.
    pub volumes: Vec<String>,
    /// Ports that it listens on, as `port/protocol`, sorted.
    pub exposed_ports: Vec<String>,
    /// The signal that asks it to stop, such as `SIGTERM`.
    pub stop_signal: Option<String>,
}

/// One line of an image's history (image-spec, config.md, "history").
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When, as RFC 3339 has it.
    pub created: Option<String>,
    /// By which command.
    pub created_by: Option<String>,
    /// By whom.
    pub author: Option<String>,
    /// What else there is to say.
    pub comment: Option<String>,
    /// Whether this step changed no file, so that there is no layer for it.
    pub empty_layer: bool,
}

impl Image {
    /// How the image wants to be run; nothing in particular unless it was loaded or told.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: the configuration that it was loaded with breaks the specification.
    pub fn config(&self) -> Result<Config> {
        let Some(documents) = self.documents() else { return Ok(Config::default()) };
        parse(&documents.config).map_err(|fault| Error::new("read config", b"config", fault))
    }

    /// The same image, to be run in another way. Layers, history and what this crate does not know of stay.
    ///
    /// # Errors
    ///
    /// As [`config`](Self::config).
    pub fn with_config(&self, config: &Config) -> Result<Self> {
        let known = self.documents().cloned().unwrap_or_else(Documents::none);
        let edited = edit(&known.config, config);
        let config = edited.map_err(|fault| Error::new("set config", b"config", fault))?;
        let manifest = if config == known.config { known.manifest } else { None };
        Ok(self.clone().with_documents(Documents { config, manifest, layers: known.layers }))
    }

    /// How the image came to be, a line for each step; empty if nobody wrote it down.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: the history that it was loaded with breaks the specification.
    pub fn history(&self) -> Result<Vec<HistoryEntry>> {
        let Some(documents) = self.documents() else { return Ok(Vec::new()) };
        history(&documents.config).map_err(|fault| Error::new("read history", b"config", fault))
    }

    /// What the manifest's maker says of the image (image-spec, annotations.md); nothing, if it was not loaded.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: the manifest that it was loaded by breaks the specification.
    pub fn annotations(&self) -> Result<BTreeMap<String, String>> {
        let Some(manifest) = self.raw_manifest() else { return Ok(BTreeMap::new()) };
        annotations(&manifest).map_err(|fault| Error::new("read annotations", b"manifest", fault))
    }

    /// The exact bytes of the image's configuration, whose sha256 others call the image's id. `None` if it was neither
    /// loaded nor told how to run.
    pub fn raw_config(&self) -> Option<Bytes> {
        Some(self.documents()?.config.clone()).filter(|config| !config.is_empty())
    }

    /// The exact bytes of the manifest that the image was loaded by; `None` if it is not that image any more.
    pub fn raw_manifest(&self) -> Option<Bytes> {
        let documents = self.documents()?;
        let (_, manifest) = documents.manifest.as_ref()?;
        (documents.layers == self.layers().len()).then(|| manifest.clone())
    }
}

impl Documents {
    /// Nothing was said as yet.
    pub(super) fn none() -> Self {
        Self { config: Bytes::new(), manifest: None, layers: 0 }
    }
}

/// A configuration as an object; what nobody said anything of is an empty one.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    if bytes.is_empty() { Ok(Map::new()) } else { from_json(bytes) }
}

fn parse(bytes: &[u8]) -> Result<Config, Fault> {
    let config = match object(bytes)?.remove("config") {
        None | Some(Value::Null) => return Ok(Config::default()),
        Some(config) => from_value::<OciConfig>(config)?,
    };
    let sorted = |list: &Option<Vec<String>>| {
        let mut list = list.clone().unwrap_or_default();
        list.sort_unstable();
        list
    };
    Ok(Config {
        env: config.env().clone().unwrap_or_default(),
        entrypoint: config.entrypoint().clone().unwrap_or_default(),
        cmd: config.cmd().clone().unwrap_or_default(),
        user: config.user().clone().unwrap_or_default(),
        working_dir: config.working_dir().clone().unwrap_or_default(),
        labels: config.labels().clone().unwrap_or_default().into_iter().collect(),
        volumes: sorted(config.volumes()),
        exposed_ports: sorted(config.exposed_ports()),
        stop_signal: config.stop_signal().clone(),
    })
}

/// The document with another configuration in it. If the configuration is what it was, so are the bytes.
fn edit(bytes: &Bytes, config: &Config) -> Result<Bytes, Fault> {
    if !bytes.is_empty() && parse(bytes)? == *config {
        return Ok(bytes.clone());
    }
    let mut document = object(bytes)?;
    let mut inner = match document.remove("config") {
        Some(Value::Object(inner)) => inner,
        _ => Map::new(),
    };
    let set =
        |list: &[String]| -> Value { list.iter().map(|key| (key.clone(), json!({}))).collect() };
    let fields = [
        ("Env", json!(config.env), config.env.is_empty()),
        ("Entrypoint", json!(config.entrypoint), config.entrypoint.is_empty()),
        ("Cmd", json!(config.cmd), config.cmd.is_empty()),
        ("User", json!(config.user), config.user.is_empty()),
        ("WorkingDir", json!(config.working_dir), config.working_dir.is_empty()),
        ("Labels", json!(config.labels), config.labels.is_empty()),
        ("Volumes", set(&config.volumes), config.volumes.is_empty()),
        ("ExposedPorts", set(&config.exposed_ports), config.exposed_ports.is_empty()),
        ("StopSignal", json!(config.stop_signal), config.stop_signal.is_none()),
    ];
    for (key, value, is_empty) in fields {
        if is_empty {
            inner.remove(key);
        } else {
            inner.insert(key.to_owned(), value);
        }
    }
    document.insert("config".to_owned(), Value::Object(inner));
    Ok(to_json(&Value::Object(document)).into())
}

fn history(bytes: &[u8]) -> Result<Vec<HistoryEntry>, Fault> {
    let list: Vec<History> = match object(bytes)?.remove("history") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(list) => from_value(list)?,
    };
    let entry = |entry: &History| HistoryEntry {
        created: entry.created().clone(),
        created_by: entry.created_by().clone(),
        author: entry.author().clone(),
        comment: entry.comment().clone(),
        empty_layer: entry.empty_layer().unwrap_or(false),
    };
    Ok(list.iter().map(entry).collect())
}

#[cfg(fuzzing)]
pub(super) fn fuzz(bytes: &[u8]) {
    if let Ok(config) = parse(bytes) {
        let edited =
            edit(&Bytes::copy_from_slice(bytes), &config).expect("because it is what it was");
        assert_eq!(parse(&edited).ok(), Some(config.clone()), "an edit is what is read again");
        let other = Config { user: "other".into(), ..config };
        let edited =
            edit(&Bytes::copy_from_slice(bytes), &other).expect("because it could be read");
        assert_eq!(parse(&edited).ok(), Some(other), "an edit is what is read again");
    }
    let _ = history(bytes);
}
