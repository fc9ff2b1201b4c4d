//! The heartbeat: a Lease in kube-node-lease, renewed every ten seconds.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::Status;
use client::Api;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use tokio::sync::watch;

use crate::context::Context;

const NAMESPACE: &str = "kube-node-lease";
const DURATION_SECONDS: i32 = 40;
const RENEW: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(500);

/// Renews until shutdown, from when the node is registered on.
pub async fn keep_lease(context: Arc<Context>, mut registered: watch::Receiver<Option<String>>) {
    let api = Api::<Lease>::new(context.transport.clone());
    let mut known: Option<Lease> = None;
    let mut failures = 0_u32;
    loop {
        let uid = match registered.wait_for(Option::is_some).await {
            Ok(uid) => uid.clone().unwrap_or_default(),
            Err(_) => return,
        };
        let wait = match renew(&context, &api, known.take(), &uid).await {
            Ok(lease) => {
                known = Some(lease);
                failures = 0;
                RENEW
            }
            Err(e) => {
                tracing::warn!("cannot renew the node's lease: {e}");
                failures += 1;
                (RETRY * 2_u32.pow(failures.min(4))).min(RENEW)
            }
        };
        context.clock.sleep(wait).await;
    }
}

async fn renew(
    context: &Context,
    api: &Api<Lease>,
    known: Option<Lease>,
    uid: &str,
) -> Result<Lease, Status> {
    let name = &context.node_name;
    let old = match known {
        Some(lease) => Some(lease),
        None => match api.get(NAMESPACE, name).await {
            Ok(lease) => Some(lease),
            Err(e) if e.is_not_found() => None,
            Err(e) => return Err(e),
        },
    };
    let exists = old.is_some();
    let mut lease = old.unwrap_or_default();
    lease.metadata = ObjectMeta {
        name: Some(name.clone()),
        namespace: Some(NAMESPACE.into()),
        owner_references: Some(vec![OwnerReference {
            api_version: "v1".into(),
            kind: "Node".into(),
            name: name.clone(),
            uid: uid.to_owned(),
            ..OwnerReference::default()
        }]),
        ..lease.metadata
    };
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(name.clone()),
        lease_duration_seconds: Some(DURATION_SECONDS),
        renew_time: Some(MicroTime(context.clock.now())),
        ..lease.spec.unwrap_or_default()
    });
    if exists { api.update(&lease).await } else { api.create(&lease).await }
}
