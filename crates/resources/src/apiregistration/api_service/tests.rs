use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update};

const SERVICE: &str = r#"{
    "metadata": {"name": "v1beta1.metrics.k8s.io", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
        "service": {"namespace": "kube-system", "name": "metrics-server"}
    }
}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        SERVICE,
        expect![[r#"
        {
          "apiVersion": "apiregistration.k8s.io/v1",
          "kind": "APIService",
          "metadata": {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "name": "v1beta1.metrics.k8s.io"
          },
          "spec": {
            "group": "metrics.k8s.io",
            "groupPriorityMinimum": 100,
            "service": {
              "name": "metrics-server",
              "namespace": "kube-system",
              "port": 443
            },
            "version": "v1beta1",
            "versionPriority": 100
          }
        }
    "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &Strategy,
        SERVICE,
        r#"
        spec.insecureSkipTLSVerify = true

        metadata.name = "v1.metrics.k8s.io"

        metadata.name = "v1beta1."
        spec.group = ""

        metadata.name = "v1."
        spec.group = ""
        spec.version = "v1"
        - spec.service

        metadata.name = "V.G_"
        spec.group = "G_"
        spec.version = "V"

        spec.groupPriorityMinimum = 0
        spec.versionPriority = 1001

        spec.service = {}

        spec.service.port = 70000

        spec.insecureSkipTLSVerify = true
        spec.caBundle = "YQ=="

        - spec.service
        spec.insecureSkipTLSVerify = true
        spec.caBundle = "YQ=="
        "#,
        expect![[r#"
            spec.insecureSkipTLSVerify = true
                fine
            metadata.name = "v1.metrics.k8s.io"
                metadata.name: Invalid value: "v1.metrics.k8s.io": must be `spec.version+"."+spec.group`: "v1beta1.metrics.k8s.io"
            metadata.name = "v1beta1."
            spec.group = ""
                spec.group: Required value: only v1 may have an empty group and it better be legacy kube
            metadata.name = "v1."
            spec.group = ""
            spec.version = "v1"
            - spec.service
                fine
            metadata.name = "V.G_"
            spec.group = "G_"
            spec.version = "V"
                spec.group: Invalid value: "G_": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
                spec.version: Invalid value: "V": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')
            spec.groupPriorityMinimum = 0
            spec.versionPriority = 1001
                spec.groupPriorityMinimum: Invalid value: 0: must be positive and less than 20000
                spec.versionPriority: Invalid value: 1001: must be positive and less than 1000
            spec.service = {}
                spec.service.namespace: Required value
                spec.service.name: Required value
            spec.service.port = 70000
                spec.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, inclusive
            spec.insecureSkipTLSVerify = true
            spec.caBundle = "YQ=="
                spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present
            - spec.service
            spec.insecureSkipTLSVerify = true
            spec.caBundle = "YQ=="
                spec.caBundle: Invalid value: "1 bytes": local APIServices may not have a caBundle
                spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify
        "#]],
    );
}

#[test]
fn statuses() {
    check_update(
        &Strategy,
        SERVICE,
        r#"
        status.conditions = [{"type": "Available", "status": "True"}]

        status.conditions = [{"type": "Available", "status": "Maybe"}]
        "#,
        Part::Status,
        expect![[r#"
            status.conditions = [{"type": "Available", "status": "True"}]
                fine
            status.conditions = [{"type": "Available", "status": "Maybe"}]
                status.conditions[0].status: Unsupported value: "Maybe": supported values: "True", "False", "Unknown"
        "#]],
    );
}

#[test]
fn what_is_local_is_available() {
    use crate::Strategy as _;
    let conditions = |edits: &str| {
        let mut service = crate::testing::object(&Strategy, SERVICE, edits);
        Strategy.prepare_create(&mut service);
        service.status.unwrap().conditions
    };
    assert_eq!(conditions(""), None);
    assert_eq!(conditions("- spec.service"), Some(vec![local()]));
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        SERVICE,
        r#"
        spec.versionPriority = 1

        status.conditions = [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}]

        - spec.service
        status.conditions = [{"type": "Available", "status": "True"}]
        "#,
        expect![[r#"
            NAME  SERVICE  AVAILABLE  AGE
            v1beta1.metrics.k8s.io  kube-system/metrics-server  Unknown  10m
            v1beta1.metrics.k8s.io  kube-system/metrics-server  False (MissingEndpoints)  10m
            v1beta1.metrics.k8s.io  Local  True  10m
        "#]],
    );
}
