//! The Rust client, kube-rs: its watcher across a server's end, server-side apply, lists in parts, streams of a pod.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use e2e::{Cluster, patience};
use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, AttachParams, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Client, Config, Error};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SOON: Duration = Duration::from_secs(90);

/// Runs `work` with a client on the machine.
fn with_client<T: Send + 'static>(
    cluster: &Cluster,
    work: impl AsyncFnOnce(Client) -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let kubeconfig = cluster.kubeconfig();
    cluster.host.machine_thread(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async { work(client(kubeconfig).await).await })
    })
}

async fn client(kubeconfig: PathBuf) -> Client {
    let file = Kubeconfig::read_from(kubeconfig).expect("read the kubeconfig");
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("a configuration")).expect("a client")
}

fn map(name: &str, value: &str) -> ConfigMap {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "labels": { "of": "rust" } },
        "data": { "k": value },
    });
    serde_json::from_value(object).expect("a map")
}

/// Until the other end is dropped: what a watcher tells, as a line each.
async fn tell(client: Client, to: Sender<String>) {
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let mut events = watch(maps, watcher::Config::default().labels("of=rust")).default_backoff().boxed();
    while let Some(event) = events.next().await {
        let line = match event {
            Ok(Event::Init) => "list".to_owned(),
            Ok(Event::InitDone) => "listed".to_owned(),
            Ok(Event::InitApply(map)) => format!("there {}", shown(&map)),
            Ok(Event::Apply(map)) => format!("applied {}", shown(&map)),
            Ok(Event::Delete(map)) => format!("deleted {}", shown(&map)),
            Err(_) => "error".to_owned(),
        };
        if to.send(line).is_err() {
            return;
        }
    }
}

fn shown(map: &ConfigMap) -> String {
    let value = map.data.as_ref().and_then(|d| d.get("k"));
    format!("{}={}", map.metadata.name.as_deref().unwrap_or_default(), value.map_or("", String::as_str))
}

/// The next line that is no error; errors are counted.
#[track_caller]
fn next(told: &Receiver<String>, errors: &mut usize) -> String {
    loop {
        let line = told.recv_timeout(SOON * patience()).expect("an event");
        if line != "error" {
            return line;
        }
        *errors += 1;
    }
}

#[test]
fn a_watcher_goes_on_where_it_was_when_the_server_comes_back() {
    let mut cluster = Cluster::start_with("kubers", &["--disable-agent"]);
    let create = |cluster: &Cluster, name: &'static str| {
        let created = with_client(cluster, async move |client| {
            let maps: Api<ConfigMap> = Api::namespaced(client, "default");
            maps.create(&PostParams::default(), &map(name, "v")).await.map(|_| ())
        });
        created.join().expect("the thread").expect("create");
    };
    create(&cluster, "first");
    let (to, told) = channel();
    let watcher = with_client(&cluster, async move |client| tell(client, to).await);
    let mut errors = 0;
    let mut lines = Vec::new();
    while lines.last().is_none_or(|l| l != "listed") {
        lines.push(next(&told, &mut errors));
    }
    assert_eq!(lines, ["list", "there first=v", "listed"]);
    create(&cluster, "second");
    assert_eq!(next(&told, &mut errors), "applied second=v");

    cluster.kill();
    cluster.boot();
    create(&cluster, "third");
    // No list again, nothing lost, nothing twice.
    assert_eq!(next(&told, &mut errors), "applied third=v");
    assert!(errors > 0, "the connection was lost in between");
    cluster.kubectl(&["delete", "configmap", "first"]).ok();
    assert_eq!(next(&told, &mut errors), "deleted first=v");
    drop(told);
    create(&cluster, "fourth");
    watcher.join().expect("the watcher");
}

#[test]
fn apply_lists_logs_and_streams() {
    let cluster = Cluster::start("kubers-pods");
    let work = with_client(&cluster, async |client| {
        applies(Api::namespaced(client.clone(), "default")).await;
        lists(Api::namespaced(client.clone(), "default")).await;
        streams(Api::namespaced(client, "default")).await;
    });
    work.join().expect("the client");
}

