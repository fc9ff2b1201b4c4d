//! What a claim asks for: requests, what holds among them, and how devices are set up.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;
use k8s_openapi::api::resource::v1::{
    DeviceClaim, DeviceConstraint, DeviceRequest, DeviceSelector, DeviceSubRequest, DeviceToleration,
    ExactDeviceRequest, OpaqueDeviceConfiguration, ResourceClaimSpec,
};

use super::rules::{self, list, nil, set};
use crate::check::{each, known, one, required};
use crate::storage::driver_name;

/// Requests, constraints, configurations, and selectors of each.
pub(super) const MAX: usize = 32;
const ALTERNATIVES_MAX: usize = 8;
const EXPRESSION_MAX: usize = 10 * 1024;
const PARAMETERS_MAX: usize = 10 * 1024;

/// What absent fields of a claim mean.
pub(super) fn fill(spec: &mut ResourceClaimSpec) {
    let requests = spec.devices.iter_mut().flat_map(|d| d.requests.iter_mut().flatten());
    for request in requests {
        if let Some(exact) = &mut request.exactly {
            mode(&mut exact.allocation_mode, &mut exact.count);
            exact.tolerations.iter_mut().flatten().for_each(operator);
        }
        for sub in request.first_available.iter_mut().flatten() {
            mode(&mut sub.allocation_mode, &mut sub.count);
            sub.tolerations.iter_mut().flatten().for_each(operator);
        }
    }
}

fn mode(mode: &mut Option<String>, count: &mut Option<i64>) {
    crate::fill::text(mode, "ExactCount");
    if mode.as_deref() == Some("ExactCount") && count.unwrap_or(0) == 0 {
        *count = Some(1);
    }
}

fn operator(toleration: &mut DeviceToleration) {
    crate::fill::text(&mut toleration.operator, "Equal");
}

/// A request's name, and those of its alternatives.
pub(super) struct Names(BTreeMap<String, BTreeSet<String>>);

impl Names {
    pub fn of(claim: Option<&DeviceClaim>) -> Names {
        let requests = claim.iter().flat_map(|c| c.requests.iter().flatten());
        let named = requests.map(|r| {
            let subs = r.first_available.iter().flatten().map(|s| s.name.clone()).collect();
            (r.name.clone(), subs)
        });
        Names(named.collect())
    }

    fn has(&self, name: &str) -> bool {
        match name.split_once('/') {
            None => self.0.contains_key(name),
            Some((request, sub)) => self.0.get(request).is_some_and(|subs| subs.contains(sub)),
        }
    }

    /// A reference to one of them.
    pub fn reference(&self, name: &str, path: &Path) -> ErrorList {
        const DETAIL: &str = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
        let parts: Vec<_> = name.split('/').collect();
        if parts.len() > 2 {
            return one(true, || Error::invalid(path, name, DETAIL));
        }
        let mut errs = ErrorList::new();
        for part in parts {
            errs.extend(rules::label(part, path));
        }
        if !self.has(name) {
            errs.push(Error::invalid(path, name, DETAIL));
        }
        errs
    }

    pub fn references(&self, names: Option<&Vec<String>>, path: &Path) -> ErrorList {
        let none = Vec::new();
        let names = names.unwrap_or(&none);
        set(names, MAX, path, |name, path| self.reference(name, path), Clone::clone)
    }
}

pub(super) fn spec(spec: Option<&ResourceClaimSpec>, path: &Path) -> ErrorList {
    let path = path.child("devices");
    let Some(claim) = spec.and_then(|s| s.devices.as_ref()) else { return ErrorList::new() };
    let names = Names::of(Some(claim));
    let requests = claim.requests.as_deref().unwrap_or_default();
    let mut errs = set(requests, MAX, &path.child("requests"), request, |r| r.name.clone());
    let constraints = claim.constraints.as_deref().unwrap_or_default();
    let rule = |c: &DeviceConstraint, path: &Path| constraint(c, &names, path);
    errs.extend(list(constraints, MAX, &path.child("constraints"), rule));
    let configs = claim.config.as_deref().unwrap_or_default();
    errs.extend(list(configs, MAX, &path.child("config"), |config, path| {
        let mut errs = names.references(config.requests.as_ref(), &path.child("requests"));
        errs.extend(opaque(config.opaque.as_ref(), path, false));
        errs
    }));
    errs
}

