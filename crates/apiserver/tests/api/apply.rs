//! Server-side apply over the wire.

use serde_json::{Value, json};

use super::server::{Answer, Server, start};

const APPS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn web(fields: Value) -> Value {
    let mut body = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "nginx"}]},
            },
        },
    });
    for (key, value) in fields.as_object().unwrap() {
        body["spec"][key] = value.clone();
    }
    body
}

async fn apply(server: &Server, path: &str, query: &str, body: &str) -> Answer {
    let headers = [("content-type", "application/apply-patch+yaml")];
    server.send("PATCH", &format!("{path}?{query}"), &headers, body).await
}

/// `manager operation subresource fields` of each entry.
fn managers(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let text = |e: &Value, key: &str| e[key].as_str().unwrap_or_default().to_owned();
    entries
        .iter()
        .map(|e| {
            format!(
                "{} {} {} {}",
                text(e, "manager"),
                text(e, "operation"),
                text(e, "subresource"),
                e["fieldsV1"]
            )
        })
        .collect()
}

#[tokio::test]
async fn creates_changes_conflicts_and_force() {
    let server = start().await;
    let path = format!("{APPS}/web");
    let one = web(json!({"replicas": 1})).to_string();
    let created = apply(&server, &path, "fieldManager=alice", &one).await;
    assert_eq!(created.code, 201, "{}", created.text);
    let again = apply(&server, &path, "fieldManager=alice", &one).await;
    assert_eq!(again.code, 200);
    assert_eq!(again.json()["metadata"]["resourceVersion"], created.json()["metadata"]["resourceVersion"]);
    let dry =
        apply(&server, &path, "fieldManager=alice&dryRun=All", &web(json!({"replicas": 9})).to_string())
            .await;
    assert_eq!(dry.json()["spec"]["replicas"], json!(9));
    assert_eq!(server.get(&path).await.json()["spec"]["replicas"], json!(1));

    let two = web(json!({"replicas": 2})).to_string();
    let refused = apply(&server, &path, "fieldManager=bob", &two).await;
    assert_eq!(
        refused.json(),
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "Apply failed with 1 conflict: conflict with \"alice\": .spec.replicas",
            "reason": "Conflict",
            "details": {"causes": [{
                "reason": "FieldManagerConflict", "message": "conflict with \"alice\"", "field": ".spec.replicas",
            }]},
            "code": 409,
        })
    );
    let forced = apply(&server, &path, "fieldManager=bob&force=true", &two).await;
    assert_eq!(forced.json()["spec"]["replicas"], json!(2));
    // Alice does not speak of replicas any more: they stay bob's. When bob is silent, too, they are defaulted.
    let silent = web(json!({})).to_string();
    let kept = apply(&server, &path, "fieldManager=alice", &silent).await;
    assert_eq!(kept.json()["spec"]["replicas"], json!(2), "{}", kept.text);
    let released = apply(&server, &path, "fieldManager=bob", &silent).await;
    assert_eq!(released.json()["spec"]["replicas"], json!(1), "{}", released.text);
}

#[tokio::test]
async fn subresources_have_managers_of_their_own() {
    let server = start().await;
    let path = format!("{APPS}/web");
    apply(&server, &path, "fieldManager=alice", &web(json!({"replicas": 1})).to_string()).await;
    let status = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "status": {"readyReplicas": 1, "replicas": 1, "availableReplicas": 1},
    });
    let answer = apply(&server, &format!("{path}/status"), "fieldManager=ctl", &status.to_string()).await;
    assert_eq!(answer.code, 200, "{}", answer.text);
    assert!(
        managers(&answer.json()).contains(
            &r#"ctl Apply status {"f:status":{"f:availableReplicas":{},"f:readyReplicas":{},"f:replicas":{}}}"#.to_owned()
        ),
        "{:?}",
        managers(&answer.json())
    );
    let scale = |replicas: i32| {
        json!({
            "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"replicas": replicas},
        })
        .to_string()
    };
    let refused = apply(&server, &format!("{path}/scale"), "fieldManager=hpa", &scale(3)).await;
    assert_eq!(
        (refused.code, refused.message()),
        (409, "Apply failed with 1 conflict: conflict with \"alice\": .spec.replicas".to_owned())
    );
    let forced = apply(&server, &format!("{path}/scale"), "fieldManager=hpa&force=true", &scale(3)).await;
    assert_eq!((forced.code, &forced.json()["spec"]["replicas"]), (200, &json!(3)), "{}", forced.text);
    let now = server.get(&path).await.json();
    assert!(
        managers(&now).contains(&r#"hpa Apply scale {"f:spec":{"f:replicas":{}}}"#.to_owned()),
        "{:?}",
        managers(&now)
    );
    assert!(!managers(&now)[0].contains("f:replicas"), "{:?}", managers(&now));
    let missing =
        apply(&server, &format!("{APPS}/none/status"), "fieldManager=ctl", &status.to_string()).await;
    assert_eq!(missing.code, 404);
}

