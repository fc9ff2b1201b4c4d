//! Which fields hold labels, annotations, names, references to names…: the built-in tables, and what a kustomization adds to them.

use serde_json::Value;

use super::paths::Spec;
use super::resource::Gvk;

/// Names that refer to resources of a kind.
#[derive(Clone, Debug)]
pub struct Reference {
    pub target: Gvk,
    pub referrers: Vec<Spec>,
}

/// All tables of one build.
#[derive(Clone, Debug)]
pub struct Specs {
    pub prefix: Vec<Spec>,
    pub suffix: Vec<Spec>,
    pub namespace: Vec<Spec>,
    pub common_labels: Vec<Spec>,
    pub template_labels: Vec<Spec>,
    pub labels: Vec<Spec>,
    pub annotations: Vec<Spec>,
    pub references: Vec<Reference>,
    pub variables: Vec<Spec>,
    pub images: Vec<Spec>,
    pub replicas: Vec<Spec>,
}

/// Where a kind has a pod's spec.
fn pod_path(kind: &str) -> &'static str {
    match kind {
        "Pod" => "spec",
        "PodTemplate" => "template/spec",
        "CronJob" => "spec/jobTemplate/spec/template/spec",
        _ => "spec/template/spec",
    }
}

/// Lines `kinds… path`; a kind may be `Kind.group`, `*` is any. A path that begins with `^` is inside of the pod's spec; one that
/// ends with `+` is made where it is not there.
fn table(text: &str) -> Vec<Spec> {
    let mut specs = Vec::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let Some((kinds, path)) = line.rsplit_once(' ') else { continue };
        let (path, create) = path.strip_suffix('+').map_or((path, false), |p| (p, true));
        for kind in kinds.split(' ') {
            let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
            let path = match path.strip_prefix('^') {
                Some(rest) => format!("{}/{rest}", pod_path(kind)),
                None => path.to_owned(),
            };
            let kind = if kind == "*" { "" } else { kind };
            specs.push(Spec::new(
                Gvk { group: group.into(), version: String::new(), kind: kind.into() },
                path,
                create,
            ));
        }
    }
    specs
}

const METADATA_LABELS: &str = "* metadata/labels+";

const TEMPLATE_LABELS: &str = "
StatefulSet.apps spec/volumeClaimTemplates[]/metadata/labels+
ReplicationController Deployment ReplicaSet DaemonSet StatefulSet.apps Job.batch spec/template/metadata/labels+
CronJob.batch spec/jobTemplate/metadata/labels+
CronJob.batch spec/jobTemplate/spec/template/metadata/labels+
";

const SELECTORS: &str = "
Service ReplicationController spec/selector+
Deployment ReplicaSet DaemonSet StatefulSet.apps spec/selector/matchLabels+
Deployment.apps StatefulSet.apps ^affinity/podAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels
Deployment.apps StatefulSet.apps ^affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels
Deployment.apps StatefulSet.apps ^affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels
Deployment.apps StatefulSet.apps ^affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels
Deployment.apps StatefulSet.apps ^topologySpreadConstraints/labelSelector/matchLabels
Job.batch PodDisruptionBudget.policy spec/selector/matchLabels
CronJob.batch spec/jobTemplate/spec/selector/matchLabels
NetworkPolicy.networking.k8s.io spec/podSelector/matchLabels
NetworkPolicy.networking.k8s.io spec/ingress/from/podSelector/matchLabels
NetworkPolicy.networking.k8s.io spec/egress/to/podSelector/matchLabels
";

const ANNOTATIONS: &str = "
* metadata/annotations+
ReplicationController Deployment ReplicaSet DaemonSet StatefulSet Job.batch spec/template/metadata/annotations+
CronJob.batch spec/jobTemplate/metadata/annotations+
CronJob.batch spec/jobTemplate/spec/template/metadata/annotations+
";

const NAMESPACE: &str = "
* metadata/namespace+
Namespace metadata/name+
RoleBinding ClusterRoleBinding subjects
APIService.apiregistration.k8s.io spec/service/namespace+
CustomResourceDefinition.apiextensions.k8s.io spec/conversion/webhook/clientConfig/service/namespace
";

const IMAGES: &str = "
* spec/containers[]/image
* spec/initContainers[]/image
* spec/template/spec/containers[]/image
* spec/template/spec/initContainers[]/image
* spec/volumes[]/image/reference
* spec/template/spec/volumes[]/image/reference
";

const REPLICAS: &str = "Deployment StatefulSet ReplicaSet ReplicationController spec/replicas+";

