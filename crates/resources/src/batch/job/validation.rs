//! Rules for Jobs and for what CronJobs make Jobs from.

use std::collections::BTreeMap;

use apimachinery::Selector;
use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use codec::Kind;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use serde_json::json;

use super::{
    COMPLETIONS_SOFT_MAX, CONTROLLER_UID_LABEL, JOB_NAME_LABEL, JobExt, LEGACY_CONTROLLER_UID_LABEL,
    LEGACY_JOB_NAME_LABEL, PARALLELISM_SOFT_MAX, is_indexed,
};
use crate::apps::replica_set::selector_json;
use crate::check::{each, non_negative, one};
use crate::core::pod_template;
use crate::owner::ObjectMetaExt;
use crate::selector::{self, LabelSelectorExt};

mod policies;

const MAX_PARALLELISM: i32 = 100_000;
const MAX_FAILED_INDEXES: i32 = 100_000;
const MAX_FAILED_INDEXES_OF_MANY: i32 = 10_000;
const MAX_MANAGED_BY: usize = 63;

/// A whole Job. `prefixed`: its template has to have the labels with prefix, too.
pub(super) fn job(job: &Job, prefixed: bool) -> ErrorList {
    let path = Path::new("spec");
    let job_spec = job.job_spec();
    let mut errs = generated_selector(job, prefixed);
    errs.extend(spec(job_spec, &path));
    errs.extend(own_selector(job_spec, &path));
    if let (true, Some(completions @ 1..)) = (is_indexed(job_spec), job_spec.completions) {
        // Every pod's host name ends with its index; better told now than by pods that cannot be made.
        let longest = format!("{}-{}", job.name(), completions - 1);
        errs.extend(one(!names::dns1123_label(&longest).is_empty(), || {
            let detail = format!("will not able to create pod with invalid DNS label: {longest}");
            Error::invalid(&Path::new("metadata").child("name"), job.name(), detail)
        }));
    }
    errs
}

/// The labels that make the selector match this Job's pods alone.
fn generated_selector(job: &Job, prefixed: bool) -> ErrorList {
    let mut errs = ErrorList::new();
    let spec = job.job_spec();
    let Some(selector) = spec.selector.as_ref().filter(|_| spec.manual_selector != Some(true)) else {
        return errs;
    };
    if job.uid().is_empty() {
        errs.push(Error::required(&Path::new("metadata").child("uid"), ""));
    }
    let mut wanted = vec![(LEGACY_CONTROLLER_UID_LABEL, job.uid()), (LEGACY_JOB_NAME_LABEL, job.name())];
    if prefixed {
        wanted.extend([(CONTROLLER_UID_LABEL, job.uid()), (JOB_NAME_LABEL, job.name())]);
    }
    let path = Path::new("spec").child("template").child("metadata").child("labels");
    let meta = spec.template.metadata.clone().unwrap_or_default();
    for (key, value) in &wanted {
        match meta.label(key) {
            None => errs.push(Error::required(&path.key(key), format!("must be '{value}'"))),
            Some(found) if found != *value => {
                let shown = Raw(json!(meta.labels).to_string());
                errs.push(Error::invalid(&path.key(key), shown, format!("must be '{value}'")));
            }
            Some(_) => {}
        }
    }
    let labels: BTreeMap<String, String> =
        wanted.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    if selector.compile().is_ok_and(|s| !s.matches(&Some(labels))) {
        let shown = Raw(selector_json(selector));
        errs.push(Error::invalid(
            &Path::new("spec").child("selector"),
            shown,
            "`selector` not auto-generated",
        ));
    }
    errs
}

fn own_selector(spec: &JobSpec, path: &Path) -> ErrorList {
    let mut errs = match &spec.selector {
        None => one(true, || Error::required(&path.child("selector"), "")),
        Some(selector) => selector::validate(selector, &path.child("selector")),
    };
    let labels = spec.template.metadata.as_ref().and_then(|m| m.labels.clone());
    let selector: Result<Selector, _> = selector::compile(spec.selector.as_ref());
    if selector.is_ok_and(|s| !s.matches(&labels)) {
        errs.push(Error::invalid(
            &path.child("template").child("metadata").child("labels"),
            Raw(json!(labels).to_string()),
            "`selector` does not match template `labels`",
        ));
    }
    errs
}

/// Everything but the selector.
pub(crate) fn spec(spec: &JobSpec, path: &Path) -> ErrorList {
    let mut errs = numbers(spec, path);
    if let Some(manager) = &spec.managed_by {
        errs.extend(domain_prefixed_path(manager, &path.child("managedBy")));
        errs.extend(one(manager.len() > MAX_MANAGED_BY, || {
            Error::too_long(&path.child("managedBy"), MAX_MANAGED_BY)
        }));
    }
    errs.extend(completion_mode(spec, path));
    errs.extend(policies::failure(spec, &path.child("podFailurePolicy")));
    errs.extend(policies::success(spec, &path.child("successPolicy")));
    errs.extend(policies::replacement(spec, &path.child("podReplacementPolicy")));
    errs.extend(pod_template::validate(&spec.template, &path.child("template")));
    errs.extend(restart_policy(spec, &path.child("template").child("spec").child("restartPolicy")));
    errs
}

