//! Ways to more than one has, each refused: certificates, other people's names, parts of resources, other spellings of paths.

use std::sync::Arc;
use std::time::Duration;

use pki::{Ca, LiveIdentity, Template};
use serde_json::{Value, json};

use super::server::{Server, pod, start};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Lets a user do what the rules say, and `GET /version`; waits until that counts.
async fn allow(server: &Server, user: &str, mut rules: Vec<Value>) -> Arc<LiveIdentity> {
    rules.push(json!({"nonResourceURLs": ["/version"], "verbs": ["get"]}));
    let name = format!("of-{user}");
    let role = json!({"metadata": {"name": name}, "rules": rules});
    assert_eq!(server.post(&format!("{RBAC}/clusterroles"), role).await.code, 201);
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    assert_eq!(server.post(&format!("{RBAC}/clusterrolebindings"), binding).await.code, 201);
    let identity = server.identity(user, "people");
    // The authorizer follows its views.
    while server.send_as(Some(identity.clone()), "GET", "/version", &[], "").await.code != 200 {
        tokio::task::yield_now().await;
    }
    identity
}

fn rule(verbs: &str, resources: &str) -> Value {
    let list = |text: &str| text.split(' ').map(Value::from).collect::<Vec<_>>();
    json!({"apiGroups": ["*"], "resources": list(resources), "verbs": list(verbs)})
}

#[tokio::test]
async fn certificates_that_are_not_good() {
    let server = start().await;
    let now = server.api.clock.now();
    let issue = |template: &Template, when| {
        Arc::new(LiveIdentity::new(&server.ca().issue(template, when).unwrap()).unwrap())
    };
    let mut template = Template::client("admin", "system:masters");
    template.lifetime = DAY;
    let (other, _) = Ca::create("knarr-ca", now).unwrap();
    let strange = Arc::new(LiveIdentity::new(&other.issue(&template, now).unwrap()).unwrap());
    let mut serving = Template::server("admin", ["admin"]);
    serving.organization = "system:masters".into();
    for (what, identity) in [
        ("expired", issue(&template, now - DAY * 3)),
        ("not yet valid", issue(&template, now + DAY * 3)),
        ("of another CA", strange),
        ("for servers", issue(&serving, now)),
    ] {
        let answer = server.send_as(Some(identity), "GET", "/api/v1/secrets", &[], "").await;
        assert_eq!(answer.code, 401, "{what}: {}", answer.text);
        let expected = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "Unauthorized", "reason": "Unauthorized", "code": 401});
        assert_eq!(answer.json(), expected, "{what}");
    }
    let good = issue(&template, now);
    assert_eq!(server.send_as(Some(good), "GET", "/api/v1/secrets", &[], "").await.code, 200);
}

