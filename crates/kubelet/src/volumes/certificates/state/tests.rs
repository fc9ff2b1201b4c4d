use expect_test::{Expect, expect};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::*;

fn at(time: &str) -> Timestamp {
    format!("2026-01-01T{time}Z").parse().unwrap()
}

/// A self-signed certificate of this day, in PEM.
fn certificate() -> String {
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, 1, 2);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

fn request(name: &str, status: Value) -> PodCertificateRequest {
    let spec = json!({"signerName": "", "podName": "p", "podUID": "", "serviceAccountName": "", "serviceAccountUID": "",
        "nodeName": "", "nodeUID": "", "stubPKCS10Request": ""});
    serde_json::from_value(
        json!({"metadata": {"namespace": "ns", "name": name}, "spec": spec, "status": status}),
    )
    .unwrap()
}

fn answered(name: &str, kind: &str, chain: &str) -> PodCertificateRequest {
    let condition = json!({"type": kind, "status": "True", "reason": "Because", "message": "so", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let mut status = json!({"conditions": [condition]});
    if kind == ISSUED {
        status["certificateChain"] = chain.into();
        status["notBefore"] = "2026-01-01T00:00:00Z".into();
        status["notAfter"] = "2026-01-02T00:00:00Z".into();
        status["beginRefreshAt"] = "2026-01-01T12:00:00Z".into();
    }
    request(name, status)
}

fn asked(name: &str) -> Asked {
    Asked { key: format!("KEY {name}\n"), name: name.into(), seen: false, abandon_at: at("00:10:00") }
}

/// What the state says at a moment.
fn said(state: &State, now: &str) -> String {
    let bundle = match state.bundle() {
        Ok((bundle, again)) => {
            let again = again.map_or("never".into(), |t| t.to_string());
            format!("{} until {again}", bundle.key.trim())
        }
        Err(why) => why,
    };
    format!("{now}: wants={} {bundle}\n", state.wants(at(now)))
}

fn check(text: &str, expect: Expect) {
    expect.assert_eq(text);
}

#[test]
fn from_the_first_request_to_the_last() {
    let none = SignedDuration::ZERO;
    let mut state = State::default();
    let mut text = said(&state, "00:00:00");
    state.asked(asked("r1"));
    assert_eq!(state.settle(&[], at("00:00:01"), none), None);
    assert!(state.has_nothing_yet());
    text += &said(&state, "00:00:01");
    let noisy = format!("noise\n{}\nmore", certificate());
    state.settle(&[request("r0", json!({})), answered("r1", ISSUED, &noisy)], at("00:00:02"), none);
    assert!(!state.bundle().unwrap().0.chain.contains("noise") && !state.has_nothing_yet());
    text += &said(&state, "00:00:02");
    text += &said(&state, "12:00:00");
    state.asked(asked("r2"));
    text += &said(&state, "12:00:00");
    assert_eq!(state.overdue(at("12:10:00")), []);
    text += &format!("{:?}\n", state.overdue(at("12:10:01")));
    assert_eq!(state.overdue(at("12:10:02")), []);
    text += &said(&state, "12:10:02");
    state.settle(&[answered("r2", ISSUED, &certificate())], at("12:10:02"), SignedDuration::from_secs(7));
    text += &said(&state, "12:10:02");
    check(
        &text,
        expect![[r#"
            00:00:00: wants=true credential bundle is not issued yet
            00:00:01: wants=false credential bundle is not issued yet
            00:00:02: wants=false KEY r1 until 2026-01-01T12:00:00Z
            12:00:00: wants=true KEY r1 until 2026-01-01T12:00:00Z
            12:00:00: wants=false KEY r1 until 2026-01-01T12:10:01Z
            [Told { reason: "CertificateOverdueForRefresh", message: "PodCertificate refresh overdue" }]
            12:10:02: wants=false KEY r1 until 2026-01-02T00:00:01Z
            12:10:02: wants=true KEY r2 until 2026-01-01T12:00:07Z
        "#]],
    );
}

#[test]
fn what_is_refused_is_refused_for_good() {
    let mut text = String::new();
    for kind in [DENIED, FAILED] {
        let mut state = State::default();
        state.asked(asked("r"));
        let told = state.settle(&[answered("r", kind, "")], at("00:00:01"), SignedDuration::ZERO).unwrap();
        text += &format!("{}: {}\n{}", told.reason, told.message, said(&state, "23:00:00"));
    }
    check(
        &text,
        expect![[r#"
            Denied: PodCertificateRequest ns/r was denied, reason="Because", message="so"
            23:00:00: wants=false PodCertificateRequest was permanently denied: reason="Because" message="so"
            Failed: PodCertificateRequest ns/r failed, reason="Because", message="so"
            23:00:00: wants=false PodCertificateRequest was permanently failed: reason="Because" message="so"
        "#]],
    );
}

#[test]
fn a_deleted_request_is_made_again() {
    let none = SignedDuration::ZERO;
    let mut seen = State::default();
    seen.asked(asked("r"));
    seen.settle(&[request("r", json!({}))], at("00:00:01"), none);
    assert!(!seen.wants(at("00:00:01")));
    seen.settle(&[], at("00:00:02"), none);
    assert!(seen.wants(at("00:00:02")), "it was there and is not any more");
    let mut unseen = State::default();
    unseen.asked(asked("r"));
    unseen.settle(&[], at("00:10:00"), none);
    assert!(!unseen.wants(at("00:10:00")));
    unseen.settle(&[], at("00:10:01"), none);
    assert!(unseen.wants(at("00:10:01")));
}

#[test]
fn what_a_volume_shows_is_taken_up() {
    let dir = tempfile::tempdir().unwrap();
    let chain = certificate();
    std::fs::write(dir.path().join("both"), format!("KEY\n{chain}")).unwrap();
    std::fs::write(dir.path().join("key"), "KEY\n").unwrap();
    std::fs::write(dir.path().join("chain"), &chain).unwrap();
    let taken = |projection: Value, requests: &[PodCertificateRequest], now: &str| {
        let mut all = json!({"signerName": "s", "keyType": "ED25519"});
        all.as_object_mut().unwrap().extend(projection.as_object().unwrap().clone());
        let projection = serde_json::from_value(all).unwrap();
        said(&State::taken_up(dir.path(), &projection, requests, at(now)), now)
    };
    let both = json!({"credentialBundlePath": "both"});
    let mut text = taken(both.clone(), &[], "01:00:00");
    text += &taken(both.clone(), &[answered("r", ISSUED, &chain)], "02:00:00");
    text += &taken(json!({"keyPath": "key", "certificateChainPath": "chain"}), &[], "03:00:00");
    text += &taken(json!({"keyPath": "key"}), &[], "04:00:00");
    text += &taken(json!({"credentialBundlePath": "missing"}), &[], "05:00:00");
    check(
        &text,
        expect![[r#"
            01:00:00: wants=false KEY until 2026-01-01T19:12:00Z
            02:00:00: wants=false KEY until 2026-01-01T12:00:00Z
            03:00:00: wants=false KEY until 2026-01-01T19:12:00Z
            04:00:00: wants=true credential bundle is not issued yet
            05:00:00: wants=true credential bundle is not issued yet
        "#]],
    );
    let late = "2026-01-02T00:00:00Z".parse().unwrap();
    let projection = serde_json::from_value(
        json!({"signerName": "s", "keyType": "ED25519", "credentialBundlePath": "both"}),
    );
    assert_eq!(State::taken_up(dir.path(), &projection.unwrap(), &[], late), State::default(), "expired");
}
