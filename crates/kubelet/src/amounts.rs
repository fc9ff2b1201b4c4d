//! Resource amounts of a pod: sums, quality of service, and what they mean to the kernel.

use std::collections::BTreeMap;

use apimachinery::quantity::Quantity as Amount;
use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::spec::{self, Role};

pub type QuantityMap = BTreeMap<String, Quantity>;

/// `cpu`, `memory`, … and how much of it.
#[derive(Clone, Debug, Default)]
pub struct Resources(pub BTreeMap<String, Amount>);

impl Resources {
    pub fn get(&self, name: &str) -> Option<Amount> {
        self.0.get(name).copied()
    }

    /// Of `cpu`, in thousandths; 0 when absent.
    pub fn milli_cpu(&self) -> i64 {
        self.0.get("cpu").map_or(0, Amount::milli_value)
    }

    /// In bytes; 0 when absent.
    pub fn memory(&self) -> i64 {
        self.0.get("memory").map_or(0, Amount::value)
    }

    fn add(&mut self, other: &Resources) {
        for (name, amount) in &other.0 {
            let sum = add(self.get(name), *amount);
            self.0.insert(name.clone(), sum);
        }
    }

    fn max(&mut self, other: &Resources) {
        for (name, amount) in &other.0 {
            let larger = self.get(name).filter(|own| own >= amount).unwrap_or(*amount);
            self.0.insert(name.clone(), larger);
        }
    }
}

fn add(a: Option<Amount>, b: Amount) -> Amount {
    a.map_or(b, |a| a + b)
}

/// A single one; what does not parse (validation lets nothing such through) is absent.
pub fn parse_one(quantity: &Quantity) -> Option<Amount> {
    Amount::parse(&quantity.0).ok()
}

/// One amount of a map; what does not parse (validation lets nothing such through) is absent.
pub fn get(map: Option<&QuantityMap>, name: &str) -> Option<Amount> {
    map?.get(name).and_then(parse_one)
}

fn parse(map: Option<&QuantityMap>) -> Resources {
    let parsed = map.into_iter().flatten().filter_map(|(k, q)| Some((k.clone(), Amount::parse(&q.0).ok()?)));
    Resources(parsed.collect())
}

/// A container's limits.
pub fn limits(container: &Container) -> Resources {
    parse(container.resources.as_ref().and_then(|r| r.limits.as_ref()))
}

/// A container's requests; where there is none, its limit.
pub fn requests(container: &Container) -> Resources {
    let mut requests = limits(container);
    requests.0.extend(parse(container.resources.as_ref().and_then(|r| r.requests.as_ref())).0);
    requests
}

/// What the pod needs at its peak: sidecars with the main containers, or with an init container.
fn peak(pod: &Pod, of: &dyn Fn(&Container) -> Resources) -> Resources {
    let (mut sidecars, mut init_peak) = (Resources::default(), Resources::default());
    for spec in spec::init(pod) {
        let own = of(&spec.container);
        if spec.role == Role::Sidecar {
            sidecars.add(&own);
            init_peak.max(&sidecars);
        } else {
            let mut together = sidecars.clone();
            together.add(&own);
            init_peak.max(&together);
        }
    }
    let mut total = sidecars;
    for spec in spec::main(pod) {
        total.add(&of(&spec.container));
    }
    total.max(&init_peak);
    total
}

/// What the pod asks for, pod-level resources and overhead included.
pub fn pod_requests(pod: &Pod) -> Resources {
    let mut total = peak(pod, &requests);
    if let Some(own) = &spec::of(pod).resources {
        total.0.extend(parse(own.limits.as_ref()).0);
        total.0.extend(parse(own.requests.as_ref()).0);
    }
    total.add(&parse(spec::of(pod).overhead.as_ref()));
    total
}

/// The pod's limits: only of what every container limits (or the pod itself).
pub fn pod_limits(pod: &Pod) -> Resources {
    let mut total = peak(pod, &limits);
    let containers: Vec<_> = spec::init(pod).chain(spec::main(pod)).collect();
    total.0.retain(|name, _| containers.iter().all(|s| limits(&s.container).get(name).is_some()));
    if let Some(own) = &spec::of(pod).resources {
        total.0.extend(parse(own.limits.as_ref()).0);
    }
    let overhead = parse(spec::of(pod).overhead.as_ref());
    for (name, amount) in overhead.0 {
        if let Some(limit) = total.get(&name) {
            total.0.insert(name, add(Some(limit), amount));
        }
    }
    total
}

/// Quality of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    Guaranteed,
    Burstable,
    BestEffort,
}

impl Qos {
    pub fn as_str(self) -> &'static str {
        match self {
            Qos::Guaranteed => "Guaranteed",
            Qos::Burstable => "Burstable",
            Qos::BestEffort => "BestEffort",
        }
    }
}

/// From the pod's own requests and limits.
pub fn qos(pod: &Pod) -> Qos {
    const COUNTED: [&str; 2] = ["cpu", "memory"];
    let pod_level = spec::of(pod).resources.clone();
    let parts: Vec<(Resources, Resources)> = match &pod_level {
        Some(own) if own.requests.is_some() || own.limits.is_some() => {
            let mut requests = parse(own.limits.as_ref());
            requests.0.extend(parse(own.requests.as_ref()).0);
            vec![(requests, parse(own.limits.as_ref()))]
        }
        _ => spec::init(pod)
            .chain(spec::main(pod))
            .map(|s| (requests(&s.container), limits(&s.container)))
            .collect(),
    };
    let given = |r: &Resources, name: &str| r.get(name).filter(|a| !a.is_zero());
    if parts.iter().all(|(r, l)| COUNTED.iter().all(|n| given(r, n).is_none() && given(l, n).is_none())) {
        return Qos::BestEffort;
    }
    let exact = |(requests, limits): &(Resources, Resources)| {
        COUNTED.iter().all(|name| given(limits, name).is_some() && requests.get(name) == limits.get(name))
    };
    if parts.iter().all(exact) { Qos::Guaranteed } else { Qos::Burstable }
}

/// `cpu.shares` for so many thousandths of a CPU.
pub fn cpu_shares(milli: i64) -> i64 {
    const MIN: i64 = 2;
    const MAX: i64 = 262_144;
    (milli.saturating_mul(1024) / 1000).clamp(MIN, MAX)
}

/// The period of CPU quotas, in microseconds.
pub const CPU_PERIOD: i64 = 100_000;

/// Microseconds per [`CPU_PERIOD`] for so many thousandths of a CPU; 0 (unlimited) for 0.
pub fn cpu_quota(milli: i64) -> i64 {
    const MIN: i64 = 1000;
    if milli == 0 { 0 } else { (milli.saturating_mul(CPU_PERIOD) / 1000).max(MIN) }
}

#[cfg(test)]
mod tests;
