use std::sync::Arc;

use bytes::Bytes;
use client::Verb;
use client::fake::FakeApi;
use codec::Kind;
use k8s_openapi::ByteString;
use pki::request::Requested;
use resources::prelude::*;
use stdx::{Random, SystemClock, Tasks};

use super::*;
use crate::context::{Component, Config};

/// The request of `system:node:n`, made by openssl; what it says is all that is looked at here.
const NODE_REQUEST: &str = "-----BEGIN CERTIFICATE REQUEST-----
MIHrMIGRAgEAMC8xFTATBgNVBAoMDHN5c3RlbTpub2RlczEWMBQGA1UEAwwNc3lz
dGVtOm5vZGU6bjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABPuCTtpZqYTh+eVt
TzYNTP8ZA/xgDlba58guXiHqc57weT9qKn0nh/qz9EhKdmmn2qhCZfrBOWZNS+kz
3iAt4/agADAKBggqhkjOPQQDAgNJADBGAiEApsi4FrEOEoOgR1L8fJfAZHAiksLb
1w1WcN+24IN4FToCIQD++pE6ZiopQwfJ9V3Wl14Gp6Ax32098IISsa/maYDfBQ==
-----END CERTIFICATE REQUEST-----
";

fn request(signer: &str, usages: &[&str], user: &str) -> CertificateSigningRequest {
    let mut request = CertificateSigningRequest::default();
    request.metadata.name = Some("r".into());
    request.spec.request = ByteString(NODE_REQUEST.as_bytes().to_vec());
    request.spec.signer_name = signer.into();
    request.spec.usages = Some(usages.iter().map(|u| (*u).to_owned()).collect());
    request.spec.username = Some(user.into());
    request
}

fn started(starts: &[fn(Component)]) -> (FakeApi, Tasks) {
    let (api, tasks) = (FakeApi::new(SystemClock::shared()), Tasks::new());
    let signer = Signer::new(|_, usage, lifetime, _| Ok(format!("{usage:?} for {}s", lifetime.as_secs())));
    for start in starts {
        start(Component {
            name: "test",
            transport: api.transport(),
            views: api.transport(),
            clock: SystemClock::shared(),
            random: Random::seeded(1),
            tasks: tasks.clone(),
            config: Arc::new(Config { signer: Some(signer.clone()), ..Config::default() }),
        });
    }
    (api, tasks)
}

fn found(api: &FakeApi) -> CertificateSigningRequest {
    api.find("", "r").unwrap()
}

#[tokio::test]
async fn a_kubelet_that_may_gets_its_certificate() {
    let (api, tasks) = started(&[start_approver, start_signer]);
    api.react(|request| {
        (request.verb == Verb::Create && &*request.gvr.resource == "subjectaccessreviews").then(|| {
            let allowed = String::from_utf8_lossy(&request.body).contains("\"selfnodeclient\"");
            Ok(Bytes::from(format!(r#"{{"spec": {{}}, "status": {{"allowed": {allowed}}}}}"#)))
        })
    });
    let usages = ["client auth", "digital signature"];
    api.insert(&request(KUBELET_CLIENT, &usages, "system:node:n"));
    api.until(|api| found(api).is_issued()).await;
    let issued = found(&api);
    assert!(issued.is_approved());
    assert_eq!(issued.status.unwrap().certificate.unwrap().0, b"Client for 31536000s");
    tasks.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_the_signer_fails() {
    let (api, tasks) = started(&[start_signer]);
    let mut bad = request(KUBELET_SERVING, &["server auth"], "system:node:n");
    add_condition(&mut bad, "Approved", "x", "x", jiff::Timestamp::UNIX_EPOCH);
    api.insert(&bad);
    api.until(|api| found(api).has_condition("Failed")).await;
    let conditions = found(&api).status.unwrap().conditions.unwrap();
    assert_eq!(conditions[1].message.as_deref(), Some("DNS or IP subjectAltName is required"));
    tasks.stop().await;
}

#[test]
fn signers() {
    let node = Requested {
        common_name: "system:node:n".into(),
        groups: vec!["system:nodes".into()],
        ..Requested::default()
    };
    let judged = |signer: &str, usages: &[&str], asked: &Requested| {
        judge::usage(&request(signer, usages, "x"), asked).map(|r| r.map(|usage| format!("{usage:?}")))
    };
    let client = Some(Ok("Client".to_owned()));
    assert_eq!(judged(KUBELET_CLIENT, &["client auth"], &node), client);
    assert_eq!(judged(CLIENT, &["client auth", "key encipherment"], &Requested::default()), client);
    assert!(judged(CLIENT, &["client auth", "server auth"], &node).unwrap().is_err());
    let named = Requested { dns_names: vec!["n".into()], ..node.clone() };
    assert_eq!(
        judged(KUBELET_CLIENT, &["client auth"], &named),
        Some(Err("DNS subjectAltNames are not allowed"))
    );
    assert_eq!(judged(KUBELET_SERVING, &["server auth"], &named), Some(Ok("Server".to_owned())));
    let other = Requested { groups: vec!["staff".into()], ..node.clone() };
    assert_eq!(
        judged(KUBELET_CLIENT, &["client auth"], &other),
        Some(Err("subject organization is not system:nodes"))
    );
    assert_eq!(judged("example.com/own", &["client auth"], &node), None);
}

#[test]
fn old_ones_go() {
    let start = jiff::Timestamp::UNIX_EPOCH;
    let after = |hours: i64| start + jiff::SignedDuration::from_hours(hours);
    let mut one = request(CLIENT, &["client auth"], "x");
    one.metadata.creation_timestamp = Some(Time(start));
    assert!(!clean::left(&one, after(23)).is_zero() && clean::left(&one, after(24)).is_zero());
    add_condition(&mut one, "Denied", "x", "x", start);
    assert!(clean::left(&one, after(1)).is_zero());
    assert_eq!(one.name(), "r");
}

#[test]
fn requests_of_pods_go_soon() {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let after = |minutes: i64| start + jiff::SignedDuration::from_mins(minutes);
    let mut request = k8s_openapi::api::certificates::v1::PodCertificateRequest::default();
    assert!(!clean_pods::left(&request, start).is_zero());
    request.metadata.creation_timestamp = Some(Time(start));
    assert!(
        !clean_pods::left(&request, after(14)).is_zero() && clean_pods::left(&request, after(15)).is_zero()
    );
}
