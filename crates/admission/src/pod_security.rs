//! Pods within what their namespace's Pod Security labels allow: refused (`enforce`) or warned of (`warn`, also for whatever
//! makes pods).
//!
//! `audit` marks entries of an audit log; there is none yet. Nor is there a configuration of defaults and exemptions.

mod checks;
mod level;

use apimachinery::{ObjectKey, Status};
use async_trait::async_trait;
use client::{Api, Informer};
use codec::Kind;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    Namespace, Pod, PodSpec, PodTemplate, PodTemplateSpec, ReplicationController,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use registry::admit::{Attributes, Operation};
use resources::core::pod::PodExt;

use crate::ask;
use crate::chain::{Context, Plugin};
use checks::{Subject, violations};
use level::{Demand, Level, demand};

/// So many pods of a namespace are looked at when its labels change.
const PODS_JUDGED: usize = 3000;

pub(crate) struct PodSecurity {
    namespaces: Informer<Namespace>,
    api: Api<Namespace>,
    pods: Informer<Pod>,
}

impl PodSecurity {
    pub(crate) fn new(context: &Context) -> Self {
        PodSecurity {
            namespaces: Informer::all(&*context.transport),
            api: Api::new(context.transport.clone()),
            pods: Informer::all(&*context.transport),
        }
    }

    async fn demand(&self, namespace: &str, mode: &str) -> Result<Demand, Status> {
        let key = ObjectKey::cluster(namespace);
        let found = match self.namespaces.get(&key) {
            Some(namespace) => Some(namespace),
            None => self.api.find(&key).await?,
        };
        Ok(demand(found.as_ref().and_then(|n| n.metadata.labels.as_ref()), mode))
    }

    /// What would be refused of what runs already, were it new.
    fn judge_running(&self, namespace: &Namespace, wanted: Demand) -> Vec<String> {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for pod in self.pods.list(namespace.name()).iter().take(PODS_JUDGED).filter(|p| !p.is_terminal()) {
            let subject = Subject { meta: &pod.metadata, spec: pod.pod_spec() };
            let Some(why) = violations(&subject, wanted) else { continue };
            match groups.iter_mut().find(|(known, _)| *known == why) {
                Some((_, pods)) => pods.push(pod.name().to_owned()),
                None => groups.push((why, vec![pod.name().to_owned()])),
            }
        }
        if groups.is_empty() {
            return Vec::new();
        }
        let head = format!(
            "existing pods in namespace {:?} violate the new PodSecurity enforce level \"{wanted}\"",
            namespace.name()
        );
        let lines = groups.into_iter().map(|(why, pods)| match &pods[..] {
            [one] => format!("{one}: {why}"),
            [one, _] => format!("{one} (and 1 other pod): {why}"),
            many => format!("{} (and {} other pods): {why}", many[0], many.len() - 1),
        });
        std::iter::once(head).chain(lines).collect()
    }
}

#[async_trait]
impl Plugin for PodSecurity {
    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        if ask::is_main::<Namespace>(a) {
            return check_labels(a);
        }
        let Some(pod) = new_pod(a) else { return Ok(()) };
        let wanted = self.demand(a.namespace, "enforce").await?;
        match violations(&Subject { meta: &pod.metadata, spec: pod.pod_spec() }, wanted) {
            Some(why) => Err(ask::forbidden(a, format!("violates PodSecurity \"{wanted}\": {why}"))),
            None => Ok(()),
        }
    }

    async fn warnings(&self, a: &Attributes<'_>) -> Vec<String> {
        if let (true, Some(new)) = (ask::is_main::<Namespace>(a), ask::object::<Namespace>(a)) {
            let of = |n: &Namespace| demand(n.metadata.labels.as_ref(), "enforce");
            let Some(old) = ask::old::<Namespace>(a).map(of) else { return Vec::new() };
            let wanted = of(new);
            let stricter = wanted != old && wanted.level > Level::Privileged && wanted.level >= old.level;
            return if stricter { self.judge_running(new, wanted) } else { Vec::new() };
        }
        if !matches!(a.operation, Operation::Create | Operation::Update) || a.namespace.is_empty() {
            return Vec::new();
        }
        let empty = (ObjectMeta::default(), PodSpec::default());
        let pod = new_pod(a);
        let subject = match &pod {
            Some(pod) => Some(Subject { meta: &pod.metadata, spec: pod.pod_spec() }),
            None => template(a).map(|t| Subject::of_template(t, &empty)),
        };
        let Some(subject) = subject else { return Vec::new() };
        let Ok(wanted) = self.demand(a.namespace, "warn").await else { return Vec::new() };
        let why = violations(&subject, wanted);
        why.map(|why| format!("would violate PodSecurity \"{wanted}\": {why}")).into_iter().collect()
    }
}

/// A namespace's labels say something known, unless they were as bad before.
fn check_labels(a: &Attributes<'_>) -> Result<(), Status> {
    let Some(namespace) = ask::object::<Namespace>(a) else { return Ok(()) };
    let of = |n: &Namespace| level::errors(n.metadata.labels.as_ref());
    let errs = of(namespace);
    if errs.is_empty() || ask::old::<Namespace>(a).is_some_and(|old| of(old) == errs) {
        return Ok(());
    }
    Err(Status::invalid(a.gvk, namespace.name(), &errs))
}

/// A pod that is new, or about to do something else than before.
fn new_pod<'a>(a: &'a Attributes<'_>) -> Option<&'a Pod> {
    let part = matches!(a.subresource, "" | "ephemeralcontainers");
    let pod = ask::object::<Pod>(a).filter(|_| part && ask::is::<Pod>(a))?;
    match a.operation {
        Operation::Create => Some(pod),
        Operation::Update => {
            let same = ask::old::<Pod>(a).is_some_and(|old| {
                old.spec == pod.spec && old.metadata.annotations == pod.metadata.annotations
            });
            (!same && pod.metadata.deletion_timestamp.is_none()).then_some(pod)
        }
        _ => None,
    }
}

/// What the object makes pods from.
fn template<'a>(a: &'a Attributes<'_>) -> Option<&'a PodTemplateSpec> {
    if !a.subresource.is_empty() {
        return None;
    }
    let object = a.object.as_deref()?;
    if let Some(o) = object.downcast_ref::<Deployment>() {
        return Some(&o.spec.template);
    }
    if let Some(o) = object.downcast_ref::<ReplicaSet>() {
        return o.spec.template.as_ref();
    }
    if let Some(o) = object.downcast_ref::<StatefulSet>() {
        return Some(&o.spec.template);
    }
    if let Some(o) = object.downcast_ref::<DaemonSet>() {
        return Some(&o.spec.template);
    }
    if let Some(o) = object.downcast_ref::<ReplicationController>() {
        return o.spec.as_ref()?.template.as_ref();
    }
    if let Some(o) = object.downcast_ref::<Job>() {
        return o.spec.as_ref().map(|s| &s.template);
    }
    if let Some(o) = object.downcast_ref::<CronJob>() {
        return Some(&o.spec.job_template.spec.as_ref()?.template);
    }
    object.downcast_ref::<PodTemplate>()?.template.as_ref()
}
