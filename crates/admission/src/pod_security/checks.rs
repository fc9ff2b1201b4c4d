//! Pods against the Pod Security Standards (<https://kubernetes.io/docs/concepts/security/pod-security-standards/>).

mod baseline;
mod restricted;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    ContainerPort, EphemeralContainer, Lifecycle, PodSpec, PodTemplateSpec, Probe, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::level::{Demand, Level, Version};

/// What is against a rule: the rule, and where.
pub(super) struct Fault {
    reason: String,
    detail: String,
}

/// A pod, or what will be one.
pub(super) struct Subject<'a> {
    pub meta: &'a ObjectMeta,
    pub spec: &'a PodSpec,
}

impl<'a> Subject<'a> {
    pub fn of_template(template: &'a PodTemplateSpec, empty: &'a (ObjectMeta, PodSpec)) -> Self {
        Subject {
            meta: template.metadata.as_ref().unwrap_or(&empty.0),
            spec: template.spec.as_ref().unwrap_or(&empty.1),
        }
    }

    fn is_windows(&self) -> bool {
        self.spec.os.as_ref().is_some_and(|os| os.name == "windows")
    }

    /// Init containers, containers and ephemeral ones, in upstream's order.
    fn containers(&self) -> Vec<One<'a>> {
        let plain = self.spec.init_containers.iter().flatten().chain(&self.spec.containers);
        let plain = plain.map(|c| One {
            name: &c.name,
            context: c.security_context.as_ref(),
            ports: c.ports.as_deref().unwrap_or_default(),
            probes: [c.liveness_probe.as_ref(), c.readiness_probe.as_ref(), c.startup_probe.as_ref()],
            lifecycle: c.lifecycle.as_ref(),
        });
        let ephemeral = self.spec.ephemeral_containers.iter().flatten().map(|c: &EphemeralContainer| One {
            name: &c.name,
            context: c.security_context.as_ref(),
            ports: c.ports.as_deref().unwrap_or_default(),
            probes: [c.liveness_probe.as_ref(), c.readiness_probe.as_ref(), c.startup_probe.as_ref()],
            lifecycle: c.lifecycle.as_ref(),
        });
        plain.chain(ephemeral).collect()
    }
}

/// A container of any sort.
struct One<'a> {
    name: &'a str,
    context: Option<&'a SecurityContext>,
    ports: &'a [ContainerPort],
    probes: [Option<&'a Probe>; 3],
    lifecycle: Option<&'a Lifecycle>,
}

type Check = fn(&Subject<'_>, Version) -> Option<Fault>;

/// A rule, the release it came with, and the release since which a stricter one stands instead at the restricted level.
struct Rule {
    since: u32,
    check: Check,
    replaced: Option<u32>,
}

const fn rule(since: u32, check: Check) -> Rule {
    Rule { since, check, replaced: None }
}

const fn replaced(check: Check, from: u32) -> Rule {
    Rule { since: 0, check, replaced: Some(from) }
}

const BASELINE: &[Rule] = &[
    rule(0, baseline::app_armor),
    replaced(baseline::capabilities, 22),
    rule(0, baseline::host_namespaces),
    replaced(baseline::host_paths, 0),
    rule(0, baseline::host_ports),
    rule(34, baseline::hosts_of_probes),
    rule(0, baseline::privileged),
    rule(0, baseline::proc_mount),
    rule(0, baseline::selinux),
    replaced(baseline::seccomp, 19),
    rule(0, baseline::sysctls),
    rule(0, baseline::host_process),
];

const RESTRICTED: &[Rule] = &[
    rule(8, restricted::privilege_escalation),
    rule(22, restricted::capabilities),
    rule(0, restricted::volumes),
    rule(0, restricted::run_as_non_root),
    rule(23, restricted::run_as_user),
    rule(19, restricted::seccomp),
];

/// Everything about the pod that the demand forbids, in upstream's words; nothing when it is fine.
pub(super) fn violations(subject: &Subject<'_>, demand: Demand) -> Option<String> {
    let shown = faults(subject, demand).into_iter().map(|f| match f.detail.as_str() {
        "" => f.reason,
        detail => format!("{} ({detail})", f.reason),
    });
    joined(shown)
}

/// The rules that the pod breaks, without where.
pub(super) fn violated(subject: &Subject<'_>, demand: Demand) -> Option<String> {
    joined(faults(subject, demand).into_iter().map(|f| f.reason))
}

fn joined(texts: impl Iterator<Item = String>) -> Option<String> {
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn faults(subject: &Subject<'_>, demand: Demand) -> Vec<Fault> {
    let strict = demand.level == Level::Restricted;
    let mut rules: Vec<&Rule> = Vec::new();
    if demand.level >= Level::Baseline {
        let stands = |r: &&Rule| !(strict && r.replaced.is_some_and(|from| demand.version.since(from)));
        rules.extend(BASELINE.iter().filter(stands));
    }
    if strict {
        rules.extend(RESTRICTED);
    }
    let due = rules.into_iter().filter(|r| demand.version.since(r.since));
    due.filter_map(|r| (r.check)(subject, demand.version)).collect()
}

fn fault(reason: impl Into<String>, detail: impl Into<String>) -> Option<Fault> {
    Some(Fault { reason: reason.into(), detail: detail.into() })
}

/// `"a", "b"`
fn quoted<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    names.into_iter().map(|n| format!("{:?}", n.as_ref())).collect::<Vec<_>>().join(", ")
}

/// `container "a"`, `containers "a", "b"`
fn named(what: &str, names: &[&str]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{what}{plural} {}", quoted(names))
}

/// Who sets something: the pod, some containers, or both.
fn setters(pod: bool, containers: &[&str]) -> String {
    let mut who = Vec::new();
    if pod {
        who.push("pod".to_owned());
    }
    if !containers.is_empty() {
        who.push(named("container", containers));
    }
    who.join(" and ")
}

/// The containers for which `wrong` gives the offending values, and the values.
fn offenders<'a>(
    subject: &Subject<'a>,
    wrong: impl Fn(&One<'a>) -> Vec<String>,
) -> (Vec<&'a str>, BTreeSet<String>) {
    let mut names = Vec::new();
    let mut values = BTreeSet::new();
    for container in subject.containers() {
        let bad = wrong(&container);
        if !bad.is_empty() {
            names.push(container.name);
            values.extend(bad);
        }
    }
    (names, values)
}
