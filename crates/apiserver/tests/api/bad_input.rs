//! A clear answer for everything that is wrong.

use serde_json::json;

use super::server::{Server, config_map, start};

const CMS: &str = "/api/v1/namespaces/default/configmaps";
const JSON: (&str, &str) = ("content-type", "application/json");

/// `method path` with a body is answered with a code and a message that begins so.
async fn check(server: &Server, request: &str, content_type: &str, body: &str, code: u16, message: &str) {
    let (method, path) = request.split_once(' ').unwrap();
    let answer = server.send(method, path, &[("content-type", content_type)], body).await;
    assert_eq!(answer.code, code, "{request}: {}", answer.text);
    let status = answer.json();
    assert_eq!((&status["kind"], &status["status"]), (&json!("Status"), &json!("Failure")), "{request}");
    let got = answer.message();
    assert!(got.starts_with(message), "{request}:\n got {got}\nwant {message}");
}

#[tokio::test]
async fn bodies() {
    let server = start().await;
    let json = "application/json";
    let post = &format!("POST {CMS}");
    check(&server, post, json, "{", 400, "the object provided is unrecognized (must be of type ConfigMap):")
        .await;
    check(&server, post, json, "", 400, "the object provided is unrecognized (must be of type ConfigMap):")
        .await;
    check(&server, post, "application/yaml", "a: [", 400, "the object provided is unrecognized").await;
    check(&server, post, json, r#"{"kind":"Pod","apiVersion":"v1"}"#, 400, "Pod in version \"v1\" cannot be")
        .await;
    check(&server, post, json, r#"{"metadata":{"name":"a"},"data":5}"#, 400, "ConfigMap in version \"v1\"")
        .await;
    check(
        &server,
        post,
        json,
        r#"{"metadata":{"name":"A_"}}"#,
        422,
        "ConfigMap \"A_\" is invalid: metadata.name",
    )
    .await;
    check(
        &server,
        post,
        json,
        "{}",
        422,
        "ConfigMap \"\" is invalid: metadata.name: Required value: name or",
    )
    .await;
    check(&server, post, "text/plain", "x", 415, "the body of the request was in an unknown format").await;
    check(&server, post, "application/vnd.kubernetes.protobuf", "x", 400, "the object provided is unrecog")
        .await;
    let other = r#"{"metadata":{"name":"a","namespace":"other"}}"#;
    let words = "the namespace of the provided object does not match the namespace sent on the request";
    check(&server, post, json, other, 400, words).await;
    let versioned = r#"{"metadata":{"name":"a","resourceVersion":"5"}}"#;
    check(&server, post, json, versioned, 400, "resourceVersion should not be set on objects to be created")
        .await;
    let missing = "POST /api/v1/namespaces/none/configmaps";
    check(&server, missing, json, &config_map("a").to_string(), 404, "namespaces \"none\" not found").await;
    let big = format!(r#"{{"metadata":{{"name":"a"}},"data":{{"k":"{}"}}}}"#, "x".repeat(3 << 20));
    check(&server, post, json, &big, 413, "Request entity too large: limit is 3145728").await;
    assert_eq!(server.get("/livez").await.text, "ok");
}

#[tokio::test]
async fn field_validation() {
    let server = start().await;
    let body = r#"{"metadata":{"name":"a"},"data":{"a":"1","a":"2"},"wrong":1}"#;
    let strict = server.send("POST", &format!("{CMS}?fieldValidation=Strict"), &[JSON], body).await;
    assert_eq!(strict.code, 400);
    let words = "strict decoding error: ";
    assert!(
        strict.message().contains(words) && strict.message().contains("unknown field \"wrong\""),
        "{}",
        strict.text
    );
    let warn = server.send("POST", &format!("{CMS}?fieldValidation=Warn&dryRun=All"), &[JSON], body).await;
    assert_eq!(warn.code, 201, "{}", warn.text);
    let warnings: Vec<_> = warn.headers.get_all("warning").iter().map(|w| w.to_str().unwrap()).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.contains(&r#"299 - "unknown field \"wrong\"""#), "{warnings:?}");
    let ignore = server.send("POST", &format!("{CMS}?fieldValidation=Ignore"), &[JSON], body).await;
    assert_eq!((ignore.code, ignore.headers.get("warning")), (201, None));
    assert_eq!(ignore.json()["data"], json!({"a": "2"}));
    let odd = server.send("POST", &format!("{CMS}?fieldValidation=Odd"), &[JSON], body).await;
    assert_eq!(odd.code, 422);
}

#[tokio::test]
async fn parameters_and_paths() {
    let server = start().await;
    let json = "application/json";
    for (path, code, words) in [
        ("?labelSelector=a%3D%3D%3Db", 400, "unable to parse requirement"),
        ("?fieldSelector=spec.x%3Dy", 400, "\"spec.x\" is not a known field selector"),
        ("?fieldSelector=x", 400, "invalid selector"),
        ("?limit=x", 400, "strconv.ParseInt: parsing \"x\": invalid syntax"),
        ("?resourceVersion=x", 400, "resourceVersion: Invalid value"),
        (
            "?resourceVersionMatch=Exact",
            422,
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden",
        ),
        (
            "?continue=%3F",
            400,
            "invalid continue token: continue key is not valid: illegal base64 data at input byte 0",
        ),
        ("?resourceVersion=999999", 504, "Timeout: Too large resource version: 999999"),
    ] {
        check(&server, &format!("GET {CMS}{path}"), json, "", code, words).await;
    }
    let gone = "the server could not find the requested resource";
    check(&server, "GET /api/v1/foos", json, "", 404, gone).await;
    check(&server, "GET /api/v1/namespaces/default/configmaps/a/status", json, "", 404, gone).await;
    check(&server, &format!("GET {CMS}/none"), json, "", 404, "configmaps \"none\" not found").await;
    let method = "the server does not allow this method on the requested resource";
    check(&server, &format!("TRACE {CMS}"), json, "", 405, method).await;
    check(&server, "POST /version", json, "", 405, method).await;
    for request in ["PUT", "PATCH"] {
        check(&server, &format!("{request} {CMS}"), "application/merge-patch+json", "{}", 405, method).await;
    }
    check(&server, &format!("POST {CMS}/a"), json, "{}", 405, method).await;
    check(
        &server,
        &format!("POST {CMS}?dryRun=Some"),
        json,
        "{}",
        422,
        "CreateOptions.meta.k8s.io \"\" is inva",
    )
    .await;
    for path in ["/foo", "/apis/none/v1", "/apis/none/v1/things"] {
        let answer = server.get(path).await;
        assert_eq!((answer.code, &*answer.text), (404, "404 page not found\n"), "{path}");
    }
    let accept = server.send("GET", CMS, &[("accept", "text/html")], "").await;
    assert_eq!(accept.code, 406, "{}", accept.text);
}

#[tokio::test]
async fn patches_and_versions() {
    let server = start().await;
    let created = server.post(CMS, config_map("a")).await.json();
    let path = format!("{CMS}/a");
    let patch = &format!("PATCH {path}");
    check(&server, patch, "application/json", "{}", 415, "the body of the request was in an unknown format")
        .await;
    let (merge, strategic) = ("application/merge-patch+json", "application/strategic-merge-patch+json");
    let operations = "application/json-patch+json";
    let words =
        "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}";
    check(&server, patch, merge, "[]", 400, words).await;
    let words =
        "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp";
    check(&server, patch, operations, "{}", 400, words).await;
    let words = "invalid character 'x' looking for beginning of value";
    check(&server, patch, strategic, "x", 400, words).await;
    let strict = &format!("{patch}?fieldValidation=Strict");
    let words = " \"\" is invalid: patch: Invalid value: \"{";
    let body = r#"{"data":{"k":1}}"#;
    check(&server, patch, merge, body, 422, words).await;
    let words = " \"\" is invalid: patch: Invalid value: \"map[data:map[k:b] foo:1]\": strict decoding error: \
                 duplicate field \"data.k\", unknown field \"foo\"";
    check(&server, strict, strategic, r#"{"foo":1,"data":{"k":"a","k":"b"}}"#, 422, words).await;
    let body = r#"[{"op":"add","path":"/data/k","value":"w","op":"add","foo":1}]"#;
    let answer = server
        .send("PATCH", &format!("{path}?fieldValidation=Strict"), &[("content-type", operations)], body)
        .await;
    let words =
        "strict decoding error: json patch duplicate field \"[0].op\", json patch unknown field \"[0].foo\"";
    assert!(answer.code == 422 && answer.message().ends_with(words), "{}", answer.text);
    let absent = r#"[{"op":"remove","path":"/data/none"}]"#;
    check(&server, patch, "application/json-patch+json", absent, 422, "the server rejected our request")
        .await;
    check(&server, patch, "application/strategic-merge-patch+json", "5", 400, "").await;
    let rename = r#"{"metadata":{"name":"b"}}"#;
    let words = "the name of the object (b) does not match the name on the URL (a)";
    check(&server, patch, "application/merge-patch+json", rename, 400, words).await;
    let stale = r#"{"metadata":{"resourceVersion":"1"},"data":{"x":"y"}}"#;
    let words = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified";
    check(&server, patch, "application/merge-patch+json", stale, 409, words).await;
    let mut stale = created.clone();
    server.patch(&path, "merge-patch", json!({"data": {"k": "w"}})).await;
    stale["data"] = json!({"k": "lost"});
    check(&server, &format!("PUT {path}"), "application/json", &stale.to_string(), 409, words).await;
    assert_eq!(server.get(&path).await.json()["data"], json!({"k": "w"}));
    let other = json!({"metadata": {"name": "a", "uid": "other"}}).to_string();
    let words = "Operation cannot be fulfilled on configmaps \"a\": StorageError: invalid object, Code: 4, Key: \
                 /registry/configmaps/default/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in \
                 precondition: other, UID in object meta: ";
    check(&server, &format!("PUT {path}"), "application/json", &other, 409, words).await;
    let apply = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"new","uid":"x"}}"#;
    let words = "Operation cannot be fulfilled on configmaps \"new\": uid mismatch: the provided object specified uid x, \
                 and no existing object was found";
    let request = &format!("PATCH {CMS}/new?fieldManager=m");
    check(&server, request, "application/apply-patch+yaml", apply, 409, words).await;
    let words = "Name parameter invalid: \"a%b\": may not contain '%'";
    check(&server, &format!("GET {CMS}/a%25b"), "application/json", "", 400, words).await;
    let missing = r#"{"metadata":{"name":"b"}}"#;
    check(&server, &format!("PUT {CMS}/b"), "application/json", missing, 404, "configmaps \"b\" not found")
        .await;
    let uid = json!({"preconditions": {"uid": "other"}}).to_string();
    let delete = &format!("DELETE {path}");
    check(
        &server,
        delete,
        "application/json",
        &uid,
        409,
        "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition",
    )
    .await;
    let words =
        "the object provided is unrecognized (must be of type DeleteOptions): couldn't get version/kind";
    check(&server, delete, "application/json", "{", 400, words).await;
    let policy = json!({"propagationPolicy": "Some"}).to_string();
    check(&server, delete, "application/json", &policy, 422, "DeleteOptions.meta.k8s.io \"\" is invalid")
        .await;
}

#[tokio::test]
async fn credentials() {
    let server = start().await;
    let nobody = server.send_as(None, "GET", CMS, &[], "").await;
    assert_eq!(nobody.code, 403);
    let words = "configmaps is forbidden: User \"system:anonymous\" cannot list resource \"configmaps\" in API group \
                 \"\" in the namespace \"default\"";
    assert_eq!(nobody.message(), words);
    let token = server.send_as(None, "GET", CMS, &[("authorization", "Bearer wrong")], "").await;
    assert_eq!((token.code, &*token.message()), (401, "Unauthorized"));
    let stranger = start().await.identity("admin", "system:masters");
    assert_eq!(server.send_as(Some(stranger), "GET", CMS, &[], "").await.code, 401);
    let jane = server.identity("jane", "devs");
    let refused = server.send_as(Some(jane.clone()), "GET", CMS, &[], "").await;
    assert!(refused.message().contains("User \"jane\" cannot list"), "{}", refused.text);
    let become_admin = [("impersonate-user", "admin"), ("impersonate-group", "system:masters")];
    assert_eq!(server.send_as(Some(jane), "GET", CMS, &become_admin, "").await.code, 403);
    let become_jane = server.send("GET", CMS, &[("impersonate-user", "jane")], "").await;
    assert!(become_jane.message().contains("User \"jane\" cannot list"), "{}", become_jane.text);
}

/// Other spellings of a path are other paths: nobody gets in by one.
#[tokio::test]
async fn path_tricks() {
    let server = start().await;
    let jane = server.identity("jane", "people");
    for path in [
        "//api/v1/secrets",
        "/api//v1/secrets",
        "/api/v1//secrets",
        "/API/v1/secrets",
        "/api/V1/secrets",
        "/api/v1/Secrets",
        "/api/v1/../v1/secrets",
        "/version/../api/v1/secrets",
        "/healthz/..%2f..%2fapi/v1/secrets",
        "/%61pi/v1/secrets",
        "/api/v1/%2e%2e/secrets",
        "/api/v1/namespaces/default/%2e%2e/secrets",
        "/api/v1/namespaces/%2e%2e/secrets",
        "/api/v1/namespaces/default%2fsecrets",
        "/apis/..%2fapi/v1/secrets",
    ] {
        let refused = server.send_as(Some(jane.clone()), "GET", path, &[], "").await;
        assert_eq!(refused.code, 403, "{path}: {}", refused.text);
        let admin = server.get(path).await;
        let nothing = admin.code == 404 || admin.code == 400 || admin.json()["items"] == json!([]);
        assert!(nothing, "{path}: {} {}", admin.code, admin.text);
    }
}

#[tokio::test]
async fn custom_resource_definitions_are_known_to_be_none() {
    let server = start().await;
    const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let list = server.get(CRDS).await;
    assert_eq!((list.code, &list.json()["items"]), (200, &json!([])));
    assert_eq!(server.post(CRDS, json!({})).await.code, 405);
    assert_eq!(server.get(&format!("{CRDS}/x")).await.code, 405);
    assert_eq!(server.get("/apis/apiextensions.k8s.io/v1").await.code, 404);
    assert!(!server.get("/apis").await.text.contains("apiextensions"));
}
