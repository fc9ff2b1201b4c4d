use std::sync::Arc;
use std::time::Duration;

use apimachinery::{Gvk, Gvr, Status};
use auth::authz::rbac::{Index, Rbac};
use auth::authz::{Authorization, NodeAuthorizer};
use client::fake::FakeApi;
use codec::{AnyObject, Kind};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, Role, RoleBinding};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use registry::admit::{Admit, Attributes, Operation, Requester};
use resources::strategy::Part;
use serde_json::{Value, json};
use stdx::{Clock, Random};
use testkit::FakeClock;

use crate::chain::{Chain, Context};

/// A cluster with the namespaces `default` and `dying`, and the default account in the former.
struct Fixture {
    clock: FakeClock,
    api: FakeApi,
    chain: Chain,
}

fn object<K: Kind>(value: Value) -> K {
    K::from_json(value.to_string().as_bytes()).unwrap()
}

fn fixture() -> Fixture {
    fixture_with(crate::Configuration::default())
}

fn fixture_with(configuration: crate::Configuration) -> Fixture {
    let clock = FakeClock::new();
    let api = FakeApi::new(clock.shared());
    api.insert(&object::<Namespace>(json!({"metadata": {"name": "default"}})));
    let mut dying = object::<Namespace>(json!({"metadata": {"name": "dying", "finalizers": ["x"]}}));
    dying.metadata.deletion_timestamp = Some(Time(clock.now()));
    api.insert(&dying);
    api.insert(&object::<ServiceAccount>(json!({"metadata": {"name": "default", "namespace": "default"}})));
    let rbac = Rbac::fixed(Index::default());
    let context = Context {
        transport: api.transport(),
        authorization: Arc::new(Authorization::new(NodeAuthorizer::fixed(Default::default()), rbac.clone())),
        rbac: Some(rbac),
        configuration: Arc::new(configuration),
        clock: clock.shared(),
        random: Random::seeded(3),
    };
    Fixture { clock, api, chain: Chain::standard(&context) }
}

/// A write of an object of kind `K`.
struct Write<'a, K> {
    operation: Operation,
    user: &'a str,
    groups: &'a [&'a str],
    subresource: &'a str,
    new: Option<K>,
    old: Option<K>,
}

fn create<K: Kind>(new: Value) -> Write<'static, K> {
    Write {
        operation: Operation::Create,
        user: "ann",
        groups: &[],
        subresource: "",
        new: Some(object(new)),
        old: None,
    }
}

fn update<K: Kind>(old: Value, new: Value) -> Write<'static, K> {
    Write { operation: Operation::Update, old: Some(object(old)), ..create(new) }
}

fn delete<K: Kind>(old: Value) -> Write<'static, K> {
    Write { operation: Operation::Delete, new: None, old: Some(object(old.clone())), ..create(old) }
}

impl<'a, K: Kind> Write<'a, K> {
    fn by(self, user: &'a str, groups: &'a [&'a str]) -> Self {
        Write { user, groups, ..self }
    }

    fn node(self) -> Self {
        self.by("system:node:n1", &["system:nodes"])
    }

    fn part(self, subresource: &'a str) -> Self {
        Write { subresource, ..self }
    }
}

impl Fixture {
    async fn run<K: Kind>(&self, write: Write<'_, K>) -> Result<Option<K>, Status> {
        self.run_warned(write).await.map(|(object, _)| object)
    }

    async fn warnings<K: Kind>(&self, write: Write<'_, K>) -> Vec<String> {
        self.run_warned(write).await.unwrap().1
    }

