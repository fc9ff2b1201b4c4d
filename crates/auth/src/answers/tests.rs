use std::sync::Mutex;
use std::time::Duration;

use apimachinery::Gvr;
use async_trait::async_trait;
use client::fake::FakeApi;
use client::transport::{Options, Request, Transport, View, ViewScope, WatchEvent};
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use pki::SigningKey;
use serde_json::{Value, json};
use stdx::{Clock, Random, Tasks};
use testkit::FakeClock;

use super::*;
use crate::authn::service_account::TokenConfig;
use crate::authn::{
    Authenticator, BootstrapTokens, Credentials, DelegatedAuthentication, TokenAuthenticator,
};
use crate::authz::{Attributes, Authorizer, Decision, DelegatedAuthorization, NodeAuthorizer, Rbac};

const ISSUER: &str = "https://issuer";

struct Fixture {
    clock: FakeClock,
    api: FakeApi,
    answers: Arc<Answers>,
    tasks: Tasks,
}

fn object<K: Kind>(value: Value) -> K {
    K::from_json(value.to_string().as_bytes()).unwrap()
}

async fn fixture() -> Fixture {
    let (clock, tasks) = (FakeClock::new(), Tasks::new());
    let api = FakeApi::new(clock.shared());
    api.insert(&object::<ServiceAccount>(json!({"metadata": {"name": "robot", "namespace": "ns"}})));
    let token =
        |audience: Value| json!({"projected": {"sources": [{"serviceAccountToken": audience}]}, "name": "t"});
    for (name, node) in [("here", "n1"), ("there", "n2")] {
        let volumes = json!([token(json!({"path": "t"})), token(json!({"path": "t", "audience": "vault"}))]);
        api.insert(&object::<Pod>(json!({"metadata": {"name": name, "namespace": "ns", "uid": name},
            "spec": {"serviceAccountName": "robot", "nodeName": node, "volumes": volumes}})));
    }
    api.insert(&object::<ClusterRole>(json!({"metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]}]})));
    api.insert(&object::<ClusterRoleBinding>(json!({"metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "ns", "name": "robot"}]})));
    let signing = Arc::new(SigningKey::from_pem(&SigningKey::generate_pem().unwrap()).unwrap());
    let tokens = Arc::new(ServiceAccountTokens::new(
        api.transport(),
        clock.shared(),
        Random::seeded(1),
        TokenConfig::new(ISSUER),
        signing,
        Vec::new(),
    ));
    let authentication = Arc::new(Authentication::new(None, vec![tokens.clone()], vec![ISSUER.into()], true));
    let rbac = Rbac::start(&*api.transport(), &tasks);
    let authorization =
        Arc::new(Authorization::new(NodeAuthorizer::start(&*api.transport(), true, &tasks), rbac));
    authorization.synced().await;
    let answers = Arc::new(Answers::new(authentication, authorization, tokens, api.transport()));
    Fixture { clock, api, answers, tasks }
}

impl Fixture {
    async fn ask(&self, resource: &str, user: &UserInfo, body: Value) -> Result<Value, Status> {
        let rows = answered();
        let row = rows
            .iter()
            .find(|r| [r.resource, r.subresource].join("/").trim_end_matches('/') == resource)
            .unwrap();
        let json = self.answers.answer(row, user, "ns", "robot", body.to_string().as_bytes()).await?;
        Ok(serde_json::from_slice(&json).unwrap())
    }

    async fn token(&self, pod: Option<&str>) -> Value {
        let bound = pod.map(|p| json!({"apiVersion": "v1", "kind": "Pod", "name": p, "uid": p}));
        let body = json!({"spec": {"boundObjectRef": bound, "audiences": []}});
        let issued = self.ask("serviceaccounts/token", &UserInfo::new("root", &[]), body).await.unwrap();
        issued["status"]["token"].clone()
    }
}

#[tokio::test]
async fn every_answered_kind_is_answered() {
    let f = fixture().await;
    let ann = UserInfo::new("ann", &["g"]);
    let token = f.token(None).await;
    let metrics = json!({"verb": "get", "resource": "nodes", "subresource": "metrics", "namespace": "ns"});
    let robot = "system:serviceaccount:ns:robot";
    let robots = UserInfo::service_account("ns", "robot");
    for (resource, user, body, place, expected) in [
        ("tokenreviews", &ann, json!({"spec": {"token": token}}), "/status/user/username", json!(robot)),
        ("selfsubjectreviews", &ann, json!({}), "/status/userInfo/username", json!("ann")),
        (
            "subjectaccessreviews",
            &ann,
            json!({"spec": {"user": robot, "resourceAttributes": metrics}}),
            "/status/allowed",
            json!(true),
        ),
        (
            "localsubjectaccessreviews",
            &ann,
            json!({"spec": {"user": "ann", "resourceAttributes": metrics}}),
            "/status/allowed",
            json!(false),
        ),
        (
            "selfsubjectaccessreviews",
            &robots,
            json!({"spec": {"resourceAttributes": metrics}}),
            "/status/allowed",
            json!(true),
        ),
        (
            "selfsubjectrulesreviews",
            &robots,
            json!({"spec": {"namespace": "ns"}}),
            "/status/resourceRules/0/resources/0",
            json!("nodes/metrics"),
        ),
    ] {
        let answer = f.ask(resource, user, body).await.unwrap();
        assert_eq!(answer.pointer(place), Some(&expected), "{resource}: {answer}");
    }
    assert_eq!(answered().len(), 7);
    f.tasks.stop().await;
}

#[tokio::test]
async fn nodes_get_tokens_for_their_own_pods() {
    let f = fixture().await;
    let node = UserInfo::new("system:node:n1", &["system:nodes"]);
    for (bound, expected) in [
        (json!({"apiVersion": "v1", "kind": "Pod", "name": "here", "uid": "here"}), ""),
        (Value::Null, "node requested token not bound to a pod"),
        (
            json!({"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "x"}),
            "node requested token not bound to a pod",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Pod", "name": "here"}),
            "node requested token with a pod binding without a uid",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Pod", "name": "here", "uid": "before"}),
            "the UID in the bound object reference (before) does not match the UID in record. The object might have been \
             deleted and then recreated",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Pod", "name": "there", "uid": "there"}),
            "node requested token bound to a pod scheduled on a different node",
        ),
    ] {
        let body = json!({"spec": {"audiences": [], "boundObjectRef": bound}});
        let text = match f.ask("serviceaccounts/token", &node, body).await {
            Ok(_) => String::new(),
            Err(e) => e.message.replace("serviceaccounts \"robot\" is forbidden: ", ""),
        };
        assert_eq!(text, expected);
    }
    f.tasks.stop().await;
}

#[tokio::test]
async fn nodes_get_tokens_for_whom_pods_show_them_to() {
    let f = fixture().await;
    let node = UserInfo::new("system:node:n1", &["system:nodes"]);
    let ask = async |audiences: &[&str]| {
        let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": "here", "uid": "here"});
        let body = json!({"spec": {"audiences": audiences, "boundObjectRef": bound}});
        let answer = f.ask("serviceaccounts/token", &node, body).await;
        answer.map_or_else(
            |e| e.message.replace("serviceaccounts \"robot\" is forbidden: ", ""),
            |_| "issued".into(),
        )
    };
    assert_eq!(ask(&[]).await, "issued");
    assert_eq!(ask(&["vault"]).await, "issued");
    assert_eq!(ask(&["vault", "other"]).await, "node may only request 0 or 1 audiences");
    assert_eq!(
        ask(&["registry"]).await,
        "audience \"registry\" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience"
    );
    f.api.insert(&object::<ClusterRole>(json!({"metadata": {"name": "pull"}, "rules": [{"apiGroups": [""],
        "resources": ["registry"], "resourceNames": ["robot"], "verbs": ["request-serviceaccounts-token-audience"]}]})));
    f.api.insert(&object::<ClusterRoleBinding>(json!({"metadata": {"name": "pull"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "pull"},
        "subjects": [{"kind": "Group", "name": "system:nodes"}]})));
    // The index follows its views in a task of its own.
    while ask(&["registry"]).await != "issued" {
        tokio::task::yield_now().await;
    }
    f.tasks.stop().await;
}

/// A kubelet's way to an API server that answers reviews and nothing else.
struct Reviewing {
    answers: Arc<Answers>,
    asked: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Transport for Reviewing {
    async fn send(&self, request: Request) -> Result<Bytes, Status> {
        let row = answered().into_iter().find(|r| *r.resource == *request.gvr.resource);
        let row = row.ok_or_else(|| Status::bad_request("no review"))?;
        self.asked.lock().unwrap().push(request.gvr.resource.to_string());
        let user = UserInfo::new("system:node:n1", &["system:nodes"]);
        self.answers.answer(&row, &user, "", "", &request.body).await
    }

    async fn watch(&self, _: &Gvr, _: &str, _: &Options) -> Result<BoxStream<'static, WatchEvent>, Status> {
        Err(Status::bad_request("no review"))
    }

    fn reflect(&self, _: &Gvr, _: &ViewScope) -> Arc<dyn View> {
        unreachable!("a kubelet's reviews need no view")
    }
}

#[tokio::test]
async fn a_kubelet_asks_and_remembers() {
    let f = fixture().await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let transport: Arc<dyn Transport> =
        Arc::new(Reviewing { answers: f.answers.clone(), asked: asked.clone() });
    let count = || asked.lock().unwrap().len();
    let authn = DelegatedAuthentication::new(None, transport.clone(), true, f.clock.shared());
    let authz = DelegatedAuthorization::new(transport, f.clock.shared());
    let token = f.token(None).await.as_str().unwrap().to_owned();
    let who = async |token: &str| {
        authn.authenticate(&Credentials { token: Some(token.into()), ..Default::default() }).await
    };
    let robot = who(&token).await.unwrap().unwrap();
    assert_eq!(robot.name, "system:serviceaccount:ns:robot");
    assert_eq!(who(&token).await.unwrap().unwrap(), robot);
    assert_eq!(count(), 1, "remembered");
    assert!(who("rubbish").await.unwrap_err().contains("invalid bearer token"));
    assert_eq!(authn.authenticate(&Credentials::default()).await.unwrap().unwrap().name, "system:anonymous");
    let asked_so_far = count();

    let may = async |user: &UserInfo, subresource: &str| {
        let attributes = Attributes {
            user: user.clone(),
            verb: "get".into(),
            version: "v1".into(),
            resource: "nodes".into(),
            subresource: subresource.into(),
            name: "n1".into(),
            ..Attributes::default()
        };
        matches!(authz.authorize(&attributes).await, Decision::Allow(_))
    };
    assert!(may(&robot, "metrics").await && !may(&robot, "proxy").await);
    assert!(may(&robot, "metrics").await && !may(&robot, "proxy").await);
    assert_eq!(count() - asked_so_far, 2);
    f.clock.advance(Duration::from_secs(31));
    assert!(may(&robot, "metrics").await && !may(&robot, "proxy").await);
    assert_eq!(count() - asked_so_far, 3, "a no is asked again first");
    // A deleted account is refused once the memory fades.
    f.api.remove::<ServiceAccount>("ns", "robot");
    assert!(who(&token).await.is_ok());
    f.clock.advance(Duration::from_secs(120));
    assert!(who(&token).await.unwrap_err().contains("has been deleted"));
    f.tasks.stop().await;
}

#[tokio::test]
async fn bootstrap_tokens_are_secrets() {
    let f = fixture().await;
    let tokens = BootstrapTokens::new(&*f.api.transport(), f.clock.shared(), vec![ISSUER.into()]);
    let later = f.clock.now() + Duration::from_secs(60);
    let good = json!({"token-id": "abcdef", "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true", "expiration": later.to_string(),
        "auth-extra-groups": "system:bootstrappers:workers"});
    let check = async |change: Value, token: &str, expected: &str| {
        let mut data = good.clone();
        data.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let data = data
            .as_object()
            .unwrap()
            .iter()
            .map(|(k, v)| (k.clone(), k8s_openapi::ByteString(v.as_str().unwrap().into())));
        let mut secret = object::<Secret>(
            json!({"metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
            "type": "bootstrap.kubernetes.io/token"}),
        );
        secret.data = Some(data.collect());
        f.api.insert(&secret);
        let found = tokens.authenticate_token(token, &[ISSUER.into()]).await.unwrap();
        let text =
            found.map_or("nobody".to_owned(), |t| format!("{} {}", t.user.name, t.user.groups.join(",")));
        assert_eq!(text, expected, "{change} {token}");
        f.api.remove::<Secret>("kube-system", "bootstrap-token-abcdef");
    };
    let (token, user) = ("abcdef.0123456789abcdef", "system:bootstrap:abcdef system:bootstrappers");
    check(json!({}), token, &format!("{user},system:bootstrappers:workers")).await;
    check(json!({"auth-extra-groups": "", "expiration": ""}), token, user).await;
    for change in [
        json!({"token-secret": "0123456789abcdee"}),
        json!({"token-id": "abcdee"}),
        json!({"usage-bootstrap-authentication": "false"}),
        json!({"expiration": f.clock.now().to_string()}),
        json!({"expiration": "soon"}),
        json!({"auth-extra-groups": "system:masters"}),
        json!({"auth-extra-groups": "system:bootstrappers:"}),
    ] {
        check(change, token, "nobody").await;
    }
    for token in ["abcdef.0123456789abcde", "ABCDEF.0123456789abcdef", "abcdef", "fedcba.0123456789abcdef"] {
        check(json!({}), token, "nobody").await;
    }
    assert_eq!(tokens.authenticate_token(token, &["elsewhere".into()]).await, Ok(None));
    f.tasks.stop().await;
}
