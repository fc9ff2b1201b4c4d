//! Whole pods through a kubelet, over a fake API and a fake runtime.

use expect_test::expect;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use serde_json::json;

use crate::testing::{World, pod, summary};

fn one(image: &str) -> serde_json::Value {
    json!({"containers": [{"name": "c", "image": image, "imagePullPolicy": "IfNotPresent"}]})
}

#[tokio::test]
async fn a_pod_runs_and_ends() {
    let w = World::new().await;
    w.api.insert(&pod("p", one("a")));
    w.until_pod("p", "Running: c=running,ready").await;
    let status = w.pod("p").unwrap().status.unwrap();
    let conditions: Vec<_> =
        status.conditions.iter().flatten().map(|c| format!("{}={}", c.type_, c.status)).collect();
    assert_eq!(
        conditions.join(" "),
        "PodReadyToStartContainers=True Initialized=True Ready=True ContainersReady=True PodScheduled=True"
    );
    assert_eq!(status.host_ip.as_deref(), Some("192.0.2.1"));
    assert!(status.pod_ip.is_some() && status.start_time.is_some());
    let id = status.container_statuses.unwrap()[0].container_id.clone().unwrap();
    assert_eq!(id, format!("knarr://{}", w.container("c")));
    let uid = w.pod("p").unwrap().metadata.uid.unwrap();
    assert!(w.dir.path().join("pods").join(&uid).join("etc-hosts").exists());
    w.api.edit("default", "p", |p: &mut Pod| {
        let now = stdx::Clock::now(&*w.clock.shared());
        p.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
        p.metadata.deletion_grace_period_seconds = Some(7);
    });
    w.until("deleted", |w| w.pod("p").is_none()).await;
    w.until("cleaned up", |w| !w.dir.path().join("pods").join(&uid).exists()).await;
    w.until("events", |w| w.events().contains("Killing")).await;
    expect![[r#"
        Normal Pulled: Container image "a" already present on machine and can be accessed by the pod
        Normal Created: Container created
        Normal Started: Container started
        Normal Killing: Stopping container c"#]]
    .assert_eq(&w.events());
    let journal: Vec<_> =
        w.runtime.take_journal().into_iter().filter(|l| !l.starts_with("update_runtime")).collect();
    expect![[r#"
        run_pod_sandbox default/p
        create_container c #0
        start_container c
        stop_container c timeout=7
        stop_pod_sandbox s0001
        remove_container c0002
        remove_pod_sandbox s0001"#]]
    .assert_eq(&journal.join("\n"));
}

#[tokio::test]
async fn crashes_back_off() {
    let w = World::new().await;
    w.runtime.make_short_lived("b", 3);
    w.api.insert(&pod("p", one("b")));
    w.until_pod("p", "Running: c=CrashLoopBackOff,restarts=1").await;
    let pod = w.pod("p").unwrap();
    let status = &pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0];
    let waiting = status.state.as_ref().unwrap().waiting.as_ref().unwrap();
    assert_eq!(
        waiting.message.as_deref(),
        Some(&*format!(
            "back-off 10s restarting failed container=c pod=p_default({})",
            pod.metadata.uid.as_deref().unwrap()
        ))
    );
    let last = status.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (3, Some("Error")));
    w.until_pod("p", "Running: c=CrashLoopBackOff,restarts=2").await;
    w.until_pod("p", "Running: c=CrashLoopBackOff,restarts=3").await;
    let told = format!(
        "Warning BackOff: Back-off restarting failed container c in pod p_default({})",
        pod.metadata.uid.as_deref().unwrap()
    );
    w.until("event", |w| w.events().contains(&told)).await;
    // The one that counts and the last dead one.
    w.until("cleaned up", |w| w.runtime.containers_named("c").len() == 2).await;
}

#[tokio::test]
async fn a_pod_that_may_not_restart_is_done() {
    let w = World::new().await;
    w.runtime.make_short_lived("a", 0);
    w.runtime.make_short_lived("b", 1);
    let spec = |image: &str| {
        let mut spec = one(image);
        spec["restartPolicy"] = json!("Never");
        spec
    };
    w.api.insert(&pod("good", spec("a")));
    w.api.insert(&pod("bad", spec("b")));
    w.until_pod("good", "Succeeded: c=Completed(0)").await;
    w.until_pod("bad", "Failed: c=Error(1)").await;
    let conditions = w.pod("good").unwrap().status.unwrap().conditions.unwrap();
    let ready = conditions.iter().find(|c| c.type_ == "Ready").unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_deref()), ("False", Some("PodCompleted")));
    w.until("sandboxes stopped", |w| {
        let journal = w.runtime.take_journal();
        journal.iter().any(|l| l.starts_with("stop_pod_sandbox"))
    })
    .await;
}

