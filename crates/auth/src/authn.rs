//! Authentication: from a request's credentials to a [`UserInfo`].

use std::collections::BTreeMap;

use async_trait::async_trait;

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
}

/// What a request shows of its sender.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The client certificate chain as presented in the handshake, DER, leaf first; empty without one.
    pub certificates: Vec<Vec<u8>>,
    /// The bearer token.
    pub token: Option<String>,
}

/// One way of telling who asks. `Ok(None)`: these credentials are not of my sort; `Err`: they are, and they are bad (401).
#[async_trait]
pub trait Authenticator: Send + Sync {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Option<UserInfo>, String>;
}
