//! The guide of 2016, walked as docs/guide.md says: its rows, in their order, on a real cluster. What counts is what happens.
//!
//! The commands are taken from the document. A row that is not walked here fails the test, and so does a step that has no row.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::{Cluster, Output, Terminal, eventually, run};
use serde_json::Value;

const MINUTE: Duration = Duration::from_secs(60);

const IDENTICAL: &str = "identical";
const CHANGED: &str = "changed";

#[test]
fn the_guide_from_its_first_command_to_its_last() {
    let mut walk = Walk::begin();
    a_cluster(&mut walk);
    run_nginx(&mut walk);
    look_into_nginx(&mut walk);
    visit_from_busybox(&mut walk);
    a_pod_that_ends_again_and_again(&mut walk);
    forward_a_port(&mut walk);
    a_pod_that_is_replaced(&mut walk);
    pods_from_files(&mut walk);
    two_of_a_kind(&mut walk);
    a_service(&mut walk);
    an_address_from_outside(&mut walk);
    several_containers(&mut walk);
    walk.end();
    resources_and_discovery(&walk);
    health(&walk);
}

struct Walk {
    cluster: Cluster,
    /// Number, command, what the document says of it.
    rows: std::vec::IntoIter<(usize, String, String)>,
}

impl Walk {
    fn begin() -> Self {
        let rows = document();
        for (at, (number, _, _)) in rows.iter().enumerate() {
            assert_eq!(*number, at + 1, "docs/guide.md: rows are numbered");
        }
        Walk { cluster: Cluster::start("guide"), rows: rows.into_iter() }
    }

    /// The next row must be this command, with this verdict.
    #[track_caller]
    fn row(&mut self, command: &str, verdict: &str) {
        let (number, next, says) = self.rows.next().expect("docs/guide.md has no more rows");
        assert_eq!(next, command, "row {number} of docs/guide.md");
        assert!(says.starts_with(&format!("**{verdict}**")), "row {number} of docs/guide.md: {says}");
    }

    /// The next row must be this command, which is run with other names in the place of the guide's.
    #[track_caller]
    fn kubectl(&mut self, command: &str, verdict: &str, names: &[(&str, &str)]) -> Output {
        self.row(command, verdict);
        run(&mut self.command(command, names))
    }

    fn command(&self, command: &str, names: &[(&str, &str)]) -> Command {
        let words = command.strip_prefix("kubectl ").expect("a kubectl command").split_whitespace();
        let words =
            words.map(|w| names.iter().fold(w.to_owned(), |w, (theirs, ours)| w.replace(theirs, ours)));
        let mut command = self.cluster.kubectl_command();
        command.args(words).current_dir(files());
        command
    }

    fn end(&mut self) {
        assert_eq!(self.rows.next(), None, "docs/guide.md has rows that nobody walked");
    }

    /// `kubectl get pods`, a line for each.
    fn pods(&self) -> Vec<Vec<String>> {
        table(&self.cluster.kubectl(&["get", "pods", "--no-headers"]).stdout)
    }

    fn pod_ip(&self, pod: &str) -> String {
        self.cluster.value("pod", pod, "{.status.podIP}")
    }

    /// What a page says, asked from the node; empty when it cannot be had.
    fn page(&self, url: &str) -> String {
        run(self.cluster.host.command(Path::new("busybox")).args(["wget", "-qO-", url])).stdout
    }
}

/// The rows of docs/guide.md.
fn document() -> Vec<(usize, String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide.md");
    let text = std::fs::read_to_string(path).expect("read docs/guide.md");
    let row = |line: &str| {
        let line = line.replace("\\|", "\u{0}");
        let cells: Vec<String> = line.split('|').map(|c| c.trim().replace('\u{0}', "|")).collect();
        let [_, number, command, says, _] = &cells[..] else { return None };
        Some((number.parse().ok()?, command.trim_matches('`').to_owned(), says.clone()))
    };
    text.lines().filter_map(row).collect()
}

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guide")
}

fn table(text: &str) -> Vec<Vec<String>> {
    text.lines().map(|l| l.split_whitespace().map(str::to_owned).collect()).collect()
}

