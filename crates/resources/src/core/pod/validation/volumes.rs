//! Rules for volumes.

use std::collections::BTreeMap;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::{Quantity, names};
use k8s_openapi::api::core::v1::{PodSpec, Volume};

use crate::check::{each, known, local_path, one, required};

mod files;
mod storage;

/// Every volume, and those without fault by name. `pod` is the pod's name, none for a template.
pub(super) fn all<'a>(
    volumes: &'a [Volume],
    pod: Option<&str>,
    path: &Path,
) -> (BTreeMap<&'a str, &'a Volume>, ErrorList) {
    let mut errs = ErrorList::new();
    let mut good = BTreeMap::new();
    let claims: Vec<String> = match pod {
        Some(pod) if !pod.is_empty() => {
            let own = volumes.iter().filter(|v| v.ephemeral.is_some());
            own.map(|v| format!("{pod}-{}", v.name)).collect()
        }
        _ => Vec::new(),
    };
    for (i, volume) in volumes.iter().enumerate() {
        let at = path.index(i);
        let mut bad = source(volume, pod, &at);
        let name = at.child("name");
        match &*volume.name {
            "" => bad.push(Error::required(&name, "")),
            text => bad.extend(each(&name, text, names::dns1123_label(text))),
        }
        if good.contains_key(&*volume.name) {
            bad.push(Error::duplicate(&name, &volume.name));
        }
        if bad.is_empty() {
            good.insert(&*volume.name, volume);
        }
        errs.extend(bad);
        if let Some(claim) =
            volume.persistent_volume_claim.as_ref().filter(|c| claims.contains(&c.claim_name))
        {
            errs.push(Error::invalid(
                &at.child("persistentVolumeClaim").child("claimName"),
                &claim.claim_name,
                "must not reference a PVC that gets created for an ephemeral volume",
            ));
        }
    }
    (good, errs)
}

/// Exactly one source. Only the first is looked at.
fn source(volume: &Volume, pod: Option<&str>, path: &Path) -> ErrorList {
    let sources = [files::sources(volume, path), storage::sources(volume, pod, path)].concat();
    let mut sources = sources.into_iter();
    let Some((_, mut errs)) = sources.next() else {
        return one(true, || Error::required(path, "must specify a volume type"));
    };
    for (field, _) in sources {
        errs.push(Error::forbidden(&path.child(field), "may not specify more than 1 volume type"));
    }
    errs
}

/// Tokens are those of an account.
pub(super) fn tokens_need_account(spec: &PodSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if spec.service_account_name.as_deref().is_some_and(|n| !n.is_empty()) {
        return errs;
    }
    for (i, volume) in spec.volumes.iter().flatten().enumerate() {
        let sources = volume.projected.iter().flat_map(|p| p.sources.iter().flatten()).enumerate();
        for (j, _) in sources.filter(|(_, s)| s.service_account_token.is_some()) {
            let path = path.index(i).child("projected").child("sources").index(j);
            errs.push(Error::forbidden(
                &path.child("serviceAccountToken"),
                "must not be specified when serviceAccountName is not set",
            ));
        }
    }
    errs
}

fn empty_dir(source: &k8s_openapi::api::core::v1::EmptyDirVolumeSource, path: &Path) -> ErrorList {
    let limit = source.size_limit.as_ref().map(|l| Quantity::parse(&l.0));
    let bad = limit.is_some_and(|l| l.is_err() || l.is_ok_and(|l| l.signum() < 0));
    one(bad, || {
        Error::forbidden(&path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity")
    })
}

fn host_path(source: &k8s_openapi::api::core::v1::HostPathVolumeSource, path: &Path) -> ErrorList {
    const TYPES: &[&str] = &[
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    if source.path.is_empty() {
        return required(&path.child("path"), "");
    }
    let mut errs = names::no_backsteps(&source.path, &path.child("path"));
    if let Some(kind) = &source.type_ {
        errs.extend(known(&path.child("type"), kind, TYPES));
    }
    errs
}

/// Permission bits of a file.
fn mode(value: Option<i32>, path: &Path) -> ErrorList {
    let bad = value.filter(|m| !(0..=0o777).contains(m));
    bad.map(|m| Error::invalid(path, m, "must be a number between 0 and 0777 (octal), both inclusive"))
        .into_iter()
        .collect()
}

fn key_to_path(item: &k8s_openapi::api::core::v1::KeyToPath, path: &Path) -> ErrorList {
    let mut errs = required(&path.child("key"), &item.key);
    errs.extend(required(&path.child("path"), &item.path));
    errs.extend(local_path(&path.child("path"), &item.path));
    errs.extend(mode(item.mode, &path.child("mode")));
    errs
}
