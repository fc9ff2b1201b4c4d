use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client::fake::FakeApi;
use k8s_openapi::api::authentication::v1::{
    BoundObjectReference, SelfSubjectReview, TokenRequest, TokenRequestSpec, TokenReview, TokenReviewSpec,
};
use k8s_openapi::api::core::v1::{Node, Pod, PodSpec, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use pki::{Ca, SigningKey, Template};
use serde_json::{Value, json};
use stdx::{Clock, Random};
use testkit::FakeClock;

use super::service_account::TokenConfig;
use super::*;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Everything that tokens are bound to, and two authorities' worth of certificates.
struct Fixture {
    clock: FakeClock,
    api: FakeApi,
    tokens: Arc<ServiceAccountTokens>,
    signing: Arc<SigningKey>,
    authentication: Authentication,
    ca: Ca,
}

fn meta(namespace: &str, name: &str, uid: &str) -> ObjectMeta {
    ObjectMeta {
        namespace: Some(namespace.to_owned()).filter(|n| !n.is_empty()),
        name: Some(name.into()),
        uid: Some(uid.into()),
        ..ObjectMeta::default()
    }
}

fn fixture() -> Fixture {
    let clock = FakeClock::new();
    let api = FakeApi::new(clock.shared());
    api.insert(&ServiceAccount { metadata: meta("ns", "robot", "sa-1"), ..Default::default() });
    api.insert(&Node { metadata: meta("", "n1", "node-1"), ..Default::default() });
    api.insert(&Secret { metadata: meta("ns", "s", "secret-1"), ..Default::default() });
    for (name, account) in [("web", "robot"), ("other", "default")] {
        api.insert(&Pod {
            metadata: meta("ns", name, &format!("pod-{name}")),
            spec: Some(PodSpec {
                service_account_name: Some(account.into()),
                node_name: Some("n1".into()),
                ..Default::default()
            }),
            ..Default::default()
        });
    }
    let signing = Arc::new(SigningKey::from_pem(&SigningKey::generate_pem().unwrap()).unwrap());
    let tokens = Arc::new(ServiceAccountTokens::new(
        api.transport(),
        clock.shared(),
        Random::seeded(7),
        TokenConfig::new(ISSUER),
        signing.clone(),
        Vec::new(),
    ));
    let (ca, _) = Ca::create("ca", clock.now()).unwrap();
    let statics = StaticTokens::parse("s3cret,ann,7,\"dev,ops\"\n", vec![ISSUER.into()]).unwrap();
    let authentication = Authentication::new(
        Some(X509::new(ca.cert_pem(), clock.shared()).unwrap()),
        vec![tokens.clone(), Arc::new(statics)],
        vec![ISSUER.into()],
        true,
    );
    Fixture { clock, api, tokens, signing, authentication, ca }
}

fn bound(kind: &str, name: &str, uid: Option<&str>) -> BoundObjectReference {
    BoundObjectReference {
        api_version: Some("v1".into()),
        kind: Some(kind.into()),
        name: Some(name.into()),
        uid: uid.map(str::to_owned),
    }
}

fn request(seconds: i64, audiences: &[&str], bound: Option<BoundObjectReference>) -> TokenRequest {
    let audiences: Vec<String> = audiences.iter().map(|a| (*a).to_owned()).collect();
    TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: Some(audiences),
            expiration_seconds: Some(seconds),
            bound_object_ref: bound,
            ..Default::default()
        }),
        ..Default::default()
    }
}

impl Fixture {
    async fn issue(&self, request: TokenRequest) -> String {
        self.tokens.issue("ns", "robot", request).await.unwrap().status.unwrap().token.unwrap()
    }

    async fn token_for(&self, kind: &str, name: &str) -> String {
        self.issue(request(3600, &[], Some(bound(kind, name, None)))).await
    }

    /// Who a token's bearer is, or why not.
    async fn bearer(&self, token: &str) -> String {
        let credentials = Credentials { token: Some(token.into()), ..Default::default() };
        show(self.authentication.authenticate(&credentials).await)
    }

