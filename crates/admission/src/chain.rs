//! All plugins as one [`Admit`].

use std::sync::Arc;

use apimachinery::Status;
use async_trait::async_trait;
use auth::authz::{Authorization, Rbac};
use client::transport::Transport;
use registry::admit::{Admit, Attributes};
use stdx::Random;
use stdx::clock::SharedClock;

use crate::configuration::Configuration;
use crate::plugins::PLUGINS;

/// One rule about writes.
#[async_trait]
pub trait Plugin: Send + Sync {
    /// May change the object; runs in the table's order.
    async fn mutate(&self, _attributes: &mut Attributes<'_>) -> Result<(), Status> {
        Ok(())
    }

    /// Sees the object as all plugins left it.
    async fn validate(&self, _attributes: &Attributes<'_>) -> Result<(), Status> {
        Ok(())
    }

    /// What to tell the client about a write that nobody refused.
    async fn warnings(&self, _attributes: &Attributes<'_>) -> Vec<String> {
        Vec::new()
    }
}

/// What plugins are made of.
#[derive(Clone)]
pub struct Context {
    /// Reads namespaces, service accounts, priority classes, pods and nodes; acts as a member of system:masters.
    pub transport: Arc<dyn Transport>,
    pub authorization: Arc<Authorization>,
    /// Without RBAC nobody's roles are looked at.
    pub rbac: Option<Arc<Rbac>>,
    /// `--admission-control-config-file`
    pub configuration: Arc<Configuration>,
    pub clock: SharedClock,
    pub random: Random,
}

/// All plugins, in order.
pub struct Chain {
    plugins: Vec<(&'static str, Box<dyn Plugin>)>,
}

impl Chain {
    /// The table's plugins, each that is on by default and not in `disable`, or in `enable`. A name that is in neither
    /// the table nor [`crate::plugins::MISSING`] is an error, one that is missing too when it is to be enabled.
    pub fn new(context: &Context, enable: &[String], disable: &[String]) -> Result<Self, String> {
        crate::plugins::check_names(enable, disable)?;
        let listed = |list: &[String], name: &str| list.iter().any(|n| n == name);
        let plugins = PLUGINS
            .iter()
            .filter(|p| listed(enable, p.name) || p.default_on && !listed(disable, p.name))
            .map(|p| (p.name, (p.make)(context)))
            .collect();
        Ok(Chain { plugins })
    }

    /// The default plugins.
    pub fn standard(context: &Context) -> Self {
        let plugins = PLUGINS.iter().filter(|p| p.default_on).map(|p| (p.name, (p.make)(context))).collect();
        Chain { plugins }
    }

    /// What is on, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.plugins.iter().map(|(name, _)| *name)
    }
}

#[async_trait]
impl Admit for Chain {
    async fn mutate(&self, attributes: &mut Attributes<'_>) -> Result<(), Status> {
        for (_, plugin) in &self.plugins {
            plugin.mutate(attributes).await?;
        }
        Ok(())
    }

    async fn validate(&self, attributes: &Attributes<'_>) -> Result<(), Status> {
        for (_, plugin) in &self.plugins {
            plugin.validate(attributes).await?;
        }
        Ok(())
    }

    async fn warnings(&self, attributes: &Attributes<'_>) -> Vec<String> {
        let mut all = Vec::new();
        for (_, plugin) in &self.plugins {
            all.extend(plugin.warnings(attributes).await);
        }
        all
    }
}
