//! `knarr token`: tokens of a running cluster, by whoever may write its secrets.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use client::https::{HttpsTransport, kubeconfig};
use client::{Api, DeleteOptions, Options, Transport};
use codec::Kind as _;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use stdx::{Random, SystemClock, Tasks};

use super::{JoinToken, NAMESPACE, SECRET_TYPE, Token, split};
use crate::joining;

/// The API's tokens.
pub struct Tokens {
    transport: Arc<dyn Transport>,
    api: Api<Secret>,
    pin: String,
}

/// A token as `knarr token ls` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// With the pin: whole, that one may join with it.
    pub token: JoinToken,
    pub expires: Option<Timestamp>,
    /// `authentication`, `signing`
    pub usages: Vec<String>,
    pub description: String,
    pub extra_groups: String,
}

/// What a new token is to be.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// `None`: for ever.
    pub ttl: Option<Duration>,
    pub description: String,
    /// A new one when empty.
    pub token: Option<Token>,
}

/// Runs `work` with the tokens of the cluster that the kubeconfig names.
pub fn with<T>(kubeconfig: &Path, work: impl AsyncFnOnce(&Tokens) -> Result<T>) -> Result<T> {
    crate::install_tls();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start")?;
    runtime.block_on(async {
        let loaded = kubeconfig::load(kubeconfig, "knarr")?;
        let cas = pki::identity::certificates(&loaded.config.ca)?;
        let ca = cas.first().context("the kubeconfig names no CA")?;
        let pin = pki::pin::of(ca)?;
        let tasks = Tasks::new();
        let https =
            HttpsTransport::new(loaded.config, SystemClock::shared(), Random::from_os(), tasks.clone())?;
        let transport: Arc<dyn Transport> = Arc::new(https);
        let done = work(&Tokens { api: Api::new(transport.clone()), transport, pin }).await;
        tasks.stop().await;
        done
    })
}

impl Tokens {
    /// Makes a token. One with this id may not be there yet.
    pub async fn create(&self, wanted: Wanted) -> Result<JoinToken> {
        let token = wanted.token.unwrap_or_else(Token::generate);
        let mut secret = token.secret(&wanted.description);
        if let Some(ttl) = wanted.ttl {
            let end = SystemClock::shared().now() + ttl;
            let end = Timestamp::from_second(end.as_second()).context("the token's end")?;
            secret.data.get_or_insert_default().insert("expiration".into(), text(&end.to_string()));
        }
        if wanted.description.is_empty() {
            secret.data.get_or_insert_default().remove("description");
        }
        match self.api.create(&secret).await {
            Err(e) if e.is_already_exists() => {
                bail!("a token with the id {} exists; `knarr token rm {}` removes it", token.id, token.id)
            }
            made => made.context("make the token's secret")?,
        };
        Ok(JoinToken::new(self.pin.clone(), token))
    }

    /// All of them, those that can still join first of all by their end.
    pub async fn list(&self) -> Result<Vec<Row>> {
        let options = Options { field_selector: format!("type={SECRET_TYPE}"), ..Options::default() };
        let secrets = self.api.list(NAMESPACE, &options).await.context("list the tokens' secrets")?;
        let mut rows: Vec<Row> = secrets.items.iter().filter_map(|s| self.row(s)).collect();
        rows.sort_by_key(|r| (r.expires.is_none(), r.expires, r.token.text()));
        Ok(rows)
    }

    fn row(&self, secret: &Secret) -> Option<Row> {
        let data = secret.data.as_ref()?;
        let value = |key: &str| data.get(key).map(|v| String::from_utf8_lossy(&v.0).into_owned());
        let token = Token::parse(&format!("{}.{}", value("token-id")?, value("token-secret")?)).ok()?;
        let usages = ["authentication", "signing"].map(str::to_owned).into_iter();
        Some(Row {
            token: JoinToken::new(self.pin.clone(), token),
            expires: value("expiration").and_then(|e| e.parse().ok()),
            usages: usages
                .filter(|u| value(&format!("usage-bootstrap-{u}")).as_deref() == Some("true"))
                .collect(),
            description: value("description").unwrap_or_default(),
            extra_groups: value("auth-extra-groups").unwrap_or_default(),
        })
    }

    /// Removes a token, named by its id or whole.
    pub async fn remove(&self, named: &str) -> Result<()> {
        let bare = named.rsplit_once('.').map_or(named, |(before, _)| before);
        let id = bare.rsplit_once('.').map_or(bare, |(_, id)| id);
        if split(&format!("{id}.0123456789abcdef")).is_none() {
            bail!("no id of a token: 6 characters of a-z and 0-9, as `knarr token ls` shows them");
        }
        let name = format!("bootstrap-token-{id}");
        match self.api.delete(NAMESPACE, &name, &DeleteOptions::default()).await {
            Err(e) if e.is_not_found() => bail!("no token with the id {id}; `knarr token ls` lists them"),
            gone => gone.context("remove the token's secret"),
        }
    }

    /// Where machines that join find the API.
    pub async fn server(&self) -> Result<String> {
        let maps = Api::<ConfigMap>::new(self.transport.clone());
        let (namespace, name) = joining::INFO;
        let map = maps.get(namespace, name).await.context("read cluster-info")?;
        joining::server_in(&map).with_context(|| format!("read the config map {}", map.name()))
    }
}

fn text(value: &str) -> ByteString {
    ByteString(value.as_bytes().to_vec())
}
