//! Network policies: which traffic of this node's pods the kernel lets through. Start at [`start`].
//!
//! [`compile`](compile::compile) makes a [`table::Table`] of policies, pods and namespaces, and is pure; [`kernel`] writes it, as
//! the difference to what was written before. It is a table of its own: services work without it, and it without services.
//!
//! What is filtered is what is forwarded: traffic between a pod and its own node passes, whatever policies say, as the API wants
//! it (kubelets probe). Destinations are looked at after services were translated. Connections that were allowed once go on.

mod compile;
mod kernel;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use apimachinery::ObjectKey;
use client::transport::Change;
use client::{Informer, Transport};
use codec::Kind as _;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use stdx::Tasks;
use stdx::clock::SharedClock;

use self::compile::Member;
use self::table::Table;
use crate::watch::Watch;

pub use self::kernel::TABLE;

/// Changes that are applied by one transaction when they come at once.
const BATCH: usize = 4096;
/// How long a failed or disputed table waits for its next writing.
const AGAIN: Duration = Duration::from_secs(1);

/// Enforces network policies in this network namespace until `tasks` is stopped. The table stays. `transport` may read pods,
/// namespaces and network policies. Fails when the kernel's tables cannot be reached at all.
pub fn start(node_name: &str, transport: &dyn Transport, clock: SharedClock, tasks: &Tasks) -> Result<()> {
    let kernel = kernel::Kernel::open().context("reach the kernel's nftables")?;
    let watch = Watch::open(kernel.port_id(), TABLE).context("watch the kernel's nftables")?;
    let filter = Filter {
        node: node_name.to_owned(),
        policies: Informer::all(transport),
        pods: Informer::all(transport),
        namespaces: Informer::all(transport),
        members: BTreeMap::new(),
        labels: BTreeMap::new(),
        written: Table::default(),
        whole: true,
        kernel,
        clock,
    };
    tasks.spawn_until_shutdown(filter.run(watch));
    Ok(())
}

/// Removes the table. Idempotent.
pub async fn remove() -> Result<()> {
    kernel::remove().await
}

enum Event {
    Policy,
    Pod(Change),
    Namespace(Change),
}

struct Filter {
    node: String,
    policies: Informer<NetworkPolicy>,
    pods: Informer<Pod>,
    namespaces: Informer<Namespace>,
    /// What policies ask of pods, of all there are.
    members: BTreeMap<ObjectKey, Member>,
    /// Of namespaces, by name.
    labels: BTreeMap<String, BTreeMap<String, String>>,
    written: Table,
    /// The kernel's table must be written anew, all of it.
    whole: bool,
    kernel: kernel::Kernel,
    clock: SharedClock,
}

impl Filter {
    async fn run(mut self, watch: Watch) {
        // Nothing is written before everything is known: a table of an earlier run goes on filtering until then.
        tokio::join!(self.policies.synced(), self.pods.synced(), self.namespaces.synced());
        let mut events = self.events().ready_chunks(BATCH);
        for pod in self.pods.list("") {
            self.pod(ObjectKey::new(pod.namespace(), pod.name()), Some(&pod));
        }
        for namespace in self.namespaces.list("") {
            self.labels.insert(namespace.name().into(), namespace.metadata.labels.unwrap_or_default());
        }
        self.write().await;
        loop {
            let failed = self.whole;
            tokio::select! {
                some = events.next() => match some {
                    Some(events) => if self.changed(events) {
                        self.write().await;
                    },
                    None => return,
                },
                seen = watch.next() => if seen.ours || seen.lost {
                    tracing::warn!("the table {TABLE} may not be as it was left; writing it anew");
                    self.whole = true;
                },
                () = self.clock.sleep(AGAIN), if failed => self.write().await,
            }
        }
    }

    fn events(&self) -> BoxStream<'static, Event> {
        let policies = self.policies.subscribe().map(|_| Event::Policy).boxed();
        let pods = self.pods.subscribe().map(Event::Pod).boxed();
        let namespaces = self.namespaces.subscribe().map(Event::Namespace).boxed();
        futures::stream::select_all([policies, pods, namespaces]).boxed()
    }

    /// Whether anything changed that policies ask for.
    fn changed(&mut self, events: Vec<Event>) -> bool {
        let mut changed = false;
        for event in events {
            changed |= match event {
                Event::Policy => true,
                Event::Pod(change) => {
                    let pod = change.new.as_deref().and_then(client::informer::decode::<Pod>);
                    key(&change).is_some_and(|key| self.pod(key, pod.as_ref()))
                }
                Event::Namespace(change) => {
                    let labels = change.new.as_deref().and_then(client::informer::decode::<Namespace>);
                    key(&change).is_some_and(|key| self.namespace(&key.name, labels))
                }
            };
        }
        changed
    }

    fn pod(&mut self, key: ObjectKey, pod: Option<&Pod>) -> bool {
        match pod.and_then(Member::of) {
            None => self.members.remove(&key).is_some(),
            Some(member) if self.members.get(&key) == Some(&member) => false,
            Some(member) => {
                self.members.insert(key, member);
                true
            }
        }
    }

    fn namespace(&mut self, name: &str, namespace: Option<Namespace>) -> bool {
        match namespace {
            None => self.labels.remove(name).is_some(),
            Some(namespace) => {
                let labels = namespace.metadata.labels.unwrap_or_default();
                self.labels.insert(name.to_owned(), labels.clone()) != Some(labels)
            }
        }
    }

    /// Brings the kernel's table to what it should be.
    async fn write(&mut self) {
        let members: Vec<&Member> = self.members.values().collect();
        let wanted = compile::compile(&self.policies.list(""), &members, &self.labels, &self.node);
        if !self.whole {
            if wanted == self.written {
                return;
            }
            if let Err(error) = self.kernel.change(&self.written, &wanted).await {
                tracing::warn!(
                    "a change of network policies did not go into the kernel, so the whole table will: {error:#}"
                );
                self.whole = true;
            }
        }
        if self.whole {
            match self.kernel.replace(&wanted).await {
                Ok(()) => self.whole = false,
                Err(error) => {
                    tracing::error!("network policies are not enforced as they should be: {error:#}");
                    return;
                }
            }
        }
        self.written = wanted;
    }
}

fn key(change: &Change) -> Option<ObjectKey> {
    change.new.as_ref().or(change.old.as_ref()).map(|o| o.key.clone())
}
