//! Rules for a Job's status, which other controllers may write too (`managedBy`). A rule is asked only when what it is
//! about has changed: a status that was wrong before must not block the rest.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::JobExt;
use crate::batch::indexes;
use crate::check::{non_negative, one};

/// Compares a status with what is stored.
pub(super) fn update(new: &Job, old: &Job) -> ErrorList {
    let path = Path::new("status");
    let mut errs = counts(new.job_status(), &path);
    errs.extend(uncounted(new.job_status(), &path.child("uncountedTerminatedPods")));
    errs.extend(conditions(new, old, &path.child("conditions")));
    errs.extend(times(new, old, &path));
    errs.extend(finished(new, old, &path));
    errs.extend(index_lists(new, old, &path));
    errs.extend(nothing_taken_back(new, old, &path));
    errs
}

fn counts(status: &JobStatus, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (field, value) in [
        ("active", status.active),
        ("succeeded", status.succeeded),
        ("failed", status.failed),
        ("ready", status.ready),
        ("terminating", status.terminating),
    ] {
        errs.extend(non_negative(&path.child(field), value.unwrap_or(0)));
    }
    errs
}

fn uncounted(status: &JobStatus, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let Some(pods) = &status.uncounted_terminated_pods else { return errs };
    let mut seen = BTreeSet::new();
    for (list, field) in [(&pods.succeeded, "succeeded"), (&pods.failed, "failed")] {
        for (i, uid) in list.iter().flatten().enumerate() {
            let path = path.child(field).index(i);
            match uid.is_empty() {
                true => errs.push(Error::invalid(&path, uid, "must not be empty")),
                false => errs.extend(one(!seen.insert(uid), || Error::duplicate(&path, uid))),
            }
        }
    }
    errs
}

