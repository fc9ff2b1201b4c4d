//! Pods within what their namespace's Pod Security labels allow: refused (`enforce`) or warned of (`warn`, also for whatever
//! makes pods).
//!
//! Defaults and exemptions are [`configuration`]'s. `audit` marks entries of an audit log; there is none yet.

mod checks;
pub(crate) mod configuration;
mod level;

use std::collections::BTreeMap;

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
use checks::{Subject, violated, violations};
use configuration::PodSecurityConfiguration;
use level::{Demand, Level, Policy, policy};

/// So many pods of a namespace are looked at when its labels change.
const PODS_JUDGED: usize = 3000;

pub(crate) struct PodSecurity {
    namespaces: Informer<Namespace>,
    api: Api<Namespace>,
    pods: Informer<Pod>,
    configuration: PodSecurityConfiguration,
}

impl PodSecurity {
    pub(crate) fn new(context: &Context) -> Self {
        PodSecurity {
            namespaces: Informer::all(&*context.transport),
            api: Api::new(context.transport.clone()),
            pods: Informer::all(&*context.transport),
            configuration: context.configuration.pod_security.clone(),
        }
    }

    fn policy_of(&self, namespace: Option<&Namespace>) -> Policy {
        policy(namespace.and_then(|n| n.metadata.labels.as_ref()), self.configuration.defaults)
    }

    async fn policy(&self, namespace: &str) -> Result<Policy, Status> {
        let key = ObjectKey::cluster(namespace);
        let found = match self.namespaces.get(&key) {
            Some(namespace) => Some(namespace),
            None => self.api.find(&key).await?,
        };
        Ok(self.policy_of(found.as_ref()))
    }

    /// Whether the write, or the pod, is none of Pod Security's business.
    fn is_exempt(&self, a: &Attributes<'_>, spec: &PodSpec) -> bool {
        let exempt = &self.configuration.exemptions;
        exempt.namespaces.contains(a.namespace)
            || exempt.usernames.contains(&a.user.name)
            || self.has_exempt_class(spec)
    }

    fn has_exempt_class(&self, spec: &PodSpec) -> bool {
        let class = spec.runtime_class_name.as_deref().filter(|class| !class.is_empty());
        class.is_some_and(|class| self.configuration.exemptions.runtime_classes.contains(class))
    }

    /// What a change of a namespace's labels means for it.
    fn judge_namespace(&self, a: &Attributes<'_>, new: &Namespace) -> Vec<String> {
        let wanted = self.policy_of(Some(new));
        if let Some(old) = ask::old::<Namespace>(a) {
            let before = self.policy_of(Some(old)).enforce;
            let relaxed = wanted.enforce.version == before.version && wanted.enforce.level <= before.level;
            if wanted.enforce.level == Level::Privileged || relaxed {
                return Vec::new();
            }
        }
        let exempt = self.configuration.exemptions.namespaces.contains(new.name());
        match (exempt, a.operation) {
            (true, _) if wanted.is_free() || wanted == self.configuration.defaults => Vec::new(),
            (true, _) => vec![format!(
                "namespace {:?} is exempt from Pod Security, and the policy ({}) will be ignored",
                new.name(),
                wanted.compact(new.metadata.labels.as_ref())
            )],
            (false, Operation::Update) => self.judge_running(new.name(), wanted.enforce),
            (false, _) => Vec::new(),
        }
    }

    /// What would be refused of what runs already, were it new.
    fn judge_running(&self, namespace: &str, wanted: Demand) -> Vec<String> {
        // By what is wrong: the first pod's name, and how many there are.
        let mut groups: BTreeMap<String, (String, usize)> = BTreeMap::new();
        let pods = self.pods.list(namespace);
        for pod in pods.iter().take(PODS_JUDGED).filter(|p| !self.has_exempt_class(p.pod_spec())) {
            let subject = Subject { meta: &pod.metadata, spec: pod.pod_spec() };
            let Some(why) = violated(&subject, wanted) else { continue };
            let (first, count) = groups.entry(why).or_insert_with(|| (pod.name().to_owned(), 0));
            *count += 1;
            if pod.name() < first.as_str() {
                *first = pod.name().to_owned();
            }
        }
        let mut said = Vec::new();
        if pods.len() > PODS_JUDGED {
            said.push(format!(
                "new PodSecurity enforce level only checked against the first {PODS_JUDGED} of {} existing pods",
                pods.len()
            ));
        }
        if !groups.is_empty() {
            said.push(format!(
                "existing pods in namespace {namespace:?} violate the new PodSecurity enforce level \"{wanted}\""
            ));
        }
        let mut lines: Vec<String> = groups
            .into_iter()
            .map(|(why, (first, count))| match count {
                1 => format!("{first}: {why}"),
                2 => format!("{first} (and 1 other pod): {why}"),
                _ => format!("{first} (and {} other pods): {why}", count - 1),
            })
            .collect();
        lines.sort();
        said.extend(lines);
        said
    }
}

#[async_trait]
impl Plugin for PodSecurity {
    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        if ask::is_main::<Namespace>(a) {
            return check_labels(a);
        }
        let Some(pod) = new_pod(a) else { return Ok(()) };
        if self.is_exempt(a, pod.pod_spec()) {
            return Ok(());
        }
        let wanted = self.policy(a.namespace).await?.enforce;
        match violations(&Subject { meta: &pod.metadata, spec: pod.pod_spec() }, wanted) {
            Some(why) => Err(ask::forbidden(a, format!("violates PodSecurity \"{wanted}\": {why}"))),
            None => Ok(()),
        }
    }

    async fn warnings(&self, a: &Attributes<'_>) -> Vec<String> {
        if let (true, Some(new)) = (ask::is_main::<Namespace>(a), ask::object::<Namespace>(a)) {
            return self.judge_namespace(a, new);
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
        let Some(subject) = subject.filter(|s| !self.is_exempt(a, s.spec)) else { return Vec::new() };
        let Ok(wanted) = self.policy(a.namespace).await.map(|p| p.warn) else { return Vec::new() };
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
    let part = matches!(a.subresource, "" | "ephemeralcontainers" | "resize");
    let pod = ask::object::<Pod>(a).filter(|_| part && ask::is::<Pod>(a))?;
    match a.operation {
        Operation::Create => Some(pod),
        Operation::Update => {
            let changed = ask::old::<Pod>(a).is_none_or(|old| does_something_else(pod, old));
            (changed && pod.metadata.deletion_timestamp.is_none()).then_some(pod)
        }
        _ => None,
    }
}

/// Of what can change in a pod, what it runs and how that is confined: everything else was judged when it came.
fn does_something_else(new: &Pod, old: &Pod) -> bool {
    const SECCOMP: &str = "seccomp.security.alpha.kubernetes.io/pod";
    let note = |pod: &Pod, key: &str| pod.metadata.annotations.as_ref().and_then(|a| a.get(key)).cloned();
    let seccomp_of = |name: &str| format!("container.seccomp.security.alpha.kubernetes.io/{name}");
    let runs = |pod: &Pod| -> Vec<(String, Option<String>, Option<String>)> {
        let spec = pod.pod_spec();
        let plain = spec.init_containers.iter().flatten().chain(&spec.containers);
        let debug = spec.ephemeral_containers.iter().flatten();
        let all = plain.map(|c| (&c.name, &c.image)).chain(debug.map(|c| (&c.name, &c.image)));
        all.map(|(name, image)| (name.clone(), image.clone(), note(pod, &seccomp_of(name)))).collect()
    };
    note(new, SECCOMP) != note(old, SECCOMP) || runs(new) != runs(old)
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
