//! What persistent volumes and claims have in common: access modes, volume modes, names of classes.

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;

use crate::check::each;

const ACCESS: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const MODES: &[&str] = &["Block", "Filesystem"];
/// The annotation that named a claim's class before the field did; it still counts first.
pub const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// Known ones, and the mode for a single pod alone.
pub(super) fn access_errors(modes: &[String], path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for mode in modes.iter().filter(|m| !ACCESS.contains(&m.as_str())) {
        errs.push(Error::not_supported(path, mode, ACCESS));
    }
    let single = modes.iter().any(|m| m == "ReadWriteOncePod");
    if single && modes.iter().any(|m| m != "ReadWriteOncePod") {
        errs.push(Error::forbidden(path, "may not use ReadWriteOncePod with other access modes"));
    }
    errs
}

pub(super) fn mode_errors(mode: Option<&str>, path: &Path) -> ErrorList {
    let wrong = mode.filter(|m| !MODES.contains(m));
    wrong.map(|m| Error::not_supported(path, m, MODES)).into_iter().collect()
}

pub(super) fn class_errors(class: Option<&str>, path: &Path) -> ErrorList {
    match class {
        Some(name) if !name.is_empty() => each(path, name, names::dns1123_subdomain(name)),
        _ => ErrorList::new(),
    }
}

/// As tables show them: `RWO,RWX`, each once, in upstream's order.
pub fn short_access(modes: Option<&Vec<String>>) -> String {
    let given: BTreeSet<&str> = modes.into_iter().flatten().map(String::as_str).collect();
    let all = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    all.iter().filter(|(mode, _)| given.contains(mode)).map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}
