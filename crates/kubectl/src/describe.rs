//! Objects told at length, as `describe` shows them. Start at [`describe`]; a kind without a teller of its own is told field by field.

mod autoscaling;
mod certificates;
mod config;
mod containers;
mod generic;
mod network;
mod node;
mod pod;
mod policy;
mod storage;
mod volumes;
mod workloads;

use std::fmt::{Display, Write};

use jiff::Timestamp;
use serde_json::Value;

use crate::discovery::query;
use crate::error::Result;
use crate::session::Session;
use crate::targets::Target;
use crate::text::{age, columns::Columns};

pub use containers::template;
pub use workloads::sets as replica_sets_of;

/// Lines with cells, each at a depth of two spaces a level.
#[derive(Default)]
pub struct Lines(String);

impl Lines {
    /// A line of its own.
    pub fn line(&mut self, level: usize, text: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{:width$}{text}", "", width = level * 2);
    }

    /// `name:` and a value in the next column.
    pub fn pair(&mut self, level: usize, name: &str, value: impl Display) {
        self.line(level, format_args!("{name}:\t{value}"));
    }

    /// The same, where the value is there.
    pub fn given(&mut self, level: usize, name: &str, value: &Value) {
        match shown(value) {
            text if text.is_empty() => {}
            text => self.pair(level, name, text),
        }
    }

    pub fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// With its tabs as they are.
    pub fn unaligned(self) -> String {
        self.0
    }

    pub fn finish(self) -> String {
        let mut columns = Columns::describe();
        columns.push(&self.0);
        columns.finish()
    }
}

/// A scalar as text; nothing for what is not there.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        other => crate::jsonpath::shown(other),
    }
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

pub fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

/// `Tue, 24 Nov 2026 15:00:47 +0000`
pub fn time(value: &Value) -> String {
    match value.as_str().and_then(|t| t.parse::<Timestamp>().ok()) {
        Some(time) => {
            let zoned = time.to_zoned(jiff::tz::TimeZone::system());
            zoned.strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
        }
        None => "<unset>".into(),
    }
}

/// `a=b`, a line each.
pub fn labels(out: &mut Lines, indent: &str, title: &str, map: &Value) {
    labels_at(out, indent, title, "\t", map);
}

fn labels_at(out: &mut Lines, indent: &str, title: &str, inner: &str, map: &Value) {
    out.raw(&format!("{indent}{title}:{inner}"));
    let mut all: Vec<(&String, &Value)> = map.as_object().into_iter().flatten().collect();
    if all.is_empty() {
        return out.raw("<none>\n");
    }
    all.sort_by(|a, b| a.0.cmp(b.0));
    for (at, (key, value)) in all.iter().enumerate() {
        if at > 0 {
            out.raw(inner);
        }
        out.raw(&format!("{key}={}\n", text(value)));
    }
}

const LONG: usize = 140;

