use std::sync::Arc;

use client::fake::FakeApi;
use k8s_openapi::api::authorization::v1 as api;
use k8s_openapi::api::core::v1::{
    Container, EnvFromSource, EnvVar, EnvVarSource, EphemeralContainer, LocalObjectReference,
    ObjectReference, PersistentVolume, PersistentVolumeSpec, Pod, PodSpec, SecretEnvSource,
    SecretKeySelector, Volume,
};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject};
use serde_json::json;
use stdx::Tasks;
use testkit::FakeClock;

use super::rbac::covers::{compact, covers, show};
use super::rbac::escalation::{Refusal, Target, may_bind, may_write_role};
use super::*;
use crate::policy::{account, group, meta, named, role_ref, rule, urls, user};

/// `USER[+GROUP…] VERB RESOURCE[.GROUP][/SUBRESOURCE] [NAMESPACE/][NAME] [field selector]`, or a path as resource.
fn ask(text: &str) -> Attributes {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut who = words[0].split('+');
    let user = UserInfo {
        name: who.next().unwrap().into(),
        groups: who.map(str::to_owned).collect(),
        ..UserInfo::default()
    };
    let mut a = Attributes { user, verb: words[1].into(), ..Attributes::default() };
    if words[2].starts_with('/') {
        a.path = words[2].into();
        return a;
    }
    let (resource, subresource) = words[2].split_once('/').unwrap_or((words[2], ""));
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    (a.resource, a.subresource, a.group) = (resource.into(), subresource.into(), group.into());
    let (namespace, name) = words.get(3).map_or(("", ""), |w| w.split_once('/').unwrap_or(("", w)));
    (a.namespace, a.name) = (namespace.into(), name.into());
    a.field_selector = words.get(4).copied().unwrap_or_default().into();
    a
}

fn show_decision(decision: Decision) -> String {
    match decision {
        Decision::Allow(reason) if reason.is_empty() => "yes".into(),
        Decision::Allow(reason) => format!("yes: {reason}"),
        Decision::Deny(reason) => format!("never: {reason}"),
        Decision::NoOpinion(reason) if reason.is_empty() => "no".into(),
        Decision::NoOpinion(reason) => format!("no: {reason}"),
    }
}

/// Each line of `table` is `question => answer`; `yes` also stands for a yes with a reason.
async fn check(authorizer: &dyn Authorizer, table: &str) {
    for line in table.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (question, expected) = line.split_once(" => ").unwrap();
        let answer = show_decision(authorizer.authorize(&ask(question)).await);
        let answer = if expected == "yes" { answer.split(": ").next().unwrap() } else { &answer };
        assert_eq!(answer, expected, "{question}");
    }
}

fn api() -> FakeApi {
    FakeApi::new(FakeClock::new().shared())
}

fn cluster_role(api: &FakeApi, name: &str, rules: Vec<PolicyRule>) {
    api.insert(&ClusterRole { metadata: meta("", name), rules: Some(rules), ..Default::default() });
}

fn cluster_binding(api: &FakeApi, name: &str, role: &str, subjects: Vec<Subject>) {
    api.insert(&ClusterRoleBinding {
        metadata: meta("", name),
        role_ref: role_ref("ClusterRole", role),
        subjects: Some(subjects),
    });
}

fn binding(api: &FakeApi, namespace: &str, name: &str, kind: &str, role: &str, subjects: Vec<Subject>) {
    api.insert(&RoleBinding {
        metadata: meta(namespace, name),
        role_ref: role_ref(kind, role),
        subjects: Some(subjects),
    });
}

async fn rbac(api: &FakeApi, tasks: &Tasks) -> Arc<Rbac> {
    let rbac = Rbac::start(&*api.transport(), tasks);
    rbac.synced().await;
    rbac
}

