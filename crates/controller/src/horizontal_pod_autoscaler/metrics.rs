//! Where measurements come from: the three metrics APIs, by their own paths. Whoever serves them need not be here.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::{Gvr, Quantity, Status};
use client::api::raw;
use client::transport::{Options, Request, Transport, Verb};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::{MetricIdentifier, MetricSpec, ObjectMetricSource};
use resources::selector;
use serde_json::Value;

use super::proposal::{Measured, Reading};
use super::ratio::Sample;
use crate::context::Served;

/// What custom metrics are measured over when they do not say.
const WINDOW: Duration = Duration::from_secs(60);

pub(super) struct Meter {
    transport: Arc<dyn Transport>,
    served: Vec<Served>,
}

impl Meter {
    pub fn new(transport: Arc<dyn Transport>, served: Vec<Served>) -> Self {
        Meter { transport, served }
    }

    /// Measures one metric; `pods` selects the target's.
    pub async fn read(&self, metric: &MetricSpec, namespace: &str, pods: &str) -> Reading {
        match metric {
            MetricSpec { resource: Some(source), .. } => {
                self.resource(&source.name, None, namespace, pods).await
            }
            MetricSpec { container_resource: Some(source), .. } => {
                self.resource(&source.name, Some(&source.container), namespace, pods).await
            }
            MetricSpec { pods: Some(source), .. } => self.pods(&source.metric, namespace, pods).await,
            MetricSpec { object: Some(source), .. } => self.object(source, namespace).await,
            MetricSpec { external: Some(source), .. } => self.external(&source.metric, namespace).await,
            _ => Err("no metric source is given".into()),
        }
    }

    async fn resource(
        &self,
        resource: &str,
        container: Option<&str>,
        namespace: &str,
        pods: &str,
    ) -> Reading {
        let gvr = Gvr::new("metrics.k8s.io", "v1beta1", "pods");
        let options = Options { label_selector: pods.to_owned(), ..Options::default() };
        let request = Request { options, ..raw::request(Verb::List, &gvr, namespace, "") };
        let list = self.ask(request, "resource", "get pods.metrics.k8s.io").await?;
        let samples = items(&list, "resource")?.iter().map(|item| of_pod(item, resource, container));
        Ok(Measured::Pods(samples.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect()))
    }

    async fn pods(&self, metric: &MetricIdentifier, namespace: &str, pods: &str) -> Reading {
        let options = Options {
            label_selector: pods.to_owned(),
            metric_label_selector: selecting(metric)?,
            ..Options::default()
        };
        let request = Request {
            options,
            subresource: metric.name.clone(),
            ..raw::request(Verb::Get, &custom("pods"), namespace, "*")
        };
        let list = self.custom(request).await?;
        let samples = items(&list, "custom")?.iter().filter_map(|item| {
            let name = item["describedObject"]["name"].as_str()?;
            let window = item["windowSeconds"].as_u64().map_or(WINDOW, Duration::from_secs);
            Some((name.to_owned(), Sample { at: time(item), window, value: milli(&item["value"])? }))
        });
        Ok(Measured::Pods(samples.collect()))
    }

    async fn object(&self, source: &ObjectMetricSource, namespace: &str) -> Reading {
        let of = &source.described_object;
        let group = group(of.api_version.as_deref().unwrap_or_default())?;
        let options = Options { metric_label_selector: selecting(&source.metric)?, ..Options::default() };
        let request = match (group, &*of.kind) {
            // Of a namespace: the path has no place for an object.
            ("", "Namespace") => raw::request(Verb::Get, &custom("metrics"), &of.name, &source.metric.name),
            _ => {
                let served = self.served.iter().find(|s| s.kind == of.kind && *s.gvr.group == *group);
                let Some(served) = served else { return Err(no_kind(&of.kind, group)) };
                let resource = served.gvr.group_resource().to_string();
                let namespace = if served.namespaced { namespace } else { "" };
                Request {
                    subresource: source.metric.name.clone(),
                    ..raw::request(Verb::Get, &custom(&resource), namespace, &of.name)
                }
            }
        };
        let list = self.custom(Request { options, ..request }).await?;
        let value = items(&list, "custom")?.first().and_then(|item| milli(&item["value"]));
        value.map(Measured::Total).ok_or_else(|| empty("custom"))
    }

