//! `/metrics/resource` (what metrics-server reads) and `/metrics/cadvisor` (what dashboards read), in Prometheus' text form.

use std::fmt::Write as _;
use std::sync::Arc;

use http::{Response, StatusCode};
use k8s_openapi::api::core::v1::Pod;

use super::stats::Node;
use super::{Body, with_type};
use crate::context::Context;
use crate::usage::{self, ContainerUsage, PodUsage};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Lines of one metric.
struct Family {
    text: String,
    name: &'static str,
}

impl Family {
    fn new(name: &'static str, kind: &str, help: &str) -> Self {
        Family { text: format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"), name }
    }

    /// `labels` with their braces or empty; `at` in milliseconds.
    fn add(&mut self, labels: &str, value: f64, at: Option<i64>) {
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{}{labels} {value}", self.name);
        let _ = match at {
            Some(at) => writeln!(self.text, " {at}"),
            None => writeln!(self.text),
        };
    }
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

async fn measured(context: &Context, pods: &[Arc<Pod>]) -> Vec<(Arc<Pod>, PodUsage)> {
    let mut all = Vec::with_capacity(pods.len());
    for pod in pods {
        all.push((pod.clone(), usage::of_pod(context, pod).await));
    }
    all
}

fn pod_labels(pod: &Pod) -> String {
    let meta = &pod.metadata;
    let text = |s: &Option<String>| s.clone().unwrap_or_default();
    format!("namespace=\"{}\",pod=\"{}\"", text(&meta.namespace), text(&meta.name))
}

pub async fn resource(context: &Context, pods: &[Arc<Pod>]) -> Response<Body> {
    let pods = measured(context, pods).await;
    let at = Some(context.clock.now().as_millisecond());
    let node = Node::read();
    let mut container_cpu = Family::new(
        "container_cpu_usage_seconds_total",
        "counter",
        "[STABLE] Cumulative cpu time consumed by the container in core-seconds",
    );
    let mut container_memory = Family::new(
        "container_memory_working_set_bytes",
        "gauge",
        "[STABLE] Current working set of the container in bytes",
    );
    let mut container_start = Family::new(
        "container_start_time_seconds",
        "gauge",
        "[STABLE] Start time of the container since unix epoch in seconds",
    );
    let mut pod_cpu = Family::new(
        "pod_cpu_usage_seconds_total",
        "counter",
        "[STABLE] Cumulative cpu time consumed by the pod in core-seconds",
    );
    let mut pod_memory = Family::new(
        "pod_memory_working_set_bytes",
        "gauge",
        "[STABLE] Current working set of the pod in bytes",
    );
    for (pod, usage) in &pods {
        let of_pod = pod_labels(pod);
        for c in &usage.containers {
            let labels = format!("{{container=\"{}\",{of_pod}}}", c.name);
            container_cpu.add(&labels, seconds(c.stats.cpu_usage_core_nano_seconds), at);
            container_memory.add(&labels, c.stats.memory_working_set_bytes as f64, at);
            container_start.add(&labels, c.started_at, None);
        }
        let labels = format!("{{{of_pod}}}");
        pod_cpu.add(&labels, seconds(usage.cgroup.cpu_nanoseconds), at);
        pod_memory.add(&labels, usage.cgroup.memory_working_set as f64, at);
    }
    let mut node_cpu = Family::new(
        "node_cpu_usage_seconds_total",
        "counter",
        "[STABLE] Cumulative cpu time consumed by the node in core-seconds",
    );
    node_cpu.add("", seconds(node.cpu_nanoseconds), at);
    let mut node_memory = Family::new(
        "node_memory_working_set_bytes",
        "gauge",
        "[STABLE] Current working set of the node in bytes",
    );
    node_memory.add("", node.used() as f64, at);
    let mut failed = Family::new(
        "resource_scrape_error",
        "gauge",
        "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
    );
    failed.add("", 0.0, None);
    let all = [
        container_cpu,
        container_memory,
        container_start,
        node_cpu,
        node_memory,
        pod_cpu,
        pod_memory,
        failed,
    ];
    with_type(StatusCode::OK, TEXT, all.map(|f| f.text).concat())
}

/// Metric, type, help, and its value of a container.
type Row = (&'static str, &'static str, &'static str, fn(&ContainerUsage) -> f64);

const CADVISOR: [Row; 6] = [
    ("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.", |c| {
        seconds(c.stats.cpu_usage_core_nano_seconds)
    }),
    (
        "container_fs_usage_bytes",
        "gauge",
        "Number of bytes that are consumed by the container on this filesystem.",
        |c| c.stats.rootfs_used_bytes as f64,
    ),
    ("container_memory_rss", "gauge", "Size of RSS in bytes.", |c| c.stats.memory_rss_bytes as f64),
    (
        "container_memory_usage_bytes",
        "gauge",
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
        |c| c.stats.memory_usage_bytes as f64,
    ),
    ("container_memory_working_set_bytes", "gauge", "Current working set in bytes.", |c| {
        c.stats.memory_working_set_bytes as f64
    }),
    (
        "container_start_time_seconds",
        "gauge",
        "Start time of the container since unix epoch in seconds.",
        |c| c.started_at,
    ),
];

pub async fn cadvisor(context: &Context, pods: &[Arc<Pod>]) -> Response<Body> {
    let pods = measured(context, pods).await;
    let at = Some(context.clock.now().as_millisecond());
    let mut text = String::new();
    for (name, kind, help, value) in CADVISOR {
        let mut family = Family::new(name, kind, help);
        for (pod, usage) in &pods {
            let of_pod = pod_labels(pod);
            for c in &usage.containers {
                let labels = format!(
                    "{{container=\"{}\",id=\"{}\",image=\"{}\",name=\"{}\",{of_pod}}}",
                    c.name, c.id, c.image, c.id
                );
                family.add(&labels, value(c), at);
            }
        }
        text += &family.text;
    }
    let mut memory =
        Family::new("machine_memory_bytes", "gauge", "Amount of memory installed on the machine.");
    memory.add("", context.machine.memory as f64, None);
    let mut cores = Family::new("machine_cpu_cores", "gauge", "Number of logical CPU cores.");
    cores.add("", context.allocatable.milli_cpu() as f64 / 1000.0, None);
    with_type(StatusCode::OK, TEXT, text + &cores.text + &memory.text)
}
