//! Services. Addresses and node ports are given out by the registry; what they may look like is said here.

use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ClientIPConfig, Service, ServicePort, ServiceSpec, ServiceStatus, SessionAffinityConfig,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use apimachinery::field::ErrorList;

use crate::columns::{AGE, NAME, text, wide};
use crate::fill;
use crate::selector::show_labels;
use crate::strategy::{Column, NameRule, Part, age};

mod allocated;
mod validation;

pub use allocated::normalize_cluster_ips;

#[cfg(test)]
mod tests;

/// Seconds that a client stays with its pod when the service has client-IP affinity.
pub const AFFINITY_SECONDS: i32 = 10_800;

/// What services are asked.
pub trait ServiceExt {
    fn service_spec(&self) -> ServiceSpec;
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`
    fn service_type(&self) -> &str;
    /// Without an address of its own: `clusterIP: None`.
    fn is_headless(&self) -> bool;
    /// The service's addresses; none for headless and external ones.
    fn cluster_ips(&self) -> Vec<&str>;
    /// Its type has a cluster address.
    fn needs_cluster_ip(&self) -> bool;
    /// Its ports have node ports.
    fn needs_node_ports(&self) -> bool;
}

impl ServiceExt for Service {
    fn service_spec(&self) -> ServiceSpec {
        self.spec.clone().unwrap_or_default()
    }

    fn service_type(&self) -> &str {
        let kind = self.spec.as_ref().and_then(|s| s.type_.as_deref()).unwrap_or_default();
        if kind.is_empty() { "ClusterIP" } else { kind }
    }

    fn is_headless(&self) -> bool {
        self.spec.as_ref().and_then(|s| s.cluster_ip.as_deref()) == Some("None")
    }

    fn cluster_ips(&self) -> Vec<&str> {
        let Some(spec) = &self.spec else { return Vec::new() };
        let all = match spec.cluster_ips.as_deref() {
            Some(ips) if !ips.is_empty() => ips.iter().map(String::as_str).collect(),
            _ => Vec::from_iter(spec.cluster_ip.as_deref()),
        };
        all.into_iter().filter(|ip| !matches!(*ip, "" | "None")).collect()
    }

    fn needs_cluster_ip(&self) -> bool {
        matches!(self.service_type(), "ClusterIP" | "NodePort" | "LoadBalancer")
    }

    fn needs_node_ports(&self) -> bool {
        let wants = self.spec.as_ref().and_then(|s| s.allocate_load_balancer_node_ports) != Some(false);
        match self.service_type() {
            "NodePort" => true,
            "LoadBalancer" => wants,
            _ => false,
        }
    }
}

/// The rules of services.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = Service;

    fn name_rule(&self) -> NameRule {
        // Since 1.36 a service's name may start with a digit.
        NameRule::DnsLabel
    }

    fn default(&self, service: &mut Service) {
        let is_balancer = service.service_type() == "LoadBalancer";
        if let Some(spec) = &mut service.spec {
            spec_defaults(spec);
        }
        let status = service.status.get_or_insert_default();
        for ingress in status.load_balancer.get_or_insert_default().ingress.iter_mut().flatten() {
            if is_balancer && ingress.ip.as_deref().is_some_and(|ip| !ip.is_empty()) {
                ingress.ip_mode.get_or_insert_with(|| "VIP".into());
            }
        }
    }

    fn prepare_create(&self, service: &mut Service) {
        service.status = Some(ServiceStatus { load_balancer: Some(Default::default()), conditions: None });
        normalize_cluster_ips(service, None);
        allocated::drop_foreign_fields(service, None);
    }

    fn prepare_update(&self, new: &mut Service, old: &Service, part: Part) {
        match part {
            Part::Status => new.spec.clone_from(&old.spec),
            _ => {
                new.status.clone_from(&old.status);
                allocated::keep(new, old);
                normalize_cluster_ips(new, Some(old));
                allocated::drop_foreign_fields(new, Some(old));
            }
        }
    }

    fn validate(&self, service: &Service) -> ErrorList {
        validation::create(service)
    }

    fn validate_update(&self, new: &Service, old: &Service, part: Part) -> ErrorList {
        match part {
            Part::Status => validation::status(new),
            _ => validation::update(new, old),
        }
    }

    fn warnings(&self, service: &Service) -> Vec<String> {
        warnings(service)
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn fields(&self, service: &Service) -> Vec<(&'static str, String)> {
        let spec = service.spec.as_ref();
        let text = |field: Option<&String>| field.cloned().unwrap_or_default();
        vec![
            ("spec.clusterIP", text(spec.and_then(|s| s.cluster_ip.as_ref()))),
            ("spec.type", text(spec.and_then(|s| s.type_.as_ref()))),
        ]
    }

    fn field_names(&self) -> &'static [&'static str] {
        &["spec.clusterIP", "spec.type"]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[
            NAME,
            text("Type", "How the service is reached."),
            text("Cluster-IP", "Its address within the cluster."),
            text("External-IP", "Its addresses outside the cluster."),
            text("Port(s)", "Its ports, with node ports after colons."),
            AGE,
            wide("Selector", "Which pods answer."),
        ];
        COLUMNS
    }

    fn row(&self, service: &Service, now: Timestamp) -> Vec<Value> {
        let spec = service.service_spec();
        let ip = spec.cluster_ips.as_ref().and_then(|ips| ips.first()).or(spec.cluster_ip.as_ref());
        let ip = ip.filter(|ip| !ip.is_empty()).cloned().unwrap_or_else(|| "<none>".into());
        vec![
            json!(service.name()),
            json!(spec.type_.as_deref().unwrap_or_default()),
            json!(ip),
            json!(external(service, &spec)),
            json!(ports(spec.ports.as_deref().unwrap_or_default())),
            json!(age(&service.metadata, now)),
            json!(show_labels(spec.selector.as_ref())),
        ]
    }
}

/// Fields that mean nothing for a service of this sort.
fn warnings(service: &Service) -> Vec<String> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let named = spec.external_name.as_deref().is_some_and(|n| !n.is_empty());
    let external_ips = spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty());
    let is_name = service.service_type() == "ExternalName";
    let texts = [
        (
            service.is_headless() && spec.session_affinity.as_deref() != Some("None"),
            "spec.SessionAffinity is ignored for headless services",
        ),
        (is_name && external_ips, "spec.externalIPs is ignored when spec.type is \"ExternalName\""),
        (!is_name && named, "spec.externalName is ignored when spec.type is not \"ExternalName\""),
    ];
    texts.into_iter().filter(|(said, _)| *said).map(|(_, text)| text.into()).collect()
}

fn spec_defaults(spec: &mut ServiceSpec) {
    fill::text(&mut spec.session_affinity, "None");
    affinity(spec);
    fill::text(&mut spec.type_, "ClusterIP");
    for port in spec.ports.iter_mut().flatten() {
        fill::text(&mut port.protocol, "TCP");
        let unset = match &port.target_port {
            None | Some(IntOrString::Int(0)) => true,
            Some(IntOrString::String(name)) => name.is_empty(),
            Some(IntOrString::Int(_)) => false,
        };
        if unset {
            port.target_port = Some(IntOrString::Int(port.port));
        }
    }
    let kind = spec.type_.clone().unwrap_or_default();
    let has_external = spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty());
    if matches!(&*kind, "NodePort" | "LoadBalancer") || kind == "ClusterIP" && has_external {
        fill::text(&mut spec.external_traffic_policy, "Cluster");
    }
    if matches!(&*kind, "NodePort" | "LoadBalancer" | "ClusterIP") {
        spec.internal_traffic_policy.get_or_insert_with(|| "Cluster".into());
    }
    if kind == "LoadBalancer" {
        spec.allocate_load_balancer_node_ports.get_or_insert(true);
    }
}

fn affinity(spec: &mut ServiceSpec) {
    match spec.session_affinity.as_deref() {
        Some("None") => spec.session_affinity_config = None,
        Some("ClientIP") => {
            let config = spec.session_affinity_config.as_ref().and_then(|c| c.client_ip.as_ref());
            if config.and_then(|c| c.timeout_seconds).is_none() {
                let client_ip = Some(ClientIPConfig { timeout_seconds: Some(AFFINITY_SECONDS) });
                spec.session_affinity_config = Some(SessionAffinityConfig { client_ip });
            }
        }
        _ => {}
    }
}

/// The EXTERNAL-IP column.
fn external(service: &Service, spec: &ServiceSpec) -> String {
    let fixed = spec.external_ips.clone().unwrap_or_default();
    match spec.type_.as_deref().unwrap_or_default() {
        "ClusterIP" | "NodePort" if fixed.is_empty() => "<none>".into(),
        "ClusterIP" | "NodePort" => fixed.join(","),
        "LoadBalancer" => {
            let status = service.status.as_ref().and_then(|s| s.load_balancer.as_ref());
            let ingress = status.into_iter().flat_map(|l| l.ingress.iter().flatten());
            let mut given: Vec<String> = ingress
                .filter_map(|i| i.ip.clone().filter(|ip| !ip.is_empty()).or(i.hostname.clone()))
                .collect();
            given.sort();
            given.dedup();
            given.extend(fixed);
            if given.is_empty() { "<pending>".into() } else { given.join(",") }
        }
        "ExternalName" => spec.external_name.clone().unwrap_or_default(),
        _ => "<unknown>".into(),
    }
}

fn ports(ports: &[ServicePort]) -> String {
    let show = |p: &ServicePort| {
        let protocol = p.protocol.as_deref().unwrap_or_default();
        match p.node_port.unwrap_or(0) {
            n if n > 0 => format!("{}:{n}/{protocol}", p.port),
            _ => format!("{}/{protocol}", p.port),
        }
    };
    match ports {
        [] => "<none>".into(),
        ports => ports.iter().map(show).collect::<Vec<_>>().join(","),
    }
}
