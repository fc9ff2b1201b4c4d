//! How a component finds the API: `--kubeconfig`, `--master`, or both.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use client::Transport;
use client::https::{Credential, HttpsConfig, HttpsTransport, kubeconfig};

use super::Process;

/// Where the API is, and as whom to go there.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub kubeconfig: Option<PathBuf>,
    /// A URL, which overrides the kubeconfig's server.
    pub master: Option<String>,
    pub user_agent: &'static str,
}

/// The API, and the CA that it is trusted by (empty over plain HTTP).
pub struct Reached {
    pub transport: Arc<dyn Transport>,
    pub ca_pem: String,
}

impl Access {
    /// Connects when the first request needs it.
    pub fn open(&self, process: &Process) -> Result<Reached> {
        let config = self.config()?;
        let ca_pem = config.ca.clone();
        let (clock, random) = (process.clock.clone(), process.random.clone());
        let transport = HttpsTransport::new(config, clock, random, process.groups.api.clone())?;
        Ok(Reached { transport: Arc::new(transport), ca_pem })
    }

    pub(super) fn config(&self) -> Result<HttpsConfig> {
        let master = self.master.as_deref().map(url).transpose()?;
        match (&self.kubeconfig, master) {
            (Some(file), master) => {
                let mut config = kubeconfig::load(file, self.user_agent).context("--kubeconfig")?.config;
                if let Some(master) = master {
                    config.server = master;
                }
                Ok(config)
            }
            (None, Some(server)) if server.scheme_str() == Some("http") => Ok(HttpsConfig {
                server,
                ca: String::new(),
                server_name: None,
                identity: None,
                credential: Credential::None,
                user_agent: self.user_agent.to_owned(),
            }),
            (None, Some(_)) => {
                bail!("--master with https needs --kubeconfig, which says whom to trust and who we are")
            }
            (None, None) => {
                bail!("where is the API server? Give --kubeconfig FILE, or --master http://HOST:8080")
            }
        }
    }
}

/// `http://host:port`; a bare `host:port` is http, as it always was.
fn url(text: &str) -> Result<http::Uri> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let uri: http::Uri = whole.parse().with_context(|| format!("--master {text:?} is no URL"))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) => Ok(uri),
        _ => bail!("--master {text:?}: write http://HOST:PORT or https://HOST:PORT"),
    }
}
