//! Dead containers and old sandboxes: of each container the last dead one stays (for `logs --previous`), no more.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use cri::{ContainerState, SandboxState};
use futures::FutureExt as _;

use super::Worker;
use super::jobs::Done;

/// The runtime could not remove something.
const RETRY: Duration = Duration::from_secs(10);

impl Worker {
    pub(super) fn clean_up(&mut self) {
        if self.cleaning || self.observed.work.pod_job || self.observed.work.starting.is_some() {
            return;
        }
        let containers = self.surplus_containers();
        let sandboxes = self.surplus_sandboxes();
        if containers.is_empty() && sandboxes.is_empty() {
            return;
        }
        self.cleaning = true;
        let (context, mailbox) = (self.context.clone(), self.mailbox.clone());
        self.jobs.push(
            async move {
                let mut failed = false;
                for (id, log) in containers {
                    if let Err(e) = context.runtime.remove_container(&id).await {
                        tracing::warn!(container = id, "cannot remove a dead container: {e}");
                        failed = true;
                        continue;
                    }
                    mailbox.remove_container(&id);
                    remove_logs(&log);
                    context.forget_messages(&id);
                }
                for id in sandboxes {
                    if let Err(e) = context.runtime.remove_pod_sandbox(&id).await {
                        tracing::warn!(sandbox = id, "cannot remove a dead sandbox: {e}");
                        failed = true;
                    }
                }
                if failed {
                    context.clock.sleep(RETRY).await;
                }
                Done::Cleaned
            }
            .boxed(),
        );
    }

    /// All but the newest two of each name, the newest being the one that counts.
    fn surplus_containers(&self) -> Vec<(String, PathBuf)> {
        let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
        let mut surplus = Vec::new();
        for container in &self.observed.containers {
            let count = seen.entry(&container.container.metadata.name).or_default();
            *count += 1;
            if *count > 2 && container.container.state == ContainerState::Exited {
                surplus.push((container.container.id.clone(), PathBuf::from(&container.log_path)));
            }
        }
        surplus
    }

    fn surplus_sandboxes(&self) -> Vec<String> {
        let older = self.observed.sandboxes.iter().skip(1);
        let empty = older.filter(|s| {
            s.sandbox.state == SandboxState::NotReady
                && !self.observed.containers.iter().any(|c| c.container.sandbox == s.sandbox.id)
        });
        empty.map(|s| s.sandbox.id.clone()).collect()
    }
}

fn remove_logs(log: &std::path::Path) {
    let mut files = crate::logs::rotate::rotated(log).unwrap_or_default();
    files.push(log.to_owned());
    for file in files {
        match std::fs::remove_file(&file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!("cannot remove {}: {e}", file.display());
            }
            _ => {}
        }
    }
}
