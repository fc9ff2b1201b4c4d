//! The flow schemas and priority levels that every cluster has: those that are mandatory, which nobody may change, and
//! those that are suggested, which are kept as they are here unless somebody wants them otherwise.

use k8s_openapi::api::flowcontrol::v1::{
    ExemptPriorityLevelConfiguration, FlowDistinguisherMethod, FlowSchema, FlowSchemaSpec, GroupSubject,
    LimitResponse, LimitedPriorityLevelConfiguration, NonResourcePolicyRule, PolicyRulesWithSubjects,
    PriorityLevelConfiguration, PriorityLevelConfigurationReference, PriorityLevelConfigurationSpec,
    QueuingConfiguration, ResourcePolicyRule, ServiceAccountSubject, Subject, UserSubject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The level whose requests never wait, and the schema of those that are in it.
pub const EXEMPT: &str = "exempt";
/// Where requests go that no other schema is for.
pub const CATCH_ALL: &str = "catch-all";
/// On an object: `true` when its spec is kept as it is here.
pub const AUTO_UPDATE: &str = "apf.kubernetes.io/autoupdate-spec";

const BY_USER: &str = "ByUser";
const BY_NAMESPACE: &str = "ByNamespace";
const ALL: &[&str] = &["*"];

/// A level of [`LEVELS`]: name, shares, percentage that others may borrow, queues with hand size and length.
type Level = (&'static str, i32, i32, Option<(i32, i32, i32)>);

const LEVELS: &[Level] = &[
    (CATCH_ALL, 5, 0, None),
    ("system", 30, 33, Some((64, 6, 50))),
    ("node-high", 40, 25, Some((64, 6, 50))),
    ("leader-election", 10, 0, Some((16, 4, 50))),
    ("workload-high", 40, 50, Some((128, 6, 50))),
    ("workload-low", 100, 90, Some((128, 6, 50))),
    ("global-default", 20, 50, Some((128, 6, 50))),
];

/// Whether the object of this name is one that nobody may change or remove.
pub fn is_mandatory(name: &str) -> bool {
    [EXEMPT, CATCH_ALL].contains(&name)
}

/// All levels, the mandatory ones first.
pub fn priority_levels() -> Vec<PriorityLevelConfiguration> {
    let spec = PriorityLevelConfigurationSpec {
        type_: "Exempt".into(),
        exempt: Some(ExemptPriorityLevelConfiguration {
            nominal_concurrency_shares: Some(0),
            lendable_percent: Some(0),
        }),
        limited: None,
    };
    let exempt = PriorityLevelConfiguration { metadata: named(EXEMPT), spec, status: None };
    std::iter::once(exempt).chain(LEVELS.iter().map(limited)).collect()
}

fn limited(&(name, shares, lendable, queues): &Level) -> PriorityLevelConfiguration {
    let queuing = queues.map(|(queues, hand_size, length)| QueuingConfiguration {
        queues: Some(queues),
        hand_size: Some(hand_size),
        queue_length_limit: Some(length),
    });
    let type_ = if queuing.is_some() { "Queue" } else { "Reject" }.into();
    let limited = LimitedPriorityLevelConfiguration {
        nominal_concurrency_shares: Some(shares),
        lendable_percent: Some(lendable),
        borrowing_limit_percent: None,
        limit_response: LimitResponse { type_, queuing },
    };
    let spec =
        PriorityLevelConfigurationSpec { type_: "Limited".into(), exempt: None, limited: Some(limited) };
    PriorityLevelConfiguration { metadata: named(name), spec, status: None }
}

/// All schemas, the mandatory ones first.
pub fn flow_schemas() -> Vec<FlowSchema> {
    let everybody = || vec![group("system:unauthenticated"), group("system:authenticated")];
    let kube_system = |name: &str| service_account("kube-system", name);
    let lease = || resources(&["get", "create", "update"], "coordination.k8s.io", &["leases"], false);
    let leader = |subjects| PolicyRulesWithSubjects {
        subjects,
        resource_rules: Some(vec![lease()]),
        non_resource_rules: None,
    };
    vec![
        schema(EXEMPT, EXEMPT, 1, "", everything(vec![group("system:masters")])),
        schema(CATCH_ALL, CATCH_ALL, 10_000, BY_USER, everything(everybody())),
        schema("probes", EXEMPT, 2, "", probes(everybody())),
        schema(
            "system-leader-election",
            "leader-election",
            100,
            BY_USER,
            leader(vec![
                user("system:kube-controller-manager"),
                user("system:kube-scheduler"),
                kube_system("*"),
            ]),
        ),
        schema(
            "endpoint-controller",
            "workload-high",
            150,
            BY_USER,
            PolicyRulesWithSubjects {
                subjects: vec![
                    user("system:kube-controller-manager"),
                    kube_system("endpoint-controller"),
                    kube_system("endpointslicemirroring-controller"),
                ],
                resource_rules: Some(vec![resources(
                    &["get", "create", "update"],
                    "",
                    &["endpoints"],
                    false,
                )]),
                non_resource_rules: None,
            },
        ),
        schema("workload-leader-election", "leader-election", 200, BY_USER, leader(vec![kube_system("*")])),
        schema("system-node-high", "node-high", 400, BY_USER, node_high()),
        schema("system-nodes", "system", 500, BY_USER, everything(vec![group("system:nodes")])),
        schema(
            "kube-controller-manager",
            "workload-high",
            800,
            BY_NAMESPACE,
            everything(vec![user("system:kube-controller-manager")]),
        ),
        schema(
            "kube-scheduler",
            "workload-high",
            800,
            BY_NAMESPACE,
            everything(vec![user("system:kube-scheduler")]),
        ),
        schema(
            "kube-system-service-accounts",
            "workload-high",
            900,
            BY_NAMESPACE,
            everything(vec![kube_system("*")]),
        ),
        schema(
            "service-accounts",
            "workload-low",
            9_000,
            BY_USER,
            everything(vec![group("system:serviceaccounts")]),
        ),
        schema("global-default", "global-default", 9_900, BY_USER, everything(everybody())),
    ]
}

fn schema(
    name: &str,
    level: &str,
    precedence: i32,
    distinguisher: &str,
    rule: PolicyRulesWithSubjects,
) -> FlowSchema {
    let method = || FlowDistinguisherMethod { type_: distinguisher.into() };
    let spec = FlowSchemaSpec {
        distinguisher_method: (!distinguisher.is_empty()).then(method),
        matching_precedence: Some(precedence),
        priority_level_configuration: PriorityLevelConfigurationReference { name: level.into() },
        rules: Some(vec![rule]),
    };
    FlowSchema { metadata: named(name), spec, status: None }
}

/// Whatever these subjects ask for.
fn everything(subjects: Vec<Subject>) -> PolicyRulesWithSubjects {
    let all = || strings(ALL);
    PolicyRulesWithSubjects {
        subjects,
        resource_rules: Some(vec![ResourcePolicyRule {
            verbs: all(),
            api_groups: all(),
            resources: all(),
            cluster_scope: Some(true),
            namespaces: Some(all()),
        }]),
        non_resource_rules: Some(vec![NonResourcePolicyRule { verbs: all(), non_resource_urls: all() }]),
    }
}

fn probes(subjects: Vec<Subject>) -> PolicyRulesWithSubjects {
    let rule = NonResourcePolicyRule {
        verbs: strings(&["get"]),
        non_resource_urls: strings(&["/healthz", "/readyz", "/livez"]),
    };
    PolicyRulesWithSubjects { subjects, resource_rules: None, non_resource_rules: Some(vec![rule]) }
}

/// What tells that a node is alive.
fn node_high() -> PolicyRulesWithSubjects {
    PolicyRulesWithSubjects {
        subjects: vec![group("system:nodes")],
        resource_rules: Some(vec![
            resources(ALL, "", &["nodes", "nodes/status"], true),
            resources(ALL, "coordination.k8s.io", &["leases"], false),
        ]),
        non_resource_rules: None,
    }
}

/// In all namespaces, cluster-wide, too, if `cluster`.
fn resources(verbs: &[&str], group: &str, resources: &[&str], cluster: bool) -> ResourcePolicyRule {
    ResourcePolicyRule {
        verbs: strings(verbs),
        api_groups: vec![group.into()],
        resources: strings(resources),
        cluster_scope: cluster.then_some(true),
        namespaces: Some(strings(ALL)),
    }
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() }
}

fn group(name: &str) -> Subject {
    Subject { kind: "Group".into(), group: Some(GroupSubject { name: name.into() }), ..Subject::default() }
}

fn user(name: &str) -> Subject {
    Subject { kind: "User".into(), user: Some(UserSubject { name: name.into() }), ..Subject::default() }
}

fn service_account(namespace: &str, name: &str) -> Subject {
    let account = ServiceAccountSubject { namespace: namespace.into(), name: name.into() };
    Subject { kind: "ServiceAccount".into(), service_account: Some(account), ..Subject::default() }
}

#[cfg(test)]
mod tests {
    use apimachinery::field::ErrorList;

    use super::*;
    use crate::Strategy as _;
    use crate::flowcontrol::{flow_schema, priority_level};

    /// What a server writes at its start is nothing that it would refuse, or change.
    #[test]
    fn they_are_valid_and_complete() {
        for schema in flow_schemas() {
            assert_eq!(flow_schema::Strategy.validate(&schema), ErrorList::new());
            let mut defaulted = schema.clone();
            flow_schema::Strategy.default(&mut defaulted);
            assert_eq!(defaulted, schema);
            let level = &schema.spec.priority_level_configuration.name;
            assert!(priority_levels().iter().any(|l| l.metadata.name.as_ref() == Some(level)), "{level}");
        }
        for level in priority_levels() {
            assert_eq!(priority_level::Strategy.validate(&level), ErrorList::new());
            let mut defaulted = level.clone();
            priority_level::Strategy.default(&mut defaulted);
            assert_eq!(defaulted, level);
        }
    }
}
