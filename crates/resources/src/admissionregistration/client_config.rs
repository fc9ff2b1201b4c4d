//! How webhooks are reached: by a URL, or through a service. For admission and for conversion.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::names;

const FORM: &str = "; desired format: https://host[/path]";
const PORT_DEFAULT: i32 = 443;

/// A webhook's client configuration, whatever group it is of.
pub(crate) struct Reached<'a> {
    pub url: Option<&'a str>,
    pub service: Option<Service<'a>>,
}

/// A service that webhooks are reached through.
pub(crate) struct Service<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub path: Option<&'a str>,
    pub port: Option<i32>,
}

/// The port of a service, if none is given.
pub(crate) fn default_port(port: &mut Option<i32>) {
    port.get_or_insert(PORT_DEFAULT);
}

/// Exactly one way, and that one well formed.
pub(crate) fn errors(reached: &Reached<'_>, path: &Path) -> ErrorList {
    match (reached.url, &reached.service) {
        (Some(url), None) => url_errors(url, &path.child("url")),
        (None, Some(service)) => service_errors(service, &path.child("service")),
        _ => [Error::required(path, "exactly one of url or service is required")].into_iter().collect(),
    }
}

fn url_errors(url: &str, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut wrong = |value: &str, why: String| errs.push(Error::invalid(path, value, why));
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme, rest) = rest.split_once("://").unwrap_or(("", ""));
    let authority = rest.split('/').next().unwrap_or_default();
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(u, h)| (Some(u), h));
    if scheme != "https" {
        wrong(scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if host.is_empty() {
        wrong(host, format!("host must be provided{FORM}"));
    }
    if let Some(user) = user {
        wrong(user, "user information is not permitted in the URL".into());
    }
    if !fragment.is_empty() {
        wrong(fragment, "fragments are not permitted in the URL".into());
    }
    if !query.is_empty() {
        wrong(query, "query parameters are not permitted in the URL".into());
    }
    errs
}

fn service_errors(service: &Service<'_>, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    if service.name.is_empty() {
        errs.push(Error::required(&path.child("name"), "service name is required"));
    }
    if service.namespace.is_empty() {
        errs.push(Error::required(&path.child("namespace"), "service namespace is required"));
    }
    let port = service.port.unwrap_or(0);
    let wrong = names::port_number(port.into());
    if !wrong.is_empty() {
        let why = format!("port is not valid: {}", wrong.join(", "));
        errs.push(Error::invalid(&path.child("port"), port, why));
    }
    errs.extend(service.path.map(|text| path_errors(text, &path.child("path"))).unwrap_or_default());
    errs
}

/// Every segment is named as a DNS subdomain is.
fn path_errors(text: &str, path: &Path) -> ErrorList {
    let mut errs = ErrorList::new();
    let mut wrong = |why: String| errs.push(Error::invalid(path, text, why));
    match text {
        "" | "/" => return ErrorList::new(),
        "//" => wrong("segment[0] may not be empty".into()),
        text => {
            if !text.starts_with('/') {
                wrong("must start with a '/'".into());
            }
            let inner = text.strip_prefix('/').unwrap_or(text);
            for (i, segment) in inner.strip_suffix('/').unwrap_or(inner).split('/').enumerate() {
                if segment.is_empty() {
                    wrong(format!("segment[{i}] may not be empty"));
                    continue;
                }
                for why in names::dns1123_subdomain(segment) {
                    wrong(format!("segment[{i}]: {why}"));
                }
            }
        }
    }
    errs
}
