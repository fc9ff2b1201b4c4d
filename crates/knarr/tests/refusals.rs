//! What a user gets wrong: each a clear refusal by the real binary, and nothing made.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// One that never starts: it must end by itself, name what is wrong, and leave the directory as it was.
#[track_caller]
fn check(dir: &Path, words: &str, expected: &str) {
    let words: Vec<String> =
        words.split(' ').map(|w| w.replace("DIR", &dir.display().to_string()).replace('~', " ")).collect();
    refused(dir, &words, expected);
}

#[track_caller]
fn refused(dir: &Path, words: &[String], expected: &str) {
    let before = list(dir);
    let mut command = Command::new("timeout");
    command.arg("100").arg(env!("CARGO_BIN_EXE_knarr")).args(words).env("NO_COLOR", "1");
    let out = command.env_remove("NOTIFY_SOCKET").output().expect("run");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_ne!(out.status.code(), Some(124), "{words:?} went on: {said}");
    assert!(!out.status.success(), "{words:?}: {said}");
    assert!(said.contains(expected), "{words:?}: expected {expected:?}, heard {said}");
    assert_eq!(list(dir), before, "{words:?} made something");
}

fn list(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .expect("read the directory")
        .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).expect("write");
}

#[test]
fn flags() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    for (words, expected) in [
        // Of another component, of none, nearly one.
        ("kubelet --etcd-servers=http://h:2379", "unknown flag: --etcd-servers; it is one of kube-apiserver"),
        ("kube-proxy --cluster-signing-duration=1h", "it is one of kube-controller-manager"),
        ("kube-scheduler --frobnicate", "unknown flag: --frobnicate; see `kube-scheduler --help`"),
        ("kube-scheduler --kubecnfig=f", "unknown flag: --kubecnfig; did you mean --kubeconfig?"),
        (
            "kube-apiserver --etcd_server=http://h",
            "unknown flag: --etcd-server; did you mean --etcd-servers?",
        ),
        ("server --node-nam=x", "--node-name"),
        ("agent --etcd-servers=http://h", "--etcd-servers"),
        // As a careless environment file makes them.
        ("kubelet --v=2\r", "Windows line ends"),
        ("kubelet \"--v=2\"", "begins with a quote"),
        ("kubelet --v=2~--port=10250", "invalid value"),
        ("kubelet --address~0.0.0.0", "came as one word"),
        ("kubelet --allow-privileged=", "invalid argument \"\" for \"--allow-privileged\" flag"),
        // Values that are none.
        ("kubelet --port=ten", "--port"),
        ("kubelet --container-runtime-endpoint=unix:///run/x.sock", "the container runtime is built in"),
        ("kubelet --bootstrap-kubeconfig=DIR/b", "--bootstrap-kubeconfig needs --kubeconfig"),
        ("kubelet --register-with-taints=a", "write KEY=VALUE:EFFECT"),
        ("kube-apiserver", "--etcd-servers must be specified"),
        ("kube-apiserver --etcd-servers=http://h:1 --service-node-port-range=9-1", "is no range of ports"),
        ("kube-controller-manager", "where is the API server?"),
        (
            "kube-controller-manager --master=http://h:1 --leader-elect-lease-duration=5s",
            "leaseDuration must be greater than renewDeadline",
        ),
        ("kube-controller-manager --master=https://h:1", "--master with https needs --kubeconfig"),
        ("kube-proxy --proxy-mode=iptables", "services are led by nftables here"),
        ("server --data-dir DIR/d --cluster-cidr=10.0.0.0/16 --service-cidr=10.0.0.0/20", "overlap"),
        ("server --data-dir DIR/d --service-node-port-range=0", "is no range of ports"),
        ("server --data-dir DIR/d --node-name=A_b", "is not a DNS name"),
        ("server --data-dir DIR/d --token=x", "--token"),
        ("agent --data-dir DIR/d --server=h --token=x", "--token"),
        ("agent --data-dir DIR/d", "no server is known"),
        ("cert check --data-dir DIR", "holds no certificates"),
        ("service install --no-start --unit-dir DIR agent --token=x", "no token in it"),
    ] {
        check(dir, words, expected);
    }
}

