//! The guide's steps, in its order and its words; what differs on Debian is said where it does. Then the life of such machines.

use anyhow::{Result, bail};

use super::{MASTER, Test};

/// A part of the whole, in order.
const PARTS: &[fn(&mut Test) -> Result<()>] = &[
    host_setup,
    package_installation,
    configure_all,
    configure_the_master,
    configure_the_minions,
    the_node_is_seen,
    first_pods,
    replication_controller,
    service,
    kubelet_restarts,
    a_minion_reboots,
    the_master_reboots,
    upgrade,
    removal,
];

pub fn all(test: &mut Test) -> Result<()> {
    test.boot()?;
    PARTS.iter().try_for_each(|part| part(test))
}

/// "Hostnames should be same across the cluster. Have the following in /etc/hosts on all hosts."
fn host_setup(test: &mut Test) -> Result<()> {
    let hosts: String =
        test.everywhere().map(|m| format!("192.168.124.{}\t{}\n", 30 + m, test.name(m))).collect();
    for m in test.everywhere() {
        let (name, address) = (test.name(m), 30 + m);
        test.run(
            m,
            &format!(
                "set -e
echo {name} > /etc/hostname; hostname {name}
cat > /etc/hosts <<END
127.0.0.1	localhost	localhost.localdomain
{hosts}END
mkdir -p /etc/systemd/network
cat > /etc/systemd/network/lan.network <<END
[Match]
Name=eth0
[Network]
Address=192.168.124.{address}/24
Gateway=192.168.124.1
END
systemctl enable --now systemd-networkd 2>&1
systemctl enable systemd-networkd-wait-online 2>&1"
            ),
        )?;
    }
    for m in test.everywhere() {
        let peers: Vec<&str> = test.everywhere().map(|m| test.name(m)).collect();
        test.until(
            m,
            30,
            &format!("for peer in {}; do busybox ping -c1 -W2 $peer || return 1; done", peers.join(" ")),
        )?;
    }
    test.ok("all", "host setup: names in /etc/hosts, machines reach each other");
    Ok(())
}

/// "All hosts will need an additional yum repository": of apt here, and it lies on a disk. `yum install kubernetes etcd`.
fn package_installation(test: &mut Test) -> Result<()> {
    for m in test.everywhere() {
        test.run(
            m,
            "set -e
rm -f /etc/apt/sources.list
echo 'deb [trusted=yes] file:/mnt/repo ./' > /etc/apt/sources.list.d/knarr.list
apt-get -qq update 2>&1",
        )?;
        let also = if m == MASTER { " etcd-server" } else { "" };
        test.run(m, &format!("apt-get -qq -y install --no-install-recommends kubernetes{also} 2>&1"))?;
        let enabled = test.run(m, "systemctl is-enabled kube-apiserver kubelet kube-proxy docker; true")?;
        if enabled.lines().any(|line| line == "enabled") {
            bail!("installing enabled a unit: {enabled}");
        }
    }
    test.ok("all", "apt-get install kubernetes (and etcd-server on the master)");
    Ok(())
}

/// "The file /etc/kubernetes/config is going to be the same on all hosts."
const CONFIG: &str = r#"cat > /etc/kubernetes/config <<'END'
KUBE_LOGTOSTDERR="--logtostderr=true"
KUBE_LOG_LEVEL="--v=0"
KUBE_ALLOW_PRIV="--allow-privileged=false"
KUBE_ETCD_SERVERS="--etcd-servers=http://centos-master:2379"
END"#;

fn configure_all(test: &mut Test) -> Result<()> {
    for m in test.everywhere() {
        test.run(m, CONFIG)?;
    }
    test.ok("all", "/etc/kubernetes/config as the guide has it");
    Ok(())
}

const APISERVER: &str = r#"cat > /etc/kubernetes/apiserver <<'END'
KUBE_API_ADDRESS="--insecure-bind-address=0.0.0.0"
KUBE_API_PORT="--port=8080"
KUBELET_PORT="--kubelet-port=10250"
KUBE_ETCD_SERVERS="--etcd-servers=http://127.0.0.1:2379"
KUBE_SERVICE_ADDRESSES="--service-cluster-ip-range=10.254.0.0/16"
## KUBE_ADMISSION_CONTROL="--admission-control=NamespaceLifecycle,NamespaceExists,LimitRanger,SecurityContextDeny,ServiceAccount,ResourceQuota"
KUBE_API_ARGS=""
KUBE_MASTER="--master=http://centos-master:8080"
END"#;

/// The loop of the guide, which stops at nothing; what it started is asked for one by one.
fn start(test: &mut Test, m: usize, units: &str) -> Result<()> {
    test.run(
        m,
        &format!(
            "for SERVICES in {units}; do
    systemctl restart $SERVICES
    systemctl enable $SERVICES
    systemctl status $SERVICES
done 2>&1; true"
        ),
    )?;
    active(test, m, units)
}

