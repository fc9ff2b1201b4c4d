use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows};

const RANGE: &str = r#"{"metadata": {"name": "r", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "100m"}}]}}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        RANGE,
        expect![[r#"
        {
          "apiVersion": "v1",
          "kind": "LimitRange",
          "metadata": {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "name": "r",
            "namespace": "default"
          },
          "spec": {
            "limits": [
              {
                "default": {
                  "cpu": "2"
                },
                "defaultRequest": {
                  "cpu": "2"
                },
                "max": {
                  "cpu": "2"
                },
                "min": {
                  "cpu": "100m"
                },
                "type": "Container"
              }
            ]
          }
        }
    "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &Strategy,
        RANGE,
        r#"
        spec.limits[0].type = "Foo"

        spec.limits[1] = {"type": "Container"}

        spec.limits[0].min.cpu = "3"

        spec.limits[0].default.cpu = "3"

        spec.limits[0].default.cpu = "50m"

        spec.limits[0].defaultRequest.cpu = "2500m"

        spec.limits[0].maxLimitRequestRatio.cpu = "0.5"

        spec.limits[0].maxLimitRequestRatio.cpu = "40"

        spec.limits[0].max.storage = "1Gi"

        spec.limits[0] = {"type": "Pod", "default": {"cpu": "1"}, "max": {"foo": "1"}}

        spec.limits[0] = {"type": "PersistentVolumeClaim", "default": {"storage": "1Gi"}}

        spec.limits[0] = {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}

        spec.limits[0] = {"type": "Container", "default": {"example.com/d": "2"}, "defaultRequest": {"example.com/d": "1"}}
        "#,
        expect![[r#"
            spec.limits[0].type = "Foo"
                spec.limits[0].type: Invalid value: "Foo": must be a standard limit type or fully qualified
            spec.limits[1] = {"type": "Container"}
                spec.limits[1].type: Duplicate value: "Container"
            spec.limits[0].min.cpu = "3"
                spec.limits[0].min[cpu]: Invalid value: "3": min value 3 is greater than max value 2
                spec.limits[0].defaultRequest[cpu]: Invalid value: "2": min value 3 is greater than default request value 2
                spec.limits[0].default[cpu]: Invalid value: "3": min value 3 is greater than default value 2
            spec.limits[0].default.cpu = "3"
                spec.limits[0].defaultRequest[cpu]: Invalid value: "3": default request value 3 is greater than max value 2
                spec.limits[0].default[cpu]: Invalid value: "2": default value 3 is greater than max value 2
            spec.limits[0].default.cpu = "50m"
                spec.limits[0].defaultRequest[cpu]: Invalid value: "50m": min value 100m is greater than default request value 50m
                spec.limits[0].default[cpu]: Invalid value: "100m": min value 100m is greater than default value 50m
            spec.limits[0].defaultRequest.cpu = "2500m"
                spec.limits[0].defaultRequest[cpu]: Invalid value: "2500m": default request value 2500m is greater than max value 2
                spec.limits[0].defaultRequest[cpu]: Invalid value: "2500m": default request value 2500m is greater than default limit value 2
            spec.limits[0].maxLimitRequestRatio.cpu = "0.5"
                spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1
            spec.limits[0].maxLimitRequestRatio.cpu = "40"
                spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "40": ratio 40 is greater than max/min = 20.000000
            spec.limits[0].max.storage = "1Gi"
                spec.limits[0].max[storage]: Invalid value: "storage": must be a standard resource for containers
                spec.limits[0].default[storage]: Invalid value: "storage": must be a standard resource for containers
                spec.limits[0].defaultRequest[storage]: Invalid value: "storage": must be a standard resource for containers
            spec.limits[0] = {"type": "Pod", "default": {"cpu": "1"}, "max": {"foo": "1"}}
                spec.limits[0].max[foo]: Invalid value: "foo": must be a standard resource type or fully qualified
                spec.limits[0].max[foo]: Invalid value: "foo": must be a standard resource for containers
                spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'
            spec.limits[0] = {"type": "PersistentVolumeClaim", "default": {"storage": "1Gi"}}
                spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided
            spec.limits[0] = {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}
                fine
            spec.limits[0] = {"type": "Container", "default": {"example.com/d": "2"}, "defaultRequest": {"example.com/d": "1"}}
                spec.limits[0].defaultRequest[example.com/d]: Invalid value: "1": default value 2 must equal to defaultRequest value 1 in example.com/d
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        RANGE,
        "",
        expect![[r#"
        NAME  CREATED AT
        r  2026-01-01T00:00:00Z
    "#]],
    );
}
