//! Pod Security.

use k8s_openapi::api::apps::v1::Deployment;

use super::*;

fn namespace(labels: Value) -> Value {
    json!({"metadata": {"name": "secure", "labels": labels}})
}

fn secure(labels: Value) -> Fixture {
    let f = fixture();
    f.api.insert(&object::<Namespace>(namespace(labels)));
    f.api.insert(&object::<ServiceAccount>(json!({"metadata": {"name": "default", "namespace": "secure"}})));
    f
}

fn pod(spec: Value) -> Value {
    json!({"metadata": {"name": "p", "namespace": "secure"}, "spec": spec})
}

fn hardened() -> Value {
    json!({
        "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "c", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}],
    })
}

/// What is said about a pod, level by level.
async fn said(level: &str, spec: Value) -> String {
    let f = secure(json!({"pod-security.kubernetes.io/enforce": level}));
    match f.run(create::<Pod>(pod(spec))).await {
        Ok(_) => "fine".into(),
        Err(status) => status.message.replace("pods \"p\" is forbidden: violates PodSecurity ", ""),
    }
}

#[tokio::test]
async fn baseline() {
    let one = |context: Value| json!({"containers": [{"name": "c", "securityContext": context}]});
    let cases = [
        (json!({"containers": [{"name": "c"}]}), "fine"),
        (
            one(json!({"privileged": true})),
            "privileged (container \"c\" must not set securityContext.privileged=true)",
        ),
        (
            json!({"hostNetwork": true, "hostPID": true, "containers": [{"name": "c"}]}),
            "host namespaces (hostNetwork=true, hostPID=true)",
        ),
        (
            one(json!({"capabilities": {"add": ["SYS_ADMIN", "CHOWN"]}})),
            "non-default capabilities (container \"c\" must not include \"SYS_ADMIN\" in securityContext.capabilities.add)",
        ),
        (
            json!({"containers": [{"name": "c"}], "volumes": [{"name": "v", "hostPath": {"path": "/"}}]}),
            "hostPath volumes (volume \"v\")",
        ),
        (
            json!({"containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": 80}]}]}),
            "hostPort (container \"c\" uses hostPort 80)",
        ),
        (
            one(json!({"procMount": "Unmasked"})),
            "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")",
        ),
        (
            one(json!({"seccompProfile": {"type": "Unconfined"}})),
            "seccompProfile (container \"c\" must not set securityContext.seccompProfile.type to \"Unconfined\")",
        ),
        (
            json!({"securityContext": {"seLinuxOptions": {"type": "foo", "user": "u"}}, "containers": [{"name": "c"}]}),
            "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type \"foo\"; user may not be set)",
        ),
        (
            json!({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}, "containers": [{"name": "c"}]}),
            "forbidden sysctls (kernel.msgmax)",
        ),
        (
            one(json!({"appArmorProfile": {"type": "Unconfined"}})),
            "forbidden AppArmor profile (container \"c\" must not set AppArmor profile type to \"Unconfined\")",
        ),
        (
            one(json!({"windowsOptions": {"hostProcess": true}})),
            "hostProcess (container \"c\" must not set securityContext.windowsOptions.hostProcess=true)",
        ),
        (
            json!({"containers": [{"name": "c", "livenessProbe": {"httpGet": {"port": 1, "host": "evil"}}}]}),
            "probe or lifecycle host (container \"c\" uses probe or lifecycle host \"evil\")",
        ),
    ];
    for (spec, wanted) in cases {
        let wanted = if wanted == "fine" { wanted.into() } else { format!("\"baseline:latest\": {wanted}") };
        assert_eq!(said("baseline", spec).await, wanted);
    }
}

#[tokio::test]
async fn restricted() {
    assert_eq!(said("restricted", hardened()).await, "fine");
    let plain = json!({"automountServiceAccountToken": false, "containers": [{"name": "a"}, {"name": "b"}]});
    assert_eq!(
        said("restricted", plain).await,
        "\"restricted:latest\": allowPrivilegeEscalation != false (containers \"a\", \"b\" must set \
         securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (containers \"a\", \"b\" must set \
         securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or containers \"a\", \"b\" must set \
         securityContext.runAsNonRoot=true), seccompProfile (pod or containers \"a\", \"b\" must set \
         securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"
    );
    let mut spec = hardened();
    spec["securityContext"]["runAsUser"] = json!(0);
    spec["volumes"] = json!([{"name": "v", "nfs": {"server": "s", "path": "/"}}]);
    assert_eq!(
        said("restricted", spec).await,
        "\"restricted:latest\": restricted volume types (volume \"v\" uses restricted volume type \"nfs\"), \
         runAsUser=0 (pod must not set runAsUser=0)"
    );
}

