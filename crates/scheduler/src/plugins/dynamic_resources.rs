//! DynamicResources: a pod with resource claims needs devices. Nothing gives devices to claims here yet, so it waits, and is
//! told why.

use crate::plugin::{Normalise, Plugin};
use crate::pod::PodInfo;
use crate::state::Cluster;

pub const PLUGIN: Plugin = Plugin {
    name: "DynamicResources",
    pre_filter: Some(pre_filter),
    filter: None,
    score: None,
    weight: 0,
    normalise: Normalise::No,
    wakes_on: &[],
};

fn pre_filter(pod: &PodInfo, _: &Cluster) -> Result<(), String> {
    match pod.wants_devices {
        true => Err("cannot allocate all claims: this scheduler does not allocate devices yet".into()),
        false => Ok(()),
    }
}
