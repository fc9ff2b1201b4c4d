//! Volumes whose files the cluster itself knows: config maps, secrets, the downward API, projections of them.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use k8s_openapi::api::core::v1::{
    ClusterTrustBundleProjection, DownwardAPIVolumeFile, KeyToPath, PodCertificateProjection,
    ProjectedVolumeSource, ServiceAccountTokenProjection, Volume, VolumeProjection,
};

use super::super::env::{object_field, resource_field};
use super::{empty_dir, host_path, key_to_path, mode};
use crate::certificates::certificate_signing_request::validation::signer;
use crate::certificates::{cluster_trust_bundle, pod_certificate_request};
use crate::check::{known, local_path, required};

/// The sources of this sort that the volume has, each with what is wrong with it.
pub(super) fn sources(volume: &Volume, path: &Path) -> Vec<(&'static str, ErrorList)> {
    let at = |field: &str| path.child(field);
    let all: [(&'static str, Option<ErrorList>); 6] = [
        ("emptyDir", volume.empty_dir.as_ref().map(|s| empty_dir(s, &at("emptyDir")))),
        ("hostPath", volume.host_path.as_ref().map(|s| host_path(s, &at("hostPath")))),
        (
            "secret",
            volume.secret.as_ref().map(|s| {
                let name = s.secret_name.as_deref().unwrap_or_default();
                keyed("secretName", name, s.default_mode, s.items.as_deref(), &at("secret"))
            }),
        ),
        (
            // Upstream's own spelling of the field when it is one too many.
            "downwarAPI",
            volume.downward_api.as_ref().map(|s| {
                let path = at("downwardAPI");
                let mut errs = mode(s.default_mode, &path.child("defaultMode"));
                for file in s.items.iter().flatten() {
                    errs.extend(downward_file(file, &path));
                }
                errs
            }),
        ),
        (
            "configMap",
            volume
                .config_map
                .as_ref()
                .map(|s| keyed("name", &s.name, s.default_mode, s.items.as_deref(), &at("configMap"))),
        ),
        ("projected", volume.projected.as_ref().map(|s| projected(s, &at("projected")))),
    ];
    all.into_iter().filter_map(|(field, errs)| Some((field, errs?))).collect()
}

/// A secret or config map.
fn keyed(
    name_field: &str,
    name: &str,
    default_mode: Option<i32>,
    items: Option<&[KeyToPath]>,
    path: &Path,
) -> ErrorList {
    let mut errs = required(&path.child(name_field), name);
    errs.extend(mode(default_mode, &path.child("defaultMode")));
    for (i, item) in items.unwrap_or_default().iter().enumerate() {
        errs.extend(key_to_path(item, &path.child("items").index(i)));
    }
    errs
}

const FIELDS: &[&str] =
    &["metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid"];

/// Upstream blames the list, not the item; so does this.
fn downward_file(file: &DownwardAPIVolumeFile, path: &Path) -> ErrorList {
    let mut errs = required(&path.child("path"), &file.path);
    errs.extend(local_path(&path.child("path"), &file.path));
    match (&file.field_ref, &file.resource_field_ref) {
        (Some(field), other) => {
            errs.extend(object_field(field, FIELDS, &path.child("fieldRef")));
            if other.is_some() {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errs.push(Error::invalid(path, "resource", detail));
            }
        }
        (None, Some(resource)) => {
            errs.extend(resource_field(resource, true, &path.child("resourceFieldRef")));
        }
        (None, None) => errs.push(Error::required(path, "one of fieldRef and resourceFieldRef is required")),
    }
    errs.extend(mode(file.mode, &path.child("mode")));
    errs
}

fn projected(source: &ProjectedVolumeSource, path: &Path) -> ErrorList {
    let mut errs = mode(source.default_mode, &path.child("defaultMode"));
    let mut taken = BTreeSet::new();
    for (i, source) in source.sources.iter().flatten().enumerate() {
        errs.extend(projection(source, &mut taken, path, &path.child("sources").index(i)));
    }
    errs
}

/// One source of a projection. All of them write into one directory, so no two may write one file.
fn projection<'a>(
    source: &'a VolumeProjection,
    taken: &mut BTreeSet<&'a str>,
    volume: &Path,
    path: &Path,
) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut sources = 0;
    let mut take = |errs: &mut ErrorList, file: &'a str, blamed: &str| {
        if !file.is_empty() && !taken.insert(file) {
            errs.push(Error::invalid(volume, blamed, "conflicting duplicate paths"));
        }
    };
    let secret = source.secret.as_ref().map(|s| ("secret", &s.name, &s.items));
    let config = source.config_map.as_ref().map(|s| ("configMap", &s.name, &s.items));
    for (field, name, items) in secret.into_iter().chain(config) {
        sources += 1;
        let path = path.child(field);
        errs.extend(required(&path.child("name"), name));
        for (i, item) in items.iter().flatten().enumerate() {
            errs.extend(key_to_path(item, &path.child("items").index(i)));
            take(&mut errs, &item.path, name);
        }
    }
    if let Some(downward) = &source.downward_api {
        sources += 1;
        for file in downward.items.iter().flatten() {
            errs.extend(downward_file(file, &path.child("downwardAPI")));
            take(&mut errs, &file.path, &file.path);
        }
    }
    if let Some(token) = &source.service_account_token {
        sources += 1;
        errs.extend(account_token(token, volume, &path.child("serviceAccountToken")));
    }
    if let Some(trust) = &source.cluster_trust_bundle {
        sources += 1;
        errs.extend(trust_bundle(trust, &path.child("clusterTrustBundle")));
        take(&mut errs, &trust.path, &trust.path);
    }
    if let Some(certificate) = &source.pod_certificate {
        sources += 1;
        let path = path.child("podCertificate");
        errs.extend(pod_certificate(certificate, &path));
        for (_, file) in certificate_files(certificate) {
            take(&mut errs, file, file);
        }
    }
    if sources > 1 {
        errs.push(Error::forbidden(path, "may not specify more than 1 volume type per source"));
    }
    errs
}

