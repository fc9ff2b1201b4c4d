use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update, object};

const NODE: &str = r#"{
    "metadata": {"name": "n1", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"node-role.kubernetes.io/control-plane": ""}},
    "spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"], "providerID": "x"},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "192.168.0.1"}],
        "capacity": {"cpu": "4000m", "memory": "8Gi"}
    }
}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "4000m", "memory": "1024Mi", "pods": "110"}}}"#,
        expect![[r#"
            {
              "apiVersion": "v1",
              "kind": "Node",
              "metadata": {
                "name": "n"
              },
              "status": {
                "allocatable": {
                  "cpu": "4",
                  "memory": "1Gi",
                  "pods": "110"
                },
                "capacity": {
                  "cpu": "4",
                  "memory": "1Gi",
                  "pods": "110"
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
        NODE,
        r#"
        spec.taints = [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "value": "b", "effect": "NoSchedule"}]

        spec.taints = [{"key": "a b", "value": "-", "effect": "Never"}, {"key": "c", "effect": ""}]

        spec.podCIDRs = ["10.0.0.0/24", "10.1.0.0/24"]

        spec.podCIDRs = ["x"]

        spec.podCIDR = "x"

        status.capacity.cpu = "-1"
        "#,
        expect![[r#"
            spec.taints = [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "value": "b", "effect": "NoSchedule"}]
                metadata.taints[1]: Duplicate value: {"Key":"a","Value":"b","Effect":"NoSchedule","TimeAdded":null}: taints must be unique by key and effect pair
            spec.taints = [{"key": "a b", "value": "-", "effect": "Never"}, {"key": "c", "effect": ""}]
                metadata.taints[0].key: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                metadata.taints[0].value: Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
                metadata.taints[0].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"
                metadata.taints[1].effect: Required value
            spec.podCIDRs = ["10.0.0.0/24", "10.1.0.0/24"]
                spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.1.0.0/24"]: may specify no more than one CIDR for each IP family
            spec.podCIDRs = ["x"]
                fine
            spec.podCIDR = "x"
                spec.podCIDRs[0]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)
            status.capacity.cpu = "-1"
                status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0
                status.allocatable.cpu: Invalid value: "-1": must be greater than or equal to 0
        "#]],
    );
}

#[test]
fn updates() {
    check_update(
        &Strategy,
        NODE,
        r#"
        spec.unschedulable = true

        spec.podCIDRs = ["10.9.0.0/24"]

        spec.podCIDR = "10.9.0.0/24"

        spec.providerID = "y"

        spec.taints = [{"key": "a", "effect": "x"}]
        "#,
        Part::Main,
        expect![[r#"
            spec.unschedulable = true
                fine
            spec.podCIDRs = ["10.9.0.0/24"]
                fine
            spec.podCIDR = "10.9.0.0/24"
                spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid
            spec.providerID = "y"
                spec.providerID: Forbidden: node updates may not change providerID except from "" to valid
            spec.taints = [{"key": "a", "effect": "x"}]
                metadata.taints[0].effect: Unsupported value: "x": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"
        "#]],
    );
    check_update(
        &Strategy,
        NODE,
        r#"status.allocatable.pods = "1500m""#,
        Part::Status,
        expect![[r#"
            status.allocatable.pods = "1500m"
                status.allocatable.pods: Invalid value: "1500m": must be an integer
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        NODE,
        r#"
        metadata.name = "good"

        status.conditions[0].status = "Unknown"
        spec.unschedulable = true
        metadata.labels."kubernetes.io/role" = "gpu"
        status.nodeInfo = {"architecture": "", "bootID": "", "containerRuntimeVersion": "knarr://1", "kernelVersion": "6.1", "kubeProxyVersion": "", "kubeletVersion": "v1.37.0", "machineID": "", "operatingSystem": "", "osImage": "Debian", "systemUUID": ""}

        - status
        - metadata.labels
        "#,
        expect![[r#"
            NAME  STATUS  ROLES  AGE  VERSION  INTERNAL-IP  EXTERNAL-IP  OS-IMAGE  KERNEL-VERSION  CONTAINER-RUNTIME
            good  Ready  control-plane  10m    192.168.0.1  <none>  <unknown>  <unknown>  <unknown>
            n1  NotReady,SchedulingDisabled  control-plane,gpu  10m  v1.37.0  192.168.0.1  <none>  Debian  6.1  knarr://1
            n1  Unknown  <none>  10m    <none>  <none>  <unknown>  <unknown>  <unknown>
        "#]],
    );
}

#[test]
fn pods_select_nodes() {
    let node =
        object(&Strategy, r#"{"metadata": {"name": "n", "labels": {"disk": "ssd", "cores": "8"}}}"#, "");
    let terms = |terms: &str| {
        let json = format!(
            r#"{{"spec": {{"containers": [], "affinity": {{"nodeAffinity": {{
                "requiredDuringSchedulingIgnoredDuringExecution": {{"nodeSelectorTerms": [{terms}]}}}}}}}}}}"#
        );
        let pod = k8s_openapi::api::core::v1::Pod::from_json(json.as_bytes()).unwrap();
        node.is_selected_by(&pod.spec.unwrap_or_default())
    };
    let one = |r: &str| terms(&format!(r#"{{"matchExpressions": [{r}]}}"#));
    assert!(one(r#"{"key": "disk", "operator": "In", "values": ["ssd"]}"#));
    assert!(!one(r#"{"key": "disk", "operator": "NotIn", "values": ["ssd"]}"#));
    assert!(one(r#"{"key": "cores", "operator": "Gt", "values": ["4"]}"#));
    assert!(!one(r#"{"key": "cores", "operator": "Lt", "values": ["4"]}"#));
    assert!(terms(r#"{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}"#));
    assert!(!terms(r#"{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["m"]}]}"#));
    assert!(!terms("{}"));
    let selector = |value: &str| {
        let selector = std::collections::BTreeMap::from([("disk".to_owned(), value.to_owned())]);
        node.is_selected_by(&PodSpec { node_selector: Some(selector), ..PodSpec::default() })
    };
    assert!(selector("ssd") && !selector("hdd"));
}
