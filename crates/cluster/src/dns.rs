//! Cluster DNS, and the service by which pods reach it.
//!
//! Servers answer on the nodes themselves, so there are no pods behind `kube-system/kube-dns`: its slices are kept here, one for each
//! server ([`agents`] for those of agents), and put back whenever somebody removes or changes them.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use apimachinery::{ObjectKey, Status};
use client::{Api, DeleteOptions, Informer, Requeue, Transport, ViewScope, WorkQueue};
use codec::Kind;
use dns::{Access, Dns, PodNames};
use k8s_openapi::api::core::v1::{Node, Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{
    Endpoint, EndpointConditions, EndpointHints, EndpointPort, EndpointSlice, ForNode,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use stdx::clock::SharedClock;
use stdx::{Random, Tasks};

use crate::config::{NodeConfig, ServerConfig};
use crate::control_plane::{ControlPlane, Groups, Shared};
use crate::{host, identities};

pub mod agents;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "kube-dns";
/// Who keeps the slices; the endpoint slice controller leaves others' alone.
const MANAGER: &str = "knarr-dns";
/// The node's port that is tried first. 53 is often taken by a resolver of the machine's own.
const PORT: u16 = 10053;

/// What a DNS server runs on.
pub struct Around<'a> {
    pub clock: &'a SharedClock,
    pub random: &'a Random,
    pub tasks: &'a Tasks,
}

/// Starts this node's DNS server. `None`: the configuration says no. `transport` may read services, endpoint slices, namespaces and,
/// where their names are verified, pods.
pub async fn serve(
    config: &NodeConfig,
    transport: Arc<dyn Transport>,
    pods: PodNames,
    nodes: Informer<Node>,
    around: &Around<'_>,
) -> Result<Option<SocketAddr>> {
    let Some(service_ip) = config.cluster_dns.filter(|_| config.serve_dns) else { return Ok(None) };
    let ranges = [&config.cluster_cidrs[..], &config.service_cidrs[..]].concat();
    let clock = around.clock.clone();
    let settings = dns::Config {
        address: config.node_ip,
        port: PORT,
        domain: config.cluster_domain.clone(),
        service_ips: vec![service_ip],
        ranges: ranges.clone(),
        pods,
        access: Access::new(ranges, machines(nodes), clock.clone()),
        resolv_conf: resolv_conf(config.resolv_conf.as_deref()),
    };
    let server = Dns::start(settings, transport, clock, around.random.clone(), around.tasks).await?;
    if server.address().ip().is_loopback() {
        // Without an endpoint the service refuses at once, which is better than a wait for nothing.
        tracing::warn!(
            "this machine has no address but {}: pods cannot reach cluster DNS; --node-ip names one",
            server.address().ip()
        );
    }
    Ok(Some(server.address()))
}

/// Starts a server's DNS and keeps the service, unless the configuration says no.
pub async fn start(
    config: &ServerConfig,
    shared: &Shared,
    control_plane: &ControlPlane,
    groups: &Groups,
) -> Result<()> {
    let node = config.node(shared.node_ip);
    let reader = control_plane.api.local(identities::user("system:serviceaccount:kube-system:coredns"));
    let writer: Arc<dyn Transport> = control_plane.api.local(identities::user("system:apiserver"));
    let nodes = Informer::<Node>::all(&*writer);
    let around = Around { clock: &shared.clock, random: &shared.random, tasks: &groups.components };
    let served = serve(&node, reader, PodNames::Verified, nodes, &around).await?;
    let (Some(server), Some(service_ip)) = (served, node.cluster_dns) else { return Ok(()) };
    agents::keep(writer.clone(), shared, groups);
    Keeper { service_ip, server, node: node.node_name, transport: writer }.start(shared, groups);
    Ok(())
}

/// The addresses of this machine and of all nodes, from which what runs on their network asks.
fn machines(nodes: Informer<Node>) -> impl Fn() -> Vec<IpAddr> + Send + Sync + 'static {
    move || {
        let addresses = nodes.list("").into_iter().filter_map(|n| n.status?.addresses).flatten();
        host::addresses().into_iter().chain(addresses.filter_map(|a| a.address.parse().ok())).collect()
    }
}

