//! The API as kubectl users meet it: verbs, patches, errors, who may do what.

use std::process::Command;
use std::time::Duration;

use e2e::{Cluster, eventually, run};

#[test]
fn everyday_verbs_and_clear_refusals() {
    let cluster = Cluster::start_with("api", &["--disable-agent"]);
    let k = |args: &[&str]| cluster.kubectl(args);

    // Create, get, label, annotate, patch of each type, edit by apply, delete.
    assert_eq!(k(&["create", "configmap", "one", "--from-literal=a=1"]).ok(), "configmap/one created\n");
    assert_eq!(
        k(&["create", "configmap", "one"]).fails(),
        "error: failed to create configmap: configmaps \"one\" already exists\n"
    );
    k(&["label", "configmap", "one", "tier=front"]).ok();
    k(&["annotate", "configmap", "one", "note=hello"]).ok();
    k(&["patch", "configmap", "one", "--type=merge", "-p", r#"{"data":{"b":"2"}}"#]).ok();
    k(&[
        "patch",
        "configmap",
        "one",
        "--type=json",
        "-p",
        r#"[{"op":"replace","path":"/data/a","value":"9"}]"#,
    ])
    .ok();
    k(&["patch", "configmap", "one", "--type=strategic", "-p", r#"{"data":{"c":"3"}}"#]).ok();
    assert_eq!(cluster.value("configmap", "one", "{.data}"), r#"{"a":"9","b":"2","c":"3"}"#);
    assert_eq!(k(&["get", "configmap", "-l", "tier=front", "-o", "name"]).ok(), "configmap/one\n");
    assert_eq!(
        k(&["get", "configmap", "-l", "tier!=front", "--field-selector", "metadata.name=one"]).ok(),
        ""
    );
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: two }\ndata: { x: '1' }\n";
    assert_eq!(cluster.apply(manifest), "configmap/two created\n");
    assert_eq!(cluster.apply(manifest), "configmap/two unchanged\n");
    assert_eq!(cluster.apply(&manifest.replace("'1'", "'2'")), "configmap/two configured\n");
    assert_eq!(k(&["delete", "configmap", "one", "two"]).ok().lines().count(), 2);

    // Bad input, each with its own words.
    let bad = |name: &str, yaml: &str| k(&["create", "-f", &cluster.file(name, yaml)]).fails();
    let unknown = bad("u.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: u }\ndato: {}\n");
    assert!(unknown.contains("unknown field \"dato\""), "{unknown}");
    let name = bad("n.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: Not_Good }\n");
    assert!(
        name.contains("metadata.name: Invalid value: \"Not_Good\"") && name.contains("RFC 1123"),
        "{name}"
    );
    let kind = bad("k.yaml", "apiVersion: v1\nkind: Nonsense\nmetadata: { name: x }\n");
    assert!(
        kind.contains("k.yaml") && kind.contains("no matches for kind \"Nonsense\" in version \"v1\""),
        "{kind}"
    );
    let empty = bad("p.yaml", "apiVersion: v1\nkind: Pod\nmetadata: { name: p }\nspec: { containers: [] }\n");
    assert!(empty.contains("spec.containers: Required value"), "{empty}");
    let large = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: l }}\ndata: {{ a: '{}' }}\n",
        "x".repeat(3 << 20)
    );
    assert!(bad("l.yaml", &large).contains("arge"), "a 3 MiB body is refused");
    assert_eq!(k(&["get", "pods", "-l", "a=(b"]).code, 1);
    assert!(k(&["get", "pod", "none"]).fails().contains("pods \"none\" not found"));

    // Namespaces: made, used, emptied.
    k(&["create", "namespace", "extra"]).ok();
    k(&["create", "configmap", "inner", "-n", "extra"]).ok();
    k(&["delete", "namespace", "extra"]).ok();
    assert!(k(&["get", "namespace", "extra"]).fails().contains("not found"));
    assert!(
        k(&["create", "configmap", "late", "-n", "extra"]).fails().contains("namespaces \"extra\" not found")
    );

    // Who may do what.
    assert_eq!(k(&["auth", "can-i", "create", "pods"]).ok(), "yes\n");
    let as_nobody = k(&["get", "pods", "--as=nobody"]).fails();
    assert_eq!(
        as_nobody,
        "Error from server (Forbidden): pods is forbidden: User \"nobody\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"\n"
    );
    k(&["create", "role", "reader", "--verb=get,list", "--resource=pods"]).ok();
    k(&["create", "rolebinding", "nobody-reads", "--role=reader", "--user=nobody"]).ok();
    eventually(Duration::from_secs(5), "the binding counts", || k(&["get", "pods", "--as=nobody"]).code == 0);
    assert_eq!(k(&["create", "configmap", "no", "--as=nobody"]).code, 1);

    // Discovery and documents.
    for args in
        [&["api-resources"][..], &["api-versions"], &["version"], &["cluster-info"], &["get", "all", "-A"]]
    {
        k(args).ok();
    }
    let explained = k(&["explain", "pod.spec.containers.image"]).ok();
    assert!(explained.contains("FIELD: image <string>"), "{explained}");
    assert_eq!(k(&["get", "--raw", "/readyz"]).ok(), "ok");
    assert!(k(&["get", "--raw", "/metrics"]).ok().contains("apiserver_request_total"));
    let (secret, config) = (cluster.data_dir().join("pki/ca.key"), cluster.kubeconfig());
    for private in [secret, config] {
        let mode = run(Command::new("stat").args(["-c", "%a"]).arg(&private)).ok();
        assert_eq!(mode.trim(), "600", "{}", private.display());
    }
}

#[test]
fn a_second_server_and_a_taken_port_are_refused() {
    let cluster = Cluster::start_with("refuse", &["--disable-agent"]);
    let unused = cluster.dir().join("unused").display().to_string();
    let again = cluster.knarr(&[
        "server",
        "--disable-agent",
        "--https-listen-port",
        "7443",
        "--write-kubeconfig",
        &unused,
    ]);
    assert!(
        again.fails().contains("in use by another server (process "),
        "the data directory's holder is named"
    );
    let other = cluster.dir().join("other");
    let kubeconfig = cluster.dir().join("other.config");
    let taken = run(cluster
        .host
        .command(&e2e::binary())
        .args(["server", "--disable-agent", "--data-dir"])
        .arg(&other)
        .arg("--write-kubeconfig")
        .arg(&kubeconfig));
    let words = taken.fails();
    assert!(words.contains("0.0.0.0:6443") && words.contains("--https-listen-port"), "{words}");
    let nobody = run(Command::new("setpriv")
        .args(["--reuid", "65534", "--clear-groups"])
        .arg(e2e::binary())
        .arg("server"));
    assert!(nobody.fails().contains("must run as root"));
}

#[test]
fn a_controller_without_its_role_fails_alone_and_visibly() {
    let cluster = Cluster::start_with("roles", &["--disable-agent"]);
    let role = "system:controller:replicaset-controller";
    cluster.kubectl(&["delete", "clusterrolebinding", role]).ok();
    cluster.kubectl(&["create", "deployment", "web", "--image=nginx"]).ok();
    eventually(Duration::from_secs(20), "the deployment controller works", || {
        cluster.kubectl(&["get", "rs", "-o", "name"]).ok().lines().count() == 1
    });
    eventually(Duration::from_secs(20), "the replica set controller's failure is in the log", || {
        let log = cluster.server_log();
        log.lines().any(|l| {
            l.contains("system:serviceaccount:kube-system:replicaset-controller") && l.contains("cannot")
        })
    });
    assert_eq!(cluster.kubectl(&["get", "pods", "-o", "name"]).ok(), "");
    let account = "--serviceaccount=kube-system:replicaset-controller";
    cluster.kubectl(&["create", "clusterrolebinding", role, &format!("--clusterrole={role}"), account]).ok();
    eventually(Duration::from_secs(30), "with its role back it goes on", || {
        cluster.kubectl(&["get", "pods", "-o", "name"]).ok().lines().count() == 1
    });
}

#[test]
fn the_join_token_opens_the_door_and_no_other() {
    let first = "abcdef.0123456789abcdef";
    let mut cluster = Cluster::start_with("token", &["--disable-agent", "--token", first]);
    let known = |cluster: &Cluster, token: &str, name: &str| {
        eventually(Duration::from_secs(60), "the token is known", || cluster.whoami(token).stdout == name);
    };
    known(&cluster, first, "system:bootstrap:abcdef");
    assert_eq!(cluster.whoami("abcdef.0123456789abcdee").code, 1);
    let config = cluster.tokenless_kubeconfig();
    let pods = cluster.kubectl(&["get", "pods", "--token", first, "--kubeconfig", &config]).fails();
    assert!(pods.contains("User \"system:bootstrap:abcdef\" cannot list resource \"pods\""), "{pods}");
    let kept = cluster.data_dir().join("token");
    let mode = run(Command::new("stat").args(["-c", "%a"]).arg(&kept)).ok();
    assert_eq!((mode.trim(), std::fs::read_to_string(&kept).expect("read").trim()), ("600", first));

    // Kept over a restart without the flag; replaced by another.
    cluster.stop();
    cluster.set_flags(&["--disable-agent"]);
    cluster.boot();
    known(&cluster, first, "system:bootstrap:abcdef");
    cluster.stop();
    let second = "fedcba.fedcba9876543210";
    cluster.set_flags(&["--disable-agent", "--token", second]);
    cluster.boot();
    known(&cluster, second, "system:bootstrap:fedcba");
    eventually(Duration::from_secs(60), "the old one is forgotten", || cluster.whoami(first).code != 0);
    cluster.stop();
    let wrong = cluster.knarr(&["server", "--token", "open-sesame"]).fails();
    assert!(wrong.contains("--token: a token is 6 characters") && !wrong.contains("sesame"), "{wrong}");
}