#[tokio::test]
async fn what_is_refused() {
    let server = start().await;
    let path = format!("{APPS}/web");
    let body = web(json!({})).to_string();
    let check = async |query: &str, body: &str, code: u16, message: &str| {
        let answer = apply(&server, &path, query, body).await;
        assert_eq!((answer.code, answer.message()), (code, message.to_owned()), "{query}");
    };
    check(
        "",
        &body,
        422,
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
    )
    .await;
    check(
        "fieldManager=a",
        &body.replace("apps/v1", "apps/v2"),
        400,
        "Incorrect version specified in apply patch. Specified patch version: apps/v2, expected: apps/v1",
    )
    .await;
    check(
        "fieldManager=a",
        &body.replace("\"web\"},\"spec\"", "\"web\",\"managedFields\":[{}]},\"spec\""),
        400,
        "metadata.managedFields must be nil",
    )
    .await;
    check(
        "fieldManager=a",
        &body.replace("\"name\":\"web\"", "\"name\":\"other\""),
        400,
        "the name of the object (other) does not match the name on the URL (web)",
    )
    .await;
    check("fieldManager=a", &body.replace("\"selector\"", "\"selectro\""), 500,
        "failed to create typed patch object (/web; apps/v1, Kind=Deployment): .spec.selectro: field not declared in schema").await;
    check("fieldManager=a&fieldValidation=Loose", &body, 422,
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"Loose\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"").await;
    let answer = server.patch(&format!("{path}?force=true"), "merge-patch", json!({})).await;
    assert_eq!(
        (answer.code, answer.message()),
        (422, "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch".into())
    );
    let answer = server.patch(&path, "apply-patch", json!({})).await;
    assert_eq!(
        (answer.code, answer.message()),
        (415, "the body of the request was in an unknown format - accepted media types include: \
            application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
            application/apply-patch+yaml".into())
    );
}

#[tokio::test]
async fn who_may_patch_may_not_create_by_it() {
    let server = start().await;
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "patcher"},
        "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]}],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "patcher"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "patcher"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane"}],
    });
    assert_eq!(server.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", role).await.code, 201);
    assert_eq!(
        server.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding).await.code,
        201
    );
    let jane = server.identity("jane", "people");
    let body = web(json!({})).to_string();
    let path = format!("{APPS}/web?fieldManager=jane");
    let headers = [("content-type", "application/apply-patch+yaml")];
    // The binding reaches the authorizer a moment later.
    let mut answer = server.send_as(Some(jane.clone()), "PATCH", &path, &headers, &body).await;
    for _ in 0..600 {
        if answer.message().contains("cannot create") {
            break;
        }
        server.api.clock.sleep(std::time::Duration::from_millis(100)).await;
        answer = server.send_as(Some(jane.clone()), "PATCH", &path, &headers, &body).await;
    }
    assert_eq!(
        (answer.code, answer.message()),
        (403, "deployments.apps \"web\" is forbidden: User \"jane\" cannot create resource \"deployments\" in API group \
               \"apps\" in the namespace \"default\"".into())
    );
    assert_eq!(server.post(APPS, web(json!({}))).await.code, 201);
    let answer = server.send_as(Some(jane), "PATCH", &path, &headers, &body).await;
    assert_eq!(answer.code, 200, "{}", answer.text);
}

