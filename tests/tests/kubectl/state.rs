//! The frozen state: what `state.yaml` has, once for each side, put back after whoever changed it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use e2e::{Cluster, eventually};
use serde_json::Value;

/// A way to the API that nothing under test is part of, and the documents.
pub struct State {
    socket: PathBuf,
    proxy: Child,
    documents: Vec<(String, String)>,
    /// The revision with which each path was put there.
    revisions: Mutex<BTreeMap<String, String>>,
}

/// Where the kinds of `commands.txt` are.
const KINDS: [(&str, &str); 22] = [
    ("clusterrole", "/apis/rbac.authorization.k8s.io/v1/clusterroles/"),
    ("clusterrolebinding", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/"),
    ("cm", "/api/v1/namespaces/{ns}/configmaps/"),
    ("cronjob", "/apis/batch/v1/namespaces/{ns}/cronjobs/"),
    ("csr", "/apis/certificates.k8s.io/v1/certificatesigningrequests/"),
    ("deploy", "/apis/apps/v1/namespaces/{ns}/deployments/"),
    ("hpa", "/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers/"),
    ("ingress", "/apis/networking.k8s.io/v1/namespaces/{ns}/ingresses/"),
    ("job", "/apis/batch/v1/namespaces/{ns}/jobs/"),
    ("node", "/api/v1/nodes/"),
    ("ns", "/api/v1/namespaces/"),
    ("pdb", "/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets/"),
    ("pod", "/api/v1/namespaces/{ns}/pods/"),
    ("priorityclass", "/apis/scheduling.k8s.io/v1/priorityclasses/"),
    ("quota", "/api/v1/namespaces/{ns}/resourcequotas/"),
    ("role", "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles/"),
    ("rolebinding", "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings/"),
    ("sa", "/api/v1/namespaces/{ns}/serviceaccounts/"),
    ("secret", "/api/v1/namespaces/{ns}/secrets/"),
    ("service", "/api/v1/namespaces/{ns}/services/"),
    ("svc", "/api/v1/namespaces/{ns}/services/"),
    ("rs", "/apis/apps/v1/namespaces/{ns}/replicasets/"),
];

impl State {
    /// Stops what would change the state by itself, and opens the way to it.
    pub fn new(cluster: &Cluster) -> Self {
        freeze(cluster);
        let socket = cluster.dir().join("api.sock");
        let proxy = cluster
            .client_command(&e2e::kubectl())
            .arg("proxy")
            .arg(format!("--unix-socket={}", socket.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("start a proxy");
        eventually(Duration::from_secs(60), "the proxy listens", || socket.exists());
        let mut documents = Vec::new();
        for document in include_str!("state.yaml").split("\n--- # ").skip(1) {
            let (path, text) = document.split_once('\n').expect("a path, then the object");
            documents.push((path.to_owned(), text.to_owned()));
        }
        State { socket, proxy, documents, revisions: Mutex::default() }
    }

    /// A namespace with everything in it.
    pub fn fill(&self, ns: &str) {
        let body = format!("{{\"metadata\":{{\"name\":\"{ns}\",\"labels\":{{\"pair\":\"{ns}\"}}}}}}");
        self.expect("POST", "/api/v1/namespaces", "application/json", &body);
        for path in ["serviceaccounts/default", "configmaps/kube-root-ca.crt"] {
            let path = format!("/api/v1/namespaces/{ns}/{path}");
            eventually(Duration::from_secs(60), "the namespace has what every one has", || {
                self.get(&path).is_some()
            });
        }
        for at in 0..self.documents.len() {
            self.put(ns, at);
        }
    }

    fn put(&self, ns: &str, at: usize) {
        let (path, text) = &self.documents[at];
        let path = path.replace("{ns}", ns);
        let mut text = text.replace("{ns}", ns);
        while let Some((before, rest)) = text.split_once("{uid ") {
            let (of, after) = rest.split_once('}').expect("{uid PATH}");
            let owner = self.get(of).unwrap_or_else(|| panic!("{of} is there before {path}"));
            text = format!("{before}{}{after}", owner["metadata"]["uid"].as_str().expect("a uid"));
        }
        let (parent, _) = path.rsplit_once('/').expect("a path");
        self.expect("POST", parent, "application/yaml", &text);
        if text.contains("\nstatus:") {
            let status = format!("{path}/status?fieldManager=state&force=true");
            self.expect("PATCH", &status, "application/apply-patch+yaml", &text);
        }
        if let Some(object) = self.get(&path) {
            let revision = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            self.revisions.lock().expect("revisions").insert(path, revision.to_owned());
        }
    }

    /// An object of `commands.txt`, or nothing.
    pub fn object(&self, ns: &str, name: &str) -> Option<Value> {
        self.get(&path(ns, name))
    }

    /// Puts an object of the state back if it is another now, and removes what does not belong to it.
    pub fn restore(&self, ns: &str, name: &str) {
        let path = path(ns, name);
        let ours = self.documents.iter().position(|(p, _)| p.replace("{ns}", ns) == path);
        if let Some(object) = self.get(&path) {
            let revision = object["metadata"]["resourceVersion"].as_str();
            if ours.is_some()
                && self.revisions.lock().expect("revisions").get(&path).map(String::as_str) == revision
            {
                return;
            }
            self.remove(&path, &object);
        }
        let Some(at) = ours else { return };
        self.put(ns, at);
        // Who names it as its owner names another now.
        let reference = format!("{{uid {}}}", self.documents[at].0);
        for other in 0..self.documents.len() {
            if self.documents[other].1.contains(&reference) {
                let path = self.documents[other].0.replace("{ns}", ns);
                if let Some(object) = self.get(&path) {
                    self.remove(&path, &object);
                }
                self.put(ns, other);
            }
        }
    }

    /// Removes an object at once, whatever it waits for.
    fn remove(&self, path: &str, object: &Value) {
        if object["metadata"]["finalizers"].is_array() {
            let body = r#"{"metadata":{"finalizers":null}}"#;
            self.request("PATCH", path, "application/merge-patch+json", body);
        }
        self.request("DELETE", path, "application/json", r#"{"gracePeriodSeconds":0}"#);
        eventually(Duration::from_secs(60), &format!("{path} is gone"), || match self.get(path) {
            None => true,
            Some(left)
                if left["metadata"]["finalizers"].is_array() && !path.starts_with("/api/v1/namespaces/x") =>
            {
                self.request(
                    "PATCH",
                    path,
                    "application/merge-patch+json",
                    r#"{"metadata":{"finalizers":null}}"#,
                );
                false
            }
            Some(_) => false,
        });
    }

    pub fn get(&self, path: &str) -> Option<Value> {
        let (status, body) = self.request("GET", path, "", "");
        (status == 200).then(|| serde_json::from_str(&body).expect("JSON"))
    }

    #[track_caller]
    fn expect(&self, method: &str, path: &str, kind: &str, body: &str) {
        let (status, answer) = self.request(method, path, kind, body);
        assert!(status < 300, "{method} {path}: {status} {answer}\n{body}");
    }

    /// HTTP 1.0: the answer ends with the connection.
    fn request(&self, method: &str, path: &str, kind: &str, body: &str) -> (u16, String) {
        let mut stream = UnixStream::connect(&self.socket).expect("connect to the proxy");
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .expect("ask");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        (status, body.to_owned())
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.proxy.kill().ok();
        self.proxy.wait().ok();
    }
}

fn path(ns: &str, name: &str) -> String {
    let (kind, name) = name.split_once('/').expect("KIND/NAME");
    let (_, path) = KINDS.iter().find(|(k, _)| *k == kind).unwrap_or_else(|| panic!("where is {kind}?"));
    format!("{path}{name}").replace("{ns}", ns)
}

/// Controllers that would answer to what lines do lose their rights, the scheduler too: pods that name a node still run.
fn freeze(cluster: &Cluster) {
    let all = cluster.kubectl(&["get", "clusterrolebindings", "-o", "name"]).ok();
    let stay = [
        "namespace-controller",
        "service-account-controller",
        "root-ca-cert-publisher",
        "resourcequota-controller",
    ];
    let gone = all.lines().filter(|name| {
        let name = name.rsplit('/').next().unwrap_or_default();
        let controller = name.strip_prefix("system:controller:");
        controller.is_some_and(|c| !stay.contains(&c)) || name == "system:kube-scheduler"
    });
    let gone: Vec<&str> = gone.collect();
    assert!(gone.len() > 20, "{gone:?}");
    cluster.kubectl(&[&["delete"], &gone[..]].concat()).ok();
}
