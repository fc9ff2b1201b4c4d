//! What a pod's failure means (`podFailurePolicy`), and when indexed Jobs have done enough (`successPolicy`).

use codec::Kind;
use k8s_openapi::api::batch::v1::{
    PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
    SuccessPolicy,
};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};
use resources::batch::indexes::Indexes;
use resources::core::pod::PodExt;

/// What becomes of a failed pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It counts against the back-off limit.
    Counts,
    /// As if it had not been.
    Ignored,
    /// Its index has failed for good.
    FailsIndex,
    /// The whole Job has failed, for this reason.
    FailsJob(String),
}

/// The first rule that matches decides.
pub(super) fn judge(policy: Option<&PodFailurePolicy>, pod: &Pod) -> Failure {
    for (i, rule) in policy.into_iter().flat_map(|p| &p.rules).enumerate() {
        let place = format!("{}/{}", pod.namespace(), pod.name());
        let matched = match (&rule.on_exit_codes, &rule.on_pod_conditions) {
            (Some(codes), _) => exit_code(pod, codes)
                .map(|(name, code)| format!("Container {name} for pod {place} failed with exit code {code}")),
            (None, Some(patterns)) => {
                condition(pod, patterns).map(|c| format!("Pod {place} has condition {}", c.type_))
            }
            (None, None) => None,
        };
        let Some(what) = matched else { continue };
        return match &*rule.action {
            "Ignore" => Failure::Ignored,
            "FailIndex" => Failure::FailsIndex,
            "FailJob" => Failure::FailsJob(format!("{what} matching FailJob rule at index {i}")),
            // Count; an action that we do not know must not keep the pod from being counted.
            _ => Failure::Counts,
        };
    }
    Failure::Counts
}

/// The container that ended with a code that the rule means, and the code.
fn exit_code<'a>(pod: &'a Pod, rule: &PodFailurePolicyOnExitCodesRequirement) -> Option<(&'a str, i32)> {
    let status = pod.pod_status();
    let statuses = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    let ended = |s: &'a ContainerStatus| {
        let code = s.state.as_ref()?.terminated.as_ref()?.exit_code;
        let named = rule.container_name.as_ref().is_none_or(|name| *name == s.name);
        let listed = rule.values.contains(&code);
        let means = match &*rule.operator {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        };
        (named && code != 0 && means).then_some((s.name.as_str(), code))
    };
    statuses.filter_map(ended).next()
}

fn condition<'a>(
    pod: &'a Pod,
    patterns: &[PodFailurePolicyOnPodConditionsPattern],
) -> Option<&'a PodCondition> {
    let means = |c: &PodCondition| {
        patterns.iter().any(|p| p.type_ == c.type_ && p.status.as_deref().unwrap_or("True") == c.status)
    };
    pod.pod_status().conditions.iter().flatten().find(|c| means(c))
}

/// Which rule is met, if one is.
pub(super) fn success(
    policy: Option<&SuccessPolicy>,
    completions: u32,
    succeeded: &Indexes,
) -> Option<String> {
    if succeeded.is_empty() {
        return None;
    }
    let rules = &policy?.rules;
    let met = rules.iter().position(|rule| {
        let enough = |have: u32| {
            rule.succeeded_count
                .and_then(|count| u32::try_from(count).ok())
                .is_some_and(|count| have >= count)
        };
        match &rule.succeeded_indexes {
            Some(text) => {
                let wanted = Indexes::parse(text, completions);
                let have = wanted.common(succeeded);
                !wanted.is_empty() && (have == wanted.total() || enough(have))
            }
            None => enough(succeeded.total()),
        }
    });
    met.map(|i| format!("Matched rules at index {i}"))
}
