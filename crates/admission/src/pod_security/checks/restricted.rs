//! Restricted: hardened as far as is good practice.

use k8s_openapi::api::core::v1::Volume;

use super::baseline::explicit_seccomp;
use super::{Fault, One, Subject, Version, fault, named, offenders, quoted, setters};

pub(super) fn privilege_escalation(s: &Subject<'_>, version: Version) -> Option<Fault> {
    if version.since(25) && s.is_windows() {
        return None;
    }
    let of = |c: &One<'_>| match c.context.and_then(|c| c.allow_privilege_escalation) {
        Some(false) => Vec::new(),
        _ => vec![String::new()],
    };
    let (names, _) = offenders(s, of);
    if names.is_empty() {
        return None;
    }
    let who = named("container", &names);
    fault(
        "allowPrivilegeEscalation != false",
        format!("{who} must set securityContext.allowPrivilegeEscalation=false"),
    )
}

pub(super) fn capabilities(s: &Subject<'_>, version: Version) -> Option<Fault> {
    if version.since(25) && s.is_windows() {
        return None;
    }
    let keeps = |c: &One<'_>| {
        let drop = c.context.and_then(|c| c.capabilities.as_ref()?.drop.as_ref());
        match drop.is_some_and(|d| d.iter().any(|c| c == "ALL")) {
            true => Vec::new(),
            false => vec![String::new()],
        }
    };
    let adds = |c: &One<'_>| {
        let add = c.context.and_then(|c| c.capabilities.as_ref()?.add.as_ref());
        add.into_iter().flatten().filter(|c| *c != "NET_BIND_SERVICE").cloned().collect()
    };
    let (keeping, _) = offenders(s, keeps);
    let (adding, added) = offenders(s, adds);
    let mut details = Vec::new();
    if !keeping.is_empty() {
        let who = named("container", &keeping);
        details.push(format!("{who} must set securityContext.capabilities.drop=[\"ALL\"]"));
    }
    if !adding.is_empty() {
        let who = named("container", &adding);
        details
            .push(format!("{who} must not include {} in securityContext.capabilities.add", quoted(&added)));
    }
    if details.is_empty() { None } else { fault("unrestricted capabilities", details.join("; ")) }
}

pub(super) fn volumes(s: &Subject<'_>, _: Version) -> Option<Fault> {
    let bad: Vec<&Volume> =
        s.spec.volumes.iter().flatten().filter(|v| restricted_type(v).is_some()).collect();
    if bad.is_empty() {
        return None;
    }
    let names: Vec<&str> = bad.iter().map(|v| v.name.as_str()).collect();
    let types: std::collections::BTreeSet<&str> = bad.iter().filter_map(|v| restricted_type(v)).collect();
    let verb = if names.len() == 1 { "uses" } else { "use" };
    let plural = if types.len() == 1 { "" } else { "s" };
    let detail =
        format!("{} {verb} restricted volume type{plural} {}", named("volume", &names), quoted(&types));
    fault("restricted volume types", detail)
}

/// The sort of a volume, when it reaches beyond the cluster's own storage.
fn restricted_type(v: &Volume) -> Option<&'static str> {
    let allowed = v.config_map.is_some()
        || v.csi.is_some()
        || v.downward_api.is_some()
        || v.empty_dir.is_some()
        || v.ephemeral.is_some()
        || v.image.is_some()
        || v.persistent_volume_claim.is_some()
        || v.projected.is_some()
        || v.secret.is_some();
    if allowed {
        return None;
    }
    let sorts = [
        ("hostPath", v.host_path.is_some()),
        ("gcePersistentDisk", v.gce_persistent_disk.is_some()),
        ("awsElasticBlockStore", v.aws_elastic_block_store.is_some()),
        ("gitRepo", v.git_repo.is_some()),
        ("nfs", v.nfs.is_some()),
        ("iscsi", v.iscsi.is_some()),
        ("glusterfs", v.glusterfs.is_some()),
        ("rbd", v.rbd.is_some()),
        ("flexVolume", v.flex_volume.is_some()),
        ("cinder", v.cinder.is_some()),
        ("cephfs", v.cephfs.is_some()),
        ("flocker", v.flocker.is_some()),
        ("fc", v.fc.is_some()),
        ("azureFile", v.azure_file.is_some()),
        ("vsphereVolume", v.vsphere_volume.is_some()),
        ("quobyte", v.quobyte.is_some()),
        ("azureDisk", v.azure_disk.is_some()),
        ("portworxVolume", v.portworx_volume.is_some()),
        ("scaleIO", v.scale_io.is_some()),
        ("storageos", v.storageos.is_some()),
        ("photonPersistentDisk", v.photon_persistent_disk.is_some()),
    ];
    Some(sorts.iter().find(|(_, is)| *is).map_or("unknown", |(sort, _)| *sort))
}

pub(super) fn run_as_non_root(s: &Subject<'_>, _: Version) -> Option<Fault> {
    const REASON: &str = "runAsNonRoot != true";
    let pod = s.spec.security_context.as_ref().and_then(|c| c.run_as_non_root);
    let with = |wanted: Option<bool>| {
        let of = |c: &One<'_>| match c.context.and_then(|c| c.run_as_non_root) == wanted {
            true => vec![String::new()],
            false => Vec::new(),
        };
        offenders(s, of).0
    };
    let explicit = with(Some(false));
    if pod == Some(false) || !explicit.is_empty() {
        let who = setters(pod == Some(false), &explicit);
        return fault(REASON, format!("{who} must not set securityContext.runAsNonRoot=false"));
    }
    let silent = with(None);
    if pod == Some(true) || silent.is_empty() {
        return None;
    }
    let who = named("container", &silent);
    fault(REASON, format!("pod or {who} must set securityContext.runAsNonRoot=true"))
}

pub(super) fn run_as_user(s: &Subject<'_>, _: Version) -> Option<Fault> {
    let pod = s.spec.security_context.as_ref().and_then(|c| c.run_as_user) == Some(0);
    let of = |c: &One<'_>| match c.context.and_then(|c| c.run_as_user) {
        Some(0) => vec![String::new()],
        _ => Vec::new(),
    };
    let (names, _) = offenders(s, of);
    if !pod && names.is_empty() {
        return None;
    }
    fault("runAsUser=0", format!("{} must not set runAsUser=0", setters(pod, &names)))
}

pub(super) fn seccomp(s: &Subject<'_>, version: Version) -> Option<Fault> {
    if version.since(25) && s.is_windows() {
        return None;
    }
    if let Some(explicit) = explicit_seccomp(s) {
        return Some(explicit);
    }
    let pod = s.spec.security_context.as_ref().is_some_and(|c| c.seccomp_profile.is_some());
    let of = |c: &One<'_>| match c.context.is_some_and(|c| c.seccomp_profile.is_some()) {
        true => Vec::new(),
        false => vec![String::new()],
    };
    let (silent, _) = offenders(s, of);
    if pod || silent.is_empty() {
        return None;
    }
    let who = named("container", &silent);
    let detail = format!(
        "pod or {who} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\""
    );
    fault("seccompProfile", detail)
}
