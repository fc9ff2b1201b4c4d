//! The templates that a daemon set or stateful set has had: one controller revision for each. Start at [`next`] (which
//! revision the present template is), then [`History::current`].

#[cfg(test)]
mod tests;

use apimachinery::{Selector, Status};
use client::{Api, DeleteOptions, Informer};
use codec::Kind;
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::{PodTemplate, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use resources::core::pod_template;
use resources::owner::controller_ref;
use serde_json::{Value, json};

use crate::claim;
use crate::context::Component;

/// Two templates may share a hash; more often than this something else is wrong.
const COLLISIONS_MAX: usize = 10;
/// Names of revisions end in a hash, so the owner's part is cut.
const PREFIX_MAX: usize = 223;

/// A kind whose templates are remembered.
pub(crate) trait Remembered: Kind {
    /// The label of a revision that holds its hash.
    const HASH_LABEL: &'static str;

    fn template(&self) -> &PodTemplateSpec;
    fn collisions(&self) -> Option<i32>;
}

/// How the present template becomes the newest revision.
#[derive(Debug, PartialEq)]
pub(crate) enum Next<'a> {
    /// It is.
    Keep(&'a ControllerRevision),
    /// It was before: the revision gets a new number.
    Raise(&'a ControllerRevision, i64),
    /// It is new.
    Create(i64),
}

/// `revisions` by number, oldest first.
pub(crate) fn next<'a, K: Remembered>(owner: &K, revisions: &'a [ControllerRevision]) -> Next<'a> {
    let data = snapshot(owner.template());
    let last = revisions.last().map_or(0, number);
    match revisions.iter().rev().find(|r| r.data.0 == data) {
        Some(same) if number(same) == last => Next::Keep(same),
        Some(same) => Next::Raise(same, last + 1),
        None => Next::Create(last + 1),
    }
}

pub(crate) fn number(revision: &ControllerRevision) -> i64 {
    revision.revision.unwrap_or(0)
}

/// What a revision keeps: a patch that puts the template back, as `kubectl rollout undo` applies it.
pub(crate) fn snapshot(template: &PodTemplateSpec) -> Value {
    let carrier = PodTemplate { template: Some(template.clone()), ..PodTemplate::default() };
    // What codec has just encoded is JSON.
    let mut carrier: Value = serde_json::from_slice(&carrier.to_json()).unwrap_or_default();
    let mut template = carrier["template"].take();
    template["$patch"] = "replace".into();
    json!({"spec": {"template": template}})
}

/// The template that a revision keeps. `None` for one that somebody else wrote in another form.
pub(crate) fn template(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    let mut template = revision.data.0.get("spec")?.get("template")?.clone();
    template.as_object_mut()?.remove("$patch");
    PodTemplate::from_json(json!({"template": template}).to_string().as_bytes()).ok()?.template
}

fn new_revision<K: Remembered>(owner: &K, number: i64, collisions: Option<i32>) -> ControllerRevision {
    let hash = pod_template::hash(owner.template(), collisions);
    let mut labels = owner.template().metadata.as_ref().and_then(|m| m.labels.clone()).unwrap_or_default();
    labels.insert(K::HASH_LABEL.into(), hash.clone());
    let prefix = owner.name().get(..PREFIX_MAX).unwrap_or(owner.name());
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(format!("{prefix}-{hash}")),
            namespace: Some(owner.namespace().to_owned()),
            labels: Some(labels),
            annotations: owner.meta().annotations.clone(),
            owner_references: Some(vec![controller_ref(owner)]),
            ..ObjectMeta::default()
        },
        data: RawExtension(snapshot(owner.template())),
        revision: Some(number),
    }
}

/// Reads and writes revisions for owners of one kind.
pub(crate) struct History<K> {
    pub revisions: Informer<ControllerRevision>,
    api: Api<ControllerRevision>,
    owners: Api<K>,
}

impl<K: Remembered> History<K> {
    pub fn new(component: &Component) -> Self {
        History { revisions: component.informer(), api: component.api(), owners: component.api() }
    }

    /// The owner's revisions, by number; orphans that it selects are adopted.
    pub async fn of(&self, owner: &K, selector: &Selector) -> Result<Vec<ControllerRevision>, Status> {
        let candidates = claim::candidates(&self.revisions, owner, selector);
        let mut revisions = claim::claim(&self.owners, &self.api, owner, selector, candidates).await?;
        revisions.sort_by(|a, b| {
            let created = |r: &ControllerRevision| r.metadata.creation_timestamp.clone();
            number(a)
                .cmp(&number(b))
                .then_with(|| created(a).cmp(&created(b)))
                .then_with(|| a.name().cmp(b.name()))
        });
        Ok(revisions)
    }

    /// The revision of the present template, made or renumbered where needed, and how many hashes have collided by then.
    pub async fn current(
        &self,
        owner: &K,
        revisions: &[ControllerRevision],
    ) -> Result<(ControllerRevision, Option<i32>), Status> {
        let mut collisions = owner.collisions();
        let number = match next(owner, revisions) {
            Next::Keep(revision) => return Ok((revision.clone(), collisions)),
            Next::Raise(revision, number) => {
                let mut raised = revision.clone();
                raised.revision = Some(number);
                return Ok((self.api.update(&raised).await?, collisions));
            }
            Next::Create(number) => number,
        };
        for _ in 0..COLLISIONS_MAX {
            let wanted = new_revision(owner, number, collisions);
            match self.api.create(&wanted).await {
                Err(e) if e.is_already_exists() => {
                    let theirs = self.api.get(wanted.namespace(), wanted.name()).await?;
                    // Our own, made by an act that we have not seen yet.
                    if theirs.data == wanted.data
                        && theirs.metadata.owner_references == wanted.metadata.owner_references
                    {
                        return Ok((theirs, collisions));
                    }
                    collisions = Some(collisions.unwrap_or(0) + 1);
                }
                result => return Ok((result?, collisions)),
            }
        }
        Err(Status::internal(format!("no free name for a revision of {} {}", K::KIND, owner.name())))
    }

    /// Removes revisions beyond `limit`, oldest first, of those that `lives` does not keep.
    pub async fn truncate(
        &self,
        revisions: &[ControllerRevision],
        limit: i32,
        lives: impl Fn(&ControllerRevision) -> bool,
    ) -> Result<(), Status> {
        for revision in superfluous(revisions, limit, lives) {
            let options = DeleteOptions::uid(revision.uid());
            match self.api.delete(revision.namespace(), revision.name(), &options).await {
                Err(e) if !e.is_not_found() && !e.is_conflict() => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Of revisions that nothing lives by, the oldest beyond `limit`. A negative limit keeps all.
fn superfluous(
    revisions: &[ControllerRevision],
    limit: i32,
    lives: impl Fn(&ControllerRevision) -> bool,
) -> Vec<&ControllerRevision> {
    let Ok(limit) = usize::try_from(limit) else { return Vec::new() };
    let idle: Vec<_> = revisions.iter().filter(|r| !lives(r)).collect();
    let excess = idle.len().saturating_sub(limit);
    idle.into_iter().take(excess).collect()
}
