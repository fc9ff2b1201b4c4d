//! Autoscalers as autoscaling/v1 shows them: one share of CPU. Everything else of an autoscaler is kept in annotations,
//! in the shapes that upstream gives them, so that an old client's write loses nothing.

use k8s_openapi::api::autoscaling::v1 as old;
use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricSource, ContainerResourceMetricStatus, CrossVersionObjectReference,
    ExternalMetricSource, ExternalMetricStatus, HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior,
    HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus,
    MetricIdentifier, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus, ObjectMetricSource,
    ObjectMetricStatus, PodsMetricSource, PodsMetricStatus, ResourceMetricSource, ResourceMetricStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// The annotations that only v1's view has.
pub(super) fn drop_annotations(meta: &mut ObjectMeta) {
    let Some(annotations) = &mut meta.annotations else { return };
    for key in [METRICS, CONDITIONS, CURRENT_METRICS, BEHAVIOR] {
        annotations.remove(key);
    }
    if annotations.is_empty() {
        meta.annotations = None;
    }
}

/// As v1 shows it.
pub fn from_hub(scaler: HorizontalPodAutoscaler) -> old::HorizontalPodAutoscaler {
    let HorizontalPodAutoscaler { mut metadata, spec, status } = scaler;
    let status = status.unwrap_or_default();
    let mut note = |key: &str, value: Value| {
        metadata.annotations.get_or_insert_default().insert(key.into(), value.to_string());
    };
    let metrics = spec.metrics.unwrap_or_default();
    let others: Vec<Value> =
        metrics.iter().filter(|m| cpu_share(m).is_none()).map(|m| Shape::of(m).to_json()).collect();
    if !others.is_empty() {
        note(METRICS, others.into());
    }
    // All of them, the share of CPU too: its raw value has no other place.
    let current = status.current_metrics.unwrap_or_default();
    if !current.is_empty() {
        note(CURRENT_METRICS, current.iter().map(|m| Shape::of_status(m).status_json()).collect());
    }
    let conditions = status.conditions.unwrap_or_default();
    if !conditions.is_empty() {
        note(CONDITIONS, json!(conditions));
    }
    if let Some(behavior) = &spec.behavior {
        note(BEHAVIOR, capitalized(json!(behavior)));
    }
    let measured = |m: &MetricStatus| {
        m.resource.as_ref().filter(|r| r.name == "cpu").and_then(|r| r.current.average_utilization)
    };
    old::HorizontalPodAutoscaler {
        metadata,
        spec: old::HorizontalPodAutoscalerSpec {
            max_replicas: spec.max_replicas,
            min_replicas: spec.min_replicas,
            scale_target_ref: to_old(spec.scale_target_ref),
            target_cpu_utilization_percentage: metrics.iter().find_map(cpu_share),
        },
        status: Some(old::HorizontalPodAutoscalerStatus {
            current_cpu_utilization_percentage: current.iter().find_map(measured),
            current_replicas: status.current_replicas.unwrap_or(0),
            desired_replicas: status.desired_replicas,
            last_scale_time: status.last_scale_time,
            observed_generation: status.observed_generation,
        }),
    }
}