/// Rights to a resource are none to its parts, whatever the method.
#[tokio::test]
async fn parts_of_resources() {
    let server = start().await;
    assert_eq!(server.post("/api/v1/namespaces/default/pods", pod("p")).await.code, 201);
    let all = "create delete get list patch update watch";
    let whole = allow(
        &server,
        "whole",
        vec![rule(all, "pods services nodes deployments serviceaccounts namespaces")],
    )
    .await;
    const POD: &str = "/api/v1/namespaces/default/pods/p";
    let cases = [
        ("GET", "exec?command=id&stdout=1", "get", "pods/exec"),
        ("POST", "exec?command=id&stdout=1", "create", "pods/exec"),
        ("GET", "attach", "get", "pods/attach"),
        ("POST", "attach", "create", "pods/attach"),
        ("GET", "portforward?ports=80", "get", "pods/portforward"),
        ("POST", "portforward?ports=80", "create", "pods/portforward"),
        ("GET", "log", "get", "pods/log"),
        ("GET", "proxy/", "get", "pods/proxy"),
        ("PUT", "proxy/x", "update", "pods/proxy"),
        ("DELETE", "proxy/x", "delete", "pods/proxy"),
        ("OPTIONS", "proxy/x", "create", "pods/proxy"),
        ("PATCH", "status", "patch", "pods/status"),
        ("PATCH", "ephemeralcontainers", "patch", "pods/ephemeralcontainers"),
        ("PATCH", "resize", "patch", "pods/resize"),
        ("POST", "eviction", "create", "pods/eviction"),
        ("POST", "binding", "create", "pods/binding"),
    ];
    for (method, part, verb, resource) in cases {
        let headers = [("content-type", "application/merge-patch+json")];
        let answer =
            server.send_as(Some(whole.clone()), method, &format!("{POD}/{part}"), &headers, "{}").await;
        let expected = format!(
            "pods \"p\" is forbidden: User \"whole\" cannot {verb} resource \"{resource}\" in API group \"\" in the namespace \
             \"default\""
        );
        assert_eq!((answer.code, answer.message()), (403, expected), "{method} {part}");
    }
    for (method, path, resource, group) in [
        ("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", "serviceaccounts/token", ""),
        ("GET", "/api/v1/nodes/n/proxy/pods", "nodes/proxy", ""),
        ("GET", "/api/v1/namespaces/default/services/s/proxy/", "services/proxy", ""),
        ("PUT", "/api/v1/namespaces/default/finalize", "namespaces/finalize", ""),
        ("PUT", "/apis/apps/v1/namespaces/default/deployments/d/scale", "deployments/scale", "apps"),
        (
            "PUT",
            "/apis/certificates.k8s.io/v1/certificatesigningrequests/c/approval",
            "certificatesigningrequests/approval",
            "certificates.k8s.io",
        ),
    ] {
        let answer = server.send_as(Some(whole.clone()), method, path, &[], "{}").await;
        let said = format!("resource \"{resource}\" in API group \"{group}\"");
        assert!(answer.code == 403 && answer.message().contains(&said), "{method} {path}: {}", answer.text);
    }
    // A WebSocket is opened by GET, and yet runs commands: whoever may only get may not open one.
    let getter = allow(&server, "getter", vec![rule("get", "pods/exec pods/attach pods/portforward")]).await;
    for part in ["exec?command=id&stdout=1", "attach", "portforward?ports=80"] {
        let answer = server.send_as(Some(getter.clone()), "GET", &format!("{POD}/{part}"), &[], "").await;
        assert!(answer.code == 403 && answer.message().contains("cannot create"), "{part}: {}", answer.text);
    }
}

/// Each thing that somebody wants to be is asked for by itself.
#[tokio::test]
async fn other_peoples_names() {
    let server = start().await;
    let mut only_jane = rule("impersonate", "users");
    only_jane["resourceNames"] = json!(["jane"]);
    let helper = allow(&server, "helper", vec![only_jane]).await;
    let try_as = async |headers: &[(&str, &str)]| {
        let answer = server.send_as(Some(helper.clone()), "GET", "/version", headers, "").await;
        (answer.code, answer.message())
    };
    let denied = |what: &str, name: &str, resource: &str, group: &str, scope: &str| {
        let group_resource = if group.is_empty() { what.to_owned() } else { format!("{what}.{group}") };
        let text = format!(
            "{group_resource} \"{name}\" is forbidden: User \"helper\" cannot impersonate resource \"{resource}\" in API group \
             \"{group}\" {scope}"
        );
        (403, text)
    };
    const CLUSTER: &str = "at the cluster scope";
    const JANE: (&str, &str) = ("impersonate-user", "jane");
    // Jane may not get /version: whoever is her cannot, either.
    let (code, said) = try_as(&[JANE]).await;
    assert_eq!((code, &*said), (403, "forbidden: User \"jane\" cannot get path \"/version\""));
    assert_eq!(
        try_as(&[("impersonate-user", "admin")]).await,
        denied("users", "admin", "users", "", CLUSTER)
    );
    let node = "system:node:n1";
    assert_eq!(try_as(&[("impersonate-user", node)]).await, denied("users", node, "users", "", CLUSTER));
    assert_eq!(
        try_as(&[JANE, ("impersonate-group", "system:masters")]).await,
        denied("groups", "system:masters", "groups", "", CLUSTER)
    );
    assert_eq!(
        try_as(&[JANE, ("impersonate-uid", "5")]).await,
        denied("uids", "5", "uids", "authentication.k8s.io", CLUSTER)
    );
    assert_eq!(
        try_as(&[JANE, ("impersonate-extra-example.com%2fscope", "all")]).await,
        denied("userextras", "all", "userextras/example.com/scope", "authentication.k8s.io", CLUSTER)
    );
    assert_eq!(
        try_as(&[("impersonate-user", "system:serviceaccount:kube-system:robot")]).await,
        denied("serviceaccounts", "robot", "serviceaccounts", "", "in the namespace \"kube-system\"")
    );
    // The second name counts for nothing, and a group alone is nobody.
    assert_eq!(try_as(&[JANE, ("impersonate-user", "admin")]).await.1, said);
    assert_eq!(try_as(&[("impersonate-group", "system:masters")]).await.0, 500);
    // Without a proxy to be believed, headers name nobody.
    let headers = [("x-remote-user", "admin"), ("x-remote-group", "system:masters")];
    let answer = server.send_as(Some(helper.clone()), "GET", "/api/v1/secrets", &headers, "").await;
    assert!(answer.message().contains("User \"helper\" cannot list"), "{}", answer.text);
}