fn trust_bundle(source: &ClusterTrustBundleProjection, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    match (&source.name, &source.signer_name) {
        (Some(_), Some(_)) => {
            let shown = Raw(serde_json::json!(source).to_string());
            errs.push(Error::invalid(path, shown, "only one of name and signerName may be used"));
        }
        (Some(name), None) => {
            let at = &path.child("name");
            if name.is_empty() {
                errs.push(Error::required(at, "must be a valid object name"));
            }
            for problem in cluster_trust_bundle::name_problems(name) {
                let detail = format!("not a valid clustertrustbundlename: {problem}");
                errs.push(Error::invalid(at, name, detail));
            }
            if let Some(selector) = &source.label_selector {
                let shown = Raw(serde_json::json!(selector).to_string());
                let detail = "labelSelector must be unset if name is specified";
                errs.push(Error::invalid(&path.child("labelSelector"), shown, detail));
            }
        }
        (None, Some(signer)) => {
            let at = &path.child("signerName");
            if signer.is_empty() {
                errs.push(Error::required(at, "must be a valid signer name"));
            }
            errs.extend(cluster_trust_bundle::signer_errors(signer, at));
            if let Some(selector) = &source.label_selector {
                errs.extend(crate::selector::validate(selector, &path.child("labelSelector")));
            }
        }
        (None, None) => errs.push(Error::required(path, "either name or signerName must be specified")),
    }
    let at = &path.child("path");
    match &*source.path {
        "" => errs.push(Error::required(at, "must be a valid relative path")),
        file => errs.extend(local_path(at, file)),
    }
    errs
}

const KEY_TYPES: &[&str] = &["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];

fn pod_certificate(source: &PodCertificateProjection, path: &Path) -> ErrorList {
    let mut errs = signer(&source.signer_name, &path.child("signerName"));
    errs.extend(known(&path.child("keyType"), &source.key_type, KEY_TYPES));
    errs.extend(pod_certificate_request::lifetime_errors(
        &source.signer_name,
        source.max_expiration_seconds,
        &path.child("maxExpirationSeconds"),
    ));
    let mut files = 0;
    for (field, file) in certificate_files(source) {
        files += 1;
        errs.extend(local_path(&path.child(field), file));
    }
    if files == 0 {
        let detail = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath";
        errs.push(Error::required(path, detail));
    }
    if let Some(annotations) = &source.user_annotations {
        let path = path.child("userAnnotations");
        errs.extend(pod_certificate_request::annotation_errors(annotations, &path));
    }
    errs
}

/// The files that are asked for, by their fields.
fn certificate_files(source: &PodCertificateProjection) -> impl Iterator<Item = (&'static str, &str)> {
    let all = [
        ("credentialBundlePath", &source.credential_bundle_path),
        ("keyPath", &source.key_path),
        ("certificateChainPath", &source.certificate_chain_path),
    ];
    all.into_iter().filter_map(|(field, file)| Some((field, file.as_deref().filter(|f| !f.is_empty())?)))
}

fn account_token(token: &ServiceAccountTokenProjection, volume: &Path, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let seconds = token.expiration_seconds.unwrap_or(0);
    let expiration = path.child("expirationSeconds");
    if seconds < 600 {
        let detail = "may not specify a duration less than 10 minutes";
        errs.push(Error::invalid(&expiration, Raw(seconds.to_string()), detail));
    }
    if seconds > 1 << 32 {
        let detail = "may not specify a duration larger than 2^32 seconds";
        errs.push(Error::invalid(&expiration, Raw(seconds.to_string()), detail));
    }
    match &*token.path {
        "" => errs.push(Error::required(&volume.child("path"), "")),
        file => errs.extend(local_path(&volume.child("path"), file)),
    }
    errs
}