fn request(request: &DeviceRequest, path: &Path) -> ErrorList {
    let mut errs = rules::label(&request.name, &path.child("name"));
    let alternatives = request.first_available.as_deref().unwrap_or_default();
    match (&request.exactly, alternatives) {
        (None, []) => {
            errs.push(Error::required(path, "exactly one of `exactly` or `firstAvailable` is required"));
        }
        (Some(exact), []) => errs.extend(exactly(exact, &path.child("exactly"))),
        (None, subs) => {
            let path = path.child("firstAvailable");
            errs.extend(set(subs, ALTERNATIVES_MAX, &path, alternative, |s| s.name.clone()));
        }
        (Some(_), _) => {
            let detail =
                "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set";
            errs.push(Error::invalid(path, nil(), detail));
        }
    }
    errs
}

fn exactly(request: &ExactDeviceRequest, path: &Path) -> ErrorList {
    let mut errs = class(&request.device_class_name, &path.child("deviceClassName"));
    errs.extend(selectors(request.selectors.as_deref(), &path.child("selectors")));
    errs.extend(allocation(request.allocation_mode.as_deref(), request.count, path));
    errs.extend(tolerations(request.tolerations.as_deref(), path));
    errs
}

fn alternative(request: &DeviceSubRequest, path: &Path) -> ErrorList {
    let mut errs = rules::label(&request.name, &path.child("name"));
    errs.extend(class(&request.device_class_name, &path.child("deviceClassName")));
    errs.extend(selectors(request.selectors.as_deref(), &path.child("selectors")));
    errs.extend(allocation(request.allocation_mode.as_deref(), request.count, path));
    errs.extend(tolerations(request.tolerations.as_deref(), path));
    errs
}

fn class(name: &str, path: &Path) -> ErrorList {
    match name.is_empty() {
        true => required(path, name),
        false => each(path, name, names::dns1123_subdomain(name)),
    }
}

pub(super) fn selectors(selectors: Option<&[DeviceSelector]>, path: &Path) -> ErrorList {
    list(selectors.unwrap_or_default(), MAX, path, |selector, path| {
        let path = path.child("cel");
        match &selector.cel {
            None => required(&path, ""),
            Some(cel) if cel.expression.is_empty() => required(&path.child("expression"), ""),
            Some(cel) => one(cel.expression.len() > EXPRESSION_MAX, || {
                Error::too_long(&path.child("expression"), EXPRESSION_MAX)
            }),
        }
    })
}

fn allocation(mode: Option<&str>, count: Option<i64>, path: &Path) -> ErrorList {
    let (at, count) = (path.child("count"), count.unwrap_or(0));
    match mode.unwrap_or_default() {
        "All" => one(count != 0, || {
            Error::invalid(&at, count, "must not be specified when allocationMode is 'All'")
        }),
        "ExactCount" => one(count <= 0, || Error::invalid(&at, count, "must be greater than zero")),
        other => known(&path.child("allocationMode"), other, &["All", "ExactCount"]),
    }
}

fn tolerations(tolerations: Option<&[DeviceToleration]>, path: &Path) -> ErrorList {
    let path = path.child("tolerations");
    list(tolerations.unwrap_or_default(), usize::MAX, &path, rules::toleration)
}

fn constraint(constraint: &DeviceConstraint, names: &Names, path: &Path) -> ErrorList {
    let mut errs = names.references(constraint.requests.as_ref(), &path.child("requests"));
    match (&constraint.match_attribute, &constraint.distinct_attribute) {
        (Some(name), _) => errs.extend(rules::fully_qualified(name, &path.child("matchAttribute"))),
        (None, Some(name)) => errs.extend(rules::fully_qualified(name, &path.child("distinctAttribute"))),
        (None, None) => {
            let detail = "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple \
                          fields are set";
            errs.push(Error::required(path, detail));
        }
    }
    errs
}

/// The only kind of configuration there is.
pub(super) fn opaque(config: Option<&OpaqueDeviceConfiguration>, path: &Path, stored: bool) -> ErrorList {
    let path = path.child("opaque");
    let Some(config) = config else { return required(&path, "") };
    let mut errs = driver_name(&config.driver, &path.child("driver"));
    errs.extend(rules::parameters(&config.parameters, &path.child("parameters"), PARAMETERS_MAX, stored));
    errs
}
