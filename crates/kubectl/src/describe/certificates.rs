//! Certificate signing requests: who asks, for whom.

use serde_json::Value;

use super::{Lines, events, heading, list, text, time};
use crate::error::Result;
use crate::session::Session;
use crate::targets::Target;

pub fn request(session: &Session, out: &mut Lines, target: &Target) -> Result<()> {
    let (spec, status) = (&target.object["spec"], &target.object["status"]);
    heading(out, target, true);
    out.pair(0, "CreationTimestamp", time(&target.object["metadata"]["creationTimestamp"]));
    out.pair(0, "Requesting User", text(&spec["username"]));
    out.given(0, "Signer", &spec["signerName"]);
    if let Some(seconds) = spec["expirationSeconds"].as_i64() {
        out.pair(0, "Requested Duration", crate::text::age::human(seconds));
    }
    out.pair(0, "Status", state(status));
    let pem = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text(&spec["request"]));
    let asked = pki::request::request_subject(&pem.unwrap_or_default())
        .map_err(|e| crate::error::Error::text(format!("Error parsing CSR: {e}")))?;
    out.line(0, "Subject:");
    out.raw(&format!("\tCommon Name:\t{}\n\tSerial Number:\t\n", asked.common_name));
    names(out, "Organization", &asked.groups);
    if !asked.dns_names.is_empty() || !asked.ips.is_empty() {
        out.line(0, "Subject Alternative Names:");
        names(out, "DNS Names", &asked.dns_names);
        names(out, "IP Addresses", &asked.ips.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    events(session, out, target)
}

fn names(out: &mut Lines, title: &str, all: &[String]) {
    if !all.is_empty() {
        out.raw(&format!("\t{title}:\t{}\n", all.join("\n\t\t")));
    }
}

/// `Approved,Issued`
fn state(status: &Value) -> String {
    let has = |kind: &str| list(&status["conditions"]).iter().any(|c| c["type"] == kind);
    let mut state = match () {
        () if has("Denied") => "Denied".to_owned(),
        () if has("Approved") => "Approved".to_owned(),
        () => "Pending".to_owned(),
    };
    if has("Failed") {
        state.push_str(",Failed");
    }
    if !text(&status["certificate"]).is_empty() {
        state.push_str(",Issued");
    }
    state
}
