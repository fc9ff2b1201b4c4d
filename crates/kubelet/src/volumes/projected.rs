//! Volumes whose files come from the API: configMap, secret, downwardAPI, and several of them in one (projected).

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use k8s_openapi::api::certificates::v1::ClusterTrustBundle;
use k8s_openapi::api::core::v1::{
    ClusterTrustBundleProjection, ConfigMap, Container, DownwardAPIVolumeFile, KeyToPath, Pod,
    PodCertificateProjection, Secret, ServiceAccountTokenProjection, Volume, VolumeProjection,
};

use codec::Kind as _;
use resources::certificates::cluster_trust_bundle::{ClusterTrustBundleExt, anchors};
use resources::selector;

use super::atomic::{self, File, Payload};
use super::certificates::{Bundle, Source};
use super::{Volumes, ownership};
use crate::objects::{PodObjects, Reference};
use crate::podconfig::env::fields::PodFields;

const DEFAULT_MODE: i32 = 0o644;

/// Where a volume's files come from.
pub struct Content {
    /// Secrets never touch the disk.
    pub in_memory: bool,
    default_mode: i32,
    default_user: Option<i64>,
    parts: Vec<Part>,
}

enum Part {
    ConfigMap {
        name: String,
        keys: Keys,
    },
    Secret {
        name: String,
        keys: Keys,
    },
    DownwardApi(Vec<DownwardAPIVolumeFile>),
    Token(ServiceAccountTokenProjection),
    Trust(ClusterTrustBundleProjection),
    /// With its place in the pod: the volume's name, and which of its sources.
    Certificate(PodCertificateProjection, String, usize),
    /// Of a kind that this kubelet does not know.
    Unknown,
}

struct Keys {
    items: Vec<KeyToPath>,
    optional: bool,
}

impl Keys {
    fn new(items: Option<&Vec<KeyToPath>>, optional: Option<bool>) -> Self {
        Keys { items: items.cloned().unwrap_or_default(), optional: optional == Some(true) }
    }
}

/// `None` for volumes of other kinds.
pub fn content(volume: &Volume) -> Option<Content> {
    let new = |in_memory, default_mode: Option<i32>, default_user, parts| {
        Some(Content { in_memory, default_mode: default_mode.unwrap_or(DEFAULT_MODE), default_user, parts })
    };
    if let Some(v) = &volume.config_map {
        let keys = Keys::new(v.items.as_ref(), v.optional);
        return new(
            false,
            v.default_mode,
            v.default_user,
            vec![Part::ConfigMap { name: v.name.clone(), keys }],
        );
    }
    if let Some(v) = &volume.secret {
        let keys = Keys::new(v.items.as_ref(), v.optional);
        let name = v.secret_name.clone().unwrap_or_default();
        return new(true, v.default_mode, v.default_user, vec![Part::Secret { name, keys }]);
    }
    if let Some(v) = &volume.downward_api {
        let items = v.items.clone().unwrap_or_default();
        return new(true, v.default_mode, v.default_user, vec![Part::DownwardApi(items)]);
    }
    let v = volume.projected.as_ref()?;
    let parts = v.sources.iter().flatten().enumerate().map(|(i, source)| part(source, &volume.name, i));
    new(true, v.default_mode, v.default_user, parts.collect())
}

fn part(source: &VolumeProjection, volume: &str, index: usize) -> Part {
    if let Some(v) = &source.config_map {
        let keys = Keys::new(v.items.as_ref(), v.optional);
        return Part::ConfigMap { name: v.name.clone(), keys };
    }
    if let Some(v) = &source.secret {
        return Part::Secret { name: v.name.clone(), keys: Keys::new(v.items.as_ref(), v.optional) };
    }
    if let Some(v) = &source.downward_api {
        return Part::DownwardApi(v.items.clone().unwrap_or_default());
    }
    if let Some(v) = &source.service_account_token {
        return Part::Token(v.clone());
    }
    if let Some(v) = &source.cluster_trust_bundle {
        return Part::Trust(v.clone());
    }
    if let Some(v) = &source.pod_certificate {
        return Part::Certificate(v.clone(), volume.to_owned(), index);
    }
    Part::Unknown
}

