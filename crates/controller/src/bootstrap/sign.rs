//! `bootstrap-signer-controller`: a detached JWS of cluster-info's kubeconfig for every token that may sign.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client::{Informer, Requeue, ViewScope};
use codec::Kind as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use ring::hmac;

use super::{SECRET_PREFIX, expires, is_token, value};
use crate::context::{Component, object, synced};

const NAMESPACE: &str = "kube-public";
const NAME: &str = "cluster-info";
const SIGNATURE: &str = "jws-kubeconfig-";

pub fn start(component: Component) {
    let secrets: Informer<Secret> = component.informer();
    let scope = ViewScope { namespace: NAMESPACE.into(), ..ViewScope::default() };
    let maps: Informer<ConfigMap> = Informer::scoped(&*component.views, &scope);
    let queue = component.queue::<ObjectKey>();
    let info = ObjectKey::new(NAMESPACE, NAME);
    let (woken, key) = (queue.clone(), info.clone());
    component.on(&maps, move |change| {
        if object(change).is_some_and(|m| m.key == key) {
            woken.add(key.clone());
        }
    });
    let (woken, key) = (queue.clone(), info);
    component.on(&secrets, move |change| {
        let token = |s: &std::sync::Arc<cache::Object>| {
            &*s.key.namespace == super::SYSTEM && s.key.name.starts_with(SECRET_PREFIX)
        };
        if object(change).is_some_and(token) {
            woken.add(key.clone());
        }
    });
    let wait = vec![synced(&secrets), synced(&maps)];
    let state = Arc::new((secrets, maps, component.api::<ConfigMap>(), component.clock.clone()));
    component.run(wait, &queue, 1, move |key| {
        let state = state.clone();
        async move {
            let (secrets, maps, api, clock) = &*state;
            let Some(mut map) = maps.get(&key) else { return Ok(Requeue::Never) };
            let have = map.data.clone().unwrap_or_default();
            let want = signed(&have, &secrets.list(super::SYSTEM), clock.now());
            if have == want {
                return Ok(Requeue::Never);
            }
            map.data = Some(want);
            match api.update(&map).await {
                Err(e) if e.is_conflict() || e.is_not_found() => Ok(Requeue::RateLimited),
                written => written.map(|_| Requeue::Never).context("sign cluster-info"),
            }
        }
    });
}

/// The map's data with one signature for every token that may sign, and no other.
pub(super) fn signed(
    data: &BTreeMap<String, String>,
    secrets: &[Secret],
    now: Timestamp,
) -> BTreeMap<String, String> {
    let mut data = data.clone();
    data.retain(|key, _| !key.starts_with(SIGNATURE));
    let Some(content) = data.get("kubeconfig").cloned() else { return data };
    for secret in secrets.iter().filter(|s| is_token(s)) {
        let (Some(id), Some(key)) = (value(secret, "token-id"), value(secret, "token-secret")) else {
            continue;
        };
        let named = secret.name() == format!("{SECRET_PREFIX}{id}");
        let may = value(secret, "usage-bootstrap-signing") == Some("true");
        if named && may && expires(secret).is_none_or(|end| end > now) {
            data.insert(format!("{SIGNATURE}{id}"), signature(&content, id, key));
        }
    }
    data
}

/// JWS in compact form (RFC 7515) by HMAC-SHA256, its payload left out (appendix F).
pub(super) fn signature(content: &str, id: &str, secret: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(serde_json::json!({ "alg": "HS256", "kid": id }).to_string());
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{header}.{}", URL_SAFE_NO_PAD.encode(content)).as_bytes());
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(tag))
}
