//! Secrets of type `kubernetes.io/service-account-token` get the token of the account they name, and go with it.
//!
//! Contract: <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#token-controller>

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use client::api::DeleteOptions;
use client::{Api, Informer, Requeue};
use codec::Kind;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};

use crate::context::{Component, object, synced};

const SECRET_TYPE: &str = "kubernetes.io/service-account-token";
const ACCOUNT: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
const TOKEN: &str = "token";
const CA: &str = "ca.crt";
const NAMESPACE: &str = "namespace";

type Sign = dyn Fn(&Secret, &ServiceAccount) -> Result<String, String> + Send + Sync;

/// Signs the tokens that go into secrets.
#[derive(Clone)]
pub struct TokenSigner(Arc<Sign>);

impl TokenSigner {
    pub fn new(
        sign: impl Fn(&Secret, &ServiceAccount) -> Result<String, String> + Send + Sync + 'static,
    ) -> Self {
        TokenSigner(Arc::new(sign))
    }
}

impl std::fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenSigner")
    }
}

struct Tokens {
    secrets: Informer<Secret>,
    secret_api: Api<Secret>,
    account_api: Api<ServiceAccount>,
    accounts: Informer<ServiceAccount>,
    sign: TokenSigner,
    ca: String,
}

/// Does nothing where nobody signs.
pub fn start(component: Component) {
    let Some(sign) = component.config.token_signer.clone() else { return };
    let secrets = component.informer::<Secret>();
    let accounts = component.informer::<ServiceAccount>();
    let queue = component.queue::<ObjectKey>();
    let woken = queue.clone();
    component.on(&secrets, move |change| {
        if let Some(object) = object(change) {
            woken.add(object.key.clone());
        }
    });
    let (woken, seen) = (queue.clone(), secrets.clone());
    component.on(&accounts, move |change| {
        // One that comes, goes, or comes again as another: whatever names it is looked at.
        let Some(account) = object(change).filter(|_| change.old.is_none() || change.new.is_none()) else {
            return;
        };
        for secret in seen.list(&account.key.namespace) {
            if account_of(&secret).is_some_and(|(name, _)| *name == *account.key.name) {
                woken.add(ObjectKey::new(secret.namespace(), secret.name()));
            }
        }
    });
    let wait = vec![synced(&secrets), synced(&accounts)];
    let tokens = Arc::new(Tokens {
        secrets,
        secret_api: component.api(),
        account_api: component.api(),
        accounts,
        sign,
        ca: component.config.root_ca.clone(),
    });
    component.run(wait, &queue, 1, move |key| {
        let tokens = tokens.clone();
        async move { tokens.reconcile(&key).await }
    });
}

impl Tokens {
    async fn reconcile(&self, key: &ObjectKey) -> anyhow::Result<Requeue> {
        let Some(secret) = self.secrets.get(key) else { return Ok(Requeue::Never) };
        let Some((name, uid)) = account_of(&secret) else { return Ok(Requeue::Never) };
        if secret.metadata.deletion_timestamp.is_some() {
            return Ok(Requeue::Never);
        }
        let account = self.account(&key.namespace, name, uid).await?;
        let done = match diff(&secret, account.as_ref(), &self.ca, &self.sign)? {
            Action::Nothing => Ok(()),
            Action::Delete => {
                let options = DeleteOptions::uid(secret.uid());
                self.secret_api.delete(&key.namespace, &key.name, &options).await
            }
            Action::Update(secret) => self.secret_api.update(&secret).await.map(drop),
        };
        match done {
            // Somebody was quicker; his change comes here, too.
            Err(e) if e.is_not_found() || e.is_conflict() => Ok(Requeue::Never),
            result => result.map(|()| Requeue::Never).context("keep a service-account token"),
        }
    }