    /// As the registry does it: mutate, then validate, then warn; a delete is not mutated.
    async fn run_warned<K: Kind>(&self, mut write: Write<'_, K>) -> Result<(Option<K>, Vec<String>), Status> {
        let user = Requester {
            name: write.user.into(),
            groups: write.groups.iter().map(|g| (*g).to_owned()).collect(),
            ..Requester::default()
        };
        let either = write.new.as_ref().or(write.old.as_ref()).unwrap();
        let (namespace, name) = (either.namespace().to_owned(), either.name().to_owned());
        let (gvk, gvr): (Gvk, Gvr) = (K::gvk(), K::gvr());
        let mut attributes = Attributes {
            operation: write.operation,
            gvk: &gvk,
            gvr: &gvr,
            part: Part::Main,
            subresource: write.subresource,
            namespace: &namespace,
            name: &name,
            user: &user,
            dry_run: false,
            object: write.new.as_mut().map(|o| o as &mut dyn AnyObject),
            old: write.old.as_ref().map(|o| o as &dyn AnyObject),
        };
        if attributes.operation != Operation::Delete {
            self.chain.mutate(&mut attributes).await?;
        }
        self.chain.validate(&attributes).await?;
        let warnings = self.chain.warnings(&attributes).await;
        Ok((write.new, warnings))
    }

    /// `expected`: empty for a write that goes through, else the refusal's code and message.
    async fn check<K: Kind>(&self, write: Write<'_, K>, expected: &str) {
        let text = match self.run(write).await {
            Ok(_) => String::new(),
            Err(e) => format!("{} {}", e.code, e.message),
        };
        assert_eq!(text, expected);
    }

