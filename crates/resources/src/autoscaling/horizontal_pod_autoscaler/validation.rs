//! What an autoscaler has to be like.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::{Quantity, names};
use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricSource, CrossVersionObjectReference, ExternalMetricSource, HPAScalingPolicy,
    HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec,
    MetricTarget, ObjectMetricSource, PodsMetricSource, ResourceMetricSource,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use crate::check::{each, known, non_negative, one, required};
use crate::core::pod::validation::resources::container_resource as container_resource_name;

const PERIOD_MAX: i32 = 1800;
const STABILIZATION_WINDOW_MAX: i32 = 3600;
const SOURCES: &[&str] = &["ContainerResource", "External", "Object", "Pods", "Resource"];

/// How the versions of what is referred to are looked at.
#[derive(Clone, Copy, PartialEq)]
enum ApiVersion {
    /// Names a group.
    Grouped,
    /// A version alone will do, and so will nothing.
    Any,
    /// Was there before: not looked at.
    Kept,
}

pub(super) fn create(scaler: &HorizontalPodAutoscaler) -> ErrorList {
    Rules { min: 1, target: by_kind(scaler), objects: ApiVersion::Any }.spec(&scaler.spec)
}

pub(super) fn update(new: &HorizontalPodAutoscaler, old: &HorizontalPodAutoscaler) -> ErrorList {
    let (to, from) = (&new.spec.scale_target_ref, &old.spec.scale_target_ref);
    let same = to.kind == from.kind && version(to) == version(from);
    let objects =
        old.spec.metrics.iter().flatten().filter(|m| m.type_ == "Object").filter_map(|m| m.object.as_ref());
    let broken = |s: &ObjectMetricSource| version_problem(&s.described_object, ApiVersion::Any).is_some();
    let rules = Rules {
        min: if old.spec.min_replicas == Some(0) { 0 } else { 1 },
        target: if same { ApiVersion::Kept } else { by_kind(new) },
        objects: if objects.into_iter().any(broken) { ApiVersion::Kept } else { ApiVersion::Any },
    };
    rules.spec(&new.spec)
}

pub(super) fn status(scaler: &HorizontalPodAutoscaler) -> ErrorList {
    let status = scaler.status.clone().unwrap_or_default();
    let path = Path::new("status");
    let mut errs = non_negative(&path.child("currentReplicas"), status.current_replicas.unwrap_or(0));
    errs.extend(non_negative(&path.child("desiredReplicas"), status.desired_replicas));
    errs
}

/// The one kind of the core group that scales may be given without a version.
fn by_kind(scaler: &HorizontalPodAutoscaler) -> ApiVersion {
    match &*scaler.spec.scale_target_ref.kind {
        "ReplicationController" => ApiVersion::Any,
        _ => ApiVersion::Grouped,
    }
}

struct Rules {
    /// No `minReplicas` below this.
    min: i32,
    target: ApiVersion,
    objects: ApiVersion,
}

impl Rules {
    fn spec(&self, spec: &HorizontalPodAutoscalerSpec) -> ErrorList {
        let path = Path::new("spec");
        let mut errs = ErrorList::new();
        if let Some(min) = spec.min_replicas.filter(|min| *min < self.min) {
            let detail = format!("must be greater than or equal to {}", self.min);
            errs.push(Error::invalid(&path.child("minReplicas"), min, detail));
        }
        let max = &path.child("maxReplicas");
        if spec.max_replicas < 1 {
            errs.push(Error::invalid(max, spec.max_replicas, "must be greater than 0"));
        }
        if spec.min_replicas.is_some_and(|min| spec.max_replicas < min) {
            let detail = "must be greater than or equal to `minReplicas`";
            errs.push(Error::invalid(max, spec.max_replicas, detail));
        }
        errs.extend(reference(&spec.scale_target_ref, self.target, &path.child("scaleTargetRef")));
        errs.extend(self.metrics(spec, &path.child("metrics")));
        if let Some(behavior) = &spec.behavior {
            let path = path.child("behavior");
            for (field, rules) in [("scaleUp", &behavior.scale_up), ("scaleDown", &behavior.scale_down)] {
                errs.extend(rules.as_ref().map_or_else(ErrorList::new, |r| scaling(r, &path.child(field))));
            }
        }
        errs
    }

    fn metrics(&self, spec: &HorizontalPodAutoscalerSpec, path: &Path) -> ErrorList {
        let mut errs = ErrorList::new();
        let metrics = spec.metrics.as_deref().unwrap_or_default();
        for (i, metric) in metrics.iter().enumerate() {
            errs.extend(self.metric(metric, &path.index(i)));
        }
        let idle = metrics.iter().any(|m| matches!(&*m.type_, "Object" | "External"));
        if spec.min_replicas == Some(0) && !idle {
            let detail =
                "must specify at least one Object or External metric to support scaling to zero replicas";
            errs.push(Error::forbidden(path, detail));
        }
        errs
    }