/// As it is stored.
pub fn to_hub(scaler: old::HorizontalPodAutoscaler) -> HorizontalPodAutoscaler {
    let old::HorizontalPodAutoscaler { mut metadata, spec, status } = scaler;
    let noted = |key: &str| -> Option<Value> {
        // What is no JSON is nobody's word.
        serde_json::from_str(metadata.annotations.as_ref()?.get(key)?).ok()
    };
    let listed = |key: &str| noted(key).and_then(|v| v.as_array().cloned()).unwrap_or_default();
    let mut metrics: Vec<_> = listed(METRICS)
        .iter()
        .map(|v| Shape::from_json(v).map_or_else(MetricSpec::default, Shape::spec))
        .collect();
    metrics.extend(spec.target_cpu_utilization_percentage.map(|share| {
        let target = MetricTarget {
            type_: "Utilization".into(),
            average_utilization: Some(share),
            ..MetricTarget::default()
        };
        let resource = Some(ResourceMetricSource { name: "cpu".into(), target });
        MetricSpec { type_: "Resource".into(), resource, ..MetricSpec::default() }
    }));
    let status = status.unwrap_or_default();
    let mut current: Vec<_> = listed(CURRENT_METRICS)
        .iter()
        .map(|v| Shape::from_status(v).map_or_else(MetricStatus::default, Shape::status))
        .collect();
    if current.is_empty() {
        current.extend(status.current_cpu_utilization_percentage.map(|share| {
            let current =
                MetricValueStatus { average_utilization: Some(share), ..MetricValueStatus::default() };
            let resource = Some(ResourceMetricStatus { name: "cpu".into(), current });
            MetricStatus { type_: "Resource".into(), resource, ..MetricStatus::default() }
        }));
    }
    let conditions: Option<Vec<HorizontalPodAutoscalerCondition>> =
        noted(CONDITIONS).and_then(|v| serde_json::from_value(v).ok());
    let behavior: Option<HorizontalPodAutoscalerBehavior> =
        noted(BEHAVIOR).and_then(|v| serde_json::from_value(uncapitalized(v)).ok());
    drop_annotations(&mut metadata);
    HorizontalPodAutoscaler {
        metadata,
        spec: HorizontalPodAutoscalerSpec {
            behavior,
            max_replicas: spec.max_replicas,
            metrics: (!metrics.is_empty()).then_some(metrics),
            min_replicas: spec.min_replicas,
            scale_target_ref: from_old(spec.scale_target_ref),
        },
        status: Some(HorizontalPodAutoscalerStatus {
            conditions,
            current_metrics: (!current.is_empty()).then_some(current),
            current_replicas: Some(status.current_replicas),
            desired_replicas: status.desired_replicas,
            last_scale_time: status.last_scale_time,
            observed_generation: status.observed_generation,
        }),
    }
}

/// The one thing v1 has a field for.
fn cpu_share(metric: &MetricSpec) -> Option<i32> {
    let resource = metric.resource.as_ref().filter(|r| metric.type_ == "Resource" && r.name == "cpu")?;
    resource.target.average_utilization
}

fn to_old(reference: CrossVersionObjectReference) -> old::CrossVersionObjectReference {
    let CrossVersionObjectReference { api_version, kind, name } = reference;
    old::CrossVersionObjectReference { api_version, kind, name }
}

fn from_old(reference: old::CrossVersionObjectReference) -> CrossVersionObjectReference {
    let old::CrossVersionObjectReference { api_version, kind, name } = reference;
    CrossVersionObjectReference { api_version, kind, name }
}

/// The annotation's behavior has the field names of upstream's internal form: `ScaleUp`, `Policies`, `PeriodSeconds`.
fn capitalized(value: Value) -> Value {
    renamed(value, |key| key[..1].to_uppercase() + &key[1..])
}

fn uncapitalized(value: Value) -> Value {
    renamed(value, |key| key[..1].to_lowercase() + &key[1..])
}

