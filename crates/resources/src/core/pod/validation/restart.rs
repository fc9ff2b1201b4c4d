//! Rules for when a container starts again.

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::{Container, ContainerRestartRule};

use crate::check::{known, one};

const MAX_RULES: usize = 20;
const MAX_CODES: usize = 255;

/// A container's own policy, and its rules for particular exit codes.
pub(super) fn rules(container: &Container, path: &Path) -> ErrorList {
    let rules = container.restart_policy_rules.as_deref().unwrap_or_default();
    let mut errs = ErrorList::new();
    let policy = path.child("restartPolicy");
    match container.restart_policy.as_deref() {
        None => errs.extend(one(!rules.is_empty(), || {
            Error::required(&policy, "must specify restartPolicy when restart rules are used")
        })),
        Some(value) => errs.extend(known(&policy, value, &["Always", "Never", "OnFailure"])),
    }
    let list = path.child("restartPolicyRules");
    if rules.len() > MAX_RULES {
        errs.push(Error::too_many(&list, rules.len(), MAX_RULES));
    }
    for (i, rule) in rules.iter().enumerate() {
        errs.extend(one_rule(rule, &list.index(i)));
    }
    errs
}

fn one_rule(rule: &ContainerRestartRule, path: &Path) -> ErrorList {
    let mut errs = known(&path.child("action"), &rule.action, &["Restart"]);
    let path = path.child("exitCodes");
    let Some(codes) = &rule.exit_codes else {
        errs.push(Error::required(&path, "must be specified"));
        return errs;
    };
    errs.extend(known(&path.child("operator"), &codes.operator, &["In", "NotIn"]));
    let count = codes.values.as_ref().map_or(0, |v| v.len());
    if count > MAX_CODES {
        errs.push(Error::too_many(&path.child("values"), count, MAX_CODES));
    }
    errs
}
