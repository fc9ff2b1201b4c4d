//! Flags that several components have.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use cluster::components::health::Ports;
use cluster::components::{Access, LeaderElection, Timings};

use super::document::Document;

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
    /// Wait for the lease before doing anything, so that several may run and one work [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    leader_elect: Option<bool>,
    /// The lease's name
    #[arg(long, value_name = "NAME")]
    leader_elect_resource_name: Option<String>,
    /// The lease's namespace
    #[arg(long, value_name = "NAME")]
    leader_elect_resource_namespace: Option<String>,
    /// The lease's kind: leases
    #[arg(long, value_name = "KIND")]
    leader_elect_resource_lock: Option<String>,
    /// Others take over when they saw no renewal for so long
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    leader_elect_lease_duration: Option<Duration>,
    /// The holder gives up when it could not renew for so long
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    leader_elect_renew_deadline: Option<Duration>,
    /// Between tries
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    leader_elect_retry_period: Option<Duration>,
}

/// What a configuration file may say of the same, in its `leaderElection`.
pub const ELECTION_FIELDS: [&str; 7] = [
    "leaderElection.leaderElect",
    "leaderElection.leaseDuration",
    "leaderElection.renewDeadline",
    "leaderElection.retryPeriod",
    "leaderElection.resourceLock",
    "leaderElection.resourceName",
    "leaderElection.resourceNamespace",
];

impl Leader {
    /// For the lease `lease`, where nothing else is said. A flag counts more than the file.
    pub fn election(&self, lease: &str, file: &Document) -> Result<Option<LeaderElection>> {
        let [wanted, lease_duration, renew_deadline, retry_period, lock, name, namespace] = ELECTION_FIELDS;
        let time =
            |flag: Option<Duration>, path: &str, usual: Duration| match (flag, file.get::<String>(path)?) {
                (Some(flag), _) => Ok(flag),
                (None, Some(text)) => match duration(&text).map_err(|e| file.wrong(path, e))? {
                    Duration::ZERO => Ok(usual),
                    given => Ok(given),
                },
                (None, None) => Ok::<_, anyhow::Error>(usual),
            };
        let usual = Timings::default();
        let timings = Timings {
            lease_duration: time(self.leader_elect_lease_duration, lease_duration, usual.lease_duration)?,
            renew_deadline: time(self.leader_elect_renew_deadline, renew_deadline, usual.renew_deadline)?,
            retry_period: time(self.leader_elect_retry_period, retry_period, usual.retry_period)?,
        };
        timings.validate().map_err(|why| anyhow::anyhow!("leader election: {why}"))?;
        let text = |flag: &Option<String>, path: &str, usual: &str| match flag {
            Some(flag) => Ok(flag.clone()),
            None => file.get(path).map(|text| text.unwrap_or_else(|| usual.to_owned())),
        };
        let lock = text(&self.leader_elect_resource_lock, lock, "leases")?;
        if lock != "leases" {
            bail!("--leader-elect-resource-lock={lock}: only leases are supported");
        }
        let elect = self.leader_elect.map_or_else(|| file.get(wanted), |flag| Ok(Some(flag)))?;
        Ok(elect.unwrap_or(true).then_some(LeaderElection {
            lease: text(&self.leader_elect_resource_name, name, lease)?,
            namespace: text(&self.leader_elect_resource_namespace, namespace, "kube-system")?,
            timings,
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
