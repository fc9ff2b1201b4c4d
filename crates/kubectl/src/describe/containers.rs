//! Containers, in pods and in templates of pods.

use serde_json::Value;

use super::{Lines, annotations, labels, list, number, or_none, shown, text, time, volumes};

/// A pod template, indented.
pub fn template(out: &mut Lines, template: &Value) {
    out.line(0, "Pod Template:");
    body(out, template);
}

/// The template without its title.
pub fn body(out: &mut Lines, template: &Value) {
    let (metadata, spec) = (&template["metadata"], &template["spec"]);
    labels(out, "  ", "Labels", &metadata["labels"]);
    if metadata["annotations"].as_object().is_some_and(|a| !a.is_empty()) {
        annotations(out, "  ", &metadata["annotations"]);
    }
    let account = text(&spec["serviceAccountName"]);
    if !account.is_empty() {
        out.pair(1, "Service Account", account);
    }
    if !list(&spec["initContainers"]).is_empty() {
        all(out, "Init Containers", list(&spec["initContainers"]), &[], None, "  ");
    }
    all(out, "Containers", list(&spec["containers"]), &[], None, "  ");
    volumes::all(out, list(&spec["volumes"]), "  ");
    spread(out, spec, "  ");
    if !text(&spec["priorityClassName"]).is_empty() {
        out.pair(1, "Priority Class Name", text(&spec["priorityClassName"]));
    }
    labels(out, "  ", "Node-Selectors", &spec["nodeSelector"]);
    tolerations(out, "  ", list(&spec["tolerations"]));
}

/// How pods are spread.
pub fn spread(out: &mut Lines, spec: &Value, indent: &str) {
    let constraints = list(&spec["topologySpreadConstraints"]);
    for (at, c) in constraints.iter().enumerate() {
        let title = if at == 0 { "Topology Spread Constraints:" } else { "" };
        let when = text(&c["whenUnsatisfiable"]);
        let mut line = format!(
            "{indent}{title}\t{}:{when} when max skew {} is exceeded",
            text(&c["topologyKey"]),
            number(&c["maxSkew"])
        );
        if c["labelSelector"].is_object() {
            line.push_str(&format!(" for selector {}", crate::pods::label_selector(&c["labelSelector"])));
        }
        out.raw(&(line + "\n"));
    }
}

pub fn tolerations(out: &mut Lines, indent: &str, all: &[Value]) {
    out.raw(&format!("{indent}Tolerations:\t"));
    if all.is_empty() {
        return out.raw("<none>\n");
    }
    for (at, t) in all.iter().enumerate() {
        if at > 0 {
            out.raw(&format!("{indent}\t"));
        }
        let (key, value, effect) = (text(&t["key"]), text(&t["value"]), text(&t["effect"]));
        let mut line = key.to_owned();
        if !value.is_empty() {
            line.push_str(&format!("={value}"));
        }
        if !effect.is_empty() {
            line.push_str(&format!(":{effect}"));
        }
        if t["operator"] == "Exists" && value.is_empty() {
            line.push_str(if key.is_empty() && effect.is_empty() { "op=Exists" } else { " op=Exists" });
        }
        if let Some(seconds) = t["tolerationSeconds"].as_i64() {
            line.push_str(&format!(" for {seconds}s"));
        }
        out.raw(&(line + "\n"));
    }
}

/// `statuses` of a pod; none of a template. `pod`: what fields of the environment are looked up in.
pub fn all(
    out: &mut Lines,
    title: &str,
    containers: &[Value],
    statuses: &[Value],
    pod: Option<&Value>,
    space: &str,
) {
    if containers.is_empty() {
        return out.raw(&format!("{space}{title}: <none>\n"));
    }
    out.raw(&format!("{space}{title}:\n"));
    let indent = if space.is_empty() { "" } else { " " };
    for container in containers {
        let status = statuses.iter().find(|s| s["name"] == container["name"]);
        out.line(1, format_args!("{indent}{}:", text(&container["name"])));
        basics(out, container, status);
        words(out, "Command", list(&container["command"]));
        words(out, "Args", list(&container["args"]));
        if let Some(status) = status {
            states(out, status);
        }
        resources(out, &container["resources"]);
        for (title, field) in
            [("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")]
        {
            if container[field].is_object() {
                out.pair(2, title, probe(&container[field]));
            }
        }
        env_from(out, list(&container["envFrom"]));
        environment(out, list(&container["env"]), container, pod);
        mounts(out, container);
    }
}

