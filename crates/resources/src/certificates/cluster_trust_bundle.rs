//! Cluster trust bundles: certificates of authorities that pods may be told to trust.

use std::collections::BTreeMap;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::ClusterTrustBundle;
use serde_json::{Value, json};

use super::certificate_signing_request::validation::signer;
use super::x509::{self, Certificate};
use crate::check::each;
use crate::columns::{NAME, or_none, text};
use crate::strategy::{Column, NameRule, Part};

#[cfg(test)]
mod tests;

const BUNDLE_MAX: usize = 1024 * 1024;

/// What trust bundles are asked.
pub trait ClusterTrustBundleExt {
    /// Who vouches for it; empty when nobody does.
    fn signer(&self) -> &str;
}

impl ClusterTrustBundleExt for ClusterTrustBundle {
    fn signer(&self) -> &str {
        self.spec.signer_name.as_deref().unwrap_or_default()
    }
}

/// The certificates of some bundles as one PEM text: each once, without headers and what lies between, in a fixed order.
pub fn anchors<'a>(bundles: impl IntoIterator<Item = &'a str>) -> String {
    let mut all: Vec<Vec<u8>> = bundles.into_iter().flat_map(x509::blocks).map(|block| block.der).collect();
    all.sort();
    all.dedup();
    all.iter().map(|der| x509::to_pem("CERTIFICATE", der)).collect()
}

/// The rules of trust bundles.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = ClusterTrustBundle;

    /// Names have colons; how they are made depends on the signer, so the rest is in [`Strategy::validate`].
    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn validate(&self, bundle: &ClusterTrustBundle) -> ErrorList {
        rules(bundle, true)
    }

    fn validate_update(&self, new: &ClusterTrustBundle, old: &ClusterTrustBundle, _: Part) -> ErrorList {
        let mut errs = rules(new, new.spec.trust_bundle != old.spec.trust_bundle);
        if new.signer() != old.signer() {
            let path = Path::new("spec").child("signerName");
            errs.push(Error::invalid(&path, new.signer(), "field is immutable"));
        }
        errs
    }

    fn allow_unconditional_update(&self) -> bool {
        false
    }

    fn fields(&self, bundle: &ClusterTrustBundle) -> Vec<(&'static str, String)> {
        vec![("spec.signerName", bundle.signer().to_owned())]
    }

    fn field_names(&self) -> &'static [&'static str] {
        &["spec.signerName"]
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, text("SignerName", "Who vouches for the certificates.")];
        COLUMNS
    }

    fn row(&self, bundle: &ClusterTrustBundle, _: Timestamp) -> Vec<Value> {
        vec![json!(bundle.name()), json!(or_none(bundle.spec.signer_name.as_deref()))]
    }
}

/// `parsed`: the certificates are looked at; those that were there before stay as they are.
fn rules(bundle: &ClusterTrustBundle, parsed: bool) -> ErrorList {
    let mut errs = name_errors(bundle.name(), bundle.signer());
    let path = Path::new("spec");
    if !bundle.signer().is_empty() {
        errs.extend(signer(bundle.signer(), &path.child("signerName")));
    }
    if parsed {
        errs.extend(anchor_errors(&bundle.spec.trust_bundle, &path.child("trustBundle")));
    }
    errs
}

fn name_errors(name: &str, signer: &str) -> ErrorList {
    let path = Path::new("metadata").child("name");
    if name.is_empty() {
        return ErrorList::new();
    }
    if signer.is_empty() {
        return match name.contains(':') {
            true => each(
                &path,
                name,
                vec!["ClusterTrustBundle without signer name must not have \":\" in its name".into()],
            ),
            false => each(&path, name, names::dns1123_subdomain(name)),
        };
    }
    let prefix = signer.replace('/', ":") + ":";
    match name.strip_prefix(&prefix) {
        Some(rest) => each(&path, name, names::dns1123_subdomain(rest)),
        None => {
            let detail =
                format!("ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}");
            each(&path, name, vec![detail])
        }
    }
}

/// What is wrong with a bundle's name when its signer is not known but from the name.
pub(crate) fn name_problems(name: &str) -> Vec<String> {
    match name.rsplit_once(':') {
        // `example.com:foo:v1` is of `example.com/foo`.
        Some((signer, rest)) if signer.contains(':') && !rest.is_empty() => names::dns1123_subdomain(rest),
        Some(_) => vec!["ClusterTrustBundle without signer name must not have \":\" in its name".into()],
        None => names::dns1123_subdomain(name),
    }
}

/// As [`signer`], for those who refer to one.
pub(crate) fn signer_errors(name: &str, path: &Path) -> ErrorList {
    signer(name, path)
}

fn anchor_errors(bundle: &str, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if bundle.len() > BUNDLE_MAX {
        errs.push(Error::too_long(path, BUNDLE_MAX));
        return errs;
    }
    let mut seen: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
    for (i, block) in x509::blocks(bundle).into_iter().enumerate() {
        match problem(&block) {
            Some(problem) => {
                errs.push(Error::invalid(path, "<value omitted>", format!("entry {i} {problem}")));
            }
            None => seen.entry(block.der).or_default().push(i),
        }
    }
    if !errs.is_empty() {
        return errs;
    }
    if seen.is_empty() {
        let detail = "at least one trust anchor must be provided";
        errs.push(Error::invalid(path, "<value omitted>", detail));
    }
    for places in seen.values().filter(|places| places.len() > 1) {
        let shown: Vec<_> = places.iter().map(usize::to_string).collect();
        let detail = format!("duplicate trust anchor (indices [{}])", shown.join(" "));
        errs.push(Error::invalid(path, "<value omitted>", detail));
    }
    errs
}

fn problem(block: &x509::Block) -> Option<String> {
    if block.label != "CERTIFICATE" {
        return Some(format!("has bad block type: {}", block.label));
    }
    if block.headers {
        return Some("has PEM block headers".into());
    }
    let Some(certificate) = Certificate::parse(&block.der) else {
        return Some("does not parse as X.509".into());
    };
    if !certificate.is_ca {
        return Some("does not have the CA bit set".into());
    }
    (!certificate.constrained).then(|| "has invalid basic constraints".into())
}
