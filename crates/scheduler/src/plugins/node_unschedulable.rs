//! NodeUnschedulable: a cordoned node takes only pods that tolerate it.

use crate::plugin::{ClusterEvent, Filter, Normalise, Plugin, Rejection};
use crate::pod::PodInfo;
use crate::state::Cluster;
use k8s_openapi::api::core::v1::Taint;
use resources::prelude::TolerationExt as _;

pub const PLUGIN: Plugin = Plugin {
    name: "NodeUnschedulable",
    pre_filter: None,
    filter: Some(filter),
    score: None,
    weight: 0,
    normalise: Normalise::No,
    wakes_on: &[ClusterEvent::Node],
};

fn filter<'a>(pod: &'a PodInfo, _: &'a Cluster) -> Option<Filter<'a>> {
    let taint = Taint {
        key: "node.kubernetes.io/unschedulable".into(),
        effect: "NoSchedule".into(),
        ..Taint::default()
    };
    let tolerated = pod.tolerations.iter().any(|t| t.tolerates(&taint));
    (!tolerated).then(|| -> Filter<'a> {
        Box::new(|node| match node.unschedulable {
            true => Err(Rejection::final_("node(s) were unschedulable")),
            false => Ok(()),
        })
    })
}
