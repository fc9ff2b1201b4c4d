use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::Duration;

use apimachinery::Status;
use bytes::Bytes;
use client::Verb;
use codec::Kind as _;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Node, Secret};
use serde_json::{Value, json};

use super::*;
use crate::testing::{World, pod};

fn with_volumes(volumes: Value, mounts: Value) -> Pod {
    pod("p", json!({"volumes": volumes, "containers": [{"name": "c", "image": "a", "volumeMounts": mounts}]}))
}

/// What the container sees at `path`.
fn host_path(w: &World, path: &str) -> PathBuf {
    let config = w.runtime.container_config(&w.container("c")).unwrap();
    PathBuf::from(&config.mounts.iter().find(|m| m.container_path == path).unwrap().host_path)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Tokens `t1`, `t2`, … that live an hour from when they are asked for.
fn give_tokens(w: &World) {
    let clock = w.clock.shared();
    let count = std::sync::atomic::AtomicU32::new(0);
    w.api.react(move |request| {
        let asks = request.verb == Verb::Create && request.subresource == "token";
        asks.then(|| {
            let n = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
            let body: Value =
                serde_json::from_slice(&request.body).map_err(|e| Status::bad_request(e.to_string()))?;
            if body["spec"]["boundObjectRef"]["kind"] != "Pod" {
                return Err(Status::bad_request("not bound"));
            }
            let expires = crate::plan::after(stdx::Clock::now(&*clock), 3600);
            let answer = json!({
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": body["spec"],
                "status": {"token": format!("t{n}"), "expirationTimestamp": expires.to_string()},
            });
            Ok(Bytes::from(answer.to_string()))
        })
    });
}

#[tokio::test]
async fn tokens_are_renewed_before_they_end() {
    let w = World::new().await;
    give_tokens(&w);
    w.api.insert(&with_volumes(
        json!([{"name": "t", "projected": {"sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
            {"downwardAPI": {"items": [{"path": "ns", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ]}}]),
        json!([{"name": "t", "mountPath": "/t"}]),
    ));
    w.until_pod("p", "Running: c=running,ready").await;
    let dir = host_path(&w, "/t");
    assert_eq!(fs::read_to_string(dir.join("token")).unwrap(), "t1");
    assert_eq!(fs::read_to_string(dir.join("ns")).unwrap(), "default");
    assert_eq!(mode(&dir.join("token")), 0o644);
    assert!(w.mounter.is_mounted(&dir).unwrap(), "tokens live in memory");
    let begun = w.clock.shared().monotonic();
    // Fifty minutes are more than `until` lets pass.
    w.clock.advance(Duration::from_secs(2700));
    w.until("renewed", |_| fs::read_to_string(dir.join("token")).unwrap() == "t2").await;
    let age = w.clock.shared().monotonic() - begun;
    assert!(age >= Duration::from_secs(2880) && age < Duration::from_secs(3000), "{age:?}");
}

#[tokio::test]
async fn files_have_the_modes_and_paths_that_were_asked_for() {
    let w = World::new().await;
    let mut secret = Secret::default();
    secret.metadata.name = Some("s".into());
    secret.metadata.namespace = Some("default".into());
    secret.data =
        Some([("k".to_owned(), ByteString(b"v".to_vec())), ("l".to_owned(), ByteString(vec![]))].into());
    w.api.insert(&secret);
    w.api.insert(&with_volumes(
        json!([
            {"name": "s", "secret": {"secretName": "s", "defaultMode": 256, "items": [{"key": "k", "path": "a/b", "mode": 511}]}},
            {"name": "o", "secret": {"secretName": "none", "optional": true}},
            {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        ]),
        json!([{"name": "s", "mountPath": "/s"}, {"name": "o", "mountPath": "/o"}, {"name": "m", "mountPath": "/m"}]),
    ));
    w.until_pod("p", "Running: c=running,ready").await;
    let dir = host_path(&w, "/s");
    assert_eq!((mode(&dir.join("a/b")), dir.join("l").exists()), (0o777, false));
    assert_eq!(mode(&host_path(&w, "/m")), 0o777);
    let uid = w.pod("p").unwrap().uid().to_owned();
    w.api.remove::<Pod>("default", "p");
    let pod_dir = w.dir.path().join("pods").join(uid);
    w.until("gone", |_| !pod_dir.exists()).await;
    assert_eq!(w.mounter.below(w.dir.path()).unwrap(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_is_not_supported_is_said() {
    let w = World::new().await;
    w.api.insert(&with_volumes(json!([{"name": "d", "nfs": {"server": "s", "path": "/"}}]), json!([])));
    w.until("event", |w| {
        w.events().contains(
            "Warning FailedMount: MountVolume.SetUp failed for volume \"d\" : volumes of type nfs are not \
             supported by this kubelet",
        )
    })
    .await;
    w.until_pod("p", "Pending: c=ContainerCreating").await;
}

#[test]
fn host_paths_are_what_they_should_be() {
    let dir = tempfile::tempdir().unwrap();
    let (file, missing) = (dir.path().join("f"), dir.path().join("a/b"));
    fs::write(&file, "").unwrap();
    let check = |path: &Path, kind: &str| host_path::check(path, kind);
    assert_eq!(check(&missing, ""), Ok(()));
    assert_eq!(
        check(&missing, "Directory"),
        Err(format!("hostPath type check failed: {} is not a directory", missing.display()))
    );
    assert!(check(&missing, "FileOrCreate").is_err(), "its directory is missing");
    assert_eq!(check(&missing, "DirectoryOrCreate"), Ok(()));
    assert_eq!(check(&missing, "Directory"), Ok(()));
    assert_eq!(check(&file, "File"), Ok(()));
    assert_eq!(check(&dir.path().join("new"), "FileOrCreate"), Ok(()));
    assert_eq!(
        check(&file, "Socket"),
        Err(format!("hostPath type check failed: {} is not a socket file", file.display()))
    );
    assert_eq!(check(Path::new("/dev/null"), "CharDevice"), Ok(()));
}

#[test]
fn sub_paths_stay_in_their_volume() {
    let dir = tempfile::tempdir().unwrap();
    let (volume, target) = (dir.path().join("v"), dir.path().join("t/0"));
    fs::create_dir_all(volume.join("in")).unwrap();
    fs::write(volume.join("in/f"), "").unwrap();
    std::os::unix::fs::symlink("/etc", volume.join("out")).unwrap();
    std::os::unix::fs::symlink("in", volume.join("link")).unwrap();
    let mounter = crate::testing::FakeMounter::default();
    let bind = |path: &str| subpath::bind(&mounter, &volume, path, &target);
    assert_eq!(bind("in"), Ok(()));
    assert!(target.is_dir());
    assert_eq!(bind("link/f"), Ok(()));
    assert!(target.is_file());
    assert_eq!(bind("new/deep"), Ok(()));
    assert!(volume.join("new/deep").is_dir());
    for bad in ["out/passwd", "../x", "/etc", "in/../../x"] {
        assert!(bind(bad).is_err(), "{bad}");
    }
}

#[test]
fn groups_own_what_they_should() {
    let dir = tempfile::tempdir().unwrap();
    let volume = dir.path().join("v");
    fs::create_dir_all(volume.join("d")).unwrap();
    fs::write(volume.join("d/f"), "").unwrap();
    fs::set_permissions(volume.join("d/f"), fs::Permissions::from_mode(0o600)).unwrap();
    // Our own group: others take privileges that a test may not have.
    let group = fs::metadata(&volume).unwrap().gid();
    ownership::apply(&volume, group, ownership::Access::ReadWrite, ownership::Policy::Always).unwrap();
    assert_eq!(mode(&volume.join("d/f")), 0o660);
    assert_eq!(mode(&volume.join("d")) & 0o2070, 0o2070);
}

#[tokio::test]
async fn a_claim_leads_to_its_volume_once_it_is_bound() {
    use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
    let w = World::new().await;
    let disk = w.dir.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let claim = |phase: &str| -> PersistentVolumeClaim {
        serde_json::from_value(json!({"metadata": {"name": "c", "namespace": "default", "uid": "u1"},
            "spec": {"volumeName": "v"}, "status": {"phase": phase}}))
        .unwrap()
    };
    let volume: PersistentVolume = serde_json::from_value(json!({"metadata": {"name": "v"},
        "spec": {"local": {"path": disk.display().to_string()}, "claimRef": {"uid": "u1"}}}))
    .unwrap();
    w.api.insert(&claim("Pending"));
    w.api.insert(&volume);
    w.api.insert(&with_volumes(
        json!([{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]),
        json!([{"name": "d", "mountPath": "/data"}]),
    ));
    w.until("event", |w| w.events().contains("PVC default/c is not bound")).await;
    w.api.edit::<PersistentVolumeClaim>("default", "c", |c| {
        c.status.get_or_insert_default().phase = Some("Bound".into());
    });
    w.until_pod("p", "Running: c=running,ready").await;
    assert_eq!(host_path(&w, "/data"), disk);
}

/// Answers every request for a certificate at once, as a signer does: good for an hour from the fake now on.
fn sign(w: &World) -> usize {
    use k8s_openapi::api::certificates::v1::PodCertificateRequest;
    let requests = w.api.all::<PodCertificateRequest>();
    for request in requests.iter().filter(|r| r.status.is_none()) {
        let der = request.spec.stub_pkc_s10_request.0.clone().into();
        let mut stub = rcgen::CertificateSigningRequestParams::from_der(&der).unwrap();
        let now = stdx::Clock::now(&*w.clock.shared());
        let date =
            |t: Timestamp| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(t.as_second() as u64);
        let end = crate::plan::after(now, 3600);
        (stub.params.not_before, stub.params.not_after) = (date(now), date(end));
        let ca = rcgen::Issuer::new(Default::default(), rcgen::KeyPair::generate().unwrap());
        let chain = stub.signed_by(&ca).unwrap().pem();
        w.api.edit::<PodCertificateRequest>("default", request.name(), |r| {
            r.status = serde_json::from_value(json!({
                "certificateChain": chain, "notBefore": now.to_string(), "notAfter": end.to_string(),
                "beginRefreshAt": crate::plan::after(now, 1800).to_string(),
                "conditions": [{"type": "Issued", "status": "True", "reason": "Signed", "message": "",
                    "lastTransitionTime": now.to_string()}],
            }))
            .unwrap();
        });
    }
    requests.len()
}

fn with_certificate() -> (World, Pod) {
    let w = World::without_kubelet();
    let (mut account, mut node) = (k8s_openapi::api::core::v1::ServiceAccount::default(), Node::default());
    account.metadata.name = Some("default".into());
    account.metadata.namespace = Some("default".into());
    node.metadata.name = Some("n1".into());
    w.api.insert(&account);
    w.api.insert(&node);
    let pod = with_volumes(
        json!([{"name": "t", "projected": {"sources": [{"podCertificate": {
            "signerName": "example.com/s", "keyType": "ED25519", "maxExpirationSeconds": 3600,
            "credentialBundlePath": "bundle", "keyPath": "key", "certificateChainPath": "chain",
            "userAnnotations": {"example.com/a": "b"},
        }}]}}]),
        json!([{"name": "t", "mountPath": "/t"}]),
    );
    (w, pod)
}

#[tokio::test]
async fn certificates_are_asked_for_renewed_and_taken_up_again() {
    use k8s_openapi::api::certificates::v1::PodCertificateRequest;
    let (mut w, pod) = with_certificate();
    w.start().await;
    w.api.insert(&pod);
    w.until("a request", |w| !w.api.all::<PodCertificateRequest>().is_empty()).await;
    let request = w.api.all::<PodCertificateRequest>().remove(0);
    let owner = &request.metadata.owner_references.as_ref().unwrap()[0];
    let uid = w.pod("p").unwrap().uid().to_owned();
    assert_eq!((&*owner.kind, &*owner.name, &*owner.uid), ("Pod", "p", &*uid));
    assert!(request.name().starts_with("req-"), "{}", request.name());
    assert_eq!((&*request.spec.pod_name, &*request.spec.node_name), ("p", "n1"));
    assert_eq!(request.spec.max_expiration_seconds, Some(3600));
    assert_eq!(request.spec.unverified_user_annotations.unwrap()["example.com/a"], "b");
    w.until("it waits", |w| w.events().contains("credential bundle is not issued yet")).await;
    sign(&w);
    w.until_pod("p", "Running: c=running,ready").await;
    let dir = host_path(&w, "/t");
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    let first = read("bundle");
    assert_eq!(first, read("key") + &read("chain"));
    assert!(first.starts_with("-----BEGIN PRIVATE KEY-----"), "{first}");
    // A new kubelet goes on with what is there.
    w.stop().await;
    w.start().await;
    w.until_pod("p", "Running: c=running,ready").await;
    assert_eq!((read("bundle"), sign(&w)), (first.clone(), 1));
    w.clock.advance(Duration::from_secs(1700));
    w.until("another", |w| w.api.all::<PodCertificateRequest>().len() == 2).await;
    assert_eq!(read("bundle"), first, "the old one is used on");
    sign(&w);
    w.until("renewed", |_| read("bundle") != first).await;
    assert_eq!(read("bundle"), read("key") + &read("chain"));
    assert_eq!(w.api.all::<PodCertificateRequest>().len(), 2);
}

#[tokio::test]
async fn a_denied_certificate_is_told() {
    use k8s_openapi::api::certificates::v1::PodCertificateRequest;
    let (mut w, pod) = with_certificate();
    w.start().await;
    w.api.insert(&pod);
    w.until("a request", |w| !w.api.all::<PodCertificateRequest>().is_empty()).await;
    let name = w.api.all::<PodCertificateRequest>().remove(0).name().to_owned();
    w.api.edit::<PodCertificateRequest>("default", &name, |r| {
        let condition = json!({"type": "Denied", "status": "True", "reason": "No", "message": "never",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        r.status = serde_json::from_value(json!({"conditions": [condition]})).unwrap();
    });
    let told = format!(
        "Warning Denied: PodCertificateRequest default/{name} was denied, reason=\"No\", message=\"never\""
    );
    w.until("told", |w| w.events().contains(&told)).await;
    let mount = "Warning FailedMount: MountVolume.SetUp failed for volume \"t\" : PodCertificateRequest was permanently denied: reason=\"No\" message=\"never\"";
    w.until("failed", |w| w.events().contains(mount)).await;
    assert_eq!(w.api.all::<PodCertificateRequest>().len(), 1);
    w.until_pod("p", "Pending: c=ContainerCreating").await;
}
