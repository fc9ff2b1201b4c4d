//! Scalars that Go holds by value and leaves out when they are zero (`omitempty`): the empty text, false, and, where no
//! controller counts with it, 0. Other optional scalars are pointers, whose zero is a value of its own.
//!
//! From the Go types of Kubernetes' API; the schemas do not tell pointers from values.

use crate::{Field, Type, Value};

/// Whether Go's JSON leaves `field` of `parent` out when it is empty or zero.
pub(crate) fn left_out(parent: &Type, field: &Field) -> bool {
    match field.value() {
        Value::Array { .. } | Value::Map { .. } => !field.required() && !has(ALWAYS_SHOWN, parent, field),
        _ => has(BY_VALUE, parent, field),
    }
}

fn has(table: &[(&str, &[&str])], parent: &Type, field: &Field) -> bool {
    let Some(name) = parent.name.strip_prefix("io.k8s.") else { return false };
    let Ok(at) = table.binary_search_by(|(t, _)| (*t).cmp(name)) else { return false };
    table[at].1.contains(&field.name)
}

/// Collections without `omitempty` that the schemas call optional.
const ALWAYS_SHOWN: &[(&str, &[&str])] = &[
    ("api.discovery.v1.EndpointSlice", &["ports"]),
    ("api.rbac.v1.ClusterRole", &["rules"]),
    ("api.rbac.v1.Role", &["rules"]),
];

