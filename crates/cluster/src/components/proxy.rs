//! `kube-proxy`

use anyhow::{Context, Result};
use ipnet::IpNet;
use k8s_openapi::api::networking::v1::ServiceCIDR;

use super::health::{self, Ports};
use super::{Access, run};

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Config {
    pub access: Access,
    pub health: Ports,
    pub node_name: String,
    /// Where pods are: what they send to services is not masqueraded.
    pub cluster_cidrs: Vec<IpNet>,
}

/// Until SIGTERM.
pub fn start(config: Config) -> Result<()> {
    run(async |process| {
        let api = config.access.open(process)?;
        health::serve(config.health, "kube-proxy", process).await?;
        let ranges = service_ranges(&api.transport).await;
        let settings = proxy::Config {
            node_name: config.node_name,
            ranges: proxy::Ranges { pods: config.cluster_cidrs, services: ranges },
        };
        let (clock, random) = (process.clock.clone(), process.random.clone());
        proxy::start(settings, api.transport, clock, random, &process.groups.components)
            .context("start the service proxy")
    })
}

/// For the refusal of unused addresses. Who does not tell them does without.
async fn service_ranges(transport: &std::sync::Arc<dyn client::Transport>) -> Vec<IpNet> {
    let options = client::Options::default();
    match client::Api::<ServiceCIDR>::new(transport.clone()).list("", &options).await {
        Ok(list) => {
            let specs = list.items.into_iter().filter_map(|c| c.spec?.cidrs);
            specs.flatten().filter_map(|c| c.parse().ok()).collect()
        }
        Err(error) => {
            tracing::warn!("unused service addresses are not refused: cannot list service CIDRs: {error}");
            Vec::new()
        }
    }
}
