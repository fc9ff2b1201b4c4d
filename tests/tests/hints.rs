//! What `knarr kubectl` says to people at terminals, and to nobody else.

use std::path::Path;

use e2e::{Cluster, Terminal};

/// Our kubectl at a terminal: what it leaves on the screen.
fn screen(cluster: &Cluster, words: &[&str]) -> String {
    let mut command = cluster.client_command(Path::new("/bin/sh"));
    command.args(["-c", "\"$@\"; echo and nothing else", "sh"]).arg(e2e::binary()).arg("kubectl").args(words);
    Terminal::run(&command).sees("and nothing else")
}

/// The same into a pipe.
fn piped(cluster: &Cluster, words: &[&str]) -> String {
    let mut command = cluster.client_command(&e2e::binary());
    let out = e2e::run(command.arg("kubectl").args(words));
    out.stdout + &out.stderr
}

#[test]
fn people_are_told_more() {
    let cluster = Cluster::start("hints");
    cluster.apply(
        "{apiVersion: v1, kind: Pod, metadata: {name: never}, spec: {containers: [{name: a, image: \"nowhere/nothing:1\", imagePullPolicy: Never}]}}",
    );
    let reason = "{.status.containerStatuses[0].state.waiting.reason}";
    cluster.wait_for(&format!("jsonpath={reason}=ErrImageNeverPull"), "pod/never", 120);
    let why = "hint: never: image \"nowhere/nothing:1\" is not on the node";
    for words in [&["get", "pods"][..], &["describe", "pod", "never"]] {
        assert!(screen(&cluster, words).contains(why), "{}", screen(&cluster, words));
        assert!(!piped(&cluster, words).contains("hint"), "{words:?} into a pipe");
        let plain = [words, &["--plain"]].concat();
        assert!(!screen(&cluster, &plain).contains("hint"), "{plain:?}");
    }
    let mistyped = [
        (&["get", "podss"][..], "did you mean \"pods\""),
        (&["explain", "pods.spec.contaners"], "did you mean \"containers\"?"),
    ];
    for (words, meant) in mistyped {
        assert!(screen(&cluster, words).contains(meant), "{}", screen(&cluster, words));
        assert!(!piped(&cluster, words).contains("hint"), "{words:?} into a pipe");
    }
    let really = piped(&cluster, &["get", "all", "--really"]);
    assert!(really.contains("configmap/kube-root-ca.crt"), "{really}");
}
