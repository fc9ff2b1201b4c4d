use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_rows};

const EVENT: &str = r#"{
    "metadata": {"name": "e", "namespace": "default"},
    "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default", "fieldPath": "spec.containers{app}"},
    "reason": "Pulled", "message": " pulled \n", "type": "Normal",
    "source": {"component": "kubelet", "host": "n1"},
    "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:09:00Z", "count": 3
}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        EVENT,
        r#"
        reason = "x"

        involvedObject.namespace = "other"

        involvedObject.namespace = ""

        eventTime = "2026-01-01T00:00:00.000000Z"
        - reason

        metadata.namespace = "Bad"
        involvedObject.namespace = "Bad"
        "#,
        expect![[r#"
            reason = "x"
                fine
            involvedObject.namespace = "other"
                involvedObject.namespace: Invalid value: "other": does not match event.namespace
            involvedObject.namespace = ""
                fine
            eventTime = "2026-01-01T00:00:00.000000Z"
            - reason
                reportingComponent: Required value
                reportingComponent: Invalid value: "": name part must be non-empty
                reportingComponent: Invalid value: "": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                reportingInstance: Required value
                action: Required value
                reason: Required value
            metadata.namespace = "Bad"
            involvedObject.namespace = "Bad"
                namespace: Invalid value: "Bad": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        EVENT,
        r#"
        reason = "Old"

        - firstTimestamp
        - lastTimestamp
        - count
        - source
        eventTime = "2026-01-01T00:09:50.000000Z"
        reportingComponent = "scheduler"
        reportingInstance = "s1"
        reason = "New"

        reason = "Series"
        series = {"count": 7, "lastObservedTime": "2026-01-01T00:09:58.000000Z"}
        "#,
        expect![[r#"
            LAST SEEN  TYPE  REASON  OBJECT  SUBOBJECT  SOURCE  MESSAGE  FIRST SEEN  COUNT  NAME
            60s  Normal  Old  pod/p  spec.containers{app}  kubelet, n1  pulled  10m  3  e
            10s  Normal  New  pod/p  spec.containers{app}  scheduler, s1  pulled  10s  1  e
            2s  Normal  Series  pod/p  spec.containers{app}  kubelet, n1  pulled  10m  7  e
        "#]],
    );
}
