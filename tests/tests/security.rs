//! Who is who, and who may do what: the API server's flags, tokens that die with what they are bound to, and ways to more than one
//! has. What needs no real server is tested in `crates/auth`, `crates/admission` and `crates/apiserver/tests/api/attacks.rs`.

use std::path::Path;
use std::time::Duration;

use e2e::{Cluster, Output, binary, eventually, run};

const MINUTE: Duration = Duration::from_secs(60);

/// A CA, and certificates of it, as files `NAME.crt` and `NAME.key` in the cluster's directory.
struct Authority<'a> {
    cluster: &'a Cluster,
    cert: String,
    key: String,
}

fn openssl(args: &[&str]) {
    run(std::process::Command::new("openssl").args(args)).ok();
}

impl<'a> Authority<'a> {
    fn new(cluster: &'a Cluster, name: &str) -> Self {
        let path = |end: &str| cluster.dir().join(format!("{name}.{end}")).display().to_string();
        let (cert, key) = (path("crt"), path("key"));
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            &format!("/CN={name}"),
            "-keyout",
            &key,
            "-out",
            &cert,
        ]);
        Authority { cluster, cert, key }
    }

    /// The cluster's own, as whoever has stolen its key.
    fn of(cluster: &'a Cluster) -> Self {
        let path = |name: &str| cluster.data_dir().join("pki").join(name).display().to_string();
        Authority { cluster, cert: path("ca.crt"), key: path("ca.key") }
    }

    /// Certificate and key of a client; `subject` as in `/O=group/CN=name`.
    fn issue(&self, name: &str, subject: &str) -> (String, String) {
        let path = |end: &str| self.cluster.dir().join(format!("{name}.{end}")).display().to_string();
        let (cert, key, request, usage) = (path("crt"), path("key"), path("csr"), path("ext"));
        std::fs::write(&usage, "extendedKeyUsage=clientAuth\n").unwrap();
        openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            subject,
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &self.cert,
            "-CAkey",
            &self.key,
            "-CAcreateserial",
            "-days",
            "1",
            "-extfile",
            &usage,
            "-out",
            &cert,
        ]);
        (cert, key)
    }
}

/// `METHOD PATH` with further arguments of curl; the answer and, on its own line, the code.
fn curl(cluster: &Cluster, method: &str, path: &str, more: &[&str]) -> String {
    let url = format!("https://127.0.0.1:6443{path}");
    let mut command = cluster.host.command(Path::new("curl"));
    command.args(["-sk", "--path-as-is", "-w", "\n%{http_code}", "-X", method, &url]);
    let kind = if method == "PATCH" { "merge-patch+json" } else { "json" };
    run(command.args(["-H", &format!("content-type: application/{kind}")]).args(more)).ok()
}

