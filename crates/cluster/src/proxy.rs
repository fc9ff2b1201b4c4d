//! The service proxy of this node, and the enforcement of network policies beside it.

use std::sync::Arc;

use anyhow::{Context, Result};
use client::Transport;
use stdx::Random;
use stdx::clock::SharedClock;

use crate::config::NodeConfig;
use crate::control_plane::Groups;

/// Starts both in this network namespace. `transport` may read nodes, services, endpoint slices, pods, namespaces and network
/// policies.
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
    proxy::policy::start(&config.node_name, &*transport, clock.clone(), &groups.components)
        .context("start to enforce network policies")?;
    proxy::start(settings, transport, clock.clone(), random.clone(), &groups.components)
        .context("start the service proxy")
}
