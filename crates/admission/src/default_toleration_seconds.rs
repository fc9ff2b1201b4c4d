//! Every pod outlives five minutes of its node's absence, unless it says otherwise.

use apimachinery::Status;
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Pod, Toleration};
use registry::admit::{Attributes, Operation};

use crate::ask;
use crate::chain::Plugin;

const SECONDS: i64 = 300;

pub(crate) struct DefaultTolerationSeconds;

#[async_trait]
impl Plugin for DefaultTolerationSeconds {
    async fn mutate(&self, a: &mut Attributes<'_>) -> Result<(), Status> {
        if !ask::is_main::<Pod>(a) || !matches!(a.operation, Operation::Create | Operation::Update) {
            return Ok(());
        }
        let Some(spec) = ask::object_mut::<Pod>(a).and_then(|pod| pod.spec.as_mut()) else { return Ok(()) };
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
            if !spec.tolerations.iter().flatten().any(|t| tolerates_eviction(t, key)) {
                spec.tolerations.get_or_insert_default().push(Toleration {
                    key: Some(key.into()),
                    operator: Some("Exists".into()),
                    effect: Some("NoExecute".into()),
                    toleration_seconds: Some(SECONDS),
                    value: None,
                });
            }
        }
        Ok(())
    }
}

fn tolerates_eviction(toleration: &Toleration, key: &str) -> bool {
    let (have_key, effect) =
        (toleration.key.as_deref().unwrap_or_default(), toleration.effect.as_deref().unwrap_or_default());
    (have_key.is_empty() || have_key == key) && (effect.is_empty() || effect == "NoExecute")
}