const VARIABLES: &str = "
CronJob DaemonSet Deployment Job ReplicaSet StatefulSet Pod ^containers/args
CronJob DaemonSet Deployment Job ReplicaSet StatefulSet Pod ^containers/command
CronJob DaemonSet Deployment Job ReplicaSet StatefulSet Pod ^containers/env/value
CronJob DaemonSet Deployment Job ReplicaSet StatefulSet Pod ^containers/volumeMounts/mountPath
CronJob DaemonSet Deployment Job ReplicaSet StatefulSet Pod ^initContainers/args
CronJob DaemonSet Deployment Job ReplicaSet StatefulSet Pod ^initContainers/command
CronJob DaemonSet Deployment Job ReplicaSet StatefulSet Pod ^initContainers/env/value
CronJob DaemonSet Deployment Job ReplicaSet StatefulSet Pod ^initContainers/volumeMounts/mountPath
CronJob spec/jobTemplate/spec/template/volumes/nfs/server
DaemonSet Deployment Job ReplicaSet StatefulSet Pod ^volumes/nfs/server
Ingress spec/rules/host
Ingress spec/tls/hosts
Ingress spec/tls/secretName
Service spec/ports/port
StatefulSet spec/volumeClaimTemplates/spec/nfs/server
PersistentVolume spec/nfs/server
* metadata/labels
* metadata/annotations
";

/// A block for each kind that is referred to: `= Kind[.group][/version]`, then the fields that name it.
const REFERENCES: &str = "
= Deployment
HorizontalPodAutoscaler spec/scaleTargetRef/name
= ReplicationController
HorizontalPodAutoscaler spec/scaleTargetRef/name
= ReplicaSet
HorizontalPodAutoscaler spec/scaleTargetRef/name
= StatefulSet
HorizontalPodAutoscaler spec/scaleTargetRef/name
= ConfigMap/v1
Pod PodTemplate Deployment ReplicaSet DaemonSet StatefulSet Job CronJob ^volumes/configMap/name
Pod PodTemplate Deployment ReplicaSet DaemonSet StatefulSet Job CronJob ^volumes/projected/sources/configMap/name
Pod PodTemplate Deployment ReplicaSet DaemonSet StatefulSet Job CronJob ^containers/env/valueFrom/configMapKeyRef/name
Pod PodTemplate Deployment ReplicaSet DaemonSet StatefulSet Job CronJob ^initContainers/env/valueFrom/configMapKeyRef/name
Pod PodTemplate Deployment ReplicaSet DaemonSet StatefulSet Job CronJob ^containers/envFrom/configMapRef/name
Pod PodTemplate Deployment ReplicaSet DaemonSet StatefulSet Job CronJob ^initContainers/envFrom/configMapRef/name
Node spec/configSource/configMap
Role ClusterRole rules/resourceNames
Ingress metadata/annotations/nginx.ingress.kubernetes.io\\/fastcgi-params-configmap
= Secret/v1
Pod PodTemplate Deployment ReplicaSet DaemonSet StatefulSet Job CronJob ^volumes/secret/secretName
Pod PodTemplate Deployment ReplicaSet DaemonSet StatefulSet Job CronJob ^volumes/projected/sources/secret/name
Pod PodTemplate Deployment ReplicaSet DaemonSet StatefulSet Job CronJob ^containers/env/valueFrom/secretKeyRef/name
Pod PodTemplate Deployment ReplicaSet DaemonSet StatefulSet Job CronJob ^initContainers/env/valueFrom/secretKeyRef/name
Pod PodTemplate Deployment ReplicaSet DaemonSet StatefulSet Job CronJob ^containers/envFrom/secretRef/name
Pod PodTemplate Deployment ReplicaSet DaemonSet StatefulSet Job CronJob ^initContainers/envFrom/secretRef/name
Pod PodTemplate Deployment ReplicaSet DaemonSet StatefulSet Job CronJob ^imagePullSecrets/name
Ingress spec/tls/secretName
Ingress metadata/annotations/ingress.kubernetes.io\\/auth-secret
Ingress metadata/annotations/nginx.ingress.kubernetes.io\\/auth-secret
Ingress metadata/annotations/nginx.ingress.kubernetes.io\\/auth-tls-secret
ServiceAccount imagePullSecrets/name
StorageClass parameters/secretName
StorageClass parameters/adminSecretName
StorageClass parameters/userSecretName
StorageClass parameters/secretRef
Role ClusterRole rules/resourceNames
Service.serving.knative.dev spec/template/spec/containers/env/valueFrom/secretKeyRef/name
PersistentVolume spec/azureFile/secretName
= Service/v1
StatefulSet.apps spec/serviceName
Ingress spec/rules/http/paths/backend/serviceName
Ingress spec/backend/serviceName
Ingress spec/rules/http/paths/backend/service/name
Ingress spec/defaultBackend/service/name
APIService.apiregistration.k8s.io spec/service/name
ValidatingWebhookConfiguration.admissionregistration.k8s.io webhooks/clientConfig/service
MutatingWebhookConfiguration.admissionregistration.k8s.io webhooks/clientConfig/service
HTTPRoute GRPCRoute TLSRoute TCPRoute UDPRoute spec/rules/backendRefs/name
= Role.rbac.authorization.k8s.io
RoleBinding.rbac.authorization.k8s.io roleRef/name
= ClusterRole.rbac.authorization.k8s.io
RoleBinding.rbac.authorization.k8s.io ClusterRoleBinding.rbac.authorization.k8s.io roleRef/name
= ServiceAccount/v1
RoleBinding.rbac.authorization.k8s.io ClusterRoleBinding.rbac.authorization.k8s.io subjects
Pod StatefulSet Deployment ReplicationController CronJob Job DaemonSet ^serviceAccountName
= PersistentVolumeClaim/v1
Pod StatefulSet Deployment ReplicationController CronJob Job DaemonSet ^volumes/persistentVolumeClaim/claimName
= PersistentVolume/v1
PersistentVolumeClaim spec/volumeName
ClusterRole rules/resourceNames
= StorageClass.storage.k8s.io/v1
PersistentVolume PersistentVolumeClaim spec/storageClassName
StatefulSet spec/volumeClaimTemplates/spec/storageClassName
= PriorityClass.scheduling.k8s.io/v1
Pod StatefulSet Deployment ReplicationController CronJob Job DaemonSet ^priorityClassName
= IngressClass.networking.k8s.io/v1
Ingress spec/ingressClassName
";