    /// Who a certificate's holder is, or why not.
    async fn holder(&self, identity: &pki::Identity) -> String {
        let certificates = identity.chain().unwrap().iter().map(|c| c.to_vec()).collect();
        show(self.authentication.authenticate(&Credentials { certificates, ..Default::default() }).await)
    }

    /// `payload` as a token by the cluster's own key.
    fn signed(&self, payload: &Value) -> String {
        jws::sign(&self.signing, payload.to_string().as_bytes()).unwrap()
    }

    fn claims(&self) -> Value {
        let now = self.clock.now().as_second();
        json!({
            "aud": [ISSUER], "exp": now + 600, "iat": now, "nbf": now, "iss": ISSUER,
            "kubernetes.io": {"namespace": "ns", "serviceaccount": {"name": "robot", "uid": "sa-1"}},
            "sub": "system:serviceaccount:ns:robot",
        })
    }
}

fn show(answer: Result<Option<UserInfo>, String>) -> String {
    match answer {
        Ok(Some(user)) => format!("{} {}", user.name, user.groups.join(",")),
        Ok(None) => "nobody".into(),
        Err(e) => format!("401 {e}"),
    }
}

const ROBOT: &str =
    "system:serviceaccount:ns:robot system:serviceaccounts,system:serviceaccounts:ns,system:authenticated";

#[tokio::test]
async fn certificates_name_users_and_groups() {
    let f = fixture();
    let now = f.clock.now();
    let admin = f.ca.issue(&Template::client("admin", "system:masters"), now).unwrap();
    for _ in 0..2 {
        assert_eq!(f.holder(&admin).await, "admin system:masters,system:authenticated");
    }
    let (other, _) = Ca::create("ca", now).unwrap();
    let foreign = other.issue(&Template::client("admin", "system:masters"), now).unwrap();
    assert!(f.holder(&foreign).await.starts_with("401 verifying client certificate failed"));
    let early = f.ca.issue(&Template::client("early", ""), now + DAY).unwrap();
    assert!(f.holder(&early).await.contains("not valid yet"));
    let nameless = f.ca.issue(&Template::client("", "g"), now).unwrap();
    assert_eq!(f.holder(&nameless).await, "system:anonymous system:unauthenticated");
    // Known already, and expired since.
    f.clock.advance(366 * DAY);
    assert!(f.holder(&admin).await.contains("expired"));
}

