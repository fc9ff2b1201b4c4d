//! What a cluster tells machines that join, in kubeadm's places: `kube-public/cluster-info` (where the API is and who vouches for it,
//! for everybody), `kube-system/kubelet-config` and `kube-system/kube-proxy` (ranges, domain, DNS; for nodes and holders of a token).

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use apimachinery::{ObjectKey, Status};
use auth::policy::joining;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use client::{Api, PatchType, Transport};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::json;

use crate::config::ServerConfig;

pub const INFO: (&str, &str) = ("kube-public", "cluster-info");
const KUBELET: (&str, &str) = ("kube-system", "kubelet-config");
const PROXY: (&str, &str) = ("kube-system", "kube-proxy");
/// Of `kubelet-config`: whether each node of ours answers cluster DNS itself.
const SERVES_DNS: &str = "knarr.io/nodes-serve-dns";

/// Lets machines join: the rights they need, and what they must know. `transport` acts as a member of system:masters.
pub async fn open(
    transport: &Arc<dyn Transport>,
    config: &ServerConfig,
    ca_pem: &str,
    advertised: &str,
) -> Result<()> {
    auth::policy::reconcile::reconcile(transport, &joining::joining())
        .await
        .context("write the roles for joining")?;
    let maps = Api::<ConfigMap>::new(transport.clone());
    let info = info(ca_pem, advertised);
    keep(&maps, INFO, &[("kubeconfig", &info)], None).await.context("publish cluster-info")?;
    let dns = config.cluster_dns().map(|ip| ip.to_string());
    let kubelet = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "clusterDomain": config.cluster_domain,
        "clusterDNS": dns.into_iter().collect::<Vec<_>>(),
    });
    let serves = if config.disable_dns { "false" } else { "true" };
    keep(&maps, KUBELET, &[("kubelet", &kubelet.to_string())], Some((SERVES_DNS, serves)))
        .await
        .context("publish the kubelets' configuration")?;
    let cidrs: Vec<String> = config.cluster_cidrs.iter().map(ToString::to_string).collect();
    let proxy = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": cidrs.join(","),
    });
    keep(&maps, PROXY, &[("config.conf", &proxy.to_string())], None)
        .await
        .context("publish the proxies' configuration")?;
    Ok(())
}

/// A kubeconfig without a user.
fn info(ca_pem: &str, advertised: &str) -> String {
    let cluster = json!({
        "server": format!("https://{advertised}"),
        "certificate-authority-data": STANDARD.encode(ca_pem),
    });
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "", "cluster": cluster }],
        "contexts": [],
        "current-context": "",
        "preferences": {},
        "users": [],
    })
    .to_string()
}

/// Makes the map, or sets these keys of it; what else is in it (signatures, say) stays.
async fn keep(
    api: &Api<ConfigMap>,
    (namespace, name): (&str, &str),
    data: &[(&str, &str)],
    annotation: Option<(&str, &str)>,
) -> Result<(), Status> {
    let owned = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let (data, annotations) = (owned(data), owned(annotation.as_slice()));
    let Some(have) = api.find(&ObjectKey::new(namespace, name)).await? else {
        let map = ConfigMap {
            metadata: ObjectMeta {
                namespace: Some(namespace.into()),
                name: Some(name.into()),
                annotations: (!annotations.is_empty()).then_some(annotations),
                ..ObjectMeta::default()
            },
            data: Some(data),
            ..ConfigMap::default()
        };
        return match api.create(&map).await {
            Err(e) if e.is_already_exists() => Ok(()),
            made => made.map(drop),
        };
    };
    let (have_data, have_annotations) =
        (have.data.unwrap_or_default(), have.metadata.annotations.unwrap_or_default());
    let same = data.iter().all(|(k, v)| have_data.get(k) == Some(v))
        && annotations.iter().all(|(k, v)| have_annotations.get(k) == Some(v));
    if same {
        return Ok(());
    }
    let patch = json!({ "data": data, "metadata": { "annotations": annotations } });
    api.patch(namespace, name, PatchType::Merge, &patch).await.map(drop)
}