#[test]
fn flags_say_who_is_who() {
    let mut cluster = Cluster::prepare("who", &[]);
    cluster.file("tokens.csv", "s3cret,ann,7,\"staff,devs\"\n");
    cluster.file(
        "admission.yaml",
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: PodSecurity\n  configuration:\n    \
         apiVersion: pod-security.admission.config.k8s.io/v1\n    kind: PodSecurityConfiguration\n    defaults: {enforce: baseline}\n    \
         exemptions: {namespaces: [free]}\n",
    );
    let (proxies, people) = (Authority::new(&cluster, "proxies"), Authority::new(&cluster, "people"));
    let front = proxies.issue("front", "/CN=front");
    let other = proxies.issue("other", "/CN=other");
    let carol = people.issue("carol", "/O=staff/CN=carol");
    let in_dir = |flag: &str, name: &str| format!("{flag}={}", cluster.dir().join(name).display());
    let flags = [
        "--disable-agent".to_owned(),
        in_dir("--token-auth-file", "tokens.csv"),
        in_dir("--admission-control-config-file", "admission.yaml"),
        in_dir("--client-ca-file", "people.crt"),
        in_dir("--requestheader-client-ca-file", "proxies.crt"),
        "--requestheader-allowed-names=front".into(),
        "--anonymous-auth=false".into(),
        "--service-account-issuer=https://issuer.example".into(),
        "--enable-admission-plugins=PodSecurity,NodeRestriction".into(),
        "--disable-admission-plugins=DefaultTolerationSeconds".into(),
    ];
    cluster.set_flags(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    cluster.boot();
    let k = |args: &[&str]| cluster.kubectl(args);

    assert_eq!(cluster.whoami("s3cret").ok(), "ann");
    assert!(cluster.whoami("s3cre").fails().contains("Unauthorized"));
    let secrets = |more: &[&str]| curl(&cluster, "GET", "/api/v1/secrets", more);
    let shows =
        |(cert, key): &(String, String), header: &str| secrets(&["--cert", cert, "--key", key, "-H", header]);
    // The proxy says who asks; whoever is not the proxy does not.
    let bob = shows(&front, "X-Remote-User: bob");
    assert!(bob.contains("User \\\"bob\\\" cannot list resource") && bob.ends_with("\n403"), "{bob}");
    assert!(shows(&front, "X-Remote-User: kate").contains("kate"));
    let masters = secrets(&[
        "--cert",
        &front.0,
        "--key",
        &front.1,
        "-H",
        "X-Remote-User: root",
        "-H",
        "X-Remote-Group: system:masters",
    ]);
    assert!(masters.ends_with("\n200"), "{masters}");
    assert!(shows(&other, "X-Remote-User: bob").ends_with("\n401"));
    let own = shows(&carol, "X-Remote-User: kubernetes-admin");
    assert!(own.contains("User \\\"carol\\\" cannot list resource"), "{own}");
    assert!(curl(&cluster, "GET", "/version", &[]).ends_with("\n401"), "nobody gets in");

    let map = || {
        cluster.kubectl(&[
            "-n",
            "kube-system",
            "get",
            "cm",
            "extension-apiserver-authentication",
            "-o",
            "json",
        ])
    };
    eventually(MINUTE, "whom the server believes is published", || map().code == 0);
    let published: serde_json::Value = serde_json::from_str(&map().ok()).unwrap();
    let data = |key: &str| published["data"][key].as_str().unwrap_or_default().to_owned();
    assert_eq!(data("client-ca-file").matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(data("requestheader-client-ca-file").matches("BEGIN CERTIFICATE").count(), 1);
    assert_eq!(data("requestheader-allowed-names"), "[\"front\"]");
    assert_eq!(data("requestheader-username-headers"), "[\"X-Remote-User\"]");
    assert_eq!(data("requestheader-group-headers"), "[\"X-Remote-Group\"]");
    assert_eq!(data("requestheader-extra-headers-prefix"), "[\"X-Remote-Extra-\"]");
    k(&["-n", "kube-system", "delete", "cm", "extension-apiserver-authentication"]).ok();
    eventually(MINUTE, "it is published again", || map().code == 0);

    let about = k(&["get", "--raw", "/.well-known/openid-configuration"]).ok();
    assert!(about.contains("\"issuer\":\"https://issuer.example\""), "{about}");
    eventually(MINUTE, "the default account is there", || k(&["get", "sa", "default"]).code == 0);
    let token = k(&["create", "token", "default"]).ok();
    assert_eq!(cluster.whoami(token.trim()).ok(), "system:serviceaccount:default:default");

    let privileged = |namespace: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: {namespace}}}\nspec:\n  containers:\n  - {{name: c, image: \
             none, securityContext: {{privileged: true}}}}\n"
        )
    };
    let refused = k(&["create", "-f", &cluster.file("p.yaml", &privileged("default"))]).fails();
    assert!(refused.contains("violates PodSecurity \"baseline:latest\": privileged"), "{refused}");
    k(&["create", "namespace", "free"]).ok();
    eventually(MINUTE, "its account is there", || k(&["-n", "free", "get", "sa", "default"]).code == 0);
    k(&["create", "-f", &cluster.file("p.yaml", &privileged("free"))]).ok();
    let tolerations = k(&["-n", "free", "get", "pod", "p", "-o", "jsonpath={.spec.tolerations}"]).ok();
    assert_eq!(tolerations, "", "the plugin that adds some is off");
}

