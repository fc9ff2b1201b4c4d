//! Resource amounts of a pod, and what they mean to the kernel.

use std::collections::BTreeMap;

use apimachinery::quantity::Quantity as Amount;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use resources::core::pod::{ContainerExt, PodExt};
use resources::quantity::Amounts;

use crate::spec;

pub type QuantityMap = BTreeMap<String, Quantity>;

/// A single one; what does not parse (validation lets nothing such through) is absent.
pub fn parse_one(quantity: &Quantity) -> Option<Amount> {
    Amount::parse(&quantity.0).ok()
}

/// One amount of a map; what does not parse (validation lets nothing such through) is absent.
pub fn get(map: Option<&QuantityMap>, name: &str) -> Option<Amount> {
    map?.get(name).and_then(parse_one)
}

/// The pod's limits: only of what every container limits (or the pod itself), since a group of processes is limited only
/// where each of them is.
pub fn pod_limits(pod: &Pod) -> Amounts {
    let mut total = pod.limits();
    let own = spec::of(pod).resources.as_ref().and_then(|r| r.limits.as_ref());
    let limited = |name: &str| {
        spec::init(pod).chain(spec::main(pod)).all(|s| s.container.limits().0.contains_key(name))
    };
    total.0.retain(|name, _| own.is_some_and(|l| l.contains_key(name)) || limited(name));
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
    match pod.qos_class() {
        "Guaranteed" => Qos::Guaranteed,
        "BestEffort" => Qos::BestEffort,
        _ => Qos::Burstable,
    }
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