/// What cannot be true together, and what has to come first.
fn conditions(new: &Job, old: &Job, path: &Path) -> ErrorList {
    let changed = |kind: &str| new.is(kind) != old.is(kind);
    let (complete, failed) = (new.is("Complete"), new.is("Failed"));
    let (success, failure) = (new.is("SuccessCriteriaMet"), new.is("FailureTarget"));
    let mut errs = ErrorList::new();
    for (asked, wrong, detail) in [
        (
            changed("Complete") || changed("Failed"),
            complete && failed,
            "cannot set Complete=True and Failed=true conditions",
        ),
        (
            changed("Complete") || changed("FailureTarget"),
            complete && failure,
            "cannot set Complete=True and FailureTarget=true conditions",
        ),
        (
            changed("Failed") || changed("FailureTarget"),
            failed && !failure,
            "cannot set Failed=True condition without the FailureTarget=true condition",
        ),
        (
            changed("Complete") || changed("SuccessCriteriaMet"),
            complete && !success,
            "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        ),
        (true, success && failed, "cannot set SuccessCriteriaMet=True and Failed=true conditions"),
        (true, success && failure, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
        (
            true,
            new.job_spec().success_policy.is_some() && !success && complete,
            "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
        ),
    ] {
        errs.extend(one(asked && wrong, || Error::invalid(path, Raw(String::new()), detail)));
    }
    errs
}

fn shown(time: &Time) -> Raw {
    Raw(format!("{:?}", time.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
}

fn times(new: &Job, old: &Job, path: &Path) -> ErrorList {
    let (status, before) = (new.job_status(), old.job_status());
    let completed = path.child("completionTime");
    let start_changed = status.start_time != before.start_time;
    let end_changed = status.completion_time != before.completion_time;
    let asked = new.is("Complete") != old.is("Complete") || end_changed;
    let mut errs = ErrorList::new();
    match &status.completion_time {
        Some(end) => {
            errs.extend(one(asked && !new.is("Complete"), || {
                let detail = "cannot set completionTime when there is no Complete=True condition";
                Error::invalid(&completed, shown(end), detail)
            }));
            let early = status.start_time.as_ref().is_some_and(|start| end.0 < start.0);
            errs.extend(one((start_changed || end_changed) && early, || {
                Error::invalid(&completed, shown(end), "completionTime cannot be set before startTime")
            }));
            errs.extend(one(end_changed && before.completion_time.is_some(), || {
                Error::invalid(&completed, shown(end), "completionTime cannot be mutated")
            }));
        }
        None => errs.extend(one(asked && new.is("Complete"), || {
            Error::required(&completed, "completionTime is required for Complete jobs")
        })),
    }
    errs.extend(one(start_changed && before.start_time.is_some() && !new.is_suspended(), || {
        Error::required(&path.child("startTime"), "startTime cannot be removed for unsuspended job")
    }));
    errs
}

/// A finished Job has started, and has no pods that are not counted.
fn finished(new: &Job, old: &Job, path: &Path) -> ErrorList {
    let (status, before) = (new.job_status(), old.job_status());
    let turned = new.is_finished() != old.is_finished();
    let mut errs = ErrorList::new();
    let count = |value: Option<i32>| value.unwrap_or(0);
    for (field, now, then) in
        [("active", status.active, before.active), ("terminating", status.terminating, before.terminating)]
    {
        let asked = turned || count(now) != count(then);
        errs.extend(one(asked && new.is_finished() && count(now) > 0, || {
            let detail = format!("{field}>0 is invalid for finished job");
            Error::invalid(&path.child(field), count(now), detail)
        }));
    }
    let asked = turned || status.start_time != before.start_time;
    errs.extend(one(asked && new.is_finished() && status.start_time.is_none(), || {
        Error::required(&path.child("startTime"), "startTime is required for finished job")
    }));
    let pods = |status: &JobStatus| status.uncounted_terminated_pods.clone().unwrap_or_default();
    let left = pods(status);
    let some = left.succeeded.iter().chain(&left.failed).any(|list| !list.is_empty());
    let asked = turned || left != pods(before);
    errs.extend(one(asked && new.is_finished() && some, || {
        let shown = serde_json::json!({"Succeeded": left.succeeded, "Failed": left.failed}).to_string();
        let detail = "uncountedTerminatedPods needs to be empty for finished job";
        Error::invalid(&path.child("uncountedTerminatedPods"), Raw(shown), detail)
    }));
    let asked = count(status.ready) != count(before.ready) || count(status.active) != count(before.active);
    errs.extend(one(asked && count(status.ready) > count(status.active), || {
        Error::invalid(&path.child("ready"), count(status.ready), "cannot set more ready pods than active")
    }));
    errs
}

fn index_lists(new: &Job, old: &Job, path: &Path) -> ErrorList {
    let (spec, status, before) = (new.job_spec(), new.job_status(), old.job_status());
    let text = |list: &Option<String>| list.clone().unwrap_or_default();
    let (completed, failed) = (text(&status.completed_indexes), &status.failed_indexes);
    let completed_changed = completed != text(&before.completed_indexes);
    let failed_changed = *failed != before.failed_indexes;
    let mut errs = ErrorList::new();
    let completed_path = path.child("completedIndexes");
    let failed_path = path.child("failedIndexes");
    if let (true, Some(completions)) = (completed_changed, spec.completions)
        && let Err(why) = indexes::count(&completed, completions)
    {
        let detail = format!("error parsing completedIndexes: {why}");
        errs.push(Error::invalid(&completed_path, &completed, detail));
    }
    if let (true, Some(_), Some(completions), Some(failed)) =
        (failed_changed, spec.backoff_limit_per_index, spec.completions, failed)
        && let Err(why) = indexes::count(failed, completions)
    {
        errs.push(Error::invalid(&failed_path, failed, format!("error parsing failedIndexes: {why}")));
    }
    errs.extend(one(completed_changed && !completed.is_empty() && !new.is_indexed(), || {
        let detail = "cannot set non-empty completedIndexes when non-indexed completion mode";
        Error::invalid(&completed_path, &completed, detail)
    }));
    let Some(failed) = failed else { return errs };
    errs.extend(one(failed_changed && spec.backoff_limit_per_index.is_none(), || {
        let detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
        Error::invalid(&failed_path, failed, detail)
    }));
    if let (true, Some(completions)) = (completed_changed || failed_changed, spec.completions)
        && let Some(index) = indexes::overlap(&completed, failed, completions)
    {
        let detail = format!("failedIndexes and completedIndexes overlap at index: {index}");
        errs.push(Error::invalid(&failed_path, failed, detail));
    }
    errs
}

fn nothing_taken_back(new: &Job, old: &Job, path: &Path) -> ErrorList {
    let (status, before) = (new.job_status(), old.job_status());
    let mut errs = ErrorList::new();
    for kind in ["Failed", "Complete", "FailureTarget"] {
        errs.extend(one(old.is(kind) && !new.is(kind), || {
            let detail = format!("cannot disable the terminal {kind}=True condition");
            Error::invalid(&path.child("conditions"), Raw(String::new()), detail)
        }));
    }
    let count = |value: Option<i32>| value.unwrap_or(0);
    errs.extend(one(count(status.failed) < count(before.failed), || {
        Error::invalid(&path.child("failed"), count(status.failed), "cannot decrease the failed counter")
    }));
    // An elastic Job that shrinks loses what was done beyond its new end.
    let spec = new.job_spec();
    let elastic = new.is_indexed() && spec.completions == spec.parallelism;
    errs.extend(one(!elastic && count(status.succeeded) < count(before.succeeded), || {
        let detail = "cannot decrease the succeeded counter";
        Error::invalid(&path.child("succeeded"), count(status.succeeded), detail)
    }));
    let met = "SuccessCriteriaMet";
    for (wrong, detail) in [
        (old.is(met) && !new.is(met), "cannot disable the SuccessCriteriaMet=True condition"),
        (
            old.is("Complete") && !old.is(met) && new.is(met),
            "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions",
        ),
    ] {
        errs.extend(one(wrong, || Error::invalid(&path.child("conditions"), Raw(String::new()), detail)));
    }
    errs
}
