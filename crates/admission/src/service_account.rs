//! Every pod runs as a service account of its namespace and finds that account's token.

use std::time::Duration;

use apimachinery::{GroupResource, ObjectKey, Status};
use async_trait::async_trait;
use client::{Api, Informer};
use codec::Kind;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{
    ConfigMapProjection, Container, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath,
    ObjectFieldSelector, Pod, PodSpec, ProjectedVolumeSource, ServiceAccount, ServiceAccountTokenProjection,
    Volume, VolumeMount, VolumeProjection,
};
use registry::admit::{Attributes, Operation};
use stdx::Random;
use stdx::clock::SharedClock;

use crate::ask;
use crate::chain::{Context, Plugin};

pub(crate) mod secrets;

const DEFAULT: &str = "default";
const VOLUME_PREFIX: &str = "kube-api-access-";
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const MIRROR: &str = "kubernetes.io/config.mirror";
/// An hour and seven seconds: tells the API server that it may extend the token for clients that never reload it.
const TOKEN_SECONDS: i64 = 3607;
/// A new namespace's default account comes from its controller: so long we wait for it.
const WAIT_FOR_DEFAULT: Duration = Duration::from_millis(1500);

pub(crate) struct ServiceAccountPlugin {
    api: Api<ServiceAccount>,
    accounts: Informer<ServiceAccount>,
    clock: SharedClock,
    random: Random,
}

impl ServiceAccountPlugin {
    pub(crate) fn new(context: &Context) -> Self {
        ServiceAccountPlugin {
            api: Api::new(context.transport.clone()),
            accounts: Informer::all(&*context.transport),
            clock: context.clock.clone(),
            random: context.random.clone(),
        }
    }

    /// By the view, then by asking; the default account is waited for.
    async fn account(&self, namespace: &str, name: &str) -> Result<ServiceAccount, Status> {
        let key = ObjectKey::new(namespace, name);
        if let Some(account) = self.accounts.get(&key) {
            return Ok(account);
        }
        let mut changes = (name == DEFAULT).then(|| self.accounts.subscribe());
        if let Some(account) = self.api.find(&key).await? {
            return Ok(account);
        }
        let appears = async {
            match &mut changes {
                Some(changes) => {
                    while let Some(change) = changes.next().await {
                        if let Some(new) = change.new.filter(|new| new.key == key) {
                            return client::informer::decode(&new);
                        }
                    }
                    None
                }
                None => None,
            }
        };
        let found = tokio::select! {
            found = appears => found,
            () = self.clock.sleep(WAIT_FOR_DEFAULT) => None,
        };
        let resource = GroupResource { group: "".into(), resource: "serviceaccount".into() };
        found.ok_or_else(|| Status::not_found(&resource, name))
    }

    async fn account_or_forbidden(&self, a: &Attributes<'_>, name: &str) -> Result<ServiceAccount, Status> {
        self.account(a.namespace, name).await.map_err(|e| {
            ask::forbidden(a, format!("error looking up service account {}/{name}: {e}", a.namespace))
        })
    }

    async fn check(&self, a: &Attributes<'_>) -> Result<(), Status> {
        let Some(pod) = ask::object::<Pod>(a) else { return Ok(()) };
        let Some(spec) = &pod.spec else { return Ok(()) };
        if is_mirror(pod) {
            return check_mirror(spec).map_err(|why| ask::forbidden(a, why));
        }
        let name = spec.service_account_name.as_deref().unwrap_or_default();
        if name.is_empty() {
            let why = format!("no service account specified for pod {}/{}", a.namespace, pod.name());
            return Err(ask::forbidden(a, why));
        }
        let account = self.account_or_forbidden(a, name).await?;
        if secrets::enforced(&account) {
            secrets::check(&account, spec).map_err(|why| ask::forbidden(a, why))?;
        }
        Ok(())
    }
}

/// Creates of pods, and ephemeral containers added to them.
fn concerns(a: &Attributes<'_>) -> bool {
    ask::is::<Pod>(a)
        && match a.subresource {
            "" => a.operation == Operation::Create,
            "ephemeralcontainers" => a.operation == Operation::Update,
            _ => false,
        }
}

