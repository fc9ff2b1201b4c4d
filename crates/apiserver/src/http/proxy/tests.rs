use serde_json::{Value, json};

use super::*;

fn pod(spec: Value) -> Pod {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec});
    Pod::from_json(pod.to_string().as_bytes()).unwrap()
}

#[test]
fn which_container() {
    let one = json!({"containers": [{"name": "a"}]});
    let two = json!({"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]});
    let choose = "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]";
    for (spec, asked, expected) in [
        (&one, None, Ok("a")),
        (&one, Some(""), Ok("a")),
        (&one, Some("x"), Err("container x is not valid for pod p")),
        (&two, Some("i"), Ok("i")),
        (&two, None, Err(choose)),
    ] {
        let got = container(&pod(spec.clone()), asked).map_err(|s| s.message);
        assert_eq!(got.as_deref().map_err(|m| &**m), expected);
    }
}

#[test]
fn queries_are_escaped() {
    assert_eq!(query(&[("command", "a b&c".into()), ("tty", "1".into())]), "?command=a%20b%26c&tty=1");
    assert_eq!(query(&[]), "");
}

#[tokio::test]
async fn a_refusal_keeps_its_words() {
    let refusal = |code: u16, text: &str| body::with_type(code, "text/plain", text.to_owned());
    let waiting = "container \"c\" in pod \"p\" is waiting to start: ContainerCreating";
    for (code, text, status, message) in [
        (400, waiting, 400, waiting),
        (404, "x", 404, "the server could not find the requested resource ( pods/log p)"),
        (500, "x", 500, "Internal error occurred: x"),
    ] {
        let got = checked(refusal(code, text), "log", "p").await.unwrap_err();
        assert_eq!((got.code, &*got.message), (status, message));
    }
    assert_eq!(checked(refusal(200, "ok"), "log", "p").await.unwrap().status(), 200);
}

#[test]
fn what_streams_need() {
    assert_eq!(verbs("exec", &Method::GET), ["get", "create"]);
    assert_eq!(verbs("log", &Method::GET), ["get"]);
    assert_eq!(verbs("exec", &Method::POST), ["create"]);
}
