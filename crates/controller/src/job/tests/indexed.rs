//! Jobs whose pods have indexes.

use super::*;

fn indexed(spec: Value, status: Value) -> Job {
    let mut all = json!({"completionMode": "Indexed", "completions": 4, "parallelism": 4});
    for (field, value) in spec.as_object().unwrap() {
        all[field] = value.clone();
    }
    job(all, status)
}

#[test]
fn indexes() {
    let job = indexed(json!({}), json!({"completedIndexes": "0", "succeeded": 1}));
    check(
        &job,
        "a index=1 Succeeded\n b index=2",
        expect![[r#"
        create [3]
          active: 2
          completedIndexes: "0,1"
          ready: 0
          succeeded: 2
          terminating: 0
          uncountedTerminatedPods: {}
        release a
    "#]],
    );
    check(
        &job,
        "a index=1\n b index=1 ready\n c\n d index=9\n e index=2\n f index=3",
        expect![[r#"
        remove a c d
          active: 3
          ready: 1
          terminating: 3
          uncountedTerminatedPods: {}
    "#]],
    );
    check(
        &job,
        "a index=1 Succeeded\n b index=2 Succeeded\n c index=3 Succeeded",
        expect![[r#"
        nothing
          completedIndexes: "0-3"
          SuccessCriteriaMet=True CompletionsReached: Reached expected number of succeeded pods
          ready: 0
          succeeded: 4
          terminating: 0
          uncountedTerminatedPods: {}
        release a b c
        then
          completionTime: "2026-01-01T01:00:00Z"
          SuccessCriteriaMet=True CompletionsReached: Reached expected number of succeeded pods
          Complete=True CompletionsReached: Reached expected number of succeeded pods
        event Completed: Job completed
    "#]],
    );
    // Shrunk: what was done beyond is forgotten.
    let shrunk = indexed(
        json!({"completions": 2, "parallelism": 2}),
        json!({"completedIndexes": "0-3", "succeeded": 4}),
    );
    check(
        &shrunk,
        "",
        expect![[r#"
        nothing
          completedIndexes: "0,1"
          SuccessCriteriaMet=True CompletionsReached: Reached expected number of succeeded pods
          ready: 0
          succeeded: 2
          terminating: 0
          uncountedTerminatedPods: {}
        then
          completionTime: "2026-01-01T01:00:00Z"
          SuccessCriteriaMet=True CompletionsReached: Reached expected number of succeeded pods
          Complete=True CompletionsReached: Reached expected number of succeeded pods
        event Completed: Job completed
    "#]],
    );
}

#[test]
fn limits_for_each_index() {
    let job =
        |most: Option<i32>| indexed(json!({"backoffLimitPerIndex": 1, "maxFailedIndexes": most}), json!({}));
    // The first failure of an index: its pod stays until it is replaced.
    check(
        &job(None),
        "a index=0 Failed exit=1 ago=3\n b index=1\n c index=2\n d index=3",
        expect![[r#"
        wait 7 s
          active: 3
          failedIndexes: ""
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {}
    "#]],
    );
    check(
        &job(None),
        "a index=0 Failed exit=1 ago=30\n b index=1\n c index=2\n d index=3",
        expect![[r#"
        create [0]
          active: 4
          failedIndexes: ""
          ready: 0
          terminating: 0
          uncountedTerminatedPods: {}
    "#]],
    );
    check(
        &job(None),
        "a index=0 Failed exit=1 ago=30\n a2 index=0 failures=1\n b index=1\n c index=2\n d index=3",
        expect![[r#"
            nothing
              active: 4
              failedIndexes: ""
              ready: 0
              terminating: 0
              uncountedTerminatedPods: {"failed":["a"]}
            release a
            then
              failed: 1
              uncountedTerminatedPods: {}
        "#]],
    );
    // The second: the index has failed.
    check(
        &job(None),
        "a index=0 Failed exit=1 failures=1\n b index=1\n c index=2\n d index=3",
        expect![[r#"
            nothing
              active: 3
              failedIndexes: "0"
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
        &job(Some(0)),
        "a index=0 Failed exit=1 failures=1\n b index=1\n c index=2\n d index=3",
        expect![[r#"
            stop b c d
              FailureTarget=True MaxFailedIndexesExceeded: Job has exceeded the specified maximal number of failed indexes
              failedIndexes: "0"
              ready: 0
              terminating: 3
              uncountedTerminatedPods: {"failed":["a","b","c","d"]}
            release a b c d
            then
              FailureTarget=True MaxFailedIndexesExceeded: Job has exceeded the specified maximal number of failed indexes
              failed: 4
              uncountedTerminatedPods: {}
        "#]],
    );
    check(
        &job(None),
        "a index=0 Failed exit=1 failures=1\n b index=1 Succeeded\n c index=2 Succeeded\n d index=3 Succeeded",
        expect![[r#"
            stop 
              completedIndexes: "1-3"
              FailureTarget=True FailedIndexes: Job has failed indexes
              failedIndexes: "0"
              ready: 0
              succeeded: 3
              terminating: 0
              uncountedTerminatedPods: {"failed":["a"]}
            release a b c d
            then
              FailureTarget=True FailedIndexes: Job has failed indexes
              Failed=True FailedIndexes: Job has failed indexes
              failed: 1
              uncountedTerminatedPods: {}
            event FailedIndexes: Job has failed indexes
        "#]],
    );
}

#[test]
fn an_exit_code_fails_an_index() {
    let rule = json!({"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [1]}});
    let job = indexed(json!({"backoffLimitPerIndex": 5, "podFailurePolicy": {"rules": [rule]}}), json!({}));
    check(
        &job,
        "a index=0 Failed exit=3\n b index=1\n c index=2\n d index=3",
        expect![[r#"
        nothing
          active: 3
          failedIndexes: "0"
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
fn success_policies() {
    let job = |rule: Value| indexed(json!({"successPolicy": {"rules": [rule]}}), json!({}));
    check(
        &job(json!({"succeededIndexes": "1"})),
        "a index=0\n b index=1 Succeeded\n c index=2 ready",
        expect![[r#"
            stop a c
              completedIndexes: "1"
              SuccessCriteriaMet=True SuccessPolicy: Matched rules at index 0
              ready: 0
              succeeded: 1
              terminating: 2
              uncountedTerminatedPods: {}
            release a b c
        "#]],
    );
    check(
        &job(json!({"succeededCount": 2})),
        "a index=0 Succeeded\n b index=1 Succeeded\n c index=2",
        expect![[r#"
            stop c
              completedIndexes: "0,1"
              SuccessCriteriaMet=True SuccessPolicy: Matched rules at index 0
              ready: 0
              succeeded: 2
              terminating: 1
              uncountedTerminatedPods: {}
            release a b c
        "#]],
    );
    check(
        &job(json!({"succeededIndexes": "0-2", "succeededCount": 2})),
        "a index=0 Succeeded\n b index=1\n c index=2\n d index=3 Succeeded",
        expect![[r#"
            nothing
              active: 2
              completedIndexes: "0,3"
              ready: 0
              succeeded: 2
              terminating: 0
              uncountedTerminatedPods: {}
            release a d
        "#]],
    );
}

#[test]
fn pods_of_indexes() {
    let job = indexed(json!({"backoffLimitPerIndex": 3}), json!({}));
    let before = pod("a index=2 failures=1 Failed");
    let released = HashSet::new();
    let facts = Facts {
        job: &job,
        pods: &[],
        released: &released,
        settled: true,
        backoff: Backoff::default(),
        now: now(),
    };
    let pod = super::super::pods::make(&facts, Some(2), Some(&before));
    let shown: Value = serde_json::from_slice(&pod.to_json()).unwrap();
    expect![[r#"
        {
          "apiVersion": "v1",
          "kind": "Pod",
          "metadata": {
            "annotations": {
              "batch.kubernetes.io/job-completion-index": "2",
              "batch.kubernetes.io/job-index-failure-count": "2"
            },
            "finalizers": [
              "batch.kubernetes.io/job-tracking"
            ],
            "generateName": "j-2-",
            "labels": {
              "batch.kubernetes.io/job-completion-index": "2"
            },
            "namespace": "default",
            "ownerReferences": [
              {
                "apiVersion": "batch/v1",
                "blockOwnerDeletion": true,
                "controller": true,
                "kind": "Job",
                "name": "j",
                "uid": "job"
              }
            ]
          },
          "spec": {
            "containers": [
              {
                "env": [
                  {
                    "name": "JOB_COMPLETION_INDEX",
                    "valueFrom": {
                      "fieldRef": {
                        "fieldPath": "metadata.labels['batch.kubernetes.io/job-completion-index']"
                      }
                    }
                  }
                ],
                "image": "i",
                "imagePullPolicy": "Always",
                "name": "c",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File"
              }
            ],
            "dnsPolicy": "ClusterFirst",
            "hostname": "j-2",
            "restartPolicy": "Never",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "terminationGracePeriodSeconds": 30
          }
        }
    "#]]
    .assert_eq(&(serde_json::to_string_pretty(&shown).unwrap() + "\n"));
    let mut long = job.clone();
    long.metadata.name = Some("x".repeat(63));
    let facts = Facts { job: &long, ..facts };
    let prefix = super::super::pods::make(&facts, Some(10), None).metadata.generate_name.unwrap();
    assert_eq!(prefix, format!("{}-10-", "x".repeat(54)));
}