/// The files so far.
struct Builder<'a> {
    content: &'a Content,
    /// The volume.
    dir: &'a Path,
    payload: Payload,
    again_at: Option<Timestamp>,
}

impl Builder<'_> {
    fn again_at(&mut self, at: Timestamp) {
        self.again_at = Some(self.again_at.map_or(at, |other| other.min(at)));
    }

    fn certificate(&mut self, pod: &Pod, projection: &PodCertificateProjection, bundle: &Bundle) {
        let owner = projection.user.or(ownership::common_user(pod).map(i64::from));
        // Only its owner reads it, where it is known who that is.
        let mode = (owner.is_some() || ownership::group(pod).is_some()).then_some(0o600);
        for (path, text) in [
            (&projection.credential_bundle_path, bundle.key.clone() + &bundle.chain),
            (&projection.key_path, bundle.key.clone()),
            (&projection.certificate_chain_path, bundle.chain.clone()),
        ] {
            if let Some(path) = path.as_deref().filter(|p| !p.is_empty()) {
                self.file(path, text.into_bytes(), mode, owner);
            }
        }
    }

    fn file(&mut self, path: &str, data: Vec<u8>, mode: Option<i32>, user: Option<i64>) {
        let mode = u32::try_from(mode.unwrap_or(self.content.default_mode)).unwrap_or(0o644);
        let owner = user.or(self.content.default_user).and_then(|u| u32::try_from(u).ok());
        self.payload.insert(path.to_owned(), File { data, mode, owner });
    }

    /// All keys, or those that `items` name.
    fn keys(&mut self, data: &BTreeMap<String, Vec<u8>>, keys: &Keys, missing: &str) -> Result<(), String> {
        if keys.items.is_empty() {
            for (key, value) in data {
                self.file(key, value.clone(), None, None);
            }
        }
        for item in &keys.items {
            match data.get(&item.key) {
                Some(value) => self.file(&item.path, value.clone(), item.mode, item.user),
                None if keys.optional => {}
                None => return Err(format!("{missing}: {}", item.key)),
            }
        }
        Ok(())
    }
}

impl Volumes {
    /// Writes the volume's files; when a token or a certificate in it needs renewal.
    pub(super) async fn project(
        &self,
        pod: &Pod,
        content: &Content,
        dir: &Path,
        objects: &PodObjects,
        fields: &PodFields,
    ) -> Result<Option<Timestamp>, String> {
        let mut builder = Builder { content, dir, payload: Payload::new(), again_at: None };
        let mut failed = None;
        for part in &content.parts {
            // The others all the same: certificates are asked for at once, not one after the other.
            if let Err(why) = self.add(pod, part, &mut builder, objects, fields).await {
                failed.get_or_insert(why);
            }
        }
        if let Some(why) = failed {
            return Err(why);
        }
        let group = ownership::group(pod);
        let prepare = |version: &Path| match group {
            Some(group) => {
                ownership::apply(version, group, ownership::Access::ReadOnly, ownership::Policy::Always)
            }
            None => Ok(()),
        };
        let now = self.clock.now().strftime("%Y_%m_%d_%H_%M_%S");
        let version = format!("..{now}.{}", self.random.below(1_000_000_000));
        let written = atomic::write(dir, &builder.payload, &version, &prepare);
        written.map_err(|e| format!("{}: {e}", dir.display()))?;
        Ok(builder.again_at)
    }

