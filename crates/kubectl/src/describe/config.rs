//! Configuration, quotas, namespaces, rights.

use serde_json::Value;

use super::{Lines, annotations, events, heading, labels, list, number, quantity, shown, text};
use crate::error::Result;
use crate::session::Session;
use crate::targets::Target;

pub fn config_map(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    heading(out, target, true);
    out.raw("\nData\n====\n");
    for (key, value) in target.object["data"].as_object().into_iter().flatten() {
        out.raw(&format!("{key}:\n----\n{}\n\n", text(value)));
    }
    out.raw("\nBinaryData\n====\n");
    for (key, value) in target.object["binaryData"].as_object().into_iter().flatten() {
        out.raw(&format!("{key}: {} bytes\n", decoded(value)));
    }
    out.raw("\n");
    events(session, out, target)
}

fn decoded(value: &Value) -> usize {
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text(value));
    bytes.map_or(0, |b| b.len())
}

pub fn secret(_session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    heading(out, target, true);
    out.raw(&format!("\nType:\t{}\n\nData\n====\n", text(&target.object["type"])));
    let token = target.object["type"] == "kubernetes.io/service-account-token";
    for (key, value) in target.object["data"].as_object().into_iter().flatten() {
        match token && key == "token" {
            true => {
                let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text(value));
                out.raw(&format!("{key}:\t{}\n", String::from_utf8_lossy(&bytes.unwrap_or_default())));
            }
            false => out.raw(&format!("{key}:\t{} bytes\n", decoded(value))),
        }
    }
    Ok(())
}

pub fn service_account(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    heading(out, target, true);
    let pulls: Vec<&str> =
        list(&target.object["imagePullSecrets"]).iter().map(|s| text(&s["name"])).collect();
    names(out, "Image pull secrets", &pulls);
    events(session, out, target)
}

fn names(out: &mut Lines, title: &str, all: &[&str]) {
    match all {
        [] => out.pair(0, title, "<none>"),
        [first, rest @ ..] => {
            out.pair(0, title, first);
            rest.iter().for_each(|name| out.line(0, format_args!("\t{name}")));
        }
    }
}

pub fn quota(_session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    out.pair(0, "Name", text(&object["metadata"]["name"]));
    out.pair(0, "Namespace", text(&object["metadata"]["namespace"]));
    let mut scopes: Vec<&str> = list(&object["spec"]["scopes"]).iter().map(text).collect();
    scopes.sort_unstable();
    if !scopes.is_empty() {
        out.pair(0, "Scopes", scopes.join(", "));
        scopes.iter().for_each(|s| {
            if let Some(help) = scope_help(s) {
                out.raw(&format!(" * {help}\n"));
            }
        });
    }
    out.raw("Resource\tUsed\tHard\n--------\t----\t----\n");
    usage(out, object, "");
    Ok(())
}

fn scope_help(scope: &str) -> Option<&'static str> {
    Some(match scope {
        "Terminating" => {
            "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively terminated by the system."
        }
        "NotTerminating" => {
            "Matches all pods that do not have an active deadline. These pods usually include long running pods whose container command is not expected to terminate."
        }
        "BestEffort" => {
            "Matches all pods that do not have resource requirements set. These pods have a best effort quality of service."
        }
        "NotBestEffort" => {
            "Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality of service."
        }
        _ => return None,
    })
}

fn usage(out: &mut Lines, quota: &Value, indent: &str) {
    for (name, hard) in quota["status"]["hard"].as_object().into_iter().flatten() {
        let used = shown(&quota["status"]["used"][name]);
        out.raw(&format!("{indent}{name}\t{}\t{}\n", if used.is_empty() { "0" } else { &used }, shown(hard)));
    }
}

pub fn limit_range(_session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    out.pair(0, "Name", text(&target.object["metadata"]["name"]));
    out.pair(0, "Namespace", text(&target.object["metadata"]["namespace"]));
    out.raw("Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio\n");
    out.raw("----\t--------\t---\t---\t---------------\t-------------\t-----------------------\n");
    limits(out, &target.object, "");
    Ok(())
}

