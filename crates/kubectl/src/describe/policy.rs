//! Network policies, and how far they reach.

use serde_json::Value;

use super::{Lines, annotations, events, labels, list, shown, text};
use crate::error::Result;
use crate::pods::label_selector;
use crate::session::Session;
use crate::targets::Target;

pub fn network_policy(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let (metadata, spec) = (&target.object["metadata"], &target.object["spec"]);
    out.pair(0, "Name", text(&metadata["name"]));
    out.pair(0, "Namespace", text(&metadata["namespace"]));
    let created = metadata["creationTimestamp"].as_str().and_then(|t| t.parse::<jiff::Timestamp>().ok());
    if let Some(created) = created {
        let zoned = created.to_zoned(jiff::tz::TimeZone::system());
        out.pair(0, "Created on", zoned.strftime("%Y-%m-%d %H:%M:%S %z %Z"));
    }
    labels(out, "", "Labels", &metadata["labels"]);
    annotations(out, "", &metadata["annotations"]);
    out.line(0, "Spec:");
    let chosen = label_selector(&spec["podSelector"]);
    let chosen = if chosen.is_empty() {
        "<none> (Allowing the specific traffic to all pods in this namespace)"
    } else {
        &chosen
    };
    out.line(1, format_args!("PodSelector:     {chosen}"));
    let types: Vec<&str> = list(&spec["policyTypes"]).iter().map(text).collect();
    for (kind, word, side, isolated) in
        [("Ingress", "ingress", "From", "ingress"), ("Egress", "egress", "To", "egress")]
    {
        if !types.contains(&kind) {
            out.line(1, format_args!("Not affecting {word} traffic"));
            continue;
        }
        out.line(1, format_args!("Allowing {word} traffic:"));
        let rules = list(&spec[word]);
        if rules.is_empty() {
            out.line(2, format_args!("<none> (Selected pods are isolated for {isolated} connectivity)"));
        }
        for (at, rule) in rules.iter().enumerate() {
            if at > 0 {
                out.line(2, "----------");
            }
            self::rule(out, side, rule);
        }
    }
    out.line(1, format_args!("Policy Types: {}", types.join(", ")));
    let _ = (session, events);
    Ok(())
}

/// A rule: its ports, then its peers.
fn rule(out: &mut Lines, side: &str, rule: &Value) {
    let ports = list(&rule["ports"]);
    if ports.is_empty() {
        out.line(2, "To Port: <any> (traffic allowed to all ports)");
    }
    for port in ports {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        let number = match &port["port"] {
            Value::Null => "<any>".to_owned(),
            port => shown(port),
        };
        match port["endPort"].as_i64() {
            Some(last) => out.line(2, format_args!("To Port Range: {number}-{last}/{protocol}")),
            None => out.line(2, format_args!("To Port: {number}/{protocol}")),
        }
    }
    let peers = list(&rule[side.to_lowercase()]);
    if peers.is_empty() {
        let why = if side == "From" { "source" } else { "destination" };
        out.line(2, format_args!("{side}: <any> (traffic not restricted by {why})"));
    }
    for peer in peers {
        out.line(2, format_args!("{side}:"));
        if peer["ipBlock"].is_object() {
            out.line(3, "IPBlock:");
            out.line(4, format_args!("CIDR: {}", text(&peer["ipBlock"]["cidr"])));
            let except: Vec<&str> = list(&peer["ipBlock"]["except"]).iter().map(text).collect();
            out.line(4, format_args!("Except: {}", except.join(", ")));
        }
        for (field, title) in [("namespaceSelector", "NamespaceSelector"), ("podSelector", "PodSelector")] {
            if peer[field].is_object() {
                let chosen = label_selector(&peer[field]);
                out.line(3, format_args!("{title}: {}", super::or_none(&chosen)));
            }
        }
    }
}
