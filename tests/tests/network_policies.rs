//! Network policies, by the traffic that they let through and stop.

use std::path::Path;
use std::time::Duration;

use e2e::host::MACHINE;
use e2e::{Cluster, eventually, patience, run};

/// Generous: tests share two processors.
const SOON: Duration = Duration::from_secs(60);

/// A server with two pages, whom the kubelet asks all the time, and three clients.
const PODS: &str = "
apiVersion: v1
kind: Namespace
metadata: { name: elsewhere, labels: { team: friends } }
---
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: web
    image: busybox
    command: [sh, -c, 'mkdir -p /www && echo hello > /www/index.html && httpd -p 9090 -h /www && exec httpd -f -p 8080 -h /www']
    ports: [{ name: http, containerPort: 8080 }, { name: metrics, containerPort: 9090 }]
    readinessProbe: { httpGet: { path: /, port: http }, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 10 }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  type: NodePort
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: http, nodePort: 30080 }]
---
apiVersion: v1
kind: Pod
metadata: { name: client, labels: { app: client } }
spec:
  terminationGracePeriodSeconds: 1
  containers: [{ name: c, image: busybox, command: [sleep, '3600'] }]
---
apiVersion: v1
kind: Pod
metadata: { name: other, labels: { app: other } }
spec:
  terminationGracePeriodSeconds: 1
  containers: [{ name: c, image: busybox, command: [sleep, '3600'] }]
---
apiVersion: v1
kind: Pod
metadata: { name: stranger, namespace: elsewhere, labels: { app: client } }
spec:
  terminationGracePeriodSeconds: 1
  containers: [{ name: c, image: busybox, command: [sleep, '3600'] }]
";

const DENY: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: deny }
spec: { podSelector: {} }
";

const CLIENTS_MAY: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: clients }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress:
  - from: [{ podSelector: { matchLabels: { app: client } } }]
    ports: [{ port: http }]
";

const FRIENDS_MAY: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: friends }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress:
  - from: [{ namespaceSelector: { matchLabels: { team: friends } } }]
    ports: [{ port: 9000, endPort: 9100 }]
";

const THE_WORLD_MAY: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: world }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress: [{ from: [{ ipBlock: { cidr: 0.0.0.0/0, except: [10.42.0.0/16, 10.43.0.0/16, 10.244.0.0/16] } }] }]
";

const CLIENT_STAYS_IN: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: inside }
spec: { podSelector: { matchLabels: { app: client } }, policyTypes: [Egress] }
";

struct Web {
    cluster: Cluster,
    ip: String,
    service: String,
}

impl Web {
    /// Whether the page comes to a pod.
    fn reaches(&self, namespace: &str, pod: &str, url: &str) -> bool {
        let most = (2 * patience()).to_string();
        self.cluster
            .kubectl(&["exec", "-n", namespace, pod, "--", "timeout", &most, "wget", "-qO-", url])
            .code
            == 0
    }

    fn curl(&self, world: bool, url: &str) -> bool {
        let host = &self.cluster.host;
        let most = (2 * patience()).to_string();
        let mut command = match world {
            true => host.world_command(Path::new("curl")),
            false => host.command(Path::new("curl")),
        };
        run(command.args(["-sS", "--max-time", &most, url])).code == 0
    }

    /// What gets through, in the end. What does not is asked after what does, so that nobody takes a dead server for a policy.
    fn check(&self, what: &str, through: &[(&str, &str, &str)], stopped: &[(&str, &str, &str)]) {
        let url = |to: &str| match to {
            "service" => format!("http://{}/", self.service),
            port => format!("http://{}:{port}/", self.ip),
        };
        for (namespace, pod, to) in through {
            let what = format!("{what}: {namespace}/{pod} reaches {to}");
            eventually(SOON, &what, || self.reaches(namespace, pod, &url(to)));
        }
        for (namespace, pod, to) in stopped {
            let what = format!("{what}: {namespace}/{pod} does not reach {to}");
            eventually(SOON, &what, || !self.reaches(namespace, pod, &url(to)));
            assert!(!self.reaches(namespace, pod, &url(to)), "{what}, and not again");
        }
    }
}

#[test]
fn policies_filter_traffic() {
    let cluster = Cluster::start("policies");
    cluster.apply(PODS);
    for (namespace, pod) in
        [("default", "web"), ("default", "client"), ("default", "other"), ("elsewhere", "stranger")]
    {
        cluster
            .kubectl(&[
                "wait",
                "-n",
                namespace,
                "--for=condition=Ready",
                &format!("pod/{pod}"),
                "--timeout=120s",
            ])
            .ok();
    }
    let ip = cluster.value("pod", "web", "{.status.podIP}");
    let service = cluster.value("service", "web", "{.spec.clusterIP}");
    let web = Web { cluster, ip, service };
    let cluster = &web.cluster;
    let node = format!("http://{}:8080/", web.ip);
    let node_port = format!("http://{MACHINE}:30080/");
    let (client, other, stranger) = (("default", "client"), ("default", "other"), ("elsewhere", "stranger"));
    let to = |who: (&'static str, &'static str), to: &'static str| (who.0, who.1, to);

    let all = [client, other, stranger].map(|who| to(who, "8080"));
    web.check("without a policy", &all, &[]);
    web.check("without a policy", &[to(client, "service")], &[]);
    eventually(SOON, "the world reaches the node port", || web.curl(true, &node_port));

    cluster.apply(DENY);
    web.check("nobody may", &[to(("default", "web"), "service")], &all);
    web.check("nobody may", &[], &[to(client, "service")]);
    eventually(SOON, "the world does not reach the node port", || !web.curl(true, &node_port));
    // The node always may: kubelets probe.
    assert!(web.curl(false, &node), "the node is stopped");
    cluster.wait_for("condition=Ready", "pod/web", 60);

    cluster.apply(CLIENTS_MAY);
    let may = [to(client, "8080"), to(client, "service")];
    web.check("clients may", &may, &[to(client, "9090"), to(other, "8080"), to(stranger, "8080")]);

    cluster.apply(FRIENDS_MAY);
    web.check(
        "friends may",
        &[to(stranger, "9090"), to(client, "8080")],
        &[to(stranger, "8080"), to(other, "9090")],
    );
    // A pod that joins the clients is one at once.
    cluster.kubectl(&["label", "pod", "other", "app=client", "--overwrite"]).ok();
    web.check("who becomes a client", &[to(other, "8080")], &[to(other, "9090")]);

    cluster.apply(THE_WORLD_MAY);
    eventually(SOON, "the world reaches the node port again", || web.curl(true, &node_port));

    cluster.apply(CLIENT_STAYS_IN);
    web.check("clients stay in", &[to(stranger, "9090")], &[to(client, "8080"), to(client, "service")]);

    cluster.kubectl(&["delete", "networkpolicies", "--all"]).ok();
    web.check("after all policies", &all, &[]);
    let shown = cluster.kubectl(&["get", "netpol"]);
    assert!(shown.stderr.contains("No resources found"), "{shown:?}");
}