fn limits(out: &mut Lines, range: &Value, indent: &str) {
    let fields = ["min", "max", "defaultRequest", "default", "maxLimitRequestRatio"];
    for item in list(&range["spec"]["limits"]) {
        let mut names: Vec<&String> = Vec::new();
        // Stock asks a map for its order, which is none; ours is that in which the fields first name them.
        for field in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
            for name in item[field].as_object().into_iter().flat_map(|m| m.keys()) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        for name in names {
            let cells: Vec<String> = fields
                .iter()
                .map(|f| shown(&item[*f][name]))
                .map(|t| if t.is_empty() { "-".into() } else { t })
                .collect();
            out.raw(&format!("{indent}{}\t{name}\t{}\n", text(&item["type"]), cells.join("\t")));
        }
    }
}

pub fn namespace(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    heading(out, target, true);
    out.pair(0, "Status", text(&target.object["status"]["phase"]));
    if !list(&target.object["status"]["conditions"]).is_empty() {
        super::conditions(out, &target.object["status"]["conditions"]);
    }
    let of =
        |resource: &str| session.get(&format!("/api/v1/namespaces/{}/{resource}?limit=500", target.name));
    if let Ok(quotas) = of("resourcequotas") {
        match list(&quotas["items"]) {
            [] => out.raw("\nNo resource quota.\n"),
            all => {
                out.raw("\nResource Quotas\n");
                for quota in all {
                    out.raw(&format!("  Name:\t{}\n", text(&quota["metadata"]["name"])));
                    let mut scopes: Vec<&str> = list(&quota["spec"]["scopes"]).iter().map(text).collect();
                    scopes.sort_unstable();
                    if !scopes.is_empty() {
                        out.raw(&format!("  Scopes:\t{}\n", scopes.join(", ")));
                        scopes
                            .iter()
                            .filter_map(|s| scope_help(s))
                            .for_each(|h| out.raw(&format!("  * {h}\n")));
                    }
                    out.raw("  Resource\tUsed\tHard\n  --------\t---\t---\n");
                    usage(out, quota, "  ");
                }
            }
        }
    }
    if let Ok(ranges) = of("limitranges") {
        match list(&ranges["items"]) {
            [] => out.raw("\nNo LimitRange resource.\n"),
            all => {
                out.raw("\nResource Limits\n Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio\n");
                out.raw(
                    " ----\t--------\t---\t---\t---------------\t-------------\t-----------------------\n",
                );
                all.iter().for_each(|range| limits(out, range, " "));
            }
        }
    }
    let _ = quantity;
    Ok(())
}

pub fn budget(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let (spec, status) = (&target.object["spec"], &target.object["status"]);
    heading(out, target, false);
    match spec["minAvailable"].is_null() {
        false => out.pair(0, "Min available", shown(&spec["minAvailable"])),
        true => out.pair(0, "Max unavailable", shown(&spec["maxUnavailable"])),
    }
    let selector = crate::pods::label_selector(&spec["selector"]);
    out.pair(0, "Selector", if spec["selector"].is_object() { selector } else { "<unset>".into() });
    out.raw("Status:\n");
    for (title, field) in [
        ("Allowed disruptions", "disruptionsAllowed"),
        ("Current", "currentHealthy"),
        ("Desired", "desiredHealthy"),
        ("Total", "expectedPods"),
    ] {
        out.pair(2, title, number(&status[field]));
    }
    events(session, out, target)
}

pub fn priority_class(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    out.pair(0, "Name", text(&object["metadata"]["name"]));
    out.pair(0, "Value", shown(&object["value"]));
    out.pair(0, "GlobalDefault", object["globalDefault"] == true);
    out.pair(0, "PreemptionPolicy", text(&object["preemptionPolicy"]));
    out.pair(0, "Description", text(&object["description"]));
    labels(out, "", "Annotations", &object["metadata"]["annotations"]);
    events(session, out, target)
}

