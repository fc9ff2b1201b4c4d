//! Where the API servers are: what the user named, and what the endpoints of the service `kubernetes` say since.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use client::https::Servers;
use client::{Informer, Transport, ViewScope};
use futures::StreamExt as _;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use resources::discovery::endpoint_slice::SERVICE_NAME;

use super::{AgentConfig, Machine};

/// In the agent's directory: a server a line, so that a restart knows also those that the user did not name.
const FILE: &str = "servers";
const USUAL_PORT: u16 = 6443;

/// The list, kept in a file.
pub struct Known {
    pub servers: Arc<Servers>,
    /// The first to ask.
    pub first: (String, u16),
    named: Vec<(String, u16)>,
    file: PathBuf,
}

impl Known {
    pub fn load(config: &AgentConfig) -> Result<Self> {
        let file = config.data_dir.join(FILE);
        let named: Vec<_> = config.servers.iter().map(|s| address(s)).collect::<Result<_>>()?;
        let kept = pki::files::read_if_there(&file)?.unwrap_or_default();
        let kept = kept.lines().filter_map(|l| address(l).ok());
        let mut all = named.clone();
        for server in kept {
            if !all.contains(&server) {
                all.push(server);
            }
        }
        let Some(first) = all.first().cloned() else {
            bail!("no server is known; name one with --server https://HOST:6443");
        };
        Ok(Known { servers: Arc::new(Servers::new(all)), first, named, file })
    }

    /// Follows the endpoints of the service `kubernetes` from now on.
    pub fn keep(self, transport: Arc<dyn Transport>, machine: &Machine) {
        let scope = ViewScope {
            namespace: "default".into(),
            label_selector: format!("{SERVICE_NAME}=kubernetes"),
            ..ViewScope::default()
        };
        let slices = Informer::<EndpointSlice>::scoped(&*transport, &scope);
        machine.tasks.spawn_until_shutdown(async move {
            slices.synced().await;
            let mut changes = slices.subscribe();
            while changes.next().await.is_some() {
                let mut all = self.named.clone();
                for server in slices.list("").iter().flat_map(addresses) {
                    if !all.contains(&server) {
                        all.push(server);
                    }
                }
                let lines: String =
                    all.iter().map(|(host, port)| format!("{}\n", url(host, *port))).collect();
                if let Err(error) = pki::files::write_private(&self.file, lines.as_bytes()) {
                    tracing::warn!("cannot keep the list of servers: {error:#}");
                }
                self.servers.replace(all).await;
            }
        });
    }
}

fn addresses(slice: &EndpointSlice) -> Vec<(String, u16)> {
    let port = slice.ports.iter().flatten().find_map(|p| u16::try_from(p.port?).ok()).unwrap_or(USUAL_PORT);
    let endpoints = slice.endpoints.iter().flatten();
    endpoints.flat_map(|e| e.addresses.iter().map(move |a| (a.clone(), port))).collect()
}

/// `https://host:port`
pub fn url(host: &str, port: u16) -> String {
    if host.contains(':') { format!("https://[{host}]:{port}") } else { format!("https://{host}:{port}") }
}

/// Host and port of `--server`.
pub fn address(server: &str) -> Result<(String, u16)> {
    let uri: http::Uri = server.parse().with_context(|| format!("--server {server:?} is no URL"))?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    if uri.scheme_str() != Some("https") || host.is_empty() || !matches!(uri.path(), "" | "/") {
        bail!("--server {server:?}: write https://HOST:{USUAL_PORT}");
    }
    Ok((host.to_owned(), uri.port_u16().unwrap_or(USUAL_PORT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_https_urls() {
        let good = |s: &str| address(s).ok();
        assert_eq!(good("https://h:1"), Some(("h".into(), 1)));
        assert_eq!(good("https://[2001:db8::1]/"), Some(("2001:db8::1".into(), 6443)));
        for bad in ["h:6443", "http://h:6443", "https://", "https://h/api", ""] {
            let error = address(bad).err().map(|e| format!("{e:#}")).unwrap_or_default();
            assert!(error.contains("--server"), "{bad}: {error}");
        }
        assert_eq!(url("2001:db8::1", 1), "https://[2001:db8::1]:1");
    }
}