fn a_cluster(walk: &mut Walk) {
    walk.row("cat /etc/hosts", IDENTICAL);
    for replaced in [
        "sudo vi /etc/yum.repos.d/virt7-docker-common-release.repo",
        "sudo yum -y install --enablerepo=virt7-docker-common-release kubernetes etcd",
        "yum -y install --enablerepo=virt7-docker-common-release cadvisor",
        "sudo yum -y install --enablerepo=virt7-docker-common-release kubernetes",
        "sudo systemctl disable iptables-services firewalld",
        "sudo systemctl stop iptables-services firewalld",
        "cat /etc/kubernetes/config",
        "cat /etc/kubernetes/apiserver",
        "for SERVICES in etcd kube-apiserver kube-controller-manager kube-scheduler",
        "cat /etc/kubernetes/kubelet",
        "for SERVICES in kube-proxy kubelet docker",
    ] {
        walk.row(replaced, CHANGED);
    }
    walk.cluster.wait_for("condition=Ready", "node/node1", 60);
    let nodes = table(&walk.kubectl("kubectl get nodes", IDENTICAL, &[]).ok());
    assert_eq!(nodes[1][..2], ["node1", "Ready"], "{nodes:?}");
}

fn run_nginx(walk: &mut Walk) {
    let list = walk.cluster.kubectl(&["get", "--raw", "/api/v1/namespaces/default/pods"]).ok();
    let before: Value = serde_json::from_str(&list).expect("a list");
    let made = walk.kubectl("kubectl run nginx --image=nginx", CHANGED, &[]).ok();
    assert_eq!(made, "pod/nginx created\n");
    let version = walk.kubectl("kubectl version", IDENTICAL, &[]).ok();
    assert!(
        version.contains("Client Version: v1.37") && version.contains("Server Version: v1.37"),
        "{version}"
    );
    let none = walk.kubectl("kubectl get rc", CHANGED, &[]);
    assert_eq!(
        (none.stdout.as_str(), none.stderr.as_str()),
        ("", "No resources found in default namespace.\n")
    );
    let pods = table(&walk.kubectl("kubectl get pods", IDENTICAL, &[]).ok());
    assert!(["Pending", "ContainerCreating", "Running"].contains(&pods[1][2].as_str()), "{pods:?}");

    walk.cluster.wait_for("condition=Ready", "pod/nginx", 90);
    let since = before["metadata"]["resourceVersion"].as_str().expect("a revision");
    let path = format!("/api/v1/namespaces/default/pods?watch=true&timeoutSeconds=1&resourceVersion={since}");
    let history = walk.cluster.kubectl(&["get", "--raw", &path]).ok();
    let phases: Vec<String> = history
        .lines()
        .filter_map(|l| serde_json::from_str::<Value>(l).ok())
        .filter_map(|event| event["object"]["status"]["phase"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(
        (phases[0].as_str(), phases.last().map(String::as_str)),
        ("Pending", Some("Running")),
        "{phases:?}"
    );

    // `docker ps`: first the sandbox, then nginx in it.
    walk.row("docker ps", CHANGED);
    let ps = walk.cluster.knarr(&["ps"]).ok();
    assert_eq!(ps.matches("k8s_POD_nginx_default_").count(), 1, "{ps}");
    walk.row("docker ps", CHANGED);
    assert_eq!(ps.matches("k8s_nginx_nginx_default_").count(), 1, "{ps}");
    let pods = table(&walk.kubectl("kubectl get pods", IDENTICAL, &[]).ok());
    assert_eq!(pods[1][..4], ["nginx", "1/1", "Running", "0"], "{pods:?}");
}

fn look_into_nginx(walk: &mut Walk) {
    let command = "kubectl exec -ti nginx-3o8yn -- bash";
    walk.row(command, IDENTICAL);
    let mut shell = Terminal::run(&walk.command(command, &[("nginx-3o8yn", "nginx")]));
    // $((6*7)): the answer, not the echo of what was typed. It comes if all three streams are a terminal.
    shell.keys("[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo $((6*7)) $0 $HOSTNAME\n");
    shell.sees("42 bash nginx");
    shell.keys("exit\n");
    assert_eq!(shell.ends().code(), Some(0), "{}", shell.screen());

    let command = "kubectl get pod nginx-3o8yn -o go-template={{.status.podIP}}";
    let ip = walk.kubectl(command, IDENTICAL, &[("nginx-3o8yn", "nginx")]).ok();
    assert_eq!(ip, walk.pod_ip("nginx"));
    assert!(ip.starts_with("10.42."), "{ip}");
}

fn visit_from_busybox(walk: &mut Walk) {
    let nginx = walk.pod_ip("nginx");
    let command = "kubectl run -i --tty busybox --image=busybox --restart=Never -- sh";
    walk.row(command, IDENTICAL);
    let mut shell = Terminal::run(&walk.command(command, &[]));
    eventually(MINUTE, "busybox runs", || {
        walk.cluster.value("pod", "busybox", "{.status.phase}") == "Running"
    });
    shell.keys("\n");
    shell.sees("/ # ");
    walk.row("ls", IDENTICAL);
    shell.keys("ls\n");
    for directory in ["bin", "etc", "proc"] {
        shell.sees(directory);
    }
    walk.row("ping 172.17.0.2", IDENTICAL);
    shell.keys(&format!("ping {nginx}\n"));
    shell.sees("seq=0");
    shell.keys("\u{3}");
    shell.sees(" 0% packet loss");
    walk.row("wget 172.17.0.2", IDENTICAL);
    shell.keys(&format!("wget {nginx}\n"));
    shell.sees("'index.html' saved");
    walk.row("cat index.html", IDENTICAL);
    shell.keys("cat index.html\n");
    shell.sees("<h1>Welcome to nginx!</h1>");
    walk.row("docker ps", CHANGED);
    let ps = walk.cluster.knarr(&["ps"]).ok();
    assert_eq!(ps.matches("k8s_busybox_busybox_default_").count(), 1, "{ps}");

    walk.row("exit", IDENTICAL);
    shell.keys("exit\n");
    assert_eq!(shell.ends().code(), Some(0), "{}", shell.screen());
    let completed = || walk.pods().iter().any(|p| p[0] == "busybox" && p[1] == "0/1" && p[2] == "Completed");
    eventually(MINUTE, "busybox is Completed", completed);
    let pods = walk.kubectl("kubectl get pods", CHANGED, &[]).ok();
    assert!(pods.contains("Completed") && pods.contains("Running"), "{pods}");
    let gone = walk.kubectl("kubectl get pods -a", CHANGED, &[]).fails();
    assert!(gone.contains("unknown shorthand flag: 'a'"), "{gone}");
    walk.kubectl("kubectl delete pods busybox", IDENTICAL, &[]).ok();
    assert_eq!(walk.pods().len(), 1);
}

fn a_pod_that_ends_again_and_again(walk: &mut Walk) {
    walk.kubectl("kubectl run busybox --image=busybox", CHANGED, &[]).ok();
    walk.row("kubectl get pods", IDENTICAL);
    eventually(MINUTE * 2, "busybox is restarted, and is waited with", || {
        let pods = walk.pods();
        let busybox = pods.iter().find(|p| p[0] == "busybox").expect("the pod");
        busybox[2] == "CrashLoopBackOff" && busybox[3].parse::<u32>().expect("a number") >= 2
    });
    walk.cluster.kubectl(&["delete", "pod", "busybox"]).ok();
}

fn forward_a_port(walk: &mut Walk) {
    let command = "kubectl port-forward nginx-3o8yn 80:80";
    walk.row(command, IDENTICAL);
    let mut forward = walk.command(command, &[("nginx-3o8yn", "nginx")]);
    let mut child = forward.stdout(Stdio::piped()).spawn().expect("start kubectl");
    let mut line = String::new();
    // Kept until the end: kubectl goes on talking.
    let mut output = BufReader::new(child.stdout.take().expect("stdout"));
    output.read_line(&mut line).expect("read");
    assert_eq!(line, "Forwarding from 127.0.0.1:80 -> 80\n");
    let page = walk.page("http://127.0.0.1/");
    child.kill().expect("kill");
    child.wait().expect("wait");
    assert!(page.contains("Welcome to nginx!"), "{page}");
}

fn a_pod_that_is_replaced(walk: &mut Walk) {
    let command = "kubectl delete pod nginx-3o8yn";
    walk.kubectl(command, CHANGED, &[("nginx-3o8yn", "nginx")]).ok();
    assert_eq!(walk.pods(), Vec::<Vec<String>>::new(), "nobody replaces it");

    run(&mut walk.command("kubectl create -f replication-controller-run.yaml", &[])).ok();
    walk.cluster.wait_for("jsonpath={.status.readyReplicas}=1", "rc/nginx", 90);
    let first = walk.pods()[0][0].clone();
    run(&mut walk.command(command, &[("nginx-3o8yn", &first)])).ok();
    walk.row("kubectl get pods", IDENTICAL);
    let one_is_ready = |walk: &Walk| {
        let pods = walk.pods();
        pods.len() == 1 && pods[0][0] != first && pods[0][1] == "1/1"
    };
    eventually(MINUTE, "another pod takes its place", || one_is_ready(walk));
    let second = walk.pods()[0][0].clone();
    assert!(second.starts_with("nginx-"), "{second}");

    let page = walk.page(&format!("http://{}/", walk.pod_ip(&second)));
    assert!(page.contains("Welcome to nginx!"), "{page}");
    let command = "kubectl logs --tail=20 nginx-l9tyt";
    walk.row(command, IDENTICAL);
    eventually(MINUTE, "the visit is in the log", || {
        let log = run(&mut walk.command(command, &[("nginx-l9tyt", &second)])).ok();
        log.contains("\"GET / HTTP/1.1\" 200") && log.contains("Wget") && log.lines().count() <= 20
    });
    walk.kubectl("kubectl delete rc nginx", IDENTICAL, &[]).ok();
    eventually(MINUTE, "its pods go with it", || walk.pods().is_empty());
}

fn pods_from_files(walk: &mut Walk) {
    let made = walk.kubectl("kubectl create -f pod-nginx.yaml", IDENTICAL, &[]).ok();
    assert_eq!(made, "pod/nginx created\n");
    walk.cluster.wait_for("condition=Ready", "pod/nginx", 90);
    let pods = table(&walk.kubectl("kubectl get pods", IDENTICAL, &[]).ok());
    assert_eq!(pods[1][..3], ["nginx", "1/1", "Running"]);
    assert_eq!(walk.kubectl("kubectl get rc", IDENTICAL, &[]).ok(), "");
    walk.row("docker ps", CHANGED);
    let ps = walk.cluster.knarr(&["ps"]).ok();
    assert!(ps.contains("k8s_nginx_nginx_default_") && ps.contains("k8s_POD_nginx_default_"), "{ps}");
    let command = "kubectl get pod nginx -o go-template={{.status.podIP}}";
    let ip = walk.kubectl(command, IDENTICAL, &[]).ok();
    assert!(walk.page(&format!("http://{ip}/")).contains("Welcome to nginx!"));
    walk.kubectl("kubectl delete pod nginx", IDENTICAL, &[]).ok();
    assert_eq!(walk.kubectl("kubectl get pods", IDENTICAL, &[]).ok(), "");
    let gone = walk.kubectl("kubectl get rc -a", CHANGED, &[]).fails();
    assert!(gone.contains("unknown shorthand flag: 'a'"), "{gone}");

    walk.kubectl("kubectl create -f pod-nginx-with-label.yaml", IDENTICAL, &[]).ok();
    walk.cluster.kubectl(&["run", "other", "--image=busybox", "--", "sleep", "3600"]).ok();
    walk.cluster.wait_for("condition=Ready", "pod/nginx", 90);
    let pods = table(&walk.kubectl("kubectl get pods -l app=nginx", IDENTICAL, &[]).ok());
    assert_eq!((pods.len(), pods[1][0].as_str(), pods[1][2].as_str()), (2, "nginx", "Running"));
    walk.cluster.kubectl(&["delete", "pod", "other", "--grace-period=1"]).ok();
    walk.kubectl("kubectl delete pods nginx", IDENTICAL, &[]).ok();
    assert!(walk.pods().is_empty());
}

fn two_of_a_kind(walk: &mut Walk) {
    let made = walk.kubectl("kubectl create -f replication-controller.yaml", IDENTICAL, &[]).ok();
    assert_eq!(made, "replicationcontroller/nginx-controller created\n");
    walk.cluster.wait_for("jsonpath={.status.readyReplicas}=2", "rc/nginx-controller", 90);
    let rc = table(&walk.kubectl("kubectl get rc", IDENTICAL, &[]).ok());
    assert_eq!(rc[1][..4], ["nginx-controller", "2", "2", "2"]);
    let pods = table(&walk.kubectl("kubectl get pods", IDENTICAL, &[]).ok());
    let names: Vec<&str> = pods[1..].iter().map(|p| p[0].as_str()).collect();
    assert_eq!(names.len(), 2);
    assert!(pods[1..].iter().all(|p| p[0].starts_with("nginx-controller-") && p[1] == "1/1"), "{pods:?}");
    walk.row("docker ps", CHANGED);
    let ps = walk.cluster.knarr(&["ps"]).ok();
    for (container, count) in [("k8s_nginx_nginx-controller-", 2), ("k8s_POD_nginx-controller-", 2)] {
        assert_eq!(ps.matches(container).count(), count, "{ps}");
    }

    let ips =
        [("nginx-controller-7dn5q", names[0]), ("nginx-controller-m2r4b", names[1])].map(|(theirs, ours)| {
            let command = format!("kubectl get pod {theirs} -o go-template={{{{.status.podIP}}}}");
            walk.kubectl(&command, IDENTICAL, &[(theirs, ours)]).ok()
        });
    assert!(ips[0] != ips[1] && ips.iter().all(|ip| ip.starts_with("10.42.")), "{ips:?}");
    walk.row("docker inspect 6a2ef9b4727e | grep IP", CHANGED);
    let line = ps.lines().find(|l| l.contains("k8s_nginx_")).expect("a container");
    let id = line.split_whitespace().next().expect("an id");
    let inspected = walk.cluster.knarr(&["inspect", id]).ok();
    assert!(inspected.contains("\"IPAddress\": \"\""), "{inspected}");
    walk.kubectl("kubectl delete rc nginx-controller", IDENTICAL, &[]).ok();
    eventually(MINUTE, "its pods go with it", || walk.pods().is_empty());
}

fn a_service(walk: &mut Walk) {
    walk.kubectl("kubectl create -f replication-controller.yaml", IDENTICAL, &[]).ok();
    let made = walk.kubectl("kubectl create -f service.yaml", IDENTICAL, &[]).ok();
    assert_eq!(made, "service/nginx-service created\n");
    walk.cluster.wait_for("jsonpath={.status.readyReplicas}=2", "rc/nginx-controller", 90);
    let services = table(&walk.kubectl("kubectl get services", IDENTICAL, &[]).ok());
    let row = |name: &str| services.iter().find(|s| s[0] == name).expect("the service").clone();
    assert_eq!(row("kubernetes")[2..5], ["10.43.0.1", "<none>", "443/TCP"]);
    let service = row("nginx-service");
    assert_eq!(
        (service[1].as_str(), &service[3..5]),
        ("ClusterIP", &["<none>".into(), "8000/TCP".into()][..])
    );

    // Each pod says its own name, so that it shows which of them answers.
    let pods: BTreeSet<String> = walk.pods().iter().map(|p| p[0].clone()).collect();
    for pod in &pods {
        let write = format!("echo {pod} > /usr/share/nginx/html/index.html");
        walk.cluster.kubectl(&["exec", pod, "--", "bash", "-c", &write]).ok();
    }
    walk.cluster.kubectl(&["run", "client", "--image=busybox", "--", "sleep", "3600"]).ok();
    walk.cluster.wait_for("condition=Ready", "pod/client", 90);
    let url = format!("http://{}:8000/", service[2]);
    let all_answer = |from: &str, ask: &dyn Fn() -> String| {
        let mut seen = BTreeSet::new();
        eventually(MINUTE, &format!("both pods answer {from}"), || {
            seen.extend(Some(ask().trim().to_owned()).filter(|a| !a.is_empty()));
            seen == pods
        });
    };
    all_answer("the node", &|| walk.page(&url));
    let from_pod = |url: &str| walk.cluster.kubectl(&["exec", "client", "--", "wget", "-qO-", url]).stdout;
    all_answer("a pod", &|| from_pod(&url));
}

fn an_address_from_outside(walk: &mut Walk) {
    const ADDRESS: &str = "192.0.2.40";
    let command = "kubectl expose service nginx-service --external-ip 192.168.124.40 --port=8000 --target-port=80 --name=nginx-8000";
    let made = walk.kubectl(command, IDENTICAL, &[("192.168.124.40", ADDRESS)]).ok();
    assert_eq!(made, "service/nginx-8000 exposed\n");
    let services = walk.kubectl("kubectl get services", IDENTICAL, &[]).ok();
    let shown = |s: &Vec<String>| s[0] == "nginx-8000" && s[3] == ADDRESS && s[4] == "8000/TCP";
    assert!(table(&services).iter().any(shown), "{services}");
    // What the guide's network lacked.
    let world =
        |program: &str, args: &[&str]| run(walk.cluster.host.world_command(Path::new(program)).args(args));
    world("ip", &["route", "add", ADDRESS, "via", e2e::host::MACHINE]).ok();
    let url = format!("http://{ADDRESS}:8000/");
    eventually(MINUTE, "it answers the world", || {
        world("busybox", &["wget", "-qO-", &url]).stdout.starts_with("nginx-controller-")
    });
}

fn several_containers(walk: &mut Walk) {
    run(&mut walk.command("kubectl create -f helloworld.yaml", &[])).ok();
    walk.cluster.wait_for("condition=Ready", "pod/helloworld-v1-xyzabc", 90);
    let ready = walk.pods().into_iter().find(|p| p[0] == "helloworld-v1-xyzabc").expect("the pod");
    assert_eq!(ready[1], "3/3");
    let uname = walk.kubectl("kubectl exec helloworld-v1-xyzabc -c nginx -- uname -a", IDENTICAL, &[]).ok();
    assert!(uname.starts_with("Linux helloworld-v1-xyzabc "), "{uname}");

    let command = "kubectl logs -f helloworld-v1-xyzabc -c nginx";
    walk.row(command, IDENTICAL);
    let mut child = walk.command(command, &[]).stdout(Stdio::piped()).spawn().expect("start kubectl");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let ip = walk.pod_ip("helloworld-v1-xyzabc");
    for visit in ["first", "second"] {
        walk.page(&format!("http://{ip}/{visit}"));
        let wanted = format!("GET /{visit} ");
        assert!(lines.any(|l| l.expect("a line").contains(&wanted)), "the log ended before {wanted}");
    }
    child.kill().expect("kill");
    child.wait().expect("wait");
}

fn resources_and_discovery(walk: &Walk) {
    let inside = |container: &str, script: &str| {
        let pod = ["exec", "helloworld-v1-xyzabc", "-c", container, "--"];
        walk.cluster.kubectl(&[&pod[..], &["sh", "-c", script]].concat())
    };
    let ticks = walk.cluster.kubectl(&["logs", "helloworld-v1-xyzabc", "-c", "ticker"]).ok();
    assert!(ticks.starts_with("tick 1\n"), "{ticks}");
    let limit = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true";
    let limit = walk
        .cluster
        .kubectl(&["exec", "helloworld-v1-xyzabc", "-c", "nginx", "--", "bash", "-c", limit])
        .ok();
    assert_eq!(limit.trim(), (64 << 20).to_string());

    let by_variable = "wget -qO- http://$NGINX_SERVICE_SERVICE_HOST:$NGINX_SERVICE_SERVICE_PORT/";
    for script in [
        by_variable,
        "wget -qO- http://nginx-service:8000/",
        "wget -qO- http://nginx-service.default.svc.cluster.local:8000/",
    ] {
        eventually(MINUTE, script, || inside("ticker", script).stdout.starts_with("nginx-controller-"));
    }
}

fn health(walk: &Walk) {
    run(&mut walk.command("kubectl create -f probes.yaml", &[])).ok();
    walk.cluster.wait_for("condition=Ready", "pod/healthy", 90);
    let slices = "kubernetes.io/service-name=healthy";
    let path = "jsonpath={.items[*].endpoints[*].conditions.ready}";
    let ready = || walk.cluster.kubectl(&["get", "endpointslices", "-l", slices, "-o", path]).stdout;
    let inside = |words: &[&str]| walk.cluster.kubectl(&[&["exec", "healthy", "--"], words].concat()).ok();
    eventually(MINUTE, "it is an endpoint", || ready() == "true");
    inside(&["rm", "/tmp/ready"]);
    eventually(MINUTE, "what is not ready is none", || ready() == "false");
    assert_eq!(walk.cluster.value("pod", "healthy", "{.status.phase}"), "Running");
    inside(&["touch", "/tmp/ready"]);
    eventually(MINUTE, "it is one again", || ready() == "true");

    let restarts = || walk.cluster.value("pod", "healthy", "{.status.containerStatuses[0].restartCount}");
    assert_eq!(restarts(), "0");
    inside(&["rm", "/tmp/alive"]);
    eventually(MINUTE, "what is not alive is restarted", || restarts() == "1");
    eventually(MINUTE, "and is ready again", || ready() == "true");
}