/// What is wrong is said, with the file and what to write, before anything is made.
#[test]
fn wrong_flags_stop_the_server() {
    let cluster = Cluster::prepare("wrong", &[]);
    let data = cluster.dir().join("untouched");
    let said = |flag: &str| {
        let mut command = cluster.host.command(&binary());
        command.args(["server", "--data-dir", &data.display().to_string(), flag]);
        run(&mut command).fails()
    };
    let tokens = cluster.file("tokens.csv", "only-a-token\n");
    let error = said(&format!("--token-auth-file={tokens}"));
    assert!(
        error.contains(&format!("--token-auth-file {tokens}: line 1: a token, a user and a uid are needed")),
        "{error}"
    );
    assert!(error.contains("a line is TOKEN,USER,UID"), "{error}");
    let error = said("--client-ca-file=/nowhere/ca.crt");
    assert!(error.contains("--client-ca-file: read /nowhere/ca.crt: No such file"), "{error}");
    let error = said("--authorization-mode=ABAC");
    assert!(
        error.contains("\"ABAC\" is not a valid mode; choose of Node, RBAC, AlwaysAllow, AlwaysDeny"),
        "{error}"
    );
    let error = said("--enable-admission-plugins=Nonsense");
    assert!(error.contains("admission plugin \"Nonsense\" is unknown"), "{error}");
    assert!(!data.exists(), "nothing is made");
}

#[test]
fn tokens_die_with_what_they_are_bound_to() {
    let cluster = Cluster::start_with("tokens", &["--disable-agent"]);
    let k = |args: &[&str]| cluster.kubectl(args);
    k(&["create", "sa", "robot"]).ok();
    k(&["create", "secret", "generic", "s"]).ok();
    cluster.apply("apiVersion: v1\nkind: Node\nmetadata: {name: far}\n");
    cluster.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  serviceAccountName: robot\n  containers: [{name: c, image: none}]\n",
    );
    let bound = |kind: &str, name: &str| {
        let args = ["create", "token", "robot", "--bound-object-kind", kind, "--bound-object-name", name];
        k(&args).ok().trim().to_owned()
    };
    const ROBOT: &str = "system:serviceaccount:default:robot";
    let refused = |token: &str, what: &str| {
        eventually(MINUTE, what, || cluster.whoami(token).code != 0);
        assert!(cluster.whoami(token).fails().contains("Unauthorized"));
    };
    for (kind, name, resource) in [("Pod", "p", "pod"), ("Secret", "s", "secret"), ("Node", "far", "node")] {
        let token = bound(kind, name);
        assert_eq!(cluster.whoami(&token).ok(), ROBOT, "bound to a {kind}");
        k(&["delete", resource, name, "--grace-period=0", "--force"]).ok();
        refused(&token, "the token is dead");
    }
    let free = k(&["create", "token", "robot"]).ok().trim().to_owned();
    assert_eq!(cluster.whoami(&free).ok(), ROBOT);
    let vault = k(&["create", "token", "robot", "--audience", "vault"]).ok();
    refused(vault.trim(), "a token for somebody else");
    let short = k(&["create", "token", "robot", "--duration", "5m"]).fails();
    assert!(short.contains("may not specify a duration less than 10 minutes"), "{short}");
    // Nothing but our own signature counts: neither none at all, nor another key's, nor one over other claims.
    let parts: Vec<&str> = free.split('.').collect();
    let none = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    refused(&none, "a token without a signature");
    let mut claims = parts[1].to_owned();
    claims.replace_range(10..11, if &claims[10..11] == "A" { "B" } else { "A" });
    refused(&format!("{}.{claims}.{}", parts[0], parts[2]), "a token that was changed");

    // The old sort, in a secret.
    cluster.apply(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: old, annotations: {kubernetes.io/service-account.name: robot}}\ntype: \
         kubernetes.io/service-account-token\n",
    );
    let kept = || k(&["get", "secret", "old", "-o", "go-template={{.data.token | base64decode}}"]).stdout;
    eventually(MINUTE, "the secret has a token", || kept().contains('.'));
    assert_eq!(cluster.value("secret", "old", "{.data.namespace}"), "ZGVmYXVsdA==");
    assert_ne!(cluster.value("secret", "old", "{.data.ca\\.crt}"), "");
    let old = kept();
    assert_eq!(cluster.whoami(&old).ok(), ROBOT);
    assert_ne!(
        cluster.value("secret", "old", "{.metadata.labels.kubernetes\\.io/legacy-token-last-used}"),
        ""
    );
    k(&["delete", "sa", "robot"]).ok();
    refused(&free, "the account is gone");
    refused(&old, "the account is gone");
    eventually(MINUTE, "its secret goes with it", || k(&["get", "secret", "old"]).code != 0);
    cluster.apply(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: orphan, annotations: {kubernetes.io/service-account.name: none}}\ntype: \
         kubernetes.io/service-account-token\n",
    );
    eventually(MINUTE, "a secret of nobody goes", || k(&["get", "secret", "orphan"]).code != 0);
}

