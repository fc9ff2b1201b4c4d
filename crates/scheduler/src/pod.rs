//! A pod as the scheduler sees it: decoded once, compared often.

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::ObjectKey;
use apimachinery::quantity::Quantity;
use apimachinery::selector::{Operator, Requirement, Selector};
use codec::Kind;
use k8s_openapi::api::core::v1::{
    Affinity, Container, ContainerStatus, NodeSelectorTerm, Pod, PodAffinityTerm, PodSpec, PodStatus,
    PreferredSchedulingTerm, Toleration, TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use resources::core::pod::requests::{Sum, at_peak};

/// Amounts of what nodes offer. CPU in thousandths, the rest in bytes or pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    pub milli_cpu: i64,
    pub memory: i64,
    pub ephemeral_storage: i64,
    /// Everything else, by name: huge pages, extended resources.
    pub others: BTreeMap<String, i64>,
}

impl Amounts {
    /// From a `requests` or `allocatable` map; `pods` is not an amount here. What does not parse counts as 0: the API
    /// server admits no such object.
    pub fn parse<'a>(
        list: impl IntoIterator<Item = (&'a String, &'a k8s_openapi::apimachinery::pkg::api::resource::Quantity)>,
    ) -> Self {
        let mut amounts = Amounts::default();
        for (name, quantity) in list {
            let Ok(quantity) = Quantity::parse(&quantity.0) else { continue };
            match name.as_str() {
                "cpu" => amounts.milli_cpu = quantity.milli_value(),
                "memory" => amounts.memory = quantity.value(),
                "ephemeral-storage" => amounts.ephemeral_storage = quantity.value(),
                "pods" => {}
                other => {
                    amounts.others.insert(other.to_owned(), quantity.value());
                }
            }
        }
        amounts
    }

    pub fn add(&mut self, other: &Amounts) {
        self.combine(other, |a, b| a.saturating_add(b));
    }

    pub fn subtract(&mut self, other: &Amounts) {
        self.combine(other, |a, b| a.saturating_sub(b));
    }

    fn combine(&mut self, other: &Amounts, f: impl Fn(i64, i64) -> i64) {
        self.milli_cpu = f(self.milli_cpu, other.milli_cpu);
        self.memory = f(self.memory, other.memory);
        self.ephemeral_storage = f(self.ephemeral_storage, other.ephemeral_storage);
        for (name, amount) in &other.others {
            let mine = self.others.entry(name.clone()).or_default();
            *mine = f(*mine, *amount);
        }
    }
}

impl Sum for Amounts {
    fn add(&mut self, other: &Self) {
        Amounts::add(self, other);
    }

    fn raise_to(&mut self, other: &Self) {
        self.combine(other, i64::max);
    }
}

/// A port of the node that a pod wants for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    pub ip: String,
    pub protocol: String,
    pub port: i32,
}

impl HostPort {
    pub fn conflicts(&self, other: &HostPort) -> bool {
        let any = |ip: &str| ip.is_empty() || ip == "0.0.0.0" || ip == "::";
        self.port == other.port
            && self.protocol == other.protocol
            && (any(&self.ip) || any(&other.ip) || self.ip == other.ip)
    }
}

/// A (anti-)affinity term with its selector ready.
#[derive(Clone, Debug)]
pub struct AffinityTerm {
    pub selector: Selector,
    /// Empty with `all_namespaces`.
    pub namespaces: Vec<String>,
    /// An empty namespaceSelector: all.
    pub all_namespaces: bool,
    /// A namespaceSelector that is not empty, matched on the namespace's labels.
    pub namespace_selector: Option<Selector>,
    pub topology_key: String,
    /// Of preferred terms.
    pub weight: i64,
}

/// `topologySpreadConstraints[]`.
#[derive(Clone, Debug)]
pub struct Spread {
    pub max_skew: i64,
    pub min_domains: i64,
    pub topology_key: String,
    /// DoNotSchedule; else ScheduleAnyway
    pub hard: bool,
    pub selector: Selector,
    pub honor_affinity: bool,
    pub honor_taints: bool,
}

/// A claim that a pod uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimUse {
    pub key: ObjectKey,
    /// Made for this pod alone, from the template in its volume.
    pub ephemeral: bool,
}