/// Annotations; long ones on lines of their own, cut.
pub fn annotations(out: &mut Lines, indent: &str, map: &Value) {
    out.raw(&format!("{indent}Annotations:\t"));
    let mut all: Vec<(&String, &Value)> =
        map.as_object().into_iter().flatten().filter(|(k, _)| *k != crate::change::LAST_APPLIED).collect();
    if all.is_empty() {
        return out.raw("<none>\n");
    }
    all.sort_by(|a, b| a.0.cmp(b.0));
    for (at, (key, value)) in all.iter().enumerate() {
        if at > 0 {
            out.raw("\t");
        }
        let value = text(value).trim_end_matches('\n');
        if value.len() + key.len() + 2 > LONG || value.contains('\n') {
            out.raw(&format!("{key}:\n"));
            for line in value.split('\n') {
                out.raw(&format!("{indent}\t  {}\n", shorten(line)));
            }
        } else {
            out.raw(&format!("{key}: {value}\n"));
        }
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(LONG - 2) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// Conditions with the time of their last transition.
pub fn conditions(out: &mut Lines, conditions: &Value) {
    out.line(0, "Conditions:");
    out.line(1, "Type\tStatus\tLastTransitionTime\tReason\tMessage");
    out.line(1, "----\t------\t------------------\t------\t-------");
    for c in list(conditions) {
        let when = time(&c["lastTransitionTime"]);
        let [kind, status, reason, message] = ["type", "status", "reason", "message"].map(|f| text(&c[f]));
        out.line(1, format_args!("{kind}\t{status}\t{when}\t{reason}\t{message}"));
    }
}

/// Name, namespace, labels, annotations.
pub fn heading(out: &mut Lines, target: &Target, labelled: bool) {
    let metadata = &target.object["metadata"];
    out.pair(0, "Name", text(&metadata["name"]));
    if target.resource.namespaced {
        out.pair(0, "Namespace", text(&metadata["namespace"]));
    }
    if labelled {
        labels(out, "", "Labels", &metadata["labels"]);
        annotations(out, "", &metadata["annotations"]);
    }
}

/// What happened to the object, unless one does not want to know.
pub fn events(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    if session.hide_events.get() {
        return Ok(());
    }
    if session.call.has_flag("show-events") && !session.call.is("show-events") {
        return Ok(());
    }
    let object = &target.object;
    let mut fields = vec![format!("involvedObject.name={}", target.name)];
    if target.resource.namespaced {
        fields.push(format!("involvedObject.namespace={}", target.namespace));
    }
    // A node's events carry its name for a uid.
    if target.resource.is("", "Node") {
        fields.push("involvedObject.kind=Node".to_string());
    } else {
        fields.push(format!("involvedObject.uid={}", text(&object["metadata"]["uid"])));
    }
    let place = if target.resource.namespaced {
        format!("/api/v1/namespaces/{}/events", target.namespace)
    } else {
        "/api/v1/events".to_owned()
    };
    // Who may not see events is shown the rest.
    let Ok(found) = session.get(&(place + &query(&[("fieldSelector", &fields.join(",")), ("limit", "500")])))
    else {
        return Ok(());
    };
    let mut all: Vec<&Value> = list(&found["items"]).iter().collect();
    if all.is_empty() {
        out.pair(0, "Events", "<none>");
        return Ok(());
    }
    all.sort_by_key(|e| text(&e["lastTimestamp"]).to_owned());
    out.line(0, "Events:");
    out.line(1, "Type\tReason\tAge\tFrom\tMessage");
    out.line(1, "----\t------\t----\t----\t-------");
    for event in all {
        out.line(1, event_line(event));
    }
    Ok(())
}

fn event_line(event: &Value) -> String {
    let first = event["firstTimestamp"].as_str().or(event["eventTime"].as_str());
    let when = match (event["series"].is_object(), number(&event["count"])) {
        (true, _) => format!(
            "{} (x{} over {})",
            age::since(event["series"]["lastObservedTime"].as_str()),
            number(&event["series"]["count"]),
            age::since(first)
        ),
        (_, count) if count > 1 => {
            format!("{} (x{count} over {})", age::since(event["lastTimestamp"].as_str()), age::since(first))
        }
        _ => age::since(first),
    };
    let source = match text(&event["source"]["component"]) {
        "" => text(&event["reportingComponent"]).to_owned(),
        component => component.to_owned(),
    };
    let source = match text(&event["source"]["host"]) {
        "" => source,
        host if source.is_empty() => host.to_owned(),
        host if host != source => format!("{source}, {host}").replace(&format!(", {host}"), ""),
        _ => source,
    };
    let message = match text(&event["involvedObject"]["fieldPath"]) {
        "" => text(&event["message"]).trim().to_owned(),
        field => format!("{field}: {}", text(&event["message"]).trim()),
    };
    format!("{}\t{}\t{when}\t{source}\t{message}", text(&event["type"]), text(&event["reason"]))
}

type Tell = fn(&Session, &mut Lines, &Target) -> Result<()>;

/// Who tells which kind.
const TELLERS: &[(&str, &str, Tell)] = &[
    ("", "ConfigMap", config::config_map),
    ("", "LimitRange", config::limit_range),
    ("", "Namespace", config::namespace),
    ("", "Node", node::node),
    ("", "PersistentVolume", storage::volume),
    ("", "PersistentVolumeClaim", storage::claim),
    ("", "Pod", pod::pod),
    ("", "ReplicationController", workloads::controller),
    ("", "ResourceQuota", config::quota),
    ("", "Secret", config::secret),
    ("", "Service", network::service),
    ("", "ServiceAccount", config::service_account),
    ("apps", "DaemonSet", workloads::daemon_set),
    ("apps", "Deployment", workloads::deployment),
    ("apps", "ReplicaSet", workloads::replica_set),
    ("apps", "StatefulSet", workloads::stateful_set),
    ("autoscaling", "HorizontalPodAutoscaler", autoscaling::autoscaler),
    ("batch", "CronJob", workloads::cron_job),
    ("batch", "Job", workloads::job),
    ("certificates.k8s.io", "CertificateSigningRequest", certificates::request),
    ("discovery.k8s.io", "EndpointSlice", network::slice),
    ("", "Endpoints", network::endpoints),
    ("networking.k8s.io", "Ingress", network::ingress),
    ("networking.k8s.io", "IngressClass", network::ingress_class),
    ("networking.k8s.io", "IPAddress", network::address),
    ("networking.k8s.io", "NetworkPolicy", policy::network_policy),
    ("networking.k8s.io", "ServiceCIDR", network::service_cidr),
    ("policy", "PodDisruptionBudget", config::budget),
    ("rbac.authorization.k8s.io", "ClusterRole", config::role),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", config::binding),
    ("rbac.authorization.k8s.io", "Role", config::role),
    ("rbac.authorization.k8s.io", "RoleBinding", config::binding),
    ("scheduling.k8s.io", "PriorityClass", config::priority_class),
    ("storage.k8s.io", "CSINode", storage::csi_node),
    ("storage.k8s.io", "StorageClass", storage::class),
    ("storage.k8s.io", "VolumeAttributesClass", storage::attributes_class),
];

/// The whole story of an object.
pub fn describe(session: &Session, target: &Target) -> Result<String> {
    let mut out = Lines::default();
    let resource = &target.resource;
    match TELLERS.iter().find(|(group, kind, _)| resource.is(group, kind)) {
        Some((_, _, tell)) => tell(session, &mut out, target)?,
        None => generic::object(session, &mut out, target)?,
    }
    Ok(out.finish())
}

/// `Kind/name` of the controller.
pub fn controller(object: &Value) -> Option<String> {
    let owners = list(&object["metadata"]["ownerReferences"]);
    let owner = owners.iter().find(|o| o["controller"] == true)?;
    Some(format!("{}/{}", text(&owner["kind"]), text(&owner["name"])))
}

/// A quantity, or zero.
pub fn quantity(value: &Value) -> apimachinery::quantity::Quantity {
    let text = shown(value);
    apimachinery::quantity::Quantity::parse(if text.is_empty() { "0" } else { &text }).unwrap_or_else(|_| {
        apimachinery::quantity::Quantity::new(0, apimachinery::quantity::Format::DecimalSi)
    })
}
