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
            "p: host namespaces (hostPID=true)"
        ]
    );
}
