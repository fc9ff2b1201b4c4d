//! The loop: changes of objects and of the kernel's tables in, transactions out.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use apimachinery::ObjectKey;
use client::transport::Change;
use client::{EventRecorder, EventType, Informer, Transport};
use futures::StreamExt;
use futures::stream::BoxStream;
use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Node as NodeObject, ObjectReference, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use resources::discovery::endpoint_slice::SERVICE_NAME;
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};

use crate::conntrack::{self, Fronts};
use crate::endpoints::Node;
use crate::health::Health;
use crate::kernel::{Kernel, Ranges, TABLE};
use crate::render::{Ids, OTHER_PROXY, render};
use crate::rules::{Ip, Key, Kind, Part, Value};
use crate::table::{Delta, Table};
use crate::watch::{Seen, Watch};
use crate::{fallback, full};

/// Changes that are applied by one transaction when they come at once.
const BATCH: usize = 4096;
/// How long a failed or disputed table waits for its next writing.
const AGAIN: Duration = Duration::from_secs(1);
const ZONE: &str = "topology.kubernetes.io/zone";
/// Slices with it are for clients of headless services only.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// What a proxy is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node's name.
    pub node_name: String,
    pub ranges: Ranges,
}

/// Runs the proxy of this network namespace until `tasks` is stopped. The table stays: connections outlive the process.
/// `transport` speaks as `system:kube-proxy`. Fails when the kernel's tables cannot be reached at all.
pub fn start(
    config: Config,
    transport: Arc<dyn Transport>,
    clock: SharedClock,
    random: Random,
    tasks: &Tasks,
) -> Result<()> {
    let services_at = config.ranges.services.clone();
    let kernel = Kernel::open(config.ranges).context("reach the kernel's nftables")?;
    let watch = Watch::open(kernel.port_id(), TABLE).context("watch the kernel's nftables")?;
    let recorder =
        EventRecorder::new(transport.clone(), tasks, clock.clone(), random, "kube-proxy", &config.node_name);
    tasks.spawn_until_shutdown(full::watch(clock.clone(), recorder.clone(), reference(&config.node_name)));
    let proxy = Proxy {
        services: Informer::all(&*transport),
        slices: Informer::all(&*transport),
        nodes: Informer::all(&*transport),
        node: Node { name: config.node_name, ..Node::default() },
        services_at,
        kernel,
        clock,
        recorder,
        health: Health::new(tasks),
        by_service: HashMap::new(),
        ids: Ids::default(),
        table: Table::default(),
        whole: true,
        written: None,
        drops: Vec::new(),
    };
    tasks.spawn_until_shutdown(proxy.run(watch));
    Ok(())
}

/// A change, by what it is about.
enum Event {
    Service(Change),
    Slice(Change),
    Node(Change),
}

struct Proxy {
    services: Informer<Service>,
    slices: Informer<EndpointSlice>,
    nodes: Informer<NodeObject>,
    node: Node,
    services_at: Vec<IpNet>,
    kernel: Kernel,
    clock: SharedClock,
    recorder: EventRecorder,
    health: Health,
    /// The slices of each service.
    by_service: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    ids: Ids,
    table: Table,
    /// The kernel's table must be written anew, all of it.
    whole: bool,
    /// When that was done last.
    written: Option<Duration>,
    /// Foreign chains that drop, as last reported.
    drops: Vec<String>,
}

impl Proxy {
    async fn run(mut self, watch: Watch) {
        // Nothing is written before everything is known: a table of an earlier run goes on serving until then.
        tokio::join!(self.services.synced(), self.slices.synced(), self.nodes.synced());
        let mut events = self.events().ready_chunks(BATCH);
        let mut first = true;
        loop {
            let wait = self.wait();
            tokio::select! {
                some = events.next() => match some {
                    Some(events) => self.changed(events).await,
                    None => return,
                },
                seen = watch.next() => self.seen(seen).await,
                () = self.clock.sleep(wait.unwrap_or_default()), if wait.is_some() => self.write().await,
            }
            if std::mem::take(&mut first) {
                self.report_drops().await;
            }
        }
    }