/// What scheduling needs of a pod.
#[derive(Clone, Debug)]
pub struct PodInfo {
    pub key: ObjectKey,
    pub uid: Arc<str>,
    pub node: String,
    pub labels: BTreeMap<String, String>,
    pub priority: i32,
    pub requests: Amounts,
    /// Requests with upstream's assumed 100m and 200Mi for containers that name none; only for scores.
    pub assumed: Amounts,
    pub host_ports: Vec<HostPort>,
    pub node_selector: Vec<(String, String)>,
    /// Required node affinity: one of these; none: everywhere.
    pub node_terms: Option<Vec<NodeSelectorTerm>>,
    pub preferred_node_terms: Vec<PreferredSchedulingTerm>,
    pub tolerations: Vec<Toleration>,
    pub affinity: Vec<AffinityTerm>,
    pub anti_affinity: Vec<AffinityTerm>,
    pub preferred_affinity: Vec<AffinityTerm>,
    pub preferred_anti_affinity: Vec<AffinityTerm>,
    pub spread: Vec<Spread>,
    /// Claims that its volumes need.
    pub claims: Vec<ClaimUse>,
    /// It has resource claims.
    pub wants_devices: bool,
    pub deleting: bool,
    /// It leaves for a more important one.
    pub preempted: bool,
    /// `preemptionPolicy: Never`
    pub never_preempts: bool,
    /// `status.nominatedNodeName`
    pub nominated: Option<String>,
    /// When it began, in seconds since 1970; far in the future when it has not.
    pub started: i64,
    /// Its resources in place are not yet what the spec says.
    pub resizing: bool,
    /// For events; little of it once the pod is on a node.
    pub pod: Arc<Pod>,
}

impl PodInfo {
    pub fn new(pod: Pod) -> Self {
        let (no_spec, no_status) = (PodSpec::default(), PodStatus::default());
        let spec = pod.spec.as_ref().unwrap_or(&no_spec);
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        let affinity = spec.affinity.clone().unwrap_or_default();
        let namespace = pod.namespace().to_owned();
        let terms = pod_terms(&affinity, &namespace, &labels);
        let status = pod.status.as_ref().unwrap_or(&no_status);
        let statuses = Statuses::new(status);
        let making_room = status.conditions.iter().flatten().any(|c| {
            c.type_ == "DisruptionTarget"
                && c.status == "True"
                && c.reason.as_deref() == Some("PreemptionByScheduler")
        });
        PodInfo {
            key: ObjectKey::new(pod.namespace(), pod.name()),
            uid: pod.uid().into(),
            node: spec.node_name.clone().unwrap_or_default(),
            priority: spec.priority.unwrap_or(0),
            requests: requests(spec, |c| taken(c, &statuses)),
            assumed: requests(spec, |c| assume_minimum(taken(c, &statuses))),
            host_ports: host_ports(spec),
            node_selector: spec.node_selector.clone().unwrap_or_default().into_iter().collect(),
            node_terms: affinity
                .node_affinity
                .as_ref()
                .and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref())
                .map(|s| s.node_selector_terms.clone()),
            preferred_node_terms: affinity
                .node_affinity
                .as_ref()
                .and_then(|a| a.preferred_during_scheduling_ignored_during_execution.clone())
                .unwrap_or_default(),
            tolerations: spec.tolerations.clone().unwrap_or_default(),
            affinity: terms.required,
            anti_affinity: terms.required_anti,
            preferred_affinity: terms.preferred,
            preferred_anti_affinity: terms.preferred_anti,
            spread: spec.topology_spread_constraints.iter().flatten().map(|c| spread(c, &labels)).collect(),
            claims: claims(spec, pod.namespace(), pod.name()),
            wants_devices: spec.resource_claims.as_ref().is_some_and(|c| !c.is_empty()),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            preempted: making_room && pod.metadata.deletion_timestamp.is_some(),
            never_preempts: spec.preemption_policy.as_deref() == Some("Never"),
            nominated: status.nominated_node_name.clone().filter(|n| !n.is_empty()),
            started: status.start_time.as_ref().map_or(i64::MAX, |t| t.0.as_second()),
            resizing: statuses.differ_from(spec),
            labels,
            pod: Arc::new(if spec.node_name.is_some() { remembered(pod) } else { pod }),
        }
    }
}

/// What is still asked of a pod that is on a node: who it is, whose it is to schedule, its conditions. A whole one takes
/// tens of kilobytes.
fn remembered(pod: Pod) -> Pod {
    let ObjectMeta { name, namespace, uid, resource_version, .. } = pod.metadata;
    Pod {
        metadata: ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() },
        spec: pod.spec.map(|spec| PodSpec { scheduler_name: spec.scheduler_name, ..PodSpec::default() }),
        status: pod.status.map(|status| PodStatus { conditions: status.conditions, ..PodStatus::default() }),
    }
}

