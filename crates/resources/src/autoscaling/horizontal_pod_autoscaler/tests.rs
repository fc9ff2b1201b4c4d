use codec::Kind;
use expect_test::{Expect, expect};
use k8s_openapi::api::autoscaling::v1 as old;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update, object};

const SCALER: &str = r#"{
    "metadata": {"name": "web", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "maxReplicas": 5,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    }
}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        r#"{"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "behavior": {"scaleDown": {"selectPolicy": "Min", "tolerance": "0.050"}}},
            "metadata": {"annotations": {"autoscaling.alpha.kubernetes.io/metrics": "[]"}}}"#,
        expect![[r#"
            {
              "apiVersion": "autoscaling/v2",
              "kind": "HorizontalPodAutoscaler",
              "metadata": {},
              "spec": {
                "behavior": {
                  "scaleDown": {
                    "policies": [
                      {
                        "periodSeconds": 15,
                        "type": "Percent",
                        "value": 100
                      }
                    ],
                    "selectPolicy": "Min",
                    "tolerance": "50m"
                  },
                  "scaleUp": {
                    "policies": [
                      {
                        "periodSeconds": 15,
                        "type": "Pods",
                        "value": 4
                      },
                      {
                        "periodSeconds": 15,
                        "type": "Percent",
                        "value": 100
                      }
                    ],
                    "selectPolicy": "Max",
                    "stabilizationWindowSeconds": 0
                  }
                },
                "maxReplicas": 3,
                "metrics": [
                  {
                    "resource": {
                      "name": "cpu",
                      "target": {
                        "averageUtilization": 80,
                        "type": "Utilization"
                      }
                    },
                    "type": "Resource"
                  }
                ],
                "minReplicas": 1,
                "scaleTargetRef": {
                  "kind": "Deployment",
                  "name": "web"
                }
              }
            }
        "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &Strategy,
        SCALER,
        r#"
        spec.minReplicas = 0

        spec.minReplicas = 9

        spec.maxReplicas = 0
        spec.scaleTargetRef = {"kind": "", "name": "a/b"}

        spec.scaleTargetRef = {"kind": "ReplicationController", "name": "a"}

        spec.scaleTargetRef = {"apiVersion": "a/b/c", "kind": "X", "name": "a"}

        spec.metrics[0] = {"type": ""}

        spec.metrics[0] = {"type": "Pods"}

        spec.metrics[0] = {"type": "Resource", "resource": {"name": "", "target": {"type": ""}}, "pods": {"metric": {"name": ""}, "target": {"type": "Value"}}}

        spec.metrics[0] = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 0, "averageValue": "-1"}}}

        spec.metrics[0] = {"type": "ContainerResource", "containerResource": {"name": "gpu", "container": "A", "target": {"type": "Utilization", "averageUtilization": 50}}}

        spec.metrics[0] = {"type": "Object", "object": {"describedObject": {"kind": "Ingress", "name": "x"}, "metric": {"name": "a/b"}, "target": {"type": "Value"}}}

        spec.metrics[0] = {"type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "Value", "value": "1", "averageValue": "many"}}}

        spec.behavior = {"scaleUp": {"stabilizationWindowSeconds": 3601, "selectPolicy": "Best", "policies": []}, "scaleDown": {"stabilizationWindowSeconds": -1, "tolerance": "-1", "policies": [{"type": "Half", "value": 0, "periodSeconds": 0}, {"type": "Pods", "value": 1, "periodSeconds": 1801}]}}
        "#,
        expect![[r#"
            spec.minReplicas = 0
                spec.minReplicas: Invalid value: 0: must be greater than or equal to 1
                spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas
            spec.minReplicas = 9
                spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`
            spec.maxReplicas = 0
            spec.scaleTargetRef = {"kind": "", "name": "a/b"}
                spec.maxReplicas: Invalid value: 0: must be greater than 0
                spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`
                spec.scaleTargetRef.kind: Required value
                spec.scaleTargetRef.name: Invalid value: "a/b": may not contain '/'
                spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group
            spec.scaleTargetRef = {"kind": "ReplicationController", "name": "a"}
                fine
            spec.scaleTargetRef = {"apiVersion": "a/b/c", "kind": "X", "name": "a"}
                spec.scaleTargetRef.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c
            spec.metrics[0] = {"type": ""}
                spec.metrics[0].type: Required value: must specify a metric source type
                spec.metrics[0].type: Unsupported value: "": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"
                spec.metrics[0].type: Unsupported value: "": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"
            spec.metrics[0] = {"type": "Pods"}
                spec.metrics[0].pods: Required value: must populate information for the given metric source
            spec.metrics[0] = {"type": "Resource", "resource": {"name": "", "target": {"type": ""}}, "pods": {"metric": {"name": ""}, "target": {"type": "Value"}}}
                spec.metrics[0].pods.metric.name: Required value: must specify a metric name
                spec.metrics[0].pods.target.averageValue: Required value: must specify a positive target averageValue
                spec.metrics[0].pods: Forbidden: must populate the given metric source only
            spec.metrics[0] = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 0, "averageValue": "-1"}}}
                spec.metrics[0].resource.target.averageValue: Invalid value: "-1": must be positive
                spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0
                spec.metrics[0].resource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization
            spec.metrics[0] = {"type": "ContainerResource", "containerResource": {"name": "gpu", "container": "A", "target": {"type": "Utilization", "averageUtilization": 50}}}
                spec.metrics[0].containerResource.name: Invalid value: "gpu": must be a standard resource type or fully qualified
                spec.metrics[0].containerResource.name: Invalid value: "gpu": must be a standard resource for containers
                spec.metrics[0].containerResource.container: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
            spec.metrics[0] = {"type": "Object", "object": {"describedObject": {"kind": "Ingress", "name": "x"}, "metric": {"name": "a/b"}, "target": {"type": "Value"}}}
                spec.metrics[0].object.metric.name: Invalid value: "a/b": may not contain '/'
                spec.metrics[0].object.target.averageValue: Required value: must set either a target value or averageValue
            spec.metrics[0] = {"type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "Value", "value": "1", "averageValue": "many"}}}
                spec.metrics[0].external.target.averageValue: Invalid value: "many": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
                spec.metrics[0].external.target.value: Forbidden: may not set both a target value for metric and a per-pod target
            spec.behavior = {"scaleUp": {"stabilizationWindowSeconds": 3601, "selectPolicy": "Best", "policies": []}, "scaleDown": {"stabilizationWindowSeconds": -1, "tolerance": "-1", "policies": [{"type": "Half", "value": 0, "periodSeconds": 0}, {"type": "Pods", "value": 1, "periodSeconds": 1801}]}}
                spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600
                spec.behavior.scaleUp.selectPolicy: Unsupported value: "Best": supported values: "Disabled", "Max", "Min"
                spec.behavior.scaleUp.policies: Required value: must specify at least one Policy
                spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: -1: must be greater than or equal to zero
                spec.behavior.scaleDown.policies[0].type: Unsupported value: "Half": supported values: "Percent", "Pods"
                spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero
                spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 0: must be greater than zero
                spec.behavior.scaleDown.policies[1].periodSeconds: Invalid value: 1801: must be less than or equal to 1800
                spec.behavior.scaleDown.tolerance: Invalid value: "-1": must be greater than or equal to 0
        "#]],
    );
}

