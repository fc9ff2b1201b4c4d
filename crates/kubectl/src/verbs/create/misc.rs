//! Namespaces, service accounts, ingresses, quotas, budgets, priority classes.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::session::Session;

pub fn namespace(_session: &Session, name: &str) -> Result<Value> {
    Ok(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }))
}

pub fn service_account(_session: &Session, name: &str) -> Result<Value> {
    Ok(json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } }))
}

pub fn priority_class(session: &Session, name: &str) -> Result<Value> {
    let call = &session.call;
    let mut object = json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": { "name": name },
        "value": call.int("value"), "preemptionPolicy": call.text("preemption-policy"),
    });
    if call.is("global-default") {
        object["globalDefault"] = json!(true);
    }
    if !call.text("description").is_empty() {
        object["description"] = json!(call.text("description"));
    }
    Ok(object)
}

pub fn quota(session: &Session, name: &str) -> Result<Value> {
    let call = &session.call;
    let mut spec = json!({});
    let hard = amounts(call.text("hard"))?;
    if !hard.is_empty() {
        spec["hard"] = Value::Object(hard);
    }
    let scopes: Vec<&str> = call.text("scopes").split(',').filter(|s| !s.is_empty()).collect();
    if call.text("scopes").split(',').count() > 1 && scopes.len() != call.text("scopes").split(',').count() {
        return Err(Error::text("invalid resource quota scope \"\""));
    }
    if !scopes.is_empty() {
        spec["scopes"] = json!(scopes);
    }
    Ok(json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": name }, "spec": spec }))
}

/// `cpu=1,memory=2Gi`
pub fn amounts(text: &str) -> Result<Map<String, Value>> {
    let mut found = Map::new();
    for part in text.split(',').filter(|p| !p.is_empty()) {
        let pieces: Vec<&str> = part.split('=').collect();
        let [name, amount] = pieces[..] else {
            return Err(Error::text(format!("Invalid argument syntax {part}, expected <resource>=<value>")));
        };
        let quantity = apimachinery::quantity::Quantity::parse(amount).map_err(|_| {
            Error::text(
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            )
        })?;
        found.insert(name.to_owned(), json!(quantity.to_string()));
    }
    Ok(found)
}

pub fn disruption_budget(session: &Session, name: &str) -> Result<Value> {
    let call = &session.call;
    let (min, max) = (call.text("min-available"), call.text("max-unavailable"));
    if call.text("selector").is_empty() {
        return Err(Error::text("a selector must be specified"));
    }
    match (min.is_empty(), max.is_empty()) {
        (true, true) => return Err(Error::text("one of min-available or max-unavailable must be specified")),
        (false, false) => {
            return Err(Error::text("min-available and max-unavailable cannot be both specified"));
        }
        _ => {}
    }
    let selector = label_selector(call.text("selector"))?;
    let amount = |text: &str| match text.parse::<i64>() {
        Ok(n) => Ok(json!(n)),
        Err(_) if text.ends_with('%') => Ok(json!(text)),
        Err(_) => Err(Error::text(format!(
            "invalid value {}: must be a number or a percentage",
            crate::text::quote(text)
        ))),
    };
    let mut spec = json!({ "selector": selector });
    match min.is_empty() {
        false => spec["minAvailable"] = amount(min)?,
        true => spec["maxUnavailable"] = amount(max)?,
    }
    Ok(json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": name }, "spec": spec,
        "status": { "currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0 },
    }))
}

/// `a=b,c in (d,e)` as the selector of an object.
pub fn label_selector(text: &str) -> Result<Value> {
    use apimachinery::selector::{Operator, Selector};
    let parsed = Selector::parse(text).map_err(Error::text)?;
    let (mut labels, mut expressions) = (Map::new(), Vec::new());
    for requirement in parsed.requirements() {
        let (key, values) = (requirement.key(), requirement.values());
        let operator = match requirement.operator() {
            Operator::Equals | Operator::DoubleEquals => {
                labels.insert(key.to_owned(), json!(values.first().cloned().unwrap_or_default()));
                continue;
            }
            Operator::In => "In",
            Operator::NotIn | Operator::NotEquals => "NotIn",
            Operator::Exists => "Exists",
            Operator::DoesNotExist => "DoesNotExist",
            other => {
                return Err(Error::text(format!(
                    "\"{}\" is not a valid label selector operator",
                    other.as_str()
                )));
            }
        };
        let mut one = json!({ "key": key, "operator": operator });
        if !values.is_empty() {
            one["values"] = json!(values);
        }
        expressions.push(one);
    }
    let mut selector = json!({});
    if !labels.is_empty() {
        selector["matchLabels"] = Value::Object(labels);
    }
    if !expressions.is_empty() {
        selector["matchExpressions"] = json!(expressions);
    }
    Ok(selector)
}

