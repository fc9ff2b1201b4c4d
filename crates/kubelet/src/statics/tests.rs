use super::*;
use crate::testing::World;

const WEB: &str = r"
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  - {name: c, image: a}
";

#[test]
fn manifests_become_pods_of_this_node() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("web.yaml"), WEB).expect("write");
    fs::write(dir.path().join(".hidden.yaml"), WEB).expect("write");
    fs::write(dir.path().join("bad.yaml"), "kind: Service\napiVersion: v1\n").expect("write");
    fs::write(dir.path().join("worse.yaml"), "{").expect("write");
    let pods = load(dir.path(), "n1");
    let [pod] = &pods[..] else { panic!("{pods:?}") };
    assert_eq!((pod.name(), pod.namespace()), ("web-n1", "default"));
    assert!(is_static(pod) && !is_mirror(pod));
    let spec = pod.spec.as_ref().expect("spec");
    assert_eq!((spec.node_name.as_deref(), spec.restart_policy.as_deref()), (Some("n1"), Some("Always")));
    assert_eq!(load(dir.path(), "n1")[0].uid(), pod.uid());
    fs::write(dir.path().join("web.yaml"), WEB.replace("image: a", "image: b")).expect("write");
    assert_ne!(load(dir.path(), "n1")[0].uid(), pod.uid());
}

#[tokio::test]
async fn static_pods_run_are_mirrored_and_end_with_their_file() {
    let mut w = World::without_kubelet();
    let manifests = w.dir.path().join("manifests");
    fs::create_dir(&manifests).expect("create");
    fs::write(manifests.join("web.yaml"), WEB).expect("write");
    let mut config = w.config();
    config.static_pod_path = Some(manifests.clone());
    w.start_with(config).await;
    w.until_pod("web-n1", "Running: c=running,ready").await;
    let mirror = w.pod("web-n1").expect("a mirror");
    assert!(is_mirror(&mirror));
    // Deleting the mirror ends nothing: it comes again.
    let uid = mirror.uid().to_owned();
    let api: Api<Pod> = Api::new(w.api.transport());
    api.delete("default", "web-n1", &client::DeleteOptions::now()).await.expect("delete");
    w.until("a new mirror", |w| w.pod("web-n1").is_some_and(|p| p.uid() != uid)).await;
    w.until_pod("web-n1", "Running: c=running,ready").await;
    assert_eq!(w.runtime.containers_named("c").len(), 1);
    // Another manifest: the old pod ends first.
    fs::write(manifests.join(".new"), WEB.replace("image: a", "image: b")).expect("write");
    fs::rename(manifests.join(".new"), manifests.join("web.yaml")).expect("rename");
    w.until("the new image", |w| {
        w.pod("web-n1")
            .is_some_and(|p| p.spec.unwrap_or_default().containers[0].image.as_deref() == Some("b"))
    })
    .await;
    w.until_pod("web-n1", "Running: c=running,ready").await;
    fs::remove_file(manifests.join("web.yaml")).expect("remove");
    w.until("the mirror is gone", |w| w.pod("web-n1").is_none()).await;
    w.until("the container is gone", |w| w.runtime.containers_named("c").is_empty()).await;
}
