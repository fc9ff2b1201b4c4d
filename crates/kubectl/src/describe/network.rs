//! Services, their endpoints, ingresses.

use serde_json::Value;

use super::{Lines, annotations, events, heading, labels, list, or_none, shown, text};
use crate::discovery::query;
use crate::error::Result;
use crate::session::Session;
use crate::targets::Target;

/// The addresses behind a service's port, three of them and how many more.
fn endpoints_of(slices: &[Value], port: &Value) -> String {
    let mut found = Vec::new();
    for slice in slices {
        let ports = list(&slice["ports"]);
        for p in ports.iter().filter(|p| text(&p["name"]) == text(&port["name"])) {
            for endpoint in list(&slice["endpoints"]).iter().filter(|e| e["conditions"]["ready"] != false) {
                for address in list(&endpoint["addresses"]) {
                    let address = text(address);
                    let shown =
                        if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
                    found.push(format!("{shown}:{}", super::shown(&p["port"])));
                }
            }
        }
    }
    if found.is_empty() {
        return "<none>".into();
    }
    let more = found.len().saturating_sub(3);
    let mut said = found[..found.len().min(3)].join(",");
    if more > 0 {
        said.push_str(&format!(" + {more} more..."));
    }
    said
}

fn slices(session: &Session, namespace: &str, service: &str) -> Vec<Value> {
    let label = format!("kubernetes.io/service-name={service}");
    let path = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")
        + &query(&[("labelSelector", &label)]);
    let found = session.get(&path).unwrap_or_default();
    list(&found["items"]).to_vec()
}

pub fn service(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let (spec, status) = (&target.object["spec"], &target.object["status"]);
    heading(out, target, true);
    let selector: Vec<String> =
        spec["selector"].as_object().into_iter().flatten().map(|(k, v)| format!("{k}={}", text(v))).collect();
    out.pair(0, "Selector", or_none(&selector.join(",")));
    out.pair(0, "Type", text(&spec["type"]));
    out.given(0, "IP Family Policy", &spec["ipFamilyPolicy"]);
    let families: Vec<&str> = list(&spec["ipFamilies"]).iter().map(text).collect();
    if families.is_empty() {
        out.pair(0, "IP Families", "<none>");
    } else {
        out.pair(0, "IP Families", families.join(","));
    }
    out.pair(0, "IP", text(&spec["clusterIP"]));
    let ips: Vec<&str> = list(&spec["clusterIPs"]).iter().map(text).collect();
    if ips.is_empty() {
        out.pair(0, "IPs", "<none>");
    } else {
        out.pair(0, "IPs", ips.join(","));
    }
    let external: Vec<&str> = list(&spec["externalIPs"]).iter().map(text).collect();
    if !external.is_empty() {
        out.pair(0, "External IPs", external.join(","));
    }
    if !text(&spec["loadBalancerIP"]).is_empty() {
        out.pair(0, "Desired LoadBalancer IP", text(&spec["loadBalancerIP"]));
    }
    out.given(0, "External Name", &spec["externalName"]);
    let ingress: Vec<String> = list(&status["loadBalancer"]["ingress"])
        .iter()
        .map(|i| match (i["ip"].as_str(), i["ipMode"].as_str()) {
            (Some(ip), Some(mode)) => format!("{ip} ({mode})"),
            (Some(ip), None) => ip.to_owned(),
            (None, _) => text(&i["hostname"]).to_owned(),
        })
        .collect();
    if !ingress.is_empty() {
        out.pair(0, "LoadBalancer Ingress", ingress.join(", "));
    }
    let slices = slices(session, &target.namespace, &target.name);
    for port in list(&spec["ports"]) {
        let name = match text(&port["name"]) {
            "" => "<unset>",
            name => name,
        };
        let protocol = text(&port["protocol"]);
        out.line(0, format_args!("Port:\t{name}\t{}/{protocol}", shown(&port["port"])));
        out.pair(0, "TargetPort", format_args!("{}/{protocol}", shown(&port["targetPort"])));
        out.given(0, "AppProtocol", &port["appProtocol"]);
        if port["nodePort"].as_i64().unwrap_or(0) != 0 {
            out.line(0, format_args!("NodePort:\t{name}\t{}/{protocol}", shown(&port["nodePort"])));
        }
        out.pair(0, "Endpoints", endpoints_of(&slices, port));
    }
    out.pair(0, "Session Affinity", text(&spec["sessionAffinity"]));
    out.given(0, "External Traffic Policy", &spec["externalTrafficPolicy"]);
    out.given(0, "Internal Traffic Policy", &spec["internalTrafficPolicy"]);
    if spec["healthCheckNodePort"].as_i64().unwrap_or(0) != 0 {
        out.pair(0, "HealthCheck NodePort", shown(&spec["healthCheckNodePort"]));
    }
    let ranges: Vec<&str> = list(&spec["loadBalancerSourceRanges"]).iter().map(text).collect();
    if !ranges.is_empty() {
        out.pair(0, "LoadBalancer Source Ranges", ranges.join(","));
    }
    events(session, out, target)
}

