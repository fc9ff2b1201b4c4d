//! Rules for requests and limits.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::{Quantity, names};
use k8s_openapi::api::core::v1::{PodResourceClaim, PodSpec, ResourceClaim, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use super::Context;
use crate::check::{each, one};
use crate::core::pod::requests::{container_requests, is_pod_level};
use crate::quantity::{Amounts, QuantityExt};

/// An amount of `resource`: a quantity, not negative, and whole where halves make no sense.
pub fn quantity_errors(resource: &str, amount: &Text, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let quantity = match Quantity::parse(&amount.0) {
        Ok(quantity) => quantity,
        Err(error) => {
            errs.push(Error::invalid(path, &amount.0, error.to_string()));
            return errs;
        }
    };
    if quantity.signum() < 0 {
        errs.push(Error::invalid(path, &quantity.to_string(), "must be greater than or equal to 0"));
    }
    if is_whole(resource) && quantity.milli_value() % 1000 != 0 {
        errs.push(Error::invalid(path, &quantity.to_string(), "must be an integer"));
    }
    errs
}

/// Resources that are counted, not measured.
fn is_whole(resource: &str) -> bool {
    const COUNTED: &[&str] = &[
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    ];
    COUNTED.contains(&resource) || is_extended(resource)
}

/// Kubernetes' own: without a domain, or with one of its domains.
fn is_native(resource: &str) -> bool {
    !resource.contains('/') || resource.contains("kubernetes.io/")
}

/// A resource that a device plugin or an administrator has made up, such as `example.com/gpu`.
pub fn is_extended(resource: &str) -> bool {
    let in_quota = format!("requests.{resource}");
    !is_native(resource) && !resource.starts_with("requests.") && names::qualified_name(&in_quota).is_empty()
}

fn is_huge(resource: &str) -> bool {
    resource.starts_with("hugepages-")
}

/// Whether a node may promise more of it than it has.
pub(crate) fn may_overcommit(resource: &str) -> bool {
    is_native(resource) && !is_huge(resource)
}

/// Requests and limits of a container.
pub(super) fn container(
    requirements: &ResourceRequirements,
    context: &Context<'_>,
    path: &Path,
) -> ErrorList {
    requirements_errors(requirements, container_resource, context, path)
}

type NameRule = fn(&str, &Path) -> ErrorList;

fn requirements_errors(
    requirements: &ResourceRequirements,
    name_rule: NameRule,
    context: &Context<'_>,
    path: &Path,
) -> ErrorList {
    let mut errs = ErrorList::new();
    let (limits, requests) = (path.child("limits"), path.child("requests"));
    let mut names = BTreeSet::new();
    for (resource, amount) in requirements.limits.iter().flatten() {
        names.insert(resource.as_str());
        errs.extend(one_amount(resource, amount, name_rule, &limits.key(resource)));
    }
    for (resource, amount) in requirements.requests.iter().flatten() {
        names.insert(resource.as_str());
        errs.extend(one_amount(resource, amount, name_rule, &requests.key(resource)));
        let limit = requirements.limits.as_ref().and_then(|l| l.get(resource));
        errs.extend(request_within_limit(resource, amount, limit, &requests, &limits));
    }
    let has = |wanted: fn(&str) -> bool| names.iter().any(|n| wanted(n));
    if has(is_huge) && !has(|n| matches!(n, "cpu" | "memory")) {
        errs.push(Error::forbidden(path, "HugePages require cpu or memory"));
    }
    let claims = requirements.claims.as_deref().unwrap_or_default();
    errs.extend(claim_names(claims, &context.claims, &path.child("claims")));
    errs
}

fn one_amount(resource: &str, amount: &Text, name_rule: NameRule, path: &Path) -> ErrorList {
    let mut errs = name_rule(resource, path);
    errs.extend(quantity_errors(resource, amount, path));
    if let Some(size) = resource.strip_prefix("hugepages-") {
        let page = Quantity::parse(size).map_or(0, |p| p.value());
        let whole = page > 0 && amount.amount().value() % page == 0;
        if !whole {
            let detail = format!("{} is not positive integer multiple of {resource}", amount.0);
            errs.push(Error::invalid(path, &amount.0, detail));
        }
    }
    errs
}

fn request_within_limit(
    resource: &str,
    request: &Text,
    limit: Option<&Text>,
    requests: &Path,
    limits: &Path,
) -> ErrorList {
    let Some(limit) = limit else {
        return one(!may_overcommit(resource), || {
            Error::required(limits, "Limit must be set for non overcommitable resources")
        });
    };
    let what = match request.amount().cmp(&limit.amount()) {
        std::cmp::Ordering::Equal => return ErrorList::new(),
        _ if !may_overcommit(resource) => "must be equal to",
        std::cmp::Ordering::Less => return ErrorList::new(),
        std::cmp::Ordering::Greater => "must be less than or equal to",
    };
    let detail = format!("{what} {resource} limit of {}", limit.0);
    one(true, || Error::invalid(requests, &request.0, detail))
}

/// A resource's name: one of the standard ones, or with a domain.
pub(crate) fn resource_name(resource: &str, path: &Path) -> ErrorList {
    const OTHERS: &[&str] = &[
        "requests.cpu",
        "requests.memory",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "storage",
        "requests.storage",
        "services.nodeports",
        "services.loadbalancers",
    ];
    let errs = each(path, resource, names::qualified_name(resource));
    if !errs.is_empty() || resource.contains('/') {
        return errs;
    }
    let standard = is_standard_container(resource)
        || OTHERS.contains(&resource)
        || resource.starts_with("requests.hugepages-");
    one(!standard, || Error::invalid(path, resource, "must be a standard resource type or fully qualified"))
}

fn is_standard_container(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory" | "ephemeral-storage") || is_huge(resource)
}

pub(crate) fn container_resource(resource: &str, path: &Path) -> ErrorList {
    let mut errs = resource_name(resource, path);
    if !resource.contains('/') {
        if !is_standard_container(resource) {
            errs.push(Error::invalid(path, resource, "must be a standard resource for containers"));
        }
    } else if !is_native(resource) && !is_extended(resource) {
        errs.push(Error::invalid(path, resource, "doesn't follow extended resource name standard"));
    }
    errs
}

fn pod_resource(resource: &str, path: &Path) -> ErrorList {
    let errs = resource_name(resource, path);
    if !errs.is_empty() {
        return errs;
    }
    one(!is_pod_level(resource), || Error::not_supported(path, resource, &["cpu", "hugepages-", "memory"]))
}

/// `spec.resources`: enough for all containers together, and no container above it.
pub(super) fn pod_level(spec: &PodSpec, context: &Context<'_>, path: &Path) -> ErrorList {
    let Some(own) = &spec.resources else { return ErrorList::new() };
    let mut errs = ErrorList::new();
    if own.claims.is_some() {
        errs.push(Error::forbidden(&path.child("claims"), "claims cannot be set for Resources at pod-level"));
    }
    errs.extend(requirements_errors(own, pod_resource, context, path));
    let requests = Amounts::of(own.requests.as_ref());
    for (resource, needed) in container_requests(spec).0 {
        let given = requests.get(&resource);
        if is_pod_level(&resource) && needed > given {
            let detail = format!("must be greater than or equal to aggregate container requests of {needed}");
            errs.push(Error::invalid(&path.child("requests").key(&resource), &given.to_string(), detail));
        }
    }
    for (i, container) in spec.containers.iter().enumerate() {
        let limits = container.resources.as_ref().and_then(|r| r.limits.as_ref());
        for (resource, limit) in limits.into_iter().flatten() {
            let Some(pod) = own.limits.as_ref().and_then(|l| l.get(resource)) else { continue };
            if limit.amount() > pod.amount() {
                let path = path.child("containers").index(i).key(resource).child("limits");
                let detail = format!("must be less than or equal to pod limits of {}", pod.0);
                errs.push(Error::invalid(&path, &limit.0, detail));
            }
        }
    }
    errs
}

/// `claims` of a container name claims of its pod.
fn claim_names(claims: &[ResourceClaim], known: &BTreeSet<&str>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (i, claim) in claims.iter().enumerate() {
        let path = path.index(i);
        let request = claim.request.as_deref().unwrap_or_default();
        if claim.name.is_empty() {
            errs.push(Error::required(&path, ""));
            continue;
        }
        if !request.is_empty() {
            errs.extend(each(&path.child("request"), request, names::dns1123_label(request)));
        }
        let overlaps = seen
            .iter()
            .any(|(name, r)| *name == claim.name && (r.is_empty() || request.is_empty() || *r == request));
        if overlaps {
            errs.push(Error::duplicate(&path, &claim.name));
        }
        seen.insert((&claim.name, request));
        if !known.contains(&*claim.name) {
            let mut error = Error::not_found(&path, &claim.name);
            let list: Vec<&str> = known.iter().copied().collect();
            error.detail = match &list[..] {
                [] => "must be one of the names in pod.spec.resourceClaims which is empty".into(),
                list => format!("must be one of the names in pod.spec.resourceClaims: {}", list.join(", ")),
            };
            errs.push(error);
        }
    }
    errs
}

/// `spec.resourceClaims`
pub(super) fn pod_claims(spec: &PodSpec, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut seen = BTreeSet::new();
    for (i, claim) in spec.resource_claims.iter().flatten().enumerate() {
        let path = path.index(i);
        match &*claim.name {
            "" => errs.push(Error::required(&path.child("name"), "")),
            name if !seen.insert(name) => errs.push(Error::duplicate(&path.child("name"), name)),
            name => errs.extend(each(&path.child("name"), name, names::dns1123_label(name))),
        }
        errs.extend(claim_source(claim, &path));
    }
    errs
}

fn claim_source(claim: &PodResourceClaim, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let sources = [
        ("resourceClaimName", &claim.resource_claim_name),
        ("resourceClaimTemplateName", &claim.resource_claim_template_name),
    ];
    let shown = || {
        let mut fields = serde_json::json!({"name": claim.name});
        for (field, value) in sources.iter().filter_map(|(f, v)| Some((f, v.as_ref()?))) {
            fields[*field] = value.as_str().into();
        }
        Raw(fields.to_string())
    };
    match sources.iter().filter(|(_, v)| v.is_some()).count() {
        0 => errs.push(Error::invalid(
            path,
            shown(),
            "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
        )),
        1 => {}
        _ => errs.push(Error::invalid(
            path,
            shown(),
            "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
        )),
    }
    for (field, name) in sources.iter().filter_map(|(f, v)| Some((f, v.as_ref()?))) {
        errs.extend(each(&path.child(field), name, names::dns1123_subdomain(name)));
    }
    errs
}
