//! `kube-controller-manager`

mod accounts;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use auth::authn::service_account::legacy;
use client::Transport;
use codec::Kind as _;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use pki::{Ca, SigningKey};

use super::health::{self, Ports};
use super::{Access, LeaderElection, Process, run};
use crate::joining;

/// Users of service accounts of kube-system begin so.
const ACCOUNTS: &str = "system:serviceaccount:kube-system:";
const AGGREGATOR: &str = "system:serviceaccount:kube-system:clusterrole-aggregation-controller";

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
    /// Whether each controller acts as a service account of its own.
    pub own_accounts: bool,
    /// How long certificates live at most that are signed on request.
    pub signing_duration: Duration,
    /// Certificate and key that sign certificate requests.
    pub signing: Option<(PathBuf, PathBuf)>,
}

/// Until SIGTERM. Without accounts of their own all controllers act as the one user of the kubeconfig, as upstream's.
pub fn start(config: Config) -> Result<()> {
    run(async |process| {
        let api = config.access.open(process)?;
        let mut settings = settings(&config, &api.ca_pem)?;
        let ways = ways(&config, &api.transport, process)?;
        health::serve(config.health, "kube-controller-manager", process).await?;
        if settings.root_ca.is_empty() {
            settings.root_ca = published_ca(&api.transport, process).await;
        }
        let (transport, clock, random) =
            (api.transport.clone(), process.clock.clone(), process.random.clone());
        process.lead(config.election.as_ref(), &api.transport, move |tasks| {
            let manager = transport.clone();
            let context = controller::Context {
                transport_for: Arc::new(move |user: &str| ways.get(user).unwrap_or(&manager).clone()),
                clock: clock.clone(),
                random,
                tasks: tasks.clone(),
            };
            let aggregator = (context.transport_for)(AGGREGATOR);
            controller::start_all(context, settings);
            tasks.spawn_until_shutdown(auth::authz::rbac::aggregation::run(aggregator, clock));
        });
        Ok(())
    })
}

/// The ways to the API of those who have accounts of their own, by user name.
fn ways(
    config: &Config,
    manager: &Arc<dyn Transport>,
    process: &Process,
) -> Result<HashMap<String, Arc<dyn Transport>>> {
    if !config.own_accounts {
        return Ok(HashMap::new());
    }
    let names = controller::CONTROLLERS.iter().map(|spec| spec.identity).filter(|name| !name.is_empty());
    let users = names.map(|name| format!("{ACCOUNTS}{name}")).chain([AGGREGATOR.to_owned()]);
    users
        .map(|user| {
            let way = accounts::transport(&config.access, manager, &user[ACCOUNTS.len()..], process)?;
            Ok((user, way))
        })
        .collect()
}

/// The CA in `kube-public/cluster-info`, for those who reach the API in plain text: pods do not. Waits until somebody says it.
async fn published_ca(transport: &Arc<dyn Transport>, process: &Process) -> String {
    let maps = client::Api::<k8s_openapi::api::core::v1::ConfigMap>::new(transport.clone());
    let mut told = false;
    loop {
        let why = match maps.get(joining::INFO.0, joining::INFO.1).await {
            Ok(map) => match joining::ca_in(&map) {
                Ok(ca) => return ca,
                Err(error) => format!("{error:#}"),
            },
            Err(status) => status.to_string(),
        };
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(
                "waiting for the config map {}/{}, which names the CA that pods trust (or give --root-ca-file): {why}",
                joining::INFO.0,
                joining::INFO.1
            );
        }
        process.clock.sleep(Duration::from_secs(1)).await;
    }
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
        signing_duration: config.signing_duration,
        token_signer,
        cluster_cidrs: config.cluster_cidrs.iter().map(ToString::to_string).collect(),
        node_mask_v4: config.node_mask_v4,
        node_mask_v6: config.node_mask_v6,
        node_monitor_grace: config.node_monitor_grace,
        terminated_pods_kept: config.terminated_pods_kept,
        ..controller::Config::default()
    })
}
