//! How we say who we are, when not by certificate.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apimachinery::Status;
use async_trait::async_trait;
use stdx::clock::SharedClock;

/// A token in a file is replaced before it expires; it is read again this often.
const REREAD: Duration = Duration::from_secs(60);

/// A bearer token, or none.
#[derive(Default)]
pub enum Credential {
    #[default]
    None,
    Token(String),
    /// Re-read once a minute.
    TokenFile(TokenFile),
    /// Asked for every request.
    Source(Arc<dyn TokenSource>),
}

/// Somebody who always has a token that is good now.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// An error fails the request that needed the token.
    async fn token(&self) -> Result<String, Status>;
}

pub struct TokenFile {
    path: PathBuf,
    last: Mutex<Option<(Duration, String)>>,
}

impl Credential {
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Credential::TokenFile(TokenFile { path: path.into(), last: Mutex::default() })
    }

    pub(super) async fn token(&self, clock: &SharedClock) -> Result<Option<String>, Status> {
        match self {
            Credential::None => Ok(None),
            Credential::Token(token) => Ok(Some(token.clone())),
            Credential::TokenFile(file) => file.read(clock.monotonic()).await.map(Some),
            Credential::Source(source) => source.token().await.map(Some),
        }
    }
}

impl TokenFile {
    async fn read(&self, now: Duration) -> Result<String, Status> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, token)) = &last
            && now.saturating_sub(*at) < REREAD
        {
            return Ok(token.clone());
        }
        match (tokio::fs::read_to_string(&self.path).await, last) {
            (Ok(text), _) => {
                let token = text.trim().to_owned();
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, token.clone()));
                Ok(token)
            }
            // The old one may still be good.
            (Err(error), Some((_, token))) => {
                tracing::warn!(path = %self.path.display(), %error, "cannot read the token again");
                Ok(token)
            }
            (Err(error), None) => {
                Err(Status::internal(format!("read the token {}: {error}", self.path.display())))
            }
        }
    }
}
