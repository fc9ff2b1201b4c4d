//! `kube-apiserver`: the control plane's server without its loops.

use std::sync::Arc;

use anyhow::{Context, Result};
use pki::Pki;

use super::run;
use crate::config::ServerConfig;
use crate::control_plane::{ControlPlane, Shared};
use crate::datastore::Datastore;
use crate::host;

/// Until SIGTERM.
pub fn start(config: ServerConfig) -> Result<()> {
    run(async |process| {
        let security = config.security.read(&config.issuer())?;
        pki::files::private_dir(&config.data_dir)?;
        let datastore =
            Datastore::open(&config, &process.clock, &process.progress, &process.groups.store).await?;
        let pki = Pki::load_or_create(&config.data_dir.join("pki"), process.clock.clone())?;
        let pki = Arc::new(pki.with_lifetime(config.certificate_lifetime));
        let node_ip =
            config.node_ip.unwrap_or_else(|| host::node_ip(config.service_cidrs[0].addr().is_ipv4()));
        let shared = Shared { clock: process.clock.clone(), random: process.random.clone(), pki, node_ip };
        let control_plane = ControlPlane::start(&config, security, &shared, datastore, &process.groups)
            .await
            .context("start the API server")?;
        tracing::info!("serving on https://{}", control_plane.address);
        Ok(())
    })
}
