use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_rows, check_update, object};

const BUDGET: &str = r#"{
    "metadata": {"name": "b", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}
}"#;

#[test]
fn rules() {
    check_create(
        &Strategy,
        BUDGET,
        r#"
        - spec.selector

        spec.selector = {}

        spec.minAvailable = "101%"

        spec.minAvailable = "half"

        - spec.minAvailable
        spec.maxUnavailable = -1

        spec.maxUnavailable = "50%"

        spec.unhealthyPodEvictionPolicy = "AlwaysAllow"

        spec.unhealthyPodEvictionPolicy = "Never"
        spec.selector.matchLabels."a b" = "c"
        "#,
        expect![[r#"
            - spec.selector
                fine
            spec.selector = {}
                fine
            spec.minAvailable = "101%"
                spec.minAvailable: Invalid value: "101%": must not be greater than 100%
            spec.minAvailable = "half"
                spec.minAvailable: Invalid value: "half": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')
            - spec.minAvailable
            spec.maxUnavailable = -1
                spec.maxUnavailable: Invalid value: -1: must be greater than or equal to 0
            spec.maxUnavailable = "50%"
                spec: Invalid value: {"MinAvailable":1,"Selector":{"matchLabels":{"app":"a"}},"MaxUnavailable":"50%","UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set
            spec.unhealthyPodEvictionPolicy = "AlwaysAllow"
                fine
            spec.unhealthyPodEvictionPolicy = "Never"
            spec.selector.matchLabels."a b" = "c"
                spec.selector.matchLabels: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
                spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: "AlwaysAllow", "IfHealthyBudget"
        "#]],
    );
}

#[test]
fn updates() {
    check_update(
        &Strategy,
        BUDGET,
        r#"
        spec.minAvailable = 2
        spec.selector.matchLabels.app = "b"
        "#,
        Part::Main,
        expect![[r#"
            spec.minAvailable = 2
            spec.selector.matchLabels.app = "b"
                fine
        "#]],
    );
    check_update(
        &Strategy,
        BUDGET,
        r#"
        status = {"disruptionsAllowed": -1, "currentHealthy": -1, "desiredHealthy": -1, "expectedPods": -1}

        status.conditions = [{"type": "DisruptionAllowed", "status": "True", "reason": "Enough", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]

        status.conditions = [{"type": "a", "status": "Maybe", "reason": "1", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}, {"type": "a", "status": "True", "reason": "", "message": "", "observedGeneration": -1, "lastTransitionTime": "2026-01-01T00:00:00Z"}]
        "#,
        Part::Status,
        expect![[r#"
            status = {"disruptionsAllowed": -1, "currentHealthy": -1, "desiredHealthy": -1, "expectedPods": -1}
                status.disruptionsAllowed: Invalid value: -1: must be greater than or equal to 0
                status.currentHealthy: Invalid value: -1: must be greater than or equal to 0
                status.desiredHealthy: Invalid value: -1: must be greater than or equal to 0
                status.expectedPods: Invalid value: -1: must be greater than or equal to 0
            status.conditions = [{"type": "DisruptionAllowed", "status": "True", "reason": "Enough", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
                fine
            status.conditions = [{"type": "a", "status": "Maybe", "reason": "1", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}, {"type": "a", "status": "True", "reason": "", "message": "", "observedGeneration": -1, "lastTransitionTime": "2026-01-01T00:00:00Z"}]
                status.conditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"
                status.conditions[0].reason: Invalid value: "1": a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')
                status.conditions[1].type: Duplicate value: "a"
                status.conditions[1].observedGeneration: Invalid value: -1: must be greater than or equal to zero
                status.conditions[1].reason: Required value: must be set
        "#]],
    );
}

#[test]
fn spending() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let spend = |edits: &str| {
        let mut budget = object(&Strategy, BUDGET, edits);
        match budget.spend("p", now) {
            Err(refusal) => format!("{refusal:?}\n"),
            Ok(()) => {
                let status = budget.status.unwrap();
                let reason = status.conditions.iter().flatten().map(|c| c.reason.as_str()).next();
                let pods: Vec<_> = status.disrupted_pods.iter().flatten().map(|(name, _)| name).collect();
                format!("left {:?}, {reason:?}, gone {pods:?}\n", status.disruptions_allowed)
            }
        }
    };
    let mut out = String::new();
    for edits in [
        "metadata.generation = 2\nstatus = {\"observedGeneration\": 1, \"disruptionsAllowed\": 1}",
        "status = {\"disruptionsAllowed\": 2}",
        "status = {\"disruptionsAllowed\": 1}",
        "status = {\"disruptionsAllowed\": 0, \"desiredHealthy\": 2, \"currentHealthy\": 1}",
        "status = {\"disruptionsAllowed\": -1}",
        "status.conditions = [{\"type\": \"DisruptionAllowed\", \"status\": \"False\", \"reason\": \"SyncFailed\", \
         \"message\": \"why\", \"lastTransitionTime\": \"2026-01-01T00:00:00Z\"}]",
    ] {
        out += &spend(edits);
    }
    expect![[r#"
        Unknown("The disruption budget b is still being processed by the server.")
        left Some(1), None, gone ["p"]
        left Some(0), Some("InsufficientPods"), gone ["p"]
        Later("The disruption budget b needs 2 healthy pods and has 1 currently")
        Broken("pdb disruptions allowed is negative")
        Later("The disruption budget b does not allow evicting pods currently because it failed sync: why")
    "#]]
    .assert_eq(&out);
}

#[test]
fn unready_pods_may_be_spared() {
    let spares = |edits: &str| object(&Strategy, BUDGET, edits).spares_unready();
    assert!(!spares(""));
    assert!(spares("status = {\"currentHealthy\": 1, \"desiredHealthy\": 1}"));
    assert!(!spares("status = {\"currentHealthy\": 0, \"desiredHealthy\": 1}"));
    assert!(spares("spec.unhealthyPodEvictionPolicy = \"AlwaysAllow\""));
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        BUDGET,
        r#"
        status.disruptionsAllowed = 2

        - spec.minAvailable
        spec.maxUnavailable = "20%"
        "#,
        expect![[r#"
            NAME  MIN AVAILABLE  MAX UNAVAILABLE  ALLOWED DISRUPTIONS  AGE
            b  1  N/A  2  10m
            b  N/A  20%  0  10m
        "#]],
    );
}
