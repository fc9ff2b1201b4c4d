//! `create token`: a token for a service account, by TokenRequest.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::print::Printer;
use crate::session::{Request, Session};

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    let [name] = &call.args[..] else {
        return Err(Error::usage(
            "create token",
            format!("exactly one NAME is required, got {}", call.args.len()),
        ));
    };
    let duration = crate::text::duration::parse_nanoseconds(call.text("duration")).unwrap_or(0);
    let (kind, object, uid) =
        (call.text("bound-object-kind"), call.text("bound-object-name"), call.text("bound-object-uid"));
    let api = match kind {
        "" | "Pod" | "Secret" | "Node" => "v1",
        other => {
            return Err(Error::text(format!(
                "supported --bound-object-kind values are Node, Pod, Secret, not {other}"
            )));
        }
    };
    if kind.is_empty() && !object.is_empty() {
        return Err(Error::text("--bound-object-name can only be set if --bound-object-kind is provided"));
    }
    if kind.is_empty() && !uid.is_empty() {
        return Err(Error::text("--bound-object-uid can only be set if --bound-object-kind is provided"));
    }
    if !kind.is_empty() && object.is_empty() {
        return Err(Error::text("--bound-object-name is required if --bound-object-kind is provided"));
    }
    if duration < 0 {
        return Err(Error::text("--duration must be greater than or equal to 0"));
    }
    if duration % 1_000_000_000 != 0 {
        return Err(Error::text("--duration cannot be expressed in units less than seconds"));
    }
    let mut spec = json!({ "audiences": call.list("audience") });
    if duration > 0 {
        spec["expirationSeconds"] = json!(i64::try_from(duration / 1_000_000_000).unwrap_or(i64::MAX));
    }
    if !kind.is_empty() {
        spec["boundObjectRef"] = json!({ "apiVersion": api, "kind": kind, "name": object });
        if !uid.is_empty() {
            spec["boundObjectRef"]["uid"] = json!(uid);
        }
    }
    let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec });
    let (namespace, _) = session.namespace()?;
    let path =
        format!("/api/v1/namespaces/{namespace}/serviceaccounts/{}/token", crate::discovery::escape(name));
    let mut answer: Value =
        session.value(&Request::with(http::Method::POST, path, &request)).map_err(|e| match e {
            Error::Status(status) => Error::text(format!("failed to create token: {}", status.message)),
            other => other,
        })?;
    let token = answer["status"]["token"].as_str().unwrap_or_default().to_owned();
    if token.is_empty() {
        return Err(Error::text("failed to create token: no token in server response"));
    }
    match Printer::of(call, false)? {
        None => session.println(&token),
        Some(mut printer) => {
            printer.typed = true;
            crate::print::typed::normalise(&mut answer);
            session.print(&printer.text(&answer)?)
        }
    }
}