fn basics(out: &mut Lines, container: &Value, status: Option<&Value>) {
    if let Some(status) = status {
        out.pair(2, "Container ID", text(&status["containerID"]));
    }
    out.pair(2, "Image", text(&container["image"]));
    if let Some(status) = status {
        out.pair(2, "Image ID", text(&status["imageID"]));
    }
    let ports = list(&container["ports"]);
    let protocol = |p: &Value| p["protocol"].as_str().unwrap_or("TCP").to_owned();
    let named = |p: &Value, port: i64| match text(&p["name"]) {
        "" => format!("{port}/{}", protocol(p)),
        name => format!("{port}/{} ({name})", protocol(p)),
    };
    let join = |field: &str| ports.iter().map(|p| named(p, number(&p[field]))).collect::<Vec<_>>().join(", ");
    let (inside, host) = (join("containerPort"), join("hostPort"));
    out.pair(2, if inside.contains(',') { "Ports" } else { "Port" }, or_none(&inside));
    out.pair(2, if host.contains(',') { "Host Ports" } else { "Host Port" }, or_none(&host));
    if !text(&container["securityContext"]["seccompProfile"]["type"]).is_empty() {
        let profile = &container["securityContext"]["seccompProfile"];
        out.pair(2, "SeccompProfile", text(&profile["type"]));
        if profile["type"] == "Localhost" {
            out.pair(3, "LocalhostProfile", text(&profile["localhostProfile"]));
        }
    }
}

fn words(out: &mut Lines, title: &str, words: &[Value]) {
    if words.is_empty() {
        return;
    }
    out.line(2, format_args!("{title}:"));
    for word in words {
        text(word).split('\n').for_each(|line| out.line(3, line));
    }
}

fn states(out: &mut Lines, status: &Value) {
    state(out, "State", &status["state"]);
    if status["lastState"]["terminated"].is_object() {
        state(out, "Last State", &status["lastState"]);
    }
    out.pair(2, "Ready", if status["ready"] == true { "True" } else { "False" });
    out.pair(2, "Restart Count", number(&status["restartCount"]));
}

fn state(out: &mut Lines, title: &str, state: &Value) {
    if state["running"].is_object() {
        out.pair(2, title, "Running");
        out.pair(3, "Started", time(&state["running"]["startedAt"]));
    } else if state["terminated"].is_object() {
        let t = &state["terminated"];
        out.pair(2, title, "Terminated");
        out.given(3, "Reason", &t["reason"]);
        out.given(3, "Message", &t["message"]);
        out.pair(3, "Exit Code", number(&t["exitCode"]));
        if number(&t["signal"]) > 0 {
            out.pair(3, "Signal", number(&t["signal"]));
        }
        out.pair(3, "Started", time(&t["startedAt"]));
        out.pair(3, "Finished", time(&t["finishedAt"]));
    } else {
        out.pair(2, title, "Waiting");
        out.given(3, "Reason", &state["waiting"]["reason"]);
    }
}

fn resources(out: &mut Lines, resources: &Value) {
    for (title, field) in [("Limits", "limits"), ("Requests", "requests")] {
        let map = resources[field].as_object();
        if let Some(map) = map.filter(|m| !m.is_empty()) {
            out.line(2, format_args!("{title}:"));
            map.iter().for_each(|(name, amount)| out.pair(3, name, shown(amount)));
        }
    }
}

fn probe(p: &Value) -> String {
    let n = |field: &str, default: i64| p[field].as_i64().unwrap_or(default);
    let attributes = format!(
        "delay={}s timeout={}s period={}s successThreshold={} failureThreshold={}",
        n("initialDelaySeconds", 0),
        n("timeoutSeconds", 0),
        n("periodSeconds", 0),
        n("successThreshold", 0),
        n("failureThreshold", 0)
    );
    if p["exec"].is_object() {
        let words: Vec<&str> = list(&p["exec"]["command"]).iter().map(text).collect();
        return format!("exec [{}] {attributes}", words.join(" "));
    }
    if p["httpGet"].is_object() {
        let get = &p["httpGet"];
        let scheme = get["scheme"].as_str().unwrap_or("HTTP").to_lowercase();
        let (host, port) = (text(&get["host"]), shown(&get["port"]));
        let place = if port.is_empty() { host.to_owned() } else { format!("{host}:{port}") };
        return format!("http-get {scheme}://{place}{} {attributes}", text(&get["path"]));
    }
    if p["tcpSocket"].is_object() {
        return format!(
            "tcp-socket {}:{} {attributes}",
            text(&p["tcpSocket"]["host"]),
            shown(&p["tcpSocket"]["port"])
        );
    }
    if p["grpc"].is_object() {
        return format!(
            "grpc <pod>:{} {} {attributes}",
            shown(&p["grpc"]["port"]),
            text(&p["grpc"]["service"])
        );
    }
    format!("unknown {attributes}")
}