fn references() -> Vec<Reference> {
    let block = |block: &str| {
        let (head, lines) = block.split_once('\n')?;
        let (kind, version) = head.split_once('/').unwrap_or((head, ""));
        let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
        let target = Gvk { group: group.into(), version: version.into(), kind: kind.into() };
        Some(Reference { target, referrers: table(lines) })
    };
    REFERENCES.trim().trim_start_matches("= ").split("\n= ").filter_map(block).collect()
}

impl Default for Specs {
    fn default() -> Self {
        let labels = table(METADATA_LABELS);
        let mut template_labels = labels.clone();
        template_labels.extend(table(TEMPLATE_LABELS));
        let mut common_labels = template_labels.clone();
        common_labels.extend(table(SELECTORS));
        let names = table("* metadata/name");
        Specs {
            prefix: names.clone(),
            suffix: names,
            namespace: table(NAMESPACE),
            common_labels,
            template_labels,
            labels,
            annotations: table(ANNOTATIONS),
            references: references(),
            variables: table(VARIABLES),
            images: table(IMAGES),
            replicas: table(REPLICAS),
        }
    }
}

impl Specs {
    /// Adds what a file of `configurations` says.
    pub fn add(&mut self, config: &Value) {
        let list = |key: &str| config[key].as_array().into_iter().flatten();
        let more = |into: &mut Vec<Spec>, key: &str| {
            for spec in list(key).map(Spec::read) {
                if !into.contains(&spec) {
                    into.push(spec);
                }
            }
        };
        more(&mut self.prefix, "namePrefix");
        more(&mut self.suffix, "nameSuffix");
        more(&mut self.namespace, "namespace");
        more(&mut self.common_labels, "commonLabels");
        more(&mut self.template_labels, "templateLabels");
        more(&mut self.labels, "labels");
        more(&mut self.annotations, "commonAnnotations");
        more(&mut self.variables, "varReference");
        more(&mut self.images, "images");
        more(&mut self.replicas, "replicas");
        for reference in list("nameReference") {
            let target = Spec::read(reference).gvk;
            let referrers: Vec<Spec> =
                reference["fieldSpecs"].as_array().into_iter().flatten().map(Spec::read).collect();
            self.refer(target, referrers);
        }
    }

    pub fn refer(&mut self, target: Gvk, referrers: Vec<Spec>) {
        match self.references.iter_mut().find(|r| r.target == target) {
            Some(known) => known.referrers.extend(referrers),
            None => self.references.push(Reference { target, referrers }),
        }
    }

    /// What several kustomizations say together.
    pub fn merge(&mut self, other: &Specs) {
        let more = |into: &mut Vec<Spec>, from: &[Spec]| {
            for spec in from {
                if !into.contains(spec) {
                    into.push(spec.clone());
                }
            }
        };
        more(&mut self.variables, &other.variables);
        for reference in &other.references {
            match self.references.iter_mut().find(|r| r.target == reference.target) {
                Some(known) => more(&mut known.referrers, &reference.referrers),
                None => self.references.push(reference.clone()),
            }
        }
    }
}