fn active(test: &mut Test, m: usize, units: &str) -> Result<()> {
    // One that ends and is started over and over is active at times.
    let script = format!("systemctl is-active {units} && sleep 8 && systemctl is-active {units}");
    let asked = test.until(m, 90, &script);
    if asked.is_err() {
        test.run(m, "systemctl --no-pager --failed; journalctl --no-pager -n 60 -u 'kube*' -u etcd; true")?;
    }
    let name = test.name(m);
    asked.map(|_| test.ok(name, &format!("`systemctl is-active`: {units}")))
}

const MASTER_UNITS: &str = "etcd kube-apiserver kube-controller-manager kube-scheduler";
const MINION_UNITS: &str = "kube-proxy kubelet docker";

fn configure_the_master(test: &mut Test) -> Result<()> {
    test.run(MASTER, APISERVER)?;
    start(test, MASTER, MASTER_UNITS)
}

fn configure_the_minions(test: &mut Test) -> Result<()> {
    for m in test.minions() {
        let name = test.name(m);
        test.run(
            m,
            &format!(
                r#"cat > /etc/kubernetes/kubelet <<'END'
KUBELET_ADDRESS="--address=0.0.0.0"
KUBELET_PORT="--port=10250"
KUBELET_HOSTNAME="--hostname-override={name}"
KUBELET_API_SERVER="--api-servers=http://centos-master:8080"
KUBELET_POD_INFRA_CONTAINER="--pod-infra-container-image=registry.access.redhat.com/rhel7/pod-infrastructure:latest"
KUBELET_ARGS=""
END
# No registry is in reach: what the guide pulls from the internet lies there.
mkdir -p /var/lib/kubelet/images && cp /mnt/images/*.tar /var/lib/kubelet/images/"#
            ),
        )?;
        start(test, m, MINION_UNITS)?;
    }
    Ok(())
}

/// "At this point you should be able to see your node from the master."
fn the_node_is_seen(test: &mut Test) -> Result<()> {
    for m in test.minions() {
        let name = test.name(m);
        let ready = test.until(MASTER, 60, &format!("kubectl get nodes {name} | grep -w Ready"));
        if ready.is_err() {
            test.run(m, "journalctl --no-pager -n 80 -u kubelet; true")?;
            test.run(MASTER, "kubectl describe nodes; true")?;
        }
        ready?;
    }
    test.ok("centos-master", "`kubectl get nodes`: every minion Ready");
    Ok(())
}

/// "Run an nginx service", with what the guide looks at then, on the master and by `docker ps`.
fn first_pods(test: &mut Test) -> Result<()> {
    test.run(MASTER, "kubectl version")?;
    test.run(MASTER, "kubectl run nginx --image=nginx")?;
    pod_ready(test, "nginx")?;
    let m = minion_of(test, "nginx")?;
    test.run(m, "docker ps | tee /dev/stderr | grep -q k8s_nginx_nginx_default_")?;
    test.run(m, "docker ps | grep -q k8s_POD_nginx_default_ && docker images | grep -q nginx && docker version && docker info")?;
    let minion = test.name(m);
    test.ok(minion, "`docker ps` shows nginx's containers; `docker images`, `version` and `info` answer");
    test.run(MASTER, "kubectl exec nginx -- nginx -v")?;
    let fetch = "IP=$(kubectl get pod nginx -o go-template={{.status.podIP}})
kubectl run -i busybox --image=busybox --restart=Never -- wget -qO- $IP | tee /dev/stderr | grep -q 'Welcome to nginx!'";
    test.run(MASTER, fetch)?;
    test.ok("centos-master", "`kubectl exec`; a helper pod fetches the page from the pod's address");
    test.until(MASTER, 30, "kubectl get pods busybox | grep Completed")?;
    test.run(MASTER, "kubectl delete pods busybox && kubectl logs --tail=20 nginx | grep 'GET /' && kubectl delete pod nginx")?;
    test.ok("centos-master", "`kubectl logs`, `kubectl delete pods`");
    test.run(MASTER, "kubectl create -f /mnt/guide/pod-nginx-with-label.yaml")?;
    pod_ready(test, "nginx")?;
    test.run(MASTER, "kubectl get pods -l app=nginx | grep nginx && kubectl delete pods nginx")?;
    test.ok("centos-master", "a pod of a definition file, found by its label");
    Ok(())
}

fn pod_ready(test: &mut Test, what: &str) -> Result<()> {
    let ready =
        test.until(MASTER, 90, &format!("kubectl wait --for=condition=Ready --timeout=5s pod {what}"));
    if ready.is_err() {
        test.run(MASTER, "kubectl get pods -o wide; kubectl describe pods; true")?;
    }
    ready.map(drop)
}

fn minion_of(test: &mut Test, pod: &str) -> Result<usize> {
    let node = test.run(MASTER, &format!("kubectl get pod {pod} -o go-template={{{{.spec.nodeName}}}}"))?;
    match test.minions().find(|m| test.name(*m) == node.trim()) {
        Some(m) => Ok(m),
        None => bail!("pod {pod} is on {node:?}"),
    }
}

fn replication_controller(test: &mut Test) -> Result<()> {
    test.run(MASTER, "kubectl create -f /mnt/guide/replication-controller.yaml")?;
    if test.minions().len() > 1 {
        // More than the guide has, so that every minion gets some.
        let replicas = 2 * test.minions().len();
        test.run(MASTER, &format!("kubectl scale rc nginx-controller --replicas={replicas}"))?;
    }
    test.until(MASTER, 10, "[ $(kubectl get pods -l app=nginx -o name | wc -l) -ge 2 ]")?;
    pod_ready(test, "-l app=nginx")?;
    test.run(MASTER, "kubectl get rc; kubectl get pods -o wide")?;
    for m in test.minions() {
        let script = "set -o pipefail
docker ps | tee /dev/stderr | grep k8s_nginx_nginx-controller- | head -1 | cut -d' ' -f1 | xargs docker inspect | grep -w '\"IPAddress\": \"\"'";
        test.run(m, script)?;
        let name = test.name(m);
        test.ok(
            name,
            "pods of the replication controller run here; `docker inspect` shows no address of a container",
        );
    }
    let pod = test.run(MASTER, "kubectl get pods -l app=nginx -o name | head -1")?;
    test.run(MASTER, &format!("kubectl delete {}", pod.trim()))?;
    pod_ready(test, "-l app=nginx")?;
    test.ok("centos-master", "a pod that is deleted is replaced");
    Ok(())
}

const ASK: &str = "curl -sf -m 5 http://$IP:8000/ | grep -q 'Welcome to nginx!'";

fn service(test: &mut Test) -> Result<()> {
    test.run(MASTER, "kubectl create -f /mnt/guide/service.yaml && kubectl get services")?;
    every_minion_reaches_the_service(test)?;
    let ask = "IP=$(kubectl get service nginx-service -o go-template={{.spec.clusterIP}})
case $IP in 10.254.*) ;; *) echo $IP; exit 1 ;; esac
kubectl run -i asker --rm --image=busybox --restart=Never -- wget -qO- http://$IP:8000 | grep 'Welcome to nginx!'";
    test.run(MASTER, ask)?;
    test.ok("centos-master", "a pod reaches the service, whose address is of 10.254.0.0/16");
    across(test)
}

fn every_minion_reaches_the_service(test: &mut Test) -> Result<()> {
    let ip = test.run(MASTER, "kubectl get service nginx-service -o go-template={{.spec.clusterIP}}")?;
    for m in test.minions() {
        test.until(m, 60, &format!("IP={}; for i in 1 2 3 4 5 6; do {ASK} || return 1; done", ip.trim()))?;
        let name = test.name(m);
        test.ok(name, "the service answers");
    }
    Ok(())
}

/// Every pod of nginx from every minion, by its own address.
fn across(test: &mut Test) -> Result<()> {
    let all = "{{range .items}}{{.status.podIP}} {{end}}";
    let addresses = test.run(MASTER, &format!("kubectl get pods -l app=nginx -o go-template='{all}'"))?;
    for m in test.minions() {
        test.until(
            m,
            30,
            &format!(
                "for ip in {}; do curl -sf -m 5 -o /dev/null http://$ip/ || return 1; done",
                addresses.trim()
            ),
        )?;
    }
    test.ok("all minions", "every pod answers every minion, by its own address");
    Ok(())
}

/// Containers that run, with their processes.
const CONTAINERS: &str = "docker inspect $(docker ps -q --no-trunc) | grep -E '^    \"Id\"|\"Pid\"|\"StartedAt\"' | sort | tee /dev/stderr";

fn kubelet_restarts(test: &mut Test) -> Result<()> {
    for m in test.minions() {
        same_containers(
            test,
            m,
            "systemctl restart kubelet kube-proxy && systemctl is-active kubelet kube-proxy",
        )?;
        let name = test.name(m);
        test.ok(name, "the same containers and processes after `systemctl restart kubelet`");
        test.until(MASTER, 60, &format!("kubectl get nodes {name} | grep -w Ready"))?;
    }
    every_minion_reaches_the_service(test)
}

/// Fails when `script` costs a container.
fn same_containers(test: &mut Test, m: usize, script: &str) -> Result<()> {
    let before = test.run(m, CONTAINERS)?;
    if !before.contains("Pid") {
        bail!("no container to watch: {before}");
    }
    test.run(m, script)?;
    let after = test.until(m, 60, CONTAINERS)?;
    if before.trim() != after.trim() {
        bail!("before:\n{before}\nafter:\n{after}");
    }
    Ok(())
}

fn a_minion_reboots(test: &mut Test) -> Result<()> {
    let m = test.minions().start;
    let name = test.name(m);
    test.reboot(m)?;
    active(test, m, MINION_UNITS)?;
    test.until(MASTER, 90, &format!("kubectl get nodes {name} | grep -w Ready"))?;
    test.until(m, 120, "docker ps | grep k8s_nginx_nginx-controller-")?;
    pod_ready(test, "-l app=nginx")?;
    test.ok(name, "after a reboot: units active, node Ready, pods run again");
    every_minion_reaches_the_service(test)
}

fn the_master_reboots(test: &mut Test) -> Result<()> {
    let m = test.minions().start;
    let before = test.run(m, CONTAINERS)?;
    test.reboot(MASTER)?;
    active(test, MASTER, MASTER_UNITS)?;
    test.until(
        MASTER,
        90,
        "kubectl get rc nginx-controller && kubectl get nodes && ! kubectl get nodes | grep NotReady",
    )?;
    let after = test.run(m, CONTAINERS)?;
    if before != after {
        bail!("the master's reboot cost containers; before:\n{before}\nafter:\n{after}");
    }
    test.run(MASTER, "kubectl delete pod $(kubectl get pods -l app=nginx -o name | head -1 | cut -d/ -f2)")?;
    pod_ready(test, "-l app=nginx")?;
    test.ok(
        "centos-master",
        "after a reboot: units active, objects there, containers untouched, pods still replaced",
    );
    Ok(())
}

/// Over itself: dpkg does as with a newer version.
fn upgrade(test: &mut Test) -> Result<()> {
    let again = "apt-get -qq -y install --reinstall knarr kubernetes-client kubernetes-node kubernetes-master knarr-docker kubernetes 2>&1";
    let m = test.minions().start;
    let asked = format!(
        "{again} && grep -q centos-master /etc/kubernetes/kubelet && systemctl is-active {MINION_UNITS}"
    );
    same_containers(test, m, &asked)?;
    let name = test.name(m);
    test.until(MASTER, 90, &format!("kubectl get nodes {name} | grep -w Ready"))?;
    test.ok(name, "an upgrade in place keeps containers and settings");
    test.run(MASTER, again)?;
    active(test, MASTER, MASTER_UNITS)?;
    test.until(MASTER, 60, "kubectl get rc nginx-controller")?;
    test.ok("centos-master", "an upgrade in place keeps objects and settings");
    Ok(())
}

/// Prints what a machine may not have when nothing of ours is installed.
const LEFT: &str = "pgrep -a knarr
    pgrep -a nginx
    grep /var/lib/kubelet /proc/mounts
    ip -brief link | grep -vE '^(lo|eth0)'
    nft list ruleset
    ip route show proto 107
    find /sys/fs/cgroup -maxdepth 1 -name 'knarr*'
    systemctl --failed --no-legend | grep -E 'kube|docker|etcd'
    command -v kubelet kube-apiserver kubectl";

/// Prints what may not be there once it is purged.
const PURGED: &str =
    "ls -d /etc/kubernetes /etc/knarr /var/lib/kubelet /var/lib/kubernetes /var/lib/knarr /run/knarr* 2>/dev/null
    find /etc/systemd/system -name '*kube*'";

/// Fails when `script` prints something.
fn nothing(test: &mut Test, m: usize, script: &str) -> Result<()> {
    let said = test.run(m, &format!("{script}\ntrue"))?;
    if !said.trim().is_empty() {
        bail!("left on {}: {said}", test.name(m));
    }
    Ok(())
}

fn removal(test: &mut Test) -> Result<()> {
    let ours = "$(dpkg-query -W -f '${Package} ' 'kubernetes*' 'knarr*')";
    for m in test.everywhere() {
        let name = test.name(m);
        test.run(m, &format!("apt-get -qq -y remove {ours} 2>&1"))?;
        nothing(test, m, LEFT)?;
        test.run(m, "ls /etc/kubernetes/config")?;
        test.ok(name, "apt-get remove: containers, mounts, links, rules, cgroups gone; settings stay");
        test.run(m, &format!("apt-get -qq -y purge {ours} 2>&1"))?;
        nothing(test, m, PURGED)?;
        test.ok(name, "apt-get purge: nothing is left");
    }
    Ok(())
}