#[tokio::test]
async fn rules_are_matched_as_upstream_matches_them() {
    let (api, tasks) = (api(), Tasks::new());
    cluster_role(
        &api,
        "mixed",
        vec![
            rule("get list", "core", "pods pods/log"),
            rule("*", "apps", "*"),
            rule("update", "*", "*/scale"),
            named("get", "core", "secrets", "s1 s2"),
            urls("get", "/healthz /apis/* /version/"),
        ],
    );
    cluster_binding(&api, "b", "mixed", vec![user("ann")]);
    cluster_role(&api, "root", vec![rule("*", "*", "*"), urls("*", "*")]);
    cluster_binding(&api, "r", "root", vec![user("root")]);
    let rbac = rbac(&api, &tasks).await;
    check(
        &*rbac,
        "
        ann get pods ns/p => yes: RBAC: allowed by ClusterRoleBinding \"b\" of ClusterRole \"mixed\" to User \"ann\"
        ann list pods ns/ => yes
        ann list pods => yes
        ann watch pods ns/ => no
        ann get pods/log ns/p => yes
        ann get pods/exec ns/p => no
        ann get pods.apps ns/p => yes
        ann delete deployments.apps ns/d => yes
        ann delete deployments.apps/status ns/d => yes
        ann delete deployments.extensions ns/d => no
        ann update replicationcontrollers/scale ns/d => yes
        ann update replicationcontrollers/status ns/d => no
        ann update replicationcontrollers ns/d => no
        ann get scale ns/d => no
        ann get secrets ns/s1 => yes
        ann get secrets ns/s3 => no
        ann get secrets ns/ => no
        ann get /healthz => yes
        ann get /healthz/ => no
        ann post /healthz => no
        ann get /apis => no
        ann get /apis/ => yes
        ann get /apis/apps/v1 => yes
        ann get /version => no
        ann get /version/ => yes
        bob get pods ns/p => no
        root proxy nodes/anything x => yes
        root patch /anything => yes
        ",
    )
    .await;
    tasks.stop().await;
}

#[tokio::test]
async fn bindings_reach_their_subjects_in_their_place() {
    let (api, tasks) = (api(), Tasks::new());
    cluster_role(&api, "reader", vec![rule("get", "core", "pods nodes"), urls("get", "/metrics")]);
    api.insert(&Role { metadata: meta("ns", "reader"), rules: Some(vec![rule("get", "core", "secrets")]) });
    binding(
        &api,
        "ns",
        "b",
        "ClusterRole",
        "reader",
        vec![user("ann"), group("devs"), account("ops", "robot")],
    );
    binding(&api, "ns", "c", "Role", "reader", vec![Subject { namespace: None, ..account("", "local") }]);
    binding(&api, "other", "c", "Role", "reader", vec![user("ann")]);
    cluster_binding(&api, "gone", "gone", vec![user("zoe")]);
    let rbac = rbac(&api, &tasks).await;
    check(
        &*rbac,
        "
        ann get pods ns/p => yes: RBAC: allowed by RoleBinding \"b/ns\" of ClusterRole \"reader\" to User \"ann\"
        bob+devs get pods ns/p => yes: RBAC: allowed by RoleBinding \"b/ns\" of ClusterRole \"reader\" to Group \"devs\"
        system:serviceaccount:ops:robot get pods ns/p => yes: RBAC: allowed by RoleBinding \"b/ns\" of ClusterRole \"reader\" to ServiceAccount \"robot/ops\"
        system:serviceaccount:ns:local get secrets ns/s => yes
        system:serviceaccount:ns:local get secrets other/s => no
        devs get pods ns/p => no
        ann+ann get pods other/p => no: RBAC: role.rbac.authorization.k8s.io \"reader\" not found
        ann get pods p => no
        ann get nodes n => no
        ann get /metrics => no
        zoe get pods ns/p => no: RBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not found
        ",
    )
    .await;
    tasks.stop().await;
}

