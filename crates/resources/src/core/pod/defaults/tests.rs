use expect_test::expect;

use super::pull_policy;
use crate::core::pod::Strategy;
use crate::testing::check_default;

#[test]
fn a_small_pod() {
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "nginx"}]}}"#,
        expect![[r#"
            {
              "apiVersion": "v1",
              "kind": "Pod",
              "metadata": {
                "name": "p"
              },
              "spec": {
                "containers": [
                  {
                    "image": "nginx",
                    "imagePullPolicy": "Always",
                    "name": "a",
                    "resources": {},
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File"
                  }
                ],
                "dnsPolicy": "ClusterFirst",
                "enableServiceLinks": true,
                "restartPolicy": "Always",
                "schedulerName": "default-scheduler",
                "securityContext": {},
                "terminationGracePeriodSeconds": 30
              }
            }
        "#]],
    );
}

#[test]
fn every_room() {
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "p"}, "spec": {
            "hostNetwork": true,
            "serviceAccount": "old",
            "containers": [{
                "name": "a", "image": "nginx:1",
                "ports": [{"containerPort": 80}],
                "env": [
                    {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}
                ],
                "livenessProbe": {"httpGet": {"port": 80}},
                "readinessProbe": {"grpc": {"port": 9}, "periodSeconds": 3},
                "lifecycle": {"preStop": {"httpGet": {"port": 1}}},
                "resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}, "requests": {"cpu": "0.0001"}}
            }],
            "volumes": [
                {"name": "a"},
                {"name": "b", "hostPath": {"path": "/"}},
                {"name": "c", "secret": {"secretName": "s"}},
                {"name": "d", "configMap": {"name": "s"}},
                {"name": "e", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"downwardAPI": {"items": [{"path": "x", "fieldRef": {"fieldPath": "metadata.name"}}]}}]}},
                {"name": "f", "image": {"reference": "busybox"}}
            ]
        }}"#,
        expect![[r#"
            {
              "apiVersion": "v1",
              "kind": "Pod",
              "metadata": {
                "name": "p"
              },
              "spec": {
                "containers": [
                  {
                    "env": [
                      {
                        "name": "A",
                        "valueFrom": {
                          "fieldRef": {
                            "apiVersion": "v1",
                            "fieldPath": "metadata.name"
                          }
                        }
                      },
                      {
                        "name": "B",
                        "valueFrom": {
                          "resourceFieldRef": {
                            "divisor": "0",
                            "resource": "limits.cpu"
                          }
                        }
                      }
                    ],
                    "image": "nginx:1",
                    "imagePullPolicy": "IfNotPresent",
                    "lifecycle": {
                      "preStop": {
                        "httpGet": {
                          "path": "/",
                          "port": 1,
                          "scheme": "HTTP"
                        }
                      }
                    },
                    "livenessProbe": {
                      "failureThreshold": 3,
                      "httpGet": {
                        "path": "/",
                        "port": 80,
                        "scheme": "HTTP"
                      },
                      "periodSeconds": 10,
                      "successThreshold": 1,
                      "timeoutSeconds": 1
                    },
                    "name": "a",
                    "ports": [
                      {
                        "containerPort": 80,
                        "hostPort": 80,
                        "protocol": "TCP"
                      }
                    ],
                    "readinessProbe": {
                      "failureThreshold": 3,
                      "grpc": {
                        "port": 9,
                        "service": ""
                      },
                      "periodSeconds": 3,
                      "successThreshold": 1,
                      "timeoutSeconds": 1
                    },
                    "resources": {
                      "limits": {
                        "cpu": "500m",
                        "memory": "1Gi"
                      },
                      "requests": {
                        "cpu": "1m",
                        "memory": "1Gi"
                      }
                    },
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File"
                  }
                ],
                "dnsPolicy": "ClusterFirst",
                "enableServiceLinks": true,
                "hostNetwork": true,
                "restartPolicy": "Always",
                "schedulerName": "default-scheduler",
                "securityContext": {},
                "serviceAccount": "old",
                "serviceAccountName": "old",
                "terminationGracePeriodSeconds": 30,
                "volumes": [
                  {
                    "emptyDir": {},
                    "name": "a"
                  },
                  {
                    "hostPath": {
                      "path": "/",
                      "type": ""
                    },
                    "name": "b"
                  },
                  {
                    "name": "c",
                    "secret": {
                      "defaultMode": 420,
                      "secretName": "s"
                    }
                  },
                  {
                    "configMap": {
                      "defaultMode": 420,
                      "name": "s"
                    },
                    "name": "d"
                  },
                  {
                    "name": "e",
                    "projected": {
                      "defaultMode": 420,
                      "sources": [
                        {
                          "serviceAccountToken": {
                            "expirationSeconds": 3600,
                            "path": "t"
                          }
                        },
                        {
                          "downwardAPI": {
                            "items": [
                              {
                                "fieldRef": {
                                  "apiVersion": "v1",
                                  "fieldPath": "metadata.name"
                                },
                                "path": "x"
                              }
                            ]
                          }
                        }
                      ]
                    }
                  },
                  {
                    "image": {
                      "pullPolicy": "Always",
                      "reference": "busybox"
                    },
                    "name": "f"
                  }
                ]
              }
            }
        "#]],
    );
}

#[test]
fn pod_level_resources() {
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "p"}, "spec": {
            "resources": {"limits": {"cpu": "2", "memory": "1Gi"}},
            "containers": [
                {"name": "a", "image": "a:1", "resources": {"requests": {"cpu": "500m"}}},
                {"name": "b", "image": "b:1", "resources": {"requests": {"cpu": "250m"}}}
            ]
        }}"#,
        expect![[r#"
            {
              "apiVersion": "v1",
              "kind": "Pod",
              "metadata": {
                "name": "p"
              },
              "spec": {
                "containers": [
                  {
                    "image": "a:1",
                    "imagePullPolicy": "IfNotPresent",
                    "name": "a",
                    "resources": {
                      "requests": {
                        "cpu": "500m"
                      }
                    },
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File"
                  },
                  {
                    "image": "b:1",
                    "imagePullPolicy": "IfNotPresent",
                    "name": "b",
                    "resources": {
                      "requests": {
                        "cpu": "250m"
                      }
                    },
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File"
                  }
                ],
                "dnsPolicy": "ClusterFirst",
                "enableServiceLinks": true,
                "resources": {
                  "limits": {
                    "cpu": "2",
                    "memory": "1Gi"
                  },
                  "requests": {
                    "cpu": "750m",
                    "memory": "1Gi"
                  }
                },
                "restartPolicy": "Always",
                "schedulerName": "default-scheduler",
                "securityContext": {},
                "terminationGracePeriodSeconds": 30
              }
            }
        "#]],
    );
}

#[test]
fn pull_policies() {
    let of = |image| pull_policy(Some(image));
    assert_eq!(of("nginx"), "Always");
    assert_eq!(of("nginx:latest"), "Always");
    assert_eq!(of("host:5000/nginx"), "Always");
    assert_eq!(of("host:5000/nginx:1"), "IfNotPresent");
    assert_eq!(of("nginx@sha256:00"), "IfNotPresent");
    assert_eq!(of("nginx:latest@sha256:00"), "Always");
    assert_eq!(of(""), "IfNotPresent");
}