    fn metric(&self, metric: &MetricSpec, path: &Path) -> ErrorList {
        let mut errs = ErrorList::new();
        if metric.type_.is_empty() {
            errs.push(Error::required(&path.child("type"), "must specify a metric source type"));
        }
        errs.extend(known(&path.child("type"), &metric.type_, SOURCES));
        // In this order, and only the first that is there is looked into.
        let at = |field: &str| path.child(field);
        let found: Vec<(&str, ErrorList)> = [
            metric.object.as_ref().map(|s| ("object", object(s, self.objects, &at("object")))),
            metric.external.as_ref().map(|s| ("external", external(s, &at("external")))),
            metric.pods.as_ref().map(|s| ("pods", pods(s, &at("pods")))),
            metric.resource.as_ref().map(|s| ("resource", resource(s, &at("resource")))),
            metric
                .container_resource
                .as_ref()
                .map(|s| ("containerResource", container_resource(s, &at("containerResource")))),
        ]
        .into_iter()
        .flatten()
        .collect();
        let present: Vec<&str> = found.iter().map(|(field, _)| *field).collect();
        if let Some((_, first)) = found.into_iter().next() {
            errs.extend(first);
        }
        let expected = match &*metric.type_ {
            "ContainerResource" => "containerResource",
            "External" => "external",
            "Object" => "object",
            "Pods" => "pods",
            "Resource" => "resource",
            // Upstream says it a second time here.
            other => {
                errs.extend(known(&path.child("type"), other, SOURCES));
                ""
            }
        };
        if !expected.is_empty() && !present.contains(&expected) {
            let detail = "must populate information for the given metric source";
            errs.push(Error::required(&path.child(expected), detail));
        }
        if present.len() != 1 {
            for field in present.into_iter().filter(|field| *field != expected) {
                errs.push(Error::forbidden(&path.child(field), "must populate the given metric source only"));
            }
        }
        errs
    }
}

fn version(reference: &CrossVersionObjectReference) -> &str {
    reference.api_version.as_deref().unwrap_or_default()
}

fn reference(reference: &CrossVersionObjectReference, how: ApiVersion, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (field, value) in [("kind", &reference.kind), ("name", &reference.name)] {
        let path = path.child(field);
        errs.extend(match value.is_empty() {
            true => required(&path, ""),
            false => each(&path, value, names::path_segment(value)),
        });
    }
    if let Some(problem) = version_problem(reference, how) {
        errs.push(Error::invalid(&path.child("apiVersion"), version(reference), problem));
    }
    errs
}

fn version_problem(reference: &CrossVersionObjectReference, how: ApiVersion) -> Option<String> {
    let version = version(reference);
    let group = match version.matches('/').count() {
        0 => "",
        1 => version.split_once('/')?.0,
        _ => return (how != ApiVersion::Kept).then(|| format!("unexpected GroupVersion string: {version}")),
    };
    (how == ApiVersion::Grouped && group.is_empty()).then(|| "apiVersion must specify API group".into())
}

fn object(source: &ObjectMetricSource, how: ApiVersion, path: &Path) -> ErrorList {
    let mut errs = reference(&source.described_object, how, &path.child("describedObject"));
    errs.extend(identifier(&source.metric, &path.child("metric")));
    errs.extend(target(&source.target, &path.child("target")));
    if source.target.value.is_none() && source.target.average_value.is_none() {
        let detail = "must set either a target value or averageValue";
        errs.push(Error::required(&path.child("target").child("averageValue"), detail));
    }
    errs
}

fn external(source: &ExternalMetricSource, path: &Path) -> ErrorList {
    let mut errs = identifier(&source.metric, &path.child("metric"));
    let at = path.child("target");
    errs.extend(target(&source.target, &at));
    match (&source.target.value, &source.target.average_value) {
        (None, None) => {
            let detail = "must set either a target value for metric or a per-pod target";
            errs.push(Error::required(&at.child("averageValue"), detail));
        }
        (Some(_), Some(_)) => {
            let detail = "may not set both a target value for metric and a per-pod target";
            errs.push(Error::forbidden(&at.child("value"), detail));
        }
        _ => {}
    }
    errs
}

fn pods(source: &PodsMetricSource, path: &Path) -> ErrorList {
    let mut errs = identifier(&source.metric, &path.child("metric"));
    errs.extend(target(&source.target, &path.child("target")));
    if source.target.average_value.is_none() {
        let detail = "must specify a positive target averageValue";
        errs.push(Error::required(&path.child("target").child("averageValue"), detail));
    }
    errs
}

