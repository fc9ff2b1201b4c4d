//! Decisions about Jobs: a Job, its pods in a line each, and what is to be done and said.

use std::collections::{BTreeSet, HashSet};

use codec::Kind;
use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use resources::Strategy as _;
use serde_json::{Value, json};

use super::account::{self, Done};
use super::backoff::Backoff;
use super::observe::{FAILURE_COUNT, Facts, observe};
use super::plan::{Action, plan};

mod indexed;

const NOW: &str = "2026-01-01T01:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// `spec` and `status` in JSON, defaulted.
fn job(spec: Value, status: Value) -> Job {
    let mut spec = spec;
    spec["template"] =
        json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}});
    let mut job = json!({"metadata": {"name": "j", "namespace": "default", "uid": "job"}, "spec": spec,
        "status": {"startTime": "2026-01-01T00:00:00Z"}});
    for (field, value) in status.as_object().into_iter().flatten() {
        job["status"][field] = value.clone();
    }
    let mut job = Job::from_json(job.to_string().as_bytes()).unwrap();
    resources::batch::job::Strategy.default(&mut job);
    job
}

/// `NAME [WORD…]`: a phase (`Running` if none), `ready`, `deleting`, `free` (no finalizer any more), `index=N`, `exit=N` (of a
/// container that ended), `ago=SECONDS` (when), `failures=N` (of its index, before), `disrupted`.
fn pod(line: &str) -> Pod {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap();
    let mut pod = json!({"metadata": {"name": name, "namespace": "default", "uid": name,
        "finalizers": ["batch.kubernetes.io/job-tracking"]},
        "spec": {"nodeName": "n", "containers": []}, "status": {"phase": "Running", "conditions": []}});
    let mut ended = json!({"exitCode": 0, "finishedAt": NOW});
    for word in words {
        let conditions = |pod: &mut Value, kind: &str| {
            let list = pod["status"]["conditions"].as_array_mut().unwrap();
            list.push(json!({"type": kind, "status": "True"}));
        };
        match word.split_once('=').unwrap_or((word, "")) {
            ("ready", _) => conditions(&mut pod, "Ready"),
            ("disrupted", _) => conditions(&mut pod, "DisruptionTarget"),
            ("deleting", _) => pod["metadata"]["deletionTimestamp"] = NOW.into(),
            ("free", _) => pod["metadata"]["finalizers"] = json!([]),
            ("index", n) => {
                pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] = n.into();
            }
            ("failures", n) => pod["metadata"]["annotations"][FAILURE_COUNT] = n.into(),
            ("exit", n) => ended["exitCode"] = n.parse::<i32>().unwrap().into(),
            ("ago", n) => {
                let at = now() - SignedDuration::from_secs(n.parse().unwrap());
                ended["finishedAt"] = at.to_string().into();
            }
            (phase, _) => pod["status"]["phase"] = phase.into(),
        }
    }
    if matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
        pod["status"]["containerStatuses"] = json!([{"name": "c", "image": "i", "imageID": "", "ready": false,
            "restartCount": 0, "state": {"terminated": ended}}]);
    }
    Pod::from_json(pod.to_string().as_bytes()).unwrap()
}

fn names(pods: &[&Pod]) -> String {
    let names: BTreeSet<_> = pods.iter().map(|pod| pod.name()).collect();
    names.into_iter().collect::<Vec<_>>().join(" ")
}

fn shown(action: &Action<'_>) -> String {
    match action {
        Action::Stop(pods) => format!("stop {}", names(pods)),
        Action::Remove(pods) => format!("remove {}", names(pods)),
        Action::Create(indexes) => match indexes[0] {
            None => format!("create {}", indexes.len()),
            Some(_) => format!("create {:?}", indexes.iter().flatten().collect::<Vec<_>>()),
        },
        Action::Wait(wait) => format!("wait {} s", wait.as_secs()),
        Action::Nothing => "nothing".into(),
        Action::NotNow => "not now".into(),
    }
}

