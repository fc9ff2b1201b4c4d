//! VolumeZone: a volume whose labels name zones or regions is used by nodes of those alone.

use resources::prelude::*;

use crate::plugin::{ClusterEvent, Filter, Normalise, Plugin, Rejection};
use crate::pod::PodInfo;
use crate::state::Cluster;

pub const PLUGIN: Plugin = Plugin {
    name: "VolumeZone",
    pre_filter: None,
    filter: Some(filter),
    score: None,
    weight: 0,
    normalise: Normalise::No,
    wakes_on: &[ClusterEvent::Node, ClusterEvent::Storage],
};

const LABELS: [(&str, &str); 2] = [
    ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"),
    ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"),
];

fn filter<'a>(pod: &'a PodInfo, cluster: &'a Cluster) -> Option<Filter<'a>> {
    let wanted: Vec<(&str, &str, &str)> = wanted(pod, cluster);
    (!wanted.is_empty()).then(|| -> Filter<'a> {
        Box::new(move |node| {
            let there = |label: &str, beta: &str| node.labels.get(label).or_else(|| node.labels.get(beta));
            let fits = wanted.iter().all(|(label, beta, zones)| {
                // Several zones of one volume stand side by side in its label.
                there(label, beta).is_some_and(|zone| zones.split("__").any(|z| z == zone))
            });
            // A node that tells of no zone at all is not asked: so is a cluster without zones.
            let zoneless = LABELS.iter().all(|(label, beta)| there(label, beta).is_none());
            match fits || zoneless {
                true => Ok(()),
                false => Err(Rejection::final_("node(s) had no available volume zone")),
            }
        })
    })
}

/// Label, its older name, and the zones that the pod's volumes are in.
fn wanted<'a>(pod: &PodInfo, cluster: &'a Cluster) -> Vec<(&'static str, &'static str, &'a str)> {
    let claims = pod.claims.iter().filter_map(|c| cluster.storage.claim(&c.key));
    let volumes = claims.filter_map(|c| cluster.storage.volume(c.volume_name()?));
    let labels = volumes.filter_map(|v| v.metadata.labels.as_ref());
    labels
        .flat_map(|labels| {
            LABELS.iter().filter_map(|(label, beta)| {
                let zones = labels.get(*label).or_else(|| labels.get(*beta))?;
                Some((*label, *beta, zones.as_str()))
            })
        })
        .collect()
}
