//! Preemption: whether a pod that fits nowhere would fit where less important pods made room, and which ones those are.
//! Start at [`plan`]. Pure but for the cluster it is tried on, which is as before when it returns.
//! <https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/>

use std::cmp::Reverse;
use std::sync::Arc;

use codec::Kind as _;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use resources::prelude::LabelSelectorExt as _;

use apimachinery::selector::Selector;
use stdx::Random;

use crate::cycle::{FitError, fits, unavailable};
use crate::pod::PodInfo;
use crate::state::Cluster;

/// As upstream's `minCandidateNodesAbsolute` and `minCandidateNodesPercentage`.
const CANDIDATES_MIN: usize = 100;
const CANDIDATES_PERCENT: usize = 10;

const NO_VICTIMS: &str = "No preemption victims found for incoming pod";
const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    pub node: String,
    /// Pods that have to leave, the most important first.
    pub victims: Vec<Arc<PodInfo>>,
    /// Less important pods that were to get this room: they look elsewhere.
    pub outranked: Vec<Arc<PodInfo>>,
}

/// Why nothing is done, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declined {
    /// It may not, or has already done so.
    NotEligible(String),
    /// No node can be made to take it.
    NoCandidates(String),
}

impl Declined {
    pub fn reason(&self) -> &str {
        match self {
            Declined::NotEligible(reason) | Declined::NoCandidates(reason) => reason,
        }
    }
}

/// A PodDisruptionBudget as far as it matters here.
#[derive(Clone, Debug)]
pub struct Budget {
    namespace: String,
    selector: Selector,
    allowed: i64,
    /// Pods whose disruption is counted already.
    disrupted: Vec<String>,
}

impl Budget {
    /// `None`: it protects nothing.
    pub fn new(pdb: &PodDisruptionBudget) -> Option<Budget> {
        let selector = pdb.spec.as_ref()?.selector.as_ref()?.compile().ok().filter(|s| !s.is_empty())?;
        let status = pdb.status.clone().unwrap_or_default();
        Some(Budget {
            namespace: pdb.namespace().to_owned(),
            selector,
            allowed: i64::from(status.disruptions_allowed.unwrap_or(0)),
            disrupted: status.disrupted_pods.unwrap_or_default().into_keys().collect(),
        })
    }

    fn covers(&self, pod: &PodInfo) -> bool {
        *self.namespace == *pod.key.namespace && self.selector.matches(&pod.labels)
    }
}

/// A node that would take the pod, and at what price.
#[derive(Debug)]
struct Candidate {
    node: String,
    victims: Vec<Arc<PodInfo>>,
    violations: usize,
}

/// Decides for a pod that `error` says fits nowhere.
pub fn plan(
    pod: &PodInfo,
    cluster: &mut Cluster,
    error: &FitError,
    budgets: &[Budget],
    random: &Random,
) -> Result<Plan, Declined> {
    eligible(pod, cluster)?;
    let mut reasons = vec![NOT_HELPFUL.to_owned(); error.nodes - error.resolvable.len()];
    let mut candidates = Vec::new();
    let enough = CANDIDATES_MIN.max(error.nodes * CANDIDATES_PERCENT / 100);
    let offset = match error.resolvable.len() {
        0 => 0,
        nodes => random.below(nodes as u64) as usize,
    };
    for node in error.resolvable.iter().cycle().skip(offset).take(error.resolvable.len()) {
        match try_node(pod, cluster, node, budgets) {
            Ok(candidate) => candidates.push(candidate),
            Err(why) => reasons.extend(why),
        }
        // One that breaks a budget is only taken when there is no other.
        if candidates.len() >= enough && candidates.iter().any(|c| c.violations == 0) {
            break;
        }
    }
    let Some(best) = candidates.into_iter().min_by_key(price) else {
        return Err(Declined::NoCandidates(unavailable(error.nodes, &reasons)));
    };
    let outranked = cluster.nominated_below(pod.priority, &best.node);
    Ok(Plan { node: best.node, victims: best.victims, outranked })
}

