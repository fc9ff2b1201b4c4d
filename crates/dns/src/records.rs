//! The objects that names are made of, indexed for questions. A change costs what changed, a question costs its answer.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use apimachinery::ObjectKey;
use codec::Kind as _;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use resources::discovery::endpoint_slice::SERVICE_NAME;
use resources::prelude::*;

/// [`Records`] shared by the watchers that keep them and the server that reads them.
#[derive(Clone, Default)]
pub struct Index(Arc<RwLock<Records>>);

impl Index {
    pub fn read(&self) -> RwLockReadGuard<'_, Records> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, Records> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A named port; unnamed ones have no records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    pub number: u16,
}

/// What a service's name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Addresses(Vec<IpAddr>),
    Endpoints,
    /// A name outside.
    External(String),
}

/// A service, as far as names are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRecord {
    pub target: Target,
    pub ports: Vec<Port>,
}

/// The ready endpoints of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceRecord {
    pub service: ObjectKey,
    pub ports: Vec<Port>,
    /// By the first label of their names.
    pub hosts: BTreeMap<Arc<str>, Vec<IpAddr>>,
}

/// Everything that names are made of.
#[derive(Default)]
pub struct Records {
    services: HashMap<ObjectKey, ServiceRecord>,
    slices: HashMap<ObjectKey, SliceRecord>,
    namespaces: HashSet<Arc<str>>,
    pods: HashMap<ObjectKey, Vec<IpAddr>>,
    slices_of: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    service_at: HashMap<IpAddr, BTreeSet<ObjectKey>>,
    /// Slices with a ready endpoint at the address, and the endpoint's label.
    endpoint_at: HashMap<IpAddr, BTreeMap<ObjectKey, Arc<str>>>,
    pods_at: HashMap<(Arc<str>, IpAddr), BTreeSet<ObjectKey>>,
    /// Pods are not watched: any address is taken for a pod's.
    any_pod: bool,
    /// Kinds whose first list has come.
    loaded: u8,
}

/// How many kinds there are to load.
const KINDS: u8 = 4;

impl Records {
    /// A kind's first list has been taken in.
    pub fn kind_is_loaded(&mut self) {
        self.loaded += 1;
    }

    /// From now on a name such as `10-42-0-1.NAMESPACE.pod` is answered without knowing the pods.
    pub fn believe_pod_names(&mut self) {
        self.any_pod = true;
        self.kind_is_loaded();
    }

    /// False: a name that is not here may exist all the same.
    pub fn is_loaded(&self) -> bool {
        self.loaded >= KINDS
    }

    /// The object is now this, or gone.
    pub fn set_service(&mut self, key: &ObjectKey, service: Option<&Service>) {
        if let Some(old) = self.services.remove(key) {
            for ip in old.addresses() {
                unlink(&mut self.service_at, ip, key);
            }
        }
        let Some(new) = service.map(ServiceRecord::of) else { return };
        for ip in new.addresses() {
            self.service_at.entry(*ip).or_default().insert(key.clone());
        }
        self.services.insert(key.clone(), new);
    }

    /// The object is now this, or gone.
    pub fn set_slice(&mut self, key: &ObjectKey, slice: Option<&EndpointSlice>) {
        if let Some(old) = self.slices.remove(key) {
            unlink(&mut self.slices_of, &old.service, key);
            for ip in old.hosts.values().flatten() {
                if let Some(slices) = self.endpoint_at.get_mut(ip) {
                    slices.remove(key);
                    if slices.is_empty() {
                        self.endpoint_at.remove(ip);
                    }
                }
            }
        }
        let Some(new) = slice.and_then(SliceRecord::of) else { return };
        self.slices_of.entry(new.service.clone()).or_default().insert(key.clone());
        for (host, ips) in &new.hosts {
            for ip in ips {
                self.endpoint_at.entry(*ip).or_default().insert(key.clone(), host.clone());
            }
        }
        self.slices.insert(key.clone(), new);
    }

    /// The namespace is there, or gone.
    pub fn set_namespace(&mut self, name: &Arc<str>, exists: bool) {
        match exists {
            true => self.namespaces.insert(name.clone()),
            false => self.namespaces.remove(name),
        };
    }

    /// The pod has these addresses, or none (any more).
    pub fn set_pod(&mut self, key: &ObjectKey, ips: Vec<IpAddr>) {
        for ip in self.pods.remove(key).into_iter().flatten() {
            unlink(&mut self.pods_at, &(key.namespace.clone(), ip), key);
        }
        if ips.is_empty() {
            return;
        }
        for ip in &ips {
            self.pods_at.entry((key.namespace.clone(), *ip)).or_default().insert(key.clone());
        }
        self.pods.insert(key.clone(), ips);
    }

    pub fn service(&self, key: &ObjectKey) -> Option<&ServiceRecord> {
        self.services.get(key)
    }

