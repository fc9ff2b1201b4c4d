//! `/metrics` in the Prometheus text format: what this server did under upstream's names and labels. [`Metrics::render`]
//! lists them all; what other parts of the process count is added as a [`Source`].

mod process;
mod watching;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use http::{HeaderMap, Method, header};
use registry::Registry;

use super::service::header_text;
use crate::pipeline::path::{Path, ResourcePath};
use watching::Sent;
pub use watching::Watching;

/// Upper bounds of the request duration histogram, seconds: upstream's.
const BUCKETS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0,
    20.0, 30.0, 45.0, 60.0,
];
/// Of the sizes of answers to reads, bytes: upstream's.
const SIZES: [f64; 7] = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// Label sets kept; clients cannot make more by asking for odd paths.
const SERIES_MAX: usize = 4096;

/// Metrics of another part of the process, as text.
pub type Source = Box<dyn Fn() -> String + Send + Sync>;

/// Counters of the HTTP front.
#[derive(Default)]
pub struct Metrics {
    inner: Arc<Mutex<Inner>>,
    sources: RwLock<Vec<Source>>,
}

#[derive(Debug, Default)]
struct Inner {
    requests: BTreeMap<(Label, u16), u64>,
    durations: BTreeMap<Label, Histogram<{ BUCKETS.len() }>>,
    sizes: BTreeMap<Label, Histogram<{ SIZES.len() }>>,
    in_flight: BTreeMap<&'static str, i64>,
    long_running: BTreeMap<Label, i64>,
    sent: BTreeMap<(String, String, String), Arc<Sent>>,
}

#[derive(Debug)]
struct Histogram<const N: usize> {
    counts: [u64; N],
    sum: f64,
    total: u64,
}

/// What a request is counted under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    verb: &'static str,
    dry_run: &'static str,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    scope: &'static str,
}

/// Counts a request as in flight until dropped.
pub struct InFlight {
    kind: Option<&'static str>,
    inner: Arc<Mutex<Inner>>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(kind) = self.kind {
            *lock(&self.inner).in_flight.entry(kind).or_default() -= 1;
        }
    }
}

impl Label {
    /// Watches, and streams that last as long as their client likes.
    pub fn is_long_running(&self) -> bool {
        matches!(self.verb, "WATCH" | "CONNECT") || self.subresource == "log"
    }

    pub fn verb(&self) -> &'static str {
        self.verb
    }
}

impl Metrics {
    /// The label set of a request. Paths that are no resources share one for each method.
    pub fn label(&self, method: &Method, path: &Path, query: &str, headers: &HeaderMap) -> Label {
        let Path::Resource(r) = path else {
            return Label {
                verb: method_verb(method),
                dry_run: "",
                group: String::new(),
                version: String::new(),
                resource: String::new(),
                subresource: String::new(),
                scope: "",
            };
        };
        let mut pairs = query.split('&');
        let watch = r.watch || pairs.clone().any(|p| matches!(p, "watch" | "watch=true" | "watch=1"));
        let connect = matches!(&*r.subresource, "attach" | "exec" | "portforward" | "proxy");
        let applies =
            || header_text(headers, header::CONTENT_TYPE).is_some_and(|t| t.contains("apply-patch"));
        let verb = match (method_verb(method), r.name.is_empty()) {
            _ if connect => "CONNECT",
            ("GET", _) if watch => "WATCH",
            ("GET", true) => "LIST",
            ("DELETE", true) => "DELETECOLLECTION",
            ("PATCH", _) if applies() => "APPLY",
            (verb, _) => verb,
        };
        let dry_run = if pairs.any(|p| p == "dryRun=All") { "All" } else { "" };
        Label { dry_run, ..of_path(verb, r) }
    }

    /// Counts a request as running; those that last are counted elsewhere.
    pub fn begin(&self, label: &Label) -> InFlight {
        let kind = match label.verb {
            _ if label.is_long_running() => None,
            "GET" | "LIST" => Some("readOnly"),
            _ => Some("mutating"),
        };
        if let Some(kind) = kind {
            *lock(&self.inner).in_flight.entry(kind).or_default() += 1;
        }
        InFlight { kind, inner: self.inner.clone() }
    }

    /// Counts a watch for as long as what is returned lives, and what it sends.
    pub fn watching(&self, path: &ResourcePath) -> Arc<Watching> {
        Arc::new(Watching::begin(&self.inner, path))
    }

    /// Counts an answered request; a watch when it begins. `size` of the answer, where it is known.
    pub fn observe(&self, label: &Label, code: u16, took: Duration, size: Option<u64>) {
        let mut inner = lock(&self.inner);
        let key = (label.clone(), code);
        if inner.requests.len() >= SERIES_MAX && !inner.requests.contains_key(&key) {
            return;
        }
        *inner.requests.entry(key).or_default() += 1;
        inner.durations.entry(label.clone()).or_default().observe(&BUCKETS, took.as_secs_f64());
        if let Some(size) = size.filter(|_| matches!(label.verb, "GET" | "LIST")) {
            inner.sizes.entry(label.clone()).or_default().observe(&SIZES, size as f64);
        }
    }

