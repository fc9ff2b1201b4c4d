//! What goes wrong around a cluster: a full disk, a broken runtime, bad images, bad requests. Each has a clear answer, and the
//! server stays up.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::{Cluster, Output, Registry, eventually, images_dir, run};

/// A file system of a test's own, gone with it.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn tmpfs(at: &Path, size: &str) -> Mounted {
        fs::create_dir_all(at).expect("make a directory");
        let options = format!("size={size}");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(at)).ok();
        Mounted(at.to_owned())
    }

    /// `at` over itself, so that nothing can be written there any more.
    fn read_only(at: &Path) -> Mounted {
        run(Command::new("mount").arg("--bind").arg(at).arg(at)).ok();
        let mounted = Mounted(at.to_owned());
        run(Command::new("mount").args(["-o", "remount,ro,bind"]).arg(at)).ok();
        mounted
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let gone = run(Command::new("umount").arg("-l").arg(&self.0));
        if gone.code != 0 {
            eprintln!("cannot unmount {}: {}", self.0.display(), gone.stderr);
        }
    }
}

/// Raw HTTPS to the API: the code and the body.
fn curl(cluster: &Cluster, args: &[&str], path: &str) -> (String, String) {
    let mut command = cluster.host.command(Path::new("curl"));
    command.args(["-sS", "-w", "\n%{http_code}", "--cacert"]).arg(cluster.data_dir().join("pki/ca.crt"));
    let out = run(command.args(args).arg(format!("https://127.0.0.1:6443{path}")));
    assert_eq!(out.code, 0, "{args:?} {path}: {}", out.stderr);
    let out = out.stdout;
    let (body, code) = out.rsplit_once('\n').expect("a code");
    (code.to_owned(), body.to_owned())
}

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[test]
fn bad_requests_have_clear_answers() {
    let cluster = Cluster::start_with("raw", &["--disable-agent"]);
    cluster.kubectl(&["create", "configmap", "one"]).ok();
    let pki = |file: &str| cluster.data_dir().join("pki").join(file).display().to_string();
    let (cert, key) = (pki("admin.crt"), pki("admin.key"));
    let check = |request: &str, content_type: &str, body: &str, code: &str, words: &str| {
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let data = format!("@{}", cluster.file("body", body));
        let header = format!("Content-Type: {content_type}");
        let args = ["--cert", &cert, "--key", &key, "-X", method, "-H", &header, "--data-binary", &data];
        let (got, answer) = curl(&cluster, &args, path);
        assert_eq!(got, code, "{request}: {answer}");
        assert!(answer.contains("\"kind\": \"Status\"") && answer.contains(words), "{request}: {answer}");
    };
    let (json, yaml) = ("application/json", "application/yaml");
    let post = &format!("POST {CONFIG_MAPS}");
    check(post, json, "{\"metadata\":{", "400", "unexpected end of JSON input");
    check(post, yaml, "a: [\n", "400", "yaml: ");
    check(post, json, r#"{"metadata":{"name":5}}"#, "400", "cannot unmarshal number");
    let big = format!(r#"{{"metadata":{{"name":"big"}},"data":{{"k":"{}"}}}}"#, "x".repeat(3 << 20));
    check(post, json, &big, "413", "Request entity too large: limit is 3145728");
    let stale = r#"{"metadata":{"name":"one","resourceVersion":"1"}}"#;
    check(&format!("PUT {CONFIG_MAPS}/one"), json, stale, "409", "the object has been modified");
    let method = "the server does not allow this method on the requested resource";
    check(&format!("PUT {CONFIG_MAPS}"), json, "{}", "405", method);
    check(&format!("POST {CONFIG_MAPS}/one"), json, "{}", "405", method);
    check(&format!("PATCH {CONFIG_MAPS}/one"), "application/merge-patch+json", "[]", "400", "decoding patch");
    check(&format!("GET {CONFIG_MAPS}?labelSelector=a%3D(b"), json, "", "400", "unable to parse requirement");
    check(
        &format!("GET {CONFIG_MAPS}?fieldSelector=x%3Dy"),
        json,
        "",
        "400",
        "is not a known field selector",
    );

    let (code, answer) = curl(&cluster, &[], CONFIG_MAPS);
    assert!(code == "403" && answer.contains("User \\\"system:anonymous\\\" cannot list"), "{code} {answer}");
    let (code, answer) = curl(&cluster, &["-H", "Authorization: Bearer nonsense"], CONFIG_MAPS);
    assert!(code == "401" && answer.contains("\"message\": \"Unauthorized\""), "{code} {answer}");
    assert_eq!(cluster.kubectl(&["get", "configmap", "one", "-o", "name"]).ok(), "configmap/one\n");
}

#[test]
fn a_full_disk_refuses_writes_and_nothing_else() {
    let mut cluster = Cluster::prepare("full", &["--disable-agent"]);
    let store = cluster.data_dir().join("db");
    let mounted = Mounted::tmpfs(&store, "16m");
    cluster.boot();
    let k = |args: &[&str]| cluster.kubectl(args);
    k(&["create", "configmap", "before", "--from-literal=a=1"]).ok();
    // To the last byte, and nothing is left for the store's own log.
    let filler = store.join("filler");
    let filled =
        run(Command::new("dd").args(["if=/dev/zero", "bs=4k"]).arg(format!("of={}", filler.display())));
    assert!(filled.stderr.contains("No space left"), "{}", filled.stderr);
    let large = "x".repeat(100_000);
    eventually(Duration::from_secs(60), "a write is refused", || {
        let refused = k(&["create", "configmap", "during", &format!("--from-literal=a={large}")]);
        refused.code != 0 && refused.stderr.contains("no space left on the disk under the store")
    });
    // Reads go on, and what was refused is not there.
    assert_eq!(cluster.value("configmap", "before", "{.data.a}"), "1");
    assert!(k(&["get", "configmap", "during"]).fails().contains("not found"));
    let deleted = k(&["delete", "configmap", "before", "--wait=false"]).fails();
    assert!(deleted.contains("no space left"), "{deleted}");
    assert_eq!(k(&["get", "--raw", "/livez"]).ok(), "ok");

    fs::remove_file(&filler).expect("make room");
    eventually(Duration::from_secs(60), "writes work again", || {
        k(&["create", "configmap", "after", "--from-literal=a=2"]).code == 0
    });
    // And after a crash it is the same.
    cluster.kill();
    cluster.boot();
    let names = cluster.kubectl(&["get", "configmaps", "-o", "name"]).ok();
    assert_eq!(names, "configmap/after\nconfigmap/before\nconfigmap/kube-root-ca.crt\n");
    cluster.stop();
    drop(mounted);
}

#[test]
fn a_broken_runtime_makes_the_node_not_ready() {
    let cluster = Cluster::start("broken");
    cluster.wait_for("condition=Ready", "node/node1", 60);
    let broken = Mounted::read_only(&cluster.data_dir().join("containers"));
    cluster.wait_for("condition=Ready=false", "node/node1", 120);
    let ready = r#"{.status.conditions[?(@.type=="Ready")].message}"#;
    let why = cluster.value("node", "node1", ready);
    assert!(why.contains("Read-only file system"), "{why}");
    eventually(Duration::from_secs(60), "pods are kept away", || {
        cluster.value("node", "node1", "{.spec.taints[*].key}").contains("node.kubernetes.io/not-ready")
    });
    assert!(cluster.kubectl(&["get", "nodes"]).ok().contains(" NotReady "));
    drop(broken);
    cluster.wait_for("condition=Ready", "node/node1", 120);
    cluster.kubectl(&["run", "box", "--image=busybox", "--", "sleep", "3600"]).ok();
    cluster.wait_for("condition=Ready", "pod/box", 90);
    cluster.kubectl(&["delete", "pod", "box", "--grace-period=1"]).ok();
}

#[test]
fn a_bad_archive_and_a_missing_image_are_told() {
    let mut cluster = Cluster::prepare("archive", &[]);
    let good = fs::read(images_dir().join("busybox.tar")).expect("read an archive");
    let cut = cluster.data_dir().join("images/cut.tar");
    fs::write(&cut, &good[..good.len() / 2]).expect("write a cut archive");
    cluster.boot();
    let log = cluster.server_log();
    assert!(log.contains("cannot load images from") && log.contains("cut.tar"), "{log}");
    let loaded = cluster.knarr(&["image", "load", &cut.display().to_string()]).fails();
    assert!(loaded.contains("it is cut off"), "{loaded}");
    let images = cluster.knarr(&["image", "ls"]).ok();
    assert!(images.contains("busybox") && images.contains("nginx"), "{images}");
    cluster.knarr(&["image", "rm", "nginx"]).ok();
    assert!(!cluster.knarr(&["image", "ls"]).ok().contains("nginx"));
    let again = images_dir().join("nginx.tar").display().to_string();
    assert!(cluster.knarr(&["image", "load", &again]).ok().contains("nginx"));
    assert!(cluster.knarr(&["image", "ls"]).ok().contains("nginx"));
    cluster.kubectl(&["run", "none", "--image=192.0.2.2:1/none"]).ok();
    eventually(Duration::from_secs(90), "the missing image is told", || {
        let reason = cluster.value("pod", "none", "{.status.containerStatuses[0].state.waiting.reason}");
        ["ErrImagePull", "ImagePullBackOff"].contains(&reason.as_str())
    });
    let described = cluster.kubectl(&["describe", "pod", "none"]).ok();
    assert!(described.contains("Failed to pull image \"192.0.2.2:1/none\""), "{described}");
}

#[test]
fn what_the_machine_cannot_give_is_an_event() {
    let mut cluster = Cluster::prepare("clamped", &[]);
    let binary = e2e::binary().display().to_string();
    cluster.start_as(&["setpriv", "--bounding-set", "-sys_time", &binary]);
    cluster.boot();
    cluster.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: { name: clock }\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - name: main\n    image: busybox\n    command: [sleep, '3600']\n    securityContext: { capabilities: { add: [SYS_TIME] } }\n",
    );
    cluster.wait_for("condition=Ready", "pod/clock", 90);
    let told =
        || cluster.kubectl(&["get", "events", "--field-selector", "reason=Clamped", "-o", "name"]).ok();
    eventually(Duration::from_secs(60), "an event says so", || told().lines().count() == 1);
    let message = cluster
        .kubectl(&[
            "get",
            "events",
            "--field-selector",
            "reason=Clamped",
            "-o",
            "jsonpath={.items[0].message}",
        ])
        .ok();
    assert!(message.starts_with("Container runs with less than it asked for: "), "{message}");
    assert!(message.contains("capability SYS_TIME is not available here"), "{message}");
    let inside = cluster.kubectl(&["exec", "clock", "--", "grep", "CapEff", "/proc/self/status"]).ok();
    assert!(inside.contains("a80425fb"), "{inside}");
}

const SECRET_POD: &str = "\
apiVersion: v1
kind: Pod
metadata: { name: trusted }
spec:
  terminationGracePeriodSeconds: 1
  imagePullSecrets: [{ name: pass }]
  containers:
  - { name: main, image: '127.0.0.1:5001/private/box', command: [sleep, '3600'] }
";

#[test]
fn images_come_from_registries_as_the_file_says() {
    let mut cluster = Cluster::prepare("registries", &[]);
    // Nothing is there beforehand.
    fs::remove_dir_all(cluster.data_dir().join("images")).expect("remove the archives");
    let mirror = Registry::start(&cluster.host, cluster.dir(), 5000);
    mirror.add(&images_dir().join("nginx.tar"), "library/nginx", "latest");
    let private = Registry::start(&cluster.host, cluster.dir(), 5001);
    private.add(&images_dir().join("busybox.tar"), "private/box", "latest");
    let file = cluster.file(
        "registries.yaml",
        "mirrors:\n  docker.io:\n    endpoint: ['http://127.0.0.1:5000']\n\
         configs:\n  '127.0.0.1:5000':\n    auth: { username: user, password: secret }\n",
    );
    cluster.set_flags(&["--private-registry", &file]);
    cluster.boot();
    cluster.kubectl(&["run", "nginx", "--image=nginx"]).ok();
    cluster.wait_for("condition=Ready", "pod/nginx", 120);
    let describe = |pod: &str| cluster.kubectl(&["describe", "pod", pod]).ok();
    let pulled = describe("nginx");
    assert!(pulled.contains("Successfully pulled image \"nginx\""), "{pulled}");
    let image = cluster.value("pod", "nginx", "{.status.containerStatuses[0].imageID}");
    assert!(image.starts_with("docker.io/library/nginx@sha256:"), "{image}");

    // Plain HTTP on loopback needs no entry; a password comes from a secret or not at all.
    cluster.kubectl(&["run", "stranger", "--image=127.0.0.1:5001/private/box", "--", "sleep", "3600"]).ok();
    eventually(Duration::from_secs(90), "a stranger is refused", || {
        describe("stranger").contains("pull access denied")
    });
    let server = "--docker-server=127.0.0.1:5001";
    let (name, word) = ("--docker-username=user", "--docker-password=secret");
    cluster.kubectl(&["create", "secret", "docker-registry", "pass", server, name, word]).ok();
    cluster.apply(SECRET_POD);
    cluster.wait_for("condition=Ready", "pod/trusted", 120);
    cluster.kubectl(&["delete", "pods", "--all", "--grace-period=1"]).ok();

    // A file that was named must be there, and be right.
    cluster.stop();
    let start = |cluster: &Cluster, file: &str| -> Output {
        let kubeconfig = cluster.dir().join("unused").display().to_string();
        cluster.knarr(&["server", "--write-kubeconfig", &kubeconfig, "--private-registry", file])
    };
    assert!(start(&cluster, "/nonexistent/file").fails().contains("read /nonexistent/file"));
    let wrong = cluster.file("wrong.yaml", "mirrors: [1]\n");
    assert!(start(&cluster, &wrong).fails().contains("is not as registries.yaml should be"));
}
