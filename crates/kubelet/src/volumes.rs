//! A pod's volumes on disk. Start at [`Volumes::set_up`]: it makes what is missing and brings up to date what has
//! changed, so that it serves the first time, after a restart, and when an object was edited.

pub mod atomic;
mod certificates;
mod claims;
mod host_path;
mod ownership;
mod projected;
pub mod subpath;
mod tokens;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use client::{EventRecorder, Transport};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Pod, Volume};
use stdx::Random;
use stdx::clock::SharedClock;

use crate::amounts;
use crate::mounts::Mounter;
use crate::objects::{Objects, PodObjects};
use crate::paths::{self, Paths};
use crate::podconfig::env::fields::PodFields;
use crate::spec;

/// What volumes are made with.
pub struct Volumes {
    paths: Paths,
    mounter: Arc<dyn Mounter>,
    objects: Arc<Objects>,
    tokens: tokens::Tokens,
    certificates: certificates::Certificates,
    claims: claims::Claims,
    clock: SharedClock,
    random: Random,
}

/// A volume that cannot be set up: the text of the FailedMount event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VolumeError(pub String);

/// The pod's volumes are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetUp {
    /// When a token or a certificate needs renewal.
    pub again_at: Option<Timestamp>,
}

/// What a volume is.
enum Source<'a> {
    EmptyDir(&'a EmptyDirVolumeSource),
    HostPath(&'a str, &'a str),
    Projected(projected::Content),
    /// The claim's name, and whether the pod may only read.
    Claim(String, bool),
    /// A claim that was made for this pod alone.
    OwnClaim(String),
    /// Mounted by the runtime.
    Image,
    /// The kind's field name.
    Unsupported(&'static str),
}

impl Volumes {
    pub fn new(
        paths: Paths,
        mounter: Arc<dyn Mounter>,
        objects: Arc<Objects>,
        transport: Arc<dyn Transport>,
        recorder: EventRecorder,
        clock: SharedClock,
        random: Random,
    ) -> Self {
        let claims = claims::Claims::new(&transport);
        let certificates = certificates::Certificates::new(
            &transport,
            objects.clone(),
            recorder,
            clock.clone(),
            random.clone(),
        );
        let tokens = tokens::Tokens::new(transport, clock.clone());
        Volumes { paths, mounter, objects, tokens, certificates, claims, clock, random }
    }

    /// Makes and updates all of them. The first that fails is the error; the others are there.
    pub async fn set_up(
        &self,
        pod: &Pod,
        objects: &PodObjects,
        fields: &PodFields,
    ) -> Result<SetUp, VolumeError> {
        let mut done = SetUp::default();
        let mut failed = None;
        for volume in spec::of(pod).volumes.iter().flatten() {
            match self.set_up_one(pod, volume, objects, fields).await {
                Ok(None) => {}
                Ok(Some(at)) => done.again_at = Some(done.again_at.map_or(at, |other| other.min(at))),
                Err(message) => {
                    let text = format!("MountVolume.SetUp failed for volume {:?} : {message}", volume.name);
                    failed.get_or_insert(VolumeError(text));
                }
            }
        }
        failed.map_or(Ok(done), Err)
    }

    async fn set_up_one(
        &self,
        pod: &Pod,
        volume: &Volume,
        objects: &PodObjects,
        fields: &PodFields,
    ) -> Result<Option<Timestamp>, String> {
        match source(pod, volume) {
            Source::EmptyDir(empty) => {
                let dir = self.directory(pod, volume);
                self.empty_dir(pod, empty, &dir).map_err(|e| format!("{}: {e}", dir.display()))?;
                Ok(None)
            }
            Source::HostPath(path, kind) => host_path::check(Path::new(path), kind).map(|()| None),
            Source::Projected(content) => {
                let dir = self.directory(pod, volume);
                let on_tmpfs = content.in_memory;
                self.make(&dir, on_tmpfs.then_some(0)).map_err(|e| format!("{}: {e}", dir.display()))?;
                self.project(pod, &content, &dir, objects, fields).await
            }
            Source::Claim(claim, _) => {
                self.claims.resolve(pod, &volume.name, &claim, false).await.map(|()| None)
            }
            Source::OwnClaim(claim) => {
                self.claims.resolve(pod, &volume.name, &claim, true).await.map(|()| None)
            }
            Source::Image => Ok(None),
            Source::Unsupported(kind) => {
                Err(format!("volumes of type {kind} are not supported by this kubelet"))
            }
        }
    }

    /// The directory (or host path) that a volume's mounts start from, and whether it can only be read.
    pub fn host_path(&self, pod: &Pod, name: &str) -> Option<(PathBuf, bool)> {
        let volume = spec::of(pod).volumes.iter().flatten().find(|v| v.name == name)?;
        match source(pod, volume) {
            Source::HostPath(path, _) => Some((PathBuf::from(path), false)),
            Source::Projected(_) => Some((self.directory(pod, volume), true)),
            Source::Claim(_, read_only) => {
                self.claims.path(pod, name).map(|(path, only)| (path, only || read_only))
            }
            Source::OwnClaim(_) => self.claims.path(pod, name),
            _ => Some((self.directory(pod, volume), false)),
        }
    }

    fn directory(&self, pod: &Pod, volume: &Volume) -> PathBuf {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        self.paths.volume(uid, plugin(volume), &volume.name)
    }

    /// The directory, mounted when it lives in memory.
    fn make(&self, dir: &Path, tmpfs: Option<u64>) -> io::Result<()> {
        if !dir.exists() {
            fs::create_dir_all(dir)?;
            // Whoever the containers run as; not at the mercy of our umask.
            fs::set_permissions(dir, fs::Permissions::from_mode(0o777))?;
        }
        if let Some(size) = tmpfs
            && !self.mounter.is_mounted(dir)?
        {
            self.mounter.tmpfs(dir, size)?;
        }
        Ok(())
    }

    fn empty_dir(&self, pod: &Pod, empty: &EmptyDirVolumeSource, dir: &Path) -> io::Result<()> {
        let fresh = !dir.exists();
        let limit = empty.size_limit.as_ref().and_then(amounts::parse_one).map(|q| q.value());
        let tmpfs = match empty.medium.as_deref() {
            Some("Memory") => {
                let pod_limit = Some(amounts::pod_limits(pod).memory()).filter(|m| *m > 0);
                let size = limit.filter(|l| *l > 0).into_iter().chain(pod_limit).min().unwrap_or(0);
                Some(u64::try_from(size).unwrap_or(0))
            }
            Some("") | None => None,
            Some(other) => return Err(io::Error::other(format!("unknown storage medium {other:?}"))),
        };
        self.make(dir, tmpfs)?;
        if fresh {
            // Of a tmpfs just mounted, too.
            let mode = empty.mode.and_then(|m| u32::try_from(m).ok()).unwrap_or(0o777);
            fs::set_permissions(dir, fs::Permissions::from_mode(mode))?;
        }
        match ownership::group(pod) {
            Some(group) => ownership::apply(dir, group, ownership::Access::ReadWrite, ownership::policy(pod)),
            None => Ok(()),
        }
    }

    /// Unmounts and deletes whatever the pod has on disk, logs excepted. Again is fine.
    pub fn tear_down(&self, uid: &str) -> io::Result<()> {
        let dir = self.paths.pod(uid);
        self.mounter.unmount_all(&dir)?;
        // A subPath of a hostPath may be bound below: never delete through a mount.
        if let Some(left) = self.mounter.below(&dir)?.first() {
            return Err(io::Error::other(format!("{} is still mounted", left.display())));
        }
        self.tokens.forget(uid);
        self.certificates.forget(uid);
        self.claims.forget(uid);
        for part in ["volumes", "volume-subpaths"] {
            remove(&dir.join(part))?;
        }
        Ok(())
    }

    /// Deletes the pod's directory, after [`Volumes::tear_down`].
    pub fn purge(&self, uid: &str) -> io::Result<()> {
        self.tear_down(uid)?;
        remove(&self.paths.pod(uid))
    }
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(io::Error::new(e.kind(), format!("remove {}: {e}", paths::text(dir))))
        }
        _ => Ok(()),
    }
}

