//! What a range says about a pod or claim, in upstream's words.

use apimachinery::Quantity;
use k8s_openapi::api::core::v1::{Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod};
use resources::core::pod::requests::{pod_limits, pod_requests};
use resources::prelude::*;
use resources::quantity::{Amounts, ResourceList};

/// What is wrong with a pod.
pub(super) fn pod(pod: &Pod, range: &LimitRange) -> Vec<String> {
    let mut faults = Vec::new();
    let spec = pod.pod_spec();
    for item in items(range) {
        match &*item.type_ {
            "Container" => {
                let containers: Vec<&Container> =
                    spec.containers.iter().chain(spec.init_containers.iter().flatten()).collect();
                for container in containers {
                    faults.extend(bounded(item, &container.requests(), &container.limits()));
                }
            }
            "Pod" => {
                // The overhead is the cluster's, not the pod's.
                let mut own = spec.clone();
                own.overhead = None;
                faults.extend(bounded(item, &pod_requests(&own), &pod_limits(&own)));
            }
            _ => {}
        }
    }
    faults
}

/// What is wrong with a claim.
pub(super) fn claim(claim: &PersistentVolumeClaim, range: &LimitRange) -> Vec<String> {
    let mut faults = Vec::new();
    let size = claim.requested();
    for item in items(range).filter(|i| i.type_ == "PersistentVolumeClaim") {
        let kind = &item.type_;
        let storage = |list: &Option<ResourceList>| list.as_ref()?.get("storage").map(|q| q.amount());
        if let Some(min) = storage(&item.min).filter(|min| size < *min) {
            faults.push(format!("minimum storage usage per {kind} is {min}, but request is {size}"));
        }
        if let Some(max) = storage(&item.max).filter(|max| size > *max) {
            faults.push(format!("maximum storage usage per {kind} is {max}, but request is {size}"));
        }
    }
    faults
}

fn items(range: &LimitRange) -> impl Iterator<Item = &LimitRangeItem> {
    range.spec.iter().flat_map(|s| &s.limits)
}

fn bounded(item: &LimitRangeItem, requests: &Amounts, limits: &Amounts) -> Vec<String> {
    let kind = &*item.type_;
    let mut faults = Vec::new();
    for (resource, min) in Amounts::of(item.min.as_ref()).0 {
        let (request, limit) = (requests.0.get(&resource), limits.0.get(&resource));
        faults.extend(minimum(&resource, kind, min, request, limit));
    }
    for (resource, max) in Amounts::of(item.max.as_ref()).0 {
        let (request, limit) = (requests.0.get(&resource), limits.0.get(&resource));
        faults.extend(maximum(&resource, kind, max, request, limit));
    }
    for (resource, most) in Amounts::of(item.max_limit_request_ratio.as_ref()).0 {
        let (request, limit) = (requests.0.get(&resource), limits.0.get(&resource));
        faults.extend(ratio(&resource, kind, most, request, limit));
    }
    faults
}

type Amount<'a> = Option<&'a Quantity>;

fn minimum(
    resource: &str,
    kind: &str,
    min: Quantity,
    request: Amount<'_>,
    limit: Amount<'_>,
) -> Option<String> {
    let rule = format!("minimum {resource} usage per {kind} is {min}");
    match (request, limit) {
        (None, _) => Some(format!("{rule}.  No request is specified")),
        (Some(request), _) if *request < min => Some(format!("{rule}, but request is {request}")),
        (_, Some(limit)) if *limit < min => Some(format!("{rule}, but limit is {limit}")),
        _ => None,
    }
}

fn maximum(
    resource: &str,
    kind: &str,
    max: Quantity,
    request: Amount<'_>,
    limit: Amount<'_>,
) -> Option<String> {
    let rule = format!("maximum {resource} usage per {kind} is {max}");
    match (limit, request) {
        (None, _) => Some(format!("{rule}.  No limit is specified")),
        (Some(limit), _) if *limit > max => Some(format!("{rule}, but limit is {limit}")),
        (_, Some(request)) if *request > max => Some(format!("{rule}, but request is {request}")),
        _ => None,
    }
}

fn ratio(
    resource: &str,
    kind: &str,
    most: Quantity,
    request: Amount<'_>,
    limit: Amount<'_>,
) -> Option<String> {
    let rule = format!("{resource} max limit to request ratio per {kind} is {most}");
    let given = |amount: Amount<'_>| amount.copied().filter(|q| !q.is_zero());
    let Some(request) = given(request) else {
        return Some(format!("{rule}, but no request is specified or request is 0"));
    };
    let Some(limit) = given(limit) else {
        return Some(format!("{rule}, but no limit is specified or limit is 0"));
    };
    let observed = limit.approximate() / request.approximate();
    (observed > most.approximate()).then(|| format!("{rule}, but provided ratio is {observed:.6}"))
}