#[tokio::test]
async fn init_containers_come_first_and_sidecars_stay() {
    let w = World::new().await;
    w.api.insert(&pod(
        "p",
        json!({
            "initContainers": [
                {"name": "i", "image": "a"},
                {"name": "s", "image": "b", "restartPolicy": "Always"},
                {"name": "j", "image": "a"},
            ],
            "containers": [{"name": "c", "image": "c"}],
        }),
    ));
    w.until_pod("p", "Pending: i=running s=PodInitializing j=PodInitializing c=PodInitializing").await;
    w.runtime.exit(&w.container("i"), 0);
    w.until_pod("p", "Pending: i=Completed(0),ready s=running,ready j=running c=PodInitializing").await;
    w.runtime.exit(&w.container("j"), 0);
    w.until_pod("p", "Running: i=Completed(0),ready s=running,ready j=Completed(0),ready c=running,ready")
        .await;
    // A sidecar that ends comes back.
    w.runtime.exit(&w.container("s"), 0);
    w.until_pod(
        "p",
        "Running: i=Completed(0),ready s=running,ready,restarts=1 j=Completed(0),ready c=running,ready",
    )
    .await;
}

#[tokio::test]
async fn images_that_cannot_be_pulled_back_off() {
    let w = World::new().await;
    for _ in 0..2 {
        w.runtime.fail_next("pull_image", cri::Error::Unknown("no such host".into()));
    }
    w.api.insert(&pod("p", one("nope")));
    w.until_pod("p", "Pending: c=ErrImagePull").await;
    w.until_pod("p", "Pending: c=ImagePullBackOff").await;
    w.until_pod("p", "Pending: c=ErrImagePull").await;
    w.until_pod("p", "Running: c=running,ready").await;
    w.until("events", |w| w.events().contains("Successfully pulled image")).await;
    for line in [
        "Normal Pulling: Pulling image \"nope\"",
        "Warning Failed: Failed to pull image \"nope\": no such host",
        "Warning Failed: Error: ErrImagePull",
        "Normal BackOff: Back-off pulling image \"nope\"",
        "Warning Failed: Error: ImagePullBackOff",
    ] {
        assert!(w.events().contains(line), "{line}\n{}", w.events());
    }
}

