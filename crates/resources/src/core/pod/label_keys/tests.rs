use codec::Kind;
use k8s_openapi::api::core::v1::Pod;

use super::*;

#[test]
fn keys_become_requirements() {
    let json = r#"{"metadata": {"labels": {"app": "web", "hash": "x1"}}, "spec": {"containers": [],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{
            "topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}},
            "matchLabelKeys": ["hash", "gone"], "mismatchLabelKeys": ["app"]}]}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {}, "matchLabelKeys": ["hash"]}]}}"#;
    let mut pod = Pod::from_json(json.as_bytes()).unwrap();
    resolve(&mut pod);
    let spec = pod.spec.unwrap();
    let anti = spec.affinity.unwrap().pod_anti_affinity.unwrap();
    let term = &anti.required_during_scheduling_ignored_during_execution.unwrap()[0];
    let show = |s: &Option<LabelSelector>| crate::selector::show(s.as_ref().unwrap());
    assert_eq!(show(&term.label_selector), "app=web,app notin (web),hash in (x1)");
    assert_eq!(show(&spec.topology_spread_constraints.unwrap()[0].label_selector), "hash in (x1)");
}
