//! The pod conditions a kubelet writes; those of others stay.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::observed::Observed;
use crate::plan::needs_sandbox;
use crate::spec::{self, Role};

/// A condition before it has a time: status, reason, message.
struct Draft(bool, &'static str, String);

impl Draft {
    fn yes() -> Self {
        Draft(true, "", String::new())
    }

    fn no(reason: &'static str) -> Self {
        Draft(false, reason, String::new())
    }
}

/// Types in upstream's order.
const OURS: [&str; 4] = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"];

/// Ours too, while a resize goes on.
const RESIZE: [&str; 2] = ["PodResizePending", "PodResizeInProgress"];

pub fn conditions(
    pod: &Pod,
    observed: &Observed,
    status: &PodStatus,
    old: &PodStatus,
    now: Timestamp,
) -> Vec<PodCondition> {
    let statuses = Statuses(status);
    let containers_ready = containers_ready(pod, &statuses);
    let drafts = [
        if needs_sandbox(pod, observed) { Draft::no("") } else { Draft::yes() },
        initialized(pod, &statuses),
        ready(pod, &containers_ready, old),
        containers_ready,
    ];
    let known = old.conditions.as_deref().unwrap_or_default();
    let mut all: Vec<_> = OURS
        .iter()
        .zip(drafts)
        .map(|(kind, draft)| condition(kind, draft, pod.metadata.generation, known, now))
        .collect();
    all.extend(resize(pod, observed, known, now));
    let others =
        known.iter().filter(|c| !OURS.contains(&c.type_.as_str()) && !RESIZE.contains(&c.type_.as_str()));
    all.extend(others.cloned());
    if let Some(verdict) = &observed.evicted {
        let draft = Draft(true, "TerminationByKubelet", verdict.message.clone());
        all.retain(|c| c.type_ != "DisruptionTarget");
        all.push(condition("DisruptionTarget", draft, pod.metadata.generation, known, now));
    }
    if !all.iter().any(|c| c.type_ == "PodScheduled") {
        // It is here, so it was scheduled (a static pod, or bound by hand).
        all.push(condition("PodScheduled", Draft::yes(), pod.metadata.generation, known, now));
    }
    all
}

/// What a resize in place waits for, and that it is under way; absent otherwise.
fn resize(pod: &Pod, observed: &Observed, known: &[PodCondition], now: Timestamp) -> Vec<PodCondition> {
    let mut conditions = Vec::new();
    let mut add = |kind: &str, draft| {
        conditions.push(condition(kind, draft, pod.metadata.generation, known, now));
    };
    if let Some(pending) = &observed.resize.pending {
        add(RESIZE[0], Draft(true, pending.reason, pending.message.clone()));
    }
    if super::resizing(pod, observed) {
        let draft = match &observed.resize.failure {
            Some(failure) => Draft(true, "Error", failure.clone()),
            None => Draft::yes(),
        };
        add(RESIZE[1], draft);
    }
    conditions
}

fn condition(
    kind: &str,
    draft: Draft,
    generation: Option<i64>,
    known: &[PodCondition],
    now: Timestamp,
) -> PodCondition {
    let Draft(yes, reason, message) = draft;
    let status = if yes { "True" } else { "False" };
    let before = known.iter().find(|c| c.type_ == kind && c.status == status);
    PodCondition {
        type_: kind.into(),
        status: status.into(),
        reason: (!reason.is_empty()).then(|| reason.into()),
        message: (!message.is_empty()).then_some(message),
        observed_generation: generation,
        last_probe_time: None,
        last_transition_time: before.and_then(|c| c.last_transition_time.clone()).or(Some(Time(now))),
    }
}

struct Statuses<'a>(&'a PodStatus);

impl Statuses<'_> {
    fn get(&self, name: &str) -> Option<&ContainerStatus> {
        let lists = [&self.0.init_container_statuses, &self.0.container_statuses];
        lists.into_iter().flatten().flatten().find(|s| s.name == name)
    }

    fn phase(&self) -> &str {
        self.0.phase.as_deref().unwrap_or_default()
    }
}

/// As Go prints a list of strings.
fn go_list(names: &[String]) -> String {
    format!("[{}]", names.join(" "))
}

fn unready(unknown: &[String], incomplete: &[String], word: &str) -> String {
    let mut parts = Vec::new();
    if !unknown.is_empty() {
        parts.push(format!("containers with unknown status: {}", go_list(unknown)));
    }
    if !incomplete.is_empty() {
        parts.push(format!("containers with {word} status: {}", go_list(incomplete)));
    }
    parts.join(", ")
}

fn containers_ready(pod: &Pod, statuses: &Statuses<'_>) -> Draft {
    let (mut unknown, mut unready_names) = (Vec::new(), Vec::new());
    let sidecars = spec::init(pod).filter(|s| s.role == Role::Sidecar);
    for spec in sidecars.chain(spec::main(pod)) {
        match statuses.get(spec.name()) {
            None => unknown.push(spec.name().to_owned()),
            Some(status) if !status.ready => unready_names.push(spec.name().to_owned()),
            Some(_) => {}
        }
    }
    match statuses.phase() {
        "Succeeded" if unknown.is_empty() => return Draft::no("PodCompleted"),
        "Failed" => return Draft::no("PodFailed"),
        _ => {}
    }
    match unready(&unknown, &unready_names, "unready") {
        message if message.is_empty() => Draft::yes(),
        message => Draft(false, "ContainersNotReady", message),
    }
}

fn ready(pod: &Pod, containers: &Draft, old: &PodStatus) -> Draft {
    let Draft(true, _, _) = containers else {
        return Draft(false, containers.1, containers.2.clone());
    };
    let known = old.conditions.as_deref().unwrap_or_default();
    let unmet = spec::of(pod).readiness_gates.iter().flatten().filter_map(|gate| {
        let kind = &gate.condition_type;
        match known.iter().find(|c| c.type_ == *kind) {
            None => Some(format!("corresponding condition of pod readiness gate {kind:?} does not exist.")),
            Some(c) if c.status != "True" => {
                Some(format!("the status of pod readiness gate {kind:?} is not \"True\", but {}", c.status))
            }
            Some(_) => None,
        }
    });
    match unmet.collect::<Vec<_>>().join(", ") {
        message if message.is_empty() => Draft::yes(),
        message => Draft(false, "ReadinessGatesNotReady", message),
    }
}

fn initialized(pod: &Pod, statuses: &Statuses<'_>) -> Draft {
    let (mut unknown, mut incomplete) = (Vec::new(), Vec::new());
    for spec in spec::init(pod) {
        match statuses.get(spec.name()) {
            None => unknown.push(spec.name().to_owned()),
            Some(s) if spec.role == Role::Sidecar && s.started == Some(true) => {}
            Some(s) if spec.role == Role::Init && s.ready => {}
            Some(_) => incomplete.push(spec.name().to_owned()),
        }
    }
    if statuses.phase() == "Succeeded" && unknown.is_empty() {
        return Draft(true, "PodCompleted", String::new());
    }
    let begun = spec::main(pod).any(|s| statuses.get(s.name()).is_some_and(|c| c.container_id.is_some()));
    match unready(&unknown, &incomplete, "incomplete") {
        message if begun || message.is_empty() => Draft::yes(),
        message => Draft(false, "ContainersNotInitialized", message),
    }
}