    /// Adds what another part of the process counts.
    pub fn add(&self, source: Source) {
        self.sources.write().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    /// All metrics as text.
    pub fn render(&self, registry: &Registry) -> String {
        let mut out = String::new();
        self.requests(&mut out);
        self.running(&mut out);
        watching::render(&mut out, &lock(&self.inner).sent);
        objects(&mut out, registry);
        for source in self.sources.read().unwrap_or_else(PoisonError::into_inner).iter() {
            out.push_str(&source());
        }
        process::render(&mut out);
        out
    }

    fn requests(&self, out: &mut String) {
        let inner = lock(&self.inner);
        header(out, "apiserver_request_total", "counter", "Requests by verb, resource and code.");
        for ((label, code), count) in &inner.requests {
            let labels = label.text(true);
            let _ = writeln!(out, "apiserver_request_total{{code=\"{code}\",{labels}}} {count}");
        }
        let name = "apiserver_request_duration_seconds";
        header(out, name, "histogram", "Response latency by verb and resource.");
        for (label, histogram) in &inner.durations {
            histogram.render(out, name, &label.text(true), &BUCKETS);
        }
        let name = "apiserver_response_sizes";
        header(out, name, "histogram", "Sizes of answers to reads, in bytes.");
        for (label, histogram) in &inner.sizes {
            histogram.render(out, name, &label.text(false), &SIZES);
        }
    }

    fn running(&self, out: &mut String) {
        let inner = lock(&self.inner);
        header(out, "apiserver_current_inflight_requests", "gauge", "Requests being served.");
        for kind in ["mutating", "readOnly"] {
            let count = inner.in_flight.get(kind).unwrap_or(&0);
            let _ = writeln!(out, "apiserver_current_inflight_requests{{request_kind=\"{kind}\"}} {count}");
        }
        header(out, "apiserver_longrunning_requests", "gauge", "Watches that are open.");
        for (label, count) in &inner.long_running {
            let _ = writeln!(out, "apiserver_longrunning_requests{{{}}} {count}", label.text(false));
        }
    }
}

/// How many objects there are of each resource.
fn objects(out: &mut String, registry: &Registry) {
    let mut counts = BTreeMap::new();
    for row in registry.resources() {
        let gvr = &row.gvr;
        if let Ok(cache) = registry.cache(&gvr.group, &gvr.version, &gvr.resource) {
            counts.insert((gvr.group.clone(), gvr.resource.clone()), cache.len());
        }
    }
    header(out, "apiserver_storage_objects", "gauge", "Stored objects by resource.");
    for ((group, resource), count) in &counts {
        let dot = if group.is_empty() { "" } else { "." };
        let _ = writeln!(out, "apiserver_storage_objects{{resource=\"{resource}{dot}{group}\"}} {count}");
    }
    header(out, "apiserver_resource_objects", "gauge", "Stored objects by group and resource.");
    for ((group, resource), count) in &counts {
        let _ =
            writeln!(out, "apiserver_resource_objects{{group=\"{group}\",resource=\"{resource}\"}} {count}");
    }
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Histogram { counts: [0; N], sum: 0.0, total: 0 }
    }
}

impl<const N: usize> Histogram<N> {
    fn observe(&mut self, bounds: &[f64; N], value: f64) {
        self.sum += value;
        self.total += 1;
        for (count, bound) in self.counts.iter_mut().zip(bounds) {
            *count += u64::from(value <= *bound);
        }
    }

    fn render(&self, out: &mut String, name: &str, labels: &str, bounds: &[f64; N]) {
        for (count, bound) in self.counts.iter().zip(bounds) {
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
        }
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", self.total);
        let _ = writeln!(out, "{name}_sum{{{labels}}} {}", self.sum);
        let _ = writeln!(out, "{name}_count{{{labels}}} {}", self.total);
    }
}

fn of_path(verb: &'static str, r: &ResourcePath) -> Label {
    Label {
        verb,
        dry_run: "",
        group: r.group.clone(),
        version: r.version.clone(),
        resource: r.resource.clone(),
        subresource: r.subresource.clone(),
        scope: match (r.name.is_empty() && verb != "POST", r.namespace.is_empty()) {
            (false, _) => "resource",
            (true, false) => "namespace",
            (true, true) => "cluster",
        },
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Label {
    fn text(&self, with_dry_run: bool) -> String {
        let escape = |s: &str| s.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let dry_run = match with_dry_run {
            true => format!("dry_run=\"{}\",", self.dry_run),
            false => String::new(),
        };
        format!(
            "component=\"apiserver\",{dry_run}group=\"{}\",resource=\"{}\",scope=\"{}\",subresource=\"{}\",verb=\"{}\",version=\"{}\"",
            escape(&self.group),
            escape(&self.resource),
            self.scope,
            escape(&self.subresource),
            self.verb,
            escape(&self.version)
        )
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
