//! Small rules that the kinds of this group share.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path, Raw};
use apimachinery::names;
use k8s_openapi::api::resource::v1::{DeviceTaint, DeviceToleration};
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde_json::Value;

use crate::check::{each, known, one, required, shown_list};
use crate::storage::driver_name;

const POOL_NAME_MAX: usize = 253;
const ID_MAX: usize = 32;
const BINDING_MAX: usize = 4;
const EFFECTS: &[&str] = &["NoExecute", "NoSchedule", "None"];

/// Every item by `rule`; too many are not looked at.
pub(super) fn list<T>(
    items: &[T],
    max: usize,
    path: &Path,
    mut rule: impl FnMut(&T, &Path) -> ErrorList,
) -> ErrorList {
    if items.len() > max {
        return one(true, || Error::too_many(path, items.len(), max));
    }
    let mut errs = ErrorList::new();
    for (i, item) in items.iter().enumerate() {
        errs.extend(rule(item, &path.index(i)));
    }
    errs
}

/// As [`list`], and no two with the same key.
pub(super) fn set<T>(
    items: &[T],
    max: usize,
    path: &Path,
    rule: impl FnMut(&T, &Path) -> ErrorList,
    key: impl Fn(&T) -> String,
) -> ErrorList {
    let mut errs = list(items, max, path, rule);
    if items.len() > max {
        return errs;
    }
    let mut seen = BTreeSet::new();
    for (i, item) in items.iter().enumerate() {
        let key = key(item);
        if seen.contains(&key) {
            errs.push(Error::duplicate(&path.index(i), &key));
        }
        seen.insert(key);
    }
    errs
}

/// A DNS label.
pub(super) fn label(value: &str, path: &Path) -> ErrorList {
    each(path, value, names::dns1123_label(value))
}

pub(super) fn pool_name(name: &str, path: &Path) -> ErrorList {
    if name.is_empty() {
        return required(path, name);
    }
    let mut errs = one(name.len() > POOL_NAME_MAX, || Error::too_long(path, POOL_NAME_MAX));
    for part in name.split('/') {
        errs.extend(each(path, part, names::dns1123_subdomain(part)));
    }
    errs
}

pub(super) fn uid(uid: &str, path: &Path) -> ErrorList {
    const FORM: &str = "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with \
                        lowercase hexadecimal characters";
    let dashes = [8, 13, 18, 23];
    let formed = uid.len() == 36
        && uid.bytes().enumerate().all(|(i, b)| match dashes.contains(&i) {
            true => b == b'-',
            false => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        });
    one(!formed, || Error::invalid(path, uid, FORM))
}

/// `name` or `domain/name`, the name a C identifier.
pub(super) fn qualified(name: &str, path: &Path) -> ErrorList {
    match name.split('/').collect::<Vec<_>>()[..] {
        [name] => identifier(name, path),
        [domain, name] => {
            let mut errs = match domain.is_empty() {
                true => one(true, || Error::invalid(path, "", "the domain must not be empty")),
                false => driver_name(domain, path),
            };
            errs.extend(match name.is_empty() {
                true => one(true, || Error::invalid(path, "", "the name must not be empty")),
                false => identifier(name, path),
            });
            errs
        }
        _ => ErrorList::new(),
    }
}

/// As [`qualified`], with the domain.
pub(super) fn fully_qualified(name: &str, path: &Path) -> ErrorList {
    let mut errs = qualified(name, path);
    if !name.contains('/') {
        let detail = "a fully qualified name must be a domain and a name separated by a slash";
        errs.push(Error::invalid(path, name, detail));
    }
    errs
}

fn identifier(name: &str, path: &Path) -> ErrorList {
    let mut errs = one(name.len() > ID_MAX, || Error::too_long(path, ID_MAX));
    errs.extend(each(path, name, names::c_identifier(name)));
    errs
}

/// Any JSON object up to `max` bytes. `stored`: it was there before, when it might be longer.
pub(super) fn parameters(data: &RawExtension, path: &Path, max: usize, stored: bool) -> ErrorList {
    match &data.0 {
        Value::Null => required(path, ""),
        value if !stored && value.to_string().len() > max => one(true, || Error::too_long(path, max)),
        Value::Object(_) => ErrorList::new(),
        _ => one(true, || Error::invalid(path, "<value omitted>", "must be a valid JSON object")),
    }
}

fn label_value(value: &str, path: &Path) -> ErrorList {
    each(path, value, names::label_value(value))
}

/// `old_effect`: kept, it may be one that is not known.
pub(super) fn taint(taint: &DeviceTaint, old_effect: Option<&str>, path: &Path) -> ErrorList {
    let mut errs = names::label_key(&taint.key, &path.child("key"));
    let value = taint.value.as_deref().unwrap_or_default();
    if !value.is_empty() {
        errs.extend(label_value(value, &path.child("value")));
    }
    if old_effect != Some(&taint.effect) {
        errs.extend(crate::check::one_of(&path.child("effect"), &taint.effect, EFFECTS));
    }
    errs
}

pub(super) fn toleration(toleration: &DeviceToleration, path: &Path) -> ErrorList {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (key, value) = (text(&toleration.key), text(&toleration.value));
    let mut errs = match key.is_empty() {
        true => ErrorList::new(),
        false => names::label_key(&key, &path.child("key")),
    };
    match &*text(&toleration.operator) {
        "Exists" => errs.extend(one(!value.is_empty(), || {
            Error::invalid(&path.child("value"), &value, "must be empty for operator `Exists`")
        })),
        "Equal" => errs.extend(label_value(&value, &path.child("value"))),
        other => errs.extend(crate::check::one_of(&path.child("operator"), other, &["Equal", "Exists"])),
    }
    let effect = text(&toleration.effect);
    if !effect.is_empty() {
        errs.extend(known(&path.child("effect"), &effect, EFFECTS));
    }
    errs
}

/// What has to be true, and what must not become true, before a pod is bound.
pub(super) fn binding(
    wanted: Option<&Vec<String>>,
    unwanted: Option<&Vec<String>>,
    path: &Path,
) -> ErrorList {
    let none = Vec::new();
    let (wanted, unwanted) = (wanted.unwrap_or(&none), unwanted.unwrap_or(&none));
    let (at, against) = (path.child("bindingConditions"), path.child("bindingFailureConditions"));
    let rule = |name: &String, path: &Path| names::label_key(name, path);
    let mut errs = list(wanted, BINDING_MAX, &at, rule);
    errs.extend(list(unwanted, BINDING_MAX, &against, rule));
    for (i, name) in wanted.iter().enumerate().filter(|(i, name)| wanted[..*i].contains(name)) {
        errs.push(Error::duplicate(&at.index(i), name));
    }
    for (i, name) in unwanted.iter().enumerate() {
        if unwanted[..i].contains(name) {
            errs.push(Error::duplicate(&against.index(i), name));
        }
        if wanted.contains(name) {
            let detail = "bindingFailureConditions must not overlap with bindingConditions";
            errs.push(Error::invalid(&against.index(i), name, detail));
        }
    }
    let (none, some) = (wanted.is_empty(), !unwanted.is_empty());
    if none && some {
        let detail = "bindingConditions are required to use bindingFailureConditions";
        errs.push(Error::invalid(&at, shown_list(wanted), detail));
    }
    if !none && !some {
        let detail = "bindingFailureConditions are required to use bindingConditions";
        errs.push(Error::invalid(&against, shown_list(unwanted), detail));
    }
    errs
}

/// Where upstream shows nothing.
pub(super) fn nil() -> Raw {
    Raw("null".into())
}