/// What cluster-info's kubeconfig says of the cluster.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Told {
    server: String,
    certificate_authority_data: String,
}

fn told(info: &ConfigMap) -> Result<Told> {
    #[derive(Deserialize)]
    struct File {
        clusters: Vec<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        cluster: Told,
    }
    let text = info.data.as_ref().and_then(|d| d.get("kubeconfig")).context("it holds no kubeconfig")?;
    let file: File = serde_saphyr::from_str(text).context("read its kubeconfig")?;
    Ok(file.clusters.into_iter().next().context("its kubeconfig names no cluster")?.cluster)
}

/// The CA in cluster-info, whoever published it.
pub fn ca_in(info: &ConfigMap) -> Result<String> {
    let pem = STANDARD.decode(told(info)?.certificate_authority_data.trim()).context("decode its CA")?;
    String::from_utf8(pem).context("decode its CA")
}

/// Where cluster-info says that the API is.
pub fn server_in(info: &ConfigMap) -> Result<String> {
    Ok(told(info)?.server)
}

/// Where cluster-info is, as a path.
pub fn info_path() -> String {
    format!("/api/v1/namespaces/{}/configmaps/{}", INFO.0, INFO.1)
}

/// What a node must know of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub cluster_cidrs: Vec<IpNet>,
    pub service_cidrs: Vec<IpNet>,
    pub cluster_domain: String,
    pub cluster_dns: Option<IpAddr>,
    pub nodes_serve_dns: bool,
}

/// Asks the API, with a node's rights.
pub async fn about(transport: &Arc<dyn Transport>) -> Result<About> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Kubelet {
        #[serde(rename = "clusterDNS")]
        cluster_dns: Vec<IpAddr>,
        #[serde(rename = "clusterDomain")]
        cluster_domain: String,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Proxy {
        #[serde(rename = "clusterCIDR")]
        cluster_cidr: String,
    }
    let maps = Api::<ConfigMap>::new(transport.clone());
    let get = async |(namespace, name): (&str, &str)| {
        maps.get(namespace, name).await.with_context(|| format!("read the config map {namespace}/{name}"))
    };
    let (kubelet_map, proxy_map) = (get(KUBELET).await?, get(PROXY).await?);
    let text =
        |map: &ConfigMap, key: &str| map.data.as_ref().and_then(|d| d.get(key).cloned()).unwrap_or_default();
    let kubelet: Kubelet = serde_saphyr::from_str(&text(&kubelet_map, "kubelet"))
        .context("read kubelet-config, which is no KubeletConfiguration")?;
    let proxy: Proxy = serde_saphyr::from_str(&text(&proxy_map, "config.conf"))
        .context("read the config map kube-proxy, which is no KubeProxyConfiguration")?;
    let cidr = |c: &str| c.parse::<IpNet>().with_context(|| format!("read the range {c:?}"));
    let cluster_cidrs: Result<Vec<_>> =
        proxy.cluster_cidr.split(',').map(str::trim).filter(|c| !c.is_empty()).map(cidr).collect();
    let services = Api::<ServiceCIDR>::new(transport.clone())
        .get("", "kubernetes")
        .await
        .context("read the ServiceCIDR kubernetes")?;
    let service_cidrs: Result<Vec<_>> =
        services.spec.unwrap_or_default().cidrs.iter().flatten().map(|c| cidr(c)).collect();
    let annotations = kubelet_map.metadata.annotations.unwrap_or_default();
    let domain = kubelet.cluster_domain;
    Ok(About {
        cluster_cidrs: cluster_cidrs?,
        service_cidrs: service_cidrs?,
        cluster_domain: if domain.is_empty() { "cluster.local".into() } else { domain },
        cluster_dns: kubelet.cluster_dns.first().copied(),
        nodes_serve_dns: annotations.get(SERVES_DNS).is_some_and(|v| v == "true"),
    })
}
