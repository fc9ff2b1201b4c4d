//! Cluster roles that gather the rules of others by label.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::selector::{Expression, Selector};
use client::transport::{PatchType, Transport};
use client::{Api, Informer};
use codec::Kind;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::json;
use stdx::clock::SharedClock;

/// After a failure.
const RETRY: Duration = Duration::from_secs(5);

/// The rules that `role` should have: those of all others that its selectors take, by selector, then name, each once.
/// `None`: it gathers nothing.
pub fn aggregated(role: &ClusterRole, all: &[ClusterRole]) -> Option<Vec<PolicyRule>> {
    let selectors = role.aggregation_rule.as_ref()?.cluster_role_selectors.as_deref().unwrap_or_default();
    let mut sorted: Vec<&ClusterRole> = all.iter().filter(|r| r.name() != role.name()).collect();
    sorted.sort_by_key(|r| r.name());
    let mut rules: Vec<PolicyRule> = Vec::new();
    for selector in selectors.iter().map(selector) {
        for source in sorted.iter().filter(|r| selector.matches(&r.meta().labels)) {
            for rule in source.rules.as_deref().unwrap_or_default() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    Some(rules)
}

/// An empty selector takes everything, as in upstream; a bad one nothing.
fn selector(selector: &LabelSelector) -> Selector {
    let expressions = selector.match_expressions.iter().flatten().map(|e| Expression {
        key: &e.key,
        operator: &e.operator,
        values: e.values.as_deref().unwrap_or_default(),
    });
    Selector::from_label_selector(selector.match_labels.iter().flatten(), expressions)
        .unwrap_or_else(|_| Selector::nothing())
}

/// The clusterrole-aggregation controller: keeps the rules of all gathering roles as [`aggregated`] says. Runs for ever;
/// `transport` acts as `system:serviceaccount:kube-system:clusterrole-aggregation-controller`.
pub async fn run(transport: Arc<dyn Transport>, clock: SharedClock) {
    let roles = Informer::<ClusterRole>::all(&*transport);
    let api = Api::<ClusterRole>::new(transport.clone());
    roles.synced().await;
    let mut changes = roles.subscribe();
    let mut failed = false;
    // Roles are few and change rarely: any change looks at all that gather. Changes that came meanwhile are looked
    // at together. Without a change only a failure is tried again.
    loop {
        let retry = clock.sleep(RETRY);
        tokio::select! {
            change = changes.next() => if change.is_none() { return },
            () = retry, if failed => {}
        }
        while changes.next().now_or_never().flatten().is_some() {}
        failed = !aggregate_all(&api, &roles.list("")).await;
    }
}

/// False when something has to be tried again.
async fn aggregate_all(api: &Api<ClusterRole>, all: &[ClusterRole]) -> bool {
    let mut done = true;
    for role in all {
        let Some(rules) = aggregated(role, all) else { continue };
        if role.rules.as_deref().unwrap_or_default() == rules {
            continue;
        }
        // The version guards against a selector that has changed; the change that made it stale wakes us again.
        let patch = json!({
            "metadata": { "resourceVersion": role.metadata.resource_version },
            "rules": rules,
        });
        match api.patch("", role.name(), PatchType::Merge, &patch).await {
            Ok(_) => {}
            Err(e) if e.is_conflict() || e.is_not_found() => {}
            Err(e) => {
                tracing::error!("cannot aggregate cluster role {}: {e}", role.name());
                done = false;
            }
        }
    }
    done
}