async fn applies(maps: Api<ConfigMap>) {
    let apply = async |manager: &str, value: &str, force: bool| {
        let params = PatchParams { force, ..PatchParams::apply(manager) };
        maps.patch("applied", &params, &Patch::Apply(map("applied", value))).await
    };
    let first = apply("one", "v", false).await.expect("apply");
    let again = apply("one", "v", false).await.expect("apply again");
    assert_eq!(first.metadata.resource_version, again.metadata.resource_version, "nothing changed");
    // Two may say the same.
    apply("two", "v", false).await.expect("share");
    let Err(Error::Api(refused)) = apply("two", "w", false).await else { panic!("no conflict") };
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    assert_eq!(refused.message, "Apply failed with 1 conflict: conflict with \"one\": .data.k");
    let forced = apply("two", "w", true).await.expect("force");
    assert_eq!(shown(&forced), "applied=w");
    // What nobody wants any more goes: the label is of both, the value of one.
    let bare = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "applied" } });
    let params = PatchParams::apply("two");
    let released = maps.patch("applied", &params, &Patch::Apply(bare)).await.expect("release");
    assert_eq!(shown(&released), "applied=");
    assert_eq!(released.metadata.labels.expect("labels")["of"], "rust");
    maps.delete("applied", &DeleteParams::default()).await.expect("delete");
}

async fn lists(maps: Api<ConfigMap>) {
    for n in 0..7 {
        maps.create(&PostParams::default(), &map(&format!("page-{n}"), "v")).await.expect("create");
    }
    let mut names = Vec::new();
    let mut rest = Vec::new();
    let mut params = ListParams::default().labels("of=rust").limit(3);
    loop {
        let page = maps.list(&params).await.expect("list");
        names.extend(page.items.iter().filter_map(|m| m.metadata.name.clone()));
        rest.push((page.items.len(), page.metadata.remaining_item_count));
        // Made while the list goes on: no part of it.
        let late = map(&format!("page-{}-late", rest.len()), "v");
        maps.create(&PostParams::default(), &late).await.expect("create");
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    // With a selector nobody counts the rest.
    assert_eq!(rest, [(3, None), (3, None), (1, None)]);
    let wanted: Vec<String> = (0..7).map(|n| format!("page-{n}")).collect();
    assert_eq!(names, wanted);
    let gone =
        maps.delete_collection(&DeleteParams::default(), &ListParams::default().labels("of=rust")).await;
    gone.expect("delete them all");
    assert!(maps.list(&ListParams::default().labels("of=rust")).await.expect("list").items.is_empty());
}

async fn streams(pods: Api<Pod>) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web" },
        "spec": { "terminationGracePeriodSeconds": 1, "containers": [{ "name": "web", "image": "nginx" }] },
    });
    pods.create(&PostParams::default(), &serde_json::from_value(pod).expect("a pod")).await.expect("create");
    let ready = |pod: Option<&Pod>| {
        let conditions = pod.and_then(|p| p.status.as_ref()).and_then(|s| s.conditions.as_ref());
        conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
    };
    let ready = kube::runtime::wait::await_condition(pods.clone(), "web", ready);
    tokio::time::timeout(SOON * patience(), ready).await.expect("Ready").expect("watch");

    let command = ["bash", "-c", "read line; echo \"got $line\"; echo oh >&2; exit 3"];
    let mut process = pods.exec("web", command, &AttachParams::default().stdin(true)).await.expect("exec");
    let ended = process.take_status().expect("a status");
    process.stdin().expect("stdin").write_all(b"words\n").await.expect("write");
    let (mut out, mut err) = (String::new(), String::new());
    process.stdout().expect("stdout").read_to_string(&mut out).await.expect("read");
    process.stderr().expect("stderr").read_to_string(&mut err).await.expect("read");
    let status = ended.await.expect("how it ended");
    assert_eq!(
        (out.as_str(), err.as_str(), status.reason.as_deref()),
        ("got words\n", "oh\n", Some("NonZeroExitCode"))
    );
    process.join().await.expect("the end");

    let mut forward = pods.portforward("web", &[80]).await.expect("forward");
    let mut stream = forward.take_stream(80).expect("the port's stream");
    stream.write_all(b"GET /by-rust HTTP/1.0\r\n\r\n").await.expect("ask");
    let mut page = String::new();
    stream.read_to_string(&mut page).await.expect("read");
    assert!(page.contains("404 Not Found"), "{page}");
    drop(stream);
    forward.abort();

    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream("web", &follow).await.expect("logs").lines();
    while let Some(line) = lines.try_next().await.expect("a line") {
        if line.contains("GET /by-rust") {
            pods.delete("web", &DeleteParams::default()).await.expect("delete");
            // It ends with the container.
            while lines.try_next().await.expect("a line").is_some() {}
            return;
        }
    }
    panic!("the log ended before the visit");
}
