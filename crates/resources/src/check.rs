//! Small rules that many kinds share, in upstream's words.

use apimachinery::field::{Error, ErrorList, Path, Raw, Shown};
use apimachinery::names;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

/// One `Invalid` for each message about `value`.
pub(crate) fn each(path: &Path, value: &str, messages: Vec<String>) -> ErrorList {
    messages.into_iter().map(|message| Error::invalid(path, value, message)).collect()
}

/// As [`each`], for numbers.
pub(crate) fn each_number(path: &Path, value: i64, messages: Vec<String>) -> ErrorList {
    messages.into_iter().map(|message| Error::invalid(path, value, message)).collect()
}

/// The text is not empty.
pub(crate) fn required(path: &Path, value: &str) -> ErrorList {
    one(value.is_empty(), || Error::required(path, ""))
}

/// The text is one of `supported`, which is listed as given; an empty one is missing.
pub(crate) fn one_of(path: &Path, value: &str, supported: &[&str]) -> ErrorList {
    match value {
        "" => one(true, || Error::required(path, "")),
        value => known(path, value, supported),
    }
}

/// As [`one_of`], where empty is just another unknown value.
pub(crate) fn known(path: &Path, value: &str, supported: &[&str]) -> ErrorList {
    one(!supported.contains(&value), || Error::not_supported(path, value, supported))
}

/// The number is not negative.
pub(crate) fn non_negative(path: &Path, value: impl Into<i64>) -> ErrorList {
    let value = value.into();
    each_number(path, value, names::non_negative(value))
}

/// The error, if `wrong`.
pub(crate) fn one(wrong: bool, error: impl FnOnce() -> Error) -> ErrorList {
    wrong.then(error).into_iter().collect()
}

/// A port as a number, or as the name of one.
pub(crate) fn port(path: &Path, port: &IntOrString) -> ErrorList {
    match port {
        IntOrString::Int(number) => {
            each_number(path, i64::from(*number), names::port_number(i64::from(*number)))
        }
        IntOrString::String(name) => each(path, name, names::port_name(name)),
    }
}

/// An address of either family.
pub(crate) fn ip(path: &Path, value: &str) -> ErrorList {
    each(path, value, names::ip(value))
}

/// A list of texts, shown as upstream shows it.
pub(crate) fn shown_list<S: AsRef<str>>(list: &[S]) -> Raw {
    Raw(Value::from(list.iter().map(|s| s.as_ref()).collect::<Vec<_>>()).to_string())
}

/// A path below a volume: relative, without `..`, and not beginning with it (which is kept for the volume's own use).
pub(crate) fn local_path(path: &Path, value: &str) -> ErrorList {
    let mut errs = names::local_descending_path(value, path);
    if value.starts_with("..") && value != ".." && !value.starts_with("../") {
        errs.push(Error::invalid(path, value, "must not start with '..'"));
    }
    errs
}

/// A number that is not negative, or a percentage.
pub(crate) fn int_or_percent(value: &IntOrString, path: &Path) -> ErrorList {
    let messages = match value {
        IntOrString::String(text) => names::percent(text),
        IntOrString::Int(number) => names::non_negative((*number).into()),
    };
    messages.into_iter().map(|m| Error::invalid(path, AnyShown(value), m)).collect()
}

/// A percentage is not more than the whole.
pub(crate) fn at_most_all(value: &IntOrString, path: &Path) -> ErrorList {
    let over = match value {
        IntOrString::String(text) => {
            text.strip_suffix('%').and_then(|p| p.parse::<i64>().ok()).is_some_and(|p| p > 100)
        }
        IntOrString::Int(_) => false,
    };
    one(over, || Error::invalid(path, AnyShown(value), "must not be greater than 100%"))
}

/// As Go shows an IntOrString.
pub(crate) struct AnyShown<'a>(pub &'a IntOrString);

impl Shown for AnyShown<'_> {
    fn shown(&self) -> String {
        match self.0 {
            IntOrString::Int(number) => number.to_string(),
            IntOrString::String(text) => format!("{text:?}"),
        }
    }
}