/// What the pod takes from its node: its containers at their peak, and the overhead.
fn requests(spec: &PodSpec, of: impl Fn(&Container) -> Amounts) -> Amounts {
    let mut total = at_peak(spec, of);
    if let Some(of_pod) = spec.resources.as_ref().and_then(|r| r.requests.as_ref()) {
        // Pod-level requests stand in place of the containers' where they are given.
        let pod_level = Amounts::parse(of_pod);
        if of_pod.contains_key("cpu") {
            total.milli_cpu = pod_level.milli_cpu;
        }
        if of_pod.contains_key("memory") {
            total.memory = pod_level.memory;
        }
        for (name, amount) in pod_level.others {
            total.others.insert(name, amount);
        }
    }
    if let Some(overhead) = &spec.overhead {
        total.add(&Amounts::parse(overhead));
    }
    total
}

/// What the kubelet says of containers while they are resized in place.
struct Statuses<'a> {
    all: Vec<&'a ContainerStatus>,
    /// The new resources will not be given.
    infeasible: bool,
}

impl<'a> Statuses<'a> {
    fn new(status: &'a PodStatus) -> Self {
        let lists = [&status.container_statuses, &status.init_container_statuses];
        let pending = status.conditions.iter().flatten().find(|c| c.type_ == "PodResizePending");
        Statuses {
            all: lists.into_iter().flatten().flatten().collect(),
            infeasible: pending.is_some_and(|c| c.reason.as_deref() == Some("Infeasible")),
        }
    }

    /// What was set aside for the container and what it really has.
    fn of(&self, name: &str) -> Option<(Amounts, Amounts)> {
        let status = self.all.iter().find(|s| s.name == name)?;
        let allocated = Amounts::parse(status.allocated_resources.as_ref()?);
        let actual = status.resources.as_ref().and_then(|r| r.requests.as_ref());
        Some((allocated.clone(), actual.map_or(allocated, Amounts::parse)))
    }

    fn differ_from(&self, spec: &PodSpec) -> bool {
        let all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        all.into_iter().any(|c| {
            let wanted = requested(c);
            self.of(&c.name).is_some_and(|(allocated, actual)| allocated != wanted || actual != wanted)
        })
    }
}

fn requested(container: &Container) -> Amounts {
    let list = container.resources.as_ref().and_then(|r| r.requests.clone()).unwrap_or_default();
    Amounts::parse(&list)
}

/// While a container is resized in place, the larger of what it asks for, was given and has.
fn taken(container: &Container, statuses: &Statuses<'_>) -> Amounts {
    let wanted = requested(container);
    let Some((allocated, actual)) = statuses.of(&container.name) else { return wanted };
    let mut amounts = allocated;
    amounts.raise_to(&actual);
    if !statuses.infeasible {
        amounts.raise_to(&wanted);
    }
    amounts
}

fn assume_minimum(mut amounts: Amounts) -> Amounts {
    if amounts.milli_cpu == 0 {
        amounts.milli_cpu = 100;
    }
    if amounts.memory == 0 {
        amounts.memory = 200 << 20;
    }
    amounts
}

fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let sidecars =
        spec.init_containers.iter().flatten().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    spec.containers
        .iter()
        .chain(sidecars)
        .flat_map(|c| c.ports.iter().flatten())
        .filter_map(|p| {
            Some(HostPort {
                ip: p.host_ip.clone().unwrap_or_default(),
                protocol: p.protocol.clone().unwrap_or("TCP".into()),
                port: p.host_port.filter(|n| *n > 0)?,
            })
        })
        .collect()
}

fn claims(spec: &PodSpec, namespace: &str, pod: &str) -> Vec<ClaimUse> {
    let volumes = spec.volumes.iter().flatten();
    volumes
        .filter_map(|v| match (&v.persistent_volume_claim, &v.ephemeral) {
            (Some(source), _) => {
                Some(ClaimUse { key: ObjectKey::new(namespace, &source.claim_name), ephemeral: false })
            }
            (None, Some(_)) => {
                let name = format!("{pod}-{}", v.name);
                Some(ClaimUse { key: ObjectKey::new(namespace, &name), ephemeral: true })
            }
            (None, None) => None,
        })
        .collect()
}

