//! Limit ranges: what a namespace's pods, containers and claims may ask for, and what they get when they ask for nothing.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::Quantity;
use apimachinery::field::{Error, ErrorList, Path};
use codec::Kind;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem};
use serde_json::{Value, json};

use crate::check::{each, one};
use crate::columns::{NAME, text};
use crate::core::pod::validation::resources::{container_resource, may_overcommit, resource_name};
use crate::quantity::{QuantityExt, ResourceList, canonicalize};
use crate::strategy::{Column, Part};

#[cfg(test)]
mod tests;

/// The rules of limit ranges.
pub struct Strategy;

impl crate::Strategy for Strategy {
    type Kind = LimitRange;

    fn default(&self, range: &mut LimitRange) {
        for item in range.spec.iter_mut().flat_map(|s| &mut s.limits) {
            for list in [
                &mut item.max,
                &mut item.min,
                &mut item.default,
                &mut item.default_request,
                &mut item.max_limit_request_ratio,
            ] {
                canonicalize(list.as_mut());
            }
            if item.type_ == "Container" {
                fill_container(item);
            }
        }
    }

    fn validate(&self, range: &LimitRange) -> ErrorList {
        let path = Path::new("spec").child("limits");
        let mut errs = ErrorList::new();
        let mut seen = BTreeSet::new();
        for (i, item) in range.spec.iter().flat_map(|s| &s.limits).enumerate() {
            errs.extend(item_errors(item, &mut seen, &path.index(i)));
        }
        errs
    }

    fn validate_update(&self, new: &LimitRange, _: &LimitRange, _: Part) -> ErrorList {
        self.validate(new)
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: &[Column] = &[NAME, text("Created At", "When the range was made.")];
        COLUMNS
    }

    fn row(&self, range: &LimitRange, _: Timestamp) -> Vec<Value> {
        let created = range.metadata.creation_timestamp.as_ref().map(|t| t.0.to_string());
        vec![json!(range.name()), json!(created.unwrap_or_else(|| "<unknown>".into()))]
    }
}

/// The limit is the maximum, the request the limit, unless they are given.
fn fill_container(item: &mut LimitRangeItem) {
    let mut default = item.default.take().unwrap_or_default();
    let mut request = item.default_request.take().unwrap_or_default();
    let fill = |into: &mut ResourceList, from: &ResourceList| {
        for (resource, amount) in from {
            into.entry(resource.clone()).or_insert_with(|| amount.clone());
        }
    };
    fill(&mut default, item.max.as_ref().unwrap_or(&BTreeMap::new()));
    fill(&mut request, &default);
    fill(&mut request, item.min.as_ref().unwrap_or(&BTreeMap::new()));
    item.default = (!default.is_empty()).then_some(default);
    item.default_request = (!request.is_empty()).then_some(request);
}

fn item_errors<'a>(item: &'a LimitRangeItem, seen: &mut BTreeSet<&'a str>, path: &Path) -> ErrorList {
    let kind = &*item.type_;
    let at = path.child("type");
    let mut errs = each(&at, kind, apimachinery::names::qualified_name(kind));
    let standard = matches!(kind, "Pod" | "Container" | "PersistentVolumeClaim");
    if errs.is_empty() && !kind.contains('/') && !standard {
        errs.push(Error::invalid(&at, kind, "must be a standard limit type or fully qualified"));
    }
    if !seen.insert(kind) {
        errs.push(Error::duplicate(&at, kind));
    }
    let lists = [
        ("max", &item.max),
        ("min", &item.min),
        ("default", &item.default),
        ("defaultRequest", &item.default_request),
        ("maxLimitRequestRatio", &item.max_limit_request_ratio),
    ];
    let mut resources = BTreeSet::new();
    for (field, list) in lists {
        let default = field.starts_with("default");
        if kind == "Pod" && default {
            if list.as_ref().is_some_and(|l| !l.is_empty()) {
                let why = "may not be specified when `type` is 'Pod'";
                errs.push(Error::forbidden(&path.child(field), why));
            }
            continue;
        }
        for resource in list.iter().flatten().map(|(name, _)| name) {
            let at = path.child(field).key(resource);
            errs.extend(match kind {
                "Pod" | "Container" => container_resource(resource, &at),
                _ => resource_name(resource, &at),
            });
            resources.insert(resource.as_str());
        }
    }
    let bound = |list: &Option<ResourceList>| list.as_ref().is_some_and(|l| l.contains_key("storage"));
    if kind == "PersistentVolumeClaim" && !bound(&item.min) && !bound(&item.max) {
        let why = "either minimum or maximum storage value is required, but neither was provided";
        errs.push(Error::required(&path.child("limits"), why));
    }
    for resource in resources {
        errs.extend(order_errors(item, resource, path));
    }
    errs
}

/// Smallest, default and largest amount of one resource are in order.
fn order_errors(item: &LimitRangeItem, resource: &str, path: &Path) -> ErrorList {
    let get = |list: &Option<ResourceList>| list.as_ref()?.get(resource).map(QuantityExt::amount);
    let (min, max) = (get(&item.min), get(&item.max));
    let (default, request) = match &*item.type_ {
        "Pod" => (None, None),
        _ => (get(&item.default), get(&item.default_request)),
    };
    let mut errs = ErrorList::new();
    let mut rule =
        |low: Option<Quantity>, high: Option<Quantity>, field: &str, shown_high: bool, text: [&str; 2]| {
            let (Some(low), Some(high)) = (low, high) else { return };
            let shown = if shown_high { high } else { low };
            errs.extend(one(low > high, || {
                let why = format!("{} value {low} is greater than {} value {high}", text[0], text[1]);
                Error::invalid(&path.child(field).key(resource), &shown.to_string(), why)
            }));
        };
    rule(min, max, "min", false, ["min", "max"]);
    rule(min, request, "defaultRequest", true, ["min", "default request"]);
    rule(request, max, "defaultRequest", false, ["default request", "max"]);
    rule(request, default, "defaultRequest", false, ["default request", "default limit"]);
    rule(min, default, "default", false, ["min", "default"]);
    rule(default, max, "default", true, ["default", "max"]);
    if let Some(ratio) = get(&item.max_limit_request_ratio) {
        errs.extend(ratio_errors(ratio, min, max, &path.child("maxLimitRequestRatio").key(resource)));
    }
    if let (Some(default), Some(request)) = (default, request)
        && !may_overcommit(resource)
        && default != request
    {
        let why =
            format!("default value {default} must equal to defaultRequest value {request} in {resource}");
        errs.push(Error::invalid(&path.child("defaultRequest").key(resource), &request.to_string(), why));
    }
    errs
}

fn ratio_errors(ratio: Quantity, min: Option<Quantity>, max: Option<Quantity>, path: &Path) -> ErrorList {
    let shown = ratio.to_string();
    let mut errs = one(ratio < Quantity::new(1, ratio.format()), || {
        Error::invalid(path, &shown, format!("ratio {shown} is less than 1"))
    });
    if let (Some(min), Some(max)) = (min, max)
        && !min.is_zero()
    {
        let widest = max.approximate() / min.approximate();
        errs.extend(one(ratio.approximate() > widest, || {
            Error::invalid(path, &shown, format!("ratio {shown} is greater than max/min = {widest:.6}"))
        }));
    }
    errs
}
