//! What every controller is given.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::Gvr;
use client::transport::{Change, Transport};
use client::{Api, EventRecorder, Informer, Requeue, WorkQueue};
use codec::Kind;
use futures::future::BoxFuture;
use resources::Gate;
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};

/// Who reads for all controllers: it may list and watch everything, and little else.
pub const READER: &str = "system:kube-controller-manager";

/// Gives a way to the API that acts as the named user (`system:kube-controller-manager`,
/// `system:serviceaccount:kube-system:NAME`).
pub type TransportFor = Arc<dyn Fn(&str) -> Arc<dyn Transport> + Send + Sync>;

/// What the controllers run on.
#[derive(Clone)]
pub struct Context {
    pub transport_for: TransportFor,
    pub clock: SharedClock,
    pub random: Random,
    /// All controllers' tasks; stopping it stops them.
    pub tasks: Tasks,
}

/// Settings, with upstream's defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// PEM of the CA that signs the API server's certificate, published in every namespace.
    pub root_ca: String,
    /// Signs certificate requests; none: they wait.
    pub signer: Option<crate::certificates::Signer>,
    /// How long the certificates that it signs live at most.
    pub signing_duration: Duration,
    /// Signs the tokens of secrets; none: those stay without.
    pub token_signer: Option<crate::service_account_tokens::TokenSigner>,
    /// Everything served, for the controllers that act on all resources.
    pub resources: Vec<Served>,
    /// Address ranges that nodes get their pods' ranges from, one for each family; empty: nodes get none.
    pub cluster_cidrs: Vec<String>,
    /// Prefix lengths of a node's range.
    pub node_mask_v4: u8,
    pub node_mask_v6: u8,
    /// A node that has not renewed its Lease for so long is Unknown.
    pub node_monitor_grace: Duration,
    /// So many finished pods are kept.
    pub terminated_pods_kept: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            root_ca: String::new(),
            signer: None,
            signing_duration: pki::ca::LEAF_LIFETIME,
            token_signer: None,
            resources: Served::builtin(&[]),
            cluster_cidrs: Vec::new(),
            node_mask_v4: 24,
            node_mask_v6: 64,
            node_monitor_grace: Duration::from_secs(50),
            terminated_pods_kept: 12_500,
        }
    }
}

/// A resource as discovery tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    pub gvr: Gvr,
    pub kind: String,
    pub namespaced: bool,
    pub verbs: Vec<&'static str>,
}

impl Served {
    /// The built-in ones, with those behind these gates.
    pub fn builtin(open: &[Gate]) -> Vec<Served> {
        let served = |r: resources::Resource| Served {
            gvr: r.gvr.clone(),
            kind: r.gvk.kind.to_string(),
            namespaced: r.namespaced(),
            verbs: r.verbs.to_vec(),
        };
        // Further versions of a kind show the same objects.
        let kinds = resources::table::served(open).into_iter().filter(|r| r.conversion.is_none());
        kinds.map(served).collect()
    }

    pub fn can(&self, verb: &str) -> bool {
        self.verbs.contains(&verb)
    }
}

/// One controller's share of the [`Context`].
#[derive(Clone)]
pub struct Component {
    pub name: &'static str,
    /// To act: with the controller's own identity.
    pub transport: Arc<dyn Transport>,
    /// To read: the views of [`READER`], which all controllers share.
    pub views: Arc<dyn Transport>,
    pub clock: SharedClock,
    pub random: Random,
    pub tasks: Tasks,
    pub config: Arc<Config>,
}

impl Component {
    pub fn api<K: Kind>(&self) -> Api<K> {
        Api::new(self.transport.clone())
    }

    pub fn informer<K: Kind>(&self) -> Informer<K> {
        Informer::all(&*self.views)
    }

    pub fn queue<T: Clone + Eq + Hash + Send + 'static>(&self) -> WorkQueue<T> {
        WorkQueue::new(self.clock.clone())
    }

    /// A recorder that signs as `component`.
    pub fn recorder(&self, component: &str) -> EventRecorder {
        let (transport, clock) = (self.transport.clone(), self.clock.clone());
        EventRecorder::new(transport, &self.tasks, clock, self.random.clone(), component, "")
    }

    /// Hands every change that `informer` sees to `handler`.
    pub fn on<K: Kind>(&self, informer: &Informer<K>, handler: impl FnMut(&Change) + Send + 'static) {
        informer.on_change(&self.tasks, handler);
    }

    /// Runs `reconcile` over the queue once everything it reads has been complete once.
    pub fn run<T, F, Fut>(
        &self,
        synced: Vec<BoxFuture<'static, ()>>,
        queue: &WorkQueue<T>,
        workers: usize,
        reconcile: F,
    ) where
        T: Clone + Eq + Hash + std::fmt::Debug + std::fmt::Display + Send + Sync + 'static,
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<Requeue>> + Send + 'static,
    {
        let (name, queue, tasks) = (self.name, queue.clone(), self.tasks.clone());
        self.tasks.spawn_until_shutdown(async move {
            futures::future::join_all(synced).await;
            client::queue::run(name, &queue, &tasks, workers, reconcile);
        });
    }
}

/// Completes when the informer has been complete once; for [`Component::run`].
pub fn synced<K: Kind>(informer: &Informer<K>) -> BoxFuture<'static, ()> {
    let view = informer.view().clone();
    Box::pin(async move { view.synced().await })
}

/// The object a change is about, as new as it has it.
pub fn object(change: &Change) -> Option<&Arc<cache::Object>> {
    change.new.as_ref().or(change.old.as_ref())
}
