//! One file per command.

pub mod agent;
pub mod cert;
pub mod check;
pub mod config_file;
pub mod datastore;
pub mod docker;
pub mod etcd;
pub mod image;
pub mod inspect;
pub mod node;
pub mod node_flags;
pub mod ps;
pub mod reset;
pub mod security;
pub mod server;
pub mod service;
pub mod snapshot;
pub mod token;

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result};
use tracing_subscriber::EnvFilter;

/// Logs to standard error what `--log` asks for.
pub fn start_log(wanted: &str) -> Result<()> {
    let filter = EnvFilter::try_new(wanted).with_context(|| format!("--log {wanted:?}"))?;
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    Ok(())
}
