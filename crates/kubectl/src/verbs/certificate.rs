//! `certificate approve` and `deny`.

use serde_json::json;
use stdx::{Clock, SystemClock};

use crate::error::{Error, Result};
use crate::session::{Request, Session};
use crate::targets::Query;

pub fn approve(session: &Session) -> Result<()> {
    decide(
        session,
        "Approved",
        "approved",
        "KubectlApprove",
        "This CSR was approved by kubectl certificate approve.",
    )
}

pub fn deny(session: &Session) -> Result<()> {
    decide(session, "Denied", "denied", "KubectlDeny", "This CSR was denied by kubectl certificate deny.")
}

fn decide(session: &Session, kind: &str, said: &str, reason: &str, message: &str) -> Result<()> {
    let call = &session.call;
    let mut query = Query::of(session, &[]);
    if call.args.is_empty() && !query.has_files() {
        return Err(Error::text("one or more CSRs must be specified as <name> or -f <filename>"));
    }
    if !call.args.is_empty() {
        query.args = vec!["certificatesigningrequests".to_owned()];
        query.args.extend(call.args.iter().cloned());
    }
    let (targets, mut failed) = query.targets(session)?;
    let mut change = crate::change::Change::new(session, said)?.typed();
    for mut target in targets {
        let conditions = target.object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let decided = |k: &str| conditions.iter().any(|c| c["type"] == k);
        let other = if kind == "Approved" { "Denied" } else { "Approved" };
        if decided(other) {
            failed.push(Error::text(format!(
                "certificate signing request \"{}\" is already {}",
                target.name,
                other.to_lowercase()
            )));
            continue;
        }
        if decided(kind) && !call.is("force") {
            change.show(&target.object)?;
            continue;
        }
        let now = SystemClock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let mut all = conditions.clone();
        all.push(json!({ "type": kind, "status": "True", "reason": reason, "message": message, "lastUpdateTime": now }));
        let before = target.object.clone();
        target.object["status"]["conditions"] = json!(all);
        let path = format!("{}/approval", target.path());
        match session.value(&Request::with(http::Method::PUT, path, &target.object)) {
            // As stock: the object as it was.
            Ok(_) => change.show(&before)?,
            Err(e) => failed.push(e),
        }
    }
    crate::verbs::create::outcome(failed)
}