fn eligible(pod: &PodInfo, cluster: &Cluster) -> Result<(), Declined> {
    if pod.never_preempts {
        return Err(Declined::NotEligible("not eligible due to preemptionPolicy=Never.".into()));
    }
    let node = cluster.nominated_node(&pod.uid).and_then(|name| cluster.node(name));
    let making_room = |p: &&Arc<PodInfo>| p.priority < pod.priority && cluster.is_preempted(p);
    if node.is_some_and(|n| n.pods.values().any(|p| making_room(&p))) {
        let why = "not eligible due to a terminating pod on the nominated node.";
        return Err(Declined::NotEligible(why.into()));
    }
    Ok(())
}

/// Takes all less important pods away, then gives back, the most important first, those that need not go. The cluster is as
/// before afterwards. `Err`: why the node is no candidate.
fn try_node(
    pod: &PodInfo,
    cluster: &mut Cluster,
    node: &str,
    budgets: &[Budget],
) -> Result<Candidate, Vec<String>> {
    let Some(info) = cluster.node(node) else { return Err(vec![NO_VICTIMS.into()]) };
    let mut lower: Vec<_> = info.pods.values().filter(|p| p.priority < pod.priority).cloned().collect();
    if lower.is_empty() {
        return Err(vec![NO_VICTIMS.into()]);
    }
    lower.sort_by_key(|p| importance(p));
    for victim in &lower {
        cluster.displace(&victim.uid);
    }
    let found = match fits(pod, cluster, node) {
        Err(rejection) => Err(rejection.reasons),
        Ok(()) => Ok(spare(pod, cluster, node, &lower, budgets)),
    };
    for victim in &lower {
        cluster.place(victim, node);
    }
    let mut candidate = found?;
    candidate.victims.sort_by_key(|p| importance(p));
    Ok(candidate)
}

/// Those protected by budgets are given back first.
fn spare(
    pod: &PodInfo,
    cluster: &mut Cluster,
    node: &str,
    lower: &[Arc<PodInfo>],
    budgets: &[Budget],
) -> Candidate {
    let (violating, others) = by_budgets(lower, budgets);
    let mut candidate = Candidate { node: node.to_owned(), victims: Vec::new(), violations: 0 };
    let protected = violating.len();
    for (n, victim) in violating.into_iter().chain(others).enumerate() {
        cluster.place(&victim, node);
        if fits(pod, cluster, node).is_ok() {
            continue;
        }
        cluster.displace(&victim.uid);
        candidate.violations += usize::from(n < protected);
        candidate.victims.push(victim);
    }
    candidate
}

/// Those whose end would break a budget, and the rest; each keeps its order.
fn by_budgets(pods: &[Arc<PodInfo>], budgets: &[Budget]) -> (Vec<Arc<PodInfo>>, Vec<Arc<PodInfo>>) {
    let mut left: Vec<i64> = budgets.iter().map(|b| b.allowed).collect();
    pods.iter().cloned().partition(|pod| {
        let mut violates = false;
        for (budget, left) in budgets.iter().zip(&mut left) {
            if budget.covers(pod) && !budget.disrupted.iter().any(|name| *name == *pod.key.name) {
                *left -= 1;
                violates |= *left < 0;
            }
        }
        violates
    })
}

/// The more important comes first: by priority, then by age.
fn importance(pod: &PodInfo) -> (Reverse<i32>, i64) {
    (Reverse(pod.priority), pod.started)
}

/// Upstream's order: fewest broken budgets, least important victims, fewest of them, youngest.
fn price(candidate: &Candidate) -> (usize, i32, i64, usize, Reverse<i64>) {
    let victims = &candidate.victims;
    let highest = victims.first().map_or(i32::MIN, |p| p.priority);
    let sum = victims.iter().map(|p| i64::from(p.priority) + i64::from(i32::MAX) + 1).sum();
    let youth = victims.iter().filter(|p| p.priority == highest).map(|p| p.started).min();
    (candidate.violations, highest, sum, victims.len(), Reverse(youth.unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests;