/// Where this node's own nameservers are written: what `--resolv-conf` says, or /etc/resolv.conf; but where that only names a
/// local forwarder, which pods cannot reach, systemd-resolved's list of those behind it.
pub fn resolv_conf(named: Option<&Path>) -> PathBuf {
    const USUAL: &str = "/etc/resolv.conf";
    const BEHIND: &str = "/run/systemd/resolve/resolv.conf";
    if let Some(named) = named {
        return named.to_owned();
    }
    let local = |path: &str| only_local(&std::fs::read_to_string(path).unwrap_or_default());
    let better = local(USUAL) && Path::new(BEHIND).exists() && !local(BEHIND);
    PathBuf::from(if better { BEHIND } else { USUAL })
}

/// A resolv.conf that names nameservers on loopback and no others.
fn only_local(text: &str) -> bool {
    let lines = text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>());
    let named = lines.filter(|words| words.first() == Some(&"nameserver"));
    let mut servers = named.filter_map(|words| words.get(1)?.parse::<IpAddr>().ok()).peekable();
    servers.peek().is_some() && servers.all(|a| a.is_loopback())
}

/// Keeps the service and this server's slice as they should be.
struct Keeper {
    service_ip: IpAddr,
    server: SocketAddr,
    node: String,
    transport: Arc<dyn Transport>,
}

impl Keeper {
    fn start(self, shared: &Shared, groups: &Groups) {
        let queue = WorkQueue::new(shared.clock.clone());
        queue.add(ObjectKey::new(NAMESPACE, NAME));
        self.wake::<Service>(NAME.into(), &queue, groups);
        self.wake::<EndpointSlice>(self.slice_name(), &queue, groups);
        let keeper = Arc::new(self);
        client::queue::run("cluster-dns", &queue, &groups.components, 1, move |_| {
            let keeper = keeper.clone();
            async move { keeper.reconcile().await }
        });
    }

    /// Whatever happens to the object of this name, we look.
    fn wake<K: Kind>(&self, name: String, queue: &WorkQueue<ObjectKey>, groups: &Groups) {
        let queue = queue.clone();
        let scope = ViewScope { namespace: NAMESPACE.into(), ..ViewScope::default() };
        Informer::<K>::scoped(&*self.transport, &scope).on_change(&groups.components, move |change| {
            let object = change.new.as_ref().or(change.old.as_ref());
            if object.is_some_and(|o| *o.key.name == *name) {
                queue.add(ObjectKey::new(NAMESPACE, NAME));
            }
        });
    }

    async fn reconcile(&self) -> Result<Requeue> {
        self.keep_service().await.context("keep the service kube-dns")?;
        if !self.server.ip().is_loopback() {
            self.keep_slice().await.context("keep the endpoint slice of kube-dns")?;
        }
        Ok(Requeue::Never)
    }

    async fn keep_service(&self) -> Result<(), Status> {
        let api = Api::<Service>::new(self.transport.clone());
        let want = self.service();
        let Some(mut have) = api.find(&ObjectKey::new(NAMESPACE, NAME)).await? else {
            return api.create(&want).await.map(drop);
        };
        let spec = have.spec.get_or_insert_default();
        let wanted = want.spec.as_ref();
        if spec.cluster_ip.as_deref() != Some(&self.service_ip.to_string()) {
            // An address cannot be changed. Another --cluster-dns makes another service; the deletion brings us back here.
            return api.delete(NAMESPACE, NAME, &DeleteOptions::uid(have.uid())).await;
        }
        let labels = have.metadata.labels.get_or_insert_default();
        let missing: Vec<_> =
            want.metadata.labels.iter().flatten().filter(|(k, v)| labels.get(*k) != Some(v)).collect();
        let ports = wanted.and_then(|s| s.ports.clone());
        if missing.is_empty() && spec.ports == ports && spec.selector.is_none() {
            return Ok(());
        }
        labels.extend(missing.into_iter().map(|(k, v)| (k.clone(), v.clone())));
        spec.ports = ports;
        spec.selector = None;
        api.update(&have).await.map(drop)
    }

