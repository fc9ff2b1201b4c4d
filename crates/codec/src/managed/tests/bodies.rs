//! Server-side apply: what bodies have to be, and those whose past is kubectl's or a scale's.

use apimachinery::Gvk;
use apimachinery::managed::nowhere;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;

use super::super::*;
use super::apply::run;
use crate::decode::Strictness;
use crate::{Kind, yaml};

#[test]
fn kubectl_takes_over_what_it_wrote_the_old_way() {
    let body = |replicas: i32, image: &str| {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web}}, spec: {{replicas: {replicas}, \
             template: {{spec: {{containers: [{{name: a, image: {image}}}]}}}}}}}}"
        )
    };
    let writer = |manager, second| Writer {
        manager,
        api_version: "apps/v1",
        subresource: "",
        ignored: &["status"],
        now: Timestamp::from_second(second).unwrap(),
    };
    let gvk = Gvk::new("apps", "v1", "Deployment");
    let mut old: Deployment =
        Deployment::from_json(yaml::to_value(body(1, "x").as_bytes()).unwrap().to_string().as_bytes())
            .unwrap();
    let last = yaml::to_value(body(1, "x").as_bytes()).unwrap().to_string();
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    old.metadata.annotations = Some([(annotation.to_owned(), last)].into());
    created(&mut old, &writer("kubectl-client-side-apply", 1));
    // Somebody else takes the image.
    let mut taken = old.clone();
    taken.spec.template.spec.as_mut().unwrap().containers[0].image = Some("y".into());
    updated(&mut taken, &old, &writer("edit", 2), &nowhere);
    let run = |live: &Deployment, manager, body: String| {
        run(&gvk, Some(live), body.as_bytes(), &writer(manager, 3), false)
    };
    assert_eq!(run(&old, "other", body(2, "x")).unwrap_err().code, 409);
    let done = Deployment::from_json(&run(&old, "kubectl", body(2, "x")).unwrap()).unwrap();
    assert_eq!(done.spec.replicas, Some(2));
    let annotated = &done.metadata.annotations.as_ref().unwrap()[annotation];
    assert!(annotated.contains("\"replicas\":2") && annotated.ends_with("}\n"), "{annotated}");
    let refused = run(&taken, "kubectl", body(2, "z")).unwrap_err();
    let expected = "Apply failed with 1 conflict: conflict with \"edit\" using apps/v1: \
                    .spec.template.spec.containers[name=\"a\"].image";
    assert_eq!(refused.message, expected);
}

#[test]
fn a_body_says_what_it_is() {
    let gvk = Gvk::new("apps", "v1", "Deployment");
    let writer = Writer {
        manager: "a",
        api_version: "apps/v1",
        subresource: "",
        ignored: &[],
        now: Timestamp::from_second(1).unwrap(),
    };
    for (body, expected) in [
        (
            "{kind: Deployment}",
            "Incorrect version specified in apply patch. Specified patch version: , expected: apps/v1",
        ),
        (
            "{apiVersion: apps/v1beta1, kind: Deployment}",
            "Incorrect version specified in apply patch. Specified patch version: apps/v1beta1, expected: apps/v1",
        ),
        (
            "{apiVersion: apps/v1, kind: DaemonSet}",
            "Incorrect kind specified in apply patch. Specified patch kind: DaemonSet, expected: Deployment",
        ),
        (
            "[]",
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go \
             value of type map[string]interface {}",
        ),
    ] {
        let apply = Apply { gvk: &gvk, body: body.as_bytes(), strictness: Strictness::Warn, force: false };
        let status = super::super::apply(&apply, None, &writer, &nowhere).unwrap_err();
        assert_eq!((status.code, &*status.message), (400, expected), "{body}");
    }
}

#[test]
fn replicas_change_hands_through_the_scale() {
    let mut web: Deployment = Deployment::from_json(
        br#"{"metadata":{"name":"web"},"spec":{"replicas":1,"paused":true,"selector":{},"template":{}}}"#,
    )
    .unwrap();
    let now = Timestamp::from_second(1).unwrap();
    created(&mut web, &Writer { manager: "a", api_version: "apps/v1", subresource: "", ignored: &[], now });
    let parent = web.metadata.managed_fields.unwrap();
    let mut scale = of_scale(&parent).unwrap();
    assert_eq!(scale[0].api_version.as_deref(), Some("autoscaling/v1"));
    assert_eq!(of_scaled(&parent, &scale, "apps/v1").unwrap(), parent);
    scale[0].manager = Some("b".into());
    scale[0].subresource = Some("scale".into());
    let after = of_scaled(&parent, &scale, "apps/v1").unwrap();
    let text = |at: usize| serde_json::to_string(&after[at].fields_v1).unwrap();
    assert_eq!(text(0), r#"{"f:spec":{"f:paused":{},"f:selector":{}}}"#);
    assert_eq!(
        (text(1), after[1].api_version.as_deref()),
        (r#"{"f:spec":{"f:replicas":{}}}"#.into(), Some("apps/v1"))
    );
}