pub fn ingress(session: &Session, name: &str) -> Result<Value> {
    let call = &session.call;
    let (rules, default) = (call.list("rule"), call.text("default-backend"));
    if rules.is_empty() && default.is_empty() {
        return Err(Error::text(
            "not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a list of rules (which catch specific paths)",
        ));
    }
    let mut metadata = json!({ "name": name });
    for pair in call.list("annotation") {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Error::text(format!(
                "annotation {pair} is invalid and should be in format key=[value]"
            )));
        };
        metadata["annotations"][key] = json!(value);
    }
    let mut spec = json!({});
    if !call.text("class").is_empty() {
        spec["ingressClassName"] = json!(call.text("class"));
    }
    if !default.is_empty() {
        let invalid = || Error::text("default-backend should be in format servicename:serviceport");
        spec["defaultBackend"] = backend(default).ok_or_else(invalid)?;
    }
    let (mut hosts, mut tls): (Vec<(String, Vec<Value>)>, Vec<Value>) = (Vec::new(), Vec::new());
    for rule in &rules {
        add_rule(rule, &mut hosts, &mut tls)?;
    }
    if !tls.is_empty() {
        spec["tls"] = json!(tls);
    }
    let rules: Vec<Value> = hosts
        .into_iter()
        .map(|(host, paths)| match host.as_str() {
            "" => json!({ "http": { "paths": paths } }),
            host => json!({ "host": host, "http": { "paths": paths } }),
        })
        .collect();
    if !rules.is_empty() {
        spec["rules"] = json!(rules);
    }
    Ok(json!({ "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec }))
}

fn backend(text: &str) -> Option<Value> {
    let (service, port) =
        text.split_once(':').filter(|(s, p)| !s.is_empty() && !p.is_empty() && !p.contains(':'))?;
    let port = match port.parse::<i64>() {
        Ok(n) => json!({ "number": n }),
        Err(_) => json!({ "name": port }),
    };
    Some(json!({ "service": { "name": service, "port": port } }))
}

fn add_rule(rule: &str, hosts: &mut Vec<(String, Vec<Value>)>, tls: &mut Vec<Value>) -> Result<()> {
    let invalid = || {
        Error::text(format!(
            "rule {rule} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]"
        ))
    };
    let (route, rest) = rule.split_once('=').ok_or_else(invalid)?;
    let (to, secured) = match rest.split_once(',') {
        Some((to, tls)) => (to, Some(tls)),
        None => (rest, None),
    };
    let (host, path) = route.split_once('/').ok_or_else(invalid)?;
    let (path, kind) = match path.strip_suffix('*') {
        Some(path) => (path, "Prefix"),
        None => (path, "Exact"),
    };
    let entry =
        json!({ "path": format!("/{path}"), "pathType": kind, "backend": backend(to).ok_or_else(invalid)? });
    match hosts.iter_mut().find(|(h, _)| h == host) {
        Some((_, paths)) => paths.push(entry),
        None => hosts.push((host.to_owned(), vec![entry])),
    }
    match secured {
        None => Ok(()),
        Some("tls") => {
            add_tls(tls, host, "");
            Ok(())
        }
        Some(other) => match other.strip_prefix("tls=") {
            Some(secret) => {
                add_tls(tls, host, secret);
                Ok(())
            }
            None => Err(invalid()),
        },
    }
}

fn add_tls(tls: &mut Vec<Value>, host: &str, secret: &str) {
    let found = tls.iter_mut().find(|t| t["secretName"].as_str().unwrap_or_default() == secret);
    match found {
        Some(entry) => {
            if let Some(hosts) = entry["hosts"].as_array_mut().filter(|_| !host.is_empty())
                && !hosts.contains(&json!(host))
            {
                hosts.push(json!(host));
            }
        }
        None => {
            let mut entry = json!({});
            if !host.is_empty() {
                entry["hosts"] = json!([host]);
            }
            if !secret.is_empty() {
                entry["secretName"] = json!(secret);
            }
            tls.push(entry);
        }
    }
}