fn status_text(status: &JobStatus, before: &JobStatus) -> String {
    let tree = |status: &JobStatus| {
        let job = Job { status: Some(status.clone()), ..Job::default() };
        serde_json::from_slice::<Value>(&job.to_json()).unwrap()["status"].take()
    };
    let (new, old) = (tree(status), tree(before));
    let mut out = String::new();
    for (field, value) in new.as_object().unwrap() {
        if field == "conditions" {
            for c in value.as_array().unwrap() {
                let text = |f: &str| c[f].as_str().unwrap_or_default().to_owned();
                let line =
                    format!("{}={} {}: {}", text("type"), text("status"), text("reason"), text("message"));
                out += &format!("  {}\n", line.trim_end_matches([' ', ':']));
            }
        } else if old[field] != *value {
            out += &format!("  {field}: {value}\n");
        }
    }
    for field in old.as_object().unwrap().keys().filter(|f| new[*f].is_null()) {
        out += &format!("  no {field}\n");
    }
    out
}

fn check(job: &Job, pods: &str, expect: Expect) {
    check_facts(job, pods, true, Backoff::default(), expect);
}

/// Everything that is done succeeds.
fn check_facts(job: &Job, pods: &str, settled: bool, backoff: Backoff, expect: Expect) {
    let pods: Vec<Pod> = pods.lines().map(str::trim).filter(|l| !l.is_empty()).map(pod).collect();
    let released = HashSet::new();
    let facts = Facts { job, pods: &pods, released: &released, settled, backoff, now: now() };
    let observed = observe(&facts);
    let action = plan(&facts, &observed);
    let mut out = shown(&action) + "\n";
    let done = match &action {
        Action::Stop(pods) | Action::Remove(pods) => Done {
            removed: pods.len() as i32,
            ready: pods.iter().filter(|p| resources::core::pod::PodExt::is_ready(**p)).count() as i32,
            created: 0,
        },
        Action::Create(indexes) => Done { created: indexes.len() as i32, ..Done::default() },
        _ => Done::default(),
    };
    let none = JobStatus::default();
    let ledger = account::open(&facts, &observed, &action, &done);
    out += &status_text(&ledger.status, job.status.as_ref().unwrap_or(&none));
    let release = ledger.release.clone();
    out += &ledger
        .events
        .iter()
        .map(|(_, reason, text)| format!("event {reason}: {text}\n"))
        .collect::<String>();
    if !release.is_empty() {
        out += &format!("release {}\n", names(&release));
    }
    let uids = release.iter().map(|pod| pod.uid().to_owned()).collect();
    let mut written = job.clone();
    written.status = Some(ledger.status.clone());
    let (status, events) = ledger.close(&written, &uids, now());
    if Some(&status) != written.status.as_ref() {
        out += "then\n";
        out += &status_text(&status, written.status.as_ref().unwrap_or(&none));
    }
    out += &events.iter().map(|(_, reason, text)| format!("event {reason}: {text}\n")).collect::<String>();
    expect.assert_eq(&out);
}

