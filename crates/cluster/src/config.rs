//! What a server is told, and what follows from it.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use resources::Gate;

use crate::datastore::EtcdSettings;
use crate::security::SecurityConfig;
use crate::token::Token;

mod node;

pub use k8s_openapi::api::core::v1::Taint;
pub use kubelet::eviction::Thresholds;
pub use node::{KubeletOptions, NodeConfig};

/// Where a default server keeps what must survive a reboot.
pub const DEFAULT_DATA_DIR: &str = "/var/lib/knarr";

/// Where mirrors and credentials of registries are read from.
pub const DEFAULT_REGISTRIES: &str = "/etc/knarr/registries.yaml";

/// The gates that a server opens: each has its enforcer in this program.
pub const ENFORCED: &[Gate] = &[];

/// Whose certificates of kubelets are believed when the API server asks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KubeletTrust {
    /// The cluster's own CA's.
    Cluster,
    /// Those of the CAs in the file.
    File(PathBuf),
    /// Any: as upstream without --kubelet-certificate-authority.
    Anyone,
}

/// What the user chose.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub data_dir: PathBuf,
    /// Where what a reboot ends is kept: sockets, namespaces, leases of addresses.
    pub run_dir: PathBuf,
    pub bind_address: IpAddr,
    /// 0: any free port.
    pub https_listen_port: u16,
    pub write_kubeconfig: PathBuf,
    /// One or two (IPv4 and IPv6) ranges each.
    pub cluster_cidrs: Vec<IpNet>,
    pub service_cidrs: Vec<IpNet>,
    /// What services may have as node ports.
    pub node_ports: RangeInclusive<u16>,
    pub cluster_domain: String,
    pub node_name: String,
    /// The address by which others reach this machine; found out when empty.
    pub node_ip: Option<IpAddr>,
    pub kubelet_port: u16,
    /// The join token; the one kept in the data directory, or a new one, when empty.
    pub token: Option<String>,
    /// Mirrors and credentials of registries; [`DEFAULT_REGISTRIES`], if there is one, when empty.
    pub registries: Option<PathBuf>,
    /// Where pods find cluster DNS; the tenth service address when empty.
    pub cluster_dns: Option<IpAddr>,
    /// Run no DNS server: somebody else answers at `cluster_dns`, or nobody does.
    pub disable_dns: bool,
    /// The node's own resolv.conf; found out when empty.
    pub resolv_conf: Option<PathBuf>,
    /// With less than this left of memory or disk, the node's pods have to go.
    pub eviction_hard: Thresholds,
    /// Manifests in this directory run as static pods.
    pub pod_manifest_path: PathBuf,
    /// Only the control plane: no kubelet, no containers.
    pub disable_agent: bool,
    /// Kinds behind these are served, since something in this process enforces them.
    pub gates: Vec<Gate>,
    /// Who is who, and who may do what.
    pub security: SecurityConfig,
    pub kubelet_trust: KubeletTrust,
    /// Whether controllers and scheduler run in this process, too.
    pub control_loops: bool,
    /// Where, if anywhere, everybody may do everything in plain text.
    pub insecure: Option<SocketAddr>,
    /// Certificate and key that the API server shows; those that the cluster's CA issues when empty.
    pub tls_files: Option<(PathBuf, PathBuf)>,
    /// How long certificates that sign requests live at most, and those that this server issues to itself.
    pub signing_duration: Duration,
    pub certificate_lifetime: Duration,
    /// The etcd that keeps the objects; a file in the data directory does without.
    pub etcd: Option<EtcdSettings>,
}

impl ServerConfig {
    /// Fails on what cannot work, naming the flag.
    pub fn validate(&self) -> Result<()> {
        if let Some(token) = &self.token {
            Token::parse(token).context("--token")?;
        }
        for (flag, cidrs) in
            [("--cluster-cidr", &self.cluster_cidrs), ("--service-cidr", &self.service_cidrs)]
        {
            let families = [true, false].map(|v4| cidrs.iter().filter(|c| c.addr().is_ipv4() == v4).count());
            if cidrs.is_empty() || families.iter().any(|n| *n > 1) {
                bail!("{flag} takes one range, or one IPv4 and one IPv6 range separated by a comma");
            }
        }
        for pods in &self.cluster_cidrs {
            if let Some(services) = self.service_cidrs.iter().find(|s| overlaps(s, pods)) {
                bail!(
                    "--cluster-cidr {pods} and --service-cidr {services} overlap; choose ranges apart from each other"
                );
            }
            if pods.addr().is_ipv4() && pods.prefix_len() > 24 {
                bail!("--cluster-cidr {pods} is too small: each node takes a /24 of it");
            }
        }
        for services in &self.service_cidrs {
            if services.addr().is_ipv4() && !(12..=28).contains(&services.prefix_len()) {
                bail!("--service-cidr {services}: take a prefix length between 12 and 28");
            }
        }
        if let Some(ip) = self.cluster_dns.filter(|_| !self.disable_dns)
            && !self.service_cidrs[0].contains(&ip)
        {
            bail!(
                "--cluster-dns {ip} is outside of --service-cidr {}; for a DNS server of your own add --disable-dns",
                self.service_cidrs[0]
            );
        }
        check_node_name(&self.node_name)?;
        if let Some(etcd) = &self.etcd {
            etcd.validate()?;
        }
        Ok(())
    }

