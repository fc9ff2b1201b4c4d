//! What persistent volumes and claims have in common: access modes, volume modes, names of classes.

pub(crate) mod older;

use std::collections::BTreeSet;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;

use crate::check::{each, one, required};

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

/// What an iSCSI volume says of itself, by value: the kinds for pods and for persistent volumes differ.
pub(crate) struct Iscsi<'a> {
    pub portal: &'a str,
    pub iqn: &'a str,
    pub lun: i32,
    pub initiator: Option<&'a str>,
    /// CHAP is asked for, without a secret.
    pub lacks_secret: bool,
}

pub(crate) fn iscsi_errors(volume: &Iscsi<'_>, path: &Path) -> ErrorList {
    let mut errs = required(&path.child("targetPortal"), volume.portal);
    let iqn = path.child("iqn");
    match volume.iqn {
        "" => errs.push(Error::required(&iqn, "")),
        name => errs.extend(iscsi_name(name, &iqn)),
    }
    if !(0..=255).contains(&volume.lun) {
        errs.push(Error::invalid(&path.child("lun"), volume.lun, "must be between 0 and 255, inclusive"));
    }
    if volume.lacks_secret {
        errs.push(Error::required(&path.child("secretRef"), ""));
    }
    if let Some(name) = volume.initiator {
        errs.extend(iscsi_name(name, &path.child("initiatorname")));
    }
    errs
}

/// RFC 3720, 3.2.6.3, as far as upstream looks.
fn iscsi_name(name: &str, path: &Path) -> ErrorList {
    let right = match (name.get(..3), name.get(3..)) {
        (Some("iqn"), Some(rest)) => is_iqn(rest),
        (Some("eui"), Some(rest)) => is_of_letters(rest, 16),
        (Some("naa"), Some(rest)) => is_of_letters(rest, 32),
        _ => {
            let why = "must be valid format starting with iqn, eui, or naa";
            return [Error::invalid(path, name, why)].into_iter().collect();
        }
    };
    one(!right, || Error::invalid(path, name, "must be valid format"))
}

/// `.2016-01.com.example:disk`
fn is_iqn(rest: &str) -> bool {
    let Some((authority, own)) = rest.split_once(':') else { return false };
    let date = authority.get(..9).unwrap_or_default().as_bytes();
    let dated = date.len() == 9
        && date.iter().enumerate().all(|(i, c)| match i {
            0 | 8 => *c == b'.',
            5 => *c == b'-',
            _ => c.is_ascii_digit(),
        });
    let domain = authority.get(9..).unwrap_or_default();
    let named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    dated
        && !domain.is_empty()
        && domain.chars().all(named)
        && !own.is_empty()
        && !own.contains(|c: char| ",;*&$|".contains(c) || c.is_whitespace())
}

/// A character that separates, then so many letters and digits.
fn is_of_letters(rest: &str, count: usize) -> bool {
    let mut chars = rest.chars();
    chars.next().is_some() && chars.clone().count() == count && chars.all(|c| c.is_ascii_alphanumeric())
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
