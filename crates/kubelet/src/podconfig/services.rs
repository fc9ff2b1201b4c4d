//! The variables by which a container finds services: Docker links' names, as Kubernetes has kept them.

use k8s_openapi::api::core::v1::Service;

/// Of the services in `namespace` (when `links`), and always of `default/kubernetes`. Headless services have none.
pub fn variables(services: &[Service], namespace: &str, links: bool) -> Vec<(String, String)> {
    let mut chosen: Vec<&Service> = services
        .iter()
        .filter(|s| {
            let own = s.metadata.namespace.as_deref() == Some(namespace);
            (links && own) || is_kubernetes(s)
        })
        // One of the pod's own namespace hides the cluster's of the same name.
        .filter(|s| {
            !is_kubernetes(s) || namespace == "default" || !(links && has(services, namespace, "kubernetes"))
        })
        .collect();
    chosen.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    chosen.into_iter().flat_map(of_service).collect()
}

fn is_kubernetes(service: &Service) -> bool {
    service.metadata.namespace.as_deref() == Some("default")
        && service.metadata.name.as_deref() == Some("kubernetes")
}

fn has(services: &[Service], namespace: &str, name: &str) -> bool {
    services.iter().any(|s| {
        s.metadata.namespace.as_deref() == Some(namespace)
            && s.metadata.name.as_deref() == Some(name)
            && cluster_ip(s).is_some()
    })
}

fn cluster_ip(service: &Service) -> Option<&str> {
    service.spec.as_ref()?.cluster_ip.as_deref().filter(|ip| !ip.is_empty() && *ip != "None")
}

fn of_service(service: &Service) -> Vec<(String, String)> {
    let (Some(ip), Some(spec)) = (cluster_ip(service), &service.spec) else { return Vec::new() };
    let ports = spec.ports.as_deref().unwrap_or_default();
    let Some(first) = ports.first() else { return Vec::new() };
    let prefix = variable_name(service.metadata.name.as_deref().unwrap_or_default());
    let mut all = vec![
        (format!("{prefix}_SERVICE_HOST"), ip.to_owned()),
        (format!("{prefix}_SERVICE_PORT"), first.port.to_string()),
    ];
    for port in ports {
        if let Some(name) = port.name.as_deref().filter(|n| !n.is_empty()) {
            all.push((format!("{prefix}_SERVICE_PORT_{}", variable_name(name)), port.port.to_string()));
        }
    }
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    for (i, port) in ports.iter().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let (upper, lower) = (protocol.to_uppercase(), protocol.to_lowercase());
        let url = format!("{lower}://{host}:{}", port.port);
        if i == 0 {
            all.push((format!("{prefix}_PORT"), url.clone()));
        }
        let port_prefix = format!("{prefix}_PORT_{}_{upper}", port.port);
        all.push((port_prefix.clone(), url));
        all.push((format!("{port_prefix}_PROTO"), lower));
        all.push((format!("{port_prefix}_PORT"), port.port.to_string()));
        all.push((format!("{port_prefix}_ADDR"), ip.to_owned()));
    }
    all
}

fn variable_name(name: &str) -> String {
    name.replace('-', "_").to_uppercase()
}
