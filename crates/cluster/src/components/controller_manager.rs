//! `kube-controller-manager`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use auth::authn::service_account::legacy;
use codec::Kind as _;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use pki::{Ca, SigningKey};

use super::health::{self, Ports};
use super::{Access, LeaderElection, run};

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Config {
    pub access: Access,
    pub election: Option<LeaderElection>,
    pub health: Ports,
    /// Empty: nodes get no ranges.
    pub cluster_cidrs: Vec<ipnet::IpNet>,
    pub node_mask_v4: u8,
    pub node_mask_v6: u8,
    pub node_monitor_grace: Duration,
    pub terminated_pods_kept: usize,
    /// Published in every namespace; the kubeconfig's CA when empty.
    pub root_ca_file: Option<PathBuf>,
    /// Signs tokens of secrets.
    pub service_account_key_file: Option<PathBuf>,
    /// Certificate and key that sign certificate requests.
    pub signing: Option<(PathBuf, PathBuf)>,
}

/// Until SIGTERM. All controllers act as the one user of the kubeconfig, as upstream's do without
/// --use-service-account-credentials.
pub fn start(config: Config) -> Result<()> {
    run(async |process| {
        let api = config.access.open(process)?;
        let settings = settings(&config, &api.ca_pem)?;
        health::serve(config.health, "kube-controller-manager", process).await?;
        let (transport, clock, random) =
            (api.transport.clone(), process.clock.clone(), process.random.clone());
        process.lead(config.election.as_ref(), &api.transport, move |tasks| {
            let one = transport.clone();
            let context = controller::Context {
                transport_for: Arc::new(move |_: &str| one.clone()),
                clock: clock.clone(),
                random,
                tasks: tasks.clone(),
            };
            controller::start_all(context, settings);
            tasks.spawn_until_shutdown(auth::authz::rbac::aggregation::run(transport, clock));
        });
        Ok(())
    })
}

fn settings(config: &Config, kubeconfig_ca: &str) -> Result<controller::Config> {
    let read =
        |path: &PathBuf| std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
    let root_ca = match &config.root_ca_file {
        Some(file) => read(file).context("--root-ca-file")?,
        None => kubeconfig_ca.to_owned(),
    };
    let signer = match &config.signing {
        Some((cert, key)) => {
            let cert = read(cert).context("--cluster-signing-cert-file")?;
            let ca = Ca::from_pem(&cert, &read(key).context("--cluster-signing-key-file")?)
                .context("--cluster-signing-cert-file, --cluster-signing-key-file")?;
            Some(controller::certificates::Signer::new(move |pem, usage, lifetime, now| {
                ca.sign_request(pem, usage, lifetime, now)
            }))
        }
        None => None,
    };
    let token_signer = match &config.service_account_key_file {
        Some(file) => {
            let flag = "--service-account-private-key-file";
            let key = SigningKey::from_pem(&read(file).context(flag)?).context(flag)?;
            Some(controller::service_account_tokens::TokenSigner::new(
                move |secret: &Secret, account: &ServiceAccount| {
                    legacy::sign(&key, secret.namespace(), secret.name(), account.name(), account.uid())
                },
            ))
        }
        None => None,
    };
    Ok(controller::Config {
        root_ca,
        signer,
        token_signer,
        cluster_cidrs: config.cluster_cidrs.iter().map(ToString::to_string).collect(),
        node_mask_v4: config.node_mask_v4,
        node_mask_v6: config.node_mask_v6,
        node_monitor_grace: config.node_monitor_grace,
        terminated_pods_kept: config.terminated_pods_kept,
        ..controller::Config::default()
    })
}