    /// The account, with that uid unless it is empty: as seen; where it is not, as it is.
    async fn account(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> anyhow::Result<Option<ServiceAccount>> {
        let key = ObjectKey::new(namespace, name);
        let same = |account: &ServiceAccount| uid.is_empty() || account.uid() == uid;
        if let Some(account) = self.accounts.get(&key).filter(same) {
            return Ok(Some(account));
        }
        Ok(self.account_api.find(&key).await.context("read the service account")?.filter(same))
    }
}

/// Name and uid (which may be empty) of the account whose token the secret is to hold.
fn account_of(secret: &Secret) -> Option<(&str, &str)> {
    let annotations = secret.metadata.annotations.as_ref()?;
    let text = |key: &str| annotations.get(key).map(String::as_str).unwrap_or_default();
    let wanted = secret.type_.as_deref() == Some(SECRET_TYPE) && !text(ACCOUNT).is_empty();
    wanted.then(|| (text(ACCOUNT), text(ACCOUNT_UID)))
}

#[derive(Debug)]
enum Action {
    Nothing,
    Delete,
    Update(Box<Secret>),
}

fn diff(
    secret: &Secret,
    account: Option<&ServiceAccount>,
    ca: &str,
    sign: &TokenSigner,
) -> anyhow::Result<Action> {
    let Some(account) = account else { return Ok(Action::Delete) };
    let mut wanted = secret.clone();
    let data: &mut BTreeMap<String, ByteString> = wanted.data.get_or_insert_default();
    let is = |data: &BTreeMap<String, ByteString>, key: &str| data.get(key).is_some_and(|v| !v.0.is_empty());
    if !ca.is_empty() && data.get(CA).is_none_or(|have| have.0 != ca.as_bytes()) {
        data.insert(CA.into(), ByteString(ca.into()));
    }
    if !is(data, NAMESPACE) {
        data.insert(NAMESPACE.into(), ByteString(secret.namespace().into()));
    }
    if !is(data, TOKEN) {
        let token = (sign.0)(secret, account).map_err(|why| anyhow::anyhow!("sign a token: {why}"))?;
        data.insert(TOKEN.into(), ByteString(token.into()));
    }
    if wanted.data == secret.data {
        return Ok(Action::Nothing);
    }
    let annotations = wanted.metadata.annotations.get_or_insert_default();
    annotations.insert(ACCOUNT.into(), account.name().into());
    annotations.insert(ACCOUNT_UID.into(), account.uid().into());
    Ok(Action::Update(Box::new(wanted)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(value: serde_json::Value) -> Secret {
        Secret::from_json(value.to_string().as_bytes()).expect("a secret")
    }

    /// What is done about a secret of account `robot`, whose uid is `u`.
    fn check(annotations: serde_json::Value, data: serde_json::Value, exists: bool, wanted: &str) {
        let given = secret(json!({
            "metadata": {"name": "s", "namespace": "ns", "annotations": annotations},
            "type": SECRET_TYPE, "data": data,
        }));
        let account = json!({"metadata": {"name": "robot", "namespace": "ns", "uid": "u"}}).to_string();
        let account = ServiceAccount::from_json(account.as_bytes()).expect("an account");
        let sign = TokenSigner::new(|secret, account| Ok(format!("{}:{}", secret.name(), account.uid())));
        let action = diff(&given, exists.then_some(&account), "CA", &sign).expect("an action");
        let shown = match action {
            Action::Nothing => "nothing".to_owned(),
            Action::Delete => "delete".to_owned(),
            Action::Update(s) => {
                let data =
                    s.data.iter().flatten().map(|(k, v)| format!("{k}={}", String::from_utf8_lossy(&v.0)));
                let uid = s.metadata.annotations.iter().flatten().find(|(k, _)| *k == ACCOUNT_UID);
                format!("{} uid={}", data.collect::<Vec<_>>().join(" "), uid.map_or("", |(_, v)| v))
            }
        };
        assert_eq!(shown, wanted);
    }

    #[test]
    fn secrets_are_filled_and_go_with_their_account() {
        let robot = || json!({ ACCOUNT: "robot" });
        check(robot(), json!({}), true, "ca.crt=CA namespace=ns token=s:u uid=u");
        check(robot(), json!({}), false, "delete");
        let full = json!({"ca.crt": "Q0E=", "namespace": "bnM=", "token": "dA=="});
        check(json!({ ACCOUNT: "robot", ACCOUNT_UID: "u" }), full.clone(), true, "nothing");
        let old = json!({"ca.crt": "b2xk", "namespace": "bnM=", "token": "dA=="});
        check(robot(), old, true, "ca.crt=CA namespace=ns token=t uid=u");
    }
}