#[test]
fn nobody_gets_more_than_he_has() {
    let mut cluster = Cluster::prepare("more", &[]);
    let tokens = cluster.file("tokens.csv", "lea,lea,1\n");
    cluster.set_flags(&["--disable-agent", "--token-auth-file", &tokens]);
    cluster.boot();
    let k = |args: &[&str]| cluster.kubectl(args);
    let kubeconfig = cluster.tokenless_kubeconfig();
    let lea =
        |args: &[&str]| -> Output { k(&[&["--token", "lea", "--kubeconfig", &kubeconfig], args].concat()) };
    // She may write roles and bindings, and look at pods.
    k(&[
        "create",
        "clusterrole",
        "keeper",
        "--verb=create,update,get",
        "--resource=roles,rolebindings,clusterroles,clusterrolebindings",
    ])
    .ok();
    k(&["create", "clusterrole", "looker", "--verb=get,list", "--resource=pods"]).ok();
    for role in ["keeper", "looker"] {
        k(&[
            "create",
            "clusterrolebinding",
            &format!("lea-{role}"),
            &format!("--clusterrole={role}"),
            "--user=lea",
        ])
        .ok();
    }
    eventually(MINUTE, "her rights count", || lea(&["auth", "can-i", "list", "pods"]).stdout.trim() == "yes");
    lea(&["create", "role", "mine", "--verb=get", "--resource=pods"]).ok();
    let refused = lea(&["create", "role", "more", "--verb=get,delete", "--resource=pods,secrets"]).fails();
    assert_eq!(
        refused,
        "Error from server (Forbidden): roles.rbac.authorization.k8s.io \"more\" is forbidden: user \"lea\" (groups=[\"system:authenticated\"]) \
         is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}\n\
         {APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\" \"delete\"]}\n"
    );
    let refused =
        lea(&["create", "clusterrolebinding", "b", "--clusterrole=cluster-admin", "--user=lea"]).fails();
    assert!(
        refused.contains("is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}"),
        "{refused}"
    );
    lea(&["create", "rolebinding", "b", "--clusterrole=looker", "--user=max"]).ok();
    let listed = lea(&["auth", "can-i", "--list"]).ok();
    assert!(listed.contains("pods ") && listed.contains("[get list]"), "{listed}");
    let refused = lea(&["get", "pods", "--as", "kubernetes-admin", "--as-group", "system:masters"]).fails();
    assert!(
        refused.contains(
            "User \"lea\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
        ),
        "{refused}"
    );
    let refused = lea(&["get", "secrets"]).fails();
    assert_eq!(
        refused,
        "Error from server (Forbidden): secrets is forbidden: User \"lea\" cannot list resource \"secrets\" in API group \"\" in the \
         namespace \"default\"\n"
    );

    // A debug container is a container: what a namespace forbids it forbids there, too.
    eventually(MINUTE, "the default account is there", || k(&["get", "sa", "default"]).code == 0);
    cluster.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers: [{name: c, image: none}]\n",
    );
    k(&["label", "namespace", "default", "pod-security.kubernetes.io/enforce=baseline"]).ok();
    let debug = r#"{"spec":{"ephemeralContainers":[{"name":"d","image":"none","securityContext":{"privileged":true}}]}}"#;
    let refused = k(&["patch", "pod", "p", "--subresource=ephemeralcontainers", "-p", debug]);
    assert!(
        refused.stderr.contains("violates PodSecurity \"baseline:latest\": privileged (container \"d\""),
        "{refused:?}"
    );
}