#[tokio::test]
async fn nobody_is_anonymous_and_strangers_are_refused() {
    let f = fixture();
    let nobody = f.authentication.authenticate(&Credentials::default()).await;
    assert_eq!(show(nobody), "system:anonymous system:unauthenticated");
    assert_eq!(f.bearer("s3cret").await, "ann dev,ops,system:authenticated");
    assert_eq!(f.bearer("s3cre").await, "401 invalid bearer token");
    assert_eq!(f.bearer("").await, "401 invalid bearer token");
    let closed = Authentication::new(None, vec![], vec![], false);
    assert_eq!(show(closed.authenticate(&Credentials::default()).await), "nobody");
    for bad in ["a,b", ",user,1", "t,\"user,1"] {
        assert!(StaticTokens::parse(bad, vec![]).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn tokens_say_what_upstreams_say() {
    let f = fixture();
    let token = f.token_for("Pod", "web").await;
    let parts: Vec<Vec<u8>> = token.split('.').map(|p| URL_SAFE_NO_PAD.decode(p).unwrap()).collect();
    let header: Value = serde_json::from_slice(&parts[0]).unwrap();
    assert_eq!(header, json!({"alg": "ES256", "kid": f.signing.public().id()}));
    let mut claims: Value = serde_json::from_slice(&parts[1]).unwrap();
    let jti = claims["jti"].take();
    let now = f.clock.now().as_second();
    let expected = json!({
        "aud": [ISSUER], "exp": now + 3600, "iat": now, "iss": ISSUER, "jti": null,
        "kubernetes.io": {
            "namespace": "ns",
            "node": {"name": "n1", "uid": "node-1"},
            "pod": {"name": "web", "uid": "pod-web"},
            "serviceaccount": {"name": "robot", "uid": "sa-1"},
        },
        "nbf": now, "sub": "system:serviceaccount:ns:robot",
    });
    assert_eq!(claims, expected);
    let found = f.authentication.authenticate_token(&token, &[ISSUER.into()]).await.unwrap();
    assert_eq!(found.user.uid, "sa-1");
    let extra: Vec<String> = found.user.extra.iter().map(|(k, v)| format!("{k}={}", v[0])).collect();
    let jti = format!("authentication.kubernetes.io/credential-id=JTI={}", jti.as_str().unwrap());
    assert_eq!(
        extra,
        [
            &*jti,
            "authentication.kubernetes.io/node-name=n1",
            "authentication.kubernetes.io/node-uid=node-1",
            "authentication.kubernetes.io/pod-name=web",
            "authentication.kubernetes.io/pod-uid=pod-web",
        ]
    );
}

#[tokio::test]
async fn tokens_die_with_what_they_are_bound_to() {
    let f = fixture();
    let plain = f.issue(request(3600, &[], None)).await;
    let pod = f.token_for("Pod", "web").await;
    let node = f.token_for("Node", "n1").await;
    let secret = f.token_for("Secret", "s").await;
    for token in [&plain, &pod, &node, &secret] {
        assert_eq!(f.bearer(token).await, ROBOT);
    }
    f.api.remove::<Node>("", "n1");
    assert_eq!(f.bearer(&node).await, "401 service account token has been invalidated");
    assert_eq!(f.bearer(&pod).await, ROBOT, "the pod still runs");
    f.api.remove::<Secret>("ns", "s");
    assert_eq!(f.bearer(&secret).await, "401 service account token has been invalidated");
    // Being deleted is not dead yet; a minute later it is.
    let deleted = Time(f.clock.now());
    f.api.edit::<Pod>("ns", "web", |pod| pod.metadata.deletion_timestamp = Some(deleted));
    assert_eq!(f.bearer(&pod).await, ROBOT);
    f.clock.advance(Duration::from_secs(61));
    assert_eq!(f.bearer(&pod).await, "401 service account token has been invalidated");
    // Another pod of the same name is another pod.
    f.api.remove::<Pod>("ns", "web");
    f.api.insert(&Pod { metadata: meta("ns", "web", "pod-2"), ..Default::default() });
    assert_eq!(
        f.bearer(&pod).await,
        "401 pod UID (pod-2) does not match service account pod ref claim (pod-web)"
    );
    f.api.remove::<ServiceAccount>("ns", "robot");
    assert_eq!(f.bearer(&plain).await, "401 service account ns/robot has been deleted");
    f.api.insert(&ServiceAccount { metadata: meta("ns", "robot", "sa-2"), ..Default::default() });
    assert_eq!(f.bearer(&plain).await, "401 service account UID (sa-2) does not match claim (sa-1)");
}

#[tokio::test]
async fn tokens_are_believed_as_soon_as_their_account_exists() {
    let f = fixture();
    f.api.hold_views();
    f.api.insert(&ServiceAccount { metadata: meta("ns", "fresh", "sa-9"), ..Default::default() });
    let issued = f.tokens.issue("ns", "fresh", request(3600, &[], None)).await.unwrap();
    let token = issued.status.unwrap().token.unwrap();
    assert!(f.bearer(&token).await.starts_with("system:serviceaccount:ns:fresh "));
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let f = fixture();
    assert_eq!(f.bearer(&f.signed(&f.claims())).await, ROBOT);
    let no_key = "401 token signature is not by a known key";
    let token = f.signed(&f.claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let part = |v: Value| URL_SAFE_NO_PAD.encode(v.to_string());
    // The signature of other claims.
    let mut other = f.claims();
    other["kubernetes.io"]["serviceaccount"]["name"] = "admin".into();
    assert_eq!(f.bearer(&format!("{header}.{}.{signature}", part(other))).await, no_key);
    // No signature, or one by a key that is no secret.
    for (alg, signature) in [("none", ""), ("HS256", signature), ("ES384", signature), ("RS256", signature)] {
        let header = part(json!({"alg": alg, "kid": f.signing.public().id()}));
        assert_eq!(f.bearer(&format!("{header}.{payload}.{signature}")).await, no_key, "{alg}");
    }
    let critical = part(json!({"alg": "ES256", "crit": ["exp"]}));
    assert!(f.bearer(&format!("{critical}.{payload}.{signature}")).await.contains("critical"));
    // Another cluster's key.
    let stranger = SigningKey::from_pem(&SigningKey::generate_pem().unwrap()).unwrap();
    let foreign = jws::sign(&stranger, f.claims().to_string().as_bytes()).unwrap();
    assert_eq!(f.bearer(&foreign).await, no_key);
    // Not of our issuer, or no token at all: somebody else's, and here there is nobody else.
    let mut elsewhere = f.claims();
    elsewhere["iss"] = "https://elsewhere".into();
    assert_eq!(f.bearer(&f.signed(&elsewhere)).await, "401 invalid bearer token");
    for rubbish in ["a.b.c", "..", "a.b", &format!("{header}.{payload}")] {
        assert_eq!(f.bearer(rubbish).await, "401 invalid bearer token", "{rubbish}");
    }
    // A last character that decodes to the same bytes is not the same token.
    assert_eq!(f.bearer(&format!("{token}=")).await, "401 invalid bearer token");
}

#[tokio::test]
async fn tokens_have_their_time_and_place() {
    let f = fixture();
    let with = |field: &str, value: Value| {
        let mut claims = f.claims();
        claims[field] = value;
        f.signed(&claims)
    };
    let now = f.clock.now().as_second();
    for (field, value, expected) in [
        ("exp", json!(now - 59), ROBOT),
        ("exp", json!(now - 61), "401 service account token has expired"),
        ("exp", Value::Null, "401 invalid bearer token"),
        ("nbf", json!(now + 59), ROBOT),
        ("nbf", json!(now + 61), "401 service account token is not valid yet"),
        ("iat", json!(now + 61), "401 service account token is issued in the future"),
        ("aud", json!(ISSUER), ROBOT),
        (
            "aud",
            json!(["vault"]),
            "401 token audiences [\"vault\"] is invalid for the target audiences [\"https://kubernetes.default.svc.cluster.local\"]",
        ),
        (
            "kubernetes.io",
            json!({"namespace": "ns", "serviceaccount": {"name": "ghost", "uid": "x"}}),
            "401 service account ns/ghost has been deleted",
        ),
    ] {
        assert_eq!(f.bearer(&with(field, value.clone())).await, expected, "{field} = {value}");
    }
    let mut endless = f.claims();
    endless.as_object_mut().unwrap().remove("exp");
    assert_eq!(f.bearer(&f.signed(&endless)).await, "401 service account token has expired");
    // Remembered claims still expire.
    let token = f.signed(&f.claims());
    assert_eq!(f.bearer(&token).await, ROBOT);
    f.clock.advance(Duration::from_secs(661));
    assert_eq!(f.bearer(&token).await, "401 service account token has expired");
}

#[tokio::test]
async fn token_requests_are_checked() {
    let f = fixture();
    let check = async |request: TokenRequest, expected: &str| {
        let answer = f.tokens.issue("ns", "robot", request).await;
        let text = match answer {
            Ok(_) => "issued".to_owned(),
            Err(e) => format!("{} {}", e.code, e.message),
        };
        assert_eq!(text, expected);
    };
    let pod = |name, uid| request(600, &[], Some(bound("Pod", name, uid)));
    check(request(600, &["vault"], None), "issued").await;
    check(TokenRequest::default(), "issued").await;
    check(pod("web", Some("pod-web")), "issued").await;
    check(
        request(599, &[], None),
        "422 TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 599: \
         may not specify a duration less than 10 minutes",
    )
    .await;
    check(
        request((1 << 32) + 1, &[], None),
        "422 TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 4294967297: \
         may not specify a duration larger than 2^32 seconds",
    )
    .await;
    check(pod("gone", None), "404 pods \"gone\" not found").await;
    check(
        pod("other", None),
        "400 cannot bind token for serviceaccount \"robot\" to pod running with different serviceaccount name.",
    )
    .await;
    check(
        pod("web", Some("older")),
        "409 Operation cannot be fulfilled on Pod \"web\": the UID in the bound object reference (older) does not \
         match the UID in record. The object might have been deleted and then recreated",
    )
    .await;
    check(
        request(600, &[], Some(bound("ConfigMap", "c", None))),
        "400 cannot bind token to object of type /v1, Kind=ConfigMap",
    )
    .await;
    let missing = f.tokens.issue("ns", "ghost", request(600, &[], None)).await.unwrap_err();
    assert_eq!(missing.message, "serviceaccounts \"ghost\" not found");
    let mut misnamed = request(600, &[], None);
    misnamed.metadata.name = Some("other".into());
    check(misnamed, "400 the name of the provided object does not match the name sent on the request").await;
}

#[tokio::test]
async fn tokens_of_projected_volumes_are_extended() {
    let f = fixture();
    let issued = f.tokens.issue("ns", "robot", request(3607, &[], None)).await.unwrap();
    let status = issued.status.unwrap();
    let now = f.clock.now().as_second();
    assert_eq!(status.expiration_timestamp.unwrap().0.as_second(), now + 3607);
    let token = status.token.unwrap();
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(claims["kubernetes.io"]["warnafter"], now + 3607);
    assert_eq!(claims["exp"], now + 365 * 24 * 60 * 60);
    // Not for somebody else's audience.
    let issued = f.tokens.issue("ns", "robot", request(3607, &["vault"], None)).await.unwrap();
    let token = issued.status.unwrap().token.unwrap();
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap()["exp"], now + 3607);
}

#[tokio::test]
async fn reviews_answer_with_users_and_errors() {
    let f = fixture();
    let review = async |token: &str, audiences: &[&str]| {
        let audiences = audiences.iter().map(|a| (*a).to_owned()).collect();
        let spec = TokenReviewSpec { token: token.into(), audiences: Some(audiences) };
        let review = TokenReview { spec, ..Default::default() };
        review::token_review(&f.authentication, review).await.map(|r| r.status.unwrap())
    };
    let vault = f.issue(request(600, &["vault", "x"], None)).await;
    let good = review(&vault, &["vault", "y"]).await.unwrap();
    assert_eq!((good.authenticated, good.audiences), (Some(true), Some(vec!["vault".into()])));
    assert_eq!(good.user.unwrap().username.as_deref(), Some("system:serviceaccount:ns:robot"));
    let bad = review(&vault, &[]).await.unwrap();
    assert_eq!((bad.authenticated, bad.user), (None, None));
    assert!(bad.error.unwrap().contains("is invalid for the target audiences"));
    assert_eq!(review("", &[]).await.unwrap_err().code, 400);
    let me = review::self_subject_review(&UserInfo::new("ann", &["g"]), SelfSubjectReview::default());
    assert_eq!(me.status.unwrap().user_info.unwrap().groups, Some(vec!["g".into()]));
}

#[tokio::test]
async fn keys_are_published() {
    let f = fixture();
    let jwks = f.tokens.jwks().unwrap();
    let key = &jwks["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (&json!("EC"), &json!("P-256"), &json!("ES256"), &json!("sig"))
    );
    assert_eq!(key["kid"], f.signing.public().id());
    let config = f.tokens.openid_configuration("https://10.0.0.1:6443/");
    assert_eq!(config["issuer"], ISSUER);
    assert_eq!(config["jwks_uri"], "https://10.0.0.1:6443/openid/v1/jwks");
    assert_eq!(config["id_token_signing_alg_values_supported"], json!(["ES256"]));
}

#[test]
fn service_account_names_are_read_back() {
    assert_eq!(claims::split_username("system:serviceaccount:ns:robot"), Some(("ns", "robot")));
    for bad in
        ["system:serviceaccount:ns", "system:serviceaccount::x", "ns:robot", "system:serviceaccount:a:b:c"]
    {
        assert_eq!(claims::split_username(bad), None, "{bad}");
    }
}

#[test]
fn the_cache_forgets_what_is_not_used() {
    let cache = cache::Cache::<u32, u32, 2>::default();
    for n in 0..10 {
        cache.insert(n, n);
        assert_eq!(cache.get(&0), Some(0), "in use");
    }
    assert_eq!(cache.get(&2), None);
    assert_eq!(cache.get(&9), Some(9));
}

#[tokio::test]
async fn tokens_in_secrets_live_as_long_as_their_secret() {
    use service_account::legacy;
    let f = fixture();
    let token = legacy::sign(&f.signing, "ns", "kept", "robot", "sa-1").unwrap();
    assert_eq!(f.bearer(&token).await, "401 service account token has been invalidated");
    let kept = |token: &str| Secret {
        metadata: meta("ns", "kept", "secret-2"),
        data: Some([("token".to_owned(), k8s_openapi::ByteString(token.into()))].into()),
        ..Default::default()
    };
    f.api.insert(&kept(&token));
    let who = ROBOT;
    assert_eq!(f.bearer(&token).await, who);
    // The day is noted, and a year later the token is as good.
    let label = |key: &str| {
        let labels = f.api.find::<Secret>("ns", "kept").unwrap().metadata.labels.unwrap_or_default();
        labels.get(key).cloned().unwrap_or_default()
    };
    let first = label("kubernetes.io/legacy-token-last-used");
    assert_eq!(first, f.clock.now().to_string()[..10]);
    f.clock.advance(DAY * 365);
    assert_eq!(f.bearer(&token).await, who);
    assert_ne!(label("kubernetes.io/legacy-token-last-used"), first);
    // Another token of the same secret, another key, another account, another audience, a mark: all no.
    let other = legacy::sign(&f.signing, "ns", "kept", "robot", "sa-0").unwrap();
    assert_eq!(f.bearer(&other).await, "401 token does not match server's copy");
    let stranger = SigningKey::from_pem(&SigningKey::generate_pem().unwrap()).unwrap();
    let forged = legacy::sign(&stranger, "ns", "kept", "robot", "sa-1").unwrap();
    assert_eq!(f.bearer(&forged).await, "401 token signature is not by a known key");
    let vault = f.tokens.authenticate_token(&token, &["vault".into()]).await.unwrap_err();
    assert!(vault.ends_with("is invalid for the target audiences [\"vault\"]"), "{vault}");
    f.api.edit::<Secret>("ns", "kept", |s| {
        let labels = s.metadata.labels.get_or_insert_default();
        labels.insert("kubernetes.io/legacy-token-invalid-since".into(), "2026-01-01".into());
    });
    let marked = f.bearer(&token).await;
    assert!(
        marked.starts_with(
            "401 the token in secret ns/kept for service account ns/robot has been marked invalid."
        ),
        "{marked}"
    );
    f.api.edit::<Secret>("ns", "kept", |s| s.metadata.labels = None);
    f.api.remove::<ServiceAccount>("ns", "robot");
    assert_eq!(f.bearer(&token).await, "401 service account ns/robot has been deleted");
}

#[tokio::test]
async fn certificates_are_judged_by_the_cas_of_today() {
    let clock = FakeClock::new();
    let (old, new) = (Ca::create("old", clock.now()).unwrap().0, Ca::create("new", clock.now()).unwrap().0);
    let trust = Arc::new(pki::LiveTrust::new(old.cert_pem()).unwrap());
    let x509 = X509::following(trust.clone(), clock.shared());
    let identity = old.issue(&pki::Template::client("ann", "dev"), clock.now()).unwrap();
    let certificates = pki::identity::certificates(&identity.cert_pem).unwrap();
    let certificates = certificates.iter().map(|der| der.to_vec()).collect();
    let credentials = Credentials { certificates, ..Credentials::default() };
    let ann = || async { x509.authenticate(&credentials).await.map(|user| user.unwrap().name) };
    assert_eq!(ann().await.unwrap(), "ann");
    assert!(trust.replace("nonsense").is_err());
    assert_eq!(ann().await.unwrap(), "ann", "what is no CA changes nothing");
    trust.replace(new.cert_pem()).unwrap();
    assert!(ann().await.unwrap_err().contains("verifying client certificate failed"));
    trust.replace(&format!("{}{}", new.cert_pem(), old.cert_pem())).unwrap();
    assert_eq!(ann().await.unwrap(), "ann");
}