pub fn slice(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    heading(out, target, true);
    out.pair(0, "AddressType", text(&object["addressType"]));
    match list(&object["ports"]) {
        [] => out.pair(0, "Ports", "<unset>"),
        ports => {
            out.line(0, "Ports:");
            out.line(1, "Name\tPort\tProtocol");
            out.line(1, "----\t----\t--------");
            for port in ports {
                let name = text(&port["name"]);
                let number = shown(&port["port"]);
                out.line(
                    1,
                    format_args!(
                        "{}\t{}\t{}",
                        if name.is_empty() { "<unset>" } else { name },
                        if number.is_empty() { "<unset>" } else { &number },
                        text(&port["protocol"])
                    ),
                );
            }
        }
    }
    let endpoints = list(&object["endpoints"]);
    if endpoints.is_empty() {
        out.pair(0, "Endpoints", "<none>");
    } else {
        out.line(0, "Endpoints:");
    }
    let unset = |v: &Value| v.as_str().unwrap_or("<unset>").to_owned();
    for endpoint in endpoints {
        let addresses: Vec<&str> = list(&endpoint["addresses"]).iter().map(text).collect();
        out.line(1, format_args!("- Addresses:\t{}", or_none(&addresses.join(", "))));
        out.line(2, "Conditions:");
        out.pair(
            3,
            "Ready",
            endpoint["conditions"]["ready"].as_bool().map_or("<unset>".into(), |b| b.to_string()),
        );
        out.pair(2, "Hostname", unset(&endpoint["hostname"]));
        if endpoint["targetRef"].is_object() {
            out.pair(
                2,
                "TargetRef",
                format_args!(
                    "{}/{}",
                    text(&endpoint["targetRef"]["kind"]),
                    text(&endpoint["targetRef"]["name"])
                ),
            );
        }
        out.pair(2, "NodeName", unset(&endpoint["nodeName"]));
        out.pair(2, "Zone", unset(&endpoint["zone"]));
    }
    events(session, out, target)
}

pub fn endpoints(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    heading(out, target, true);
    out.line(0, "Subsets:");
    for subset in list(&target.object["subsets"]) {
        let join =
            |field: &str| list(&subset[field]).iter().map(|a| text(&a["ip"])).collect::<Vec<_>>().join(",");
        out.pair(1, "Addresses", or_none(&join("addresses")));
        out.pair(1, "NotReadyAddresses", or_none(&join("notReadyAddresses")));
        if !list(&subset["ports"]).is_empty() {
            out.line(1, "Ports:");
            out.line(2, "Name\tPort\tProtocol");
            out.line(2, "----\t----\t--------");
            for port in list(&subset["ports"]) {
                let name = text(&port["name"]);
                out.line(
                    2,
                    format_args!(
                        "{}\t{}\t{}",
                        if name.is_empty() { "<unset>" } else { name },
                        shown(&port["port"]),
                        text(&port["protocol"])
                    ),
                );
            }
        }
        out.raw("\n");
    }
    events(session, out, target)
}

