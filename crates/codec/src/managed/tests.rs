mod apply;
mod bodies;

use expect_test::expect;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;

use apimachinery::managed::nowhere;

use super::*;
use crate::{Kind, yaml};

fn read<K: Kind>(text: &str) -> K {
    K::from_json(yaml::to_value(text.as_bytes()).unwrap().to_string().as_bytes()).unwrap()
}

fn writer(manager: &'static str, second: i64) -> Writer<'static> {
    let now = Timestamp::from_second(second).unwrap();
    Writer { manager, api_version: "v1", subresource: "", ignored: &["status"], now }
}

fn shown(object: &dyn AnyObject) -> String {
    let json = serde_json::to_value(&object.object_meta().managed_fields).unwrap();
    yaml::from_value(&json)
}

const POD: &str = "
metadata: {name: web, namespace: default, labels: {app: web}, uid: u}
spec:
  containers:
  - name: web
    image: nginx
    ports: [{containerPort: 80, protocol: TCP}]
    resources: {limits: {cpu: '1'}}
  tolerations: [{key: x}]
  securityContext: {}
status: {phase: Pending}
";

#[test]
fn a_new_pod_belongs_to_its_creator() {
    let mut pod: Pod = read(POD);
    created(&mut pod, &writer("kubectl-create", 1));
    expect![[r#"
        - apiVersion: v1
          fieldsType: FieldsV1
          fieldsV1:
            f:metadata:
              f:labels:
                .: {}
                f:app: {}
            f:spec:
              f:containers:
                k:{"name":"web"}:
                  .: {}
                  f:image: {}
                  f:name: {}
                  f:ports:
                    .: {}
                    k:{"containerPort":80,"protocol":"TCP"}:
                      .: {}
                      f:containerPort: {}
                      f:protocol: {}
                  f:resources:
                    .: {}
                    f:limits:
                      .: {}
                      f:cpu: {}
              f:securityContext: {}
              f:tolerations: {}
          manager: kubectl-create
          operation: Update
          time: "1970-01-01T00:00:01Z"
    "#]]
    .assert_eq(&shown(&pod));
}

#[test]
fn updates_take_what_they_change() {
    let mut old: Deployment = read(
        "metadata: {name: web}
spec: {replicas: 1, strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}, selector: {matchLabels: {a: b}},
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c}]}}}",
    );
    created(&mut old, &writer("create", 1));
    let mut new = old.clone();
    new.spec.replicas = Some(3);
    new.spec.strategy = Default::default();
    updated(&mut new, &old, &writer("scale", 2), &nowhere);
    expect![[r#"
        - apiVersion: v1
          fieldsType: FieldsV1
          fieldsV1:
            f:spec:
              f:selector: {}
              f:template:
                f:metadata:
                  f:labels:
                    .: {}
                    f:a: {}
                f:spec:
                  f:containers:
                    k:{"name":"c"}:
                      .: {}
                      f:name: {}
          manager: create
          operation: Update
          time: "1970-01-01T00:00:01Z"
        - apiVersion: v1
          fieldsType: FieldsV1
          fieldsV1:
            f:spec:
              f:replicas: {}
          manager: scale
          operation: Update
          time: "1970-01-01T00:00:02Z"
    "#]]
    .assert_eq(&shown(&new));
    // The same again changes nothing, not even a time.
    let mut again = new.clone();
    updated(&mut again, &new, &writer("scale", 9), &nowhere);
    assert_eq!(again, new);
}

#[test]
fn a_client_may_reset_but_not_forget() {
    let mut old: Pod = read(POD);
    created(&mut old, &writer("create", 1));
    let mut without = old.clone();
    without.metadata.managed_fields = None;
    updated(&mut without, &old, &writer("other", 2), &nowhere);
    assert_eq!(without.metadata.managed_fields, old.metadata.managed_fields);
    let mut reset = old.clone();
    reset.metadata.managed_fields = Some(vec![ManagedFieldsEntry::default()]);
    updated(&mut reset, &old, &writer("other", 3), &nowhere);
    assert_eq!(reset.metadata.managed_fields, None);
    let mut nonsense = old.clone();
    nonsense.metadata.managed_fields =
        Some(vec![ManagedFieldsEntry { operation: Some("Odd".into()), ..ManagedFieldsEntry::default() }]);
    updated(&mut nonsense, &old, &writer("other", 4), &nowhere);
    assert_eq!(nonsense.metadata.managed_fields, old.metadata.managed_fields);
    for fields_type in [None, Some("FieldsV9".to_owned())] {
        let mut other = old.clone();
        if let Some(entry) = other.metadata.managed_fields.as_mut().and_then(|all| all.first_mut()) {
            *entry = ManagedFieldsEntry { fields_type, ..entry.clone() };
        }
        updated(&mut other, &old, &writer("create", 5), &nowhere);
        assert_eq!(other.metadata.managed_fields, old.metadata.managed_fields);
    }
}
