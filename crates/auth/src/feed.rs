//! Keeps an index of ours up to date with views.

use std::sync::Arc;

use client::transport::{Change, View};
use futures::StreamExt;
use futures::stream::select_all;
use stdx::Tasks;
use tokio::sync::watch;

/// Says when an index has been complete once.
#[derive(Clone, Debug)]
pub(crate) struct Ready(watch::Receiver<bool>);

impl Ready {
    pub(crate) fn is_ready(&self) -> bool {
        *self.0.borrow()
    }

    pub(crate) async fn wait(&self) {
        // The sender goes only when the feed's tasks were stopped: then there is nothing to wait for.
        let _ = self.0.clone().wait_for(|ready| *ready).await;
    }
}

/// Calls `apply` with every object of every view (tagged), then with every change, in a task of `tasks`.
pub(crate) fn feed<T: Copy + Send + Sync + 'static>(
    tasks: &Tasks,
    views: Vec<(T, Arc<dyn View>)>,
    mut apply: impl FnMut(T, &Change) + Send + 'static,
) -> Ready {
    let (sender, receiver) = watch::channel(false);
    tasks.spawn_until_shutdown(async move {
        let mut changes = Vec::new();
        for (tag, view) in &views {
            let tag = *tag;
            changes.push(view.subscribe().map(move |change| (tag, change)));
        }
        let mut changes = select_all(changes);
        for (tag, view) in &views {
            view.synced().await;
            // Seen before their turn in the subscription, which will repeat them: applying is idempotent, and
            // whatever is gone by then has its deletion there as well.
            for object in view.list("") {
                apply(*tag, &Change { old: None, new: Some(object) });
            }
        }
        let _ = sender.send(true);
        while let Some((tag, change)) = changes.next().await {
            apply(tag, &change);
        }
        // Keeps the sender: readers wait on it.
        drop(sender);
    });
    Ready(receiver)
}
