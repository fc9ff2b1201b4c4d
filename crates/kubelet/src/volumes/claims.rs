//! Claims of a pod: the directory of the node that a bound claim's volume is.
//!
//! Volumes of kinds that have to be mounted from elsewhere (CSI, NFS, …) are refused by name.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use client::{Api, Transport};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec, Pod};

use super::host_path;

/// Where claims led when their pods were set up.
pub(super) struct Claims {
    claims: Api<PersistentVolumeClaim>,
    volumes: Api<PersistentVolume>,
    /// By the pod's uid and its volume's name: the directory, and whether it can only be read.
    known: Mutex<HashMap<(String, String), (PathBuf, bool)>>,
}

impl Claims {
    pub fn new(transport: &Arc<dyn Transport>) -> Self {
        Claims {
            claims: Api::new(transport.clone()),
            volumes: Api::new(transport.clone()),
            known: Mutex::default(),
        }
    }

    /// Finds and checks the directory of the pod's `volume`, which is `claim`; with `own` it has to be the pod's. The error is
    /// text for an event.
    pub async fn resolve(&self, pod: &Pod, volume: &str, claim: &str, own: bool) -> Result<(), String> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let claimed = self.claims.get(namespace, claim).await;
        let claimed = claimed.map_err(|e| format!("error getting PVC {namespace}/{claim}: {e}"))?;
        let owners = claimed.metadata.owner_references.iter().flatten();
        if own && !owners.into_iter().any(|o| Some(&o.uid) == pod.metadata.uid.as_ref()) {
            return Err(format!("PVC {namespace}/{claim} was not created for pod (pod is not owner)"));
        }
        let name = bound_volume(&claimed).ok_or_else(|| format!("PVC {namespace}/{claim} is not bound"))?;
        let found = self.volumes.get("", name).await;
        let found = found.map_err(|e| format!("error getting PV {name:?}: {e}"))?;
        let spec = found.spec.unwrap_or_default();
        let holder = spec.claim_ref.as_ref().and_then(|r| r.uid.as_deref());
        if holder != claimed.metadata.uid.as_deref() {
            return Err(format!("PV {name:?} is bound to another claim than {namespace}/{claim}"));
        }
        let directory = directory(&spec)?;
        let key = (pod.metadata.uid.clone().unwrap_or_default(), volume.to_owned());
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (directory, false));
        Ok(())
    }

    /// What [`Claims::resolve`] found.
    pub fn path(&self, pod: &Pod, volume: &str) -> Option<(PathBuf, bool)> {
        let key = (pod.metadata.uid.clone().unwrap_or_default(), volume.to_owned());
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    pub fn forget(&self, uid: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|(pod, _), _| pod != uid);
    }
}

fn bound_volume(claim: &PersistentVolumeClaim) -> Option<&str> {
    let bound = claim.status.as_ref()?.phase.as_deref() == Some("Bound");
    claim.spec.as_ref()?.volume_name.as_deref().filter(|name| bound && !name.is_empty())
}

fn directory(spec: &PersistentVolumeSpec) -> Result<PathBuf, String> {
    if spec.volume_mode.as_deref() == Some("Block") {
        return Err("block volumes are not supported by this kubelet".into());
    }
    if let Some(host) = &spec.host_path {
        let path = PathBuf::from(&host.path);
        host_path::check(&path, host.type_.as_deref().unwrap_or_default())?;
        return Ok(path);
    }
    if let Some(local) = &spec.local {
        let path = PathBuf::from(&local.path);
        // What is local has to be there already: an empty directory instead of a disk would lose data.
        return match path.is_dir() {
            true => Ok(path),
            false => Err(format!("path {:?} does not exist", local.path)),
        };
    }
    Err("persistent volumes of this type are not supported by this kubelet".into())
}

#[cfg(test)]
mod tests {
    use codec::Kind;

    use super::*;

    fn spec(json: &str) -> PersistentVolumeSpec {
        let text = format!(r#"{{"metadata": {{"name": "v"}}, "spec": {json}}}"#);
        PersistentVolume::from_json(text.as_bytes()).unwrap().spec.unwrap()
    }

    #[test]
    fn directories() {
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().display().to_string();
        let local = spec(&format!(r#"{{"local": {{"path": "{there}"}}}}"#));
        assert_eq!(directory(&local).unwrap(), dir.path());
        let gone = spec(&format!(r#"{{"local": {{"path": "{there}/gone"}}}}"#));
        assert!(directory(&gone).unwrap_err().contains("does not exist"));
        let made =
            spec(&format!(r#"{{"hostPath": {{"path": "{there}/made", "type": "DirectoryOrCreate"}}}}"#));
        assert!(directory(&made).unwrap().is_dir());
        let block = spec(&format!(r#"{{"volumeMode": "Block", "hostPath": {{"path": "{there}"}}}}"#));
        assert!(directory(&block).unwrap_err().contains("block"));
        assert!(directory(&spec(r#"{"nfs": {"server": "s", "path": "/"}}"#)).is_err());
    }
}
