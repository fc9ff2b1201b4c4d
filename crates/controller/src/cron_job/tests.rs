//! What is due when, and what comes of it.

use std::collections::HashSet;

use codec::Kind;
use expect_test::{Expect, expect};
use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use serde_json::{Value, json};

use super::plan::{Facts, plan};

fn cron_job(spec: Value, status: Value) -> CronJob {
    let mut cron_job = json!({"metadata": {"name": "c", "namespace": "default", "uid": "cron",
        "creationTimestamp": "2026-01-01T00:00:30Z"}, "status": status,
        "spec": {"schedule": "*/10 * * * *", "concurrencyPolicy": "Allow", "jobTemplate": {"metadata": {"labels": {"a": "b"}},
        "spec": {"template": {}}}}});
    for (field, value) in spec.as_object().unwrap() {
        cron_job["spec"][field] = value.clone();
    }
    CronJob::from_json(cron_job.to_string().as_bytes()).unwrap()
}

/// `NAME [Complete | Failed] [start=MINUTE]`
fn job(line: &str) -> Job {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap();
    let mut job = json!({"metadata": {"name": name, "namespace": "default", "uid": name}, "spec": {"template": {}}, "status": {}});
    for word in words {
        match word.split_once('=') {
            Some((_, minute)) => {
                job["status"]["startTime"] = format!("2026-01-01T00:{minute}:00Z").into();
                job["status"]["completionTime"] = format!("2026-01-01T00:{minute}:05Z").into();
            }
            None => job["status"]["conditions"] = json!([{"type": word, "status": "True"}]),
        }
    }
    Job::from_json(job.to_string().as_bytes()).unwrap()
}

#[track_caller]
fn check(cron_job: &CronJob, now: &str, jobs: &str, expect: Expect) {
    let jobs: Vec<Job> = jobs.lines().map(str::trim).filter(|l| !l.is_empty()).map(job).collect();
    let missing = HashSet::from(["lost".to_owned()]);
    let facts =
        Facts { cron_job, jobs: &jobs, missing: &missing, now: now.parse().unwrap(), local: &TimeZone::UTC };
    let plan = plan(&facts);
    let mut out = String::new();
    if let Some(run) = &plan.run {
        let annotations = run.job.metadata.annotations.clone().unwrap_or_default();
        let replaced: Vec<_> = run.replace.iter().flat_map(|r| &r.name).collect();
        out += &format!(
            "run {} {:?} replacing {replaced:?}\n",
            run.job.name(),
            annotations.values().collect::<Vec<_>>()
        );
    }
    for (_, reason, message) in &plan.events {
        out += &format!("event {reason}: {message}\n");
    }
    if !plan.history.is_empty() {
        out += &format!("forget {:?}\n", plan.history.iter().map(|j| j.name()).collect::<Vec<_>>());
    }
    let active: Vec<_> = plan.status.active.iter().flatten().flat_map(|a| &a.name).collect();
    out += &format!("active {active:?}\n");
    if let Some(last) = &plan.status.last_successful_time {
        out += &format!("last success {}\n", last.0);
    }
    out += &plan.wait.map_or("wait for a change\n".into(), |w| format!("wait {:.1} s\n", w.as_secs_f64()));
    expect.assert_eq(&out);
}

fn active(names: &[&str]) -> Value {
    names.iter().map(|n| json!({"name": n, "uid": n, "namespace": "default"})).collect()
}