/// Upstream's directory names.
fn plugin(volume: &Volume) -> &'static str {
    match volume {
        v if v.config_map.is_some() => "kubernetes.io~configmap",
        v if v.secret.is_some() => "kubernetes.io~secret",
        v if v.projected.is_some() => "kubernetes.io~projected",
        v if v.downward_api.is_some() => "kubernetes.io~downward-api",
        _ => "kubernetes.io~empty-dir",
    }
}

fn source<'a>(pod: &Pod, volume: &'a Volume) -> Source<'a> {
    if let Some(empty) = &volume.empty_dir {
        return Source::EmptyDir(empty);
    }
    if let Some(host) = &volume.host_path {
        return Source::HostPath(&host.path, host.type_.as_deref().unwrap_or_default());
    }
    if let Some(content) = projected::content(volume) {
        return Source::Projected(content);
    }
    if let Some(claim) = &volume.persistent_volume_claim {
        return Source::Claim(claim.claim_name.clone(), claim.read_only == Some(true));
    }
    if volume.ephemeral.is_some() {
        let pod = pod.metadata.name.as_deref().unwrap_or_default();
        return Source::OwnClaim(format!("{pod}-{}", volume.name));
    }
    if volume.image.is_some() {
        return Source::Image;
    }
    Source::Unsupported(match volume {
        v if v.csi.is_some() => "csi",
        v if v.nfs.is_some() => "nfs",
        v if v.iscsi.is_some() => "iscsi",
        v if v.fc.is_some() => "fc",
        _ => "(other)",
    })
}

#[cfg(test)]
mod tests;