    /// The slices with the service's endpoints.
    pub fn slices_of(&self, service: &ObjectKey) -> impl Iterator<Item = &SliceRecord> {
        self.slices_of.get(service).into_iter().flatten().filter_map(|key| self.slices.get(key))
    }

    pub fn has_namespace(&self, name: &str) -> bool {
        self.namespaces.contains(name)
    }

    pub fn has_pod(&self, namespace: &str, ip: IpAddr) -> bool {
        let believed = self.any_pod && self.has_namespace(namespace);
        believed || self.pods_at.contains_key(&(namespace.into(), ip))
    }

    /// The service with this cluster address.
    pub fn service_at(&self, ip: IpAddr) -> Option<&ObjectKey> {
        self.service_at.get(&ip)?.first()
    }

    /// The headless services with a ready endpoint at this address, and the endpoint's label.
    pub fn endpoints_at(&self, ip: IpAddr) -> impl Iterator<Item = (&ObjectKey, &str)> {
        let slices = self.endpoint_at.get(&ip).into_iter().flatten();
        slices.filter_map(|(slice, host)| {
            let service = &self.slices.get(slice)?.service;
            let headless = self.services.get(service).is_some_and(|s| s.target == Target::Endpoints);
            headless.then_some((service, &**host))
        })
    }
}

fn unlink<K: Eq + Hash>(map: &mut HashMap<K, BTreeSet<ObjectKey>>, at: &K, key: &ObjectKey) {
    if let Some(keys) = map.get_mut(at) {
        keys.remove(key);
        if keys.is_empty() {
            map.remove(at);
        }
    }
}

impl ServiceRecord {
    fn of(service: &Service) -> Self {
        let spec = service.spec.clone().unwrap_or_default();
        let target = match service.service_type() {
            "ExternalName" => Target::External(spec.external_name.unwrap_or_default()),
            _ if service.is_headless() => Target::Endpoints,
            _ => Target::Addresses(service.cluster_ips().iter().filter_map(|ip| ip.parse().ok()).collect()),
        };
        let ports = spec.ports.into_iter().flatten();
        let ports = ports.filter_map(|p| Port::new(p.name, p.protocol, p.port)).collect();
        ServiceRecord { target, ports }
    }

    fn addresses(&self) -> &[IpAddr] {
        match &self.target {
            Target::Addresses(ips) => ips,
            _ => &[],
        }
    }
}

impl SliceRecord {
    fn of(slice: &EndpointSlice) -> Option<Self> {
        let service = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
        let service = ObjectKey::new(slice.namespace(), service);
        let mut hosts: BTreeMap<Arc<str>, Vec<IpAddr>> = BTreeMap::new();
        // `ready` says true of all endpoints of a service with publishNotReadyAddresses.
        for endpoint in slice.endpoints.iter().flatten().filter(|e| e.is_ready()) {
            for ip in endpoint.addresses.iter().filter_map(|a| a.parse::<IpAddr>().ok()) {
                let host = match endpoint.hostname.as_deref() {
                    Some(name) if !name.is_empty() => name.to_ascii_lowercase(),
                    _ => dashed(ip),
                };
                let ips = hosts.entry(host.into()).or_default();
                if !ips.contains(&ip) {
                    ips.push(ip);
                }
            }
        }
        let ports = slice.ports.iter().flatten();
        let ports = ports.filter_map(|p| Port::new(p.name.clone(), p.protocol.clone(), p.port?)).collect();
        Some(SliceRecord { service, ports, hosts })
    }
}

impl Port {
    fn new(name: Option<String>, protocol: Option<String>, number: i32) -> Option<Port> {
        let name = name.filter(|n| !n.is_empty())?.to_ascii_lowercase();
        let protocol = protocol.unwrap_or_else(|| "TCP".into()).to_ascii_lowercase();
        Some(Port { name, protocol, number: number.try_into().ok()? })
    }
}

/// The addresses by which a pod is known; none once it has ended, when they may be another's.
pub fn pod_addresses(pod: &Pod) -> Vec<IpAddr> {
    if pod.is_terminal() {
        return Vec::new();
    }
    pod.ips().iter().filter_map(|ip| ip.parse().ok()).collect()
}

/// An address as a label: `10-42-0-7`, `2001-db8--1`. A label neither begins nor ends with a dash, so zeros fill what `::` left out.
pub fn dashed(ip: IpAddr) -> String {
    let text = ip.to_string().replace([':', '.'], "-");
    let front = if text.starts_with('-') { "0" } else { "" };
    let back = if text.ends_with('-') { "0" } else { "" };
    format!("{front}{text}{back}")
}

/// The address that a label means; the inverse of [`dashed`].
pub fn undashed(label: &str) -> Option<IpAddr> {
    if let Ok(v4) = label.replace('-', ".").parse::<Ipv4Addr>() {
        return Some(IpAddr::V4(v4));
    }
    label.replace('-', ":").parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}