fn env_from(out: &mut Lines, sources: &[Value]) {
    if sources.is_empty() {
        return;
    }
    out.line(2, "Environment Variables from:");
    for source in sources {
        let (kind, from) = match source["configMapRef"].is_object() {
            true => ("ConfigMap", &source["configMapRef"]),
            false => ("Secret", &source["secretRef"]),
        };
        let prefix = match text(&source["prefix"]) {
            "" => String::new(),
            prefix => format!(" with prefix '{prefix}'"),
        };
        out.line(
            3,
            format_args!("{}\t{kind}{prefix}\tOptional: {}", text(&from["name"]), from["optional"] == true),
        );
    }
}

fn environment(out: &mut Lines, all: &[Value], container: &Value, pod: Option<&Value>) {
    if all.is_empty() {
        return out.pair(2, "Environment", "<none>");
    }
    out.line(2, "Environment:");
    for variable in all {
        let name = text(&variable["name"]);
        let from = &variable["valueFrom"];
        if !from.is_object() {
            for (at, line) in text(&variable["value"]).split('\n').enumerate() {
                match at {
                    0 => out.pair(3, name, line),
                    _ => out.line(3, format_args!("\t{line}")),
                }
            }
            continue;
        }
        let optional = |of: &Value| of["optional"] == true;
        if from["fieldRef"].is_object() {
            let field = &from["fieldRef"];
            // As stock: of the status nothing is looked up.
            let path = text(&field["fieldPath"]);
            let value =
                pod.filter(|_| !path.starts_with("status.")).map(|p| resolve(p, path)).unwrap_or_default();
            let version = field["apiVersion"].as_str().unwrap_or("v1");
            out.pair(3, name, format_args!("{value} ({version}:{})", text(&field["fieldPath"])));
        } else if from["resourceFieldRef"].is_object() {
            let resource = text(&from["resourceFieldRef"]["resource"]);
            out.pair(
                3,
                name,
                format_args!(
                    "{} ({resource})",
                    amount(container, resource, &from["resourceFieldRef"]["divisor"])
                ),
            );
        } else if from["secretKeyRef"].is_object() {
            let r = &from["secretKeyRef"];
            out.pair(
                3,
                name,
                format_args!(
                    "<set to the key '{}' in secret '{}'>\tOptional: {}",
                    text(&r["key"]),
                    text(&r["name"]),
                    optional(r)
                ),
            );
        } else if from["configMapKeyRef"].is_object() {
            let r = &from["configMapKeyRef"];
            out.pair(
                3,
                name,
                format_args!(
                    "<set to the key '{}' of config map '{}'>\tOptional: {}",
                    text(&r["key"]),
                    text(&r["name"]),
                    optional(r)
                ),
            );
        }
    }
}

/// The value of a field as the downward API knows it.
fn resolve(pod: &Value, path: &str) -> String {
    if let Some((field, key)) = path.split_once('[') {
        let key = key.trim_end_matches(']').trim_matches(['\'', '"']);
        let map = field.trim_start_matches("metadata.");
        return text(&pod["metadata"][map][key]).to_owned();
    }
    let found = path.split('.').fold(pod, |value, part| &value[part]);
    shown(found)
}

/// A limit or request, in units of the divisor.
fn amount(container: &Value, resource: &str, divisor: &Value) -> String {
    let found = resource.split_once('.').map(|(list, name)| &container["resources"][list][name]);
    let Some(found) = found.filter(|f| !f.is_null()) else {
        return if resource.starts_with("limits") { "node allocatable".into() } else { "0".into() };
    };
    let (value, unit) = (super::quantity(found).approximate(), super::quantity(divisor).approximate());
    let unit = if unit == 0.0 { 1.0 } else { unit };
    format!("{}", (value / unit).ceil() as i64)
}

fn mounts(out: &mut Lines, container: &Value) {
    let mut all: Vec<&Value> = list(&container["volumeMounts"]).iter().collect();
    if all.is_empty() {
        out.pair(2, "Mounts", "<none>");
    } else {
        out.line(2, "Mounts:");
        all.sort_by_key(|m| text(&m["mountPath"]).to_owned());
        for mount in all {
            let mut flags = vec![if mount["readOnly"] == true { "ro" } else { "rw" }.to_owned()];
            if !text(&mount["subPath"]).is_empty() {
                flags.push(format!("path=\"{}\"", text(&mount["subPath"])));
            }
            out.line(
                3,
                format_args!(
                    "{} from {} ({})",
                    text(&mount["mountPath"]),
                    text(&mount["name"]),
                    flags.join(",")
                ),
            );
        }
    }
    let devices = list(&container["volumeDevices"]);
    if !devices.is_empty() {
        out.line(2, "Devices:");
        for device in devices {
            out.line(3, format_args!("{} from {}", text(&device["devicePath"]), text(&device["name"])));
        }
    }
}