#[test]
fn files() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let kind = |kind: &str, text: &str| {
        let group = match kind {
            "KubeletConfiguration" => "kubelet.config.k8s.io/v1beta1",
            "KubeProxyConfiguration" => "kubeproxy.config.k8s.io/v1alpha1",
            _ => "kubescheduler.config.k8s.io/v1",
        };
        format!("apiVersion: {group}\nkind: {kind}\n{text}")
    };
    for (program, kind_of, text, expected) in [
        (
            "kubelet",
            "KubeletConfiguration",
            "maxPodz: 3",
            "f: unknown field \"maxPodz\"; did you mean maxPods?",
        ),
        ("kubelet", "KubeletConfiguration", "maxPods: lots", "f: maxPods: invalid type"),
        ("kubelet", "KubeletConfiguration", "clusterDNS: [10.0.0.1, 10.0.0.2]", "one address only"),
        ("kubelet", "KubeletConfiguration", "kubeReserved: { cpu: 1 }", "f: kubeReserved: not supported"),
        (
            "kubelet",
            "KubeletConfiguration",
            "authorization: { mode: AlwaysAllow }",
            "f: authorization.mode: \"AlwaysAllow\" is not supported, only \"Webhook\"",
        ),
        ("kubelet", "KubeProxyConfiguration", "", "expected a KubeletConfiguration"),
        ("kube-proxy", "KubeProxyConfiguration", "mode: ipvs", "services are led by nftables here"),
        (
            "kube-proxy",
            "KubeProxyConfiguration",
            "nftables: { masqueradeAll: true }",
            "nftables.masqueradeAll",
        ),
        ("kube-proxy", "KubeProxyConfiguration", "clusterCIDR: nowhere", "f: clusterCIDR: \"nowhere\""),
        (
            "kube-scheduler",
            "KubeSchedulerConfiguration",
            "profiles: [{ plugins: { score: { enabled: [{ name: Luck }] } } }]",
            "f: profiles[0].plugins.score.enabled[0].name: there is no plugin Luck here",
        ),
        (
            "kube-scheduler",
            "KubeSchedulerConfiguration",
            "leaderElection: { leaseDuration: soon }",
            "f: leaderElection.leaseDuration: \"soon\" is no duration",
        ),
        (
            "kube-scheduler",
            "KubeSchedulerConfiguration",
            "extenders: [{ urlPrefix: x }]",
            "f: extenders: not supported",
        ),
    ] {
        write(dir, "f", &kind(kind_of, text));
        check(dir, &format!("{program} --config=DIR/f --kubeconfig=DIR/k"), expected);
    }
    write(dir, "k", "apiVersion: v1\nkind: Config\n");
    check(dir, "kube-scheduler --kubeconfig=DIR/k --secure-port=0", "no current-context is set");
    check(
        dir,
        "kube-scheduler --kubeconfig=DIR/none --secure-port=0",
        "DIR/none".replace("DIR", &dir.display().to_string()).as_str(),
    );
}

#[test]
fn ports_in_use() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = taken.local_addr().expect("address").port();
    let words =
        format!("kube-scheduler --master=http://127.0.0.1:1 --bind-address=127.0.0.1 --secure-port={port}");
    check(dir, &words, &format!("listen on 127.0.0.1:{port}"));
    check(dir, &words, "choose another with --secure-port");
}

#[test]
fn wrong_certificates() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    write(dir, "empty", "");
    write(dir, "text", "no certificate\n");
    check(
        dir,
        "kube-controller-manager --master=http://127.0.0.1:1 --secure-port=0 --cluster-signing-cert-file=DIR/text --cluster-signing-key-file=DIR/text",
        "--cluster-signing-cert-file",
    );
    check(
        dir,
        "kube-controller-manager --master=http://127.0.0.1:1 --secure-port=0 --service-account-private-key-file=DIR/empty",
        "--service-account-private-key-file",
    );
    check(
        dir,
        "kube-apiserver --etcd-servers=http://127.0.0.1:1 --cert-dir=DIR/c --client-ca-file=DIR/text",
        "--client-ca-file",
    );
    check(dir, "server --data-dir DIR/d --client-ca-file=DIR/none", "none");
}

/// systemd itself reads the unit that is written; on machines without it only the words are looked at.
#[test]
fn a_unit_is_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut install = Command::new(env!("CARGO_BIN_EXE_knarr"));
    install.args(["service", "install", "--no-start", "--unit-dir"]).arg(dir.path());
    let out = install.args(["server", "--node-name", "a b"]).output().expect("run");
    assert!(out.status.success(), "{out:?}");
    let unit = dir.path().join("knarr.service");
    let text = std::fs::read_to_string(&unit).expect("read");
    assert!(text.contains("server --node-name \"a b\"\n") && text.contains("KillMode=process"), "{text}");
    match Command::new("systemd-analyze").arg("verify").arg(&unit).output() {
        Ok(said) => assert!(said.status.success() && said.stderr.is_empty(), "{said:?}"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
    }
}
