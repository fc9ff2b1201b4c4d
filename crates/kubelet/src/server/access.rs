//! Who asks, and may they: upstream's mapping of paths to subresources of `nodes`.

use auth::authn::Credentials;
use auth::authz::{Attributes, Decision};
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::{Body, text};
use crate::config::ServerConfig;

/// Subresources that allow a path, the narrowest first.
fn subresources(path: &str) -> Vec<&'static str> {
    let under = |prefix: &str| path == prefix || path.starts_with(&format!("{prefix}/"));
    match () {
        () if under("/stats") => vec!["stats"],
        () if under("/metrics") => vec!["metrics"],
        () if under("/logs") => vec!["log"],
        () if under("/healthz") => vec!["healthz", "proxy"],
        () if under("/pods") || under("/runningpods") => vec!["pods", "proxy"],
        () if under("/configz") => vec!["configz", "proxy"],
        () => vec!["proxy"],
    }
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "get",
    }
}

/// `Err` is the answer to one who may not.
pub async fn check(
    config: &ServerConfig,
    node: &str,
    request: &Request<Incoming>,
    certificates: &[Vec<u8>],
) -> Result<(), Response<Body>> {
    let bearer = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let token = bearer.and_then(|v| v.strip_prefix("Bearer ")).map(|t| t.trim().to_owned());
    let credentials = Credentials { certificates: certificates.to_vec(), token, ..Credentials::default() };
    let user = match config.authenticator.authenticate(&credentials).await {
        Ok(Some(user)) => user,
        Ok(None) => return Err(text(StatusCode::UNAUTHORIZED, "Unauthorized")),
        Err(e) => {
            tracing::debug!("refused credentials: {e}");
            return Err(text(StatusCode::UNAUTHORIZED, "Unauthorized"));
        }
    };
    let verb = verb(request.method());
    let subresources = subresources(request.uri().path());
    for subresource in &subresources {
        let attributes = Attributes {
            user: user.clone(),
            verb: verb.into(),
            version: "v1".into(),
            resource: "nodes".into(),
            subresource: (*subresource).into(),
            name: node.into(),
            path: request.uri().path().into(),
            ..Attributes::default()
        };
        if let Decision::Allow(_) = config.authorizer.authorize(&attributes).await {
            return Ok(());
        }
    }
    let name = &user.name;
    let message = format!(
        "Forbidden (user={name}, verb={verb}, resource=nodes, subresource(s)=[{}])",
        subresources.join(" ")
    );
    Err(text(StatusCode::FORBIDDEN, message))
}
