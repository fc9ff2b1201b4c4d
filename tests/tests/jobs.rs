//! Jobs and CronJobs with real containers, as a stock kubectl sees them.

use std::time::Duration;

use e2e::{Cluster, eventually};

const JOBS: &str = r#"
apiVersion: batch/v1
kind: Job
metadata: { name: three }
spec:
  completions: 3
  parallelism: 2
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: c, image: busybox, command: [sh, -c, "echo done"] }]
---
apiVersion: batch/v1
kind: Job
metadata: { name: fails }
spec:
  backoffLimit: 1
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: c, image: busybox, command: [sh, -c, "exit 3"] }]
---
apiVersion: batch/v1
kind: Job
metadata: { name: fatal }
spec:
  backoffLimit: 6
  podFailurePolicy:
    rules: [{ action: FailJob, onExitCodes: { operator: In, values: [42] } }]
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: c, image: busybox, command: [sh, -c, "exit 42"] }]
---
apiVersion: batch/v1
kind: Job
metadata: { name: indexed }
spec:
  completions: 3
  parallelism: 3
  completionMode: Indexed
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: c, image: busybox, command: [sh, -c, "echo $JOB_COMPLETION_INDEX on $(hostname)"] }]
---
apiVersion: batch/v1
kind: Job
metadata: { name: sleepy }
spec:
  suspend: true
  template:
    spec:
      restartPolicy: OnFailure
      terminationGracePeriodSeconds: 1
      containers: [{ name: c, image: busybox, command: [sh, -c, "sleep 3600"] }]
---
apiVersion: batch/v1
kind: Job
metadata: { name: short-lived }
spec:
  ttlSecondsAfterFinished: 1
  template:
    spec:
      restartPolicy: Never
      containers: [{ name: c, image: busybox, command: ["true"] }]
"#;

fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn pods_of(cluster: &Cluster, job: &str) -> Vec<String> {
    let selector = format!("batch.kubernetes.io/job-name={job}");
    lines(&cluster.kubectl(&["get", "pods", "-l", &selector, "-o", "name"]).ok())
}

#[test]
fn jobs_run_fail_wait_and_go() {
    let cluster = Cluster::start("jobs");
    cluster.apply(JOBS);

    cluster.wait_for("condition=complete", "job/three", 120);
    let row = cluster.kubectl(&["get", "job", "three", "--no-headers"]).ok();
    assert_eq!(row.split_whitespace().take(3).collect::<Vec<_>>(), ["three", "Complete", "3/3"]);
    assert_eq!(pods_of(&cluster, "three").len(), 3);
    let pods = cluster.kubectl(&["get", "pods", "-l", "job-name=three", "-o", "json"]).ok();
    assert!(!pods.contains("batch.kubernetes.io/job-tracking"), "{pods}");
    assert_eq!(cluster.value("job", "three", "{.status.uncountedTerminatedPods}"), "{}");
    assert!(cluster.kubectl(&["describe", "job", "three"]).ok().contains("Job completed"));

    cluster.wait_for("condition=complete", "job/indexed", 120);
    let selector = "job-name=indexed";
    let logs = cluster.kubectl(&["logs", "-l", selector, "--tail=-1"]).ok();
    assert_eq!(lines(&logs), ["0 on indexed-0", "1 on indexed-1", "2 on indexed-2"]);
    assert_eq!(cluster.value("job", "indexed", "{.status.completedIndexes}"), "0-2");

    cluster.wait_for("condition=failed", "job/fatal", 120);
    let why = cluster.value("job", "fatal", r#"{.status.conditions[?(@.type=="Failed")].message}"#);
    assert!(why.contains("failed with exit code 42 matching FailJob rule at index 0"), "{why}");
    assert_eq!(cluster.value("job", "fatal", "{.status.failed}"), "1");

    // The second pod comes ten seconds after the first has failed.
    cluster.wait_for("condition=failed", "job/fails", 120);
    let why = cluster.value("job", "fails", r#"{.status.conditions[?(@.type=="Failed")].reason}"#);
    assert_eq!((why.as_str(), pods_of(&cluster, "fails").len()), ("BackoffLimitExceeded", 2));

    cluster.wait_for("delete", "job/short-lived", 120);
    eventually(Duration::from_secs(60), "its pod goes, too", || pods_of(&cluster, "short-lived").is_empty());

    let suspended = cluster.value("job", "sleepy", r#"{.status.conditions[?(@.type=="Suspended")].status}"#);
    assert_eq!((suspended.as_str(), pods_of(&cluster, "sleepy").len()), ("True", 0));
    let suspend = |to: &str| {
        cluster.kubectl(&["patch", "job", "sleepy", "-p", &format!(r#"{{"spec":{{"suspend":{to}}}}}"#)]).ok();
    };
    suspend("false");
    cluster.wait_for("jsonpath={.status.ready}=1", "job/sleepy", 120);
    suspend("true");
    cluster.wait_for("condition=suspended", "job/sleepy", 120);
    eventually(Duration::from_secs(90), "its pods go", || pods_of(&cluster, "sleepy").is_empty());
    assert_eq!(cluster.value("job", "sleepy", "{.status.failed}"), "");

    let pods = pods_of(&cluster, "three");
    cluster.kubectl(&["delete", "job", "three"]).ok();
    for pod in &pods {
        cluster.wait_for("delete", pod, 90);
    }
    cluster.kubectl(&["delete", "job", "indexed", "--cascade=orphan"]).ok();
    assert_eq!(pods_of(&cluster, "indexed").len(), 3);
}

#[test]
fn cron_jobs() {
    let cluster = Cluster::start("cron");
    let create =
        ["create", "cronjob", "tick", "--image=busybox", "--schedule=* * * * *", "--", "echo", "tick"];
    let bad = cluster.kubectl(&["create", "cronjob", "bad", "--image=busybox", "--schedule=* * *"]).fails();
    assert!(bad.contains("expected exactly 5 fields, found 3: [* * *]"), "{bad}");
    cluster.kubectl(&create).ok();
    let row = cluster.kubectl(&["get", "cj", "tick", "--no-headers"]).ok();
    let cells: Vec<_> = row.split_whitespace().take(8).collect();
    assert_eq!(cells, ["tick", "*", "*", "*", "*", "*", "<none>", "False"]);

    cluster.kubectl(&["create", "job", "by-hand", "--from=cronjob/tick"]).ok();
    cluster.wait_for("condition=complete", "job/by-hand", 120);
    assert_eq!(cluster.kubectl(&["logs", "job/by-hand"]).ok(), "tick\n");

    // As if no one had been there to see to it for a year: the last time that was missed is made up for at once.
    let missed = r#"{"status":{"lastScheduleTime":"2025-01-01T00:00:00Z"}}"#;
    cluster.kubectl(&["patch", "cronjob", "tick", "--subresource=status", "--type=merge", "-p", missed]).ok();
    let name = || cluster.kubectl(&["get", "jobs", "-o", "name"]).ok();
    eventually(Duration::from_secs(90), "a job is made", || name().contains("job.batch/tick-"));
    let job = lines(&name()).into_iter().find(|n| n.contains("tick-")).expect("a job");
    cluster.wait_for("condition=complete", &job, 120);
    eventually(Duration::from_secs(60), "its success is noted", || {
        !cluster.value("cronjob", "tick", "{.status.lastSuccessfulTime}").is_empty()
    });
    let told = cluster.kubectl(&["describe", "cronjob", "tick"]).ok();
    assert!(told.contains("Created job tick-"), "{told}");

    cluster.kubectl(&["delete", "cronjob", "tick"]).ok();
    cluster.wait_for("delete", &job, 90);
}
