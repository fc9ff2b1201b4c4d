//! Rules for cluster addresses and their families.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use k8s_openapi::api::core::v1::ServiceSpec;

use crate::check::{ip, known, shown_list};

fn ips(spec: &ServiceSpec) -> &[String] {
    spec.cluster_ips.as_deref().unwrap_or_default()
}

fn families(spec: &ServiceSpec) -> &[String] {
    spec.ip_families.as_deref().unwrap_or_default()
}

fn is_external_name(spec: &ServiceSpec) -> bool {
    spec.type_.as_deref() == Some("ExternalName")
}

pub(super) fn is_headless(spec: &ServiceSpec) -> bool {
    ips(spec) == ["None"]
}

/// `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy` say the same thing.
pub(super) fn errors(spec: &ServiceSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if is_external_name(spec) {
        return errs;
    }
    let list = ips(spec);
    let at = path.child("clusterIPs");
    match (spec.cluster_ip.as_deref().unwrap_or_default(), list.first()) {
        ("", None) => {}
        ("", Some(_)) => {
            errs.push(Error::invalid(
                &at,
                shown_list(list),
                "must be empty when `clusterIP` is not specified",
            ));
        }
        (_, None) => errs.push(Error::required(&at, "")),
        (ip, Some(first)) if ip != first => {
            errs.push(Error::invalid(&at, shown_list(list), "first value must match `clusterIP`"));
        }
        _ => {}
    }
    let mut seen = BTreeSet::new();
    for (i, family) in families(spec).iter().enumerate() {
        let path = path.child("ipFamilies").index(i);
        errs.extend(known(&path, family, &["IPv4", "IPv6"]));
        if !seen.insert(family) {
            errs.push(Error::duplicate(&path, family));
        }
    }
    if let Some(policy) = &spec.ip_family_policy {
        let policies = &["PreferDualStack", "RequireDualStack", "SingleStack"];
        errs.extend(known(&path.child("ipFamilyPolicy"), policy, policies));
    }
    errs.extend(list_errors(spec, &at));
    errs
}

fn list_errors(spec: &ServiceSpec, path: &Path) -> ErrorList {
    let list = ips(spec);
    let mut errs = ErrorList::new();
    let mut bad = false;
    for (i, address) in list.iter().enumerate() {
        if i == 0 && address == "None" {
            if list.len() > 1 {
                bad = true;
                let detail = "'None' must be the first and only value";
                errs.push(Error::invalid(path, shown_list(list), detail));
            }
            continue;
        }
        let wrong = ip(&path.index(i), address);
        bad |= !wrong.is_empty();
        errs.extend(wrong);
    }
    if list.len() > 2 {
        errs.push(Error::invalid(path, shown_list(list), "may only hold up to 2 values"));
    }
    // More would only be said about values that are wrong anyhow.
    if bad {
        return errs;
    }
    let is_v6 = |address: &String| address.contains(':');
    if list.len() > 1 && !(list.iter().any(is_v6) && list.iter().any(|a| !is_v6(a))) {
        let detail = "may specify no more than one IP for each IP family";
        errs.push(Error::invalid(path, shown_list(list), detail));
    }
    if !is_headless(spec) {
        for (i, (address, family)) in list.iter().zip(families(spec)).enumerate() {
            if is_v6(address) != (family == "IPv6") {
                let detail = format!("expected an {family} value as indicated by `ipFamilies[{i}]`");
                errs.push(Error::invalid(&path.index(i), address, detail));
            }
        }
    }
    errs
}

/// A second address or family may come and go; the first is for life, unless the service was or becomes a mere name.
pub(super) fn changes(new: &ServiceSpec, old: &ServiceSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if is_external_name(new) || is_external_name(old) {
        return errs;
    }
    let (was, is) = (is_headless(old), is_headless(new));
    if !(was && is) {
        errs.extend(list_changes(ips(new), ips(old), new, "clusterIP", "clusterIPs", path));
    }
    if !was && !is {
        errs.extend(list_changes(families(new), families(old), new, "ipFamily", "ipFamilies", path));
    }
    errs
}

fn list_changes(
    new: &[String],
    old: &[String],
    spec: &ServiceSpec,
    one: &str,
    field: &str,
    path: &Path,
) -> ErrorList {
    const FIXED: &str = "may not change once set";
    let mut errs = ErrorList::new();
    let at = path.child(field);
    if new.len() == old.len() {
        for (i, _) in old.iter().enumerate().filter(|(i, value)| new[*i] != **value) {
            // Of families upstream names the first, whichever it is.
            let index = if field == "ipFamilies" { 0 } else { i };
            errs.push(Error::invalid(&at.index(index), shown_list(new), FIXED));
        }
        return errs;
    }
    if new.is_empty() {
        let detail = format!("primary {one} can not be unset");
        errs.push(Error::invalid(&at.index(0), shown_list(new), detail));
    } else if old.first().is_some_and(|first| *first != new[0]) {
        errs.push(Error::invalid(&at.index(0), shown_list(new), FIXED));
    }
    if old.len() > new.len() && new.len() == 1 && spec.ip_family_policy.as_deref() != Some("SingleStack") {
        let shown = spec.ip_family_policy.as_deref().unwrap_or("null");
        let detail = format!("must be set to 'SingleStack' when releasing the secondary {one}");
        errs.push(Error::invalid(&path.child("ipFamilyPolicy"), shown, detail));
    }
    errs
}
