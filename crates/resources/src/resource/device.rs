//! The devices of a slice.

use std::collections::BTreeMap;

use apimachinery::Quantity;
use apimachinery::field::{Error, ErrorList, Path, Raw};
use k8s_openapi::api::resource::v1::{
    CapacityRequestPolicy, CapacityRequestPolicyRange, Counter, CounterSet, Device, DeviceAttribute,
    DeviceCapacity, DeviceCounterConsumption, DeviceTaint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use serde_json::json;

use super::rules::{self, list, qualified, set};
use crate::check::{each, one, required};
use crate::core::pod::validation::scheduling::node_selector;
use crate::quantity::QuantityExt;

const PROPERTIES_MAX: usize = 32;
const VALUE_MAX: usize = 64;
const TAINTS_MAX: usize = 16;
const CONSUMPTIONS_MAX: usize = 2;
const COUNTERS_MAX: usize = 32;
const VALUES_MAX: usize = 10;

/// `by_device`: each device says which nodes reach it.
pub(super) fn device(device: &Device, old: Option<&Device>, by_device: bool, path: &Path) -> ErrorList {
    let mut errs = rules::label(&device.name, &path.child("name"));
    let count = device.attributes.as_ref().map_or(0, BTreeMap::len)
        + device.capacity.as_ref().map_or(0, BTreeMap::len);
    if count > PROPERTIES_MAX {
        let detail =
            format!("the total number of attributes and capacities must not exceed {PROPERTIES_MAX}");
        errs.push(Error::invalid(path, count, detail));
    }
    for (name, value) in device.attributes.iter().flatten() {
        let path = path.child("attributes").key(name);
        errs.extend(qualified(name, &path));
        errs.extend(attribute(value, &path));
    }
    let shared = device.allow_multiple_allocations == Some(true);
    for (name, value) in device.capacity.iter().flatten() {
        let path = path.child("capacity").key(name);
        errs.extend(qualified(name, &path));
        errs.extend(capacity(value, shared, &path));
    }
    if old.is_none_or(|old| old.taints != device.taints) {
        let taints = device.taints.as_deref().unwrap_or_default();
        let rule = |t: &DeviceTaint, path: &Path| rules::taint(t, None, path);
        errs.extend(list(taints, TAINTS_MAX, &path.child("taints"), rule));
    }
    let consumed = device.consumes_counters.as_deref().unwrap_or_default();
    let at = path.child("consumesCounters");
    errs.extend(set(consumed, CONSUMPTIONS_MAX, &at, consumption, |c| c.counter_set.clone()));
    errs.extend(nodes(device, by_device, path));
    let (wanted, unwanted) = (&device.binding_conditions, &device.binding_failure_conditions);
    errs.extend(rules::binding(wanted.as_ref(), unwanted.as_ref(), path));
    errs
}

fn nodes(device: &Device, by_device: bool, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let Device { node_name, node_selector: selector, all_nodes, .. } = device;
    if !by_device {
        let detail = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to \
                      true in the ResourceSlice spec";
        if node_name.is_some() || selector.is_some() || all_nodes.is_some() {
            errs.push(Error::invalid(path, rules::nil(), detail));
        }
        return errs;
    }
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when \
                       `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    let mut said = Vec::new();
    match node_name.as_deref() {
        None => {}
        Some("") => errs.push(Error::invalid(&path.child("nodeName"), "", "must not be empty")),
        Some(name) => {
            said.push("`nodeName`");
            errs.extend(node_name_errors(name, &path.child("nodeName")));
        }
    }
    if let Some(selector) = selector {
        said.push("`nodeSelector`");
        errs.extend(node_selector(selector, &path.child("nodeSelector")));
    }
    match all_nodes {
        None => {}
        Some(true) => said.push("`allNodes`"),
        Some(false) => {
            let detail = "must be either unset or set to true";
            errs.push(Error::invalid(&path.child("allNodes"), false, detail));
        }
    }
    match said.len() {
        0 => errs.push(Error::required(path, ONE)),
        1 => {}
        _ => errs.push(Error::invalid(path, &format!("{{{}}}", said.join(", ")), ONE)),
    }
    errs
}

pub(super) fn node_name_errors(name: &str, path: &Path) -> ErrorList {
    each(path, name, apimachinery::names::dns1123_subdomain(name))
}

fn attribute(value: &DeviceAttribute, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let text = |errs: &mut ErrorList, value: &str, path: &Path| {
        errs.extend(one(value.len() > VALUE_MAX, || Error::too_long(path, VALUE_MAX)));
    };
    let version = |errs: &mut ErrorList, value: &str, path: &Path| {
        if !is_semver(value) {
            let detail = "must be a string compatible with semver.org spec 2.0.0";
            errs.push(Error::invalid(path, value, detail));
        }
        text(errs, value, path);
    };
    if let Some(value) = &value.string {
        text(&mut errs, value, &path.child("string"));
    }
    if let Some(value) = &value.version {
        version(&mut errs, value, &path.child("version"));
    }
    for (i, value) in value.strings.iter().flatten().enumerate() {
        text(&mut errs, value, &path.child("strings").index(i));
    }
    for (i, value) in value.versions.iter().flatten().enumerate() {
        version(&mut errs, value, &path.child("versions").index(i));
    }
    let given = [
        value.bool.is_some(),
        value.int.is_some(),
        value.string.is_some(),
        value.version.is_some(),
        value.bools.is_some(),
        value.ints.is_some(),
        value.strings.is_some(),
        value.versions.is_some(),
    ];
    const ONE: &str = "exactly one value must be specified";
    match given.into_iter().filter(|g| *g).count() {
        0 => errs.push(Error::invalid(path, "", ONE)),
        1 => {}
        _ => errs.push(Error::invalid(path, Raw(json!(value).to_string()), ONE)),
    }
    errs
}

/// As semver.org 2.0.0 has it.
fn is_semver(text: &str) -> bool {
    let (text, build) = text.split_once('+').map_or((text, None), |(t, b)| (t, Some(b)));
    let (core, pre) = text.split_once('-').map_or((text, None), |(c, p)| (c, Some(p)));
    let number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|p| p.split('.').all(|part| word(part) && (!digits(part) || number(part))))
        && build.is_none_or(|b| b.split('.').all(word))
}

/// `shared`: the device may be given to several claims, each a part of this.
fn capacity(capacity: &DeviceCapacity, shared: bool, path: &Path) -> ErrorList {
    let mut errs = quantity(&capacity.value, &path.child("value"));
    let Some(policy) = &capacity.request_policy else { return errs };
    let path = path.child("requestPolicy");
    if !shared {
        errs.push(Error::forbidden(&path, "allowMultipleAllocations must be true"));
    } else if errs.is_empty() {
        errs.extend(request_policy(policy, capacity.value.amount(), &path));
    }
    errs
}

/// Any quantity will do.
fn quantity(value: &Text, path: &Path) -> ErrorList {
    Quantity::parse(&value.0)
        .err()
        .map(|error| Error::invalid(path, &value.0, error.to_string()))
        .into_iter()
        .collect()
}

fn request_policy(policy: &CapacityRequestPolicy, all: Quantity, path: &Path) -> ErrorList {
    let values = policy.valid_values.as_deref().unwrap_or_default();
    match (values, &policy.valid_range) {
        ([], None) => ErrorList::new(),
        ([], Some(range)) => match &policy.default {
            None => {
                one(true, || Error::required(&path.child("default"), "required when validRange is defined"))
            }
            Some(default) => valid_range(range, default, all, &path.child("validRange")),
        },
        (values, None) => match &policy.default {
            None => {
                one(true, || Error::required(&path.child("default"), "required when validValues is defined"))
            }
            Some(default) => valid_values(values, default, all, &path.child("validValues")),
        },
        _ => one(true, || {
            let detail = "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time";
            Error::forbidden(path, detail)
        }),
    }
}

fn valid_values(values: &[Text], default: &Text, all: Quantity, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (i, pair) in values.windows(2).enumerate() {
        if pair[0].amount() > pair[1].amount() {
            let detail = "values must be sorted in ascending order";
            errs.push(Error::invalid(&path.index(i + 1), &pair[1].0, detail));
        }
    }
    let rule = |value: &Text, path: &Path| {
        one(value.amount() > all, || {
            Error::invalid(path, &value.0, format!("option is larger than capacity value: {all}"))
        })
    };
    errs.extend(set(values, VALUES_MAX, path, rule, |v| v.amount().value().to_string()));
    if !values.iter().any(|v| v.amount() == default.amount()) {
        let detail = "default value is not valid according to the requestPolicy";
        errs.push(Error::invalid(path, &default.0, detail));
    }
    errs
}

fn valid_range(range: &CapacityRequestPolicyRange, default: &Text, all: Quantity, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let min = range.min.amount();
    let mut wrong = |wrong: bool, field: &str, shown: &Text, detail: String| {
        if wrong {
            errs.push(Error::invalid(&path.child(field), &shown.0, detail));
        }
    };
    wrong(min > all, "min", &range.min, format!("min is larger than capacity value: {all}"));
    wrong(default.amount() < min, "min", default, format!("default is less than min: {}", range.min.0));
    if let Some(max) = &range.max {
        let top = max.amount();
        wrong(min > top, "max", &range.min, format!("min is larger than max: {}", max.0));
        wrong(top > all, "max", max, format!("max is larger than capacity value: {all}"));
        wrong(default.amount() > top, "max", default, format!("default is more than max: {}", max.0));
    }
    if let Some(step) = &range.step {
        let added = min + step.amount();
        let detail = format!("one step {added} is larger than capacity value: {all}");
        wrong(added > all, "step", step, detail);
        let size = step.amount().value();
        for value in [Some(default), range.max.as_ref()].into_iter().flatten() {
            // A step of zero leads nowhere, and upstream would fall over it.
            let off = value.amount().value().wrapping_sub(min.value()).checked_rem(size) != Some(0);
            let detail =
                format!("value is not a multiple of a given step ({}) from ({})", step.0, range.min.0);
            wrong(off, "step", value, detail);
        }
    }
    errs
}

fn counters(counters: &BTreeMap<String, Counter>, path: &Path) -> ErrorList {
    if counters.is_empty() {
        return required(path, "");
    }
    if counters.len() > COUNTERS_MAX {
        return one(true, || Error::too_many(path, counters.len(), COUNTERS_MAX));
    }
    let mut errs = ErrorList::new();
    for (name, counter) in counters {
        let path = path.key(name);
        errs.extend(rules::label(name, &path));
        errs.extend(quantity(&counter.value, &path.child("value")));
    }
    errs
}

fn counter_name(name: &str, path: &Path) -> ErrorList {
    match name.is_empty() {
        true => required(path, name),
        false => rules::label(name, path),
    }
}

pub(super) fn counter_set(set: &CounterSet, path: &Path) -> ErrorList {
    let mut errs = counter_name(&set.name, &path.child("name"));
    errs.extend(counters(&set.counters, &path.child("counters")));
    errs
}

fn consumption(consumed: &DeviceCounterConsumption, path: &Path) -> ErrorList {
    let mut errs = counter_name(&consumed.counter_set, &path.child("counterSet"));
    errs.extend(counters(&consumed.counters, &path.child("counters")));
    errs
}
