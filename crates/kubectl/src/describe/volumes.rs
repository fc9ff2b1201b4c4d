//! Volumes, told by their source.

use serde_json::Value;

use super::{Lines, list, number, shown, text};

pub fn all(out: &mut Lines, volumes: &[Value], space: &str) {
    if volumes.is_empty() {
        return out.raw(&format!("{space}Volumes:\t<none>\n"));
    }
    out.raw(&format!("{space}Volumes:\n"));
    let indent = if space.is_empty() { "" } else { " " };
    for volume in volumes {
        out.line(1, format_args!("{indent}{}:", text(&volume["name"])));
        source(out, volume);
    }
}

/// The fields of simple sources: name in the object, sentence, fields as they are called and titled.
const SIMPLE: &[(&str, &str, &[(&str, &str)])] = &[
    ("hostPath", "HostPath (bare host directory volume)", &[("Path", "path"), ("HostPathType", "type")]),
    (
        "nfs",
        "NFS (an NFS mount that lasts the lifetime of a pod)",
        &[("Server", "server"), ("Path", "path"), ("ReadOnly", "readOnly?")],
    ),
    (
        "secret",
        "Secret (a volume populated by a Secret)",
        &[("SecretName", "secretName"), ("Optional", "optional?")],
    ),
    (
        "configMap",
        "ConfigMap (a volume populated by a ConfigMap)",
        &[("Name", "name"), ("Optional", "optional?")],
    ),
    (
        "persistentVolumeClaim",
        "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        &[("ClaimName", "claimName"), ("ReadOnly", "readOnly?")],
    ),
    ("local", "LocalVolume (a persistent volume backed by local storage on a node)", &[("Path", "path")]),
    (
        "image",
        "Image (a container image or OCI artifact)",
        &[("Reference", "reference"), ("PullPolicy", "pullPolicy")],
    ),
    (
        "iscsi",
        "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and then exposed to the pod)",
        &[("TargetPortal", "targetPortal"), ("IQN", "iqn"), ("Lun", "lun")],
    ),
    (
        "csi",
        "CSI (a Container Storage Interface (CSI) volume source)",
        &[("Driver", "driver"), ("FSType", "fsType"), ("ReadOnly", "readOnly?")],
    ),
];

pub fn source(out: &mut Lines, volume: &Value) {
    for (name, sentence, fields) in SIMPLE {
        let found = &volume[*name];
        if !found.is_object() {
            continue;
        }
        out.pair(2, "Type", sentence);
        for (title, field) in *fields {
            if *title == "ReadOnly" && found["volumeHandle"].is_string() {
                out.pair(2, "VolumeHandle", text(&found["volumeHandle"]));
            }
            match field.strip_suffix('?') {
                Some(field) => out.pair(2, title, found[field] == true),
                None => out.pair(2, title, shown(&found[*field])),
            }
        }
        if *name == "iscsi" {
            iscsi(out, found);
        }
        for (at, (key, value)) in found["volumeAttributes"].as_object().into_iter().flatten().enumerate() {
            let title = if at == 0 { "    VolumeAttributes:" } else { "" };
            out.raw(&format!("{title}\t    {key}={}\n", text(value)));
        }
        return;
    }
    if volume["emptyDir"].is_object() {
        out.pair(2, "Type", "EmptyDir (a temporary directory that shares a pod's lifetime)");
        out.pair(2, "Medium", text(&volume["emptyDir"]["medium"]));
        let limit = shown(&volume["emptyDir"]["sizeLimit"]);
        out.pair(2, "SizeLimit", if limit.is_empty() { "<unset>" } else { &limit });
    } else if volume["projected"].is_object() {
        out.pair(2, "Type", "Projected (a volume that contains injected data from multiple sources)");
        list(&volume["projected"]["sources"]).iter().for_each(|s| projected(out, s));
    } else if volume["downwardAPI"].is_object() {
        out.pair(2, "Type", "DownwardAPI (a volume populated by information about the pod)");
        out.line(2, "Items:");
        for item in list(&volume["downwardAPI"]["items"]) {
            if item["fieldRef"].is_object() {
                out.line(
                    3,
                    format_args!("{} -> {}", text(&item["fieldRef"]["fieldPath"]), text(&item["path"])),
                );
            }
            if item["resourceFieldRef"].is_object() {
                out.line(
                    3,
                    format_args!(
                        "{} -> {}",
                        text(&item["resourceFieldRef"]["resource"]),
                        text(&item["path"])
                    ),
                );
            }
        }
    } else if volume["ephemeral"].is_object() {
        let spec = &volume["ephemeral"]["volumeClaimTemplate"]["spec"];
        out.pair(2, "Type", "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)");
        out.pair(2, "StorageClass", shown(&spec["storageClassName"]));
        out.pair(2, "Volume", shown(&spec["volumeName"]));
    } else {
        out.line(1, "<unknown>");
    }
}

/// The rest of an iSCSI disk.
fn iscsi(out: &mut Lines, disk: &Value) {
    // Without a colon, as stock has it.
    out.line(2, format_args!("ISCSIInterface\t{}", text(&disk["iscsiInterface"])));
    out.pair(2, "FSType", text(&disk["fsType"]));
    out.pair(2, "ReadOnly", disk["readOnly"] == true);
    let portals: Vec<&str> = list(&disk["portals"]).iter().map(text).collect();
    out.pair(2, "Portals", format_args!("[{}]", portals.join(" ")));
    out.pair(2, "DiscoveryCHAPAuth", disk["chapAuthDiscovery"] == true);
    out.pair(2, "SessionCHAPAuth", disk["chapAuthSession"] == true);
    match disk["secretRef"]["name"].as_str() {
        Some(name) => out.pair(2, "SecretRef", format_args!("{{{name}}}")),
        None => out.pair(2, "SecretRef", "nil"),
    }
    out.pair(2, "InitiatorName", disk["initiatorName"].as_str().unwrap_or("<none>"));
}

fn projected(out: &mut Lines, source: &Value) {
    let optional = |of: &Value| match of["optional"].as_bool() {
        Some(is) => is.to_string(),
        None => "false".into(),
    };
    if source["secret"].is_object() {
        out.pair(2, "SecretName", text(&source["secret"]["name"]));
        out.pair(2, "Optional", optional(&source["secret"]));
    } else if source["downwardAPI"].is_object() {
        out.pair(2, "DownwardAPI", true);
    } else if source["configMap"].is_object() {
        out.pair(2, "ConfigMapName", text(&source["configMap"]["name"]));
        out.pair(2, "Optional", optional(&source["configMap"]));
    } else if source["serviceAccountToken"].is_object() {
        out.pair(2, "TokenExpirationSeconds", number(&source["serviceAccountToken"]["expirationSeconds"]));
    }
}
