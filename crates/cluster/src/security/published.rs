//! `kube-system/extension-apiserver-authentication`: whom this API server believes, for aggregated servers, which have to
//! believe the same.
//!
//! Contract: <https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/#contacting-the-extension-apiserver>

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;
use apimachinery::ObjectKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client::transport::ViewScope;
use client::{Api, Informer, Requeue, Transport, WorkQueue};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use stdx::Tasks;
use stdx::clock::SharedClock;

use super::FrontProxy;
use super::live::Trusts;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";
const CLIENT_CA: &str = "client-ca-file";
const PROXY_CA: &str = "requestheader-client-ca-file";

type Data = BTreeMap<String, String>;

/// Publishes, and puts back whatever somebody changes. `transport` may write config maps in kube-system.
pub fn start(
    transport: Arc<dyn Transport>,
    clock: SharedClock,
    tasks: &Tasks,
    trusts: Arc<Trusts>,
    proxy: Option<FrontProxy>,
) {
    let scope = ViewScope {
        namespace: NAMESPACE.into(),
        field_selector: format!("metadata.name={NAME}"),
        ..ViewScope::default()
    };
    let maps = Informer::<ConfigMap>::scoped(&*transport, &scope);
    let queue = WorkQueue::new(clock.clone());
    let woken = queue.clone();
    maps.on_change(tasks, move |_| woken.add(NAME));
    queue.add(NAME);
    let (again, mut changes) = (queue.clone(), trusts.changes.subscribe());
    tasks.spawn_until_shutdown(async move {
        while changes.changed().await.is_ok() {
            again.add(NAME);
        }
    });
    let state = Arc::new((maps, Api::<ConfigMap>::new(transport), (trusts, proxy), clock));
    let (running, owner) = (state.clone(), tasks.clone());
    tasks.spawn_until_shutdown(async move {
        running.0.synced().await;
        client::queue::run("extension-apiserver-authentication", &queue, &owner, 1, move |_| {
            let state = state.clone();
            let (trusts, proxy) = &state.2;
            let own = own(trusts, proxy.as_ref());
            async move { reconcile(&state.0, &state.1, &own, &state.3).await }
        });
    });
}

async fn reconcile(
    maps: &Informer<ConfigMap>,
    api: &Api<ConfigMap>,
    own: &Data,
    clock: &SharedClock,
) -> anyhow::Result<Requeue> {
    let found = maps.get(&ObjectKey::new(NAMESPACE, NAME));
    let before = found.as_ref().and_then(|map| map.data.clone()).unwrap_or_default();
    let data = merged(&before, own, clock.now());
    let done = match found {
        Some(_) if data == before => Ok(()),
        Some(mut map) => {
            map.data = Some(data);
            api.update(&map).await.map(drop)
        }
        None => {
            let metadata = ObjectMeta {
                namespace: Some(NAMESPACE.into()),
                name: Some(NAME.into()),
                ..ObjectMeta::default()
            };
            api.create(&ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }).await.map(drop)
        }
    };
    match done {
        // Somebody was quicker; his change wakes us.
        Err(e) if e.is_already_exists() || e.is_conflict() => Ok(Requeue::Never),
        result => result.map(|()| Requeue::Never).context("publish whom the API server believes"),
    }
}

/// What this server has to say.
fn own(trusts: &Trusts, proxy: Option<&FrontProxy>) -> Data {
    let mut data = Data::from([(CLIENT_CA.to_owned(), trusts.clients.current().pem.clone())]);
    let (Some(proxy), Some(proxies)) = (proxy, &trusts.proxies) else { return data };
    data.insert(PROXY_CA.into(), proxies.current().pem.clone());
    for (key, list) in [
        ("requestheader-allowed-names", &proxy.allowed_names),
        ("requestheader-extra-headers-prefix", &proxy.headers.extra_prefix),
        ("requestheader-group-headers", &proxy.headers.group),
        ("requestheader-uid-headers", &proxy.headers.uid),
        ("requestheader-username-headers", &proxy.headers.user),
    ] {
        data.insert(key.into(), serde_json::json!(list).to_string());
    }
    data
}

/// What is there already (another server may believe more) with what is ours. CAs that have expired go.
fn merged(before: &Data, own: &Data, now: jiff::Timestamp) -> Data {
    let mut data = Data::new();
    for (key, value) in own {
        let old = before.get(key).map(String::as_str).unwrap_or_default();
        let both = match key.as_str() {
            CLIENT_CA | PROXY_CA => certificates(old, value, now),
            _ => names(old, value),
        };
        data.insert(key.clone(), both);
    }
    for (key, value) in before.iter().filter(|(key, _)| !own.contains_key(*key)) {
        data.insert(key.clone(), value.clone());
    }
    data
}

fn names(old: &str, new: &str) -> String {
    let list = |json: &str| serde_json::from_str::<BTreeSet<String>>(json).unwrap_or_default();
    let both: BTreeSet<String> = list(old).into_iter().chain(list(new)).collect();
    serde_json::json!(both).to_string()
}

fn certificates(old: &str, new: &str, now: jiff::Timestamp) -> String {
    let mut seen = BTreeSet::new();
    let mut pem = String::new();
    for text in [old, new] {
        // What somebody else wrote there may be anything.
        for der in pki::identity::certificates(text).unwrap_or_default() {
            let alive = pki::identity::validity(&der).is_ok_and(|(_, not_after)| now <= not_after);
            if alive && seen.insert(der.to_vec()) {
                pem.push_str(&certificate(&der));
            }
        }
    }
    pem
}

fn certificate(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_believe_stays() {
        let now = "2026-11-24T12:00:00Z".parse().expect("a time");
        let (ours, _) = pki::Ca::create("ours", now).expect("a CA");
        let (theirs, _) = pki::Ca::create("theirs", now).expect("a CA");
        let proxy = FrontProxy {
            ca_pem: ours.cert_pem().into(),
            allowed_names: vec!["front".into()],
            headers: Default::default(),
        };
        let live = || Arc::new(pki::LiveTrust::new(ours.cert_pem()).expect("a CA"));
        let changes = tokio::sync::watch::Sender::new(0);
        let own = own(&Trusts { clients: live(), proxies: Some(live()), changes }, Some(&proxy));
        let first = merged(&Data::new(), &own, now);
        assert_eq!(first["requestheader-allowed-names"], "[\"front\"]");
        assert_eq!(first["requestheader-username-headers"], "[\"X-Remote-User\"]");
        assert_eq!(first[CLIENT_CA].trim(), ours.cert_pem().trim());
        assert_eq!(merged(&first, &own, now), first, "nothing to do");
        let mut more = first.clone();
        more.insert(CLIENT_CA.into(), theirs.cert_pem().into());
        more.insert("requestheader-allowed-names".into(), "[\"other\"]".into());
        more.insert("note".into(), "of somebody".into());
        let both = merged(&more, &own, now);
        assert_eq!(pki::identity::certificates(&both[CLIENT_CA]).expect("PEM").len(), 2);
        assert_eq!(both["requestheader-allowed-names"], "[\"front\",\"other\"]");
        assert_eq!(both["note"], "of somebody");
        more.insert(CLIENT_CA.into(), "nonsense".into());
        assert_eq!(merged(&more, &own, now)[CLIENT_CA], first[CLIENT_CA]);
    }
}
