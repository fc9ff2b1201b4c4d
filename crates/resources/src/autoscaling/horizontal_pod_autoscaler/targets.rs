//! The TARGETS column: what was measured last, and what it is to be.

use k8s_openapi::api::autoscaling::v2::{MetricSpec, MetricStatus, MetricTarget, MetricValueStatus};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

/// So many metrics are shown, then how many more there are.
const SHOWN_MAX: usize = 2;

pub(super) fn show(wanted: &[MetricSpec], measured: &[MetricStatus]) -> String {
    let shown: Vec<_> = wanted.iter().enumerate().map(|(i, spec)| one(spec, measured.get(i))).collect();
    match shown.len() {
        0 => "<none>".into(),
        n if n > SHOWN_MAX => format!("{} + {} more...", shown[..SHOWN_MAX].join(", "), n - SHOWN_MAX),
        _ => shown.join(", "),
    }
}

fn one(spec: &MetricSpec, status: Option<&MetricStatus>) -> String {
    const UNSET: &str = "<unknown type>";
    match &*spec.type_ {
        "External" => {
            let current = status.and_then(|s| s.external.as_ref()).map(|s| &s.current);
            spec.external.as_ref().map_or(UNSET.into(), |s| of_value(&s.target, current))
        }
        "Object" => {
            let current = status.and_then(|s| s.object.as_ref()).map(|s| &s.current);
            spec.object.as_ref().map_or(UNSET.into(), |s| of_value(&s.target, current))
        }
        "Pods" => {
            let current = status.and_then(|s| s.pods.as_ref()).and_then(|s| s.current.average_value.as_ref());
            let target = spec.pods.as_ref().and_then(|s| s.target.average_value.as_ref());
            format!("{}/{}", amount(current), quantity(target))
        }
        "Resource" => {
            let current = status.and_then(|s| s.resource.as_ref()).map(|s| &s.current);
            spec.resource.as_ref().map_or(UNSET.into(), |s| of_resource(&s.name, &s.target, current))
        }
        "ContainerResource" => {
            let current = status.and_then(|s| s.container_resource.as_ref()).map(|s| &s.current);
            spec.container_resource
                .as_ref()
                .map_or(UNSET.into(), |s| of_resource(&s.name, &s.target, current))
        }
        _ => UNSET.into(),
    }
}

fn of_value(target: &MetricTarget, current: Option<&MetricValueStatus>) -> String {
    match &target.average_value {
        Some(wanted) => {
            format!("{}/{} (avg)", amount(current.and_then(|c| c.average_value.as_ref())), wanted.0)
        }
        None => {
            format!("{}/{}", amount(current.and_then(|c| c.value.as_ref())), quantity(target.value.as_ref()))
        }
    }
}

fn of_resource(name: &str, target: &MetricTarget, current: Option<&MetricValueStatus>) -> String {
    if let Some(wanted) = &target.average_value {
        return format!("{name}: {}/{}", amount(current.and_then(|c| c.average_value.as_ref())), wanted.0);
    }
    let percent = |value: Option<i32>, absent: &str| value.map_or(absent.to_owned(), |v| format!("{v}%"));
    let current = percent(current.and_then(|c| c.average_utilization), "<unknown>");
    format!("{name}: {current}/{}", percent(target.average_utilization, "<auto>"))
}

fn amount(value: Option<&Text>) -> &str {
    value.map_or("<unknown>", |v| &v.0)
}

fn quantity(value: Option<&Text>) -> &str {
    value.map_or("<nil>", |v| &v.0)
}
