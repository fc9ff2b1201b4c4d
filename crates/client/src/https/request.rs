//! A request's place in HTTP, and what an answer that says no means.

use std::fmt::Write;

use apimachinery::{Gvr, Status};
use http::{Method, StatusCode};

use crate::transport::{Options, PatchType, Request, Verb};

/// HTTP method and the body's type.
pub(super) fn method(request: &Request) -> (Method, &'static str) {
    match request.verb {
        Verb::Get | Verb::List => (Method::GET, ""),
        Verb::Create => (Method::POST, "application/json"),
        Verb::Update => (Method::PUT, "application/json"),
        Verb::Delete | Verb::DeleteCollection => (Method::DELETE, "application/json"),
        Verb::Patch => {
            let kind = request.options.patch_type.unwrap_or(PatchType::Strategic);
            (Method::PATCH, kind.content_type())
        }
    }
}

pub(super) fn path(gvr: &Gvr, namespace: &str, name: &str, subresource: &str) -> String {
    let mut path = match &*gvr.group {
        "" => format!("/api/{}", gvr.version),
        group => format!("/apis/{group}/{}", gvr.version),
    };
    let parts = match namespace {
        "" => ["", ""],
        namespace => ["namespaces", namespace],
    };
    for part in parts.into_iter().chain([&*gvr.resource, name, subresource]).filter(|p| !p.is_empty()) {
        path.push('/');
        escape(part, &mut path);
    }
    path
}

/// With its question mark; empty when there is nothing to say.
pub(super) fn query(options: &Options, more: &[(&str, &str)]) -> String {
    let limit = options.limit.to_string();
    let all = [
        ("labelSelector", options.label_selector.as_str()),
        ("fieldSelector", &options.field_selector),
        ("resourceVersion", &options.resource_version),
        ("resourceVersionMatch", &options.resource_version_match),
        ("limit", if options.limit > 0 { &limit } else { "" }),
        ("continue", &options.continue_token),
        ("dryRun", if options.dry_run { "All" } else { "" }),
        ("fieldManager", &options.field_manager),
        ("force", if options.force { "true" } else { "" }),
        ("metricLabelSelector", &options.metric_label_selector),
    ];
    let mut query = String::new();
    for (name, value) in all.into_iter().chain(more.iter().copied()).filter(|(_, v)| !v.is_empty()) {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        escape(value, &mut query);
    }
    query
}

/// Percent-encodes all but unreserved characters.
fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            // Writing to a string cannot fail.
            byte => drop(write!(out, "%{byte:02X}")),
        }
    }
}

/// The `Status` in the body; where there is none (a proxy's page, say) one that says as much as is known.
pub(super) fn failure(code: StatusCode, body: &[u8]) -> Status {
    if let Ok(status) = serde_json::from_slice::<Status>(body)
        && status.kind == "Status"
        && status.code != 0
    {
        return status;
    }
    let reason = match code.as_u16() {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        406 => "NotAcceptable",
        409 => "Conflict",
        410 => "Gone",
        413 => "RequestEntityTooLarge",
        415 => "UnsupportedMediaType",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    };
    const SHOWN: usize = 1024;
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
    Status::failure(code.as_u16(), reason, format!("the server answers {code}: {text}"))
}
