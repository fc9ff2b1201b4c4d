//! Who the components in this process are, and what their certificates say.

use std::collections::BTreeSet;
use std::net::IpAddr;

use auth::UserInfo;
use pki::Template;

use crate::config::{NodeConfig, ServerConfig};
use crate::host;

/// A user's name as the authorizers know him, with his groups.
pub fn user(name: &str) -> UserInfo {
    match name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
        Some((namespace, account)) => UserInfo::service_account(namespace, account),
        None if name == "system:apiserver" => UserInfo::new(name, &["system:masters"]).authenticated(),
        None => UserInfo::new(name, &[]).authenticated(),
    }
}

/// The kubelet of a node.
pub fn node(name: &str) -> UserInfo {
    UserInfo::new(&format!("system:node:{name}"), &["system:nodes"]).authenticated()
}

/// The administrator, as his kubeconfig says.
pub fn admin() -> Template {
    Template::client("kubernetes-admin", "system:masters")
}

/// The API server towards kubelets.
pub fn kubelet_client() -> Template {
    Template::client("kube-apiserver-kubelet-client", "system:masters")
}

/// The API server under every name it is called by.
pub fn api_server(config: &ServerConfig, node_ip: IpAddr) -> Template {
    let mut names: BTreeSet<String> =
        ["localhost", "127.0.0.1", "::1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
            .map(str::to_owned)
            .into();
    names.insert(format!("kubernetes.default.svc.{}", config.cluster_domain));
    names.insert(config.node_name.clone());
    names.insert(config.api_service_ip().to_string());
    names.insert(node_ip.to_string());
    if !config.bind_address.is_unspecified() {
        names.insert(config.bind_address.to_string());
    }
    names.extend(host::addresses().iter().map(ToString::to_string));
    Template::server("kube-apiserver", names)
}

/// The kubelet's server.
pub fn kubelet_server(config: &NodeConfig) -> Template {
    let names =
        [config.node_name.clone(), config.node_ip.to_string(), "127.0.0.1".into(), "localhost".into()];
    Template::server(&format!("system:node:{}", config.node_name), names.into_iter().collect::<BTreeSet<_>>())
}
