use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update, object};

const CRON_JOB: &str = r#"{
    "metadata": {"name": "c", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": {
        "restartPolicy": "OnFailure",
        "containers": [{"name": "app", "image": "busybox:1"}]}}}}}
}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "c"}, "spec": {"schedule": "@hourly", "jobTemplate": {"spec": {"template": {"spec": {"containers": []}}}}}}"#,
        expect![[r#"
            {
              "apiVersion": "batch/v1",
              "kind": "CronJob",
              "metadata": {
                "name": "c"
              },
              "spec": {
                "concurrencyPolicy": "Allow",
                "failedJobsHistoryLimit": 1,
                "jobTemplate": {
                  "spec": {
                    "template": {
                      "spec": {
                        "containers": [],
                        "dnsPolicy": "ClusterFirst",
                        "restartPolicy": "Always",
                        "schedulerName": "default-scheduler",
                        "securityContext": {},
                        "terminationGracePeriodSeconds": 30
                      }
                    }
                  }
                },
                "schedule": "@hourly",
                "successfulJobsHistoryLimit": 3,
                "suspend": false
              }
            }
        "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &Strategy,
        CRON_JOB,
        r#"
        spec.timeZone = "Europe/Berlin"

        spec.schedule = ""

        spec.schedule = "* * * *"

        spec.schedule = "TZ=UTC 0 * * * *"

        spec.timeZone = ""

        spec.timeZone = "Nowhere/Land"

        spec.timeZone = "Local"

        spec.timeZone = "../etc"

        spec.timeZone = "europe/berlin"

        spec.startingDeadlineSeconds = -1
        spec.successfulJobsHistoryLimit = -1
        spec.failedJobsHistoryLimit = -1

        spec.concurrencyPolicy = "Maybe"

        spec.jobTemplate.spec.manualSelector = true
        spec.jobTemplate.spec.selector = {"matchLabels": {"a": "b"}}

        spec.jobTemplate.spec.template.spec.restartPolicy = "Always"
        spec.jobTemplate.spec.parallelism = -1

        metadata.name = "a123456789-123456789-123456789-123456789-123456789-12"
        "#,
        expect![[r#"
            spec.timeZone = "Europe/Berlin"
                fine
            spec.schedule = ""
                spec.schedule: Required value
            spec.schedule = "* * * *"
                spec.schedule: Invalid value: "* * * *": expected exactly 5 fields, found 4: [* * * *]
            spec.schedule = "TZ=UTC 0 * * * *"
                spec.schedule: Invalid value: "TZ=UTC 0 * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead
            spec.timeZone = ""
                spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string
            spec.timeZone = "Nowhere/Land"
                spec.timeZone: Invalid value: "Nowhere/Land": unknown time zone Nowhere/Land
            spec.timeZone = "Local"
                spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones
            spec.timeZone = "../etc"
                spec.timeZone: Invalid value: "../etc": unknown time zone ../etc
            spec.timeZone = "europe/berlin"
                spec.timeZone: Invalid value: "europe/berlin": unknown time zone europe/berlin
            spec.startingDeadlineSeconds = -1
            spec.successfulJobsHistoryLimit = -1
            spec.failedJobsHistoryLimit = -1
                spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0
                spec.successfulJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0
                spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0
            spec.concurrencyPolicy = "Maybe"
                spec.concurrencyPolicy: Unsupported value: "Maybe": supported values: "Allow", "Forbid", "Replace"
            spec.jobTemplate.spec.manualSelector = true
            spec.jobTemplate.spec.selector = {"matchLabels": {"a": "b"}}
                spec.jobTemplate.spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: `selector` will be auto-generated
                spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"
            spec.jobTemplate.spec.template.spec.restartPolicy = "Always"
            spec.jobTemplate.spec.parallelism = -1
                spec.jobTemplate.spec.parallelism: Invalid value: -1: must be greater than or equal to 0
                spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"
            metadata.name = "a123456789-123456789-123456789-123456789-123456789-12"
                metadata.name: Invalid value: "a123456789-123456789-123456789-123456789-123456789-12": must be no more than 52 characters
        "#]],
    );
}

#[test]
fn changes() {
    check_update(
        &Strategy,
        CRON_JOB,
        r#"
        spec.schedule = "@daily"
        spec.suspend = true
        spec.jobTemplate.spec.template.spec.containers[0].image = "other"

        spec.schedule = "CRON_TZ=UTC * * * * *"
        "#,
        Part::Main,
        expect![[r#"
            spec.schedule = "@daily"
            spec.suspend = true
            spec.jobTemplate.spec.template.spec.containers[0].image = "other"
                fine
            spec.schedule = "CRON_TZ=UTC * * * * *"
                spec.schedule: Invalid value: "CRON_TZ=UTC * * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead
        "#]],
    );
}

#[test]
fn rows() {
    check_rows(
        &Strategy,
        CRON_JOB,
        r#"
        # new

        spec.timeZone = "Europe/Berlin"
        spec.suspend = true
        status = {"lastScheduleTime": "2026-01-01T00:09:00Z", "active": [{"name": "c-1"}]}
        "#,
        expect![[r#"
            NAME  SCHEDULE  TIMEZONE  SUSPEND  ACTIVE  LAST SCHEDULE  AGE  CONTAINERS  IMAGES  SELECTOR
            c  * * * * *  <none>  False  0  <none>  10m  app  busybox:1  <none>
            c  * * * * *  Europe/Berlin  True  1  60s  10m  app  busybox:1  <none>
        "#]],
    );
}

#[test]
fn doubtful_ones() {
    let edits = "metadata.name = \"a.b\"\nspec.schedule = \"TZ=UTC * * * * *\"";
    let cron_job = object::<Strategy>(&Strategy, CRON_JOB, edits);
    expect![[r#"
        metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]
        CRON_TZ or TZ used in spec.schedule is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"#]].assert_eq(&crate::Strategy::warnings(&Strategy, &cron_job).join("\n"));
}
