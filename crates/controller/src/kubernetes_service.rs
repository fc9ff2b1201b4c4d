//! The service `kubernetes` by which pods find the API server. Upstream the API server keeps it itself; so it is a function here,
//! for whoever assembles one. Start at [`start`].

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::transport::Transport;
use client::{Api, Informer, Requeue, WorkQueue};
use codec::Kind;
use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Service, ServicePort, ServiceSpec,
};
use k8s_openapi::api::discovery::v1::{self as discovery, Endpoint, EndpointConditions, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use stdx::Tasks;
use stdx::clock::SharedClock;
use tokio::sync::watch;

const NAMESPACE: &str = "default";
const NAME: &str = "kubernetes";
const PORT_NAME: &str = "https";

/// What an API server's entry among those that share a store says: upstream's form, an Endpoints of its address.
pub fn entry(address: IpAddr) -> Vec<u8> {
    let address = EndpointAddress { ip: address.to_string(), ..EndpointAddress::default() };
    let subset = EndpointSubset { addresses: Some(vec![address]), ..EndpointSubset::default() };
    Endpoints { metadata: ObjectMeta::default(), subsets: Some(vec![subset]) }.to_json()
}

/// Keeps the service, its Endpoints and EndpointSlice as they should be, until `tasks` is stopped. `cluster_ip` is the first address
/// of the service range; `advertise` is where pods reach the API server. One API server is assumed: addresses of others are
/// removed.
pub fn start(
    transport: Arc<dyn Transport>,
    clock: SharedClock,
    tasks: &Tasks,
    cluster_ip: &str,
    advertise: SocketAddr,
) {
    let (_, alone) = watch::channel(vec![advertise.ip()]);
    start_shared(transport, clock, tasks, cluster_ip, advertise, alone);
}

/// The same, with `all` the addresses of all API servers, which listen on one port.
pub fn start_shared(
    transport: Arc<dyn Transport>,
    clock: SharedClock,
    tasks: &Tasks,
    cluster_ip: &str,
    advertise: SocketAddr,
    all: watch::Receiver<Vec<IpAddr>>,
) {
    let keeper = Arc::new(Keeper {
        services: Api::new(transport.clone()),
        endpoints: Api::new(transport.clone()),
        slices: Api::new(transport.clone()),
        cluster_ip: cluster_ip.to_owned(),
        advertise,
        all: all.clone(),
    });
    if advertise.ip().is_loopback() {
        // Endpoints may not name it: in a pod it is the pod.
        tracing::warn!(
            "this machine has no address but {}: pods cannot reach the API server; --node-ip names one",
            advertise.ip()
        );
    }
    let queue = WorkQueue::new(clock);
    queue.add(ObjectKey::new(NAMESPACE, NAME));
    wake::<Service>(&transport, tasks, &queue);
    wake::<Endpoints>(&transport, tasks, &queue);
    wake::<EndpointSlice>(&transport, tasks, &queue);
    let (mut all, again) = (all, queue.clone());
    tasks.spawn_until_shutdown(async move {
        while all.changed().await.is_ok() {
            again.add(ObjectKey::new(NAMESPACE, NAME));
        }
    });
    client::queue::run("kubernetes-service", &queue, tasks, 1, move |_| {
        let keeper = keeper.clone();
        async move { keeper.reconcile().await }
    });
}

fn wake<K: Kind>(transport: &Arc<dyn Transport>, tasks: &Tasks, queue: &WorkQueue<ObjectKey>) {
    let queue = queue.clone();
    Informer::<K>::all(&**transport).on_change(tasks, move |change| {
        let object = change.new.as_ref().or(change.old.as_ref());
        if let Some(object) = object.filter(|o| *o.key.name == *NAME && *o.key.namespace == *NAMESPACE) {
            queue.add(object.key.clone());
        }
    });
}

struct Keeper {
    services: Api<Service>,
    endpoints: Api<Endpoints>,
    slices: Api<EndpointSlice>,
    cluster_ip: String,
    advertise: SocketAddr,
    /// Of all API servers.
    all: watch::Receiver<Vec<IpAddr>>,
}

impl Keeper {
    async fn reconcile(&self) -> anyhow::Result<Requeue> {
        let all = self.all.borrow().clone();
        keep(&self.services, service(&self.cluster_ip, self.advertise.port()), |have, want| {
            let ports = want.spec.as_ref().and_then(|s| s.ports.clone());
            let spec = have.spec.get_or_insert_default();
            let differs = spec.ports != ports;
            spec.ports = ports;
            differs
        })
        .await
        .context("keep the service kubernetes")?;
        if self.advertise.ip().is_loopback() {
            return Ok(Requeue::Never);
        }
        keep(&self.endpoints, endpoints(self.advertise, &all), |have, want| {
            let differs = have.subsets != want.subsets;
            have.subsets.clone_from(&want.subsets);
            differs
        })
        .await
        .context("keep the endpoints kubernetes")?;
        keep(&self.slices, slice(self.advertise, &all), |have, want| {
            let differs = have.endpoints != want.endpoints || have.ports != want.ports;
            have.endpoints.clone_from(&want.endpoints);
            have.ports.clone_from(&want.ports);
            differs
        })
        .await
        .context("keep the endpoint slice kubernetes")?;
        Ok(Requeue::Never)
    }
}

/// Creates `want`, or changes what is there when `merge` says that it differs.
async fn keep<K: Kind>(
    api: &Api<K>,
    want: K,
    merge: impl FnOnce(&mut K, &K) -> bool,
) -> Result<(), apimachinery::Status> {
    match api.find(&ObjectKey::new(NAMESPACE, NAME)).await? {
        None => api.create(&want).await.map(drop),
        Some(mut have) => match merge(&mut have, &want) {
            true => api.update(&have).await.map(drop),
            false => Ok(()),
        },
    }
}

fn meta(labels: &[(&str, &str)]) -> ObjectMeta {
    ObjectMeta {
        name: Some(NAME.into()),
        namespace: Some(NAMESPACE.into()),
        labels: Some(labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<BTreeMap<_, _>>()),
        ..ObjectMeta::default()
    }
}

fn service(cluster_ip: &str, port: u16) -> Service {
    Service {
        metadata: meta(&[("component", "apiserver"), ("provider", "kubernetes")]),
        spec: Some(ServiceSpec {
            cluster_ip: Some(cluster_ip.to_owned()),
            cluster_ips: Some(vec![cluster_ip.to_owned()]),
            ports: Some(vec![ServicePort {
                name: Some(PORT_NAME.into()),
                port: 443,
                protocol: Some("TCP".into()),
                target_port: Some(IntOrString::Int(port.into())),
                ..ServicePort::default()
            }]),
            session_affinity: Some("None".into()),
            type_: Some("ClusterIP".into()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn endpoints(advertise: SocketAddr, all: &[IpAddr]) -> Endpoints {
    let address = |ip: &IpAddr| EndpointAddress { ip: ip.to_string(), ..EndpointAddress::default() };
    let port = EndpointPort {
        name: Some(PORT_NAME.into()),
        port: advertise.port().into(),
        protocol: Some("TCP".into()),
        app_protocol: None,
    };
    Endpoints {
        // Our own slice is the truth; a mirrored one would double it.
        metadata: meta(&[("endpointslice.kubernetes.io/skip-mirror", "true")]),
        subsets: Some(vec![EndpointSubset {
            addresses: Some(all.iter().map(address).collect()),
            not_ready_addresses: None,
            ports: Some(vec![port]),
        }]),
    }
}

fn slice(advertise: SocketAddr, all: &[IpAddr]) -> EndpointSlice {
    let endpoint = |ip: &IpAddr| Endpoint {
        addresses: vec![ip.to_string()],
        conditions: Some(EndpointConditions { ready: Some(true), ..EndpointConditions::default() }),
        ..Endpoint::default()
    };
    EndpointSlice {
        metadata: meta(&[("kubernetes.io/service-name", NAME)]),
        address_type: if advertise.is_ipv4() { "IPv4" } else { "IPv6" }.into(),
        endpoints: Some(all.iter().map(endpoint).collect()),
        ports: Some(vec![discovery::EndpointPort {
            name: Some(PORT_NAME.into()),
            port: Some(advertise.port().into()),
            protocol: Some("TCP".into()),
            app_protocol: None,
        }]),
    }
}
