//! Which replica set belongs to which template, and in what order they came.

use std::collections::BTreeMap;

use codec::Kind;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::{PodTemplate, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
pub use resources::apps::deployment::REVISION;
use resources::owner::{ObjectMetaExt, controller_ref};

use super::scale;

/// The label that tells the pods of different templates apart.
pub const HASH_LABEL: &str = "pod-template-hash";
/// The revisions that a set had before it was rolled back to.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// The history's length in characters.
const HISTORY_MAX: usize = 2000;
/// Annotations of a deployment that say nothing about its sets.
const NOT_COPIED: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    scale::DESIRED,
    scale::MAX,
    "deprecated.deployment.rollback.to",
];

/// The set of the deployment's current template (the oldest, were there two), and all others by age.
pub fn split(deployment: &Deployment, sets: &[ReplicaSet]) -> (Option<ReplicaSet>, Vec<ReplicaSet>) {
    let mut old = sets.to_vec();
    old.sort_by(|a, b| {
        let created = |set: &ReplicaSet| set.metadata.creation_timestamp.clone();
        created(a).cmp(&created(b)).then_with(|| a.name().cmp(b.name()))
    });
    let current = Some(&deployment.spec.template);
    let new = old.iter().position(|set| same_template(set.spec.template.as_ref(), current));
    let new = new.map(|at| old.remove(at));
    (new, old)
}

/// The same but for the hash label.
pub fn same_template(a: Option<&PodTemplateSpec>, b: Option<&PodTemplateSpec>) -> bool {
    a.map(without_hash) == b.map(without_hash)
}

fn without_hash(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    let mut meta = template.metadata.take().unwrap_or_default();
    if let Some(labels) = &mut meta.labels {
        labels.remove(HASH_LABEL);
    }
    meta.labels = meta.labels.filter(|labels| !labels.is_empty());
    template.metadata = (meta != ObjectMeta::default()).then_some(meta);
    template
}

/// A set's revision; 0 without one.
pub fn of(set: &ReplicaSet) -> i64 {
    set.metadata.annotation(REVISION).and_then(|r| r.parse().ok()).unwrap_or(0)
}

pub fn max(sets: &[ReplicaSet]) -> i64 {
    sets.iter().map(of).max().unwrap_or(0)
}

/// Copies the deployment's annotations and raises the revision to `next`. A set that had a lower one before (`exists`) has been
/// rolled back to, and remembers.
pub fn annotate(deployment: &Deployment, set: &mut ReplicaSet, next: i64, exists: bool) {
    let before = of(set);
    let history = set.metadata.annotation(HISTORY).map(str::to_owned);
    let annotations = set.metadata.annotations.get_or_insert_default();
    for (key, value) in deployment.metadata.annotations.iter().flatten() {
        if !NOT_COPIED.contains(&key.as_str()) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    if before < next {
        annotations.insert(REVISION.into(), next.to_string());
        if exists && before > 0 {
            annotations.insert(HISTORY.into(), remember(history, before));
        }
    }
    set.metadata.annotations = set.metadata.annotations.take().filter(|a| !a.is_empty());
}

fn remember(history: Option<String>, revision: i64) -> String {
    let mut history = match history.filter(|h| !h.is_empty()) {
        Some(history) => format!("{history},{revision}"),
        None => revision.to_string(),
    };
    while history.len() > HISTORY_MAX {
        match history.find(',') {
            Some(comma) => drop(history.drain(..=comma)),
            None => history.clear(),
        }
    }
    history
}

/// A set of the current template, without pods yet.
pub fn new_set(deployment: &Deployment, revision: i64) -> ReplicaSet {
    let collisions = deployment.status.as_ref().and_then(|s| s.collision_count);
    let hash = hash(&deployment.spec.template, collisions);
    let mut template = deployment.spec.template.clone();
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(HASH_LABEL.into(), hash.clone());
    let labels: BTreeMap<_, _> = labels.clone();
    let mut selector = deployment.spec.selector.clone();
    selector.match_labels.get_or_insert_default().insert(HASH_LABEL.into(), hash.clone());
    let mut set = ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", deployment.name())),
            namespace: Some(deployment.namespace().to_owned()),
            labels: Some(labels),
            owner_references: Some(vec![controller_ref(deployment)]),
            ..ObjectMeta::default()
        },
        spec: ReplicaSetSpec {
            replicas: Some(0),
            min_ready_seconds: deployment.spec.min_ready_seconds,
            selector,
            template: Some(template),
        },
        status: None,
    };
    annotate(deployment, &mut set, revision, false);
    set
}

/// A short name for a template, the same on every machine and in every version: FNV-1a of its JSON, in letters that spell
/// nothing.
fn hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let whole = PodTemplate { template: Some(template.clone()), ..PodTemplate::default() };
    let mut bytes = whole.to_json();
    bytes.extend(collisions.unwrap_or(0).to_le_bytes());
    let hash =
        bytes.iter().fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.to_string().bytes().map(|digit| ALPHABET[usize::from(digit) % ALPHABET.len()] as char).collect()
}
