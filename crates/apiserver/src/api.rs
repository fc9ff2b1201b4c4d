//! What every request needs: the registry, who may do what, and the documents about the API itself.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use auth::authn::Authenticator;
use auth::{Authorizer, UserInfo};
use bytes::Bytes;
use client::Transport;
use registry::Registry;
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};

use crate::flow::Flow;
use crate::http::answers::Answers;
use crate::http::discovery::Discovery;
use crate::http::encodings::Encodings;
use crate::http::health::Check;
use crate::http::metrics::Metrics;
use crate::http::openapi::OpenApi;
use crate::http::proxy::NodeProxy;
use crate::local::gates::Gates;
use crate::local::{Local, Loopback};
use crate::pipeline::bindings;
use crate::pipeline::computed::{self, Computed};
use crate::pipeline::virtuals::Virtual;

/// What an API server is made of.
pub struct Config {
    pub registry: Arc<Registry>,
    pub authenticator: Arc<dyn Authenticator>,
    pub authorizer: Arc<dyn Authorizer>,
    /// Kinds that are answered, never stored: access reviews, token requests, …
    pub virtuals: Vec<Virtual>,
    pub node_proxy: Arc<dyn NodeProxy>,
    /// Besides `ping`, which is always there.
    pub checks: Vec<Check>,
    /// What `/api` names as the server's address, `host:port`.
    pub advertised: String,
    pub clock: SharedClock,
    pub random: Random,
    pub tasks: Tasks,
}

/// The API server's shared state.
pub struct Api {
    pub registry: Arc<Registry>,
    pub authenticator: Arc<dyn Authenticator>,
    pub authorizer: Arc<dyn Authorizer>,
    pub virtuals: Vec<Virtual>,
    /// Kinds that are made when they are read.
    pub(crate) computed: Vec<Computed>,
    pub node_proxy: Arc<dyn NodeProxy>,
    pub checks: Vec<Check>,
    pub discovery: Discovery,
    pub openapi: OpenApi,
    pub metrics: Metrics,
    pub(crate) encodings: Arc<Encodings>,
    pub flow: Arc<Flow>,
    pub(crate) answers: Arc<Answers>,
    pub clock: SharedClock,
    pub random: Random,
    pub tasks: Tasks,
    pub(crate) gates: Arc<Gates>,
    published: RwLock<BTreeMap<&'static str, Published>>,
}

/// A document that is the same for everyone.
#[derive(Clone)]
pub(crate) struct Published {
    pub content_type: &'static str,
    pub body: Bytes,
}

impl Api {
    pub fn new(config: Config) -> Arc<Api> {
        let mut checks = vec![Check::new("ping", false, || Ok(()))];
        checks.extend(config.checks);
        let gates = Arc::new(Gates::default());
        config.tasks.spawn_until_shutdown(gates.clone().follow(
            config.registry.clone(),
            config.authorizer.clone(),
            config.clock.clone(),
        ));
        let flow = Flow::new(config.clock.clone());
        if config.registry.serves_version("flowcontrol.apiserver.k8s.io", "v1") {
            let loopback = Arc::new(Loopback::new(config.registry.clone()));
            config.tasks.spawn_until_shutdown(flow.clone().follow(loopback));
        }
        let computed = computed::all();
        let made = computed.iter().map(|c| c.resource.clone());
        let mut virtuals = config.virtuals;
        virtuals.push(bindings::row(config.registry.clone()));
        let served: Vec<_> = config.registry.resources().iter().cloned().chain(made).collect();
        Arc::new(Api {
            discovery: Discovery::new(&served, &virtuals, &config.advertised),
            registry: config.registry,
            authenticator: config.authenticator,
            authorizer: config.authorizer,
            virtuals,
            computed,
            node_proxy: config.node_proxy,
            checks,
            openapi: OpenApi::default(),
            metrics: Metrics::default(),
            encodings: Arc::default(),
            flow,
            answers: Arc::default(),
            clock: config.clock,
            random: config.random,
            tasks: config.tasks,
            gates,
            published: RwLock::default(),
        })
    }

    /// Serves `body` at a path that is no resource, such as `/openid/v1/jwks`; clients may keep it for an hour.
    pub fn publish(&self, path: &'static str, content_type: &'static str, body: impl Into<Bytes>) {
        let document = Published { content_type, body: body.into() };
        self.published.write().unwrap_or_else(PoisonError::into_inner).insert(path, document);
    }

    pub(crate) fn published(&self, path: &str) -> Option<Published> {
        self.published.read().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    /// The API for a component in this process that acts as `user`: same authorizer, same admission, no wire.
    pub fn local(self: &Arc<Self>, user: UserInfo) -> Arc<dyn Transport> {
        Arc::new(Local::new(self.clone(), user))
    }
}