fn backend(session: &Session, target: &Target, backend: &Value) -> String {
    let service = &backend["service"];
    if !service.is_object() {
        let r = &backend["resource"];
        return format!(
            "APIGroup: {}, Kind: {}, Name: {}",
            text(&r["apiGroup"]),
            text(&r["kind"]),
            text(&r["name"])
        );
    }
    let name = text(&service["name"]);
    let port = match service["port"]["number"].as_i64() {
        Some(n) => n.to_string(),
        None => text(&service["port"]["name"]).to_owned(),
    };
    let found = session.get(&format!("/api/v1/namespaces/{}/services/{name}", target.namespace));
    let behind = match found {
        Err(e) => format!("<error: {e}>"),
        Ok(found) => {
            let ports = list(&found["spec"]["ports"]);
            let wanted = ports.iter().find(|p| shown(&p["port"]) == port || text(&p["name"]) == port);
            let unnamed = Value::Null;
            let slices = slices(session, &target.namespace, name);
            endpoints_of(&slices, wanted.unwrap_or(&unnamed))
        }
    };
    format!("{name}:{port} ({behind})")
}

pub fn ingress(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let (metadata, spec) = (&target.object["metadata"], &target.object["spec"]);
    out.pair(0, "Name", text(&metadata["name"]));
    labels(out, "", "Labels", &metadata["labels"]);
    out.pair(0, "Namespace", text(&metadata["namespace"]));
    let ips: Vec<&str> = list(&target.object["status"]["loadBalancer"]["ingress"])
        .iter()
        .map(|i| i["ip"].as_str().unwrap_or(text(&i["hostname"])))
        .collect();
    out.pair(0, "Address", ips.join(","));
    out.pair(0, "Ingress Class", spec["ingressClassName"].as_str().unwrap_or("<none>"));
    let default = &spec["defaultBackend"];
    let shown_default =
        if default.is_object() { backend(session, target, default) } else { "<default>".to_owned() };
    out.pair(0, "Default backend", shown_default);
    let tls = list(&spec["tls"]);
    if !tls.is_empty() {
        out.line(0, "TLS:");
        for t in tls {
            let hosts: Vec<&str> = list(&t["hosts"]).iter().map(text).collect();
            match text(&t["secretName"]) {
                "" => out.line(1, format_args!("SNI routes {}", hosts.join(","))),
                secret => out.line(1, format_args!("{secret} terminates {}", hosts.join(","))),
            }
        }
    }
    out.line(0, "Rules:");
    out.line(1, "Host\tPath\tBackends");
    out.line(1, "----\t----\t--------");
    let mut any = false;
    for rule in list(&spec["rules"]) {
        if !rule["http"].is_object() {
            continue;
        }
        any = true;
        let host = match text(&rule["host"]) {
            "" => "*",
            host => host,
        };
        out.line(1, format_args!("{host}\t"));
        for path in list(&rule["http"]["paths"]) {
            out.line(
                2,
                format_args!("\t{} \t{}", text(&path["path"]), backend(session, target, &path["backend"])),
            );
        }
    }
    if !any {
        let all =
            if default.is_object() { backend(session, target, default) } else { "<default>".to_owned() };
        out.line(1, format_args!("*\t*\t{all}"));
    }
    annotations(out, "", &metadata["annotations"]);
    events(session, out, target)
}

pub fn address(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    heading(out, target, true);
    let parent = &target.object["spec"]["parentRef"];
    if parent.is_object() {
        out.line(0, "Parent Reference:");
        for (title, field) in
            [("Group", "group"), ("Resource", "resource"), ("Namespace", "namespace"), ("Name", "name")]
        {
            out.pair(1, title, text(&parent[field]));
        }
    }
    events(session, out, target)
}

pub fn service_cidr(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    heading(out, target, true);
    let cidrs: Vec<&str> = list(&target.object["spec"]["cidrs"]).iter().map(text).collect();
    out.pair(0, "CIDRs", cidrs.join(", "));
    if !list(&target.object["status"]["conditions"]).is_empty() {
        out.line(0, "Status:");
        super::conditions(out, &target.object["status"]["conditions"]);
    }
    events(session, out, target)
}

pub fn ingress_class(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    heading(out, target, true);
    let spec = &target.object["spec"];
    out.pair(0, "Controller", text(&spec["controller"]));
    if spec["parameters"].is_object() {
        out.line(0, "Parameters:");
        let p = &spec["parameters"];
        out.given(1, "APIGroup", &p["apiGroup"]);
        out.pair(1, "Kind", text(&p["kind"]));
        out.pair(1, "Name", text(&p["name"]));
    }
    events(session, out, target)
}