    async fn external(&self, metric: &MetricIdentifier, namespace: &str) -> Reading {
        let gvr = Gvr::new("external.metrics.k8s.io", "v1beta1", &metric.name);
        let options = Options { label_selector: selecting(metric)?, ..Options::default() };
        let request = Request { options, ..raw::request(Verb::List, &gvr, namespace, "") };
        let verb = format!("get {}.external.metrics.k8s.io", metric.name);
        let list = self.ask(request, "external", &verb).await?;
        let values = items(&list, "external")?.iter().filter_map(|item| milli(&item["value"]));
        Ok(Measured::Total(values.fold(0, i64::saturating_add)))
    }

    async fn custom(&self, request: Request) -> Result<Value, String> {
        let served = |status: &Status| !is_unknown(status);
        let answer = self.transport.send(request).await;
        if answer.as_ref().is_err_and(|status| !served(status)) {
            let text = "unable to fetch metrics from custom metrics API: no custom metrics API \
                        (custom.metrics.k8s.io) registered";
            return Err(text.into());
        }
        parsed(answer, "custom", "")
    }

    async fn ask(&self, request: Request, api: &str, verb: &str) -> Result<Value, String> {
        parsed(self.transport.send(request).await, api, verb)
    }
}

/// The group of an `apiVersion`.
pub(super) fn group(api_version: &str) -> Result<&str, String> {
    match api_version.matches('/').count() {
        0 => Ok(""),
        1 => Ok(api_version.split('/').next().unwrap_or_default()),
        _ => Err(format!("unexpected GroupVersion string: {api_version}")),
    }
}

/// Nobody serves such a kind.
pub(super) fn no_kind(kind: &str, group: &str) -> String {
    format!("no matches for kind {kind:?} in group {group:?}")
}

fn custom(resource: &str) -> Gvr {
    Gvr::new("custom.metrics.k8s.io", "v1beta2", resource)
}

/// Not the object is missing: nobody serves the path.
fn is_unknown(status: &Status) -> bool {
    const UNKNOWN: &str = "the server could not find the requested resource";
    status.is_not_found() && status.message.starts_with(UNKNOWN)
}

fn parsed(answer: Result<bytes::Bytes, Status>, api: &str, verb: &str) -> Result<Value, String> {
    let unable = |text: String| format!("unable to fetch metrics from {api} metrics API: {text}");
    let json = answer.map_err(|status| {
        let of = if is_unknown(&status) && !verb.is_empty() { format!(" ({verb})") } else { String::new() };
        unable(format!("{}{of}", status.message))
    })?;
    serde_json::from_slice(&json).map_err(|e| unable(e.to_string()))
}

fn items<'a>(list: &'a Value, api: &str) -> Result<&'a Vec<Value>, String> {
    list["items"].as_array().filter(|items| !items.is_empty()).ok_or_else(|| empty(api))
}

fn empty(api: &str) -> String {
    format!("no metrics returned from {api} metrics API")
}

fn selecting(metric: &MetricIdentifier) -> Result<String, String> {
    match &metric.selector {
        Some(_) => Ok(selector::compile(metric.selector.as_ref())?.to_string()),
        None => Ok(String::new()),
    }
}

fn milli(quantity: &Value) -> Option<i64> {
    Quantity::parse(quantity.as_str()?).ok().map(|q| q.milli_value())
}

fn time(item: &Value) -> Timestamp {
    item["timestamp"].as_str().and_then(|t| t.parse().ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// What a pod, or one container of it, uses. `None`: not all of it was measured.
fn of_pod(item: &Value, resource: &str, only: Option<&str>) -> Result<Option<(String, Sample)>, String> {
    let text = |key: &str| item["metadata"][key].as_str().unwrap_or_default().to_owned();
    let containers = item["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let meant: Vec<_> =
        containers.iter().filter(|c| only.is_none_or(|name| c["name"].as_str() == Some(name))).collect();
    if let Some(name) = only.filter(|_| meant.is_empty()) {
        return Err(format!(
            "failed to get container metrics: container {name} not present in metrics for pod {}/{}",
            text("namespace"),
            text("name")
        ));
    }
    let used: Option<Vec<i64>> = meant.iter().map(|c| milli(&c["usage"][resource])).collect();
    let Some(used) = used.filter(|used| !used.is_empty()) else { return Ok(None) };
    let window = item["window"].as_str().and_then(|w| w.parse::<SignedDuration>().ok());
    let window = window.and_then(|w| Duration::try_from(w).ok()).unwrap_or(WINDOW);
    let value = used.into_iter().fold(0, i64::saturating_add);
    Ok(Some((text("name"), Sample { at: time(item), window, value })))
}