    async fn keep_slice(&self) -> Result<(), Status> {
        let api = Api::<EndpointSlice>::new(self.transport.clone());
        let want = self.slice();
        let Some(mut have) = api.find(&ObjectKey::new(NAMESPACE, want.name())).await? else {
            return api.create(&want).await.map(drop);
        };
        if have.address_type != want.address_type {
            return api.delete(NAMESPACE, have.name(), &DeleteOptions::uid(have.uid())).await;
        }
        let same = have.endpoints == want.endpoints
            && have.ports == want.ports
            && have.metadata.labels == want.metadata.labels;
        if same {
            return Ok(());
        }
        have.metadata.labels = want.metadata.labels;
        have.endpoints = want.endpoints;
        have.ports = want.ports;
        api.update(&have).await.map(drop)
    }

    fn service(&self) -> Service {
        let port = |(name, protocol): (&str, &str)| ServicePort {
            name: Some(name.into()),
            port: 53,
            protocol: Some(protocol.into()),
            target_port: Some(IntOrString::Int(53)),
            ..ServicePort::default()
        };
        Service {
            metadata: meta(
                NAME,
                &[
                    ("k8s-app", "kube-dns"),
                    ("kubernetes.io/cluster-service", "true"),
                    ("kubernetes.io/name", "CoreDNS"),
                ],
            ),
            spec: Some(ServiceSpec {
                cluster_ip: Some(self.service_ip.to_string()),
                ports: Some([("dns", "UDP"), ("dns-tcp", "TCP")].map(port).into()),
                ..ServiceSpec::default()
            }),
            status: None,
        }
    }

    fn slice_name(&self) -> String {
        slice_name(&self.node)
    }

    fn slice(&self) -> EndpointSlice {
        slice(&self.slice_name(), MANAGER, &self.node, self.server, true)
    }
}

fn slice_name(node: &str) -> String {
    format!("{NAME}-{node}")
}

/// The slice of one server. Its hint leads the node's own pods to it: an answer from the same machine is the fastest, and needs
/// no other machine.
fn slice(name: &str, manager: &str, node: &str, server: SocketAddr, ready: bool) -> EndpointSlice {
    let port = |(name, protocol): (&str, &str)| EndpointPort {
        name: Some(name.into()),
        port: Some(server.port().into()),
        protocol: Some(protocol.into()),
        app_protocol: None,
    };
    EndpointSlice {
        metadata: meta(
            name,
            &[("endpointslice.kubernetes.io/managed-by", manager), ("kubernetes.io/service-name", NAME)],
        ),
        address_type: if server.is_ipv4() { "IPv4" } else { "IPv6" }.into(),
        endpoints: Some(vec![Endpoint {
            addresses: vec![server.ip().to_string()],
            conditions: Some(EndpointConditions {
                ready: Some(ready),
                serving: Some(ready),
                terminating: Some(false),
            }),
            node_name: Some(node.into()),
            hints: Some(EndpointHints {
                for_nodes: Some(vec![ForNode { name: node.into() }]),
                for_zones: None,
            }),
            ..Endpoint::default()
        }]),
        ports: Some([("dns", "UDP"), ("dns-tcp", "TCP")].map(port).into()),
    }
}

fn meta(name: &str, labels: &[(&str, &str)]) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.into()),
        namespace: Some(NAMESPACE.into()),
        labels: Some(labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    use super::only_local;

    #[test]
    fn local_forwarders_are_told_from_nameservers() {
        assert!(only_local("# stub\nnameserver 127.0.0.53\noptions edns0\n"));
        assert!(only_local("nameserver ::1\nnameserver 127.0.0.1"));
        assert!(!only_local("nameserver 127.0.0.53\nnameserver 192.0.2.1\n"));
        assert!(!only_local("search example\n") && !only_local(""));
    }
}
