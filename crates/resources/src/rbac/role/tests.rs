use expect_test::expect;
use k8s_openapi::api::rbac::v1::{ClusterRole, Role};

use super::*;
use crate::testing::{check_create, check_rows};

const ROLE: &str = r#"{
    "metadata": {"name": "system:r", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]
}"#;

#[test]
fn roles() {
    check_create(
        &Strategy::<Role>::default(),
        ROLE,
        r#"
        rules = []

        rules[0].verbs = []

        rules[0].apiGroups = []
        - rules[0].resources

        rules[0] = {"verbs": ["get"], "nonResourceURLs": ["/healthz"]}
        "#,
        expect![[r#"
            rules = []
                fine
            rules[0].verbs = []
                rules[0].verbs: Required value: verbs must contain at least one value
            rules[0].apiGroups = []
            - rules[0].resources
                rules[0].apiGroups: Required value: resource rules must supply at least one api group
                rules[0].resources: Required value: resource rules must supply at least one resource
            rules[0] = {"verbs": ["get"], "nonResourceURLs": ["/healthz"]}
                rules[0].nonResourceURLs: Invalid value: ["/healthz"]: namespaced rules cannot apply to non-resource URLs
        "#]],
    );
    check_rows(
        &Strategy::<Role>::default(),
        ROLE,
        "",
        expect![[r#"
        NAME  CREATED AT
        system:r  2026-01-01T00:00:00Z
    "#]],
    );
}

#[test]
fn cluster_roles() {
    check_create(
        &Strategy::<ClusterRole>::default(),
        ROLE,
        r#"
        rules[0] = {"verbs": ["get"], "nonResourceURLs": ["/healthz"]}

        rules[0].nonResourceURLs = ["/healthz"]

        aggregationRule = {}

        aggregationRule.clusterRoleSelectors = [{"matchExpressions": [{"key": "a", "operator": "In"}]}]
        "#,
        expect![[r#"
            rules[0] = {"verbs": ["get"], "nonResourceURLs": ["/healthz"]}
                fine
            rules[0].nonResourceURLs = ["/healthz"]
                rules[0].nonResourceURLs: Invalid value: ["/healthz"]: rules cannot apply to both regular resources and non-resource URLs
            aggregationRule = {}
                aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil
            aggregationRule.clusterRoleSelectors = [{"matchExpressions": [{"key": "a", "operator": "In"}]}]
                aggregationRule.clusterRoleSelectors[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'
        "#]],
    );
}
