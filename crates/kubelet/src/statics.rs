//! Static pods: manifests in a directory of this machine that run whatever the API says; the API shows a mirror of each.
//! Start at [`watch`]. A mirror is an ordinary pod that names its origin in an annotation; deleting it ends nothing.
//! <https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/>

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apimachinery::Status;
use client::Api;
use codec::Kind as _;
use k8s_openapi::api::core::v1::{Node, Pod, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use resources::Strategy as _;

use crate::context::Context;
use crate::logs::watch::Watch;
use crate::workers::Workers;

/// Where a pod comes from: `file` for a static one, `api` (or nothing) for the others.
const SOURCE: &str = "kubernetes.io/config.source";
/// What of a manifest: changes when it does.
const HASH: &str = "kubernetes.io/config.hash";
/// On a mirror: the hash of its origin.
pub const MIRROR: &str = "kubernetes.io/config.mirror";

/// A directory that cannot be watched is looked at again after this.
const RETRY: Duration = Duration::from_secs(20);

fn annotation<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    pod.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

/// Whether the pod comes from a manifest of this machine.
pub fn is_static(pod: &Pod) -> bool {
    annotation(pod, SOURCE).is_some_and(|source| source != "api") && annotation(pod, MIRROR).is_none()
}

/// Whether the API's pod only shows one that comes from a manifest.
pub fn is_mirror(pod: &Pod) -> bool {
    annotation(pod, MIRROR).is_some()
}

/// Whether `mirror` shows `pod` as it is, and is there to stay.
pub fn shows(mirror: &Pod, pod: &Pod) -> bool {
    annotation(mirror, MIRROR) == annotation(pod, HASH) && mirror.metadata.deletion_timestamp.is_none()
}

/// Keeps the static pods as the directory has them. Runs until shutdown.
pub async fn watch(context: Arc<Context>, workers: Arc<Workers>, dir: PathBuf) {
    loop {
        // Watched before read: what changes in between is seen.
        let watch = Watch::new(&dir);
        workers.set_statics(load(&dir, &context.node_name));
        let changed = async {
            match &watch {
                Ok(watch) => watch.changed().await,
                Err(e) => Err(io::Error::new(e.kind(), format!("watch {}: {e}", dir.display()))),
            }
        };
        if let Err(e) = changed.await {
            tracing::warn!("cannot watch static pods: {e}");
            context.clock.sleep(RETRY).await;
        }
    }
}

/// Every manifest of the directory; one that is bad is told and left out.
pub fn load(dir: &Path, node: &str) -> Vec<Pod> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    files.sort();
    let hidden = |file: &Path| file.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
    let mut pods = Vec::new();
    for file in files.iter().filter(|f| !hidden(f) && f.is_file()) {
        let read = fs::read(file).map_err(|e| e.to_string()).and_then(|text| parse(&text, file, node));
        match read {
            Ok(pod) => pods.push(pod),
            Err(e) => tracing::error!("cannot run the static pod of {}: {e}", file.display()),
        }
    }
    pods
}

/// One manifest, JSON or YAML, with what a pod of the API would have by now.
fn parse(text: &[u8], file: &Path, node: &str) -> Result<Pod, String> {
    let value = codec::yaml::to_value(text)?;
    if value["kind"] != "Pod" || value["apiVersion"] != "v1" {
        return Err(format!("it is no v1 Pod but {} {}", value["apiVersion"], value["kind"]));
    }
    let mut pod = Pod::from_json(value.to_string().as_bytes()).map_err(|e| e.to_string())?;
    let hash = hash(&[text, node.as_bytes(), file.as_os_str().as_encoded_bytes()]);
    let meta = &mut pod.metadata;
    meta.name = meta.name.take().filter(|n| !n.is_empty()).map(|name| format!("{name}-{node}"));
    meta.namespace = meta.namespace.take().filter(|n| !n.is_empty()).or_else(|| Some("default".into()));
    if meta.uid.as_deref().unwrap_or_default().is_empty() {
        meta.uid = Some(hash.clone());
    }
    meta.generation = Some(1);
    let annotations = meta.annotations.get_or_insert_default();
    annotations.insert(HASH.into(), hash);
    annotations.insert(SOURCE.into(), "file".into());
    annotations.remove(MIRROR);
    let strategy = resources::core::pod::Strategy;
    strategy.default(&mut pod);
    let spec = pod.spec.get_or_insert_default();
    spec.node_name = Some(node.to_owned());
    // Nothing drives it off but its file.
    let stays = Toleration {
        operator: Some("Exists".into()),
        effect: Some("NoExecute".into()),
        ..Toleration::default()
    };
    spec.tolerations.get_or_insert_default().push(stays);
    pod.status = None;
    let errors = strategy.validate(&pod);
    if errors.is_empty() {
        Ok(pod)
    } else {
        {
            let all = errors.iter().map(ToString::to_string).collect::<Vec<_>>();
            Err(all.join(", "))
        }
    }
}

/// 32 hexadecimal digits, as upstream's: FNV-1a twice, from different ends.
fn hash(parts: &[&[u8]]) -> String {
    let bytes = || parts.iter().flat_map(|p| p.iter());
    let step = |h: u64, b: &u8| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3);
    let forward = bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let backward = bytes().rev().fold(0x6c62_272e_07bb_0142, step);
    format!("{forward:016x}{backward:016x}")
}

/// Makes the mirror of a static pod.
pub async fn create_mirror(context: &Context, pod: &Pod) -> Result<Pod, Status> {
    let node = Api::<Node>::new(context.transport.clone()).get("", &context.node_name).await?;
    let mut mirror = pod.clone();
    let hash = annotation(pod, HASH).unwrap_or_default().to_owned();
    let meta = &mut mirror.metadata;
    meta.uid = None;
    meta.generation = None;
    meta.annotations.get_or_insert_default().insert(MIRROR.into(), hash);
    meta.owner_references = Some(vec![OwnerReference {
        api_version: "v1".into(),
        kind: "Node".into(),
        name: context.node_name.clone(),
        uid: node.uid().to_owned(),
        controller: Some(true),
        block_owner_deletion: None,
    }]);
    mirror.status = None;
    context.pods.create(&mirror).await
}

#[cfg(test)]
mod tests;
