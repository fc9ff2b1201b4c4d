//! What the subresources are: their kinds and verbs, as discovery lists them.

use resources::Resource;

/// A subresource as discovery shows it.
#[derive(Clone, Copy, Debug)]
pub struct Subresource {
    /// `resource/subresource`; `*` is any resource.
    pub path: (&'static str, &'static str),
    /// Group, version and kind of its bodies; `None`: its resource's own.
    pub kind: Option<(&'static str, &'static str, &'static str)>,
    pub verbs: &'static [&'static str],
}

const READ_WRITE: &[&str] = &["get", "patch", "update"];
const CONNECT: &[&str] = &["create", "get"];
const PROXY: &[&str] = &["create", "delete", "get", "patch", "update"];

const fn row(
    resource: &'static str,
    name: &'static str,
    kind: Option<(&'static str, &'static str, &'static str)>,
    verbs: &'static [&'static str],
) -> Subresource {
    Subresource { path: (resource, name), kind, verbs }
}

/// The first row that fits is taken.
pub const SUBRESOURCES: &[Subresource] = &[
    row("*", "status", None, READ_WRITE),
    row("*", "scale", Some(("autoscaling", "v1", "Scale")), READ_WRITE),
    row("pods", "attach", Some(("", "v1", "PodAttachOptions")), CONNECT),
    row("pods", "binding", Some(("", "v1", "Binding")), &["create"]),
    row("pods", "ephemeralcontainers", None, READ_WRITE),
    row("pods", "eviction", Some(("policy", "v1", "Eviction")), &["create"]),
    row("pods", "exec", Some(("", "v1", "PodExecOptions")), CONNECT),
    row("pods", "log", None, &["get"]),
    row("pods", "portforward", Some(("", "v1", "PodPortForwardOptions")), CONNECT),
    row("pods", "proxy", Some(("", "v1", "PodProxyOptions")), PROXY),
    row("pods", "resize", None, READ_WRITE),
    row("services", "proxy", Some(("", "v1", "ServiceProxyOptions")), PROXY),
    row("nodes", "proxy", Some(("", "v1", "NodeProxyOptions")), PROXY),
    row("namespaces", "finalize", None, &["update"]),
    row("serviceaccounts", "token", Some(("authentication.k8s.io", "v1", "TokenRequest")), &["create"]),
    row("certificatesigningrequests", "approval", None, READ_WRITE),
];

/// The row of a subresource that `resource` serves.
pub fn find(resource: &Resource, name: &str) -> Option<&'static Subresource> {
    if !resource.subresources.contains(&name) {
        return None;
    }
    SUBRESOURCES.iter().find(|s| s.path.1 == name && (s.path.0 == "*" || s.path.0 == &*resource.gvr.resource))
}