fn container_resource(source: &ContainerResourceMetricSource, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let name = &path.child("name");
    match source.name.is_empty() {
        true => errs.push(Error::required(name, "must specify a resource name")),
        false => errs.extend(container_resource_name(&source.name, name)),
    }
    let container = &path.child("container");
    match source.container.is_empty() {
        true => errs.push(Error::required(container, "must specify a container")),
        false => errs.extend(each(container, &source.container, names::dns1123_label(&source.container))),
    }
    errs.extend(of_resource(&source.target, &path.child("target")));
    errs
}

fn resource(source: &ResourceMetricSource, path: &Path) -> ErrorList {
    let missing = || Error::required(&path.child("name"), "must specify a resource name");
    let mut errs = one(source.name.is_empty(), missing);
    errs.extend(of_resource(&source.target, &path.child("target")));
    errs
}

fn of_resource(wanted: &MetricTarget, path: &Path) -> ErrorList {
    let mut errs = target(wanted, path);
    match (&wanted.average_utilization, &wanted.average_value) {
        (None, None) => {
            let detail = "must set either a target raw value or a target utilization";
            errs.push(Error::required(&path.child("averageUtilization"), detail));
        }
        (Some(_), Some(_)) => {
            let detail = "may not set both a target raw value and a target utilization";
            errs.push(Error::forbidden(&path.child("averageValue"), detail));
        }
        _ => {}
    }
    errs
}

fn identifier(metric: &MetricIdentifier, path: &Path) -> ErrorList {
    let path = path.child("name");
    match metric.name.is_empty() {
        true => one(true, || Error::required(&path, "must specify a metric name")),
        false => each(&path, &metric.name, names::path_segment(&metric.name)),
    }
}

fn target(target: &MetricTarget, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let kind = &path.child("type");
    if target.type_.is_empty() {
        errs.push(Error::required(kind, "must specify a metric target type"));
    }
    if !matches!(&*target.type_, "Utilization" | "Value" | "AverageValue") {
        let detail = "must be either Utilization, Value, or AverageValue";
        errs.push(Error::invalid(kind, &target.type_, detail));
    }
    for (field, value) in [("value", &target.value), ("averageValue", &target.average_value)] {
        if let Some(value) = value {
            errs.extend(amount(value, &path.child(field), |sign| sign > 0, "must be positive"));
        }
    }
    if let Some(share) = target.average_utilization.filter(|share| *share < 1) {
        errs.push(Error::invalid(&path.child("averageUtilization"), share, "must be greater than 0"));
    }
    errs
}

/// A quantity whose sign is `good`.
fn amount(value: &Text, path: &Path, good: fn(i32) -> bool, detail: &str) -> ErrorList {
    match Quantity::parse(&value.0) {
        Err(error) => one(true, || Error::invalid(path, &value.0, error.to_string())),
        Ok(amount) => one(!good(amount.signum()), || Error::invalid(path, &value.0, detail)),
    }
}

fn scaling(rules: &HPAScalingRules, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if let Some(window) = rules.stabilization_window_seconds {
        let path = path.child("stabilizationWindowSeconds");
        if window < 0 {
            errs.push(Error::invalid(&path, window, "must be greater than or equal to zero"));
        }
        if window > STABILIZATION_WINDOW_MAX {
            let detail = format!("must be less than or equal to {STABILIZATION_WINDOW_MAX}");
            errs.push(Error::invalid(&path, window, detail));
        }
    }
    if let Some(policy) = &rules.select_policy {
        errs.extend(known(&path.child("selectPolicy"), policy, &["Disabled", "Max", "Min"]));
    }
    let policies = path.child("policies");
    if rules.policies.iter().flatten().next().is_none() {
        errs.push(Error::required(&policies, "must specify at least one Policy"));
    }
    for (i, policy) in rules.policies.iter().flatten().enumerate() {
        errs.extend(scaling_policy(policy, &policies.index(i)));
    }
    if let Some(tolerance) = &rules.tolerance {
        let detail = "must be greater than or equal to 0";
        errs.extend(amount(tolerance, &path.child("tolerance"), |sign| sign >= 0, detail));
    }
    errs
}

fn scaling_policy(policy: &HPAScalingPolicy, path: &Path) -> ErrorList {
    let mut errs = known(&path.child("type"), &policy.type_, &["Percent", "Pods"]);
    let period = &path.child("periodSeconds");
    for (path, number) in [(&path.child("value"), policy.value), (period, policy.period_seconds)] {
        if number <= 0 {
            errs.push(Error::invalid(path, number, "must be greater than zero"));
        }
    }
    if policy.period_seconds > PERIOD_MAX {
        let detail = format!("must be less than or equal to {PERIOD_MAX}");
        errs.push(Error::invalid(period, policy.period_seconds, detail));
    }
    errs
}
