//! Certificate signing requests.

use k8s_openapi::api::certificates::v1::CertificateSigningRequest;

use super::*;

/// What is asked is `nonsense`, in base64.
fn request(status: Value) -> Value {
    json!({"metadata": {"name": "r"}, "status": status,
        "spec": {"request": "bm9uc2Vuc2U=", "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"], "username": "somebody else"}})
}

#[tokio::test]
async fn the_server_says_who_asks_and_looks_at_what_is_asked() {
    let f = fixture();
    let bad = create::<CertificateSigningRequest>(request(json!({})));
    let refused = f.run(bad.by("ann", &["staff"])).await.unwrap_err();
    assert_eq!(refused.code, 403, "{}", refused.message);
}

#[tokio::test]
async fn whoever_may_approves_and_signs() {
    let f = fixture();
    let pending = || request(json!({}));
    let approved = || request(json!({"conditions": [{"type": "Approved", "status": "True"}]}));
    let issued = || request(json!({"certificate": "AA=="}));
    let who = "certificatesigningrequests.certificates.k8s.io \"r\" is forbidden: user not permitted to";
    let approve = || update::<CertificateSigningRequest>(pending(), approved()).part("approval");
    f.check(
        approve(),
        &format!("403 {who} approve requests with signerName \"kubernetes.io/kube-apiserver-client\""),
    )
    .await;
    f.check(approve().by("root", &["system:masters"]), "").await;
    let sign = || update::<CertificateSigningRequest>(pending(), issued()).part("status");
    f.check(
        sign(),
        &format!("403 {who} sign requests with signerName \"kubernetes.io/kube-apiserver-client\""),
    )
    .await;
    f.check(sign().by("root", &["system:masters"]), "").await;
}