    async fn add(
        &self,
        pod: &Pod,
        part: &Part,
        builder: &mut Builder<'_>,
        objects: &PodObjects,
        fields: &PodFields,
    ) -> Result<(), String> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        match part {
            Part::ConfigMap { name, keys } => {
                let found =
                    self.objects.get::<ConfigMap>(objects, &Reference::config_map(namespace, name)).await?;
                match found {
                    Some(map) => builder.keys(
                        &config_map_data(map),
                        keys,
                        "configmap references non-existent config key",
                    ),
                    None if keys.optional => Ok(()),
                    None => Err(format!("configmap {name:?} not found")),
                }
            }
            Part::Secret { name, keys } => {
                let found = self.objects.get::<Secret>(objects, &Reference::secret(namespace, name)).await?;
                match found {
                    Some(secret) => {
                        let data = secret.data.into_iter().flatten().map(|(k, v)| (k, v.0)).collect();
                        builder.keys(&data, keys, "references non-existent secret key")
                    }
                    None if keys.optional => Ok(()),
                    None => Err(format!("secret {name:?} not found")),
                }
            }
            Part::DownwardApi(items) => {
                for item in items {
                    let text = downward(pod, item, fields)?;
                    builder.file(&item.path, text.into_bytes(), item.mode, item.user);
                }
                Ok(())
            }
            Part::Token(projection) => {
                let (token, renew_at) = self.tokens.get(pod, projection).await?;
                builder.again_at(renew_at);
                let owner = projection.user.or(ownership::common_user(pod).map(i64::from));
                // Only its owner reads it, where it is known who that is.
                let mode = (owner.is_some() || ownership::group(pod).is_some()).then_some(0o600);
                builder.file(&projection.path, token.into_bytes(), mode, owner);
                Ok(())
            }
            Part::Trust(projection) => {
                let bundles =
                    self.objects.list::<ClusterTrustBundle>(objects, &Reference::trust_bundles()).await?;
                let text = trust(projection, &bundles)?;
                let owner = projection.user.or(ownership::common_user(pod).map(i64::from));
                let mode = (owner.is_some() || ownership::group(pod).is_some()).then_some(0o600);
                builder.file(&projection.path, text.into_bytes(), mode, owner);
                Ok(())
            }
            Part::Certificate(projection, volume, index) => {
                let uid = pod.metadata.uid.clone().unwrap_or_default();
                let source = Source { uid, volume: volume.clone(), index: *index };
                let (bundle, again_at) =
                    self.certificates.get(pod, source, projection, builder.dir, objects).await?;
                if let Some(at) = again_at {
                    builder.again_at(at);
                }
                builder.certificate(pod, projection, &bundle);
                Ok(())
            }
            Part::Unknown => {
                Err("a projected volume source is of a type that this kubelet does not know".into())
            }
        }
    }
}

/// The certificates that are asked for, by a bundle's name or of all of a signer's with some labels.
fn trust(asked: &ClusterTrustBundleProjection, all: &[ClusterTrustBundle]) -> Result<String, String> {
    let optional = asked.optional == Some(true);
    let found: Vec<&ClusterTrustBundle> = match &asked.name {
        Some(name) => {
            let found: Vec<_> = all.iter().filter(|b| b.name() == name).collect();
            if found.is_empty() && !optional {
                return Err(format!("clustertrustbundle.certificates.k8s.io {name:?} not found"));
            }
            found
        }
        None => {
            // Absent, the selector matches nothing.
            let selector = selector::compile(asked.label_selector.as_ref())?;
            let signer = asked.signer_name.as_deref().unwrap_or_default();
            let matches = |b: &&ClusterTrustBundle| {
                b.signer() == signer && selector.matches(&b.metadata.labels.clone().unwrap_or_default())
            };
            let found: Vec<_> = all.iter().filter(matches).collect();
            if found.is_empty() && !optional {
                return Err(
                    "combination of signerName and labelSelector matched zero ClusterTrustBundles".into()
                );
            }
            found
        }
    };
    Ok(anchors(found.iter().map(|b| b.spec.trust_bundle.as_str())))
}

fn config_map_data(map: ConfigMap) -> BTreeMap<String, Vec<u8>> {
    let text = map.data.into_iter().flatten().map(|(k, v)| (k, v.into_bytes()));
    text.chain(map.binary_data.into_iter().flatten().map(|(k, v)| (k, v.0))).collect()
}

fn downward(pod: &Pod, item: &DownwardAPIVolumeFile, fields: &PodFields) -> Result<String, String> {
    if let Some(field) = &item.field_ref {
        return fields.value(pod, &field.field_path).map_err(|e| e.to_string());
    }
    match &item.resource_field_ref {
        // Validation makes the container's name a must here.
        Some(resource) => fields.resource(pod, &Container::default(), resource).map_err(|e| e.to_string()),
        None => Err(format!("{}: neither fieldRef nor resourceFieldRef", item.path)),
    }
}
