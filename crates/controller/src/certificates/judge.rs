//! What each of the cluster's signers signs (<https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers>).

use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use pki::Usage;
use pki::request::Requested;

use super::{CLIENT, KUBELET_CLIENT, KUBELET_SERVING};

const NODES: &str = "system:nodes";
const NODE_PREFIX: &str = "system:node:";

/// What the certificate is for; why not, in upstream's words; nothing when it is another signer's.
pub(super) fn usage(
    request: &CertificateSigningRequest,
    asked: &Requested,
) -> Option<Result<Usage, &'static str>> {
    let usages = request.spec.usages.as_deref().unwrap_or_default();
    Some(match &*request.spec.signer_name {
        CLIENT => match uses(usages, "client auth") {
            true => Ok(Usage::Client),
            false => Err("usages did not match [digital signature, key encipherment, client auth]"),
        },
        KUBELET_CLIENT => kubelet_client(usages, asked).map(|()| Usage::Client),
        KUBELET_SERVING => kubelet_serving(usages, asked).map(|()| Usage::Server),
        _ => return None,
    })
}

/// `wanted`, and besides it only what every key exchange needs.
fn uses(usages: &[String], wanted: &str) -> bool {
    let others = ["digital signature", "key encipherment"];
    usages.iter().any(|u| u == wanted) && usages.iter().all(|u| u == wanted || others.contains(&u.as_str()))
}

fn node_subject(asked: &Requested) -> Result<(), &'static str> {
    if asked.groups != [NODES] {
        return Err("subject organization is not system:nodes");
    }
    match asked.common_name.starts_with(NODE_PREFIX) {
        true => Ok(()),
        false => Err("subject common name does not begin with 'system:node:'"),
    }
}

pub(super) fn kubelet_client(usages: &[String], asked: &Requested) -> Result<(), &'static str> {
    node_subject(asked)?;
    if !asked.dns_names.is_empty() {
        return Err("DNS subjectAltNames are not allowed");
    }
    if !asked.ips.is_empty() {
        return Err("IP subjectAltNames are not allowed");
    }
    if asked.other_names > 0 {
        return Err("URI and Email subjectAltNames are not allowed");
    }
    match uses(usages, "client auth") {
        true => Ok(()),
        false => Err("usages did not match [digital signature, key encipherment, client auth]"),
    }
}

pub(super) fn kubelet_serving(usages: &[String], asked: &Requested) -> Result<(), &'static str> {
    node_subject(asked)?;
    if asked.dns_names.is_empty() && asked.ips.is_empty() {
        return Err("DNS or IP subjectAltName is required");
    }
    if asked.other_names > 0 {
        return Err("URI and Email subjectAltNames are not allowed");
    }
    match uses(usages, "server auth") {
        true => Ok(()),
        false => Err("usages did not match [digital signature, key encipherment, server auth]"),
    }
}
