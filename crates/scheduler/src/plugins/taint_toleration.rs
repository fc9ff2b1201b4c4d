//! TaintToleration: nodes repel pods that do not tolerate their taints; PreferNoSchedule only lowers the score.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>

use k8s_openapi::api::core::v1::{Taint, Toleration};
use resources::prelude::TolerationExt as _;

use crate::plugin::{ClusterEvent, Filter, Normalise, Plugin, Rejection, Score};
use crate::pod::PodInfo;
use crate::state::Cluster;

pub const PLUGIN: Plugin = Plugin {
    name: "TaintToleration",
    pre_filter: None,
    filter: Some(filter),
    score: Some(score),
    weight: 3,
    normalise: Normalise::Reverse,
    wakes_on: &[ClusterEvent::Node],
};

fn filter<'a>(pod: &'a PodInfo, _: &'a Cluster) -> Option<Filter<'a>> {
    Some(Box::new(|node| {
        let repels = |t: &&Taint| t.effect == "NoSchedule" || t.effect == "NoExecute";
        let untolerated = node
            .taints
            .iter()
            .filter(repels)
            .any(|taint| !pod.tolerations.iter().any(|t| t.tolerates(taint)));
        match untolerated {
            // Since 1.34 the taint itself is not named: messages must add up over nodes.
            true => Err(Rejection::final_("node(s) had untolerated taint(s)")),
            false => Ok(()),
        }
    }))
}

fn score<'a>(pod: &'a PodInfo, _: &'a Cluster) -> Option<Score<'a>> {
    let covers_preference =
        |t: &&Toleration| t.effect.as_deref().is_none_or(|e| e.is_empty() || e == "PreferNoSchedule");
    let tolerations: Vec<&Toleration> = pod.tolerations.iter().filter(covers_preference).collect();
    Some(Box::new(move |node| {
        let intolerable = node
            .taints
            .iter()
            .filter(|t| t.effect == "PreferNoSchedule")
            .filter(|taint| !tolerations.iter().any(|t| t.tolerates(taint)));
        intolerable.count() as i64
    }))
}
