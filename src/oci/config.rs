//! What an image says of how it wants to be run.

use std::collections::BTreeMap;

/// How an image wants to be run (image-spec, config.md, "config").
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Config {
    /// `NAME=value`.
    pub env: Vec<String>,
    /// The command, before what the user gives.
    pub entrypoint: Vec<String>,
    /// Arguments, or the whole command, unless the user gives others.
    pub cmd: Vec<String>,
    /// Who runs it: `user`, `uid`, `user:group`, `uid:gid`; empty means root.
    pub user: String,
    /// Where it runs; empty means `/`.
    pub working_dir: String,
    /// Whatever its maker says of it.
    pub labels: BTreeMap<String, String>,
    /// Directories that hold what is particular to a container.
    pub volumes: Vec<String>,
    /// `port/protocol`.
    pub exposed_ports: Vec<String>,
    /// How it is asked to stop, such as `SIGTERM`.
    pub stop_signal: Option<String>,
}