#[tokio::test]
async fn a_restarted_kubelet_adopts() {
    let mut w = World::new().await;
    w.api.insert(&pod("p", one("a")));
    w.api.insert(&pod("q", one("b")));
    w.api.insert(&pod("gone", one("c")));
    for name in ["p", "q", "gone"] {
        w.until_pod(name, "Running: c=running,ready").await;
    }
    w.stop().await;
    w.runtime.take_journal();
    let id = |w: &World, pod: &str| {
        let status = w.pod(pod).unwrap().status.unwrap().container_statuses.unwrap();
        status[0].container_id.clone().unwrap().split_once("://").unwrap().1.to_owned()
    };
    let (kept, ended) = (id(&w, "p"), id(&w, "q"));
    w.runtime.exit(&ended, 9);
    w.api.remove::<Pod>("default", "gone");
    w.start().await;
    w.until_pod("q", "Running: c=running,ready,restarts=1").await;
    let last = w.pod("q").unwrap().status.unwrap().container_statuses.unwrap()[0].last_state.clone().unwrap();
    assert_eq!(last.terminated.unwrap().exit_code, 9);
    assert_eq!(id(&w, "p"), kept);
    let mut journal = Vec::new();
    w.until("the orphan is gone", |w| {
        journal.extend(w.runtime.take_journal());
        journal.iter().any(|l| l.starts_with("remove_pod_sandbox"))
    })
    .await;
    assert_eq!(journal.iter().filter(|l| l.starts_with("run_pod_sandbox")).count(), 0, "{journal:?}");
    assert_eq!(journal.iter().filter(|l| l.starts_with("stop_container")).count(), 1, "{journal:?}");
    // its directory goes last
    w.until("the orphan's directory is gone", |w| {
        std::fs::read_dir(w.dir.path().join("pods")).unwrap().count() == 2
    })
    .await;
}

#[tokio::test]
async fn a_lost_sandbox_is_made_again() {
    let w = World::new().await;
    w.api.insert(&pod("p", one("a")));
    w.until_pod("p", "Running: c=running,ready").await;
    w.runtime.lose_sandbox("s0001");
    w.until_pod("p", "Running: c=running,ready,restarts=1").await;
    w.until("event", |w| w.events().contains("SandboxChanged")).await;
}

#[tokio::test]
async fn what_a_container_needs_may_come_later() {
    let w = World::new().await;
    let mut spec = one("a");
    spec["containers"][0]["env"] =
        json!([{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}]);
    w.api.insert(&pod("p", spec));
    w.until_pod("p", "Pending: c=CreateContainerConfigError").await;
    w.until("event", |w| w.events().contains("Warning Failed: Error: configmap \"m\" not found")).await;
    w.api.insert(&config_map("m", "k", "v1"));
    w.until_pod("p", "Running: c=running,ready").await;
    let config = w.runtime.container_config(&w.container("c")).unwrap();
    assert_eq!(config.envs, [("X".to_owned(), "v1".to_owned())]);
}

fn config_map(name: &str, key: &str, value: &str) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.name = Some(name.into());
    map.metadata.namespace = Some("default".into());
    map.data = Some([(key.to_owned(), value.to_owned())].into());
    map
}

#[tokio::test]
async fn volumes_wait_for_their_objects_and_follow_them() {
    let w = World::new().await;
    let mut spec = one("a");
    spec["volumes"] = json!([{"name": "v", "configMap": {"name": "m"}}, {"name": "e", "emptyDir": {}}]);
    spec["containers"][0]["volumeMounts"] =
        json!([{"name": "v", "mountPath": "/v"}, {"name": "e", "mountPath": "/e"}]);
    w.api.insert(&pod("p", spec));
    w.until("event", |w| {
        w.events().contains(
            "Warning FailedMount: MountVolume.SetUp failed for volume \"v\" : configmap \"m\" not found",
        )
    })
    .await;
    w.api.insert(&config_map("m", "k", "one"));
    w.until_pod("p", "Running: c=running,ready").await;
    let config = w.runtime.container_config(&w.container("c")).unwrap();
    let mount = config.mounts.iter().find(|m| m.container_path == "/v").unwrap();
    assert!(mount.readonly);
    let file = std::path::Path::new(&mount.host_path).join("k");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one");
    w.api
        .edit("default", "m", |m: &mut ConfigMap| m.data = Some([("k".to_owned(), "two".to_owned())].into()));
    w.until("the file follows", |_| std::fs::read_to_string(&file).is_ok_and(|t| t == "two")).await;
}

