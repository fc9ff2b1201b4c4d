//! What one metric asks for, or why it cannot be told.

use apimachinery::Quantity;
use apimachinery::quantity::Format;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricStatus, ExternalMetricStatus, HorizontalPodAutoscaler, MetricSpec, MetricStatus,
    MetricTarget, MetricValueStatus, ObjectMetricStatus, PodsMetricStatus, ResourceMetricStatus,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use resources::quantity::{self, QuantityExt};

use super::plan::Size;
use super::ratio::{Found, Pods, Samples, Tolerance};

/// What was measured for one metric. The error is the meter's.
pub(super) type Reading = Result<Measured, String>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Measured {
    /// Of each pod.
    Pods(Samples),
    /// Of something else, in thousandths.
    Total(i64),
}

#[derive(Debug)]
pub(super) struct Proposal {
    pub replicas: i32,
    /// As events name the metric.
    pub metric: String,
    pub status: MetricStatus,
}

#[derive(Debug)]
pub(super) struct Failure {
    /// Of the event and the condition.
    pub reason: &'static str,
    /// Their text.
    pub cause: String,
    /// The longer text of the failure as a whole.
    pub error: String,
}

/// Where the metric is looked at.
pub(super) struct Scene<'a> {
    pub namespace: &'a str,
    pub size: Size,
    pub pods: Pods<'a>,
}

impl<'a> Scene<'a> {
    pub fn new(scaler: &'a HorizontalPodAutoscaler, size: Size, pods: &'a [Pod], now: Timestamp) -> Self {
        let pods = Pods { pods, current: size.wanted, tolerance: Tolerance::of(scaler), now };
        Scene { namespace: scaler.namespace(), size, pods }
    }

    pub fn propose(&self, spec: &MetricSpec, reading: &Reading) -> Result<Proposal, Failure> {
        match &*spec.type_ {
            "Resource" => self.resource(spec, reading),
            "ContainerResource" => self.container(spec, reading),
            "Pods" => self.of_pods(spec, reading),
            "Object" => self.object(spec, reading),
            "External" => self.external(spec, reading),
            other => {
                let text = format!("unknown metric source type {other:?}");
                Err(Failure { reason: "InvalidMetricSourceType", cause: text.clone(), error: text })
            }
        }
    }

    fn resource(&self, spec: &MetricSpec, reading: &Reading) -> Result<Proposal, Failure> {
        let source = spec.resource.clone().unwrap_or_default();
        let found = self.usage(&source.name, None, &source.target, reading).map_err(|cause| Failure {
            reason: "FailedGetResourceMetric",
            error: format!("failed to get {} resource metric value: {cause}", source.name),
            cause,
        })?;
        let status = ResourceMetricStatus { current: current(&found), name: source.name.clone() };
        Ok(Proposal {
            replicas: found.replicas,
            metric: match found.utilization {
                Some(_) => format!("{} resource utilization (percentage of request)", source.name),
                None => format!("{} resource", source.name),
            },
            status: MetricStatus { type_: spec.type_.clone(), resource: Some(status), ..Default::default() },
        })
    }

    fn container(&self, spec: &MetricSpec, reading: &Reading) -> Result<Proposal, Failure> {
        let source = spec.container_resource.clone().unwrap_or_default();
        let found = self.usage(&source.name, Some(&source.container), &source.target, reading);
        let found = found.map_err(|cause| Failure {
            reason: "FailedGetContainerResourceMetric",
            error: format!("failed to get {} container metric value: {cause}", source.container),
            cause,
        })?;
        let status = ContainerResourceMetricStatus {
            container: source.container,
            current: current(&found),
            name: source.name.clone(),
        };
        Ok(Proposal {
            replicas: found.replicas,
            metric: match found.utilization {
                Some(_) => format!("{} container resource utilization (percentage of request)", source.name),
                None => format!("{} container resource", source.name),
            },
            status: MetricStatus {
                type_: spec.type_.clone(),
                container_resource: Some(status),
                ..Default::default()
            },
        })
    }

    fn usage(
        &self,
        name: &str,
        container: Option<&str>,
        target: &MetricTarget,
        reading: &Reading,
    ) -> Result<Found, String> {
        let samples = || match reading {
            Ok(Measured::Pods(samples)) => Ok(samples.clone()),
            Ok(Measured::Total(_)) => Err(format!("unable to get metrics for resource {name}: not of pods")),
            Err(error) => Err(format!("unable to get metrics for resource {name}: {error}")),
        };
        if let Some(value) = &target.average_value {
            let found =
                samples().and_then(|samples| self.pods.by_value(samples, name, value.amount().milli_value()));
            return found.map_err(|error| format!("failed to get {name} usage: {error}"));
        }
        let Some(share) = target.average_utilization else {
            let text = "invalid resource metric source: neither an average utilization target nor an average value \
                        (usage) target was set";
            return Err(text.into());
        };
        samples()
            .and_then(|samples| self.pods.by_utilization(samples, name, container, share))
            .map_err(|error| format!("failed to get {name} utilization: {error}"))
    }