    async fn pod(&self, pod: Value) -> Pod {
        self.run(create::<Pod>(pod)).await.unwrap().unwrap()
    }
}

fn pod(name: &str, spec: Value) -> Value {
    let mut pod = json!({"metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    pod["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    pod
}

fn config(namespace: &str) -> Value {
    json!({"metadata": {"name": "c", "namespace": namespace}})
}

#[tokio::test]
async fn namespaces_have_a_life() {
    let f = fixture();
    f.check(create::<ConfigMap>(config("default")), "").await;
    f.check(create::<ConfigMap>(config("ghost")), "404 namespaces \"ghost\" not found").await;
    f.check(update::<ConfigMap>(config("ghost"), config("ghost")), "404 namespaces \"ghost\" not found")
        .await;
    let dying = "403 configmaps \"c\" is forbidden: unable to create new content in namespace dying because it is \
                 being terminated";
    f.check(create::<ConfigMap>(config("dying")), dying).await;
    let status = f.run(create::<ConfigMap>(config("dying"))).await.unwrap_err();
    let cause = &status.details.unwrap().causes[0];
    assert_eq!(
        (&*cause.reason, &*cause.message, &*cause.field),
        ("NamespaceTerminating", "namespace dying is being terminated", "metadata.namespace")
    );
    // It has to be emptied.
    f.check(update::<ConfigMap>(config("dying"), config("dying")), "").await;
    f.check(delete::<ConfigMap>(config("dying")), "").await;
    let generated = json!({"metadata": {"generateName": "c-", "namespace": "dying"}});
    f.check(create::<ConfigMap>(generated), &dying.replace("\"c\"", "\"c-\"")).await;
    for name in ["default", "kube-system", "kube-public"] {
        let expected = format!("403 namespaces {name:?} is forbidden: this namespace may not be deleted");
        f.check(delete::<Namespace>(json!({"metadata": {"name": name}})), &expected).await;
    }
    f.check(delete::<Namespace>(json!({"metadata": {"name": "mine"}})), "").await;
}

#[tokio::test]
async fn a_stale_view_does_not_hide_a_namespaces_beginning_or_end() {
    let f = fixture();
    f.api.hold_views();
    f.api.insert(&object::<Namespace>(json!({"metadata": {"name": "new"}})));
    f.check(create::<ConfigMap>(config("new")), "").await;
    f.check(
        delete::<Namespace>(json!({"metadata": {"name": "default"}})),
        "403 namespaces \"default\" is forbidden: this namespace may not be deleted",
    )
    .await;
    f.api.release_views();
    f.api.hold_views();
    f.check(delete::<Namespace>(json!({"metadata": {"name": "new"}})), "").await;
    let now = Time(f.clock.now());
    f.api.edit::<Namespace>("", "new", |n| n.metadata.deletion_timestamp = Some(now));
    let refused = f.run(create::<ConfigMap>(config("new"))).await.unwrap_err();
    assert!(refused.message.contains("being terminated"), "{refused}");
}

#[tokio::test]
async fn pods_get_an_account_and_its_token() {
    let f = fixture();
    let made = f.pod(pod("p", json!({"initContainers": [{"name": "i", "image": "i"}]}))).await;
    let spec = made.spec.unwrap();
    assert_eq!(spec.service_account_name.as_deref(), Some("default"));
    assert_eq!(spec.service_account.as_deref(), Some("default"));
    let volume = serde_json::to_value(&spec.volumes.unwrap()[0]).unwrap();
    let name = volume["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("kube-api-access-") && name.len() == 21, "{name}");
    assert_eq!(
        volume["projected"],
        json!({"defaultMode": 0o644, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ]})
    );
    for container in spec.init_containers.unwrap().iter().chain(&spec.containers) {
        let mounts = serde_json::to_value(&container.volume_mounts).unwrap();
        let path = "/var/run/secrets/kubernetes.io/serviceaccount";
        assert_eq!(mounts, json!([{"name": name, "readOnly": true, "mountPath": path}]));
    }
}

#[tokio::test]
async fn tokens_are_mounted_where_they_are_wanted() {
    let f = fixture();
    let volumes =
        async |spec: Value| f.pod(pod("p", spec)).await.spec.unwrap().volumes.unwrap_or_default().len();
    assert_eq!(volumes(json!({})).await, 1);
    assert_eq!(volumes(json!({"automountServiceAccountToken": false})).await, 0);
    let own = json!({"containers": [{"name": "c", "volumeMounts": [
        {"name": "x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]}]});
    assert_eq!(volumes(own).await, 0);
    assert_eq!(volumes(json!({"volumes": [{"name": "kube-api-access-abc12", "emptyDir": {}}]})).await, 1);

    f.api.insert(&object::<ServiceAccount>(json!({
        "metadata": {"name": "quiet", "namespace": "default"},
        "automountServiceAccountToken": false, "imagePullSecrets": [{"name": "pull"}]})));
    let quiet = f.pod(pod("p", json!({"serviceAccountName": "quiet"}))).await.spec.unwrap();
    assert_eq!(quiet.volumes, None);
    assert_eq!(quiet.image_pull_secrets.unwrap()[0].name, "pull");
    let loud = json!({"serviceAccount": "quiet", "automountServiceAccountToken": true, "imagePullSecrets": [{"name": "mine"}]});
    let loud = f.pod(pod("p", loud)).await.spec.unwrap();
    assert_eq!(loud.service_account_name.as_deref(), Some("quiet"));
    assert_eq!((loud.volumes.unwrap().len(), &*loud.image_pull_secrets.unwrap()[0].name), (1, "mine"));
}

#[tokio::test]
async fn pods_without_their_account_are_refused() {
    let f = fixture();
    let write = create::<Pod>(pod("p", json!({"serviceAccountName": "ghost"})));
    let refused = tokio::join!(f.run(write), async {
        // Nobody else is waited for, but the time-out runs on the same clock.
        tokio::task::yield_now().await;
        f.clock.advance(Duration::from_secs(2));
    });
    assert_eq!(
        refused.0.unwrap_err().message,
        "pods \"p\" is forbidden: error looking up service account default/ghost: serviceaccount \"ghost\" not found"
    );
    let mirror = |spec: Value| {
        let mut pod = pod("p", spec);
        pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
        create::<Pod>(pod)
    };
    f.check(mirror(json!({})), "").await;
    for (spec, why) in [
        (json!({"serviceAccountName": "default"}), "a mirror pod may not reference service accounts"),
        (
            json!({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}),
            "a mirror pod may not reference secrets",
        ),
        (
            json!({"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]}),
            "a mirror pod may not use ServiceAccountToken volume projections",
        ),
    ] {
        f.check(mirror(spec), &format!("403 pods \"p\" is forbidden: {why}")).await;
    }
}

#[tokio::test]
async fn the_default_account_is_waited_for() {
    let f = fixture();
    f.api.insert(&object::<Namespace>(json!({"metadata": {"name": "new"}})));
    let mut early = pod("p", json!({}));
    early["metadata"]["namespace"] = "new".into();
    let made = tokio::join!(f.run(create::<Pod>(early.clone())), async {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        f.api.insert(&object::<ServiceAccount>(json!({"metadata": {"name": "default", "namespace": "new"}})));
    });
    assert!(made.0.is_ok());
}

#[tokio::test]
async fn accounts_may_keep_other_secrets_out() {
    let f = fixture();
    f.api.insert(&object::<ServiceAccount>(json!({
        "metadata": {"name": "strict", "namespace": "default",
            "annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}},
        "secrets": [{"name": "own"}], "imagePullSecrets": [{"name": "pull"}]})));
    let check = async |spec: Value, why: &str| {
        let mut spec = spec;
        spec["serviceAccountName"] = "strict".into();
        let expected = match why {
            "" => String::new(),
            why => format!(
                "403 pods \"p\" is forbidden: {why} is not allowed because service account strict does not reference that secret"
            ),
        };
        f.check(create::<Pod>(pod("p", spec)), &expected).await;
    };
    let volume = |name: &str| json!({"volumes": [{"name": "v", "secret": {"secretName": name}}]});
    check(volume("own"), "").await;
    check(volume("other"), "volume with secret.secretName=\"other\"").await;
    check(json!({"imagePullSecrets": [{"name": "own"}]}), "imagePullSecret \"own\"").await;
    let env = json!({"containers": [{"name": "c", "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "other", "key": "k"}}}]}]});
    check(env, "container c with envVar E referencing secret.secretName=\"other\"").await;
    let from = json!({"initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "other"}}]}]});
    check(from, "init container i with envFrom referencing secret.secretName=\"other\"").await;
}

#[tokio::test]
async fn priorities_come_from_classes() {
    let f = fixture();
    let of = async |spec: Value| {
        let spec = f.pod(pod("p", spec)).await.spec.unwrap();
        (
            spec.priority_class_name.unwrap_or_default(),
            spec.priority.unwrap(),
            spec.preemption_policy.unwrap(),
        )
    };
    let preempt = || "PreemptLowerPriority".to_owned();
    assert_eq!(of(json!({})).await, (String::new(), 0, preempt()));
    let critical = of(json!({"priorityClassName": "system-node-critical"})).await;
    assert_eq!(critical, ("system-node-critical".into(), 2_000_001_000, preempt()));
    f.api.insert(&object::<PriorityClass>(
        json!({"metadata": {"name": "high"}, "value": 7, "preemptionPolicy": "Never"}),
    ));
    assert_eq!(of(json!({"priorityClassName": "high"})).await, ("high".into(), 7, "Never".into()));
    assert_eq!(of(json!({"priorityClassName": "high", "priority": 7})).await.1, 7);
    let refused = "403 pods \"p\" is forbidden: ";
    for (spec, why) in [
        (json!({"priorityClassName": "ghost"}), "no PriorityClass with name ghost was found"),
        (
            json!({"priority": 5}),
            "the integer value of priority (5) must not be provided in pod spec; priority admission controller \
             computed 0 from the given PriorityClass name",
        ),
        (
            json!({"priorityClassName": "high", "preemptionPolicy": "PreemptLowerPriority"}),
            "the string value of PreemptionPolicy (PreemptLowerPriority) must not be provided in pod spec; priority \
             admission controller computed Never from the given PriorityClass name",
        ),
    ] {
        f.check(create::<Pod>(pod("p", spec)), &format!("{refused}{why}")).await;
    }
    let class = |name: &str| {
        json!({"metadata": {"name": name}, "value": 3, "globalDefault": true,
        "preemptionPolicy": "PreemptLowerPriority"})
    };
    f.check(create::<PriorityClass>(class("usual")), "").await;
    f.api.insert(&object::<PriorityClass>(class("usual")));
    assert_eq!(of(json!({})).await, ("usual".into(), 3, preempt()));
    let second = "403 priorityclasses.scheduling.k8s.io \"second\" is forbidden: PriorityClass usual is already marked as \
                  default. Only one default can exist";
    f.check(create::<PriorityClass>(class("second")), second).await;
    f.check(update::<PriorityClass>(class("usual"), class("usual")), "").await;
    // An old client's update does not lose what it does not know.
    let before = pod("p", json!({"priority": 7, "preemptionPolicy": "Never"}));
    let kept = f.run(update::<Pod>(before, pod("p", json!({})))).await.unwrap().unwrap().spec.unwrap();
    assert_eq!((kept.priority, kept.preemption_policy.as_deref()), (Some(7), Some("Never")));
}

#[tokio::test]
async fn pods_outlive_their_nodes_absence_for_a_while() {
    let f = fixture();
    let of = async |spec: Value| {
        let tolerations = f.pod(pod("p", spec)).await.spec.unwrap().tolerations.unwrap();
        let show = |t: &k8s_openapi::api::core::v1::Toleration| {
            format!("{}:{:?}", t.key.clone().unwrap_or_default(), t.toleration_seconds)
        };
        tolerations.iter().map(show).collect::<Vec<_>>().join(" ")
    };
    let both = "node.kubernetes.io/not-ready:Some(300) node.kubernetes.io/unreachable:Some(300)";
    assert_eq!(of(json!({})).await, both);
    let own = json!({"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}]});
    assert_eq!(
        of(own).await,
        "node.kubernetes.io/not-ready:Some(1) node.kubernetes.io/unreachable:Some(300)"
    );
    assert_eq!(of(json!({"tolerations": [{"operator": "Exists"}]})).await, ":None");
    let other = json!({"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoSchedule"}]});
    assert_eq!(of(other).await, format!("node.kubernetes.io/not-ready:None {both}"));
}

#[tokio::test]
async fn new_nodes_take_no_pods() {
    let f = fixture();
    let node = json!({"metadata": {"name": "n1"}});
    let made = f.run(create::<Node>(node.clone())).await.unwrap().unwrap();
    let taints = made.spec.unwrap().taints.unwrap();
    assert_eq!(
        (taints.len(), &*taints[0].key, &*taints[0].effect),
        (1, "node.kubernetes.io/not-ready", "NoSchedule")
    );
    let again = f.run(update::<Node>(node.clone(), node)).await.unwrap().unwrap();
    assert_eq!(again.spec, None);
}

#[tokio::test]
async fn nodes_change_themselves_only() {
    let f = fixture();
    let node = |name: &str, labels: Value| json!({"metadata": {"name": name, "labels": labels}});
    let no = |why: &str| format!("403 nodes \"n1\" is forbidden: {why}");
    let plain = || node("n1", json!({}));
    f.check(
        create::<Node>(node(
            "n1",
            json!({"kubernetes.io/hostname": "n1", "mine": "x", "a.node.kubernetes.io/b": "c"}),
        ))
        .node(),
        "",
    )
    .await;
    f.check(
        create::<Node>(node("n2", json!({}))).node(),
        "403 nodes \"n2\" is forbidden: node \"n1\" is not allowed to modify node \"n2\"",
    )
    .await;
    let forbidden =
        json!({"node-restriction.kubernetes.io/x": "y", "foo.k8s.io/x": "y", "kubernetes.io/os": "linux"});
    let listed = "foo.k8s.io/x, node-restriction.kubernetes.io/x";
    f.check(
        create::<Node>(node("n1", forbidden.clone())).node(),
        &no(&format!("node \"n1\" is not allowed to set the following labels: {listed}")),
    )
    .await;
    f.check(
        update::<Node>(plain(), node("n1", forbidden.clone())).node(),
        &no(&format!("is not allowed to modify labels: {listed}")),
    )
    .await;
    // Taking them away is a change as well; leaving them is not.
    f.check(
        update::<Node>(node("n1", forbidden.clone()), plain()).node(),
        &no(&format!("is not allowed to modify labels: {listed}")),
    )
    .await;
    f.check(
        update::<Node>(node("n1", forbidden.clone()), node("n1", forbidden.clone())).node().part("status"),
        "",
    )
    .await;
    f.check(create::<Node>(node("n1", forbidden)), "").await;
    let mut tainted = plain();
    tainted["spec"] = json!({"taints": [{"key": "k", "effect": "NoSchedule"}]});
    f.check(update::<Node>(tainted, plain()).node(), &no("node \"n1\" is not allowed to modify taints"))
        .await;
    let nameless = create::<Node>(plain()).by("somebody", &["system:nodes"]);
    f.check(nameless, &no("could not determine node from user \"somebody\"")).await;

    f.api.insert(&object::<Namespace>(json!({"metadata": {"name": "kube-node-lease"}})));
    let lease = |namespace: &str, name: &str| {
        create::<Lease>(json!({"metadata": {"name": name, "namespace": namespace}})).node()
    };
    f.check(lease("kube-node-lease", "n1"), "").await;
    f.check(
        lease("kube-node-lease", "n2"),
        "403 leases.coordination.k8s.io \"n2\" is forbidden: can only access node lease with the same name as the requesting node",
    )
    .await;
    f.check(
        lease("default", "n1"),
        "403 leases.coordination.k8s.io \"n1\" is forbidden: can only access leases in the \"kube-node-lease\" system namespace",
    )
    .await;
}

#[tokio::test]
async fn nodes_touch_their_own_pods_only() {
    let f = fixture();
    f.api.insert(&object::<Node>(json!({"metadata": {"name": "n1", "uid": "node-1"}})));
    let on = |node: &str| pod("p", json!({"nodeName": node}));
    let no = |why: &str| format!("403 pods \"p\" is forbidden: {why}");
    f.check(delete::<Pod>(on("n1")).node(), "").await;
    f.check(
        delete::<Pod>(on("n2")).node(),
        &no("node \"n1\" can only delete pods with spec.nodeName set to itself"),
    )
    .await;
    f.check(update::<Pod>(on("n1"), on("n1")).node().part("status"), "").await;
    f.check(
        update::<Pod>(on("n2"), on("n2")).node().part("status"),
        &no("node \"n1\" can only update pod status for pods with spec.nodeName set to itself"),
    )
    .await;
    let mut labelled = on("n1");
    labelled["metadata"]["labels"] = json!({"a": "b"});
    f.check(
        update::<Pod>(on("n1"), labelled).node().part("status"),
        &no("node \"n1\" cannot update labels through pod status"),
    )
    .await;
    f.check(
        update::<Pod>(on("n1"), on("n1")).node(),
        &no("unexpected operation \"UPDATE\", node \"n1\" can only create and delete mirror pods"),
    )
    .await;
    f.check(
        create::<Pod>(on("n1")).node(),
        &no("pod does not have \"kubernetes.io/config.mirror\" annotation, node \"n1\" can only create mirror pods"),
    )
    .await;
    let mirror = |change: fn(&mut Value)| {
        let mut pod = on("n1");
        pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
        pod["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "node-1", "controller": true}]);
        change(&mut pod);
        create::<Pod>(pod).node()
    };
    f.check(mirror(|_| {}), "").await;
    let cases: [(fn(&mut Value), &str); 8] = [
        (
            |p| p["spec"]["nodeName"] = "n2".into(),
            "node \"n1\" can only create pods with spec.nodeName set to itself",
        ),
        (
            |p| p["metadata"]["ownerReferences"] = json!([]),
            "node \"n1\" can only create pods with an owner reference set to itself",
        ),
        (
            |p| p["metadata"]["ownerReferences"][0]["name"] = "n2".into(),
            "node \"n1\" can only create pods with an owner reference set to itself",
        ),
        (
            |p| p["metadata"]["ownerReferences"][0]["controller"] = false.into(),
            "node \"n1\" can only create pods with a controller owner reference set to itself",
        ),
        (
            |p| p["metadata"]["ownerReferences"][0]["uid"] = "node-0".into(),
            "node n1 UID mismatch: expected node-0 got node-1",
        ),
        (
            |p| p["spec"]["volumes"] = json!([{"name": "v", "configMap": {"name": "c"}}]),
            "node \"n1\" can not create pods that reference configmaps",
        ),
        (
            |p| p["spec"]["containers"][0]["envFrom"] = json!([{"configMapRef": {"name": "c"}}]),
            "node \"n1\" can not create pods that reference configmaps",
        ),
        (
            |p| p["spec"]["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]),
            "node \"n1\" can not create pods that reference persistentvolumeclaims",
        ),
    ];
    for (change, why) in cases {
        f.check(mirror(change), &no(why)).await;
    }
}

#[tokio::test]
async fn rights_are_not_handed_out_by_those_who_lack_them() {
    let f = fixture();
    let meta = json!({"name": "r", "namespace": "default"});
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]);
    let role = || json!({"metadata": meta, "rules": rules});
    let refused = |resource: &str| {
        format!(
            "403 {resource}.rbac.authorization.k8s.io \"r\" is forbidden: user \"ann\" (groups=[]) is attempting to \
            grant RBAC permissions not currently held:\n{{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}}"
        )
    };
    f.check(create::<Role>(role()), &refused("roles")).await;
    f.check(update::<Role>(role(), role()), "").await;
    let mut labelled = role();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    f.check(update::<Role>(role(), labelled), &refused("roles")).await;
    let mut freed = role();
    freed["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}]);
    f.check(update::<Role>(freed, role()), "").await;
    f.check(create::<Role>(role()).by("root", &["system:masters"]), "").await;
    f.check(create::<Role>(json!({"metadata": meta})), "").await;
    f.check(
        create::<ClusterRole>(json!({"metadata": {"name": "r"}, "rules": rules})),
        &refused("clusterroles"),
    )
    .await;
    f.check(
        create::<ClusterRole>(json!({"metadata": {"name": "r"}, "aggregationRule": {}})),
        "403 clusterroles.rbac.authorization.k8s.io \"r\" is forbidden: must have cluster-admin privileges to use the aggregationRule",
    )
    .await;
    let binding = json!({"metadata": meta, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}});
    f.check(create::<RoleBinding>(binding), "404 clusterroles.rbac.authorization.k8s.io \"admin\" not found")
        .await;
    f.check(delete::<Role>(role()), "").await;
}

#[test]
fn plugins_are_chosen_by_name() {
    let f = fixture();
    let standard: Vec<_> = f.chain.names().collect();
    assert_eq!(
        standard,
        [
            "NamespaceLifecycle",
            "LimitRanger",
            "ServiceAccount",
            "NodeRestriction",
            "TaintNodesByCondition",
            "PodSecurity",
            "Priority",
            "DefaultTolerationSeconds",
            "DefaultStorageClass",
            "StorageObjectInUseProtection",
            "PersistentVolumeClaimResize",
            "RuntimeClass",
            "CertificateApproval",
            "CertificateSigning",
            "ClusterTrustBundleAttest",
            "CertificateSubjectRestriction",
            "CertificateRequester",
            "DefaultIngressClass",
            "RBACEscalation",
            "ResourceQuota",
        ]
    );
    let rbac = Rbac::fixed(Index::default());
    let context = Context {
        transport: f.api.transport(),
        authorization: Arc::new(Authorization::new(NodeAuthorizer::fixed(Default::default()), rbac)),
        rbac: None,
        configuration: Arc::default(),
        clock: f.clock.shared(),
        random: Random::seeded(1),
    };
    let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let new = |enable: &[&str], disable: &[&str]| {
        let chain = Chain::new(&context, &list(enable), &list(disable));
        chain.map(|c| c.names().collect::<Vec<_>>().join(" "))
    };
    assert!(!new(&[], &["Priority", "ResourceQuota"]).unwrap().contains("Priority"));
    assert_eq!(
        new(&["ImagePolicyWebhook"], &[]).unwrap_err(),
        "admission plugin \"ImagePolicyWebhook\" is not implemented"
    );
    assert_eq!(new(&["Nonsense"], &[]).unwrap_err(), "admission plugin \"Nonsense\" is unknown");
    assert_eq!(new(&[], &["RBACEscalation"]).unwrap_err(), "admission plugin \"RBACEscalation\" is unknown");
}

mod certificates;
mod classes;
mod limits;
mod nodes;
mod pod_security;
mod quota;
