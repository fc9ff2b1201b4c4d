use base64::Engine as _;
use codec::Kind;
use expect_test::expect;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use super::*;
use crate::testing::{causes, check_rows, edited};

const P521: &[&str] = &[
    "MIIBQjCBpQIBADAAMIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAa72LBVc0G229a6CFypBp57DWmDqmBbm6Va4e0T7bgpgg",
    "KU3Ie9i0Uls5ub58M7bK2Gw2yQa8xDYWQIgdPN16b5gBnt2IeE1V1IeLSfsapQhptgZ6oditL18P3vr8Z/MgXWh1/jLyAgw1",
    "O7ETYvILQR79aJbe6PYfM/End6N1dz7nA/ugADAKBggqhkjOPQQDBAOBiwAwgYcCQgE1k89obUbqPuDyLLxCpCl5kGAt2lt0",
    "5M7Tce2J+Odlkxm/hjuZyAfsatLeS37B7VH/cfQndyd3sTLo0HwFx5WQhQJBFheKVvncxXSBXah0KEbs9C5wAvnXVElx8jXa",
    "1wkPDDzdmScYwUB0c8DMjwdfEU3SlJn1wNTsA4IvXHQ5uB5pH1M=",
];

fn text(der: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(der)
}

fn stub(key: &KeyPair) -> Vec<u8> {
    CertificateParams::default().serialize_request(key).unwrap().der().to_vec()
}

/// A request with this stub and these edits, as it would be created.
fn request(stub: &[u8], edits: &str) -> PodCertificateRequest {
    let base = json!({
        "metadata": {"name": "r", "namespace": "ns"},
        "spec": {
            "signerName": "example.com/s", "podName": "p", "podUID": "1", "serviceAccountName": "a",
            "serviceAccountUID": "2", "nodeName": "n", "nodeUID": "3", "stubPKCS10Request": text(stub),
        },
    });
    let json = edited(&base.to_string(), edits).to_string();
    let mut request = PodCertificateRequest::from_json(json.as_bytes()).unwrap();
    crate::Strategy::default(&Strategy, &mut request);
    request
}

#[test]
fn keys() {
    for key in [
        KeyPair::generate().unwrap(),
        KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
    ] {
        let request = request(&stub(&key), "");
        assert_eq!(causes(&crate::Strategy::validate(&Strategy, &request)), "fine\n");
        assert_eq!(request.spec.max_expiration_seconds, Some(86400));
    }
}

#[test]
fn a_p521_key_is_proven() {
    // Made by openssl: `openssl ecparam -name secp521r1 -genkey`, `openssl req -new -sha512 -subj /`.
    let mut stub = base64::engine::general_purpose::STANDARD.decode(P521.concat()).unwrap();
    let check = |stub: &[u8]| causes(&crate::Strategy::validate(&Strategy, &request(stub, "")));
    assert_eq!(check(&stub), "fine\n");
    *stub.last_mut().unwrap() ^= 1;
    assert!(check(&stub).contains("could not verify proof-of-possession signature"));
}