fn bracketed(value: &Value) -> String {
    let all: Vec<&str> = list(value).iter().map(text).collect();
    format!("[{}]", all.join(" "))
}

pub fn role(_session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    out.pair(0, "Name", text(&object["metadata"]["name"]));
    labels(out, "", "Labels", &object["metadata"]["labels"]);
    annotations(out, "", &object["metadata"]["annotations"]);
    out.line(0, "PolicyRule:");
    out.line(1, "Resources\tNon-Resource URLs\tResource Names\tVerbs");
    out.line(1, "---------\t-----------------\t--------------\t-----");
    // A line for each resource, with all verbs that some rule gives it.
    let mut lines: Vec<(String, String, String, Vec<String>)> = Vec::new();
    for rule in list(&object["rules"]) {
        let verbs: Vec<String> = list(&rule["verbs"]).iter().map(|v| text(v).to_owned()).collect();
        let mut add = |entry: (String, String, String)| match lines
            .iter_mut()
            .find(|l| (&l.0, &l.1, &l.2) == (&entry.0, &entry.1, &entry.2))
        {
            Some(line) => verbs.iter().for_each(|v| {
                if !line.3.contains(v) {
                    line.3.push(v.clone());
                }
            }),
            None => lines.push((entry.0, entry.1, entry.2, verbs.clone())),
        };
        for group in list(&rule["apiGroups"]) {
            for resource in list(&rule["resources"]) {
                let (plural, sub) = text(resource).split_once('/').unwrap_or((text(resource), ""));
                let mut name = if text(group).is_empty() {
                    plural.to_owned()
                } else {
                    format!("{plural}.{}", text(group))
                };
                if !sub.is_empty() {
                    name.push_str(&format!("/{sub}"));
                }
                match list(&rule["resourceNames"]) {
                    [] => add((name, "[]".into(), "[]".into())),
                    names => {
                        names.iter().for_each(|n| add((name.clone(), "[]".into(), format!("[{}]", text(n)))))
                    }
                }
            }
        }
        for url in list(&rule["nonResourceURLs"]) {
            add((String::new(), format!("[{}]", text(url)), "[]".into()));
        }
    }
    // In the order of the rules as Go prints them: verbs, then groups, then resources.
    let place = |(name, urls, names, verbs): &(String, String, String, Vec<String>)| {
        let (plural, group) = match name.split_once('.') {
            Some((plural, group)) => {
                let (group, sub) =
                    group.split_once('/').map_or((group, String::new()), |(g, s)| (g, format!("/{s}")));
                (format!("{plural}{sub}"), group.to_owned())
            }
            None => (name.clone(), String::new()),
        };
        format!(
            "Verbs:[{}],APIGroups:[{group}],Resources:[{plural}],ResourceNames:{names},NonResourceURLs:{urls}",
            verbs.join(" ")
        )
    };
    lines.sort_by_key(place);
    for (name, urls, names, verbs) in lines {
        out.line(1, format_args!("{name}\t{urls}\t{names}\t[{}]", verbs.join(" ")));
    }
    let _ = bracketed;
    Ok(())
}

pub fn binding(_session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let object = &target.object;
    out.pair(0, "Name", text(&object["metadata"]["name"]));
    labels(out, "", "Labels", &object["metadata"]["labels"]);
    annotations(out, "", &object["metadata"]["annotations"]);
    out.line(0, "Role:");
    out.pair(1, "Kind", text(&object["roleRef"]["kind"]));
    out.pair(1, "Name", text(&object["roleRef"]["name"]));
    out.line(0, "Subjects:");
    out.line(1, "Kind\tName\tNamespace");
    out.line(1, "----\t----\t---------");
    for s in list(&object["subjects"]) {
        out.line(1, format_args!("{}\t{}\t{}", text(&s["kind"]), text(&s["name"]), text(&s["namespace"])));
    }
    Ok(())
}