    fn events(&self) -> BoxStream<'static, Event> {
        let services = self.services.subscribe().map(Event::Service).boxed();
        let slices = self.slices.subscribe().map(Event::Slice).boxed();
        let nodes = self.nodes.subscribe().map(Event::Node).boxed();
        futures::stream::select_all([services, slices, nodes]).boxed()
    }

    /// How long until the table is to be written anew.
    fn wait(&self) -> Option<Duration> {
        let since = |at: Duration| self.clock.monotonic().saturating_sub(at);
        self.whole.then(|| self.written.map_or(Duration::ZERO, |at| AGAIN.saturating_sub(since(at))))
    }

    async fn changed(&mut self, events: Vec<Event>) {
        let mut dirty = BTreeSet::new();
        let before = self.node.addresses.clone();
        for event in events {
            match event {
                Event::Service(change) => dirty.extend(key(&change)),
                Event::Slice(change) => dirty.extend(self.slice_changed(&change)),
                Event::Node(change) => {
                    if self.node_changed(&change) {
                        // Its addresses and its zone may matter to every service.
                        dirty.extend(self.services.objects("").iter().map(|s| s.key.clone()));
                        dirty.insert(ObjectKey::cluster(&self.node.name));
                    }
                }
            }
        }
        if self.node.addresses != before
            && let Err(error) = fallback::lay(&self.services_at, &self.node.addresses).await
        {
            tracing::warn!("without a default route this machine does not reach services: {error:#}");
        }
        let mut delta = Delta::default();
        let mut fronts = Fronts::new();
        for key in dirty {
            self.update(&key, &mut delta, &mut fronts);
        }
        self.apply(&delta).await;
        if !fronts.is_empty()
            && let Err(error) = conntrack::forget(&fronts).await
        {
            tracing::warn!("UDP clients may still be led to endpoints that are gone: {error:#}");
        }
    }

    /// The services that the slice is and was about.
    fn slice_changed(&mut self, change: &Change) -> Vec<ObjectKey> {
        let service = |o: &cache::Object| {
            let other = [HEADLESS, OTHER_PROXY].iter().any(|l| o.meta.label(l).is_some());
            o.meta.label(SERVICE_NAME).filter(|_| !other).map(|name| ObjectKey::new(&o.key.namespace, name))
        };
        let old = change.old.as_deref().and_then(|o| Some((service(o)?, o.key.clone())));
        let new = change.new.as_deref().and_then(|o| Some((service(o)?, o.key.clone())));
        if let Some((service, slice)) = &old
            && let Some(slices) = self.by_service.get_mut(service)
        {
            slices.remove(slice);
            if slices.is_empty() {
                self.by_service.remove(service);
            }
        }
        if let Some((service, slice)) = &new {
            self.by_service.entry(service.clone()).or_default().insert(slice.clone());
        }
        [old, new].into_iter().flatten().map(|(service, _)| service).collect()
    }

    /// Whether something changed that matters here.
    fn node_changed(&mut self, change: &Change) -> bool {
        if key(change).is_none_or(|k| *k.name != *self.node.name) {
            return false;
        }
        let Some(object) = change.new.as_deref().and_then(client::informer::decode::<NodeObject>) else {
            return false;
        };
        let addresses = object.status.iter().flat_map(|s| s.addresses.iter().flatten());
        let addresses: BTreeSet<IpAddr> =
            addresses.filter(|a| a.type_ == "InternalIP").filter_map(|a| a.address.parse().ok()).collect();
        let zone = object.metadata.labels.as_ref().and_then(|l| l.get(ZONE)).cloned();
        let node = Node { name: self.node.name.clone(), zone, addresses };
        std::mem::replace(&mut self.node, node.clone()) != node
    }

    fn update(&mut self, key: &ObjectKey, delta: &mut Delta, fronts: &mut Fronts) {
        if key.namespace.is_empty() {
            let mut part = Part::default();
            for address in &self.node.addresses {
                part.element(Kind::NodeIps, Ip::of(*address), Key::Address(*address), Value::Present);
            }
            return self.table.put(key, "", part, delta);
        }
        let service = self.services.get(key);
        let slices = self.by_service.get(key).into_iter().flatten();
        let slices: Vec<EndpointSlice> = slices.filter_map(|s| self.slices.get(s)).collect();
        let before = self.table.part(key);
        let part = match &service {
            Some(service) => render(service, &slices, &self.node, before, &mut self.ids),
            None => Part::default(),
        };
        if let Some(before) = before {
            self.ids.free(before, &part);
        }
        fronts.extend(conntrack::affected(before, &part));
        self.health.set(key, part.health);
        let created = service.and_then(|s| s.metadata.creation_timestamp).map(|t| t.0.to_string());
        self.table.put(key, &created.unwrap_or_default(), part, delta);
    }

    async fn apply(&mut self, delta: &Delta) {
        if self.whole {
            if self.wait() == Some(Duration::ZERO) {
                self.write().await;
            }
            return;
        }
        if delta.is_empty() {
            return;
        }
        if let Err(error) = self.kernel.change(delta).await {
            tracing::warn!(
                "a change of services did not go into the kernel, so the whole table will: {error:#}"
            );
            self.whole = true;
            self.write().await;
        }
    }

    async fn write(&mut self) {
        self.written = Some(self.clock.monotonic());
        match self.kernel.replace(&self.table.whole()).await {
            Ok(()) => self.whole = false,
            Err(error) => tracing::error!("services do not work: {error:#}"),
        }
    }

    async fn seen(&mut self, seen: Seen) {
        if seen.ours {
            tracing::warn!("somebody else changed the table {TABLE}; writing it anew");
            self.whole = true;
        }
        if seen.lost && !self.kernel.is_intact(&self.table.whole()).await {
            tracing::warn!("the table {TABLE} is not as it was left; writing it anew");
            self.whole = true;
        }
        if self.wait() == Some(Duration::ZERO) {
            self.write().await;
        }
        if seen.others || seen.lost {
            self.report_drops().await;
        }
    }

    /// Names the chains by which somebody else stops what services let through. They are not ours to change.
    async fn report_drops(&mut self) {
        let drops = match self.kernel.forward_drops().await {
            Ok(drops) => drops,
            Err(error) => return tracing::warn!("cannot look for foreign rules that drop: {error:#}"),
        };
        let new: Vec<&str> = drops.iter().filter(|d| !self.drops.contains(d)).map(String::as_str).collect();
        if !new.is_empty() {
            let message = format!(
                "packets to and from pods may be dropped by the policy of chains that are not Knarr's: {}",
                new.join(", ")
            );
            tracing::warn!("{message}");
            self.recorder.event(
                &reference(&self.node.name),
                EventType::Warning,
                "ForeignForwardDrop",
                message,
            );
        }
        self.drops = drops;
    }
}

/// The node, as events name it.
fn reference(name: &str) -> ObjectReference {
    ObjectReference {
        kind: Some("Node".into()),
        api_version: Some("v1".into()),
        name: Some(name.to_owned()),
        // As kubelets name the node in their events, so that `kubectl describe node` finds them.
        uid: Some(name.to_owned()),
        ..ObjectReference::default()
    }
}

fn key(change: &Change) -> Option<ObjectKey> {
    change.new.as_ref().or(change.old.as_ref()).map(|o| o.key.clone())
}