#[test]
fn updates() {
    check_update(
        &Strategy,
        SCALER,
        r#"
        spec.maxReplicas = 9

        spec.scaleTargetRef.kind = "ReplicaSet"
        spec.scaleTargetRef.apiVersion = "v1"
        "#,
        Part::Main,
        expect![[r#"
            spec.maxReplicas = 9
                fine
            spec.scaleTargetRef.kind = "ReplicaSet"
            spec.scaleTargetRef.apiVersion = "v1"
                spec.scaleTargetRef.apiVersion: Invalid value: "v1": apiVersion must specify API group
        "#]],
    );
    check_update(
        &Strategy,
        SCALER,
        r#"
        status = {"currentReplicas": -1, "desiredReplicas": -2}
        "#,
        Part::Status,
        expect![[r#"
            status = {"currentReplicas": -1, "desiredReplicas": -2}
                status.currentReplicas: Invalid value: -1: must be greater than or equal to 0
                status.desiredReplicas: Invalid value: -2: must be greater than or equal to 0
        "#]],
    );
}

#[test]
fn rows() {
    check_rows(
        &Strategy,
        SCALER,
        r#"
        status = {"desiredReplicas": 2}

        spec.metrics[0] = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
        spec.metrics[1] = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}}
        status = {"currentReplicas": 2, "desiredReplicas": 2, "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 7, "averageValue": "7m"}}}]}

        spec.metrics[0] = {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "10"}}}
        spec.metrics[1] = {"type": "Object", "object": {"describedObject": {"kind": "Ingress", "name": "x"}, "metric": {"name": "r"}, "target": {"type": "Value", "value": "2k"}}}
        spec.metrics[2] = {"type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "AverageValue", "averageValue": "30"}}}
        status = {"desiredReplicas": 2, "currentMetrics": [{"type": "Pods", "pods": {"metric": {"name": "rps"}, "current": {"averageValue": "4500m"}}}]}
        "#,
        expect![[r#"
            NAME  REFERENCE  TARGETS  MINPODS  MAXPODS  REPLICAS  AGE
            web  Deployment/web  cpu: <unknown>/80%  1  5  0  10m
            web  Deployment/web  cpu: 7%/60%, memory: <unknown>/1Gi  1  5  2  10m
            web  Deployment/web  4500m/10, <unknown>/2k + 1 more...  1  5  0  10m
        "#]],
    );
}

/// The hub's edits in v1's words, and back without a loss.
#[track_caller]
fn check_older(edits: &str, expect: Expect) {
    let hub = object::<Strategy>(&Strategy, SCALER, edits);
    let shown = v1::from_hub(hub.clone());
    let value: Value = serde_json::from_slice(&shown.to_json()).unwrap();
    expect.assert_eq(&(serde_json::to_string_pretty(&value).unwrap() + "\n"));
    let mut back = v1::to_hub(shown);
    crate::Strategy::default(&Strategy, &mut back);
    let mut normal = hub;
    if normal.status.is_none() {
        normal.status =
            Some(HorizontalPodAutoscalerStatus { current_replicas: Some(0), ..Default::default() });
    }
    assert_eq!(back, normal);
}

#[test]
fn older_version() {
    check_older(
        "",
        expect![[r#"
        {
          "apiVersion": "autoscaling/v1",
          "kind": "HorizontalPodAutoscaler",
          "metadata": {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "name": "web",
            "namespace": "default"
          },
          "spec": {
            "maxReplicas": 5,
            "minReplicas": 1,
            "scaleTargetRef": {
              "apiVersion": "apps/v1",
              "kind": "Deployment",
              "name": "web"
            },
            "targetCPUUtilizationPercentage": 80
          },
          "status": {
            "currentReplicas": 0,
            "desiredReplicas": 0
          }
        }
    "#]],
    );
    check_older(
        r#"
        spec.metrics[0] = {"type": "Object", "object": {"describedObject": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "x"}, "metric": {"name": "r", "selector": {"matchLabels": {"a": "b"}}}, "target": {"type": "Value", "value": "2k"}}}
        spec.metrics[1] = {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "10"}}}
        spec.metrics[2] = {"type": "External", "external": {"metric": {"name": "q", "selector": {}}, "target": {"type": "AverageValue", "averageValue": "30"}}}
        spec.metrics[3] = {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "a", "target": {"type": "Utilization", "averageUtilization": 50}}}
        spec.metrics[4] = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}}
        spec.metrics[5] = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
        spec.behavior.scaleUp.selectPolicy = "Disabled"
        status = {"currentReplicas": 2, "desiredReplicas": 3, "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 7, "averageValue": "7m"}}}], "conditions": [{"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
        "#,
        expect![[r#"
            {
              "apiVersion": "autoscaling/v1",
              "kind": "HorizontalPodAutoscaler",
              "metadata": {
                "annotations": {
                  "autoscaling.alpha.kubernetes.io/behavior": "{\"ScaleDown\":{\"Policies\":[{\"PeriodSeconds\":15,\"Type\":\"Percent\",\"Value\":100}],\"SelectPolicy\":\"Max\"},\"ScaleUp\":{\"Policies\":[{\"PeriodSeconds\":15,\"Type\":\"Pods\",\"Value\":4},{\"PeriodSeconds\":15,\"Type\":\"Percent\",\"Value\":100}],\"SelectPolicy\":\"Disabled\",\"StabilizationWindowSeconds\":0}}",
                  "autoscaling.alpha.kubernetes.io/conditions": "[{\"lastTransitionTime\":\"2026-01-01T00:00:00Z\",\"reason\":\"ReadyForNewScale\",\"status\":\"True\",\"type\":\"AbleToScale\"}]",
                  "autoscaling.alpha.kubernetes.io/current-metrics": "[{\"resource\":{\"currentAverageUtilization\":7,\"currentAverageValue\":\"7m\",\"name\":\"cpu\"},\"type\":\"Resource\"}]",
                  "autoscaling.alpha.kubernetes.io/metrics": "[{\"object\":{\"metricName\":\"r\",\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"target\":{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"Ingress\",\"name\":\"x\"},\"targetValue\":\"2k\"},\"type\":\"Object\"},{\"pods\":{\"metricName\":\"rps\",\"targetAverageValue\":\"10\"},\"type\":\"Pods\"},{\"external\":{\"metricName\":\"q\",\"metricSelector\":{},\"targetAverageValue\":\"30\"},\"type\":\"External\"},{\"containerResource\":{\"container\":\"a\",\"name\":\"cpu\",\"targetAverageUtilization\":50},\"type\":\"ContainerResource\"},{\"resource\":{\"name\":\"memory\",\"targetAverageValue\":\"1Gi\"},\"type\":\"Resource\"}]"
                },
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "name": "web",
                "namespace": "default"
              },
              "spec": {
                "maxReplicas": 5,
                "minReplicas": 1,
                "scaleTargetRef": {
                  "apiVersion": "apps/v1",
                  "kind": "Deployment",
                  "name": "web"
                },
                "targetCPUUtilizationPercentage": 60
              },
              "status": {
                "currentCPUUtilizationPercentage": 7,
                "currentReplicas": 2,
                "desiredReplicas": 3
              }
            }
        "#]],
    );
}

#[test]
fn an_old_client_without_a_share_gets_the_default() {
    let json = br#"{"metadata": {"name": "x"}, "spec": {"maxReplicas": 2, "scaleTargetRef": {"kind": "a", "name": "b"}}}"#;
    let mut hub = v1::to_hub(old::HorizontalPodAutoscaler::from_json(json).unwrap());
    crate::Strategy::default(&Strategy, &mut hub);
    assert_eq!(v1::from_hub(hub).spec.target_cpu_utilization_percentage, Some(80));
}
