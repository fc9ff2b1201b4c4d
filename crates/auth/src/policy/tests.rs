use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use apimachinery::Status;
use client::fake::FakeApi;
use client::transport::{Transport, Verb};
use codec::Kind;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding};
use stdx::Tasks;
use testkit::FakeClock;

use super::reconcile::reconcile;
use super::*;
use crate::authn::UserInfo;
use crate::authz::rbac::aggregation::aggregated;
use crate::authz::{Attributes, Authorizer, Decision, Rbac};

fn started() -> (FakeApi, Arc<dyn Transport>) {
    let api = FakeApi::new(FakeClock::new().shared());
    let transport = api.transport();
    (api, transport)
}

#[test]
fn names_are_unique_and_bindings_name_roles() {
    let p = bootstrap();
    let roles: BTreeSet<&str> = p.cluster_roles.iter().map(Kind::name).collect();
    assert_eq!(roles.len(), p.cluster_roles.len());
    let bindings: BTreeSet<&str> = p.cluster_role_bindings.iter().map(Kind::name).collect();
    assert_eq!(bindings.len(), p.cluster_role_bindings.len());
    for binding in &p.cluster_role_bindings {
        assert!(roles.contains(binding.role_ref.name.as_str()), "{}", binding.role_ref.name);
    }
    for binding in &p.role_bindings {
        let named =
            |role: &&Role| role.namespace() == binding.namespace() && role.name() == binding.role_ref.name;
        assert!(p.roles.iter().find(named).is_some(), "{}", binding.name());
    }
}

#[tokio::test]
async fn a_new_cluster_gets_everything_once() {
    let (api, transport) = started();
    let p = bootstrap();
    // A real API server refuses what is in a namespace that is not there.
    let known = Mutex::new(BTreeSet::new());
    api.react(move |r| {
        let mut known = known.lock().unwrap();
        if r.gvr == Namespace::gvr() {
            known.insert(Namespace::from_json(&r.body).ok()?.name().to_owned());
        }
        let missing = r.verb == Verb::Create && !r.namespace.is_empty() && !known.contains(&r.namespace);
        missing.then(|| Err(Status::not_found(&Namespace::gvr().group_resource(), &r.namespace)))
    });
    reconcile(&transport, &p).await.unwrap();
    let namespaces: Vec<String> = api.all::<Namespace>().iter().map(|n| n.name().to_owned()).collect();
    assert_eq!(namespaces, ["kube-public", "kube-system"]);
    let admin = api.find::<ClusterRole>("", "admin").unwrap().rules.unwrap();
    assert!(crate::authz::rbac::covers(&admin, &[rule("get", "core", "pods secrets")]).is_empty());
    assert_eq!(api.all::<ClusterRole>().len(), p.cluster_roles.len());
    assert_eq!(api.all::<RoleBinding>().len(), p.role_bindings.len());
    api.clear_log();
    reconcile(&transport, &p).await.unwrap();
    assert_eq!(api.log(), Vec::<String>::new(), "nothing to do, nothing done");
}

#[tokio::test]
async fn what_is_missing_is_added_and_what_was_added_stays() {
    let (api, transport) = started();
    let p = bootstrap();
    reconcile(&transport, &p).await.unwrap();
    let mine = rule("get", "example.com", "widgets");
    api.edit::<ClusterRole>("", "system:node-proxier", |role| role.rules = Some(vec![mine.clone()]));
    api.edit::<ClusterRole>("", "system:basic-user", |role| {
        role.rules = None;
        role.metadata.annotations = Some([(AUTOUPDATE.to_owned(), "false".to_owned())].into());
    });
    api.edit::<ClusterRoleBinding>("", "cluster-admin", |b| b.subjects = Some(vec![user("me")]));
    api.edit::<ClusterRoleBinding>("", "system:kube-dns", |b| b.role_ref = role_ref("ClusterRole", "view"));
    api.edit::<ClusterRole>("", "view", |role| role.aggregation_rule = None);
    api.remove::<ClusterRole>("", "edit");
    reconcile(&transport, &p).await.unwrap();

    let role = |name: &str| api.find::<ClusterRole>("", name).unwrap();
    let binding = |name: &str| api.find::<ClusterRoleBinding>("", name).unwrap();
    let proxier = role("system:node-proxier").rules.unwrap();
    let wanted = p.cluster_roles.iter().find(|r| r.name() == "system:node-proxier").unwrap();
    assert!(proxier.contains(&mine));
    assert!(crate::authz::rbac::covers(&proxier, wanted.rules.as_ref().unwrap()).is_empty());
    assert_eq!(role("system:basic-user").rules, None, "hands off");
    assert_eq!(binding("cluster-admin").subjects, Some(vec![user("me"), group("system:masters")]));
    assert_eq!(binding("system:kube-dns").role_ref.name, "system:kube-dns");
    assert!(role("view").aggregation_rule.is_some());
    assert!(api.find::<ClusterRole>("", "edit").is_some());
}