#[tokio::test]
async fn versions_and_bad_labels() {
    let old = json!({"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "v1.7"});
    let f = secure(old);
    let spec = json!({"automountServiceAccountToken": false, "securityContext": {"runAsNonRoot": true}, "containers": [{"name": "c"}]});
    f.check(create::<Pod>(pod(spec)), "").await;
    let bad = "422 Namespace \"secure\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"odd\": must be one of privileged, baseline, restricted";
    let odd = || namespace(json!({"pod-security.kubernetes.io/enforce": "odd"}));
    f.check(create::<Namespace>(odd()), bad).await;
    f.check(update::<Namespace>(odd(), odd()), "").await;
}

#[tokio::test]
async fn warnings() {
    let f = secure(json!({"pod-security.kubernetes.io/warn": "baseline"}));
    let template = json!({"spec": {"containers": [{"name": "c"}], "hostPID": true}});
    let deployment = json!({"metadata": {"name": "d", "namespace": "secure"}, "spec": {"selector": {}, "template": template}});
    let would = "would violate PodSecurity \"baseline:latest\": host namespaces (hostPID=true)";
    assert_eq!(f.warnings(create::<Deployment>(deployment)).await, [would]);
    let running = pod(json!({"containers": [{"name": "c"}], "hostPID": true}));
    assert_eq!(f.warnings(create::<Pod>(running.clone())).await, [would]);
    f.api.insert(&object::<Pod>(running));
    let stricter = namespace(json!({"pod-security.kubernetes.io/enforce": "baseline"}));
    assert_eq!(
        f.warnings(update::<Namespace>(namespace(json!({})), stricter)).await,
        [
            "existing pods in namespace \"secure\" violate the new PodSecurity enforce level \"baseline:latest\"",
            "p: host namespaces"
        ]
    );
}

/// A fixture whose plugins read this configuration of Pod Security.
fn configured(pod_security: &str) -> Result<Fixture, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admission.yaml");
    std::fs::write(dir.path().join("pod-security.yaml"), pod_security).unwrap();
    let file = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: PodSecurity\n  path: pod-security.yaml\n";
    std::fs::write(&path, file).unwrap();
    let read = crate::Configuration::read(&path);
    read.map(fixture_with).map_err(|e| e.replace(dir.path().to_str().unwrap(), "DIR"))
}

const HEAD: &str = "apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\n";

#[tokio::test]
async fn defaults_and_exemptions() {
    let f = configured(&format!(
        "{HEAD}defaults: {{enforce: baseline, enforce-version: v1.30, warn: restricted}}\nexemptions:\n  usernames: [root]\n  \
         namespaces: [free]\n  runtimeClasses: [vm]\n"
    ))
    .unwrap();
    for name in ["secure", "free", "open"] {
        // What a label says counts more than the default.
        let labels = match name {
            "open" => json!({"pod-security.kubernetes.io/enforce": "privileged"}),
            _ => json!({}),
        };
        f.api.insert(&object::<Namespace>(json!({"metadata": {"name": name, "labels": labels}})));
        f.api.insert(&object::<ServiceAccount>(json!({"metadata": {"name": "default", "namespace": name}})));
    }
    let bad =
        || json!({"containers": [{"name": "c"}], "hostPID": true, "automountServiceAccountToken": false});
    let no = "403 pods \"p\" is forbidden: violates PodSecurity \"baseline:v1.30\": host namespaces (hostPID=true)";
    f.check(create::<Pod>(pod(bad())), no).await;
    f.check(Write { user: "root", ..create::<Pod>(pod(bad())) }, "").await;
    let free = json!({"metadata": {"name": "p", "namespace": "free"}, "spec": bad()});
    f.check(create::<Pod>(free), "").await;
    let mut vm = bad();
    vm["runtimeClassName"] = json!("vm");
    let class = json!({"metadata": {"name": "vm"}, "handler": "runc"});
    f.api.insert(&object::<k8s_openapi::api::node::v1::RuntimeClass>(class));
    f.check(create::<Pod>(pod(vm)), "").await;
    let open = || json!({"metadata": {"name": "p", "namespace": "open"}, "spec": bad()});
    f.check(create::<Pod>(open()), "").await;
    let warned = f.warnings(create::<Pod>(open())).await;
    assert!(warned[0].starts_with("would violate PodSecurity \"restricted:latest\": "), "{warned:?}");
    let strict =
        json!({"metadata": {"name": "free", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    assert_eq!(
        f.warnings(create::<Namespace>(strict)).await,
        [
            "namespace \"free\" is exempt from Pod Security, and the policy (enforce=restricted:v1.30) will be ignored"
        ]
    );
}

#[tokio::test]
async fn labels_that_cannot_be_read_ask_for_the_most() {
    let bad = json!({
        "pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/enforce-version": "1.30",
        "pod-security.kubernetes.io/warn": "odd",
    });
    let f = secure(bad);
    f.check(create::<Pod>(pod(hardened())), "").await;
    let no = "403 pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostPID=true)";
    f.check(create::<Pod>(pod(json!({"containers": [{"name": "c"}], "hostPID": true}))), no).await;
    let f = secure(json!({"pod-security.kubernetes.io/enforce": "odd"}));
    let odd = f.run(create::<Pod>(pod(json!({"containers": [{"name": "c"}]})))).await.unwrap_err().message;
    assert!(odd.contains("violates PodSecurity \"restricted:latest\""), "{odd}");
}

/// Each control at the versions around the one that changed it.
#[tokio::test]
async fn controls_of_versions() {
    let sysctl = |name: &str| json!({"containers": [{"name": "c"}], "securityContext": {"sysctls": [{"name": name, "value": "1"}]}});
    let selinux = json!({
        "containers": [{"name": "c", "securityContext": {"seLinuxOptions": {"type": "container_engine_t"}}}]
    });
    let probe = json!({"containers": [{"name": "c", "readinessProbe": {"tcpSocket": {"port": 1, "host": "1.2.3.4"}}}]});
    let cases = [
        (
            "v1.26",
            sysctl("net.ipv4.ip_local_reserved_ports"),
            "forbidden sysctls (net.ipv4.ip_local_reserved_ports)",
        ),
        ("v1.27", sysctl("net.ipv4.ip_local_reserved_ports"), ""),
        ("v1.28", sysctl("net.ipv4.tcp_fin_timeout"), "forbidden sysctls (net.ipv4.tcp_fin_timeout)"),
        ("v1.29", sysctl("net.ipv4.tcp_fin_timeout"), ""),
        ("v1.31", sysctl("net.ipv4.tcp_rmem"), "forbidden sysctls (net.ipv4.tcp_rmem)"),
        ("v1.32", sysctl("net.ipv4.tcp_rmem"), ""),
        (
            "v1.30",
            selinux.clone(),
            "seLinuxOptions (container \"c\" set forbidden securityContext.seLinuxOptions: type \"container_engine_t\")",
        ),
        ("v1.31", selinux, ""),
        ("v1.33", probe.clone(), ""),
        (
            "v1.34",
            probe,
            "probe or lifecycle host (container \"c\" uses probe or lifecycle host \"1.2.3.4\")",
        ),
        ("v1.0", sysctl("kernel.shm_rmid_forced"), ""),
    ];
    for (version, spec, wanted) in cases {
        let labels = json!({
            "pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/enforce-version": version,
        });
        let wanted = match wanted {
            "" => String::new(),
            wanted => {
                format!("403 pods \"p\" is forbidden: violates PodSecurity \"baseline:{version}\": {wanted}")
            }
        };
        secure(labels).check(create::<Pod>(pod(spec)), &wanted).await;
    }
}

#[test]
fn files_that_are_wrong() {
    let error = |text: &str| configured(text).err().unwrap_or_default();
    assert_eq!(error(HEAD), "");
    assert_eq!(
        error(&format!("{HEAD}defaults: {{enforce: odd, warn-version: 1.2}}\n")),
        "DIR/admission.yaml: plugin \"PodSecurity\": invalid type: floating point `1.2`, expected a string"
    );
    assert_eq!(
        error(&format!(
            "{HEAD}defaults: {{enforce: odd, warn-version: '1.2'}}\nexemptions: {{namespaces: [A], usernames: ['', a, a]}}\n"
        )),
        "DIR/admission.yaml: plugin \"PodSecurity\": [defaults.enforce: Invalid value: \"odd\": must be one of privileged, baseline, \
         restricted, defaults.warn-version: Invalid value: \"1.2\": must be \"latest\" or \"v1.x\", exemptions.namespaces[0]: Invalid \
         value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
         with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?'), exemptions.usernames[0]: Required value, exemptions.usernames[2]: Duplicate value: \"a\"]"
    );
    assert_eq!(
        error("apiVersion: v1\nkind: PodSecurityConfiguration\n"),
        "DIR/admission.yaml: plugin \"PodSecurity\": no kind \"PodSecurityConfiguration\" is registered for version \"v1\"; write kind: \
         PodSecurityConfiguration, apiVersion: pod-security.admission.config.k8s.io/v1"
    );
    assert!(error(&format!("{HEAD}default: {{}}\n")).contains("unknown field `default`"));
    let none = crate::Configuration::read(std::path::Path::new("/nowhere/a.yaml")).unwrap_err();
    assert_eq!(none, "read /nowhere/a.yaml: No such file or directory (os error 2)");
}

/// A namespace that became stricter leaves its pods alone until they run something else.
#[tokio::test]
async fn what_runs_already() {
    let f = secure(json!({"pod-security.kubernetes.io/enforce": "restricted"}));
    let running = |image: &str| {
        pod(
            json!({"containers": [{"name": "c", "image": image}], "activeDeadlineSeconds": 9, "serviceAccountName": "default"}),
        )
    };
    let mut sooner = running("a");
    sooner["spec"]["activeDeadlineSeconds"] = json!(5);
    sooner["metadata"]["annotations"] = json!({"note": "x"});
    f.check(update::<Pod>(running("a"), sooner), "").await;
    let refused = f.run(update::<Pod>(running("a"), running("b"))).await.unwrap_err();
    assert!(refused.message.contains("violates PodSecurity \"restricted:latest\""), "{}", refused.message);
    let mut debugged = running("a");
    debugged["spec"]["ephemeralContainers"] = json!([{"name": "d", "image": "x"}]);
    let refused = f.run(update::<Pod>(running("a"), debugged).part("ephemeralcontainers")).await.unwrap_err();
    assert!(refused.message.contains("containers \"c\", \"d\""), "{}", refused.message);
}