#[rustfmt::skip]
const BY_VALUE: &[(&str, &[&str])] = &[
    ("api.apps.v1.DaemonSetSpec", &["minReadySeconds"]),
    ("api.apps.v1.DaemonSetUpdateStrategy", &["type"]),
    ("api.apps.v1.DeploymentCondition", &["message", "reason"]),
    ("api.apps.v1.DeploymentSpec", &["minReadySeconds", "paused"]),
    ("api.apps.v1.DeploymentStrategy", &["type"]),
    ("api.apps.v1.ReplicaSetCondition", &["message", "reason"]),
    ("api.apps.v1.ReplicaSetSpec", &["minReadySeconds"]),
    ("api.apps.v1.StatefulSetCondition", &["message", "reason"]),
    ("api.apps.v1.StatefulSetSpec", &["minReadySeconds", "podManagementPolicy", "serviceName"]),
    ("api.apps.v1.StatefulSetUpdateStrategy", &["type"]),
    ("api.batch.v1.CronJobSpec", &["concurrencyPolicy"]),
    ("api.batch.v1.JobCondition", &["message", "reason"]),
    ("api.batch.v1.JobStatus", &["completedIndexes"]),
    ("api.certificates.v1.CertificateSigningRequestCondition", &["message", "reason"]),
    ("api.certificates.v1.CertificateSigningRequestSpec", &["uid", "username"]),
    ("api.core.v1.AzureFileVolumeSource", &["readOnly"]),
    ("api.core.v1.CephFSVolumeSource", &["path", "readOnly", "secretFile", "user"]),
    ("api.core.v1.ConfigMapEnvSource", &["name"]),
    ("api.core.v1.ConfigMapKeySelector", &["name"]),
    ("api.core.v1.ConfigMapProjection", &["name"]),
    ("api.core.v1.ConfigMapVolumeSource", &["name"]),
    ("api.core.v1.Container", &["image", "imagePullPolicy", "stdin", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty", "workingDir"]),
    ("api.core.v1.ContainerPort", &["hostIP", "hostPort", "name", "protocol"]),
    ("api.core.v1.ContainerStateTerminated", &["containerID", "message", "reason", "signal"]),
    ("api.core.v1.ContainerStateWaiting", &["message", "reason"]),
    ("api.core.v1.ContainerStatus", &["containerID"]),
    ("api.core.v1.EmptyDirVolumeSource", &["medium"]),
    ("api.core.v1.EndpointAddress", &["hostname"]),
    ("api.core.v1.EndpointPort", &["name", "protocol"]),
    ("api.core.v1.EnvFromSource", &["prefix"]),
    ("api.core.v1.EnvVar", &["value"]),
    ("api.core.v1.EphemeralContainer", &["image", "imagePullPolicy", "stdin", "stdinOnce", "targetContainerName", "terminationMessagePath", "terminationMessagePolicy", "tty", "workingDir"]),
    ("api.core.v1.Event", &["action", "message", "reason", "type"]),
    ("api.core.v1.EventSource", &["component", "host"]),
    ("api.core.v1.HTTPGetAction", &["host", "path", "scheme"]),
    ("api.core.v1.ISCSIVolumeSource", &["chapAuthDiscovery", "chapAuthSession", "fsType", "iscsiInterface", "readOnly"]),
    ("api.core.v1.LoadBalancerIngress", &["hostname", "ip"]),
    ("api.core.v1.LocalObjectReference", &["name"]),
    ("api.core.v1.NFSVolumeSource", &["readOnly"]),
    ("api.core.v1.NamespaceCondition", &["message", "reason"]),
    ("api.core.v1.NamespaceStatus", &["phase"]),
    ("api.core.v1.NodeCondition", &["message", "reason"]),
    ("api.core.v1.NodeSpec", &["externalID", "podCIDR", "providerID", "unschedulable"]),
    ("api.core.v1.NodeStatus", &["phase"]),
    ("api.core.v1.ObjectFieldSelector", &["apiVersion"]),
    ("api.core.v1.ObjectReference", &["apiVersion", "fieldPath", "kind", "name", "namespace", "resourceVersion", "uid"]),
    ("api.core.v1.PersistentVolumeClaimCondition", &["message", "reason"]),
    ("api.core.v1.PersistentVolumeClaimSpec", &["volumeName"]),
    ("api.core.v1.PersistentVolumeClaimStatus", &["phase"]),
    ("api.core.v1.PersistentVolumeClaimVolumeSource", &["readOnly"]),
    ("api.core.v1.PersistentVolumeSpec", &["persistentVolumeReclaimPolicy", "storageClassName"]),
    ("api.core.v1.PersistentVolumeStatus", &["message", "phase", "reason"]),
    ("api.core.v1.PodCondition", &["message", "reason"]),
    ("api.core.v1.PodDNSConfigOption", &["name"]),
    ("api.core.v1.PodSpec", &["dnsPolicy", "hostIPC", "hostNetwork", "hostPID", "hostname", "nodeName", "priorityClassName", "restartPolicy", "schedulerName", "serviceAccount", "serviceAccountName", "subdomain"]),
    ("api.core.v1.PodStatus", &["hostIP", "message", "nominatedNodeName", "phase", "podIP", "qosClass", "reason", "resize"]),
    ("api.core.v1.Probe", &["failureThreshold", "initialDelaySeconds", "periodSeconds", "successThreshold", "timeoutSeconds"]),
    ("api.core.v1.ReplicationControllerCondition", &["message", "reason"]),
    ("api.core.v1.ReplicationControllerSpec", &["minReadySeconds"]),
    ("api.core.v1.ResourceFieldSelector", &["containerName"]),
    ("api.core.v1.SELinuxOptions", &["level", "role", "type", "user"]),
    ("api.core.v1.Secret", &["type"]),
    ("api.core.v1.SecretEnvSource", &["name"]),
    ("api.core.v1.SecretKeySelector", &["name"]),
    ("api.core.v1.SecretProjection", &["name"]),
    ("api.core.v1.SecretReference", &["name", "namespace"]),
    ("api.core.v1.SecretVolumeSource", &["secretName"]),
    ("api.core.v1.ServiceAccountTokenProjection", &["audience"]),
    ("api.core.v1.ServicePort", &["name", "nodePort", "protocol"]),
    ("api.core.v1.ServiceSpec", &["clusterIP", "externalName", "externalTrafficPolicy", "healthCheckNodePort", "loadBalancerIP", "publishNotReadyAddresses", "sessionAffinity", "type"]),
    ("api.core.v1.TCPSocketAction", &["host"]),
    ("api.core.v1.Taint", &["value"]),
    ("api.core.v1.Toleration", &["effect", "key", "operator", "value"]),
    ("api.core.v1.VolumeMount", &["readOnly", "subPath", "subPathExpr"]),
    ("api.networking.v1.HTTPIngressPath", &["path"]),
    ("api.networking.v1.IngressLoadBalancerIngress", &["hostname", "ip"]),
    ("api.networking.v1.IngressRule", &["host"]),
    ("api.networking.v1.IngressTLS", &["secretName"]),
    ("api.networking.v1.ServiceBackendPort", &["name", "number"]),
    ("api.rbac.v1.Subject", &["apiGroup", "namespace"]),
    ("api.scheduling.v1.PriorityClass", &["description", "globalDefault"]),
    ("api.storage.v1.VolumeError", &["message"]),
    ("apimachinery.pkg.apis.meta.v1.ObjectMeta", &["generateName", "name", "namespace", "resourceVersion", "selfLink", "uid"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::type_named;

    #[test]
    fn the_tables_are_in_order_and_name_real_fields() {
        for table in [ALWAYS_SHOWN, BY_VALUE] {
            assert!(table.is_sorted_by(|a, b| a.0 < b.0));
            for (name, fields) in table {
                let of = type_named(&format!("io.k8s.{name}")).unwrap_or_else(|| panic!("{name}"));
                for field in *fields {
                    assert!(of.field(field).is_some_and(|f| !f.required()), "{name}.{field}");
                }
            }
        }
    }
}