#[test]
fn rules() {
    let good = stub(&KeyPair::generate().unwrap());
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    let check = |stub: &[u8], edits| causes(&crate::Strategy::validate(&Strategy, &request(stub, edits)));
    expect![[r#"
        spec.stubPKCS10Request: Invalid value: "<value omitted>": must be a valid PKCS#10 certificate signing request
        spec.stubPKCS10Request: Invalid value: "<value omitted>": could not verify proof-of-possession signature
    "#]]
    .assert_eq(&(check(b"x", "") + &check(&forged, "")));
    expect![[r#"
        spec.signerName: Invalid value: "s": must be a fully qualified domain and path of the form 'example.com/signer-name'
        spec.unverifiedUserAnnotations: Invalid value: "plain": key "plain" must be domain-prefixed
        spec.podName: Invalid value: "P_": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
        spec.nodeUID: Invalid value: "": must not be empty
        spec.maxExpirationSeconds: Invalid value: 60: must be in the range [3600, 7862400]
    "#]]
    .assert_eq(&check(
        &good,
        r#"
        spec.signerName = "s"
        spec.unverifiedUserAnnotations = {"plain": "x", "a.b/c": "y"}
        spec.podName = "P_"
        spec.nodeUID = ""
        spec.maxExpirationSeconds = 60
        "#,
    ));
    expect![[r#"
        spec.maxExpirationSeconds: Invalid value: 90000: must be in the range [3600, 86400]
    "#]]
    .assert_eq(&check(
        &good,
        r#"
        spec.signerName = "kubernetes.io/kube-apiserver-client-pod"
        spec.maxExpirationSeconds = 90000
        "#,
    ));
}

/// A signer's answer: a certificate for the key from 2026-01-01 on, for so many seconds.
fn answered(old: &PodCertificateRequest, key: &KeyPair, seconds: i64, edits: &str) -> String {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let end = start + jiff::SignedDuration::from_secs(seconds);
    let date = |t: Timestamp| {
        let t = t.to_zoned(jiff::tz::TimeZone::UTC);
        let day = rcgen::date_time_ymd(t.year().into(), t.month().unsigned_abs(), t.day().unsigned_abs());
        day + std::time::Duration::from_secs(t.hour().unsigned_abs() as u64 * 3600)
    };
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (date(start), date(end));
    let chain = params.self_signed(key).unwrap().pem();
    let mut new: Value = serde_json::from_slice(&old.to_json()).unwrap();
    new["status"] = json!({
        "certificateChain": chain, "notBefore": "2026-01-01T00:00:00Z", "notAfter": end.to_string(),
        "beginRefreshAt": "2026-01-01T01:00:00Z",
        "conditions": [{"type": "Issued", "status": "True", "reason": "Signed", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    });
    let new = edited(&new.to_string(), edits).to_string();
    let new = PodCertificateRequest::from_json(new.as_bytes()).unwrap();
    causes(&crate::Strategy::validate_update(&Strategy, &new, old, Part::Status))
        .replace(&chain.replace('\n', "\\n"), "CHAIN")
}

#[test]
fn answers() {
    let key = KeyPair::generate().unwrap();
    let old = request(&stub(&key), "");
    assert_eq!(answered(&old, &key, 6 * 3600, ""), "fine\n");
    let other = KeyPair::generate().unwrap();
    let mut told = answered(&old, &other, 6 * 3600, "");
    told += &answered(&old, &key, 0, "");
    told += &answered(&old, &key, 48 * 3600, "");
    told += &answered(&old, &key, 6 * 3600, "- status.notAfter");
    told += &answered(&old, &key, 6 * 3600, r#"status.notAfter = "2026-01-02T00:00:00Z""#);
    told += &answered(&old, &key, 6 * 3600, r#"status.beginRefreshAt = "2026-01-01T00:00:01Z""#);
    told += &answered(&old, &key, 6 * 3600, r#"status.conditions[0].type = "Denied""#);
    told += &answered(&old, &key, 6 * 3600, r#"status.conditions[0].type = "Fine""#);
    told += &answered(&old, &key, 6 * 3600, "- status.conditions");
    let issued = request(
        &stub(&key),
        r#"status.conditions = [{"type": "Failed", "status": "True", "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]"#,
    );
    told += &answered(&issued, &key, 6 * 3600, "");
    expect![[r#"
        status.certificateChain: Invalid value: "CHAIN": leaf certificate was not issued to the requested public key
        status.certificateChain: Invalid value: "0s": leaf certificate lifetime must be >= 1 hour
        status.certificateChain: Invalid value: "172800s": leaf certificate lifetime must be <= spec.maxExpirationSeconds (86400)
        status.notAfter: Required value: must be present and consistent with the issued certificate
        status.notAfter: Invalid value: "2026-01-02T00:00:00Z": must be set to the NotAfter time encoded in the leaf certificate
        status.beginRefreshAt: Invalid value: "2026-01-01T00:00:01Z": must be at least 10 minutes after status.notBefore
        status: Invalid value: "<value omitted>": non-condition status fields must be empty when denying or failing the PodCertificateRequest
        status.conditions[0].type: Unsupported value: "Fine": supported values: "Issued", "Denied", "Failed"
        status: Invalid value: "<value omitted>": status is immutable unless transitioning to "Issued", "Denied", or "Failed"
        status: Invalid value: "<value omitted>": immutable after PodCertificateRequest is issued, denied, or failed
    "#]].assert_eq(&told);
}

#[test]
fn a_certificate_begins_now() {
    let key = KeyPair::generate().unwrap();
    let old = request(&stub(&key), "");
    let check = |now: &str, kind: &str| {
        let mut new = old.clone();
        let status = json!({
            "notBefore": "2026-01-01T00:00:00Z",
            "conditions": [{"type": kind, "status": "True", "reason": "x", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        });
        new.status = serde_json::from_value(status).unwrap();
        let now = now.parse().unwrap();
        causes(&crate::Strategy::validate_time(&Strategy, &new, &old, Part::Status, now))
    };
    assert_eq!(check("2026-01-01T00:04:59Z", "Issued"), "fine\n");
    assert_eq!(check("2025-12-31T23:55:01Z", "Issued"), "fine\n");
    assert_eq!(check("2026-01-01T01:00:00Z", "Denied"), "fine\n");
    expect![[r#"
        status.notBefore: Invalid value: "2026-01-01T00:00:00Z": must be set to within 5 minutes of kube-apiserver's current time
    "#]]
    .assert_eq(&check("2026-01-01T00:05:00Z", "Issued"));
}

#[test]
fn rows() {
    check_rows(
        &Strategy,
        r#"{"metadata": {"name": "r"}, "spec": {"podName": "p", "serviceAccountName": "a", "nodeName": "n", "signerName": "example.com/s"}}"#,
        r#"
        spec.podName = "p"

        status.conditions = [{"type": "Denied", "status": "True", "reason": "x", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
        "#,
        expect![[r#"
            NAME  PODNAME  SERVICEACCOUNTNAME  NODENAME  SIGNERNAME  STATE
            r  p  a  n  example.com/s  Pending
            r  p  a  n  example.com/s  Denied
        "#]],
    );
}
