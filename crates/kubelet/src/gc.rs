//! What grows by itself is kept small: images that nobody uses while the disk is nearly full, and logs.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cri::ContainerState;
use jiff::{SignedDuration, Timestamp};

use crate::context::Context;
use crate::logs::rotate::{self, Policy};
use crate::node::machine::filesystem;

/// Upstream's thresholds, in percent of the disk used, and its periods.
const IMAGE_HIGH: u64 = 85;
const IMAGE_LOW: u64 = 80;
const IMAGE_PERIOD: Duration = Duration::from_secs(300);
const IMAGE_MIN_AGE: SignedDuration = SignedDuration::from_mins(2);
const LOG_PERIOD: Duration = Duration::from_secs(10);

/// When images were first seen and last used.
#[derive(Default)]
struct Ages(HashMap<String, Timestamp>);

/// Removes unused images, the longest unused first, until there is room. Runs until shutdown.
pub async fn collect(context: Arc<Context>) {
    let mut ages = Ages::default();
    loop {
        if let Err(e) = collect_once(&context, &mut ages).await {
            tracing::warn!("cannot collect images: {e}");
        }
        context.clock.sleep(IMAGE_PERIOD).await;
    }
}

async fn collect_once(context: &Context, ages: &mut Ages) -> cri::Result<()> {
    let images = context.images.service().list_images().await?;
    let used: BTreeSet<String> =
        context.runtime.list_containers().await?.into_iter().map(|c| c.image).collect();
    let now = context.clock.now();
    ages.0.retain(|id, _| images.iter().any(|i| i.id == *id));
    for image in &images {
        let last = ages.0.entry(image.id.clone()).or_insert(now);
        if used.contains(&image.id) {
            *last = now;
        }
    }
    let Ok(disk) = filesystem(&context.paths.root) else { return Ok(()) };
    let taken = disk.size - disk.available.min(disk.size);
    if disk.size == 0 || taken * 100 / disk.size < IMAGE_HIGH {
        return Ok(());
    }
    let mut to_free = taken.saturating_sub(disk.size / 100 * IMAGE_LOW);
    let mut unused: Vec<_> = images.iter().filter(|i| !used.contains(&i.id) && !i.pinned).collect();
    unused.sort_by_key(|i| ages.0.get(&i.id).copied());
    for image in unused {
        let age = ages.0.get(&image.id).map_or(SignedDuration::ZERO, |at| now.duration_since(*at));
        if to_free == 0 || age < IMAGE_MIN_AGE {
            continue;
        }
        tracing::info!(image = image.id, bytes = image.size, "removing an unused image to free disk space");
        context.images.service().remove_image(&image.id).await?;
        to_free = to_free.saturating_sub(image.size);
    }
    Ok(())
}

/// All that no container uses: the disk is so full that pods would have to go.
pub async fn remove_unused_images(context: &Context) -> cri::Result<()> {
    let images = context.images.service().list_images().await?;
    let used: BTreeSet<String> =
        context.runtime.list_containers().await?.into_iter().map(|c| c.image).collect();
    for image in images.iter().filter(|i| !used.contains(&i.id) && !i.pinned) {
        tracing::info!(
            image = image.id,
            bytes = image.size,
            "removing an unused image: the disk is nearly full"
        );
        context.images.service().remove_image(&image.id).await?;
    }
    Ok(())
}

/// Rotates logs that have grown large. Runs until shutdown. Writing a log is no event that anybody could be told of
/// cheaply, so sizes are looked at now and then, as upstream does.
pub async fn rotate_logs(context: Arc<Context>) {
    loop {
        context.clock.sleep(LOG_PERIOD).await;
        let containers = match context.runtime.list_containers().await {
            Ok(containers) => containers,
            Err(e) => {
                tracing::warn!("cannot list containers to rotate their logs: {e}");
                continue;
            }
        };
        for container in containers.iter().filter(|c| c.state == ContainerState::Running) {
            let Ok(status) = context.runtime.container_status(&container.id).await else { continue };
            if status.log_path.is_empty() {
                continue;
            }
            let log = PathBuf::from(status.log_path);
            let done = rotate::rotate(
                &*context.runtime,
                &container.id,
                &log,
                Policy::default(),
                context.clock.now(),
            );
            if let Err(e) = done.await {
                tracing::warn!(container = container.id, "cannot rotate a log: {e}");
            }
        }
    }
}