#[test]
fn a_new_job() {
    let new = |spec| {
        let mut job = job(spec, json!({}));
        job.status = None;
        job
    };
    check(
        &new(json!({"completions": 5, "parallelism": 2})),
        "",
        expect![[r#"
        create 2
          active: 2
          ready: 0
          startTime: "2026-01-01T01:00:00Z"
          terminating: 0
          uncountedTerminatedPods: {}
    "#]],
    );
    check(
        &new(json!({"completions": 1, "parallelism": 2})),
        "",
        expect![[r#"
        create 1
          active: 1
          ready: 0
          startTime: "2026-01-01T01:00:00Z"
          terminating: 0
          uncountedTerminatedPods: {}
    "#]],
    );
    check(
        &new(json!({"completions": 0})),
        "",
        expect![[r#"
        nothing
          SuccessCriteriaMet=True CompletionsReached: Reached expected number of succeeded pods
          ready: 0
          startTime: "2026-01-01T01:00:00Z"
          terminating: 0
          uncountedTerminatedPods: {}
        then
          completionTime: "2026-01-01T01:00:00Z"
          SuccessCriteriaMet=True CompletionsReached: Reached expected number of succeeded pods
          Complete=True CompletionsReached: Reached expected number of succeeded pods
        event Completed: Job completed
    "#]],
    );
    check(
        &new(json!({"suspend": true})),
        "",
        expect![[r#"
        nothing
          Suspended=True JobSuspended: Job suspended
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {}
        event Suspended: Job suspended
    "#]],
    );
}

#[test]
fn pods_that_succeed() {
    let job = job(json!({"completions": 3, "parallelism": 2}), json!({"active": 2, "succeeded": 1}));
    check(
        &job,
        "a ready\n b Succeeded\n c Succeeded free",
        expect![[r#"
        nothing
          active: 1
          ready: 1
          terminating: 0
          uncountedTerminatedPods: {"succeeded":["b"]}
        release b
        then
          succeeded: 2
          uncountedTerminatedPods: {}
    "#]],
    );
    check(
        &job,
        "a Succeeded\n b Succeeded",
        expect![[r#"
        nothing
          SuccessCriteriaMet=True CompletionsReached: Reached expected number of succeeded pods
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {"succeeded":["a","b"]}
          no active
        release a b
        then
          completionTime: "2026-01-01T01:00:00Z"
          SuccessCriteriaMet=True CompletionsReached: Reached expected number of succeeded pods
          Complete=True CompletionsReached: Reached expected number of succeeded pods
          succeeded: 3
          uncountedTerminatedPods: {}
        event Completed: Job completed
    "#]],
    );
    // Both were listed when the controller died; one has lost the finalizer.
    let mut listed = job.clone();
    let uncounted = listed.status.as_mut().unwrap().uncounted_terminated_pods.get_or_insert_default();
    uncounted.succeeded = Some(vec!["a".into(), "b".into()]);
    check(
        &listed,
        "a Succeeded free\n b Succeeded",
        expect![[r#"
        nothing
          SuccessCriteriaMet=True CompletionsReached: Reached expected number of succeeded pods
          ready: 0
          succeeded: 2
          terminating: 0
          uncountedTerminatedPods: {"succeeded":["b"]}
          no active
        release b
        then
          completionTime: "2026-01-01T01:00:00Z"
          SuccessCriteriaMet=True CompletionsReached: Reached expected number of succeeded pods
          Complete=True CompletionsReached: Reached expected number of succeeded pods
          succeeded: 3
          uncountedTerminatedPods: {}
        event Completed: Job completed
    "#]],
    );
    // Gone altogether.
    check(
        &listed,
        "",
        expect![[r#"
        nothing
          SuccessCriteriaMet=True CompletionsReached: Reached expected number of succeeded pods
          ready: 0
          succeeded: 3
          terminating: 0
          uncountedTerminatedPods: {}
          no active
        then
          completionTime: "2026-01-01T01:00:00Z"
          SuccessCriteriaMet=True CompletionsReached: Reached expected number of succeeded pods
          Complete=True CompletionsReached: Reached expected number of succeeded pods
        event Completed: Job completed
    "#]],
    );
}

#[test]
fn a_queue_without_a_number() {
    let job = job(json!({"parallelism": 3}), json!({"active": 3}));
    check(
        &job,
        "a\n b\n c",
        expect![[r#"
        nothing
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {}
    "#]],
    );
    check(
        &job,
        "a\n b\n c Succeeded",
        expect![[r#"
        nothing
          active: 2
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {"succeeded":["c"]}
        release c
        then
          succeeded: 1
          uncountedTerminatedPods: {}
    "#]],
    );
    check(
        &job,
        "a Succeeded\n b Succeeded\n c Failed",
        expect![[r#"
        nothing
          SuccessCriteriaMet=True CompletionsReached: Reached expected number of succeeded pods
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {"failed":["c"],"succeeded":["a","b"]}
          no active
        release a b c
        then
          completionTime: "2026-01-01T01:00:00Z"
          SuccessCriteriaMet=True CompletionsReached: Reached expected number of succeeded pods
          Complete=True CompletionsReached: Reached expected number of succeeded pods
          failed: 1
          succeeded: 2
          uncountedTerminatedPods: {}
        event Completed: Job completed
    "#]],
    );
}

#[test]
fn pods_that_fail() {
    let job = |failed: i32| {
        job(json!({"completions": 3, "parallelism": 2, "backoffLimit": 2}), json!({"failed": failed}))
    };
    check(
        &job(0),
        "a ready\n b Failed exit=1 ago=3",
        expect![[r#"
        wait 7 s
          active: 1
          ready: 1
          terminating: 0
          uncountedTerminatedPods: {"failed":["b"]}
        release b
        then
          failed: 1
          uncountedTerminatedPods: {}
    "#]],
    );
    check(
        &job(0),
        "a\n b Failed exit=1 ago=11",
        expect![[r#"
        create 1
          active: 2
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {"failed":["b"]}
        release b
        then
          failed: 1
          uncountedTerminatedPods: {}
    "#]],
    );
    let twice = Backoff { failures: 2, last: Some(now() - SignedDuration::from_secs(5)) };
    check_facts(
        &job(2),
        "a",
        true,
        twice,
        expect![[r#"
        wait 15 s
          active: 1
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {}
    "#]],
    );
    check(
        &job(2),
        "a ready\n b Failed exit=1",
        expect![[r#"
        stop a
          FailureTarget=True BackoffLimitExceeded: Job has reached the specified backoff limit
          ready: 0
          terminating: 1
          uncountedTerminatedPods: {"failed":["a","b"]}
        release a b
        then
          FailureTarget=True BackoffLimitExceeded: Job has reached the specified backoff limit
          failed: 4
          uncountedTerminatedPods: {}
    "#]],
    );
    // One that is deleted from outside counts as failed.
    check(
        &job(0),
        "a\n b deleting",
        expect![[r#"
        wait 10 s
          active: 1
          ready: 0
          terminating: 1
          uncountedTerminatedPods: {"failed":["b"]}
        release b
        then
          failed: 1
          uncountedTerminatedPods: {}
    "#]],
    );
}

#[test]
fn the_end_waits_for_pods_that_are_leaving() {
    let conditions = json!([{"type": "FailureTarget", "status": "True", "reason": "R", "message": "m"}]);
    let job = job(json!({"completions": 3}), json!({"failed": 1, "conditions": conditions}));
    check(
        &job,
        "a deleting free",
        expect![[r#"
        stop 
          FailureTarget=True R: m
          ready: 0
          terminating: 1
          uncountedTerminatedPods: {}
    "#]],
    );
    check(
        &job,
        "a Failed deleting free",
        expect![[r#"
        stop 
          FailureTarget=True R: m
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {}
        then
          FailureTarget=True R: m
          Failed=True R: m
        event R: m
    "#]],
    );
    check_facts(
        &job,
        "a",
        false,
        Backoff::default(),
        expect![[r#"
        stop a
          FailureTarget=True R: m
          ready: 0
          terminating: 1
          uncountedTerminatedPods: {}
    "#]],
    );
}

#[test]
fn deadlines() {
    let late = job(json!({"activeDeadlineSeconds": 3600}), json!({}));
    check(
        &late,
        "a",
        expect![[r#"
        stop a
          FailureTarget=True DeadlineExceeded: Job was active longer than specified deadline
          ready: 0
          terminating: 1
          uncountedTerminatedPods: {"failed":["a"]}
        release a
        then
          FailureTarget=True DeadlineExceeded: Job was active longer than specified deadline
          failed: 1
          uncountedTerminatedPods: {}
    "#]],
    );
    let suspended = job(json!({"activeDeadlineSeconds": 3600, "suspend": true}), json!({}));
    check(
        &suspended,
        "",
        expect![[r#"
        nothing
          Suspended=True JobSuspended: Job suspended
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {}
          no startTime
        event Suspended: Job suspended
    "#]],
    );
}

#[test]
fn suspending_and_resuming() {
    let running = job(json!({"suspend": true, "completions": 2}), json!({"active": 1, "ready": 1}));
    check(
        &running,
        "a ready\n b Succeeded",
        expect![[r#"
        remove a
          Suspended=True JobSuspended: Job suspended
          ready: 0
          terminating: 1
          uncountedTerminatedPods: {"succeeded":["b"]}
          no active
          no startTime
        event Suspended: Job suspended
        release b
        then
          Suspended=True JobSuspended: Job suspended
          succeeded: 1
          uncountedTerminatedPods: {}
    "#]],
    );
    let conditions = json!([{"type": "Suspended", "status": "True", "reason": "JobSuspended", "message": "Job suspended"}]);
    let resumed = job(json!({}), json!({"conditions": conditions, "startTime": null}));
    check(
        &resumed,
        "",
        expect![[r#"
        create 1
          active: 1
          Suspended=False JobResumed: Job resumed
          ready: 0
          startTime: "2026-01-01T01:00:00Z"
          terminating: 0
          uncountedTerminatedPods: {}
        event Resumed: Job resumed
    "#]],
    );
}

#[test]
fn too_many_pods() {
    let job = job(json!({"completions": 9, "parallelism": 1}), json!({}));
    check(
        &job,
        "a ready\n b Pending\n c",
        expect![[r#"
        remove b c
          active: 1
          ready: 1
          terminating: 2
          uncountedTerminatedPods: {}
    "#]],
    );
    check_facts(
        &job,
        "a ready\n b Pending",
        false,
        Backoff::default(),
        expect![[r#"
        not now
          active: 2
          ready: 1
          terminating: 0
          uncountedTerminatedPods: {}
    "#]],
    );
}

#[test]
fn replacement_policies() {
    let job = |policy: &str| job(json!({"podReplacementPolicy": policy}), json!({}));
    check(
        &job("TerminatingOrFailed"),
        "a deleting free",
        expect![[r#"
        create 1
          active: 1
          ready: 0
          terminating: 1
          uncountedTerminatedPods: {}
    "#]],
    );
    check(
        &job("Failed"),
        "a deleting",
        expect![[r#"
        nothing
          ready: 0
          terminating: 1
          uncountedTerminatedPods: {}
    "#]],
    );
    check(
        &job("Failed"),
        "a Failed deleting ago=20",
        expect![[r#"
        create 1
          active: 1
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {"failed":["a"]}
        release a
        then
          failed: 1
          uncountedTerminatedPods: {}
    "#]],
    );
}

#[test]
fn failure_policies() {
    let job = |rule: Value| {
        job(json!({"parallelism": 2, "completions": 2, "podFailurePolicy": {"rules": [rule]}}), json!({}))
    };
    let codes = |action: &str| json!({"action": action, "onExitCodes": {"operator": "In", "values": [42]}});
    check(
        &job(codes("FailJob")),
        "a Failed exit=42\n b",
        expect![[r#"
        stop b
          FailureTarget=True PodFailurePolicy: Container c for pod default/a failed with exit code 42 matching FailJob rule at index 0
          ready: 0
          terminating: 1
          uncountedTerminatedPods: {"failed":["a","b"]}
        release a b
        then
          FailureTarget=True PodFailurePolicy: Container c for pod default/a failed with exit code 42 matching FailJob rule at index 0
          failed: 2
          uncountedTerminatedPods: {}
    "#]],
    );
    check(
        &job(codes("FailJob")),
        "a Failed exit=41 ago=20\n b",
        expect![[r#"
        create 1
          active: 2
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {"failed":["a"]}
        release a
        then
          failed: 1
          uncountedTerminatedPods: {}
    "#]],
    );
    check(
        &job(codes("Ignore")),
        "a Failed exit=42 ago=20\n b",
        expect![[r#"
        create 1
          active: 2
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {}
        release a
    "#]],
    );
    let disrupted = json!({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]});
    check(
        &job(disrupted),
        "a Failed exit=1 disrupted ago=20\n b",
        expect![[r#"
        create 1
          active: 2
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {}
        release a
    "#]],
    );
}

#[test]
fn a_job_that_is_deleted_keeps_no_pod() {
    let mut job = job(json!({}), json!({}));
    job.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
    check(
        &job,
        "a\n b Failed",
        expect![[r#"
        not now
          active: 1
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {"failed":["b"]}
        release a b
        then
          failed: 1
          uncountedTerminatedPods: {}
    "#]],
    );
}

#[test]
fn back_off_doubles_up_to_ten_minutes() {
    let wait = |failures| Backoff { failures, last: Some(now()) }.remaining(now()).as_secs();
    assert_eq!((0..9).map(wait).collect::<Vec<_>>(), [0, 10, 20, 40, 80, 160, 320, 600, 600]);
    assert_eq!(wait(u32::MAX), 600);
    let failed = |ago: u32| pod(&format!("f Failed ago={ago}"));
    let done = |ago: u32| pod(&format!("s Succeeded ago={ago}"));
    let before = Backoff { failures: 4, last: Some(now() - SignedDuration::from_secs(100)) };
    let after = |succeeded: &[&Pod], failed: &[&Pod]| before.after(succeeded, failed).failures;
    assert_eq!(after(&[], &[&failed(3), &failed(1)]), 6);
    assert_eq!(after(&[&done(2)], &[&failed(3), &failed(1)]), 1);
    assert_eq!(after(&[&done(2)], &[]), 0);
    assert_eq!(after(&[], &[]), 4);
}