#[tokio::test]
async fn changes_arrive() {
    let (api, tasks) = (api(), Tasks::new());
    let rbac = rbac(&api, &tasks).await;
    let becomes = async |expected: &str| {
        let question = ask("ann get pods ns/p");
        for _ in 0..1000 {
            if show_decision(rbac.authorize(&question).await).starts_with(expected) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("never {expected}");
    };
    cluster_role(&api, "r", vec![rule("get", "core", "pods")]);
    cluster_binding(&api, "b", "r", vec![user("bob")]);
    becomes("no").await;
    api.edit::<ClusterRoleBinding>("", "b", |b| b.subjects = Some(vec![user("ann")]));
    becomes("yes").await;
    api.edit::<ClusterRole>("", "r", |r| r.rules = None);
    becomes("no").await;
    api.edit::<ClusterRole>("", "r", |r| r.rules = Some(vec![rule("get", "core", "pods")]));
    becomes("yes").await;
    api.remove::<ClusterRole>("", "r");
    becomes("no: RBAC").await;
    api.remove::<ClusterRoleBinding>("", "b");
    for _ in 0..1000 {
        if show_decision(rbac.authorize(&ask("ann get pods ns/p")).await) == "no" {
            break;
        }
        tokio::task::yield_now().await;
    }
    check(&*rbac, "ann get pods ns/p => no").await;
    tasks.stop().await;
}

#[tokio::test]
async fn masters_and_the_order_of_authorizers() {
    let (api, tasks) = (api(), Tasks::new());
    cluster_role(&api, "r", vec![rule("get", "core", "nodes")]);
    cluster_binding(&api, "b", "r", vec![user("system:node:n1")]);
    let node = NodeAuthorizer::start(&*api.transport(), true, &tasks);
    let authorization = Authorization::new(node, rbac(&api, &tasks).await);
    authorization.synced().await;
    check(
        &authorization,
        "
        root+system:masters delete anything x => yes
        root+system:master delete anything x => no
        system:node:n1+system:nodes get nodes n2 => yes
        system:node:n1+system:nodes get secrets ns/s => no: no relationship found between node 'n1' and this object
        system:node:n1 get secrets ns/s => no
        ",
    )
    .await;
    tasks.stop().await;
}

#[test]
fn refusals_are_worded_as_upstreams() {
    for (question, reason, expected) in [
        (
            "x list pods default/",
            "",
            "pods is forbidden: User \"x\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"",
        ),
        (
            "x get deployments.apps/scale ns/web",
            "why",
            "deployments.apps \"web\" is forbidden: User \"x\" cannot get resource \"deployments/scale\" in API group \"apps\" in the namespace \"ns\": why",
        ),
        (
            "x get nodes n1",
            "",
            "nodes \"n1\" is forbidden: User \"x\" cannot get resource \"nodes\" in API group \"\" at the cluster scope",
        ),
        ("x get /metrics", "", "forbidden: User \"x\" cannot get path \"/metrics\""),
    ] {
        let status = forbidden(&ask(question), reason);
        assert_eq!((status.code, status.message.as_str()), (403, expected));
    }
}

#[test]
fn rules_cover_rules() {
    let check = |owned: &[PolicyRule], wanted: &[PolicyRule], missing: &[&str]| {
        let found: Vec<String> = compact(&covers(owned, wanted)).iter().map(show).collect();
        assert_eq!(found, missing);
    };
    let pods = [rule("get list", "core", "pods")];
    check(&pods, &pods, &[]);
    check(&[rule("*", "*", "*")], &pods, &[]);
    check(&[rule("get", "core", "pods"), rule("list", "core", "pods services")], &pods, &[]);
    check(&[], &pods, &["{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\" \"list\"]}"]);
    check(&pods, &[rule("*", "core", "pods")], &["{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"*\"]}"]);
    check(&[rule("get", "core", "*/status")], &[rule("get", "core", "pods/status")], &[]);
    check(
        &[rule("get", "core", "pods")],
        &[rule("get", "core", "pods/status")],
        &["{APIGroups:[\"\"], Resources:[\"pods/status\"], Verbs:[\"get\"]}"],
    );
    check(&[rule("get", "core", "pods")], &[named("get", "core", "pods", "a")], &[]);
    check(
        &[named("get", "core", "pods", "a")],
        &[named("get", "core", "pods", "a b")],
        &["{APIGroups:[\"\"], Resources:[\"pods\"], ResourceNames:[\"b\"], Verbs:[\"get\"]}"],
    );
    check(
        &[named("get", "core", "pods", "a")],
        &[rule("get", "core", "pods")],
        &["{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}"],
    );
    check(&[urls("get", "/a/*")], &[urls("get", "/a/b /a/*")], &[]);
    check(
        &[urls("get", "/a")],
        &[urls("get", "/a/* /a")],
        &["{NonResourceURLs:[\"/a/*\"], Verbs:[\"get\"]}"],
    );
}

#[tokio::test]
async fn nobody_gives_what_he_has_not() {
    let (api, tasks) = (api(), Tasks::new());
    cluster_role(&api, "reader", vec![rule("get list", "core", "pods")]);
    cluster_role(&api, "admin", vec![rule("*", "*", "*"), urls("*", "*")]);
    cluster_role(
        &api,
        "lifter",
        vec![
            rule("escalate", "rbac.authorization.k8s.io", "roles"),
            named("bind", "rbac.authorization.k8s.io", "clusterroles", "admin"),
        ],
    );
    cluster_binding(&api, "reader", "reader", vec![user("ann")]);
    cluster_binding(&api, "lifter", "lifter", vec![user("lif")]);
    cluster_binding(&api, "admin", "admin", vec![user("root")]);
    let rbac = rbac(&api, &tasks).await;
    let who = |name: &str, groups: &[&str]| UserInfo::new(name, groups);
    let target = Target { resource: "roles", namespace: "ns", name: "r" };
    let write = async |user: UserInfo, rules: &[PolicyRule], aggregates| {
        may_write_role(&*rbac, &rbac, &user, target, rules, aggregates).await
    };
    let bind = async |user: UserInfo, role: &str| {
        may_bind(&*rbac, &rbac, &user, target, &role_ref("ClusterRole", role)).await
    };
    let no = |why: &str| Err(Refusal::Forbidden(why.into()));
    let (pods, more) = ([rule("get", "core", "pods")], [rule("delete", "core", "pods secrets")]);
    assert_eq!(write(who("ann", &[]), &pods, false).await, Ok(()));
    assert_eq!(
        write(who("ann", &["g", "system:authenticated"]), &more, false).await,
        no(
            "user \"ann\" (groups=[\"g\" \"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n\
            {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}\n\
            {APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"delete\"]}"
        )
    );
    assert_eq!(write(who("x", &[SYSTEM_MASTERS]), &more, true).await, Ok(()));
    assert_eq!(write(who("lif", &[]), &more, true).await, Ok(()), "may escalate");
    let aggregates = no("must have cluster-admin privileges to use the aggregationRule");
    assert_eq!(write(who("ann", &[]), &pods, true).await, aggregates);
    assert_eq!(write(who("root", &[]), &more, true).await, Ok(()));

    assert_eq!(bind(who("ann", &[]), "reader").await, Ok(()));
    assert_eq!(bind(who("lif", &[]), "admin").await, Ok(()), "may bind that one");
    assert!(matches!(bind(who("lif", &[]), "reader").await, Err(Refusal::Forbidden(_))));
    assert!(matches!(bind(who("ann", &[]), "admin").await, Err(Refusal::Forbidden(_))));
    let missing = Refusal::NoSuchRole { resource: "clusterroles", name: "ghost".into() };
    assert_eq!(bind(who("ann", &[]), "ghost").await, Err(missing));
    tasks.stop().await;
}

fn pod(name: &str, node: &str, spec: PodSpec) -> Pod {
    Pod {
        metadata: meta("ns", name),
        spec: Some(PodSpec { node_name: Some(node.into()), ..spec }),
        ..Default::default()
    }
}

fn volume(source: serde_json::Value) -> Volume {
    let mut volume = json!({"name": "v"});
    volume.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
    serde_json::from_value(volume).unwrap()
}

/// A pod that names something in every place where one can.
fn greedy() -> PodSpec {
    let secret = |name: &str| EnvFromSource {
        secret_ref: Some(SecretEnvSource { name: name.into(), optional: None }),
        ..Default::default()
    };
    let container = |name: &str| Container { env_from: Some(vec![secret(name)]), ..Default::default() };
    PodSpec {
        service_account_name: Some("robot".into()),
        image_pull_secrets: Some(vec![LocalObjectReference { name: "pull".into() }]),
        init_containers: Some(vec![container("init")]),
        containers: vec![Container {
            env: Some(vec![EnvVar {
                value_from: Some(EnvVarSource {
                    secret_key_ref: Some(SecretKeySelector { name: "key".into(), ..Default::default() }),
                    ..Default::default()
                }),
                ..Default::default()
            }]),
            ..Default::default()
        }],
        ephemeral_containers: Some(vec![EphemeralContainer {
            env_from: Some(vec![secret("debug")]),
            ..Default::default()
        }]),
        volumes: Some(vec![
            volume(json!({"secret": {"secretName": "vol"}})),
            volume(json!({"configMap": {"name": "cm"}})),
            volume(json!({"projected": {"sources": [
                {"secret": {"name": "proj"}}, {"configMap": {"name": "projcm"}},
            ]}})),
            volume(json!({"persistentVolumeClaim": {"claimName": "claim"}})),
            volume(json!({"csi": {"driver": "d", "nodePublishSecretRef": {"name": "csi"}}})),
        ]),
        ..Default::default()
    }
}

#[tokio::test]
async fn nodes_reach_what_their_pods_name() {
    let (api, tasks) = (api(), Tasks::new());
    api.insert(&pod("greedy", "n1", greedy()));
    api.insert(&pod(
        "elsewhere",
        "n2",
        PodSpec {
            volumes: Some(vec![volume(json!({"secret": {"secretName": "far"}}))]),
            ..Default::default()
        },
    ));
    let mut mirror = pod(
        "mirror",
        "n1",
        PodSpec {
            volumes: Some(vec![volume(json!({"secret": {"secretName": "stolen"}}))]),
            ..Default::default()
        },
    );
    mirror.metadata.annotations = Some([("kubernetes.io/config.mirror".to_owned(), "x".to_owned())].into());
    api.insert(&mirror);
    api.insert(&PersistentVolume {
        metadata: meta("", "pv"),
        spec: Some(PersistentVolumeSpec {
            claim_ref: Some(ObjectReference { namespace: Some("ns".into()), name: Some("claim".into()), ..Default::default() }),
            csi: serde_json::from_value(json!({"driver": "d", "volumeHandle": "h", "nodeStageSecretRef": {"namespace": "sys", "name": "stage"}})).unwrap(),
            ..Default::default()
        }),
        ..Default::default()
    });
    let node = NodeAuthorizer::start(&*api.transport(), true, &tasks);
    node.synced().await;
    let yes = [
        "get secrets ns/pull",
        "get secrets ns/init",
        "get secrets ns/key",
        "watch secrets ns/debug",
        "list secrets ns/vol",
        "get secrets ns/proj",
        "get secrets ns/csi",
        "get secrets sys/stage",
        "get configmaps ns/cm",
        "get configmaps ns/projcm",
        "get persistentvolumeclaims ns/claim",
        "patch persistentvolumeclaims/status ns/claim",
        "get persistentvolumes pv",
        "get pods ns/greedy",
        "get pods ns/mirror",
        "create serviceaccounts/token ns/robot",
        "get serviceaccounts ns/robot",
    ];
    for question in yes {
        check(&*node, &format!("system:node:n1+system:nodes {question} => yes")).await;
        let none = "no: no relationship found between node 'n2' and this object";
        check(&*node, &format!("system:node:n2+system:nodes {question} => {none}")).await;
        check(&*node, &format!("system:node:n1 {question} => no")).await;
    }
    let none = "no: no relationship found between node 'n1' and this object";
    for question in
        ["get secrets ns/far", "get secrets ns/stolen", "get secrets other/vol", "get configmaps ns/vol"]
    {
        check(&*node, &format!("system:node:n1+system:nodes {question} => {none}")).await;
    }
    // A pod is known at once: the kubelet asks as soon as it sees it, which may be before the graph's feed has run.
    let late = volume(json!({"secret": {"secretName": "late"}}));
    api.insert(&pod("late", "n1", PodSpec { volumes: Some(vec![late]), ..Default::default() }));
    check(&*node, "system:node:n1+system:nodes get secrets ns/late => yes").await;
    // What the pod named goes with the pod.
    api.remove::<Pod>("ns", "greedy");
    let question = ask("system:node:n1+system:nodes get secrets ns/vol");
    for _ in 0..1000 {
        if matches!(node.authorize(&question).await, Decision::NoOpinion(_)) {
            break;
        }
        tokio::task::yield_now().await;
    }
    for question in yes.iter().filter(|q| !q.contains("mirror")) {
        check(&*node, &format!("system:node:n1+system:nodes {question} => {none}")).await;
    }
    tasks.stop().await;
}

#[tokio::test]
async fn nodes_read_what_names_them() {
    use k8s_openapi::api::certificates::v1::PodCertificateRequest;
    use k8s_openapi::api::resource::v1::ResourceSlice;
    use k8s_openapi::api::storage::v1::VolumeAttachment;
    let (api, tasks) = (api(), Tasks::new());
    let request = json!({"metadata": {"name": "r", "namespace": "ns"}, "spec": {"signerName": "s", "podName": "p",
        "podUID": "u", "serviceAccountName": "a", "serviceAccountUID": "u", "nodeName": "n1", "nodeUID": "u",
        "stubPKCS10Request": ""}});
    api.insert(&serde_json::from_value::<PodCertificateRequest>(request).unwrap());
    let slice = json!({"metadata": {"name": "s"}, "spec": {"driver": "d", "nodeName": "n1",
        "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}}});
    api.insert(&serde_json::from_value::<ResourceSlice>(slice).unwrap());
    let attachment =
        json!({"metadata": {"name": "a"}, "spec": {"attacher": "x", "nodeName": "n1", "source": {}}});
    api.insert(&serde_json::from_value::<VolumeAttachment>(attachment).unwrap());
    let mut with_claims = pod("p", "n1", PodSpec::default());
    with_claims.spec.as_mut().unwrap().resource_claims =
        serde_json::from_value(json!([{"name": "x", "resourceClaimName": "named"}])).unwrap();
    with_claims.status = serde_json::from_value(
        json!({"resourceClaimStatuses": [{"name": "y", "resourceClaimName": "made"}]}),
    )
    .unwrap();
    api.insert(&with_claims);
    let node = NodeAuthorizer::start(&*api.transport(), true, &tasks);
    node.synced().await;
    for question in [
        "get podcertificaterequests.certificates.k8s.io ns/r",
        "get resourceslices.resource.k8s.io s",
        "update resourceslices.resource.k8s.io s",
        "get volumeattachments.storage.k8s.io a",
        "get resourceclaims.resource.k8s.io ns/named",
        "get resourceclaims.resource.k8s.io ns/made",
    ] {
        check(&*node, &format!("system:node:n1+system:nodes {question} => yes")).await;
        let none = "no: no relationship found between node 'n2' and this object";
        check(&*node, &format!("system:node:n2+system:nodes {question} => {none}")).await;
    }
    tasks.stop().await;
}

#[tokio::test]
async fn nodes_write_what_is_their_own() {
    let node = NodeAuthorizer::fixed(Default::default());
    let table = "
        create nodes => yes
        update nodes n1 => yes
        patch nodes/status n1 => yes
        get nodes n1 => yes
        get nodes n2 => no: node 'n1' cannot read 'n2', only its own Node object
        list nodes => no: node 'n1' cannot read all nodes, only its own Node object
        delete nodes n1 => no
        list pods /  spec.nodeName=n1 => yes
        watch pods / spec.nodeName=n1 => yes
        watch pods / status.phase=Running,spec.nodeName=n1 => yes
        watch pods / spec.nodeName=n2 => no: can only list/watch pods with spec.nodeName field selector
        watch pods / spec.nodeName!=n1 => no: can only list/watch pods with spec.nodeName field selector
        list pods ns/ => no: can only list/watch pods with spec.nodeName field selector
        create pods ns/ => yes
        delete pods ns/p => yes
        deletecollection pods ns/ => no
        patch pods/status ns/p => yes
        get pods/log ns/p => no
        create pods/eviction ns/p => yes
        create pods/binding ns/p => no
        get leases.coordination.k8s.io kube-node-lease/n1 => yes
        create leases.coordination.k8s.io kube-node-lease/ => yes
        update leases.coordination.k8s.io kube-node-lease/n2 => no: can only access node lease with the same name as the requesting node
        update leases.coordination.k8s.io kube-system/n1 => no: can only access leases in the \"kube-node-lease\" system namespace
        list leases.coordination.k8s.io kube-node-lease/ => no: can only get, create, update, patch, or delete a node lease
        get csinodes.storage.k8s.io n1 => yes
        get csinodes.storage.k8s.io n2 => no: can only access CSINode with the same name as the requesting node
        list secrets => no: can only read namespaced object of this type
        list secrets ns/ => no: No Object name found
        update secrets ns/s => no: can only read resources of this type
        list persistentvolumes => no: can only get individual resources of this type
        create serviceaccounts ns/ => no: can only create tokens for individual service accounts
        update serviceaccounts/token ns/x => no: can only create tokens for individual service accounts
        watch services => yes
        create events ns/ => yes
        create subjectaccessreviews.authorization.k8s.io => yes
        create tokenreviews.authentication.k8s.io => yes
        watch runtimeclasses.node.k8s.io => yes
        get volumeattachments.storage.k8s.io x => no: no relationship found between node 'n1' and this object
        list volumeattachments.storage.k8s.io => no: can only get individual resources of this type
        create podcertificaterequests.certificates.k8s.io ns/ => yes
        list podcertificaterequests.certificates.k8s.io / spec.nodeName=n1 => yes
        watch podcertificaterequests.certificates.k8s.io ns/ spec.nodeName=n1,spec.podName=p => yes
        watch podcertificaterequests.certificates.k8s.io / spec.nodeName=n2 => no: can only list/watch podcertificaterequests with spec.nodeName field selector
        list podcertificaterequests.certificates.k8s.io ns/ => no: can only list/watch podcertificaterequests with spec.nodeName field selector
        update podcertificaterequests.certificates.k8s.io ns/r => no: can only create, get, list, or watch PodCertificateRequests
        update podcertificaterequests.certificates.k8s.io/status ns/r => no: cannot authorize PodCertificateRequest subresources
        create resourceslices.resource.k8s.io => yes
        list resourceslices.resource.k8s.io / spec.nodeName=n1 => yes
        deletecollection resourceslices.resource.k8s.io / spec.nodeName=n2 => no: can only list/watch/deletecollection resourceslices with nodeName field selector
        list resourceclaims.resource.k8s.io ns/ => no: can only get individual resources of this type
        get deviceclasses.resource.k8s.io x => no
        list namespaces => no
        get /metrics => no
    ";
    for line in table.lines().filter(|l| !l.trim().is_empty()) {
        check(&*node, &format!("system:node:n1+system:nodes {}", line.trim())).await;
    }
    check(&*node, "somebody+system:nodes get nodes n1 => no: unknown node for user \"somebody\"").await;
}

#[tokio::test]
async fn reviews_answer_as_requests_would() {
    let (api, tasks) = (api(), Tasks::new());
    cluster_role(&api, "r", vec![rule("get", "core", "pods"), urls("get", "/metrics")]);
    cluster_binding(&api, "b", "r", vec![user("ann"), group("g")]);
    let authorization = Authorization {
        node: Some(NodeAuthorizer::fixed(Default::default())),
        rbac: Some(rbac(&api, &tasks).await),
        ..Authorization::default()
    };
    let spec = |body: serde_json::Value| api::SubjectAccessReview {
        spec: serde_json::from_value(body).unwrap(),
        ..Default::default()
    };
    let pods = json!({"verb": "get", "resource": "pods", "namespace": "ns"});
    for (body, expected) in [
        (json!({"user": "ann", "resourceAttributes": pods}), "allowed"),
        (json!({"user": "bob", "groups": ["g"], "resourceAttributes": pods}), "allowed"),
        (json!({"user": "bob", "resourceAttributes": pods}), "no"),
        (json!({"user": "ann", "nonResourceAttributes": {"verb": "get", "path": "/metrics"}}), "allowed"),
        (
            json!({"user": "system:node:n", "groups": ["system:nodes"], "resourceAttributes": {
                "verb": "list", "resource": "pods", "fieldSelector": {"requirements": [
                    {"key": "spec.nodeName", "operator": "In", "values": ["n"]}]}}}),
            "allowed",
        ),
        (
            json!({"resourceAttributes": pods}),
            "422 spec.user: Required value: at least one of user or group must be specified",
        ),
        (
            json!({"user": "ann"}),
            "422 spec.resourceAttributes: Invalid value: \"null\": exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ),
    ] {
        let text = match review::subject_access_review(&authorization, spec(body.clone())).await {
            Ok(r) if r.status.as_ref().unwrap().allowed => "allowed".to_owned(),
            Ok(_) => "no".to_owned(),
            Err(e) => format!("{} {}", e.code, e.message.split("invalid: ").last().unwrap()),
        };
        assert_eq!(text, expected, "{body}");
    }
    let local = api::LocalSubjectAccessReview {
        spec: spec(json!({"user": "ann", "resourceAttributes": pods})).spec,
        ..Default::default()
    };
    let wrong =
        review::local_subject_access_review(&authorization, "other", local.clone()).await.unwrap_err();
    assert_eq!(
        (wrong.code, &*wrong.message),
        (400, "spec.resourceAttributes.namespace must match namespace: other")
    );
    assert!(
        review::local_subject_access_review(&authorization, "ns", local)
            .await
            .unwrap()
            .status
            .unwrap()
            .allowed
    );

    let rules = api::SelfSubjectRulesReview {
        spec: api::SelfSubjectRulesReviewSpec { namespace: Some("ns".into()) },
        ..Default::default()
    };
    let status = |name: &str, groups: &[&str]| {
        review::self_subject_rules_review(&authorization, &UserInfo::new(name, groups), rules.clone())
            .unwrap()
            .status
            .unwrap()
    };
    let mine = status("ann", &[]);
    assert_eq!((mine.resource_rules.len(), mine.non_resource_rules.len(), mine.incomplete), (1, 1, false));
    let node = status("system:node:n", &["system:nodes"]);
    assert_eq!(
        (node.incomplete, node.evaluation_error.as_deref()),
        (true, Some("node authorizer does not support user rule resolution"))
    );
    tasks.stop().await;
}

#[tokio::test]
async fn modes() {
    assert_eq!("RBAC".parse(), Ok(Mode::Rbac));
    assert_eq!(
        "ABAC".parse::<Mode>(),
        Err("authorization-mode \"ABAC\" is not a valid mode; choose of Node, RBAC, AlwaysAllow, AlwaysDeny"
            .into())
    );
    let deny = Authorization { always_deny: true, ..Authorization::default() };
    check(
        &deny,
        "ann get pods ns/a => no: Everything is forbidden.\nroot+system:masters get pods ns/a => yes",
    )
    .await;
    let (api, tasks) = (api(), Tasks::new());
    cluster_role(&api, "r", vec![rule("get", "core", "pods")]);
    cluster_binding(&api, "b", "r", vec![user("ann")]);
    let both = Authorization { rbac: Some(rbac(&api, &tasks).await), ..deny };
    check(&both, "ann get pods ns/a => yes\nbob get pods ns/a => no: Everything is forbidden.").await;
    check(&Authorization { always_allow: true, ..Authorization::default() }, "bob get /x => yes").await;
}
