//! What names, labels, ports and the like may look like. Each check returns upstream's messages, none when all is well.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::field::{Error, ErrorList, Path};

#[cfg(test)]
mod tests;

pub const DNS1123_LABEL_MAX: usize = 63;
pub const DNS1123_SUBDOMAIN_MAX: usize = 253;
pub const LABEL_VALUE_MAX: usize = 63;
/// Keys and values of all annotations of an object together, in bytes.
pub const ANNOTATIONS_MAX: usize = 256 * 1024;

const LABEL_FMT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_FMT: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const QUALIFIED_FMT: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

/// A name of at most 63 lower-case letters, digits and dashes.
pub fn dns1123_label(value: &str) -> Vec<String> {
    let mut errs = max_len(value, DNS1123_LABEL_MAX);
    if !is_label(value) {
        // Nothing but the dots can be wrong with a short valid subdomain.
        if is_subdomain(value) {
            errs.push("must not contain dots".into());
        } else {
            errs.push(regex_error(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                 start and end with an alphanumeric character",
                LABEL_FMT,
                &["my-name", "123-abc"],
            ));
        }
    }
    errs
}

/// Labels joined by dots, at most 253 bytes.
pub fn dns1123_subdomain(value: &str) -> Vec<String> {
    let mut errs = max_len(value, DNS1123_SUBDOMAIN_MAX);
    if !is_subdomain(value) {
        errs.push(regex_error(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character",
            SUBDOMAIN_FMT,
            &["example.com"],
        ));
    }
    errs
}

/// As [`dns1123_label`], but starting with a letter: names of services.
pub fn dns1035_label(value: &str) -> Vec<String> {
    let mut errs = max_len(value, DNS1123_LABEL_MAX);
    if !(is_label(value) && value.starts_with(|c: char| c.is_ascii_lowercase())) {
        errs.push(regex_error(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
             character, and end with an alphanumeric character",
            "[a-z]([-a-z0-9]*[a-z0-9])?",
            &["my-name", "abc-123"],
        ));
    }
    errs
}

/// `*.` and a subdomain: hosts of ingresses.
pub fn wildcard_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut errs = max_len(value, DNS1123_SUBDOMAIN_MAX);
    if !value.strip_prefix("*.").is_some_and(is_subdomain) {
        errs.push(regex_error(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist \
             of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
            &format!(r"\*\.{SUBDOMAIN_FMT}"),
            &["*.example.com"],
        ));
    }
    errs
}

