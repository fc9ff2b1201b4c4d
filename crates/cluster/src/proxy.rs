//! The service proxy of this node.

use anyhow::{Context, Result};

use crate::config::ServerConfig;
use crate::control_plane::{ControlPlane, Groups, Shared};
use crate::identities;

/// Starts the proxy in this network namespace.
pub fn start(
    config: &ServerConfig,
    shared: &Shared,
    control_plane: &ControlPlane,
    groups: &Groups,
) -> Result<()> {
    let settings = proxy::Config {
        node_name: config.node_name.clone(),
        ranges: proxy::Ranges { pods: config.cluster_cidrs.clone(), services: config.service_cidrs.clone() },
    };
    let transport = control_plane.api.local(identities::user("system:kube-proxy"));
    proxy::start(settings, transport, shared.clock.clone(), shared.random.clone(), &groups.components)
        .context("start the service proxy")
}
