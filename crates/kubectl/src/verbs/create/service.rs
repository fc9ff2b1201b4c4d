//! Services of the four types.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::session::Session;

pub fn cluster_ip(session: &Session, name: &str) -> Result<Value> {
    service(session, name, "ClusterIP")
}

pub fn node_port(session: &Session, name: &str) -> Result<Value> {
    service(session, name, "NodePort")
}

pub fn load_balancer(session: &Session, name: &str) -> Result<Value> {
    service(session, name, "LoadBalancer")
}

pub fn external_name(session: &Session, name: &str) -> Result<Value> {
    service(session, name, "ExternalName")
}

fn service(session: &Session, name: &str, kind: &str) -> Result<Value> {
    let call = &session.call;
    let tcp = call.list("tcp");
    let headless = call.has_flag("clusterip") && call.text("clusterip") == "None";
    if kind != "ExternalName" && tcp.is_empty() && !headless {
        return Err(Error::text("at least one tcp port specifier must be provided"));
    }
    let mut ports = Vec::new();
    for spec in &tcp {
        let (port, target) = parse(spec)?;
        let mut one = json!({
            "name": spec.replace(':', "-"), "port": port, "protocol": "TCP", "targetPort": target,
        });
        if call.has_flag("node-port") && call.int("node-port") != 0 {
            one["nodePort"] = json!(call.int("node-port"));
        }
        ports.push(one);
    }
    let labels = json!({ "app": name });
    let mut spec = json!({ "type": kind, "selector": labels });
    if !ports.is_empty() {
        spec["ports"] = json!(ports);
    }
    if kind == "ExternalName" {
        spec["externalName"] = json!(call.text("external-name"));
    }
    if call.has_flag("clusterip") && !call.text("clusterip").is_empty() {
        spec["clusterIP"] = json!(call.text("clusterip"));
    }
    Ok(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name, "labels": labels }, "spec": spec,
    }))
}

/// `80:8080`, `80:http`, `80`
fn parse(spec: &str) -> Result<(i64, Value)> {
    let (port, target) = spec.split_once(':').unwrap_or((spec, spec));
    let number = |text: &str| -> Result<i64> {
        let quoted = crate::text::quote(text);
        let parsed: u64 = text
            .parse()
            .map_err(|_| Error::text(format!("strconv.ParseUint: parsing {quoted}: invalid syntax")))?;
        match parsed {
            0..=65535 => Ok(parsed as i64),
            _ => Err(Error::text(format!("strconv.ParseUint: parsing {quoted}: value out of range"))),
        }
    };
    let port_number = number(port)?;
    let target_port = match target.parse::<i64>() {
        Ok(n) if (1..=65535).contains(&n) => json!(n),
        Ok(_) => return Err(Error::text("must be between 1 and 65535, inclusive".to_string())),
        Err(_) => json!(target),
    };
    Ok((port_number, target_port))
}