#[tokio::test]
async fn what_the_machine_cannot_give_is_told_once() {
    let w = World::new().await;
    w.runtime.warn_of("a", &["capability SYS_TIME is not available here", "open files: 1024 is the most"]);
    w.api.insert(&pod("p", one("a")));
    w.api.insert(&pod("q", one("b")));
    w.until_pod("p", "Running: c=running,ready").await;
    w.until_pod("q", "Running: c=running,ready").await;
    w.until("event", |w| {
        w.events().contains(
            "Warning Clamped: Container runs with less than it asked for: capability SYS_TIME is not available here; open files: 1024 is the most",
        )
    })
    .await;
    assert_eq!(w.events().matches("Clamped").count(), 1, "{}", w.events());
}

#[tokio::test]
async fn a_deletion_interrupts_a_pull() {
    let w = World::new().await;
    let _held = w.runtime.hold_pull("slow:latest");
    w.api.insert(&pod("p", one("slow")));
    w.until("pulling", |w| w.events().contains("Pulling image")).await;
    let before = stdx::Clock::now(&*w.clock.shared());
    w.api.edit("default", "p", |p: &mut Pod| {
        p.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(before));
        p.metadata.deletion_grace_period_seconds = Some(30);
    });
    w.until("deleted", |w| w.pod("p").is_none()).await;
    let took = stdx::Clock::now(&*w.clock.shared()).duration_since(before);
    assert!(took.as_secs() < 30, "{took:?}");
}

#[tokio::test]
async fn a_deadline_ends_a_pod() {
    let w = World::new().await;
    let mut spec = one("a");
    spec["activeDeadlineSeconds"] = json!(60);
    w.api.insert(&pod("p", spec));
    w.until_pod("p", "Running: c=running,ready").await;
    w.until("over", |w| {
        w.pod("p").is_some_and(|p| summary(&p) == "Failed(DeadlineExceeded): c=Completed(0)")
    })
    .await;
    let status = w.pod("p").unwrap().status.unwrap();
    assert_eq!(
        status.message.as_deref(),
        Some("Pod was active on the node longer than the specified deadline")
    );
    w.until("event", |w| w.events().contains("Normal DeadlineExceeded: Pod was active")).await;
}

#[tokio::test]
async fn hooks_run_before_and_after() {
    let w = World::new().await;
    let mut spec = one("a");
    spec["containers"][0]["lifecycle"] =
        json!({"postStart": {"exec": {"command": ["hello"]}}, "preStop": {"exec": {"command": ["bye"]}}});
    w.api.insert(&pod("p", spec));
    w.until_pod("p", "Running: c=running,ready").await;
    w.api.remove::<Pod>("default", "p");
    let mut journal = Vec::new();
    w.until("stopped", |w| {
        journal.extend(w.runtime.take_journal());
        journal.iter().any(|l| l.starts_with("remove_pod_sandbox"))
    })
    .await;
    let order: Vec<_> = journal
        .iter()
        .filter(|l| ["start_", "exec_", "stop_container"].iter().any(|start| l.starts_with(start)))
        .cloned()
        .collect();
    assert_eq!(
        order,
        ["start_container c", "exec_sync c: hello", "exec_sync c: bye", "stop_container c timeout=30"]
    );
}

#[tokio::test]
async fn a_failed_post_start_hook_ends_the_container() {
    let w = World::new().await;
    let failure = cri::ExecSyncResponse { exit_code: 2, stderr: b"oh".to_vec(), ..Default::default() };
    w.runtime.answer_exec("hello", failure);
    let mut spec = one("a");
    spec["containers"][0]["lifecycle"] = json!({"postStart": {"exec": {"command": ["hello"]}}});
    w.api.insert(&pod("p", spec));
    w.until("killed", |w| {
        w.events().contains("Warning FailedPostStartHook: PostStartHook failed: Exec lifecycle hook")
    })
    .await;
    w.runtime.answer_exec("hello", cri::ExecSyncResponse::default());
    w.until("running", |w| {
        w.pod("p").is_some_and(|p| summary(&p).starts_with("Running: c=running,ready,restarts="))
    })
    .await;
}