fn numbers(spec: &JobSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (field, value) in [
        ("parallelism", spec.parallelism.map(i64::from)),
        ("completions", spec.completions.map(i64::from)),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        ("backoffLimit", spec.backoff_limit.map(i64::from)),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished.map(i64::from)),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index.map(i64::from)),
        ("maxFailedIndexes", spec.max_failed_indexes.map(i64::from)),
    ] {
        if let Some(value) = value {
            errs.extend(non_negative(&path.child(field), value));
        }
    }
    if spec.max_failed_indexes.is_some() && spec.backoff_limit_per_index.is_none() {
        let detail = "when maxFailedIndexes is specified";
        errs.push(Error::required(&path.child("backoffLimitPerIndex"), detail));
    }
    errs
}

fn completion_mode(spec: &JobSpec, path: &Path) -> ErrorList {
    match spec.completion_mode.as_deref() {
        None | Some("NonIndexed") => {
            let mut errs = ErrorList::new();
            for (field, value) in [
                ("backoffLimitPerIndex", spec.backoff_limit_per_index),
                ("maxFailedIndexes", spec.max_failed_indexes),
            ] {
                if let Some(value) = value {
                    errs.push(Error::invalid(&path.child(field), value, "requires indexed completion mode"));
                }
            }
            errs
        }
        Some("Indexed") => indexed(spec, path),
        Some(other) => {
            let known = &["NonIndexed", "Indexed"];
            one(true, || Error::not_supported(&path.child("completionMode"), other, known))
        }
    }
}

fn indexed(spec: &JobSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let at_most = |field: &str, value: Option<i32>, max: i32, detail: String| {
        let value = value.unwrap_or(0);
        one(value > max, || Error::invalid(&path.child(field), value, detail))
    };
    if spec.completions.is_none() {
        errs.push(Error::required(&path.child("completions"), "when completion mode is Indexed"));
    }
    let detail = format!("must be less than or equal to {MAX_PARALLELISM} when completion mode is Indexed");
    errs.extend(at_most("parallelism", spec.parallelism, MAX_PARALLELISM, detail));
    let failed = spec.max_failed_indexes;
    if let Some(completions) = spec.completions {
        let detail = "must be less than or equal to completions".into();
        errs.extend(at_most("maxFailedIndexes", failed, completions, detail));
    }
    let detail = format!("must be less than or equal to {MAX_FAILED_INDEXES}");
    errs.extend(at_most("maxFailedIndexes", failed, MAX_FAILED_INDEXES, detail));
    if spec.completions.is_some_and(|c| c > COMPLETIONS_SOFT_MAX) && spec.backoff_limit_per_index.is_some() {
        if failed.is_none() {
            let detail = format!("must be specified when completions is above {COMPLETIONS_SOFT_MAX}");
            errs.push(Error::required(&path.child("maxFailedIndexes"), detail));
        }
        let detail = |max: i32| {
            format!(
                "must be less than or equal to {max} when completions are above {COMPLETIONS_SOFT_MAX} and used with \
                 backoff limit per index"
            )
        };
        let max = PARALLELISM_SOFT_MAX;
        errs.extend(at_most("parallelism", spec.parallelism, max, detail(max)));
        let max = MAX_FAILED_INDEXES_OF_MANY;
        errs.extend(at_most("maxFailedIndexes", failed, max, detail(max)));
    }
    errs
}

fn restart_policy(spec: &JobSpec, path: &Path) -> ErrorList {
    let policy = spec.template.spec.as_ref().and_then(|s| s.restart_policy.as_deref()).unwrap_or_default();
    match policy {
        "" | "Always" => one(true, || Error::required(path, r#"valid values: "OnFailure", "Never""#)),
        "OnFailure" if spec.pod_failure_policy.is_some() => one(true, || {
            let detail = r#"only "Never" is supported when podFailurePolicy is specified"#;
            Error::invalid(path, policy, detail)
        }),
        "OnFailure" | "Never" => ErrorList::new(),
        other => one(true, || Error::not_supported(path, other, &["OnFailure", "Never"])),
    }
}

/// `acme.io/foo`
fn domain_prefixed_path(value: &str, path: &Path) -> ErrorList {
    const CHARACTERS: &str = "/-._~%!$&'()*+,;=:";
    const FORMAT: &str = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+";
    if value.is_empty() {
        return one(true, || Error::required(path, ""));
    }
    let Some((host, rest)) = value.split_once('/').filter(|(h, r)| !h.is_empty() && !r.is_empty()) else {
        let detail = r#"must be a domain-prefixed path (such as "acme.io/foo")"#;
        return one(true, || Error::invalid(path, value, detail));
    };
    let mut errs = each(path, host, names::dns1123_subdomain(host));
    let fine = rest.chars().all(|c| c.is_ascii_alphanumeric() || CHARACTERS.contains(c));
    errs.extend(one(!fine, || Error::invalid(path, rest, names::regex_error("Invalid path", FORMAT, &[]))));
    errs
}