#[async_trait]
impl Plugin for ServiceAccountPlugin {
    async fn mutate(&self, a: &mut Attributes<'_>) -> Result<(), Status> {
        if !concerns(a) || a.operation != Operation::Create {
            return Ok(());
        }
        let Some(pod) = ask::object_mut::<Pod>(a) else { return Ok(()) };
        // A kubelet wants its mirror pods as it wrote them.
        if is_mirror(pod) {
            return Ok(());
        }
        let Some(spec) = &mut pod.spec else { return Ok(()) };
        let named = |name: &Option<String>| name.clone().filter(|n| !n.is_empty());
        let name = named(&spec.service_account_name)
            .or_else(|| named(&spec.service_account))
            .unwrap_or_else(|| DEFAULT.into());
        spec.service_account_name = Some(name.clone());
        // The field's old name, which upstream still writes.
        spec.service_account = Some(name.clone());
        let account = self.account_or_forbidden(a, &name).await?;
        let Some(spec) = ask::object_mut::<Pod>(a).and_then(|pod| pod.spec.as_mut()) else { return Ok(()) };
        let automount = spec.automount_service_account_token.or(account.automount_service_account_token);
        if automount.unwrap_or(true) {
            mount_token(spec, &self.random);
        }
        if spec.image_pull_secrets.as_ref().is_none_or(Vec::is_empty) {
            spec.image_pull_secrets = account.image_pull_secrets.filter(|secrets| !secrets.is_empty());
        }
        Ok(())
    }

    async fn validate(&self, a: &Attributes<'_>) -> Result<(), Status> {
        if concerns(a) { self.check(a).await } else { Ok(()) }
    }
}

pub(crate) fn is_mirror(pod: &Pod) -> bool {
    pod.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(MIRROR))
}

/// A mirror pod shows a pod that the kubelet runs by itself: nothing of the API can be in it.
fn check_mirror(spec: &PodSpec) -> Result<(), &'static str> {
    if spec.service_account_name.as_deref().is_some_and(|name| !name.is_empty()) {
        return Err("a mirror pod may not reference service accounts");
    }
    if !secrets::references(spec).is_empty() {
        return Err("a mirror pod may not reference secrets");
    }
    let mut sources = spec
        .volumes
        .iter()
        .flatten()
        .filter_map(|v| v.projected.as_ref())
        .flat_map(|p| p.sources.iter().flatten());
    if sources.any(|s| s.service_account_token.is_some()) {
        return Err("a mirror pod may not use ServiceAccountToken volume projections");
    }
    Ok(())
}

/// Gives every container the account's token, unless it has something mounted there.
fn mount_token(spec: &mut PodSpec, random: &Random) {
    let volumes = spec.volumes.iter().flatten();
    let existing = volumes.map(|v| &v.name).find(|name| name.starts_with(VOLUME_PREFIX)).cloned();
    let has_volume = existing.is_some();
    let name = existing.unwrap_or_else(|| format!("{VOLUME_PREFIX}{}", random.name_suffix(5)));
    let mut needed = false;
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        needed |= mount(container, &name);
    }
    if needed && !has_volume {
        spec.volumes.get_or_insert_default().push(token_volume(name));
    }
}

fn mount(container: &mut Container, volume: &str) -> bool {
    let mounts = container.volume_mounts.get_or_insert_default();
    if mounts.iter().any(|m| m.mount_path == MOUNT_PATH) {
        return false;
    }
    mounts.push(VolumeMount {
        name: volume.into(),
        read_only: Some(true),
        mount_path: MOUNT_PATH.into(),
        ..VolumeMount::default()
    });
    true
}

fn token_volume(name: String) -> Volume {
    let sources = vec![
        VolumeProjection {
            service_account_token: Some(ServiceAccountTokenProjection {
                expiration_seconds: Some(TOKEN_SECONDS),
                path: "token".into(),
                ..Default::default()
            }),
            ..Default::default()
        },
        VolumeProjection {
            config_map: Some(ConfigMapProjection {
                name: "kube-root-ca.crt".into(),
                items: Some(vec![KeyToPath {
                    key: "ca.crt".into(),
                    path: "ca.crt".into(),
                    ..Default::default()
                }]),
                optional: None,
            }),
            ..Default::default()
        },
        VolumeProjection {
            downward_api: Some(DownwardAPIProjection {
                items: Some(vec![DownwardAPIVolumeFile {
                    path: "namespace".into(),
                    field_ref: Some(ObjectFieldSelector {
                        api_version: Some("v1".into()),
                        field_path: "metadata.namespace".into(),
                    }),
                    ..Default::default()
                }]),
            }),
            ..Default::default()
        },
    ];
    Volume {
        name,
        // Explicit: the defaults were filled before admission.
        projected: Some(ProjectedVolumeSource {
            default_mode: Some(0o644),
            sources: Some(sources),
            ..Default::default()
        }),
        ..Volume::default()
    }
}
