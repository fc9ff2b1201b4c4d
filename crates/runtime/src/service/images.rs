//! CRI's image service over the store.

use std::path::Path;

use anyhow::{Context, Result};
use async_trait::async_trait;
use cri::{AuthConfig, FilesystemUsage, Image, ImageService};

use super::Runtime;
use crate::image::archive;
use crate::image::reference::Reference;
use crate::image::store::ImageRecord;

impl Runtime {
    pub(crate) fn images(&self) -> &crate::image::store::Store {
        &self.images
    }

    pub(crate) fn program(&self) -> &crate::program::Program {
        &self.program
    }

    pub(super) async fn load(&self, path: &Path) -> Result<Vec<String>> {
        let runtime = self.this.upgrade().context("the runtime is being dropped")?;
        let path = path.to_path_buf();
        let loaded = tokio::task::spawn_blocking(move || {
            let _making = runtime.images.making.blocking_read();
            archive::load(&runtime.images, &runtime.program, &path)
        })
        .await
        .context("load image archive")?;
        if loaded.is_err() {
            self.collect_layers().await?;
        }
        loaded
    }

    /// Removes layers that a failed image left.
    async fn collect_layers(&self) -> Result<()> {
        let _nothing_in_the_making = self.images.making.write().await;
        self.images.collect()
    }

    fn image(&self, record: &ImageRecord) -> Image {
        let user = record.config.run().user.unwrap_or_default();
        let name = user.split(':').next().unwrap_or_default();
        let uid = name.parse().ok();
        Image {
            id: record.id.clone(),
            repo_tags: record.tags.iter().cloned().collect(),
            repo_digests: record.digests.iter().cloned().collect(),
            size: self.images.size(record),
            uid,
            username: if uid.is_some() { String::new() } else { name.to_string() },
            pinned: false,
        }
    }
}

#[async_trait]
impl ImageService for Runtime {
    async fn list_images(&self) -> cri::Result<Vec<Image>> {
        Ok(self.images.list().iter().map(|record| self.image(record)).collect())
    }

    async fn image_status(&self, image: &str) -> cri::Result<Option<Image>> {
        Ok(self.images.find(image).map(|record| self.image(&record)))
    }

    async fn pull_image(&self, image: &str, auth: Option<&AuthConfig>) -> cri::Result<String> {
        let reference = Reference::parse(image).map_err(|e| cri::Error::InvalidArgument(format!("{e:#}")))?;
        let Some(runtime) = self.this.upgrade() else {
            return Err(cri::Error::Unavailable("the runtime is shutting down".to_string()));
        };
        // An image that came from an archive has never been in a registry: what was put here by hand is what is meant,
        // also on machines without a network.
        if let Some(loaded) = self.images.find(image).filter(|record| record.digests.is_empty()) {
            return Ok(loaded.id);
        }
        let pulled = {
            let _making = self.images.making.read().await;
            self.puller.pull(&runtime, &reference, auth).await
        };
        if pulled.is_err()
            && let Err(e) = self.collect_layers().await
        {
            tracing::warn!("cannot clean up after a failed pull: {e:#}");
        }
        pulled
    }

    async fn remove_image(&self, image: &str) -> cri::Result<()> {
        self.images.remove(image).await.map_err(|e| cri::Error::Unknown(format!("{e:#}")))
    }

    async fn image_fs_info(&self) -> cri::Result<Vec<FilesystemUsage>> {
        let dir = self.data_dir.join("images");
        let used_bytes = self
            .images
            .list()
            .iter()
            .flat_map(|i| i.layers.clone())
            .collect::<std::collections::BTreeSet<_>>();
        let used_bytes = used_bytes.into_iter().map(|id| self.images.layers.size(id)).sum();
        Ok(vec![FilesystemUsage {
            mountpoint: dir.to_string_lossy().into_owned(),
            used_bytes,
            inodes_used: 0,
        }])
    }
}
