//! Profiles: what a debugging container may do, and what stays of a copied pod. Pure: a pod in, a pod out.

use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Where the container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Ephemeral,
    Copy,
    Node,
}

/// What a copy keeps of its original.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keep {
    pub labels: bool,
    pub annotations: bool,
    pub liveness: bool,
    pub readiness: bool,
    pub startup: bool,
    pub init_containers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Legacy,
    General,
    Baseline,
    Restricted,
    Netadmin,
    Sysadmin,
}

/// A profile by its name.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    name: Name,
    keep: Keep,
}

impl Profile {
    pub fn named(name: &str, keep: Keep) -> Result<Self> {
        let name = match name {
            "legacy" => Name::Legacy,
            "general" => Name::General,
            "baseline" => Name::Baseline,
            "restricted" => Name::Restricted,
            "netadmin" => Name::Netadmin,
            "sysadmin" => Name::Sysadmin,
            other => return Err(Error::text(format!("unknown profile: {other}"))),
        };
        Ok(Profile { name, keep })
    }

    pub fn is_legacy(self) -> bool {
        self.name == Name::Legacy
    }

    /// Whether it grants what only root can use.
    pub fn wants_root(self) -> bool {
        matches!(self.name, Name::General | Name::Netadmin | Name::Sysadmin)
    }

    /// Changes the pod, and in the list of its containers the one of that name.
    pub fn apply(self, pod: &mut Value, list: &str, container: &str, style: Style) {
        if style == Style::Copy {
            self.trim(pod);
        }
        let host = match self.name {
            Name::Legacy | Name::General | Name::Sysadmin => (true, true),
            Name::Netadmin => (true, false),
            Name::Baseline | Name::Restricted => (false, false),
        };
        if style == Style::Node {
            if host.0 {
                for namespace in ["hostNetwork", "hostPID", "hostIPC"] {
                    pod["spec"][namespace] = json!(true);
                }
            }
            if host.1 {
                pod["spec"]["volumes"] = json!([{ "name": "host-root", "hostPath": { "path": "/" } }]);
            }
        }
        let containers = pod["spec"][list].as_array_mut().into_iter().flatten();
        for container in containers.filter(|c| c["name"] == container) {
            if style == Style::Node && host.1 {
                container["volumeMounts"] = json!([{ "name": "host-root", "mountPath": "/host" }]);
            }
            self.secure(container, style);
        }
    }

    fn secure(self, container: &mut Value, style: Style) {
        let add = |container: &mut Value, names: &[&str]| {
            let list = &mut container["securityContext"]["capabilities"]["add"];
            let mut all = list.as_array().cloned().unwrap_or_default();
            all.extend(
                names.iter().filter(|n| !all.contains(&json!(n))).map(|n| json!(n)).collect::<Vec<_>>(),
            );
            *list = json!(all);
        };
        let clear = |container: &mut Value| {
            if let Some(map) = container.as_object_mut() {
                map.remove("securityContext");
            }
        };
        match self.name {
            Name::Legacy => {}
            Name::General if style == Style::Node => clear(container),
            Name::General => add(container, &["SYS_PTRACE"]),
            Name::Baseline => clear(container),
            Name::Restricted => {
                container["securityContext"] = json!({
                    "runAsNonRoot": true, "allowPrivilegeEscalation": false,
                    "capabilities": { "drop": ["ALL"] }, "seccompProfile": { "type": "RuntimeDefault" },
                });
            }
            Name::Netadmin => add(container, &["NET_ADMIN", "NET_RAW"]),
            Name::Sysadmin => container["securityContext"]["privileged"] = json!(true),
        }
    }

    /// Takes from a copy what would make services, controllers and probes think that it is the original.
    fn trim(self, pod: &mut Value) {
        let keep = self.keep;
        if let Some(meta) = pod["metadata"].as_object_mut() {
            if !keep.labels {
                meta.remove("labels");
            }
            if !keep.annotations && !self.is_legacy() {
                meta.remove("annotations");
            }
        }
        if self.is_legacy() {
            return;
        }
        let Some(spec) = pod["spec"].as_object_mut() else { return };
        if !keep.init_containers {
            spec.remove("initContainers");
        }
        spec.entry("shareProcessNamespace").or_insert(json!(true));
        let probes = [
            ("livenessProbe", keep.liveness),
            ("readinessProbe", keep.readiness),
            ("startupProbe", keep.startup),
        ];
        for container in spec.get_mut("containers").and_then(Value::as_array_mut).into_iter().flatten() {
            for (probe, kept) in probes {
                if let (false, Some(map)) = (kept, container.as_object_mut()) {
                    map.remove(probe);
                }
            }
        }
    }
}