/// Both versions of events are one object.
#[tokio::test]
async fn a_kind_of_two_versions() {
    let server = start().await;
    const OLD: &str = "/api/v1/namespaces/default/events";
    const NEW: &str = "/apis/events.k8s.io/v1/namespaces/default/events";
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "t/c", "reportingInstance": "i",
        "action": "Act", "reason": "Because", "type": "Normal", "note": "text",
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
    });
    let mut watch = server.watch(&format!("{NEW}?watch=1&timeoutSeconds=60")).await;
    let created = server.post(NEW, event).await;
    assert_eq!((created.code, &created.json()["note"]), (201, &json!("text")), "{}", created.text);
    assert_eq!(created.json()["apiVersion"], json!("events.k8s.io/v1"));
    assert!(managers(&created.json())[0].contains("f:note"), "{:?}", managers(&created.json()));
    let seen = watch.next().await.unwrap();
    assert_eq!((&seen["type"], &seen["object"]["note"]), (&json!("ADDED"), &json!("text")));
    let old = server.get(&format!("{OLD}/e")).await.json();
    assert_eq!((&old["apiVersion"], &old["message"]), (&json!("v1"), &json!("text")));
    let list = server.get(&format!("{NEW}?fieldSelector=regarding.kind%3DPod")).await.json();
    assert_eq!((&list["kind"], &list["items"][0]["regarding"]["name"]), (&json!("EventList"), &json!("p")));
    assert_eq!(list["items"][0]["apiVersion"], json!("events.k8s.io/v1"));
    let wrong = server.get(&format!("{NEW}?fieldSelector=involvedObject.kind%3DPod")).await;
    assert_eq!(wrong.code, 400);
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}});
    let patched = server.patch(&format!("{NEW}/e"), "strategic-merge-patch", series).await;
    assert_eq!((patched.code, &patched.json()["series"]["count"]), (200, &json!(2)), "{}", patched.text);
    let refused = server.patch(&format!("{NEW}/e"), "merge-patch", json!({"note": "other"})).await;
    assert_eq!(refused.code, 422, "{}", refused.text);
    // In the other version the same write is allowed, and takes the field from its owner here.
    let taken =
        server.patch(&format!("{OLD}/e?fieldManager=old"), "merge-patch", json!({"message": "other"})).await;
    assert_eq!(taken.code, 200, "{}", taken.text);
    let now = server.get(&format!("{NEW}/e")).await.json();
    assert!(managers(&now).iter().all(|m| !m.contains("f:note")), "{:?}", managers(&now));
    assert!(
        managers(&now).iter().any(|m| m.starts_with("old Update") && m.contains("f:message")),
        "{:?}",
        managers(&now)
    );
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = server.send("GET", &format!("{NEW}?includeObject=Object"), &accept, "").await.json();
    assert_eq!(table["rows"][0]["object"]["note"], json!("other"));
}

/// What a part of a resource puts back is not managed through it, and no conflict.
#[tokio::test]
async fn each_part_manages_what_it_can_set() {
    let server = start().await;
    let path = format!("{APPS}/web");
    assert_eq!(server.post(APPS, web(json!({}))).await.code, 201);
    let mut status = web(json!({}));
    status["metadata"]["labels"] = json!({"of": "status"});
    status["metadata"]["annotations"] = json!({"of": "status"});
    status["status"] = json!({"replicas": 1});
    let applied = apply(&server, &format!("{path}/status"), "fieldManager=s", &status.to_string()).await;
    assert_eq!(applied.code, 200, "{}", applied.text);
    let own = managers(&applied.json()).into_iter().find(|m| m.starts_with("s Apply")).unwrap();
    // Deployments keep their labels in a write of the status, but not their annotations.
    assert_eq!(
        own,
        r#"s Apply status {"f:metadata":{"f:annotations":{"f:of":{}}},"f:status":{"f:replicas":{}}}"#
    );
    assert_eq!(applied.json()["metadata"]["labels"], json!(null));
    let main = web(json!({"replicas": 3}));
    let mut with_status = main.clone();
    with_status["status"] = json!({"replicas": 9});
    let applied = apply(&server, &path, "fieldManager=m&force=true", &with_status.to_string()).await;
    assert_eq!(applied.code, 200, "{}", applied.text);
    assert_eq!(applied.json()["status"]["replicas"], json!(1));
    let own = managers(&applied.json()).into_iter().find(|m| m.starts_with("m Apply")).unwrap();
    assert!(own.contains("f:replicas") && !own.contains("f:status"), "{own}");
}
