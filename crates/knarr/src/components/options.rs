//! Flags that several components have.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cluster::components::health::Ports;
use cluster::components::{Access, LeaderElection};

/// Of every component.
#[derive(clap::Args)]
pub struct Common {
    /// How much to log: 0 warnings, 2 what happens, 4 and more everything. KNARR_LOG says it more finely
    #[arg(long = "v", value_name = "LEVEL", default_value_t = 0)]
    v: u8,
}

/// Whoever has them.
pub trait HasCommon {
    fn common(&self) -> &Common;
}

pub fn start_log(common: &Common) -> Result<()> {
    let by_level = match common.v {
        0 | 1 => "warn,nlink=error",
        2 | 3 => "info,nlink=error",
        _ => "debug,nlink=info,hyper=info,h2=info,rustls=info",
    };
    let named = std::env::var("KNARR_LOG").ok();
    crate::commands::start_log(named.as_deref().unwrap_or(by_level))
}

/// Where the API is.
#[derive(clap::Args)]
pub struct Api {
    /// Where the API server is, and as whom to go there
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The API server's address, which overrides the kubeconfig's: http://HOST:8080 needs no kubeconfig
    #[arg(long, value_name = "URL")]
    master: Option<String>,
}

impl Api {
    pub fn access(&self, user_agent: &'static str) -> Access {
        Access {
            kubeconfig: self.kubeconfig.clone(),
            // As in the guide's files: KUBE_MASTER with an empty value.
            master: self.master.clone().filter(|m| !m.is_empty()),
            user_agent,
        }
    }
}

/// Whether to wait for a lease.
#[derive(clap::Args)]
pub struct Leader {
    /// Wait for the lease before doing anything, so that several may run and one work
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    leader_elect: bool,
    /// The lease's name
    #[arg(long, value_name = "NAME")]
    leader_elect_resource_name: Option<String>,
    /// The lease's namespace
    #[arg(long, value_name = "NAME", default_value = "kube-system")]
    leader_elect_resource_namespace: String,
    /// The lease's kind: leases
    #[arg(long, value_name = "KIND", default_value = "leases")]
    leader_elect_resource_lock: String,
    /// 15s, and nothing else
    #[arg(long, value_name = "DURATION", default_value = "15s")]
    leader_elect_lease_duration: String,
    /// 10s, and nothing else
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    leader_elect_renew_deadline: String,
    /// 2s, and nothing else
    #[arg(long, value_name = "DURATION", default_value = "2s")]
    leader_elect_retry_period: String,
}

impl Leader {
    pub fn election(&self, lease: &str, in_file: Option<bool>) -> Result<Option<LeaderElection>> {
        let fixed = [
            ("lease-duration", &self.leader_elect_lease_duration, 15),
            ("renew-deadline", &self.leader_elect_renew_deadline, 10),
            ("retry-period", &self.leader_elect_retry_period, 2),
        ];
        for (flag, given, only) in fixed {
            if duration(given).with_context(|| format!("--leader-elect-{flag}"))? != Duration::from_secs(only)
            {
                bail!("--leader-elect-{flag}={given}: only {only}s, upstream's default, is supported");
            }
        }
        if self.leader_elect_resource_lock != "leases" {
            bail!(
                "--leader-elect-resource-lock={}: only leases are supported",
                self.leader_elect_resource_lock
            );
        }
        Ok((self.leader_elect && in_file != Some(false)).then(|| LeaderElection {
            lease: self.leader_elect_resource_name.clone().unwrap_or_else(|| lease.to_owned()),
            namespace: self.leader_elect_resource_namespace.clone(),
        }))
    }
}

/// Where `/healthz` is answered: today's secure port, and the plain one of old.
#[derive(clap::Args)]
pub struct Serving {
    /// The address that the ports are of
    #[arg(long, value_name = "IP", alias = "address", default_value = "0.0.0.0")]
    bind_address: IpAddr,
    /// The HTTPS port for /healthz, /livez and /readyz; 0: none
    #[arg(long, value_name = "PORT")]
    secure_port: Option<u16>,
    /// A plain HTTP port for the same; 0: none
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
}

impl Serving {
    pub fn ports(&self, usual: u16) -> Ports {
        let at = |port: u16| (port != 0).then(|| SocketAddr::new(self.bind_address, port));
        Ports { http: at(self.port), https: at(self.secure_port.unwrap_or(usual)) }
    }
}

/// As Go writes durations: `1h30m`, `90s`, `0`.
pub fn duration(text: &str) -> Result<Duration> {
    crate::commands::etcd::duration(text)
}