/// A label's or annotation's key, a resource's name: a name with an optional domain before a slash.
pub fn qualified_name(value: &str) -> Vec<String> {
    const WHAT: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                        alphanumeric character";
    const EXAMPLES: &[&str] = &["MyName", "my.name", "123-abc"];
    let mut errs = Vec::new();
    let (prefix, name) = match value.split('/').collect::<Vec<_>>()[..] {
        [name] => (None, name),
        [prefix, name] => (Some(prefix), name),
        _ => {
            let regex = regex_error(WHAT, QUALIFIED_FMT, EXAMPLES);
            return vec![format!(
                "a qualified name {regex} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    match prefix {
        Some("") => errs.push(format!("prefix part {}", empty_error())),
        Some(prefix) => errs.extend(dns1123_subdomain(prefix).iter().map(|e| format!("prefix part {e}"))),
        None => {}
    }
    match name.len() {
        0 => errs.push(format!("name part {}", empty_error())),
        n if n > LABEL_VALUE_MAX => errs.push(format!("name part {}", max_len_error(LABEL_VALUE_MAX))),
        _ => {}
    }
    if !is_qualified(name) {
        errs.push(format!("name part {}", regex_error(WHAT, QUALIFIED_FMT, EXAMPLES)));
    }
    errs
}

/// A label's value: empty, or at most 63 bytes.
pub fn label_value(value: &str) -> Vec<String> {
    let mut errs = max_len(value, LABEL_VALUE_MAX);
    if !value.is_empty() && !is_qualified(value) {
        errs.push(regex_error(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character",
            &format!("({QUALIFIED_FMT})?"),
            &["MyValue", "my_value", "12345"],
        ));
    }
    errs
}

/// A name that can stand as one segment of a URL's path: names of roles and bindings.
pub fn path_segment(value: &str) -> Vec<String> {
    if value == "." || value == ".." {
        return vec![format!("may not be '{value}'")];
    }
    ["/", "%"].iter().filter(|c| value.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

/// As [`path_segment`], for the start of a name.
pub fn path_segment_prefix(value: &str) -> Vec<String> {
    ["/", "%"].iter().filter(|c| value.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

/// A C identifier.
pub fn c_identifier(value: &str) -> Vec<String> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let ok = value.bytes().all(word) && value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if ok {
        return Vec::new();
    }
    vec![regex_error(
        "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric \
         characters or '_'",
        "[A-Za-z_][A-Za-z0-9_]*",
        &["my_name", "MY_NAME", "MyName"],
    )]
}

/// An environment variable's name: printable ASCII but `=`.
pub fn env_var_name(value: &str) -> Vec<String> {
    if value.is_empty() {
        return vec![format!("environment variable name {}", empty_error())];
    }
    match value.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=') {
        true => Vec::new(),
        false => vec![
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
                .into(),
        ],
    }
}

/// A key in a config map or secret.
pub fn config_key(value: &str) -> Vec<String> {
    let mut errs = max_len(value, DNS1123_SUBDOMAIN_MAX);
    let key = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if value.is_empty() || !value.bytes().all(key) {
        errs.push(regex_error(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match value {
        "." => errs.push("must not be '.'".into()),
        ".." => errs.push("must not be '..'".into()),
        v if v.starts_with("..") => errs.push("must not start with '..'".into()),
        _ => {}
    }
    errs
}

/// The name of a port (IANA_SVC_NAME).
pub fn port_name(value: &str) -> Vec<String> {
    let mut errs = max_len(value, 15);
    let charset = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if value.is_empty() || !value.bytes().all(charset) {
        errs.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".into());
    }
    if !value.bytes().any(|b| b.is_ascii_lowercase()) {
        errs.push("must contain at least one letter (a-z)".into());
    }
    if value.contains("--") {
        errs.push("must not contain consecutive hyphens".into());
    }
    if value.starts_with('-') || value.ends_with('-') {
        errs.push("must not begin or end with a hyphen".into());
    }
    errs
}

/// A port's number.
pub fn port_number(value: i64) -> Vec<String> {
    in_range(value, 1, 65535)
}

/// A number of a user or group.
pub fn user_id(value: i64) -> Vec<String> {
    in_range(value, 0, i64::from(i32::MAX))
}

/// A number from `low` to `high`.
pub fn in_range(value: i64, low: i64, high: i64) -> Vec<String> {
    match (low..=high).contains(&value) {
        true => Vec::new(),
        false => vec![format!("must be between {low} and {high}, inclusive")],
    }
}

/// A number that is not negative: the message `must be greater than or equal to 0`.
pub fn non_negative(value: i64) -> Vec<String> {
    if value >= 0 { Vec::new() } else { vec!["must be greater than or equal to 0".into()] }
}

/// `42%`.
pub fn percent(value: &str) -> Vec<String> {
    let number = value.strip_suffix('%').unwrap_or_default();
    match !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
        true => Vec::new(),
        false => vec![regex_error(
            "a valid percent string must be a numeric string followed by an ending '%'",
            "[0-9]+%",
            &["1%", "93%"],
        )],
    }
}

/// The name of an HTTP header.
pub fn http_header_name(value: &str) -> Vec<String> {
    match !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        true => Vec::new(),
        false => vec![regex_error(
            "a valid HTTP header must consist of alphanumeric characters or '-'",
            "[-A-Za-z0-9]+",
            &["X-Header-Name"],
        )],
    }
}

/// A domain of at least two labels: names of signers, finalizers' domains.
pub fn fully_qualified_domain(value: &str) -> Vec<String> {
    if value.is_empty() {
        return vec!["Required value".into()];
    }
    let value = value.strip_suffix('.').unwrap_or(value);
    let mut errs = dns1123_subdomain(value);
    if errs.is_empty() {
        match value.split('.').count() {
            0..2 => errs.push("should be a domain with at least two segments separated by dots".into()),
            _ => errs.extend(value.split('.').flat_map(dns1123_label)),
        }
    }
    errs
}

/// An IPv4 or IPv6 address.
pub fn ip(value: &str) -> Vec<String> {
    match value.parse::<IpAddr>() {
        Ok(_) => Vec::new(),
        Err(_) => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".into()],
    }
}

/// An address and a prefix length.
pub fn cidr(value: &str) -> Vec<String> {
    let parsed = value.split_once('/').and_then(|(ip, len)| {
        let ip: IpAddr = ip.parse().ok()?;
        let max = if ip.is_ipv4() { 32 } else { 128 };
        let plain = !len.is_empty() && len.bytes().all(|b| b.is_ascii_digit());
        (plain && len.parse::<u8>().ok()? <= max).then_some(())
    });
    match parsed {
        Some(()) => Vec::new(),
        None => vec!["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)".into()],
    }
}

/// A path in a container or on a host that starts at the root.
pub fn absolute_path(value: &str) -> Vec<String> {
    if value.starts_with('/') { Vec::new() } else { vec!["must be an absolute path".into()] }
}

/// A path below some directory: relative, and never upwards.
pub fn local_descending_path(value: &str, field: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if value.starts_with('/') {
        errs.push(Error::invalid(field, value, "must be a relative path"));
    }
    errs.extend(no_backsteps(value, field));
    errs
}

/// A path without `..`.
pub fn no_backsteps(value: &str, field: &Path) -> ErrorList {
    match value.split('/').any(|part| part == "..") {
        true => [Error::invalid(field, value, "must not contain '..'")].into_iter().collect(),
        false => ErrorList::new(),
    }
}

/// What `generateName` checks of a prefix: a dash at its end will have something after it.
pub fn mask_trailing_dash(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(start) if !start.is_empty() => format!("{start}a"),
        _ => prefix.into(),
    }
}

/// All labels of an object: keys and values.
pub fn labels(labels: &BTreeMap<String, String>, field: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for (key, value) in labels {
        errs.extend(label_key(key, field));
        for message in label_value(value) {
            errs.push(Error::invalid(&field.clone(), value, message));
        }
    }
    errs
}

/// A label's key.
pub fn label_key(key: &str, field: &Path) -> ErrorList {
    qualified_name(key).into_iter().map(|message| Error::invalid(field, key, message)).collect()
}

/// All annotations of an object: keys and total size.
pub fn annotations(annotations: &BTreeMap<String, String>, field: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    for key in annotations.keys() {
        // Upper case is forgiven in annotations, for reasons lost in the past.
        for message in qualified_name(&key.to_lowercase()) {
            errs.push(Error::invalid(field, key, message));
        }
    }
    let total: usize = annotations.iter().map(|(k, v)| k.len() + v.len()).sum();
    if total > ANNOTATIONS_MAX {
        errs.push(Error::too_long(field, ANNOTATIONS_MAX));
    }
    errs
}

/// `must be non-empty`
pub fn empty_error() -> &'static str {
    "must be non-empty"
}

/// `must be no more than 63 bytes`
pub fn max_len_error(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

/// A message about a pattern, with examples, in upstream's form.
pub fn regex_error(what: &str, pattern: &str, examples: &[&str]) -> String {
    if examples.is_empty() {
        return format!("{what} (regex used for validation is '{pattern}')");
    }
    let shown: Vec<String> = examples.iter().map(|e| format!("'{e}', ")).collect();
    format!("{what} (e.g. {}regex used for validation is '{pattern}')", shown.join(" or "))
}

fn max_len(value: &str, max: usize) -> Vec<String> {
    if value.len() > max { vec![max_len_error(max)] } else { Vec::new() }
}

fn is_label(value: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = value.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

fn is_subdomain(value: &str) -> bool {
    value.split('.').all(is_label)
}

fn is_qualified(value: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let bytes = value.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}
