//! The service proxy of this node.

use std::sync::Arc;

use anyhow::{Context, Result};
use client::Transport;
use stdx::Random;
use stdx::clock::SharedClock;

use crate::config::NodeConfig;
use crate::control_plane::Groups;

/// Starts the proxy in this network namespace. `transport` may read nodes, services and endpoint slices.
pub fn start(
    config: &NodeConfig,
    transport: Arc<dyn Transport>,
    clock: &SharedClock,
    random: &Random,
    groups: &Groups,
) -> Result<()> {
    let settings = proxy::Config {
        node_name: config.node_name.clone(),
        ranges: proxy::Ranges { pods: config.cluster_cidrs.clone(), services: config.service_cidrs.clone() },
    };
    proxy::start(settings, transport, clock.clone(), random.clone(), &groups.components)
        .context("start the service proxy")
}
