//! Authentication: from a request's credentials to a [`UserInfo`]. [`Authentication`] is the whole of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

pub mod bootstrap_token;
pub mod cache;
pub mod claims;
pub mod delegated;
pub mod jws;
pub mod request_header;
pub mod review;
pub mod service_account;
pub mod static_token;
pub mod x509;

#[cfg(test)]
mod tests;

pub use bootstrap_token::BootstrapTokens;
pub use delegated::DelegatedAuthentication;
pub use request_header::{HeaderNames, RequestHeader};
pub use service_account::ServiceAccountTokens;
pub use static_token::StaticTokens;
pub use x509::X509;

/// Every request's group once it is known whom it is from.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The group of requests without credentials.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The user of requests without credentials.
pub const ANONYMOUS: &str = "system:anonymous";

/// Who a request comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserInfo {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl UserInfo {
    pub fn new(name: &str, groups: &[&str]) -> Self {
        UserInfo {
            name: name.into(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            ..Self::default()
        }
    }

    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// The user of requests without credentials.
    pub fn anonymous() -> Self {
        Self::new(ANONYMOUS, &[UNAUTHENTICATED])
    }

    /// A service account, as a component of ours that acts as one. Its uid is not known to it.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        UserInfo {
            name: claims::username(namespace, name),
            groups: claims::groups(namespace),
            ..Self::default()
        }
        .authenticated()
    }

    /// With the group of all known users.
    pub fn authenticated(mut self) -> Self {
        if self.name != ANONYMOUS && !self.in_group(AUTHENTICATED) && !self.in_group(UNAUTHENTICATED) {
            self.groups.push(AUTHENTICATED.into());
        }
        self
    }
}

/// What a request shows of its sender.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The client certificate chain as presented in the handshake, DER, leaf first; empty without one.
    pub certificates: Vec<Vec<u8>>,
    /// The bearer token.
    pub token: Option<String>,
    /// All headers that are text, for [`RequestHeader`]; needed of requests with a certificate only.
    pub headers: Vec<(String, String)>,
}

/// One way of telling who asks. `Ok(None)`: these credentials are not of my sort; `Err`: they are, and they are bad (401).
#[async_trait]
pub trait Authenticator: Send + Sync {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Option<UserInfo>, String>;
}

/// Whom a token stands for, and at which of the audiences asked for it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUser {
    pub user: UserInfo,
    pub audiences: Vec<String>,
}

/// One sort of bearer token. The results mean what [`Authenticator`]'s mean.
#[async_trait]
pub trait TokenAuthenticator: Send + Sync {
    /// `audiences`: where the token is shown; the API server's own for its requests.
    async fn authenticate_token(
        &self,
        token: &str,
        audiences: &[String],
    ) -> Result<Option<TokenUser>, String>;
}

/// All of authentication: a front proxy's headers, client certificates, then bearer tokens, then nobody.
pub struct Authentication {
    front_proxy: Option<RequestHeader>,
    x509: Option<X509>,
    tokens: Vec<Arc<dyn TokenAuthenticator>>,
    audiences: Vec<String>,
    anonymous: bool,
}

impl Authentication {
    /// `audiences` are the API server's own.
    pub fn new(
        x509: Option<X509>,
        tokens: Vec<Arc<dyn TokenAuthenticator>>,
        audiences: Vec<String>,
        anonymous: bool,
    ) -> Self {
        Authentication { front_proxy: None, x509, tokens, audiences, anonymous }
    }

    /// Believes a front proxy's headers, too.
    pub fn with_front_proxy(mut self, proxy: RequestHeader) -> Self {
        self.front_proxy = Some(proxy);
        self
    }

    /// The API server's own audiences.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Whom `token` stands for where it is shown at `audiences`. A token that nobody knows is an error.
    pub async fn authenticate_token(&self, token: &str, audiences: &[String]) -> Result<TokenUser, String> {
        let mut errors = Vec::new();
        for tokens in &self.tokens {
            match tokens.authenticate_token(token, audiences).await {
                Ok(Some(mut found)) => {
                    found.user = found.user.authenticated();
                    return Ok(found);
                }
                Ok(None) => {}
                Err(e) => errors.push(e),
            }
        }
        Err(if errors.is_empty() { "invalid bearer token".into() } else { aggregate(&errors) })
    }
}

#[async_trait]
impl Authenticator for Authentication {
    /// `None` only where anonymous requests are not allowed.
    async fn authenticate(&self, credentials: &Credentials) -> Result<Option<UserInfo>, String> {
        let mut errors = Vec::new();
        if let Some(proxy) = &self.front_proxy {
            match proxy.authenticate(credentials) {
                Ok(Some(user)) => return Ok(Some(user.authenticated())),
                Ok(None) => {}
                Err(e) => errors.push(e),
            }
        }
        if let Some(x509) = &self.x509 {
            match x509.authenticate(credentials).await {
                Ok(Some(user)) => return Ok(Some(user.authenticated())),
                Ok(None) => {}
                Err(e) => errors.push(e),
            }
        }
        if let Some(token) = &credentials.token {
            match self.authenticate_token(token, &self.audiences).await {
                Ok(found) => return Ok(Some(found.user)),
                Err(e) => errors.push(e),
            }
        }
        if errors.is_empty() { Ok(self.anonymous.then(UserInfo::anonymous)) } else { Err(aggregate(&errors)) }
    }
}

/// As Go's `errors.Aggregate` prints: one bare, several in brackets.
pub(crate) fn aggregate(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}
