use expect_test::expect;

use super::*;
use crate::testing::{check_create, check_default, check_rows, check_update};

const LEVEL: &str = r#"{
    "metadata": {"name": "l", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}
}"#;

#[test]
fn defaults() {
    check_default(
        &Strategy,
        LEVEL,
        expect![[r#"
        {
          "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
          "kind": "PriorityLevelConfiguration",
          "metadata": {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "name": "l"
          },
          "spec": {
            "limited": {
              "lendablePercent": 0,
              "limitResponse": {
                "queuing": {
                  "handSize": 8,
                  "queueLengthLimit": 50,
                  "queues": 64
                },
                "type": "Queue"
              },
              "nominalConcurrencyShares": 30
            },
            "type": "Limited"
          }
        }
    "#]],
    );
    check_default(
        &Strategy,
        r#"{"metadata": {"name": "exempt"}, "spec": {"type": "Exempt", "exempt": {}}}"#,
        expect![[r#"
            {
              "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
              "kind": "PriorityLevelConfiguration",
              "metadata": {
                "name": "exempt"
              },
              "spec": {
                "exempt": {
                  "lendablePercent": 0,
                  "nominalConcurrencyShares": 0
                },
                "type": "Exempt"
              }
            }
        "#]],
    );
}

#[test]
fn rules() {
    check_create(
        &Strategy,
        LEVEL,
        r#"
        spec.limited.nominalConcurrencyShares = 0

        spec.limited.nominalConcurrencyShares = -1
        spec.limited.lendablePercent = 101
        spec.limited.borrowingLimitPercent = -1

        spec.limited.limitResponse.queuing = {"queues": -1, "handSize": -1, "queueLengthLimit": -1}

        spec.limited.limitResponse.queuing = {"queues": 10000001, "handSize": 1}

        spec.limited.limitResponse.queuing = {"queues": 4, "handSize": 5}

        spec.limited.limitResponse.queuing = {"queues": 1024, "handSize": 7}

        spec.limited.limitResponse = {"type": "Reject", "queuing": {}}

        spec.limited.limitResponse = {"type": "Queue"}

        spec.limited.limitResponse = {"type": "Wait"}

        spec.exempt = {}

        spec.type = "Exempt"

        spec.type = "Free"

        spec = {"type": "Limited"}

        metadata.name = "exempt"

        metadata.name = "exempt"
        spec = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 7, "lendablePercent": 50}}

        metadata.name = "exempt"
        spec = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": -7, "lendablePercent": -50}, "limited": {"limitResponse": {"type": "Reject"}}}

        metadata.name = "catch-all"
        "#,
        expect![[r#"
            spec.limited.nominalConcurrencyShares = 0
                fine
            spec.limited.nominalConcurrencyShares = -1
            spec.limited.lendablePercent = 101
            spec.limited.borrowingLimitPercent = -1
                spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer
                spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive
                spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer
            spec.limited.limitResponse.queuing = {"queues": -1, "handSize": -1, "queueLengthLimit": -1}
                spec.limited.limitResponse.queuing.queueLengthLimit: Invalid value: -1: must be positive
                spec.limited.limitResponse.queuing.queues: Invalid value: -1: must be positive
                spec.limited.limitResponse.queuing.handSize: Invalid value: -1: must be positive
            spec.limited.limitResponse.queuing = {"queues": 10000001, "handSize": 1}
                spec.limited.limitResponse.queuing.queues: Invalid value: 10000001: must not be greater than 10000000
            spec.limited.limitResponse.queuing = {"queues": 4, "handSize": 5}
                spec.limited.limitResponse.queuing.handSize: Invalid value: 5: should not be greater than queues (4)
            spec.limited.limitResponse.queuing = {"queues": 1024, "handSize": 7}
                spec.limited.limitResponse.queuing.handSize: Invalid value: 7: required entropy bits of deckSize 1024 and handSize 7 should not be greater than 60
            spec.limited.limitResponse = {"type": "Reject", "queuing": {}}
                spec.limited.limitResponse.queuing: Forbidden: must be nil if limited.limitResponse.type is not Limited
            spec.limited.limitResponse = {"type": "Queue"}
                spec.limited.limitResponse.queuing: Required value: must not be empty if limited.limitResponse.type is Limited
            spec.limited.limitResponse = {"type": "Wait"}
                spec.limited.limitResponse.type: Unsupported value: "Wait": supported values: "Queue", "Reject"
            spec.exempt = {}
                spec.exempt: Forbidden: must be nil if the type is Limited
            spec.type = "Exempt"
                spec.type: Invalid value: "Exempt": type must be 'Exempt' if and only if name is 'exempt'
                spec.limited: Forbidden: must be nil if the type is not Limited
            spec.type = "Free"
                spec.type: Unsupported value: "Free": supported values: "Exempt", "Limited"
            spec = {"type": "Limited"}
                spec.limited: Required value: must not be empty when type is Limited
            metadata.name = "exempt"
                spec.type: Invalid value: "Limited": type must be 'Exempt' if and only if name is 'exempt'
                spec: Invalid value: {"limited":{"lendablePercent":0,"limitResponse":{"queuing":{"handSize":8,"queueLengthLimit":50,"queues":64},"type":"Queue"},"nominalConcurrencyShares":30},"type":"Limited"}: spec of 'exempt' except the 'spec.exempt' field must equal the fixed value
            metadata.name = "exempt"
            spec = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 7, "lendablePercent": 50}}
                fine
            metadata.name = "exempt"
            spec = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": -7, "lendablePercent": -50}, "limited": {"limitResponse": {"type": "Reject"}}}
                spec.limited: Forbidden: must be nil if the type is not Limited
                spec.exempt.nominalConcurrencyShares: Invalid value: -7: must be a non-negative integer
                spec.exempt.lendablePercent: Invalid value: -50: must be between 0 and 100, inclusive
                spec: Invalid value: {"exempt":{"lendablePercent":-50,"nominalConcurrencyShares":-7},"limited":{"lendablePercent":0,"limitResponse":{"type":"Reject"},"nominalConcurrencyShares":30},"type":"Exempt"}: spec of 'exempt' except the 'spec.exempt' field must equal the fixed value
            metadata.name = "catch-all"
                spec: Invalid value: {"limited":{"lendablePercent":0,"limitResponse":{"queuing":{"handSize":8,"queueLengthLimit":50,"queues":64},"type":"Queue"},"nominalConcurrencyShares":30},"type":"Limited"}: spec of 'catch-all' must equal the fixed value
        "#]],
    );
}

#[test]
fn changes() {
    check_update(
        &Strategy,
        LEVEL,
        r#"
        spec.limited.nominalConcurrencyShares = 5

        spec.type = "Exempt"
        "#,
        Part::Main,
        expect![[r#"
            spec.limited.nominalConcurrencyShares = 5
                fine
            spec.type = "Exempt"
                spec.type: Invalid value: "Exempt": type must be 'Exempt' if and only if name is 'exempt'
                spec.limited: Forbidden: must be nil if the type is not Limited
        "#]],
    );
    check_update(
        &Strategy,
        LEVEL,
        r#"
        status.conditions = [{"type": "x"}, {"type": "x"}, {"type": ""}]
        "#,
        Part::Status,
        expect![[r#"
            status.conditions = [{"type": "x"}, {"type": "x"}, {"type": ""}]
                status.conditions[1].type: Duplicate value: "x"
                status.conditions[2].type: Required value: must not be empty
        "#]],
    );
}

#[test]
fn columns() {
    check_rows(
        &Strategy,
        LEVEL,
        r#"
        spec.limited.nominalConcurrencyShares = 5

        spec = {"type": "Exempt"}

        spec.limited = {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}}
        "#,
        expect![[r#"
            NAME  TYPE  NOMINALCONCURRENCYSHARES  QUEUES  HANDSIZE  QUEUELENGTHLIMIT  AGE
            l  Limited  5  64  8  50  10m
            l  Exempt  <none>  <none>  <none>  <none>  10m
            l  Limited  5  <none>  <none>  <none>  10m
        "#]],
    );
}