    /// What service-account tokens are of and for, unless something else was chosen.
    pub fn issuer(&self) -> String {
        format!("https://kubernetes.default.svc.{}", self.cluster_domain)
    }

    /// The first service address: the API server's own.
    pub fn api_service_ip(&self) -> IpAddr {
        nth(&self.service_cidrs[0], 1)
    }

    /// Where pods find cluster DNS: the tenth service address, as everybody does it, or what was chosen. `None`: nowhere.
    pub fn cluster_dns(&self) -> Option<IpAddr> {
        self.cluster_dns.or_else(|| (!self.disable_dns).then(|| nth(&self.service_cidrs[0], 10)))
    }

    /// The part about this machine's node.
    pub fn node(&self, node_ip: IpAddr) -> NodeConfig {
        NodeConfig {
            data_dir: self.data_dir.clone(),
            run_dir: self.run_dir.clone(),
            bind_address: self.bind_address,
            kubelet_port: self.kubelet_port,
            node_name: self.node_name.clone(),
            node_ip,
            node_labels: Default::default(),
            cluster_cidrs: self.cluster_cidrs.clone(),
            service_cidrs: self.service_cidrs.clone(),
            cluster_domain: self.cluster_domain.clone(),
            cluster_dns: self.cluster_dns(),
            serve_dns: !self.disable_dns,
            resolv_conf: self.resolv_conf.clone(),
            registries: self.registries.clone(),
            eviction_hard: self.eviction_hard,
            pod_manifest_path: self.pod_manifest_path.clone(),
            kubelet: KubeletOptions::default(),
        }
    }

    pub fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.https_listen_port)
    }

    pub fn control_socket(&self) -> PathBuf {
        control_socket(&self.run_dir)
    }
}

/// Fails on what is no node's name.
pub fn check_node_name(name: &str) -> Result<()> {
    let label = |l: &str| {
        !l.is_empty() && l.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if !name.split('.').all(label) {
        bail!(
            "node name {name:?} is not a DNS name (lower-case letters, digits, '-' and '.'); choose another with --node-name"
        );
    }
    Ok(())
}

/// `--service-node-port-range`, as upstream takes it: `30000-32767`, `30000+2767`, or one port.
pub fn port_range(text: &str) -> Result<RangeInclusive<u16>> {
    let wrong = || anyhow::anyhow!("{text:?} is no range of ports; write 30000-32767");
    let number = |text: &str| text.trim().parse::<u16>().map_err(|_| wrong());
    let (first, last) = match (text.split_once('-'), text.split_once('+')) {
        (Some((first, last)), _) => (number(first)?, number(last)?),
        (None, Some((first, more))) => {
            let first = number(first)?;
            (first, first.checked_add(number(more)?).ok_or_else(wrong)?)
        }
        (None, None) => (number(text)?, number(text)?),
    };
    if first == 0 || first > last {
        return Err(wrong());
    }
    Ok(first..=last)
}

/// `--eviction-hard`
pub fn thresholds(text: &str) -> Result<Thresholds> {
    Thresholds::parse(text).map_err(|e| anyhow::anyhow!("--eviction-hard {text:?}: {e}"))
}

/// The socket that `knarr ps` and its like speak to.
pub fn control_socket(run_dir: &Path) -> PathBuf {
    run_dir.join("knarr.sock")
}

/// `/run/knarr` for the default data directory, one of its own for every other: two clusters may share a machine.
pub fn default_run_dir(data_dir: &Path) -> PathBuf {
    if data_dir == Path::new(DEFAULT_DATA_DIR) {
        return "/run/knarr".into();
    }
    PathBuf::from(format!("/run/knarr-{}", short_hash(data_dir)))
}

/// The top of this cluster's cgroups: `knarr` for the default run directory, one of its own for every other.
pub fn cgroup_prefix(run_dir: &Path) -> String {
    if run_dir == Path::new("/run/knarr") {
        return "knarr".into();
    }
    format!("knarr-{}", short_hash(run_dir))
}

/// FNV-1a in eight hex digits: stable over versions, short enough for socket paths.
fn short_hash(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    format!("{:08x}", hash as u32)
}

fn overlaps(a: &IpNet, b: &IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

fn nth(cidr: &IpNet, n: u32) -> IpAddr {
    match cidr.network() {
        IpAddr::V4(a) => IpAddr::V4((u32::from(a) + n).into()),
        IpAddr::V6(a) => IpAddr::V6((u128::from(a) + u128::from(n)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ports() {
        let check = |text: &str, expected: Option<RangeInclusive<u16>>| {
            assert_eq!(port_range(text).ok(), expected, "{text}");
        };
        check("30000-32767", Some(30000..=32767));
        check("30000+100", Some(30000..=30100));
        check("8080", Some(8080..=8080));
        for bad in ["", "a", "2-1", "0-10", "1-70000", "65000+1000", "1-2-3", "-5"] {
            check(bad, None);
        }
    }
}
