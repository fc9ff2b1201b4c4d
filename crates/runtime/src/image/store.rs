//! The images of this machine: `<dir>/{images.json,layers,downloads}`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::config::ImageConfig;
use super::layers::{LayerId, Layers};
use super::reference::Reference;
use crate::child::unpack::hex;
use crate::files;

/// An image that is whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    /// `sha256:…` of its configuration.
    pub id: String,
    pub tags: BTreeSet<String>,
    /// `registry/repository@digest`
    pub digests: BTreeSet<String>,
    /// Bottom first.
    pub layers: Vec<LayerId>,
    pub config: ImageConfig,
}

#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    pub layers: Layers,
    images: Mutex<BTreeMap<String, ImageRecord>>,
    /// Layers that containers run on, whether or not an image still names them.
    used: Mutex<BTreeMap<String, Vec<LayerId>>>,
    /// Held while an image is being made, so that its layers are not collected before the image names them.
    pub making: tokio::sync::RwLock<()>,
}

impl Store {
    pub fn open(dir: &Path) -> Result<Self> {
        // Downloads that nobody finished.
        files::remove(&dir.join("downloads"))?;
        fs::create_dir_all(dir.join("downloads")).with_context(|| format!("create {}", dir.display()))?;
        let images: BTreeMap<String, ImageRecord> =
            files::read_json(&dir.join("images.json"))?.unwrap_or_default();
        let store = Store {
            dir: dir.to_path_buf(),
            layers: Layers::open(&dir.join("layers"))?,
            images: Mutex::new(images),
            used: Mutex::default(),
            making: tokio::sync::RwLock::new(()),
        };
        Ok(store)
    }

    pub fn downloads(&self) -> PathBuf {
        self.dir.join("downloads")
    }

    pub fn list(&self) -> Vec<ImageRecord> {
        self.lock().values().cloned().collect()
    }

    /// By id, `sha256:` or not, whole or a unique beginning; or by reference.
    pub fn find(&self, image: &str) -> Option<ImageRecord> {
        let images = self.lock();
        let hex = image.strip_prefix("sha256:").unwrap_or(image);
        if let Some(found) = images.get(&format!("sha256:{hex}")) {
            return Some(found.clone());
        }
        if let Ok(reference) = Reference::parse(image) {
            let named = match &reference.digest {
                Some(digest) => {
                    let name = reference.with_digest(digest);
                    images.values().find(|i| i.digests.contains(&name))
                }
                None => reference.tagged().and_then(|tag| images.values().find(|i| i.tags.contains(&tag))),
            };
            if named.is_some() {
                return named.cloned();
            }
        }
        const SHORTEST: usize = 8;
        if hex.len() < SHORTEST {
            return None;
        }
        let mut matching = images.values().filter(|i| i.id["sha256:".len()..].starts_with(hex));
        matching.next().filter(|_| matching.next().is_none()).cloned()
    }

    /// Adds an image, or names to one that is there. A tag belongs to one image only.
    pub fn add(&self, mut image: ImageRecord) -> Result<()> {
        let mut images = self.lock();
        for other in images.values_mut().filter(|other| other.id != image.id) {
            other.tags.retain(|tag| !image.tags.contains(tag));
        }
        if let Some(old) = images.get(&image.id) {
            image.tags.extend(old.tags.iter().cloned());
            image.digests.extend(old.digests.iter().cloned());
        }
        images.insert(image.id.clone(), image);
        self.save(&images)
    }

    /// Removes an image with all its names. One that is not there is fine.
    pub async fn remove(&self, image: &str) -> Result<()> {
        if let Some(found) = self.find(image) {
            let mut images = self.lock();
            images.remove(&found.id);
            self.save(&images)?;
        }
        // Layers that an image in the making has found must stay until it names them.
        let _nothing_in_the_making = self.making.write().await;
        self.collect()
    }

    /// Keeps `layers` as long as `container` exists.
    pub fn use_layers(&self, container: &str, layers: &[LayerId]) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(container.to_string(), layers.to_vec());
    }

    /// `container` is gone.
    pub fn release_layers(&self, container: &str) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).remove(container);
    }

    /// Removes layers that neither an image nor a container has. Call it when no image is being made.
    pub fn collect(&self) -> Result<()> {
        let mut keep: BTreeSet<LayerId> = self.lock().values().flat_map(|i| i.layers.clone()).collect();
        keep.extend(self.used.lock().unwrap_or_else(PoisonError::into_inner).values().flatten());
        self.layers.collect(&keep)
    }

    /// Bytes of an image's files.
    pub fn size(&self, image: &ImageRecord) -> u64 {
        image.layers.iter().map(|id| self.layers.size(*id)).sum()
    }

    fn save(&self, images: &BTreeMap<String, ImageRecord>) -> Result<()> {
        let text = serde_json::to_vec(images)?;
        files::write_durably(&self.dir.join("images.json"), &text).context("write images.json")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, ImageRecord>> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `sha256:…` of bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}
