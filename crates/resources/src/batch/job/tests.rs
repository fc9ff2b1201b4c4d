use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update, object};

const JOB: &str = r#"{
    "metadata": {"name": "j", "namespace": "default", "uid": "u-1", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"completions": 3, "template": {"spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "app", "image": "busybox:1"}]}}}
}"#;

const INDEXED: &str = r#"{
    "metadata": {"name": "j", "namespace": "default", "uid": "u-1"},
    "spec": {"completions": 4, "parallelism": 4, "completionMode": "Indexed", "backoffLimitPerIndex": 1,
        "template": {"spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "app", "image": "busybox:1"}]}}}
}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "j"}, "spec": {"template": {"spec": {"containers": []}},
            "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}}}"#,
        expect![[r#"
            {
              "apiVersion": "batch/v1",
              "kind": "Job",
              "metadata": {
                "name": "j"
              },
              "spec": {
                "backoffLimit": 6,
                "completionMode": "NonIndexed",
                "completions": 1,
                "manualSelector": false,
                "parallelism": 1,
                "podFailurePolicy": {
                  "rules": [
                    {
                      "action": "Ignore",
                      "onPodConditions": [
                        {
                          "status": "True",
                          "type": "DisruptionTarget"
                        }
                      ]
                    }
                  ]
                },
                "podReplacementPolicy": "Failed",
                "suspend": false,
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
            }
        "#]],
    );
}

#[test]
fn what_defaults_depend_on() {
    let spec = |edits: &str| object::<Strategy>(&Strategy, JOB, edits).spec.unwrap();
    let queue = spec("- spec.completions\nspec.parallelism = 2");
    assert_eq!((queue.completions, queue.parallelism), (None, Some(2)));
    assert_eq!(spec("- spec.completions").completions, Some(1));
    assert_eq!(spec("spec.backoffLimitPerIndex = 1").backoff_limit, Some(i32::MAX));
}

#[test]
fn a_new_job_gets_a_selector_and_labels() {
    let mut job = object::<Strategy>(&Strategy, JOB, "");
    crate::Strategy::prepare_create(&Strategy, &mut job);
    let labels = expect![[r#"
        Some(
            {
                "batch.kubernetes.io/controller-uid": "u-1",
                "batch.kubernetes.io/job-name": "j",
                "controller-uid": "u-1",
                "job-name": "j",
            },
        )
        Some("{\"matchLabels\":{\"batch.kubernetes.io/controller-uid\":\"u-1\"}}")
    "#]];
    labels.assert_eq(&format!(
        "{:#?}\n{:?}\n",
        job.metadata.labels,
        job.job_spec().selector.as_ref().map(crate::apps::replica_set::selector_json),
    ));
    let mut manual = object::<Strategy>(&Strategy, JOB, "spec.manualSelector = true");
    crate::Strategy::prepare_create(&Strategy, &mut manual);
    assert_eq!(manual.job_spec().selector, None);
}

#[test]
fn rules() {
    check_create(
        &Strategy,
        JOB,
        r#"
        spec.parallelism = 2

        spec.parallelism = -1
        spec.completions = -1
        spec.activeDeadlineSeconds = -1
        spec.backoffLimit = -1
        spec.ttlSecondsAfterFinished = -1

        spec.template.spec.restartPolicy = "Always"

        - spec.template.spec.restartPolicy

        spec.template.spec.restartPolicy = "Sometimes"

        spec.completionMode = "Sorted"

        spec.backoffLimitPerIndex = 1
        spec.maxFailedIndexes = 1

        spec.maxFailedIndexes = 1

        spec.managedBy = "other"

        spec.managedBy = "a_b/c d"

        spec.managedBy = ""

        spec.podReplacementPolicy = "Never"

        spec.template.metadata.labels = {"job-name": "other"}

        spec.selector = {"matchLabels": {"a": "b"}}

        spec.manualSelector = true

        spec.manualSelector = true
        spec.selector = {"matchLabels": {"a": "b"}}
        spec.template.metadata.labels = {"a": "b"}

        spec.template.spec.containers[0].name = "A"
        "#,
        expect![[r#"
            spec.parallelism = 2
                fine
            spec.parallelism = -1
            spec.completions = -1
            spec.activeDeadlineSeconds = -1
            spec.backoffLimit = -1
            spec.ttlSecondsAfterFinished = -1
                spec.parallelism: Invalid value: -1: must be greater than or equal to 0
                spec.completions: Invalid value: -1: must be greater than or equal to 0
                spec.activeDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0
                spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0
                spec.ttlSecondsAfterFinished: Invalid value: -1: must be greater than or equal to 0
            spec.template.spec.restartPolicy = "Always"
                spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"
            - spec.template.spec.restartPolicy
                spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"
            spec.template.spec.restartPolicy = "Sometimes"
                spec.template.spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"
                spec.template.spec.restartPolicy: Unsupported value: "Sometimes": supported values: "OnFailure", "Never"
            spec.completionMode = "Sorted"
                spec.completionMode: Unsupported value: "Sorted": supported values: "NonIndexed", "Indexed"
            spec.backoffLimitPerIndex = 1
            spec.maxFailedIndexes = 1
                spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode
                spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode
            spec.maxFailedIndexes = 1
                spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified
                spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode
            spec.managedBy = "other"
                spec.managedBy: Invalid value: "other": must be a domain-prefixed path (such as "acme.io/foo")
            spec.managedBy = "a_b/c d"
                spec.managedBy: Invalid value: "a_b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
                spec.managedBy: Invalid value: "c d": Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')
            spec.managedBy = ""
                spec.managedBy: Required value
            spec.podReplacementPolicy = "Never"
                spec.podReplacementPolicy: Unsupported value: "Never": supported values: "Failed", "TerminatingOrFailed"
            spec.template.metadata.labels = {"job-name": "other"}
                spec.template.metadata.labels[job-name]: Invalid value: {"batch.kubernetes.io/controller-uid":"u-1","batch.kubernetes.io/job-name":"j","controller-uid":"u-1","job-name":"other"}: must be 'j'
            spec.selector = {"matchLabels": {"a": "b"}}
                spec.selector: Invalid value: {"matchLabels":{"a":"b","batch.kubernetes.io/controller-uid":"u-1"}}: `selector` not auto-generated
                spec.template.metadata.labels: Invalid value: {"batch.kubernetes.io/controller-uid":"u-1","batch.kubernetes.io/job-name":"j","controller-uid":"u-1","job-name":"j"}: `selector` does not match template `labels`
            spec.manualSelector = true
                spec.selector: Required value
                spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`
            spec.manualSelector = true
            spec.selector = {"matchLabels": {"a": "b"}}
            spec.template.metadata.labels = {"a": "b"}
                fine
            spec.template.spec.containers[0].name = "A"
                spec.template.spec.containers[0].name: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
        "#]],
    );
}

#[test]
fn rules_of_indexed_jobs() {
    check_create(
        &Strategy,
        INDEXED,
        r#"
        spec.suspend = true

        - spec.completions

        spec.parallelism = 200000

        spec.maxFailedIndexes = 5

        spec.completions = 200000
        spec.parallelism = 20000

        spec.completions = 200000
        spec.parallelism = 10
        spec.maxFailedIndexes = 20000

        metadata.name = "a.b"

        spec.successPolicy = {"rules": []}

        spec.successPolicy = {"rules": [{}]}

        spec.successPolicy = {"rules": [{"succeededIndexes": "0-1,7", "succeededCount": 5}]}

        spec.successPolicy = {"rules": [{"succeededIndexes": "0-1,3", "succeededCount": 4}]}

        spec.successPolicy = {"rules": [{"succeededIndexes": "0-1,3", "succeededCount": 2}]}

        spec.completionMode = "NonIndexed"
        spec.successPolicy = {"rules": [{"succeededCount": 1}]}
        "#,
        expect![[r#"
            spec.suspend = true
                fine
            - spec.completions
                spec.completions: Required value: when completion mode is Indexed
            spec.parallelism = 200000
                spec.parallelism: Invalid value: 200000: must be less than or equal to 100000 when completion mode is Indexed
            spec.maxFailedIndexes = 5
                spec.maxFailedIndexes: Invalid value: 5: must be less than or equal to completions
            spec.completions = 200000
            spec.parallelism = 20000
                spec.maxFailedIndexes: Required value: must be specified when completions is above 100000
                spec.parallelism: Invalid value: 20000: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index
            spec.completions = 200000
            spec.parallelism = 10
            spec.maxFailedIndexes = 20000
                spec.maxFailedIndexes: Invalid value: 20000: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index
            metadata.name = "a.b"
                metadata.name: Invalid value: "a.b": will not able to create pod with invalid DNS label: a.b-3
            spec.successPolicy = {"rules": []}
                spec.successPolicy.rules: Required value: at least one rules must be specified when the successPolicy is specified
            spec.successPolicy = {"rules": [{}]}
                spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified
            spec.successPolicy = {"rules": [{"succeededIndexes": "0-1,7", "succeededCount": 5}]}
                spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0-1,7": error parsing succeededIndexes: too large index: "7"
                spec.successPolicy.rules[0].succeededCount: Invalid value: 5: must be less than or equal to 4 (the number of specified completions)
                spec.successPolicy.rules[0].succeededCount: Invalid value: 5: must be less than or equal to 0 (the number of indexes in the specified succeededIndexes field)
            spec.successPolicy = {"rules": [{"succeededIndexes": "0-1,3", "succeededCount": 4}]}
                spec.successPolicy.rules[0].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of indexes in the specified succeededIndexes field)
            spec.successPolicy = {"rules": [{"succeededIndexes": "0-1,3", "succeededCount": 2}]}
                fine
            spec.completionMode = "NonIndexed"
            spec.successPolicy = {"rules": [{"succeededCount": 1}]}
                spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode
                spec.successPolicy: Invalid value: {"Rules":[{"SucceededCount":1,"SucceededIndexes":null}]}: requires indexed completion mode
        "#]],
    );
}

#[test]
fn rules_of_failure_policies() {
    check_create(
        &Strategy,
        JOB,
        r#"
        spec.podFailurePolicy.rules = [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 42]}}]

        spec.podFailurePolicy.rules = [{"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [0]}}]

        spec.podFailurePolicy.rules = [{"action": "", "onExitCodes": {"operator": "", "values": []}}]

        spec.podFailurePolicy.rules = [{"action": "Panic", "onExitCodes": {"operator": "Like", "values": [3, 0, 3], "containerName": "x"}}]

        spec.podFailurePolicy.rules = [{"action": "Ignore"}, {"action": "Count", "onExitCodes": {"operator": "In", "values": [0]}, "onPodConditions": [{"type": "a b", "status": "Maybe"}]}]

        spec.podFailurePolicy.rules = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]
        spec.template.spec.restartPolicy = "OnFailure"
        spec.podReplacementPolicy = "TerminatingOrFailed"
        "#,
        expect![[r#"
            spec.podFailurePolicy.rules = [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 42]}}]
                fine
            spec.podFailurePolicy.rules = [{"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [0]}}]
                spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set
            spec.podFailurePolicy.rules = [{"action": "", "onExitCodes": {"operator": "", "values": []}}]
                spec.podFailurePolicy.rules[0].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]
                spec.podFailurePolicy.rules[0].onExitCodes.operator: Required value: valid values: ["In" "NotIn"]
                spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: []: at least one value is required
            spec.podFailurePolicy.rules = [{"action": "Panic", "onExitCodes": {"operator": "Like", "values": [3, 0, 3], "containerName": "x"}}]
                spec.podFailurePolicy.rules[0].action: Unsupported value: "Panic": supported values: "Count", "FailIndex", "FailJob", "Ignore"
                spec.podFailurePolicy.rules[0].onExitCodes.operator: Unsupported value: "Like": supported values: "In", "NotIn"
                spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "x": must be one of the container or initContainer names in the pod template
                spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate value: 3
                spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,0,3]: must be ordered
            spec.podFailurePolicy.rules = [{"action": "Ignore"}, {"action": "Count", "onExitCodes": {"operator": "In", "values": [0]}, "onPodConditions": [{"type": "a b", "status": "Maybe"}]}]
                spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required
                spec.podFailurePolicy.rules[1].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator
                spec.podFailurePolicy.rules[1].onPodConditions[0].type: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                spec.podFailurePolicy.rules[1].onPodConditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"
                spec.podFailurePolicy.rules[1]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported
            spec.podFailurePolicy.rules = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]
            spec.template.spec.restartPolicy = "OnFailure"
            spec.podReplacementPolicy = "TerminatingOrFailed"
                spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"
                spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified
        "#]],
    );
}

#[test]
fn changes() {
    check_update(
        &Strategy,
        JOB,
        r#"
        spec.parallelism = 5
        spec.suspend = true
        spec.activeDeadlineSeconds = 5
        spec.backoffLimit = 0

        spec.completions = 5

        spec.completionMode = "Indexed"
        spec.managedBy = "a.b/c"
        spec.template.spec.containers[0].image = "other"

        spec.selector.matchLabels = {"job-name": "j"}

        spec.template.spec.nodeSelector = {"zone": "a"}
        "#,
        Part::Main,
        expect![[r#"
            spec.parallelism = 5
            spec.suspend = true
            spec.activeDeadlineSeconds = 5
            spec.backoffLimit = 0
                fine
            spec.completions = 5
                spec.completions: Invalid value: 5: field is immutable
            spec.completionMode = "Indexed"
            spec.managedBy = "a.b/c"
            spec.template.spec.containers[0].image = "other"
                spec.template: Invalid value: {"metadata":{"labels":{"batch.kubernetes.io/controller-uid":"u-1","batch.kubernetes.io/job-name":"j","controller-uid":"u-1","job-name":"j"}},"spec":{"containers":[{"image":"other","imagePullPolicy":"IfNotPresent","name":"app","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],"dnsPolicy":"ClusterFirst","restartPolicy":"Never","schedulerName":"default-scheduler","securityContext":{},"terminationGracePeriodSeconds":30}}: field is immutable
                spec.completionMode: Invalid value: "Indexed": field is immutable
                spec.managedBy: Invalid value: "a.b/c": field is immutable
            spec.selector.matchLabels = {"job-name": "j"}
                spec.selector: Invalid value: {"matchLabels":{"job-name":"j"}}: field is immutable
            spec.template.spec.nodeSelector = {"zone": "a"}
                spec.template: Invalid value: {"metadata":{"labels":{"batch.kubernetes.io/controller-uid":"u-1","batch.kubernetes.io/job-name":"j","controller-uid":"u-1","job-name":"j"}},"spec":{"containers":[{"image":"busybox:1","imagePullPolicy":"IfNotPresent","name":"app","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],"dnsPolicy":"ClusterFirst","nodeSelector":{"zone":"a"},"restartPolicy":"Never","schedulerName":"default-scheduler","securityContext":{},"terminationGracePeriodSeconds":30}}: field is immutable
        "#]],
    );
}

#[test]
fn changes_of_suspended_jobs() {
    let suspended = JOB.replace("\"completions\": 3", "\"suspend\": true");
    check_update(
        &Strategy,
        &suspended,
        r#"
        spec.template.spec.nodeSelector = {"zone": "a"}
        spec.template.spec.tolerations = [{"operator": "Exists"}]
        spec.template.spec.schedulingGates = [{"name": "a/b"}]
        spec.template.spec.affinity.nodeAffinity = {}
        spec.template.metadata.annotations = {"a": "b"}
        spec.template.spec.containers[0].resources.requests = {"cpu": "2"}

        spec.template.spec.containers[0].image = "other"

        spec.template.spec.priorityClassName = "x"
        "#,
        Part::Main,
        expect![[r#"
            spec.template.spec.nodeSelector = {"zone": "a"}
            spec.template.spec.tolerations = [{"operator": "Exists"}]
            spec.template.spec.schedulingGates = [{"name": "a/b"}]
            spec.template.spec.affinity.nodeAffinity = {}
            spec.template.metadata.annotations = {"a": "b"}
            spec.template.spec.containers[0].resources.requests = {"cpu": "2"}
                fine
            spec.template.spec.containers[0].image = "other"
                spec.template: Invalid value: {"metadata":{"labels":{"batch.kubernetes.io/controller-uid":"u-1","batch.kubernetes.io/job-name":"j","controller-uid":"u-1","job-name":"j"}},"spec":{"containers":[{"image":"other","imagePullPolicy":"IfNotPresent","name":"app","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],"dnsPolicy":"ClusterFirst","restartPolicy":"Never","schedulerName":"default-scheduler","securityContext":{},"terminationGracePeriodSeconds":30}}: field is immutable
            spec.template.spec.priorityClassName = "x"
                spec.template: Invalid value: {"metadata":{"labels":{"batch.kubernetes.io/controller-uid":"u-1","batch.kubernetes.io/job-name":"j","controller-uid":"u-1","job-name":"j"}},"spec":{"containers":[{"image":"busybox:1","imagePullPolicy":"IfNotPresent","name":"app","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],"dnsPolicy":"ClusterFirst","priorityClassName":"x","restartPolicy":"Never","schedulerName":"default-scheduler","securityContext":{},"terminationGracePeriodSeconds":30}}: field is immutable
        "#]],
    );
}

#[test]
fn elastic_indexed_jobs() {
    check_update(
        &Strategy,
        INDEXED,
        r#"
        spec.completions = 6
        spec.parallelism = 6

        spec.completions = 6

        spec.backoffLimitPerIndex = 2
        "#,
        Part::Main,
        expect![[r#"
            spec.completions = 6
            spec.parallelism = 6
                fine
            spec.completions = 6
                spec.completions: Invalid value: 6: can only be modified in tandem with spec.parallelism
            spec.backoffLimitPerIndex = 2
                spec.backoffLimitPerIndex: Invalid value: 2: field is immutable
        "#]],
    );
}

#[test]
fn statuses() {
    let running = JOB.replace(
        "\"spec\"",
        r#""status": {"startTime": "2026-01-01T00:00:00Z", "active": 1, "failed": 1, "succeeded": 1}, "spec""#,
    );
    check_update(
        &Strategy,
        &running,
        r#"
        status.ready = 1
        status.conditions = [{"type": "Custom", "status": "True"}]

        status.active = -1
        status.failed = 0
        status.succeeded = 0
        status.ready = 2

        - status.startTime

        status.conditions = [{"type": "Complete", "status": "True"}]

        status.conditions = [{"type": "Failed", "status": "True"}, {"type": "SuccessCriteriaMet", "status": "True"}]
        status.uncountedTerminatedPods = {"failed": ["a", ""], "succeeded": ["a"]}

        status.active = 0
        status.conditions = [{"type": "Complete", "status": "True"}, {"type": "SuccessCriteriaMet", "status": "True"}]
        status.completionTime = "2026-01-01T00:00:01Z"

        status.completionTime = "2025-01-01T00:00:01Z"
        status.completedIndexes = "1"
        status.failedIndexes = "1,0"
        "#,
        Part::Status,
        expect![[r#"
            status.ready = 1
            status.conditions = [{"type": "Custom", "status": "True"}]
                fine
            status.active = -1
            status.failed = 0
            status.succeeded = 0
            status.ready = 2
                status.active: Invalid value: -1: must be greater than or equal to 0
                status.ready: Invalid value: 2: cannot set more ready pods than active
            - status.startTime
                fine
            status.conditions = [{"type": "Complete", "status": "True"}]
                status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition
                status.completionTime: Required value: completionTime is required for Complete jobs
                status.active: Invalid value: 1: active>0 is invalid for finished job
            status.conditions = [{"type": "Failed", "status": "True"}, {"type": "SuccessCriteriaMet", "status": "True"}]
            status.uncountedTerminatedPods = {"failed": ["a", ""], "succeeded": ["a"]}
                status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"
                status.uncountedTerminatedPods.failed[1]: Invalid value: "": must not be empty
                status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition
                status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and Failed=true conditions
                status.active: Invalid value: 1: active>0 is invalid for finished job
                status.uncountedTerminatedPods: Invalid value: {"Failed":["a",""],"Succeeded":["a"]}: uncountedTerminatedPods needs to be empty for finished job
            status.active = 0
            status.conditions = [{"type": "Complete", "status": "True"}, {"type": "SuccessCriteriaMet", "status": "True"}]
            status.completionTime = "2026-01-01T00:00:01Z"
                fine
            status.completionTime = "2025-01-01T00:00:01Z"
            status.completedIndexes = "1"
            status.failedIndexes = "1,0"
                status.completionTime: Invalid value: "2025-01-01T00:00:01Z": cannot set completionTime when there is no Complete=True condition
                status.completionTime: Invalid value: "2025-01-01T00:00:01Z": completionTime cannot be set before startTime
                status.completedIndexes: Invalid value: "1": cannot set non-empty completedIndexes when non-indexed completion mode
                status.failedIndexes: Invalid value: "1,0": cannot set non-null failedIndexes when backoffLimitPerIndex is null
                status.failedIndexes: Invalid value: "1,0": failedIndexes and completedIndexes overlap at index: 1
        "#]],
    );
}

#[test]
fn what_a_status_has_said_stays() {
    let status = |edits: &str| object::<Strategy>(&Strategy, JOB, edits);
    let old = status(
        r#"
        status = {"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:09Z", "failed": 1, "succeeded": 3}
        status.conditions = [{"type": "Complete", "status": "True"}, {"type": "SuccessCriteriaMet", "status": "True"}]
        "#,
    );
    let new = status(r#"status = {"completionTime": "2026-01-01T00:00:08Z"}"#);
    let errors = crate::Strategy::validate_update(&Strategy, &new, &old, Part::Status);
    expect![[r#"
        status.completionTime: Invalid value: "2026-01-01T00:00:08Z": cannot set completionTime when there is no Complete=True condition
        status.completionTime: Invalid value: "2026-01-01T00:00:08Z": completionTime cannot be mutated
        status.startTime: Required value: startTime cannot be removed for unsuspended job
        status.conditions: Invalid value: cannot disable the terminal Complete=True condition
        status.failed: Invalid value: 0: cannot decrease the failed counter
        status.succeeded: Invalid value: 0: cannot decrease the succeeded counter
        status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition
    "#]].assert_eq(&crate::testing::causes(&errors));
}

#[test]
fn statuses_of_indexed_jobs() {
    check_update(
        &Strategy,
        INDEXED,
        r#"
        status.completedIndexes = "0-2"
        status.failedIndexes = "3"

        status.completedIndexes = "0-2"
        status.failedIndexes = "2-3"

        status.completedIndexes = "0-4"
        status.failedIndexes = "x"
        "#,
        Part::Status,
        expect![[r#"
            status.completedIndexes = "0-2"
            status.failedIndexes = "3"
                fine
            status.completedIndexes = "0-2"
            status.failedIndexes = "2-3"
                status.failedIndexes: Invalid value: "2-3": failedIndexes and completedIndexes overlap at index: 2
            status.completedIndexes = "0-4"
            status.failedIndexes = "x"
                status.completedIndexes: Invalid value: "0-4": error parsing completedIndexes: too large index: "4"
                status.failedIndexes: Invalid value: "x": error parsing failedIndexes: cannot convert string to integer for index: "x"
        "#]],
    );
}

#[test]
fn a_client_writes_only_its_part() {
    let old = object::<Strategy>(&Strategy, JOB, "status.succeeded = 1\nmetadata.generation = 1");
    let mut new = object::<Strategy>(&Strategy, JOB, "status.succeeded = 2\nspec.parallelism = 2");
    crate::Strategy::prepare_update(&Strategy, &mut new, &old, Part::Main);
    assert_eq!((new.job_status().succeeded, new.metadata.generation), (Some(1), Some(2)));
    let mut new = object::<Strategy>(&Strategy, JOB, "status.succeeded = 2\nspec.parallelism = 2");
    crate::Strategy::prepare_update(&Strategy, &mut new, &old, Part::Status);
    assert_eq!((new.job_status().succeeded, new.job_spec().parallelism), (Some(2), Some(1)));
}

#[test]
fn rows() {
    check_rows(
        &Strategy,
        JOB,
        r#"
        # new

        status = {"startTime": "2026-01-01T00:05:00Z", "succeeded": 2}

        status = {"startTime": "2026-01-01T00:05:00Z", "completionTime": "2026-01-01T00:05:42Z", "succeeded": 3, "conditions": [{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}]}

        status.conditions = [{"type": "FailureTarget", "status": "True"}, {"type": "Failed", "status": "True"}]

        status.conditions = [{"type": "FailureTarget", "status": "True"}]

        status.conditions = [{"type": "Suspended", "status": "True"}]

        metadata.deletionTimestamp = "2026-01-01T00:05:00Z"
        - spec.completions
        spec.parallelism = 3
        "#,
        expect![[r#"
            NAME  STATUS  COMPLETIONS  DURATION  AGE  CONTAINERS  IMAGES  SELECTOR
            j  Running  0/3    10m  app  busybox:1  <none>
            j  Running  2/3  5m  10m  app  busybox:1  <none>
            j  Complete  3/3  42s  10m  app  busybox:1  <none>
            j  Failed  0/3    10m  app  busybox:1  <none>
            j  FailureTarget  0/3    10m  app  busybox:1  <none>
            j  Suspended  0/3    10m  app  busybox:1  <none>
            j  Terminating  0/1 of 3    10m  app  busybox:1  <none>
        "#]],
    );
}

#[test]
fn doubtful_jobs() {
    let warn = |edits: &str| {
        let job = object::<Strategy>(&Strategy, INDEXED, edits);
        crate::Strategy::warnings(&Strategy, &job).join("\n")
    };
    assert_eq!(warn(""), "");
    expect![[r#"
        metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]
        spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"#]]
        .assert_eq(&warn("metadata.name = \"a.b\"\nspec.completions = 200000\nspec.parallelism = 20000"));
}