#[derive(Default)]
struct Terms {
    required: Vec<AffinityTerm>,
    required_anti: Vec<AffinityTerm>,
    preferred: Vec<AffinityTerm>,
    preferred_anti: Vec<AffinityTerm>,
}

fn pod_terms(affinity: &Affinity, namespace: &str, labels: &BTreeMap<String, String>) -> Terms {
    let required = |t: &Option<Vec<PodAffinityTerm>>| {
        t.iter().flatten().map(|t| term(t, namespace, labels, 0)).collect()
    };
    let preferred = |t: &Option<Vec<WeightedPodAffinityTerm>>| {
        t.iter()
            .flatten()
            .map(|t| term(&t.pod_affinity_term, namespace, labels, i64::from(t.weight)))
            .collect()
    };
    let mut terms = Terms::default();
    if let Some(a) = &affinity.pod_affinity {
        terms.required = required(&a.required_during_scheduling_ignored_during_execution);
        terms.preferred = preferred(&a.preferred_during_scheduling_ignored_during_execution);
    }
    if let Some(a) = &affinity.pod_anti_affinity {
        terms.required_anti = required(&a.required_during_scheduling_ignored_during_execution);
        terms.preferred_anti = preferred(&a.preferred_during_scheduling_ignored_during_execution);
    }
    terms
}

fn term(
    term: &PodAffinityTerm,
    namespace: &str,
    labels: &BTreeMap<String, String>,
    weight: i64,
) -> AffinityTerm {
    let mut requirements = requirements(term.label_selector.as_ref());
    let mut add = |keys: &Option<Vec<String>>, operator: Operator| {
        for key in keys.iter().flatten() {
            if let Some(value) = labels.get(key) {
                requirements.extend(requirement(key, operator, vec![value.clone()]));
            }
        }
    };
    add(&term.match_label_keys, Operator::In);
    add(&term.mismatch_label_keys, Operator::NotIn);
    let namespaces = term.namespaces.clone().unwrap_or_default();
    let selector = term.namespace_selector.as_ref();
    let all = selector.is_some_and(|s| {
        s.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
            && s.match_expressions.as_ref().is_none_or(Vec::is_empty)
    });
    AffinityTerm {
        // No selector at all matches no pod.
        selector: match &term.label_selector {
            Some(_) => Selector::from_requirements(requirements),
            None => Selector::nothing(),
        },
        namespaces: if namespaces.is_empty() && selector.is_none() {
            vec![namespace.to_owned()]
        } else {
            namespaces
        },
        all_namespaces: all,
        namespace_selector: selector
            .filter(|_| !all)
            .map(|s| Selector::from_requirements(self::requirements(Some(s)))),
        topology_key: term.topology_key.clone(),
        weight,
    }
}

fn spread(constraint: &TopologySpreadConstraint, labels: &BTreeMap<String, String>) -> Spread {
    let mut requirements = requirements(constraint.label_selector.as_ref());
    for key in constraint.match_label_keys.iter().flatten() {
        if let Some(value) = labels.get(key) {
            requirements.extend(requirement(key, Operator::In, vec![value.clone()]));
        }
    }
    Spread {
        max_skew: i64::from(constraint.max_skew),
        min_domains: i64::from(constraint.min_domains.unwrap_or(1)),
        topology_key: constraint.topology_key.clone(),
        hard: constraint.when_unsatisfiable == "DoNotSchedule",
        selector: match &constraint.label_selector {
            Some(_) => Selector::from_requirements(requirements),
            None => Selector::nothing(),
        },
        honor_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
        honor_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
    }
}

fn requirements(selector: Option<&LabelSelector>) -> Vec<Requirement> {
    let Some(selector) = selector else { return Vec::new() };
    let labels = selector.match_labels.iter().flatten();
    let expressions = selector.match_expressions.iter().flatten();
    labels
        .filter_map(|(k, v)| requirement(k, Operator::In, vec![v.clone()]))
        .chain(expressions.filter_map(|e| {
            requirement(&e.key, Operator::from_expression(&e.operator)?, e.values.clone().unwrap_or_default())
        }))
        .collect()
}

/// The API server validated these; one that is bad all the same is left out.
fn requirement(key: &str, operator: Operator, values: Vec<String>) -> Option<Requirement> {
    Requirement::new(key, operator, values, &apimachinery::field::Path::new("")).ok()
}