/// What is allowed is one path, not what looks like it.
#[tokio::test]
async fn paths_that_are_no_resources() {
    let server = start().await;
    let rules = vec![
        json!({"nonResourceURLs": ["/metrics", "/healthz/*"], "verbs": ["get"]}),
        rule("get list", "configmaps"),
    ];
    let reader = allow(&server, "reader", rules).await;
    let code = async |method: &str, path: &str| {
        let answer = server.send_as(Some(reader.clone()), method, path, &[], "").await;
        answer.code
    };
    assert_eq!(code("GET", "/metrics").await, 200);
    assert_eq!(code("GET", "/healthz/ping").await, 200);
    for path in [
        "/metrics/",
        "/metricsx",
        "/Metrics",
        "//metrics",
        "/metrics;x",
        "/metrics%00",
        "/%6detrics",
        "/healthz",
        "/livez",
        "/readyz",
        "/api",
        "/apis",
        "/openapi/v2",
        "/logs",
        "/debug/pprof",
        "/",
        "/metrics/../api",
    ] {
        assert_eq!(code("GET", path).await, 403, "{path}");
    }
    assert_eq!(code("POST", "/metrics").await, 403);
    // The same of a resource: nothing but its own name is it.
    assert_eq!(code("GET", "/api/v1/configmaps").await, 200);
    for path in [
        "/api/v1/secrets;configmaps",
        "/api/v1/secrets%00",
        "/api/v1/secrets/",
        "/api/v1/configmaps%2F..%2Fsecrets",
        "/api/v1/configmaps/../secrets",
        "/api/v1/namespaces/default/configmaps/%2e%2e/%2e%2e/secrets/x",
        "/api/v1/namespaces/default/secrets%2Fx",
        "/api/v1/namespaces//secrets",
        "/api/v1/namespaces/default/Configmaps",
        "/api/v1/watch/secrets",
        "/api/v1/namespaces/default/configmaps/x/status",
    ] {
        let got = code("GET", path).await;
        assert!(got == 403 || got == 404, "{path}: {got}");
    }
    let secret = json!({"metadata": {"name": "x"}, "stringData": {"k": "hidden"}});
    assert_eq!(server.post("/api/v1/namespaces/default/secrets", secret).await.code, 201);
    for (path, code) in [("configmaps/x", 404), ("configmaps/..%2fsecrets%2fx", 400), ("configmaps/..", 400)]
    {
        let path = format!("/api/v1/namespaces/default/{path}");
        let answer = server.send_as(Some(reader.clone()), "GET", &path, &[], "").await;
        assert!(answer.code == code && !answer.text.contains("hidden"), "{path}: {}", answer.text);
    }
}