    fn of_pods(&self, spec: &MetricSpec, reading: &Reading) -> Result<Proposal, Failure> {
        let source = spec.pods.clone().unwrap_or_default();
        let name = &source.metric.name;
        let target = source.target.average_value.as_ref().map_or(0, |v| v.amount().milli_value());
        let found = match reading {
            Ok(Measured::Pods(samples)) => self.pods.by_value(samples.clone(), "", target),
            Ok(Measured::Total(_)) => Err(format!("unable to get metric {name}: not of pods")),
            Err(error) => Err(format!("unable to get metric {name}: {error}")),
        };
        let found = found.map_err(|cause| Failure {
            reason: "FailedGetPodsMetric",
            error: format!("failed to get pods metric value: {cause}"),
            cause,
        })?;
        let metric = format!("pods metric {name}");
        let status = PodsMetricStatus { current: current(&found), metric: source.metric };
        let status = MetricStatus { type_: spec.type_.clone(), pods: Some(status), ..Default::default() };
        Ok(Proposal { replicas: found.replicas, metric, status })
    }

    fn object(&self, spec: &MetricSpec, reading: &Reading) -> Result<Proposal, Failure> {
        const REASON: &str = "FailedGetObjectMetric";
        let source = spec.object.clone().unwrap_or_default();
        let (name, of) = (&source.metric.name, &source.described_object);
        // The words are in upstream's order, which mistakes the error for the object's name.
        let unable = |error: &str| {
            format!("unable to get metric {name}: {} on {} {}/{error}", of.kind, self.namespace, of.name)
        };
        let (found, each) = self.total(&source.target, reading, unable);
        let wrap = |cause: String| {
            let inner = match each {
                true => format!("failed to get {name} object metric: {cause}"),
                false => cause.clone(),
            };
            Failure { reason: REASON, error: format!("failed to get object metric value: {inner}"), cause }
        };
        let none = || {
            "invalid object metric source: neither a value target nor an average value target was set".into()
        };
        let found = found.unwrap_or_else(|| Err(none())).map_err(wrap)?;
        let metric = match each {
            true => format!("external metric {name}({})", shown(source.metric.selector.as_ref())),
            false => format!("{} metric {name}", of.kind),
        };
        let current = if each { current(&found) } else { total(&found) };
        let status =
            ObjectMetricStatus { current, described_object: source.described_object, metric: source.metric };
        let status = MetricStatus { type_: spec.type_.clone(), object: Some(status), ..Default::default() };
        Ok(Proposal { replicas: found.replicas, metric, status })
    }

    fn external(&self, spec: &MetricSpec, reading: &Reading) -> Result<Proposal, Failure> {
        const REASON: &str = "FailedGetExternalMetric";
        let source = spec.external.clone().unwrap_or_default();
        let name = &source.metric.name;
        let selector = shown(source.metric.selector.as_ref());
        let unable = |error: &str| {
            format!("unable to get external metric {}/{name}/{selector}: {error}", self.namespace)
        };
        let (found, each) = self.total(&source.target, reading, unable);
        let wrap = |cause: String| {
            let inner = match each {
                true => format!("failed to get {name} external metric: {cause}"),
                false => format!("failed to get external metric {name}: {cause}"),
            };
            Failure {
                reason: REASON,
                error: format!("failed to get {name} external metric value: {inner}"),
                cause,
            }
        };
        let none = || {
            "invalid external metric source: neither a value target nor an average value target was set"
                .into()
        };
        let found = found.unwrap_or_else(|| Err(none())).map_err(wrap)?;
        let metric = format!("external metric {name}({selector})");
        let current = if each { current(&found) } else { total(&found) };
        let status = ExternalMetricStatus { current, metric: source.metric };
        let status = MetricStatus { type_: spec.type_.clone(), external: Some(status), ..Default::default() };
        Ok(Proposal { replicas: found.replicas, metric, status })
    }

    /// By one number for all pods, and whether the target is for each of them. `None`: there is no target.
    fn total(
        &self,
        target: &MetricTarget,
        reading: &Reading,
        unable: impl Fn(&str) -> String,
    ) -> (Option<Result<Found, String>>, bool) {
        let usage = || match reading {
            Ok(Measured::Total(usage)) => Ok(*usage),
            Ok(Measured::Pods(_)) => Err(unable("it is of pods")),
            Err(error) => Err(unable(error)),
        };
        let milli =
            |value: &k8s_openapi::apimachinery::pkg::api::resource::Quantity| value.amount().milli_value();
        match (&target.average_value, &target.value) {
            (Some(each), _) if target.type_ != "Value" => {
                (Some(usage().map(|u| self.pods.by_share(u, milli(each), self.size.present))), true)
            }
            (_, Some(all)) => (Some(usage().and_then(|u| self.pods.by_total(u, milli(all)))), false),
            (Some(each), None) => {
                (Some(usage().map(|u| self.pods.by_share(u, milli(each), self.size.present))), true)
            }
            (None, None) => (None, false),
        }
    }
}

fn amount(milli: i64) -> k8s_openapi::apimachinery::pkg::api::resource::Quantity {
    quantity::text(Quantity::milli(milli, Format::DecimalSi))
}

fn current(found: &Found) -> MetricValueStatus {
    MetricValueStatus {
        average_value: Some(amount(found.value)),
        average_utilization: found.utilization,
        value: None,
    }
}

fn total(found: &Found) -> MetricValueStatus {
    MetricValueStatus { value: Some(amount(found.value)), ..MetricValueStatus::default() }
}

/// As Go prints a pointer to a selector.
fn shown(selector: Option<&LabelSelector>) -> String {
    let Some(selector) = selector else { return "nil".into() };
    let labels: String =
        selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}: {value},")).collect();
    let expressions: String = selector
        .match_expressions
        .iter()
        .flatten()
        .map(|e| {
            let values = e.values.clone().unwrap_or_default().join(" ");
            format!("LabelSelectorRequirement{{Key:{},Operator:{},Values:[{values}],}},", e.key, e.operator)
        })
        .collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},\
         MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}
