//! Where this machine's cluster is: flags shared by every command that asks a running server.

use std::path::PathBuf;

use anyhow::{Context, Result};
use cluster::config::{DEFAULT_DATA_DIR, default_run_dir};
use cluster::control::Client;

/// Which cluster of this machine.
#[derive(clap::Args)]
pub struct Node {
    /// The data directory the server was started with
    #[arg(long, default_value = DEFAULT_DATA_DIR, env = "KNARR_DATA_DIR")]
    pub data_dir: PathBuf,
    /// The run directory, if the server was given one
    #[arg(long, hide = true)]
    pub run_dir: Option<PathBuf>,
}

impl Node {
    pub fn run_dir(&self) -> PathBuf {
        self.run_dir.clone().unwrap_or_else(|| default_run_dir(&absolute(&self.data_dir)))
    }

    /// Runs `f` with a connection to the server.
    pub fn ask<T>(&self, f: impl AsyncFnOnce(&Client) -> Result<T>) -> Result<T> {
        let client = Client::new(&self.run_dir());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start")?;
        runtime.block_on(f(&client))
    }
}

/// As the server sees it, whatever directory it was started in.
pub fn absolute(path: &std::path::Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
