//! Certificates of pods: the kubelet asks for them, a signer of ours answers, and a container finds key and certificates in
//! its volume.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::{Cluster, eventually};
use k8s_openapi::api::certificates::v1::PodCertificateRequest;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateSigningRequestParams, Issuer, KeyPair};
use serde_json::json;

const LONG: Duration = Duration::from_secs(120);

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: good}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox
    command: [sh, -c, "cat /certs/bundle && sleep 3600"]
    volumeMounts: [{name: certs, mountPath: /certs}]
  volumes:
  - name: certs
    projected:
      sources:
      - podCertificate:
          signerName: example.com/good
          keyType: ED25519
          maxExpirationSeconds: 3600
          credentialBundlePath: bundle
          userAnnotations: {example.com/path: web}
      - podCertificate:
          signerName: example.com/good
          keyType: ECDSAP384
          keyPath: two/key
          certificateChainPath: two/chain
---
apiVersion: v1
kind: Pod
metadata: {name: denied}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox
    command: [sleep, "3600"]
    volumeMounts: [{name: certs, mountPath: /certs}]
  volumes:
  - name: certs
    projected:
      sources:
      - podCertificate: {signerName: example.com/bad, keyType: ECDSAP521, credentialBundlePath: bundle}
"#;

#[test]
fn a_container_reads_what_the_signer_answered() {
    let cluster = Cluster::start("podcerts");
    cluster.apply(PODS);
    let node = cluster.get("nodes", "node1");
    let mut answered = BTreeSet::new();
    eventually(LONG, "three requests", || {
        for request in all(&cluster).into_iter().filter(|r| answered.insert(r.metadata.name.clone())) {
            let spec = &request.spec;
            let pod = cluster.get("pod", &spec.pod_name);
            assert_eq!(json!(spec.pod_uid), pod["metadata"]["uid"]);
            let on = (json!(spec.node_name), json!(spec.node_uid));
            assert_eq!(on, (json!("node1"), node["metadata"]["uid"].clone()));
            match &*spec.signer_name {
                "example.com/good" => issue(&cluster, &request),
                _ => deny(&cluster, &request),
            }
        }
        answered.len() == 3
    });
    cluster.wait_for("condition=Ready", "pod/good", 120);
    let read = |file: &str| cluster.kubectl(&["exec", "good", "--", "cat", &format!("/certs/{file}")]).ok();
    let issued: Vec<String> = all(&cluster).into_iter().filter_map(|r| r.status?.certificate_chain).collect();
    let bundle = read("bundle");
    let (key, chain) = bundle.split_at(bundle.find("-----BEGIN CERTIFICATE").expect("a certificate"));
    assert!(is_key(key) && issued.contains(&chain.to_owned()), "{bundle}\n{issued:?}");
    let (key, chain) = (read("two/key"), read("two/chain"));
    assert!(is_key(&key) && issued.contains(&chain), "{key}{chain}\n{issued:?}");
    assert!(cluster.kubectl(&["logs", "good"]).ok().contains("-----BEGIN PRIVATE KEY-----"));

    let event = || cluster.kubectl(&["get", "events", "--field-selector=reason=Denied", "-o", "wide"]).stdout;
    eventually(LONG, "an event", || event().contains("was denied, reason=\"Because\", message=\"never\""));
    assert_eq!(cluster.value("pod", "denied", "{.status.phase}"), "Pending");
    outlives_the_kubelet(cluster, &bundle);
}

/// After a restart the volume shows the same, and nobody asks again.
fn outlives_the_kubelet(mut cluster: Cluster, bundle: &str) {
    cluster.stop();
    cluster.boot();
    cluster.wait_for("condition=Ready", "pod/good", 120);
    let read = || cluster.kubectl(&["exec", "good", "--", "cat", "/certs/bundle"]).stdout;
    eventually(LONG, "the container is there", || read() == bundle);
    let good = all(&cluster).into_iter().filter(|r| r.spec.pod_name == "good").count();
    assert_eq!(good, 2);
    // With the pod go its requests.
    cluster.kubectl(&["delete", "pod", "good", "denied"]).ok();
    eventually(LONG, "its requests are gone", || all(&cluster).is_empty());
}

fn is_key(text: &str) -> bool {
    text.starts_with("-----BEGIN PRIVATE KEY-----\n") && text.ends_with("-----END PRIVATE KEY-----\n")
}

fn all(cluster: &Cluster) -> Vec<PodCertificateRequest> {
    let text = cluster.kubectl(&["get", "podcertificaterequests", "-o", "json"]).ok();
    let list: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    serde_json::from_value(list["items"].clone()).expect("requests")
}

fn issue(cluster: &Cluster, request: &PodCertificateRequest) {
    let der = request.spec.stub_pkc_s10_request.0.clone().into();
    // Proves the possession of the key as well.
    let mut stub = CertificateSigningRequestParams::from_der(&der).expect("a request");
    // About now, by the cluster's own clock.
    let begins = request.metadata.creation_timestamp.as_ref().expect("a time").0;
    let after = |seconds: i64| begins + SignedDuration::from_secs(seconds);
    let ends = after(request.spec.max_expiration_seconds.expect("a lifetime").into());
    let date = |t: Timestamp| {
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(t.as_second().try_into().expect("after 1970"))
    };
    (stub.params.not_before, stub.params.not_after) = (date(begins), date(ends));
    let ca = Issuer::new(Default::default(), KeyPair::generate().expect("a key"));
    let chain = stub.signed_by(&ca).expect("a certificate").pem().replace('\r', "");
    let status = json!({
        "certificateChain": chain, "notBefore": begins, "notAfter": ends, "beginRefreshAt": after(1800),
        "conditions": [condition("Issued", begins)],
    });
    answer(cluster, request, &status).ok();
    // An answer is for good.
    let again = answer(cluster, request, &json!({"conditions": [condition("Denied", begins)]})).fails();
    assert!(again.contains("immutable after PodCertificateRequest is issued, denied, or failed"), "{again}");
}

fn deny(cluster: &Cluster, request: &PodCertificateRequest) {
    let now = request.metadata.creation_timestamp.as_ref().expect("a time").0;
    answer(cluster, request, &json!({"conditions": [condition("Denied", now)]})).ok();
}

fn condition(kind: &str, now: Timestamp) -> serde_json::Value {
    json!({"type": kind, "status": "True", "reason": "Because", "message": "never", "lastTransitionTime": now})
}

fn answer(cluster: &Cluster, request: &PodCertificateRequest, status: &serde_json::Value) -> e2e::Output {
    let name = request.metadata.name.as_deref().expect("a name");
    let patch = json!({ "status": status }).to_string();
    let to = ["patch", "podcertificaterequest", name, "--subresource=status", "--type=merge", "-p", &patch];
    cluster.kubectl(&to)
}
