//! The parts of an image's configuration that a runtime acts on; the names are OCI's and Docker's.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::reference::is_digest;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImageConfig {
    #[serde(default)]
    pub config: Option<RunConfig>,
    pub rootfs: RootFs,
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RunConfig {
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub env: Option<Vec<String>>,
    #[serde(default)]
    pub entrypoint: Option<Vec<String>>,
    #[serde(default)]
    pub cmd: Option<Vec<String>>,
    #[serde(default)]
    pub working_dir: Option<String>,
    #[serde(default)]
    pub stop_signal: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RootFs {
    pub diff_ids: Vec<String>,
}

impl ImageConfig {
    /// Parses and checks it.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let config: Self = serde_json::from_slice(bytes).context("image configuration is not valid")?;
        if let Some(bad) = config.rootfs.diff_ids.iter().find(|id| !is_digest(id)) {
            bail!("image configuration names a layer {bad:?}");
        }
        Ok(config)
    }

    /// What to run, empty when the image does not say.
    pub fn run(&self) -> RunConfig {
        self.config.clone().unwrap_or_default()
    }
}

/// This machine's architecture in OCI's words.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