#[test]
fn people_roles_gather_their_parts() {
    let p = bootstrap();
    let role = |name: &str| p.cluster_roles.iter().find(|r| r.name() == name).unwrap().clone();
    let mut all = p.cluster_roles.clone();
    // As the controller does it, until nothing changes.
    for _ in 0..3 {
        let gathered: Vec<_> = all.iter().map(|r| aggregated(r, &all)).collect();
        for (role, rules) in all.iter_mut().zip(gathered) {
            role.rules = rules.or(role.rules.take());
        }
    }
    let rules = |name: &str| all.iter().find(|r| r.name() == name).unwrap().rules.clone().unwrap();
    let covers = |a: &str, b: &str| crate::authz::rbac::covers(&rules(a), &rules(b)).is_empty();
    assert!(covers("admin", "edit") && covers("edit", "view"));
    assert!(!covers("view", "edit") && !covers("edit", "admin"));
    assert_eq!(aggregated(&role("cluster-admin"), &all), None);
    let secrets = [rule("get", "core", "secrets")];
    assert!(!crate::authz::rbac::covers(&rules("view"), &secrets).is_empty());
    assert!(crate::authz::rbac::covers(&rules("edit"), &secrets).is_empty());
}

#[tokio::test]
async fn the_aggregation_controller_follows_changes() {
    let (api, transport) = started();
    let tasks = Tasks::new();
    reconcile(&transport, &bootstrap()).await.unwrap();
    let clock = FakeClock::new();
    tasks.spawn_until_shutdown(crate::authz::rbac::aggregation::run(transport, clock.shared()));
    let has = |api: &FakeApi, role: &str, wanted: &PolicyRule| {
        let role = api.find::<ClusterRole>("", role).unwrap();
        role.rules.unwrap_or_default().contains(wanted)
    };
    let widgets = rule("get", "example.com", "widgets");
    let mut extra = ClusterRole {
        metadata: meta("", "widgets"),
        rules: Some(vec![widgets.clone()]),
        aggregation_rule: None,
    };
    extra.gathered_by("view");
    api.insert(&extra);
    // Through view and edit up to admin.
    api.until(|api| has(api, "admin", &widgets)).await;
    api.remove::<ClusterRole>("", "widgets");
    api.until(|api| !has(api, "admin", &widgets) && !has(api, "view", &widgets)).await;
    tasks.stop().await;
}

/// What the parts of a cluster do all day is allowed, and no more.
#[tokio::test]
async fn identities_may_do_their_work() {
    let (api, transport) = started();
    let tasks = Tasks::new();
    reconcile(&transport, &bootstrap()).await.unwrap();
    let rbac = Rbac::start(&*api.transport(), &tasks);
    rbac.synced().await;
    let scheduler = || UserInfo::new("system:kube-scheduler", &[]).authenticated();
    let controller = |name| UserInfo::service_account("kube-system", name);
    let manager = || UserInfo::new("system:kube-controller-manager", &[]).authenticated();
    for (user, verb, group, resource, allowed) in [
        (scheduler(), "watch", "", "pods", true),
        (scheduler(), "create", "", "pods/binding", true),
        (scheduler(), "patch", "", "pods/status", true),
        (scheduler(), "create", "events.k8s.io", "events", true),
        (scheduler(), "create", "", "pods", false),
        (scheduler(), "update", "coordination.k8s.io", "leases", true),
        (manager(), "watch", "example.com", "widgets", true),
        (manager(), "delete", "", "pods", false),
        (controller("replicaset-controller"), "create", "", "pods", true),
        (controller("replicaset-controller"), "update", "apps", "replicasets/status", true),
        (controller("replicaset-controller"), "create", "apps", "replicasets", false),
        (controller("deployment-controller"), "create", "apps", "replicasets", true),
        (controller("deployment-controller"), "create", "", "pods", false),
        (controller("replication-controller"), "create", "", "pods", true),
        (controller("generic-garbage-collector"), "delete", "example.com", "widgets", true),
        (controller("generic-garbage-collector"), "create", "", "pods", false),
        (controller("namespace-controller"), "update", "", "namespaces/finalize", true),
        (controller("namespace-controller"), "deletecollection", "apps", "deployments", true),
        (controller("service-account-controller"), "create", "", "serviceaccounts", true),
        (controller("root-ca-cert-publisher"), "update", "", "configmaps", true),
        (controller("root-ca-cert-publisher"), "get", "", "secrets", false),
        (controller("node-controller"), "patch", "", "nodes", true),
        (controller("pod-garbage-collector"), "delete", "", "pods", true),
        (UserInfo::new("system:kube-proxy", &[]), "watch", "discovery.k8s.io", "endpointslices", true),
        (
            UserInfo::new("ann", &[]).authenticated(),
            "create",
            "authorization.k8s.io",
            "selfsubjectaccessreviews",
            true,
        ),
        (UserInfo::new("ann", &[]).authenticated(), "get", "", "pods", false),
        (UserInfo::anonymous(), "get", "", "pods", false),
        (controller("default"), "get", "", "pods", false),
    ] {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let attributes = Attributes {
            user: user.clone(),
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: "kube-system".into(),
            ..Attributes::default()
        };
        let answer = matches!(rbac.authorize(&attributes).await, Decision::Allow(_));
        assert_eq!(answer, allowed, "{} {verb} {resource}/{subresource}", user.name);
    }
    for (user, path, allowed) in [
        (UserInfo::anonymous(), "/healthz", true),
        (UserInfo::anonymous(), "/version", true),
        (UserInfo::anonymous(), "/api", false),
        (UserInfo::new("ann", &[]).authenticated(), "/apis/apps/v1", true),
        (UserInfo::new("ann", &[]).authenticated(), "/metrics", false),
        (controller("default"), "/openid/v1/jwks", true),
    ] {
        let attributes = Attributes { user, verb: "get".into(), path: path.into(), ..Attributes::default() };
        let answer = matches!(rbac.authorize(&attributes).await, Decision::Allow(_));
        assert_eq!(answer, allowed, "{path}");
    }
    tasks.stop().await;
}
