//! `/metrics`: requests by verb, resource and code under upstream's names, in the Prometheus text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;

use crate::pipeline::path::Path;

/// Upper bounds of the request duration histogram, seconds.
const BUCKETS: [f64; 12] = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 5.0, 20.0, 60.0];
/// Label sets kept; clients cannot make more by asking for odd paths.
const SERIES_MAX: usize = 4096;

/// Counters of the HTTP front.
#[derive(Debug, Default)]
pub struct Metrics {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    requests: BTreeMap<(Label, u16), u64>,
    durations: BTreeMap<Label, Histogram>,
    in_flight: BTreeMap<&'static str, i64>,
}

#[derive(Debug, Default)]
struct Histogram {
    counts: [u64; BUCKETS.len()],
    sum: f64,
    total: u64,
}

/// What a request is counted under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    verb: &'static str,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    scope: &'static str,
}

/// Counts a request as in flight until dropped.
pub struct InFlight {
    kind: &'static str,
    inner: Arc<Mutex<Inner>>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        *inner.in_flight.entry(self.kind).or_default() -= 1;
    }
}

impl Metrics {
    /// The label set of a request. Paths that are no resources share one.
    pub fn label(&self, method: &Method, path: &Path, query: &str) -> Label {
        let Path::Resource(r) = path else {
            return Label {
                verb: method_verb(method),
                group: String::new(),
                version: String::new(),
                resource: String::new(),
                subresource: String::new(),
                scope: "",
            };
        };
        let watch = r.watch || query.split('&').any(|p| matches!(p, "watch" | "watch=true" | "watch=1"));
        let verb = match (method_verb(method), r.name.is_empty()) {
            ("GET", _) if watch => "WATCH",
            ("GET", true) => "LIST",
            ("DELETE", true) => "DELETECOLLECTION",
            (verb, _) => verb,
        };
        Label {
            verb,
            group: r.group.clone(),
            version: r.version.clone(),
            resource: r.resource.clone(),
            subresource: r.subresource.clone(),
            scope: match (r.name.is_empty(), r.namespace.is_empty()) {
                (false, _) => "resource",
                (true, false) => "namespace",
                (true, true) => "cluster",
            },
        }
    }

    /// Counts a request as running.
    pub fn begin(&self, label: &Label) -> InFlight {
        let kind = match label.verb {
            "GET" | "LIST" | "WATCH" => "readOnly",
            _ => "mutating",
        };
        *self.lock().in_flight.entry(kind).or_default() += 1;
        InFlight { kind, inner: self.inner.clone() }
    }

    /// Counts a finished request.
    pub fn observe(&self, label: &Label, code: u16, took: Duration) {
        let mut inner = self.lock();
        let key = (label.clone(), code);
        if inner.requests.len() >= SERIES_MAX && !inner.requests.contains_key(&key) {
            return;
        }
        *inner.requests.entry(key).or_default() += 1;
        let seconds = took.as_secs_f64();
        let histogram = inner.durations.entry(label.clone()).or_default();
        histogram.sum += seconds;
        histogram.total += 1;
        for (count, bound) in histogram.counts.iter_mut().zip(BUCKETS) {
            *count += u64::from(seconds <= bound);
        }
    }

    /// All metrics as text.
    pub fn render(&self) -> String {
        let inner = self.lock();
        let mut out = String::new();
        header(&mut out, "apiserver_request_total", "counter", "Requests by verb, resource and code.");
        for ((label, code), count) in &inner.requests {
            let _ = writeln!(out, "apiserver_request_total{{code=\"{code}\",{}}} {count}", labels(label));
        }
        let name = "apiserver_request_duration_seconds";
        header(&mut out, name, "histogram", "Response latency by verb and resource.");
        for (label, histogram) in &inner.durations {
            let labels = labels(label);
            for (count, bound) in histogram.counts.iter().zip(BUCKETS) {
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
            }
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", histogram.total);
            let _ = writeln!(out, "{name}_sum{{{labels}}} {}", histogram.sum);
            let _ = writeln!(out, "{name}_count{{{labels}}} {}", histogram.total);
        }
        header(&mut out, "apiserver_current_inflight_requests", "gauge", "Requests being served.");
        for (kind, count) in &inner.in_flight {
            let _ = writeln!(out, "apiserver_current_inflight_requests{{request_kind=\"{kind}\"}} {count}");
        }
        out
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn method_verb(method: &Method) -> &'static str {
    match *method {
        Method::GET | Method::HEAD => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn header(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn labels(l: &Label) -> String {
    let escape = |s: &str| s.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!(
        "component=\"apiserver\",group=\"{}\",resource=\"{}\",scope=\"{}\",subresource=\"{}\",verb=\"{}\",version=\"{}\"",
        escape(&l.group),
        escape(&l.resource),
        l.scope,
        escape(&l.subresource),
        l.verb,
        escape(&l.version)
    )
}