fn renamed(value: Value, name: fn(&str) -> String) -> Value {
    match value {
        Value::Object(fields) => {
            let ascii = |key: &str| key.starts_with(|c: char| c.is_ascii());
            let fields = fields.into_iter().map(|(key, value)| {
                let key = if ascii(&key) { name(&key) } else { key };
                (key, renamed(value, name))
            });
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.into_iter().map(|item| renamed(item, name)).collect(),
        other => other,
    }
}

/// A metric, wanted or measured, without the nesting that the versions differ in.
#[derive(Clone, Debug, Default, PartialEq)]
struct Shape {
    kind: String,
    /// Of resources: the resource.
    name: String,
    container: Option<String>,
    object: Option<CrossVersionObjectReference>,
    selector: Option<Value>,
    value: Option<Quantity>,
    average_value: Option<Quantity>,
    average_utilization: Option<i32>,
    /// False: the type is given, its source is not.
    present: bool,
}

impl Shape {
    fn of(metric: &MetricSpec) -> Shape {
        let shape = match &*metric.type_ {
            "Object" => metric.object.as_ref().map(|s| Shape {
                object: Some(s.described_object.clone()),
                ..Shape::identified(&s.metric).wanted(&s.target)
            }),
            "Pods" => metric.pods.as_ref().map(|s| Shape::identified(&s.metric).wanted(&s.target)),
            "Resource" => metric.resource.as_ref().map(|s| Shape::named(&s.name).wanted(&s.target)),
            "ContainerResource" => metric.container_resource.as_ref().map(|s| Shape {
                container: Some(s.container.clone()),
                ..Shape::named(&s.name).wanted(&s.target)
            }),
            "External" => metric.external.as_ref().map(|s| Shape::identified(&s.metric).wanted(&s.target)),
            _ => None,
        };
        Shape { kind: metric.type_.clone(), ..shape.unwrap_or_default() }
    }

    fn of_status(metric: &MetricStatus) -> Shape {
        let shape = match &*metric.type_ {
            "Object" => metric.object.as_ref().map(|s| Shape {
                object: Some(s.described_object.clone()),
                ..Shape::identified(&s.metric).measured(&s.current)
            }),
            "Pods" => metric.pods.as_ref().map(|s| Shape::identified(&s.metric).measured(&s.current)),
            "Resource" => metric.resource.as_ref().map(|s| Shape::named(&s.name).measured(&s.current)),
            "ContainerResource" => metric.container_resource.as_ref().map(|s| Shape {
                container: Some(s.container.clone()),
                ..Shape::named(&s.name).measured(&s.current)
            }),
            "External" => metric.external.as_ref().map(|s| Shape::identified(&s.metric).measured(&s.current)),
            _ => None,
        };
        Shape { kind: metric.type_.clone(), ..shape.unwrap_or_default() }
    }

    fn named(name: &str) -> Shape {
        Shape { name: name.to_owned(), present: true, ..Shape::default() }
    }

    fn identified(metric: &MetricIdentifier) -> Shape {
        Shape { selector: metric.selector.as_ref().map(|s| json!(s)), ..Shape::named(&metric.name) }
    }

    fn wanted(self, target: &MetricTarget) -> Shape {
        Shape {
            value: target.value.clone(),
            average_value: target.average_value.clone(),
            average_utilization: target.average_utilization,
            ..self
        }
    }

    fn measured(self, current: &MetricValueStatus) -> Shape {
        Shape {
            value: current.value.clone(),
            average_value: current.average_value.clone(),
            average_utilization: current.average_utilization,
            ..self
        }
    }

    fn to_json(&self) -> Value {
        self.json("target", true)
    }

    fn status_json(&self) -> Value {
        self.json("current", false)
    }

    /// `what`: `target` or `current`, which begins the names of its values.
    fn json(&self, what: &str, wanted: bool) -> Value {
        let mut fields = Map::new();
        let mut put = |key: String, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(key, value);
            }
        };
        let quantity = |q: &Option<Quantity>| q.as_ref().map(|q| json!(q.0));
        let or_zero = |q: &Option<Quantity>| Some(quantity(q).unwrap_or_else(|| json!("0")));
        let average = format!("{what}AverageValue");
        match &*self.kind {
            "Object" => {
                put("target".into(), self.object.as_ref().map(|o| json!(o)));
                put("metricName".into(), Some(json!(self.name)));
                put(format!("{what}Value"), or_zero(&self.value));
                put("selector".into(), self.selector.clone());
                put("averageValue".into(), quantity(&self.average_value));
            }
            "Pods" => {
                put("metricName".into(), Some(json!(self.name)));
                put(average, or_zero(&self.average_value));
                put("selector".into(), self.selector.clone());
            }
            "External" => {
                put("metricName".into(), Some(json!(self.name)));
                put("metricSelector".into(), self.selector.clone());
                let value = if wanted { quantity(&self.value) } else { or_zero(&self.value) };
                put(format!("{what}Value"), value);
                put(average, quantity(&self.average_value));
            }
            _ => {
                put("name".into(), Some(json!(self.name)));
                put(format!("{what}AverageUtilization"), self.average_utilization.map(Value::from));
                let value = if wanted { quantity(&self.average_value) } else { or_zero(&self.average_value) };
                put(average, value);
                put("container".into(), self.container.as_ref().map(|c| json!(c)));
            }
        }
        let mut json = json!({"type": self.kind});
        if self.present {
            json[source(&self.kind)] = fields.into();
        }
        json
    }

    fn from_json(json: &Value) -> Option<Shape> {
        Shape::read(json, "target")
    }

    fn from_status(json: &Value) -> Option<Shape> {
        Shape::read(json, "current")
    }

    fn read(json: &Value, what: &str) -> Option<Shape> {
        let kind = json["type"].as_str()?.to_owned();
        let fields = &json[source(&kind)];
        let text = |key: &str| fields[key].as_str().map(str::to_owned);
        // A zero stands for none where upstream's field cannot be absent.
        let quantity = |key: &str| text(key).filter(|q| q != "0").map(Quantity);
        let object = &fields["target"];
        let selector = ["selector", "metricSelector"].map(|key| fields.get(key).cloned());
        Some(Shape {
            name: text("metricName").or_else(|| text("name")).unwrap_or_default(),
            container: text("container"),
            object: serde_json::from_value(object.clone()).ok().filter(|_| object.is_object()),
            selector: selector.into_iter().flatten().next(),
            value: quantity(&format!("{what}Value")),
            average_value: quantity(&format!("{what}AverageValue")).or_else(|| quantity("averageValue")),
            average_utilization: fields[format!("{what}AverageUtilization")]
                .as_i64()
                .and_then(|share| i32::try_from(share).ok()),
            present: fields.is_object(),
            kind,
        })
    }

    fn metric(&self) -> MetricIdentifier {
        let selector = self.selector.clone().and_then(|s| serde_json::from_value(s).ok());
        MetricIdentifier { name: self.name.clone(), selector }
    }

    fn target(&self) -> MetricTarget {
        let kind = match (&*self.kind, &self.average_value, self.average_utilization) {
            (_, _, Some(_)) => "Utilization",
            ("Object", None, _) => "Value",
            ("External", ..) if self.value.is_some() => "Value",
            _ => "AverageValue",
        };
        MetricTarget {
            type_: kind.into(),
            value: self.value.clone(),
            average_value: self.average_value.clone(),
            average_utilization: self.average_utilization,
        }
    }

    fn current(&self) -> MetricValueStatus {
        MetricValueStatus {
            value: self.value.clone(),
            average_value: self.average_value.clone(),
            average_utilization: self.average_utilization,
        }
    }

    fn spec(self) -> MetricSpec {
        let (metric, target) = (self.metric(), self.target());
        let mut spec = MetricSpec { type_: self.kind, ..MetricSpec::default() };
        if !self.present {
            return spec;
        }
        let (name, container) = (self.name, self.container.unwrap_or_default());
        match &*spec.type_ {
            "Object" => {
                let described_object = self.object.unwrap_or_default();
                spec.object = Some(ObjectMetricSource { described_object, metric, target });
            }
            "Pods" => spec.pods = Some(PodsMetricSource { metric, target }),
            "External" => spec.external = Some(ExternalMetricSource { metric, target }),
            "ContainerResource" => {
                spec.container_resource = Some(ContainerResourceMetricSource { container, name, target });
            }
            "Resource" => spec.resource = Some(ResourceMetricSource { name, target }),
            _ => {}
        }
        spec
    }

    fn status(self) -> MetricStatus {
        let (metric, current) = (self.metric(), self.current());
        let mut status = MetricStatus { type_: self.kind, ..MetricStatus::default() };
        if !self.present {
            return status;
        }
        let (name, container) = (self.name, self.container.unwrap_or_default());
        match &*status.type_ {
            "Object" => {
                let described_object = self.object.unwrap_or_default();
                status.object = Some(ObjectMetricStatus { described_object, metric, current });
            }
            "Pods" => status.pods = Some(PodsMetricStatus { metric, current }),
            "External" => status.external = Some(ExternalMetricStatus { metric, current }),
            "ContainerResource" => {
                status.container_resource = Some(ContainerResourceMetricStatus { container, name, current });
            }
            "Resource" => status.resource = Some(ResourceMetricStatus { name, current }),
            _ => {}
        }
        status
    }
}

/// The field of a metric that goes with its type: `Pods` → `pods`.
fn source(kind: &str) -> &'static str {
    match kind {
        "Object" => "object",
        "Pods" => "pods",
        "External" => "external",
        "ContainerResource" => "containerResource",
        _ => "resource",
    }
}