#[test]
fn before_the_first_time() {
    check(
        &cron_job(json!({}), json!({})),
        "2026-01-01T00:05:00Z",
        "",
        expect![[r#"
        active []
        wait 300.1 s
    "#]],
    );
}

#[test]
fn in_time() {
    check(
        &cron_job(json!({}), json!({})),
        "2026-01-01T00:10:00.1Z",
        "",
        expect![[r#"
        run c-29453770 ["2026-01-01T00:10:00Z"] replacing []
        active []
        wait 600.0 s
    "#]],
    );
    // Made, and written down.
    let done = json!({"lastScheduleTime": "2026-01-01T00:10:00Z", "active": active(&["c-29453770"])});
    check(
        &cron_job(json!({}), done),
        "2026-01-01T00:10:00.2Z",
        "c-29453770",
        expect![[r#"
        active ["c-29453770"]
        wait 599.9 s
    "#]],
    );
    let zone = json!({"schedule": "0 2 * * *", "timeZone": "Europe/Berlin"});
    check(
        &cron_job(zone, json!({})),
        "2026-01-01T01:00:00.1Z",
        "",
        expect![[r#"
        run c-29453820 ["2026-01-01T02:00:00+01:00"] replacing []
        active []
        wait 86400.0 s
    "#]],
    );
}

#[test]
fn missed_times() {
    // Only the last is made up for.
    check(
        &cron_job(json!({}), json!({})),
        "2026-01-01T00:45:00Z",
        "",
        expect![[r#"
        run c-29453800 ["2026-01-01T00:40:00Z"] replacing []
        active []
        wait 300.1 s
    "#]],
    );
    check(
        &cron_job(json!({"startingDeadlineSeconds": 60}), json!({})),
        "2026-01-01T00:45:00Z",
        "",
        expect![[r#"
            active []
            wait 300.1 s
        "#]],
    );
    check(
        &cron_job(json!({}), json!({})),
        "2026-01-02T00:05:00Z",
        "",
        expect![[r#"
        run c-29455200 ["2026-01-02T00:00:00Z"] replacing []
        event TooManyMissedTimes: too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew
        active []
        wait 300.1 s
    "#]],
    );
    check(
        &cron_job(json!({"startingDeadlineSeconds": 600}), json!({})),
        "2026-01-02T00:05:00Z",
        "",
        expect![[r#"
            run c-29455200 ["2026-01-02T00:00:00Z"] replacing []
            active []
            wait 300.1 s
        "#]],
    );
    let workdays = json!({"schedule": "30 6-16/4 * * 1-5"});
    check(
        &cron_job(workdays, json!({})),
        "2026-01-05T11:00:00Z",
        "",
        expect![[r#"
        run c-29460150 ["2026-01-05T10:30:00Z"] replacing []
        active []
        wait 12600.1 s
    "#]],
    );
}

#[test]
fn concurrency() {
    let running = || json!({"lastScheduleTime": "2026-01-01T00:00:00Z", "active": active(&["old"])});
    for policy in ["Allow", "Forbid", "Replace"] {
        let expect = match policy {
            "Allow" => expect![[r#"
                run c-29453770 ["2026-01-01T00:10:00Z"] replacing []
                active ["old"]
                wait 599.1 s
            "#]],
            "Forbid" => expect![[r#"
                event JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid
                active ["old"]
                wait 599.1 s
            "#]],
            _ => expect![[r#"
                run c-29453770 ["2026-01-01T00:10:00Z"] replacing ["old"]
                active ["old"]
                wait 599.1 s
            "#]],
        };
        check(
            &cron_job(json!({"concurrencyPolicy": policy}), running()),
            "2026-01-01T00:10:01Z",
            "old",
            expect,
        );
    }
}

#[test]
fn the_list_of_active_jobs() {
    let status = json!({"lastScheduleTime": "2026-01-01T00:10:00Z", "active": active(&["a", "b", "lost"])});
    check(
        &cron_job(json!({}), status),
        "2026-01-01T00:11:00Z",
        "a Complete start=02\n b\n x",
        expect![[r#"
        event SawCompletedJob: Saw completed job: a, condition: Complete
        event UnexpectedJob: Saw a job that the controller did not create or forgot: x
        event MissingJob: Active job went missing: lost
        active ["b"]
        last success 2026-01-01T00:02:05Z
        wait 540.1 s
    "#]],
    );
}

#[test]
fn history() {
    let limits = json!({"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0, "suspend": true});
    let jobs = "a Complete start=03\n b Complete start=01\n c Complete start=02\n d Failed start=04\n e";
    check(
        &cron_job(limits, json!({"active": active(&["e"])})),
        "2026-01-01T00:11:00Z",
        jobs,
        expect![[r#"
        forget ["b", "c", "d"]
        active ["e"]
        last success 2026-01-01T00:03:05Z
        wait for a change
    "#]],
    );
}

#[test]
fn what_cannot_be_scheduled() {
    check(
        &cron_job(json!({"suspend": true}), json!({})),
        "2026-01-01T00:11:00Z",
        "",
        expect![[r#"
        active []
        wait for a change
    "#]],
    );
    check(
        &cron_job(json!({"timeZone": "Nowhere/Land"}), json!({})),
        "2026-01-01T00:11:00Z",
        "",
        expect![[r#"
            event UnknownTimeZone: invalid timeZone: "Nowhere/Land": unknown time zone Nowhere/Land
            active []
            wait for a change
        "#]],
    );
    check(
        &cron_job(json!({"schedule": "x"}), json!({})),
        "2026-01-01T00:11:00Z",
        "",
        expect![[r#"
        event UnparseableSchedule: unparseable schedule: "x" : expected exactly 5 fields, found 1: [x]
        active []
        wait for a change
    "#]],
    );
    check(
        &cron_job(json!({"schedule": "59 23 31 2 *"}), json!({})),
        "2026-01-01T00:11:00Z",
        "",
        expect![[r#"
            event InvalidSchedule: invalid schedule: 59 23 31 2 * : time difference between two schedules is less than 1 second
            active []
            wait for a change
        "#]],
    );
}
