//! Joining: who the cluster is, by the token's pin; who we are, by the token itself; then a certificate, and no token any more.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use apimachinery::{ObjectKey, Status};
use client::https::{Credential, HttpsConfig, HttpsTransport};
use client::{Api, Transport};
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use pki::LiveIdentity;
use resources::prelude::NodeExt as _;
use stdx::Tasks;

use super::certificates::{Certificates, Held};
use super::servers::{Known, url};
use super::{AGAIN, AgentConfig, Joined, Machine, clocks};
use crate::joining;
use crate::progress::Progress;
use crate::token::JoinToken;

/// The name that every API server's certificate has, whatever address it is reached by.
const SERVER_NAME: &str = "kubernetes";

/// Whether there is anything to join with; before anything is made.
pub(super) fn check(config: &AgentConfig, certificates: &Certificates) -> Result<()> {
    match (&config.token, certificates.client()?) {
        (None, None) => Err(needs_token(NOT_YET)),
        _ => Ok(()),
    }
}

const NOT_YET: &str = "it has not joined a cluster yet";

fn needs_token(why: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "this machine needs --token: {why}. On a server, `knarr token create --print-join-command` prints the command"
    )
}

/// With what is kept from an earlier start, or by the token.
pub(super) async fn join(
    config: &AgentConfig,
    certificates: &Certificates,
    servers: &Known,
    machine: &Machine,
    progress: &Progress,
) -> Result<Joined> {
    let kept = (certificates.ca()?, certificates.client()?);
    let ended = match kept {
        (Some(ca_pem), Some(client)) if certificates.is_good(&client) => {
            check_cluster(config, &ca_pem)?;
            let transport =
                transport(&ca_pem, Some(client.live.clone()), Credential::None, servers, machine)?;
            return Ok(Joined { transport, client, ca_pem });
        }
        (Some(ca_pem), Some(client)) => {
            check_cluster(config, &ca_pem)?;
            format!(
                "its certificate is not good today (it ends {}; is this machine's clock right?)",
                client.ends()
            )
        }
        _ => NOT_YET.to_owned(),
    };
    let Some(token) = &config.token else { return Err(needs_token(&ended)) };
    let ca_pem = find_cluster(token, servers, machine, progress).await?;
    let ahead = clocks::ahead(&url(&servers.first.0, servers.first.1), machine).await;
    if let Some(why) = ahead.ok().flatten().and_then(clocks::complaint) {
        bail!("{why}");
    }
    // A group of its own: connections that showed the token end with it.
    let tasks = machine.tasks.child();
    let as_joiner = Machine { tasks: tasks.clone(), ..machine.clone() };
    let joiner: Arc<dyn Transport> =
        Arc::new(transport(&ca_pem, None, Credential::Token(token.secret_text()), servers, &as_joiner)?);
    let asked = ask(config, certificates, &joiner).await;
    tasks.stop().await;
    let client = asked?;
    certificates.keep_ca(&ca_pem)?;
    progress.step("joined the cluster");
    let transport = transport(&ca_pem, Some(client.live.clone()), Credential::None, servers, machine)?;
    Ok(Joined { transport, client, ca_pem })
}

/// A token that somebody gives to a machine that has joined must be of the same cluster.
fn check_cluster(config: &AgentConfig, ca_pem: &str) -> Result<()> {
    match &config.token {
        Some(token) if !pki::pin::is_among(token.pin(), ca_pem)? => bail!(
            "this machine is a node of another cluster than the token's; `knarr reset --data-dir {}` makes it leave that one",
            config.data_dir.display()
        ),
        _ => Ok(()),
    }
}

async fn ask(config: &AgentConfig, certificates: &Certificates, joiner: &Arc<dyn Transport>) -> Result<Held> {
    let node = Api::<Node>::new(joiner.clone()).find(&ObjectKey::cluster(&config.node_name)).await;
    match node {
        // In kubeadm's words.
        Ok(Some(node)) if node.is_ready() => bail!(
            "a Node with name {:?} and status \"Ready\" already exists in the cluster. You must delete the existing Node or change the \
             name of this new joining Node (--node-name)",
            config.node_name
        ),
        Ok(_) => {}
        Err(status) => return Err(refused(&status)),
    }
    certificates.ask_client(joiner).await
}

fn refused(status: &Status) -> anyhow::Error {
    match status.code {
        401 => anyhow::anyhow!(
            "the server does not know this token: it is mistyped, was removed, or its time is over. \
             On a server, `knarr token ls` lists tokens, `knarr token create` makes one"
        ),
        _ => anyhow::anyhow!("the server refuses this token: {status}"),
    }
}

fn transport(
    ca_pem: &str,
    identity: Option<Arc<LiveIdentity>>,
    credential: Credential,
    servers: &Known,
    machine: &Machine,
) -> Result<HttpsTransport> {
    let config = HttpsConfig {
        server: url(&servers.first.0, servers.first.1).parse().context("the server's URL")?,
        ca: ca_pem.to_owned(),
        server_name: Some(SERVER_NAME.into()),
        identity,
        credential,
        user_agent: "knarr-agent".into(),
    };
    let Machine { clock, random, tasks } = machine.clone();
    HttpsTransport::to_any(config, servers.servers.clone(), clock, random, tasks)
}

/// The CA of the cluster that the token is of. Waits while no server answers.
async fn find_cluster(
    token: &JoinToken,
    servers: &Known,
    machine: &Machine,
    progress: &Progress,
) -> Result<String> {
    let server = url(&servers.first.0, servers.first.1);
    let tasks = machine.tasks.child();
    let mut told = false;
    let ca = loop {
        match unverified_ca(&server, machine, &tasks).await {
            Ok(ca) => break ca,
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    progress.print(&format!("waiting for {server}: {error:#}\n"));
                }
                machine.clock.sleep(AGAIN).await;
            }
        }
    };
    tasks.stop().await;
    if !pki::pin::is_among(token.pin(), &ca).with_context(|| format!("read the CA of {server}"))? {
        bail!(
            "{server} belongs to another cluster than this token, or somebody stands between: its CA is not the one that the token \
             names. Nothing was told to it"
        );
    }
    Ok(ca)
}

/// To a server that nothing vouches for yet, without credentials.
pub(super) fn unverified(server: &str, machine: &Machine, tasks: &Tasks) -> Result<HttpsTransport> {
    let config = HttpsConfig {
        server: server.parse().context("the server's URL")?,
        ca: String::new(),
        server_name: None,
        identity: None,
        credential: Credential::None,
        user_agent: "knarr-agent".into(),
    };
    let (clock, random) = (machine.clock.clone(), machine.random.clone());
    HttpsTransport::unverified(config, clock, random, tasks.clone())
}

/// What the server says its CA is; whether that is so, the pin will show.
async fn unverified_ca(server: &str, machine: &Machine, tasks: &Tasks) -> Result<String> {
    let transport = unverified(server, machine, tasks)?;
    let answer = transport.get_path(&joining::info_path()).await?;
    let map: ConfigMap = client::api::decode(&answer).context("read cluster-info")?;
    joining::ca_in(&map).context("read the config map kube-public/cluster-info")
}
