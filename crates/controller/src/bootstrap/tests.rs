use std::collections::BTreeMap;
use std::sync::Arc;

use client::fake::FakeApi;
use codec::Kind as _;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use stdx::{Random, Tasks};
use testkit::FakeClock;

use super::*;
use crate::context::{Component, Config};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// `id: key=value …`
fn token(id: &str, more: &[(&str, &str)]) -> Secret {
    let mut data: BTreeMap<String, ByteString> = BTreeMap::new();
    let given = [("token-id", id), ("token-secret", "0123456789abcdef")];
    for (key, value) in given.iter().chain(more) {
        data.insert((*key).into(), ByteString(value.as_bytes().to_vec()));
    }
    let mut secret = Secret { type_: Some(SECRET_TYPE.into()), data: Some(data), ..Secret::default() };
    secret.metadata.name = Some(format!("{SECRET_PREFIX}{id}"));
    secret.metadata.namespace = Some(SYSTEM.into());
    secret
}

#[test]
fn tokens_that_may_sign_do() {
    let data = BTreeMap::from([
        ("kubeconfig".to_owned(), "text".to_owned()),
        ("jws-kubeconfig-oldone".to_owned(), "x".to_owned()),
    ]);
    let signing = ("usage-bootstrap-signing", "true");
    let secrets = [
        token("abcdef", &[signing]),
        token("nosign", &[]),
        token("ended0", &[signing, ("expiration", "1970-01-01T00:00:00Z")]),
        token("unread", &[signing, ("expiration", "tomorrow")]),
        token("future", &[signing, ("expiration", "1970-01-01T00:00:01Z")]),
    ];
    let signed = sign::signed(&data, &secrets, NOW);
    let keys: Vec<&str> = signed.keys().map(String::as_str).collect();
    assert_eq!(keys, ["jws-kubeconfig-abcdef", "jws-kubeconfig-future", "kubeconfig"]);
    // Computed by Python's hmac over the same header and content.
    assert_eq!(
        signed["jws-kubeconfig-abcdef"],
        "eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9..v28Ea_KqmHOtFWksJ_4tbV6AFRNzMkrRUG_jsuLJz-4"
    );
}

#[tokio::test]
async fn tokens_go_when_their_time_is_over() {
    let clock = FakeClock::at(NOW);
    let (api, tasks) = (FakeApi::new(clock.shared()), Tasks::new());
    api.insert(&token("ended0", &[("expiration", "1969-12-31T00:00:00Z")]));
    api.insert(&token("lasts0", &[("expiration", "1970-01-01T01:00:00Z")]));
    api.insert(&token("always", &[]));
    start_cleaner(Component {
        name: "test",
        transport: api.transport(),
        views: api.transport(),
        clock: clock.shared(),
        random: Random::seeded(1),
        tasks: tasks.clone(),
        config: Arc::new(Config::default()),
    });
    let names = |api: &FakeApi| {
        api.all::<Secret>()
            .iter()
            .map(|s| s.name().trim_start_matches(SECRET_PREFIX).to_owned())
            .collect::<Vec<_>>()
    };
    api.until(|api| names(api) == ["always", "lasts0"]).await;
    clock.advance(SignedDuration::from_hours(1).unsigned_abs());
    api.until(|api| names(api) == ["always"]).await;
    assert!(api.all::<ConfigMap>().is_empty());
    tasks.stop().await;
}