/// What somebody with a node's certificate can do to other nodes and their pods, and know of their secrets: nothing. (Pods and
/// nodes he may read: the network and the proxy of every node do, see `auth::policy`.)
#[test]
fn a_node_stays_at_home() {
    let cluster = Cluster::start_with("home", &["--disable-agent"]);
    let k = |args: &[&str]| cluster.kubectl(args);
    eventually(MINUTE, "the default account is there", || k(&["get", "sa", "default"]).code == 0);
    for name in ["mine", "other"] {
        cluster.apply(&format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\n"));
        k(&["create", "secret", "generic", &format!("of-{name}")]).ok();
        cluster.apply(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: on-{name}}}\nspec:\n  nodeName: {name}\n  containers:\n  - {{name: c, image: \
             none, envFrom: [{{secretRef: {{name: of-{name}}}}}]}}\n"
        ));
    }
    let (cert, key) = Authority::of(&cluster).issue("node", "/O=system:nodes/CN=system:node:mine");
    let code = |method: &str, path: &str, body: &str| {
        let answer = curl(&cluster, method, path, &["--cert", &cert, "--key", &key, "-d", body]);
        answer.rsplit('\n').next().unwrap_or_default().to_owned()
    };
    eventually(MINUTE, "the node sees its own secret", || {
        code("GET", "/api/v1/namespaces/default/secrets/of-mine", "") == "200"
    });
    let owner =
        r#"{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"x","uid":"y"}]}}"#;
    let token = |pod: &str| {
        let uid = cluster.value("pod", pod, "{.metadata.uid}");
        format!(
            r#"{{"spec":{{"audiences":[],"boundObjectRef":{{"apiVersion":"v1","kind":"Pod","name":"{pod}","uid":"{uid}"}}}}}}"#
        )
    };
    const ACCOUNT: &str = "/api/v1/namespaces/default/serviceaccounts/default/token";
    for (method, path, body) in [
        ("GET", "/api/v1/namespaces/default/secrets/of-other", ""),
        ("GET", "/api/v1/namespaces/default/secrets", ""),
        ("GET", "/api/v1/secrets?watch=1", ""),
        ("GET", "/api/v1/namespaces/default/pods/on-other", ""),
        ("PATCH", "/api/v1/nodes/other", r#"{"metadata":{"labels":{"a":"b"}}}"#),
        ("PATCH", "/api/v1/nodes/other/status", r#"{"status":{"phase":"Running"}}"#),
        ("DELETE", "/api/v1/nodes/other", ""),
        ("DELETE", "/api/v1/nodes/mine", ""),
        (
            "PATCH",
            "/api/v1/nodes/mine",
            r#"{"spec":{"taints":[{"key":"example.com/a","effect":"NoSchedule"}]}}"#,
        ),
        (
            "PATCH",
            "/api/v1/nodes/mine",
            r#"{"metadata":{"labels":{"node-restriction.kubernetes.io/a":"b"}}}"#,
        ),
        (
            "PATCH",
            "/api/v1/nodes/mine",
            r#"{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":""}}}"#,
        ),
        ("PATCH", "/api/v1/nodes/mine", owner),
        ("DELETE", "/api/v1/namespaces/default/pods/on-other", ""),
        ("PATCH", "/api/v1/namespaces/default/pods/on-other/status", r#"{"status":{"phase":"Failed"}}"#),
        ("POST", "/api/v1/namespaces/default/pods/on-other/exec?command=id", ""),
        (
            "POST",
            "/api/v1/namespaces/default/pods",
            r#"{"metadata":{"name":"x"},"spec":{"nodeName":"mine","containers":[{"name":"c","image":"i"}]}}"#,
        ),
        ("POST", ACCOUNT, r#"{"spec":{"audiences":[]}}"#),
        ("POST", ACCOUNT, &token("on-other")),
        ("POST", ACCOUNT, &token("on-mine").replace("[]", r#"["vault"]"#)),
        ("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/other", ""),
        ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles", ""),
    ] {
        assert_eq!(code(method, path, body), "403", "{method} {path} {body}");
    }
    assert_eq!(code("POST", ACCOUNT, &token("on-mine")), "201");
    assert_eq!(
        code("PATCH", "/api/v1/nodes/mine", r#"{"metadata":{"labels":{"example.com/a":"b"}}}"#),
        "200"
    );
}
